"""fastText as a rival: a binary model a label, or one model for all (`ova`)."""

import tempfile
from pathlib import Path

import fasttext
import numpy as np
from _quality_rivals import Fitted

from sklearn_masked.metrics import masked_average_precision_score

# Its defaults, and what its users reach for on small files.
GRID = ((0.1, 5), (0.5, 5), (0.5, 25), (1.0, 25))
SEARCH_CELLS = 10_000


def fit(task, seed, ova):
    """Choose rate and epochs on a fifth of the cells left out, then fit on all."""
    data, labels = task.data, task.labels
    grams = {"text": 2, "molecules": 5 if "smiles" in data.name else 1}[data.kind]
    train, test = data.tokens
    train = [train[row] for row in task.rows]
    cells = labels.cells()
    order = np.random.default_rng(seed).permutation(labels.n_cells)[:SEARCH_CELLS]
    left_out = np.zeros(labels.n_cells, bool)
    left_out[order[: len(order) // 5]] = True
    searched = np.zeros(labels.n_cells, bool)
    searched[order[len(order) // 5 :]] = True
    shape = (len(train), labels.n_labels)
    scores = {}
    for rate, epochs in GRID:
        params = _params(rate, epochs, grams, seed)
        models = _models(train, _take(cells, searched), shape, params, ova)
        scores[rate, epochs] = _left_out_score(models, train, cells, left_out, shape)
    rate, epochs = max(scores, key=scores.get)
    models = _models(train, cells, shape, _params(rate, epochs, grams, seed), ova)
    return Fitted(
        lambda: models.predict(test),
        {"lr": rate, "epoch": epochs, "wordNgrams": grams},
    )


def _params(rate, epochs, grams, seed):
    return {
        "lr": rate,
        "epoch": epochs,
        "wordNgrams": grams,
        # The default of 2,000,000 takes 800 MB a label.
        "bucket": 50_000 if grams > 1 else 0,
        "thread": 1,
        "verbose": 0,
        "seed": seed,
    }


def _take(cells, chosen):
    rows, cols, values = (part[chosen] for part in cells[:3])
    return cells._replace(rows=rows, cols=cols, values=values, weights=None)


def _left_out_score(models, lines, cells, left_out, shape):
    from sklearn_masked import MaskedLabels

    rows, cols, values = (part[left_out] for part in cells[:3])
    kept, where = np.unique(rows, return_inverse=True)
    truth = MaskedLabels.from_cells(where, cols, values, shape=(len(kept), shape[1]))
    proba = models.predict([lines[i] for i in kept])
    return masked_average_precision_score(truth, proba)


def _models(lines, cells, shape, params, ova):
    return (_Ova if ova else _Separate)(lines, cells, shape, params)


class _Separate:
    """A binary model a label on its labeled rows; a constant where one class is."""

    def __init__(self, lines, cells, shape, params):
        self.models = []
        self.rates = np.empty(shape[1])
        pooled = cells.values.mean()
        for label in range(shape[1]):
            own = cells.cols == label
            rows, values = cells.rows[own], cells.values[own]
            self.rates[label] = (values.sum() + pooled) / (len(values) + 1)
            both = 0 < values.sum() < len(values)
            written = [
                f"__label__{value} {lines[row]}"
                for row, value in zip(rows, values, strict=True)
            ]
            self.models.append(_train(written, params) if both else None)

    def predict(self, lines):
        proba = np.tile(self.rates, (len(lines), 1))
        for label, model in enumerate(self.models):
            if model is not None:
                proba[:, label] = _probabilities(model, lines, 2)[:, 1]
        return proba


class _Ova:
    """One model; rows without a positive say nothing to it, as fastText skips them."""

    def __init__(self, lines, cells, shape, params):
        self.n_labels = shape[1]
        positive = {}
        for row, col in zip(*(a[cells.values == 1] for a in cells[:2]), strict=True):
            positive.setdefault(row, []).append(f"__label__{col}")
        written = [f"{' '.join(all_)} {lines[row]}" for row, all_ in positive.items()]
        self.model = _train(written, {**params, "loss": "ova"})

    def predict(self, lines):
        return _probabilities(self.model, lines, self.n_labels)


def _train(lines, params):
    """Train from a file, as fastText does; halve the rate where it meets NaN."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        for _ in range(6):
            try:
                return fasttext.train_supervised(str(file), minCount=1, **params)
            except RuntimeError as error:
                if "NaN" not in str(error):
                    raise
                params = {**params, "lr": params["lr"] / 2}
    raise RuntimeError("fastText met NaN at every learning rate")


def _probabilities(model, lines, n_labels):
    """Return (n_lines, n_labels) probabilities; a label that it never met has 0."""
    proba = np.zeros((len(lines), n_labels))
    # The binding beneath `predict`, which breaks with numpy 2.
    for i, line in enumerate(lines):
        for probability, label in model.f.predict(f"{line}\n", -1, 0.0, "strict"):
            proba[i, int(label.removeprefix("__label__"))] = probability
    return np.clip(proba, 0.0, 1.0)
