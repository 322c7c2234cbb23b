"""Peak memory and time of fits whose dense label matrix would not fit.

    python benchmarks/memory.py [CASE ...]

Each case runs in a process of its own; the peak is that of the whole process, so the
imports' share stands beside it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sp


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_cell_a_row(n=200_000, n_labels=10_000):
    from sklearn_masked.datasets import make_masked_multilabel

    return make_masked_multilabel(
        n_samples=n, n_labels=n_labels, as_text=False, random_state=0
    )


def fit():
    """Fit 200,000 x 10,000 labels, one cell a row."""
    from sklearn_masked import MaskedMultiLabelClassifier

    X, labels = one_cell_a_row()
    yield X.astype(np.float32), labels
    MaskedMultiLabelClassifier(random_state=0).fit(X.astype(np.float32), labels)


def cross_validation():
    """Cross-validate the same in three folds, with the masked scorer."""
    from sklearn.model_selection import cross_validate

    from sklearn_masked import MaskedMultiLabelClassifier
    from sklearn_masked.metrics import masked_roc_auc_scorer

    X, labels = one_cell_a_row()
    yield X.astype(np.float32), labels
    scores = cross_validate(
        MaskedMultiLabelClassifier(random_state=0),
        X,
        labels,
        cv=3,
        scoring=masked_roc_auc_scorer,
        error_score="raise",
    )
    assert np.isfinite(scores["test_score"]).all()


def indicator():
    """Fit MultiLabelBinarizer(sparse_output=True) labels of 56,588 x 10,955."""
    from sklearn.preprocessing import MultiLabelBinarizer

    from sklearn_masked import MaskedMultiLabelClassifier

    rng = np.random.default_rng(0)
    popular = (rng.zipf(1.3, size=241_525 * 2) - 1) % 10_955
    sets = np.split(popular[:241_525], np.sort(rng.integers(241_525, size=56_587)))
    Y = MultiLabelBinarizer(classes=range(10_955), sparse_output=True).fit_transform(
        sets
    )
    words = rng.integers(50_000, size=(56_588, 10))
    X = sp.csr_array(
        (
            np.full(words.size, 10**-0.5, np.float32),
            (np.repeat(np.arange(56_588), 10), words.ravel()),
        ),
        shape=(56_588, 50_000),
    )
    yield X, Y
    MaskedMultiLabelClassifier(random_state=0, max_epochs=1).fit(X, Y)


CASES = {"fit": fit, "cross_validation": cross_validation, "indicator": indicator}


def run(case):
    import sklearn_masked.classifier  # noqa: F401

    warnings.simplefilter("ignore")  # labels that no cell speaks of, by the thousand
    imports = peak_mb()
    steps = CASES[case]()
    X, Y = next(steps)
    data = peak_mb()
    start = time.perf_counter()
    for _ in steps:
        pass
    seconds = time.perf_counter() - start
    row = {
        "case": case,
        "shape": [int(X.shape[0]), int(X.shape[1]), int(Y.shape[1])],
        "nnz": int(X.nnz),
        "imports_mb": round(imports),
        "with_data_mb": round(data),
        "peak_mb": round(peak_mb()),
        "seconds": round(seconds, 1),
    }
    print(json.dumps(row))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--in-process", action="store_true")
    args = parser.parse_args()
    for case in args.cases:
        if args.in_process:
            run(case)
        else:
            command = [sys.executable, __file__, "--in-process", case]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
