"""The direct weights while dual coordinate ascent trains them: a table, or pairs.

Most (feature, label) pairs of rare features are touched by a single labeled cell. Such
a private pair needs no step of its own: its weight is always what the cell has added to
its label times the value of the feature. So only shared pairs are looked up and changed
at each step: a third fewer reads, and most of those that no cache holds are among them.
"""

import itertools

import numpy as np
import scipy.sparse as sp
import torch

from .._batches import concatenated_ranges
from ..model._direct import BLOCK, PairDirect
from ._block_newton import PairGram, RowGram


def direct_weights(module, cache, row_of_cell, cols):
    """Return the training-time storage of a module's direct path, None without one."""
    if module.direct is None:
        return None
    kind = ActivePairWeights if isinstance(module.direct, PairDirect) else TableWeights
    return kind(module, cache, row_of_cell, cols)


class TableWeights:
    """A weight per (feature, label), in the module's own table.

    Parameters
    ----------
    module : DirectSharedModule
        Whose direct path this is.
    cache : RowCache
        The rows of the training.
    row_of_cell, cols : int64 arrays of shape (n_cells,)
        The labeled cells: position among the rows, and label.

    Attributes
    ----------
    common : tensor of shape (n_features,) or (0,)
        What is to be added to the weights of all labels, where these correlate.
    """

    def __init__(self, module, cache, row_of_cell, cols):
        self.module, self.cache, self.row_of_cell = module, cache, row_of_cell
        self.label = torch.from_numpy(cols).to(module.bias.device)
        self.correlation = float(module.label_correlation)
        self.common = self.weight.new_zeros(len(self.weight) if self.correlation else 0)

    @property
    def weight(self):
        """The table, of shape (n_features, n_labels)."""
        return self.module.direct.weight.detach()

    def add_margins(self, margin, cells, added):
        """Add to `margin` what the direct path gives to some cells."""
        if not self.correlation:
            rows, at = self.cache.span(self.row_of_cell[cells])
            logits = self.module.direct(**self.cache.scaled(rows))
            margin += logits[at, self.label[cells]]
            return
        scaled = self.cache.scaled(self.row_of_cell[cells])
        if "X" in scaled:
            X, (present, at) = scaled["X"], self._present(cells)
            logits = X @ self.weight[:, present]
            margin += logits.gather(1, at[:, None])[:, 0] + X @ self.common
            return
        pairs, bags = self._pairs(cells, scaled["indices"], scaled["offsets"])
        values = self.weight.view(-1)[pairs] + self.common[scaled["indices"]]
        margin.index_add_(0, bags, values * scaled["weights"])

    def add(self, cells, amount):
        """Add this multiple of each cell's row to the weights of its label."""
        if not self.correlation:
            rows, at = self.cache.span(self.row_of_cell[cells])
            change = amount.new_zeros(rows.stop - rows.start, self.weight.shape[1])
            change.index_put_((at, self.label[cells]), amount, accumulate=True)
            self.cache.add_rows(self.weight, rows, change)
            return
        scaled, share = self.cache.scaled(self.row_of_cell[cells]), self.correlation
        if "X" in scaled:
            X, (present, at) = scaled["X"], self._present(cells)
            change = amount.new_zeros(len(amount), len(present))
            change.scatter_(1, at[:, None], (1 - share) * amount[:, None])
            self.weight.index_add_(1, present, X.T @ change)
            self.common.addmv_(X.T, share * amount)
            return
        pairs, bags = self._pairs(cells, scaled["indices"], scaled["offsets"])
        values = amount[bags] * scaled["weights"]
        self.weight.view(-1).index_add_(0, pairs, (1 - share) * values)
        self.common.index_add_(0, scaled["indices"], share * values)

    def _present(self, cells):
        """Return the labels of some cells, and which of them is each cell's."""
        return torch.unique(self.label[cells], return_inverse=True)

    def _pairs(self, cells, indices, offsets):
        """Return the place in the table, and the cell, of each entry of cells' rows."""
        bags = _bags(indices, offsets)
        return indices * self.weight.shape[1] + self.label[cells][bags], bags

    def gram(self, cells, shared, crossed):
        """Return the Gram matrices of some cells."""
        rows, at = np.unique(self.row_of_cell[cells], return_inverse=True)
        at = torch.from_numpy(at).to(shared.device)
        return RowGram(shared, crossed, self.cache.matrix(rows), at)

    def scale(self, factors):
        """Multiply each label's weights by its factor; one where they correlate."""
        self.weight.mul_(factors)
        self.common.mul_(factors[0])

    def write(self, added):
        """Add to the module's weights what all labels have in common."""
        if self.correlation:
            self.weight.add_(self.common[:, None])
            self.common.zero_()


class ActivePairWeights:
    """A weight per (feature, label) pair that labeled cells touch.

    Parameters
    ----------
    module, cache, row_of_cell, cols
        As for `TableWeights`. `write` brings the weights back to the module.

    Attributes
    ----------
    weight : float32 tensor of shape (n_shared,)
        The weights of the pairs that several cells touch.
    square : float32 tensor of shape (n_cells,)
        The squared length of each cell's other entries, whose pairs are private.
    """

    def __init__(self, module, cache, row_of_cell, cols):
        self.module, self.cache, self.row_of_cell = module, cache, row_of_cell
        self.correlation = float(module.label_correlation)
        device = module.bias.device

        def tensor(array):
            return torch.from_numpy(array).to(device)

        rows, scale = cache.positions[row_of_cell], module.feature_scale.cpu().numpy()
        index, positions = module.direct.build_index(cache.X, rows, cols)
        self.starts, pairs, data = _shared_entries(index, cache.X, rows, scale)
        self.entries = tensor(np.diff(self.starts))
        self.pairs, self.data = tensor(pairs), tensor(data)
        self.by_feature = tensor(index.by_feature)
        self.is_shared = tensor(index.is_shared)
        self.positions = None if positions is None else tensor(positions)
        self.label = tensor(index.labels[index.is_shared])
        private = index.columns[~index.is_shared]
        self.private_cell = tensor(index.cells)
        self.private_data = tensor(index.data * scale[private])
        # New weights are 0: there is nothing to read.
        self.weight, self.first = self.data.new_zeros(index.n_shared), None
        if positions is not None:
            before = module.direct.weight.detach()[self.positions]
            before = torch.empty_like(before).index_copy_(
                0, self.by_feature.long(), before
            )
            self.weight = torch.masked_select(before, self.is_shared)
            self.first = torch.masked_select(before, ~self.is_shared)
        self.square = self._by_cell(self.private_data.square())
        self.base = torch.zeros_like(self.square)
        if self.first is not None:
            self.base = self._by_cell(self.private_data * self.first)
        self.changed = False

    @property
    def common(self):
        """What all labels have in common of their weights, of shape (n_features,)."""
        return self.module.common_weight

    def _by_cell(self, values):
        """Return sums of values of private pairs, cell by cell."""
        zero = values.new_zeros(len(self.entries))
        return zero.index_add_(0, self.private_cell, values)

    def _part(self, cells):
        """Return the pairs, the values and their number per cell, of some cells."""
        if not isinstance(cells, slice):
            part, _ = concatenated_ranges(self.starts, cells)
            part = torch.from_numpy(part).to(self.pairs.device)
            return self.pairs[part], self.data[part], self.entries[cells]
        part = slice(int(self.starts[cells.start]), int(self.starts[cells.stop]))
        return self.pairs[part], self.data[part], self.entries[cells]

    def _own(self, amount):
        return (1 - self.correlation) * amount if self.correlation else amount

    def add_margins(self, margin, cells, added):
        """Add to `margin` what the direct path gives to a slice of cells.

        `added` is what each of them has added to its label in all.
        """
        sums = self._sums(*self._part(cells)) + self.base[cells]
        margin += sums + self.square[cells] * self._own(added)
        if self.correlation:
            rows = self.row_of_cell[cells]
            margin += self.module.common_logits(**self.cache.scaled(rows))

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
        """Add this multiple of each cell's row, but private pairs, to its label."""
        pairs, data, lengths = self._part(cells)
        added = _repeated(self._own(amount), lengths, data)
        self.weight.scatter_add_(0, pairs.long(), added)
        self.changed = True
        if self.correlation:
            scaled = self.cache.scaled(self.row_of_cell[cells])
            bags = _bags(scaled["indices"], scaled["offsets"])
            values = self.correlation * amount[bags] * scaled["weights"]
            self.common.index_add_(0, scaled["indices"], values)

    def gram(self, cells, shared, crossed):
        """Return the Gram matrices of a batch's cells."""
        if self.correlation:
            return TableWeights.gram(self, cells, shared, crossed)
        parts = (part.cpu().numpy() for part in self._part(cells))
        return PairGram(shared, crossed, *parts, self.square[cells])

    def scale(self, factors):
        """Multiply each label's weights of shared pairs by its factor."""
        self.weight *= factors[self.label.long()]
        self.common.mul_(factors[0])  # one for all where labels correlate

    def write(self, added):
        """Put the weights where the model has them, if they have changed since.

        `added` is what each cell has added to its label in all.
        """
        if not self.changed:
            return
        # In place: these are as many as the nonzeros of X.
        private = self._own(added)[self.private_cell].mul_(self.private_data)
        if self.first is not None:
            private += self.first
        pairs = private.new_empty(len(self.is_shared))
        pairs.masked_scatter_(self.is_shared, self.weight)
        pairs.masked_scatter_(~self.is_shared, private)
        del private
        weight = self.module.direct.weight.detach()
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


def _bags(indices, offsets):
    """Return the bag of each entry."""
    lengths = torch.diff(offsets, append=offsets.new_full((1,), len(indices)))
    return torch.repeat_interleave(lengths, output_size=len(indices))


def _repeated(amount, lengths, data):
    """Return each amount so often, times the values."""
    if amount.is_cuda:
        repeated = torch.repeat_interleave(amount, lengths, output_size=len(data))
    else:  # numpy is some seven times as fast as torch
        repeated = torch.from_numpy(np.repeat(amount.numpy(), lengths.numpy()))
    return repeated.mul_(data)
