"""What the model says of cells that it has not learnt from, and its output's scale.

The dual solution makes it cheap: the weights are a sum over the cells, so that a part
of the cells is taken out of it, the others move a little to where they now belong, and
the margins of the part are honest. No second fit from the start is needed.
"""

import torch

_FOLDS, _EPOCHS = 3, 2
# Parts are held out until so many cells have been judged.
_ENOUGH = 20_000
_STEPS = 15


@torch.no_grad()
def held_out_margins(trainer, batches, *, folds=_FOLDS, known=()):
    """Return the logits of cells that were held out, fold after fold.

    Parameters
    ----------
    trainer : DualTrainer
        After its last epoch; it and its module are left as they are.
    batches : list of slice
        The cells of each batch. A fold is every third of them.
    folds : int, default=3
        The folds to go through, of the three.
    known : list of (margin, cells), default=()
        What was returned for the first folds, which are not gone through again.

    Returns
    -------
    margin : float32 tensor of shape (n_held_out,)
        The logits, before the output is scaled.
    cells : int64 tensor of shape (n_held_out,)
        Which of the trainer's cells they belong to; not all of them where the cells
        are many.
    """
    margins, cells = map(list, zip(*known, strict=True)) if known else ([], [])
    kept = trainer.state()
    for fold in range(len(known), min(folds, len(batches))):
        out = batches[fold::_FOLDS]
        rest = [batch for i, batch in enumerate(batches) if i % _FOLDS != fold]
        if not rest or sum(map(len, cells)) >= _ENOUGH:
            break
        _leave(trainer, out)
        for _ in range(_EPOCHS):
            for batch in rest:
                trainer.step(batch)
            trainer.end_epoch()
        trainer.settle(rest)
        for batch in out:
            margins.append(trainer.margins(batch))
            cells.append(torch.arange(batch.start, batch.stop, device=trainer.device))
        trainer.set_state(kept)
    if not cells:
        none = torch.zeros(0, device=trainer.device)
        return none, none.long()
    return torch.cat(margins), torch.cat(cells)


def _leave(trainer, batches):
    """Take these cells out of the weights, as if they were not labeled."""
    for batch in batches:
        part = trainer.strength[batch] * (
            trainer.probability[batch] - trainer.target[batch]
        )
        trainer.add(batch, part)
        trainer.strength[batch] = 0


@torch.no_grad()
def output_lines(margin, target, label, weight, n_labels):
    """Return a slope and an intercept a label that make its margins probabilities.

    Platt's (1999) line, fitted to margins of cells that were held out, and drawn
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
