"""The skorch net of an estimator: its loss, callbacks, device and threads."""

import contextlib
import copy
import functools
import inspect
import math

import numpy as np
import scipy.sparse as sp
import skorch.callbacks
import torch
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
from threadpoolctl import ThreadpoolController

from ..labels.names import check_same_names, entry_names
from ..nn.model._direct import choose_direct
from ..nn.model._embedding_bag import EmbeddingBagModule
from ..nn.model._module import DirectSharedModule
from ..nn.sdca import SDCANet
from ..nn.sgd._losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from ..nn.sgd._net import MaskedNet
from ..nn.sgd._optim import FallbackAdam
from ..nn.sgd._saved import silent
from ._callbacks import CellEpochScoring
from ._solvers import DUAL, asked_solver, is_ours, is_own

# Sums of weights and of their products with probabilities stay in the range of float32.
_WEIGHTS = 1e-30, 1e30
# Numbers of X, stored ones of a CSR, up to which one thread is enough. More threads
# wait for each other at each of thousands of small operations, and burn the processor
# as they wait: on two busy cores 490 rows took 18 s of processor time, and 0.6 s alone.
_FEW = 1 << 22
_pools = ThreadpoolController()


# Weights of cells


def criterion_params(estimator, targets):
    """Return the arguments of the masked loss for these targets."""
    pos_weight = estimator.pos_weight
    if isinstance(pos_weight, str):  # "balanced"
        pos_weight = balanced_pos_weight(*targets.labeled.totals()).numpy()
    else:
        pos_weight = per_label(estimator, "pos_weight")
    # Weak negatives that were drawn have their weight as labeled cells have.
    are_drawn = targets.labeled is not targets
    # Not named for hard labels: a class derived from our loss need not know it.
    soft = {"soft_targets": True} if targets.soft else {}
    return {
        **soft,
        "reduction": estimator.reduction,
        "weight": per_label(estimator, "label_weight"),
        "pos_weight": pos_weight,
        "unlabeled_weight": 0.0 if are_drawn else estimator._unlabeled_weight,
        "label_smoothing": estimator.label_smoothing,
    }


def cell_terms(estimator, targets):
    """Return the weight and the target of each stored cell, as the loss has them.

    Of a soft cell, `pos_weight` multiplies the part that is positive.

    The reductions are weights here: "label" and "sample" let each label, or each row,
    weigh the same, and the mean weight is what it was.
    """
    params = criterion_params(estimator, targets)
    cols = targets.indices
    weight = np.ones(len(cols)) if targets.weights is None else targets.weights.copy()
    if params["weight"] is not None:
        weight *= np.broadcast_to(params["weight"], targets.n_labels)[cols]
    if estimator.reduction != "cell":
        rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
        group = cols if estimator.reduction == "label" else rows
        totals = np.bincount(group, weight)
        share = weight.sum() / max((totals > 0).sum(), 1)
        weight *= share / np.where(totals > 0, totals, 1)[group]
    target = targets.values.astype(float)
    if params["pos_weight"] is not None:
        factor = np.broadcast_to(params["pos_weight"], targets.n_labels)[cols]
        positive = factor * target
        total = positive + (1 - target)
        weight *= total
        target = np.where(total > 0, positive / np.where(total > 0, total, 1), target)
    smoothing = estimator.label_smoothing
    return weight, target * (1 - smoothing) + smoothing / 2


def mean_weight(estimator, targets, *, with_labels=False):
    """Return the mean weight of the labeled cells, or that times their label's.

    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from sklearn_masked.classifier._net import mean_weight
    >>> cells = SimpleNamespace(
    ...     weights=np.array([1.0, 3.0]), indices=np.array([0, 1]), n_labels=2)
    >>> targets = SimpleNamespace(labeled=cells)
    >>> estimator = SimpleNamespace(
    ...     label_weight=[1.0, 2.0], n_labels_=2, label_names_=None)
    >>> mean_weight(estimator, targets)
    2.0
    >>> mean_weight(estimator, targets, with_labels=True)
    3.5
    """
    cells = targets.labeled
    weight = np.ones(len(cells.indices)) if cells.weights is None else cells.weights
    factor = per_label(estimator, "label_weight") if with_labels else None
    if factor is not None:
        weight = weight * np.broadcast_to(factor, cells.n_labels)[cells.indices]
    mean = float(weight.mean()) if len(weight) else 1.0
    return mean if mean > 0 else 1.0


def per_label(estimator, name):
    """Return a number, or a number per label, as an array; None stays None."""
    value, n_labels = getattr(estimator, name), estimator.n_labels_
    if value is None:
        return None
    check_same_names(entry_names(value), estimator.label_names_, name, "`y`")
    # A copy: torch warns of arrays that cannot be written to, as a Series' may be.
    array = np.array(value, dtype=float)
    if array.ndim and array.shape != (n_labels,):
        raise ValueError(
            f"`{name}` accepts one number or one per label, shape ({n_labels},); got "
            f"shape {array.shape}."
        )
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"`{name}` accepts finite numbers from 0; got {value!r}.")
    with np.errstate(over="ignore", under="ignore"):
        stored = array.astype(np.float32)
    if not (np.isfinite(stored) & ((stored == 0) == (array == 0))).all():
        raise ValueError(f"`{name}` must be in the range of float32; got {value!r}.")
    return array


def check_weights(estimator, targets, solver):
    """Raise where the weights of the cells, taken together, leave the range of float32.

    They would become 0 or infinite there, and the model NaN.
    """
    cells = targets.labeled
    n_cells = np.add(*cells.totals())
    if not n_cells.any():
        return
    weight = per_label(estimator, "label_weight")
    if weight is not None and not (n_cells * weight).any():
        raise ValueError(
            "`label_weight` must be above 0 for a label with labeled cells; got "
            f"{estimator.label_weight!r}."
        )
    weights = cells.weights if cells.weights is not None else cells.sample_weight
    factors = {"that of `y` and `sample_weight`": _largest(weights)}
    factors["`label_weight`"] = _largest(weight)
    if not isinstance(estimator.pos_weight, str):
        positive = per_label(estimator, "pos_weight")
        factors["`pos_weight`"] = max(_largest(positive), 1.0)
    _refuse_range(factors)
    if solver == DUAL:
        # C="auto" is relative to the mean weight: either may leave the range alone.
        _refuse_range({**factors, "`C`": estimator.C_})


def _refuse_range(factors):
    """Raise where a product of named factors is too small or too large."""
    largest = np.prod(list(factors.values()))
    if not _WEIGHTS[0] <= largest <= _WEIGHTS[1]:
        raise ValueError(
            f"The largest weight of a cell, the product of {' and '.join(factors)}, "
            f"must lie between {_WEIGHTS[0]} and {_WEIGHTS[1]}; got {largest:.3g}. "
            "Scale one of them."
        )


def _largest(weights):
    return 1.0 if weights is None else float(np.max(weights, initial=0.0))


# The net


def init_net(estimator, data):
    """Set `net_`: a new net, or a copy of it that follows the parameters as they are.

    The net that predicts stays as it is until the training has succeeded.
    """
    if data.first:
        estimator.net_ = _build_net(estimator, data)
    else:
        estimator.net_ = estimator.net_.copy()
        _update_net(estimator, data)
    # Callbacks see the estimator; X comes to it without names.
    owner = estimator._scratch(keep=True)
    vars(owner).pop("feature_names_in_", None)
    estimator.net_.owner = owner


def _build_net(estimator, data):
    """Return an initialized net for the estimator's parameters."""
    module, offered = _module(estimator, data)
    known = inspect.signature(module).parameters
    given = estimator.criterion
    criterion = MaskedBCEWithLogitsLoss if given is None else _maker(given)
    params = {
        "optimizer": estimator.optimizer or FallbackAdam,
        **data.sizes,
        "device": data.device,
        "verbose": estimator.verbose,
        "callbacks": make_callbacks(estimator, data.stops),
        "iterator_train__generator": np.random.default_rng(data.seed),
        **{f"module__{k}": v for k, v in offered.items() if k in known},
    }
    if estimator.optimizer is None and estimator.module == "embedding_bag":
        params["optimizer__fused"] = True  # one pass over a large table
    if is_ours(estimator.criterion):
        arguments = criterion_params(estimator, data.targets)
        params.update({f"criterion__{k}": v for k, v in arguments.items()})
    given = dict(estimator.net_params or {})
    given.pop("train_split", None)  # `data.valid` is what came of it
    params.update(copy.deepcopy(given))
    params["train_split"] = data.valid and predefined_split(data.valid)
    kind = SDCANet if asked_solver(estimator) == DUAL else MaskedNet
    net = kind(module, criterion, **params)
    net.n_labels = data.targets.n_labels
    net.initialize()
    _check_callback_params(net, estimator)
    return net


def _module(estimator, data):
    """Return what makes the module, and arguments of which it takes those it names."""
    X, targets, module = data.X, data.targets, estimator.module
    sizes = {"n_features": X.shape[1], "n_labels": estimator.n_labels_}
    if is_own(module):
        return _maker(module), sizes
    if module == "embedding_bag":
        return EmbeddingBagModule, {**sizes, "embedding_dim": estimator.embedding_dim}
    rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
    return DirectSharedModule, {
        **sizes,
        "embedding_dim": min(data.embedding_dim, *X.shape),
        "shared_weight": data.penalty.shared_weight,
        "direct": choose_direct(X, rows, estimator.n_labels_),
    }


def _maker(made):
    """Return what makes a module: a class itself; for an instance, what copies it.

    The net trains what it is given. A copy for each training leaves the user's own as
    it was.
    """
    is_made = isinstance(made, torch.nn.Module)
    return functools.partial(copy.deepcopy, made) if is_made else made


def _update_net(estimator, data):
    """Let a net that goes on follow the estimator's parameters as they are now."""
    net, sizes, stops = estimator.net_, data.sizes, data.stops
    if is_ours(estimator.criterion):
        net.criterion_.soft_targets = data.targets.soft
    if net.lr == sizes["lr"]:  # to set it makes the optimizer anew
        sizes = {name: value for name, value in sizes.items() if name != "lr"}
    net.set_params(**sizes, verbose=estimator.verbose)
    net.train_split = data.valid and predefined_split(data.valid)
    # Early stopping looks at validation rows; where there are none it has no say.
    known = dict(net.callbacks_)
    stopping = dict(make_callbacks(estimator, stops)[-1:]) if stops else {}
    if "early_stopping" in known and not stops:
        net.callbacks_ = [c for c in net.callbacks_ if c[0] != "early_stopping"]
    elif "early_stopping" not in known and "early_stopping" in stopping:
        added = stopping["early_stopping"].initialize() or stopping["early_stopping"]
        net.callbacks_.insert(-1, ("early_stopping", added))
    elif "early_stopping" in known and "early_stopping" in stopping:
        old, new = known["early_stopping"], stopping["early_stopping"]
        old.patience, old.threshold = new.patience, new.threshold


def make_callbacks(estimator, stops):
    """Return the user's callbacks, copied, and early stopping where it `stops`."""
    if estimator.callbacks == "disable":
        return "disable"
    callbacks = [_copied(each) for each in estimator.callbacks or ()]
    if stops:
        stopping = skorch.callbacks.EarlyStopping(
            monitor="valid_loss",
            patience=estimator.n_iter_no_change,
            threshold=estimator.tol,
            threshold_mode="abs",
            load_best=True,
            sink=print if estimator.verbose else silent,
        )
        callbacks.append(("early_stopping", stopping))
    return callbacks


def _copied(given):
    """Return a copy of a callback, or of a pair of its name and it."""
    if isinstance(given, tuple):
        name, callback = given
        return name, _copied(callback)
    if type(given) is EpochScoring:
        return CellEpochScoring(**given.get_params(deep=False))
    try:
        return copy.deepcopy(given)
    except TypeError:
        # An open file or a writer cannot be copied: the copy writes to the same.
        return copy.copy(given)


def _check_callback_params(net, estimator):
    """Raise for a `callbacks__*` in `net_params` that names no callback of the net."""
    known = []
    if estimator.callbacks != "disable":
        given = (each for each in estimator.callbacks or () if isinstance(each, tuple))
        # One that was set to None is no longer among them.
        known = [*net._default_callbacks, *given, *net.callbacks_]
    names = dict.fromkeys(each[0] for each in known)
    for param in estimator.net_params or ():
        if param.startswith("callbacks__") and param.split("__")[1] not in names:
            raise ValueError(
                f"`{param}` names no callback of the net, which has "
                f"{', '.join(names) or 'none'}."
            )


# Where it runs


def resolve_device(device):
    """Return the torch device for "auto" or an explicit name.

    Raises
    ------
    ValueError
        If torch does not know the name, or there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            '`device` accepts "auto" or the name of a torch device such as "cpu" or '
            f'"cuda:0"; got {device!r}.'
        ) from error
    if not is_here(resolved):
        raise ValueError(
            f"`device` is {device!r}, and torch finds no such device on this machine; "
            'pass "cpu" or "auto".'
        )
    return resolved


def is_here(device):
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        index = 0 if device.index is None else device.index
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    backend = getattr(torch, device.type, None) or getattr(
        torch.backends, device.type, None
    )
    return backend is not None and backend.is_available()


@contextlib.contextmanager
def threads_for(module, X):
    """Run torch's operators of this thread by one thread, if X is small.

    Other threads, and torch's own setting, are left alone: OpenMP keeps the number for
    each thread. A module of a user's own, which may be large, gets what torch has.
    """
    size = X.nnz if sp.issparse(X) else math.prod(X.shape)
    if is_own(module) or size > _FEW:
        yield
        return
    with _pools.limit(limits=1, user_api="openmp"):
        yield
