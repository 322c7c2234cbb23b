"""Accepted values of a single cell, and the error for others."""

import numpy as np

ACCEPTED = "`y` accepts 1, 0, and NaN, -1 or None in unlabeled cells"
ACCEPTED_SOFT = "`y` accepts 0 to 1, and NaN, -1 or None in unlabeled cells"
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


def is_known(values, soft):
    """Return where an array of numbers holds the value of a labeled cell."""
    if soft:
        return (values >= 0) & (values <= 1)
    return (values == 0) | (values == 1)


def is_missing(value):
    """Return whether an object is NaN, None or pandas' NA."""
    if isinstance(value, float | np.floating):
        return bool(value != value)
    return value is None or _is_missing_type(type(value))


def _is_missing_type(kind):
    # By its name: pandas is not imported for the sake of a value it alone makes.
    return kind is type(None) or kind.__name__ == "NAType"


def missing_entries(values):
    """Return where an object array holds NaN, None or pandas' NA."""
    flat = (is_missing(value) for value in values.ravel())
    return np.fromiter(flat, dtype=bool, count=values.size).reshape(values.shape)


def numbers_of(values, hidden=None):
    """Return objects as float64 and where one is no number; `hidden` is not read."""
    kinds = list(map(type, values.ravel()))
    numbers = np.full(values.size, np.nan)
    strange = np.zeros(values.size, dtype=bool)
    flat = values.ravel()
    shown = np.ones(values.size, bool) if hidden is None else ~hidden.ravel()
    for kind in set(kinds):
        if _is_missing_type(kind):
            continue
        is_kind = (k is kind for k in kinds)
        here = np.fromiter(is_kind, dtype=bool, count=values.size) & shown
        if issubclass(kind, _NUMBERS):
            found = flat[here]
            if kind is int:  # some are too large for a float
                found = np.clip(found, -9, 9)
            numbers[here] = found.astype(np.float64)
        else:
            strange |= here
    return numbers.reshape(values.shape), strange.reshape(values.shape)


def refuse_value(value, row, col, *, recoded=False, soft=False):
    """Raise for a cell that is no label; `recoded` says that y may be 0, 1 and 2."""
    value = value.item() if isinstance(value, np.generic) else value
    hint = ""
    if recoded:
        hint = (
            " A 2 can come from scikit-learn's cross_val_predict, which recodes -1, 0 "
            "and 1 to 0, 1 and 2: use "
            "sklearn_masked.model_selection.cross_val_predict."
        )
    elif isinstance(value, float) and 0 < value < 1:
        hint = " For probabilities pass MaskedLabels.from_dense(y, soft=True)."
    elif isinstance(value, str):
        hint = (
            " Map words to 1 and 0 first, as y.replace({'yes': 1, 'no': 0}) does; a "
            "column of ids is no label: leave it out, or make it the index."
        )
    elif isinstance(value, int | float) and 2 <= value < float("inf"):
        hint = (
            " A column of ids or counts is no label: leave it out, or, in a data "
            "frame, make it the index."
        )
    accepted = ACCEPTED_SOFT if soft else ACCEPTED
    raise ValueError(f"{accepted}; got {value!r} at sample {row}, label {col}.{hint}")


def refuse_names(y):
    """Raise if the entries of y are collections: names of the labels of each row.

    Two sets, whichever they are, would pass for the two values of a binary problem.
    """
    if not isinstance(y, list | tuple):
        # Anything else that is not one-dimensional and of objects holds numbers.
        if getattr(y, "ndim", 2) != 1 or str(y.dtype) != "object":
            return
    for i, entry in enumerate(y):
        is_list = isinstance(entry, list | tuple) and len(entry) > 0
        names = is_list and isinstance(entry[0], str)
        if names or isinstance(entry, set | frozenset | dict):
            raise ValueError(
                "`y` accepts a label matrix, (n_samples, n_labels), or two values in "
                f"one dimension; got a {type(entry).__name__} at sample {i}. "
                "MaskedLabels.from_dicts reads {label: 1 or 0} per sample, where an "
                "absent label is unlabeled; sklearn.preprocessing.MultiLabelBinarizer "
                "reads sets of labels, where an absent label is negative."
            )
