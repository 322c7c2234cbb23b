"""What has one unknown a label: how far it goes at the start, and its bias."""

import torch


def best_shares(way, label, target, strength, bias, square, *, joined):
    """Return the share of its way that is best for each label, by the dual.

    Parameters
    ----------
    way, label, target, strength : tensors of shape (n_cells,)
        How far a probability is from its target at the whole way, and the cells.
    bias, square : tensors of shape (n_labels,)
        The biases, and the squared length of the weights at the whole way.
    joined : bool
        Whether all labels go the same share.
    """
    best = torch.zeros_like(bias)
    gain = torch.full_like(bias, -torch.inf)
    for share in 0.5 ** torch.arange(12):
        p = target + share * way
        entropy = torch.special.entr(p) + torch.special.entr(1 - p)
        terms = strength * (entropy + share * way * bias[label])
        dual = torch.zeros_like(bias).index_add_(0, label, terms)
        dual -= 0.5 * share**2 * square
        if joined:
            dual = dual.sum().expand_as(bias)
        best = torch.where(dual > gain, share, best)
        gain = torch.maximum(dual, gain)
    return best


def newton_shifts(trainer, hold):
    """Return how the biases, and all labels' weight of the counts, would move.

    They would be where the margins want them: by three Newton steps in all of them.
    The weights of the counts then are no longer the sum over the cells that they are at
    the optimum of the dual; the steps that follow take that offset as given, and it
    vanishes where both stand still.

    Parameters
    ----------
    trainer : DualTrainer
        With the margins of its cells.
    hold : tensor of shape (n_labels,)
        How firmly each bias holds to the trainer's anchor.

    Returns
    -------
    shifts : tensor of shape (n_labels,)
        Of the biases.
    tilt : tensor of shape ()
        Of the weights of the number of features, the same for all labels; 0 where it
        does not count.
    """
    label, counts, bias = trainer.label, trainer.counts, trainer.module.bias
    shifts, tilt = torch.zeros_like(bias), bias.new_zeros(())

    def total(values):
        return torch.zeros_like(bias).index_add_(0, label, values)

    for _ in range(3):
        moved = trainer.margin + shifts[label]
        if counts is not None:
            moved += tilt * counts
        p = torch.sigmoid(moved)
        rest = trainer.strength * (trainer.target - p)
        curve = trainer.strength * p * (1 - p)
        slopes = hold * (trainer.anchor - bias - shifts) + total(rest)
        curves = hold + 1e-6 + total(curve)
        if counts is not None:
            cross = total(curve * counts) / curves
            steep, curved = _of_counts(trainer, tilt, rest, curve)
            # The biases move with it.
            curved = curved - (cross.square() * curves).sum()
            step = ((steep - cross @ slopes) / curved).clamp(-1, 1)
            tilt, slopes = tilt + step, slopes - step * cross * curves
        shifts += (slopes / curves).clamp(-1, 1)
    return shifts, tilt


def _of_counts(trainer, tilt, rest, curve):
    """Return the slope and the curvature in what counts weigh for all labels."""
    n_labels = len(trainer.module.bias)
    # Of weights of this correlation, their sum is penalized by so much.
    penalty = 1 / (1 - trainer.correlation + trainer.correlation * n_labels)
    weights = trainer.module.output[:, -1].sum() + n_labels * tilt
    weights = weights - trainer.count_anchor
    slope = (rest * trainer.counts).sum() - penalty * weights
    return slope, (curve * trainer.counts.square()).sum() + penalty * n_labels
