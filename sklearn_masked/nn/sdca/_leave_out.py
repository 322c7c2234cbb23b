"""Cross-validated margins, by removing a fold of cells from the dual solution.

The dual solution makes it cheap: the weights are a sum over the cells, so that a part
of the cells is taken out of it, the others move a little to where they now belong, and
the margins of the part are honest. No second fit from the start is needed, unless a
label's cells overlap so much that the others would remember the part for long.
"""

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

    `cold` None finds out whether a start from zero is needed.
    """
    out = batches[fold::FOLDS]
    rest = [batch for i, batch in enumerate(batches) if i % FOLDS != fold]
    _unlearn(trainer, out)
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
