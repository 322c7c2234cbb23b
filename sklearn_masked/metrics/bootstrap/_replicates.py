"""A metric of this package, of many copies of the same rows at once."""

import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from .._balanced import masked_balanced_accuracy_score, masked_matthews_corrcoef
from .._decisions import (
    masked_f1_score,
    masked_fbeta_score,
    masked_precision_score,
    masked_recall_score,
)
from .._probabilities import masked_brier_score_loss, masked_log_loss
from .._ranking import masked_average_precision_score, masked_roc_auc_score
from ..averaging import AVERAGES, Limits
from ..cells import ScoredCells
from ._areas import average_precision, roc_auc
from ._draws import share_ends, shifted_ends
from ._own_row import average_precision_of_others
from ._sums import (
    Counts,
    Sums,
    balanced_accuracy,
    brier_score,
    fbeta,
    log_loss,
    matthews_corrcoef,
)

_OWN = object()  # stands for the average of the replicates
_MOST_VARIED = 2.0  # times as much; of a positive or two nothing is known


class Replicates:
    """A metric of this package, of many copies of the same cells at once.

    Parameters
    ----------
    metric : callable
        A key of `KINDS`.
    cells : ScoredCells
        The cells, their scores of the kind that the metric reads.
    rows : ndarray of shape (n_cells,)
        The row of each cell, from 0 to `n_rows` - 1.
    n_rows : int
        Number of rows.
    options : dict
        Further arguments of the metric.
    """

    def __init__(
        self,
        metric: Callable[..., Any],
        cells: ScoredCells,
        rows: np.ndarray,
        n_rows: int,
        options: dict[str, Any],
    ) -> None:
        options = _all_options(metric, options)
        self.average: str | None = options["average"]
        if self.average not in AVERAGES:
            raise ValueError(
                "`average` accepts 'micro', 'macro', 'weighted' or None; got "
                f"{self.average!r}."
            )
        least, prepare = _METRICS[metric]
        self._metric = metric
        # From -1 to 1: intervals are those of the share (value + 1) / 2.
        self._signed = metric is masked_matthews_corrcoef or options.get("adjusted")
        limits = Limits(
            options["min_positive"], options["min_negative"], least=least or (0, 0)
        )
        if self.average == "micro":
            cells = cells.pooled()
        self._values = prepare(cells, rows, n_rows, options)
        self._unbiased = None
        if metric is masked_average_precision_score:
            self._unbiased = _Unbiased(cells, rows, limits)
        sums = Sums(cells, rows, n_rows)
        self._counts = None
        if (limits.min_positive, limits.min_negative) != least:
            self._counts = Counts(cells, rows, n_rows, limits)
        self._support = None
        if self.average == "weighted":
            self._support = sums.of(cells.positive)

    def __call__(self, multiplicity: np.ndarray) -> np.ndarray:
        """Return the metric of each copy.

        Parameters
        ----------
        multiplicity : ndarray of shape (n_rows, n_copies), float64
            How often each copy holds each row.

        Returns
        -------
        ndarray of shape (n_copies,), or (n_copies, n_labels) for average=None
        """
        values = self._values(multiplicity)
        if self._counts is not None:
            values[~self._counts.scored(multiplicity)] = np.nan
        if self.average is None:
            return values.T
        if self.average == "micro":
            return values[0]
        weights = (~np.isnan(values)).astype(np.float64)
        if self.average == "weighted":
            weights *= self._support @ multiplicity
        with np.errstate(invalid="ignore"):
            return np.nansum(values * weights, axis=0) / weights.sum(axis=0)

    def over(self, blocks: Any) -> np.ndarray:
        """Return the metric of the copies of all blocks of multiplicities."""
        return np.concatenate([self(block) for block in blocks])

    def ends(
        self,
        estimate: Any,
        replicates: Any,
        confidence_level: float | None,
        average: Any = _OWN,
    ) -> np.ndarray:
        """Return the ends of the interval of an estimate, of shape (2, ...).

        `average` is that of the estimate, where it is not the replicates' own.
        """
        ends = self._redrawn_ends(estimate, replicates, confidence_level, average)
        average = self.average if average is _OWN else average
        single = average in (None, "micro")
        if single and self._metric is masked_balanced_accuracy_score:
            return self._values.extend(ends, confidence_level)
        return ends

    def _redrawn_ends(self, estimate, replicates, confidence_level, average):
        """Return the ends of the interval by the spread of the replicates."""
        if self._metric is masked_log_loss:
            bounds = (0.0, np.inf)
            return shifted_ends(estimate, replicates, confidence_level, bounds)
        average = self.average if average is _OWN else average
        least = self._least(average)
        if not self._signed:
            center = self._unbiased and self._unbiased.average(average)
            return share_ends(estimate, replicates, confidence_level, least, center)
        shares = (np.asarray(estimate) + 1) / 2, (replicates + 1) / 2
        return 2 * share_ends(*shares, confidence_level, least) - 1

    def unbiased(self, estimate: Any, average: Any = _OWN) -> tuple[Any, Any]:
        """Return an estimate of less bias, and how many times as much it varies.

        None and 1 for metrics whose bias is taken from the replicates.
        """
        if self._unbiased is None:
            return None, 1.0
        average = self.average if average is _OWN else average
        value = self._unbiased.average(average)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.fmin(((1 - estimate) / (1 - value)) ** 2, 1.0)
            share = np.fmax(share * (1 - 1 / self._least(average)), _MOST_VARIED**-2)
        return value, share**-0.5

    def _least(self, average):
        """Return the number of cells behind an estimate that is 0 or 1."""
        least = self._values.least
        return _harmonic_mean(least) if average in ("macro", "weighted") else least


class _Unbiased:
    """Average precision with less than half of the bias of bootstrap samples."""

    def __init__(self, cells, rows, limits):
        self._cells, self._rows, self._limits = cells, rows, limits

    @cached_property
    def _values(self):
        """One value per label, NaN where it is not scored."""
        values = average_precision_of_others(self._cells, self._rows)
        values[~self._limits.met_by(self._cells)] = np.nan
        return values

    def average(self, average):
        """Return the average over labels, or the values of all labels."""
        if average is None:
            return self._values
        known = ~np.isnan(self._values)
        if not known.any():
            return np.nan
        weights = None
        if average == "weighted":
            weights = self._cells.total(self._cells.positive)[known]
        return np.average(self._values[known], weights=weights)


def _harmonic_mean(least):
    """Return what a mean over labels stands on, which are not taken as independent."""
    least = least[least > 0]
    return len(least) / np.sum(1 / least) if len(least) else np.nan


def _all_options(metric, options):
    """Return all further arguments of a metric, its defaults included."""
    given = inspect.signature(metric).bind(None, None, **options)
    given.apply_defaults()
    return given.arguments


# The kind of predictions that each metric reads.
KINDS: dict[Callable[..., Any], str] = {
    masked_roc_auc_score: "score",
    masked_average_precision_score: "score",
    masked_log_loss: "proba",
    masked_brier_score_loss: "proba",
    masked_precision_score: "pred",
    masked_recall_score: "pred",
    masked_f1_score: "pred",
    masked_fbeta_score: "pred",
    masked_balanced_accuracy_score: "pred",
    masked_matthews_corrcoef: "pred",
}
# Below how many positive and negative cells its values are NaN by themselves (None:
# they are not, even without any cell), and how each is prepared.
_METRICS = {
    masked_roc_auc_score: ((1, 1), roc_auc),
    masked_average_precision_score: ((1, 0), average_precision),
    masked_log_loss: ((0, 0), log_loss),
    masked_brier_score_loss: ((0, 0), brier_score),
    masked_precision_score: (None, fbeta(0.0)),
    masked_recall_score: (None, fbeta(np.inf)),
    masked_f1_score: (None, fbeta(1.0)),
    masked_fbeta_score: (None, fbeta()),
    masked_balanced_accuracy_score: ((1, 1), balanced_accuracy),
    masked_matthews_corrcoef: ((1, 1), matthews_corrcoef),
}
