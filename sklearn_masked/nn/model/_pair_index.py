"""Which (feature, label) pairs labeled cells touch, found a few labels at a time.

No pair is of two labels. So the nonzeros of the cells' rows are sorted by pair in parts
that a processor's cache holds, and no copy of all rows is made unless a label has them.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

# Nonzeros that are looked at in one go, about.
BLOCK = 1 << 20


class _Part(NamedTuple):
    """The pairs of some labels: arrays of an entry a pair, then of those touched once.

    `columns` and `labels` are those of the pairs, `is_shared` tells which of them
    several cells touch; `cells` and `data` are the cell that alone touches a pair, and
    the number that its row has there.
    """

    columns: np.ndarray
    labels: np.ndarray
    is_shared: np.ndarray
    cells: np.ndarray
    data: np.ndarray


class PairIndex:
    """The pairs that some labeled cells touch.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        The rows.
    cell_rows, cell_cols : integer arrays of shape (n_cells,)
        The labeled cells.

    Attributes
    ----------
    columns, labels, is_shared : arrays of shape (n_touched,)
        The pairs, and whether more than one cell touches them.
    counts : integer array of shape (n_features,)
        How many pairs each feature has.
    by_feature : integer array of shape (n_touched,)
        The order of the pairs by feature, then by label.
    index : type
        int32, or int64 where there are more nonzeros than it can count.
    n_shared : int
        How many pairs more than one cell touches.
    ends : int64 array of shape (n_cells + 1,)
        Where the nonzeros of each cell's row end, cell after cell.
    number : integer array of shape (n_entries,)
        Which of the pairs of several cells each of these nonzeros touches; -1 stands
        for a pair of this cell alone.
    cells, data : arrays of shape (n_alone,)
        Of the pairs of one cell: the cell, and the number that its row has there.
    """

    def __init__(self, X, cell_rows, cell_cols):
        lengths = np.diff(X.indptr)[cell_rows]
        self.ends = np.append(0, np.cumsum(lengths, dtype=np.int64))
        self.index = np.int32 if self.ends[-1] < np.iinfo(np.int32).max else np.int64
        self.number = np.empty(self.ends[-1], self.index)
        self.n_shared, sizes = 0, [0]
        touched = self._room(X.indices.dtype, np.int32, bool)
        alone, n_alone = self._room(self.index, X.dtype), 0
        for cells in _by_labels(cell_cols, lengths, max(BLOCK, X.shape[1])):
            labels = cell_cols[cells].astype(np.int32)
            part = self._sort(X[cell_rows[cells]], cells, labels)
            _put(part[:3], touched, sizes[-1])
            _put(part[3:], alone, n_alone)
            sizes.append(sizes[-1] + len(part.columns))
            n_alone += len(part.cells)
        self.columns, self.labels, self.is_shared = (
            array[: sizes[-1]] for array in touched
        )
        self.cells, self.data = (array[:n_alone] for array in alone)
        # Parts come with their labels increasing: one stable sort by feature is enough.
        numbered = (np.arange(sizes[-1], dtype=self.index), self.columns, sizes)
        shape = len(sizes) - 1, X.shape[1]
        table = sp.csr_array(numbered, shape=shape).tocsc()
        self.counts, self.by_feature = np.diff(table.indptr), table.data

    def _room(self, *kinds):
        """Return arrays that no pairs can be too many for: unused room is no memory."""
        return [np.empty(self.ends[-1], kind) for kind in kinds]

    def _sort(self, rows, cells, labels):
        """Return the pairs of these cells, and number the nonzeros of their rows."""
        entries = np.arange(rows.nnz, dtype=self.index)
        by_feature = sp.csr_array((entries, rows.indices, rows.indptr), rows.shape)
        by_feature = by_feature.tocsc()
        # Within a feature the cells come label by label: runs of a label are pairs.
        label, ends = labels[by_feature.indices], by_feature.indptr
        is_new = np.ones(rows.nnz, bool)
        np.not_equal(label[1:], label[:-1], out=is_new[1:])
        is_new[ends[:-1][ends[:-1] < rows.nnz]] = True
        first = np.flatnonzero(is_new).astype(self.index)
        lengths = np.diff(first, append=self.index(rows.nnz))
        is_shared = lengths > 1
        number = np.cumsum(is_shared, dtype=self.index) + (self.n_shared - 1)
        self.n_shared += int(is_shared.sum())
        number[~is_shared] = -1
        shift = (self.ends[cells] - rows.indptr[:-1]).astype(self.index)
        entries = by_feature.data + shift[by_feature.indices]
        self.number[entries] = np.repeat(number, lengths)
        alone = first[~is_shared]
        columns = rows.indices[by_feature.data[first]]
        cells = cells[by_feature.indices[alone]].astype(self.index)
        data = rows.data[by_feature.data[alone]]
        return _Part(columns, label[first], is_shared, cells, data)


def _put(parts, arrays, start):
    for part, array in zip(parts, arrays, strict=True):
        array[start : start + len(part)] = part


def _by_labels(cols, lengths, block):
    """Yield the cells in parts of whole labels, of so many nonzeros where it can be."""
    order = np.argsort(cols, kind="stable")
    if not len(order):
        yield order
        return
    last = np.flatnonzero(np.append(np.diff(cols[order]) > 0, True))
    part = np.cumsum(lengths[order], dtype=np.int64)[last] // block
    ends = last[np.append(np.diff(part) > 0, True)] + 1
    yield from np.split(order, ends[:-1])
