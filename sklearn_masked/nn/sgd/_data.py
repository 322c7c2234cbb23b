"""Rows and cells that live on the device, and batches that are cut out there.

The host knows how long each row is, so that it knows the size of everything it asks the
device for: no step waits for an answer. Batches are cut in groups, which bounds the
memory; a group's transposes are made together, when the first of them is asked for.
"""

import functools

import numpy as np
import scipy.sparse as sp
import torch

from .._batches import CellBatch, DenseBatch, concatenated_ranges
from .._sparse import KeptTranspose
from ..device._transpose import on_device, repeat, transpose_batches

# A group has so many entries and cells, or one batch.
GROUP_ENTRIES = 1 << 24
# Bytes of scratch an entry of a group takes while its batches are cut and transposed.
SCRATCH = 96
# Columns, and keys of (batch, column), below this are 32-bit integers.
_INT32 = 1 << 31
# Entries are gathered on the host, and sent, so many at a time.
_UPLOAD = 1 << 22


class DeviceDataset(torch.utils.data.Dataset):
    """The rows of a :class:`~sklearn_masked.nn._batches.CellDataset` on a device.

    The batches are the same, bit by bit, but for where they are.

    Parameters
    ----------
    dataset : CellDataset
        Whose rows to copy to the device.
    device : torch.device or str
        Where to.
    group_entries : int, default=2**24
        How many entries of X, and cells, the batches of a group have at most; a
        larger batch is a group of its own.
    """

    keeps_batches = True

    def __init__(self, dataset, device, group_entries=GROUP_ENTRIES):
        self.device = torch.device(device)
        self.group_entries = group_entries
        self.dense = dataset.dense
        self.shape = len(dataset), dataset.targets.n_labels
        rows = dataset.rows
        self.bags = self.X = None
        if sp.issparse(dataset.X):
            X = dataset.X
            small = X.shape[1] < _INT32
            indices = X.indices.astype(np.int32, copy=False) if small else X.indices
            arrays = {"indices": indices, "weights": X.data}
            self.bags = _Ranges(X.indptr, rows, arrays, self.device)
            self.n_features = X.shape[1]
        else:
            self.X = _upload(dataset.X, rows, self.device)
        self._place_cells(dataset.targets, rows)
        # Whether the module asks for transposes is seen at the first batch.
        self.transposes = False

    def _place_cells(self, targets, rows):
        arrays = {"cols": targets.indices.astype(np.int64)}
        values = targets.values.astype(np.float32)
        labeled = targets.values != -1
        self.absent = np.nan
        self.row_weight = None
        weights = targets.weights
        given = targets.sample_weight
        if self.dense:
            values[~labeled] = np.nan
            self.absent = 0.0 if targets.fill == "negative" else np.nan
            if given is not None:
                self.row_weight = _upload(given, rows, self.device)
        elif given is not None:
            at = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
            given = given[at] if given.ndim == 1 else given[at, targets.indices]
            weights = given if weights is None else weights * given
        arrays["values"] = values
        if weights is not None:
            arrays["weight"] = weights
        self.cells = _Ranges(targets.indptr, rows, arrays, self.device)
        stored = np.append(0, np.cumsum(labeled))
        counts = np.diff(stored[targets.indptr])
        if targets.fill == "negative":  # all are labeled but those stored as unlabeled
            counts = targets.n_labels - (np.diff(targets.indptr) - counts)
        self.n_cells = counts[rows]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, i):
        """Return the row(s) at these positions among the labeled ones, as a batch."""
        return self.batch(np.atleast_1d(i))

    def batch(self, positions):
        """Return the batch of these positions among the labeled rows."""
        return next(self._cut([np.asarray(positions)]))

    def epoch(self, parts):
        """Yield the batch of each array of positions, in their order."""
        for group in self._groups(parts):
            yield from self._cut(group)

    def _groups(self, parts):
        """Yield runs of batches that are cut together."""
        most = len(parts)
        if self.bags is not None:
            most = max(1, _INT32 // max(self.n_features, 1))
        group, size = [], 0
        for part in parts:
            entries = int(self.cells.lengths[part].sum())
            if self.bags is not None:
                entries += int(self.bags.lengths[part].sum())
            if group and (size + entries > self.group_entries or len(group) == most):
                yield group
                group, size = [], 0
            group.append(part)
            size += entries
        if group:
            yield group

    def _cut(self, parts):
        """Yield the batches of a group."""
        bounds = np.append(0, np.cumsum([len(part) for part in parts]))
        positions = np.concatenate(parts) if parts else np.empty(0, np.int64)
        rows = _Rows(positions, bounds, self.device)
        inputs = self._inputs(rows)
        cells = self.cells.take(rows)
        cells.rows = cells.rows.long()
        target = self._dense if self.dense else self._cell_batch
        for k in range(len(parts)):
            yield inputs(k), target(rows, cells, k)

    def _inputs(self, rows):
        """Return the function that gives the module's input of each batch."""
        if self.bags is None:
            return lambda k: self.X.index_select(0, rows.rows[rows.slice(k)])
        taken = self.bags.take(rows)
        taken.offsets = taken.offsets.to(taken["indices"].dtype)
        group = _Group(taken, self.n_features) if len(taken["indices"]) else None
        if group is not None and self.transposes:
            group.transposed()

        def bags(k):
            entries = taken.slice(k)
            inputs = {
                "indices": taken["indices"][entries],
                "offsets": taken.offsets[rows.slice(k)],
                "weights": taken["weights"][entries],
            }
            if group is not None:
                make = functools.partial(self._transposed, group, k)
                inputs["indices"].kept_transpose = KeptTranspose(
                    inputs["offsets"], inputs["weights"], make
                )
            return inputs

        return bags

    def _transposed(self, group, k, *batch):
        """Return a batch's transpose, and have those of the next group made in time."""
        self.transposes = True
        return group.transposed()[k]

    def _cell_batch(self, rows, cells, k):
        some, n = cells.slice(k), rows.size(k)
        weight = cells["weight"][some] if "weight" in cells else None
        cols, values = cells["cols"][some], cells["values"][some]
        return CellBatch(cells.rows[some], cols, values, weight, (n, self.shape[1]))

    def _dense(self, rows, cells, k):
        some, shape = cells.slice(k), (rows.size(k), self.shape[1])
        at = cells.rows[some] * shape[1] + cells["cols"][some]
        targets = torch.full(shape, self.absent, device=self.device)
        targets.view(-1).index_copy_(0, at, cells["values"][some])
        weight = None
        if "weight" in cells:
            weight = torch.ones(shape, dtype=torch.float64, device=self.device)
            weight.view(-1).index_copy_(0, at, cells["weight"][some])
        if self.row_weight is not None:
            given = self.row_weight.index_select(0, rows.rows[rows.slice(k)])
            given = given[:, None] if given.ndim == 1 else given
            given = given.expand(shape)
            weight = given.contiguous() if weight is None else given * weight
        n_cells = int(self.n_cells[rows.positions[rows.slice(k)]].sum())
        return DenseBatch(targets, weight, n_cells)


class _Rows:
    """The rows of a group's batches, one batch after the other."""

    def __init__(self, positions, bounds, device):
        self.positions, self.bounds, self.device = positions, bounds, device
        self.rows = on_device(torch.from_numpy(positions), device)
        begin = np.repeat(bounds[:-1], np.diff(bounds))
        place = (np.arange(len(positions)) - begin).astype(np.int32)
        # The row's place in its batch.
        self.place = on_device(torch.from_numpy(place), device)

    def slice(self, k):
        return slice(int(self.bounds[k]), int(self.bounds[k + 1]))

    def size(self, k):
        return int(self.bounds[k + 1] - self.bounds[k])


class _Ranges:
    """Entries on a device that are taken by rows: a CSR whose row lengths we know."""

    def __init__(self, indptr, rows, arrays, device):
        self.device = device
        self.lengths = np.diff(indptr)[rows].astype(np.int64)
        bounds = np.append(0, np.cumsum(self.lengths))
        self.starts = torch.from_numpy(bounds).to(device)
        self.arrays = {
            name: torch.empty(int(bounds[-1]), dtype=_torch_dtype(array), device=device)
            for name, array in arrays.items()
        }
        for some, entries in _row_blocks(bounds):
            taken, _ = concatenated_ranges(indptr, rows[some])
            for name, array in arrays.items():
                self.arrays[name][entries] = torch.from_numpy(array[taken]).to(device)

    def take(self, rows):
        """Return the entries of these rows."""
        lengths = self.lengths[rows.positions]
        ends = np.append(0, np.cumsum(lengths))
        total = int(ends[-1])
        on = functools.partial(on_device, device=self.device)
        starts = self.starts.index_select(0, rows.rows)
        per_row = on(torch.from_numpy(lengths))
        shift = starts - (per_row.cumsum(0) - per_row)
        at = repeat(shift, per_row, total)
        at += torch.arange(total, device=self.device)
        arrays = {name: each.index_select(0, at) for name, each in self.arrays.items()}
        begin = np.repeat(ends[rows.bounds[:-1]], np.diff(rows.bounds))
        offsets = on(torch.from_numpy(ends[:-1] - begin))
        bag = repeat(rows.place, per_row, total)
        return _Taken(arrays, offsets, bag, [int(e) for e in ends[rows.bounds]])


class _Taken(dict):
    """Entries of a group's batches: arrays by name, and where each batch's are."""

    def __init__(self, arrays, offsets, rows, bounds):
        super().__init__(arrays)
        self.offsets, self.rows, self.bounds = offsets, rows, bounds

    def slice(self, k):
        return slice(self.bounds[k], self.bounds[k + 1])


class _Group:
    """The transposes of a group's batches, made when they are first asked for."""

    def __init__(self, taken, n_features):
        self.taken, self.n_features = taken, n_features
        self._transposed = None

    def transposed(self):
        if self._transposed is None:
            taken, self.taken = self.taken, None
            self._transposed = transpose_batches(
                taken["indices"],
                taken.rows,
                taken["weights"],
                taken.bounds,
                self.n_features,
            )
        return self._transposed


def _row_blocks(bounds):
    """Yield slices of rows, and of their entries, that are uploaded in one go."""
    start, n = 0, len(bounds) - 1
    while start < n:
        stop = int(np.searchsorted(bounds, bounds[start] + _UPLOAD, side="right")) - 1
        stop = max(stop, start + 1)
        yield slice(start, stop), slice(int(bounds[start]), int(bounds[stop]))
        start = stop


def _upload(array, rows, device):
    """Return some rows of an array on a device."""
    size = (len(rows), *array.shape[1:])
    result = torch.empty(size, dtype=_torch_dtype(array), device=device)
    width = int(np.prod(array.shape[1:], dtype=np.int64))
    for some, _ in _row_blocks(np.arange(len(rows) + 1) * max(width, 1)):
        result[some] = torch.from_numpy(np.ascontiguousarray(array[rows[some]]))
    return result


def _torch_dtype(array):
    return torch.from_numpy(np.empty(0, array.dtype)).dtype
