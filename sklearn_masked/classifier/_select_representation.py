"""Select the label correlation, and the share of pairs that suits the kind of X."""

import numpy as np
import scipy.sparse as sp

from ..nn.model._direct import MAX_WEIGHTS, SMALL_TABLE
from ..nn.model._scaling import RarityScales
from ._select_correlation import select_correlation
from ._select_penalty import USUAL, average_penalty
from ._solvers import DUAL

# interactions="auto": the value for arrays, and for bits with so many cells or more; 0
# where there are more weights of pairs than this.
_PAIRS, _FEWEST_CELLS, _MOST_WEIGHTS = 0.5, 1000, 1 << 24
# Values that differ by less, of the largest, are equal.
_ROUNDING = 1e-3


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
    return _PAIRS if _are_bits(X) else 0.0


def _are_bits(X):
    """Return whether the stored values of a sparse X are equal, up to rounding."""
    least, largest = X.data.min(initial=np.inf), X.data.max(initial=-np.inf)
    return 0 < largest - _ROUNDING * abs(largest) <= least


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
    correlation = select_correlation(estimator, data)
    pairs = share_of_pairs(estimator, data.X, data.targets)
    if data.whole and sp.issparse(data.X) and not (pairs or correlation):
        data.penalty = average_penalty(estimator, data)
        module.shared_weight.fill_(data.penalty.shared_weight)
        if estimator.C == "auto":
            estimator.C_ *= data.penalty.C / USUAL.C
    power = scale_power(estimator, data.scales, data.penalty.idf_power)
    module.allocate(data.X, data.scales, power, correlation, pairs)
