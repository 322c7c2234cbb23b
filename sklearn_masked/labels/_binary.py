"""One-dimensional y, and the weights that come beside y."""

import numpy as np

from ._check import from_sorted_cells, missing_entries


def check_binary_labels(y):
    """Return a 1-D y as one column of MaskedLabels, and its classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Two values at most; the larger one is positive. NaN, None, pandas' NA and
        masked entries are unlabelled. -1 is a class here, as everywhere in
        scikit-learn.

    Returns
    -------
    labels : MaskedLabels of shape (n_samples, 1)
        The labelled entries. A single value is positive if it equals 1.
    classes : array of at most 2 values
        Those that occur, sorted.

    Raises
    ------
    ValueError
        If y is not 1-D or has three values, or has -1 beside 0 (which of the two is
        unlabelled would be a guess).

    Examples
    --------
    >>> from sklearn_masked.labels import check_binary_labels
    >>> labels, classes = check_binary_labels(["ham", None, "spam"])
    >>> labels, classes.tolist()
    (MaskedLabels(3 x 1, 2 labelled cells: 1 positive, 1 negative), ['ham', 'spam'])
    """
    hidden = np.ma.getmaskarray(y) if np.ma.isMaskedArray(y) else None
    values = np.ma.getdata(y) if hidden is not None else np.asarray(y)
    if values.ndim != 1:
        raise ValueError(f"1-D `y` expected, (n_samples,); got shape {values.shape}.")
    if values.dtype.kind == "c":
        raise ValueError("Complex data not supported: `y` accepts two values.")
    known = np.ones(len(values), bool) if hidden is None else ~hidden
    if values.dtype == object or values.dtype.kind not in "biufUSmM":
        values = values.astype(object)
        known &= ~missing_entries(values)
    elif values.dtype.kind == "f":
        known &= ~np.isnan(values)
    classes, codes = _classes(values[known])
    if len(classes) == 1:
        codes = np.full(len(codes), classes[0] == 1)
    rows = np.flatnonzero(known)
    cols = np.zeros(len(rows), np.intp)
    shape = (len(values), 1)
    return from_sorted_cells(rows, cols, codes, shape, None, None), classes


def _classes(values):
    try:
        classes, codes = np.unique(values, return_inverse=True)
    except TypeError:
        raise ValueError(
            "`y` accepts two values of one kind in one dimension; got a mix of "
            f"{sorted({type(value).__name__ for value in values})}."
        ) from None
    numeric = classes.dtype.kind in "biuf"
    if classes.dtype.kind == "f" and len(classes) > 2:
        if np.isinf(classes).any() or (classes != np.round(classes)).any():
            raise ValueError(
                "Unknown label type: continuous. `y` accepts two values in one "
                f"dimension; got {len(classes)}."
            )
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. 1-D `y` accepts two classes; got "
            f"{len(classes)}, beginning with {classes[:3].tolist()}. If -1 means "
            "unlabelled, pass y[:, None]; for one label a class, pass a 2-D `y`."
        )
    if numeric and len(classes) == 2 and tuple(classes) == (-1, 0):
        raise ValueError(
            "Only binary classification is supported, and 1-D `y` holds -1 and 0: "
            "classes, or unlabelled entries beside negatives. If -1 means unlabelled, "
            "pass y[:, None]; if it is a class, name the two in other words."
        )
    if classes.dtype == object and all(
        isinstance(value, bool | int | float) for value in classes
    ):
        classes = np.array(classes.tolist())
    return classes, codes


def check_sample_weight(sample_weight, shape):
    """Return `sample_weight` as float64 of shape (n,) or (n, n_labels), or None.

    Raises
    ------
    ValueError
        If its shape is another, or a weight of a row is negative, NaN or infinite.
        Weights of cells are judged where a cell is labelled: see
        :func:`cell_weights`.
    """
    if sample_weight is None:
        return None
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape not in ((shape[0],), tuple(shape)):
        raise ValueError(
            f"`sample_weight` must have shape ({shape[0]},), a weight a row, or "
            f"{tuple(shape)}, a weight a cell; got {weight.shape}."
        )
    if weight.ndim == 1:
        bad = ~(np.isfinite(weight) & (weight >= 0))
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(
                "`sample_weight` accepts finite numbers from 0; got "
                f"{float(weight[i])} at sample {i}."
            )
    return weight


def cell_weights(cells, sample_weight, shape):
    """Return the effective weight of each labelled cell, or None if all are 1.

    Parameters
    ----------
    cells : Cells
        The labelled cells.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), or None
        Weight of each row or cell. What stands in unlabelled cells does not matter.
    shape : (int, int)
        Shape of the labels.

    Returns
    -------
    float64 array of shape (n_cells,) or None
        Cell weight times sample weight.

    Raises
    ------
    ValueError
        If a weight is negative, NaN or infinite, or the shape is wrong.
    """
    weight = check_sample_weight(sample_weight, shape)
    if weight is None:
        return cells.weights
    if weight.ndim == 1:
        weight = weight[cells.rows]
    else:
        weight = weight[cells.rows, cells.cols]
        bad = ~(np.isfinite(weight) & (weight >= 0))
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(
                "`sample_weight` accepts finite numbers from 0; got "
                f"{float(weight[i])} at sample {cells.rows[i]}, label {cells.cols[i]}."
            )
    return weight if cells.weights is None else weight * cells.weights
