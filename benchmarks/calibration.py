"""Probabilities of sought cells in natural traffic: raw, calibrated, corrected.

    python benchmarks/calibration.py --data FOLDER [--seeds 3] [--audit 500]

FOLDER holds `texts.csv.gz` (columns id, text, split) and `labels.csv.gz` (id, then a
column a label, every cell known). Each training row keeps one labeled cell: half of the
time one of its positives, where it has one, else a random label. An audit of a few
hundred cells is drawn at random from training rows and labels. Test rows keep all
cells: what they measure is natural traffic.
"""

import argparse
import csv
import gzip
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.calibration import (
    MaskedCalibratedClassifierCV,
    estimate_prevalence,
    expected_calibration_error,
)
from sklearn_masked.metrics import masked_log_loss, masked_roc_auc_score


def read_csv(file):
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def read_folder(folder, held_out="test"):
    """Return TF-IDF of training and test rows, their full labels, and label names.

    `held_out` "not train" takes all other rows for test rows.
    """
    folder = Path(folder)
    texts, labels = (
        read_csv(folder / "texts.csv.gz"),
        read_csv(folder / "labels.csv.gz"),
    )
    text, split = texts[0].index("text"), texts[0].index("split")
    Y = np.array([row[1:] for row in labels[1:]], dtype=float).astype(np.int8)
    is_train = np.array([row[split] == "train" for row in texts[1:]])
    is_test = ~is_train
    if held_out != "not train":
        is_test = np.array([row[split] == held_out for row in texts[1:]])
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    words = [row[text] for row in texts[1:]]
    X = vectorizer.fit_transform([words[i] for i in np.flatnonzero(is_train)])
    X_test = vectorizer.transform([words[i] for i in np.flatnonzero(is_test)])
    return X, Y[is_train], X_test, Y[is_test], labels[0][1:]


def one_sought(Y, names, seed):
    """Keep one cell a row: a positive half of the time, else a random label."""
    rng = np.random.RandomState(seed)
    cols = np.empty(len(Y), int)
    for i, row in enumerate(Y):
        positives = np.flatnonzero(row == 1)
        sought = len(positives) and rng.rand() < 0.5
        cols[i] = rng.choice(positives) if sought else rng.randint(Y.shape[1])
    rows = np.arange(len(Y))
    return MaskedLabels.from_cells(
        rows, cols, Y[rows, cols], shape=Y.shape, label_names=names
    )


def draw_audit(Y, names, n_cells, seed):
    """Return rows and labels of cells drawn at random, one a row."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(Y), n_cells, replace=False))
    cols = rng.integers(Y.shape[1], size=n_cells)
    return rows, MaskedLabels.from_cells(
        np.arange(n_cells),
        cols,
        Y[rows, cols],
        shape=(n_cells, Y.shape[1]),
        label_names=names,
    )


def models(names):
    bases = {
        "separate": MaskedMultiOutputClassifier(
            LogisticRegression(C=30, solver="liblinear", random_state=0)
        )
    }
    if "joint" in names:
        from sklearn_masked import MaskedMultiLabelClassifier

        bases["joint"] = MaskedMultiLabelClassifier(random_state=0, device="cpu")
    return {name: base for name, base in bases.items() if name in names}


def probabilities(base, X, labels, X_test, audit_rows, audit, truth_share):
    """Return the test probabilities of each way to come by them."""
    found = {"raw": base.fit(X, labels).predict_proba(X_test)}
    for method in ("sigmoid", "isotonic"):
        model = MaskedCalibratedClassifierCV(base, method=method, ensemble=False)
        model.fit(X, labels)
        found[method] = model.predict_proba(X_test)
        model.correct_prior(X[audit_rows], audit)
        found[f"{method} + audit"] = model.predict_proba(X_test)
        if method == "sigmoid":
            # The same maps, with prevalences instead of audited scores.
            for name, share in {
                "sigmoid + audited shares": estimate_prevalence(audit),
                "sigmoid + true shares": truth_share,
            }.items():
                model.set_params(target_prevalence=share).fit(X, labels)
                found[name] = model.predict_proba(X_test)
    return found


def measure(truth, proba):
    return [
        expected_calibration_error(truth, proba),
        expected_calibration_error(truth, proba, average="micro"),
        masked_log_loss(truth, proba),
        masked_log_loss(truth, proba, average="micro"),
        masked_roc_auc_score(truth, proba),
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="a folder as described above")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--audit", type=int, default=500)
    parser.add_argument("--models", nargs="+", default=["separate", "joint"])
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # labels with few cells, in the table's numbers

    X, Y, X_test, Y_test, names = read_folder(args.data)
    truth = MaskedLabels.from_dense(Y_test)
    for name, base in models(args.models).items():
        start = time.perf_counter()
        rows = {}
        for seed in range(args.seeds):
            labels = one_sought(Y, names, seed)
            audit_rows, audit = draw_audit(Y, names, args.audit, seed)
            found = probabilities(
                base, X, labels, X_test, audit_rows, audit, Y.mean(axis=0)
            )
            for way, proba in found.items():
                rows.setdefault(way, []).append(measure(truth, proba))
        seconds = time.perf_counter() - start
        print(
            f"{name}: {X.shape[0]} training rows, {len(names)} labels, one sought cell "
            f"a row ({labels.n_positive.sum() / labels.n_cells:.0%} positive, against "
            f"{Y_test.mean():.1%} in the test rows); audit of {args.audit} cells; mean "
            f"of {args.seeds} seeds; {seconds:.0f} s"
        )
        print(
            f"{'':26s}macro ECE  micro ECE  macro loss  micro loss  macro AUC   "
            "macro ECE / raw"
        )
        raw = np.mean(rows["raw"], axis=0)[0]
        for way, values in rows.items():
            mean = np.mean(values, axis=0)
            line = "".join(f"{value:11.4f}" for value in mean)
            print(f"{way:24s}{line}   1 / {raw / mean[0]:.1f}")


if __name__ == "__main__":
    main()
