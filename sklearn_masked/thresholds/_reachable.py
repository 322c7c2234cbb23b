"""How far a target that is not met can be reached, and with how many cells it would."""

from typing import NamedTuple

import numpy as np

from ._constraints import (
    FIRST_SHARE,
    lower_bound,
    p_value,
    recall_at_precision,
    thinned,
)

_MOST_TIMES = 1e6  # cells are not worth counting beyond this multiple of those there
_HALVINGS = 10  # of the highest target that is met: three digits
_STEPS = 20  # of the number of cells: four digits


class Reachable(NamedTuple):
    """The best that can be shown of a label whose target is not met."""

    reachable: float = np.nan  # precision, or recall, at the threshold that shows most
    reachable_low: float = np.nan  # the highest target that is met; 0 for none
    cells_needed: float = np.nan  # labeled cells of the label; inf if none suffice


def reachable_precision(cells, target, confidence):
    """Return the `Reachable` of a precision `target` that is not met."""
    scores = cells.distinct()
    scores = scores[thinned(len(scores))]
    share = cells.precision(cells.at(scores))
    if confidence is None:
        return Reachable(float(share.value.max()))
    low, high, best = 0.0, target, None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = recall_at_precision(cells, middle, confidence)[0]
        low, high = (low, middle) if found is None else (middle, high)
        best = best if found is None else found
    needed = _cells_needed(cells, share, target, FIRST_SHARE * (1 - confidence))
    if best is None:
        return Reachable(float(share.value.max()), 0.0, needed)
    value = cells.precision(cells.at(np.array([best]))).value[0]
    return Reachable(float(value), low, needed)


def reachable_recall(cells, target, confidence):
    """Return the `Reachable` of recall: that of the threshold that all cells pass."""
    share = cells.recall(np.zeros(1, dtype=int))
    if confidence is None:
        return Reachable(float(share.value[0]))
    low = lower_bound(share, confidence)
    needed = _cells_needed(cells, share, target, 1 - confidence)
    return Reachable(float(share.value[0]), float(low[0]), needed)


def _cells_needed(cells, share, target, alpha):
    """Return how many such cells, audited ones included, one test would need."""
    share = share.at(share.value > target)

    def suffices(times):
        more = share.times(times)
        if cells.prevalence is not None and share.odds is cells.odds:
            scaled = cells.prevalence.scaled(times)
            more = more._replace(odds=scaled.odds(*cells.sums))
        return bool((p_value(more, target) <= alpha).any())

    low, high = 1.0, _MOST_TIMES
    if not len(share.hits) or not suffices(high):
        return np.inf
    for _ in range(_STEPS):
        middle = np.sqrt(low * high)
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return float(np.ceil(high * len(cells.scores)))


REACHABLE = {
    "recall_at_precision": reachable_precision,
    "precision_at_recall": reachable_recall,
}
