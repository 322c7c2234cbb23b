"""What the model says of cells that it has not learnt from, and its output's scale.

The dual solution makes it cheap: the weights are a sum over the cells, so that a part
of the cells is taken out of it, the others move a little to where they now belong, and
the margins of the part are honest. No second fit from the start is needed, unless a
label's cells overlap so much that the others would remember the part for long.
"""

import contextlib
import math
from typing import NamedTuple

import torch

# Cells are held out in so many folds, and the others move on for so many epochs.
FOLDS, _EPOCHS = 3, 2
# Where the first epoch leaves a part's margins less alike than this, a correlation, the
# others start anew for so many epochs, or, where they cannot, move on for so many.
_ALIKE, _ANEW, _ON = 0.9, 5, 8
# Parts are held out until so many cells have been judged.
_ENOUGH = 20_000
_STEPS = 15
# No line turns the order of a label's rows round.
_LEAST_SLOPE = 0.05
# What the rows add, root mean square, before any cell is seen, and how firmly its
# logarithm holds to that: give or take a factor of exp(1/2).
_USUAL, _HOLD_USUAL = 0.5, 4.0
# Units of curvature by which a label's slope and intercept hold to all labels'.
_HOLD = 8.0, 2.0


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
def held_out_margins(
    trainer, batches, *, folds=FOLDS, known=None, C=None, n_more=None, n_anew=None
):
    """Return the logits of cells that were held out, fold after fold.

    Parameters
    ----------
    trainer : DualTrainer
        After its last epoch; it and its module are left as they are.
    batches : list of slice
        The cells of each batch. A fold is every third of them.
    folds : int, default=3
        The folds to go through, of the three.
    known : HeldOut, default=None
        What was returned for the first folds, which are not gone through again.
    C : float, default=None
        Another strength of the penalty, with which the others start anew.
    n_more, n_anew : int, default=None
        How many epochs the others move on (None: 2), unless they remember the fold for
        long, and how many they have where they start anew (None: 5).

    Returns
    -------
    HeldOut
        Not all of the trainer's cells where these are many.
    """
    parts = [] if known is None or not len(known.fold) else [known]
    first = int(known.fold.max()) + 1 if parts else 0
    are_entangled = None if C is None else True
    for fold in range(first, min(folds, len(batches))):
        if len(batches) == 1 or sum(len(part.cells) for part in parts) >= _ENOUGH:
            break
        args = fold, are_entangled, C, n_more, n_anew
        left_out = without_fold(trainer, batches, *args)
        with left_out as (out, _, are_entangled):
            parts.append(margins_of(trainer, out, fold))
    parts = parts or [margins_of(trainer, [])]
    return HeldOut(*(torch.cat(each) for each in zip(*parts, strict=True)))


@contextlib.contextmanager
@torch.no_grad()
def without_fold(
    trainer, batches, fold=0, are_entangled=None, C=None, n_more=None, n_anew=None
):
    """Train as if a fold were not labeled, and go back to where the trainer was.

    Parameters
    ----------
    trainer, batches, C, n_more, n_anew
        As `held_out_margins` takes them.
    fold : int, default=0
        Which of the folds.
    are_entangled : bool, default=None
        Whether the others have to start anew; None finds out.

    Yields
    ------
    out, rest : lists of slice
        The batches of the fold, and the others.
    are_entangled : bool
        As it was given or found.
    """
    kept = trainer.state()
    out = batches[fold::FOLDS]
    rest = [batch for i, batch in enumerate(batches) if i % FOLDS != fold]
    _leave(trainer, out)
    n_before = 0
    if are_entangled is None:
        are_entangled, n_before = _are_entangled(trainer, out, rest), 1
    if are_entangled and trainer.fresh:
        trainer.restart(C or trainer.C)
        trainer.epochs(rest, n_anew or _ANEW)
    else:
        n_epochs = _ON if are_entangled else n_more or _EPOCHS
        trainer.epochs(rest, n_epochs - n_before)
    trainer.settle(rest)
    try:
        yield out, rest, are_entangled
    finally:
        trainer.set_state(kept)


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


def _are_entangled(trainer, out, rest):
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


def _leave(trainer, batches):
    """Take these cells out of the weights, as if they were not labeled."""
    for batch in batches:
        part = trainer.strength[batch] * (
            trainer.probability[batch] - trainer.target[batch]
        )
        trainer.add(batch, part)
        trainer.strength[batch] = 0


@torch.no_grad()
def output_lines(margin, base, target, label, weight, bias):
    """Return a slope and an intercept a label that make its margins probabilities.

    A margin is the label's bias, the base, and what the row adds to it. Of few cells
    a model learns base rates well and rows badly, so that all labels together say how
    much each of the two counts, a logistic regression; then a line a label, Platt's
    (1999), is fitted to what the rows add and drawn towards that of all: as if 8 and 2
    units of curvature had been seen there, so that a label with few cells keeps close.

    Parameters
    ----------
    margin, base, target, weight : tensors of shape (n_cells,)
        Of cells that were held out.
    label : int64 tensor of shape (n_cells,)
        Their labels.
    bias : tensor of shape (n_labels,)
        The biases that the lines are for.

    Returns
    -------
    slope, intercept : float32 tensors of shape (n_labels,)
    """
    if not len(margin):
        return torch.ones_like(bias), torch.zeros_like(bias)
    rows, base = (margin - base).double(), base.double()
    target, weight = target.double(), weight.double()
    of_rows, of_base, rest = shared_line(rows, base, target, weight)
    slope, shift = _newton_lines(
        of_rows * rows, of_base * base + rest, target, label, weight, len(bias)
    )
    slope = of_rows * slope.clamp_min(_LEAST_SLOPE)
    intercept = rest + shift + (of_base - slope) * bias.double()
    return slope.float(), intercept.float()


def shared_line(rows, base, target, weight):
    """Return how much rows and base count for all labels, and the intercept.

    A logistic regression by Newton's steps in the logarithm of what the rows count for,
    which is positive; few cells leave it near a usual value.
    """
    length = (weight @ rows.square() / weight.sum()).sqrt().clamp_min(1e-30)
    features = torch.stack([rows / length, base, torch.ones_like(rows)], dim=1)
    start = features.new_tensor([math.log(_USUAL), 1.0, 0.0])
    line, hold = (
        start.clone(),
        torch.diag(features.new_tensor([_HOLD_USUAL, 1e-3, 1e-3])),
    )
    for _ in range(2 * _STEPS):
        factors = torch.stack([line[0].exp(), line[1], line[2]])
        p = torch.sigmoid(features @ factors)
        curve = weight * (p * (1 - p)).clamp_min(1e-6)
        moved = features * torch.cat([factors[:1], factors.new_ones(2)])
        slope = moved.T @ (weight * (target - p)) - hold @ (line - start)
        step = torch.linalg.solve((moved * curve[:, None]).T @ moved + hold, slope)
        line = line + step.clamp(-1, 1)
    return line[0].exp() / length, line[1].clamp_min(0), line[2]


def _newton_lines(rows, offset, target, label, weight, n_labels):
    """Return each label's slope and intercept beside an offset, held to 1 and 0."""
    slope = rows.new_ones(n_labels)
    intercept = rows.new_zeros(n_labels)

    def total(values):
        return rows.new_zeros(n_labels).index_add_(0, label, values)

    for _ in range(_STEPS):
        p = torch.sigmoid(slope[label] * rows + offset + intercept[label])
        curve = weight * (p * (1 - p)).clamp_min(1e-6)
        rest = weight * (p - target)
        g_slope = total(rest * rows) + _HOLD[0] * (slope - 1)
        g_intercept = total(rest) + _HOLD[1] * intercept
        h_slope = total(curve * rows * rows) + _HOLD[0]
        h_intercept, h_both = total(curve) + _HOLD[1], total(curve * rows)
        det = h_slope * h_intercept - h_both * h_both
        d_slope = (h_intercept * g_slope - h_both * g_intercept) / det
        d_intercept = (h_slope * g_intercept - h_both * g_slope) / det
        slope = slope - d_slope.clamp(-1, 1)
        intercept = intercept - d_intercept.clamp(-1, 1)
    return slope, intercept
