"""A table of metrics, a row a label."""

from collections.abc import Mapping

import numpy as np

from ._averaging import Limits
from ._cells import score_cells
from ._probabilities import brier_score
from ._ranking import average_precision, roc_auc

_COUNTS = ("labeled", "positive", "negative")
_METRICS = ("auc", "ap", "brier")
_MAX_ROWS = 60  # of a printed table, as in pandas
_ENDS = 5  # rows shown at either end of a longer one
_WIDTH = 80


class MaskedReport(Mapping):
    """Counts and metrics of every label, from its labeled cells alone.

    A mapping from column names to arrays of shape (n_labels,): "label" (names, or
    positions), "labeled", "positive" and "negative" (counts of cells, int64),
    "auc", "ap" and "brier" (float64, NaN where they are not defined).

    Made by :func:`masked_report`.

    Attributes
    ----------
    macro, micro : dict
        "auc", "ap" and "brier": the mean over the labels that have one, and the
        value of the pooled cells of all labels.
    """

    def __init__(self, columns, macro, micro):
        self._columns = columns
        self.macro = macro
        self.micro = micro

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
        """Return the table in 80 columns; of many labels the first and last ones."""
        n_labels = len(self["label"])
        shown, hidden = list(range(n_labels)), None
        if n_labels > _MAX_ROWS:
            hidden = _ENDS
            shown = shown[:_ENDS] + shown[-_ENDS:]
        counts = [f"{self[name].sum()}" for name in _COUNTS]
        rows = [["label", *_COUNTS, *_METRICS]]
        rows += [self._line(label) for label in shown]
        rows.append(["macro", "", "", "", *_numbers(self.macro)])
        rows.append(["micro", *counts, *_numbers(self.micro)])
        lines = _align(rows)
        if hidden is not None:
            lines.insert(1 + hidden, "...")
        lines.insert(-2, "")
        if hidden is not None:
            lines += ["", f"[{n_labels} labels]"]
        return "\n".join(lines)

    def _line(self, label):
        """Return the entries of one label as text."""
        counts = [str(self[name][label]) for name in _COUNTS]
        metrics = _numbers({name: self[name][label] for name in _METRICS})
        return [str(self["label"][label]), *counts, *metrics]


def masked_report(y_true, y_proba, *, sample_weight=None):
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

    Returns
    -------
    MaskedReport
        A mapping from column names to arrays, which prints as a table.

    Raises
    ------
    ValueError
        If a labeled cell has no probability between 0 and 1, or a shape does not
        fit.
    TypeError
        If the probabilities are no numbers.

    See Also
    --------
    masked_roc_auc_score : The metrics one by one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.metrics import masked_report
    >>> nan = np.nan
    >>> y_true = [[1, nan], [0, 1], [1, nan], [nan, 1]]
    >>> y_proba = [[0.8, nan], [0.3, 0.6], [0.2, 0.7], [nan, 0.1]]
    >>> masked_report(y_true, y_proba)
    label  labeled  positive  negative    auc     ap  brier
    0            3         2         1 0.5000 0.8333 0.2567
    1            2         2         0    nan    nan 0.4850
    <BLANKLINE>
    macro                              0.5000 0.8333 0.3708
    micro        5         4         1 0.5000 0.8875 0.3480
    """
    cells = score_cells(y_true, y_proba, sample_weight, name="y_proba", kind="proba")
    per_label = _measure(cells)
    micro = {name: float(value[0]) for name, value in _measure(cells.pooled()).items()}
    macro = {
        name: float(np.nanmean(values)) if not np.isnan(values).all() else np.nan
        for name, values in per_label.items()
    }
    names = cells.names
    labels = np.arange(cells.n_labels) if names is None else np.asarray(names)
    n_positive, n_negative = cells.count()
    counts = [n_positive + n_negative, n_positive, n_negative]
    columns = {"label": labels, **dict(zip(_COUNTS, counts, strict=True)), **per_label}
    return MaskedReport(columns, macro, micro)


def _measure(cells):
    """Return the metrics of each label, NaN where they are not defined."""
    both = Limits(1, 1).met_by(cells)
    return {
        "auc": np.where(both, roc_auc(cells), np.nan),
        "ap": np.where(both, average_precision(cells), np.nan),
        "brier": brier_score(cells),
    }


def _numbers(metrics):
    """Return metrics as text."""
    return [f"{metrics[name]:.4f}" for name in _METRICS]


def _align(rows):
    """Align the entries of rows, cutting labels so that a line has 80 columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gaps = [" ", "  ", "  ", "  ", " ", " ", " "]
    room = _WIDTH - sum(widths[1:]) - sum(map(len, gaps[1:]))
    widths[0] = min(widths[0], room)
    lines = []
    for label, *entries in rows:
        if len(label) > room:
            label = label[: room - 3] + "..."
        line = label.ljust(widths[0])
        for gap, entry, width in zip(gaps[1:], entries, widths[1:], strict=True):
            line += gap + entry.rjust(width)
        lines.append(line)
    return lines
