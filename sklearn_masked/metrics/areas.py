"""Areas under the curves of each label of scored cells."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .cells import ScoredCells

# Cells sorted at a time: small enough for the processor's cache, which makes the
# sort of 1,000,000 cells over 1,000 labels four times faster than one big sort.
_BLOCK_CELLS = 1 << 16


def roc_auc(cells: ScoredCells) -> np.ndarray:
    """Return the area under the ROC curve of each label; NaN where it has none."""
    values = np.full(cells.n_labels, np.nan)
    for curve in _curves(cells):
        width = curve.false - curve.false_before
        area = np.add.reduceat(width * (curve.true + curve.true_before), curve.starts)
        with np.errstate(invalid="ignore"):
            values[curve.labels] = area / (2.0 * curve.n_positive * curve.n_negative)
    return values


def average_precision(cells: ScoredCells) -> np.ndarray:
    """Return the average precision of each label; NaN where it has no positive."""
    values = np.full(cells.n_labels, np.nan)
    for curve in _curves(cells):
        precision = curve.true / (curve.true + curve.false)
        steps = (curve.true - curve.true_before) * precision
        with np.errstate(invalid="ignore"):
            area = np.add.reduceat(steps, curve.starts) / curve.n_positive
        values[curve.labels] = area
    return values


class _Curves(NamedTuple):
    """Points of the curves of labels, one per distinct score, highest score first."""

    labels: np.ndarray
    starts: np.ndarray  # first point of each label
    true: np.ndarray  # weight of the positive cells, one entry a point
    false: np.ndarray  # weight of the negative cells
    true_before: np.ndarray  # the same at the point before, 0 at a label's first
    false_before: np.ndarray
    n_positive: np.ndarray  # of the whole label
    n_negative: np.ndarray


def _curves(cells):
    """Yield the `_Curves` of all labels that have cells, blocks of labels at a time.

    The cells are brought together by label, labels in order of size, in linear
    time. Labels of about the same size then form the rows of small tables, which
    numpy sorts row by row: no loop over labels, and sums never mix two labels.
    """
    n_positive, n_negative = cells.count()
    by_size = np.argsort(n_positive + n_negative, kind="stable")
    sizes, n_negative = (n_positive + n_negative)[by_size], n_negative[by_size]
    n_labels = len(sizes)
    # The negatives of a label stand before its positives: where a cell stands says
    # what it is, so that the sorts need not carry that along.
    place = np.empty(n_labels, dtype=np.int32)
    place[by_size] = np.arange(0, 2 * n_labels, 2)
    places = place[cells.cols] + cells.positive
    keys = _group(places, 2 * n_labels, -cells.scores.astype(np.float64, copy=False))
    weights = cells.weights
    if weights is not None:
        weights = _group(places, 2 * n_labels, weights)
    ends = np.cumsum(sizes)
    first = np.searchsorted(sizes, 1)
    while first < n_labels:
        last = _block_end(sizes, first)
        some = slice(ends[first] - sizes[first], ends[last - 1])
        yield _sorted_curves(
            by_size[first:last],
            sizes[first:last],
            n_negative[first:last],
            keys[some],
            None if weights is None else weights[some],
        )
        first = last


def _group(places, n_places, data):
    """Reorder `data` by place: scipy's turn from rows to columns is a counting sort."""
    index_dtype = np.int32 if len(data) < 2**31 else np.int64
    indices = places.astype(index_dtype, copy=False)
    indptr = np.array([0, len(data)], dtype=index_dtype)
    row = sp.csr_array((data, indices, indptr), shape=(1, max(n_places, 1)))
    return row.tocsc().data


def _block_end(sizes, first):
    """Return the end of a block of labels of similar size that fits the cache."""
    end = np.searchsorted(sizes, max(sizes[first] * 1.25, sizes[first] + 16), "right")
    rows = max(1, _BLOCK_CELLS // int(sizes[end - 1]))
    return min(end, first + rows)


def _sorted_curves(labels, sizes, n_negative, keys, weights):
    """Return the curves of labels whose cells stand one after the other."""
    width = sizes[-1]
    inside = np.arange(width) < sizes[:, None]
    table = np.full(inside.shape, np.inf)  # padding sorts last
    table[inside] = keys
    order = np.argsort(table, axis=1)
    positive = order >= n_negative[:, None]
    order += np.arange(0, table.size, width)[:, None]
    table = table.ravel()[order]
    # A sorted score is a point of the curve if the next one differs; the padding
    # differs from every score.
    is_point = inside.copy()
    is_point[:, :-1] &= table[:, 1:] != table[:, :-1]
    points = np.flatnonzero(is_point)
    if weights is None:
        true = np.cumsum(positive, axis=1, dtype=np.float64).ravel()[points]
        false = points % width + 1 - true
    else:
        table = np.zeros(inside.shape)
        table[inside] = weights
        table = table.ravel()[order]
        true = np.cumsum(table * positive, axis=1).ravel()[points]
        false = np.cumsum(table * ~positive, axis=1).ravel()[points]
    ends = np.cumsum(np.count_nonzero(is_point, axis=1))
    starts = np.append(0, ends[:-1])
    true_before, false_before = _before(true, starts), _before(false, starts)
    return _Curves(
        labels,
        starts,
        true,
        false,
        true_before,
        false_before,
        true[ends - 1],
        false[ends - 1],
    )


def _before(points, starts):
    """Return the value at the point before, 0 before the first of a label."""
    before = np.empty_like(points)
    before[1:] = points[:-1]
    before[starts] = 0.0
    return before
