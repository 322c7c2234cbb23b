"""A saved net of known parts as plain data: numbers, strings, arrays, lists, dicts.

What reads a saved model type by type, as skops does, then sees the net alone, and
nothing in it is another file that could run code.
"""

import numpy as np
import torch
from skorch.callbacks import EarlyStopping, EpochTimer, PassthroughScoring, PrintLog
from skorch.dataset import Dataset
from skorch.history import History

from .._batches import BatchIterator
from ..model._embedding_bag import EmbeddingBagModule
from ..model._module import DirectSharedModule
from ._losses import MaskedBCEWithLogitsLoss
from ._optim import FallbackAdam, LazyAdam, RowWiseAdagrad, SparseSGD

# Callbacks of skorch's own that look at times and losses alone.
BLIND = {EpochTimer, PassthroughScoring, PrintLog}
# Those of skorch's that keep no tensor after a training.
TENSORLESS = BLIND | {EarlyStopping}


def silent(text):
    """Print nothing."""


# Names in a saved net: of classes, and of functions that callbacks print by.
_NAMED = {
    kind.__name__: kind
    for kind in (
        BatchIterator,
        Dataset,
        DirectSharedModule,
        EarlyStopping,
        EmbeddingBagModule,
        EpochTimer,
        FallbackAdam,
        LazyAdam,
        MaskedBCEWithLogitsLoss,
        PassthroughScoring,
        PrintLog,
        RowWiseAdagrad,
        SparseSGD,
    )
}
_SINKS = {"print": print, "silent": silent}
_CLASSES = (
    "module",
    "criterion",
    "optimizer",
    "iterator_train",
    "iterator_valid",
    "dataset",
)


def to_plain(state):
    """Return the state of a net of known parts, but for these, as plain data.

    What a user set that is not known, an iterator or where a callback prints, stays as
    it is.
    """
    state = dict(state)
    del state["virtual_params_"]  # skorch makes them with the optimizer
    for name in _CLASSES:
        state[name] = _name_of(state[name])
    state["history_"] = [dict(row) for row in state["history_"]]
    callbacks = state["callbacks_"]
    state["callbacks_"] = [
        [name, type(callback).__name__, _with_sink(vars(callback), _name_of_sink)]
        for name, callback in callbacks
    ]
    # Callbacks among the parameters are those that were initialized.
    places = {id(callback): place for place, (_, callback) in enumerate(callbacks)}
    if isinstance(state["callbacks"], list):
        state["callbacks"] = [
            [each[0], places[id(each[1])]]
            if isinstance(each, tuple) and id(each[1]) in places
            else each
            for each in state["callbacks"]
        ]
    return state


def from_plain(state):
    """Return the attributes of a net that `to_plain` made a state of."""
    state = {**state, "virtual_params_": {}}
    for name in _CLASSES:
        if isinstance(state[name], str):
            state[name] = _class_of(state[name])
    history = History()
    history.extend(state["history_"])
    state["history_"] = history
    state["callbacks_"] = callbacks = [
        (name, _callback(kind, attributes))
        for name, kind, attributes in state["callbacks_"]
    ]
    if isinstance(state["callbacks"], list):
        state["callbacks"] = [
            (each[0], callbacks[each[1]][1]) if isinstance(each, list) else each
            for each in state["callbacks"]
        ]
    return state


def _with_sink(attributes, function):
    """Return attributes with a function of the one that says where to print."""
    if "sink" not in attributes:
        return dict(attributes)
    return {**attributes, "sink": function(attributes["sink"])}


def _name_of_sink(sink):
    names = (name for name, known in _SINKS.items() if known is sink)
    return next(names, sink)


def _callback(kind, attributes):
    callback = object.__new__(_class_of(kind))
    known = _with_sink(attributes, lambda sink: _SINKS.get(sink, sink))
    vars(callback).update(known)
    return callback


def _name_of(kind):
    """Return the name of a class that is known, else the class."""
    name = getattr(kind, "__name__", "")
    if _NAMED.get(name) is kind:
        return name
    return f"torch.optim.{name}" if getattr(torch.optim, name, None) is kind else kind


def _class_of(name):
    """Return the class of a name.

    Raises
    ------
    ValueError
        If it is none of those that a saved net may have.
    """
    kind = _NAMED.get(name)
    if kind is None and name.startswith("torch.optim."):
        kind = getattr(torch.optim, name.removeprefix("torch.optim."), None)
        is_class = isinstance(kind, type)
        kind = kind if is_class and issubclass(kind, torch.optim.Optimizer) else None
    if kind is None:
        raise ValueError(f"A saved net has a class that is not known: {name!r}.")
    return kind


def to_arrays(value):
    """Return nested dicts, lists and tuples with their tensors as arrays.

    Numbers that numpy does not have, such as bfloat16, stay tensors on the CPU.
    """
    if isinstance(value, dict):
        return {key: to_arrays(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_arrays(part) for part in value)
    if not torch.is_tensor(value):
        return value
    value = value.detach().cpu()
    try:
        return value.numpy()
    except TypeError:
        return value


def to_tensors(value):
    """Return nested dicts, lists and tuples with their arrays as tensors."""
    if isinstance(value, dict):
        return {key: to_tensors(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_tensors(part) for part in value)
    # A copy: arrays of a saved file may be read-only.
    return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value
