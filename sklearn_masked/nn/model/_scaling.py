"""How columns are scaled before any label is seen: by rarity, or by their spread."""

import numpy as np
import scipy.sparse as sp

from .._sparse import count_numbers

# Numbers of a dense X that are looked at in one go.
_BLOCK = 1 << 20
# A column that varies by less than float32 can tell apart is taken as constant.
_CONSTANT = 1e-7
_LARGEST = float(np.finfo(np.float32).max)


def feature_scales(X, center=True):
    """Return the scales of X's columns: of a CSR by rarity, of an array by spread."""
    if sp.issparse(X):
        return RarityScales(X)
    return SpreadScales(X, center)


class RarityScales:
    """Scales of a CSR's columns: powers of their inverse document frequency.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        All rows.
    """

    shift = std = None

    def __init__(self, X):
        self.n_rows = max(X.shape[0], 1)
        self.df = document_frequency(X)
        self.idf = inverse_document_frequency(self.df, X.shape[0])
        self.squares = count_numbers(X.indices, X.shape[1], X.data)

    def scale(self, power):
        """Return the factor of each column, float32, where idf counts so much.

        One number for all of them gives rows the length 1 in the quadratic mean.
        """
        return _unit_rows(self.idf**power, self.squares, self.n_rows)


class SpreadScales:
    """Scales of an array's columns: centered, and powers of one over their spread.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        All rows.
    center : bool, default=True
        False, or rows that are all the same, leave the columns as they are.

    Attributes
    ----------
    shift, std : float64 arrays of shape (n_features,), or None
        Mean and standard deviation of each column. A constant one, which has none of
        its own, takes the quadratic mean of the others.
    """

    def __init__(self, X, center=True):
        self.n_rows = max(X.shape[0], 1)
        self.shift = self.std = None
        if center:
            self.shift, self.std, varies = _mean_and_std(X)
        if self.std is None:
            self.squares = _total(X, np.square)
        else:
            self.squares = np.where(varies, self.std, 0) ** 2

    def scale(self, power):
        """Return the factor of each column, float32, with so much of 1 / spread.

        One number for all of them gives rows the length 1 in the quadratic mean.
        """
        if self.std is None:
            return _unit_rows(np.ones(len(self.squares)), self.squares, self.n_rows)
        return _unit_rows((self.std.min() / self.std) ** power, self.squares, 1)


def document_frequency(X):
    """Return in how many rows each column of a CSR matrix occurs."""
    return count_numbers(X.indices, X.shape[1])


def inverse_document_frequency(df, n_rows):
    """Return ``ln(n_rows / (df + 1)) + 1`` of each column, at least 0.1."""
    return np.maximum(np.log(max(n_rows, 1) / (df + 1.0)) + 1, 0.1)


def row_blocks(X):
    """Yield the rows of an array in slices of about a million numbers."""
    step = max(_BLOCK // max(X.shape[1], 1), 1)
    for start in range(0, X.shape[0], step):
        yield X[start : start + step]


def _total(X, of_block):
    """Return the sum over the rows of a function of them, in float64."""
    total = np.zeros(X.shape[1])
    for rows in row_blocks(X):
        total += of_block(rows.astype(np.float64)).sum(axis=0)
    return total


def _mean_and_std(X):
    """Return both of each column, and which vary; None twice where none does."""
    n = max(X.shape[0], 1)
    mean = _total(X, lambda rows: rows) / n
    std = np.sqrt(_total(X, lambda rows: np.square(rows - mean)) / n)
    varies = std > _CONSTANT * np.abs(mean)
    if not varies.any():
        return None, None, varies
    usual = np.sqrt(np.square(std[varies]).mean())
    return mean, np.where(varies, std, usual), varies


def _unit_rows(scale, squares, n_rows):
    scale = scale / scale.max(initial=0) if scale.any() else scale
    mean = float((squares * scale**2).sum()) / n_rows
    scale = scale / np.sqrt(mean) if mean > 0 else scale
    return np.minimum(scale, _LARGEST).astype(np.float32)
