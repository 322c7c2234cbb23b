"""The direct weights while they are trained: pairs of several cells, and of one.

Most (feature, label) pairs of rare features are touched by one labeled cell. Such a
pair needs no step of its own: its weight is what the cell adds to its label times the
value of the feature, always. So only the others are looked up and changed at each step:
a third fewer reads, and most of those that no cache holds are among them.
"""

import itertools

import numpy as np
import scipy.sparse as sp
import torch

from ..model._pair_index import BLOCK


class ActivePairWeights:
    """Training-time storage of the sparse direct weights of a `PairDirect`.

    Parameters
    ----------
    direct : PairDirect
        Whose weights these are; `write` brings them back to it.
    X : CSR matrix
        Its rows' columns sorted.
    rows, cols : int64 arrays of shape (n_cells,)
        The labeled cells.
    scale : float32 array of shape (n_features,)
        What the columns of X are multiplied by.

    Attributes
    ----------
    weight : float32 tensor of shape (n_shared,)
        The weights of the pairs that several cells touch.
    square : float32 tensor of shape (n_cells,)
        The squared length of each cell's other entries, whose pairs are its alone.
    """

    def __init__(self, direct, X, rows, cols, scale):
        self.direct, device = direct, direct.weight.device

        def tensor(array):
            return torch.from_numpy(array).to(device)

        index, positions = direct.build_index(X, rows, cols)
        self.starts, pairs, data = _shared_entries(index, X, rows, scale)
        self.entries = tensor(np.diff(self.starts))
        self.pairs, self.data = tensor(pairs), tensor(data)
        self.columns, self.by_feature = (
            tensor(index.columns),
            tensor(index.by_feature),
        )
        self.is_shared = tensor(index.is_shared)
        self.positions = None if positions is None else tensor(positions)
        self.label = tensor(index.labels[index.is_shared])
        alone = index.columns[~index.is_shared]
        self.alone_cell, self.alone_data = (
            tensor(index.cells),
            tensor(index.data * scale[alone]),
        )
        # New weights are 0: there is nothing to read.
        self.weight, self.first = self.data.new_zeros(index.n_shared), None
        if positions is not None:
            self.weight, self.first = self._of_pairs(self._read())
        self._sum_alone()
        self.changed = False

    def _of_pairs(self, values):
        """Return what a value a pair is for those of several cells, and of one."""
        both = self.is_shared, ~self.is_shared
        return tuple(torch.masked_select(values, which) for which in both)

    def _read(self):
        """Return the weights that the model has, pair by pair."""
        weight = self.direct.weight.detach()[self.positions]
        return torch.empty_like(weight).index_copy_(0, self.by_feature.long(), weight)

    def _sum_alone(self):
        """Add up by cell what the entries that are its alone are."""
        self.square = self._by_cell(self.alone_data.square())
        self.base = torch.zeros_like(self.square)
        if self.first is not None:
            self.base = self._by_cell(self.alone_data * self.first)

    def _by_cell(self, values):
        zero = values.new_zeros(len(self.entries))
        return zero.index_add_(0, self.alone_cell, values)

    def part(self, cells):
        """Return the pairs, the values and their number a cell for a slice of cells."""
        part = slice(int(self.starts[cells.start]), int(self.starts[cells.stop]))
        return self.pairs[part], self.data[part], self.entries[cells]

    def margins(self, cells, amount):
        """Return what the direct path gives to a slice of cells.

        `amount` is what each of them has added to its label in all.
        """
        sums = self._sums(*self.part(cells))
        return sums + self.base[cells] + self.square[cells] * amount

    def _sums(self, pairs, data, lengths):
        """Return the weights of these pairs times the values, added up cell by cell."""
        if pairs.is_cuda:
            terms = self.weight.index_select(0, pairs) * data
            sums = {"lengths": lengths, "unsafe": True, "initial": 0.0}
            return torch.segment_reduce(terms, "sum", **sums)
        # One pass over the entries, where torch takes three.
        at, shape = pairs.numpy(), (len(lengths), len(self.weight))
        ends = np.append(0, np.cumsum(lengths.numpy())).astype(at.dtype)
        rows = sp.csr_array((data.numpy(), at, ends), shape=shape)
        return torch.from_numpy(rows @ self.weight.numpy())

    def add(self, cells, amount):
        """Add so much of each cell's row, but what is its alone, to its label."""
        pairs, data, lengths = self.part(cells)
        self.weight.scatter_add_(0, pairs.long(), _repeated(amount, lengths, data))
        self.changed = True

    def write(self, amount):
        """Put the weights where the model has them, if they have changed since.

        `amount` is what each cell has added to its label in all.
        """
        if not self.changed:
            return
        alone = self.alone_data * amount[self.alone_cell]
        alone = alone if self.first is None else self.first + alone
        pairs, weight = alone.new_empty(len(self.columns)), self.direct.weight.detach()
        pairs.masked_scatter_(self.is_shared, self.weight)
        pairs.masked_scatter_(~self.is_shared, alone)
        if self.positions is None:
            torch.index_select(pairs, 0, self.by_feature, out=weight)
        else:
            weight[self.positions] = pairs.index_select(0, self.by_feature)
        self.changed = False


def _shared_entries(index, X, rows, scale):
    """Return where the entries of each cell start, their pairs and their values.

    Of the entries whose pair several cells touch, in the order of the cells.
    """
    ends, starts = index.ends, np.zeros(len(rows) + 1, np.int64)
    several = np.count_nonzero(index.number >= 0)
    pairs = np.empty(several, index.number.dtype)
    data = np.empty(several, np.result_type(X.dtype, scale))
    for cells in _blocks(ends):
        first, last = ends[cells.start], ends[cells.stop]
        number, part = index.number[first:last], X[rows[cells]]
        kept, done = np.flatnonzero(number >= 0), starts[cells.start]
        cut = ends[cells.start + 1 : cells.stop + 1] - first
        starts[cells.start + 1 : cells.stop + 1] = done + np.searchsorted(kept, cut)
        own = slice(done, done + len(kept))
        pairs[own] = number[kept]
        np.multiply(part.data[kept], scale[part.indices[kept]], out=data[own])
    return starts, pairs, data


def _blocks(ends):
    """Yield slices of cells with about so many nonzeros."""
    last = len(ends) - 1
    cuts = np.searchsorted(ends, np.arange(BLOCK, ends[-1], BLOCK))
    cuts = np.unique(cuts[cuts < last]).tolist()
    yield from (slice(*pair) for pair in itertools.pairwise([0, *cuts, last]))


def _repeated(amount, lengths, data):
    """Return each amount so often, times the values."""
    if amount.is_cuda:
        repeated = torch.repeat_interleave(amount, lengths, output_size=len(data))
    else:  # numpy is some seven times as fast as torch
        repeated = torch.from_numpy(np.repeat(amount.numpy(), lengths.numpy()))
    return repeated.mul_(data)
