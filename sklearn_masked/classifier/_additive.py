"""The fitted weights as arrays in float64, by which logits are sums over features.

:mod:`sklearn_masked.inspection` computes with them; see its module `_additive` for the
formula. Output lines are folded in.
"""

import numpy as np
import scipy.sparse as sp

from ..nn.model._direct import PairDirect
from ..nn.model._embedding_bag import EmbeddingBagModule
from ..nn.model._module import ROW_LENGTH, DirectSharedModule


def additive_parts(estimator, labels):
    """Return the weights of some labels, by the names of `AdditiveModel`'s parameters.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Fitted.
    labels : integer array of shape (n_labels,)
        Positions of labels.

    Raises
    ------
    TypeError
        If `module` is one of the user's own, whose logits may be any function of a row.
    """
    module = estimator.net_.module_
    if isinstance(module, DirectSharedModule):
        parts = _of_default(module, estimator._label_prior, labels)
    elif isinstance(module, EmbeddingBagModule):
        parts = _of_embedding_bag(module, labels)
    else:
        raise TypeError(
            "`model` accepts the default module and the embedding bag, whose logits "
            f"are sums over features; got a `module` of type {type(module).__name__}."
        )
    has_cells = estimator._has_cells()[labels]
    if not has_cells.all():
        _predict_pooled_rate(parts, has_cells, estimator._pooled_logit())
    return parts


def _of_embedding_bag(module, labels):
    return {
        "base": _array(module.output.bias)[labels],
        "embedding": _array(module.embedding),
        "output": _array(module.output.weight)[labels],
        "norm": "sum" if module.mode == "mean" else None,
    }


def _of_default(module, prior, labels):
    slope, intercept = _array(module.slope)[labels], _array(module.intercept)[labels]
    width = module.embedding.shape[1]
    output = slope[:, None] * _array(module.output)[labels]
    parts = {
        "base": slope * _array(module.bias)[labels] + intercept,
        "weight": _direct_weight(module, labels) * slope,
        "embedding": _array(module.embedding),
        "embedding_row": module.embedding_row.cpu().numpy(),
        "output": float(module.shared_weight) * output[:, :width],
        "norm": "length",
    }
    if len(module.feature_shift):
        parts["shift"] = _array(module.feature_shift)
        parts["embedding"][1:] /= _array(module.feature_std)[:, None]
    if module.quadratic is not None:
        q = float(module.interactions) ** 0.5
        pairs = module.quadratic.weight.detach()[labels].cpu().numpy()
        parts["pairs"] = q * slope[:, None, None] * pairs
    if len(module.row_length_scale):
        parts["row_length"] = (*_array(module.row_length_scale), *ROW_LENGTH)
        parts["row_length_weight"] = output[:, -1]
    if prior is not None and prior.scores is not None:
        parts.update(_of_prior(module, prior, labels, slope))
    return parts


def _direct_weight(module, labels):
    """Return the weights of features, those common to all labels with them."""
    shape = module.n_features, len(labels)
    if module.direct is None:
        weight = sp.csr_array(shape)
    elif isinstance(module.direct, PairDirect):
        weight = module.direct._table().astype(float)[:, labels]
    else:
        weight = module.direct.weight.detach()[:, labels].cpu().double().numpy()
    if len(module.common_weight):
        weight = weight + _array(module.common_weight)[:, None]
    return _scaled(module, weight)


def _scaled(module, weight):
    """Return weights of features as X has them, from weights of scaled features."""
    scale = _array(module.feature_scale)
    if sp.issparse(weight):
        return sp.csr_array(sp.diags(scale) @ weight)
    return scale[:, None] * weight


def _of_prior(module, prior, labels, slope):
    """Return what of the weights is the prior mean that descriptions give."""
    direct, shared = prior.written * prior.scores.scale
    weight = direct * prior.scores._centered_features()[labels].T
    return {
        "prior_weight": _scaled(module, weight) * slope,
        "prior_output": (shared * slope)[:, None] * prior.scores.embedded[labels],
    }


def _predict_pooled_rate(parts, has_cells, logit):
    """Let labels without any labeled cell be a constant, as predictions are."""
    parts["base"] = np.where(has_cells, parts["base"], logit)
    keep = has_cells.astype(float)
    for name in ("weight", "prior_weight"):  # features x labels
        if name in parts:
            parts[name] = parts[name] * keep
    for name in ("output", "prior_output", "pairs", "row_length_weight"):
        if name in parts:
            value = parts[name]
            parts[name] = value * keep.reshape(-1, *[1] * (value.ndim - 1))


def _array(tensor):
    return tensor.detach().cpu().double().numpy()
