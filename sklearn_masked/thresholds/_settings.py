"""Settings of the choice of thresholds, checked against the labels."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from ..labels.per_label import as_floats, read_per_label
from ._constraints import precision_at_recall, recall_at_precision
from ._objectives import objective_name
from ._prevalence import Traffic, read_traffic

CONSTRAINED = {
    "recall_at_precision": recall_at_precision,
    "precision_at_recall": precision_at_recall,
}


class Settings(NamedTuple):
    """Checked settings of the choice of thresholds."""

    scoring: object
    beta: float
    costs: np.ndarray | None  # (n_labels, 2, 2)
    target: np.ndarray | None  # (n_labels,), NaN for labels without a target
    confidence: float | None
    confidence_over: str
    min_positive: int
    min_negative: int
    fallback: object
    default: float  # the threshold that the estimator itself would use
    thresholds: object  # int or array
    pool_folds: bool
    traffic: Traffic

    @property
    def constrained(self):
        """True if the objective is a promise."""
        return isinstance(self.scoring, str) and self.scoring in CONSTRAINED

    @property
    def safe_side(self):
        """The threshold that keeps any promise, by deciding always the same."""
        return np.inf if self.scoring == "recall_at_precision" else -np.inf


def read_settings(tuner, labels, default):
    """Return the settings of a tuner for some labels; `default` is its threshold."""
    constrained = isinstance(tuner.scoring, str) and tuner.scoring in CONSTRAINED
    if tuner.target is not None and not constrained:
        raise ValueError(
            "`target` accepts None unless `scoring` is 'recall_at_precision' or "
            f"'precision_at_recall'; got {tuner.target!r} for {tuner.scoring!r}."
        )
    if isinstance(tuner.fallback, Real) and np.isnan(tuner.fallback):
        raise ValueError("`fallback` accepts a number that is one; got nan.")
    return Settings(
        scoring=objective_name(tuner.scoring),
        beta=tuner.beta,
        costs=_costs(tuner, labels.n_labels),
        target=_target(tuner, labels) if constrained else None,
        confidence=tuner.confidence,
        confidence_over=tuner.confidence_over,
        min_positive=tuner.min_positive,
        min_negative=tuner.min_negative,
        fallback=tuner.fallback,
        default=default,
        thresholds=_thresholds(tuner.thresholds),
        pool_folds=tuner.pool_folds,
        traffic=read_traffic(tuner.target_prevalence, labels),
    )


def _thresholds(thresholds):
    if isinstance(thresholds, Integral):
        return thresholds
    thresholds = as_floats(thresholds, "thresholds")
    if thresholds.ndim != 1 or not len(thresholds):
        raise ValueError(
            "`thresholds` accepts an integer or a 1-D array; got shape "
            f"{thresholds.shape}."
        )
    if np.isnan(thresholds).any():
        raise ValueError(
            "`thresholds` accepts numbers that are ones; got nan at position "
            f"{np.argmax(np.isnan(thresholds))}."
        )
    return thresholds


def _costs(tuner, n_labels):
    costs = tuner.cost_matrix
    if (tuner.scoring == "cost") != (costs is not None):
        raise ValueError(
            "`cost_matrix` accepts an array where scoring='cost', and None elsewhere; "
            f"got {'None' if costs is None else f'shape {np.shape(costs)}'} for "
            f"{tuner.scoring!r}."
        )
    if costs is None:
        return None
    costs = as_floats(costs, "cost_matrix")
    if costs.shape not in ((2, 2), (n_labels, 2, 2)):
        raise ValueError(
            f"`cost_matrix` accepts shape (2, 2) or ({n_labels}, 2, 2); got "
            f"{costs.shape}."
        )
    if not np.isfinite(costs).all():
        raise ValueError("`cost_matrix` accepts finite numbers; got NaN or infinity.")
    return np.broadcast_to(costs, (n_labels, 2, 2))


def _target(tuner, labels):
    if tuner.target is None:
        raise ValueError(
            f"`target` accepts the least share that scoring={tuner.scoring!r} "
            "promises, such as 0.95; got None."
        )
    target = read_per_label(
        tuner.target,
        "target",
        labels.n_labels,
        labels.label_names,
        "shares above 0 and up to 1",
        lambda share: (share > 0) & (share <= 1),
    )
    if isinstance(tuner.target, Mapping) and np.isnan(target).all():
        raise ValueError(
            "`target` accepts a dict with labels of `y` as keys; got an empty one."
        )
    return target
