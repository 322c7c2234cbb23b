"""Rows of whatever scikit-learn calls `X`."""

import scipy.sparse as sp


def count_rows(X):
    """Return the number of rows of X."""
    shape = getattr(X, "shape", None)
    return len(X) if not shape else shape[0]


def take_rows(X, rows):
    """Return some rows of an array, sparse matrix, data frame or list.

    `rows` is a slice or an integer array.
    """
    if sp.issparse(X) and X.format not in ("csr", "csc"):
        X = X.tocsr()  # coo and dia matrices have no rows to take
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names"):  # a table of pyarrow
        return X[rows] if isinstance(rows, slice) else X.take(rows)
    if hasattr(X, "shape") or isinstance(rows, slice):
        return X[rows]
    return [X[row] for row in rows]
