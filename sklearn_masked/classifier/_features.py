"""How features are scaled and crossed, and what labels share: decided by small models.

They are judged on cells held out.
"""

from typing import NamedTuple

import numpy as np

from ..nn.batches import concatenated_ranges
from ..nn.direct import MAX_WEIGHTS, SMALL_TABLE, choose_direct
from ..nn.dual import DualDataset, DualTrainer, agreement
from ..nn.held_out import FOLDS, held_out_margins
from ..nn.modules import DirectSharedModule
from ..nn.scaling import RarityScales
from . import _build, _choices

# The values of idf_power="auto", and of std_power="auto" for an array: the first, where
# cells are too few to tell.
_IDF_POWERS, _STD_POWERS = (0.5, 0.0, 1.0), (1.0, 0.5, 0.0)
# Those of common="auto".
_COMMON = 0.0, 0.4
# Those of interactions="auto", which is open where there are no more weights of pairs.
_INTERACTIONS, _MOST_WEIGHTS = (0.0, 0.5, 0.75), 1 << 24
_FEWEST_CELLS, _FEWEST_ROWS, _MOST_CELLS = 500, 50, 5_000
# Pairs want more cells; of so many, one fold is enough to judge by.
_MOST_FOR_PAIRS, _MANY = 15_000, 7_500
# Whether labels go together is looked at where what they ask for, each by itself,
# agrees by so many standard deviations. With 1,000 cells or more it did so in 52 of 54
# draws of molecules, and in 1 of 27 of topics and emotions.
_TOGETHER = 1.5
# What gains by so many standard errors is likely better: enough for pairs to count.
_LIKELY = 0.5
# Epochs of a small model that judges powers, or what labels have in common.
_EPOCHS = 3


class Settings(NamedTuple):
    """What a module is arranged by, beside the scales of X."""

    power: float
    common: float
    interactions: float
    width: int | None


def powers(estimator, scales):
    """Return the powers of the columns' scale that the estimator's parameters leave.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        With its parameters.
    scales : RarityScales or SpreadScales
        Of X.
    """
    if isinstance(scales, RarityScales):
        auto, chosen = _IDF_POWERS, estimator.idf_power
    elif scales.std is None:
        return (0.0,)
    else:
        auto, chosen = _STD_POWERS, estimator.std_power
    return auto if chosen == "auto" else (chosen,)


def taken(module, is_sparse):
    """Return the parameters that a module which was arranged stands for.

    `is_sparse` tells whether it was for rows of a sparse X.
    """
    power = round(float(module.feature_power), 6)
    scaled = {"idf_power": power} if is_sparse else {}
    if len(module.feature_shift):
        scaled = {"std_power": power}
    names = "sharing", "common", "interactions"
    return {name: round(float(getattr(module, name)), 6) for name in names} | scaled


def interaction_shares(estimator, n_features):
    """Return the shares of pairs that the estimator's parameters leave."""
    if estimator.interactions != "auto":
        return (float(estimator.interactions),)
    n_labels, dim = estimator.n_labels_, min(2 * estimator.embedding_dim, n_features)
    few = n_features * n_labels <= SMALL_TABLE and n_labels * dim**2 <= _MOST_WEIGHTS
    return _INTERACTIONS if few else _INTERACTIONS[:1]


def embedding_dim(estimator, n_features):
    """Return the width of the embedding that may be wanted: twice as wide for pairs."""
    shares = interaction_shares(estimator, n_features)
    if not any(shares):
        return estimator.embedding_dim
    dim = 2 * estimator.embedding_dim
    n_weights = estimator.n_labels_ * min(dim, n_features) ** 2
    if n_weights > MAX_WEIGHTS:
        raise ValueError(
            f"interactions={estimator.interactions!r} takes a matrix a label, here "
            f"{n_weights:,} weights in all; at most {MAX_WEIGHTS:,} are possible. "
            "Lower `embedding_dim`, or set `interactions` to 0."
        )
    return dim


def choose_start(estimator, X, targets, rows, seed, scales):
    """Return the settings of a module that order held-out cells best.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose net has its module started, with the base rates as its biases.
    X, targets : CSR matrix or array, Targets
        All rows.
    rows : array of int
        The rows to train on, some of which are asked.
    seed : int
        Of which, and in which order; None, where too little is known to ask.
    scales : RarityScales or SpreadScales
        Of X.

    Returns
    -------
    Settings
        The power that the columns' scales are raised to, the share that labels have in
        common, that of pairs, and the width of the embedding.
    """
    options = powers(estimator, scales)
    commons = _COMMON if estimator.common == "auto" else (float(estimator.common),)
    shares = interaction_shares(estimator, X.shape[1])
    narrow = None if shares[0] else estimator.embedding_dim
    first = Settings(options[0], commons[0], shares[0], narrow)
    lengths = np.diff(targets.indptr)[rows]
    few = lengths.sum() < _FEWEST_CELLS or len(rows) < _FEWEST_ROWS
    if seed is None or few or len(options) == len(commons) == len(shares) == 1:
        return first
    args = estimator, X, targets, rows, seed, scales
    small = _SmallModels(*args, _MOST_CELLS)
    begun = small.start(first)
    together = len(commons) > 1 and agreement(begun[0]) > _TOGETHER
    options = options if estimator.net_.module_.direct is not None else options[:1]
    if not together and len(options) == len(shares) == 1:
        return first
    best = small.choose_power(begun, first, options)
    del begun  # it may hold a table of weights
    if together:
        best = small.choose_common(best, commons[-1])
    if len(shares) == 1:
        return best
    return _SmallModels(*args, _MOST_FOR_PAIRS).choose_interactions(best, shares[1:])


class _SmallModels:
    """Models of some rows that are trained by one setting or another."""

    def __init__(self, estimator, X, targets, rows, seed, scales, n_cells):
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(rows))
        count = np.cumsum(np.diff(targets.indptr)[rows][order])
        n_rows = int(np.searchsorted(count, n_cells)) + 1
        self.rows = np.sort(rows[order[:n_rows]])
        self.terms = _build.cell_terms(estimator, targets)
        self.net, self.C = estimator.net_, estimator.C_
        self.X, self.targets, self.scales, self.seed = X, targets, scales, seed

    def start(self, settings):
        """Return a trainer by these settings, and its batches."""
        generator = np.random.default_rng(self.seed)
        data = DualDataset(self.X, self.targets, self.rows, generator=generator)
        module = _small_module(self.net.module_, self.X, self.targets, data.rows)
        module.arrange(self.X, self.scales, *settings)
        args = self.X, self.targets, data.rows, *self.terms, self.C
        size = _choices.held_out_size(self.net, len(data))
        return DualTrainer(module, *args, fresh=True), data.batches(size)

    def judge(self, begun, folds=FOLDS, known=None, n_epochs=_EPOCHS):
        """Return cells that such models, of the other folds, held out; and a ranking.

        `known` are those of the first folds.
        """
        trainer, batches = begun
        options = {"folds": folds, "known": known, "C": self.C, "n_anew": n_epochs}
        known = held_out_margins(trainer, batches, **options)
        return known, _choices.ranking(trainer, known, self.targets.n_labels)

    def choose_power(self, begun, first, options):
        """Return the settings of a power that is surely better than the first.

        One that is not even likely to be, by the folds so far, is not tried on others.
        """
        known, scores = dict.fromkeys(options), {}
        for folds in range(1, FOLDS + 1):
            if len(known) == 1:
                return first
            for power in known:
                args = begun, power, folds, known[power]
                known[power], scores[power] = self._judge_power(*args)
            before = scores[options[0]]
            gains = {p: _choices.gain(scores[p], before) for p in known}
            known = {
                p: known[p] for p in known if p == options[0] or gains[p][1] > _LIKELY
            }
        sure = [power for power in gains if gains[power][1] > _choices.SURE]
        best = max(sure, key=lambda power: gains[power][0], default=options[0])
        return first._replace(power=best)

    def _judge_power(self, begun, power, folds, known):
        begun[0].rescale(begun[0].module.feature_factors(self.scales, power))
        return self.judge(begun, folds, known)

    def choose_common(self, best, common):
        """Return the settings with so much in common, unless they are surely worse.

        What labels ask for has told already; held-out cells may only object.
        """
        joined = best._replace(common=common)
        before, after = (self.judge(self.start(each))[1] for each in (best, joined))
        return joined if _error(after, before) > -_choices.SURE else best

    def choose_interactions(self, best, shares):
        """Return the settings of the last share of pairs before one gains nothing.

        Each of them is likely better than the one before; an error costs little.
        """
        before = self.ranking_anew(best)
        for share in shares:
            crossed = best._replace(interactions=share, width=None)
            after = self.ranking_anew(crossed)
            if _error(after, before) <= _LIKELY:
                break
            best, before = crossed, after
        return best

    def ranking_anew(self, settings):
        """Return how models by these settings, of many cells, rank held-out cells."""
        begun = self.start(settings)
        folds = 1 if len(begun[0].slot) > _MANY else FOLDS
        return self.judge(begun, folds, n_epochs=None)[1]


def _error(scores, before):
    """Return the mean gain of some scores over others, in standard errors."""
    return _choices.gain(scores, before)[1]


def _small_module(module, X, targets, rows):
    """Return a fresh module on the same embedding, with room for these rows' cells."""
    _, lengths = concatenated_ranges(targets.indptr, rows)
    small = DirectSharedModule(
        module.n_features,
        module.n_labels,
        module.embedding.shape[1],
        float(module.sharing),
        None
        if module.direct is None
        else choose_direct(X, np.repeat(rows, lengths), module.n_labels),
    ).to(module.bias.device)
    for name in ("embedding", "embedding_row", "feature_shift", "feature_std"):
        setattr(small, name, getattr(module, name))
    small.bias.data.copy_(module.bias.data)
    return small
