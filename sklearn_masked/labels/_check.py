"""The one door: every accepted form of y becomes MaskedLabels, or is refused."""

import numpy as np
import scipy.sparse as sp

from ._dense import read_dense
from ._merge import stack
from ._row import LabelRow
from ._sparse import read_sparse
from ._store import MaskedLabels
from ._values import refuse_names


def check_labels(y, *, n_samples=None, n_labels=None, accept_soft=False):
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
    labels = _read(y)
    if labels.soft and not accept_soft:
        raise ValueError(
            "Hard labels, 1 or 0 per cell, are needed here; got soft MaskedLabels, "
            "which are for training alone. Evaluate on labels that somebody confirmed, "
            "or pass `labels.hard(threshold=0.5)`."
        )
    for axis, expected, what in ((0, n_samples, "rows"), (1, n_labels, "labels")):
        if expected is not None and labels.shape[axis] != expected:
            raise ValueError(
                f"`y` must have {expected} {what}; got {labels.shape[axis]}."
            )
    return labels


def _read(y):
    if isinstance(y, MaskedLabels):
        return y
    if isinstance(y, LabelRow):
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels); got one row of MaskedLabels. "
            "Take it as `labels[[i]]`."
        )
    if sp.issparse(y):
        return read_sparse(y, implicit=None)
    if _are_rows(y):
        return _join_rows(y)
    refuse_names(y)
    return read_dense(y)


def _are_rows(y):
    """Return whether y is a sequence of rows of MaskedLabels."""
    if isinstance(y, np.ndarray):
        if y.dtype != object or y.ndim != 1:
            return False
    elif not isinstance(y, list | tuple):
        return False
    of_labels = [isinstance(row, LabelRow) for row in y]
    if any(of_labels) and not all(of_labels):
        raise ValueError(
            "`y` mixes rows of MaskedLabels with something else; pass MaskedLabels."
        )
    return any(of_labels)


def _join_rows(rows):
    """Return the labels that these rows are rows of, which may be several."""
    sources = {id(row.labels): row.labels for row in rows}
    starts = np.cumsum([0, *(len(labels) for labels in sources.values())]).tolist()
    offset = dict(zip(sources, starts, strict=False))
    labels = stack(list(sources.values()))
    return labels[[offset[id(row.labels)] + row.position for row in rows]]
