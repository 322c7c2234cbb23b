"""Weights of (feature, label) pairs, of which most pairs have none."""

import numpy as np
import scipy.sparse as sp

# So many weights, 32 MB, are kept as a dense table, whose products are the faster ones.
_TABLE = 1 << 23


class PairTable:
    """A sparse matrix of shape (n_features, n_labels), to multiply rows with.

    The features with the most pairs are kept as a dense table, all of them where there
    is room, and the others as a CSR.
    """

    def __init__(self, part, n_features, n_labels):
        weight = part.array("pair_weight", (None,))
        label = part.positions("pair_label", (len(weight),), n_labels)
        starts = part.starts("pair_starts", n_features, len(weight))
        table = sp.csr_array((weight, label, starts), shape=(n_features, n_labels))
        order = np.argsort(-np.diff(starts), kind="stable")
        # In the order of the features, rows that are used together stand together.
        many = np.sort(order[: _TABLE // max(n_labels, 1)])
        self.place = np.full(n_features, -1, np.int32)
        self.place[many] = np.arange(len(many), dtype=np.int32)
        self.dense = table[many].toarray()
        self.rest = table if len(many) < n_features else None

    def times(self, X):
        """Return the product of a CSR of rows with the matrix, an array."""
        if self.rest is None:
            return X @ self.dense
        place = self.place[X.indices]
        is_dense = place >= 0
        rows = _entries(X, is_dense, place, len(self.dense))
        product = rows @ self.dense
        rows = _entries(X, ~is_dense, X.indices, X.shape[1])
        product += (rows @ self.rest).toarray()
        return product


def _entries(X, kept, columns, n_columns):
    """Return the entries of a CSR that are kept, in these columns."""
    indptr = np.append(0, np.cumsum(kept))[X.indptr]
    parts = X.data[kept], columns[kept], indptr
    return sp.csr_array(parts, shape=(X.shape[0], n_columns))
