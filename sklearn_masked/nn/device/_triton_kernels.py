"""Bags and updates of rows as Triton kernels; imported only where they are wanted.

Sums are made in float32 and always in the same order. Addresses are 64-bit.
"""

from __future__ import annotations

import torch

try:
    import triton
    import triton.language as tl
except ImportError:  # torch's own kernels do the work
    triton = tl = None

# The widest row that an update takes: it is read as one block.
MAX_WIDTH = 1024
# Numbers of a block that a program reads at once, and the rows of it at most.
_BLOCK_NUMBERS, _BLOCK_ROWS = 1024, 16


def _kernel(varying=(), unaligned=()):
    """Compile a function, for all values of `varying` and all `unaligned` addresses.

    Batches are slices of larger tensors: else each alignment would be compiled anew.
    """
    if triton is None:
        return lambda function: function
    return triton.jit(
        do_not_specialize=list(varying), do_not_specialize_on_alignment=list(unaligned)
    )


@_kernel()
def _sum_rows(
    table,
    indices,
    weights,
    start,
    stop,
    d,
    D: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
    INDEXED: tl.constexpr,
    WEIGHTED: tl.constexpr,
):
    """Sum rows of the table: those at indices[start:stop], or at start:stop itself."""
    total = tl.zeros([BLOCK_E, BLOCK_D], tl.float32)
    # A loop over a range would not take bounds that were loaded, in the interpreter.
    while start < stop:
        entries = start + tl.arange(0, BLOCK_E)
        inside = entries < stop
        rows = entries
        if INDEXED:
            rows = tl.load(indices + entries, mask=inside, other=0)
        at = rows.to(tl.int64)[:, None] * D + d[None, :]
        mask = inside[:, None] & (d < D)[None, :]
        block = tl.load(table + at, mask=mask, other=0.0).to(tl.float32)
        if WEIGHTED:
            weight = tl.load(weights + entries, mask=inside, other=0.0)
            block *= weight.to(tl.float32)[:, None]
        total += block
        start += BLOCK_E
    return tl.sum(total, axis=0)


@_kernel(["n_bags", "n_entries"], ["indices", "offsets", "weights"])
def _bags(
    table,
    indices,
    offsets,
    weights,
    out,
    n_bags,
    n_entries,
    D: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
    WEIGHTED: tl.constexpr,
):
    """Sum a bag; a program a bag and block of the row."""
    bag = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    start = tl.load(offsets + bag)
    stop = tl.load(offsets + bag + 1, mask=bag + 1 < n_bags, other=n_entries)
    total = _sum_rows(
        table, indices, weights, start, stop, d, D, BLOCK_E, BLOCK_D, True, WEIGHTED
    )
    tl.store(out + bag * D + d, total, mask=d < D)


@_kernel(
    ["n_chunks", "n_columns", "n_entries"],
    ["rows", "weights", "chunks", "chunk_columns", "first_chunks"],
)
def _partial_sums(
    grad,
    rows,
    weights,
    chunks,
    chunk_columns,
    first_chunks,
    partial,
    n_chunks,
    n_columns,
    n_entries,
    D: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Sum a chunk, a program each; those that are all of their column are left out."""
    chunk = tl.program_id(0).to(tl.int64)
    column = tl.load(chunk_columns + chunk)
    first = tl.load(first_chunks + column)
    last = tl.load(
        first_chunks + column + 1, mask=column + 1 < n_columns, other=n_chunks
    )
    if last - first > 1:
        d = tl.arange(0, BLOCK_D)
        start = tl.load(chunks + chunk)
        stop = tl.load(chunks + chunk + 1, mask=chunk + 1 < n_chunks, other=n_entries)
        total = _sum_rows(
            grad, rows, weights, start, stop, d, D, BLOCK_E, BLOCK_D, True, True
        )
        tl.store(partial + chunk * D + d, total, mask=d < D)


@_kernel(
    ["n_chunks", "n_columns", "n_entries", "lr", "weight_decay", "eps"],
    ["columns", "rows", "weights", "chunks", "first_chunks"],
)
def _update(
    table,
    grad,
    columns,
    rows,
    weights,
    chunks,
    first_chunks,
    partial,
    squares,
    n_chunks,
    n_columns,
    n_entries,
    lr,
    weight_decay,
    eps,
    D: tl.constexpr,
    BLOCK_E: tl.constexpr,
    BLOCK_D: tl.constexpr,
    ADAGRAD: tl.constexpr,
):
    """Sum a column's gradient and update its row of the table, a program a column."""
    k = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, BLOCK_D)
    first = tl.load(first_chunks + k)
    last = tl.load(first_chunks + k + 1, mask=k + 1 < n_columns, other=n_chunks)
    if last - first == 1:
        start = tl.load(chunks + first)
        stop = tl.load(chunks + last, mask=last < n_chunks, other=n_entries)
        g = _sum_rows(
            grad, rows, weights, start, stop, d, D, BLOCK_E, BLOCK_D, True, True
        )
    else:
        g = _sum_rows(
            partial, rows, weights, first, last, d, D, BLOCK_E, BLOCK_D, False, False
        )
    row = tl.load(columns + k)
    at = table + row * D + d
    w = tl.load(at, mask=d < D, other=0.0).to(tl.float32)
    g += weight_decay * w
    if ADAGRAD:
        square = tl.load(squares + row) + tl.sum(g * g, axis=0) / D
        tl.store(squares + row, square)
        g = g / (tl.sqrt(square) + eps)
    tl.store(at, w - lr * g, mask=d < D)


def sum_bags(table, indices, offsets, weights):
    """Return X @ table, as :func:`sklearn_masked.nn._sparse.sum_bags` does.

    Parameters
    ----------
    table : tensor of shape (n_rows, dim)
        float32 or bfloat16.
    indices, offsets : int32 or int64 tensors
        Rows of the table, bag after bag, and where each bag begins.
    weights : tensor or None
        Factor of each row; None is 1.
    """
    table, dim = table.contiguous(), table.shape[1]
    out = table.new_empty(len(offsets), dim)
    if not out.numel():
        return out
    sizes = _sizes(min(dim, 256))
    grid = len(offsets), triton.cdiv(dim, sizes["BLOCK_D"])
    indices, offsets = indices.contiguous(), offsets.contiguous()
    with torch.cuda.device_of(table):
        _bags[grid](
            table,
            indices,
            offsets,
            indices if weights is None else weights.contiguous(),
            out,
            len(offsets),
            len(indices),
            D=dim,
            WEIGHTED=weights is not None,
            **sizes,
        )
    return out


def update_rows(
    table, grad, transposed, *, lr, weight_decay=0.0, squares=None, eps=0.0
):
    """Multiply the gradient of a table out, and take a step with it, in one pass.

    Parameters
    ----------
    table : contiguous tensor of shape (n_rows, dim)
        float32 or bfloat16, at most 1,024 wide; changed in place.
    grad : tensor of shape (n_bags, dim)
        The gradient of the bags.
    transposed : Transposed
        The batch by its columns.
    lr, weight_decay, eps : float
        As in :class:`~sklearn_masked.nn.SparseSGD` and
        :class:`~sklearn_masked.nn.RowWiseAdagrad`.
    squares : float32 tensor of shape (n_rows,), default=None
        Row-wise Adagrad's sums; changed in place. None takes a step of plain SGD.
    """
    columns, rows, _, weights, chunks, chunk_columns, first_chunks = transposed
    if not len(columns):
        return
    dim, grad = table.shape[1], grad.contiguous()
    counts = len(chunks), len(columns), len(rows)
    partial = grad
    sizes = {"D": dim, **_sizes(dim)}
    with torch.cuda.device_of(table):
        if len(chunks) > len(columns):
            partial = torch.empty(len(chunks), dim, device=grad.device)
            _partial_sums[(len(chunks),)](
                grad,
                rows,
                weights,
                chunks,
                chunk_columns,
                first_chunks,
                partial,
                *counts,
                **sizes,
            )
        _update[(len(columns),)](
            table,
            grad,
            columns,
            rows,
            weights,
            chunks,
            first_chunks,
            partial,
            table if squares is None else squares,
            *counts,
            lr,
            weight_decay,
            eps,
            ADAGRAD=squares is not None,
            **sizes,
        )


def _sizes(dim):
    """Return the shape of a block for rows of this width, and its threads."""
    width = triton.next_power_of_2(dim)
    rows = max(1, min(_BLOCK_ROWS, _BLOCK_NUMBERS // width))
    return {
        "BLOCK_E": rows,
        "BLOCK_D": width,
        "num_warps": max(1, min(4, width // 128)),
    }
