"""What follows the dual ascent: choices that were left open, and the output's scale.

All are judged on cells that were held out; see :mod:`sklearn_masked.nn.held_out`.
"""

import numpy as np
import torch
from skorch.utils import to_tensor

from ..nn.batches import concatenated_ranges, model_input
from ..nn.held_out import held_out_margins, output_lines
from . import _build, _choices


def finish(estimator, X, targets, data, valid, *, first):
    """Choose the sharing and C, and fit the line of each label.

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
        Whether the model was trained from the start: its sharing and C are open.
    """
    if valid is not None:
        # The validation rows were held out already, and chose the weights.
        if estimator.scale_output:
            parts = _validation_margins(estimator, X, targets, valid.rows)
            module = estimator.net_.module_
            _set_lines(module, output_lines(*parts, module.bias.detach()))
        return
    dual, module = estimator.net_.dual, estimator.net_.module_
    batches = data.batches(_choices.held_out_size(estimator.net_, len(data)))
    dual.settle(batches)
    known = slope = None
    if first and estimator.sharing == "auto":
        known, slope = _choices.choose_sharing(dual, batches, targets.n_labels)
    if first and estimator.C == "auto":
        n_epochs = estimator.max_epochs
        args = dual, batches, targets.n_labels, n_epochs, known, slope
        known = _choices.choose_strength(*args)
        estimator.C_ = dual.C
    if estimator.scale_output:
        # Margins after one epoch are up to 5 % longer than after two, as those are that
        # a choice has found: a slope minds it little.
        held_out = held_out_margins(dual, batches, known=known, n_more=1)
        parts = _choices.cell_parts(dual, held_out)
        _set_lines(module, output_lines(*parts, module.bias.detach()))


def _set_lines(module, lines):
    module.slope, module.intercept = (line.to(module.bias.device) for line in lines)


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
