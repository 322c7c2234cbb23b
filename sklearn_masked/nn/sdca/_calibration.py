"""Calibration: margins of held-out cells, and the lines that make them log-odds.

The dual solution makes held-out margins cheap: the weights are a sum over the cells, so
that a part of the cells is taken out of it, the others move a little to where they now
belong, and the margins of the part are honest. No second fit from the start is needed,
unless a label's cells overlap so much that the others would remember the part for long.

The log-odds of a held-out cell are modelled as ``s * row + base + shift``: what the row
adds to the logit, and the log-odds of the label's smoothed rate of positives. All
labels together give a slope, a coefficient of the base and an intercept; each label's
own line (Platt, 1999) is drawn to that of all, so that a label of few cells keeps close
to it. Of a handful of cells, priors leave little more than the base rates.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

# Cells are held out in so many folds, and the others move on for so many epochs.
FOLDS, _EPOCHS = 3, 2
# Where the first epoch leaves a part's margins less alike than this, a correlation, the
# others start anew for so many epochs, or, where they cannot, move on for so many.
_ALIKE, _ANEW, _ON = 0.9, 5, 8
# Parts are held out until so many cells have been judged.
_ENOUGH = 20_000
# Newton steps of the lines, and the least slope: no line turns the order of a label's
# rows round.
_STEPS = 15
_LEAST_SLOPE = 0.05


class HeldOut(NamedTuple):
    """Cells that were held out, in parallel tensors of shape (n_held_out,).

    The logits before the output is scaled, the biases that are part of them (what was
    known of the label's base rate), which of the trainer's cells these are, and the
    fold that each of them was held out with.
    """

    margin: torch.Tensor
    base: torch.Tensor
    cells: torch.Tensor
    fold: torch.Tensor


@torch.no_grad()
def held_out_margins(trainer, batches, n_more=None):
    """Return the logits of cells that were held out, fold after fold.

    Parameters
    ----------
    trainer : SDCASolver
        After its last epoch; it and its module are left as they are.
    batches : list of slice
        The cells of each batch. A fold is every third of them.
    n_more : int, default=None
        Epochs of the other cells where they go on from where they are (None: 2).

    Returns
    -------
    HeldOut
        Not all of the trainer's cells where these are many.
    """
    parts, start = [], None
    for fold in range(min(FOLDS, len(batches))):
        if len(batches) == 1 or sum(len(part.cells) for part in parts) >= _ENOUGH:
            break
        kept = trainer.state()
        try:
            out, start = _train_without(
                trainer, batches, fold, start, n_more or _EPOCHS
            )
            parts.append(margins_of(trainer, out, fold))
        finally:
            trainer.set_state(kept)
    parts = parts or [margins_of(trainer, [])]
    return HeldOut(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _train_without(trainer, batches, fold, cold, n_more):
    """Train as if a fold were not labeled; return its batches, and if that began cold.

    Where all cells of a label move jointly one step is enough. Else `cold` None finds
    out whether a start from zero is needed.
    """
    out = batches[fold::FOLDS]
    rest = [batch for i, batch in enumerate(batches) if i % FOLDS != fold]
    _unlearn(trainer, out)
    if trainer.moves_all:
        trainer.epochs([slice(0, len(trainer.label))], 1)
        return out, cold
    n_before = 0
    if cold is None:
        cold, n_before = _needs_cold_start(trainer, out, rest), 1
    if cold and trainer.cold:
        trainer.reset()
        trainer.epochs(rest, _ANEW)
    else:
        trainer.epochs(rest, (_ON if cold else n_more) - n_before)
    trainer.refit_biases(rest)
    return out, cold


@torch.no_grad()
def margins_of(trainer, out, fold=0):
    """Return the cells of these batches, of this fold, as the trainer now is."""
    margin = trainer.module.bias.new_zeros(0)
    cells = torch.zeros(0, dtype=torch.int64, device=trainer.device)
    margin = torch.cat([margin, *(trainer.margins(batch) for batch in out)])
    index = (torch.arange(each.start, each.stop, device=cells.device) for each in out)
    cells = torch.cat([cells, *index])
    base = trainer.module.bias[trainer.label[cells]]
    return HeldOut(margin, base, cells, torch.full_like(cells, fold))


def _needs_cold_start(trainer, out, rest):
    """Return whether the cells of the rest stay far from where they belong for long.

    A sum over the cells of a label, without some of them, is about what the label's
    weights then are where each row has features of its own. Where few directions carry
    all rows, the sum is a small difference of large parts: what is left of it points
    away from the cells that were taken out, and the way back is long.
    """
    before = _margins_within_labels(trainer, out)
    trainer.epochs(rest, 1)
    after = _margins_within_labels(trainer, out)
    length = (before.square().sum() * after.square().sum()).sqrt()
    return bool(before @ after < _ALIKE * length)


def _margins_within_labels(trainer, batches):
    """Return the margins of these batches' cells over the mean of their label."""
    margin = torch.cat([trainer.margins(batch) for batch in batches]).double()
    label = torch.cat([trainer.label[batch] for batch in batches])
    n_labels = len(trainer.module.bias)
    count = torch.bincount(label, minlength=n_labels).clamp_min(1)
    total = margin.new_zeros(n_labels).index_add_(0, label, margin)
    return margin - (total / count)[label]


def _unlearn(trainer, batches):
    """Take these cells out of the weights, as if they were not labeled."""
    for batch in batches:
        part = trainer.cell_C[batch] * (trainer.alpha[batch] - trainer.target[batch])
        trainer.add(batch, part)
        trainer.cell_C[batch] = 0


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
