"""The skorch net: its loop, callbacks and history, over batches of labeled cells."""

import copy
import traceback

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from skorch.utils import to_device, to_tensor
from torch.nn.modules.batchnorm import _BatchNorm

from .._batches import BatchIterator, CellBatch, in_form, model_input
from ..model._embedding_bag import EmbeddingBagModule
from ..model._module import DirectSharedModule
from ._losses import MaskedBCEWithLogitsLoss
from ._optim import complete_lbfgs
from ._prefetch import place
from ._saved import TENSORLESS, from_plain, to_arrays, to_plain, to_tensors

# What holds tensors. A learning rate schedule among the callbacks holds the optimizer.
_TORCH_PARTS = ("module_", "criterion_", "optimizer_", "callbacks_")
# The classes of the models by name, which a saved net makes anew.
_OURS = {
    "module": (DirectSharedModule, EmbeddingBagModule),
    "criterion": (MaskedBCEWithLogitsLoss,),
}


class MaskedNet(NeuralNet):
    """A :class:`skorch.NeuralNet` that learns from the labeled cells of its batches.

    It takes a :class:`~sklearn_masked.nn._batches.CellDataset` in the place of X and y.
    Where the module can compute the logits of single cells (a method
    `cell_logits(rows, cols, **inputs)`) and the criterion takes them (`cell_loss`),
    no other logits are computed.
    """

    # The estimator, which callbacks ask for predictions while the training lasts.
    owner = None

    def __init__(
        self,
        module,
        criterion=MaskedBCEWithLogitsLoss,
        *,
        iterator_train=BatchIterator,
        iterator_valid=BatchIterator,
        iterator_train__shuffle=True,
        train_split=None,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=criterion,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            iterator_train__shuffle=iterator_train__shuffle,
            train_split=train_split,
            **kwargs,
        )

    def initialize_optimizer(self, *args, **kwargs):
        """Initialize the optimizer, and let the module give the gradients it takes."""
        super().initialize_optimizer(*args, **kwargs)
        if hasattr(self.module_, "sparse_gradients"):
            sparse = getattr(self.optimizer_, "takes_sparse_gradients", False)
            # What looks at gradients must find them multiplied out.
            seen = self._listens_to("on_grad_computed")
            self.module_.sparse_gradients = "blocks" if sparse and not seen else sparse
        return self

    def get_dataset(self, X, y=None):
        """Return the dataset as it came."""
        return X

    def get_iterator(self, dataset, training=False):
        """Return skorch's iterator, its data on the device if they fit there."""
        iterator = super().get_iterator(dataset, training)
        if isinstance(iterator, BatchIterator):
            size, fixed = iterator.batch_size, iterator.fixed
            iterator.dataset = place(dataset, self.device, size, fixed)
            parts = self.module_.modules() if training else ()
            if any(isinstance(part, _BatchNorm) for part in parts):
                iterator.fewest = 2
        return iterator

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks, and remember when they end the training."""
        is_end = method_name == "on_epoch_end"
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as stop:
            # skorch's callbacks end the training by raising what Ctrl-C raises, which
            # arrives mostly in what they call.
            self.stopped_by_callback_ = is_end and _raised_in(stop) == method_name
            raise

    def train(self, dataset, epochs):
        """Go through the dataset so many times, from the parameters as they are.

        An interruption ends it: what is finished stays, and `interrupted_` tells.
        """
        self.interrupted_ = self.stopped_by_callback_ = False
        try:
            self.notify("on_train_begin", X=dataset, y=None)
            self.fit_loop(dataset, epochs=epochs)
        except KeyboardInterrupt:
            # Either way the finished epochs stay.
            self.interrupted_ = not self.stopped_by_callback_
            if self.interrupted_:
                _drop_unfinished_epoch(self.history)
        try:
            self._end_training(dataset)
        except KeyboardInterrupt:
            self.interrupted_ = True
            self._end_training(dataset)
        return self

    def release(self):
        """Let go of the rows and of the estimator after a training."""
        self.train_split = self.owner = None

    def _end_training(self, dataset):
        """Write what training left to write; once more where it was interrupted."""
        self.notify("on_train_end", X=dataset, y=None)
        for _, callback in self.callbacks_:
            if isinstance(callback, EarlyStopping):
                callback.best_model_weights_ = None  # the module has them by now
        for row in self.history:
            # skorch averages with numpy: a saved history holds Python numbers alone.
            row.update(
                (key, value.item())
                for key, value in row.items()
                if isinstance(value, np.generic)
            )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Go through the batches once; read the losses back once, at the end.

        skorch reads each loss as it comes, which waits for the device at each step,
        and takes the rows as a batch's size: here it is the cells' weight, so that
        the epoch's loss is the mean over the cells.
        """
        if iterator is None:
            return
        listens = self._listens_to_batches()
        losses, sizes = [], []
        for batch in iterator:
            if listens:
                self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            sizes.append(self._size_of(batch))
            if listens:
                self._record_batch(prefix, losses[-1].item(), sizes[-1])
                self.notify("on_batch_end", batch=batch, training=training, **step)
        values = torch.stack(losses).tolist() if losses else []
        if not listens:
            # skorch opens a batch's row of the history in its own hook.
            for loss, size in zip(values, sizes, strict=True):
                self.history.new_batch()
                self._record_batch(prefix, loss, size)
        self.history.record(prefix + "_batch_count", len(losses))
        if not np.isfinite(values).all():
            raise FloatingPointError(
                f"the {prefix} loss became {_first_bad(values)} in epoch "
                f"{len(self.history)}"
            )

    def _size_of(self, batch):
        """Return the number of labeled cells of a batch."""
        return _n_cells(batch[1])

    def _record_batch(self, prefix, loss, size):
        self.history.record_batch(prefix + "_loss", loss)
        self.history.record_batch(prefix + "_batch_size", size)

    def _listens_to_batches(self):
        """Return whether a callback looks at single batches."""
        return self._listens_to("on_batch_begin", "on_batch_end", "on_grad_computed")

    def _listens_to(self, *hooks):
        """Return whether a callback has one of these hooks of its own."""
        return any(
            getattr(type(callback), hook, None) is not getattr(Callback, hook)
            for _, callback in self.callbacks_
            for hook in hooks
        )

    def train_step_single(self, batch, **fit_params):
        """Compute the loss of a batch's labeled cells, and its gradients."""
        self._set_training(True)
        loss = self._loss_of(batch)
        loss.backward()
        return {"loss": loss, "y_pred": None}

    def validation_step(self, batch, **fit_params):
        """Compute the loss of a batch's labeled cells."""
        self._set_training(False)
        with torch.no_grad():
            return {"loss": self._loss_of(batch), "y_pred": None}

    def _loss_of(self, batch):
        inputs = to_tensor(batch[0], device=self.device)
        target = _to_device(batch[1], self.device)
        if isinstance(target, CellBatch):
            return self._cell_loss(inputs, target)
        logits = self._logits(inputs, len(target.targets))
        if target.weight is None:
            return self.criterion_(logits, target.targets)
        return self.criterion_(logits, target.targets, target.weight)

    def _cell_loss(self, inputs, cells):
        if hasattr(self.module_, "cell_logits"):
            bags = inputs if isinstance(inputs, dict) else {"X": inputs}
            logits = self.module_.cell_logits(cells.rows, cells.cols, **bags)
        else:
            logits = self._logits(inputs, cells.shape[0])[cells.rows, cells.cols]
        return self.criterion_.cell_loss(logits, *cells)

    def _inputs(self, X):
        """Return a block of rows in the form that the module was trained with."""
        X = in_form(X, getattr(self.module_, "takes_sparse", None))
        return to_tensor(model_input(X), device=self.device)

    def _logits(self, inputs, n_rows):
        """Return the module's raw scores, after a look at their shape."""
        call = self.module_
        try:
            logits = call(**inputs) if isinstance(inputs, dict) else call(inputs)
        except RuntimeError as error:
            if type(error) is not RuntimeError or isinstance(inputs, dict):
                raise  # such as torch.OutOfMemoryError
            raise RuntimeError(
                f"`module`: the forward of {type(call).__name__} fails on a batch of X "
                f"of shape {tuple(inputs.shape)} and {inputs.dtype}: {error}"
            ) from error
        expected = (n_rows, self.n_labels)
        if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != expected:
            got = getattr(logits, "shape", type(logits).__name__)
            got = tuple(got) if isinstance(got, torch.Size) else got
            raise ValueError(
                "`module` must return raw logits of shape (batch, n_labels) = "
                f"{expected}; {type(call).__name__} returned {got}."
            )
        return logits

    def logits(self, X):
        """Return the logits of some rows as an array of shape (n_rows, n_labels)."""
        self._set_training(False)
        inputs = self._inputs(X)
        with torch.no_grad():
            return _as_array(self._logits(inputs, X.shape[0]))

    def computes_cells(self):
        """Return whether the module computes single cells without all the others."""
        known = hasattr(self.module_, "cell_logits")
        return known and getattr(self.module_, "computes_cells", True)

    def cell_logits(self, X, rows, cols, by_cell):
        """Return the logits of these cells of X as an array of shape (n_cells,).

        Parameters
        ----------
        X : CSR matrix or array of shape (n_samples, ...)
            A block of rows.
        rows, cols : int64 arrays of shape (n_cells,)
            The cells.
        by_cell : bool
            Whether to compute these alone; False computes all cells of the rows.
        """
        self._set_training(False)
        inputs = self._inputs(X)
        rows = torch.from_numpy(rows).to(self.device)
        cols = torch.from_numpy(cols).to(self.device)
        with torch.no_grad():
            if by_cell:
                bags = inputs if isinstance(inputs, dict) else {"X": inputs}
                logits = self.module_.cell_logits(rows, cols, **bags)
            else:
                logits = self._logits(inputs, X.shape[0])[rows, cols]
        return _as_array(logits)

    def copy(self):
        """Return a net to train in the place of this one, which stays as it is.

        What training changes is copied in one go, so that what the parts share stays
        shared: the optimizer and a schedule among the callbacks hold the parameters.
        """
        names = *_TORCH_PARTS, "history_", "iterator_train__generator"
        parts = {name: vars(self)[name] for name in names if name in vars(self)}
        net = object.__new__(type(self))
        try:
            parts = copy.deepcopy(parts, {id(self): net})
        except TypeError:
            memo = {id(self): net, **_shared_by_callbacks(self.callbacks_)}
            parts = copy.deepcopy(parts, memo)
        net.__dict__ = {**vars(self), **parts}
        complete_lbfgs(net.optimizer_)
        return net

    def __getstate__(self):
        """Return the state, in which every tensor is on the CPU.

        The parts of the default model are arrays and names of classes, by which they
        are made anew: no code is run. A module, criterion, optimizer or callback of a
        user's own is in the state as the object that it is: what reads a saved model
        type by type, as skops does, sees each of them.
        """
        state = self.__dict__.copy()
        state["train_split"] = None  # it may hold the validation rows
        state["device"] = "cpu"
        state.pop("owner", None)
        parts = {name: state.pop(name) for name in _TORCH_PARTS if name in state}
        if not self._is_default(parts):
            return {**state, **_on_cpu(parts)}
        state["callbacks_"] = parts.pop("callbacks_")
        state = to_plain(state)
        arrays = {name: to_arrays(part.state_dict()) for name, part in parts.items()}
        return {**state, "arrays": arrays}

    def __setstate__(self, state):
        """Take up a state; tensors are on the CPU until :meth:`move_to` is called."""
        state = dict(state)
        arrays = state.pop("arrays", None)
        if arrays is None:
            self.__dict__.update(state)
            complete_lbfgs(state.get("optimizer_"))
            return
        self.__dict__.update(from_plain(state))
        tensors = to_tensors(arrays)
        for name, kinds in _OURS.items():
            kind = getattr(self, name)
            if kind not in kinds:
                raise TypeError(
                    f"A saved net of tensors accepts a {name} of {kinds}; got {kind!r}."
                )
            part = kind(**self.get_params_for(name))
            part.load_state_dict(tensors[name + "_"], assign=True)
            setattr(self, name + "_", part)
        if not _is_of_torch(self.optimizer):
            raise TypeError(
                "A saved net of tensors accepts an optimizer of torch or of "
                f"sklearn_masked; got {self.optimizer!r}."
            )
        self.initialize_optimizer()
        self.optimizer_.load_state_dict(tensors["optimizer_"])

    def _is_default(self, parts):
        """Return whether these parts are made of tensors and of known classes alone."""
        same = all(
            getattr(self, name) is type(parts.get(name + "_"))
            and getattr(self, name) in kinds
            for name, kinds in _OURS.items()
        )
        kinds = {type(callback) for _, callback in parts.get("callbacks_", ())}
        return same and kinds <= TENSORLESS and _is_of_torch(self.optimizer)

    def move_to(self, device):
        """Move the module, the criterion and the optimizer's state to a device."""
        self.__dict__["device"] = device
        for name in ("module_", "criterion_"):
            setattr(self, name, to_device(getattr(self, name), device))
        # `load_state_dict` casts the state to where the parameters are now.
        self.optimizer_.load_state_dict(self.optimizer_.state_dict())


def _shared_by_callbacks(callbacks):
    """Return what callbacks hold and nothing can copy, an open file for one, by id."""
    shared = {}
    for _, callback in callbacks:
        for value in vars(callback).values():
            try:
                copy.deepcopy(value)
            except TypeError:
                shared[id(value)] = value
    return shared


def _raised_in(error):
    """Return the name of the function that an error was raised in."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code.co_name


def _drop_unfinished_epoch(history):
    """Remove the last epoch of a history if its training did not end."""
    if len(history) and "train_loss" not in history[-1]:
        del history[-1]


def _is_of_torch(optimizer):
    """Return whether this is an optimizer of torch or of this package."""
    known = isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer)
    return known and optimizer.__module__.split(".")[0] in ("torch", "sklearn_masked")


def _first_bad(losses):
    return next(loss for loss in losses if not np.isfinite(loss))


def _n_cells(target):
    """Return the number of labeled cells of a batch, without asking a device."""
    if isinstance(target, CellBatch):
        return len(target.values)
    if target.n_cells is not None:
        return target.n_cells
    return int((~target.targets.isnan()).sum())


def _to_device(batch, device):
    """Move a batch of targets; weights become float32 on devices without float64."""
    return type(batch)(
        *(
            part.to(device, non_blocking=True)
            if isinstance(part, torch.Tensor)
            else part
            for part in batch
        )
    )


def _as_array(logits):
    """Return logits for numpy, which has no bfloat16."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits.cpu().numpy()


def _on_cpu(parts):
    """Return a copy with every tensor on the CPU, ties between parts kept."""
    tensors = [
        *parts["module_"].parameters(),
        *parts["module_"].buffers(),
        *parts["criterion_"].parameters(),
        *parts["criterion_"].buffers(),
    ]
    for state in parts["optimizer_"].state.values():
        tensors += [value for value in state.values() if torch.is_tensor(value)]
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return parts
    memo = {}
    for tensor in tensors:
        moved = tensor.detach().cpu()
        if isinstance(tensor, torch.nn.Parameter):
            moved = torch.nn.Parameter(moved, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = moved
    return copy.deepcopy(parts, memo)
