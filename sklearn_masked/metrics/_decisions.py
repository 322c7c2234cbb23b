"""Metrics of 0/1 decisions: precision, recall and F-measures."""

import warnings
from numbers import Real
from typing import Literal

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from .._typing import LabelsLike, MatrixLike, Weights
from .averaging import Limits, average_labels, list_labels
from .cells import score_cells


def masked_precision_score(
    y_true: LabelsLike,
    y_pred: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
    zero_division: Literal["warn"] | float = "warn",
) -> float | np.ndarray:
    """Compute the share of positive decisions that are right, on labeled cells.

    What `y_pred` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.precision_score` on its labeled cells.

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
        A label with fewer positive or negative labeled cells is left out: without a
        negative every positive decision is right, without a positive none is. With
        ``average="micro"`` they bound the pooled cells.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a label, within the limits, for which nothing is predicted
        positive. "warn" is 0 and a warning; NaN is skipped by averages.

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
    UndefinedMetricWarning
        If ``zero_division="warn"`` and it applied.

    See Also
    --------
    masked_recall_score : The share of the positive cells that is found.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_precision_score
    >>> y_true = [[1, None], [0, 1], [None, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0]]
    >>> masked_precision_score(y_true, y_pred, average=None)
    array([0.5, 1. ])
    """
    return _decision_score(
        ("Precision", 0.0, "no predicted positives"),
        y_true,
        y_pred,
        average,
        sample_weight,
        Limits(min_positive, min_negative),
        zero_division,
    )


def masked_recall_score(
    y_true: LabelsLike,
    y_pred: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
    zero_division: Literal["warn"] | float = "warn",
) -> float | np.ndarray:
    """Compute the share of the positive cells that is found, on labeled cells.

    What `y_pred` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.recall_score` on its labeled cells.

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
        A label with fewer positive or negative labeled cells is left out. With
        ``average="micro"`` they bound the pooled cells.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a label without positive cells where ``min_positive=0`` lets it
        count. "warn" is 0 and a warning; NaN is skipped by averages.

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
    UndefinedMetricWarning
        If ``zero_division="warn"`` and it applied.

    See Also
    --------
    masked_precision_score : The share of positive decisions that are right.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_recall_score
    >>> y_true = [[1, None], [0, 1], [1, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0]]
    >>> masked_recall_score(y_true, y_pred, average=None)
    array([0.5, 1. ])
    """
    return _decision_score(
        ("Recall", np.inf, "no positive cells"),
        y_true,
        y_pred,
        average,
        sample_weight,
        Limits(min_positive, min_negative),
        zero_division,
    )


def masked_fbeta_score(
    y_true: LabelsLike,
    y_pred: MatrixLike,
    *,
    beta: float,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
    zero_division: Literal["warn"] | float = "warn",
) -> float | np.ndarray:
    """Compute the F-beta score from the labeled cells alone.

    What `y_pred` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.fbeta_score` on its labeled cells.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_pred : array-like or sparse matrix of shape (n_samples, n_labels), \
(n_cells,) or (n_samples,)
        Decisions, 0 or 1: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``. For a binary target: its own two values.
    beta : float
        How many times as much recall matters as precision; 0 is precision alone,
        infinity recall alone.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels, one value for all cells pooled, mean over labels weighted
        by support (the weight of the positive labeled cells), or one value per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=1
        A label with fewer positive or negative labeled cells is left out. With
        ``average="micro"`` they bound the pooled cells.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a label, where ``min_positive=0`` lets it count, that has
        neither positive cells nor positive decisions. "warn" is 0 and a warning;
        NaN is skipped by averages.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        NaN for labels that are left out; NaN overall only if all are.

    Raises
    ------
    ValueError
        If a decision in a labeled cell is not 0 or 1, `beta` is negative, or a
        shape does not fit.
    TypeError
        If the decisions are no numbers.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.
    UndefinedMetricWarning
        If ``zero_division="warn"`` and it applied.

    See Also
    --------
    masked_f1_score : The same with ``beta=1``.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_fbeta_score
    >>> y_true = [[1, None], [0, 1], [None, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0]]
    >>> masked_fbeta_score(y_true, y_pred, beta=0.5, average=None)
    array([0.55555556, 1.        ])
    """
    if not isinstance(beta, Real) or not beta >= 0:
        raise ValueError(f"`beta` accepts a number, 0 or above; got {beta!r}.")
    return _decision_score(
        ("F-score", float(beta), "neither positive cells nor predicted positives"),
        y_true,
        y_pred,
        average,
        sample_weight,
        Limits(min_positive, min_negative),
        zero_division,
    )


def masked_f1_score(
    y_true: LabelsLike,
    y_pred: MatrixLike,
    *,
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 1,
    min_negative: int = 1,
    zero_division: Literal["warn"] | float = "warn",
) -> float | np.ndarray:
    """Compute the F1 score from the labeled cells alone.

    What `y_pred` holds in unlabeled cells is never read. For each label the result
    equals :func:`sklearn.metrics.f1_score` on its labeled cells.

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
        A label with fewer positive or negative labeled cells is left out. With
        ``average="micro"`` they bound the pooled cells.
    zero_division : {"warn", 0.0, 1.0, np.nan}, default="warn"
        The value of a label, where ``min_positive=0`` lets it count, that has
        neither positive cells nor positive decisions. "warn" is 0 and a warning;
        NaN is skipped by averages.

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
    UndefinedMetricWarning
        If ``zero_division="warn"`` and it applied.

    See Also
    --------
    masked_fbeta_score : The same with another balance of precision and recall.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_f1_score
    >>> y_true = [[1, None], [0, 1], [None, 0]]
    >>> y_pred = [[1, 1], [1, 1], [0, 0]]
    >>> masked_f1_score(y_true, y_pred, average=None)
    array([0.66666667, 1.        ])
    """
    return _decision_score(
        ("F-score", 1.0, "neither positive cells nor predicted positives"),
        y_true,
        y_pred,
        average,
        sample_weight,
        Limits(min_positive, min_negative),
        zero_division,
    )


def _decision_score(
    measure, y_true, y_pred, average, sample_weight, limits, zero_division
):
    """Average the F-beta score; precision and recall are its two ends."""
    title, beta, cause = measure
    filler = _check_zero_division(zero_division)
    cells = score_cells(y_true, y_pred, sample_weight, name="y_pred", kind="pred")
    undefined = None

    def fbeta(cells):
        nonlocal undefined
        values, undefined = _fbeta(cells, beta, filler)
        if average != "micro":
            undefined &= limits.met_by(cells)
        return values

    result = average_labels(fbeta, cells, average, limits, stacklevel=4)
    if zero_division == "warn" and undefined is not None and undefined.any():
        where = f"all labels pooled, which have {cause}"
        if average != "micro":
            labels = list_labels(cells.names, np.flatnonzero(undefined))
            where = f"labels with {cause}: {labels}"
        warnings.warn(
            f"{title} is ill-defined and set to 0.0 in {where}. Use the "
            "`zero_division` parameter to control this behavior.",
            UndefinedMetricWarning,
            stacklevel=3,
        )
    return result


def _fbeta(cells, beta, filler):
    """Return the F-beta score of each label, and where it is undefined."""
    decided = cells.scores == 1
    hit = cells.total(cells.positive & decided)
    if np.isposinf(beta):
        numerator, denominator = hit, cells.total(cells.positive)
    elif beta == 0:
        numerator, denominator = hit, cells.total(decided)
    else:
        square = beta**2
        numerator = (1 + square) * hit
        denominator = square * cells.total(cells.positive) + cells.total(decided)
    undefined = denominator == 0
    values = np.full(cells.n_labels, filler)
    np.divide(numerator, denominator, out=values, where=~undefined)
    return values, undefined


def _check_zero_division(zero_division):
    """Return the value that stands for an undefined score."""
    if isinstance(zero_division, str):
        if zero_division == "warn":
            return 0.0
    elif isinstance(zero_division, Real) and (
        zero_division in (0, 1) or np.isnan(zero_division)
    ):
        return float(zero_division)
    raise ValueError(
        f"`zero_division` accepts 'warn', 0.0, 1.0 or np.nan; got {zero_division!r}."
    )
