r"""Select the representation: the labels' correlation, and the share of pairs.

Labels' weights must correlate, and left-out positives must not rank far lower with a
correlation, among negatives and rows whose label is unknown. Weights correlate where
labels go together, as toxic effects do, and also where all positives differ from the
negatives alike: there each label would rank the positives of all of them first.

The evidence for a correlation is in closed form. With centered residuals :math:`r` of
the labeled cells and :math:`K` the inner products of their rows, the sum of
:math:`r_i r_j K_{ij}` over pairs of cells estimates a covariance of weights (Haseman
and Elston, 1972): over pairs of one label, the variance of its weights; over pairs of
two labels, their covariance. It needs neither a model nor folds: it is the same for
every random state and order of the rows.
"""

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import ndtr

from ..nn.model._blocks import BlockScales
from ..nn.model._direct import MAX_WEIGHTS, SMALL_TABLE
from ..nn.model._module import direct_rows, embedded_rows
from ..nn.model._scaling import RarityScales
from ..nn.sdca._block_newton import leave_folds_out
from ._select_penalty import (
    BIAS_VARIANCE,
    FEWEST_LABELS,
    N_FOLDS,
    USUAL,
    LeftOutRanks,
    average_penalty,
    dense,
    draw_cells,
    labeled_cells,
)
from ._solvers import DUAL

# label_correlation="auto": the largest correlation, and the least that is taken. One
# that is not there costs texts up to two thirds of their average precision; one that is
# gives molecules 0.1 AUC.
_CORRELATION, _LEAST = 0.4, 0.1
# The z-score of weights that correlate by more than the least, and that of the ranks'
# gain, at which either speaks for half of it: ranks may lose a little.
_HALF_COVARIANCE, _HALF_GAIN = 1.5, -2.0
# The spread of a label's gain, in nats, before any is seen; it counts as one label.
_GAIN_SPREAD = 0.3
# Most cells that the z-score is taken of, and most cells per label whose ranks are
# compared: these make one system.
_MOST_CELLS, _CELLS = 10_000, 60
# Rows whose features are taken in one go.
_BLOCK = 4096
# With more labels a correlation is not asked for: coupled moves of so many are slow.
# The products of labels are a matrix of this width.
_MOST_LABELS = 256
# interactions="auto": the value for arrays, and for bits with so many cells or more; 0
# where there are more weights of pairs than this.
_PAIRS, _FEWEST_CELLS, _MOST_WEIGHTS = 0.5, 1000, 1 << 24
# Values that differ by less, of the largest, are equal.
_ROUNDING = 1e-3


def select_representation(estimator, data):
    """Select what is "auto" of the representation and its penalty; allocate weights.

    With an optimizer there is neither a label correlation nor pairs.
    """
    if data.solver != DUAL:
        return
    module = estimator.net_.module_
    correlation = select_correlation(estimator, data)
    power = scale_power(estimator, data.scales, data.penalty.idf_power)
    if data.blocks is None:
        pairs = share_of_pairs(estimator, data.X, data.targets)
    else:
        pairs = max(data.blocks.interactions)
        module.allocate(data.X, data.scales, power, correlation, pairs)
    is_averaged = data.blocks is not None or not pairs
    if data.whole and sp.issparse(data.X) and is_averaged and not correlation:
        data.penalty = average_penalty(estimator, data)
        module.shared_weight.fill_(data.penalty.shared_weight)
        if estimator.C == "auto":
            estimator.C_ *= data.penalty.C / USUAL.C
    power = scale_power(estimator, data.scales, data.penalty.idf_power)
    module.allocate(data.X, data.scales, power, correlation, pairs)


def select_correlation(estimator, data):
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
    if not data.whole or data.targets.n_labels > _MOST_LABELS:
        return 0.0
    generator = np.random.default_rng(data.seed)
    cells = labeled_cells(estimator, data)
    rows, *some = _some_cells(cells, generator)
    rows, at = np.unique(rows, return_inverse=True)
    R = residuals(at, *some, shape=(data.targets.n_labels, len(rows)))
    blocks = _feature_blocks(estimator.net_.module_, data.X, rows)
    z_score = correlation_z_score(R, blocks, _LEAST)
    chosen = draw_cells(cells, _CELLS, generator)
    if not supported_correlation(z_score) or len(chosen) < FEWEST_LABELS:
        return 0.0
    ranks = _JointRanks(estimator, data, cells, chosen, generator)
    gains = ranks.joint_scores(_CORRELATION) - ranks.joint_scores(0.0)
    gains = gains[~np.isnan(gains)]
    # A label or two say too little: snippets of news lost 0.1 AP by such a correlation.
    return supported_correlation(z_score, gains) if len(gains) >= FEWEST_LABELS else 0.0


def supported_correlation(z_score, gains=None):
    """Return the correlation that the evidence supports: all, a part, or none of it.

    It changes smoothly with the evidence, so that no rounding turns it over. Without
    the gains in ranks, one value per label, it is the most that these could leave.
    """
    share = ndtr(z_score - _HALF_COVARIANCE)
    if gains is not None:
        square = np.square(gains - gains.mean()).sum() + _GAIN_SPREAD**2
        error = np.sqrt(square) / len(gains)
        share = share * ndtr(gains.mean() / error - _HALF_GAIN)
    correlation = float(_CORRELATION * share)
    return correlation if correlation >= _LEAST else 0.0


def _some_cells(cells, generator):
    """Return the cells of rows that hold about as many as are looked at, or all."""
    rows, n_cells = np.unique(cells[0], return_counts=True)
    if n_cells.sum() <= _MOST_CELLS:
        return cells
    order = generator.permutation(len(rows))
    n_rows = np.searchsorted(np.cumsum(n_cells[order]), _MOST_CELLS) + 1
    kept = np.isin(cells[0], rows[order[:n_rows]])
    return tuple(part[kept] for part in cells)


class _JointRanks(LeftOutRanks):
    """Ranks of left-out positives by models whose labels' weights correlate."""

    @torch.no_grad()
    def __init__(self, estimator, data, cells, chosen, generator):
        super().__init__(data.X, cells, chosen, generator)
        self.C = data.penalty.C
        # Fold after fold, and label after label in each.
        n_labels, size = len(chosen), chosen.shape[1] // N_FOLDS
        self.order = torch.arange(chosen.size).view(n_labels, N_FOLDS, size)
        self.order = self.order.transpose(0, 1).reshape(-1)
        self.label = self.order // chosen.shape[1]
        rows = self.rows.reshape(-1)[self.order]
        module = estimator.net_.module_
        features, others = (
            _stacked([part for _, part in _feature_blocks(module, data.X, each)])
            for each in (rows, self.others)
        )
        self.own, self.across = (
            torch.from_numpy(dense(part @ features.T)) for part in (features, others)
        )

    def joint_scores(self, correlation):
        """Return each label's score where weights have this correlation."""
        same = self.label[:, None] == self.label
        products = self.own * (correlation + (1 - correlation) * same)
        target, weight = (
            part.reshape(-1)[self.order] for part in (self.target, self.weight)
        )
        prior = self.prior[self.label, 0]
        parts = products + BIAS_VARIANCE * same, prior, target, self.C * weight
        left_out = leave_folds_out(*(part[None] for part in parts), N_FOLDS)
        coefficients = left_out.coefficients[0]
        is_own = (self.label == torch.arange(len(self.target))[:, None]).float()
        n_labels, shape = len(is_own), (N_FOLDS, len(is_own), -1)
        bias = self.prior.T + BIAS_VARIANCE * coefficients @ is_own.T
        margins = left_out.margins[0].view(shape) - bias[:, :, None]
        shares = correlation + (1 - correlation) * is_own
        others = (coefficients[:, None] * shares).view(-1, len(self.order))
        others = (others @ self.across.T).view(N_FOLDS, n_labels, -1)
        return self.scores(margins.transpose(0, 1), others.transpose(0, 1))


def _stacked(parts):
    return sp.vstack(parts, format="csr") if sp.issparse(parts[0]) else np.vstack(parts)


def _feature_blocks(module, X, rows):
    """Yield slices of rows, and these as the model's first path takes them.

    The direct path does not depend on the embedding's random start.
    """
    take = embedded_rows if module.direct is None else direct_rows
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield block, take(module, X[rows[block]])


def residuals(rows, labels, targets, weights, *, shape):
    """Return the weighted residuals of the cells about the mean of their label.

    Parameters
    ----------
    rows, labels, targets, weights : arrays of shape (n_cells,)
        One entry per labeled cell.
    shape : (n_labels, n_rows)

    Returns
    -------
    CSR array of shape (n_labels, n_rows)
        A label whose cells are of one class has no residual.
    """
    n_labels = shape[0]
    total = np.bincount(labels, weights, n_labels)
    mean = np.bincount(labels, weights * targets, n_labels) / np.where(total, total, 1)
    return sp.csr_array(
        (weights * (targets - mean[labels]), (labels, rows)), shape=shape
    )


def correlation_z_score(R, blocks, least):
    """Return how surely the correlation of labels' weights exceeds a value.

    Parameters
    ----------
    R : CSR array of shape (n_labels, n_rows)
        See `residuals`.
    blocks : iterable of (slice, matrix)
        Some rows each, and their features.
    least : float
        The correlation that is to be exceeded.

    Returns
    -------
    float
        The excess covariance in its standard deviations where the sign of each label's
        weights is chance; 0 where it cannot be told.
    """
    if not R.nnz:
        return 0.0
    products = _products_of_moments(R, blocks)
    squares = R.multiply(R).tocsr()
    of_labels, of_rows = (np.asarray(squares.sum(axis=a)).ravel() for a in (1, 0))
    # Pairs of cells, by the product of their squared residuals; none of a single row.
    within = of_labels @ of_labels - squares.power(2).sum()
    across = of_labels.sum() ** 2 - of_rows @ of_rows - within
    variance = np.trace(products)
    covariance = products.sum() - variance
    np.fill_diagonal(products, 0)
    spread = np.sqrt(2 * np.square(products).sum())
    if min(spread, within, across) <= 0:
        return 0.0
    return float((covariance - least * max(variance, 0) * across / within) / spread)


def _products_of_moments(R, blocks):
    """Return the sums of :math:`r_i r_j K_{ij}`, one for each pair of labels.

    Pairs of cells in one row are left out: they tell of the row, not of the weights.
    """
    moments, own = None, 0
    for block, features in blocks:
        some = R[:, block]
        moment = some @ features
        moments = moment if moments is None else moments + moment
        own = own + dense((some * _squared_norms(features)) @ some.T)
    return 0.0 if moments is None else dense(moments @ moments.T) - own


def _squared_norms(rows):
    squares = rows.multiply(rows) if sp.issparse(rows) else np.square(rows)
    return np.asarray(squares.sum(axis=1)).ravel()


def scale_power(estimator, scales, idf_power):
    """Return the power of the columns' scales: `idf_power` of a sparse X's."""
    if isinstance(scales, RarityScales | BlockScales):
        return idf_power
    return 0.0 if scales.std is None else estimator.std_power


def taken(module, data):
    """Return the parameters that an allocated module stands for."""
    names = "shared_weight", "label_correlation", "interactions"
    found = {name: round(float(getattr(module, name)), 6) for name in names}
    if data.blocks is not None:
        found["interactions"] = max(data.blocks.interactions)
    if sp.issparse(data.X):
        found["idf_power"] = round(float(module.feature_power), 6)
    return found


def share_of_pairs(estimator, X, targets, dense=False):
    """Return `interactions`, by a rule where it is "auto".

    Pairs of an array's columns gained on the sets that were tried, and those of the
    bits of fingerprints where cells are many (see benchmarks/README.md); those of words
    gain nothing.
    """
    if estimator.interactions != "auto":
        return float(estimator.interactions)
    n_features, n_labels = X.shape[1], estimator.n_labels_
    if not most_pairs(estimator, min(2 * estimator.embedding_dim, n_features)):
        return 0.0
    if dense or not sp.issparse(X):
        return _PAIRS
    is_small = n_features * n_labels <= SMALL_TABLE
    if not is_small or len(targets.labeled.indices) < _FEWEST_CELLS:
        return 0.0
    return _PAIRS if _are_bits(X) else 0.0


def most_pairs(estimator, width):
    """Return whether a matrix of this width a label is not too large to take alone."""
    return estimator.n_labels_ * width**2 <= _MOST_WEIGHTS


def _are_bits(X):
    """Return whether the stored values of a sparse X are equal, up to rounding."""
    least, largest = X.data.min(initial=np.inf), X.data.max(initial=-np.inf)
    return 0 < largest - _ROUNDING * abs(largest) <= least


def embedding_dim(estimator, X, targets):
    """Return the width of the embedding: twice as wide for pairs."""
    if not share_of_pairs(estimator, X, targets):
        return estimator.embedding_dim
    dim = 2 * estimator.embedding_dim
    check_pairs(estimator, min(dim, X.shape[1]))
    return dim


def check_pairs(estimator, width):
    """Raise where a matrix of this width a label would be too large."""
    n_weights = estimator.n_labels_ * width**2
    if n_weights > MAX_WEIGHTS:
        raise ValueError(
            f"interactions={estimator.interactions!r} takes a matrix a label, here "
            f"{n_weights:,} weights in all; at most {MAX_WEIGHTS:,} are possible. "
            "Lower `embedding_dim`, or set `interactions` to 0."
        )
