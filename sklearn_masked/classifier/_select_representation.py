"""Select the label correlation and the share of interactions by held-out cells.

Small models on some of the labeled cells are compared.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ..nn.batches import concatenated_ranges
from ..nn.model._direct import MAX_WEIGHTS, SMALL_TABLE, choose_direct
from ..nn.model._module import DirectSharedModule
from ..nn.model._scaling import RarityScales
from ..nn.sdca import SDCADataset, SDCASolver, label_alignment
from ..nn.sdca._leave_out import FOLDS, held_out_margins
from . import _net
from ._held_out_scores import auc_plus_ap, held_out_size, z_score

# Candidates of label_correlation="auto".
_CORRELATIONS = 0.0, 0.4
# interactions="auto": candidates for a sparse X of bits, and the value for an array; 0
# for other sparse X, and where there are more weights of pairs than this.
_INTERACTIONS, _OF_ARRAYS, _MOST_WEIGHTS = (0.0, 0.5, 0.75), 0.5, 1 << 24
_FEWEST_CELLS, _FEWEST_ROWS, _MOST_CELLS = 500, 50, 5_000
# Interactions need more cells to be told; of this many, one fold is enough.
_MOST_FOR_PAIRS, _MANY = 15_000, 7_500
# z-score of the labels' agreement from which a correlation is tried; and the sum of it
# and of the z-score of held-out cells' gain from which it is taken: together 2.1
# standard deviations from chance. On molecules (tox21, sider) the sum was 4 to 14 in 24
# draws of 1,000 and 3,000 cells; topics and emotions passed both in 5 of 58 draws.
_TOGETHER, _EVIDENCE = 1.5, 3.0
# z-score of a gain from which interactions are taken.
_LIKELY = 0.5
# Epochs of the small models that judge the correlation.
_EPOCHS = 3


class Settings(NamedTuple):
    """Settings that a module is allocated by, beside the scales of X."""

    label_correlation: float
    interactions: float
    width: int | None


def scale_power(estimator, scales):
    """Return the power of the columns' scales that the estimator's parameters give."""
    if isinstance(scales, RarityScales):
        return estimator.idf_power
    return 0.0 if scales.std is None else estimator.std_power


def taken(module):
    """Return the parameters that an allocated module stands for."""
    names = "label_correlation", "interactions"
    return {name: round(float(getattr(module, name)), 6) for name in names}


def interaction_shares(estimator, X):
    """Return the candidates for the share of pairs that the parameters leave.

    Pairs of an array's columns gained on both sets that were tried (emotions, and
    sentence embeddings of goemotions) from 100 cells on. Those of words gain nothing;
    those of the bits of fingerprints may.
    """
    if estimator.interactions != "auto":
        return (float(estimator.interactions),)
    n_features, n_labels = X.shape[1], estimator.n_labels_
    n_weights = n_labels * min(2 * estimator.embedding_dim, n_features) ** 2
    if n_weights > _MOST_WEIGHTS:
        return (0.0,)
    if not sp.issparse(X):
        return (_OF_ARRAYS,)
    are_bits = X.nnz and (X.data == X.data[0]).all()
    few = n_features * n_labels <= SMALL_TABLE
    return _INTERACTIONS if are_bits and few else (0.0,)


def embedding_dim(estimator, X):
    """Return the width of the embedding that may be wanted: twice as wide for pairs."""
    shares = interaction_shares(estimator, X)
    if not any(shares):
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


def select_settings(estimator, X, targets, rows, seed, scales, power):
    """Return the settings of the model that orders held-out cells best.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose net has its module started, with the base rates as its biases.
    X, targets : CSR matrix or array, CellTargets
        All rows.
    rows : array of int
        The training rows, some of which are used.
    seed : int or None
        Decides which rows, and their order; None, where nothing is selected.
    scales : RarityScales or SpreadScales
        Of X.
    power : float
        Of the scales.

    Returns
    -------
    Settings
    """
    correlations = (
        _CORRELATIONS
        if estimator.label_correlation == "auto"
        else (float(estimator.label_correlation),)
    )
    shares = interaction_shares(estimator, X)
    narrow = None if shares[0] else estimator.embedding_dim
    first = Settings(correlations[0], shares[0], narrow)
    few = np.diff(targets.indptr)[rows].sum() < _FEWEST_CELLS
    few = few or len(rows) < _FEWEST_ROWS
    if seed is None or few or len(correlations) == len(shares) == 1:
        return first
    args = estimator, X, targets, rows, seed, scales, power
    best = first
    if len(correlations) > 1:
        best = _SmallModels(*args, _MOST_CELLS).select_correlation(
            first, correlations[-1]
        )
    if len(shares) == 1:
        return best
    return _SmallModels(*args, _MOST_FOR_PAIRS).select_interactions(best, shares[1:])


class _SmallModels:
    """Models of some rows, trained by one setting or another."""

    def __init__(self, estimator, X, targets, rows, seed, scales, power, n_cells):
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(rows))
        count = np.cumsum(np.diff(targets.indptr)[rows][order])
        n_rows = int(np.searchsorted(count, n_cells)) + 1
        self.rows = np.sort(rows[order[:n_rows]])
        self.terms = _net.cell_terms(estimator, targets)
        self.net, self.C = estimator.net_, estimator.C_
        self.X, self.targets, self.seed = X, targets, seed
        self.scales, self.power = scales, power

    def start(self, settings):
        """Return a trainer by these settings, and its batches."""
        generator = np.random.default_rng(self.seed)
        data = SDCADataset(self.X, self.targets, self.rows, generator=generator)
        module = _small_module(self.net.module_, self.X, self.targets, data.rows)
        module.allocate(self.X, self.scales, self.power, *settings)
        args = self.X, self.targets, data.rows, *self.terms, self.C
        size = held_out_size(self.net, len(data))
        return SDCASolver(module, *args, cold=True), data.batches(size)

    def judge(self, begun, folds=FOLDS, n_epochs=None):
        """Return the scores of held-out cells, by models of the other folds."""
        trainer, batches = begun
        options = {"folds": folds, "cold": True, "n_cold": n_epochs}
        held_out = held_out_margins(trainer, batches, **options)
        return auc_plus_ap(trainer, held_out, self.targets.n_labels)

    def select_correlation(self, first, correlation):
        """Return the settings with this correlation if the evidence is for it.

        Labels' weights that agree and a gain of held-out cells count together: where
        labels exclude each other, a correlation loses most of the average precision.
        """
        begun = self.start(first)
        agreed = label_alignment(begun[0])
        if agreed <= _TOGETHER:
            return first
        joined = first._replace(label_correlation=correlation)
        before, after = (
            self.judge(each, n_epochs=_EPOCHS) for each in (begun, self.start(joined))
        )
        return joined if agreed + z_score(after, before) > _EVIDENCE else first

    def select_interactions(self, best, shares):
        """Return the settings of the last share of pairs before one gains nothing."""
        before = self._judge_anew(best)
        for share in shares:
            crossed = best._replace(interactions=share, width=None)
            after = self._judge_anew(crossed)
            if z_score(after, before) <= _LIKELY:
                break
            best, before = crossed, after
        return best

    def _judge_anew(self, settings):
        begun = self.start(settings)
        return self.judge(
            begun, folds=1 if len(begun[0].row_of_cell) > _MANY else FOLDS
        )


def _small_module(module, X, targets, rows):
    """Return a fresh module on the same embedding, with room for these rows' cells."""
    _, lengths = concatenated_ranges(targets.indptr, rows)
    small = DirectSharedModule(
        module.n_features,
        module.n_labels,
        module.embedding.shape[1],
        float(module.shared_weight),
        None
        if module.direct is None
        else choose_direct(X, np.repeat(rows, lengths), module.n_labels),
    ).to(module.bias.device)
    for name in ("embedding", "embedding_row", "feature_shift", "feature_std"):
        setattr(small, name, getattr(module, name))
    small.bias.data.copy_(module.bias.data)
    return small
