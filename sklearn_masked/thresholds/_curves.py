"""What thresholds make of a label's scored cells."""

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Weights of true and false positives and negatives, one entry a threshold."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


class Share(NamedTuple):
    """Hits and misses, of which a share is made: precision or recall.

    By weight, one entry a threshold, with the sums of the squared weights.
    """

    hits: np.ndarray
    hit_squares: np.ndarray
    misses: np.ndarray
    miss_squares: np.ndarray
    heaviest: np.ndarray  # what a miss may weigh that was not seen

    @property
    def value(self):
        """The shares; 0 where there is nothing to share."""
        total = self.hits + self.misses
        return np.divide(self.hits, total, out=np.zeros_like(total), where=total > 0)

    @property
    def n_effective(self):
        """Number of cells that would say as much without weights (Kish 1965)."""
        squares = self.hit_squares + self.miss_squares
        total = self.hits + self.misses
        return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)

    def without_misses(self):
        """Return what the shares would be were every miss a hit."""
        none = np.zeros_like(self.hits)
        return self._replace(
            hits=self.hits + self.misses,
            hit_squares=self.hit_squares + self.miss_squares,
            misses=none,
            miss_squares=none,
        )


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
        self.heaviest_above = np.append(np.maximum.accumulate(weights[::-1])[::-1], 0.0)
        self.heaviest_positive = weights[positive].max(initial=0.0)
        self.lightest_negative = weights[~positive].min(initial=np.inf)
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

    def precision(self, first):
        """Return the `Share` of positive cells among those from positions on.

        A negative one that was not seen is taken to weigh what the heaviest of them
        does, and no less than the lightest negative cell of the label.
        """
        hits, squares = self.positive_above[first], self.positive_squares_above[first]
        lightest = self.lightest_negative if np.isfinite(self.lightest_negative) else 0
        return Share(
            hits,
            squares,
            np.maximum(self.above[first] - hits, 0.0),
            np.maximum(self.squares_above[first] - squares, 0.0),
            np.maximum(self.heaviest_above[first], lightest),
        )

    def recall(self, first):
        """Return the `Share` of those from positions on among the positive cells.

        A positive one that was not seen is taken to weigh what the heaviest positive
        cell does, and no less than what a cell of the label stands for on average.
        """
        hits, squares = self.positive_above[first], self.positive_squares_above[first]
        mean = self.squares_above[0] / self.above[0] if self.above[0] > 0 else 0.0
        return Share(
            hits,
            squares,
            np.maximum(self.positive_above[0] - hits, 0.0),
            np.maximum(self.positive_squares_above[0] - squares, 0.0),
            np.full(len(first), max(self.heaviest_positive, mean)),
        )


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
