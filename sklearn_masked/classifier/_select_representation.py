"""Select the label correlation, and the share of pairs that suits the kind of X."""

import numpy as np
import scipy.sparse as sp

from ..nn.batches import concatenated_ranges, model_input
from ..nn.model._direct import MAX_WEIGHTS, SMALL_TABLE
from ..nn.model._label_correlation import correlation_z_score, residuals
from ..nn.model._scaling import RarityScales
from ._select_penalty import USUAL, average_penalty
from ._solvers import DUAL

# label_correlation="auto": the correlation that is taken where the cells say with this
# z-score that the labels' weights correlate by more than the least. A correlation that
# is not there costs texts up to two thirds of their average precision; one that is
# gives molecules 0.05 AUC.
_CORRELATION, _LEAST, _EVIDENCE = 0.4, 0.1, 2.5
# interactions="auto": the value for arrays, and for bits with so many cells or more; 0
# where there are more weights of pairs than this.
_PAIRS, _FEWEST_CELLS, _MOST_WEIGHTS = 0.5, 1000, 1 << 24
# Rows that are embedded in one go.
_BLOCK = 4096


def scale_power(estimator, scales, idf_power):
    """Return the power of the columns' scales: `idf_power` of a sparse X's."""
    if isinstance(scales, RarityScales):
        return idf_power
    return 0.0 if scales.std is None else estimator.std_power


def taken(module, X):
    """Return the parameters that an allocated module stands for."""
    names = "shared_weight", "label_correlation", "interactions"
    found = {name: round(float(getattr(module, name)), 6) for name in names}
    if sp.issparse(X):
        found["idf_power"] = round(float(module.feature_power), 6)
    return found


def share_of_pairs(estimator, X, targets):
    """Return `interactions`, by a rule where it is "auto".

    Pairs of an array's columns gained on the sets that were tried, and those of the
    bits of fingerprints where cells are many (see benchmarks/README.md); those of words
    gain nothing.
    """
    if estimator.interactions != "auto":
        return float(estimator.interactions)
    n_features, n_labels = X.shape[1], estimator.n_labels_
    if n_labels * min(2 * estimator.embedding_dim, n_features) ** 2 > _MOST_WEIGHTS:
        return 0.0
    if not sp.issparse(X):
        return _PAIRS
    is_small = n_features * n_labels <= SMALL_TABLE
    if not is_small or len(targets.labeled.indices) < _FEWEST_CELLS:
        return 0.0
    return _PAIRS if X.nnz and (X.data == X.data[0]).all() else 0.0


def embedding_dim(estimator, X, targets):
    """Return the width of the embedding: twice as wide for pairs."""
    if not share_of_pairs(estimator, X, targets):
        return estimator.embedding_dim
    dim = 2 * estimator.embedding_dim
    n_weights = estimator.n_labels_ * min(dim, X.shape[1]) ** 2
    if n_weights > MAX_WEIGHTS:
        raise ValueError(
            f"interactions={estimator.interactions!r} takes a matrix a label, here "
            f"{n_weights:,} weights in all; at most {MAX_WEIGHTS:,} are possible. "
            "Lower `embedding_dim`, or set `interactions` to 0."
        )
    return dim


def select_representation(estimator, data):
    """Select what is "auto" of the representation and its penalty; allocate weights.

    With an optimizer there is neither a label correlation nor pairs.
    """
    if data.solver != DUAL:
        return
    module = estimator.net_.module_
    correlation = label_correlation(estimator, data)
    pairs = share_of_pairs(estimator, data.X, data.targets)
    if data.whole and sp.issparse(data.X) and not (pairs or correlation):
        data.penalty = average_penalty(estimator, data)
        module.shared_weight.fill_(data.penalty.shared_weight)
        if estimator.C == "auto":
            estimator.C_ *= data.penalty.C / USUAL.C
    power = scale_power(estimator, data.scales, data.penalty.idf_power)
    module.allocate(data.X, data.scales, power, correlation, pairs)


def label_correlation(estimator, data):
    """Return `label_correlation`, by what the cells say where it is "auto".

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose net has its module initialized.
    data : FitData
        Its training rows are asked, unless others will follow (`partial_fit`).

    Returns
    -------
    float
    """
    if estimator.label_correlation != "auto":
        return float(estimator.label_correlation)
    if not data.whole:
        return 0.0
    targets, train = data.targets, data.train
    index, lengths = concatenated_ranges(targets.indptr, train.rows)
    weight, target = train.cell_weight[index], train.cell_target[index]
    rows = np.repeat(np.arange(len(train)), lengths)
    cells = rows, targets.indices[index], target, weight
    R = residuals(*cells, shape=(targets.n_labels, len(train)))
    blocks = _feature_blocks(estimator.net_.module_, data.X, train.rows)
    return _CORRELATION if correlation_z_score(R, blocks, _LEAST) > _EVIDENCE else 0.0


def _feature_blocks(module, X, rows):
    """Yield slices of rows, and these as the model's first path takes them.

    The direct path does not depend on the embedding's random start.
    """
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        inputs = model_input(X[rows[block]])
        inputs = inputs if isinstance(inputs, dict) else {"X": inputs}
        inputs = {name: part.to(module.bias.device) for name, part in inputs.items()}
        if module.direct is not None:
            yield block, _as_matrix(module.scaled(**inputs), X.shape[1])
        else:
            yield block, module.embedded(**inputs).detach().cpu().numpy()


def _as_matrix(scaled, n_features):
    """Return scaled rows as an array, or as a CSR array where they are bags."""
    scaled = {name: part.cpu().numpy() for name, part in scaled.items()}
    if "X" in scaled:
        return scaled["X"]
    indices, offsets = scaled["indices"], scaled["offsets"]
    parts = scaled["weights"], indices, np.append(offsets, len(indices))
    return sp.csr_array(parts, shape=(len(offsets), n_features))
