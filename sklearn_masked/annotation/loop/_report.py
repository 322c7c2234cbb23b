"""Where a labeling loop stands."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

_SCORES = tuple(
    f"{name}{end}"
    for name in ("roc_auc", "average_precision")
    for end in ("", "_low", "_high")
)

LABEL_DTYPE = [
    ("label", object),
    ("yes", np.int64),
    ("no", np.int64),
    ("disputed", np.int64),
    ("skipped", np.int64),
    *((name, np.float64) for name in _SCORES),
]


_ENDS = ("", "_low", "_high")
_UNKNOWN = (np.nan, np.nan, np.nan)
# Scores that come with their interval.
_THREE = ("macro_roc_auc", "macro_average_precision", "random_roc_auc", "rise")


@dataclass(frozen=True)
class LoopReport:
    """Where a labeling loop stands: printed, a table.

    Attributes
    ----------
    labels : structured array of shape (n_labels,)
        Of each label: its `label`, cells decided `yes` and `no`, `disputed` (cells on
        which annotators disagree), `skipped` (cells that were skipped and are not
        decided), and the scores `roc_auc` and `average_precision` with the ends of
        their 95 % intervals over samples, `roc_auc_low` and so on; NaN where unknown.
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
    macro_roc_auc, macro_average_precision : tuple of float
        Means over the labels, and the ends of their intervals.
    n_random : int
        Cells among those scored that were asked for by chance: a sample of the pool.
    random_roc_auc : tuple of float
        Of these alone, of all labels together, with the ends of its interval.
    history : list of tuple
        (labeled cells, macro average precision, ends of its interval) of each time
        that the labels were scored, the last one too.
    n_more_cells : int or None
        Cells that `rise` is about; None if it was not asked for.
    rise : tuple of float
        What so many more labeled cells may add to the macro average precision, with
        the ends of its interval. An extrapolation, as if cells came as those so far.

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
    ...     _ = loop.answer([0, 1], ["war", "war"], ["yes", "no"])
    ...     _ = loop.answer(2, "war", "skip")
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
    annotators: dict[Any, Any]
    n_open: int
    n_since_fit: int | None
    scored_at: int | None
    macro_roc_auc: tuple[Any, ...] = _UNKNOWN
    macro_average_precision: tuple[Any, ...] = _UNKNOWN
    n_random: int = 0
    random_roc_auc: tuple[Any, ...] = _UNKNOWN
    history: list[Any] = field(default_factory=list)
    n_more_cells: int | None = None
    rise: tuple[Any, ...] = _UNKNOWN

    def __str__(self) -> str:
        scored = self.scored_at is not None
        longest = 22 if scored else 30  # 80 columns
        width = max(5, *(min(len(name), longest) for name in self.labels["label"]))
        head = f"{'label':{width}}    yes     no  disputed  skipped"
        lines = [head + ("  ROC AUC (95 %)       AP" if scored else "")]
        for row in self.labels:
            counts = f"{row['yes']:7d}{row['no']:7d}{row['disputed']:10d}"
            line = f"{row['label'][:longest]:{width}}{counts}{row['skipped']:9d}"
            if scored:
                auc = _interval([row[f"roc_auc{end}"] for end in _ENDS], 2)
                ap = row["average_precision"]
                line += f"  {auc:16}{'-' if ap != ap else f'{ap:.3f}':>7}"
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
            lines += self._scores()
        return lines

    def _scores(self):
        """Return the lines on how good the model is."""
        lines = [f"scores by cross-validation on {self.scored_at} cells"]
        known = self.macro_average_precision[0]
        if known == known:
            auc, ap = map(_interval, (self.macro_roc_auc, self.macro_average_precision))
            lines.append(f"mean over labels: ROC AUC {auc}, AP {ap}")
        if len(self.history) > 1:
            said = (f"{n} cells {ap:.3f}" for n, ap, *_ in self.history[-4:])
            lines.append(f"mean AP so far: {', '.join(said)}")
        rise, low, high = self.rise
        if rise == rise:
            lines.append(
                f"{self.n_more_cells} more answers may add {rise:+.3f} ({low:+.3f} to "
                f"{high:+.3f}) to the mean AP"
            )
        if self.random_roc_auc[0] == self.random_roc_auc[0]:
            lines.append(
                f"ROC AUC on the {self.n_random} cells drawn by chance: "
                f"{_interval(self.random_roc_auc)}"
            )
        return lines


def _interval(three, digits=3):
    """Return a score and its interval in words, "-" if there is none."""
    if three[0] != three[0]:
        return "-"
    score, low, high = (f"{one:.{digits}f}" for one in three)
    return f"{score} ({low}-{high})"


def make_report(ledger, labels, scores, n_open, n_since_fit):
    """Return the report of what stands in a ledger."""
    table = np.zeros(labels.n_labels, LABEL_DTYPE)
    table["label"] = labels.label_names
    table["yes"], table["no"] = labels.n_positive, labels.n_negative
    for name in _SCORES:
        table[name] = np.nan
    annotators, n_answers = {}, 0
    for (_, col), said in ledger.cells.items():
        values = [one[-1].value for one in said.values()]
        table["disputed"][col] += {0, 1} <= set(values)
        table["skipped"][col] += set(values) == {None}
        n_answers += len(values) - values.count(None)
        for annotator in said:
            annotators[annotator] = annotators.get(annotator, 0) + 1
    scores = scores or {}
    for name in _SCORES:
        known = scores.get(name, [])  # labels may have come since
        table[name][: len(known)] = known
    return LoopReport(
        labels=table,
        n_cells=labels.shape[0] * labels.shape[1],
        n_answers=n_answers,
        annotators=annotators,
        n_open=n_open,
        n_since_fit=n_since_fit,
        scored_at=scores.get("n_cells"),
        n_random=scores.get("n_random", 0),
        history=[tuple(one) for one in scores.get("history", [])],
        n_more_cells=scores.get("n_more_cells"),
        **{name: tuple(scores.get(name, _UNKNOWN)) for name in _THREE},
    )
