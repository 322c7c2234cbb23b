"""The rows of a training: batches that keep their members, and what is read of them."""

import itertools

import numpy as np
import scipy.sparse as sp
import torch

from ..batches import CellDataset, model_input
from ..sparse import sum_bags, transpose_batch
from ._row_digests import grouped_permutation


class SDCADataset(CellDataset):
    """Rows in an order that is shuffled once: batches keep their members.

    Only the order of the batches changes from epoch to epoch, so that what a step
    needs lies side by side and is sliced, never gathered. Equal rows are side by side.

    Parameters
    ----------
    X, targets, rows
        As for :class:`~sklearn_masked.nn.batches.CellDataset`.
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
            width += module.embedding.shape[1]
        if n_rows * width <= settings.cache:
            starts = range(0, max(n_rows, 1), step)
            parts = [self._embed(slice(i, min(i + step, n_rows))) for i in starts]
            self.kept = [
                None if part[0] is None else torch.cat(part)
                for part in zip(*parts, strict=True)
            ]

    def inputs(self, rows):
        """Return a slice of the rows as the module's arguments."""
        inputs, device = model_input(self.X[self.positions[rows]]), self.device
        if isinstance(inputs, dict):
            return {name: part.to(device) for name, part in inputs.items()}
        return {"X": inputs.to(device)}

    @property
    def device(self):
        """Where the module is."""
        return self.module.bias.device

    def scaled(self, rows):
        """Return a slice of the rows as the direct path takes them."""
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
