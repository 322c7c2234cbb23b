"""Where the data of a training on a device lives: there, or on the host, sent ahead."""

import collections
import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse as sp
import torch

from .._batches import CellDataset, DenseBatch
from .._sparse import KeptTranspose
from ..device._transpose import on_device, transpose_on_device
from ._data import GROUP_ENTRIES, SCRATCH, DeviceDataset

# The data, and what is kept beside them, take at most this share of the free memory.
SHARE = 0.6
# Bytes an entry of a batch takes that is kept, with its transpose, between epochs.
KEPT = 40
# So many batches are on their way while one is computed.
AHEAD = 2


def place(dataset, device, batch_size, fixed=False):
    """Return the dataset where a training on this device reads it best.

    On CUDA the rows and their cells are copied to the device if they, with the
    scratch that a group of batches takes, need at most 60 % of the memory that is
    free there; otherwise batches are sent ahead, while others are computed.
    Elsewhere the dataset stays as it is.

    Parameters
    ----------
    dataset : CellDataset
        A subclass, which has batches of another kind, is left alone.
    device : torch.device or str
        Where the steps are computed.
    batch_size : int
        Rows a batch.
    fixed : bool, default=False
        Whether the batches are kept between epochs.

    Returns
    -------
    CellDataset, DeviceDataset or PrefetchDataset
        All give the same batches.
    """
    device = torch.device(device)
    if device.type != "cuda" or type(dataset) is not CellDataset:
        return dataset
    if bytes_needed(dataset, batch_size, fixed) <= SHARE * free_memory(device):
        return DeviceDataset(dataset, device)
    return PrefetchDataset(dataset, device)


def bytes_needed(dataset, batch_size, fixed=False):
    """Return the memory that the dataset's rows, cells and scratch take on a device."""
    X, targets, rows = dataset.X, dataset.targets, dataset.rows
    sizes = np.diff(targets.indptr)[rows]
    weighs = targets.weights is not None or targets.sample_weight is not None
    copies = 2 if fixed else 1
    total = int(sizes.sum()) * (20 if weighs else 12) * copies + 8 * len(rows)
    if dataset.dense and targets.sample_weight is not None:
        total += len(rows) * targets.sample_weight[:1].nbytes
    if sp.issparse(X):
        lengths = np.diff(X.indptr)[rows]
        entry = X.indices.itemsize + X.data.itemsize + (KEPT if fixed else 0)
        total += int(lengths.sum()) * entry + 8 * len(rows)
        sizes = sizes + lengths
    else:
        total += len(rows) * X[:1].nbytes * copies
    largest = int(np.sort(sizes)[-batch_size:].sum())
    scratch = min(max(GROUP_ENTRIES, largest), int(sizes.sum()))
    return total + SCRATCH * scratch


def free_memory(device):
    """Return the bytes that torch can still take on a device."""
    free, _ = torch.cuda.mem_get_info(device)
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + idle


class PrefetchDataset(torch.utils.data.Dataset):
    """A dataset on the host whose next batches are on their way to a device.

    A thread slices the rows, copies them to pinned memory and from there to the
    device, on a stream of its own, while the current batch is computed. Once the
    module has asked for a batch's transpose, it is made on that stream too: what
    waits for the device then is the thread.

    Parameters
    ----------
    dataset : CellDataset
        Whose batches to send.
    device : torch.device or str
        Where to.
    """

    keeps_batches = False  # they would fill the memory

    def __init__(self, dataset, device):
        self.dataset, self.device = dataset, torch.device(device)
        self.cuda = self.device.type == "cuda"
        self.stream = torch.cuda.Stream(self.device) if self.cuda else None
        self.transposes = False

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, i):
        """Return the row(s) at these positions among the labeled ones, as a batch."""
        return self.batch(np.atleast_1d(i))

    def batch(self, positions):
        """Return the batch of these positions among the labeled rows."""
        return self._arrived(*self._send(positions))

    def epoch(self, parts):
        """Yield the batch of each array of positions, in their order."""
        parts = iter(parts)
        with ThreadPoolExecutor(1, "sklearn_masked_prefetch") as thread:
            sent = collections.deque(
                thread.submit(self._send, part)
                for part in itertools.islice(parts, AHEAD)
            )
            while sent:
                batch = self._arrived(*sent.popleft().result())
                for part in itertools.islice(parts, 1):
                    sent.append(thread.submit(self._send, part))
                yield batch

    def _send(self, positions):
        """Return a batch, and the event of its arrival; runs in the thread."""
        inputs, target = self.dataset.batch(positions)
        with self._own_stream():
            if isinstance(target, DenseBatch):
                n_cells = int((~target.targets.isnan()).sum())
                target = target._replace(n_cells=n_cells)
            target = type(target)(*map(self._to_device, target))
            if isinstance(inputs, dict):
                inputs = {name: self._to_device(x) for name, x in inputs.items()}
                self._prepare_transpose(**inputs)
            else:
                inputs = self._to_device(inputs)
            event = self.stream.record_event() if self.cuda else None
        return inputs, target, event

    def _own_stream(self):
        return torch.cuda.stream(self.stream) if self.cuda else contextlib.nullcontext()

    def _to_device(self, part):
        if not isinstance(part, torch.Tensor):
            return part
        return on_device(part, self.device)

    def _prepare_transpose(self, indices, offsets, weights):
        kept = KeptTranspose(offsets, weights, self._transpose)
        if self.transposes:
            kept.get(indices, offsets, weights)
        indices.kept_transpose = kept

    def _transpose(self, *batch):
        self.transposes = True
        return transpose_on_device(*batch)

    def _arrived(self, inputs, target, event):
        """Return the batch for the current stream, which waits for its arrival."""
        if self.cuda:
            now = torch.cuda.current_stream(self.device)
            now.wait_event(event)
            for tensor in _tensors(inputs, target):
                tensor.record_stream(now)
        return inputs, target


def _tensors(inputs, target):
    """Return the tensors of a batch, those of its transpose among them."""
    parts = list(target)
    if isinstance(inputs, dict):
        parts += inputs.values()
        parts += inputs["indices"].kept_transpose.transposed or ()
    else:
        parts.append(inputs)
    return [part for part in parts if isinstance(part, torch.Tensor)]
