"""Digests of rows, by which equal rows are found without comparing all pairs."""

import numpy as np
import scipy.sparse as sp

# Copies are kept in one fold unless rows have more than this many of them on average:
# few distinct rows are categories rather than copies, and most folds would lack them.
_MOST_COPIES = 10
# Numbers of an array that are looked at in one go.
_NUMBERS = 1 << 20


def row_digests(X):
    """Return a 64-bit digest of each row: equal rows have equal digests.

    Parameters
    ----------
    X : CSR matrix in canonical form or array of shape (n_samples, n_features)
        float32.

    Returns
    -------
    uint64 array of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.nn.sdca._row_digests import row_digests
    >>> one, other, again = row_digests(np.float32([[1, 0], [0, 1], [1, -0.0]]))
    >>> bool(one == again), bool(one == other)
    (True, False)
    """
    if sp.issparse(X):
        # Sums of uint64 wrap around, so that differences of cumulative sums are exact.
        total = np.append(np.uint64(0), np.cumsum(_mixed(X.indices, X.data)))
        return total[X.indptr[1:]] - total[X.indptr[:-1]]
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
    step = len(order) if sp.issparse(X) else max(_NUMBERS // max(X.shape[1], 1), 1)
    parts = [
        row_digests(X[order[i : i + step]]) for i in range(0, len(order), step or 1)
    ]
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
