"""How features are scaled, and what labels have in common: decided by small models.

They are judged on cells held out.
"""

import numpy as np
import torch

from ..nn.batches import concatenated_ranges
from ..nn.direct import choose_direct
from ..nn.dual import DualDataset, DualTrainer, agreement
from ..nn.modules import DirectSharedModule
from ..nn.scaling import RarityScales
from . import _build, _choices

# The values of idf_power="auto", and of std_power="auto" for an array: the first, where
# cells are too few to tell.
_IDF_POWERS, _STD_POWERS = (0.5, 0.0, 1.0), (1.0, 0.5, 0.0)
# Those of common="auto".
_COMMON = 0.0, 0.4
_FEWEST_CELLS, _FEWEST_ROWS, _MOST_CELLS = 500, 50, 5_000
# Whether labels go together is looked at where what they ask for, each by itself,
# agrees by so many standard deviations. With 1,000 cells or more it did so in 52 of 54
# draws of molecules, and in 1 of 27 of topics and emotions.
_TOGETHER = 1.5
_EPOCHS = 3


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


def choose_start(estimator, X, targets, rows, seed, scales):
    """Return the power and the common share that order held-out cells best.

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
    power, common : float
        What the columns' scales are raised to, and the share that labels have in
        common.
    """
    module, options = estimator.net_.module_, powers(estimator, scales)
    is_open = estimator.common == "auto"
    commons = _COMMON if is_open else (float(estimator.common),)
    first = options[0], commons[0]
    lengths = np.diff(targets.indptr)[rows]
    few = lengths.sum() < _FEWEST_CELLS or len(rows) < _FEWEST_ROWS
    if seed is None or few or len(options) == len(commons) == 1:
        return first
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    n_rows = int(np.searchsorted(np.cumsum(lengths[order]), _MOST_CELLS)) + 1
    some = np.sort(rows[order[:n_rows]])
    terms = _build.cell_terms(estimator, targets)

    def start(power, common):
        data = DualDataset(X, targets, some, generator=np.random.default_rng(seed))
        small = _small_module(module, X, targets, data.rows, scales.scale(power))
        small.share_weights(X, common)
        args = X, targets, data.rows, *terms, estimator.C_
        size = _choices.held_out_size(estimator.net_, len(data))
        return DualTrainer(small, *args, fresh=True), data.batches(size)

    def score(begun, others=None):
        return _score(*begun, targets.n_labels, others)

    options = options if module.direct is not None else options[:1]
    begun = start(*first)
    together = len(commons) > 1 and agreement(begun[0]) > _TOGETHER
    if not together and len(options) == 1:
        return first
    found = [score(begun)]
    for power in options[1:]:
        begun[0].rescale(torch.from_numpy(scales.scale(power)).to(module.bias.device))
        found.append(score(begun, found[0]))
    del begun  # it may hold a table of weights
    settings = [(power, first[1]) for power in options]
    best, scores = _surely_best(settings, found)
    # What labels ask for has told already; held-out cells may only object.
    joined = best[0], commons[-1]
    if together and _choices.gain(score(start(*joined)), scores)[0] > 0:
        return joined
    return best


def _surely_best(settings, scores):
    """Return the first setting, or one that is surely better, and its scores."""
    gains = [_choices.gain(each, scores[0]) for each in scores]
    sure = [gain * (errors > _choices.SURE) for gain, errors in gains]
    best = int(np.argmax(sure))
    return settings[best], scores[best]


def _small_module(module, X, targets, rows, scale):
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
    small.feature_scale = torch.from_numpy(scale).to(module.bias.device)
    small.bias.data.copy_(module.bias.data)
    return small


def _score(trainer, batches, n_labels, others=None):
    """Return the ranking of held-out cells; of one fold if others do better there."""
    trainer.epochs(batches, _EPOCHS)
    trainer.settle(batches)
    return _choices.judge(trainer, batches, n_labels, others)[1]
