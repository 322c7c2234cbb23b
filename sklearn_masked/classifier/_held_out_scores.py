"""Scores of held-out cells, by which fits of one model are compared.

See :mod:`sklearn_masked.nn.sdca._leave_out` for how cells are held out.
"""

import numpy as np

from ..labels import MaskedLabels
from ..metrics import masked_average_precision_score, masked_roc_auc_score
from ..nn.sdca._leave_out import FOLDS

# Folds are made of batches: there are at least this many.
_FEWEST_BATCHES = 12


def held_out_size(net, n_rows):
    """Return the number of rows per batch of the held-out folds."""
    size = n_rows if net.batch_size == -1 else net.batch_size
    return max(min(size, -(-n_rows // _FEWEST_BATCHES)), 1)


def auc_plus_ap(dual, held_out, n_labels):
    """Return the ROC AUC plus the average precision of each label in each fold.

    The log loss would reward sharing for what Platt scaling does anyway, which makes
    labels comparable. Cells are compared within a fold, since leaving cells out moves a
    label's base rate.

    Returns
    -------
    array of shape (n_labels * FOLDS,)
        NaN where only one class was held out.
    """
    margin, _, target, label, weight = (
        part.cpu().numpy() for part in cell_parts(dual, held_out)
    )
    column = label * FOLDS + held_out.fold.cpu().numpy()
    is_positive, scores = target > 0.5, np.full(n_labels * FOLDS, np.nan)
    kinds = (column[(weight > 0) & kind] for kind in (is_positive, ~is_positive))
    scored, at = np.unique(column, return_inverse=True)
    has_both = np.logical_and(*(np.isin(scored, kind) for kind in kinds))
    kept = has_both[at] & (weight > 0)
    if not kept.any():
        return scores
    # Only columns with both classes are scored: no metric then warns, whose filters
    # would be those of all threads.
    at = (np.cumsum(has_both) - 1)[at]
    cells = np.arange(len(label))[kept], at[kept], is_positive[kept].astype(np.int8)
    shape = len(label), has_both.sum()
    y = MaskedLabels.from_cells(*cells, shape=shape, weights=weight[kept])
    scores[scored[has_both]] = masked_roc_auc_score(
        y, margin[kept], average=None
    ) + masked_average_precision_score(y, margin[kept], average=None)
    return scores


def z_score(scores, before):
    """Return the mean gain of paired scores, in units of its standard error.

    >>> from sklearn_masked.classifier._held_out_scores import z_score
    >>> round(z_score([0.8, 0.9, float("nan")], [0.7, 0.7, 0.5]), 6)
    3.0
    """
    gains = np.subtract(scores, before)
    gains = gains[~np.isnan(gains)]
    if len(gains) < 2:
        return 0.0
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return float(gains.mean() / max(error, np.finfo(float).tiny))


def cell_parts(dual, held_out):
    """Return logit, bias, target, label and weight of the held-out cells."""
    margin, bias, cells, _ = held_out
    weight = dual.cell_C[cells] / dual.C
    return margin, bias, dual.target[cells], dual.label[cells], weight
