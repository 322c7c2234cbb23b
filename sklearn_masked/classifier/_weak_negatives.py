"""Unlabeled cells as weak negatives: whether, and a sample that stands for all."""

import numpy as np

from ..labels.draw import draw_unlabeled
from ..nn._batches import CellTargets
from ..nn.model._scaling import feature_scales
from ._select_penalty import USUAL, LeftOutRanks, draw_cells, number_above

# Cells drawn: so many for each labeled one, and no fewer than this.
_A_CELL, _FEWEST = 3, 10_000
# unlabeled_weight="auto": the weight where the cells were sought, which must show with
# this z-score over labels, and the most cells per label that are asked. 0.1 gains no
# more than 0.03 where they were, and costs more where they were not.
_WEIGHT, _EVIDENCE, _CELLS = 0.03, 2.5, 100
# Labels that this takes, and comparison rows that each of them must have.
_FEWEST_LABELS, _FEWEST_ROWS = 3, 20


def settle_unlabeled_weight(estimator, X, targets, *, is_told, seed):
    """Return `unlabeled_weight`, by what the cells say where it is "auto".

    Where the cells are a random sample, a model ranks the rows of left-out cells as it
    ranks rows whose label is unknown. Where positives were sought it ranks them above:
    most of what is unlabeled is then negative, or it would have been found.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        With `_unlabeled_weight` of its first call, if this is another one.
    X : CSR matrix or array of shape (n_samples, n_features)
        All rows.
    targets : CellTargets
        Their labeled cells.
    is_told : bool
        Whether these are all cells, rather than the first of several parts.
    seed : int
        Draws cells and rows.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is "auto" and rows of X are not vectors.
    """
    if estimator.unlabeled_weight != "auto":
        return float(estimator.unlabeled_weight)
    if hasattr(estimator, "_unlabeled_weight"):
        return estimator._unlabeled_weight
    if X.ndim != 2:
        raise ValueError(
            "unlabeled_weight='auto' compares rows of X, which must be of shape "
            f"(n_samples, n_features); got {X.shape}. Pass a number."
        )
    if not is_told:
        return 0.0
    z_score = sought_z_score(X, targets.labeled, np.random.default_rng(seed))
    return _WEIGHT if z_score > _EVIDENCE else 0.0


def sought_z_score(X, targets, generator):
    """Return how surely rows of labeled cells rank above rows that are unlabeled.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_features)
    targets : CellTargets
        The labeled cells.
    generator : numpy.random.Generator
        Draws cells and comparison rows.

    Returns
    -------
    float
        The mean over labels of the AUC of labeled against unlabeled cells, less one
        half, over its standard error; 0 where there are too few labels to tell.
    """
    rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
    weight = np.ones(len(rows)) if targets.weights is None else targets.weights
    value = targets.values.astype(float)
    cells = rows, targets.indices, value, weight / max(weight.mean(), 1e-300)
    chosen = draw_cells(cells, _CELLS, generator)
    if len(chosen) < _FEWEST_LABELS:
        return 0.0
    ranks = LeftOutRanks(X, cells, chosen, generator, targets.labeled_rows())
    scales = feature_scales(X)
    products = ranks.products(X, scales, scales.scale(USUAL.idf_power))
    margins, others = ranks.left_out(*products, USUAL.C)
    unknown = ranks.unknown[:, None, :].expand_as(others)
    share = number_above(margins, others, unknown) / unknown.sum(2, keepdim=True)
    is_cell = ranks.is_cell.view(margins.shape)
    below = 0.5 - (share * is_cell).sum((1, 2)) / is_cell.sum((1, 2))
    told = (ranks.unknown.sum(1) >= _FEWEST_ROWS) & below.isfinite()
    below = below[told].double().numpy()
    if len(below) < _FEWEST_LABELS or below.std() == 0:
        return 0.0
    return float(below.mean() / (below.std(ddof=1) / np.sqrt(len(below))))


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
