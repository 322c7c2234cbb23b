"""Metrics of probabilities: log loss and Brier score."""

from typing import Literal

import numpy as np

from .._typing import LabelsLike, MatrixLike, Weights
from .averaging import Limits, average_labels
from .cells import score_cells


def masked_log_loss(
    y_true: LabelsLike,
    y_proba: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 0,
    min_negative: int = 0,
) -> float | np.ndarray:
    """Compute the log loss, in nats, from the labeled cells alone.

    What `y_proba` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.log_loss` on its labeled cells; as there,
    probabilities are clipped by the machine epsilon of their dtype.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_proba : array-like of shape (n_samples, n_labels), (n_cells,), (n_samples,) \
or (n_samples, 2)
        Probabilities of the positive class: for each cell, or for each labeled
        cell, in the order of ``MaskedLabels.cells()``. A binary target also takes
        the two columns of a binary classifier's ``predict_proba``.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, mean over all cells, mean over labels weighted by support
        (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=0
        A label with fewer positive or negative labeled cells is left out. The loss
        is defined for one class too: a label without any labeled cell alone cannot
        be scored. With ``average="micro"`` they bound the pooled cells.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a labeled cell has no probability from 0 to 1, or a shape does not fit.
    TypeError
        If the probabilities are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_brier_score_loss : The mean squared error of the probabilities.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_log_loss
    >>> y_true = [[1, None], [0, 1], [None, 0]]
    >>> y_proba = [[0.8, 0.5], [0.5, 0.5], [0.5, 0.2]]
    >>> masked_log_loss(y_true, y_proba, average=None)
    array([0.45814537, 0.45814537])
    """
    limits = Limits(min_positive, min_negative)
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")
    return average_labels(log_loss, cells, average, limits)


def masked_brier_score_loss(
    y_true: LabelsLike,
    y_proba: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 0,
    min_negative: int = 0,
) -> float | np.ndarray:
    """Compute the Brier score, a mean squared error, from the labeled cells alone.

    What `y_proba` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.brier_score_loss` on its labeled cells.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_proba : array-like of shape (n_samples, n_labels), (n_cells,), (n_samples,) \
or (n_samples, 2)
        Probabilities of the positive class: for each cell, or for each labeled
        cell, in the order of ``MaskedLabels.cells()``. A binary target also takes
        the two columns of a binary classifier's ``predict_proba``.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, mean over all cells, mean over labels weighted by support
        (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=0
        A label with fewer positive or negative labeled cells is left out. The score
        is defined for one class too: a label without any labeled cell alone cannot
        be scored. With ``average="micro"`` they bound the pooled cells.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a labeled cell has no probability from 0 to 1, or a shape does not fit.
    TypeError
        If the probabilities are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_log_loss : The mean negative log-likelihood.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_brier_score_loss
    >>> y_true = [[1, None], [0, 1], [None, 0]]
    >>> y_proba = [[0.8, 0.5], [0.5, 0.5], [0.5, 0.2]]
    >>> masked_brier_score_loss(y_true, y_proba, average=None)
    array([0.145, 0.145])
    """
    limits = Limits(min_positive, min_negative)
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")
    return average_labels(brier_score, cells, average, limits)


def log_loss(cells):
    """Return the log loss of each label; NaN where it has no cells."""
    proba = cells.scores
    hit = np.where(cells.positive, proba, 1 - proba)
    epsilon = np.finfo(proba.dtype).eps
    hit = np.clip(hit, epsilon, 1 - epsilon).astype(np.float64)
    return _mean(cells, -np.log(hit))


def brier_score(cells):
    """Return the mean squared error of each label; NaN where it has no cells."""
    error = cells.scores.astype(np.float64) - cells.positive
    return _mean(cells, error * error)


def _mean(cells, losses):
    """Return the weighted mean of the losses of each label."""
    if cells.weights is not None:
        losses = losses * cells.weights
    sums = np.bincount(cells.cols, weights=losses, minlength=cells.n_labels)
    with np.errstate(invalid="ignore"):
        return sums / cells.total()
