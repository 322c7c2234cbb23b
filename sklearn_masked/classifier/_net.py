"""From the estimator's parameters to a skorch net."""

import copy
import functools
import inspect

import numpy as np
import skorch
import torch
from skorch.helper import predefined_split

from ..labels.names import check_same_names, entry_names
from ..nn.model._embedding_bag import EmbeddingBagModule
from ..nn.sdca import FallbackAdam, SDCANet
from ..nn.sgd.losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from ..nn.sgd.net import MaskedNet
from ._callbacks import make_callbacks
from ._solvers import DUAL, READ_BY, asked_solver, is_ours

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


def is_net_param(name):
    """Return whether a parameter's name is one that skorch takes by prefix."""
    return name.startswith(NET_PREFIXES)


def check_net_params(net_params, taken):
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
        "unlabeled_weight": 0.0 if are_drawn else estimator.unlabeled_weight,
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
            f"`{name}` accepts one number or one a label, shape ({n_labels},); got "
            f"shape {array.shape}."
        )
    if not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"`{name}` accepts finite numbers from 0; got {value!r}.")
    with np.errstate(over="ignore", under="ignore"):
        stored = array.astype(np.float32)
    if not (np.isfinite(stored) & ((stored == 0) == (array == 0))).all():
        raise ValueError(f"`{name}` must be in the range of float32; got {value!r}.")
    return array


def module_params(module, offered):
    """Return those of the offered arguments that a module's signature names."""
    parameters = inspect.signature(module).parameters
    return {f"module__{k}": v for k, v in offered.items() if k in parameters}


def build_net(
    estimator, module, module_kwargs, targets, valid, stops, device, seed, sizes
):
    """Return an uninitialized net for the estimator's parameters.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose parameters to follow.
    module : callable
        Returns the module: its class, or what copies one.
    module_kwargs : dict
        Its arguments, as `module__*`.
    targets : CellTargets
        Of the training rows, for the loss.
    valid : CellDataset or None
        Validation rows.
    stops : bool
        Whether their loss stops the training.
    device : torch.device
        Where to train.
    seed : int
        Of the order of the batches.
    sizes : dict
        `lr`, `batch_size` and `max_epochs`, where they were "auto" by their rules.
    """
    ours, given = MaskedBCEWithLogitsLoss, estimator.criterion
    criterion = ours if given is None else maker(given)
    params = {
        "optimizer": estimator.optimizer or FallbackAdam,
        **sizes,
        "device": device,
        "verbose": estimator.verbose,
        "callbacks": make_callbacks(estimator, stops),
        "iterator_train__generator": np.random.default_rng(seed),
        **module_kwargs,
    }
    if estimator.optimizer is None and estimator.module == "embedding_bag":
        params["optimizer__fused"] = True  # one pass over a large table
    if is_ours(estimator.criterion):
        arguments = criterion_params(estimator, targets)
        params.update({f"criterion__{k}": v for k, v in arguments.items()})
    given = dict(estimator.net_params or {})
    given.pop("train_split", None)  # `valid` is what came of it
    params.update(copy.deepcopy(given))
    params["train_split"] = None if valid is None else predefined_split(valid)
    kind = SDCANet if asked_solver(estimator) == DUAL else MaskedNet
    net = kind(module, criterion, **params)
    net.n_labels = targets.n_labels
    return net


def maker(made):
    """Return what makes a module: a class itself; for an instance, what copies it.

    A name stands for the class of the classic model.
    The net trains what it is given. A copy for each training leaves the user's own as
    it was.
    """
    if made == "embedding_bag":
        return EmbeddingBagModule
    is_made = isinstance(made, torch.nn.Module)
    return functools.partial(copy.deepcopy, made) if is_made else made


def update_net(net, estimator, targets, valid, stops, sizes):
    """Let a net that goes on follow the estimator's parameters as they are now."""
    if is_ours(estimator.criterion):
        net.criterion_.soft_targets = targets.soft
    if net.lr == sizes["lr"]:  # to set it makes the optimizer anew
        sizes = {name: value for name, value in sizes.items() if name != "lr"}
    net.set_params(**sizes, verbose=estimator.verbose)
    net.train_split = None if valid is None else predefined_split(valid)
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
