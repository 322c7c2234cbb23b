"""The best cells of a stream of blocks: as many as any choice among them can need."""

from typing import NamedTuple

import numpy as np

from ._random import cell_keys

# Cells that may wait before the pool is cut back to its size.
_SLACK = 1 << 16


class Candidates(NamedTuple):
    """Cells in parallel arrays."""

    rows: np.ndarray
    cols: np.ndarray
    utility: np.ndarray
    proba: np.ndarray
    keys: np.ndarray  # decide between cells of equal utility

    def take(self, which):
        """Return some of the cells."""
        return Candidates(*(part[which] for part in self))


class Pool:
    """Keep the cells of most utility: `size` of each label, or `size` in all.

    `per_row` cells of a row at most, where `size` is in all: no others could be
    chosen. What is kept does not depend on how the rows are cut into blocks.
    """

    def __init__(self, strategy, size, *, by_label, per_row, n_labels, seed):
        self.strategy = strategy
        self.size, self.by_label, self.per_row = size, by_label, per_row
        self.n_labels, self.seed = n_labels, seed
        self.least = np.full(n_labels if by_label else 1, -np.inf)
        self.last_key = np.full(len(self.least), np.iinfo(np.uint64).max)
        self.kept = []
        self.n_kept = 0

    def add(self, start, proba, free):
        """Look at a block of rows; `free` is True where a cell may be asked for."""
        utility = self.strategy.utility(proba)
        rows, cols = np.nonzero(free & (utility >= self.least.astype(utility.dtype)))
        if not len(rows):
            return
        utility = utility[rows, cols].astype(np.float64)
        proba = proba[rows, cols].astype(np.float64)
        keys = cell_keys(rows + start, cols, self.n_labels, self.seed)
        found = Candidates(rows + start, cols, utility, proba, keys)
        found = found.take(self._not_behind(found))
        if self.per_row is not None and not self.by_label:
            order, place = ranked(found, found.rows)
            found = found.take(order[place < self.per_row])
        self.kept.append(found)
        self.n_kept += len(found.rows)
        if self.n_kept > 2 * self.size * len(self.least) + _SLACK:
            self._cut()

    def finish(self):
        """Return the kept cells, the best first, by label where they are kept so."""
        if not self.kept:
            none = np.empty(0, np.intp)
            return Candidates(none, none, none * 1.0, none * 1.0, none)
        self._cut()
        return self.kept[0]

    def _not_behind(self, found):
        """Return where cells as good as the last one kept come before it by chance.

        In a label whose cells are all alike, all of them would wait otherwise.
        """
        group = found.cols if self.by_label else 0
        better = found.utility > self.least[group]
        return better | (found.keys <= self.last_key[group])

    def _cut(self):
        found = Candidates(*map(np.concatenate, zip(*self.kept, strict=True)))
        groups = found.cols if self.by_label else np.zeros_like(found.cols)
        order, place = ranked(found, groups)
        found = found.take(order[place < self.size])
        full = place[place < self.size] == self.size - 1
        group = groups[order[place == self.size - 1]]
        self.least[group], self.last_key[group] = found.utility[full], found.keys[full]
        self.kept, self.n_kept = [found], len(found.rows)


def ranked(cells, groups):
    """Return an order by group and utility, and the place of each in its group."""
    order = np.lexsort((cells.keys, -cells.utility, groups))
    ordered = groups[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sizes = np.diff(np.append(first, len(ordered)))
    return order, np.arange(len(ordered)) - np.repeat(first, sizes)
