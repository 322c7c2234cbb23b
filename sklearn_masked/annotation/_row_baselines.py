"""Whole rows, as tools that do not know cells ask for them: to compare with."""

import numpy as np

from ._random import as_generator


def random_rows(proba, labels, *, n_cells, random_state=None):
    """Return all cells of random rows, as many as make n_cells."""
    rng = as_generator(random_state)
    return _whole_rows(rng.random(len(labels)), labels, n_cells)


def uncertain_rows(proba, labels, *, n_cells, random_state=None):
    """Return all cells of the rows of the largest mean entropy over the labels."""
    p = np.clip(proba, 1e-12, 1 - 1e-12)
    entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p)).mean(axis=1)
    return _whole_rows(entropy, labels, n_cells)


def _whole_rows(utility, labels, n_cells):
    """Return the cells of the best rows without a labeled cell."""
    blank = np.flatnonzero(np.diff(labels.indptr) == 0)
    best = blank[np.argsort(-utility[blank], kind="stable")]
    best = best[: round(n_cells / labels.n_labels)]
    table = np.empty(
        len(best) * labels.n_labels, [("sample", np.intp), ("label", np.intp)]
    )
    table["sample"] = np.repeat(best, labels.n_labels)
    table["label"] = np.tile(np.arange(labels.n_labels), len(best))
    return table
