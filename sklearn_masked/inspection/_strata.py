"""Shares of positives in an audit that is stratified by decision.

Prediction-powered inference within each stratum (Angelopoulos et al. 2023), and what
follows from the two strata. Each estimate comes with the number of cells of which a
plain share would have the same variance.
"""

from typing import NamedTuple

import numpy as np

from ..labels import cell_weights

_FEWEST = 5  # audited cells of either class from which on scores correct a share
_LEAST_LEFT = 0.1  # of a cell's error, whatever its leverage


class Strata(NamedTuple):
    """The audit of each label, by decision; arrays of shape (n_labels,)."""

    positive: np.ndarray  # share of positives among the rows predicted positive
    n_positive: np.ndarray  # of how many cells this share has its variance
    negative: np.ndarray  # share of positives among the other rows
    n_negative: np.ndarray
    plain: np.ndarray  # share of positives of the audit by itself
    n_plain: np.ndarray
    n_audited: np.ndarray
    n_predicted: np.ndarray


def estimate_strata(labels, decisions, scores, sample_weight):
    """Estimate the share of positives in either stratum of each label."""
    cells = labels.cells()
    weights = cell_weights(cells, sample_weight, labels)
    weights = np.ones(len(cells.rows)) if weights is None else weights
    order = np.argsort(cells.cols, kind="stable")
    order = order[weights[order] > 0]
    ends = np.searchsorted(cells.cols[order], np.arange(labels.n_labels + 1))
    found = np.empty((labels.n_labels, len(Strata._fields)))
    for label in range(labels.n_labels):
        own = order[ends[label] : ends[label + 1]]
        rows, truth, weight = cells.rows[own], cells.values[own], weights[own]
        decided = decisions.column(label) == 1
        score = None if scores is None else scores.column(label)
        sides = []
        for side in (decided, ~decided):
            among = side[rows]
            both = None if score is None else (score[rows[among]], score[side])
            sides += _share(truth[among] == 1, weight[among], both)
        plain = _share(truth == 1, weight, None)
        found[label] = *sides, *plain, len(own), decided.sum()
    return Strata(*found.T)


def _share(positive, weights, scores):
    """Return the share of positives, and the effective number of cells behind it."""
    if not len(positive):
        return np.nan, 0.0
    hits, misses = weights[positive].sum(), weights[~positive].sum()
    share = hits / (hits + misses)  # 0 and 1 without rounding
    weights = weights / weights.sum()
    n_plain = 1 / (weights @ weights)
    n_rarer = min(np.count_nonzero(positive), np.count_nonzero(~positive))
    if scores is None or n_rarer < _FEWEST:
        return share, n_plain
    audited, every = scores
    center = weights @ audited
    truths, offsets = positive - share, audited - center
    squares = weights**2
    # Audited scores that vary less than those of all rows by chance would make the
    # slope too steep. Scores that fall as truths rise are taken to say nothing.
    spread = max(squares @ offsets**2, squares.sum() * every.var())
    slope = max(squares @ (truths * offsets) / spread, 0.0) if spread > 0 else 0.0
    moved = share + slope * (every.mean() - center)
    # A few cells of high scores can decide the slope, and so have too small errors:
    # each is divided by what the others leave of it (HC3, a jackknife).
    leverage = weights + squares * offsets**2 / spread if spread > 0 else weights
    errors = (truths - slope * offsets) / np.maximum(1 - leverage, _LEAST_LEFT)
    errors = squares @ errors**2
    variance = errors + slope**2 * every.var() / len(every)
    # A cell of an audit that scores explain without an error may be an error yet.
    variance = max(variance, 0.5 / n_plain**2)
    if not 0 < moved < 1 or variance >= moved * (1 - moved) / n_plain:
        return share, n_plain
    return moved, moved * (1 - moved) / variance


def prevalence(strata, n_rows):
    """Return the share of positives of all rows, and its effective number of cells."""
    part = strata.n_predicted / n_rows
    share, variance = 0.0, 0.0
    with np.errstate(invalid="ignore", divide="ignore"):
        for weight, found, n_found in (
            (part, strata.positive, strata.n_positive),
            (1 - part, strata.negative, strata.n_negative),
        ):
            # Shares of 0 and 1 in a stratum would have no variance.
            smooth = _smooth(found, n_found)
            spread = weight**2 * smooth * (1 - smooth) / n_found
            share = share + np.where(weight > 0, weight * found, 0.0)
            variance = variance + np.where(weight > 0, spread, 0.0)
        between = (strata.positive - strata.negative) ** 2 * part * (1 - part) / n_rows
        variance = variance + np.where(part * (1 - part) > 0, between, 0.0)
        whole = _smooth(share, strata.n_plain)
        # Strata of few cells can only seem to be worse than none.
        n_cells = np.maximum(whole * (1 - whole) / variance, strata.n_plain)
    # Without an audited cell in a stratum, the audit is not stratified.
    known = ~np.isnan(share)
    return (
        np.where(known, share, strata.plain),
        np.where(known, n_cells, strata.n_plain),
    )


def recall(strata, n_rows):
    """Return the share of positives that is found, and its effective number of cells.

    Its odds are ``odds of a positive decision * precision / share missed``, whose
    logarithm has the sum of three variances.
    """
    part = strata.n_predicted / n_rows
    hit, missed = strata.positive, strata.negative
    # A precision of 1 among few cells would have no variance.
    smooth = np.where(hit == 1, _smooth(hit, strata.n_positive), hit)
    found = np.where(part > 0, part * hit, 0.0)
    left = np.where(part < 1, (1 - part) * missed, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = found / (found + left)
        variance = (
            (1 - smooth) / (smooth * strata.n_positive)
            + (1 - missed) / (missed * strata.n_negative)
            + 1 / (n_rows * part * (1 - part))
        )
        n_cells = 1 / (share * (1 - share) * variance)
    # Where all or none is found, the audited positives are all that there is.
    n_cells = np.where(share == 1, hit * strata.n_positive, n_cells)
    n_cells = np.where(share == 0, missed * strata.n_negative, n_cells)
    return share, n_cells


def _smooth(share, n_cells):
    """Return a share drawn to one half by half a cell of either kind."""
    return (share * n_cells + 0.5) / (n_cells + 1)
