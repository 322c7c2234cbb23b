"""The direct path: a weight for each (feature, label) pair, and none for the others."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from .._sparse import compact_columns, embedding_bag

# A dense table of so few weights costs nothing that anyone would notice.
SMALL_TABLE = 1 << 20
# Above so many weights the direct path is left out: 0.5 GB of float32.
MAX_WEIGHTS = 1 << 27
# A row with more labeled cells than this, on average, touches most pairs anyway.
MANY_CELLS = 8
# Nonzeros that are looked at in one go, about.
BLOCK = 1 << 20


def choose_direct(X, cell_rows, n_labels):
    """Return "dense", "pairs" or None for the direct path that these cells want.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_features)
        The rows.
    cell_rows : array of shape (n_cells,)
        The row of each labeled cell.
    n_labels : int
        Number of labels.
    """
    size = X.shape[1] * n_labels
    if size <= SMALL_TABLE:
        return "dense"
    if not sp.issparse(X):
        return "dense" if size <= MAX_WEIGHTS else None
    entries = int(np.diff(X.indptr)[cell_rows].sum())
    if entries <= min(MANY_CELLS * max(X.nnz, 1), MAX_WEIGHTS):
        return "pairs"
    return "dense" if size <= MAX_WEIGHTS else None


class DenseDirect(nn.Module):
    """A weight for every pair: for dense X, few features, or many labeled cells."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_features, n_labels))

    def forward(self, X=None, *, indices=None, offsets=None, weights=None):
        """Return the logits of all labels, shape (batch, n_labels)."""
        if indices is None:
            return X @ self.weight
        return embedding_bag(self.weight, indices, offsets, weights, sparse=False)

    def cell_logits(self, rows, cols, X=None, **bags):
        """Return the logits of these cells."""
        return self(X, **bags)[rows, cols]

    def add(self, table):
        """Add a table of shape (n_features, n_labels), sparse or not."""
        if not sp.issparse(table):
            self.weight.data += torch.from_numpy(table).to(self.weight)
            return
        table = table.tocoo()
        at = (
            torch.from_numpy(part.astype(np.int64)) for part in (table.row, table.col)
        )
        values = torch.from_numpy(table.data).to(self.weight)
        at = tuple(part.to(values.device) for part in at)
        self.weight.data.index_put_(at, values, accumulate=True)


class PairDirect(nn.Module):
    """Weights of the pairs that labeled cells touched, feature by feature.

    Attributes
    ----------
    starts : int64 buffer of shape (n_features + 1,)
        Where each feature's pairs begin.
    labels : int32 buffer of shape (n_pairs,)
        The label of each pair, increasing within a feature.
    weight : parameter of shape (n_pairs,)
        The weights.
    """

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.n_features, self.n_labels = n_features, n_labels
        self.register_buffer("starts", torch.zeros(n_features + 1, dtype=torch.int64))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int32))
        self.weight = nn.Parameter(torch.zeros(0))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        # Another state may hold other pairs: make room for its own.
        other = state_dict.get(prefix + "weight")
        if other is not None and other.shape != self.weight.shape:
            self.weight = nn.Parameter(self.weight.new_zeros(other.shape))
            self.labels = self.labels.new_zeros(other.shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, indices, offsets, weights):
        """Return the logits of all labels, shape (batch, n_labels).

        The pairs of the batch's features are spread out over the labels, a block of
        labels at a time, so that the sum is a bag of dense rows.
        """
        columns, compact = self._batch_columns(indices)
        logits = []
        step = max(1, SMALL_TABLE * 16 // max(len(columns), 1))
        for first in range(0, self.n_labels, step):
            last = min(first + step, self.n_labels)
            table = self._spread(columns, first, last)
            logits.append(embedding_bag(table, compact, offsets, weights, False))
        return torch.cat(logits, dim=1)

    def _batch_columns(self, indices):
        if indices.is_cuda:
            return torch.unique(indices, return_inverse=True)
        columns, compact = compact_columns(indices.numpy())
        return torch.from_numpy(columns), torch.from_numpy(compact)

    def _spread(self, columns, first, last):
        starts = self.starts[columns]
        lengths = self.starts[columns + 1] - starts
        total = int(lengths.sum())
        ends = lengths.cumsum(0)
        shift = torch.repeat_interleave(
            starts - (ends - lengths), lengths, output_size=total
        )
        pairs = shift + torch.arange(total, device=shift.device)
        rows = torch.repeat_interleave(
            torch.arange(len(columns), device=shift.device), lengths, output_size=total
        )
        labels = self.labels[pairs].long()
        values = self.weight[pairs]
        if first or last < self.n_labels:
            inside = (labels >= first) & (labels < last)
            rows, labels, values = rows[inside], labels[inside], values[inside]
        table = self.weight.new_zeros(len(columns) * (last - first))
        flat = rows * (last - first) + labels - first
        return table.index_put((flat,), values).view(len(columns), last - first)

    def cell_logits(self, rows, cols, indices, offsets, weights):
        """Return the logits of these cells; a pair without a weight counts as 0."""
        keys = self._keys()
        if not len(keys):
            return self.weight.new_zeros(len(rows)) + self.weight.sum()
        ends = torch.cat([offsets[1:], offsets.new_tensor([len(indices)])])
        starts, lengths = offsets[rows].long(), (ends - offsets)[rows].long()
        cells, entries = spread_ranges(starts, lengths, int(lengths.sum()))
        # In the order of the keys each search begins where the last one ended.
        wanted, order = torch.sort(
            indices[entries].long() * self.n_labels + cols[cells], stable=True
        )
        at = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        found = (keys[at] == wanted).to(self.weight.dtype)
        terms = self.weight[at] * found * weights[entries[order]]
        return terms.new_zeros(len(rows)).index_add(0, cells[order], terms)

    def add(self, table):
        """Add a table of shape (n_features, n_labels), and make room for its pairs."""
        table = self._table() + sp.csr_array(table, dtype=np.float32)
        table.sort_indices()
        weight, labels, starts = (
            torch.from_numpy(part).to(self.weight.device)
            for part in (table.data, table.indices, table.indptr)
        )
        self.weight = nn.Parameter(weight.to(self.weight.dtype))
        self.labels, self.starts = labels.int(), starts.long()

    def _table(self):
        """Return the weights as a CSR array of shape (n_features, n_labels)."""
        parts = self.weight.detach(), self.labels, self.starts
        shape = self.n_features, self.n_labels
        return sp.csr_array(tuple(part.cpu().numpy() for part in parts), shape=shape)

    def _keys(self):
        features = torch.repeat_interleave(
            torch.arange(self.n_features, device=self.labels.device),
            self.starts.diff(),
            output_size=len(self.labels),
        )
        return features * self.n_labels + self.labels

    def build_index(self, X, cell_rows, cell_cols):
        """Make room for the pairs that these cells touch.

        Parameters
        ----------
        X : CSR matrix
            Its rows' columns sorted.
        cell_rows, cell_cols : arrays of shape (n_cells,)
            The labeled cells.

        Returns
        -------
        covered : PairIndex
            The pairs.
        positions : integer array of shape (n_touched,) or None
            Where they are among all weights, by feature; None, where they are all.
        """
        covered = PairIndex(X, cell_rows, cell_cols)
        counts, labels = covered.counts, covered.labels[covered.by_feature]
        positions, weight = None, torch.zeros(len(labels), dtype=self.weight.dtype)
        if len(self.labels):
            known = self._keys().cpu().numpy()
            features = np.repeat(np.arange(self.n_features), counts)
            touched = features * self.n_labels + labels
            merged = np.union1d(known, touched)
            weight = weight.new_zeros(len(merged))
            weight[np.searchsorted(merged, known)] = self.weight.detach().cpu()
            counts = np.bincount(merged // self.n_labels, minlength=self.n_features)
            labels = (merged % self.n_labels).astype(np.int32)
            positions = np.searchsorted(merged, touched).astype(covered.index)
        device = self.weight.device
        starts = np.append(0, np.cumsum(counts, dtype=np.int64))
        self.starts = torch.from_numpy(starts).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.weight = nn.Parameter(weight.to(device))
        return covered, positions

    def extend(self, X, cell_rows, cell_cols):
        """Make room for the pairs that more cells touch, the weights as they are.

        Parameters
        ----------
        X, cell_rows, cell_cols : CSR matrix and arrays
            As in `build_index`.

        Returns
        -------
        int64 tensor
            The positions, among all weights, of those that were there before.
        """
        known = self._keys()
        self.build_index(X, cell_rows, cell_cols)
        return torch.searchsorted(self._keys(), known)


def spread_ranges(starts, lengths, total):
    """Return, for ranges on a device, the range and the position of each entry."""
    ranges = torch.repeat_interleave(
        torch.arange(len(lengths), device=lengths.device), lengths, output_size=total
    )
    first = lengths.cumsum(0) - lengths
    return ranges, starts[ranges] - first[ranges] + torch.arange(
        total, device=lengths.device
    )


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
