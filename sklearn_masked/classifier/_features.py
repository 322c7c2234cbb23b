"""How features are scaled: decided by small models on cells held out."""

import numpy as np
import torch

from ..nn.batches import concatenated_ranges
from ..nn.direct import choose_direct
from ..nn.dual import DualDataset, DualTrainer
from ..nn.held_out import held_out_margins
from ..nn.modules import DirectSharedModule
from ..nn.scaling import RarityScales
from . import _build, _choices, _finish

# The values of idf_power="auto", and of std_power="auto" for an array: the first, where
# cells are too few to tell.
_IDF_POWERS, _STD_POWERS = (0.5, 0.0, 1.0), (1.0, 0.5, 0.0)
_FEWEST_CELLS, _MOST_CELLS = 500, 5_000
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


def choose_power(estimator, X, targets, rows, seed, scales):
    """Return the power with which a small model orders held-out cells best.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose net has its module started, with the base rates as its biases.
    X, targets : CSR matrix or array, Targets
        All rows.
    rows : array of int
        The rows to train on, some of which are asked.
    seed : int
        Of which, and in which order.
    scales : RarityScales or SpreadScales
        Of X.
    """
    module, options = estimator.net_.module_, powers(estimator, scales)
    lengths = np.diff(targets.indptr)[rows]
    few = lengths.sum() < _FEWEST_CELLS
    if len(options) == 1 or module.direct is None or few:
        return options[0]
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    n_rows = int(np.searchsorted(np.cumsum(lengths[order]), _MOST_CELLS)) + 1
    some = np.sort(rows[order[:n_rows]])
    terms = _build.cell_terms(estimator, targets)
    scores = []
    for power in options:
        data = DualDataset(X, targets, some, generator=np.random.default_rng(seed))
        small = _small_module(module, X, targets, data.rows, scales.scale(power))
        args = X, targets, data.rows, *terms, estimator.C_
        size = _finish.held_out_size(estimator.net_, len(data))
        trainer = DualTrainer(small, *args, fresh=True)
        scores.append(_score(trainer, data.batches(size), targets.n_labels))
    gains = [_choices.gain(score, scores[0]) for score in scores]
    sure = [gain * (errors > _choices.SURE) for gain, errors in gains]
    return options[int(np.argmax(sure))]


def _small_module(module, X, targets, rows, scale):
    """Return a fresh module on the same embedding, with room for these rows' cells."""
    _, lengths = concatenated_ranges(targets.indptr, rows)
    small = DirectSharedModule(
        module.n_features,
        module.n_labels,
        module.embedding.shape[1],
        float(module.sharing),
        choose_direct(X, np.repeat(rows, lengths), module.n_labels),
    ).to(module.bias.device)
    for name in ("embedding", "embedding_row", "feature_shift", "feature_std"):
        setattr(small, name, getattr(module, name))
    small.feature_scale = torch.from_numpy(scale).to(module.bias.device)
    small.bias.data.copy_(module.bias.data)
    return small


def _score(trainer, batches, n_labels):
    for _ in range(_EPOCHS):
        for cells in batches:
            trainer.step(cells)
        trainer.end_epoch()
    trainer.settle(batches)
    held_out = held_out_margins(trainer, batches)
    return _choices.ranking(trainer, held_out, n_labels)
