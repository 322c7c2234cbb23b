"""One number per label, given as a scalar, an array or a dict by names."""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from .._typing import Names, PerLabel
from .names import check_same_names, entry_names


def read_per_label(
    value: PerLabel,
    parameter: str,
    n_labels: int,
    label_names: Names,
    accepted: str,
    is_good: Callable[..., Any],
) -> np.ndarray:
    """Return a float array of shape (n_labels,), NaN where a dict names no value.

    Keys of a dict are names of labels, or positions where they have none; the index of
    a Series must be the names, in order. `is_good` judges an array of values, and
    `accepted` says in the message what it accepts.
    """
    names = np.arange(n_labels) if label_names is None else np.asarray(label_names)
    if isinstance(value, Mapping):
        values = np.full(n_labels, np.nan)
        position = {name: label for label, name in enumerate(names.tolist())}
        for name, one in value.items():
            if name not in position:
                raise ValueError(
                    f"`{parameter}` accepts the labels of `y` as keys; got {name!r}, "
                    "which is none of them."
                )
            values[position[name]] = as_floats(one, parameter)
        given = ~np.isnan(values)
    else:
        check_same_names(entry_names(value), label_names, parameter, "`y`")
        values = as_floats(value, parameter)
        if isinstance(value, Real) or values.ndim == 0:
            values = np.full(n_labels, float(values))
        if values.shape != (n_labels,):
            raise ValueError(
                f"`{parameter}` accepts one number, one per label, shape "
                f"({n_labels},), or a dict by names; got shape {values.shape}."
            )
        given = np.ones(n_labels, dtype=bool)
    bad = given & ~is_good(values)
    if bad.any():
        label = int(np.argmax(bad))
        raise ValueError(
            f"`{parameter}` accepts {accepted}; got {values[label]} for label "
            f"{names[label]}."
        )
    return values


def as_floats(value: Any, parameter: str) -> np.ndarray:
    """Return a float64 array, or say which parameter is none."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"`{parameter}` accepts numbers; {error}.") from None
