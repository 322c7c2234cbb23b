"""From labels to what is balanced: a 0/1 column for each (label, value)."""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp


class Indicators(NamedTuple):
    """Return the contribution of each row, or group, to the counts to be balanced.

    Columns 2j and 2j + 1 say whether label j is positive and whether it is negative,
    the last one whether a row has no labeled cell. A column that is 1 in more than
    half of the rows is stored as its complement, which is balanced when it is: so
    labels cost the same however they are stored, and a long tail of negatives costs
    nothing.
    """

    items: sp.csr_array  # (n_items, 2 * n_labels + 1), float64
    complement: np.ndarray  # bool, of shape (2 * n_labels + 1,)
    sizes: np.ndarray  # rows of each item

    def counts(self, counts, sizes):
        """Return the true counts of parts of these sizes from those of the columns."""
        return np.where(self.complement, sizes[:, None] - counts, counts)


def row_indicators(labels):
    """Return the indicators of each row of MaskedLabels."""
    n_samples, n_labels = labels.shape
    often = np.stack([labels.n_positive, labels.n_negative]) * 2 > n_samples
    empty = _empty_rows(labels)
    complement = np.append(often.T.ravel(), 2 * len(empty) > n_samples)
    if labels.fill == "unlabeled" and not complement.any():
        indptr, columns = _as_stored(labels, empty)
    else:
        indptr, columns = _with_complements(labels, empty, often)
    items = sp.csr_array(
        (np.ones(len(columns)), columns, indptr), shape=(n_samples, 2 * n_labels + 1)
    )
    return Indicators(items, complement, np.ones(n_samples, dtype=np.int64))


def _empty_rows(labels):
    """Return the rows without a labeled cell."""
    if labels.fill == "unlabeled":
        return np.flatnonzero(np.diff(labels.indptr) == 0)
    unlabeled = np.append(0, np.cumsum(labels.values < 0))[labels.indptr]
    return np.flatnonzero(np.diff(unlabeled) == labels.n_labels)


def _as_stored(labels, empty):
    """Return sorted CSR indicators of the stored cells, as row pointers and columns."""
    columns = 2 * labels.indices + (labels.values == 0)
    if not len(empty):
        return labels.indptr, columns
    columns = np.insert(columns, labels.indptr[empty], 2 * labels.n_labels)
    more = np.zeros(len(labels) + 1, dtype=np.int64)
    more[empty + 1] = 1
    return labels.indptr + np.cumsum(more), columns


def _with_complements(labels, empty, often):
    """Return the indicators where some columns are stored as their complement."""
    n_samples, n_labels = labels.shape
    rows = np.repeat(np.arange(n_samples), np.diff(labels.indptr))
    cols, is_positive = labels.indices.astype(np.int64), labels.values == 1
    positive = _flip(rows[is_positive], cols[is_positive], often[0], n_samples)
    if labels.fill == "negative":  # every stored cell is one that is not negative
        negative = _flip(rows, cols, ~often[1], n_samples)
    else:
        negative = _flip(rows[~is_positive], cols[~is_positive], often[1], n_samples)
    mostly_empty = np.array([2 * len(empty) > n_samples])
    empty, _ = _flip(empty, np.zeros_like(empty), mostly_empty, n_samples)
    rows = np.concatenate([positive[0], negative[0], empty])
    columns = np.concatenate(
        [2 * positive[1], 2 * negative[1] + 1, np.full(len(empty), 2 * n_labels)]
    )
    order = np.argsort(rows * (2 * n_labels + 1) + columns)
    indptr = np.append(0, np.cumsum(np.bincount(rows, minlength=n_samples)))
    return indptr, columns[order]


def group_indicators(indicators, groups):
    """Return the indicators of each group; `groups` are positions from 0."""
    n_samples = len(groups)
    belongs = sp.csr_array((np.ones(n_samples), (groups, np.arange(n_samples))))
    items = sp.csr_array(belongs @ indicators.items)
    items.sort_indices()
    return indicators._replace(items=items, sizes=np.bincount(groups))


def _flip(rows, cols, flipped, n_samples):
    """Return the entries of a 0/1 matrix after taking the complement of columns.

    The dense array has at most about twice as many cells as entries go in or out.
    """
    if not flipped.any():
        return rows, cols
    inside = flipped[cols]
    position = np.cumsum(flipped) - 1
    absent = np.ones((n_samples, int(flipped.sum())), dtype=bool)
    absent[rows[inside], position[cols[inside]]] = False
    new_rows, new_cols = np.nonzero(absent)
    new_cols = np.flatnonzero(flipped)[new_cols]
    return (
        np.concatenate([rows[~inside], new_rows]),
        np.concatenate([cols[~inside], new_cols]),
    )
