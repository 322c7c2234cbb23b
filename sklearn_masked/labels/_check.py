"""The one door: every accepted form of y becomes MaskedLabels, or is refused."""

import sys

import numpy as np
import scipy.sparse as sp

from ._store import (
    UNLABELED,
    LabelRow,
    MaskedLabels,
    checked_names,
    is_missing_number,
)

_ACCEPTED = "`y` accepts 1, 0, and NaN, -1 or None in unlabelled cells"
# Cells that are looked at in one go.
_BLOCK = 1 << 22


def check_labels(y, *, n_samples=None, n_labels=None):
    """Return y, of any accepted form, as MaskedLabels.

    Parameters
    ----------
    y : MaskedLabels, array-like, DataFrame or sparse matrix
        Of shape (n_samples, n_labels). Dense: 1 positive, 0 negative, NaN, -1, None
        or pandas' NA unlabelled; masked entries of a ``numpy.ma`` array unlabelled.
        Raw sparse, as scikit-learn reads it: stored 1 positive, not stored negative,
        stored NaN or -1 unlabelled. Each cell is judged alone.
    n_samples, n_labels : int, default=None
        Refuse another number of rows or labels.

    Returns
    -------
    MaskedLabels
        The same cells; `y` itself if it is one already.

    Raises
    ------
    ValueError
        If a cell holds another value (the first is named), y is not 2-D, a raw
        sparse matrix stores an explicit zero, or one cell is stored twice.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import check_labels
    >>> check_labels([[1, None], [-1, 0]])
    MaskedLabels(2 x 2, 2 labelled cells: 1 positive, 1 negative)
    """
    labels = _read(y)
    for axis, expected, what in ((0, n_samples, "rows"), (1, n_labels, "labels")):
        if expected is not None and labels.shape[axis] != expected:
            raise ValueError(
                f"`y` must have {expected} {what}; got {labels.shape[axis]}."
            )
    return labels


def _read(y):
    if isinstance(y, MaskedLabels):
        return y
    if sp.issparse(y):
        return read_sparse(y, implicit=None)
    if hasattr(y, "columns") and hasattr(y, "to_numpy"):
        return read_dense(frame_values(y), label_names=frame_names(y))
    rows = _row_views(y)
    return read_dense(y) if rows is None else rows


def _row_views(y):
    """Return the labels that a sequence of row views came from, or None."""
    if isinstance(y, LabelRow):
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels); got one row of MaskedLabels. "
            "Take it as `labels[[i]]`."
        )
    if isinstance(y, np.ndarray):
        is_rows = y.dtype == object and y.ndim == 1
    else:
        is_rows = isinstance(y, list | tuple)
    if not is_rows or not len(y) or not isinstance(y[0], LabelRow):
        return None
    if not all(isinstance(row, LabelRow) for row in y):
        raise ValueError(
            "`y` mixes rows of MaskedLabels with something else; pass MaskedLabels."
        )
    parents = {id(row.labels): row.labels for row in y}
    if len(parents) > 1:
        first = y[0].labels
        if any(p.shape[1] != first.shape[1] for p in parents.values()):
            raise ValueError("`y` mixes rows of MaskedLabels of unequal widths.")
        from ._records import stack

        starts = np.cumsum([0, *(len(p) for p in parents.values())])
        offset = dict(zip(parents, starts.tolist(), strict=False))
        return stack(list(parents.values()))[
            [offset[id(row.labels)] + row.position for row in y]
        ]
    return y[0].labels[[row.position for row in y]]


def frame_names(frame):
    """Return a data frame's column names if they are strings, else None."""
    names = list(frame.columns)
    return names if names and all(isinstance(name, str) for name in names) else None


def frame_values(frame):
    """Return a data frame as a float array where it can be, else as objects."""
    kinds = {getattr(dtype, "kind", "O") for dtype in frame.dtypes}
    if kinds <= set("iufb"):
        try:
            return frame.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            pass
    return frame.to_numpy(dtype=object)


def read_dense(y, weights=None, label_names=None):
    """Return a dense array of any accepted dtype as MaskedLabels."""
    hidden = np.ma.getmaskarray(y) if np.ma.isMaskedArray(y) else None
    values = np.ma.getdata(y) if hidden is not None else _as_array(y)
    _check_dimensions(values)
    if weights is not None:
        weights = np.asarray(weights, dtype=np.float64)
        if weights.shape != values.shape:
            raise ValueError(
                f"`weights` must have the shape of `y`, {values.shape}; got "
                f"{weights.shape}."
            )
    n, m = values.shape
    step = max(1, _BLOCK // max(m, 1))
    blocks = []
    for start in range(0, n, step):
        rows = slice(start, start + step)
        block = _dense_block(
            values[rows], None if hidden is None else hidden[rows], start
        )
        blocks.append(block)
    rows = np.concatenate([b[0] for b in blocks]) if blocks else np.empty(0, np.intp)
    cols = np.concatenate([b[1] for b in blocks]) if blocks else np.empty(0, np.intp)
    known = np.concatenate([b[2] for b in blocks]) if blocks else np.empty(0, np.int8)
    kept = None if weights is None else weights[rows, cols]
    return from_sorted_cells(rows, cols, known, (n, m), kept, label_names)


def _as_array(y):
    try:
        values = np.asarray(y)
    except ValueError:
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels), its rows equally long; got rows "
            "of unequal lengths."
        ) from None
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {_ACCEPTED}.")
    return values


def _check_dimensions(values):
    if values.ndim == 2:
        return
    if values.ndim == 1:
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels); got shape "
            f"{values.shape}. For one label pass y[:, None]."
        )
    raise ValueError(
        f"`y` must be 2-D, (n_samples, n_labels); got shape {values.shape}."
    )


def _dense_block(values, hidden, start):
    """Return rows, cols and 0/1 values of a block's labelled cells."""
    if values.dtype == object:
        values = _from_objects(values, hidden, start)
    elif values.dtype.kind not in "biuf":
        _refuse(values, np.ones(values.shape, bool), start)
    positive, negative = values == 1, values == 0
    if hidden is not None:
        positive &= ~hidden
        negative &= ~hidden
    known = positive | negative
    if not known.all():
        other = ~known & (values != UNLABELED)
        if values.dtype.kind == "f":
            other &= ~np.isnan(values)
        if hidden is not None:
            other &= ~hidden
        if other.any():
            _refuse(values, other, start)
    rows, cols = np.nonzero(known)
    return rows + start, cols, positive[rows, cols].astype(np.int8)


def _from_objects(values, hidden, start):
    """Return an object block as float64, NaN where a cell is missing."""
    numbers = np.full(values.shape, np.nan)
    missing = missing_entries(values)
    if hidden is not None:
        missing |= hidden
    for i, j in zip(*np.nonzero(~missing), strict=True):
        value = values[i, j]
        if isinstance(value, bool | int | float | np.bool_ | np.number) and not (
            isinstance(value, complex | np.complexfloating)
        ):
            numbers[i, j] = value
        else:
            other = np.zeros(values.shape, bool)
            other[i, j] = True
            _refuse(values, other, start)
    return numbers


def missing_entries(values):
    """Return where an object array holds NaN, None or pandas' NA."""
    pandas = sys.modules.get("pandas")  # its NA exists only where it was imported
    if pandas is not None:
        return np.asarray(pandas.isna(values), dtype=bool)
    flat = [is_missing_number(value) for value in values.ravel()]
    return np.array(flat, dtype=bool).reshape(values.shape)


def _refuse(values, other, start):
    """Raise for the first cell that is no label."""
    row, col = (int(i) for i in np.argwhere(other)[0])
    value = values[row, col]
    value = value.item() if isinstance(value, np.generic) else value
    hint = ""
    if value == 2:
        hint = (
            " A 2 can come from scikit-learn's cross_val_predict, which recodes -1, 0 "
            "and 1 to 0, 1 and 2: use "
            "sklearn_masked.model_selection.cross_val_predict."
        )
    raise ValueError(
        f"{_ACCEPTED}; got {value!r} at sample {row + start}, label {col}.{hint}"
    )


def read_sparse(y, implicit, label_names=None):
    """Return a scipy matrix as MaskedLabels; `implicit` None for one given raw."""
    coo = y.tocoo()
    if coo.ndim != 2:
        raise ValueError(f"`y` must be 2-D, (n_samples, n_labels); got {y.shape}.")
    rows, cols, data = coo.row, coo.col, coo.data
    # Before any arithmetic: 1 and -1 in one cell would add up to a stored 0.
    keys = rows.astype(np.int64) * coo.shape[1] + cols
    if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
        order = np.argsort(keys, kind="stable")
        keys, rows, cols, data = keys[order], rows[order], cols[order], data[order]
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if len(twice):
            i = twice[0]
            raise ValueError(
                "`y` must store each cell once; sample "
                f"{rows[i]}, label {cols[i]} is stored twice."
            )
    if data.dtype.kind not in "biuf":
        kind = "Complex data not supported: " if data.dtype.kind == "c" else ""
        raise ValueError(f"{kind}{_ACCEPTED}; got a sparse matrix of {data.dtype}.")
    positive, zero = data == 1, data == 0
    unlabeled = (data == UNLABELED) | (data != data)
    other = ~(positive | zero | unlabeled)
    if other.any():
        i = np.flatnonzero(other)[0]
        raise ValueError(
            f"{_ACCEPTED}; got {data[i].item()!r} at sample {rows[i]}, label {cols[i]}."
        )
    if implicit is None and zero.any():
        i = np.flatnonzero(zero)[0]
        raise ValueError(
            "`y` is sparse and stores an explicit zero at sample "
            f"{rows[i]}, label {cols[i]}, so cells that are not stored may be negative "
            "or unlabelled. Say which: MaskedLabels.from_sparse(y, "
            'implicit="negative") or MaskedLabels.from_sparse(y, '
            'implicit="unlabeled").'
        )
    kept = positive | zero if implicit == "unlabeled" else positive | unlabeled
    values = np.where(unlabeled, UNLABELED, data == 1).astype(np.int8)[kept]
    rows, cols = rows[kept], cols[kept]
    return MaskedLabels(
        row_pointers(rows, coo.shape[0]),
        cols,
        values,
        coo.shape,
        fill="unlabeled" if implicit == "unlabeled" else "negative",
        label_names=checked_names(label_names, coo.shape[1]),
    )


def from_sorted_cells(rows, cols, values, shape, weights, label_names):
    """Return MaskedLabels of cells that are in order; weight 0 means unlabelled."""
    if weights is not None:
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            i = np.flatnonzero(bad)[0]
            raise ValueError(
                "`weights` accepts finite numbers from 0; got "
                f"{float(weights[i])} at sample {rows[i]}, label {cols[i]}."
            )
        kept = weights > 0
        rows, cols, values = rows[kept], cols[kept], values[kept]
        weights = weights[kept]
    return MaskedLabels(
        row_pointers(rows, shape[0]),
        cols,
        values,
        shape,
        weights=weights,
        label_names=checked_names(label_names, shape[1]),
    )


def row_pointers(rows, n):
    """Return a CSR `indptr` for the rows of cells in order."""
    return np.append(0, np.cumsum(np.bincount(rows, minlength=n)))
