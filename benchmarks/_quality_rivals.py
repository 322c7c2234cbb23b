"""The models that `quality.py` compares, each set up as its own users would.

A model is a function of a `Task` and a seed that returns a `Fitted`. Everything that it
chooses, it chooses on training cells. A name carries parameters:
"ours:C=5,shared_weight=0.3" is the default model with two of its parameters set,
"separate:C=1" has no search.
"""

import warnings
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.special import expit, logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler, normalize

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)

C_GRID = np.logspace(-2, 2, 6)
N_FOLDS = 3
# The search takes a sample of the cells where a fold's fits would take minutes.
SEARCH_ALL, SEARCH_SAMPLE = 300_000, 150_000
# How `separate` may scale X; with two, the search chooses. None leaves X as it is.
SCALINGS = {"dense": ("standard",), "embedding": ("unit", "standard")}


class Task(NamedTuple):
    """Set, positions of the training rows that are passed, and their X and labels."""

    data: object
    rows: np.ndarray
    X: object
    labels: MaskedLabels


class Fitted(NamedTuple):
    """A function that returns the probabilities of the test rows, and the choices."""

    predict: object
    chosen: dict


def ours(task, seed, **params):
    """Fit the default, or the default with the parameters named."""
    model = MaskedMultiLabelClassifier(random_state=seed, **params)
    model.fit(task.X, task.labels)
    chosen = getattr(model, "auto_params_", None) or {"C": getattr(model, "C_", None)}
    plain = {name: np.asarray(value).tolist() for name, value in chosen.items()}
    return Fitted(lambda: model.predict_proba(task.data.X_test), plain)


def classic(task, seed, **params):
    """Fit the classic model: an embedding bag, then a linear layer, by Adam."""
    return ours(task, seed, module="embedding_bag", **params)


def loop(task, seed, lr=0.03, max_epochs=5, batch_size=512, embedding_dim=100):
    """Fit the classic model by a loop of torch alone, as one writes it by hand."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    X, labels = _labeled_rows(task)
    bag = nn.EmbeddingBag(X.shape[1], embedding_dim, mode="sum")
    output = nn.Linear(embedding_dim, labels.n_labels)
    # As fastText begins.
    nn.init.uniform_(bag.weight, -1 / embedding_dim, 1 / embedding_dim)
    nn.init.zeros_(output.weight)
    nn.init.zeros_(output.bias)

    def logits_of(X):
        parts = X.indices, X.indptr[:-1], X.data
        columns, starts, values = (torch.from_numpy(part.copy()) for part in parts)
        return output(bag(columns, starts, per_sample_weights=values))

    parameters = [*bag.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=lr, fused=True)
    for _ in range(max_epochs):
        for rows in torch.randperm(X.shape[0]).split(batch_size):
            cells = labels[rows.numpy()].cells()
            logits = logits_of(X[rows.numpy()])[cells.rows, cells.cols]
            target = torch.tensor(cells.values, dtype=torch.float32)
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    @torch.no_grad()
    def predict():
        return logits_of(task.data.X_test).sigmoid().numpy()

    return Fitted(predict, {})


def separate(
    task,
    seed,
    C=None,
    per_label=False,
    scaling="auto",
    solver="liblinear",
    unlabeled="ignored",
):
    """Fit a logistic regression per label on the rows with a labeled cell of it.

    C, one for all labels or one per label, has the least log loss on left-out cells:
    three folds, stratified per label; labels with a single cell of a class take no part
    in the choice, and take the C of all. Each fit sees only the columns that its rows
    have: the same weights in less time. `solver="snapml"` is the dual coordinate
    ascent of snapml, which is not among the extras: its license is proprietary.
    `unlabeled="negative"` reads each unlabeled cell of these rows as a negative.
    """
    X, labels = _labeled_rows(task)
    if unlabeled == "negative":
        labels = MaskedLabels.from_dense(np.nan_to_num(labels.to_dense(), nan=0.0))
    scalings = SCALINGS.get(task.data.kind, (None,)) if scaling == "auto" else [scaling]
    searched = _sample(labels, seed)
    found = [
        _left_out_losses(_scaler(name, X)(X), searched, seed, solver)
        for name in (scalings if C is None else ())
    ]
    best, chosen = _choose(found, labels.n_labels, per_label, C)
    scale = _scaler(scalings[best], X)
    coef, intercept = _fit_labels(scale(X), labels, chosen, seed, solver)
    told = {"C": np.unique(np.round(chosen, 3)).tolist(), "scaling": scalings[best]}
    return Fitted(
        lambda: expit(np.asarray(scale(task.data.X_test) @ coef) + intercept), told
    )


def _labeled_rows(task):
    """Leave out the rows without a labeled cell: no separate model can use them."""
    rows = np.unique(task.labels.cells().rows)
    return task.X[rows], task.labels[rows]


def _sample(labels, seed):
    """Return the labels, or a random part of their cells where there are very many."""
    if labels.n_cells <= SEARCH_ALL:
        return labels
    cells = labels.cells()
    keep = np.random.default_rng(seed).permutation(labels.n_cells)[:SEARCH_SAMPLE]
    return MaskedLabels.from_cells(
        cells.rows[keep], cells.cols[keep], cells.values[keep], shape=labels.shape
    )


def _scaler(name, X):
    """Return a function that scales rows of X, or of test rows."""
    if name == "standard":
        return StandardScaler().fit(X).transform
    return normalize if name == "unit" else lambda X: X


def _label_cells(labels):
    """Yield the rows and the values of each label's cells."""
    cells = labels.cells()
    order = np.argsort(cells.cols, kind="stable")
    ends = np.cumsum(np.bincount(cells.cols, minlength=labels.n_labels))
    for part in np.split(order, ends[:-1]):
        yield cells.rows[part], cells.values[part].astype(int)


def _narrow(X):
    """Return X without its empty columns, and the positions of the others."""
    if not sp.issparse(X):
        return X, np.arange(X.shape[1])
    used, indices = np.unique(X.indices, return_inverse=True)
    shape = (X.shape[0], len(used))
    return sp.csr_matrix((X.data, indices, X.indptr), shape=shape), used


def _fit_one(X, y, C, seed, solver):
    """Return the weights and the intercept of one logistic regression."""
    if solver == "snapml":
        import snapml

        model = snapml.LogisticRegression(
            dual=True, regularizer=1 / C, fit_intercept=True, random_state=seed
        )
    else:
        model = LogisticRegression(C=C, solver="liblinear", random_state=seed)
    model.fit(X, y)
    return np.ravel(model.coef_), np.ravel(model.intercept_)[0]


def _left_out_losses(X, labels, seed, solver):
    """Return the summed log loss of left-out cells per C and label, NaN if not asked.

    Two folds where a label has two cells of its rarer class.
    """
    losses = np.full((len(C_GRID), labels.n_labels), np.nan)
    for label, (rows, y) in enumerate(_label_cells(labels)):
        rarer = np.bincount(y, minlength=2).min()
        if rarer < 2:
            continue
        own, _ = _narrow(X[rows])
        folds = StratifiedKFold(min(N_FOLDS, rarer), shuffle=True, random_state=seed)
        losses[:, label] = 0
        for train, test in folds.split(rows, y):
            part, used = _narrow(own[train])
            left_out = own[test][:, used]
            for i, C in enumerate(C_GRID):
                coef, intercept = _fit_one(part, y[train], C, seed, solver)
                margin = (left_out @ coef + intercept) * (2 * y[test] - 1)
                losses[i, label] += np.logaddexp(0, -margin).sum()
    return losses


def _choose(losses, n_labels, per_label, C):
    """Return the position of the scaling and a C per label.

    `losses` has an array per scaling; there is none where C is given.
    """
    if C is not None or np.isnan(losses).all():
        return 0, np.full(n_labels, 1.0 if C is None else C)
    totals = np.nansum(losses, axis=2)
    best = int(totals.min(axis=1).argmin())
    chosen = np.full(n_labels, C_GRID[totals[best].argmin()])
    if per_label:
        asked = ~np.isnan(losses[best]).any(axis=0)
        chosen[asked] = C_GRID[losses[best][:, asked].argmin(axis=0)]
    return best, chosen


def _fit_labels(X, labels, C, seed, solver):
    """Return weights (n_features, n_labels) and intercepts (n_labels,).

    A label with cells of one class gets its rate, smoothed by the rate of all cells.
    """
    coef = np.zeros((X.shape[1], labels.n_labels))
    intercept = np.empty(labels.n_labels)
    pooled = np.clip(labels.cells().values.mean(), 0.001, 0.999)
    for label, (rows, y) in enumerate(_label_cells(labels)):
        if np.bincount(y, minlength=2).min() == 0:
            intercept[label] = logit((y.sum() + pooled) / (len(y) + 1))
            continue
        part, used = _narrow(X[rows])
        coef[used, label], intercept[label] = _fit_one(part, y, C[label], seed, solver)
    return coef, intercept


def forest(task, seed):
    """Fit a random forest per label: 500 trees, classes balanced."""
    trees = RandomForestClassifier(
        500, class_weight="balanced", random_state=seed, n_jobs=1
    )
    X, labels = _labeled_rows(task)
    model = MaskedMultiOutputClassifier(trees).fit(X, labels)
    return Fitted(lambda: model.predict_proba(task.data.X_test), {})


def fasttext(task, seed, ova=False):
    """Fit fastText per label, or once with `ova` loss: no positive is a negative."""
    import _quality_fasttext  # few have the package

    return _quality_fasttext.fit(task, seed, ova)


MODELS = {
    "ours": ours,
    "classic": classic,
    "loop": loop,
    "separate": separate,
    "forest": forest,
    "fasttext": fasttext,
}
# The kinds of features that a model of the panel is run on; others are run on all.
KINDS = {
    "loop": ("text", "molecules", "counts"),
    "forest": ("molecules", "dense"),
    "separate:C=1,scaling=unit": ("embedding",),
}


def applies(name, kind):
    """Return True if a model is run on sets of this kind."""
    return kind in KINDS.get(name, (kind,))


def get(name):
    """Return the function of a model's name; "ours:a=b,c=d" sets parameters."""
    head, _, settings = name.partition(":")
    if head not in MODELS:
        raise ValueError(f"model {name!r} is none of {', '.join(MODELS)}.")
    pairs = [setting.split("=", 1) for setting in settings.split(",") if setting]
    params = {key: _value(text) for key, text in pairs}
    return lambda task, seed: MODELS[head](task, seed, **params)


def _value(text):
    words = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def fit_quietly(model, task, seed):
    """Fit without the warnings of labels that have one class, or none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(task, seed)
