"""Thresholds that keep a promise: precision, or recall, of at least so much."""

import numpy as np
from scipy.special import betainc, betaincinv

# Candidate thresholds let pass this many times more cells each than the one before.
_RATIO = 1.05
_ALL_OF, _FINE = 50, 1.02  # thresholds kept where not all are: these, then this ratio
# How the chance of error is shared by starts spread evenly over the sequence of tests.
# The first has half: it says for how few cells a promise can be made.
_SHARES = (0.5, 0.25, 0.25)
FIRST_SHARE = _SHARES[0]
_ROUNDING = 1e-12


def lower_bound(share, confidence):
    """Return the one-sided lower bound of shares: the least that `p_value` allows."""
    if len(share.odds.draws) > 1:
        return _bound_by_halving(share, confidence)
    n_hits, n_misses, ratio = _effective(share)
    ratio = ratio * share.odds.draws[0]
    bound = betaincinv(n_hits, n_misses, 1 - confidence)
    bound = bound * ratio / (bound * ratio + 1 - bound)
    return np.where(share.hits > 0, bound, 0.0)


def _bound_by_halving(share, confidence):
    """Return the largest shares that `p_value` rejects at a confidence."""
    low, high = np.zeros_like(share.hits), np.ones_like(share.hits)
    for _ in range(50):
        middle = (low + high) / 2
        rejected = p_value(share, middle) <= 1 - confidence
        low, high = np.where(rejected, middle, low), np.where(rejected, high, middle)
    return low


def p_value(share, target):
    """Return the chance of as many hits, or more, were the true share `target`.

    The binomial tail. Of weighted cells it is not known; hits and one miss more than
    there are count as the gamma distributions of their mean and variance, as Fay and
    Feuer (1997) count weighted sums of rare events, the further miss as heavy as any.
    Equal weights give the binomial tail.

    A share in traffic of given odds is the share among the cells against a target
    whose odds are divided by them. Where the odds are uncertain, the tail is averaged
    over their distribution, which melds the confidence distributions of hits, misses
    and odds (Fay, Proschan and Brittain 2015).
    """
    n_hits, n_misses, ratio = _effective(share)
    ratios = np.multiply.outer(share.odds.draws, ratio)
    tails = betainc(n_hits, n_misses, target / (target + (1 - target) * ratios))
    return np.where(share.hits > 0, np.tensordot(share.odds.chances, tails, 1), 1.0)


def _effective(share):
    """Return the shapes of both gamma distributions, and the ratio of their scales."""
    some = share.hits > 0
    hits = np.where(some, share.hits, 1.0)
    hit_squares = np.where(some, share.hit_squares, 1.0)
    misses = np.where(some, share.misses + share.heaviest, 1.0)
    miss_squares = np.where(some, share.miss_squares + share.heaviest**2, 1.0)
    ratio = (hit_squares / hits) / (miss_squares / misses)
    return hits**2 / hit_squares, misses**2 / miss_squares, ratio


def fewest_cells(scoring, target, confidence):
    """Return how many hits, without a miss, a promise takes at least.

    >>> from sklearn_masked.thresholds._constraints import fewest_cells
    >>> fewest_cells("recall_at_precision", 0.9, 0.95)
    36
    """
    share = FIRST_SHARE if scoring == "recall_at_precision" else 1.0
    return int(np.ceil(np.log(share * (1 - confidence)) / np.log(target)))


def candidates(cells, first, target, alpha):
    """Return the positions of the thresholds to test, the strictest first.

    The grid follows the number of cells that a threshold lets pass, not their truth,
    so that no label decides which hypotheses there are. It covers the thresholds where
    a test could succeed, were positive cells to have the highest scores.
    """
    share = cells.best_precision(first)
    possible = np.flatnonzero(p_value(share, target) <= alpha)
    if not len(possible):
        return np.empty(0, dtype=np.intp)
    totals = np.maximum.accumulate(share.n_effective)  # with weights they can fall
    fewest, most = totals[possible[0]], totals[possible[-1]]
    steps = int(np.ceil(np.log(most / fewest) / np.log(_RATIO))) + 1
    wanted = np.minimum(fewest * _RATIO ** np.arange(steps), most)
    return np.unique(np.searchsorted(totals, wanted))


def first_passed(p_values, alpha):
    """Return the last hypothesis that the tests reject (-1 for none), and its level.

    The fallback procedure (Wiens 2003), fixed-sequence testing with several starts
    (Angelopoulos et al., Learn then Test): starts share the chance of error `alpha`;
    where a test succeeds its share goes on to the next one. The chance that a rejected
    hypothesis was true is `alpha` at most, so the last one may be chosen afterwards.
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


def thinned(n_thresholds):
    """Return positions of the strictest thresholds, and of ever fewer of the others."""
    if n_thresholds <= _ALL_OF:
        return np.arange(n_thresholds)
    steps = int(np.log(n_thresholds / _ALL_OF) / np.log(_FINE)) + 2
    later = np.geomspace(_ALL_OF, n_thresholds, steps).astype(np.intp) - 1
    return np.unique(np.r_[np.arange(_ALL_OF), later])


def recall_at_precision(cells, target, confidence):
    """Return the threshold of highest recall with precision `target`, and its level.

    The threshold is None if none will do. If `confidence` is None, the share of these
    cells decides instead of a test.
    """
    scores = cells.distinct()
    first = cells.at(scores)
    if confidence is None:
        good = np.flatnonzero(cells.precision(first).value >= target - _ROUNDING)
        return (float(scores[good[-1]]) if len(good) else None), np.nan
    if len(cells.odds.draws) > 1:
        # An uncertain prevalence multiplies the cost of a test.
        kept = thinned(len(first))
        scores, first = scores[kept], first[kept]
    share = cells.precision(first)
    alpha = 1 - confidence
    tested = candidates(cells, first, target, alpha * FIRST_SHARE)
    passed, level = first_passed(p_value(share.at(tested), target), alpha)
    if passed < 0:
        return None, confidence
    return float(scores[tested[passed]]), 1 - level


def precision_at_recall(cells, target, confidence):
    """Return the threshold of highest precision with recall `target`, and its level.

    Recall falls as the threshold rises, so that all thresholds below one that passes
    the test are as good as tested: the strictest that passes needs no correction.
    """
    scores = cells.distinct()
    first = cells.at(scores)
    share = cells.recall(first)
    if confidence is None:
        good = share.value >= target - _ROUNDING
    else:
        good = p_value(share, target) <= 1 - confidence
    if not good.any():
        return None, np.nan if confidence is None else confidence
    reached = np.flatnonzero(good)[0]
    best = reached + int(np.argmax(cells.precision(first[reached:]).value))
    return float(scores[best]), np.nan if confidence is None else confidence
