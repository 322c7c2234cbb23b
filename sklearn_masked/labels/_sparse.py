"""Scipy's sparse matrices and arrays, each cell of which must stand there once."""

import numpy as np

from ._cells import UNLABELED, checked_names
from ._store import LabelStore
from ._values import ACCEPTED, is_known, refuse_value


def read_sparse(y, implicit, label_names=None, soft=False):
    """Return a scipy matrix as MaskedLabels; `implicit` None for one given raw."""
    if y.ndim != 2:
        raise ValueError(
            f"`y` must be 2-D, (n_samples, n_labels); got shape {y.shape}."
        )
    if implicit == "unlabeled":
        _refuse_padding(y)
    rows, cols, data = _stored_cells(y)
    if data.dtype.kind not in "biuf":
        kind = "Complex data not supported: " if data.dtype.kind == "c" else ""
        raise ValueError(f"{kind}{ACCEPTED}; got a sparse matrix of {data.dtype}.")
    known, unlabeled = is_known(data, soft), (data == UNLABELED) | (data != data)
    for i in np.flatnonzero(~(known | unlabeled))[:1]:
        refuse_value(data[i], rows[i], cols[i], soft=soft)
    if implicit is None:
        for i in np.flatnonzero(data == 0)[:1]:
            _refuse_explicit_zero(rows[i], cols[i])
    kept = known if implicit == "unlabeled" else (data == 1) | unlabeled
    values = np.where(unlabeled, UNLABELED, data)[kept]
    return LabelStore(
        row_pointers(rows[kept], y.shape[0]),
        cols[kept],
        values,
        y.shape,
        fill="unlabeled" if implicit == "unlabeled" else "negative",
        label_names=checked_names(label_names, y.shape[1]),
        soft=soft,
    )


def _refuse_padding(y):
    """Refuse the formats in which a stored zero may be padding, or get lost."""
    if y.format == "dia" or (y.format == "bsr" and tuple(y.blocksize) != (1, 1)):
        raise ValueError(
            '`y` with implicit="unlabeled" accepts sparse formats that store single '
            f"cells, since a stored 0 is a negative; got {y.format}, which stores "
            "zeros that mean nothing. Build it as a coo_array or csr_array."
        )


def _stored_cells(y):
    """Return rows, cols and data in order, after a look for repeated cells."""
    coo = y.tocoo()
    rows, cols, data = coo.row, coo.col, coo.data
    # Before any arithmetic: 1 and -1 in one cell would add up to a stored 0.
    keys = rows.astype(np.int64) * y.shape[1] + cols
    if (keys[1:] > keys[:-1]).all():
        return rows, cols, data
    order = np.argsort(keys, kind="stable")
    keys, rows, cols, data = keys[order], rows[order], cols[order], data[order]
    for i in np.flatnonzero(keys[1:] == keys[:-1])[:1]:
        raise ValueError(
            "`y` must store each cell once; sample "
            f"{rows[i]}, label {cols[i]} is stored twice."
        )
    return rows, cols, data


def _refuse_explicit_zero(row, col):
    raise ValueError(
        f"`y` is sparse and stores an explicit zero at sample {row}, label {col}, so "
        "cells that are not stored may be negative or unlabeled. Say which: "
        'MaskedLabels.from_sparse(y, implicit="negative") or '
        'MaskedLabels.from_sparse(y, implicit="unlabeled").'
    )


def row_pointers(rows, n):
    """Return a CSR `indptr` for the rows of cells in order."""
    return np.append(0, np.cumsum(np.bincount(rows, minlength=n)))
