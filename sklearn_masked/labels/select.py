"""From what stands in brackets to positions of rows and labels."""

from numbers import Integral
from typing import Any

import numpy as np

from .._typing import Names


def split_key(key: Any) -> tuple[Any, Any]:
    """Return what `labels[key]` says of the rows and, or None, of the labels."""
    rows, cols = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
    if cols is Ellipsis:  # scikit-learn slices rows as `y[rows, ...]`
        cols = None
    if isinstance(rows, tuple | str) or rows is None or rows is Ellipsis:
        raise IndexError(
            "MaskedLabels accept `rows` or `(rows, cols)`: an int, a list, a "
            f"slice, or an integer or boolean array of each; got {key!r}."
        )
    return rows, cols


def is_position(key: Any) -> bool:
    """Return whether a key is one position, and not a truth value."""
    return isinstance(key, Integral) and not isinstance(key, bool)


def position(i: int, n: int, what: str) -> int:
    """Return a position from 0; one below 0 counts from the end."""
    if not -n <= i < n:
        raise IndexError(f"{what} {i} is out of range for {n} {what}s.")
    return int(i) % n


def positions(key: Any, n: int, what: str) -> np.ndarray:
    """Return any selection of several rows or labels as positions from 0."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n))
    key = np.asarray(key)
    if key.ndim != 1:
        raise IndexError(f"{what}s accept a 1-D selection; got {key.ndim} dimensions.")
    if key.dtype == bool:
        if len(key) != n:
            raise IndexError(
                f"a boolean selection of {what}s must have {n} entries; got {len(key)}."
            )
        return np.flatnonzero(key)
    if not len(key):
        return key.astype(np.intp)
    if key.dtype.kind not in "iu":
        raise IndexError(f"{what}s accept integers or booleans; got {key.dtype}.")
    low, high = int(key.min()), int(key.max())
    position(low, n, what)
    position(high, n, what)
    key = key.astype(np.intp)
    return np.where(key < 0, key + n, key) if low < 0 else key


def is_one_label(key: Any) -> bool:
    """Return whether a key is the position or the name of one label."""
    return isinstance(key, str) or is_position(key)


def label_positions(key: Any, names: Names, n: int) -> np.ndarray:
    """Return a selection of labels, by position or by name, as positions."""
    if is_one_label(key):
        key = [key]
    if isinstance(key, slice):
        return positions(key, n, "label")
    # Not by numpy alone, which would turn positions beside names into strings.
    entries = key.tolist() if hasattr(key, "tolist") else list(key)
    if all(isinstance(entry, Integral | np.bool_) for entry in entries):
        return positions(key, n, "label")
    known = {} if names is None else {name: i for i, name in enumerate(names)}
    found = [
        position(entry, n, "label")
        if is_position(entry)
        else _named_position(entry, known)
        for entry in entries
    ]
    return np.array(found, dtype=np.intp)


def _named_position(name, known):
    if name not in known:
        shown = f"the first names are {list(known)[:5]}" if known else "none has a name"
        raise IndexError(f"no label is named {name!r}; {shown}.")
    return known[name]


def stored_positions(
    indptr: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return `indptr` of some rows of a CSR, and where their entries are stored."""
    starts, lengths = indptr[rows], indptr[rows + 1] - indptr[rows]
    taken = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken[1:])
    entries = np.repeat(starts - taken[:-1], lengths)
    entries += np.arange(len(entries))
    return taken, entries
