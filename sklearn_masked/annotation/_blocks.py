"""Probabilities, however they come, by blocks of whole rows."""

import numpy as np
import scipy.sparse as sp

from ..labels.names import check_same_columns
from ..metrics.cells import label_name

# Cells that are looked at in one go: a few arrays of these fit a processor's cache.
BLOCK_CELLS = 1 << 18


def iter_proba(proba, labels):
    """Yield (start, block of probabilities, mask of its unlabeled cells).

    Raises for what is no probability in an unlabeled cell; a labeled cell may hold
    anything, and becomes 0 where that is no probability.
    """
    step = max(1, BLOCK_CELLS // max(labels.n_labels, 1))
    for start, array in _pieces(proba, labels):
        for at in range(0, len(array), step):
            block = np.asarray(array[at : at + step])
            if block.dtype not in (np.float32, np.float64):
                block = _as_floats(block)
            first = start + at
            free = unlabeled_mask(labels, first, first + len(block))
            yield first, _checked_values(block, free, first, labels), free


def unlabeled_mask(labels, start, stop):
    """Return where rows from start to stop are unlabeled, bool by the cell."""
    indptr = labels.indptr[start : stop + 1]
    stored = slice(indptr[0], indptr[-1])
    rows = np.repeat(np.arange(stop - start), np.diff(indptr))
    sparse = labels.fill == "unlabeled"
    free = np.full((stop - start, labels.n_labels), sparse)
    free[rows, labels.indices[stored]] = labels.values[stored] == -1
    return free


def _pieces(proba, labels):
    """Yield (first row, 2-D array) of arrays and of iterators alike."""
    shape, names = labels.shape, labels.label_names
    if not _are_blocks(proba):
        if sp.issparse(proba):
            raise TypeError(
                "`proba` accepts a dense array, a memory map or an iterator of (slice "
                f"of rows, array) blocks; got {type(proba).__name__}."
            )
        check_same_columns(proba, names, "proba", "`labels`")
        array = proba if isinstance(proba, np.ndarray) else np.asarray(proba)
        if array.shape != shape:
            raise ValueError(
                f"`proba` must have the shape of `labels`, {shape}; got {array.shape}."
            )
        yield 0, array
        return
    expected = 0
    for piece in proba:
        array = _checked_piece(piece, expected, shape, names)
        yield expected, array
        expected += len(array)
    if expected != shape[0]:
        raise ValueError(
            f"`proba` must have a block for each of the {shape[0]} rows of `labels`; "
            f"its blocks end before row {expected}."
        )


def _are_blocks(proba):
    """Tell whether these are (slice, array) blocks and not one array."""
    if hasattr(proba, "__next__"):
        return True
    return (
        isinstance(proba, list | tuple)
        and len(proba) > 0
        and isinstance(proba[0], tuple)
        and len(proba[0]) == 2
        and isinstance(proba[0][0], slice)
    )


def _checked_piece(piece, expected, shape, names):
    if not (isinstance(piece, tuple) and len(piece) == 2):
        raise TypeError(
            "`proba` accepts blocks that are (slice of rows, array) tuples; got "
            f"{type(piece).__name__}."
        )
    rows, array = piece
    check_same_columns(array, names, "proba", "`labels`")
    array = array if isinstance(array, np.ndarray) else np.asarray(array)
    if not isinstance(rows, slice):
        raise TypeError(
            "`proba` accepts blocks that are (slice of rows, array) tuples; got "
            f"{type(rows).__name__} for the slice."
        )
    start, stop, step = rows.indices(shape[0])
    if step != 1 or start != expected:
        raise ValueError(
            "`proba` accepts blocks of rows that follow one another; expected one "
            f"that starts at row {expected}, got {rows}."
        )
    if array.shape != (stop - start, shape[1]):
        raise ValueError(
            f"`proba` must have shape {(stop - start, shape[1])} in the block of rows "
            f"{start} to {stop}; got {array.shape}."
        )
    return array


def _as_floats(block):
    if block.dtype.kind in "biufO":
        try:
            return block.astype(np.float64)
        except (TypeError, ValueError):
            pass  # objects that are no numbers; the sentence below says so
    raise TypeError(
        f"`proba` accepts probabilities; got an array of dtype {block.dtype}."
    )


def _checked_values(block, free, start, labels):
    """Return probabilities; raise for the first unlabeled cell that holds none."""
    # NaN makes a comparison False, so that two passes over the block suffice.
    if not block.size or (block.min() >= 0 and block.max() <= 1):
        return block
    bad = ~((block >= 0) & (block <= 1))
    if (free & bad).any():
        row, col = (int(i) for i in np.argwhere(free & bad)[0])
        raise ValueError(
            "`proba` accepts probabilities between 0 and 1 in unlabeled cells; got "
            f"{float(block[row, col])} at sample {start + row}, label "
            f"{label_name(labels.label_names, col)}."
        )
    return np.where(bad, block.dtype.type(0), block)
