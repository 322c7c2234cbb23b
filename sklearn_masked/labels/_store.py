"""The store: an immutable, row-indexed matrix of the labeled cells."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from .._html import html_table
from .._typing import Names
from . import select as _select
from ._cells import UNLABELED, Cells, checked_ids, checked_names
from ._row import LabelRow
from .names import check_same_rows


class LabelStore:
    """Labels of which only some cells are known, stored by the cell.

    The readers of this package return it; users see its subclass `MaskedLabels`, which
    documents the attributes.
    """

    ndim = 2
    # numpy would compare or add an array to each row view, and answer at length.
    __array_ufunc__ = None

    def __init__(
        self,
        indptr: np.ndarray,
        indices: np.ndarray,
        values: np.ndarray,
        shape: tuple[int, int],
        *,
        fill: str = "unlabeled",
        weights: np.ndarray | None = None,
        label_names: Names = None,
        row_ids: Any = None,
        soft: bool = False,
    ) -> None:
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        self.fill: str = fill
        self.soft: bool = soft
        self.indptr: np.ndarray = _frozen(indptr, np.int64)
        self.indices: np.ndarray = _frozen(indices, np.int32)
        self.values: np.ndarray = _frozen(values, np.float64 if soft else np.int8)
        self.weights: np.ndarray | None = None
        if weights is not None:
            self.weights = _frozen(weights, np.float64)
        self.label_names: Names = None
        if label_names is not None:
            self.label_names = _frozen(label_names, object)
        self._row_ids = row_ids  # a pandas Index or an array, to compare with X's
        self._counts = None

    # How it looks

    @property
    def n_labels(self) -> int:
        """Number of labels."""
        return self.shape[1]

    @property
    def n_positive(self) -> np.ndarray:
        """Positive cells of each label, int64 of shape (n_labels,).

        For soft labels the expected number, float64: the sum of the values.
        """
        return self._count()[0].copy()

    @property
    def n_negative(self) -> np.ndarray:
        """Negative cells of each label, int64 of shape (n_labels,).

        For soft labels the expected number, float64: the sum of 1 minus the values.
        """
        return self._count()[1].copy()

    @property
    def n_labeled(self) -> np.ndarray:
        """Labeled cells of each label, int64 of shape (n_labels,)."""
        if self.soft:
            return np.bincount(self.indices, minlength=self.n_labels)
        return self._count().sum(axis=0)

    @property
    def n_cells(self) -> int:
        """Labeled cells in all."""
        return len(self.values) if self.soft else int(self._count().sum())

    def _count(self):
        if self._counts is None and self.soft:
            parts = self.values, 1 - self.values
            self._counts = np.stack(
                [np.bincount(self.indices, w, self.n_labels) for w in parts]
            )
        elif self._counts is None:
            kinds = self.indices.astype(np.int64) * 3 + self.values + 1
            counts = np.bincount(kinds, minlength=3 * self.n_labels)
            unlabeled, negative, positive = counts.reshape(self.n_labels, 3).T
            if self.fill == "negative":
                negative = self.shape[0] - positive - unlabeled
            self._counts = np.stack([positive, negative]).astype(np.int64)
        return self._counts

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        counts, n_cells = self._count().sum(axis=1), self.n_cells
        positive, negative = (f"{n:.1f}" if self.soft else n for n in counts)
        return (
            f"MaskedLabels({self.shape[0]} x {self.shape[1]}, {n_cells} "
            f"{'soft' if self.soft else 'labeled'} cell{'' if n_cells == 1 else 's'}: "
            f"{positive} positive, {negative} negative"
            f"{'' if self.weights is None else ', weighted'})"
        )

    def __iter__(self) -> Iterator[Any]:
        return (LabelRow(self, i) for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return a 1-D object array of row views; never a 2-D array of numbers."""
        if dtype is not None and np.dtype(dtype) != object:
            raise ValueError(
                "MaskedLabels do not become an array of numbers by themselves, since "
                "unlabeled cells would have to become some number; call to_dense() "
                "for NaN in unlabeled cells."
            )
        if copy is False:
            raise ValueError("MaskedLabels become an array of row views by a copy.")
        return np.fromiter(self, dtype=object, count=len(self))

    def __eq__(self, other: object) -> bool:
        """Return whether all cells, weights and names are equal, whatever the fill.

        Soft labels equal no hard ones, also where all values are 0 and 1.
        """
        if not isinstance(other, LabelStore):
            return NotImplemented
        if self.shape != other.shape or not _same_names(self, other):
            return False
        if self.soft != other.soft:
            return False
        if not np.array_equal(self._count(), other._count()):
            return False
        if self.fill == other.fill == "negative":
            mine, theirs = _said(self), _said(other)
        else:
            # Equal counts: the one that stores labeled cells has as many as these.
            mine, theirs = self.cells(), other.cells()
        return all(
            np.array_equal(a, b) for a, b in zip(mine[:3], theirs[:3], strict=True)
        ) and np.array_equal(_weights(mine), _weights(theirs))

    __hash__: ClassVar[None]  # type: ignore[assignment]
    __hash__ = None

    def __getstate__(self) -> dict[str, Any]:
        ids = None if self._row_ids is None else np.asarray(self._row_ids)
        return {**self.__dict__, "_counts": None, "_row_ids": ids}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickles forget that an array is read-only; memory maps stay what they are.
        for name, part in state.items():
            if isinstance(part, np.ndarray):
                part = _frozen(part, part.dtype)
            self.__dict__[name] = part

    # Its parts

    def __getitem__(self, key: Any) -> Any:
        """Return rows, or rows and labels, or the value of one cell.

        An int gives a :class:`LabelRow`; a list, slice, integer or boolean array or
        Series gives MaskedLabels. ``labels[rows, cols]`` takes positions or names of
        labels; two single ones give the value as a float, NaN where unlabeled. An
        integer is a position always.
        """
        rows, cols = _select.split_key(key)
        if not _select.is_position(rows):
            taken = self._take_rows(rows)
            return taken if cols is None else taken._take_labels(cols)
        row = _select.position(rows, len(self), "row")
        if cols is None:
            return LabelRow(self, row)
        taken = self._take_rows(slice(row, row + 1))._take_labels(cols)
        return float(taken.to_dense()[0, 0]) if _select.is_one_label(cols) else taken[0]

    def _take_rows(self, rows):
        whole = isinstance(rows, slice) and rows.step in (None, 1)
        if whole:  # no copy
            start, stop, _ = rows.indices(len(self))
            indptr = self.indptr[start : max(start, stop) + 1]
            entries = slice(indptr[0], indptr[-1])
            indptr = indptr - indptr[0]
        else:
            rows = _select.positions(rows, len(self), "row")
            indptr, entries = _select.stored_positions(self.indptr, rows)
        shape = (len(indptr) - 1, self.n_labels)
        ids = None if self._row_ids is None else self._row_ids[rows]
        return self._taken(indptr, self.indices[entries], entries, shape, row_ids=ids)

    def _take_labels(self, cols):
        cols = _select.label_positions(cols, self.label_names, self.n_labels)
        # Positions of the stored cells, from 1: scipy keeps what is not zero.
        located = np.arange(1, len(self.values) + 1)
        located = sp.csr_array((located, self.indices, self.indptr), shape=self.shape)
        located = sp.csr_array(located[:, cols])
        located.sort_indices()
        names = None if self.label_names is None else self.label_names[cols]
        entries = located.data - 1
        return self._taken(
            located.indptr, located.indices, entries, located.shape, label_names=names
        )

    def _taken(self, indptr, indices, entries, shape, **changes):
        weights = None if self.weights is None else self.weights[entries]
        same = {
            "fill": self.fill,
            "soft": self.soft,
            "label_names": self.label_names,
            "row_ids": self._row_ids,
            **changes,
        }
        return type(self)(
            indptr, indices, self.values[entries], shape, weights=weights, **same
        )

    def cells(self) -> Cells:
        """Return every labeled cell, row by row, columns increasing.

        Returns
        -------
        Cells
            `rows`, `cols` (intp), `values` (int8, 0 or 1; float64 for soft labels),
            `weights` (float64 or None). For ``fill="negative"`` that is nearly
            n_samples x n_labels: :meth:`iter_cells` gives them in blocks.
        """
        stored_rows = self._stored_rows()
        if self.fill == "unlabeled":
            cols = self.indices.astype(np.intp)
            return Cells(stored_rows, cols, self.values, self.weights)
        dense = np.zeros(self.shape, np.int8)
        dense[stored_rows, self.indices] = self.values
        rows, cols = np.nonzero(dense != UNLABELED)
        weights = None
        if self.weights is not None:
            full = np.ones(self.shape)
            full[stored_rows, self.indices] = self.weights
            weights = full[rows, cols]
        return Cells(rows, cols, dense[rows, cols], weights)

    def iter_cells(self, max_cells: int = 1 << 22) -> Iterator[tuple[slice, Cells]]:
        """Yield (slice of rows, their cells) in blocks of at most `max_cells` cells.

        A block has whole rows, and at least one; its rows count from the start of
        the slice.
        """
        start = 0
        while start < len(self):
            if self.fill == "negative":
                stop = start + max_cells // max(self.n_labels, 1)
            else:
                end = self.indptr[start] + max_cells
                stop = int(np.searchsorted(self.indptr, end, side="right")) - 1
            rows = slice(start, min(max(stop, start + 1), len(self)))
            yield rows, self[rows].cells()
            start = rows.stop

    def to_dense(self) -> np.ndarray:
        """Return float64 of shape (n_samples, n_labels), NaN in unlabeled cells."""
        filled = 0.0 if self.fill == "negative" else np.nan
        dense = np.full(self.shape, filled)
        known = np.where(self.values == UNLABELED, np.nan, self.values)
        dense[self._stored_rows(), self.indices] = known
        return dense

    def to_sparse(self) -> sp.csr_array:
        """Return the stored cells as float64 CSR, unlabeled ones as NaN.

        For ``fill="unlabeled"`` confirmed negatives are stored zeros: read it back
        with ``from_sparse(..., implicit="unlabeled", soft=labels.soft)``, and never
        through arithmetic that drops them. For ``fill="negative"`` read it back with
        ``implicit="negative"``.
        """
        data = np.where(self.values == UNLABELED, np.nan, self.values.astype(float))
        parts = (data, self.indices.copy(), self.indptr.copy())
        return sp.csr_array(parts, shape=self.shape)

    def _repr_html_(self) -> str:
        n = self.n_labels
        columns = {
            "label": np.arange(n) if self.label_names is None else self.label_names,
            "positive": self.n_positive,
            "negative": self.n_negative,
            "unlabeled": len(self) - self.n_labeled,
        }
        return html_table(columns, n, repr(self))

    def to_frame(self, *, sample_ids: Names = None, long: bool = False) -> Any:
        """Return a pandas DataFrame.

        Parameters
        ----------
        sample_ids : sequence of length n_samples, default=None
            Ids of the rows; their positions if None.
        long : bool, default=False
            A row per labeled cell (sample, label, value, and weight where there are
            weights) instead of a column per label (Int8, or Float64 for soft labels; NA
            where unlabeled).

        Returns
        -------
        DataFrame
        """
        import pandas as pd

        check_same_rows(labels=self, sample_ids=sample_ids)
        ids = np.arange(len(self)) if sample_ids is None else np.asarray(sample_ids)
        if len(ids) != len(self):
            raise ValueError(
                f"`sample_ids` must name the {len(self)} samples; got {len(ids)}."
            )
        names = (
            np.arange(self.n_labels) if self.label_names is None else self.label_names
        )
        if not long:
            frame = pd.DataFrame(self.to_dense(), index=ids, columns=names)
            return frame.astype("Float64" if self.soft else "Int8")
        cells = self.cells()
        columns = {
            "sample": ids[cells.rows],
            "label": names[cells.cols],
            "value": cells.values,
        }
        if cells.weights is not None:
            columns["weight"] = cells.weights
        return pd.DataFrame(columns)

    def _stored_rows(self):
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def hard(self, *, threshold: float = 0.5) -> Self:
        """Return the labels of soft ones: 1 above the threshold and 0 below.

        Parameters
        ----------
        threshold : float, default=0.5
            Between 0 and 1. A cell of exactly this value decides nothing: it becomes
            unlabeled.

        Returns
        -------
        MaskedLabels
            With the weights of the cells as they are; hard labels are returned as
            they are.

        Raises
        ------
        ValueError
            If the threshold is not between 0 and 1.

        Examples
        --------
        >>> from sklearn_masked import MaskedLabels
        >>> soft = MaskedLabels.from_dense([[0.9, None], [0.2, 0.5]], soft=True)
        >>> soft
        MaskedLabels(2 x 2, 3 soft cells: 1.6 positive, 1.4 negative)
        >>> soft.hard()
        MaskedLabels(2 x 2, 2 labeled cells: 1 positive, 1 negative)
        """
        if not 0 < threshold < 1:
            raise ValueError(
                f"`threshold` accepts a number between 0 and 1; got {threshold!r}."
            )
        if not self.soft:
            return self
        kept = self.values != threshold
        indptr = np.append(0, np.cumsum(kept))[self.indptr]
        weights = None if self.weights is None else self.weights[kept]
        return type(self)(
            indptr,
            self.indices[kept],
            self.values[kept] > threshold,
            self.shape,
            weights=weights,
            label_names=self.label_names,
            row_ids=self._row_ids,
        )

    @property
    def sample_ids(self) -> np.ndarray | None:
        """Ids of the samples, of shape (n_samples,), or None where there are none.

        They are those that were given as `sample_ids`, or the index of a pandas
        DataFrame; an index from 0 to n - 1, which a frame has that got none, is none.
        """
        ids = None if self._row_ids is None else np.asarray(self._row_ids)
        if ids is not None and ids.dtype.kind in "iu":
            return None if np.array_equal(ids, np.arange(len(self))) else ids
        return ids

    def without_weights(self) -> Self:
        """Return the same labels, each cell of weight 1."""
        return self._replace(weights=None)

    def with_label_names(self, label_names: Names) -> Self:
        """Return the same labels under these names, one per label, all different."""
        return self._replace(label_names=checked_names(label_names, self.n_labels))

    def with_sample_ids(self, sample_ids: Names) -> Self:
        """Return the same labels under these ids, one per sample, all different."""
        return self._replace(row_ids=checked_ids(sample_ids, len(self)))

    def _without_row_ids(self):
        """Return the same labels, for calls that need not compare the rows again."""
        return self if self._row_ids is None else self._replace(row_ids=None)

    def _named_like(self, other):
        """Return the same labels with the names and row ids of others, cell by cell."""
        return self._replace(label_names=other.label_names, row_ids=other._row_ids)

    def _replace(self, **changes):
        same = {
            "fill": self.fill,
            "soft": self.soft,
            "weights": self.weights,
            "label_names": self.label_names,
            "row_ids": self._row_ids,
            **changes,
        }
        return type(self)(self.indptr, self.indices, self.values, self.shape, **same)


def _frozen(array: Any, dtype: Any) -> np.ndarray:
    """Return a read-only array; a read-only memory map passes as it is."""
    array = np.ascontiguousarray(array, dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def _same_names(a, b):
    if a.label_names is None or b.label_names is None:
        return a.label_names is b.label_names
    return list(a.label_names) == list(b.label_names)


def _said(labels):
    """Return the stored cells of fill="negative" that differ from a plain negative."""
    values, weights = labels.values, _weights(labels)
    weights = np.where(values == UNLABELED, 1, weights)
    kept = (values != 0) | (weights != 1)
    rows = labels._stored_rows()[kept]
    return Cells(rows, labels.indices[kept], values[kept], weights[kept])


def _weights(cells):
    return np.ones(len(cells.values)) if cells.weights is None else cells.weights
