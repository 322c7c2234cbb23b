"""Dense labels, read by blocks of rows: arrays, lists, numpy.ma, data frames."""

import numpy as np

from ._cells import UNLABELED, checked_names
from ._store import LabelStore
from ._values import ACCEPTED, is_known, numbers_of, refuse_value
from ._weights import as_weights, refuse_bad_weight
from .names import (
    check_same_columns,
    check_same_names,
    check_same_rows,
    column_names,
    is_table,
    row_ids,
)

# Cells that are looked at in one go.
_BLOCK = 1 << 20


def read_dense(y, weights=None, label_names=None, soft=False):
    """Return dense labels of any accepted form as MaskedLabels."""
    hidden, columns, ids = None, column_names(y), row_ids(y)
    check_same_rows(y=y, weights=weights)
    if is_table(y):
        take = _frame_rows(y) if hasattr(y, "iloc") else _columnwise_rows(y)
    elif np.ma.isMaskedArray(y):
        hidden, y = np.ma.getmaskarray(y), np.ma.getdata(y)
        take = y.__getitem__
    else:
        y = as_array(y)
        take = y.__getitem__
    _check_dimensions(y.shape)
    names = checked_names(columns if label_names is None else label_names, y.shape[1])
    check_same_names(columns, names, "y", "`label_names`")
    weights = _check_weights(weights, y.shape, names)
    step = max(1, _BLOCK // max(y.shape[1], 1))
    parts = [[], [], [], []]
    for start in range(0, y.shape[0], step):
        rows = slice(start, start + step)
        block = _read_block(
            take(rows),
            None if hidden is None else hidden[rows],
            None if weights is None else weights[rows],
            start,
            soft,
        )
        for part, piece in zip(parts, block, strict=True):
            part.append(piece)
    lengths, cols, values, kept = parts
    return LabelStore(
        np.append(0, np.cumsum(_joined(lengths, np.int64))),
        _joined(cols, np.int32),
        _joined(values, np.float64 if soft else np.int8),
        y.shape,
        weights=None if weights is None else _joined(kept, np.float64),
        label_names=names,
        row_ids=ids,
        soft=soft,
    )


def _joined(pieces, dtype):
    return np.concatenate(pieces, dtype=dtype) if pieces else np.empty(0, dtype)


def _columnwise_rows(table):
    """Return the same for tables of polars and pyarrow, which hold column by column."""

    def take(rows):
        part = table.slice(rows.start, rows.stop - rows.start)
        columns = [np.asarray(part[name]) for name in column_names(part)]
        numeric = all(column.dtype.kind in "biuf" for column in columns)
        dtype = np.float64 if numeric else object
        return np.stack([column.astype(dtype) for column in columns], axis=1)

    return take


def _frame_rows(frame):
    kinds = {getattr(dtype, "kind", "O") for dtype in frame.dtypes}
    if not kinds <= set("iufb"):
        return lambda rows: frame.iloc[rows].to_numpy(dtype=object)
    return lambda rows: frame.iloc[rows].to_numpy(dtype=np.float64, na_value=np.nan)


def as_array(y):
    """Return an array-like as an array of real numbers, objects or strings."""
    try:
        values = np.asarray(y)
        if values.dtype.kind in "US" and not hasattr(y, "dtype"):
            values = np.asarray(y, dtype=object)  # numbers beside strings stay numbers
    except ValueError:
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels), its rows equally long; got rows "
            "of unequal lengths."
        ) from None
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {ACCEPTED}.")
    return values


def _check_dimensions(shape):
    if len(shape) != 2:
        remedy = " For one label pass y[:, None]." if len(shape) == 1 else ""
        raise ValueError(
            f"`y` must be 2-D, (n_samples, n_labels); got shape {shape}.{remedy}"
        )


def _check_weights(weights, shape, names):
    if weights is None:
        return None
    check_same_columns(weights, names, "weights", "`y`")
    weights = as_weights(weights, "weights")
    if weights.shape != shape:
        raise ValueError(
            f"`weights` must have the shape of `y`, {shape}; got {weights.shape}."
        )
    return weights


def _read_block(values, hidden, weights, start, soft):
    """Return lengths of rows, and columns, values and weights of labeled cells."""
    shown = values
    if values.dtype == object:
        values, strange = numbers_of(values, hidden)
        _refuse_first(strange, shown, start, soft)
    elif values.dtype.kind not in "biuf":
        _refuse_first(np.ones(values.shape, bool), shown, start, soft)
    known = is_known(values, soft)
    if hidden is not None:
        known &= ~hidden
    if not known.all():
        other = ~known & (values != UNLABELED) & (values == values)
        if hidden is not None:
            other &= ~hidden
        _refuse_first(other, shown, start, soft)
    if weights is not None:
        known, weights = _weighted(known, weights, start)
    lengths = np.count_nonzero(known, axis=1)
    shown = values[known] if soft else values[known] == 1
    return lengths, np.nonzero(known)[1].astype(np.int32), shown, weights


def _weighted(known, weights, start):
    """Return the cells of a weight above zero, and their weights."""
    rows, cols = np.nonzero(known)
    refuse_bad_weight(
        weights[known],
        "weights",
        lambda i: f"at sample {rows[i] + start}, label {cols[i]}",
    )
    known &= weights != 0
    return known, weights[known]


def _refuse_first(other, values, start, soft):
    """Raise for the first of these cells, if there is one."""
    if other.any():
        row, col = (int(i) for i in np.argwhere(other)[0])
        # scikit-learn recodes to integers and leaves no cell unlabeled.
        recoded = values.dtype.kind in "iu" and set(np.unique(values)) == {0, 1, 2}
        recoded = recoded and np.count_nonzero(values == 2) > 1  # one is a slip
        refuse_value(values[row, col], row + start, col, recoded=recoded, soft=soft)
