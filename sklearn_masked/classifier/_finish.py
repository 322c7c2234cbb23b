"""After the dual ascent: Platt scaling, by held-out cells.

See :mod:`sklearn_masked.nn.held_out`.
"""

import numpy as np
import torch
from skorch.utils import to_tensor

from ..nn.batches import concatenated_ranges, model_input
from ..nn.held_out import held_out_margins
from ..nn.platt import base_log_odds, output_lines
from . import _build
from ._held_out_scores import cell_parts, held_out_size


def finish(estimator, X, targets, data, valid):
    """Fit the line of each label that makes its logits log-odds.

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
    """
    dual = estimator.net_.dual
    if valid is not None:
        # The validation rows were held out already, and chose the weights.
        if estimator.scale_output:
            parts = _validation_cells(estimator, valid)
            _scale_output(estimator, targets, parts, are_counted=False)
        return
    batches = data.batches(held_out_size(estimator.net_, len(data)))
    dual.settle(batches)
    if estimator.scale_output:
        # Logits after one epoch are up to 5 % longer than after two: the lines change
        # little by it.
        held_out = held_out_margins(dual, batches, n_more=1)
        parts = cell_parts(dual, held_out)
        _scale_output(estimator, targets, parts, are_counted=True)


def _scale_output(estimator, targets, parts, *, are_counted):
    """Fit and set each label's line, by cells that were held out of the training.

    Parameters
    ----------
    estimator, targets
        As `finish` takes them.
    parts : tensors of shape (n_cells,)
        Logit, bias, target, label and weight of the cells.
    are_counted : bool
        Whether they are among the dual trainer's cells, which give the base rates.
    """
    dual, module = estimator.net_.dual, estimator.net_.module_
    unit = _build.mean_weight(estimator, targets, with_labels=True)
    margin, bias, target, label, weight = parts
    target, weight = target.double(), weight.double() / unit
    totals = [total / unit for total in dual.totals()]
    own = (target, weight) if are_counted else (0.0, 0.0)
    lines = output_lines(
        margin - bias,
        base_log_odds(*totals, *own, label),
        target,
        label,
        weight,
        label_base=base_log_odds(*totals),
        bias=module.bias.detach(),
        train_rms=dual.row_rms(),
    )
    _set_lines(module, lines)


def _set_lines(module, lines):
    module.slope, module.intercept = (line.to(module.bias.device) for line in lines)


@torch.no_grad()
def _validation_cells(estimator, valid, block=1024):
    """Return logit, bias, target, label and weight of these rows' labeled cells."""
    module = estimator.net_.module_
    X, targets, rows = valid.X, valid.targets, valid.rows
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
        parts.append((margin, module.bias[label], targets_here, label, weights))
    return [torch.cat(part) for part in zip(*parts, strict=True)]
