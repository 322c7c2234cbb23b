"""What follows the dual ascent: how much to share, and the scale of the output.

Both are judged on cells that were held out; see :mod:`sklearn_masked.nn.held_out`.
"""

import warnings

import numpy as np
import torch
from sklearn.exceptions import UndefinedMetricWarning
from skorch.utils import to_tensor

from ..labels import MaskedLabels
from ..metrics import masked_average_precision_score, masked_roc_auc_score
from ..nn.batches import concatenated_ranges, model_input
from ..nn.held_out import held_out_margins, output_lines
from . import _build

# The values of sharing="auto": it starts from the first, and takes the second if that
# orders held-out cells better. Fewer cells than this choose by chance.
SHARING = 0.3, 0.1
_FEWEST_CELLS, _FEWEST_LABELS = 10_000, 10
_EPOCHS = 2
# Cells are held out by batches: by this many at least.
_FEWEST_BATCHES = 12


def finish(estimator, X, targets, data, valid, *, first):
    """Choose the sharing, and fit the line of each label.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Trained by dual coordinate ascent.
    X, targets : CSR matrix or array, Targets
        All rows.
    data : DualDataset
        The rows trained on.
    valid : CellDataset or None
        The validation rows, if some were set aside.
    first : bool
        Whether the model was trained from the start, so that its sharing is open.
    """
    if valid is not None:
        # The validation rows were held out already, and chose the weights.
        if estimator.scale_output:
            parts = _validation_margins(estimator, X, targets, valid.rows)
            module = estimator.net_.module_
            _set_lines(module, output_lines(*parts, module.bias.detach()))
        return
    dual, module = estimator.net_.dual, estimator.net_.module_
    batches = data.batches(held_out_size(estimator.net_, len(data)))
    dual.settle(batches)
    known = []
    if first and estimator.sharing == "auto" and _can_choose(dual, batches):
        known = _choose_sharing(dual, batches, targets.n_labels)
    if estimator.scale_output:
        held_out = held_out_margins(dual, batches, known=known)
        parts = _parts(dual, held_out)
        _set_lines(module, output_lines(*parts, module.bias.detach()))


def _can_choose(dual, batches):
    enough = len(dual.slot) >= _FEWEST_CELLS and len(batches) > 1
    return enough and dual.module.output.shape[1] > 0


def _choose_sharing(dual, batches, n_labels):
    """Set the sharing that orders held-out cells better; return cells held out so.

    Many cells are judged by those of some labels, which learn as they do among all.
    """
    before = dual.state()
    part, cut = dual, batches
    if (step := _label_step(dual.label.cpu().numpy())) > 1:
        labels = _every(dual.label.cpu().numpy(), step)
        n_joined = min(step, len(batches) // _FEWEST_BATCHES)
        part, cut = dual.of_labels(labels, batches, max(n_joined, 1))
    more = held_out_margins(part, cut, folds=1)
    _share_less(part, cut)
    less = held_out_margins(part, cut, folds=1)
    is_less = gain(*(ranking(part, known, n_labels) for known in (less, more)))[0] > 0
    if part is dual and is_less:
        return [less]
    part.set_sharing(SHARING[0])
    dual.set_state(before)
    if is_less:
        _share_less(dual, batches)
    return [] if part is not dual else [more]


def _share_less(dual, batches):
    dual.set_sharing(SHARING[1])
    for _ in range(_EPOCHS):
        for cells in batches:
            dual.step(cells)
        dual.end_epoch()
    dual.settle(batches)


def _label_step(label):
    """Return k where every k-th label has cells enough to choose by."""
    n_labels = len(np.unique(label))
    return max(min(len(label) // _FEWEST_CELLS, n_labels // _FEWEST_LABELS), 1)


def _every(label, step):
    """Return every so many of the labels, from rare to frequent."""
    count = np.bincount(label)
    present = np.flatnonzero(count)
    return present[np.argsort(count[present], kind="stable")][step // 2 :: step]


def ranking(dual, held_out, n_labels, fold=0, n_folds=1):
    """Return how well the margins order the cells of each label: ROC AUC and AP, added.

    The log loss would reward sharing for what the output's lines do anyway, to make
    labels comparable. `fold` tells the fold of each cell: cells are compared within
    one, since what was left out moves a label's base rate.

    Returns
    -------
    array of shape (n_labels * n_folds,)
        NaN where only one kind of cell was held out.
    """
    margin, _, target, label, weight = (
        part.cpu().numpy() for part in _parts(dual, held_out)
    )
    column = label * n_folds + fold
    cells = np.arange(len(label)), column, (target > 0.5).astype(np.int8)
    shape = len(label), n_labels * n_folds
    y = MaskedLabels.from_cells(*cells, shape=shape, weights=weight)
    margin = margin[weight > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return masked_roc_auc_score(y, margin, average=None) + (
            masked_average_precision_score(y, margin, average=None)
        )


def gain(scores, before):
    """Return the mean gain of some scores over others, and over its standard error."""
    gains = scores - before
    gains = gains[~np.isnan(gains)]
    if len(gains) < 2:
        return 0.0, 0.0
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return gains.mean(), gains.mean() / max(error, np.finfo(float).tiny)


def _parts(dual, held_out):
    """Return margin, base, target, label and weight of the cells held out."""
    margin, base, cells = held_out
    weight = dual.strength[cells] / dual.C
    return margin, base, dual.target[cells], dual.label[cells], weight


def _set_lines(module, lines):
    module.slope, module.intercept = (line.to(module.bias.device) for line in lines)


def held_out_size(net, n_rows):
    """Return the rows a batch of the held-out folds, of which there must be some."""
    size = n_rows if net.batch_size == -1 else net.batch_size
    return max(min(size, -(-n_rows // _FEWEST_BATCHES)), 1)


@torch.no_grad()
def _validation_margins(estimator, X, targets, rows, block=1024):
    """Return margin, base, target, label and weight of these rows' labeled cells."""
    module = estimator.net_.module_
    ones = torch.ones_like(module.bias)
    _set_lines(module, (ones, torch.zeros_like(ones)))
    weight, target = _build.cell_terms(estimator, targets)
    parts = []
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        cells, lengths = concatenated_ranges(targets.indptr, some)
        inputs = to_tensor(model_input(X[some]), device=ones.device)
        inputs = inputs if isinstance(inputs, dict) else {"X": inputs}
        at, label, targets_here, weights = (
            torch.from_numpy(part).to(ones.device)
            for part in (
                np.repeat(np.arange(len(some)), lengths),
                targets.indices[cells].astype(np.int64),
                target[cells].astype(np.float32),
                weight[cells].astype(np.float32),
            )
        )
        margin = module.cell_logits(at, label, **inputs)
        base = module.bias[label]
        parts.append((margin, base, targets_here, label, weights))
    return [torch.cat(part) for part in zip(*parts, strict=True)]
