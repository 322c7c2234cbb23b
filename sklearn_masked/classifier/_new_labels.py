"""New labels join a fitted model: by name, after those that it knows."""

import numpy as np
import scipy.sparse as sp

from ..nn.model._more_labels import add_labels
from ..nn.sgd._losses import MaskedBCEWithLogitsLoss
from ._data import start_biases
from ._net import criterion_params
from ._solvers import DUAL, is_same


def admit_new_labels(estimator, target):
    """Let the estimator know the labels of y that are new to it, if there are any.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        A copy of a fitted one. Its labels and the counts of their cells grow.
    target : EncodedTarget
        The y of another call.

    Returns
    -------
    bool
        Whether there are any.

    Raises
    ------
    ValueError
        If labels are more and names are missing, or are not those of the model followed
        by new ones.
    """
    labels, n_known = target.labels, estimator.n_labels_
    known, names = estimator.label_names_, labels.label_names
    if target.classes is not None or estimator._one_dimensional:
        return False
    if labels.n_labels <= n_known:
        return False
    if known is None or names is None:
        raise ValueError(
            f"`y` must have the {n_known} labels that the model was fitted with; got "
            f"{labels.n_labels}. New labels join by name: it takes label names in the "
            "`y` of the first fit and of this call."
        )
    for place, (name, own) in enumerate(zip(names, known, strict=False)):
        if name != own:
            raise ValueError(
                "`y` must have the labels of the fitted model first, in their order, "
                f"and new ones after them; label {place} is {name!r} and must be "
                f"{own!r}."
            )
    estimator._set_classes(labels, None)
    for name in ("_n_positive", "_n_negative", "_has_rate"):
        setattr(estimator, name, padded(getattr(estimator, name), labels.n_labels))
    _admit_features(estimator, n_known)
    return True


def padded(values, n_labels):
    """Return an array of shape (n_known,) with zeros for the labels that are new."""
    more = np.zeros(n_labels - len(values), values.dtype)
    return np.concatenate([values, more])


def _admit_features(estimator, n_known):
    """Let `label_features` have rows for new labels, after those that it had."""
    before, now = estimator._settled["label_features"], estimator.label_features
    if now is not None:
        known = (sp.csr_array(now) if sp.issparse(now) else now)[:n_known]
        if before is None or is_same(known, before):
            estimator._settled = {**estimator._settled, "label_features": now}


def join_labels(estimator, data):
    """Make room in the net for the labels that are new to it, if there are any.

    They start as the labels of a first fit do, from the rate of their cells in this
    call; where labels are described also from their descriptions, by as much as these
    count for the others.

    Raises
    ------
    ValueError
        If an optimizer trains the model.
    """
    net, targets = estimator.net_, data.targets
    n_new = estimator.n_labels_ - net.n_labels
    if not n_new:
        return
    if data.solver != DUAL:
        raise ValueError(
            f"`y` has {n_new} labels more than the model, and new labels join models "
            "of dual coordinate ascent alone (`module`, `criterion` and `optimizer` "
            "None). Call fit with warm_start=False on the cells of all labels."
        )
    add_labels(net.module_, start_biases(estimator, data)[-n_new:])
    net.n_labels = estimator.n_labels_
    params = criterion_params(estimator, targets)
    # Set beside skorch's `set_params`, which would make the module anew.
    vars(net).update({f"criterion__{name}": value for name, value in params.items()})
    vars(net)["module__n_labels"] = net.n_labels
    net.criterion_ = MaskedBCEWithLogitsLoss(**params).to(data.device)
    if estimator._label_prior is not None:
        estimator._label_prior.join(net.module_, data.X)
