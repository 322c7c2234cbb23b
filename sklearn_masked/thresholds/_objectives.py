"""Objectives of a threshold, from the counts of its decisions."""

import numpy as np

from ..metrics import (
    MaskedScorer,
    masked_balanced_accuracy_score,
    masked_f1_score,
    masked_matthews_corrcoef,
)
from ..metrics.cells import matthews_corrcoef

OBJECTIVES = ("balanced_accuracy", "matthews_corrcoef", "f1", "fbeta", "cost")
# The metrics of the package that say the same as an objective by its name.
_NAMES = {
    masked_balanced_accuracy_score: "balanced_accuracy",
    masked_f1_score: "f1",
    masked_matthews_corrcoef: "matthews_corrcoef",
}


def objective_name(scoring):
    """Return the name of the objective that a metric or scorer of the package means."""
    is_scorer = isinstance(scoring, MaskedScorer)
    metric = scoring._score_func if is_scorer else scoring
    names = [name for known, name in _NAMES.items() if known is metric]
    if not is_scorer:
        return names[0] if names else scoring
    if not names or scoring._kwargs:
        known = ", ".join(function.__name__ for function in _NAMES)
        raise ValueError(
            "`scoring` accepts an objective by name, a function of the counts tp, fp, "
            f"fn and tn, or a scorer of {known} without further arguments; got "
            f"{scoring!r}."
        )
    return names[0]


def make_objective(scoring, beta, costs):
    """Return a function of `Counts` that is larger for better thresholds."""
    if callable(scoring):
        return lambda counts: _called(scoring, counts)
    if scoring == "balanced_accuracy":
        return _balanced_accuracy
    if scoring == "matthews_corrcoef":
        return _matthews_corrcoef
    if scoring == "cost":
        return lambda counts: -_mean_cost(counts, costs)
    square = 1.0 if scoring == "f1" else beta**2
    return lambda counts: _fbeta(counts, square)


def _called(scoring, counts):
    """Return what a user's objective says of counts."""
    values = np.asarray(scoring(*counts), dtype=np.float64)
    if values.shape != counts.tp.shape:
        raise ValueError(
            "`scoring` accepts a callable that returns a number for each threshold, "
            f"shape {counts.tp.shape}; it returned shape {values.shape}."
        )
    return values


def _balanced_accuracy(counts):
    tp, fp, fn, tn = counts
    return (_ratio(tn, tn + fp) + _ratio(tp, tp + fn)) / 2


def _matthews_corrcoef(counts):
    # Differences of cumulated weights can fall below 0 by rounding.
    return np.nan_to_num(matthews_corrcoef(*(np.maximum(c, 0.0) for c in counts)))


def _fbeta(counts, square):
    tp, fp, fn, _ = counts
    return _ratio((1 + square) * tp, square * (tp + fn) + (tp + fp))


def _mean_cost(counts, costs):
    tp, fp, fn, tn = counts
    cost = costs[0, 0] * tn + costs[0, 1] * fp + costs[1, 0] * fn + costs[1, 1] * tp
    return _ratio(cost, tp + fp + fn + tn)


def _ratio(part, whole):
    """Return part / whole, 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def best_threshold(folds, objective, thresholds):
    """Return the threshold of the best mean objective, its value, and the curve.

    As :class:`sklearn.model_selection.TunedThresholdClassifierCV`: each fold is scored
    on a grid between its own extremes, and the curves are interpolated and averaged.
    """
    if isinstance(thresholds, np.ndarray):
        grid = thresholds
        curves = [objective(fold.counts(grid)) for fold in folds]
    else:
        ends = np.array([(fold.scores[0], fold.scores[-1]) for fold in folds])
        grid = np.linspace(ends.min(), ends.max(), thresholds)
        curves = [
            np.interp(grid, own, objective(fold.counts(own)))
            for fold, own in zip(folds, np.linspace(*ends.T, thresholds).T, strict=True)
        ]
    curve = np.mean(curves, axis=0)
    best = int(np.argmax(np.where(np.isnan(curve), -np.inf, curve)))
    return float(grid[best]), float(curve[best]), grid, curve
