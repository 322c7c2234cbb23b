"""Optimizers that touch only the rows that a sparse gradient names.

A row here is a parameter's slice along its first axis. Where the gradient is a sparse
tensor of rows, as :func:`~sklearn_masked.nn.embedding_bag` and
``torch.nn.EmbeddingBag(sparse=True)`` give it, a step reads and writes these rows and
their state, and nothing else: its cost does not depend on the number of rows. All that
would change a row without a gradient (weight decay, momentum, the decay of Adam's
averages) is *lazy*: it happens at the steps that touch the row, once a step, and is not
made up for the steps in between. A dense gradient touches all rows.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch

from .._sparse import gradient_blocks
from ..device import _kernels as kernels

__all__ = ["LazyAdam", "RowWiseAdagrad", "SparseSGD"]

# What state that does not start from 0 starts from: Adagrad's and Rprop's.
_STARTS = {"sum": "initial_accumulator_value", "step_size": "lr"}


class _RowOptimizer(torch.optim.Optimizer):
    """Go through the parameters; a subclass says what becomes of some rows of one."""

    # The net lets modules that can choose give sparse gradients to such optimizers.
    takes_sparse_gradients = True

    @torch.no_grad()
    def step(self, closure: Callable[..., Any] | None = None) -> Any:
        """Take a step.

        Parameters
        ----------
        closure : callable, default=None
            Computes the loss, and the gradients, anew.

        Returns
        -------
        tensor or None
            What `closure` returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                waiting = parameter.__dict__.pop("bag_gradients", ())
                if parameter.grad is not None or waiting:
                    state = self.state[parameter]
                    self._begin(state)
                    if self._fused(parameter, waiting, state, group):
                        continue
                    for rows, values in gradient_blocks(parameter, waiting):
                        self._update(parameter, rows, values, state, group)
        return loss

    def _begin(self, state):
        """Note in a parameter's state that a step of it begins."""

    def _fused(self, parameter, waiting, state, group):
        """Take the step in one pass, and return whether there was a kernel for it."""
        rule = self._rule(parameter, state, group)
        if rule is None or parameter.grad is not None or len(waiting) > 1:
            return False
        return kernels.update(parameter, waiting[0], **rule)

    def _rule(self, parameter, state, group):
        """Return what a kernel needs to know, or None where none knows the rule."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients.

        Parameters
        ----------
        set_to_none : bool, default=True
            Whether dense gradients become None instead of 0.
        """
        super().zero_grad(set_to_none)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.__dict__.pop("bag_gradients", None)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, in the precision in which it was saved.

        Parameters
        ----------
        state_dict : dict
            What :meth:`state_dict` of an optimizer of as many parameters returned.
        """
        super().load_state_dict(state_dict)
        # torch casts the state to the parameter's dtype: ours is float32 at least.
        saved = [i for group in state_dict["param_groups"] for i in group["params"]]
        own = [p for group in self.param_groups for p in group["params"]]
        for index, parameter in zip(saved, own, strict=True):
            for name, value in state_dict["state"].get(index, {}).items():
                if torch.is_tensor(value):
                    value = value.to(parameter.device, copy=True)
                self.state[parameter][name] = value


class SparseSGD(_RowOptimizer):
    r"""Stochastic gradient descent, with momentum if asked for, on the rows touched.

    With dense gradients it is :class:`torch.optim.SGD`. With sparse ones, for each row
    :math:`w` that the gradient :math:`g` names:

    .. math::
        g \leftarrow g + \lambda w, \quad
        b \leftarrow \mu b + g, \quad
        w \leftarrow w - \eta\, b

    Other rows keep their :math:`w` and their :math:`b`.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them as dicts.
    lr : float, default=1e-3
        :math:`\eta`.
    momentum : float, default=0.0
        :math:`\mu`, lazy. 0 keeps no state.
    nesterov : bool, default=False
        Whether the row moves by :math:`g + \mu b` instead of :math:`b`.
    weight_decay : float, default=0.0
        :math:`\lambda`, lazy.

    Raises
    ------
    ValueError
        If a number is negative, or `nesterov` has no momentum to work with.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import SparseSGD
    >>> from sklearn_masked.nn import embedding_bag
    >>> table = torch.nn.Parameter(torch.ones(3, 2))
    >>> row, start, weight = (torch.tensor([number]) for number in (2, 0, 1.0))
    >>> embedding_bag(table, row, start, weight).sum().backward()
    >>> SparseSGD([table], lr=0.5).step()
    >>> table.detach().round(decimals=4).tolist()
    [[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        _refuse_negative(lr=lr, momentum=momentum, weight_decay=weight_decay)
        if nesterov and not momentum:
            raise ValueError("`nesterov` accepts True with a `momentum` above 0 alone.")
        defaults = {"lr": lr, "momentum": momentum}
        defaults |= {"nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _rule(self, parameter, state, group):
        if group["momentum"]:
            return None
        return {"lr": group["lr"], "weight_decay": group["weight_decay"]}

    def _update(self, parameter, rows, values, state, group):
        values = _decayed(parameter, rows, values, group["weight_decay"])
        momentum = group["momentum"]
        if momentum:
            values = values.to(_state_dtype(parameter))
            buffer = _state(state, "momentum_buffer", parameter)
            moved = _take(buffer, rows).mul(momentum).add_(values)
            _put(buffer, rows, moved)
            values = values + momentum * moved if group["nesterov"] else moved
        _add(parameter, rows, values * -group["lr"])


class RowWiseAdagrad(_RowOptimizer):
    r"""Adagrad with one accumulator a row, on the rows touched.

    For each row :math:`w` of :math:`d` numbers that the gradient :math:`g` names, as
    FBGEMM and TorchRec have it:

    .. math::
        g \leftarrow g + \lambda w, \quad
        s \leftarrow s + \tfrac1d \|g\|^2, \quad
        w \leftarrow w - \eta\, g / (\sqrt{s} + \epsilon)

    A row that the gradient does not name has a gradient of 0, which changes nothing:
    with ``weight_decay=0`` sparse and dense gradients give the same. A parameter of
    one axis has rows of one number, where this is :class:`torch.optim.Adagrad`.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them as dicts.
    lr : float, default=1e-2
        :math:`\eta`.
    weight_decay : float, default=0.0
        :math:`\lambda`, lazy.
    initial_accumulator_value : float, default=0.0
        What each :math:`s` starts from.
    eps : float, default=1e-10
        :math:`\epsilon`.

    Raises
    ------
    ValueError
        If a number is negative.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import RowWiseAdagrad
    >>> from sklearn_masked.nn import embedding_bag
    >>> table = torch.nn.Parameter(torch.ones(3, 2))
    >>> row, start, weight = (torch.tensor([number]) for number in (2, 0, 8.0))
    >>> embedding_bag(table, row, start, weight).sum().backward()
    >>> RowWiseAdagrad([table], lr=0.5).step()
    >>> table.detach().round(decimals=4).tolist()
    [[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        *,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        start = initial_accumulator_value
        _refuse_negative(
            lr=lr, weight_decay=weight_decay, initial_accumulator_value=start, eps=eps
        )
        defaults = {"lr": lr, "weight_decay": weight_decay}
        defaults |= {"initial_accumulator_value": start, "eps": eps}
        super().__init__(params, defaults)

    def _rule(self, parameter, state, group):
        names = ("lr", "weight_decay", "eps")
        squares = _sums(state, parameter, group)
        return {"squares": squares} | {name: group[name] for name in names}

    def _update(self, parameter, rows, values, state, group):
        values = _decayed(parameter, rows, values, group["weight_decay"])
        values = values.to(_state_dtype(parameter))
        if values.dim() > 1:
            flat = values.flatten(1)
            length = torch.linalg.vector_norm(flat, dim=1)
            squares = length.square_().div_(max(flat.shape[1], 1))
        else:
            squares = values.square()
        sums = _take(_sums(state, parameter, group), rows) + squares
        _put(state["sum"], rows, sums)
        factor = -group["lr"] / (sums.sqrt() + group["eps"])
        factor = factor.view(factor.shape + (1,) * (values.dim() - factor.dim()))
        _add(parameter, rows, values * factor)


class LazyAdam(_RowOptimizer):
    r"""Adam whose averages of a row move only at the steps that touch the row.

    With dense gradients it is :class:`torch.optim.Adam`. With sparse ones, at step
    :math:`t` of the parameter, for each row :math:`w` that the gradient :math:`g`
    names:

    .. math::
        g \leftarrow g + \lambda w, \quad
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \eta \frac{m / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Other rows keep :math:`w`, :math:`m` and :math:`v`. :class:`torch.optim.SparseAdam`
    does the same, but for where it adds :math:`\epsilon`; it takes no dense gradients
    and no weight decay.

    Parameters
    ----------
    params : iterable
        Parameters, or groups of them as dicts.
    lr : float, default=1e-3
        :math:`\eta`.
    betas : tuple of two floats, default=(0.9, 0.999)
        :math:`\beta_1` and :math:`\beta_2`, from 0 to below 1.
    eps : float, default=1e-8
        :math:`\epsilon`.
    weight_decay : float, default=0.0
        :math:`\lambda`, lazy, and part of the gradient as in Adam, not as in AdamW.

    Raises
    ------
    ValueError
        If a number is negative or a beta is not below 1.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import LazyAdam
    >>> from sklearn_masked.nn import embedding_bag
    >>> table = torch.nn.Parameter(torch.ones(3, 2))
    >>> row, start, weight = (torch.tensor([number]) for number in (2, 0, 8.0))
    >>> embedding_bag(table, row, start, weight).sum().backward()
    >>> LazyAdam([table], lr=0.5).step()
    >>> table.detach().round(decimals=4).tolist()
    [[1.0, 1.0], [1.0, 1.0], [0.5, 0.5]]
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _refuse_negative(lr=lr, eps=eps, weight_decay=weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"`betas` accepts numbers from 0 to below 1; got {betas}.")
        defaults = {"lr": lr, "betas": tuple(betas)}
        defaults |= {"eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _begin(self, state):
        state["step"] = state.get("step", 0) + 1

    def _update(self, parameter, rows, values, state, group):
        values = _decayed(parameter, rows, values, group["weight_decay"])
        values = values.to(_state_dtype(parameter))
        mean = _state(state, "exp_avg", parameter)
        square = _state(state, "exp_avg_sq", parameter)
        step = state["step"]
        first, second = group["betas"]
        m = _take(mean, rows).lerp_(values, 1 - first)
        v = _take(square, rows).mul_(second)
        v.addcmul_(values, values, value=1 - second)
        _put(mean, rows, m)
        _put(square, rows, v)
        scale = v.div_(1 - second**step).sqrt_().add_(group["eps"])
        _add(parameter, rows, m.mul_(-group["lr"] / (1 - first**step)).div_(scale))


def replace_parameter(
    optimizer: torch.optim.Optimizer,
    old: torch.nn.Parameter,
    new: torch.nn.Parameter,
    positions: torch.Tensor,
) -> None:
    """Let an optimizer go on with a parameter that has grown.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any: its state of the parameter, a number each or a number for all, is kept.
    old, new : Parameter
        Of one axis; `new` is longer.
    positions : int64 tensor
        Where the numbers of `old` are in `new`. The others get the state that a fresh
        optimizer has.
    """
    if isinstance(optimizer, torch.optim.LBFGS):
        # Its one state is of all parameters, in a row: it begins anew.
        optimizer.state.clear()
    for group in optimizer.param_groups:
        group["params"] = [new if p is old else p for p in group["params"]]
        if not any(p is new for p in group["params"]):
            continue
        state = optimizer.state.pop(old, {})
        for name, value in state.items():
            if torch.is_tensor(value) and value.shape == old.shape:
                start = group.get(_STARTS.get(name, ""), 0.0)
                grown = value.new_full(new.shape, start)
                state[name] = grown.index_copy_(0, positions, value)
        if state:
            optimizer.state[new] = state
    complete_lbfgs(optimizer)


def complete_lbfgs(optimizer: torch.optim.Optimizer) -> None:
    """Give torch's L-BFGS what its copies and pickles lack; others have it all."""
    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer._params = optimizer.param_groups[0]["params"]
        optimizer._numel_cache = None


def _decayed(parameter, rows, values, weight_decay):
    """Return the gradient of some rows beside that of their squared length."""
    if not weight_decay:
        return values
    return values + weight_decay * _take(parameter, rows)


def _state_dtype(parameter):
    """Return the dtype of the state: float32 for parameters of less."""
    return torch.promote_types(parameter.dtype, torch.float32)


def _state(state, name, parameter):
    """Return a tensor of the state in the parameter's shape, zeros at first."""
    if name not in state:
        state[name] = torch.zeros_like(parameter, dtype=_state_dtype(parameter))
    return state[name]


def _sums(state, parameter, group):
    """Return row-wise Adagrad's sums of squares, one a row."""
    if "sum" not in state:
        start, dtype = group["initial_accumulator_value"], _state_dtype(parameter)
        state["sum"] = parameter.new_full(parameter.shape[:1], start, dtype=dtype)
    return state["sum"]


def _take(tensor, rows):
    """Return a copy of some rows."""
    return tensor.clone() if rows is None else tensor.index_select(0, rows)


def _put(tensor, rows, values):
    """Write some rows."""
    tensor.copy_(values) if rows is None else tensor.index_copy_(0, rows, values)


def _add(tensor, rows, values):
    """Add to some rows."""
    values = values.to(tensor.dtype)
    if rows is None:
        tensor.add_(values)
    else:  # without `alpha`, which costs torch three times the time
        tensor.index_add_(0, rows, values)


def _refuse_negative(**numbers):
    for name, number in numbers.items():
        if not number >= 0:
            raise ValueError(f"`{name}` accepts numbers from 0; got {number!r}.")


def _unwrapped(name):
    return inspect.unwrap(getattr(torch.optim.Optimizer, name))


class FallbackAdam(torch.optim.Adam):
    """Adam for the net of a solver: it steps only where the labels are too many.

    torch guards these methods against its compiler, and loads the whole compiler for
    that: seconds, more than most small models take to train or to load.
    """

    add_param_group = _unwrapped("add_param_group")
    state_dict = _unwrapped("state_dict")
    load_state_dict = _unwrapped("load_state_dict")
    zero_grad = _unwrapped("zero_grad")
