"""What each threshold buys, as a table."""

from collections.abc import Mapping

import numpy as np

_SHOWN = ("labeled", "positive", "predicted")
_MAX_ROWS = 60
_ENDS = 5
_WIDTH = 80


class ThresholdReport(Mapping):
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

    def __init__(self, columns):
        self._columns = columns

    def __getitem__(self, column):
        """Return one column."""
        return self._columns[column]

    def __iter__(self):
        """Iterate over the names of the columns."""
        return iter(self._columns)

    def __len__(self):
        """Return the number of columns."""
        return len(self._columns)

    def to_records(self):
        """Return the table as a structured array of shape (n_labels,)."""
        dtype = [(name, column.dtype) for name, column in self.items()]
        records = np.empty(len(self["label"]), dtype=dtype)
        for name, column in self.items():
            records[name] = column
        return records

    def to_frame(self):
        """Return the table as a pandas DataFrame with the labels as its index."""
        import pandas as pd

        return pd.DataFrame(dict(self)).set_index("label")

    def __repr__(self):
        """Return the main columns in 80 characters; of many labels the ends."""
        n_labels = len(self["label"])
        shown = list(range(n_labels))
        if n_labels > _MAX_ROWS:
            shown = shown[:_ENDS] + shown[-_ENDS:]
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
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        widths[0] = min(widths[0], _WIDTH - sum(widths[1:]) - 2 * len(head))
        lines = [
            "  ".join(
                [_cut(row[0], widths[0])]
                + [e.rjust(w) for e, w in zip(row[1:-1], widths[1:-1], strict=True)]
                + [row[-1]]
            ).rstrip()
            for row in rows
        ]
        if n_labels > _MAX_ROWS:
            lines.insert(1 + _ENDS, "...")
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


def _cut(name, width):
    """Return a name of exactly some width, cut where it is longer."""
    return name.ljust(width) if len(name) <= width else name[: width - 3] + "..."
