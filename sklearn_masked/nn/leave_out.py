"""What the model would have said of its own cells, and the scale of its output.

The dual solution knows it: taking a cell's row out of the weights changes its own
margin by its coefficient times the length of its row, as far as other rows do not take
over its part. So the output is scaled on honest margins without a second fit.
"""

import numpy as np
import torch

from .batches import model_input

# A row keeps at least this part of its length outside the span of the shared path.
_OUTSIDE = 1e-3
_STEPS = 15


@torch.no_grad()
def left_out_margins(trainer):
    """Return each cell's logit as if its own row had not been learnt from.

    Parameters
    ----------
    trainer : DualTrainer
        After its last epoch.

    Returns
    -------
    float32 tensor of shape (n_cells,)
        In the trainer's order, before the output is scaled.

    Notes
    -----
    To first order, removing cell :math:`i` of coefficient :math:`a_i` lowers its margin
    by :math:`a_i (1 / [(K + H^{-1})^{-1}]_{ii} - 1 / h_i)`, with :math:`K` the inner
    products of the label's rows and :math:`H` the curvatures of its losses. The part
    of :math:`K` that rows share is taken to lie in the span of the shared path's
    directions, the rest to be each row's own, so that the inverse is that of a small
    matrix (Woodbury).
    """
    margin = trainer.all_margins()
    coefficient = trainer.strength * (trainer.target - trainer.probability)
    own = trainer.direct_length
    if trainer.kept is not None:
        own = _own_parts(trainer)
    return margin - coefficient * own


def _own_parts(trainer):
    """Return the part of each cell's margin that only its own row gives to it."""
    slots = trainer._tensor(trainer.slot)
    within = _within_span(trainer)
    inside = within.square().sum(1)[slots]
    p = trainer.probability
    curve = (trainer.strength * p * (1 - p)).clamp_min(1e-4)
    noise = (trainer.direct_length - inside).clamp_min(0) + 1 / curve
    own = torch.zeros_like(noise)
    order = torch.argsort(trainer.label, stable=True)
    counts = np.bincount(trainer.label.cpu().numpy())
    ends = np.append(0, np.cumsum(counts))
    for label in np.flatnonzero(counts):
        cells = order[ends[label] : ends[label + 1]]
        rows = slots[cells]
        Z = torch.cat([within[rows], trainer.kept[rows]], dim=1).double()
        own[cells] = _diagonal(Z, noise[cells].double()).to(own.dtype)
    return (own - 1 / curve).clamp_min(0)


def _diagonal(Z, noise):
    """Return the inverse of the diagonal of the inverse of ``Z Z' + diag(noise)``."""
    Y = Z / noise[:, None]
    if len(Z) <= Z.shape[1]:
        K = Z @ Z.T
        K.diagonal().add_(noise)
        return 1 / torch.linalg.inv(K).diagonal()
    small = Z.T @ Y
    small.diagonal().add_(1.0)
    leverage = ((Y @ torch.linalg.inv(small)) * Y).sum(1)
    return 1 / (1 / noise - leverage).clamp_min(1e-12)


def _within_span(trainer):
    """Return each row, as the direct path takes it, in the shared path's directions."""
    module, n = trainer.module, len(trainer.rows)
    within = torch.zeros_like(trainer.kept)
    if module.direct is None:
        return within
    directions = module.directions()
    for start in range(0, n, 4096):
        part = slice(start, min(start + 4096, n))
        inputs = model_input(trainer.X[trainer.rows[part]])
        if not isinstance(inputs, dict):
            inputs = {"X": inputs}
        inputs = {name: value.to(trainer.device) for name, value in inputs.items()}
        within[part] = module.project(directions, **inputs)
    slots = torch.from_numpy(trainer.slot).to(trainer.device)
    length = within.new_zeros(n)
    length[slots] = trainer.direct_length
    inside = within.square().sum(1).clamp_min(1e-30)
    shrink = ((1 - _OUTSIDE) * length / inside).clamp_max(1).sqrt()
    return within * shrink[:, None]


@torch.no_grad()
def output_lines(margin, target, label, weight, n_labels):
    """Return a slope and an intercept a label that make its margins probabilities.

    Platt's (1999) line, fitted to margins of cells that were left out, and drawn
    towards the line of all labels together: as if 8 and 2 units of curvature had been
    seen there, so that a label with few cells keeps close to it.

    Returns
    -------
    slope, intercept : float32 tensors of shape (n_labels,)
    """
    if not len(margin):
        return margin.new_ones(n_labels), margin.new_zeros(n_labels)
    margin, target, weight = margin.double(), target.double(), weight.double()
    together = _newton_lines(
        margin, target, torch.zeros_like(label), weight, 1, (1.0, 0.0), (1e-6, 1e-6)
    )
    center = float(together[0]), float(together[1])
    slope, intercept = _newton_lines(
        margin, target, label, weight, n_labels, center, (8.0, 2.0)
    )
    return slope.clamp_min(0.05).float(), intercept.float()


def _newton_lines(margin, target, label, weight, n_labels, center, hold, steps=_STEPS):
    slope = margin.new_full((n_labels,), center[0])
    intercept = margin.new_full((n_labels,), center[1])

    def total(values):
        return margin.new_zeros(n_labels).index_add_(0, label, values)

    for _ in range(steps):
        p = torch.sigmoid(slope[label] * margin + intercept[label])
        curve = weight * (p * (1 - p)).clamp_min(1e-6)
        rest = weight * (p - target)
        g_slope = total(rest * margin) + hold[0] * (slope - center[0])
        g_intercept = total(rest) + hold[1] * (intercept - center[1])
        h_slope = total(curve * margin * margin) + hold[0]
        h_intercept, h_both = total(curve) + hold[1], total(curve * margin)
        det = h_slope * h_intercept - h_both * h_both
        d_slope = (h_intercept * g_slope - h_both * g_intercept) / det
        d_intercept = (h_slope * g_intercept - h_both * g_slope) / det
        slope = slope - d_slope.clamp(-1, 1)
        intercept = intercept - d_intercept.clamp(-1, 1)
    return slope, intercept
