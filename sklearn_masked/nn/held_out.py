"""Cross-validated margins, by removing a fold of cells from the dual solution.

The dual solution makes it cheap: the weights are a sum over the cells, so that a part
of the cells is taken out of it, the others move a little to where they now belong, and
the margins of the part are honest. No second fit from the start is needed, unless a
label's cells overlap so much that the others would remember the part for long.
"""

import contextlib
from typing import NamedTuple

import torch

# Cells are held out in so many folds, and the others move on for so many epochs.
FOLDS, _EPOCHS = 3, 2
# Where the first epoch leaves a part's margins less alike than this, a correlation, the
# others start anew for so many epochs, or, where they cannot, move on for so many.
_ALIKE, _ANEW, _ON = 0.9, 5, 8
# Parts are held out until so many cells have been judged.
_ENOUGH = 20_000


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
