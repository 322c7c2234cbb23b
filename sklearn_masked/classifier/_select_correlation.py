"""Select whether labels have a part of their weights in common.

Labels' weights must correlate (a closed form, see
:mod:`sklearn_masked.nn.model._label_correlation`), and left-out positives must not rank
far lower with it, among negatives and rows whose label is unknown. Weights correlate
where labels go together, as toxic effects do, and also where all positives differ from
the negatives alike: there each label would rank the positives of all of them first.
"""

import numpy as np
import scipy.sparse as sp
import torch

from ..nn.model._label_correlation import correlation_z_score, residuals
from ..nn.model._module import direct_rows, embedded_rows
from ..nn.sdca._closed_form import leave_folds_out
from ._select_penalty import (
    BIAS_VARIANCE,
    N_FOLDS,
    LeftOutRanks,
    draw_cells,
    labeled_cells,
)

# label_correlation="auto": the correlation that is taken where the cells say with this
# z-score that the labels' weights correlate by more than the least. A correlation that
# is not there costs texts up to two thirds of their average precision; one that is
# gives molecules 0.05 AUC.
_CORRELATION, _LEAST, _EVIDENCE = 0.4, 0.1, 2.5
# The score of ranks, in nats, that it may cost at most: tox21 -0.3 to 0.5 (1,000 and
# 3,000 cells); goemotions, arxiv_cs and the brand safety snippets -0.7 to -1.4.
_LEAST_GAIN = -0.5
# Most cells that the z-score is taken of, and most cells per label whose ranks are
# compared: these make one system.
_MOST_CELLS, _CELLS = 10_000, 60
# Rows whose features are taken in one go.
_BLOCK = 4096


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
    if not data.whole:
        return 0.0
    generator = np.random.default_rng(data.seed)
    cells = labeled_cells(estimator, data)
    rows, *some = _some_cells(cells, generator)
    rows, at = np.unique(rows, return_inverse=True)
    R = residuals(at, *some, shape=(data.targets.n_labels, len(rows)))
    blocks = _feature_blocks(estimator.net_.module_, data.X, rows)
    if correlation_z_score(R, blocks, _LEAST) <= _EVIDENCE:
        return 0.0
    chosen = draw_cells(cells, _CELLS, generator)
    if not len(chosen):
        return 0.0
    ranks = _JointRanks(estimator, data, cells, chosen, generator)
    gains = ranks.joint_scores(_CORRELATION) - ranks.joint_scores(0.0)
    gains = gains[~np.isnan(gains)]
    return _CORRELATION if len(gains) and gains.mean() > _LEAST_GAIN else 0.0


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
            torch.from_numpy(_dense(part @ features.T)) for part in (features, others)
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


def _dense(products):
    return products.toarray() if sp.issparse(products) else products


def _feature_blocks(module, X, rows):
    """Yield slices of rows, and these as the model's first path takes them.

    The direct path does not depend on the embedding's random start.
    """
    take = embedded_rows if module.direct is None else direct_rows
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield block, take(module, X[rows[block]])
