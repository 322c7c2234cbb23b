"""Base of the reports: a table of one row per label, as a mapping of its columns."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .._html import html_table
from .._typing import Names

MAX_LINES = 60  # of labels in a printed table, as in pandas
MAX_ENDS = 5  # labels printed at either end of a longer table
WIDTH = 80  # characters of a printed line
_LEAST = 8  # characters that a label has in any case
ENDS = ("low", "high")  # of an interval: what is added to a column's name


class LabelTable(Mapping[str, np.ndarray]):
    """A table of one row per label: a mapping from column names to arrays.

    Each array has shape (n_labels,). The column "label" holds the labels' names, or
    their positions.

    Parameters
    ----------
    columns : dict of str to ndarray of shape (n_labels,)
        The columns in their order.
    """

    def __init__(self, columns: dict[str, np.ndarray]) -> None:
        self._columns = columns

    def __getitem__(self, column: str) -> np.ndarray:
        """Return one column."""
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the columns."""
        return iter(self._columns)

    def __len__(self) -> int:
        """Return the number of columns."""
        return len(self._columns)

    def to_records(self) -> np.ndarray:
        """Return the table as a structured array of shape (n_labels,)."""
        dtype = [(name, column.dtype) for name, column in self.items()]
        records = np.empty(len(self["label"]), dtype=dtype)
        for name, column in self.items():
            records[name] = column
        return records

    def to_frame(self) -> Any:
        """Return the table as a pandas DataFrame with the labels as its index."""
        import pandas as pd

        return pd.DataFrame(dict(self)).set_index("label")

    def _repr_html_(self) -> str:
        averages = {"macro", "micro"} & set(vars(self))
        foot = [
            [name, *(getattr(self, name).get(column, "") for column in [*self][1:])]
            for name in sorted(averages)
        ]
        n_labels = len(self["label"])
        caption = f"{type(self).__name__} of {n_labels} labels"
        return html_table(self, n_labels, caption, foot)


def printed_labels(n_labels: int, lines_per_label: int = 1) -> tuple[list[int], bool]:
    """Return the positions of the labels to print, and whether others are left out."""
    labels = range(n_labels)
    if n_labels * lines_per_label <= MAX_LINES or n_labels <= 2 * MAX_ENDS:
        return list(labels), False
    return [*labels[:MAX_ENDS], *labels[-MAX_ENDS:]], True


def align(rows: list[list[str]], gaps: Sequence[str]) -> list[str]:
    """Align rows of text entries into lines of at most `WIDTH` characters.

    The first entry of a row is a label, written to the left and cut where the line
    would be too long; the others are written to the right, after `gaps`.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = max(_LEAST, WIDTH - sum(widths[1:]) - sum(map(len, gaps)))
    widths[0] = min(widths[0], room)
    lines = []
    for label, *entries in rows:
        if len(label) > room:
            label = label[: room - 3] + "..."
        line = label.ljust(widths[0])
        for gap, entry, width in zip(gaps, entries, widths[1:], strict=True):
            line += gap + entry.rjust(width)
        lines.append(line.rstrip())
    return lines


def table_lines(
    report: Any,
    head: dict[str, str],
    counts: Sequence[str],
    metrics: Collection[str],
    confidence_level: float | None,
    gap: str = "  ",
) -> list[str]:
    """Return the lines of a report with `macro` and `micro` averages.

    `counts` are columns that micro sums, `metrics` columns that both average.
    """
    ends = () if confidence_level is None else ENDS

    shown, cut = printed_labels(len(report["label"]), 1 + len(ends))
    rows = [["label", *(head[name] for name in (*counts, *metrics))]]
    for label in shown:
        numbers = {name: column[label] for name, column in report.items()}
        own = [str(numbers[name]) for name in counts]
        rows += label_lines(str(numbers["label"]), own, numbers, metrics, ends)
    totals = [str(report[name].sum()) for name in counts]
    rows += label_lines("macro", [""] * len(counts), report.macro, metrics, ends)
    rows += label_lines("micro", totals, report.micro, metrics, ends)
    lines = align(rows, [gap] * len(counts) + [" "] * len(metrics))
    if cut:
        lines.insert(1 + MAX_ENDS * (1 + len(ends)), "...")
    lines.insert(-2 * (1 + len(ends)), "")
    return lines


def label_lines(
    label: str,
    counts: Sequence[str],
    numbers: dict[str, Any],
    metrics: Collection[str],
    ends: Sequence[str],
) -> list[list[str]]:
    """Return a label's entries as rows of text, and those of its intervals' ends."""
    rows = [[label, *counts, *(f"{numbers[name]:.4f}" for name in metrics)]]
    for end in ends:
        values = (f"{numbers[f'{name}_{end}']:.4f}" for name in metrics)
        rows.append([f"  {end}", *[""] * len(counts), *values])
    return rows


def label_column(n_labels: int, names: Names) -> np.ndarray:
    """Return the column "label": names, or positions where there are none."""
    return np.arange(n_labels) if names is None else np.asarray(names)
