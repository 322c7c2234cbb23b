"""Report of the thresholds: counts, precision and recall per label."""

import textwrap

import numpy as np

from ..metrics.label_table import MAX_ENDS, WIDTH, LabelTable, align, printed_labels
from ._messages import how_close
from ._prevalence import Traffic

_SHOWN = ("labeled", "positive", "predicted")


class ThresholdReport(LabelTable):
    """Thresholds, and what they give on the cells left out of their folds.

    A mapping from column names to arrays of shape (n_labels,):

    - "label": names, or positions;
    - "threshold": float64, inf where a label is never predicted;
    - "reason": "tuned", or why the threshold is not one of the label's own: "few
      cells", "no audited positive", "constant scores", "undefined score" (NaN at all
      thresholds), "target not met", or "no target" (the estimator's own threshold);
    - "labeled", "positive", "predicted": counts of cells, int64, of a cell as often as
      splits leave it out;
    - "prevalence": share of positives that precision and score refer to: that of
      `target_prevalence`, or of the labeled cells;
    - "precision", "recall": shares of these cells, reweighed to that prevalence; NaN
      where there is none;
    - "precision_low", "recall_low": lower bounds of each, one label and one threshold
      at a time, with the confidence of the test that the label passed;
    - "score": the objective, at the threshold;
    - "reachable", "reachable_low", "cells_needed": where a target is not met, the best
      that can be shown: the share, its lower bound, which is the highest target that
      these cells meet, and about how many labeled cells of the same kind would meet
      the target asked for; inf where no number would. NaN elsewhere;
    - "precision_refit", "recall_refit": of promises, shares of the same cells by the
      estimator that was fitted on them all again; NaN if there is none.

    The last lines of its printed form say which cells the figures speak of.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_labels,)
        The columns in their order.
    traffic : Traffic
        What precision refers to.
    """

    def __init__(self, columns: dict[str, np.ndarray], traffic: Traffic) -> None:
        super().__init__(columns)
        self._source = traffic.source
        self._as_labeled = [prevalence is None for prevalence in traffic.prevalences]

    def __repr__(self) -> str:
        """Return the main columns in 80 characters; of many labels the ends."""
        n_labels = len(self["label"])
        shown, cut = printed_labels(n_labels)
        head = [
            "label",
            "thresh.",
            "labeled",
            "pos.",
            "pred.",
            "prec.",
            "bound",
            "recall",
        ]
        rows = [[*head, "reason"]] + [self._line(label) for label in shown]
        reasons = max(len(row[-1]) for row in rows)
        rows = [[*row[:-1], row[-1].ljust(reasons)] for row in rows]
        lines = align(rows, ["  "] * len(head))
        if cut:
            lines.insert(1 + MAX_ENDS, "...")
            lines += ["", f"[{n_labels} labels]"]
        return "\n".join(lines + self._foot())

    def _foot(self):
        """Return lines about what the figures speak of, and unmet targets."""
        text = (
            "All figures: of labeled cells as they are. Where positives were sought, "
            "precision in traffic is lower: pass target_prevalence."
        )
        if self._source is not None:
            text = f"Precision: in traffic, by {self._source}."
            if any(self._as_labeled):
                n_others = sum(self._as_labeled)
                text += f" Of {n_others} labels without: of labeled cells as they are."
        lines = textwrap.wrap(text, WIDTH)
        unmet = np.flatnonzero(self["reason"] == "target not met")
        for label in unmet[:MAX_ENDS]:
            lines += textwrap.wrap(f"Not met: {how_close(self, label)}.", WIDTH)
        if len(unmet) > MAX_ENDS:
            lines.append(f"Not met: {len(unmet) - MAX_ENDS} more labels.")
        return lines

    def _line(self, label):
        """Return the entries of one label as text."""
        one = {column: self[column][label] for column in self}
        return [
            str(one["label"]),
            f"{one['threshold']:.4f}",
            *(str(one[column]) for column in _SHOWN),
            f"{one['precision']:.3f}",
            f"{one['precision_low']:.3f}",
            f"{one['recall']:.3f}",
            str(one["reason"]),
        ]
