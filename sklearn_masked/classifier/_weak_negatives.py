"""Unlabeled cells as weak negatives, of which a sample stands for all."""

import numpy as np

from ..labels.draw import draw_unlabeled
from ..nn._batches import CellTargets

# Cells drawn: so many for each labeled one, and no fewer than this.
_A_CELL, _FEWEST = 3, 10_000


class WeakTargets(CellTargets):
    """Labeled cells, and unlabeled ones that were drawn to count as negatives.

    Parameters
    ----------
    labeled : CellTargets
        The labeled cells alone.
    indptr, indices, values, weights : arrays
        Of all, as in :class:`CellTargets`.
    """

    def __init__(self, labeled, indptr, indices, values, weights):
        super().__init__(indptr, indices, values, labeled.n_labels, weights=weights)
        self._labeled = labeled

    @property
    def labeled(self):
        """The labeled cells alone."""
        return self._labeled


def with_weak_negatives(targets, weight, seed):
    """Return the targets, and unlabeled cells of their rows as negatives.

    Parameters
    ----------
    targets : CellTargets
        With ``fill="unlabeled"``.
    weight : float
        Of every unlabeled cell of a row that has a labeled one; those drawn share
        what all of them weigh.
    seed : int
        Decides which are drawn.

    Returns
    -------
    WeakTargets
    """
    rows = targets.labeled_rows()
    indptr = np.append(targets.indptr[rows], targets.indptr[-1])
    n_stored = len(targets.indices)
    n_all = len(rows) * targets.n_labels - n_stored
    n_drawn = min(n_all, max(_FEWEST, _A_CELL * n_stored))
    generator = np.random.default_rng(seed)
    at, cols = draw_unlabeled(
        indptr, targets.indices, targets.n_labels, n_drawn, generator
    )
    stored_rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
    given = np.ones(n_stored) if targets.weights is None else targets.weights
    shared = np.full(n_drawn, weight * n_all / max(n_drawn, 1))
    parts = [
        (stored_rows, rows[at]),
        (targets.indices, cols),
        (targets.values, np.zeros(n_drawn, targets.values.dtype)),
        (given, shared),
    ]
    all_rows, cols, values, weights = (np.concatenate(pair) for pair in parts)
    order = np.lexsort((cols, all_rows))
    counts = np.bincount(all_rows, minlength=len(targets))
    cols = cols[order].astype(targets.indices.dtype)
    indptr = np.append(0, np.cumsum(counts))
    return WeakTargets(targets, indptr, cols, values[order], weights[order])


def expected_totals(targets, weight):
    """Return the weight of each label's positives and negatives, weak ones too."""
    positive, negative = targets.totals()
    if targets.labeled is not targets:  # those that were drawn are among them
        return positive, negative
    if targets.fill == "negative":
        n_weak = np.bincount(
            targets.indices[targets.values == -1], minlength=targets.n_labels
        )
    else:
        n_known = np.bincount(targets.indices, minlength=targets.n_labels)
        n_weak = len(targets.labeled_rows()) - n_known
    return positive, negative + weight * n_weak
