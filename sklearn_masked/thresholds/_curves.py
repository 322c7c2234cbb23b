"""What thresholds make of a label's scored cells."""

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Weights of true and false positives and negatives, one entry a threshold."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


class LabelCells:
    """The scored cells of one label, sorted by score.

    Parameters
    ----------
    scores, positive : arrays of shape (n_cells,)
        Scores and truths.
    weights : array of shape (n_cells,) or None
        Weights of the cells.
    """

    def __init__(self, scores, positive, weights):
        order = np.argsort(scores, kind="stable")
        self.scores = scores[order].astype(np.float64)
        positive = positive[order]
        weights = np.ones(len(order)) if weights is None else weights[order]
        # From the end on: what lies at or above the i-th score.
        self.above = _sums_from_the_end(weights)
        self.positive_above = _sums_from_the_end(weights * positive)
        self.squares_above = _sums_from_the_end(weights**2)
        self.positive_squares_above = _sums_from_the_end(weights**2 * positive)
        self.n_positive = int(positive.sum())
        self.n_negative = len(positive) - self.n_positive

    @property
    def both_sides(self):
        """Whether there are positive and negative cells."""
        return self.n_positive > 0 and self.n_negative > 0

    def at(self, thresholds):
        """Return the position of the first cell that each threshold lets pass."""
        return np.searchsorted(self.scores, thresholds, side="left")

    def counts(self, thresholds):
        """Return the counts of decisions ``score >= threshold``."""
        first = self.at(thresholds)
        tp, predicted = self.positive_above[first], self.above[first]
        fn = self.positive_above[0] - tp
        fp = predicted - tp
        tn = self.above[0] - self.positive_above[0] - fp
        return Counts(tp, fp, fn, tn)

    def distinct(self):
        """Return the distinct scores, highest first."""
        return np.unique(self.scores)[::-1]

    def effective(self, first, *, of_positive=False):
        """Return (hits, total) of the cells from positions on, as effective counts.

        Of predicted cells, the hits are the positive ones: their ratio is the
        precision. With `of_positive`, of all positive cells the hits are those that
        are predicted: recall. Weighted cells count as ``w.sum()**2 / (w**2).sum()``
        cells of weight 1.
        """
        if of_positive:
            weight = np.full(len(first), self.positive_above[0])
            squares = np.full(len(first), self.positive_squares_above[0])
        else:
            weight, squares = self.above[first], self.squares_above[first]
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.where(squares > 0, weight**2 / squares, 0.0)
            share = np.where(weight > 0, self.positive_above[first] / weight, 0.0)
        return total * np.clip(share, 0, 1), total


def _sums_from_the_end(values):
    """Return sums of ``values[i:]`` for i from 0 to the length."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def split_labels(cells):
    """Return the `LabelCells` of each label, in a list."""
    order = np.argsort(cells.cols, kind="stable")
    ends = np.searchsorted(cells.cols[order], np.arange(cells.n_labels + 1))
    parts = []
    for label in range(cells.n_labels):
        own = order[ends[label] : ends[label + 1]]
        weights = None if cells.weights is None else cells.weights[own]
        parts.append(LabelCells(cells.scores[own], cells.positive[own], weights))
    return parts
