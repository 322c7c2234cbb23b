"""One-dimensional y: two values, as any scikit-learn binary classifier takes them."""

import numpy as np
from numpy.typing import ArrayLike

from ._dense import as_array
from ._masked_labels import MaskedLabels
from ._values import missing_entries, refuse_names


def check_binary_labels(y: ArrayLike) -> tuple[MaskedLabels, np.ndarray]:
    """Return a 1-D y as one column of MaskedLabels, and its classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Two values at most; the larger one is positive. NaN, None, pandas' NA and
        masked entries are unlabeled. -1 is a class here, as everywhere in
        scikit-learn.

    Returns
    -------
    labels : MaskedLabels of shape (n_samples, 1)
        The labeled entries. A single value is positive if it equals 1.
    classes : array of at most 2 values
        Those that occur, sorted.

    Raises
    ------
    ValueError
        If y is not 1-D or has three values, or has -1 beside 0 (which of the two is
        unlabeled would be a guess).

    Examples
    --------
    >>> from sklearn_masked.labels import check_binary_labels
    >>> labels, classes = check_binary_labels(["ham", None, "spam"])
    >>> labels, classes.tolist()
    (MaskedLabels(3 x 1, 2 labeled cells: 1 positive, 1 negative), ['ham', 'spam'])
    """
    refuse_names(y)
    hidden = np.ma.getmaskarray(y) if np.ma.isMaskedArray(y) else None
    values = np.ma.getdata(y) if hidden is not None else as_array(y)
    if values.ndim != 1:
        raise ValueError(f"1-D `y` expected, (n_samples,); got shape {values.shape}.")
    known = np.ones(len(values), bool) if hidden is None else ~hidden
    if values.dtype == object or values.dtype.kind not in "biufUSmM":
        values = values.astype(object)
        known &= ~missing_entries(values)
    elif values.dtype.kind in "fmM":
        known &= values == values
    classes, codes = _classes(values[known])
    if len(classes) == 1:
        codes = np.full(len(codes), classes[0] == 1)
    indptr = np.append(0, np.cumsum(known))
    cols = np.zeros(len(codes), dtype=np.int32)
    return MaskedLabels(indptr, cols, codes, (len(values), 1)), classes


def _classes(values):
    try:
        classes, codes = np.unique(values, return_inverse=True)
    except TypeError:
        raise ValueError(
            "`y` accepts two values of one kind in one dimension; got a mix of "
            f"{sorted({type(value).__name__ for value in values})}."
        ) from None
    if classes.dtype == object and all(
        isinstance(value, bool | int | float) for value in classes
    ):
        classes = np.array(classes.tolist())
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
            "unlabeled, pass y[:, None]; for one label a class, pass a 2-D `y`."
        )
    if classes.dtype.kind in "if" and tuple(classes) == (-1, 0):
        raise ValueError(
            "Only binary classification is supported, and 1-D `y` holds -1 and 0: "
            "classes, or unlabeled entries beside negatives. If -1 means unlabeled, "
            "pass y[:, None]; if it is a class, name the two in other words."
        )
    return classes, codes
