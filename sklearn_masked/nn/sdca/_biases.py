"""What has one unknown a label: how far it goes at the start, and its bias."""

import torch


def line_search(step, label, target, cell_C, bias, square, *, joined):
    """Return the share of its step that is best for each label, by the dual.

    Parameters
    ----------
    step, label, target, cell_C : tensors of shape (n_cells,)
        How far a probability is from its target at the whole step, and the cells.
    bias, square : tensors of shape (n_labels,)
        The biases, and the squared length of the weights at the whole step.
    joined : bool
        Whether all labels go the same share.
    """
    best = torch.zeros_like(bias)
    gain = torch.full_like(bias, -torch.inf)
    for share in 0.5 ** torch.arange(12):
        p = target + share * step
        entropy = torch.special.entr(p) + torch.special.entr(1 - p)
        terms = cell_C * (entropy + share * step * bias[label])
        dual = torch.zeros_like(bias).index_add_(0, label, terms)
        dual -= 0.5 * share**2 * square
        if joined:
            dual = dual.sum().expand_as(bias)
        best = torch.where(dual > gain, share, best)
        gain = torch.maximum(dual, gain)
    return best


def bias_steps(trainer, prior_precision):
    """Return how the biases, and all labels' weight of the counts, would move.

    They would be where the margins want them: by three Newton steps in all of them.
    The weights of the counts then are no longer the sum over the cells that they are at
    the optimum of the dual; the steps that follow take that offset as given, and it
    vanishes where both stand still.

    Parameters
    ----------
    trainer : SDCASolver
        With the margins of its cells.
    prior_precision : tensor of shape (n_labels,)
        How firmly each bias holds to the trainer's anchor.

    Returns
    -------
    shifts : tensor of shape (n_labels,)
        Of the biases.
    length_step : tensor of shape ()
        Of the weights of the number of features, the same for all labels; 0 where it
        does not count.
    """
    label, counts, bias = trainer.label, trainer.row_length, trainer.module.bias
    shifts, length_step = torch.zeros_like(bias), bias.new_zeros(())

    def total(values):
        return torch.zeros_like(bias).index_add_(0, label, values)

    for _ in range(3):
        moved = trainer.margin + shifts[label]
        if counts is not None:
            moved += length_step * counts
        p = torch.sigmoid(moved)
        rest = trainer.cell_C * (trainer.target - p)
        curve = trainer.cell_C * p * (1 - p)
        slopes = prior_precision * (trainer.prior_mean - bias - shifts) + total(rest)
        curves = prior_precision + 1e-6 + total(curve)
        if counts is not None:
            cross = total(curve * counts) / curves
            steep, curved = _of_counts(trainer, length_step, rest, curve)
            # The biases move with it.
            curved = curved - (cross.square() * curves).sum()
            step = ((steep - cross @ slopes) / curved).clamp(-1, 1)
            length_step, slopes = length_step + step, slopes - step * cross * curves
        shifts += (slopes / curves).clamp(-1, 1)
    return shifts, length_step


def _of_counts(trainer, length_step, rest, curve):
    """Return the slope and the curvature in what counts weigh for all labels."""
    n_labels = len(trainer.module.bias)
    # Of weights of this correlation, their sum is penalized by so much.
    penalty = 1 / (1 - trainer.correlation + trainer.correlation * n_labels)
    weights = trainer.module.output[:, -1].sum() + n_labels * length_step
    weights = weights - trainer.row_length_prior
    slope = (rest * trainer.row_length).sum() - penalty * weights
    return slope, (curve * trainer.row_length.square()).sum() + penalty * n_labels
