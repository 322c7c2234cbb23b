"""How many labels are wrong: confident learning, a label at a time, on its cells."""

from typing import NamedTuple

import numpy as np


class Noise(NamedTuple):
    """What the labeled cells of each label say, arrays of shape (n_labels, ...).

    `joint[j, given, true]` is the estimated weight of the cells of label j that were
    given one value and truly have the other or the same; `usual[j, value]` is the mean
    probability of a value over the cells that were given it, and `given[j, value]` the
    weight of these cells.
    """

    joint: np.ndarray
    usual: np.ndarray
    given: np.ndarray


def estimate_noise(cols, given, proba, weights, n_labels):
    """Estimate the joint weights of given and true values of each label.

    Parameters
    ----------
    cols, given : int arrays of shape (n_cells,)
        The label and the value, 0 or 1, of each cell.
    proba : float64 array of shape (n_cells,)
        Out-of-fold probability of a positive.
    weights : float64 array of shape (n_cells,) or None
        Weight of each cell.
    n_labels : int
        Number of labels.

    Returns
    -------
    Noise
    """
    weights = np.ones(len(cols)) if weights is None else weights
    kinds = 2 * cols + given
    total = _sums(kinds, weights, 2 * n_labels).reshape(n_labels, 2)
    self_confidence = np.where(given == 1, proba, 1 - proba)
    usual = _sums(kinds, weights * self_confidence, 2 * n_labels).reshape(n_labels, 2)
    usual = np.divide(usual, total, out=np.full_like(usual, np.nan), where=total > 0)
    # A label that has cells of one value only has no limit for the other: never true.
    # A mean of equal numbers may be larger than these by rounding.
    limits = np.where(np.isnan(usual), np.inf, usual - 1e-12)[cols]
    negative, positive = 1 - proba >= limits[:, 0], proba >= limits[:, 1]
    true = np.where(negative & positive, proba > 0.5, positive).astype(np.intp)
    sure = negative | positive
    at = (2 * kinds + true)[sure]
    counts = _sums(at, weights[sure], 4 * n_labels).reshape(n_labels, 2, 2)
    found = counts.sum(axis=2, keepdims=True)
    shares = np.where(found > 0, counts / np.where(found > 0, found, 1), np.eye(2))
    return Noise(shares * total[:, :, None], usual, total)


def _sums(at, weights, size):
    # Of no cells numpy returns integers, whatever the weights.
    return np.bincount(at, weights=weights, minlength=size).astype(np.float64)
