"""The store: an immutable, row-indexed matrix of the labelled cells."""

import math
from numbers import Integral
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ._build import Builders

UNLABELED = -1
_RECODED = (
    "scikit-learn tried to recode labels with unlabelled cells as if they were "
    "classes, which would read them as negatives. Use "
    "sklearn_masked.model_selection.cross_val_predict, which keeps them."
)


class Cells(NamedTuple):
    """Labelled cells as parallel arrays, row by row, columns increasing."""

    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None


class LabelRow:
    """One row of :class:`MaskedLabels`: what scikit-learn gets when it asks for one.

    It has no hash: code that would count it as a class stops, with a sentence.
    """

    __slots__ = ("labels", "position")

    def __init__(self, labels, position):
        self.labels, self.position = labels, position

    @property
    def label_names(self):
        """Names of the labels, or None."""
        return self.labels.label_names

    def __len__(self):
        return self.labels.n_labels

    def to_dense(self):
        """Return the row as float64 of shape (n_labels,), NaN where unlabelled."""
        return self.labels[[self.position]].to_dense()[0]

    def __eq__(self, other):
        if not isinstance(other, LabelRow):
            return NotImplemented
        return self.labels[[self.position]] == other.labels[[other.position]]

    def __hash__(self):
        raise ValueError(_RECODED)

    def __repr__(self):
        cells = self.labels[[self.position]].cells()
        names = self.labels.label_names
        shown = ", ".join(
            f"{col if names is None else names[col]!s}: {value}"
            for col, value in zip(cells.cols[:8], cells.values[:8], strict=True)
        )
        return f"LabelRow({shown}{', ...' if len(cells.cols) > 8 else ''})"


class MaskedLabels(Builders):
    """Labels of which only some cells are known, stored by the cell.

    Make one with a builder: :meth:`from_dense`, :meth:`from_sparse`,
    :meth:`from_cells`, :meth:`from_frame`, :meth:`from_dicts` or :meth:`merge`.
    Unlabelled cells survive whatever is done with it: slices, splits, pickles.

    Attributes
    ----------
    shape : tuple of int
        Number of samples and of labels.
    fill : {"unlabeled", "negative"}
        What a cell is that is not stored. Counts, slices, comparison and metrics do
        not depend on it; memory follows what is stored.
    indptr, indices, values : int64, int32 and int8 arrays
        CSR of the stored cells, columns increasing in each row: 1 positive, 0
        negative, -1 unlabelled (stored for ``fill="negative"`` alone). Read-only.
    weights : float64 array of shape (n_stored,) or None
        Weight of each stored cell. Cells of weight 0 are not labelled.
    label_names : object array of shape (n_labels,) or None
        Names of the labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedLabels
    >>> labels = MaskedLabels.from_dense([[1, np.nan], [np.nan, 0], [-1, 1]])
    >>> labels
    MaskedLabels(3 x 2, 3 labelled cells: 2 positive, 1 negative)
    >>> labels.n_labeled
    array([1, 2])
    >>> labels[1:].to_dense()
    array([[nan,  0.],
           [nan,  1.]])
    """

    ndim = 2

    def __init__(
        self,
        indptr,
        indices,
        values,
        shape,
        *,
        fill="unlabeled",
        weights=None,
        label_names=None,
    ):
        self.shape = (int(shape[0]), int(shape[1]))
        self.fill = fill
        self.indptr = _frozen(indptr, np.int64)
        self.indices = _frozen(indices, np.int32)
        self.values = _frozen(values, np.int8)
        self.weights = None if weights is None else _frozen(weights, np.float64)
        self.label_names = label_names
        self._counts = None

    # How it looks

    @property
    def n_labels(self):
        """Number of labels."""
        return self.shape[1]

    @property
    def n_positive(self):
        """Positive cells of each label, int64 of shape (n_labels,)."""
        return self._count()[0].copy()

    @property
    def n_negative(self):
        """Negative cells of each label, int64 of shape (n_labels,)."""
        return self._count()[1].copy()

    @property
    def n_labeled(self):
        """Labelled cells of each label, int64 of shape (n_labels,)."""
        return self._count().sum(axis=0)

    @property
    def n_cells(self):
        """Labelled cells in all."""
        return int(self._count().sum())

    def _count(self):
        if self._counts is None:
            kinds = self.indices.astype(np.int64) * 3 + self.values + 1
            counts = np.bincount(kinds, minlength=3 * self.n_labels)
            unlabeled, negative, positive = counts.reshape(self.n_labels, 3).T
            if self.fill == "negative":
                negative = self.shape[0] - positive - unlabeled
            self._counts = np.stack([positive, negative]).astype(np.int64)
        return self._counts

    def __len__(self):
        return self.shape[0]

    def __repr__(self):
        positive, negative = self._count().sum(axis=1)
        return (
            f"MaskedLabels({self.shape[0]} x {self.shape[1]}, {self.n_cells} labelled "
            f"cells: {positive} positive, {negative} negative"
            f"{'' if self.weights is None else ', weighted'})"
        )

    def __iter__(self):
        return (LabelRow(self, i) for i in range(len(self)))

    def __array__(self, dtype=None, copy=None):
        """Return a 1-D object array of row views; never a 2-D array of numbers."""
        if dtype is not None and np.dtype(dtype) != object:
            raise ValueError(
                "MaskedLabels do not become an array of numbers by themselves, since "
                "unlabelled cells would have to become some number; call to_dense() "
                "for NaN in unlabelled cells."
            )
        rows = np.empty(len(self), dtype=object)
        for i in range(len(self)):
            rows[i] = LabelRow(self, i)
        return rows

    def __eq__(self, other):
        """Return whether all cells, weights and names are equal, whatever the fill."""
        if not isinstance(other, MaskedLabels):
            return NotImplemented
        if self.shape != other.shape or not _same_names(self, other):
            return False
        if not np.array_equal(self._count(), other._count()):
            return False
        mine, theirs = self, other
        if self.fill == other.fill == "negative":
            mine, theirs = _comparable(self), _comparable(other)
        elif self.fill != other.fill:
            # Equal counts: neither has more cells than the other stores already.
            mine, theirs = self.cells(), other.cells()
        else:
            mine, theirs = self.cells(), other.cells()
        return all(
            np.array_equal(a, b) for a, b in zip(mine[:3], theirs[:3], strict=True)
        ) and np.array_equal(_ones(mine), _ones(theirs))

    __hash__ = None

    def __getstate__(self):
        return {**self.__dict__, "_counts": None}

    # Its parts

    def __getitem__(self, key):
        """Return rows, or rows and labels, or the value of one cell.

        An int gives a :class:`LabelRow`; a list, slice, integer or boolean array or
        Series gives MaskedLabels. ``labels[rows, cols]`` takes positions or names of
        labels; two single ones give 1, 0 or NaN.
        """
        rows, cols = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if cols is Ellipsis:  # scikit-learn slices rows as `y[rows, ...]`
            cols = None
        if isinstance(rows, tuple) or rows is None or rows is Ellipsis:
            raise IndexError(
                "MaskedLabels accept `rows` or `(rows, cols)`: an int, a list, a "
                f"slice, or an integer or boolean array of each; got {key!r}."
            )
        if cols is not None and isinstance(cols, str | Integral):
            col = self._label_position(cols)
            if isinstance(rows, Integral):
                return float(self[[rows]].to_dense()[0, col])
            cols = [col]
        if isinstance(rows, Integral):
            row = _position(rows, len(self), "row")
            taken = self if cols is None else self._take_labels(cols)
            return LabelRow(taken, row)
        taken = self._take_rows(_positions(rows, len(self), "row"))
        return taken if cols is None else taken._take_labels(cols)

    def _label_position(self, label):
        if isinstance(label, Integral) and not isinstance(label, bool):
            return _position(label, self.n_labels, "label")
        if self.label_names is not None:
            found = np.flatnonzero(self.label_names == label)
            if len(found):
                return int(found[0])
        raise IndexError(f"no label is named {label!r}.")

    def _take_rows(self, rows):
        return self._taken(self._located()[rows])

    def _take_labels(self, cols):
        if not isinstance(cols, slice):
            cols = np.atleast_1d(np.asarray(cols))
            if cols.dtype.kind in "OUS":
                cols = np.array([self._label_position(c) for c in cols], dtype=np.intp)
        cols = _positions(cols, self.n_labels, "label")
        names = None if self.label_names is None else self.label_names[cols]
        located = sp.csr_array(self._located()[:, cols])
        located.sort_indices()
        return self._taken(located, names)

    def _located(self):
        """Return the positions of the stored cells, from 1, as a CSR: no zeros."""
        located = np.arange(1, len(self.values) + 1)
        return sp.csr_array((located, self.indices, self.indptr), shape=self.shape)

    def _taken(self, located, names=None):
        kept = located.data - 1
        return MaskedLabels(
            located.indptr,
            located.indices,
            self.values[kept],
            located.shape,
            fill=self.fill,
            weights=None if self.weights is None else self.weights[kept],
            label_names=self.label_names if names is None else names,
        )

    def cells(self):
        """Return every labelled cell, row by row, columns increasing.

        Returns
        -------
        Cells
            `rows`, `cols` (intp), `values` (int8, 0 or 1), `weights` (float64 or
            None). For ``fill="negative"`` that is nearly n_samples x n_labels:
            :meth:`iter_cells` gives them in blocks.
        """
        if self.fill == "unlabeled":
            rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
            return Cells(rows, self.indices.astype(np.intp), self.values, self.weights)
        dense = np.zeros(self.shape, np.int8)
        stored_rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        dense[stored_rows, self.indices] = self.values
        rows, cols = np.nonzero(dense != UNLABELED)
        weights = None
        if self.weights is not None:
            full = np.ones(self.shape)
            full[stored_rows, self.indices] = self.weights
            weights = full[rows, cols]
        return Cells(rows, cols, dense[rows, cols], weights)

    def iter_cells(self, max_cells=1 << 22):
        """Yield (slice of rows, their cells) in blocks of at most so many cells.

        A block has whole rows, and at least one; its rows count from the start of
        the slice.
        """
        start = 0
        while start < len(self):
            if self.fill == "negative":
                stop = start + max(1, max_cells // max(self.n_labels, 1))
            else:
                end = self.indptr[start] + max_cells
                stop = int(np.searchsorted(self.indptr, end, side="right")) - 1
            rows = slice(start, min(max(stop, start + 1), len(self)))
            yield rows, self[rows].cells()
            start = rows.stop

    def without_weights(self):
        """Return the same labels, each cell of weight 1."""
        return self._replace(weights=None)

    def with_label_names(self, label_names):
        """Return the same labels under these names, one a label, all different."""
        return self._replace(label_names=checked_names(label_names, self.n_labels))

    def _replace(self, **changes):
        same = {
            "fill": self.fill,
            "weights": self.weights,
            "label_names": self.label_names,
            **changes,
        }
        return type(self)(self.indptr, self.indices, self.values, self.shape, **same)


def checked_names(label_names, n_labels):
    """Return names of labels as an object array; None stays None.

    Raises
    ------
    ValueError
        If their number is wrong or one stands twice.
    """
    if label_names is None:
        return None
    names = np.empty(len(label_names), dtype=object)
    names[:] = list(label_names)
    if len(names) != n_labels:
        raise ValueError(
            f"`label_names` must name the {n_labels} labels; got {len(names)} names."
        )
    seen = set()
    for name in names:
        if name in seen:
            raise ValueError(f"`label_names` must all differ; got {name!r} twice.")
        seen.add(name)
    return names


def _frozen(array, dtype):
    """Return a read-only array; a read-only memory map passes as it is."""
    array = np.ascontiguousarray(array, dtype=dtype)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def _position(i, n, what):
    if not -n <= i < n:
        raise IndexError(f"{what} {i} is out of range for {n} {what}s.")
    return int(i) % n


def _positions(key, n, what):
    """Return a slice as it is, and any other selection as positions from 0."""
    if isinstance(key, slice):
        return np.arange(*key.indices(n))
    key = np.asarray(key)
    if key.ndim != 1:
        raise IndexError(f"{what}s accept a 1-D selection; got {key.ndim} dimensions.")
    if key.dtype == bool:
        if len(key) != n:
            raise IndexError(
                f"a boolean selection of {what}s must have {n} entries; got {len(key)}."
            )
        return np.flatnonzero(key)
    if not len(key):
        return key.astype(np.intp)
    if key.dtype.kind not in "iu":
        raise IndexError(f"{what}s accept integers or booleans; got {key.dtype}.")
    for i in (key.min(), key.max()):
        _position(i, n, what)
    return key % n


def _same_names(a, b):
    if a.label_names is None or b.label_names is None:
        return a.label_names is b.label_names
    return list(a.label_names) == list(b.label_names)


def _comparable(labels):
    """Return the stored cells of fill="negative" that say something, as cells."""
    rows = np.repeat(np.arange(len(labels)), np.diff(labels.indptr))
    weights = np.ones(len(rows)) if labels.weights is None else labels.weights
    kept = (labels.values != 0) | (weights != 1)
    weights = np.where(labels.values == UNLABELED, 1, weights)
    return Cells(rows[kept], labels.indices[kept], labels.values[kept], weights[kept])


def _ones(cells):
    return np.ones(len(cells.rows)) if cells.weights is None else cells.weights


def is_missing_number(value):
    """Return whether a scalar is NaN, None or pandas' NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating) and math.isnan(value)
