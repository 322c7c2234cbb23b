"""The choice of kernels: Triton's where it is there and right, else torch's."""

import functools
import importlib.util
import warnings

import torch

from ...exceptions import KernelWarning
from ._transpose import Transposed, bag_of_each, transpose_batches

# How far a kernel may be from float64, for numbers of size 1.
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-2}


def for_table(table):
    """Return the module with the kernels for this table, or None for torch's.

    At their first use for a device, dtype and width they are compared with a product
    in float64; if they fail, a warning says so, once, and torch's are used.
    """
    if not table.is_cuda or table.dtype not in _TOLERANCE or not table.numel():
        return None
    if torch.is_grad_enabled() and table.requires_grad:
        return None  # the kernels know no gradient
    return _checked(table.device, table.dtype, table.shape[1])


def update(parameter, gradient, **rule):
    """Take an optimizer's step in one pass, and return whether there was a kernel.

    Parameters
    ----------
    parameter : parameter of shape (n_rows, dim)
        The table.
    gradient : BagGradient
        Its gradient, not multiplied out.
    **rule
        `lr`, `weight_decay` and, for row-wise Adagrad, `squares` and `eps`.
    """
    kernels = for_table(parameter)
    if (
        kernels is None
        or not isinstance(gradient.transposed, Transposed)
        or parameter.shape[1] > kernels.MAX_WIDTH
        or not parameter.is_contiguous()
        or torch.is_tensor(rule["lr"])
    ):
        return False
    kernels.update_rows(parameter, gradient.grad, gradient.transposed, **rule)
    return True


@functools.cache
def _checked(device, dtype, width):
    """Return the kernels if they compute what they should for such tables."""
    if importlib.util.find_spec("triton") is None:
        return None
    try:
        from . import _triton_kernels as kernels

        error = largest_error(kernels, device, dtype, width)
    except Exception as failure:  # whatever a compiler may raise
        _warn(f"fail on {device}: {type(failure).__name__}: {failure}")
        return None
    if not error <= _TOLERANCE[dtype]:
        _warn(f"are wrong by {error:.2g} on {device} for {dtype}, width {width}")
        return None
    return kernels


def largest_error(kernels, device, dtype, width):
    """Return how far the kernels are from float64 in a small case; NaN is infinite.

    The case has empty rows, a column twice in a row, and one in every row.
    """
    generator = torch.Generator().manual_seed(0)
    n, m, lengths = 300, 40, torch.arange(300) % 7
    lengths[::7] = 0
    total = int(lengths.sum())
    offsets = (lengths.cumsum(0) - lengths).to(torch.int32)
    indices = torch.randint(m - 1, (total,), generator=generator, dtype=torch.int32)
    indices[offsets[lengths > 0].long()] = 5
    weights = torch.rand(total, generator=generator) / 8
    table, grad = (torch.randn(k, width, generator=generator).to(dtype) for k in (m, n))
    rows = bag_of_each(offsets, total)
    X = torch.zeros(n, m, dtype=torch.float64)
    X.index_put_((rows.long(), indices.long()), weights.double(), accumulate=True)
    bags = [part.to(device) for part in (indices, offsets, weights)]
    (transposed,) = transpose_batches(bags[0], rows.to(device), bags[2], [0, total], m)
    errors = [_error(kernels.sum_bags(table.to(device), *bags), X @ table.double())]
    if width <= kernels.MAX_WIDTH:
        rule = {"lr": 0.5, "weight_decay": 0.1}
        g = X.T @ grad.double() + 0.1 * table.double()
        g[X.sum(0) == 0] = 0
        squares = 1 + g.square().mean(1)
        for more, step in (
            ({}, 0.5 * g),
            ({"eps": 1.0}, 0.5 * g / (squares.sqrt() + 1)[:, None]),
        ):
            new = table.to(device, copy=True)
            if more:
                more["squares"] = torch.ones(m, device=device)
            kernels.update_rows(new, grad.to(device), transposed, **rule, **more)
            errors.append(_error(new, table.double() - step))
            if more:
                touched = torch.where(X.sum(0) > 0, squares, 1)
                errors.append(_error(more["squares"], touched))
    return max(errors)


def _error(got, want):
    error = (got.cpu().double() - want).abs() / want.abs().clamp_min(1)
    return float(error.nan_to_num(nan=torch.inf).max())


def _warn(what):
    warnings.warn(
        f"Triton's kernels {what}; torch's are used, which are slower.",
        KernelWarning,
        stacklevel=2,
    )
