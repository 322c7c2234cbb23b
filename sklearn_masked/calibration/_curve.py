"""Reliability: how often what was given a probability comes true."""

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np

from .._typing import LabelsLike, MatrixLike, Weights
from ..metrics.averaging import Limits, average_labels
from ..metrics.cells import score_cells


class CalibrationCurve(NamedTuple):
    """Bins of probabilities, NaN where a bin has no cell.

    Each array is of shape (n_bins,), or (n_labels, n_bins) for one curve a label.
    """

    prob_true: np.ndarray  # share of positives
    prob_pred: np.ndarray  # mean probability
    weight: np.ndarray  # sum of the weights of the cells; their number without weights


def masked_calibration_curve(
    y_true: LabelsLike,
    y_proba: MatrixLike,
    *,
    n_bins: int = 5,
    strategy: Literal["uniform", "quantile"] = "uniform",
    average: Literal["micro"] | None = "micro",
    sample_weight: Weights = None,
) -> CalibrationCurve:
    """Compute the share of positives against the probability, from labeled cells.

    What `y_proba` holds in unlabeled cells is never read. A curve's bins that are not
    empty equal those of :func:`sklearn.calibration.calibration_curve` on the labeled
    cells.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_proba : array-like of shape (n_samples, n_labels), (n_cells,), (n_samples,) \
or (n_samples, 2)
        Probabilities of the positive class: for each cell, or for each labeled
        cell, in the order of ``MaskedLabels.cells()``.
    n_bins : int, default=5
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of one width, or, of each curve, with as many cells in each. The edges
        do not depend on weights.
    average : {"micro"} or None, default="micro"
        One curve of the cells of all labels, or one per label.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.

    Returns
    -------
    CalibrationCurve
        The arrays `prob_true`, `prob_pred` and `weight`, of shape (n_bins,), or
        (n_labels, n_bins) if `average` is None. An empty bin has NaN, NaN and 0.

    Raises
    ------
    ValueError
        If a labeled cell has no probability between 0 and 1, a shape does not fit, or
        a parameter is not accepted.

    See Also
    --------
    expected_calibration_error : One number for it.

    Examples
    --------
    >>> from sklearn_masked.calibration import masked_calibration_curve
    >>> y_true = [[1, None], [0, 1], [None, 0], [1, 1]]
    >>> y_proba = [[0.9, 0.5], [0.2, 0.7], [0.5, 0.1], [0.8, 0.4]]
    >>> curve = masked_calibration_curve(y_true, y_proba, n_bins=2)
    >>> curve.prob_true.round(2), curve.prob_pred.round(2), curve.weight
    (array([0.33, 1.  ]), array([0.23, 0.8 ]), array([3., 3.]))
    """
    _check_bins(n_bins, strategy)
    if average not in ("micro", None):
        raise ValueError(f"`average` accepts 'micro' or None; got {average!r}.")
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")
    if average == "micro":
        cells = cells.pooled()
    weight, predicted, positive = _bin_sums(cells, n_bins, strategy)
    with np.errstate(invalid="ignore"):
        curve = CalibrationCurve(positive / weight, predicted / weight, weight)
    if average == "micro":
        curve = CalibrationCurve(*(part[0] for part in curve))
    return curve


def expected_calibration_error(
    y_true: LabelsLike,
    y_proba: MatrixLike,
    *,
    n_bins: int = 15,
    strategy: Literal["uniform", "quantile"] = "uniform",
    average: Literal["macro", "micro", "weighted"] | None = "macro",
    sample_weight: Weights = None,
    min_positive: int = 0,
    min_negative: int = 0,
) -> float | np.ndarray:
    """Compute the mean gap between probability and share of positives, over bins.

    ``sum_b w_b / w * |share of positives in b - mean probability in b|`` with the
    weight w_b of the labeled cells in bin b (Naeini et al. 2015, Guo et al. 2017, for
    two classes). What `y_proba` holds in unlabeled cells is never read.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_proba : array-like of shape (n_samples, n_labels), (n_cells,), (n_samples,) \
or (n_samples, 2)
        Probabilities of the positive class: for each cell, or for each labeled
        cell, in the order of ``MaskedLabels.cells()``.
    n_bins : int, default=15
        Number of bins.
    strategy : {"uniform", "quantile"}, default="uniform"
        Bins of one width, or with as many cells of the label in each.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        Mean over labels; the error of the cells of all labels in one set of bins,
        where labels too low make up for labels too high; mean weighted by the weight
        of the positive cells; or the array of the errors of the labels.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    min_positive, min_negative : int, default=0
        A label with fewer positive or negative labeled cells is left out.

    Returns
    -------
    float or ndarray of shape (n_labels,), dtype float64
        Errors, probabilities between 0 and 1; NaN for labels that are left out.

    Raises
    ------
    ValueError
        If a labeled cell has no probability between 0 and 1, a shape does not fit, or
        a parameter is not accepted.

    Warns
    -----
    UnscoredLabelsWarning
        If labels are left out; one warning per call, which names at most ten.

    See Also
    --------
    masked_calibration_curve : The bins.

    Notes
    -----
    The error of few cells is biased upward: it is that of 0 to perfect probabilities
    only with very many cells a bin. Compare models on the same cells.

    Examples
    --------
    >>> from sklearn_masked.calibration import expected_calibration_error
    >>> y_true = [[1, None], [0, 1], [None, 0], [1, 1]]
    >>> y_proba = [[0.9, 0.5], [0.2, 0.7], [0.5, 0.1], [0.8, 0.4]]
    >>> expected_calibration_error(y_true, y_proba, average=None).round(2)
    array([0.17, 0.33])
    """
    _check_bins(n_bins, strategy)
    limits = Limits(min_positive, min_negative)
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")

    def errors(cells):
        weight, predicted, positive = _bin_sums(cells, n_bins, strategy)
        with np.errstate(invalid="ignore"):
            return np.abs(positive - predicted).sum(axis=1) / weight.sum(axis=1)

    return average_labels(errors, cells, average, limits)


def _check_bins(n_bins, strategy):
    if not isinstance(n_bins, Integral) or isinstance(n_bins, bool) or n_bins < 1:
        raise ValueError(f"`n_bins` accepts an integer from 1; got {n_bins!r}.")
    if strategy not in ("uniform", "quantile"):
        raise ValueError(
            f"`strategy` accepts 'uniform' or 'quantile'; got {strategy!r}."
        )


def _bin_sums(cells, n_bins, strategy):
    """Return weight, weighted probability and weighted positives, a bin a label."""
    proba = cells.scores.astype(np.float64)
    if strategy == "uniform":
        inner = np.linspace(0.0, 1.0, n_bins + 1)[1:-1]
        bins = np.searchsorted(inner, proba)
    else:
        bins = _quantile_bins(cells.cols, proba, cells.n_labels, n_bins)
    weights = np.ones(len(proba)) if cells.weights is None else cells.weights
    place = cells.cols * n_bins + bins
    return tuple(
        np.bincount(place, weights * of, minlength=cells.n_labels * n_bins).reshape(
            cells.n_labels, n_bins
        )
        for of in (np.ones(len(proba)), proba, cells.positive)
    )


def _quantile_bins(cols, proba, n_labels, n_bins):
    """Return the bin of each cell, with edges at quantiles of its label's cells."""
    bins = np.zeros(len(proba), dtype=np.intp)
    order = np.argsort(cols, kind="stable")
    ends = np.searchsorted(cols[order], np.arange(n_labels + 1))
    shares = np.linspace(0, 1, n_bins + 1) * 100
    for label in range(n_labels):
        own = order[ends[label] : ends[label + 1]]
        if len(own):
            edges = np.percentile(proba[own], shares)
            bins[own] = np.searchsorted(edges[1:-1], proba[own])
    return bins
