"""Tables of cells: structured arrays that know the names of the labels."""

from typing import Any, Self

import numpy as np

from .._html import html_table
from .._typing import Names

QUERY_DTYPE = np.dtype(
    [
        ("sample", np.intp),
        ("label", np.intp),
        ("probability", np.float64),
        ("utility", np.float64),
        ("propensity", np.float64),
        ("reason", "U17"),
    ]
)


class CellTable(np.ndarray):
    """A structured array with a row a cell, best first.

    It slices, sorts and saves as any structured array; ``table["sample"]`` is a plain
    array.

    Attributes
    ----------
    label_names : object array of shape (n_labels,) or None
        Names of the labels, for :meth:`to_frame`.
    """

    def __new__(cls, table: Any, label_names: Names = None) -> Self:
        """Return a view of a structured array."""
        table = np.asarray(table).view(cls)
        table.label_names = label_names
        return table

    def __array_finalize__(self, source: Any) -> None:
        self.label_names = getattr(source, "label_names", None)

    def __getitem__(self, key: Any) -> Any:
        """Return rows as a table, and fields as plain arrays."""
        part = super().__getitem__(key)
        if isinstance(part, CellTable) and part.dtype.names is None:
            return part.view(np.ndarray)
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the names of the labels too."""
        build, args, state = super().__reduce__()
        return build, args, (*state, self.label_names)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[:-1])
        self.label_names = state[-1]

    def _repr_html_(self) -> str:
        columns = {name: self[name] for name in self.dtype.names}
        if self.label_names is not None and "label" in columns:
            columns["label"] = self.label_names[columns["label"]]
        return html_table(columns, len(self), f"CellTable of {len(self)} rows")

    def to_frame(self, *, sample_ids: Names = None) -> Any:
        """Return a pandas DataFrame, labels by name where they have names.

        Parameters
        ----------
        sample_ids : sequence of length n_samples, default=None
            Ids of the rows; their positions if None.

        Returns
        -------
        DataFrame
            A column a field.

        Raises
        ------
        ValueError
            If there are fewer ids than the samples of the table need.
        """
        import pandas as pd

        frame = pd.DataFrame({name: self[name] for name in self.dtype.names})
        if sample_ids is not None and "sample" in frame:
            ids = np.asarray(sample_ids)
            if len(self) and self["sample"].max() >= len(ids):
                raise ValueError(
                    "`sample_ids` must name all samples; got "
                    f"{len(ids)} ids, and the table has sample {self['sample'].max()}."
                )
            frame["sample"] = ids[self["sample"]]
        if self.label_names is not None:
            frame["label"] = self.label_names[self["label"]]
        return frame


def query_table(parts, label_names):
    """Return the table of queries that these parts, dicts of columns, make up."""
    table = np.empty(sum(len(part["sample"]) for part in parts), QUERY_DTYPE)
    at = 0
    for part in parts:
        rows = slice(at, at + len(part["sample"]))
        for name in QUERY_DTYPE.names:
            table[name][rows] = part.get(name, np.nan)
        at = rows.stop
    return CellTable(table, label_names)
