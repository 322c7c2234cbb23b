"""Counts of the decisions of all thresholds on the scored cells of a label."""

from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Weights of true and false positives and negatives, one entry per threshold."""

    tp: np.ndarray
    fp: np.ndarray
    fn: np.ndarray
    tn: np.ndarray


class Odds(NamedTuple):
    """How many misses one hit stands for in traffic, with its uncertainty."""

    value: float
    draws: np.ndarray  # what it may be
    chances: np.ndarray  # probability of each, sum 1


SAME_ODDS = Odds(1.0, np.ones(1), np.ones(1))


class Share(NamedTuple):
    """Hits and misses, of which a share is made: precision or recall.

    By weight, one entry per threshold, with the sums of the squared weights, all of
    the cells as they are; `odds` reweighs the hits to traffic.
    """

    hits: np.ndarray
    hit_squares: np.ndarray
    misses: np.ndarray
    miss_squares: np.ndarray
    heaviest: np.ndarray  # what a miss may weigh that was not seen
    odds: Odds = SAME_ODDS

    @property
    def value(self):
        """The shares in traffic; 0 where there is nothing to share."""
        hits = self.hits * self.odds.value
        total = hits + self.misses
        return np.divide(hits, total, out=np.zeros_like(total), where=total > 0)

    @property
    def n_effective(self):
        """Number of cells that would say as much without weights (Kish 1965)."""
        squares = self.hit_squares + self.miss_squares
        total = self.hits + self.misses
        return np.divide(total**2, squares, out=np.zeros_like(total), where=squares > 0)

    def with_most_hits(self, most=np.inf, most_squares=np.inf):
        """Return the shares with hits in place of misses, up to a sum of all hits."""
        total, squares = self.hits + self.misses, self.hit_squares + self.miss_squares
        hits, hit_squares = np.minimum(total, most), np.minimum(squares, most_squares)
        return self._replace(
            hits=hits,
            hit_squares=hit_squares,
            misses=total - hits,
            miss_squares=squares - hit_squares,
        )

    def times(self, factor):
        """Return the same shares of `factor` times the cells."""
        return self._replace(
            hits=self.hits * factor,
            hit_squares=self.hit_squares * factor,
            misses=self.misses * factor,
            miss_squares=self.miss_squares * factor,
        )

    def at(self, places):
        """Return the shares at some of the thresholds."""
        return Share(*(part[places] for part in self[:-1]), odds=self.odds)


class LabelCells:
    """The scored cells of one label, sorted by score."""

    def __init__(self, scores, positive, weights, prevalence=None):
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
        self.prevalence = prevalence
        self.odds = SAME_ODDS
        if prevalence is not None:
            self.odds = prevalence.odds(*self.sums)

    @property
    def both_sides(self):
        """True if there are positive and negative cells."""
        return self.n_positive > 0 and self.n_negative > 0

    @property
    def sums(self):
        """The total weights of the positive and of the negative cells."""
        return self.positive_above[0], self.above[0] - self.positive_above[0]

    @property
    def share_of_positives(self):
        """The share of positives that precision refers to; NaN without cells."""
        if self.prevalence is not None:
            return self.prevalence.value
        return self.positive_above[0] / self.above[0] if len(self.scores) else np.nan

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
        if self.odds is not SAME_ODDS and self.both_sides:
            positive, negative = self.sums
            scale = self.above[0] / (self.odds.value * positive + negative)
            each = scale * self.odds.value
            tp, fp, fn, tn = each * tp, scale * fp, each * fn, scale * tn
        return Counts(tp, fp, fn, tn)

    def distinct(self):
        """Return the distinct scores, highest first."""
        return np.unique(self.scores)[::-1]

    def precision(self, first):
        """Return the `Share` of positive cells among those from positions on.

        Of traffic, where the prevalence is known.

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
            self.odds,
        )

    def best_precision(self, first):
        """Return `precision` as it would be with positive cells at the highest scores.

        Reweighed, numbers of positive and negative cells are given; else all cells
        could be positive.
        """
        share = self.precision(first)
        if self.odds is SAME_ODDS:
            return share.with_most_hits()
        return share.with_most_hits(
            self.positive_above[0], self.positive_squares_above[0]
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


def split_labels(cells, prevalences=None):
    """Return the `LabelCells` of each label, in a list."""
    order = np.argsort(cells.cols, kind="stable")
    ends = np.searchsorted(cells.cols[order], np.arange(cells.n_labels + 1))
    parts = []
    for label in range(cells.n_labels):
        own = order[ends[label] : ends[label + 1]]
        weights = None if cells.weights is None else cells.weights[own]
        prevalence = None if prevalences is None else prevalences[label]
        parts.append(
            LabelCells(cells.scores[own], cells.positive[own], weights, prevalence)
        )
    return parts
