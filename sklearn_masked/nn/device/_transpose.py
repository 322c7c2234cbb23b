"""Batches by column, on a device: many at once, and the device is asked only once.

The entries of several batches are sorted by (batch, column), stably, so that each
batch keeps its place and equal seeds give equal sums. The bags of a column that stands
in very many rows are long, and a device that sums each of them alone waits for the
longest: they are cut in chunks, summed one by one and then together, always in the same
order.
"""

import itertools
from typing import NamedTuple

import torch

# A chunk ends where a column does, and at each multiple of so many entries of a batch.
CHUNK = 128
_INT32 = 1 << 31


class Transposed(NamedTuple):
    """A batch by its unique columns: bags of rows, which are also cut in chunks.

    Attributes
    ----------
    columns : int64 tensor of shape (n_columns,)
        The columns that the batch touches, increasing.
    rows, weights : tensors of shape (n_entries,)
        The entries, column after column.
    offsets : int32 tensor of shape (n_columns,)
        Where each column's entries begin.
    chunks : int32 tensor of shape (n_chunks,)
        Where each chunk's entries begin.
    chunk_columns : int32 tensor of shape (n_chunks,)
        Which of `columns` a chunk belongs to.
    first_chunks : int32 tensor of shape (n_columns,)
        Each column's first chunk.
    """

    columns: torch.Tensor
    rows: torch.Tensor
    offsets: torch.Tensor
    weights: torch.Tensor
    chunks: torch.Tensor
    chunk_columns: torch.Tensor
    first_chunks: torch.Tensor


def transpose_batches(indices, rows, weights, bounds, n_features):
    """Return several batches by their columns; reads once from the device.

    Parameters
    ----------
    indices : integer tensor of shape (n_entries,)
        The columns of the entries, batch after batch, fewer than 2**31.
    rows : int32 tensor of shape (n_entries,)
        The row of each entry, counted within its batch.
    weights : tensor of shape (n_entries,)
        The values of the entries.
    bounds : list of int
        Where the batches' entries begin and the last one's end.
    n_features : int or None
        One more than the largest column that may occur; a single batch needs none.

    Returns
    -------
    list of Transposed
        One a batch, in views of shared tensors. The order of a column's rows is that
        in which they came.
    """
    n, device, n_batches = len(indices), indices.device, len(bounds) - 1
    ends = on_device(torch.tensor(bounds, dtype=torch.int32), device)
    every = torch.arange(n_batches, dtype=torch.int32, device=device)
    batch = repeat(every, ends.diff(), n)
    key = indices
    if n_batches > 1:
        small = n_batches * n_features < _INT32
        key = batch.to(torch.int32 if small else torch.int64) * n_features
        key += indices
    key, order = torch.sort(key, stable=True)
    rows, weights = rows.index_select(0, order), weights.index_select(0, order)
    del order
    starts_column = torch.ones(n, dtype=torch.bool, device=device)
    starts_column[1:] = key[1:] != key[:-1]
    place = torch.arange(n, dtype=torch.int32, device=device)
    place -= ends.index_select(0, batch)
    column_of = _counted(starts_column)
    chunk_of = _counted(starts_column | (place % CHUNK == 0))
    # The one question to the device: how many columns and chunks each batch has.
    counts = torch.stack([column_of, chunk_of])
    column_bounds, chunk_bounds = counts.index_select(1, ends).tolist()
    first = _first_places(column_of, column_bounds[-1])
    chunks = _first_places(chunk_of, chunk_bounds[-1])
    columns = key.index_select(0, first).long()
    if n_batches > 1:
        columns %= n_features
    parts = {
        "offsets": (first, column_bounds, bounds),
        "chunks": (chunks, chunk_bounds, bounds),
        "chunk_columns": (
            column_of[1:].index_select(0, chunks) - 1,
            chunk_bounds,
            column_bounds,
        ),
        "first_chunks": (
            chunk_of[1:].index_select(0, first) - 1,
            column_bounds,
            chunk_bounds,
        ),
    }
    within = {name: _within(*part) for name, part in parts.items()}
    entries, at, in_chunks = (
        [slice(*pair) for pair in itertools.pairwise(each)]
        for each in (bounds, column_bounds, chunk_bounds)
    )
    return [
        Transposed(
            columns[at[k]],
            rows[entries[k]],
            within["offsets"][at[k]],
            weights[entries[k]],
            within["chunks"][in_chunks[k]],
            within["chunk_columns"][in_chunks[k]],
            within["first_chunks"][at[k]],
        )
        for k in range(n_batches)
    ]


def transpose_on_device(indices, offsets, weights):
    """Return a single batch by its columns; reads once from the device."""
    rows = bag_of_each(offsets, len(indices))
    return transpose_batches(indices, rows, weights, [0, len(indices)], None)[0]


def bags_of_all_columns(indices, offsets, weights, n_features):
    """Return a batch as bags of all columns, most of them empty; reads nothing.

    Returns
    -------
    rows, weights : tensors of shape (n_entries,)
        The entries, column after column.
    chunks : int32 tensor of shape (n_features + n_cuts,)
        Where chunks of them begin.
    first_chunks : int32 tensor of shape (n_features,)
        Each column's first chunk.
    """
    n, device = len(indices), indices.device
    columns, order = torch.sort(indices, stable=True)
    every = torch.arange(n_features, dtype=columns.dtype, device=device)
    first = torch.searchsorted(columns, every, out_int32=True)
    cuts = torch.arange(0, n, CHUNK, dtype=torch.int32, device=device)
    # Chunks begin where columns and cuts do; where both do, one chunk is empty.
    chunks = torch.cat([first, cuts]).sort().values
    first_chunks = torch.searchsorted(chunks, first, out_int32=True)
    rows = bag_of_each(offsets, n).index_select(0, order)
    return rows, weights.index_select(0, order), chunks, first_chunks


def bag_of_each(offsets, n):
    """Return the bag, int32, of each of n entries."""
    lengths = offsets.diff(append=offsets.new_full((1,), n))
    return repeat(
        torch.arange(len(offsets), dtype=torch.int32, device=offsets.device), lengths, n
    )


def repeat(values, lengths, total):
    """Return each value so many times; the sum of the lengths is known already."""
    return torch.repeat_interleave(values, lengths, output_size=total)


def on_device(tensor, device):
    """Return a tensor of the host on a device, without waiting for the device."""
    if torch.device(device).type != "cuda" or not tensor.numel():
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _counted(flags):
    """Return how many flags stand before each place, and in all."""
    counts = torch.zeros(len(flags) + 1, dtype=torch.int32, device=flags.device)
    torch.cumsum(flags, 0, dtype=torch.int32, out=counts[1:])
    return counts


def _first_places(counts, total):
    """Return the places of the flags, of which the number is known."""
    wanted = torch.arange(1, total + 1, dtype=counts.dtype, device=counts.device)
    return torch.searchsorted(counts[1:], wanted, out_int32=True)


def _within(values, bounds, origins):
    """Return positions as counted from the origins, which the host knows."""
    sizes = [stop - start for start, stop in itertools.pairwise(bounds)]
    origins = torch.tensor(origins[: len(sizes)], dtype=values.dtype)
    shift = repeat(
        on_device(origins, values.device),
        on_device(torch.tensor(sizes), values.device),
        len(values),
    )
    return values - shift
