"""How much rare features count: decided by small models on cells held out."""

import numpy as np
import scipy.sparse as sp
import torch

from ..nn.batches import concatenated_ranges
from ..nn.direct import choose_direct
from ..nn.dual import DualDataset, DualTrainer
from ..nn.held_out import held_out_margins
from ..nn.modules import DirectSharedModule
from . import _build, _finish

# The values of idf_power="auto": the first, where cells are too few to tell.
IDF_POWERS = 0.5, 0.0, 1.0
_FEWEST_CELLS, _MOST_CELLS = 500, 5_000
# A power is left for another one whose gain is so many of its standard errors.
_SURE = 1.0
_EPOCHS, _FOLDS = 3, 3


def choose_idf_power(estimator, X, targets, rows, seed, scales):
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
    scales : FeatureScales
        Of X.
    """
    module = estimator.net_.module_
    lengths = np.diff(targets.indptr)[rows]
    if not sp.issparse(X) or module.direct is None or lengths.sum() < _FEWEST_CELLS:
        return IDF_POWERS[0]
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(rows))
    n_rows = int(np.searchsorted(np.cumsum(lengths[order]), _MOST_CELLS)) + 1
    some = np.sort(rows[order[:n_rows]])
    terms = _build.cell_terms(estimator, targets)
    scores = []
    for power in IDF_POWERS:
        data = DualDataset(X, targets, some, generator=np.random.default_rng(seed))
        small = _small_module(module, X, targets, data.rows, scales.scale(power))
        trainer = DualTrainer(
            small, X, targets, data.rows, *terms, estimator.C, fresh=True
        )
        size = _finish.held_out_size(estimator.net_, len(data))
        scores.append(_score(trainer, data.batches(size), targets.n_labels))
    gains = [_finish.gain(score, scores[0]) for score in scores]
    sure = [gain * (errors > _SURE) for gain, errors in gains]
    return IDF_POWERS[int(np.argmax(sure))]


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
    small.embedding, small.embedding_row = module.embedding, module.embedding_row
    small.feature_scale = torch.from_numpy(scale).to(module.bias.device)
    small.bias.data.copy_(module.bias.data)
    return small


def _score(trainer, batches, n_labels):
    for _ in range(_EPOCHS):
        for cells in batches:
            trainer.step(cells)
        trainer.end_epoch()
    trainer.settle(batches)
    held_out = held_out_margins(trainer, batches, folds=_FOLDS)
    fold = np.empty(batches[-1].stop, np.int64)
    for number, cells in enumerate(batches):
        fold[cells] = number % _FOLDS
    fold = fold[held_out.cells.cpu().numpy()]
    return _finish.ranking(trainer, held_out, n_labels, fold, _FOLDS)
