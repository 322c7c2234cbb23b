"""Rows whose batches keep their members from epoch to epoch."""

import itertools

import numpy as np

from ..batches import CellDataset
from ._row_digests import grouped_permutation


class SDCADataset(CellDataset):
    """Rows in an order that is shuffled once: batches keep their members.

    Only the order of the batches changes from epoch to epoch, so that what a step
    needs lies side by side and is sliced, never gathered. Equal rows are side by side.
    """

    fixed_batches = True

    def __init__(self, X, targets, rows, *, generator, dense=False):
        order, self.is_first, self.digests = grouped_permutation(X, rows, generator)
        super().__init__(X, targets, order, dense=dense)
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
