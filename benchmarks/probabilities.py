"""Log loss of few cells: the default against each label's smoothed rate of positives.

``python benchmarks/probabilities.py --data FOLDER`` prints, per set, mask and number of
labeled cells, the log loss on test cells drawn by the same mask: of the rates
``(positives + 2 * pooled rate) / (cells + 2)`` and of the default, means over draws.
FOLDER has a ``load.py`` that reads the sets and draws the masks. ``--later`` prints
instead what copies of rows, further fits on the same rows and a stream of batches do to
the log loss on goemotions and arxiv_cs, 6,000 cells.
"""

import argparse
import importlib.util
import json
import os
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.exceptions import OneSidedLabelsWarning, UnlabeledLabelWarning
from sklearn_masked.labels import check_labels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_log_loss,
    masked_roc_auc_score,
)

SETS = ("arxiv_cs", "goemotions", "xed_en", "tox21", "emotions")
MASKS = ("one-sought", "random-60")
SIZES = (10, 30, 100, 300, 1000)
# By how much the default may be above the rates, in nats per cell.
BARS = {10: 0.02, 30: 0.02, 100: 0.005}
MOST_TEST_ROWS = 3000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--params", type=json.loads, default={}, help="of ours, JSON")
    parser.add_argument("--later", action="store_true")
    args = parser.parse_args()
    loader = read_loader(args.data)
    if args.later:
        return later_calls(loader)
    print("| set | mask | cells | rates | ours | difference | bar | AUC | AP |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in args.sets:
        parts = features(loader, name)
        for mask in MASKS:
            for size in args.sizes:
                runs = [
                    one_draw(loader, parts, mask, size, seed, args.params)
                    for seed in range(args.draws)
                ]
                print_row(name, mask, size, np.nanmean(runs, axis=0))


def later_calls(loader, n_cells=6000, n_batches=20):
    """Print the log loss of one fit, and of what ought to change it little."""
    print("| set | one fit | rows three times | warm fit again | 20 batches |")
    print("| --- | --- | --- | --- | --- |")
    for name in ("goemotions", "arxiv_cs"):
        X, X_test, Y, Y_test = features(loader, name)
        y = loader.keep_cells(loader.mask_one_sought(Y, 0), n_cells, 0)
        y_test = loader.mask_one_sought(Y_test, 1000)
        rows = np.flatnonzero(~np.isnan(y).all(axis=1))

        def loss(model, X_test=X_test, y_test=y_test):
            return micro_loss(y_test, model.predict_proba(X_test))

        def make():
            return MaskedMultiLabelClassifier(
                random_state=0, device="cpu", warm_start=True
            )

        model = make().fit(X[rows], y[rows])
        losses = [loss(model)]
        thrice = np.tile(rows, 3)
        losses.append(loss(make().fit(X[thrice], y[thrice])))
        losses.append(loss(model.fit(X[rows], y[rows])))
        stream = make()
        for batch in np.array_split(
            np.random.RandomState(0).permutation(rows), n_batches
        ):
            stream.partial_fit(X[batch], y[batch])
        losses.append(loss(stream))
        print(f"| {name} | " + " | ".join(f"{each:.3f}" for each in losses) + " |")


def print_row(name, mask, size, means):
    rates, ours, auc, ap = means
    bar = BARS.get(size, 0.0)
    kept = "kept" if ours - rates <= bar else "MISSED"
    print(
        f"| {name} | {mask} | {size} | {rates:.3f} | {ours:.3f} | {ours - rates:+.3f} "
        f"| {bar:.3f} {kept} | {auc:.3f} | {ap:.3f} |",
        flush=True,
    )


def read_loader(folder):
    """Import the folder's ``load.py``."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def features(loader, name):
    """Return X and Y of the training and of at most `MOST_TEST_ROWS` test rows."""
    X, Y, split = loader.load(name)
    Y = np.asarray(Y.toarray() if hasattr(Y, "toarray") else Y, dtype=np.float32)
    if split is None:
        split = np.where(np.random.RandomState(0).rand(len(Y)) < 0.2, "test", "train")
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    test = np.random.RandomState(0).permutation(test)[:MOST_TEST_ROWS]
    if X.dtype.kind in "US":
        vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
        return (
            vectorizer.fit_transform(X[train]),
            vectorizer.transform(X[test]),
            Y[train],
            Y[test],
        )
    return X[train], X[test], Y[train], Y[test]


def one_draw(loader, parts, mask, size, seed, params):
    """Return the log loss of the rates and of ours, and our macro AUC and AP."""
    X, X_test, Y, Y_test = parts
    y = loader.keep_cells(masked(loader, Y, mask, seed), size, seed)
    rows = np.flatnonzero(~np.isnan(y).all(axis=1))
    y = check_labels(y[rows])
    y_test = masked(loader, Y_test, mask, 1000 + seed)
    model = MaskedMultiLabelClassifier(random_state=seed, device="cpu", **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlabeledLabelWarning)
        warnings.simplefilter("ignore", OneSidedLabelsWarning)
        proba = model.fit(X[rows], y).predict_proba(X_test)
        warnings.simplefilter("ignore")
        ranks = [
            score(Y_test, proba)
            for score in (masked_roc_auc_score, masked_average_precision_score)
        ]
    losses = [
        micro_loss(y_test, each) for each in (smoothed_rates(y, len(Y_test)), proba)
    ]
    return [*losses, *ranks]


def masked(loader, Y, mask, seed):
    """Return the labels that a mask leaves."""
    if mask == "one-sought":
        return loader.mask_one_sought(Y, seed)
    return loader.mask_random(Y, 0.6, seed)


def smoothed_rates(y, n_rows):
    """Return each label's rate of positives with two cells of the pooled rate more."""
    pooled = (y.n_positive.sum() + 0.5) / (y.n_labeled.sum() + 1)
    rates = (y.n_positive + 2 * pooled) / (y.n_labeled + 2)
    return np.broadcast_to(rates, (n_rows, len(rates)))


def micro_loss(y, proba):
    return masked_log_loss(y, proba, average="micro")


if __name__ == "__main__":
    main()
