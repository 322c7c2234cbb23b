"""Which solver trains a model, and which parameters each solver reads.

A value that is not the default and that the solver in use does not read raises: the
table is the one place that says who reads what.
"""

import inspect
import warnings

import numpy as np
import scipy.sparse as sp
import skorch
import skorch.callbacks
import torch
from skorch.callbacks import Callback

from ..exceptions import SolverFallbackWarning
from ..nn.sgd._losses import MaskedBCEWithLogitsLoss

DUAL, OPTIMIZER, BAG, MODULE = "dual", "optimizer", "embedding_bag", "module"
SOLVERS = {
    DUAL: "dual coordinate ascent (`module`, `criterion` and `optimizer` None)",
    OPTIMIZER: "the default module with an `optimizer` or a `criterion`",
    BAG: 'the classic model (`module` "embedding_bag")',
    MODULE: "a `module` of your own",
}
_BY_GRADIENT = OPTIMIZER, BAG, MODULE
# The solvers that read each parameter. "module__*" stands for all names that begin so.
READ_BY = {
    "embedding_dim": (DUAL, OPTIMIZER, BAG),
    "shared_weight": (DUAL, OPTIMIZER),
    "label_correlation": (DUAL,),
    "interactions": (DUAL,),
    "idf_power": (DUAL, OPTIMIZER),
    "std_power": (DUAL, OPTIMIZER),
    "feature_blocks": (DUAL, OPTIMIZER),
    "C": (DUAL,),
    "calibrate": (DUAL,),
    "label_features": (DUAL,),
    "base_rates": (DUAL,),
    "module": SOLVERS,
    "criterion": SOLVERS,
    "reduction": SOLVERS,
    "pos_weight": SOLVERS,
    "label_weight": SOLVERS,
    "unlabeled_weight": SOLVERS,
    "label_smoothing": SOLVERS,
    "optimizer": SOLVERS,
    "lr": _BY_GRADIENT,
    "max_epochs": SOLVERS,
    "batch_size": SOLVERS,
    "early_stopping": SOLVERS,
    "validation_fraction": SOLVERS,
    "n_iter_no_change": SOLVERS,
    "tol": SOLVERS,
    "warm_start": SOLVERS,
    "checkpoint": (DUAL,),
    "callbacks": SOLVERS,
    "device": SOLVERS,
    "random_state": SOLVERS,
    "verbose": SOLVERS,
    "net_params": SOLVERS,
    "callbacks__*": SOLVERS,
    "compile": (MODULE,),
    "compile__*": (MODULE,),
    "criterion__*": _BY_GRADIENT,
    "iterator_train": _BY_GRADIENT,
    "iterator_train__*": SOLVERS,
    "iterator_train__drop_last": _BY_GRADIENT,
    "iterator_train__fixed": _BY_GRADIENT,
    "iterator_valid": SOLVERS,
    "iterator_valid__*": SOLVERS,
    "module__*": (MODULE,),
    "module__mode": (BAG, MODULE),
    "optimizer__*": _BY_GRADIENT,
    "torch_load_kwargs": SOLVERS,
    "train_split": SOLVERS,
}
# What "auto" may stand for; `auto_params_` has those that the solver reads.
AUTO = (
    "shared_weight",
    "label_correlation",
    "interactions",
    "idf_power",
    "feature_blocks",
    "C",
    "unlabeled_weight",
    "lr",
    "max_epochs",
    "batch_size",
    "device",
)
# The learning rate of "auto". That of the classic model is the best of 0.003, 0.01,
# 0.03 and 0.1 by the AUC of training rows of goemotions and arxiv_cs.
_LR, _LR_OF_BAGS = 0.01, 0.03
# What `set_params` takes directly and keeps in `net_params`.
NET_PREFIXES = (
    "callbacks__",
    "compile__",
    "criterion__",
    "iterator_train__",
    "iterator_valid__",
    "module__",
    "optimizer__",
)
# What the net does itself, so that nothing would read it.
_SET_BY_US = {
    "dataset",
    "iterator_train__batch_size",
    "kwargs",
    "predict_nonlinearity",
    "use_caching",
}
# What a criterion that is not derived from ours cannot know of.
_OF_OUR_LOSS = (
    "reduction",
    "pos_weight",
    "label_weight",
    "unlabeled_weight",
    "label_smoothing",
)
# What a model that goes on keeps from its first call; gradients keep the loss as well.
_SETTLED = (
    "embedding_dim",
    "shared_weight",
    "label_correlation",
    "interactions",
    "idf_power",
    "std_power",
    "feature_blocks",
    "label_features",
    "module",
    "criterion",
    "optimizer",
    "callbacks",
    "net_params",
)
# Callbacks of skorch that change the optimizer or what it steps.
_FOR_AN_OPTIMIZER = (skorch.callbacks.LRScheduler, skorch.callbacks.ParamMapper)


def asked_solver(estimator):
    """Return the solver that the parameters call for: a key of SOLVERS."""
    if estimator.module is not None:
        return MODULE if is_own(estimator.module) else BAG
    default = estimator.criterion is None and estimator.optimizer is None
    return DUAL if default else OPTIMIZER


def solver_of(estimator, targets):
    """Return the solver that these parameters and labels call for."""
    asked = asked_solver(estimator)
    return OPTIMIZER if asked == DUAL and targets.fill != "unlabeled" else asked


def learning_rate(estimator):
    """Return the learning rate of an optimizer, by a rule where it is "auto"."""
    if estimator.lr != "auto":
        return estimator.lr
    return _LR_OF_BAGS if isinstance(estimator.module, str) else _LR


def is_own(module):
    """Return whether a module is a class or an instance of the user's own."""
    return module is not None and not isinstance(module, str)


def check_params(estimator, solver, first):
    """Raise for parameters that the solver, skorch or a model that goes on cannot use.

    See `_check_net_params`, `_check_read` and `_check_settled`.
    """
    taken = set(estimator.get_params(deep=False))
    _check_net_params(estimator.net_params, taken)
    _check_read(estimator, solver)
    if not first:
        _check_settled(estimator)


def is_net_param(name):
    """Return whether a parameter's name is one that skorch takes by prefix."""
    return name.startswith(NET_PREFIXES)


def _check_net_params(net_params, taken):
    """Raise for `net_params` that are not skorch's, or that the estimator has itself.

    Raises
    ------
    ValueError
        If nothing reads a name.
    """
    known = set(inspect.signature(skorch.NeuralNet.__init__).parameters) - {"self"}
    for name in net_params or ():
        is_taken = name in _SET_BY_US or name in taken
        if not is_taken and (is_net_param(name) or name in READ_BY):
            continue
        if is_taken or name in known:
            raise ValueError(
                f"`net_params` accepts what skorch.NeuralNet takes beside the "
                f"estimator's own parameters; got {name!r}, which is a parameter of "
                "the estimator or set by it."
            )
        raise ValueError(
            f"`net_params` accepts parameters of skorch.NeuralNet and names that begin "
            f"with one of {NET_PREFIXES}; got {name!r}."
        )


def _check_read(estimator, solver):
    """Raise for a value that is not the default and that the solver does not read.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        With its parameters.
    solver : {"dual", "optimizer", "embedding_bag", "module"}
        In use.

    Raises
    ------
    ValueError
        If there is such a value.

    Warns
    -----
    SolverFallbackWarning
        If it was the labels that led to another solver than the parameters ask for.
    """
    idle = {name: value for name, value in _set(estimator) if not reads(solver, name)}
    asked = asked_solver(estimator)
    if asked != solver:
        _warn_of_fallback(estimator, idle)
        idle = {}
    defaults = _defaults(estimator)
    for name, value in idle.items():
        *others, last = (SOLVERS[reader] for reader in _readers(name))
        readers = " and by ".join(filter(None, [", by ".join(others), last]))
        default = f"{defaults[name]!r} alone" if name in defaults else "nothing"
        raise ValueError(
            f"`{name}` accepts {default} with {SOLVERS[solver]}, which does not read "
            f"it; got {value!r}. It is read by {readers}."
        )
    if estimator.checkpoint is not None and estimator.early_stopping:
        raise ValueError(
            "`checkpoint` does not keep what `early_stopping` has seen; got "
            f"checkpoint={estimator.checkpoint!r} and early_stopping=True. Leave out "
            "one of them."
        )
    _check_loss_params(estimator)
    _check_callbacks(estimator, solver)


def _defaults(estimator):
    parameters = inspect.signature(type(estimator).__init__).parameters.values()
    return {each.name: each.default for each in parameters}


def _set(estimator):
    """Yield name and value of what was set by the user, skorch's names too."""
    defaults = _defaults(estimator)
    for name, value in estimator.get_params(deep=False).items():
        if not is_same(value, defaults[name]):
            yield name, value
    yield from (estimator.net_params or {}).items()


def _readers(name):
    return READ_BY.get(name, READ_BY.get(f"{name.split('__')[0]}__*", ()))


def reads(solver, name):
    """Return whether a solver reads a parameter of this name."""
    return solver in _readers(name)


def _warn_of_fallback(estimator, idle):
    shown = ", ".join(f"{name}={value!r}" for name, value in idle.items())
    here = f", here {shown}" if shown else ""
    warnings.warn(
        "`y` stores the positives of a label matrix of more negatives than dual "
        "coordinate ascent takes (2 ** 22 cells): torch.optim.Adam with "
        f"lr={learning_rate(estimator)} trains the model instead. `C`, "
        "`label_correlation`, `interactions` and `calibrate` do not count "
        f"there{here}; "
        "pass optimizer=torch.optim.Adam to choose it.",
        SolverFallbackWarning,
        stacklevel=7,
    )


def refuse_instances(estimator):
    """Raise for an optimizer that is bound to the parameters of a module."""
    if isinstance(estimator.optimizer, torch.optim.Optimizer):
        name = type(estimator.optimizer).__name__
        raise ValueError(
            "`optimizer` accepts a torch.optim.Optimizer class; got an instance of "
            f"{name}, which is bound to the parameters of another module: pass {name} "
            'and its settings, as net_params={"optimizer__momentum": 0.9}.'
        )
    for part in ("module", "criterion"):
        if isinstance(getattr(estimator, part), torch.nn.Module):
            for name in estimator.net_params or ():
                if name.startswith(f"{part}__"):
                    raise ValueError(
                        f"`{name}` is an argument of a class, and `{part}` is an "
                        f"instance of {type(getattr(estimator, part)).__name__}, "
                        "already made; pass the class, or leave it out."
                    )


def is_ours(criterion):
    """Return whether a criterion is a class derived from ours, or None."""
    ours = MaskedBCEWithLogitsLoss
    is_class = isinstance(criterion, type)
    return criterion is None or (is_class and issubclass(criterion, ours))


def _check_loss_params(estimator):
    """Raise for a parameter of our loss that a criterion of the user's cannot read."""
    if is_ours(estimator.criterion):
        return
    given = dict(_set(estimator))
    for name in _OF_OUR_LOSS:
        if name in given:
            raise ValueError(
                f"`{name}` is a parameter of MaskedBCEWithLogitsLoss, and `criterion` "
                f"is {estimator.criterion!r}, no subclass of it; got {name}="
                f"{given[name]!r}. Pass it as criterion__{name} if your "
                "criterion takes it."
            )


def _check_callbacks(estimator, solver):
    """Raise for callbacks that nobody calls, or whose work nobody sees."""
    if estimator.callbacks == "disable":
        if estimator.early_stopping:
            raise ValueError(
                '`early_stopping` is a callback, and callbacks="disable" calls none; '
                "got early_stopping=True. Pass callbacks=None."
            )
        return
    for given in estimator.callbacks or () if solver == DUAL else ():
        callback = given[1] if isinstance(given, tuple) else given
        kind = callback if isinstance(callback, type) else type(callback)
        hook = getattr(kind, "on_grad_computed", Callback.on_grad_computed)
        sees_gradients = hook is not Callback.on_grad_computed
        if sees_gradients or issubclass(kind, _FOR_AN_OPTIMIZER):
            raise ValueError(
                f"`callbacks` accepts {kind.__name__} with an `optimizer` alone: dual "
                "coordinate ascent has no learning rate and computes no gradients."
            )


# What goes on


def settled_params(estimator, solver):
    """Return the parameters that a model keeps when `partial_fit` goes on with it."""
    names = _SETTLED if solver == DUAL else _SETTLED + _OF_OUR_LOSS
    values = {name: getattr(estimator, name) for name in names}
    return {
        name: type(value)(value) if type(value) in (dict, list) else value
        for name, value in values.items()
    }


def _check_settled(estimator):
    """Raise for a parameter that was changed and that a further call cannot heed.

    Raises
    ------
    ValueError
        If there is one.
    """
    for name, before in estimator._settled.items():
        now = getattr(estimator, name)
        # "auto" keeps the value that it took, and that value says the same.
        same = [before]
        if name in estimator.auto_params_:
            same += ["auto", estimator.auto_params_[name]]
        if not any(is_same(now, value) for value in same):
            raise ValueError(
                f"`{name}` must stay as it was in the first call where partial_fit or "
                f"warm_start=True goes on with a model; got {now!r}, and the model was "
                f"made with {before!r}. To change it, call fit with warm_start=False."
            )


def is_same(value, other):
    """Return whether two values of a parameter say the same."""
    if value is other:
        return True
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(
            is_same(part, other[name]) for name, part in value.items()
        )
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(is_same, value, other))
    if sp.issparse(value) or sp.issparse(other):
        both = sp.issparse(value) and sp.issparse(other)
        return both and value.shape == other.shape and (value != other).nnz == 0
    if hasattr(value, "__array__") or hasattr(other, "__array__"):
        # `==` of a number and a string is no array in numpy 1.26.
        return np.array_equal(value, other)
    return bool(value == other)
