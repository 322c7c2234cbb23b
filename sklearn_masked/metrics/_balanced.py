"""Metrics of 0/1 decisions in which both classes count: balanced accuracy and MCC."""

from typing import Any

import numpy as np

from .averaging import Limits, average_labels
from .cells import balanced_accuracy, confusion, matthews_corrcoef, score_cells


def masked_balanced_accuracy_score(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "macro",
    sample_weight: Any = None,
    min_positive: int = 1,
    min_negative: int = 1,
    adjusted: bool = False,
) -> float | np.ndarray:
    """Compute the mean recall of positives and negatives, from labeled cells alone.

    What `y_pred` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.balanced_accuracy_score` on its labeled cells. It
    does not depend on the share of positives among the labeled cells, and so can be
    compared between cells that were sought and cells drawn at random.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_pred : array-like or sparse matrix of shape (n_samples, n_labels), \
(n_cells,) or (n_samples,)
        Decisions, 0 or 1: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``. For a binary target: its own two values.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, one value for all cells pooled, mean over labels weighted
        by support (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=1
        A label with fewer positive or negative labeled cells is left out, and always
        one that lacks either. With ``average="micro"`` they bound the pooled cells.
    adjusted : bool, default=False
        Whether to rescale the result so that chance is 0 and perfect decisions are 1.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a decision in a labeled cell is not 0 or 1, or a shape does not fit.
    TypeError
        If the decisions are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_matthews_corrcoef : Precision counts there too.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_balanced_accuracy_score
    >>> y_true = [[1, None], [0, 1], [0, 0], [None, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0], [0, 0]]
    >>> masked_balanced_accuracy_score(y_true, y_pred, average=None)
    array([0.75, 1.  ])
    """
    limits = Limits(min_positive, min_negative, least=(1, 1))
    cells = score_cells(y_true, y_pred, sample_weight, name="y_pred", kind="pred")
    result = average_labels(
        lambda cells: balanced_accuracy(*confusion(cells)), cells, average, limits
    )
    return 2 * result - 1 if adjusted else result


def masked_matthews_corrcoef(
    y_true: Any,
    y_pred: Any,
    *,
    average: str | None = "macro",
    sample_weight: Any = None,
    min_positive: int = 1,
    min_negative: int = 1,
) -> float | np.ndarray:
    """Compute the Matthews correlation coefficient from the labeled cells alone.

    The correlation of truth and decision, from -1 over 0 (chance) to 1. What `y_pred`
    holds in unlabeled cells is never read. For each label with positive and negative
    labeled cells the result equals :func:`sklearn.metrics.matthews_corrcoef` on its
    labeled cells.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_pred : array-like or sparse matrix of shape (n_samples, n_labels), \
(n_cells,) or (n_samples,)
        Decisions, 0 or 1: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``. For a binary target: its own two values.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, one value for all cells pooled, mean over labels weighted
        by support (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=1
        A label with fewer positive or negative labeled cells is left out, and always
        one that lacks either. With ``average="micro"`` they bound the pooled cells.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out, where scikit-learn returns 0; NaN overall
        only if all are. 0, as in scikit-learn, where all decisions are alike.

    Raises
    ------
    ValueError
        If a decision in a labeled cell is not 0 or 1, or a shape does not fit.
    TypeError
        If the decisions are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_balanced_accuracy_score : Does not depend on the share of positives.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_matthews_corrcoef
    >>> y_true = [[1, None], [0, 1], [0, 0], [None, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0], [0, 0]]
    >>> masked_matthews_corrcoef(y_true, y_pred, average=None)
    array([0.5, 1. ])
    """
    limits = Limits(min_positive, min_negative, least=(1, 1))
    cells = score_cells(y_true, y_pred, sample_weight, name="y_pred", kind="pred")
    return average_labels(
        lambda cells: matthews_corrcoef(*confusion(cells)), cells, average, limits
    )
