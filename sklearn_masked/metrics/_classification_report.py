"""A table of decisions and of what they get right, one row per label."""

from typing import Any

import numpy as np

from ..labels.per_label import read_per_label
from ._decisions import masked_f1_score, masked_precision_score, masked_recall_score
from ._report import Resampled
from .averaging import Limits
from .bootstrap import (
    Replicates,
    Sums,
    check_confidence_level,
    check_resampling,
    rows_of_cells,
    share_ends,
)
from .cells import confusion, score_cells
from .label_table import LabelTable, label_column, table_lines
from .shares import INTERVALS, effective_number, ratio_ends

_COUNTS = ("n_labeled", "support", "tp", "fp", "fn", "tn")
_METRICS = {
    "precision": masked_precision_score,
    "recall": masked_recall_score,
    "f1": masked_f1_score,
}
_TRAFFIC = "traffic_precision"
_LARGE = 10_000
_FEW_FALSE = 0.05  # of the labels may lack a false positive in a macro interval
_HEAD = {"n_labeled": "labeled", "precision": "prec.", _TRAFFIC: "traffic"}


class ClassificationReport(LabelTable):
    """Decisions of every label against the truth, from its labeled cells alone.

    A mapping from column names to arrays of shape (n_labels,): "label" (names, or
    positions); "n_labeled", "support", "tp", "fp", "fn" and "tn" (numbers of labeled
    cells, of positive ones, of true and false positives, false and true negatives,
    int64); "precision", "recall" and "f1" (float64, NaN where they are not defined).
    With a prevalence also "prevalence" and "traffic_precision", and with intervals
    "precision_low", "precision_high" and so on.

    Made by :func:`masked_classification_report`.

    Attributes
    ----------
    macro, micro : dict
        The metrics and the ends of their intervals: the mean over the labels that
        have one, and the value of the pooled cells of all labels.
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
        metrics = [name for name in (*_METRICS, _TRAFFIC) if name in self.macro]
        # Numbers of cells that are sums of others give way to large counts.
        large = self["n_labeled"].sum() >= _LARGE
        counts = _COUNTS[2:] if large else _COUNTS
        head = {name: _HEAD.get(name, name) for name in (*counts, *metrics)}
        level = self.confidence_level
        lines = table_lines(self, head, counts, metrics, level, gap=" ")
        foot = f"{len(self['label'])} labels, labeled cells"
        if level is not None:
            foot += f"; {100 * level:g} % intervals"
        if _TRAFFIC in self.macro:
            foot += "; traffic: precision at the prevalence"
        return "\n".join([*lines, "", f"[{foot}]"])


def masked_classification_report(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    groups: Any = None,
    prevalence: Any = None,
    confidence_level: float | None = None,
    interval: str = "auto",
    n_resamples: int = 1000,
    random_state: Any = None,
) -> ClassificationReport:
    """Report, for each label, counts of decisions, precision, recall and F1.

    What `y_pred` holds in unlabeled cells is never read. A label that has no value of
    a metric shows NaN, without a warning, and is left out of its macro average: all
    metrics need a positive and a negative labeled cell, precision a positive decision
    too.

    Parameters
    ----------
    y_true : MaskedLabels or any other form of labels
        Labels of shape (n_samples, n_labels), or a binary target of shape
        (n_samples,) in which NaN, None and pd.NA are unlabeled.
    y_pred : array-like or sparse matrix of shape (n_samples, n_labels), \
(n_cells,) or (n_samples,)
        Decisions, 0 or 1: for each cell, or for each labeled cell, in the order of
        ``MaskedLabels.cells()``. For a binary target: its own two values.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
        Weights of rows or cells, which multiply those in `y_true`. The counts leave
        out cells of weight 0 and are not weighted otherwise.
    groups : array-like of shape (n_samples,), default=None
        Groups of rows that are drawn together for the intervals, such as the texts of
        one author. Groups of samples without a labeled cell are not read.
    prevalence : float, array-like of shape (n_labels,) or dict, default=None
        The share of positives of each label in traffic, between 0 and 1, such as
        :func:`~sklearn_masked.calibration.estimate_prevalence` returns, taken as
        exact; a dict by names may leave labels out. Adds precision in traffic. Labeled
        cells that were sought hold more positives than traffic, and their precision is
        higher.
    confidence_level : float, default=None
        Add intervals that cover the true values with this probability, such as 0.95.
    interval : {"auto", "wilson", "clopper_pearson", "bootstrap"}, default="auto"
        Intervals of single labels. Wilson's cover at the confidence level on average,
        those of Clopper and Pearson at least at it; both take the rows for
        independent, and weighted cells for their effective number. "bootstrap" draws
        rows, or groups of them, with replacement, as all intervals of macro and micro
        averages do. "auto" is "wilson", and "bootstrap" where there are `groups`.
    n_resamples : int, default=1000
        Number of bootstrap samples.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same bootstrap intervals in every call.

    Returns
    -------
    ClassificationReport
        A mapping from column names to arrays, which prints as a table.

    Raises
    ------
    ValueError
        If a decision in a labeled cell is not 0 or 1, a shape does not fit, or
        another parameter is out of range.
    TypeError
        If the decisions are no numbers.

    See Also
    --------
    masked_report : Metrics of scores and probabilities.
    sklearn_masked.inspection.audited_performance : Precision, recall and prevalence
        in traffic from a random audit and the decisions on all rows.

    Notes
    -----
    With prevalence q, recall r and the share f of negatives that are predicted
    positive, precision in traffic is ``q * r / (q * r + (1 - q) * f)``: the labeled
    positives must be like those of traffic, and the labeled negatives like its
    negatives. Its interval follows from those of r and f (MOVER-R, Donner and Zou
    2012). F1 is ``2 J / (1 + J)`` with the share J of true positives among all cells
    that are positive or predicted so, and its interval follows from that of J.

    A label without a false positive among few negatives has a precision in traffic of
    1, and no redrawing shows that this is too high. Where more than one label in twenty
    is so, the macro average of precision in traffic has NaN for an interval: simulated
    with 10 negatives per label, it covered in 0.60 of draws. With some 100 negatives
    per label, 95 % intervals of macro and micro averages covered in 0.91 to 0.99. Nor
    has a label without a false positive a bootstrap interval of precision in traffic.

    Examples
    --------
    >>> from sklearn_masked.metrics import masked_classification_report
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 1], [0, 0]]
    >>> y_pred = [[1, 1], [1, 1], [1, 0], [0, 0], [0, 1]]
    >>> masked_classification_report(y_true, y_pred, prevalence=0.1)
    label labeled support tp fp fn tn  prec. recall     f1 traffic
    0           4       2  2  1  0  1 0.6667 1.0000 0.8000  0.1818
    1           4       2  1  1  1  1 0.5000 0.5000 0.5000  0.1000
    <BLANKLINE>
    macro                             0.5833 0.7500 0.6500  0.1409
    micro       8       4  3  2  1  2 0.6000 0.7500 0.6667  0.1429
    <BLANKLINE>
    [2 labels, labeled cells; traffic: precision at the prevalence]
    """
    interval = _check(confidence_level, interval, n_resamples, groups)
    cells = score_cells(y_true, y_pred, sample_weight, name="y_pred", kind="pred")
    prevalence = _read_prevalence(prevalence, cells)
    per_label = _measure(cells)
    micro = {name: float(value[0]) for name, value in _measure(cells.pooled()).items()}
    if prevalence is not None:
        per_label[_TRAFFIC] = _traffic(prevalence, *confusion(cells))
        pooled = _pooled_traffic(prevalence, *confusion(cells))
        micro[_TRAFFIC] = float(pooled[0])
    macro = {
        name: float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
        for name, values in per_label.items()
    }
    if confidence_level is not None or groups is not None:
        rows = rows_of_cells(y_true, sample_weight, groups)
    if confidence_level is not None:
        resampled = _resample(cells, rows, prevalence, n_resamples, random_state)
        names = list(per_label)
        if interval == "bootstrap":
            resampled.add_ends(per_label, names, None, confidence_level)
        else:
            _add_share_ends(per_label, cells, prevalence, interval, confidence_level)
        resampled.add_ends(macro, names, "macro", confidence_level)
        resampled.add_ends(micro, names, "micro", confidence_level)
    columns = {"label": label_column(cells.n_labels, cells.names), **_counts(cells)}
    if prevalence is not None:
        columns["prevalence"] = prevalence
    return ClassificationReport(
        {**columns, **per_label}, macro, micro, confidence_level
    )


def _check(confidence_level, interval, n_resamples, groups):
    """Return the kind of interval, or raise for parameters that are out of range."""
    if interval not in ("auto", *INTERVALS, "bootstrap"):
        raise ValueError(
            "`interval` accepts 'auto', 'wilson', 'clopper_pearson' or 'bootstrap'; "
            f"got {interval!r}."
        )
    if groups is not None and interval in INTERVALS:
        raise ValueError(
            "`interval` accepts 'auto' or 'bootstrap' with `groups`, whose rows are "
            f"not independent; got {interval!r}."
        )
    if confidence_level is not None:
        check_confidence_level(confidence_level)
        check_resampling(n_resamples, confidence_level)
    if interval == "auto":
        return "wilson" if groups is None else "bootstrap"
    return interval


def _read_prevalence(prevalence, cells):
    """Return a share per label, NaN where a dict names none; or None."""
    if prevalence is None:
        return None
    return read_per_label(
        prevalence,
        "prevalence",
        cells.n_labels,
        cells.names,
        "shares strictly between 0 and 1, or NaN",
        lambda share: ((share > 0) & (share < 1)) | np.isnan(share),
    )


def _counts(cells):
    """Return the columns of counts: cells, whatever their weights."""
    tp, fp, fn, tn = (
        count.astype(np.int64) for count in confusion(cells._replace(weights=None))
    )
    values = (tp + fp + fn + tn, tp + fn, tp, fp, fn, tn)
    return dict(zip(_COUNTS, values, strict=True))


def _measure(cells):
    """Return the metrics of each label, NaN where they are not defined."""
    tp, fp, fn, _ = confusion(cells)
    both = Limits(1, 1).met_by(cells)
    with np.errstate(invalid="ignore"):
        values = {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
        }
    return {name: np.where(both, value, np.nan) for name, value in values.items()}


def _traffic(prevalence, tp, fp, fn, tn):
    """Return precision at some prevalence; NaN without cells of either class."""
    with np.errstate(invalid="ignore"):
        hits, misses = prevalence * tp / (tp + fn), (1 - prevalence) * fp / (fp + tn)
        return hits / (hits + misses)


def _pooled_traffic(prevalence, tp, fp, fn, tn):
    """Return precision of the decisions of all labels whose rates are known."""
    with np.errstate(invalid="ignore"):
        hits, misses = prevalence * tp / (tp + fn), (1 - prevalence) * fp / (fp + tn)
        unknown = np.isnan(hits + misses)
        hits, misses = np.where(unknown, 0, hits), np.where(unknown, 0, misses)
        total = (hits + misses).sum(axis=0, keepdims=True)
        return hits.sum(axis=0, keepdims=True) / total


def _add_share_ends(per_label, cells, prevalence, interval, confidence_level):
    """Add the ends of intervals of shares of independent cells."""
    ends_of = INTERVALS[interval]
    decided, positive = cells.scores == 1, cells.positive
    either, both = decided | positive, decided & positive

    def ends(of, among):
        total, n_cells = cells.total(among), _effective(cells, among)
        with np.errstate(invalid="ignore"):
            return ends_of(cells.total(of) / total, n_cells, confidence_level)

    found = {
        "precision": ends(both, decided),
        "recall": ends(both, positive),
        "f1": [2 * end / (1 + end) for end in ends(both, either)],
    }
    if prevalence is not None:
        tp, fp, fn, tn = confusion(cells)
        with np.errstate(invalid="ignore"):
            rates = tp / (tp + fn), fp / (fp + tn)
            false = ends(decided & ~positive, ~positive)
            ratio = ratio_ends(rates[0], found["recall"], rates[1], false)
            odds = np.array(ratio) * prevalence / (1 - prevalence)
            found[_TRAFFIC] = np.where(np.isinf(odds), 1.0, odds / (1 + odds))
    for name, pair in found.items():
        for end, values in zip(("low", "high"), pair, strict=True):
            values = np.where(np.isnan(per_label[name]), np.nan, values)
            per_label[f"{name}_{end}"] = values


def _effective(cells, among):
    """Return the effective number of some cells, per label."""
    sums = cells.total(among).astype(np.float64)
    if cells.weights is None:
        return sums
    squares = cells._replace(weights=cells.weights**2).total(among)
    return effective_number(sums, squares)


def _resample(cells, rows, prevalence, n_resamples, random_state):
    """Return the metrics of bootstrap samples of the rows."""
    n_rows = int(rows.max(initial=-1)) + 1
    prepared = {
        (name, average): Replicates(
            metric, cells, rows, n_rows, {"average": average, "zero_division": np.nan}
        )
        for name, metric in _METRICS.items()
        for average in (None, "micro")
    }
    if prevalence is not None:
        for average in (None, "micro"):
            prepared[_TRAFFIC, average] = _TrafficReplicates(
                cells, rows, n_rows, prevalence, average
            )
    return Resampled(prepared, n_rows, n_resamples, random_state)


class _TrafficReplicates:
    """Precision in traffic, of many copies of the same cells at once."""

    def __init__(self, cells, rows, n_rows, prevalence, average):
        decided, positive = cells.scores == 1, cells.positive
        kinds = [positive & decided, ~positive & decided]
        kinds += [positive & ~decided, ~positive & ~decided]
        sums = Sums(cells, rows, n_rows)
        self._counts = [sums.of(kind) for kind in kinds]
        self._prevalence = prevalence[:, None]
        self._function = _traffic if average is None else _pooled_traffic
        if average == "micro":
            sums = Sums(cells.pooled(), rows, n_rows)
        self._least = np.diff(sums.of(decided).indptr).astype(np.float64)

    def __call__(self, multiplicity):
        counts = (count @ multiplicity for count in self._counts)
        values = self._function(self._prevalence, *counts)
        return values.T if self._function is _traffic else values[0]

    def ends(self, estimate, replicates, confidence_level, average):
        """Return the ends of the interval of an estimate, of shape (2, ...).

        NaN without a false positive: redrawn rows have none either.
        """
        least, unseen = self._least, self._counts[1].sum(axis=1) == 0
        if average == "macro":
            unseen, least = unseen[least > 0], least[least > 0]
            least = len(least) / np.sum(1 / least) if len(least) else np.nan
            unseen = len(unseen) > 0 and unseen.mean() > _FEW_FALSE
        elif average == "micro":
            unseen = unseen.all()
        ends = share_ends(estimate, replicates, confidence_level, least)
        return np.where(unseen, np.nan, ends)
