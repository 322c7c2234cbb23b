"""Which of two models is better on the same labeled cells."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._typing import LabelsLike, MatrixLike, RandomState, Weights
from ..exceptions import RowOrderWarning, UnscoredLabelsWarning
from ..labels.names import check_same_columns, check_same_rows, column_names
from ..metrics.bootstrap import (
    KINDS,
    Replicates,
    block_sizes,
    check_resampling,
    multiplicities,
    rows_of_cells,
    shifted_ends,
)
from ..metrics.cells import score_cells
from ._interval import as_scalar, standard_error

# Differences of swapped scores that equal the observed one come with rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class PairedComparison:
    """The difference between two models' scores of the same labeled cells.

    Made by :func:`paired_comparison`. With ``average=None`` every number is an array
    of shape (n_labels,).

    Attributes
    ----------
    estimate_a, estimate_b : float or ndarray of shape (n_labels,)
        The metric of either model.
    difference : float or ndarray of shape (n_labels,)
        ``estimate_a - estimate_b``.
    low, high : float or ndarray of shape (n_labels,)
        The ends of the bootstrap interval of the difference.
    standard_error : float or ndarray of shape (n_labels,)
        Standard deviation of the replicates.
    p_value : float or ndarray of shape (n_labels,)
        How often models that could be exchanged differ as much, both ways counted.
    confidence_level : float
        What the interval covers.
    replicates : ndarray of shape (n_resamples,) or (n_resamples, n_labels)
        The difference in each bootstrap sample.
    null_replicates : ndarray of shape (n_resamples,) or (n_resamples, n_labels)
        The difference after each random exchange.
    """

    estimate_a: float | np.ndarray
    estimate_b: float | np.ndarray
    difference: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray
    standard_error: float | np.ndarray
    p_value: float | np.ndarray
    confidence_level: float
    replicates: np.ndarray = field(repr=False)
    null_replicates: np.ndarray = field(repr=False)


def paired_comparison(
    metric: Callable[..., Any],
    y_true: LabelsLike,
    y_score_a: MatrixLike,
    y_score_b: MatrixLike,
    *,
    sample_weight: Weights = None,
    groups: ArrayLike | None = None,
    n_resamples: int = 1000,
    confidence_level: float = 0.95,
    random_state: RandomState = None,
    **kwargs: Any,
) -> PairedComparison:
    """Compare two models by a metric of the same labeled cells.

    The interval of the difference draws rows with replacement, the same for both
    models. The p-value exchanges the two models' scores of random rows: if the models
    are as good as each other, it does not matter whose score is whose. Rows keep
    their cells together in both, and rows without a labeled cell take no part. What
    the scores hold in unlabeled cells is never read.

    Parameters
    ----------
    metric : callable
        A metric of :mod:`sklearn_masked.metrics`, such as `masked_roc_auc_score`.
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_score_a, y_score_b : array-like of shape (n_samples, n_labels), (n_cells,) or \
(n_samples,)
        What the metric takes, of either model: for each cell or for each labeled
        cell. The two need no common scale where the metric reads the order of the
        scores alone.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, times those in `y_true`; 0 is as good as unlabeled.
    groups : array-like of shape (n_samples,), default=None
        Groups of rows that depend on each other, such as the texts of one author:
        the rows of a group are drawn, and exchanged, together. Groups of samples
        without a labeled cell are not read.
    n_resamples : int, default=1000
        Number of bootstrap samples, and of random exchanges.
    confidence_level : float, default=0.95
        How often such intervals are to cover the true difference.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same numbers in every call.
    **kwargs : dict
        Further arguments of the metric, such as ``average=None`` or ``beta=2``.

    Returns
    -------
    PairedComparison
        `estimate_a`, `estimate_b`, `difference`, `low`, `high`, `standard_error`,
        `p_value`, `confidence_level`, `replicates` and `null_replicates`.

    Raises
    ------
    ValueError
        If `metric` is none of the package, `n_resamples` or `confidence_level` is
        out of range, `groups` has another shape or lacks a value, or the metric
        refuses the labels or the scores.

    Warns
    -----
    UnscoredLabelsWarning
        If labels of `y_true` are left out.

    See Also
    --------
    bootstrap_interval : The interval of one model.

    Notes
    -----
    With B exchanges, k of which make a difference at least as large as the observed
    one, the p-value is ``(1 + k) / (1 + B)``, which is never 0. Metrics of the order
    exchange random numbers in the order of the scores, since two models need not
    have a common scale: those of either model are as many uniform numbers as the
    label has labeled cells, or all labels for ``average="micro"``. With
    ``average=None`` there is a p-value per label; of 85 labels of equal models some
    four are below 0.05.

    The interval has percentiles of the replicates, moved by twice their bias; that of
    average precision lies around the difference of two estimates without the bias of
    few positives, as in :func:`bootstrap_interval`.

    Of models that can be exchanged, with 4 positives per label and 1 to 20 labels,
    0.036 to 0.064 of 1,000 runs had a p-value of 0.05 or less, for average precision
    and ROC AUC (``benchmarks/inspection.py exchange``).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.inspection import paired_comparison
    >>> from sklearn_masked.metrics import masked_roc_auc_score
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.choice([0, 1, np.nan], size=(200, 3))
    >>> good = np.nan_to_num(y_true) + rng.normal(size=(200, 3))
    >>> noisy = good + rng.normal(size=(200, 3))
    >>> found = paired_comparison(
    ...     masked_roc_auc_score, y_true, good, noisy, random_state=0
    ... )
    >>> round(found.difference, 3), round(found.low, 3), round(found.high, 3)
    (0.078, 0.038, 0.118)
    >>> round(found.p_value, 3)
    0.001
    """
    if metric not in KINDS:
        known = ", ".join(function.__name__ for function in KINDS)
        raise ValueError(f"`metric` accepts one of {known}; got {metric!r}.")
    check_resampling(n_resamples, confidence_level)
    random_state = check_random_state(random_state)
    weighted = {} if sample_weight is None else {"sample_weight": sample_weight}
    both = [
        score_cells(y_true, y_score, sample_weight, name=name, kind=KINDS[metric])
        for name, y_score in (("y_score_a", y_score_a), ("y_score_b", y_score_b))
    ]
    check_same_rows(y_score_a=y_score_a, y_score_b=y_score_b)
    check_same_columns(y_score_b, column_names(y_score_a), "y_score_b", "`y_score_a`")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowOrderWarning)  # the rows were compared above
        estimates = [metric(y_true, y_score_a, **weighted, **kwargs)]
        # The labels are the same, and have been warned about.
        warnings.simplefilter("ignore", UnscoredLabelsWarning)
        estimates.append(metric(y_true, y_score_b, **weighted, **kwargs))
    rows = rows_of_cells(y_true, sample_weight, groups)
    n_rows = int(rows.max(initial=-1)) + 1
    pair = _Pair(metric, both, rows, n_rows, kwargs)
    replicates = pair.resampled(n_resamples, random_state)
    null_replicates = pair.exchanged(n_resamples, random_state)
    difference = estimates[0] - estimates[1]
    low, high = pair.ends(estimates, replicates, confidence_level)
    return PairedComparison(
        *estimates,
        difference,
        as_scalar(low),
        as_scalar(high),
        standard_error(replicates),
        _p_value(difference, null_replicates),
        float(confidence_level),
        replicates,
        null_replicates,
    )


class _Pair:
    """The labeled cells with the scores of two models."""

    def __init__(self, metric, both, rows, n_rows, options):
        self._metric, self._options = metric, options
        self._both, self._rows, self._n_rows = both, rows, n_rows
        self._models = [
            Replicates(metric, cells, rows, n_rows, options) for cells in both
        ]

    def resampled(self, n_resamples, random_state):
        """Return the difference in bootstrap samples."""
        first, second = self._models
        return np.concatenate(
            [
                first(block) - second(block)
                for block in multiplicities(self._n_rows, n_resamples, random_state)
            ]
        )

    def ends(self, estimates, replicates, confidence_level):
        """Return the ends of the interval of the difference."""
        (first, scale), (second, other) = (
            model.unbiased(estimate)
            for model, estimate in zip(self._models, estimates, strict=True)
        )
        return shifted_ends(
            estimates[0] - estimates[1],
            replicates,
            confidence_level,
            unbiased=None if first is None else first - second,
            scale=(scale + other) / 2,
        )

    def exchanged(self, n_resamples, random_state):
        """Return the difference after the scores of random rows are exchanged.

        Both models' cells stand in one list, the second model's in rows of their own:
        a model is then a choice of one of its two rows for each row.
        """
        cells = _joined(
            *(self._comparable(cells, random_state) for cells in self._both)
        )
        rows = np.concatenate([self._rows, self._rows + self._n_rows])
        replicates = Replicates(
            self._metric, cells, rows, 2 * self._n_rows, self._options
        )
        differences = []
        for n_copies in block_sizes(2 * self._n_rows, n_resamples):
            swapped = random_state.randint(2, size=(n_copies, self._n_rows)).T
            swapped = swapped.astype(np.float64)
            differences.append(
                replicates(np.concatenate([1 - swapped, swapped]))
                - replicates(np.concatenate([swapped, 1 - swapped]))
            )
        return np.concatenate(differences)

    def _comparable(self, cells, random_state):
        """Return the cells with scores that may be exchanged."""
        if KINDS[self._metric] != "score":
            return cells._replace(scores=cells.scores.astype(np.float64))
        pooled = self._options.get("average") == "micro"
        cols = np.zeros_like(cells.cols) if pooled else cells.cols
        return cells._replace(scores=_uniform(cols, cells.scores, random_state))


def _joined(first, second):
    """Return the cells of both, one after the other."""
    weights = first.weights
    return first._replace(
        cols=np.concatenate([first.cols, second.cols]),
        positive=np.concatenate([first.positive, second.positive]),
        scores=np.concatenate([first.scores, second.scores]),
        weights=None if weights is None else np.concatenate([weights, weights]),
    )


def _uniform(cols, scores, random_state):
    """Return uniform random numbers in the order of the scores of each label.

    Equal ranks of two models would be tied after an exchange, and both tops equally
    high, so that the differences vary less than that of two models does. Uniform
    numbers place the scores of two models relative to each other as scores from one
    continuous distribution lie. Tied scores get the mean of their numbers.
    """
    order = np.lexsort((scores, cols))
    numbers = random_state.uniform(size=len(order))
    numbers = numbers[np.lexsort((numbers, cols))]
    cols, scores = cols[order], scores[order]
    new = np.ones(len(order), bool)
    new[1:] = (cols[1:] != cols[:-1]) | (scores[1:] != scores[:-1])
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(order))
    if len(order):
        numbers = np.repeat(np.add.reduceat(numbers, starts) / sizes, sizes)
    uniform = np.empty(len(order))
    uniform[order] = numbers
    return uniform


def _p_value(difference, null_replicates):
    """Return how often an exchange makes as large a difference, both ways counted."""
    # A difference that an exchange leaves undefined counts against the finding.
    smaller = np.abs(null_replicates) < np.abs(difference) - _ROUNDING
    n_as_large = np.count_nonzero(~smaller, axis=0)
    p_value = (1 + n_as_large) / (1 + len(null_replicates))
    return as_scalar(np.where(np.isnan(difference), np.nan, p_value))
