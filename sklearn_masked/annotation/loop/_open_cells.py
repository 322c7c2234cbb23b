"""Which cells were handed out, and wait for an answer still."""

import numpy as np

from .._table import query_table

_FIELDS = ("reason", "probability", "utility", "propensity")


class Asked:
    """The cells that were asked for, the last time that each of them was.

    A cell is open from then on until anybody answers or skips it, or it is released;
    an answer that is undone opens it again. All may be done twice, and come to the
    same.
    """

    def __init__(self):
        self.cells = {}  # cell -> (place in order, annotator, what its row said)
        self.opened = {}  # annotator -> open cells, a set
        self.reviewed = set()  # cells that were asked for a second time

    def ask(self, n, annotator, rows):
        """Open cells, given as {cell: what its row said}, of entry n of the log."""
        opened = self.opened.setdefault(annotator, set())
        for at, (cell, row) in enumerate(rows.items()):
            self._shut(cell)
            self.cells[cell] = (n, at), annotator, row
            opened.add(cell)
            if row["reason"] == "review":
                self.reviewed.add(cell)

    def answered(self, cell):
        """Take note that a cell was answered."""
        self._shut(cell)

    def undone(self, cell, standing):
        """Take note that an answer was undone, and of those that stand for the cell."""
        if cell not in self.cells:
            return
        (n, _), annotator, _ = self.cells[cell]
        if all(answer.n < n for answer in standing):
            self.opened[annotator].add(cell)

    def release(self, cells):
        """Ask for cells no more."""
        for cell in cells:
            self._shut(cell)
            self.cells.pop(cell, None)

    def is_open(self, cell):
        """Tell whether a cell waits for an answer."""
        return cell in self.cells and cell in self.opened[self.cells[cell][1]]

    def why(self, cell):
        """Return what an answer to an open cell keeps of the row that asked for it."""
        if not self.is_open(cell):
            return {}
        row = self.cells[cell][2]
        return {
            name: row[name]
            for name in ("reason", "propensity")
            if row[name] is not None
        }

    def open_cells(self, annotator):
        """Return the open cells of an annotator, in the order they were asked for."""
        waiting = self.opened.get(annotator, ())
        return sorted(waiting, key=lambda cell: self.cells[cell][0])

    def all_open(self):
        """Return the open cells of all annotators."""
        return set().union(*self.opened.values())

    def table(self, cells, label_names):
        """Return cells as the table that asked for them."""
        rows = [self.cells[cell][2] for cell in cells]
        part = {
            "sample": [row for row, _ in cells],
            "label": [col for _, col in cells],
            "reason": [row["reason"] for row in rows],
        }
        for name in _FIELDS[1:]:
            part[name] = [np.nan if row[name] is None else row[name] for row in rows]
        return query_table([part], np.array(label_names, dtype=object))

    def _shut(self, cell):
        if cell in self.cells:
            self.opened[self.cells[cell][1]].discard(cell)


def table_rows(table):
    """Return {cell: what its row says} of a table, as a file can hold it."""
    rows = {}
    for row in table:
        said = {name: row[name].item() for name in _FIELDS}
        rows[int(row["sample"]), int(row["label"])] = {
            name: None if value != value else value for name, value in said.items()
        }
    return rows


def packed(cell_ids, rows):
    """Return rows as lists: a line of the log with hundreds of cells stays short."""
    return [
        [*cell_id, *(row[name] for name in _FIELDS)]
        for cell_id, row in zip(cell_ids, rows, strict=True)
    ]


def unpacked(entry):
    """Return (sample, label, what the row said) of a cell in a line of the log."""
    sample, label, *said = entry
    return sample, label, dict(zip(_FIELDS, said, strict=True))
