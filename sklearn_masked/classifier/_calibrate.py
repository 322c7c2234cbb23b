"""Platt scaling of the default model, and its upkeep by later calls.

The first call fits the lines to cells that were held out; see
:mod:`sklearn_masked.nn.sdca._calibration`. Later calls judge the model as it was before
them on their cells, unless they have been seen: then the lines follow the logits'
growth.
"""

import numpy as np
import torch
from skorch.utils import to_tensor

from ..nn._batches import concatenated_ranges, model_input
from ..nn.sdca._batches import cell_digests
from ..nn.sdca._calibration import (
    base_log_odds,
    held_out_margins,
    margins_of,
    platt_lines,
)
from . import _net
from ._new_labels import padded

# Held-out cells, and digests of training cells, that are kept for later calls: 44 KB of
# a saved model at most.
_MOST_CELLS, _MOST_DIGESTS = 2_000, 512
# Folds are made of batches: there are at least this many.
_FEWEST_BATCHES = 6


def calibrate(estimator, data):
    """Fit the line per label that makes its logits log-odds, and write the weights.

    Where labels are described, the same held-out cells tell how much their scores
    count; see :mod:`sklearn_masked.classifier._label_prior`.

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Trained by dual coordinate ascent. Its `_platt` is set: what later calls need.
    data : FitData
        Of this call.
    """
    solver, train = estimator.net_.solver, data.train
    batches = train.batches(_held_out_size(estimator.net_, len(train)))
    if data.whole and not data.stops:
        solver.refit_biases(batches)
    prior = estimator._label_prior
    if prior is not None:
        prior.prepare(estimator.net_.module_, data.X)
        prior = prior if prior.describes else None
    if (estimator.calibrate or prior) and len(solver.label):
        _fit_lines(estimator, data, batches, prior)
    solver.write()


def _fit_lines(estimator, data, batches, prior):
    """Fit the lines, and a prior of words, to held-out cells of all calls."""
    solver = estimator.net_.solver
    known = None if data.first else getattr(estimator, "_platt", None)
    if known is None:
        n_scores = 0 if prior is None else prior.n_scores
        known = _nothing_known(solver, data.mean_loss_weight, n_scores)
    n_known = len(known["totals"][0])
    digests = _digests(data.targets.labeled, data.train)
    totals = [
        padded(before, estimator.n_labels_) + total.cpu().numpy() / known["unit"]
        for before, total in zip(known["totals"], solver.totals(), strict=True)
    ]
    cells, n_new = known["cells"].copy(), len(digests)
    if prior is not None and len(cells) < 5 + prior.n_scores:
        # Of labels that nothing described; those that joined are.
        cells = np.pad(cells, ((0, prior.n_scores), (0, 0)))
    first = 0 if not known["n_seen"] else n_known
    is_new = solver.label >= first
    were_seen = _were_seen(digests, known["digests"])
    if were_seen:
        n_new = int(is_new.sum())
        growth = _growth(solver, ~is_new) ** min(len(digests) / known["n_seen"], 1.0)
        cells[0] *= growth
    if data.stops and not were_seen:
        # The validation rows were held out already, and chose the weights.
        parts, rows = _validation_cells(estimator, data.valid)
        is_counted, X = False, data.valid.X
    else:
        parts, rows = _unseen_cells(solver, data.train, batches, is_new, were_seen)
        is_counted, X = True, data.X
    found = _as_cells(parts, totals, known["unit"], is_counted)
    if prior is not None:
        found = prior.with_scores(found, estimator.net_.module_, X, rows)
    cells = np.concatenate([cells, found], axis=1)
    told = cells[:5] if prior is None else prior.learn(cells, estimator.n_labels_)
    if estimator.calibrate:
        _set_lines(estimator.net_, told, totals)
    if prior is not None:
        prior.shift(estimator.net_.module_, estimator.calibrate)
    estimator._platt = {
        "cells": cells[:, -_MOST_CELLS:].astype(np.float32),
        "totals": totals,
        "unit": known["unit"],
        "n_seen": known["n_seen"] + n_new,
        "digests": np.union1d(known["digests"], digests)[:_MOST_DIGESTS],
    }


def _held_out_size(net, n_rows):
    """Return the number of rows per batch of the held-out folds."""
    size = n_rows if net.batch_size == -1 else net.batch_size
    return max(min(size, -(-n_rows // _FEWEST_BATCHES)), 1)


def _nothing_known(solver, unit, n_scores):
    zeros = np.zeros(len(solver.module.bias))
    return {
        "cells": np.zeros((5 + n_scores, 0)),
        "totals": [zeros, zeros],
        "unit": unit,
        "n_seen": 0,
        "digests": np.zeros(0, np.uint64),
    }


def _digests(labeled, data):
    """Return the digests of the labeled cells that were trained on."""
    index, lengths = concatenated_ranges(labeled.indptr, data.rows)
    return cell_digests(np.repeat(data.digests, lengths), labeled.indices[index])


def _were_seen(digests, known):
    """Return whether most of these cells have been trained on by earlier calls.

    The smallest digests are kept: a random sample of the cells, so that those of other
    cells that are as small are known to be new.
    """
    if not len(known):
        return False
    asked = digests[digests <= known[-1]]
    return bool(len(asked)) and np.isin(asked, known).mean() > 0.5


def _growth(solver, cells):
    """Return how much longer this training made what rows add to its cells' logits.

    The cells of a small call, each of which sees mostly itself, say little of others:
    the caller lets growth count by the share of all cells that these are.
    """
    before = float(solver.row_terms[cells].square().mean().sqrt())
    return solver.row_rms(cells) / before if before > 0 else 1.0


def _unseen_cells(solver, train, batches, is_new, were_seen):
    """Return logit, bias, target, label and weight of cells not learned from.

    And the row of X that each of them stands in. Cells of new labels are held out; the
    model as it was before tells the logits of others, unless these `were_seen`.
    """
    held_out = margins_of(solver, [])
    if is_new.any():
        # Logits after one epoch are up to 5 % longer than after two: the lines change
        # little by it.
        held_out = held_out_margins(solver, batches, n_more=1)
    kept = is_new[held_out.cells]
    cells, margin, base = (
        part[kept] for part in (held_out.cells, held_out.margin, held_out.base)
    )
    if not (were_seen or is_new.all()):
        others = torch.nonzero(~is_new)[:, 0]
        cells = torch.cat([cells, others])
        margin = torch.cat([margin, solver.row_terms[others]])
        base = torch.cat([base, margin.new_zeros(len(others))])
    weight = solver.cell_C[cells] / solver.C
    parts = margin, base, solver.target[cells], solver.label[cells], weight
    return parts, train.rows[solver.row_of_cell][cells.cpu().numpy()]


def _as_cells(parts, totals, unit, is_counted):
    """Return what rows add, base, target, label and weight, shape (5, n_cells).

    Parameters
    ----------
    parts : tensors of shape (n_cells,)
        Logit, bias, target, label and weight of the cells.
    totals : list of arrays of shape (n_labels,)
        Weight of each label's positive cells, and of all its cells.
    unit : float
        The weight of a usual cell.
    is_counted : bool
        Whether these cells are among the totals.
    """
    margin, bias, target, label, weight = (
        part.detach().cpu().double().numpy() for part in parts
    )
    weight = weight / unit
    own = (target, weight) if is_counted else (0.0, 0.0)
    base = base_log_odds(*totals, *own, label.astype(np.int64))
    return np.stack([margin - bias, base, target, label, weight])


def _set_lines(net, cells, totals):
    """Fit the lines to these cells, and let the module use them."""
    module = net.module_
    rows, base, target, label, weight = torch.from_numpy(cells.astype(float))
    lines = platt_lines(
        rows,
        base,
        target,
        label.long(),
        weight,
        label_base=torch.from_numpy(base_log_odds(*totals)),
        bias=module.bias.detach().cpu(),
        train_rms=net.solver.row_rms(),
    )
    module.slope, module.intercept = (line.to(module.bias.device) for line in lines)


@torch.no_grad()
def _validation_cells(estimator, valid, block=1024):
    """Return logit, bias, target, label and weight of these rows' labeled cells.

    And the row that each of them stands in.
    """
    module = estimator.net_.module_
    X, targets, rows = valid.X, valid.targets, valid.rows
    ones = torch.ones_like(module.bias)
    module.slope, module.intercept = ones, torch.zeros_like(ones)
    weight, target = _net.cell_terms(estimator, targets)
    parts, at_rows = [], []
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
        at_rows.append(np.repeat(some, lengths))
    parts = [torch.cat(part) for part in zip(*parts, strict=True)]
    return parts, np.concatenate(at_rows)
