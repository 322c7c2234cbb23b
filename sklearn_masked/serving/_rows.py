"""Rows as they are given: texts, arrays and sparse matrices."""

import numpy as np
import scipy.sparse as sp

FLOATS = np.float64, np.float32


def read_texts(X):
    """Return texts as something that slices of can be taken."""
    if isinstance(X, str | bytes):
        raise ValueError(
            "`X` accepts a list of texts; got a single text, of type "
            f"{type(X).__name__}: pass [text]."
        )
    if len(getattr(X, "shape", (0,))) != 1:
        raise ValueError(
            "`X` accepts a list of texts, which the model was fitted on; got the "
            f"shape {tuple(X.shape)}. Of a data frame pass one column, frame['text']."
        )
    return X if isinstance(X, list | tuple | np.ndarray) else list(X)


def read_numbers(X, n_features):
    """Return a table as an array of two dimensions or a CSR."""
    if sp.issparse(X):
        X = as_csr(X)
    else:
        X = np.asarray(X)
        if isinstance(next(iter(X.flat), None), str):
            raise ValueError(
                f"`X` accepts rows of the {n_features} numbers that the model was "
                "fitted on; got texts. To serve texts, export the pipeline with its "
                "vectorizer."
            )
        if X.dtype.kind not in "fiub":
            X = X.astype(np.float64)
    if X.ndim != 2 or X.shape[1] != n_features:
        raise ValueError(
            f"`X` accepts rows of the {n_features} features that the model was fitted "
            f"on, of shape (n_samples, {n_features}); got the shape {X.shape}."
        )
    return X


def as_csr(X):
    """Return a CSR array, of a copy at most where X is no CSR."""
    return sp.csr_array(X)


def as_floats(X):
    """Return an array or a sparse matrix in the floats that it has, or in float64."""
    return X if X.dtype in FLOATS else X.astype(np.float64)


def canonical(X):
    """Return a CSR with each number stored once, in order, and zeros not at all."""
    if X.has_canonical_format and X.data.all():
        return X
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def refuse_infinite(X):
    """Raise ValueError unless all numbers of an array or a CSR are finite."""
    data = X.data if sp.issparse(X) else X
    # A sum is finite unless a number is not, or the sum is too large for its type.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(data.sum()):
            return
    wrong = np.flatnonzero(~np.isfinite(data).ravel())
    if len(wrong):
        raise ValueError(
            f"`X` accepts finite numbers; got {data.ravel()[wrong[0]]} among them. "
            "Numbers beyond the range of float32 count as infinite."
        )
