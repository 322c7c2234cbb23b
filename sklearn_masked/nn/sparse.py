"""The bag operator: sparse rows times a table, with a gradient on the rows it touched.

The gradient of ``H = X @ W`` in ``W`` is ``X.T @ dH``: itself a bag, over the columns
that the batch touches. Summing it so, with the same kernel as the forward pass, costs
what the nonzeros cost. :class:`torch.nn.EmbeddingBag` either makes a gradient of the
whole table, or one row a nonzero.
"""

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F


def embedding_bag(table, indices, offsets, weights, sparse=True):
    """Return the weighted sum of the table's rows for each bag.

    Parameters
    ----------
    table : tensor of shape (n_features, dim)
        The embedding. Its gradient is a sparse tensor on the rows that the batch
        touches, each once, increasing, unless `sparse` is False.
    indices : int32 or int64 tensor of shape (n_nonzeros,)
        Rows of the table, bag after bag.
    offsets : integer tensor of shape (n_bags,)
        Where each bag begins.
    weights : tensor of shape (n_nonzeros,)
        Factor of each row. It gets no gradient.
    sparse : bool, default=True
        False gives a gradient of the whole table, for optimizers that take no
        sparse ones.

    Returns
    -------
    tensor of shape (n_bags, dim)
        ``X @ table`` for the CSR matrix ``X`` of these arrays. An empty bag gives 0.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn.sparse import embedding_bag
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> embedding_bag(table, torch.tensor([1, 0]), torch.tensor([0, 1, 1]),
    ...               torch.tensor([0.5, 2.0]))
    tensor([[1.5000, 2.0000],
            [0.0000, 0.0000],
            [2.0000, 4.0000]])
    """
    return _EmbeddingBag.apply(table, indices, offsets, weights, sparse)


def transpose_batch(indices, offsets, weights):
    """Return a batch by its unique columns.

    Returns
    -------
    columns : int64 tensor of shape (n_unique,)
        The columns that the batch touches, increasing.
    rows, offsets, weights : tensors
        The batch as bags of rows, one a column of `columns`.
    """
    if indices.is_cuda:
        return _transpose_on_device(indices, offsets, weights)
    indptr = np.append(offsets.numpy(), len(indices))
    # scipy turns CSR into CSC by counting, without a sort. Counting costs the number
    # of columns as well, so the columns are made compact first.
    columns, compact = compact_columns(indices.numpy())
    csr = sp.csr_array(
        (_as_numpy(weights), compact, indptr.astype(compact.dtype)),
        shape=(len(offsets), len(columns)),
    )
    csc = csr.tocsc()
    return (
        torch.from_numpy(columns),
        torch.from_numpy(csc.indices),
        torch.from_numpy(csc.indptr[:-1]),
        torch.from_numpy(csc.data).to(weights.dtype),
    )


def compact_columns(indices):
    """Return the unique values, increasing, and the position of each entry in them."""
    if not len(indices):
        return np.empty(0, np.int64), indices.astype(np.int32)
    # A mark for each column up to the largest one: no sort of the nonzeros.
    used = np.zeros(int(indices.max()) + 1, bool)
    used[indices] = True
    columns = np.flatnonzero(used)
    position = np.empty(len(used), np.int32)
    position[columns] = np.arange(len(columns), dtype=np.int32)
    return columns, position[indices]


def _as_numpy(weights):
    """Return the weights for scipy, which has no bfloat16."""
    if weights.dtype in (torch.bfloat16, torch.float16):
        weights = weights.float()
    return weights.numpy()


def _transpose_on_device(indices, offsets, weights):
    """Transpose by one stable sort, so that equal seeds give equal sums."""
    lengths = offsets.diff(append=offsets.new_tensor([len(indices)]))
    rows = torch.repeat_interleave(
        torch.arange(len(lengths), device=indices.device),
        lengths,
        output_size=len(indices),
    )
    columns, order = torch.sort(indices, stable=True)
    unique, counts = torch.unique_consecutive(columns, return_counts=True)
    starts = counts.cumsum(0) - counts
    return unique.long(), rows[order], starts, weights[order]


def sum_bags(table, indices, offsets, weights):
    """Return X @ table with torch's kernel, which wants equal integer types."""
    if not len(indices):
        return table.new_zeros(len(offsets), table.shape[1])
    offsets = offsets.to(indices.dtype)
    return F.embedding_bag(
        indices,
        table,
        offsets,
        mode="sum",
        per_sample_weights=weights.to(table.dtype),
    )


class _EmbeddingBag(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, indices, offsets, weights, sparse):
        ctx.save_for_backward(indices, offsets, weights)
        ctx.table_shape, ctx.sparse = table.shape, sparse
        return sum_bags(table.detach(), indices, offsets, weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        columns, rows, offsets, weights = transpose_batch(*ctx.saved_tensors)
        grad_rows = sum_bags(grad.contiguous(), rows, offsets, weights)
        if ctx.sparse:
            grad_table = torch.sparse_coo_tensor(
                columns[None],
                grad_rows,
                ctx.table_shape,
                is_coalesced=True,
                check_invariants=False,
            )
        else:
            grad_table = grad.new_zeros(ctx.table_shape)
            grad_table[columns] = grad_rows
        return grad_table, None, None, None, None
