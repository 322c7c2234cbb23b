"""The one door: every accepted form of y becomes MaskedLabels, or is refused."""

from .._typing import LabelsLike
from ._masked_labels import MaskedLabels
from ._read import read_labels, refuse_soft


def check_labels(
    y: LabelsLike,
    *,
    n_samples: int | None = None,
    n_labels: int | None = None,
    accept_soft: bool = False,
) -> MaskedLabels:
    """Return y, of any accepted form, as MaskedLabels.

    Parameters
    ----------
    y : MaskedLabels, array-like, data frame or sparse matrix
        Of shape (n_samples, n_labels). Dense: 1 positive, 0 negative, NaN, -1, None
        or pandas' NA unlabeled; masked entries of a ``numpy.ma`` array unlabeled.
        Names of the columns of a data frame, of pandas, polars or pyarrow, become
        `label_names`; columns 0 to n - 1 in order have none.
        Raw sparse, as scikit-learn reads it: stored 1 positive, not stored negative,
        stored NaN or -1 unlabeled. Each cell is judged alone.
    n_samples, n_labels : int, default=None
        Refuse another number of rows or labels.
    accept_soft : bool, default=False
        Whether y may be soft MaskedLabels: those of a builder with ``soft=True``.
        Everything but training refuses them.

    Returns
    -------
    MaskedLabels
        The same cells; `y` itself if it is one already.

    Raises
    ------
    ValueError
        If a cell holds another value (the first is named), y is not 2-D, a raw
        sparse matrix stores an explicit zero, one cell is stored twice, or y is soft
        and need not be.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import check_labels
    >>> check_labels([[1, None], [-1, 0]])
    MaskedLabels(2 x 2, 2 labeled cells: 1 positive, 1 negative)
    """
    labels = MaskedLabels._of(read_labels(y))
    if not accept_soft:
        refuse_soft(labels)
    for axis, expected, what in ((0, n_samples, "rows"), (1, n_labels, "labels")):
        if expected is not None and labels.shape[axis] != expected:
            raise ValueError(
                f"`y` must have {expected} {what}; got {labels.shape[axis]}."
            )
    return labels
