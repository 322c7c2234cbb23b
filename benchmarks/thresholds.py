"""How often "precision at least p" is true on held-out cells, with and without a bound.

    python benchmarks/thresholds.py [--data FOLDER] [--seeds 20] [--target 0.9]

Each training row keeps one labeled cell: half of the time one of its positives, where
it has one, else a random label. Thresholds are tuned on cells left out of five folds,
and judged on held-out rows of which all cells are known, each weighted by the
probability with which it would have been chosen: the precision that the tuning cells
estimate, without the noise of a further draw.

Without `--data`, labels are logistic in Gaussian features, and 100,000 rows judge.
FOLDER is as in benchmarks/calibration.py; its rows that are not for training judge.
"""

import argparse
import time
import warnings

import numpy as np
from calibration import one_sought, read_folder
from scipy.stats import beta
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.model_selection import MaskedStratifiedKFold, cross_val_predict
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

CONFIDENCE = 0.95


def generate(seed, n_train=20_000, n_test=100_000, n_labels=20, n_features=20):
    """Return features and full labels of training and of held-out rows."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_train + n_test, n_features))
    directions = rng.normal(size=(n_features, n_labels)) / np.sqrt(n_features)
    sharpness = np.linspace(2, 6, n_labels)
    logits = X @ directions * sharpness + np.linspace(-4, -1, n_labels)
    Y = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.int8)
    return X[:n_train], Y[:n_train], X[n_train:], Y[n_train:]


def chances(Y):
    """Return the probability with which `one_sought` chooses each cell."""
    n_positive = Y.sum(axis=1, keepdims=True)
    at_random = np.where(n_positive > 0, 0.5, 1.0) / Y.shape[1]
    return at_random + np.where(Y == 1, 0.5 / np.maximum(n_positive, 1), 0.0)


class Given(ClassifierMixin, BaseEstimator):
    """Decides by the scores that it is given for X."""

    def fit(self, X, y):
        """Do nothing."""
        return self

    def predict_proba(self, X):
        """Return X."""
        return X

    def __sklearn_is_fitted__(self):
        return True


def tuner(base, target, confidence, **params):
    return MaskedTunedThresholdClassifierCV(
        base,
        scoring="recall_at_precision",
        target=target,
        confidence=confidence,
        **params,
    )


def by_hand(proba, labels, target):
    """Return thresholds whose own Clopper-Pearson bound reaches the target.

    What one would do by hand: the lowest threshold whose bound does, of all thresholds
    looked at, without heed of their number.
    """
    cells = labels.cells()
    scores = proba[cells.rows, cells.cols]
    thresholds = np.full(labels.n_labels, np.inf)
    for label in range(labels.n_labels):
        own = cells.cols == label
        order = np.argsort(-scores[own], kind="stable")
        hits = np.cumsum(cells.values[own][order])
        total = np.arange(1, len(hits) + 1)
        bound = beta.ppf(1 - CONFIDENCE, np.maximum(hits, 1), total - hits + 1)
        good = np.flatnonzero((hits > 0) & (bound >= target))
        if len(good):
            thresholds[label] = scores[own][order][good[-1]]
    return thresholds


def judge(proba, thresholds, Y, weights):
    """Return, per label, precision and recall on the held-out cells."""
    predicted = (proba >= thresholds) * weights
    hits = (predicted * Y).sum(axis=0)
    with np.errstate(invalid="ignore"):
        precision = hits / predicted.sum(axis=0)
    return precision, hits / (weights * Y).sum(axis=0)


def report(found, target):
    """Print a line for each way to come by thresholds."""
    print(
        f"{'':24s}labels with a threshold  of these, truly met  all promises kept  "
        "recall"
    )
    for way, results in found.items():
        precision, recall = (np.array(part) for part in zip(*results, strict=True))
        promised = ~np.isnan(precision)
        met = promised & (precision >= target)
        true_share = met.sum() / max(promised.sum(), 1)
        print(
            f"{way:24s}{promised.mean():23.1%}{true_share:21.1%}"
            f"{(met | ~promised).mean():19.1%}{recall.mean():8.3f}"
        )


def blind(target, draws, n_cells=1500):
    """Scores that say nothing, of labels a little less precise than the target."""
    rng = np.random.default_rng(0)
    share = target - 0.01
    found = {way: [] for way in ("no bound", "bound of each threshold", "bound")}
    for _ in range(draws):
        proba = rng.random((n_cells, 1))
        labels = MaskedLabels.from_dense((rng.random((n_cells, 1)) < share).astype(int))
        thresholds = {"bound of each threshold": by_hand(proba, labels, target)}
        for way, confidence in (("no bound", None), ("bound", CONFIDENCE)):
            clf = tuner(Given(), target, confidence, cv="prefit").fit(proba, labels)
            thresholds[way] = clf.thresholds_
        for way, threshold in thresholds.items():
            passed = np.clip(1 - threshold, 0, None)
            found[way].append((np.where(passed > 0, share, np.nan), passed))
    print(
        f"the same of scores that say nothing, precision {share:.2f} throughout: "
        f"{n_cells} cells, {draws} labels"
    )
    report(found, target)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", help="a folder as described above")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--target", type=float, default=0.9)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # labels for which no promise can be made

    start = time.perf_counter()
    data = read_folder(args.data, held_out="not train")[:4] if args.data else None
    base = MaskedMultiOutputClassifier(
        LogisticRegression(C=30 if args.data else 1, solver="liblinear", random_state=0)
    )
    found = {way: [] for way in ("no bound", "bound of each threshold", "bound")}
    for seed in range(args.seeds):
        X, Y, X_test, Y_test = generate(seed) if data is None else data
        labels = one_sought(Y, [str(label) for label in range(Y.shape[1])], seed)
        # The folds' scores once, for all ways: a tuner's own `cv` would fit them anew.
        left_out = cross_val_predict(
            base, X, labels, cv=MaskedStratifiedKFold(5), method="predict_proba"
        )
        proba = clone(base).fit(X, labels).predict_proba(X_test)
        weights = chances(Y_test)
        thresholds = {"bound of each threshold": by_hand(left_out, labels, args.target)}
        for way, confidence in (("no bound", None), ("bound", CONFIDENCE)):
            clf = tuner(Given(), args.target, confidence, cv="prefit")
            thresholds[way] = clf.fit(left_out, labels).thresholds_
        for way, threshold in thresholds.items():
            found[way].append(judge(proba, threshold, Y_test, weights))
    print(
        f"precision >= {args.target} at confidence {CONFIDENCE}: {X.shape[0]} training "
        f"rows, one sought cell a row, {Y.shape[1]} labels, {X_test.shape[0]} held-out "
        f"rows; {args.seeds} seeds; {time.perf_counter() - start:.0f} s"
    )
    report(found, args.target)
    if data is None:
        blind(args.target, 50 * args.seeds)


if __name__ == "__main__":
    main()
