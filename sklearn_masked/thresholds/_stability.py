"""Signs that thresholds tuned on the folds' estimators do not suit another one."""

import warnings

import numpy as np
from scipy.special import chdtrc

from .._targets import shown_labels
from ..exceptions import RefitThresholdWarning
from ._tune import TUNED

# Folds differ in scale where recall varies among them more than by chance, and where
# that matters: the lowest is below half of the mean.
_CHANCE = 1e-5
_LOWEST = 0.5
# After the refit the promised share must reach its bound, the other one half of it.
_LEAST = {
    "recall_at_precision": {"precision": 1.0, "recall": 0.5},
    "precision_at_recall": {"precision": 0.5, "recall": 1.0},
}
_ONE_SPLIT = (
    "Pass cv=0.3, refit=False: it keeps the one estimator that thresholds are tuned on."
)
_KEEP = (
    "Pass refit=False: it keeps the estimators of the folds, which vote; with cv=0.3, "
    "the one that thresholds are tuned on."
)


def recall_by_fold(parts, thresholds):
    """Return positive cells that pass, and all of them, each (n_folds, n_labels)."""
    passed, total = [], []
    for part in parts:
        own = part.scores[part.positive] >= thresholds[part.cols[part.positive]]
        cols = part.cols[part.positive]
        passed.append(np.bincount(cols[own], minlength=part.n_labels))
        total.append(np.bincount(cols, minlength=part.n_labels))
    return np.array(passed), np.array(total)


def folds_disagree(passed, total):
    """Return, per label, whether recall differs among folds (Pearson's chi-squared)."""
    filled = total.sum(axis=0)
    mean = np.divide(
        passed.sum(axis=0), filled, out=np.zeros(len(filled)), where=filled > 0
    )
    expected = total * mean * (1 - mean)
    terms = np.divide(
        (passed - total * mean) ** 2,
        expected,
        out=np.zeros_like(expected),
        where=expected > 0,
    )
    freedom = np.maximum((total > 0).sum(axis=0) - 1, 1)
    shares = np.divide(passed, total, out=np.ones_like(expected), where=total > 0)
    return (chdtrc(freedom, terms.sum(axis=0)) < _CHANCE) & (
        shares.min(axis=0) < _LOWEST * mean
    )


def warn_unstable(report, parts, scoring, label_names):
    """Warn of tuned labels whose threshold does not suit all estimators.

    Either recall differs among the folds, or the estimator that was fitted on all
    rows does worse, on cells that it has learned from, than cells left out promise.
    """
    tuned = report["reason"] == TUNED
    passed, total = recall_by_fold(parts, report["threshold"])
    if (which := tuned & folds_disagree(passed, total)).any():
        label = int(np.argmax(which))
        shares = passed[:, label] / np.maximum(total[:, label], 1)
        _warn(
            which,
            label_names,
            "are scored on another scale in some folds than in others",
            f"{report['label'][label]} passes its threshold for {shares.min():.0%} of "
            f"the positive cells of one fold and {shares.max():.0%} of another",
            _ONE_SPLIT,
        )
    for name, least in _LEAST[scoring].items():
        worse = report[f"{name}_refit"] < least * report[f"{name}_low"]
        if (which := tuned & worse).any():
            label = int(np.argmax(which))
            before, after = report[name][label], report[f"{name}_refit"][label]
            _warn(
                which,
                label_names,
                "are scored on another scale by the estimator fitted on all rows",
                f"{name} of {report['label'][label]} is {before:.3f} on cells left "
                f"out, and {after:.3f} on the same cells after the refit on them",
                _KEEP,
            )


def _warn(which, label_names, fault, example, remedy):
    warnings.warn(
        f"{which.sum()} of {len(which)} labels {fault}, and what the report says of "
        f"their thresholds need not hold for `estimator_`: "
        f"{shown_labels(which, label_names)}. For example, {example}. {remedy}",
        RefitThresholdWarning,
        stacklevel=4,
    )
