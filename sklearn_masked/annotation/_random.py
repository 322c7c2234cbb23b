"""Chance that does not depend on how the cells come by the block."""

import numpy as np
import scipy.sparse as sp

from ..labels.draw import draw_unlabeled


def as_generator(random_state):
    """Return a Generator, of scikit-learn's kinds of `random_state` too."""
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31 - 1)
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            "`random_state` accepts None, an integer from 0, a RandomState or a "
            f"Generator; got {random_state!r}."
        ) from None


def cell_keys(rows, cols, n_labels, seed):
    """Return a random uint64 for each cell, the same one whenever it is asked for."""
    key = rows.astype(np.uint64) * np.uint64(n_labels) + cols.astype(np.uint64)
    key += np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        key ^= key >> np.uint64(shift)
        key *= np.uint64(factor)
    return key ^ (key >> np.uint64(31))


def draw_random(labels, n_cells, by_label, label_quota, rng):
    """Return random cells as columns of a table."""
    n_free = len(labels) - labels.n_labeled
    if by_label is None or isinstance(by_label, str):
        n_cells = min(n_cells, int(n_free.sum()))
        rows, cols = _draw_unlabeled(labels, n_cells, rng) if n_cells else _none()
        propensity = np.full(n_cells, n_cells / max(n_free.sum(), 1))
    else:
        expected = _expected(n_free, np.minimum(label_quota, n_free), n_cells)
        quotas = _systematic(expected, rng)
        rows, cols = _draw_by_label(labels, quotas, rng)
        propensity = (expected / np.maximum(n_free, 1))[cols]
    return {
        "sample": rows,
        "label": cols,
        "probability": np.full(len(rows), np.nan),
        "propensity": propensity,
        "reason": "random",
    }


def _none():
    return np.empty(0, np.intp), np.empty(0, np.intp)


def _expected(n_free, quota, n_cells):
    """Share n_cells among labels by their unlabeled cells, within quotas."""
    expected = np.zeros(len(quota))
    open_ = quota > 0
    n_cells = min(n_cells, int(quota.sum()))
    while True:
        left = n_cells - expected[~open_].sum()
        share = left / max(n_free[open_].sum(), 1)
        expected[open_] = share * n_free[open_]
        over = open_ & (expected > quota)
        if not over.any():
            return np.minimum(expected, quota)
        expected[over] = quota[over]
        open_ &= ~over


def _systematic(expected, rng):
    """Round so that each label gets what it is expected to get, on average."""
    order = rng.permutation(len(expected))
    ends = np.append(0, np.cumsum(expected[order])) + rng.random()
    # A sum that should be whole may be short of it by rounding.
    ends = np.floor(ends + 1e-9)
    counts = np.empty(len(expected), np.intp)
    counts[order] = np.diff(ends)
    return np.minimum(counts, np.ceil(expected - 1e-9).astype(np.intp))


def _draw_unlabeled(labels, n_cells, rng):
    """Draw unlabeled cells, all alike, without replacement: rows, cols."""
    if labels.fill == "unlabeled":
        parts = labels.indptr, labels.indices, labels.n_labels
        return draw_unlabeled(*parts, n_cells, rng)
    stored = np.flatnonzero(labels.values == -1)
    drawn = stored[rng.choice(len(stored), n_cells, replace=False, shuffle=False)]
    rows = np.searchsorted(labels.indptr, drawn, side="right") - 1
    return rows, labels.indices[drawn].astype(np.intp)


def _draw_by_label(labels, quotas, rng):
    """Draw so many unlabeled cells of each label, within it all alike: rows, cols."""
    rows, cols = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    sought = np.flatnonzero(quotas)
    # By label: where its stored cells are, which `fill` says how to read.
    stored = sp.csc_array(
        (labels.values + 2, labels.indices, labels.indptr), shape=labels.shape[::-1]
    ).tocsr()
    for label in sought:
        here = slice(stored.indptr[label], stored.indptr[label + 1])
        free = np.full(len(labels), labels.fill == "unlabeled")
        free[stored.indices[here]] = stored.data[here] == 1
        rows.append(rng.choice(np.flatnonzero(free), quotas[label], replace=False))
        cols.append(np.full(quotas[label], label))
    return np.concatenate(rows), np.concatenate(cols)
