"""A table of metrics, a row per label."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._typing import LabelsLike, MatrixLike, RandomState, Weights
from ._probabilities import brier_score, masked_brier_score_loss
from ._ranking import masked_average_precision_score, masked_roc_auc_score
from .areas import average_precision, roc_auc
from .averaging import Limits
from .bootstrap import Replicates, check_resampling, multiplicities, rows_of_cells
from .cells import score_cells
from .label_table import ENDS, LabelTable, label_column, printed_labels, table_lines

_COUNTS = ("labeled", "positive", "negative")
_METRICS = {
    "auc": masked_roc_auc_score,
    "ap": masked_average_precision_score,
    "brier": masked_brier_score_loss,
}


class MaskedReport(LabelTable):
    """Counts and metrics of every label, from its labeled cells alone.

    A mapping from column names to arrays of shape (n_labels,): "label" (names, or
    positions), "labeled", "positive" and "negative" (counts of cells, int64),
    "auc", "ap" and "brier" (float64, NaN where they are not defined). With
    intervals also "auc_low", "auc_high" and so on for the other metrics.

    Made by :func:`masked_report`.

    Attributes
    ----------
    macro, micro : dict
        "auc", "ap" and "brier", and the ends of their intervals: the mean over the
        labels that have one, and the value of the pooled cells of all labels.
    confidence_level : float or None
        What the intervals cover, None without intervals.
    """

    def __init__(
        self,
        columns: dict[str, np.ndarray],
        macro: dict[str, Any],
        micro: dict[str, Any],
        confidence_level: float | None = None,
    ) -> None:
        super().__init__(columns)
        self.macro = macro
        self.micro = micro
        self.confidence_level = confidence_level

    def __repr__(self) -> str:
        """Return the table in 80 columns; of many labels the first and last ones."""
        head = {name: name for name in (*_COUNTS, *_METRICS)}
        level = self.confidence_level
        lines = table_lines(self, head, _COUNTS, _METRICS, level)
        foot = f"{len(self['label'])} labels"
        if level is not None:
            foot += f"; low to high: {100 * level:g} % intervals"
        if level is not None or printed_labels(len(self["label"]))[1]:
            lines += ["", f"[{foot}]"]
        return "\n".join(lines)


def masked_report(
    y_true: LabelsLike,
    y_proba: MatrixLike,
    *,
    sample_weight: Weights = None,
    groups: ArrayLike | None = None,
    confidence_level: float | None = None,
    n_resamples: int = 1000,
    random_state: RandomState = None,
) -> MaskedReport:
    """Report, for each label, counts, ROC AUC, average precision and Brier score.

    What `y_proba` holds in unlabeled cells is never read. A label that has no value
    of a metric shows NaN, without a warning, and is left out of its macro average:
    ROC AUC and average precision need a positive and a negative labeled cell.

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
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, which multiply those in `y_true`. The counts
        leave out cells of weight 0 and are not weighted otherwise.
    groups : array-like of shape (n_samples,), default=None
        Groups of rows that are drawn together for the intervals, such as the texts of
        one author. Groups of samples without a labeled cell are not read.
    confidence_level : float, default=None
        Add bootstrap intervals that cover the true values with this probability, such
        as 0.95: rows are drawn with replacement, with all their labeled cells, as
        :func:`~sklearn_masked.inspection.bootstrap_interval` does.
    n_resamples : int, default=1000
        Number of bootstrap samples, if intervals are asked for.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same intervals in every call.

    Returns
    -------
    MaskedReport
        A mapping from column names to arrays, which prints as a table.

    Raises
    ------
    ValueError
        If a labeled cell has no probability between 0 and 1, a shape does not fit,
        `groups` lacks a value, or `confidence_level` or `n_resamples` is out of
        range.
    TypeError
        If the probabilities are no numbers.

    See Also
    --------
    masked_roc_auc_score : The metrics one by one.
    sklearn_masked.inspection.bootstrap_interval : The interval of any metric.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_report
    >>> y_true = [[1, None], [0, 1], [1, None], [None, 1]]
    >>> y_proba = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> masked_report(y_true, y_proba)
    label  labeled  positive  negative    auc     ap  brier
    0            3         2         1 0.5000 0.8333 0.2567
    1            2         2         0    nan    nan 0.4850
    <BLANKLINE>
    macro                              0.5000 0.8333 0.3708
    micro        5         4         1 0.5000 0.8875 0.3480
    """
    if confidence_level is not None:
        check_resampling(n_resamples, confidence_level)
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")
    per_label = _measure(cells)
    micro = {name: float(value[0]) for name, value in _measure(cells.pooled()).items()}
    macro = {
        name: float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
        for name, values in per_label.items()
    }
    if confidence_level is not None or groups is not None:
        rows = rows_of_cells(y_true, sample_weight, groups)
    if confidence_level is not None:
        n_rows = int(rows.max(initial=-1)) + 1
        prepared = {
            (name, average): Replicates(
                metric, cells, rows, n_rows, {"average": average}
            )
            for name, metric in _METRICS.items()
            for average in (None, "micro")
        }
        resampled = Resampled(prepared, n_rows, n_resamples, random_state)
        for metrics, average in ((per_label, None), (macro, "macro"), (micro, "micro")):
            resampled.add_ends(metrics, _METRICS, average, confidence_level)
    labels = label_column(cells.n_labels, cells.names)
    n_positive, n_negative = cells.count()
    counts = [n_positive + n_negative, n_positive, n_negative]
    columns = {"label": labels, **dict(zip(_COUNTS, counts, strict=True)), **per_label}
    return MaskedReport(columns, macro, micro, confidence_level)


def _measure(cells):
    """Return the metrics of each label, NaN where they are not defined."""
    both = Limits(1, 1).met_by(cells)
    return {
        "auc": np.where(both, roc_auc(cells), np.nan),
        "ap": np.where(both, average_precision(cells), np.nan),
        "brier": brier_score(cells),
    }


class Resampled:
    """Metrics in bootstrap samples of the rows, which are the same for all metrics."""

    def __init__(self, prepared, n_rows, n_resamples, random_state):
        self._prepared = prepared
        found = {key: [] for key in self._prepared}
        for block in multiplicities(n_rows, n_resamples, random_state):
            for key, replicates in self._prepared.items():
                found[key].append(replicates(block))
        self._found = {key: np.concatenate(blocks) for key, blocks in found.items()}

    def add_ends(self, metrics, names, average, confidence_level):
        """Add the ends of the intervals of the metrics that have these names."""
        for name in names:
            source = name, None if average == "macro" else average
            values = self._found[source]
            if average == "macro":
                known = ~np.isnan(values)
                with np.errstate(invalid="ignore"):
                    values = np.nansum(values, axis=1) / known.sum(axis=1)
            ends = self._prepared[source].ends(
                metrics[name], values, confidence_level, average
            )
            for end, value in zip(ENDS, ends, strict=True):
                metrics[f"{name}_{end}"] = value if average is None else float(value)
