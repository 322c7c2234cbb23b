"""Metrics of the order of the scores: ROC AUC and average precision."""

from typing import Literal

import numpy as np

from .._typing import LabelsLike, MatrixLike, Weights
from .areas import average_precision, roc_auc
from .averaging import Limits, average_labels
from .cells import score_cells


def masked_roc_auc_score(
    y_true: LabelsLike,
    y_score: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
) -> float | np.ndarray:
    """Compute the area under the ROC curve from the labeled cells alone.

    What `y_score` holds in unlabeled cells is never read, NaN included. For each
    label the result equals :func:`sklearn.metrics.roc_auc_score` on its labeled
    cells; the cost is one sort, whatever the number of labels.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_score : array-like of shape (n_samples, n_labels), (n_cells,) or (n_samples,)
        Scores, any finite numbers, that are larger for what is more likely
        positive: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``, or for each sample of a binary target.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, one value for all cells pooled, mean over labels weighted
        by support (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=1
        A label with fewer positive or negative labeled cells is left out. The curve
        needs one of each, so that 0 means 1. With ``average="micro"`` they bound
        the pooled cells.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a score in a labeled cell is NaN or infinite, or a shape does not fit.
    TypeError
        If the scores are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_average_precision_score : The area under the precision-recall curve.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_roc_auc_score
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 0]]
    >>> y_score = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> masked_roc_auc_score(y_true, y_score, average=None)
    array([0.5, 0.5])
    """
    limits = Limits(min_positive, min_negative, least=(1, 1))
    cells = score_cells(y_true, y_score, sample_weight, name="y_score", kind="score")
    return average_labels(roc_auc, cells, average, limits)


def masked_average_precision_score(
    y_true: LabelsLike,
    y_score: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
) -> float | np.ndarray:
    """Compute the average precision from the labeled cells alone.

    What `y_score` holds in unlabeled cells is never read, NaN included. For each
    label the result equals :func:`sklearn.metrics.average_precision_score` on its
    labeled cells.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_score : array-like of shape (n_samples, n_labels), (n_cells,) or (n_samples,)
        Scores, any finite numbers, that are larger for what is more likely
        positive: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``, or for each sample of a binary target.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, one value for all cells pooled, mean over labels weighted
        by support (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=1
        A label with fewer positive or negative labeled cells is left out. The curve
        needs one positive, so that 0 means 1 there. Without a negative the value is
        1 for any scores, which judges nothing: such labels count with
        ``min_negative=0``. With ``average="micro"`` both bound the pooled cells.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a score in a labeled cell is NaN or infinite, or a shape does not fit.
    TypeError
        If the scores are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_roc_auc_score : The area under the ROC curve.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_average_precision_score
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 0]]
    >>> y_score = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> masked_average_precision_score(y_true, y_score, average=None)
    array([0.83333333, 0.5       ])
    """
    limits = Limits(min_positive, min_negative, least=(1, 0))
    cells = score_cells(y_true, y_score, sample_weight, name="y_score", kind="score")
    return average_labels(average_precision, cells, average, limits)
