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


def bias_shifts(trainer, hold):
    """Return by how much the biases would move to where the margins want them.

    `hold` is how firmly each of them holds to the trainer's anchor.
    """
    label, strength, bias = trainer.label, trainer.strength, trainer.module.bias
    shift = torch.zeros_like(bias)
    for _ in range(3):
        p = torch.sigmoid(trainer.margin + shift[label])
        slope = hold * (trainer.anchor - bias - shift)
        slope.index_add_(0, label, strength * (trainer.target - p))
        curve = hold + 1e-6
        curve.index_add_(0, label, strength * p * (1 - p))
        shift += (slope / curve).clamp(-1, 1)
    return shift
