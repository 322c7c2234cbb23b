"""Tables as notebooks show them."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

MAX_ROWS = 60  # as in pandas; of a longer table the ends are shown
_ENDS = 5


def html_table(
    columns: Mapping[str, Any],
    n_rows: int,
    caption: str,
    foot: Iterable[Sequence[Any]] = (),
) -> str:
    """Return columns as HTML, in which names and values are text and never markup.

    `foot` are further rows, each with an entry per column.
    """
    at: list[int | None] = list(range(n_rows))
    if n_rows > MAX_ROWS:
        at = [*at[:_ENDS], None, *at[-_ENDS:]]
    rows = [
        ["..." if row is None else column[row] for column in columns.values()]
        for row in at
    ]
    lines = [f"<table><caption>{escape(caption)}</caption>", _row("th", columns)]
    lines += [_row("td", row) for row in (*rows, *foot)]
    return "\n".join([*lines, "</table>"])


def _row(tag, entries):
    cells = (f"<{tag}>{escape(_shown(entry))}</{tag}>" for entry in entries)
    return f"<tr>{''.join(cells)}</tr>"


def _shown(entry):
    """Return a float with four decimals, anything else as it prints."""
    return f"{entry:.4f}" if isinstance(entry, float | np.floating) else str(entry)
