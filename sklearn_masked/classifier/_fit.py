"""The recipe of a fit: from validated rows and labels to a trained net."""

import contextlib
import threading
import warnings

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning

from ..exceptions import InterruptedFitWarning
from ..nn.model._direct import PairDirect
from ..nn.model._scaling import feature_scales
from ..nn.sdca import SDCASolver
from ..nn.sdca._batches import free_heap
from ..nn.sgd._optim import replace_parameter
from ._calibrate import calibrate
from ._checkpoint import Checkpoint
from ._data import prepare, start_biases
from ._feature_blocks import select_shares
from ._label_prior import apply_prior
from ._net import init_net, threads_for
from ._new_labels import join_labels
from ._select_representation import scale_power, select_representation, taken
from ._solvers import AUTO, DUAL, reads, settled_params

# Held by a fit that draws from torch's global generators.
_GLOBAL_GENERATORS = threading.RLock()
# A duality gap, in nats per cell, from which on the user is warned.
_FAR = 0.01


def fit(estimator, X, targets, *, first, whole):
    """Train an estimator on the labeled cells; docs/algorithm.md says what is computed.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        A copy to work on, with the labels and the number of features set. Its fitted
        attributes are set.
    X : CSR matrix or array of shape (n_samples, ...)
        All rows, float32.
    targets : CellTargets
        Their labeled cells.
    first, whole : bool
        See :class:`~sklearn_masked.classifier._data.FitData`.
    """
    data = prepare(estimator, X, targets, first=first, whole=whole)
    with _training(estimator, data):
        init_net(estimator, data)
        if first and estimator.module is None:
            init_model(estimator, data)
            free_heap(data.X.size)
            select_representation(estimator, data)
            if data.blocks is not None:
                select_shares(estimator, data)
            free_heap(data.X.size)
        join_labels(estimator, data)
        make_solver(estimator, data)
        free_heap(data.X.size)
        run(estimator, data)
        free_heap(data.X.size)
        if data.solver == DUAL:
            with _kept_if_interrupted(estimator):
                calibrate(estimator, data)
                if estimator._label_prior is not None:
                    apply_prior(estimator, data.X)
        set_fitted(estimator, data)
        was_cut_short = getattr(estimator.net_, "interrupted_", False)
        if data.checkpoint is not None and not was_cut_short:
            data.checkpoint.remove()


@contextlib.contextmanager
def _training(estimator, data):
    """Set threads and generators for a training; afterwards the net holds no rows."""
    with threads_for(estimator.module, data.X), _seeded(estimator, data):
        try:
            yield
        finally:
            if hasattr(estimator, "net_"):
                estimator.net_.release()


@contextlib.contextmanager
def _seeded(estimator, data):
    """Seed what a user's own classes draw from, torch's global generators.

    They are left as they were; the default model draws from generators of the fit's
    own. The lock keeps fits in other threads from drawing from them meanwhile.
    """
    own = estimator.module, estimator.criterion, estimator.optimizer
    if all(part is None for part in own):
        yield
        return
    devices = [data.device] if data.device.type == "cuda" else []
    with _GLOBAL_GENERATORS, torch.random.fork_rng(devices=devices):
        torch.manual_seed(data.seed)
        yield


def init_model(estimator, data):
    """Initialize the default module: scales and embedding by X, biases by counts."""
    module = estimator.net_.module_
    if data.blocks is None:
        data.scales = feature_scales(data.X, center=estimator.std_power is not None)
    else:
        data.scales = data.blocks.scales(estimator, data.X)
    power = scale_power(estimator, data.scales, data.penalty.idf_power)
    generator = torch.Generator().manual_seed(data.seed)
    module.init_from_data(data.X, power, data.scales, generator)
    bias = torch.from_numpy(start_biases(estimator, data))
    module.bias.data.copy_(bias)


def make_solver(estimator, data):
    """Make the dual solver, or what an optimizer needs, for the default module."""
    if estimator.module is not None:
        return
    net, targets = estimator.net_, data.targets
    module = net.module_
    if data.solver == DUAL:
        # The start of a label's bias counts as one cell; later, as those it has seen.
        now = np.add(*targets.labeled.totals())
        seen = estimator._n_positive + estimator._n_negative - now
        n_cells = np.maximum(seen / data.mean_weight, 1.0)
        precision = n_cells * data.mean_loss_weight
        args = module, data.train, estimator.C_
        net.solver = SDCASolver(*args, cold=data.first, prior_precision=precision)
        if estimator.checkpoint is not None and data.whole:
            data.checkpoint = Checkpoint(estimator, data)
    elif isinstance(module.direct, PairDirect):
        cell_rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
        cols = targets.indices.astype(np.int64)
        before = module.direct.weight
        kept = module.direct.extend(data.X, cell_rows, cols)
        if not data.first:
            replace_parameter(net.optimizer_, before, module.direct.weight, kept)
    if data.first or data.solver == DUAL:
        # The parameters took their sizes from the data.
        net.initialize_optimizer()


def run(estimator, data):
    """Go through the epochs, and say what happened where they did not end as usual."""
    net = estimator.net_
    n_before = len(net.history)
    if not len(data.train):
        return
    try:
        net.train(data.train, _epochs_left(estimator, data))
    except FloatingPointError as error:
        raise ValueError(_why_diverged(estimator, data, error)) from error
    if net.interrupted_:
        n_epochs = len(net.history) - n_before
        if not n_epochs:
            raise KeyboardInterrupt
        warnings.warn(
            f"The training was interrupted after {n_epochs} finished epochs; "
            "they are kept.",
            InterruptedFitWarning,
            stacklevel=4,
        )
    elif data.solver == DUAL and data.whole and not data.stops:
        _warn_unconverged(net)


def _epochs_left(estimator, data):
    """Return how many epochs to train, after those that a checkpoint holds."""
    if not data.whole:
        return 1
    n_epochs, net = data.sizes["max_epochs"], estimator.net_
    if data.checkpoint is None:
        return n_epochs
    n_before = len(net.history)
    data.checkpoint.resume(net)
    net.solver.after_epoch = data.checkpoint.save
    n_done = len(net.history) - n_before
    is_done = n_done and net.solver.has_converged
    return 0 if is_done else max(n_epochs - n_done, 0)


def _warn_unconverged(net):
    """Warn if the dual ascent used up its epochs far from the optimum."""
    if net.stopped_by_callback_:
        return
    gap = net.solver.gap_per_cell
    if gap > _FAR:
        warnings.warn(
            f"The duality gap is still about {gap:.2g} nats per cell after "
            f"{len(net.history)} epochs. Raise `max_epochs`, or lower `C`, here "
            f"{net.solver.C:.3g}.",
            ConvergenceWarning,
            stacklevel=5,
        )


def _why_diverged(estimator, data, error):
    """Return the sentence for a loss that is not finite."""
    net, criterion = estimator.net_, estimator.criterion
    is_first = len(net.history) == 1
    if is_first and criterion is not None and not hasattr(criterion, "cell_loss"):
        return (
            "`criterion` must leave out unlabeled cells, which are NaN among its "
            f"targets; got {criterion!r}, and {error}. Pass a subclass of "
            "MaskedBCEWithLogitsLoss."
        )
    remedy = f"Lower `lr` (here {net.lr}), or scale X"
    if data.solver == DUAL:
        remedy = "Scale X"
    return f"Training diverged: {error}. {remedy}."


@contextlib.contextmanager
def _kept_if_interrupted(estimator):
    """Go back to the trained weights, and warn, where what follows is interrupted."""
    module, C = estimator.net_.module_, estimator.C_
    # The solver changes the others of the state neither here nor elsewhere.
    kept = {
        name: value.clone()
        for name, value in module.state_dict().items()
        if (value.is_floating_point() or name.startswith("direct."))
        and name != "embedding"
    }
    try:
        yield
    except KeyboardInterrupt:
        module.load_state_dict(kept, strict=False)
        estimator.C_ = C
        warnings.warn(
            "The fit was interrupted after the training, which is kept, and before its "
            "output was scaled: probabilities may be too near 0 and 1.",
            InterruptedFitWarning,
            stacklevel=5,
        )


def set_fitted(estimator, data):
    """Set the attributes that tell how the training went, and what "auto" took."""
    estimator.n_iter_ = len(estimator.net_.history)
    values = {} if data.first else dict(estimator.auto_params_)
    values |= {**data.sizes, "device": str(data.device)}
    values["unlabeled_weight"] = estimator._unlabeled_weight
    values.pop("C", None)
    if data.solver == DUAL:
        values["C"] = estimator.C_
    if data.first:
        estimator._settled = settled_params(estimator, data.solver)
        if estimator.module is None:
            values |= taken(estimator.net_.module_, data)
            if sp.issparse(data.X):
                values["feature_blocks"] = data.blocks and data.blocks.named
        if data.blocks is not None:
            shares = zip(data.blocks.names, data.scales.shares.tolist(), strict=True)
            estimator.feature_block_shares_ = dict(shares)
    estimator.auto_params_ = {
        name: values[name]
        for name in AUTO
        if name in values and reads(data.solver, name)
    }
