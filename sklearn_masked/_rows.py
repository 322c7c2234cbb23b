"""Rows of whatever scikit-learn calls `X`."""

import scipy.sparse as sp


def count_rows(X):
    """Return the number of rows of X."""
    shape = getattr(X, "shape", None)
    return len(X) if not shape else shape[0]


def take_rows(X, rows):
    """Return the rows at a slice or integer array, of anything that has rows."""
    if sp.issparse(X) and X.format not in ("csr", "csc"):
        X = X.tocsr()  # coo and dia matrices have no rows to take
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names"):  # a table of pyarrow
        return X[rows] if isinstance(rows, slice) else X.take(rows)
    if hasattr(X, "shape") or isinstance(rows, slice):
        return X[rows]
    return [X[row] for row in rows]


def has_rows(value, n_rows):
    """Tell whether an argument of `fit` has an entry for each of the rows of X."""
    if isinstance(value, str | bytes | dict):
        return False
    shape = getattr(value, "shape", None)
    if not shape and (shape == () or not hasattr(value, "__len__")):
        return False
    return count_rows(value) == n_rows


def take_params(params, rows, n_rows):
    """Return arguments of `fit`, cut to some rows where they have all rows of X."""
    return {
        name: take_rows(value, rows) if has_rows(value, n_rows) else value
        for name, value in params.items()
    }
