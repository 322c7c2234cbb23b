"""Areas under the curves of each label, of many copies at once."""

import numpy as np
import scipy.sparse as sp

from ._sums import Sums, count_rows, exact_dtype

_BLOCK_STEPS = 1 << 12  # worked on at a time: few enough for the processor's cache


class _Area:
    """Area under a curve of each label: the scores are sorted here, once.

    A step of a curve gathers neighboring cells whose order cannot matter; it starts
    where `starts(has_positive, has_negative)` says so of groups of tied cells.
    """

    def __init__(self, cells, rows, n_rows, starts, area):
        self._n_labels, self._area, self._blocks = cells.n_labels, area, []
        sums = Sums(cells, rows, n_rows)
        self.least = np.minimum(
            count_rows(sums.of(cells.positive)), count_rows(sums.of(~cells.positive))
        )
        if not len(cells.cols):
            return
        order = np.lexsort((-cells.scores.astype(np.float64), cells.cols))
        cols, positive = cells.cols[order], cells.positive[order]
        step, labels = _steps(cols, positive, cells.scores[order], starts)
        weights = cells.weights
        if weights is None:
            weights = np.ones(len(cols), exact_dtype(len(cols)))
        rows, weights = rows[order], weights[order]
        self._dtype = weights.dtype
        sums = [
            sp.csr_array(
                (weights[kind], (step[kind], rows[kind])), shape=(len(labels), n_rows)
            )
            for kind in (positive, ~positive)
        ]
        first = np.flatnonzero(np.diff(labels, prepend=-1))  # step of each label
        for some in _label_blocks(first, len(labels)):
            steps = slice(first[some.start], _end(first, some.stop, len(labels)))
            self._blocks.append(
                (labels[first[some]], first[some] - steps.start)
                + tuple(matrix[steps] for matrix in sums)
            )

    def __call__(self, multiplicity):
        values = np.full((self._n_labels, multiplicity.shape[1]), np.nan)
        if self._blocks:
            multiplicity = multiplicity.astype(self._dtype, copy=False)
        for labels, first, true, false in self._blocks:
            true = (true @ multiplicity).astype(np.float64, copy=False)
            false = (false @ multiplicity).astype(np.float64, copy=False)
            with np.errstate(invalid="ignore"):
                values[labels] = self._area(true, false, first)
        return values


def _steps(cols, positive, scores, starts):
    """Return the step of each sorted cell, and the label of each step."""
    begins = np.diff(cols, prepend=-1) != 0
    new = begins.copy()
    new[1:] |= scores[1:] != scores[:-1]
    tie = np.cumsum(new) - 1
    n_ties = int(tie[-1]) + 1
    has_positive = np.bincount(tie[positive], minlength=n_ties) > 0
    has_negative = np.bincount(tie[~positive], minlength=n_ties) > 0
    begins = begins[new]
    begins[1:] |= starts(has_positive, has_negative)
    step = np.cumsum(begins) - 1
    return step[tie], cols[new][begins]


def _end(first, label, n_steps):
    """Return the end of the steps of the labels before `label`."""
    return int(first[label]) if label < len(first) else n_steps


def _label_blocks(first, n_steps):
    """Yield slices of labels whose steps are few enough for the cache."""
    start = 0
    while start < len(first):
        end = first[start] + _BLOCK_STEPS
        stop = int(np.searchsorted(first, end, "right")) - 1
        stop = len(first) if n_steps <= end else max(stop, start + 1)
        yield slice(start, stop)
        start = stop


def _running(sums, first):
    """Sum along the steps, from 0 at the first step of each label."""
    running = np.cumsum(sums, axis=0)
    if len(first) > 1:
        before = np.zeros((len(first), sums.shape[1]))
        before[1:] = running[first[1:] - 1]
        sizes = np.diff(first, append=len(sums))
        running -= np.repeat(before, sizes, axis=0)
    return running


def _roc_area(true, false, first):
    """Return the area under the ROC curve: pairs in order, ties by half."""
    pairs = np.add.reduceat(false * (_running(true, first) - true / 2), first)
    return pairs / (np.add.reduceat(true, first) * np.add.reduceat(false, first))


def _new_roc_step(has_positive, has_negative):
    """Return where a step starts: wherever neighbors are not all of one class."""
    pure = has_positive != has_negative
    same = has_positive[1:] == has_positive[:-1]
    return ~(pure[1:] & pure[:-1] & same)


def _precision_area(true, false, first):
    """Return the average precision."""
    found = _running(true, first)
    decided = found + _running(false, first)
    precision = np.divide(found, decided, out=decided, where=decided > 0)
    return np.add.reduceat(true * precision, first) / np.add.reduceat(true, first)


def _new_precision_step(has_positive, has_negative):
    """Return where a step starts: after every score that a positive cell has."""
    return has_positive[:-1]


def roc_auc(cells, rows, n_rows, options):
    """Prepare the area under the ROC curve."""
    return _Area(cells, rows, n_rows, _new_roc_step, _roc_area)


def average_precision(cells, rows, n_rows, options):
    """Prepare the average precision."""
    return _Area(cells, rows, n_rows, _new_precision_step, _precision_area)
