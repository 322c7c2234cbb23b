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

from .device import _kernels as kernels
from .device._transpose import Transposed, bags_of_all_columns, transpose_on_device

# A block of a gradient has so many numbers, which stay in a processor's cache.
_BLOCK_NUMBERS = 1 << 20


def embedding_bag(
    table: torch.Tensor,
    indices: torch.Tensor,
    offsets: torch.Tensor,
    weights: torch.Tensor,
    sparse: bool | str = True,
) -> torch.Tensor:
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
    sparse : bool or "blocks", default=True
        False gives a gradient of the whole table, for optimizers that take no
        sparse ones. "blocks" leaves it to an optimizer of :mod:`sklearn_masked.nn`
        to multiply the gradient out, block by block of rows, each updated while it is
        in the processor's cache: the table's `grad` stays None, and whatever looks at
        it (clipping, say) sees nothing.

    Returns
    -------
    tensor of shape (n_bags, dim)
        ``X @ table`` for the CSR matrix ``X`` of these arrays. An empty bag gives 0.

    Raises
    ------
    ValueError
        If `sparse` is "blocks" and the table is not a parameter, whose gradient goes
        further back.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import embedding_bag
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> embedding_bag(table, torch.tensor([1, 0]), torch.tensor([0, 1, 1]),
    ...               torch.tensor([0.5, 2.0]))
    tensor([[1.5000, 2.0000],
            [0.0000, 0.0000],
            [2.0000, 4.0000]])
    """
    if sparse == "blocks" and not table.is_leaf:
        raise ValueError(
            "`sparse` accepts 'blocks' for a table that is a parameter alone; got one "
            "that is computed from others."
        )
    return _EmbeddingBag.apply(table, indices, offsets, weights, sparse)


class BagGradient:
    """The gradient ``X.T @ grad`` of a table, multiplied out a block at a time.

    Parameters
    ----------
    transposed : tuple of tensors
        The batch as :func:`transpose_batch` returns it, or a device's ``Transposed``.
    grad : tensor of shape (n_bags, dim)
        The gradient of the bags.
    """

    def __init__(self, transposed, grad):
        self.transposed, self.grad = transposed, grad

    def blocks(self):
        """Yield rows of the table, increasing, and their gradient."""
        columns, rows, offsets, weights = self.transposed[:4]
        n = len(columns)
        if isinstance(self.transposed, Transposed) or not n:
            yield columns, self._whole()  # a device has no use for small blocks
            return
        size = max(1, _BLOCK_NUMBERS // max(self.grad.shape[1], 1))
        ends = np.append(offsets.numpy(), len(rows))
        for start in range(0, n, size):
            stop = min(start + size, n)
            first, last = int(ends[start]), int(ends[stop])
            yield (
                columns[start:stop],
                sum_bags(
                    self.grad,
                    rows[first:last],
                    offsets[start:stop] - first,
                    weights[first:last],
                ),
            )

    def to_sparse(self, shape):
        """Return the whole gradient as a coalesced sparse tensor of this shape."""
        return torch.sparse_coo_tensor(
            self.transposed[0][None],
            self._whole(),
            shape,
            is_coalesced=True,
            check_invariants=False,
        )

    def _whole(self):
        """Return the gradient of all rows that the batch touches."""
        if not isinstance(self.transposed, Transposed):
            return sum_bags(self.grad, *self.transposed[1:])
        _, rows, _, weights, chunks, _, first_chunks = self.transposed
        return _sum_chunks(self.grad, rows, weights, chunks, first_chunks)


def gradient_blocks(parameter, waiting):
    """Yield rows, each in one block alone, and their gradient; None for all rows.

    `waiting` are the gradients of bags that were not multiplied out.
    """
    if len(waiting) == 1 and parameter.grad is None:
        yield from waiting[0].blocks()
        return
    gradient = parameter.grad
    for bag in waiting:
        part = bag.to_sparse(parameter.shape)
        gradient = part if gradient is None else gradient + part
    yield _rows_of(gradient)


def _rows_of(gradient):
    """Return the rows that a gradient names, each once, and theirs; None for all."""
    if not gradient.is_sparse:
        return None, gradient
    if gradient.sparse_dim() != 1:
        raise ValueError(
            "a sparse gradient must name rows, one axis; got one of "
            f"{gradient.sparse_dim()} sparse axes."
        )
    # Adding a gradient up, torch forgets that the rows were unique: to look is
    # cheaper than to sort.
    rows = gradient._indices()[0]
    if not gradient.is_coalesced() and not bool((rows[1:] > rows[:-1]).all()):
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()


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
        return tuple(transpose_on_device(indices, offsets, weights)[:4])
    n_columns = int(indices.max()) + 1 if len(indices) else 0
    indptr = np.append(offsets.numpy(), len(indices))
    # scipy turns CSR into CSC by counting, without a sort. Counting costs the number
    # of columns as well: where these are many, they are made compact first.
    many = n_columns > 2 * len(indices)
    columns, at = compact_columns(indices.numpy()) if many else (None, indices.numpy())
    csr = sp.csr_array(
        (_as_numpy(weights), at, indptr.astype(at.dtype)),
        shape=(len(offsets), len(columns) if many else n_columns),
    )
    csc = csr.tocsc()
    starts = csc.indptr[:-1]
    if not many:
        columns = np.flatnonzero(np.diff(csc.indptr))
        starts = starts[columns]
    return (
        torch.from_numpy(columns),
        torch.from_numpy(csc.indices),
        torch.from_numpy(starts),
        torch.from_numpy(csc.data).to(weights.dtype),
    )


def keep_transpose(inputs):
    """Let a batch that comes again keep its transpose, once it has one.

    Parameters
    ----------
    inputs : dict
        What :func:`~sklearn_masked.nn._batches.bag_inputs` returned. Nobody may change
        these tensors in place from here on.
    """
    indices = inputs["indices"]
    if not hasattr(indices, "kept_transpose"):
        indices.kept_transpose = KeptTranspose(inputs["offsets"], inputs["weights"])


class KeptTranspose:
    """The transpose of a batch: made when it is first asked for, and kept.

    Parameters
    ----------
    offsets, weights : tensors
        The batch's own: with others it is another batch.
    make : callable, default=None
        Takes the batch and returns its transpose; None is the ordinary way.
    """

    def __init__(self, offsets, weights, make=None):
        self.offsets, self.weights, self.make = offsets, weights, make or _transpose
        self.transposed = None

    def get(self, indices, offsets, weights):
        """Return the transpose of this batch, or of the other one that it is."""
        if offsets is not self.offsets or weights is not self.weights:
            return _transpose(indices, offsets, weights)
        if self.transposed is None:
            self.transposed = self.make(indices, offsets, weights)
            self.make = None  # it may hold what is not needed any more
        return self.transposed


def _transposed(indices, offsets, weights):
    """Return the transpose of a batch, the kept one where there is one."""
    kept = getattr(indices, "kept_transpose", None)
    get = _transpose if kept is None else kept.get
    return get(indices, offsets, weights)


def _transpose(indices, offsets, weights):
    by_device = transpose_on_device if indices.is_cuda else transpose_batch
    return by_device(indices, offsets, weights)


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


def count_numbers(numbers, n, squares_of=None):
    """Return how often each of 0 to n - 1 occurs, or the sums of squares of values.

    As :func:`numpy.bincount`, which at once casts all that it is given, in parts.
    """
    counts = np.zeros(n, np.int64 if squares_of is None else np.float64)
    for start in range(0, len(numbers), _BLOCK_NUMBERS):
        part, weights = slice(start, start + _BLOCK_NUMBERS), None
        if squares_of is not None:
            weights = np.square(squares_of[part], dtype=np.float64)
        counts += np.bincount(numbers[part], weights, minlength=n)
    return counts


def _as_numpy(weights):
    """Return the weights for scipy, which has no bfloat16."""
    if weights.dtype in (torch.bfloat16, torch.float16):
        weights = weights.float()
    return weights.numpy()


def sum_bags(table, indices, offsets, weights):
    """Return X @ table with torch's kernel, which wants equal integer types."""
    if not len(indices):
        return table.new_zeros(len(offsets), table.shape[1])
    offsets = offsets.to(indices.dtype)
    found = kernels.for_table(table) if table.is_cuda else None
    if found is not None:
        return found.sum_bags(table, indices, offsets, weights)
    if weights is not None:
        weights = weights.to(table.dtype)
    return F.embedding_bag(
        indices, table, offsets, mode="sum", per_sample_weights=weights
    )


def _sum_chunks(table, rows, weights, chunks, first_chunks):
    """Return sums of bags that are cut in chunks: of the chunks, then of their sums."""
    sums = sum_bags(table, rows, chunks, weights)
    if len(chunks) == len(first_chunks):
        return sums
    every = torch.arange(len(chunks), dtype=first_chunks.dtype, device=sums.device)
    return sum_bags(sums, every, first_chunks, None)


def _dense_gradient(grad, indices, offsets, weights, n_features):
    """Return the gradient of the whole table, without a question to the device."""
    if not len(indices):
        return grad.new_zeros(n_features, grad.shape[1])
    parts = bags_of_all_columns(indices, offsets, weights, n_features)
    return _sum_chunks(grad, *parts)


class _EmbeddingBag(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, indices, offsets, weights, sparse):
        ctx.save_for_backward(indices, offsets, weights)
        ctx.table_shape, ctx.sparse = table.shape, sparse
        ctx.table = table if sparse == "blocks" else None
        return sum_bags(table.detach(), indices, offsets, weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        grad = grad.contiguous()
        if ctx.sparse is False and grad.is_cuda:
            parts = ctx.saved_tensors
            grad_table = _dense_gradient(grad, *parts, ctx.table_shape[0])
            return grad_table, None, None, None, None
        gradient = BagGradient(_transposed(*ctx.saved_tensors), grad)
        if ctx.sparse == "blocks":
            ctx.table.__dict__.setdefault("bag_gradients", []).append(gradient)
            return None, None, None, None, None
        grad_table = gradient.to_sparse(ctx.table_shape)
        if not ctx.sparse:
            columns, values = grad_table._indices()[0], grad_table._values()
            grad_table = grad.new_zeros(ctx.table_shape)
            grad_table[columns] = values
        return grad_table, None, None, None, None
