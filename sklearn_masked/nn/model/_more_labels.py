"""More labels in a trained model: room for their weights, those of others as before."""

import numpy as np
import torch
from torch import nn

from ._direct import DenseDirect


@torch.no_grad()
def add_labels(module, bias):
    """Give a module more labels, in place.

    Where the labels' weights correlate, those of a new label start from what all labels
    have in common: their conditional mean, given the others. Else they start from 0.
    The slope of its output is the mean of the others'.

    Parameters
    ----------
    module : DirectSharedModule
        Trained.
    bias : array of shape (n_new,)
        The biases of the new labels.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn.model._module import DirectSharedModule
    >>> from sklearn_masked.nn.model._more_labels import add_labels
    >>> module = DirectSharedModule(3, 2, embedding_dim=0)
    >>> add_labels(module, torch.tensor([-1.0]))
    >>> module(torch.eye(3))[0].tolist()
    [0.0, 0.0, -1.0]
    """
    n_new, rho = len(bias), float(module.label_correlation)
    share = rho / (1 - rho + rho * module.n_labels)

    def grown(values, axis=0):
        common = share * values.sum(axis, keepdim=True)
        return torch.cat([values, common.repeat_interleave(n_new, axis)], axis)

    module.output = nn.Parameter(grown(module.output.detach()))
    if module.quadratic is not None:
        weight = module.quadratic.weight
        module.quadratic.weight = nn.Parameter(grown(weight.detach()))
    if isinstance(module.direct, DenseDirect):
        weight = module.direct.weight
        module.direct.weight = nn.Parameter(grown(weight.detach(), axis=1))
    own = torch.as_tensor(np.asarray(bias, np.float32)).to(module.bias)
    module.bias = nn.Parameter(torch.cat([module.bias.detach(), own]))
    mean = module.slope.mean().expand(n_new)
    module.slope = torch.cat([module.slope, mean])
    module.intercept = torch.cat([module.intercept, torch.zeros_like(own)])
    module.n_labels += n_new
    if module.direct is not None:
        module.direct.n_labels = module.n_labels
