"""The rows of a training: batches that keep their members, and what is read of them."""

import ctypes
import itertools
import math
import os

import numpy as np
import scipy.sparse as sp
import torch

from .._batches import CellDataset, model_input
from .._sparse import sum_bags, transpose_batch

# Copies are kept in one fold unless rows have more than this many of them on average:
# few distinct rows are categories rather than copies, and most folds would lack them.
_MOST_COPIES = 10
# Numbers of X that are looked at in one go.
_NUMBERS = 1 << 20
# The C library, and the numbers of an X from which on its heap is of note.
_LIBC = ctypes.CDLL(None) if os.name == "posix" else None
_LARGE = 1 << 22


class SDCADataset(CellDataset):
    """Rows in an order that is shuffled once: batches keep their members.

    Only the order of the batches changes from epoch to epoch, so that what a step
    needs lies side by side and is sliced, never gathered. Equal rows are side by side.

    Parameters
    ----------
    X, targets, rows
        As for :class:`~sklearn_masked.nn._batches.CellDataset`.
    cell_weight, cell_target : float64 arrays of shape (n_stored,)
        Weight and target, 1 and 0 or smoothed, of each stored cell of `targets`.
    generator : numpy.random.Generator
        Draws the order.
    """

    fixed_batches = True

    def __init__(self, X, targets, rows, cell_weight, cell_target, *, generator):
        order, self.is_first, self.digests = grouped_permutation(X, rows, generator)
        super().__init__(X, targets, order)
        self.cell_weight, self.cell_target = cell_weight, cell_target
        lengths = np.diff(targets.indptr)[self.rows]
        self.first_cell = np.append(0, np.cumsum(lengths))

    def batch(self, positions):
        """Return the positions, which are consecutive, and the slice of their cells."""
        start, stop = int(positions[0]), int(positions[-1]) + 1
        return positions, slice(int(self.first_cell[start]), int(self.first_cell[stop]))

    def batches(self, batch_size):
        """Return the slice of cells of each batch; equal rows are in one of them."""
        starts = np.flatnonzero(self.is_first)
        wanted = np.arange(0, len(self), batch_size)
        at = np.searchsorted(starts, wanted)
        bounds = np.unique(np.append(starts[at[at < len(starts)]], len(self)))
        return [self.batch((a, b - 1))[1] for a, b in itertools.pairwise(bounds)]


class RowCache:
    """The rows of a training as the module takes them; their embedding is kept.

    Parameters
    ----------
    module : DirectSharedModule
        Which embeds the rows.
    data : SDCADataset
        The rows.
    settings : SDCASettings
        Rows that are embedded at once, and the most numbers that are kept.
    """

    def __init__(self, module, data, settings):
        self.module, self.X, self.positions = module, data.X, data.rows
        self.kept, n_rows, step = None, len(data), settings.block
        width = module.output.shape[1]
        if module.quadratic is not None:
            width += module.quadratic.weight.shape[1]
        if n_rows * width <= settings.cache:
            starts = range(0, max(n_rows, 1), step)
            parts = [self._embed(slice(i, min(i + step, n_rows))) for i in starts]
            self.kept = [
                None if part[0] is None else torch.cat(part)
                for part in zip(*parts, strict=True)
            ]

    def inputs(self, rows):
        """Return rows, a slice or positions, as the module's arguments."""
        inputs, device = model_input(self.X[self.positions[rows]]), self.device
        if isinstance(inputs, dict):
            return {name: part.to(device) for name, part in inputs.items()}
        return {"X": inputs.to(device)}

    @property
    def device(self):
        """Where the module is."""
        return self.module.bias.device

    def scaled(self, rows):
        """Return rows, a slice or positions, as the direct path takes them."""
        return self.module.scaled(**self.inputs(rows))

    def matrix(self, rows):
        """Return a slice of the rows, scaled, as a tensor or a CSR array."""
        X = self.X[self.positions[rows]]
        if not sp.issparse(X):
            return self.scaled(rows)["X"]
        data = X.data * self.module.feature_scale.cpu().numpy()[X.indices]
        return sp.csr_array((data, X.indices, X.indptr), shape=X.shape)

    def add_rows(self, table, rows, amount):
        """Add these multiples of a slice of rows to each column of a table."""
        scaled = self.scaled(rows)
        if "X" in scaled:
            table.addmm_(scaled["X"].T, amount)
            return
        columns, at, starts, data = transpose_batch(**scaled)
        table.index_add_(0, columns, sum_bags(amount, at, starts, data))

    def span(self, at):
        """Return the slice of rows that increasing positions span, and where in it."""
        first = int(at[0])
        inside = torch.from_numpy(np.ascontiguousarray(at - first))
        return slice(first, int(at[-1]) + 1), inside.to(self.device)

    def _embed(self, rows):
        inputs, module = self.inputs(rows), self.module
        embedded = module.embedded(**inputs)
        crossed = None if module.quadratic is None else module.crossed(embedded)
        return module.shared(embedded, **inputs), crossed

    def shared(self, at):
        """Return what labels share of rows at increasing positions, and its pairs.

        The pairs, for the quadratic path, are None where there is no such path.
        """
        parts, first = self.kept, 0
        if parts is None:
            first = int(at[0])
            parts = self._embed(slice(first, int(at[-1]) + 1))
        at = torch.from_numpy(at - first).to(self.device)
        return [part if part is None else part.index_select(0, at) for part in parts]


def free_heap(n_numbers):
    """Give the system back what glibc keeps, where X has so many numbers.

    Small arrays that live on keep the heap from shrinking: of a fit of 10 million
    nonzeros 900 MB of it stood empty.
    """
    if n_numbers > _LARGE and hasattr(_LIBC, "malloc_trim"):
        _LIBC.malloc_trim(0)


def row_digests(X):
    """Return a 64-bit digest of each row: equal rows have equal digests.

    Parameters
    ----------
    X : CSR matrix in canonical form or array of shape (n_samples, ...)
        float32.

    Returns
    -------
    uint64 array of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.nn.sdca._batches import row_digests
    >>> one, other, again = row_digests(np.float32([[1, 0], [0, 1], [1, -0.0]]))
    >>> bool(one == again), bool(one == other)
    (True, False)
    """
    if sp.issparse(X):
        # Sums of uint64 wrap around, so that differences of cumulative sums are exact.
        total = np.append(np.uint64(0), np.cumsum(_mixed(X.indices, X.data)))
        return total[X.indptr[1:]] - total[X.indptr[:-1]]
    X = X.reshape(len(X), math.prod(X.shape[1:]))
    return _mixed(np.arange(X.shape[1]), X).sum(axis=1)


def cell_digests(rows, labels):
    """Return a digest of each cell, from those of rows and from label positions."""
    return _scrambled(rows + labels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def grouped_permutation(X, rows, generator):
    """Return the rows in random order, equal ones side by side.

    Parameters
    ----------
    X : CSR matrix or array
        All rows.
    rows : array of int
        Those to permute.
    generator : numpy.random.Generator
        Of the order.

    Returns
    -------
    order : array of int
        The rows, permuted.
    is_first : bool array
        Which of them differ from the row before.
    digests : uint64 array
        Of the rows, in that order.
    """
    order = generator.permutation(rows)
    width = X.nnz // max(X.shape[0], 1) if sp.issparse(X) else math.prod(X.shape[1:])
    step = max(_NUMBERS // max(width, 1), 1)
    parts = [row_digests(X[order[i : i + step]]) for i in range(0, len(order), step)]
    digests = np.concatenate([np.zeros(0, np.uint64), *parts])
    _, group, counts = np.unique(digests, return_inverse=True, return_counts=True)
    if len(counts) == len(rows) or len(rows) > _MOST_COPIES * len(counts):
        return order, np.ones(len(rows), bool), digests
    first = np.full(len(counts), len(rows))
    np.minimum.at(first, group, np.arange(len(rows)))
    rank = first[group]
    by_group = np.argsort(rank, kind="stable")
    is_first = np.diff(rank[by_group], prepend=-1) > 0
    return order[by_group], is_first, digests[by_group]


def _mixed(columns, values):
    """Return a pseudo-random number for each (column, value)."""
    bits = np.ascontiguousarray(values + np.float32(0), np.float32).view(np.uint32)
    return _scrambled((columns.astype(np.uint64) << np.uint64(32)) | bits)


def _scrambled(x):
    """Apply the finalizer of SplitMix64, a bijection that scatters close numbers."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
