"""Labeled cells as parallel arrays, and the names of labels and samples."""

from typing import NamedTuple

import numpy as np

UNLABELED = -1


class Cells(NamedTuple):
    """Labeled cells as parallel arrays, row by row, columns increasing."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None


def checked_names(label_names, n_labels=None):
    """Return names of labels as an object array; None stays None."""
    return _checked_keys(label_names, n_labels, "label_names", "labels", "names")


def checked_ids(sample_ids, n_samples=None):
    """Return ids of samples as :func:`checked_names` does names of labels."""
    return _checked_keys(sample_ids, n_samples, "sample_ids", "samples", "ids")


def _checked_keys(keys, n, parameter, of, what):
    if keys is None:
        return None
    if isinstance(keys, str):
        raise TypeError(
            f"`{parameter}` accepts a sequence of {what}; got the string {keys!r}."
        )
    keys = list(keys)
    keys = np.fromiter(keys, dtype=object, count=len(keys))
    if n is not None and len(keys) != n:
        raise ValueError(
            f"`{parameter}` must name the {n} {of}; got {len(keys)} {what}."
        )
    seen = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"`{parameter}` must all differ; got {key!r} twice.")
        seen.add(key)
    return keys
