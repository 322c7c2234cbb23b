"""Weights beside labels: judged, and joined into one weight a labeled cell."""

from typing import Any

import numpy as np

from .._typing import Weights
from .names import check_same_columns


def check_sample_weight(sample_weight: Weights, shape: Any) -> np.ndarray | None:
    """Return `sample_weight` as float64 of shape (n,) or (n, n_labels), or None.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), or None
        Weight of each row or cell.
    shape : (int, int) or MaskedLabels
        Shape of the labels; or the labels, whose names those of the columns of a
        data frame must be.

    Returns
    -------
    float64 array or None

    Raises
    ------
    ValueError
        If its shape or the name of a column is another, or a weight of a row is
        negative, NaN or infinite. Weights of cells are judged where a cell is
        labeled: see :func:`cell_weights`.

    Examples
    --------
    >>> from sklearn_masked.labels import check_sample_weight
    >>> check_sample_weight([1, 0.5, 0], (3, 8))
    array([1. , 0.5, 0. ])
    """
    if sample_weight is None:
        return None
    if hasattr(shape, "label_names"):
        check_same_columns(sample_weight, shape.label_names, "sample_weight", "`y`")
        shape = shape.shape
    weight = as_weights(sample_weight, "sample_weight")
    if weight.shape not in ((shape[0],), tuple(shape)):
        raise ValueError(
            f"`sample_weight` must have shape ({shape[0]},), a weight a row, or "
            f"{tuple(shape)}, a weight a cell; got {weight.shape}."
        )
    if weight.ndim == 1:
        refuse_bad_weight(weight, "sample_weight", lambda i: f"at sample {i}")
    return weight


def cell_weights(cells: Any, sample_weight: Weights, shape: Any) -> np.ndarray | None:
    """Return the effective weight of each labeled cell, or None if all are 1.

    Parameters
    ----------
    cells : Cells
        The labeled cells.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), or None
        Weight of each row or cell. What stands in unlabeled cells does not matter.
    shape : (int, int) or MaskedLabels
        As in :func:`check_sample_weight`.

    Returns
    -------
    float64 array of shape (n_cells,) or None
        Cell weight times sample weight. A cell of weight 0 is as good as unlabeled,
        which is for the caller to see to.

    Raises
    ------
    ValueError
        If a weight is negative, NaN or infinite, or the shape or a name is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedLabels
    >>> from sklearn_masked.labels import cell_weights
    >>> labels = MaskedLabels.from_dense([[1, np.nan], [0, 1]])
    >>> cell_weights(labels.cells(), [[2, np.nan], [0, 3]], labels.shape)
    array([2., 0., 3.])
    """
    weight = check_sample_weight(sample_weight, shape)
    if weight is None:
        return cells.weights
    if weight.ndim == 1:
        weight = weight[cells.rows]
    else:
        weight = weight[cells.rows, cells.cols]
        refuse_bad_weight(
            weight,
            "sample_weight",
            lambda i: f"at sample {cells.rows[i]}, label {cells.cols[i]}",
        )
    return weight if cells.weights is None else weight * cells.weights


def as_weights(weights, parameter):
    """Return weights of any shape as float64; a masked one becomes NaN."""
    found = "something that is no array of numbers"
    try:
        array = weights if np.ma.isMaskedArray(weights) else np.asarray(weights)
        if array.dtype.kind in "biufO":
            return np.ma.filled(array.astype(np.float64, copy=False), np.nan)
        found = f"an array of {array.dtype}"
    except (TypeError, ValueError):
        pass
    raise ValueError(f"`{parameter}` accepts finite numbers from 0; got {found}.")


def refuse_bad_weight(weights, parameter, where):
    """Raise for the first weight that is negative, NaN or infinite."""
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"`{parameter}` accepts finite numbers from 0; got {float(weights[i])} "
            f"{where(i)}."
        )
