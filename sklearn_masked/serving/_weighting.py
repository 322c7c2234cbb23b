"""Weights of counted words, and rows of length 1."""

import numpy as np
import scipy.sparse as sp

from ._rows import FLOATS, as_csr, as_floats


class Weighting:
    """What scikit-learn's TfidfTransformer does to counts."""

    def __init__(self, part, n_features):
        self.norm = part.setting("norm", str, type(None), among=(None, "l1", "l2"))
        self.sublinear_tf = part.setting("sublinear_tf", bool)
        self.idf = part.array("idf", (n_features,), "<f8", default=None)

    def transform(self, counts):
        """Return a CSR of counts, which changes, weighted."""
        if self.sublinear_tf:
            counts.data = np.log(counts.data) + counts.dtype.type(1)
        if self.idf is not None:
            counts.data *= self.idf[counts.indices]
        return normalize(counts, self.norm)


class TfidfTransformer:
    """TF-IDF of counts, as scikit-learn's TfidfTransformer computes it."""

    takes = "numbers"

    def __init__(self, part):
        self.n_in = self.n_out = part.setting("n_features", int)
        self.weighting = Weighting(part, self.n_in)

    def transform(self, X):
        """Return weighted counts, a CSR array."""
        X = as_csr(X)
        dtype = X.dtype if X.dtype in FLOATS else np.float64
        return self.weighting.transform(X.astype(dtype, copy=True))


class Normalizer:
    """Rows divided by their norm, as scikit-learn's Normalizer does it."""

    takes = "numbers"

    def __init__(self, part):
        self.n_in = self.n_out = part.setting("n_features", int)
        self.norm = part.setting("norm", str, among=("l1", "l2", "max"))

    def transform(self, X):
        """Return rows of norm 1."""
        X = as_floats(X)
        if sp.issparse(X):
            return normalize(as_csr(X).copy(), self.norm)
        size = np.abs(X)
        norms = {
            "l1": lambda: size.sum(axis=1),
            "l2": lambda: np.sqrt(np.square(X).sum(axis=1)),
            "max": lambda: size.max(axis=1, initial=0),
        }[self.norm]()
        return X / np.where(norms > 0, norms, 1)[:, None]


def normalize(X, norm):
    """Divide the rows of a CSR, in place, by their norm; rows of zeros stay so."""
    if norm is None:
        return X
    lengths = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), lengths)
    if norm == "max":
        norms = np.zeros(X.shape[0])
        np.maximum.at(norms, rows, np.abs(X.data))
    else:
        size = np.abs(X.data) if norm == "l1" else np.square(X.data, dtype=np.float64)
        norms = np.bincount(rows, size, minlength=X.shape[0])
    if norm == "l2":
        norms = np.sqrt(norms)
    X.data /= np.where(norms > 0, norms, 1)[rows]
    return X
