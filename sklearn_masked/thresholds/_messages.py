"""Sentences about thresholds: why a label has the fallback, and what would mend it."""

import warnings

import numpy as np

from .._targets import shown_labels
from ..exceptions import FallbackThresholdWarning, PriorShiftWarning
from ._constraints import fewest_cells
from ._tune import CONSTANT, FEW, NO_TARGET, TUNED, UNMET

_MOST_SHOWN = 10


def judge(task, tuner, report, fallback):
    """Raise or warn where there are labels without a threshold of their own."""
    reasons = report["reason"]
    missing = (reasons != TUNED) & (reasons != NO_TARGET)
    if not missing.any():
        return
    if task.classes is not None and tuner.only_pool and reasons[0] == FEW:
        raise ValueError(
            "`cv` accepts splits that leave both classes of a 1-D `y` out together "
            "at least once; got none. Pass pool_folds=True to join the folds."
        )
    binary = task.classes is not None and not tuner.settings.constrained
    if binary and reasons[0] == CONSTANT:
        raise ValueError(
            "`estimator` makes constant predictions, so that no threshold can be "
            "tuned; got one score for all left-out rows of a fold."
        )
    names = task.labels.label_names
    why = "; ".join(
        f"{shown_labels(reasons == reason, names)} ({reason})"
        for reason in np.unique(reasons[missing])
    )
    warnings.warn(
        f"{missing.sum()} of {len(reasons)} labels get the fallback for a threshold, "
        f"fallback={fallback!r}: {why}.{_consequence(report, missing, names)}"
        f"{_what_it_takes(tuner, reasons)}"
        f"{_closest(report, reasons)}",
        FallbackThresholdWarning,
        stacklevel=3,
    )


def _consequence(report, missing, names):
    """Return which labels are never, or always, predicted, as sentences."""
    thresholds = report["threshold"]
    kinds = (("Never", missing & (thresholds == np.inf)),)
    kinds += (("Always", missing & (thresholds == -np.inf)),)
    return "".join(
        f" {when} predicted: {shown_labels(labels, names)}."
        for when, labels in kinds
        if labels.any()
    )


def _what_it_takes(tuner, reasons):
    """Return how many cells a promise takes, as a sentence; "" where none was unmet."""
    settings, unmet = tuner.settings, reasons == UNMET
    if settings.confidence is None or not unmet.any():
        return ""
    target = settings.target[unmet].min()
    if target == 1:
        return (
            " No number of cells can promise a target of 1; ask for less, or pass "
            "confidence=None."
        )
    precision = settings.scoring == "recall_at_precision"
    if precision and settings.traffic.source is not None:
        return ""  # it depends on the label's prevalence
    n_cells = fewest_cells(settings.scoring, target, tuner.confidence)
    which = "passing" if precision else "positive"
    return (
        f" A target of {target:g} with confidence={settings.confidence:g} takes "
        f"{n_cells} {which} labeled cells of a label without a mistake among them, and "
        "more with mistakes."
    )


def _closest(report, reasons):
    """Return how close labels come to targets that are not met, as a sentence."""
    unmet = np.flatnonzero(reasons == UNMET)
    if not len(unmet):
        return ""
    more = len(unmet) - _MOST_SHOWN
    return (
        " Closest: "
        + "; ".join(how_close(report, label) for label in unmet[:_MOST_SHOWN])
        + (f"; and {more} more." if more > 0 else ".")
    )


def how_close(report, label):
    """Return how close one label comes to its target, and the cells that it takes."""
    name, share = report["label"][label], report["reachable"][label]
    low, needed = report["reachable_low"][label], report["cells_needed"][label]
    if np.isnan(low):
        return f"{name} reaches {share:.3f}"
    if np.isinf(needed):
        takes = "no number of cells would do with this model"
    else:
        takes = f"about {round_up(needed):,} labeled cells would do"
    return f"{name} reaches {share:.3f} (lower bound {low:.3f}; {takes})"


def round_up(number):
    """Return a number rounded up to two leading digits, as an int."""
    unit = 10 ** max(int(np.log10(number)) - 1, 0)
    return int(np.ceil(number / unit) * unit)


def warn_prior_shift(given, fitted, traffic):
    """Warn where the probabilities of an estimator are shifted, and figures are not."""
    if _shifted(given, "prior_shift_std_") and not _shifted(fitted, "prior_shift_std_"):
        warnings.warn(
            "`estimator` was corrected by `correct_prior`, and is fitted again here, "
            "which loses the correction. Pass FrozenEstimator(estimator) to keep it, "
            "and cells that it was not fitted on.",
            PriorShiftWarning,
            stacklevel=3,
        )
    elif traffic.source is None and _shifted(fitted):
        warnings.warn(
            "`estimator` shifts its probabilities to the prevalence in traffic "
            "(`prior_shift_` is not 0), but thresholds are tuned, and precision is "
            "reported, for the labeled cells as they are. Pass `target_prevalence`, "
            "numbers or an audit, for promises that hold in traffic.",
            PriorShiftWarning,
            stacklevel=3,
        )


def _shifted(estimator, has="prior_shift_"):
    """Return whether an estimator, or one inside it, shifts its probabilities."""
    while estimator is not None:
        shift = getattr(estimator, "prior_shift_", None)
        if shift is not None:
            return hasattr(estimator, has) and bool(np.any(shift))
        steps = getattr(estimator, "steps", None)
        estimator = steps[-1][1] if steps else _inside(estimator)
    return False


def _inside(estimator):
    """Return the estimator that a meta-estimator predicts with, or None."""
    names = ("best_estimator_", "estimator_", "estimator")
    found = (getattr(estimator, name, None) for name in names)
    return next((inner for inner in found if inner is not None), None)
