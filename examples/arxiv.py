"""
One labeled category per abstract
=================================

The shared model beside one logistic regression per label::

    python examples/arxiv.py --data FOLDER --mask one-sought

FOLDER holds `texts.csv.gz` (columns id, text, split), `labels.npz` (a scipy CSR matrix,
stored 1 = positive, everything else negative) and `label_names.txt`. Each training row
keeps one labeled cell; the test rows keep all. Without `--data`, texts come from the
package's generator.
"""

import argparse
import csv
import gzip
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_roc_auc_score,
)


def read_folder(folder):
    """Return texts, the full 0/1 CSR matrix, label names and True for test rows."""
    folder = Path(folder)
    with gzip.open(folder / "texts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = (folder / "label_names.txt").read_text(encoding="utf-8").split("\n")
    names = [name for name in names if name]
    Y = sp.load_npz(folder / "labels.npz").tocsr()
    if Y.shape != (len(rows), len(names)):
        raise ValueError(
            f"{folder}: labels.npz has shape {Y.shape}, and there are {len(rows)} "
            f"texts and {len(names)} label names."
        )
    is_test = np.array([row["split"] == "test" for row in rows])
    return [row["text"] for row in rows], Y, names, is_test


def generate(seed):
    """Return the same four from the package's generator: no real texts needed."""
    texts, _, Y = make_masked_multilabel(
        n_samples=4000, n_labels=20, return_full=True, random_state=seed
    )
    names = [f"label {j}" for j in range(Y.shape[1])]
    return list(texts), sp.csr_matrix(Y), names, np.arange(len(texts)) >= 3000


def one_sought(Y, names, seed):
    """Keep one cell per row: a positive half of the time, else a random label."""
    rng = np.random.RandomState(seed)
    cols = np.empty(Y.shape[0], int)
    for i in range(Y.shape[0]):
        positives = Y.indices[Y.indptr[i] : Y.indptr[i + 1]]
        sought = len(positives) and rng.rand() < 0.5
        cols[i] = rng.choice(positives) if sought else rng.randint(Y.shape[1])
    rows = np.arange(Y.shape[0])
    values = np.asarray(Y[rows, cols]).ravel()
    return MaskedLabels.from_cells(rows, cols, values, shape=Y.shape, label_names=names)


def random_60(Y, names, seed):
    """Keep each cell with probability 0.4."""
    keep = np.random.RandomState(seed).rand(*Y.shape) >= 0.6
    rows, cols = np.nonzero(keep)
    values = np.asarray(Y[rows, cols]).ravel()
    return MaskedLabels.from_cells(rows, cols, values, shape=Y.shape, label_names=names)


MASKS = {"one-sought": one_sought, "random-60": random_60}


def compare(X, labels, X_test, truth, device):
    """Fit both models and print a row for each."""
    models = {
        "MaskedMultiLabelClassifier()": MaskedMultiLabelClassifier(
            random_state=0, device=device
        ),
        "C separate LogisticRegression(C=30)": MaskedMultiOutputClassifier(
            LogisticRegression(C=30, solver="liblinear", random_state=0)
        ),
    }
    print(f"{'':36s} macro AUC  micro AUC  macro AP  micro AP  fit, s")
    for name, model in models.items():
        start = time.perf_counter()
        model.fit(X, labels)
        seconds = time.perf_counter() - start
        proba = model.predict_proba(X_test)
        scores = [
            metric(truth, proba, average=average)
            for metric in (masked_roc_auc_score, masked_average_precision_score)
            for average in ("macro", "micro")
        ]
        row = "".join(f"{score:9.4f}  " for score in scores)
        print(f"{name:36s}{row}{seconds:6.1f}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a folder as described above")
    parser.add_argument("--mask", choices=MASKS, default="one-sought")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()

    read = read_folder(args.data) if args.data else generate(args.seed)
    texts, Y, names, is_test = read
    vectorizer = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=2, dtype=np.float32
    )
    X = vectorizer.fit_transform([texts[i] for i in np.flatnonzero(~is_test)])
    X_test = vectorizer.transform([texts[i] for i in np.flatnonzero(is_test)])
    labels = MASKS[args.mask](Y[~is_test], names, args.seed)
    truth = MaskedLabels.from_sparse(Y[is_test], implicit="negative")
    print(
        f"{X.shape[0]} training rows, {labels.n_cells} labeled cells of "
        f"{labels.n_labels} labels; {X_test.shape[0]} test rows, all cells labeled."
    )
    with warnings.catch_warnings():
        # Labels that the test rows never hold cannot be scored: said once is enough.
        warnings.simplefilter("once")
        compare(X, labels, X_test, truth, args.device)


if __name__ == "__main__":
    main()
