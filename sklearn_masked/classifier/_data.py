"""From validated rows and labels to what a fit works on."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.utils import check_random_state

from .._targets import check_same_labels, encode_target
from ..labels import cell_weights, check_sample_weight
from ..nn._batches import CellDataset, CellTargets
from ..nn.model._blocks import BlockScales
from ..nn.model._scaling import RarityScales, SpreadScales
from ..nn.sdca import SDCADataset
from ..nn.sdca._batches import grouped_permutation
from ..nn.sgd._losses import MaskedBCEWithLogitsLoss
from . import _net
from ._checkpoint import Checkpoint
from ._feature_blocks import FeatureBlocks, feature_blocks
from ._select_penalty import USUAL, Penalty, given_penalty
from ._select_representation import embedding_dim
from ._solvers import DUAL, check_params, learning_rate, solver_of
from ._weak_negatives import (
    expected_totals,
    settle_unlabeled_weight,
    with_weak_negatives,
)

# Labels that store what is not negative are turned into cells up to this number.
_MOST_CELLS = 1 << 22


@dataclass(frozen=True)
class AutoSizes:
    """Values of "auto".

    Attributes
    ----------
    dual_epochs, epochs : int
        Epochs of dual coordinate ascent, at most, and of an optimizer, at least.
    min_rows, rows : int
        Rows per batch of an optimizer, from few rows to many.
    steps : int
        Steps of an optimizer at least: batches get smaller, then epochs more.
    joint_cells : int
        Dual coordinate ascent takes all rows in one batch if no label has more cells.
    joint_numbers : int
        And if the embedding of all rows has no more numbers: 256 MB.
    max_rows, cells_per_label, min_batches : int
        Otherwise: rows per batch at most, cells of a label in a batch, and batches per
        epoch at least.
    """

    dual_epochs: int = 100
    epochs: int = 5
    min_rows: int = 32
    rows: int = 512
    steps: int = 100
    joint_cells: int = 192
    joint_numbers: int = 1 << 26
    max_rows: int = 1024
    cells_per_label: int = 32
    min_batches: int = 12


SIZES = AutoSizes()


@dataclass
class FitData:
    """What a fit works on: built once by `prepare`, passed as one thing.

    Attributes
    ----------
    X : CSR matrix or array of shape (n_samples, ...)
        All rows, unlabeled ones too.
    targets : CellTargets
        Their labeled cells, and weak negatives where these were drawn.
    solver : str
        A key of `SOLVERS`: the decision is made once, here.
    first, whole : bool
        Whether the model is trained from the start; and until it has converged, rather
        than for an epoch (`partial_fit`).
    seed : int
        Of everything that is drawn.
    device : torch.device
        Where to train.
    stops : bool
        Whether the loss of validation rows stops the training.
    train, valid : CellDataset
        Rows to train on, and to validate on; `valid` may be None.
    sizes : dict
        `lr`, `batch_size` and `max_epochs` in use.
    embedding_dim : int
        Of the default module.
    penalty : Penalty
        `idf_power`, `shared_weight` and C for cells of mean weight 1.
    mean_weight, mean_loss_weight : float
        Mean weight of the labeled cells, and of it times `label_weight`.
    scales : RarityScales, SpreadScales, BlockScales or None
        Of the columns of X; for the default module alone.
    blocks : FeatureBlocks or None
        Of the columns of X, where there are several; for the first call alone.
    checkpoint : Checkpoint or None
        Where the state is written after each epoch.
    """

    X: object
    targets: CellTargets
    solver: str
    first: bool
    whole: bool
    seed: int
    device: torch.device
    stops: bool
    train: CellDataset | None = None
    valid: CellDataset | None = None
    sizes: dict | None = None
    embedding_dim: int | None = None
    penalty: Penalty = USUAL
    mean_weight: float = 1.0
    mean_loss_weight: float = 1.0
    scales: RarityScales | SpreadScales | BlockScales | None = None
    blocks: FeatureBlocks | None = None
    checkpoint: Checkpoint | None = None


def prepare(estimator, X, targets, *, first, whole):
    """Check the parameters against the data, and return the :class:`FitData`.

    `C_` and the counts of labeled cells are set on the estimator.
    """
    device = _net.resolve_device(estimator.device)
    solver = solver_of(estimator, targets)
    check_params(estimator, solver, first)
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))
    positive, negative = targets.totals()
    estimator._n_positive = estimator._n_positive + positive
    estimator._n_negative = estimator._n_negative + negative
    estimator._unlabeled_weight = settle_unlabeled_weight(
        estimator, X, targets, is_told=first and whole, seed=seed
    )
    if estimator._unlabeled_weight and solver == DUAL:
        targets = with_weak_negatives(targets, estimator._unlabeled_weight, seed)
    stops = estimator.early_stopping and whole
    data = FitData(X, targets, solver, first, whole, seed, device, stops)
    data.train, data.valid = _split(estimator, data)
    data.sizes = _sizes(estimator, data)
    data.embedding_dim = estimator.embedding_dim
    if first and estimator.module is None:
        data.blocks = feature_blocks(estimator, X, targets, with_pairs=solver == DUAL)
    if data.blocks is None and solver == DUAL:
        data.embedding_dim = embedding_dim(estimator, X, targets)
    data.penalty = given_penalty(estimator)
    data.mean_weight = _net.mean_weight(estimator, targets)
    data.mean_loss_weight = _net.mean_weight(estimator, targets, with_labels=True)
    if solver != DUAL:
        vars(estimator).pop("C_", None)
    elif estimator.C != "auto":
        estimator.C_ = float(estimator.C)
    elif first or not hasattr(estimator, "C_"):
        estimator.C_ = USUAL.C / data.mean_loss_weight
    _net.check_weights(estimator, targets, solver)
    return data


def _sizes(estimator, data):
    """Return `lr`, `batch_size` and `max_epochs`, by rules where they are "auto".

    An optimizer takes 100 steps or more: a handful of large batches leaves a small set
    where the module's initial weights are.

    Steps of dual coordinate ascent solve for all cells that a label has in a batch.
    Where these are all that it has, a few steps reach the optimum, however ill
    conditioned X is. Of more, some 32 are few enough for the small systems, and many
    enough to move together, and leave early stopping something to stop.
    """
    is_dual, targets, n_rows = data.solver == DUAL, data.targets, len(data.train)
    batch_size, max_epochs = estimator.batch_size, estimator.max_epochs
    if batch_size == "auto" and not is_dual:
        most = SIZES.epochs * n_rows // SIZES.steps
        batch_size = int(np.clip(most, SIZES.min_rows, SIZES.rows))
        if estimator.optimizer is torch.optim.LBFGS:  # it has no use for samples
            batch_size = -1
    elif batch_size == "auto":
        counts = np.bincount(targets.indices, minlength=1)
        cells_per_row = max(len(targets.indices) / max(n_rows, 1), 1)
        most = min(SIZES.max_rows, -(-n_rows // SIZES.min_batches))
        wanted = SIZES.cells_per_label * np.count_nonzero(counts) / cells_per_row
        batch_size = int(np.clip(wanted, 1, max(most, 1)))
        fits = n_rows * estimator.embedding_dim <= SIZES.joint_numbers
        if counts.max() <= SIZES.joint_cells and fits and not data.stops:
            batch_size = max(n_rows, 1)
    if max_epochs == "auto" and is_dual:
        max_epochs = SIZES.dual_epochs
    elif max_epochs == "auto":
        n_batches = 1 if batch_size == -1 else max(-(-n_rows // batch_size), 1)
        steps = n_batches if estimator.optimizer is torch.optim.LBFGS else SIZES.steps
        max_epochs = max(SIZES.epochs, -(-steps // n_batches))
    lr = learning_rate(estimator)
    return {"lr": lr, "batch_size": batch_size, "max_epochs": max_epochs}


def start_biases(estimator, data):
    """Return the smoothed log-odds of each label by its cells of this call.

    They are drawn to the rate of all labels together, of earlier calls too.
    """
    totals, known = data.targets.totals(), data.targets.labeled.totals()
    if estimator._unlabeled_weight:
        totals = expected_totals(data.targets, estimator._unlabeled_weight)
    positive, negative = (total / data.mean_weight for total in totals)
    seen = estimator._n_positive, estimator._n_negative
    n_positive, n_negative = (
        now.sum() + (all_.sum() - own.sum()) / data.mean_weight
        for now, all_, own in zip((positive, negative), seen, known, strict=True)
    )
    pooled = (n_positive + 0.5) / (n_positive + n_negative + 1)
    prior = (positive + pooled) / (positive + negative + 1)
    return np.log(prior / (1 - prior)).astype(np.float32)


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


def _split(estimator, data):
    """Return the rows to train on and, if there are any, those to validate on."""
    X, targets, valid = data.X, data.targets, None
    rows, generator = targets.labeled_rows(), np.random.default_rng(data.seed)
    split = (estimator.net_params or {}).get("train_split")
    if split is not None:
        rows, valid = _split_by_user(estimator, split, X, targets)
    elif data.stops:
        rows, valid = _split_at_random(estimator, X, rows, generator)
    if data.solver == DUAL:
        terms = _net.cell_terms(estimator, targets)
        train = SDCADataset(X, targets, rows, *terms, generator=generator)
    else:
        dense = _needs_dense_targets(estimator, targets)
        train = CellDataset(X, targets, rows, dense=dense)
    if valid is None:
        return train, None
    if isinstance(valid, tuple):
        X, labels = valid
        theirs, valid = make_targets(labels, None), None
        if targets.labeled is not targets:
            weight = estimator._unlabeled_weight
            theirs = with_weak_negatives(theirs, weight, data.seed)
        targets = theirs
    return train, CellDataset(X, targets, valid, dense=train.dense)


def _split_at_random(estimator, X, rows, generator):
    """Return training rows and validation rows; equal rows are on one side."""
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
    return np.sort(order[n_valid:]), np.sort(order[:n_valid])


def _needs_dense_targets(estimator, targets):
    """Return whether the loss has to see the logits of all cells."""
    criterion, ours = estimator.criterion, MaskedBCEWithLogitsLoss
    if estimator._unlabeled_weight and targets.labeled is targets:
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


def _split_by_user(estimator, split, X, targets):
    """Return the rows to train on, and those to validate on, as `train_split` has them.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        That knows the features and the labels of the training rows.
    split : callable
        As skorch takes it: ``predefined_split(Dataset(X_valid, y_valid))`` or
        ``ValidSplit(...)``, which sees all rows of X and no y.
    X, targets : CSR matrix or array, CellTargets
        All rows.

    Returns
    -------
    train : array of int
        Rows of X, those with a labeled cell.
    valid : array of int, or (CSR matrix or array, MaskedLabels)
        Rows of X, or rows of its own and their labels.

    Raises
    ------
    ValueError
        If `split` returns something else.
    """
    everything = CellDataset(X, targets, np.arange(len(targets)))
    train, valid = split(everything, None)
    labeled = targets.labeled_rows()
    rows = labeled
    if train is not everything:
        rows = np.intersect1d(_rows_of(train, everything, "train on"), labeled)
    if hasattr(valid, "X") and hasattr(valid, "y"):
        return rows, _checked(estimator, valid.X, valid.y)
    return rows, np.intersect1d(_rows_of(valid, everything, "validate on"), labeled)


def _rows_of(part, everything, use):
    if isinstance(part, torch.utils.data.Subset) and part.dataset is everything:
        return np.asarray(part.indices)
    raise ValueError(
        "`train_split` accepts skorch.dataset.ValidSplit(...) and "
        "skorch.helper.predefined_split(skorch.dataset.Dataset(X_valid, y_valid)); got "
        f"a {type(part).__name__} to {use}."
    )


def _checked(estimator, X, y):
    X = estimator._check_X(X, reset=False)
    classes = estimator._known_classes()
    target = encode_target(y, X.shape[0], classes=classes, accept_soft=True)
    check_same_labels(target, estimator)
    return X, target.labels


def refuse_rows(X, own_module):
    """Raise for texts, and for images and the like where no module takes them."""
    n_dims = getattr(X, "ndim", 1)
    first = next(iter(X), None) if n_dims == 1 and hasattr(X, "__len__") else None
    if isinstance(first, str):
        raise ValueError(
            "`X` accepts numbers, of shape (n_samples, n_features): could not convert "
            f"string to float: {first[:40]!r}. Put a vectorizer before, as "
            "make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier()) does."
        )
    if n_dims > 2 and not own_module:
        raise ValueError(
            f"Found array with dim {n_dims}, while dim <= 2 is required by "
            "MaskedMultiLabelClassifier without a `module` of your own: pass one that "
            "takes such rows, or flatten them, X.reshape(len(X), -1)."
        )


def refuse_dataset(X):
    """Raise for a torch Dataset or DataLoader in the place of an array.

    scikit-learn would read it once, as a sequence: random augmentation would be the
    same in all epochs, and all of it would be in memory.
    """
    if isinstance(X, torch.utils.data.Dataset | torch.utils.data.DataLoader):
        raise ValueError(
            "`X` accepts an array, a data frame or a sparse matrix; got a torch "
            f"{type(X).__name__}, whose items would be read once, not anew in each "
            "epoch. Pass the rows as an array (a float32 numpy.memmap stays on the "
            "disk), and augment them in the `forward` of a `module` of your own, "
            "where `self.training` is True."
        )
