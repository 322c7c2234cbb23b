"""What each threshold buys, as a table."""

from ..metrics.label_table import MAX_ENDS, LabelTable, align, printed_labels

_SHOWN = ("labeled", "positive", "predicted")


class ThresholdReport(LabelTable):
    """Thresholds, and what they give on the cells left out of their folds.

    A mapping from column names to arrays of shape (n_labels,):

    - "label": names, or positions;
    - "threshold": float64, inf where a label is never predicted;
    - "reason": "tuned", or why the threshold is the fallback: "few cells", "constant
      scores", "undefined score" (NaN at all thresholds) or "target not met";
    - "labeled", "positive", "predicted": counts of cells, int64, of a cell as often as
      splits leave it out;
    - "precision", "recall": shares of these cells, NaN where there is none;
    - "precision_low", "recall_low": lower bounds of each, one label and one threshold
      at a time, with the confidence of the test that the label passed;
    - "score": the objective, at the threshold.
    """

    def __repr__(self):
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
        return "\n".join(lines)

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
