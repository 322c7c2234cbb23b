r"""Leave-fold-out margins in closed form, at a kernel logistic regression's optimum.

At the optimum :math:`f = m + K a` with :math:`a_i = C_i (t_i - \sigma(f_i))`, and one
Newton step stands for a fit without a fold :math:`F`: with
:math:`W_i = C_i p_i (1 - p_i)` and :math:`A = (K + W^{-1})^{-1}`, its coefficients are
:math:`a - A_{:F} A_{FF}^{-1} a_F`, and the margins of the fold
:math:`f_F + W_F^{-1} a_F - A_{FF}^{-1} a_F`.
"""

from typing import NamedTuple

import torch

from ._block_newton import kernel_logistic


class LeftOut(NamedTuple):
    """What models without a fold each give, for a batch of labels.

    `margins` of shape (n_labels, n_folds, size), of each fold's cells, and
    `coefficients` of shape (n_labels, n_folds, n_folds * size), 0 at the fold; and
    `fitted` of shape (n_labels, n_folds * size), the margins with all folds.
    """

    margins: torch.Tensor
    coefficients: torch.Tensor
    fitted: torch.Tensor


def leave_folds_out(products, prior, target, cell_C, n_folds, start=None):
    """Return margins and coefficients without each fold.

    Parameters
    ----------
    products : tensor of shape (n_labels, n_cells, n_cells)
        :math:`K`, of each label's cells, fold after fold, all folds of one size.
    prior, target, cell_C : tensors of shape (n_labels, n_cells)
        Prior means of the margins, targets, and costs, 0 where there is no cell.
    n_folds : int
    start : tensor of shape (n_labels, n_cells), default=None
        Margins that may be near the optimum; None takes the prior means.

    Returns
    -------
    LeftOut
    """
    n_labels, n_cells = target.shape
    size = n_cells // n_folds
    start = prior if start is None else start
    fitted, _ = kernel_logistic(products, prior, target, cell_C, start)
    probability = torch.sigmoid(fitted)
    a = cell_C * (target - probability)
    W = (cell_C * probability * (1 - probability)).clamp_min(1e-10)
    root = torch.where(cell_C > 0, W, 0).sqrt()
    identity = torch.eye(n_cells, dtype=root.dtype)
    B = root[:, :, None] * products * root[:, None, :] + identity
    factor, failed = torch.linalg.cholesky_ex(B)
    # Rows so long that their products overflow: their label says nothing.
    is_sound = ((failed == 0) & factor.isfinite().all(2).all(1))[:, None, None]
    A = torch.cholesky_inverse(torch.where(is_sound, factor, identity))
    A = torch.where(is_sound, root[:, :, None] * A * root[:, None, :], identity)
    f = prior + (products @ a[..., None])[..., 0]
    f_and_step = f + a / W
    margins, coefficients = [], []
    for fold in range(n_folds):
        own = slice(fold * size, (fold + 1) * size)
        is_cell = cell_C[:, own] > 0
        # Where there is no cell, A is 0: a 1 in its diagonal keeps the system regular.
        system = A[:, own, own] + torch.diag_embed((~is_cell).to(A.dtype))
        x = torch.linalg.solve(system, a[:, own, None])
        without = a - (A[:, :, own] @ x)[..., 0]
        without[:, own] = 0
        margins.append(f_and_step[:, own] - x[..., 0])
        coefficients.append(without)
    margins, coefficients = (
        torch.stack(margins, dim=1),
        torch.stack(coefficients, dim=1),
    )
    parts = (torch.where(is_sound, part, torch.nan) for part in (margins, coefficients))
    return LeftOut(*parts, fitted)
