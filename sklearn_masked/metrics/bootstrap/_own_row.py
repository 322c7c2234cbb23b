"""Average precision of labels, each positive judged by the other rows alone.

A positive cell counts itself among the positives that stand at or above it, which
lifts the average precision of few positives: by 0.1 for 3 positives among 30 cells.
Without its own row, K positives and L negatives stand at or above it, and K / (K + L)
is an unbiased estimate of the precision there wherever K + L > 0.
"""

import numpy as np

_ROUNDING = 1e-9  # of sums of weights


def average_precision_of_others(cells, rows):
    """Return the average precision of each label as the other rows tell it.

    K counts M / (M - m)-fold, where the row holds m of the label's M positives. Where
    no other row reaches the top positives, the precision v lies between that of the
    next positive and 1: 1 has the weight of the top positives among all. Labels whose
    positives are in one row know no other positive: K is then m / 2. Labels without a
    positive cell have NaN.
    """
    places = np.flatnonzero(cells.positive)
    cols, scores = cells.cols[places], cells.scores[places].astype(np.float64)
    weights = np.ones(len(cells.cols)) if cells.weights is None else cells.weights
    every = weights.astype(np.float64)
    weights = every[places]
    own_rows = cells.cols.astype(np.int64) * (rows.max(initial=-1) + 1) + rows

    def reached(kind):
        """Return the weight of other rows at or above each positive, and of its own."""
        amounts = every * kind
        above = _at_or_above(cells.cols, cells.scores, amounts)
        own = _at_or_above(own_rows, cells.scores, amounts)
        return (above - own)[places]

    def per_label(amounts):
        # Without any cell numpy counts in integers.
        return np.bincount(cols, amounts, cells.n_labels).astype(np.float64)

    positive, negative = reached(cells.positive), reached(~cells.positive)
    total = per_label(weights)
    _, group = np.unique(own_rows[places], return_inverse=True)
    own = np.bincount(group, weights=weights)[group]
    others = total[cols] - own
    alone = others <= _ROUNDING * own
    unreached = positive + negative <= _ROUNDING * own
    with np.errstate(invalid="ignore", divide="ignore"):
        positive = np.where(alone, own / 2, positive * total[cols] / others)
        precision = positive / (positive + negative)
    precision[unreached] = 0.0
    top = per_label(weights * unreached)
    following = _highest(cols, scores, weights, precision, ~unreached, cells.n_labels)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = total / np.bincount(cells.cols, every, cells.n_labels)
        missing = np.isnan(following)
        following = np.where(missing, (1 + share) / 2, following)
        toward = np.where(missing, 0.0, top / total)
        top *= following + (1 - following) * toward
        return (per_label(weights * precision) + top) / total


def _at_or_above(groups, scores, amounts):
    """Sum `amounts`, for each cell, over the cells of its group not scored lower."""
    order = np.lexsort((-scores.astype(np.float64), groups))
    groups, scores, amounts = groups[order], scores[order], amounts[order]
    first = np.diff(groups, prepend=-1) != 0
    last = np.ones(len(order), bool)
    last[:-1] = first[1:] | (scores[1:] != scores[:-1])
    running = np.cumsum(amounts)
    before = (running - amounts)[first][np.cumsum(first) - 1]
    sums = np.empty(len(order))
    sums[order] = running[last][np.cumsum(last) - last] - before
    return sums


def _highest(cols, scores, weights, values, kept, n_labels):
    """Return each label's mean value at the highest score kept; NaN without one."""
    highest = np.full(n_labels, -np.inf)
    np.maximum.at(highest, cols[kept], scores[kept])
    weights = weights * (kept & (scores == highest[cols]))
    sums = [np.bincount(cols, part, n_labels) for part in (weights * values, weights)]
    with np.errstate(invalid="ignore"):
        return sums[0] / sums[1]
