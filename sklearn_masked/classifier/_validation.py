"""Rows as skorch's users pass them: datasets, and validation rows of their own."""

import numpy as np
import torch

from .._targets import check_same_labels, encode_target
from ..nn.batches import CellDataset


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


def own_split(estimator, split, X, targets):
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
