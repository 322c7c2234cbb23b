"""How often promised precision is kept in traffic, and how many labels get a promise.

    python benchmarks/promises.py [--draws 200] [--model-draws 200] [--audit 400]

The labeled cells of each label, 500 positive and 5,000 negative ones for the most part,
hold more positives than the traffic. Scores are normal with variance 1, those of
positives higher, by more from label to label: so precision and recall in traffic of any
threshold are known exactly, and so is the best recall at the target. In the last table
the scores are those of logistic regressions on Gaussian features: thresholds are tuned
on cells left out of five folds, and judged for the estimator fitted on all rows.

A promise is *made* where a label gets a threshold of its own, and *broken* where its
precision in traffic is below the target. Columns:

- made: labels with a promise, of those whose best recall at the target is 0.3 or more;
- recall: mean recall of these labels, over the best one (0 without a promise);
- kept: promises kept, of all that were made;
- broken: labels with a broken promise, of all labels: at most 5 % for
  confidence_over="label";
- draws: draws in which any promise is broken: at most 5 % for confidence_over="family".
"""

import argparse
import time
import warnings

import numpy as np
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

SEPARATION = np.linspace(1.5, 5, 12)
# Prevalence, target, numbers of positive and of negative labeled cells.
SETTINGS = [
    (0.05, 0.95, 500, 5000),
    (0.05, 0.9, 500, 5000),
    (0.1, 0.95, 500, 5000),
    (0.02, 0.8, 500, 5000),
    (0.05, 0.9, 4400, 5600),
]
GRID = np.linspace(-4, 12, 16_001)
WAYS = ("as labeled", "given", "audited", "given, family", "audited, family")


class Given(ClassifierMixin, BaseEstimator):
    """Decides by the scores that it is given for X."""

    def fit(self, X, y):
        """Do nothing."""
        return self

    def decision_function(self, X):
        """Return X."""
        return X

    def __sklearn_is_fitted__(self):
        return True


def labeled_cells(rng, n_positive, n_negative):
    """Return scores and labels of the labeled cells."""
    Y = np.repeat([1.0, 0.0], [n_positive, n_negative])
    Y = np.repeat(Y[:, None], len(SEPARATION), axis=1)
    return rng.normal(size=Y.shape) + Y * SEPARATION, Y


def features(rng, n_positive, n_negative, n_features=10):
    """Return X, Y with one labeled cell in each row, and the means of positives."""
    n_labels, n_cells = len(SEPARATION), n_positive + n_negative
    means = rng.normal(size=(n_labels, n_features))
    means *= (SEPARATION / np.linalg.norm(means, axis=1))[:, None]
    X = rng.normal(size=(n_labels * n_cells, n_features))
    Y = np.full((len(X), n_labels), np.nan)
    for label in range(n_labels):
        rows = label * n_cells + np.arange(n_cells)
        Y[rows, label] = rows % n_cells < n_positive
        X[rows[:n_positive]] += means[label]
    order = rng.permutation(len(X))
    return X[order], Y[order], means


def in_traffic(thresholds, separation, prevalence):
    """Return precision and recall of thresholds on normal scores."""
    recall, false = norm.sf(thresholds - separation), norm.sf(thresholds)
    hits, misses = prevalence * recall, (1 - prevalence) * false
    with np.errstate(invalid="ignore"):
        return hits / (hits + misses), recall


def best_recall(separation, prevalence, target):
    """Return the highest recall at a precision of `target`, per label."""
    precision, recall = in_traffic(GRID[:, None], separation, prevalence)
    return np.where(precision >= target, recall, 0.0).max(axis=0)


def tune(estimator, X, Y, way, prevalence, target, audit, **params):
    """Return a tuner that was fitted in one of the ways."""
    known = {"as": None, "given": prevalence, "audited": audit}
    clf = MaskedTunedThresholdClassifierCV(
        estimator,
        scoring="recall_at_precision",
        target=target,
        target_prevalence=known[way.split(",")[0].split()[0]],
        confidence_over="family" if "family" in way else "label",
        response_method="decision_function",
        **params,
    )
    return clf.fit(X, Y)


def report(title, found):
    """Print a line for each way: entries are precision, recall, best recall, target."""
    print(f"\n{title}")
    print(f"{'':18s}   made  recall    kept  broken   draws")
    for way, results in found.items():
        precision, recall, best, target = (
            np.array(part) for part in zip(*results, strict=True)
        )
        made = ~np.isnan(precision)
        broken = made & (precision < target[:, None])
        good = best >= 0.3
        shares = np.where(made, recall, 0)[good] / best[good]
        kept = 1 - broken.sum() / max(made.sum(), 1)
        print(
            f"{way:18s}{made[good].mean():7.1%}{shares.mean():8.2f}{kept:8.1%}"
            f"{broken.mean():8.1%}{broken.any(axis=1).mean():8.1%}"
        )


def draws_of_scores(setting, draws, n_audited):
    """Return what each way gives on known scores."""
    prevalence, target, *numbers = setting
    found = {way: [] for way in WAYS}
    best = best_recall(SEPARATION, prevalence, target)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        X, Y = labeled_cells(rng, *numbers)
        audit = (rng.random((n_audited, Y.shape[1])) < prevalence).astype(float)
        for way, results in found.items():
            clf = tune(Given(), X, Y, way, prevalence, target, audit, cv="prefit")
            traffic = in_traffic(clf.thresholds_, SEPARATION, prevalence)
            results.append((*traffic, best, target))
    return found


def draws_of_models(setting, draws, n_audited):
    """Return what each way gives on the scores of models."""
    prevalence, target, *numbers = setting
    found = {way: [] for way in WAYS[:3]}
    base = MaskedMultiOutputClassifier(LogisticRegression())
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        X, Y, means = features(rng, *numbers)
        audit = (rng.random((n_audited, Y.shape[1])) < prevalence).astype(float)
        for way, results in found.items():
            clf = tune(base, X, Y, way, prevalence, target, audit)
            models = clf.estimator_.estimators_
            weights = np.array([model.coef_[0] for model in models])
            shift = np.array([model.intercept_[0] for model in models])
            length = np.linalg.norm(weights, axis=1)
            separation = (weights * means).sum(axis=1) / length
            thresholds = (clf.thresholds_ - shift) / length
            traffic = in_traffic(thresholds, separation, prevalence)
            best = best_recall(separation, prevalence, target)
            results.append((*traffic, best, target))
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--model-draws", type=int, default=200)
    parser.add_argument("--audit", type=int, default=400, help="rows of an audit")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # labels for which no promise can be made

    start = time.perf_counter()
    for setting in SETTINGS if args.draws else ():
        prevalence, target, n_positive, n_negative = setting
        good = (best_recall(SEPARATION, prevalence, target) >= 0.3).sum()
        report(
            f"traffic {prevalence:.0%} positive, precision >= {target}, {n_positive} "
            f"positive and {n_negative} negative cells,\n{args.draws} draws of "
            f"{len(SEPARATION)} labels, {good} of best recall >= 0.3",
            draws_of_scores(setting, args.draws, args.audit),
        )
    if args.model_draws:
        report(
            f"the first of models refitted on all rows, {args.model_draws} draws",
            draws_of_models(SETTINGS[0], args.model_draws, args.audit),
        )
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
