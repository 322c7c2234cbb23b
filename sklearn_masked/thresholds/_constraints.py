"""Thresholds that keep a promise: precision, or recall, of at least so much."""

import numpy as np
from scipy.special import betainc, betaincinv

# Candidate thresholds let pass this many times more cells each than the one before.
_RATIO = 1.05
# How the chance of error is shared by starts spread evenly over the sequence of tests.
# The first has half: it says for how few cells a promise can be made.
_SHARES = (0.5, 0.25, 0.25)


def lower_bound(hits, total, confidence):
    """Return the Clopper-Pearson lower bound of a share, one-sided.

    Parameters
    ----------
    hits, total : arrays
        Counts, whole or effective.
    confidence : float
        Confidence of the bound.

    Returns
    -------
    array
        Bounds; 0 where there is no hit.
    """
    hits, total = np.asarray(hits, float), np.asarray(total, float)
    bound = betaincinv(np.maximum(hits, 1e-9), total - hits + 1, 1 - confidence)
    return np.where(hits > 0, bound, 0.0)


def p_value(hits, total, target):
    """Return the chance of so many hits, or more, were the true share `target`."""
    hits, total = np.asarray(hits, float), np.asarray(total, float)
    chance = betainc(np.maximum(hits, 1e-9), total - hits + 1, target)
    return np.where(hits > 0, chance, 1.0)


def candidates(totals, target, alpha):
    """Return the positions of the thresholds to test, the strictest first.

    The grid follows the number of cells that a threshold lets pass, not their truth,
    so that no label decides which hypotheses there are. It begins where a test could
    succeed, if each of the cells were positive.

    Parameters
    ----------
    totals : array
        Effective number of cells at or above each threshold, rising.
    target : float
        The share that is promised.
    alpha : float
        Chance of error that the first test has.
    """
    fewest = np.ceil(np.log(alpha) / np.log(target)) if target < 1 else np.inf
    totals = np.maximum.accumulate(totals)  # with weights they can fall
    if not len(totals) or fewest > totals[-1]:
        return np.empty(0, dtype=np.intp)
    steps = int(np.ceil(np.log(totals[-1] / fewest) / np.log(_RATIO))) + 1
    wanted = np.minimum(fewest * _RATIO ** np.arange(steps), totals[-1])
    return np.unique(np.searchsorted(totals, wanted))


def first_passed(p_values, alpha):
    """Return the last hypothesis that fixed-sequence tests reject, and its level.

    The fallback procedure (Wiens 2003), which is fixed-sequence testing with several
    starts (Angelopoulos et al., Learn then Test): the chance of error `alpha` is
    shared by starts spread evenly over the sequence; where a test succeeds its share
    goes on to the next one. The chance that any hypothesis that is rejected was true
    is `alpha` at most, so that the last one may be chosen after the fact.

    Parameters
    ----------
    p_values : array
        Of the hypotheses in their order.
    alpha : float
        Chance of error in all.

    Returns
    -------
    last : int
        The last one rejected, -1 for none.
    level : float
        The chance of error that its test was given.
    """
    starts = np.zeros(len(p_values))
    if len(p_values):
        places = np.linspace(0, len(p_values), len(_SHARES), endpoint=False)
        np.add.at(starts, places.astype(int), alpha * np.array(_SHARES))
    last, level, carried = -1, alpha, 0.0
    for place, chance in enumerate(p_values):
        given = starts[place] + carried
        if given > 0 and chance <= given:
            last, level, carried = place, given, given
        else:
            carried = 0.0
    return last, level


def recall_at_precision(cells, target, confidence):
    """Return the threshold of the highest recall whose precision is `target`, and more.

    Parameters
    ----------
    cells : LabelCells
        The cells left out of their fold.
    target : float
        Least precision.
    confidence : float or None
        With which it must be reached; None takes the share of these cells for it.

    Returns
    -------
    threshold : float or None
        None if no threshold will do.
    level : float
        Confidence of the test that it passed.
    """
    scores = cells.distinct()
    first = cells.at(scores)
    hits, totals = cells.effective(first)
    if confidence is None:
        good = np.flatnonzero(hits >= (target - 1e-12) * totals)
        return (float(scores[good[-1]]) if len(good) else None), np.nan
    alpha = 1 - confidence
    tested = candidates(totals, target, alpha * _SHARES[0])
    passed, level = first_passed(p_value(hits[tested], totals[tested], target), alpha)
    if passed < 0:
        return None, confidence
    return float(scores[tested[passed]]), 1 - level


def precision_at_recall(cells, target, confidence):
    """Return the threshold of the highest precision whose recall is `target`, and more.

    Recall falls as the threshold rises, so that all thresholds below one that passes
    the test are as good as tested: the strictest that passes needs no correction.

    Parameters
    ----------
    cells : LabelCells
        The cells left out of their fold.
    target : float
        Least recall.
    confidence : float or None
        With which it must be reached; None takes the share of these cells for it.

    Returns
    -------
    threshold : float or None
        None if no threshold will do.
    level : float
        Confidence of the test that it passed.
    """
    scores = cells.distinct()
    first = cells.at(scores)
    hits, totals = cells.effective(first, of_positive=True)
    if confidence is None:
        good = hits >= (target - 1e-12) * totals
    else:
        good = p_value(hits, totals, target) <= 1 - confidence
    if not good.any():
        return None, np.nan if confidence is None else confidence
    reached = np.flatnonzero(good)[0]
    hits, totals = cells.effective(first[reached:])
    best = reached + int(np.argmax(hits / totals))
    return float(scores[best]), np.nan if confidence is None else confidence
