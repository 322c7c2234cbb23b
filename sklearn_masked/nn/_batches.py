"""From rows of X and labeled cells to batches: sliced by rows, never densified."""

import itertools
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from ._sparse import keep_transpose


class CellBatch(NamedTuple):
    """The labeled cells of a batch: parallel tensors, one entry a cell."""

    rows: torch.Tensor
    cols: torch.Tensor
    values: torch.Tensor
    weight: torch.Tensor | None
    shape: tuple[int, int]


class DenseBatch(NamedTuple):
    """The targets of a batch as (n_samples, n_labels), NaN in unlabeled cells."""

    targets: torch.Tensor
    weight: torch.Tensor | None
    n_cells: int | None = None  # known where only the device could count them


class CellTargets:
    """Labeled cells as a row-indexed store, taken by batch.

    Parameters
    ----------
    indptr, indices, values : arrays
        CSR of the stored cells: `values` is 1, 0, or -1 for unlabeled; floats from 0
        to 1 where the labels are soft.
    n_labels : int
        Number of columns.
    weights : array of shape (n_stored,), default=None
        Weight of each stored cell.
    fill : {"unlabeled", "negative"}, default="unlabeled"
        What a cell is that is not stored.
    sample_weight : array of shape (n_samples,) or (n_samples, n_labels), default=None
        Weight of the rows or cells, beside `weights`.
    """

    def __init__(
        self,
        indptr,
        indices,
        values,
        n_labels,
        *,
        weights=None,
        fill="unlabeled",
        sample_weight=None,
    ):
        self.indptr, self.indices, self.values = indptr, indices, values
        self.n_labels = n_labels
        self.weights = weights
        self.fill = fill
        self.sample_weight = sample_weight

    def __len__(self):
        return len(self.indptr) - 1

    @property
    def soft(self):
        """Whether values are probabilities instead of 1 and 0."""
        return self.values.dtype.kind == "f"

    @property
    def labeled(self):
        """The labeled cells alone, where others are among these."""
        return self

    def labeled_rows(self):
        """Return the positions of the rows that have a labeled cell to learn from."""
        if self.fill == "negative":
            unlabeled = np.add.reduceat(
                np.append(self.values == -1, False).astype(np.int64),
                self.indptr[:-1],
            ) * (np.diff(self.indptr) > 0)
            has_cells = unlabeled < self.n_labels
        else:
            has_cells = np.diff(self.indptr) > 0
        if self.sample_weight is not None:
            weight = self.sample_weight
            has_cells &= (weight if weight.ndim == 1 else weight.max(axis=1)) > 0
        return np.flatnonzero(has_cells)

    def totals(self):
        """Return the weight of each label's positive and of its negative cells.

        A soft cell of value v and weight w is w * v of the first, w * (1 - v) of the
        second.

        Returns
        -------
        positive, negative : float64 arrays of shape (n_labels,)
            Counts, where there are no weights.
        """
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        given = self.sample_weight
        outer = np.ones(len(rows)) if given is None else _at(given, rows, self.indices)
        weights = outer if self.weights is None else outer * self.weights

        def total(kept, weights):
            return np.bincount(
                self.indices[kept], weights[kept], minlength=self.n_labels
            )

        if self.soft:
            every = np.ones(len(rows), bool)
            parts = self.values, 1 - self.values
            return tuple(total(every, weights * part) for part in parts)
        positive = total(self.values == 1, weights)
        if self.fill == "unlabeled":
            return positive, total(self.values == 0, weights)
        everything = float(len(self)) if given is None else given.sum(axis=0)
        stored = total(np.ones(len(rows), bool), outer)
        return positive, np.broadcast_to(everything, self.n_labels) - stored

    def cell_batch(self, rows):
        """Return the stored cells of these rows; for fill="unlabeled" alone."""
        taken, lengths = concatenated_ranges(self.indptr, rows)
        batch_rows = np.repeat(np.arange(len(rows)), lengths)
        cols = self.indices[taken]
        weight = None if self.weights is None else self.weights[taken]
        if self.sample_weight is not None:
            given = _at(self.sample_weight[rows], batch_rows, cols)
            weight = given if weight is None else weight * given
        return CellBatch(
            torch.from_numpy(batch_rows),
            torch.from_numpy(cols.astype(np.int64)),
            torch.from_numpy(self.values[taken].astype(np.float32)),
            None if weight is None else torch.from_numpy(weight),
            (len(rows), self.n_labels),
        )

    def dense_batch(self, rows):
        """Return these rows as dense targets, NaN in unlabeled cells."""
        taken, lengths = concatenated_ranges(self.indptr, rows)
        batch_rows = np.repeat(np.arange(len(rows)), lengths)
        cols = self.indices[taken]
        shape = (len(rows), self.n_labels)
        absent = 0.0 if self.fill == "negative" else np.nan
        targets = np.full(shape, absent, np.float32)
        values = self.values[taken].astype(np.float32)
        targets[batch_rows, cols] = np.where(values == -1, np.nan, values)
        weight = None
        if self.weights is not None:
            weight = np.ones(shape)
            weight[batch_rows, cols] = self.weights[taken]
        if self.sample_weight is not None:
            given = self.sample_weight[rows]
            given = given[:, None] if given.ndim == 1 else given
            weight = np.broadcast_to(given, shape) * (1 if weight is None else weight)
        return DenseBatch(
            torch.from_numpy(targets),
            None if weight is None else torch.from_numpy(np.ascontiguousarray(weight)),
        )


def _at(weight, rows, cols):
    """Return the weights of these cells from a weight a row or a cell."""
    return weight[rows] if weight.ndim == 1 else weight[rows, cols]


def concatenated_ranges(indptr, rows):
    """Return the entries of these rows in a CSR, row after row, and the rows' lengths.

    >>> import numpy as np
    >>> from sklearn_masked.nn._batches import concatenated_ranges
    >>> concatenated_ranges(np.array([0, 2, 2, 5]), np.array([2, 0]))
    (array([2, 3, 4, 0, 1]), array([3, 2]))
    """
    starts = indptr[rows]
    lengths = indptr[rows + 1] - starts
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    shift = np.repeat(starts - (ends - lengths), lengths)
    return shift + np.arange(total), lengths


def bag_inputs(X):
    """Return the rows of a CSR matrix as what torch calls bags.

    Returns
    -------
    dict
        `indices` (int32 or int64, all columns of nonzeros), `offsets` (where each
        row begins) and `weights` (the values): what
        :class:`torch.nn.EmbeddingBag` takes.
    """
    return {
        "indices": torch.from_numpy(_owned(X.indices)),
        "offsets": torch.from_numpy(_owned(X.indptr[:-1])),
        "weights": torch.from_numpy(_owned(X.data)),
    }


def dense_input(X):
    """Return an n-dimensional array of rows as a tensor."""
    return torch.from_numpy(_owned(X))


def _owned(array):
    """Return an array that torch may share: read-only memory maps are copied."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


def model_input(X):
    """Return the rows of X, sparse or not, as the module takes them."""
    X = X[:] if isinstance(X, ArrayRows) else X
    return bag_inputs(X) if sp.issparse(X) else dense_input(X)


class ArrayRows:
    """A CSR matrix whose rows are read as arrays: those asked for, never all at once.

    >>> import numpy as np, scipy.sparse as sp
    >>> from sklearn_masked.nn._batches import ArrayRows
    >>> ArrayRows(sp.eye_array(3, format="csr"))[np.array([2, 0])]
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """

    def __init__(self, X):
        self.X, self.shape, self.dtype, self.size = X, X.shape, X.dtype, X.size

    def __getitem__(self, rows):
        return self.X[rows].toarray()


def in_form(X, sparse):
    """Return X so that its rows are sparse (True), arrays (False), or as they are."""
    if sparse is None or sp.issparse(X) == sparse:
        return X
    return sp.csr_array(X) if sparse else ArrayRows(X)


class CellDataset(torch.utils.data.Dataset):
    """Rows of X with their targets; a batch is taken at once, by positions.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, ...)
        float32, as validated by the caller.
    targets : CellTargets
        Of the same rows.
    rows : array of int, default=None
        The rows to take; all that have a labeled cell if None. Rows without one
        never reach a batch.
    dense : bool, default=False
        Whether batches hold dense targets instead of the labeled cells.
    """

    keeps_batches = True  # an iterator may keep them between epochs

    def __init__(self, X, targets, rows=None, *, dense=False):
        self.X, self.targets = X, targets
        self.rows = targets.labeled_rows() if rows is None else rows
        self.dense = dense or targets.fill == "negative"

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        """Return the row(s) at these positions among the labeled ones, as a batch."""
        return self.batch(np.atleast_1d(i))

    def batch(self, positions):
        """Return the batch of these positions among the labeled rows."""
        rows = self.rows[positions]
        take = self.targets.dense_batch if self.dense else self.targets.cell_batch
        return model_input(self.X[rows]), take(rows)

    def epoch(self, parts):
        """Yield the batch of each array of positions, in their order."""
        return map(self.batch, parts)


class BatchIterator:
    """Batches of a :class:`CellDataset`, in the place of a torch DataLoader.

    Parameters
    ----------
    dataset : CellDataset
        What to go through.
    batch_size : int, default=256
        Rows a batch; -1 takes all rows as one batch.
    shuffle : bool, default=False
        Whether each pass has an order of its own.
    generator : numpy.random.Generator, default=None
        Source of the orders; equal generators give equal orders.
    fixed : bool, default=False
        Whether the batches keep their members from pass to pass, and only their order
        is shuffled: what is prepared for a batch is then kept, which takes the memory
        of X's labeled rows two to three times more.
    drop_last : bool, default=False
        Whether to leave out a last batch of fewer rows than `batch_size`.

    Attributes
    ----------
    fewest : int
        A last batch of fewer rows than this joins the one before it: batch
        normalization, for one, cannot train on a single row.
    """

    fewest = 1

    def __init__(
        self,
        dataset,
        batch_size=256,
        shuffle=False,
        generator=None,
        fixed=False,
        drop_last=False,
    ):
        self.dataset = dataset
        self.batch_size = len(dataset) if batch_size == -1 else batch_size
        self.shuffle = shuffle
        self.generator = np.random.default_rng() if generator is None else generator
        self.fixed, self.drop_last = fixed, drop_last
        self._members, self._kept = None, {}

    def __len__(self):
        return len(self._starts())

    def _starts(self):
        """Return where the batches begin in an epoch."""
        n, size = len(self.dataset), max(self.batch_size, 1)
        starts, rest = np.arange(0, n, size), n % size
        if rest and (self.drop_last or (n > size and rest < self.fewest)):
            starts = starts[:-1]
        if n and not len(starts):
            raise ValueError(
                f"`drop_last` leaves no batch of {n} rows with a labeled cell: "
                f"`batch_size` accepts at most {n} there; got {self.batch_size}."
            )
        return starts

    def __iter__(self):
        n, starts = len(self.dataset), self._starts()
        # The last batch has the rest of the rows, unless that is dropped.
        end = len(starts) * self.batch_size if self.drop_last else n
        stops = dict(itertools.pairwise([*starts.tolist(), end]))
        # A dataset may have shuffled its rows itself, once.
        ready = getattr(self.dataset, "fixed_batches", False)
        if self._members is None or not self.fixed:
            self._members = np.arange(n)
            if self.shuffle and not ready:
                self.generator.shuffle(self._members)
        members = self._members
        if self.shuffle and (ready or self.fixed):
            self.generator.shuffle(starts)
        parts = [members[start : stops[start]] for start in starts.tolist()]
        if not (self.fixed and self.dataset.keeps_batches):
            yield from self.dataset.epoch(parts)
            return
        for start, part in zip(starts, parts, strict=True):
            yield self._kept_batch(start, part)

    def _kept_batch(self, start, members):
        """Return a batch whose members never change, kept from the first time."""
        if start not in self._kept:
            inputs, target = self._kept[start] = self.dataset.batch(members)
            if isinstance(inputs, dict):
                keep_transpose(inputs)
        return self._kept[start]
