"""From validated rows and labels to a trained net, for `fit` and `partial_fit`."""

import contextlib
import functools
import threading
import warnings

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..labels import cell_weights, check_sample_weight
from ..nn.batches import CellDataset, CellTargets
from ..nn.model._direct import PairDirect
from ..nn.model._module import DirectSharedModule, build_module
from ..nn.model._scaling import feature_scales
from ..nn.sdca import SDCADataset, SDCASolver
from ..nn.sdca._row_digests import grouped_permutation
from ..nn.sgd.losses import MaskedBCEWithLogitsLoss
from ..nn.sgd.optim import replace_parameter
from . import _calibrate, _net, _persistence, _select_representation
from ._callbacks import check_callback_params
from ._label_prior import apply_prior
from ._select_penalty import USUAL, average_penalty, given_penalty
from ._solvers import (
    AUTO,
    DUAL,
    check_read,
    check_settled,
    is_own,
    learning_rate,
    reads,
    settled_params,
    solver_of,
)
from ._threads import threads_for
from ._validation import own_split
from ._weak_negatives import expected_totals, with_weak_negatives

# Labels that store what is not negative are turned into cells up to so many.
_MOST_CELLS = 1 << 22
# Sums of weights and of their products with probabilities stay in the range of float32.
_WEIGHTS = 1e-30, 1e30
# Held by a fit that draws from torch's global generators.
_GLOBAL_GENERATORS = threading.RLock()
# C="auto", for cells of mean weight 1; max_epochs="auto", for both ways to train.
_C, _DUAL_EPOCHS, _EPOCHS = 5.0, 100, 5
# A duality gap, in nats per cell, from which on the user is warned.
_FAR = 0.01
# A batch by the rule: of so many rows with an optimizer; for dual steps of at most so
# many, about so many cells of a label, and never fewer batches than this.
_ROWS = 512
_MOST_ROWS, _CELLS_A_LABEL, _FEWEST_BATCHES = 1024, 32, 12


class InterruptedFitWarning(UserWarning):
    """The training was interrupted; what it had learnt is kept."""


def make_targets(labels, sample_weight):
    """Return the labels as the store that batches are taken from."""
    if labels.fill == "negative" and labels.n_cells > _MOST_CELLS:
        weight = check_sample_weight(sample_weight, labels)
        if weight is not None and weight.ndim == 2:
            for rows, cells in labels.iter_cells():
                shape = (rows.stop - rows.start, labels.n_labels)
                cell_weights(cells, weight[rows], shape)
        parts = labels.indptr, labels.indices, labels.values
        return CellTargets(
            *parts,
            labels.n_labels,
            weights=labels.weights,
            fill="negative",
            sample_weight=weight,
        )
    cells = labels.cells()
    weights = cell_weights(cells, sample_weight, labels)
    rows, cols, values = cells[:3]
    if weights is not None and not weights.all():
        # A cell of weight 0 is as good as unlabeled: it is not there.
        kept = weights > 0
        rows, cols, values, weights = (
            part[kept] for part in (rows, cols, values, weights)
        )
    counts = np.bincount(rows, minlength=len(labels))
    indptr = np.append(0, np.cumsum(counts))
    return CellTargets(indptr, cols, values, labels.n_labels, weights=weights)


def train(estimator, X, targets, *, first, whole):
    """Build or take over the net, and train it on the labeled rows."""
    device = _persistence.resolve_device(estimator.device)
    _net.check_net_params(estimator.net_params, set(estimator.get_params(deep=False)))
    solver = solver_of(estimator, targets)
    check_read(estimator, solver)
    if not first:
        check_settled(estimator)
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    positive, negative = targets.totals()
    estimator._n_positive = estimator._n_positive + positive
    estimator._n_negative = estimator._n_negative + negative
    if estimator.unlabeled_weight and _is_dual(estimator, targets):
        targets = with_weak_negatives(targets, estimator.unlabeled_weight, seed)
    stops = estimator.early_stopping and whole
    data, valid = _datasets(estimator, X, targets, seed, stops)
    sizes = {
        "lr": learning_rate(estimator),
        "batch_size": _batch_size(estimator, targets, len(data)),
        "max_epochs": _max_epochs(estimator, targets),
    }
    if solver != DUAL:
        vars(estimator).pop("C_", None)
    elif estimator.C != "auto":
        estimator.C_ = float(estimator.C)
    elif first or not hasattr(estimator, "C_"):
        estimator.C_ = USUAL.C / _net.mean_weight(estimator, targets, with_labels=True)
    _check_weights(estimator, targets)
    with threads_for(estimator.module, X), _seeded(estimator, seed, device):
        if first:
            estimator.net_ = _build_net(
                estimator, X, targets, valid, stops, device, seed, sizes
            )
        else:
            # The net that predicts stays as it is until the training has succeeded.
            estimator.net_ = estimator.net_.copy()
        try:
            if not first:
                args = estimator, targets, valid, stops, sizes
                _net.update_net(estimator.net_, *args)
            estimator.net_.owner = _judged(estimator)
            if first and estimator.module is None:
                _start(estimator, X, targets, data.rows, seed, whole)
            _prepare(estimator, X, targets, data, first)
            _run(estimator, data, sizes["max_epochs"] if whole else 1)
            if solver == DUAL:
                if whole and not stops:
                    _warn_unconverged(estimator.net_)
                args = targets, data, valid if stops else None
                with _kept_if_interrupted(estimator):
                    _calibrate.calibrate(estimator, *args, first=first, whole=whole)
                    estimator.net_.solver.write()
                    if estimator._label_prior is not None:
                        apply_prior(estimator, X)
            _set_fitted(estimator, X, solver, sizes, device, first)
        finally:
            estimator.net_.train_split = None  # it holds the validation rows
            estimator.net_.solver = None  # it holds the training rows
            estimator.net_.owner = None


def _check_weights(estimator, targets):
    """Raise where the weights of the cells, taken together, leave the range of float32.

    They would become 0 or infinite there, and the model NaN.
    """
    cells = targets.labeled
    n_cells = np.add(*cells.totals())
    if not n_cells.any():
        return
    weight = _net.per_label(estimator, "label_weight")
    if weight is not None and not (n_cells * weight).any():
        raise ValueError(
            "`label_weight` must be above 0 for a label with labeled cells; got "
            f"{estimator.label_weight!r}."
        )
    weights = cells.weights if cells.weights is not None else cells.sample_weight
    factors = {"that of `y` and `sample_weight`": _largest(weights)}
    factors["`label_weight`"] = _largest(weight)
    if not isinstance(estimator.pos_weight, str):
        positive = _net.per_label(estimator, "pos_weight")
        factors["`pos_weight`"] = max(_largest(positive), 1.0)
    _refuse_range(factors)
    if _is_dual(estimator, targets):
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


def _is_dual(estimator, targets):
    """Return whether the default model is trained without a learning rate."""
    return solver_of(estimator, targets) == DUAL


def _set_fitted(estimator, X, solver, sizes, device, first):
    """Set the attributes that tell how the training went, and what "auto" took."""
    estimator.n_iter_ = len(estimator.net_.history)
    taken = {} if first else dict(estimator.auto_params_)
    taken |= {**sizes, "device": str(device)}
    taken.pop("C", None)
    if solver == DUAL:
        taken["C"] = estimator.C_
    if first:
        estimator._settled = settled_params(estimator, solver)
        if estimator.module is None:
            taken |= _select_representation.taken(estimator.net_.module_, X)
    estimator.auto_params_ = {
        name: taken[name] for name in AUTO if name in taken and reads(solver, name)
    }


def _max_epochs(estimator, targets):
    """Return the number of epochs at most, by a rule where it is "auto"."""
    if estimator.max_epochs != "auto":
        return estimator.max_epochs
    return _DUAL_EPOCHS if _is_dual(estimator, targets) else _EPOCHS


def _warn_unconverged(net):
    """Warn if the dual ascent used up its epochs far from the optimum."""
    if not len(net.solver.label):  # nothing was trained
        return
    if net.interrupted_ or net.stopped_by_callback_:
        return
    gap = net.solver.gap_per_cell
    if gap > _FAR:
        warnings.warn(
            f"The duality gap is still about {gap:.2g} nats per cell after "
            f"{len(net.history)} epochs. Raise `max_epochs`, or lower `C`, here "
            f"{net.solver.C:.3g}.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _batch_size(estimator, targets, n_rows):
    """Return the number of rows a batch, by a rule where it is "auto".

    The dual steps solve for all cells that a label has in a batch: some 32 of them are
    few enough for the small systems, and many enough to move together.
    """
    if estimator.batch_size != "auto":
        return estimator.batch_size
    if not _is_dual(estimator, targets):
        return _ROWS
    labels = max((np.add(*targets.totals()) > 0).sum(), 1)
    cells_a_row = max(len(targets.indices) / max(n_rows, 1), 1)
    most = min(_MOST_ROWS, -(-n_rows // _FEWEST_BATCHES))
    return int(np.clip(_CELLS_A_LABEL * labels / cells_a_row, 1, max(most, 1)))


def _start(estimator, X, targets, rows, seed, whole):
    """Give the default module what it takes from X and from the labels' counts.

    Of a whole training set, the label correlation is estimated from the labeled cells.
    """
    module = estimator.net_.module_
    scales = feature_scales(X, center=estimator.std_power is not None)
    penalty = given_penalty(estimator)
    power = _select_representation.scale_power(estimator, scales, penalty.idf_power)
    module.init_from_data(X, power, scales, torch.Generator().manual_seed(seed))
    mean = _net.mean_weight(estimator, targets)
    positive, negative = (
        total / mean for total in expected_totals(targets, estimator.unlabeled_weight)
    )
    pooled = (positive.sum() + 0.5) / (positive.sum() + negative.sum() + 1)
    prior = (positive + pooled) / (positive + negative + 1)
    bias = torch.from_numpy(np.log(prior / (1 - prior)).astype(np.float32))
    module.bias.data.copy_(bias)
    if _is_dual(estimator, targets):
        correlation = _select_representation.label_correlation(
            estimator, X, targets, rows, whole
        )
        pairs = _select_representation.share_of_pairs(estimator, X)
        if whole and sp.issparse(X) and not (pairs or correlation):
            labeled = targets.labeled
            penalty = average_penalty(estimator, X, scales, labeled, rows, seed)
            power = _select_representation.scale_power(
                estimator, scales, penalty.idf_power
            )
            module.shared_weight.fill_(penalty.shared_weight)
            if estimator.C == "auto":
                estimator.C_ *= penalty.C / USUAL.C
        module.allocate(X, scales, power, correlation, pairs)


def _prepare(estimator, X, targets, data, first):
    """Make the dual trainer, or what an optimizer needs, for the default module."""
    if estimator.module is not None:
        return
    module = estimator.net_.module_
    if _is_dual(estimator, targets):
        # The start of a label's bias counts as one cell; later, as those it has seen.
        now = np.add(*targets.labeled.totals())
        seen = estimator._n_positive + estimator._n_negative - now
        hold = np.maximum(seen / _net.mean_weight(estimator, targets), 1.0)
        estimator.net_.solver = SDCASolver(
            module,
            data,
            estimator.C_,
            cold=first,
            prior_precision=hold
            * _net.mean_weight(estimator, targets, with_labels=True),
        )
    elif isinstance(module.direct, PairDirect):
        cell_rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
        before = module.direct.weight
        kept = module.direct.extend(X, cell_rows, targets.indices.astype(np.int64))
        if not first:
            now = module.direct.weight
            replace_parameter(estimator.net_.optimizer_, before, now, kept)
    if first or _is_dual(estimator, targets):
        # The parameters took their sizes from the data.
        estimator.net_.initialize_optimizer()


def _run(estimator, train, epochs):
    """Train, and say what happened where it did not end by itself."""
    n_before = len(estimator.net_.history)
    try:
        if len(train):
            estimator.net_.train(train, epochs)
    except FloatingPointError as error:
        raise ValueError(_why_diverged(estimator, error)) from error
    if getattr(estimator.net_, "interrupted_", False):
        n_epochs = len(estimator.net_.history) - n_before
        if not n_epochs:
            raise KeyboardInterrupt
        warnings.warn(
            f"The training was interrupted after {n_epochs} finished epochs; "
            "they are kept.",
            InterruptedFitWarning,
            stacklevel=4,
        )


def _why_diverged(estimator, error):
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
    if getattr(net, "solver", None) is not None:
        remedy = "Scale X"
    return f"Training diverged: {error}. {remedy}."


@contextlib.contextmanager
def _kept_if_interrupted(estimator):
    """Go back to the trained weights, and warn, where what follows is interrupted."""
    module, C = estimator.net_.module_, estimator.C_
    # The dual trainer changes the others of the state neither here nor elsewhere.
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


def _datasets(estimator, X, targets, seed, stops):
    """Return the training rows and, if there are any, the validation rows."""
    dense = _needs_dense_targets(estimator, targets)
    rows = targets.labeled_rows()
    generator = np.random.default_rng(seed)
    make = functools.partial(CellDataset, dense=dense)
    if _is_dual(estimator, targets):
        terms = _net.cell_terms(estimator, targets)
        make = functools.partial(
            SDCADataset,
            cell_weight=terms[0],
            cell_target=terms[1],
            generator=generator,
        )
    split = (estimator.net_params or {}).get("train_split")
    if split is not None:
        rows, valid = own_split(estimator, split, X, targets)
        if isinstance(valid, tuple):
            X_valid, labels = valid
            theirs = make_targets(labels, None)
            if targets.labeled is not targets:
                weight = estimator.unlabeled_weight
                theirs = with_weak_negatives(theirs, weight, seed)
            return make(X, targets, rows), CellDataset(X_valid, theirs, dense=dense)
        return make(X, targets, rows), CellDataset(X, targets, valid, dense=dense)
    if not stops:
        return make(X, targets, rows), None
    n_valid = int(np.ceil(estimator.validation_fraction * len(rows)))
    if n_valid >= len(rows):
        raise ValueError(
            "`early_stopping` needs a row to train on beside the validation rows; "
            f"got {len(rows)} rows with a labeled cell and validation_fraction="
            f"{estimator.validation_fraction}."
        )
    order, is_first, _ = grouped_permutation(X, rows, generator)
    # Equal rows are on one side, unless they are all the same.
    later = np.flatnonzero(is_first[n_valid:])
    n_valid += int(later[0]) if len(later) else 0
    valid, train = np.sort(order[:n_valid]), np.sort(order[n_valid:])
    return (
        make(X, targets, train),
        CellDataset(X, targets, valid, dense=dense),
    )


def _needs_dense_targets(estimator, targets):
    """Return whether the loss has to see the logits of all cells."""
    criterion, ours = estimator.criterion, MaskedBCEWithLogitsLoss
    if estimator.unlabeled_weight and targets.labeled is targets:
        return True
    if criterion is None:
        return False
    if not hasattr(criterion, "cell_loss"):
        return True
    # A subclass with a forward of its own, and our way round it, is meant whole.
    return (
        getattr(criterion, "forward", None) is not ours.forward
        and criterion.cell_loss is ours.cell_loss
    )


def _judged(estimator):
    """Return the estimator as callbacks see it: X comes to it without names."""
    judged = estimator._scratch(keep=True)
    vars(judged).pop("feature_names_in_", None)
    return judged


def _build_net(estimator, X, targets, valid, stops, device, seed, sizes):
    if estimator.module is None:
        module = DirectSharedModule
        rows = np.repeat(np.arange(len(targets)), np.diff(targets.indptr))
        dim = estimator.embedding_dim
        if _is_dual(estimator, targets):
            dim = _select_representation.embedding_dim(estimator, X)
        offered = build_module(
            X, rows, estimator.n_labels_, dim, given_penalty(estimator).shared_weight
        )
    else:
        module = _net.maker(estimator.module)
        offered = {"n_features": X.shape[1], "n_labels": estimator.n_labels_}
        if not is_own(estimator.module):
            offered["embedding_dim"] = estimator.embedding_dim
    kwargs = _net.module_params(module, offered)
    net = _net.build_net(
        estimator, module, kwargs, targets, valid, stops, device, seed, sizes
    )
    net.initialize()
    check_callback_params(net, estimator)
    return net


@contextlib.contextmanager
def _seeded(estimator, seed, device):
    """Seed what a user's own classes draw from, torch's global generators.

    They are left as they were; the default model draws from generators of the fit's
    own. The lock keeps fits in other threads from drawing from them meanwhile.
    """
    own = estimator.module, estimator.criterion, estimator.optimizer
    if all(part is None for part in own):
        yield
        return
    devices = [device] if device.type == "cuda" else []
    with _GLOBAL_GENERATORS, torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
