"""Platt scaling of each label's logits, pooled over labels where cells are few.

The log-odds of a held-out cell are modelled as ``s * row + base + shift``: what the row
adds to the logit, and the log-odds of the label's smoothed rate of positives. All
labels together give a slope, a coefficient of the base and an intercept; each label's
own line (Platt, 1999) is drawn to that of all, so that a label of few cells keeps close
to it. Of a handful of cells, priors leave little more than the base rates.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class LinePrior:
    """Prior of the lines. Precisions are in units of curvature: a cell has up to 1/4.

    Attributes
    ----------
    row_rms : float
        Prior mean of the root mean square of what rows add to the log-odds.
    least_rms : float
        Held-out rows are taken to add at least this share of what training rows add:
        a label whose cells are all held out at once tells nothing about its rows.
    log_rms : float
        Precision of the logarithm of `row_rms`.
    base : float
        Precision of the pooled coefficient of the base around 1, and of the pooled
        intercept around 0.
    slope, intercept : float
        Precisions of a label's line around that of all labels.
    n_cells : float
        Cells of the pooled rate that are added to each label's own.
    """

    row_rms: float = 0.5
    least_rms: float = 0.5
    log_rms: float = 4.0
    base: float = 16.0
    slope: float = 8.0
    intercept: float = 8.0
    n_cells: float = 3.0


PRIOR = LinePrior()
_STEPS = 15
# No line turns the order of a label's rows round.
_LEAST_SLOPE = 0.05


def base_log_odds(positive, total, target=0.0, weight=0.0, label=slice(None)):
    """Return the log-odds of labels' smoothed rates of positives.

    Parameters
    ----------
    positive, total : float64 arrays of shape (n_labels,)
        Weight of each label's positive cells, and of all its cells.
    target, weight : float64 arrays of shape (n_cells,), default=0.0
        A cell of each label to leave out of its rate, so that the rate does not tell
        the cell's own value.
    label : int64 array of shape (n_cells,), default=slice(None)
        Labels of these cells.

    Returns
    -------
    float64 array of shape (n_labels,), or (n_cells,)
    """
    own = target * weight
    pooled = (positive.sum() - own + 0.5) / (total.sum() - weight + 1)
    positive = positive[label] - own + PRIOR.n_cells * pooled
    rate = positive / (total[label] - weight + PRIOR.n_cells)
    return np.log(rate) - np.log1p(-rate)


@torch.no_grad()
def platt_lines(rows, base, target, label, weight, *, label_base, bias, train_rms):
    """Return a slope and an intercept per label that turn logits into log-odds.

    Parameters
    ----------
    rows, base, target, weight : tensors of shape (n_cells,)
        Of held-out cells: logit less bias, log-odds of the label's rate without the
        cell, 1 or 0 (or smoothed), and weight.
    label : int64 tensor of shape (n_cells,)
        Their labels.
    label_base, bias : tensors of shape (n_labels,)
        Log-odds of each label's rate, and the bias that is part of its logits.
    train_rms : float
        Root mean square of what the rows of training cells add to their logits.

    Returns
    -------
    slope, intercept : float32 tensors of shape (n_labels,)
    """
    rows, base, target, weight = (x.double() for x in (rows, base, target, weight))
    of_rows, of_base, rest = pooled_line(
        rows, base, target, weight, PRIOR.least_rms * train_rms
    )
    offset = of_base * base + rest
    slope, shift = _newton_lines(
        of_rows * rows, offset, target, label, weight, len(bias)
    )
    slope = of_rows * slope.clamp_min(_LEAST_SLOPE)
    intercept = of_base * label_base.double() + rest + shift - slope * bias.double()
    return slope.float(), intercept.float()


def pooled_line(rows, base, target, weight, least_rms=0.0):
    """Return the slope, the coefficient of the base and the intercept of all labels.

    The maximum a posteriori by Newton's method, in the logarithm of the slope, which
    keeps it positive. `least_rms` bounds the slope where held-out rows add nothing but
    rounding errors.
    """
    total = weight.sum().clamp_min(1e-300)
    length = (weight @ rows.square() / total).sqrt().clamp_min(least_rms)
    if length <= 0:
        return rows.new_ones(()), rows.new_ones(()), rows.new_zeros(())
    features = torch.stack([rows / length, base, torch.ones_like(rows)], dim=1)
    start = features.new_tensor([math.log(PRIOR.row_rms), 1.0, 0.0])
    precision = torch.diag(features.new_tensor([PRIOR.log_rms, PRIOR.base, PRIOR.base]))
    line = start.clone()
    for _ in range(2 * _STEPS):
        factors = torch.stack([line[0].exp(), line[1], line[2]])
        p = torch.sigmoid(features @ factors)
        # Saturated cells have no curvature: the bound keeps the system solvable.
        curve = weight * (p * (1 - p)).clamp_min(1e-6)
        moved = features * torch.cat([factors[:1], factors.new_ones(2)])
        gradient = moved.T @ (weight * (target - p)) - precision @ (line - start)
        hessian = (moved * curve[:, None]).T @ moved + precision
        # Steps of at most 1 cannot leave the region where the model is sane.
        line = line + torch.linalg.solve(hessian, gradient).clamp(-1, 1)
    return line[0].exp() / length, line[1].clamp_min(0), line[2]


def _newton_lines(rows, offset, target, label, weight, n_labels):
    """Return each label's slope and intercept beside an offset, drawn to 1 and 0."""
    slope = rows.new_ones(n_labels)
    intercept = rows.new_zeros(n_labels)

    def total(values):
        return rows.new_zeros(n_labels).index_add_(0, label, values)

    for _ in range(_STEPS):
        p = torch.sigmoid(slope[label] * rows + offset + intercept[label])
        curve = weight * (p * (1 - p)).clamp_min(1e-6)
        rest = weight * (p - target)
        g_slope = total(rest * rows) + PRIOR.slope * (slope - 1)
        g_intercept = total(rest) + PRIOR.intercept * intercept
        h_slope = total(curve * rows * rows) + PRIOR.slope
        h_intercept, h_both = total(curve) + PRIOR.intercept, total(curve * rows)
        det = h_slope * h_intercept - h_both * h_both
        d_slope = (h_intercept * g_slope - h_both * g_intercept) / det
        d_intercept = (h_slope * g_intercept - h_both * g_slope) / det
        slope = slope - d_slope.clamp(-1, 1)
        intercept = intercept - d_intercept.clamp(-1, 1)
    return slope, intercept
