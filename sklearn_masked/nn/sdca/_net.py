"""The skorch net whose steps are those of dual coordinate ascent."""

from skorch import NeuralNet
from skorch.callbacks import EarlyStopping

from ..sgd._net import MaskedNet
from ..sgd._saved import BLIND


class SDCANet(MaskedNet):
    """A :class:`MaskedNet` that a solver trains: skorch's loop, no gradients.

    Attributes
    ----------
    solver : SDCASolver or None
        Set for the time of one training. Without it an optimizer takes the steps.
    """

    solver = None

    def train_step(self, batch, **fit_params):
        """Take a step of the solver in a batch's slice of cells."""
        if self.solver is None:
            return super().train_step(batch, **fit_params)
        self._set_training(True)
        return {"loss": self.solver.step(batch[1]), "y_pred": None}

    def get_iterator(self, dataset, training=False):
        """Return the iterator of an SDCADataset as it is: its batches are slices."""
        if self.solver is None or not training:
            return super().get_iterator(dataset, training)
        return NeuralNet.get_iterator(self, dataset, training)

    def run_single_epoch(self, iterator, training, **kwargs):
        """Go through the batches once, then re-optimize the biases."""
        super().run_single_epoch(iterator, training, **kwargs)
        if training and self.solver is not None:
            self.solver.end_epoch()
            if self._is_watched():
                self.solver.write()

    def notify(self, method_name, **cb_kwargs):
        """Call the callbacks, and end the training where the solver has converged."""
        is_step = method_name == "on_batch_end" and cb_kwargs["training"]
        if is_step and self.solver is not None:
            self.solver.write()
        super().notify(method_name, **cb_kwargs)
        if method_name == "on_epoch_end" and self.solver is not None:
            if self.solver.after_epoch is not None:
                self.solver.after_epoch(self)
            # Early stopping decides by the loss of rows that were set aside.
            kinds = (isinstance(each, EarlyStopping) for _, each in self.callbacks_)
            self.stopped_by_callback_ = not any(kinds) and self.solver.has_converged
            if self.stopped_by_callback_:
                raise KeyboardInterrupt

    def release(self):
        """Let go of the rows, the solver and the estimator after a training."""
        super().release()
        self.solver = None

    def _end_training(self, dataset):
        if self.solver is not None:
            self.solver.write()
        super()._end_training(dataset)

    def _size_of(self, batch):
        cells = batch[1]
        if isinstance(cells, slice):
            return cells.stop - cells.start
        return super()._size_of(batch)

    def _is_watched(self):
        """Return whether validation rows or a user's callbacks see each epoch."""
        kinds = {type(callback) for _, callback in self.callbacks_}
        return self.train_split is not None or not kinds <= BLIND

    def __getstate__(self):
        return {**super().__getstate__(), "solver": None}  # it holds training rows
