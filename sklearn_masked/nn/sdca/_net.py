"""An optimizer for a net that needs none."""

import inspect

import torch


def _unwrapped(name):
    return inspect.unwrap(getattr(torch.optim.Optimizer, name))


class FallbackAdam(torch.optim.Adam):
    """Adam for a net that takes dual steps: it is there, and mostly never steps.

    torch guards these methods against its compiler, and loads the whole compiler for
    that: seconds, more than most small models take to train or to load.
    """

    add_param_group = _unwrapped("add_param_group")
    state_dict = _unwrapped("state_dict")
    load_state_dict = _unwrapped("load_state_dict")
    zero_grad = _unwrapped("zero_grad")
