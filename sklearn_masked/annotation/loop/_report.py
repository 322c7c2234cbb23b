"""Where a labeling loop stands."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning

from ...metrics import masked_average_precision_score, masked_roc_auc_score

_METRICS = {
    "roc_auc": masked_roc_auc_score,
    "average_precision": masked_average_precision_score,
}

LABEL_DTYPE = [
    ("label", object),
    ("yes", np.int64),
    ("no", np.int64),
    ("disputed", np.int64),
    ("skipped", np.int64),
    ("roc_auc", np.float64),
    ("average_precision", np.float64),
]


@dataclass(frozen=True)
class LoopReport:
    """Where a labeling loop stands: printed, a table.

    Attributes
    ----------
    labels : structured array of shape (n_labels,)
        Of each label: its `label`, cells decided `yes` and `no`, `disputed` (cells on
        which annotators disagree), `skipped` (cells that were skipped and are not
        decided), and the scores `roc_auc` and `average_precision`, NaN where unknown.
    n_cells : int
        Cells of the pool.
    n_answers : int
        Answers that stand, skips not among them.
    annotators : dict of str or None to int
        Answers that stand, by annotator, skips among them.
    n_open : int
        Cells that were handed out, and are neither answered, skipped nor released.
    n_since_fit : int or None
        Answers, skips and undone ones since the model was fitted; None without a
        model.
    scored_at : int or None
        Labeled cells that the scores come from; None if none were asked for.

    See Also
    --------
    LabelingLoop.report : Returns it.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_masked.annotation import LabelingLoop
    >>> texts, names = ["a war", "a theft", "rain"], ["war", "crime"]
    >>> folder = tempfile.mkdtemp()
    >>> with LabelingLoop(None, texts, folder=folder, label_names=names) as loop:
    ...     loop.answer([0, 1], ["war", "war"], ["yes", "no"])
    ...     loop.answer(2, "war", "skip")
    ...     print(loop.report())
    label    yes     no  disputed  skipped
    war        1      1         0        1
    crime      0      0         0        0
    2 of 6 cells labeled, by 2 answers of 1 annotator
    no model yet
    """

    labels: np.ndarray
    n_cells: int
    n_answers: int
    annotators: dict
    n_open: int
    n_since_fit: int | None
    scored_at: int | None

    def __str__(self):
        width = max(5, *(min(len(name), 30) for name in self.labels["label"]))
        head = f"{'label':{width}}    yes     no  disputed  skipped"
        scored = self.scored_at is not None
        lines = [head + ("  ROC AUC     AP" if scored else "")]
        for row in self.labels:
            counts = f"{row['yes']:7d}{row['no']:7d}{row['disputed']:10d}"
            line = f"{row['label'][:30]:{width}}{counts}{row['skipped']:9d}"
            if scored:
                line += f"{row['roc_auc']:9.3f}{row['average_precision']:7.3f}"
            lines.append(line)
        lines += self._summary(scored)
        return "\n".join(lines)

    def _summary(self, scored):
        """Return the lines below the table."""
        decided = int(self.labels["yes"].sum() + self.labels["no"].sum())
        people = f"{len(self.annotators)} annotator{'s' * (len(self.annotators) != 1)}"
        lines = [
            f"{decided} of {self.n_cells} cells labeled, by {self.n_answers} answers "
            f"of {people}"
        ]
        if self.n_open:
            lines.append(f"{self.n_open} cells asked for and not yet answered")
        lines.append(
            "no model yet"
            if self.n_since_fit is None
            else f"{self.n_since_fit} answers since the last fit"
        )
        if scored:
            lines.append(f"scores by cross-validation on {self.scored_at} cells")
        return lines


def score_labels(proba, labels):
    """Return ROC AUC and average precision by label, as a file can hold them."""
    scores = {"n_cells": labels.n_cells}
    for name, metric in _METRICS.items():
        with warnings.catch_warnings():  # the table shows where there is none
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            scores[name] = metric(labels, proba, average=None).tolist()
    return scores


def make_report(ledger, labels, scores, n_open, n_since_fit):
    """Return the report of what stands in a ledger."""
    table = np.zeros(labels.n_labels, LABEL_DTYPE)
    table["label"] = labels.label_names
    table["yes"], table["no"] = labels.n_positive, labels.n_negative
    table["roc_auc"] = table["average_precision"] = np.nan
    annotators, n_answers = {}, 0
    for (_, col), said in ledger.cells.items():
        values = [one[-1].value for one in said.values()]
        table["disputed"][col] += {0, 1} <= set(values)
        table["skipped"][col] += set(values) == {None}
        n_answers += len(values) - values.count(None)
        for annotator in said:
            annotators[annotator] = annotators.get(annotator, 0) + 1
    if scores:
        for name in _METRICS:
            known = scores[name]  # labels may have come since
            table[name][: len(known)] = known
    return LoopReport(
        labels=table,
        n_cells=labels.shape[0] * labels.shape[1],
        n_answers=n_answers,
        annotators=annotators,
        n_open=n_open,
        n_since_fit=n_since_fit,
        scored_at=scores["n_cells"] if scores else None,
    )
