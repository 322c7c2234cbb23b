"""From labels to balanced parts: allocate rows, then improve by local search."""

import numpy as np
import scipy.sparse as sp

from ._allocate import allocate, allocate_largest_first
from ._indicators import group_indicators, row_indicators
from ._local_search import local_search, part_counts

# A squared deviation is weighed by its total to the power of minus this. At 0 every
# cell counts alike, at 1 it is the chi-squared statistic. Between the two, counts of a
# few cells are nearly ideal, and those of thousands not many cells off (measured).
_ROWS, _GROUPS = 0.4, 1.0


class Stratifier:
    """Divides rows, or whole groups of rows, into parts that balance every label."""

    def __init__(self, labels, groups=None):
        self._rows = row_indicators(labels)
        self._groups = groups
        if groups is not None:
            self._grouped = group_indicators(self._rows, groups)
        self.n_labels = labels.n_labels

    @property
    def n_items(self):
        """Number of what is kept whole: groups, or rows where there are none."""
        indicators = self._rows if self._groups is None else self._grouped
        return indicators.items.shape[0]

    def parts(self, sizes, shares, rng=None):
        """Return the part of each row."""
        if self._groups is not None:
            return self._group_parts(shares, rng)[self._groups]
        items = self._rows.items
        parts = allocate(items, sizes, rng)
        scaled, scale = _scaled(items, _ROWS)
        local_search(scaled, parts, shares, scale)
        return parts

    def _group_parts(self, shares, rng):
        items, _, sizes = self._grouped
        sizes = sp.csr_array(sizes[:, None].astype(float))
        scaled, scale = _scaled(sp.csr_array(sp.hstack([items, sizes])), _GROUPS)
        n_groups = scaled.shape[0]
        order = np.arange(n_groups) if rng is None else rng.permutation(n_groups)
        scaled = scaled[order]
        parts = allocate_largest_first(scaled, shares)
        local_search(scaled, parts, shares, scale, moves=True)
        return parts[np.argsort(order)]

    def counts(self, parts, n_parts):
        """Return the counts in parts, (n_parts, n_labels, 2): positives, negatives."""
        total = max(n_parts, int(parts.max(initial=0)) + 1)
        counts = part_counts(self._rows.items, parts, total)
        counts = self._rows.counts(counts, np.bincount(parts, minlength=total))
        return counts[:n_parts, :-1].reshape(n_parts, self.n_labels, 2)


def _scaled(items, power):
    """Return the items with their columns scaled by rarity, and the scale."""
    scale = np.maximum(items.sum(axis=0), 1) ** (-power / 2)
    data = items.data * scale[items.indices]
    return sp.csr_array((data, items.indices, items.indptr), shape=items.shape), scale
