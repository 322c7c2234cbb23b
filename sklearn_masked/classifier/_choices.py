"""What is chosen after the dual ascent: how much to share, and how firm the penalty.

Both are judged by how well they order cells that were held out; see
:mod:`sklearn_masked.nn.held_out`.
"""

import numpy as np

from ..labels import MaskedLabels
from ..metrics import masked_average_precision_score, masked_roc_auc_score
from ..nn.held_out import (
    FOLDS,
    held_out_margins,
    margins_of,
    without_fold,
)
from ..nn.platt import shared_line

# The values of sharing="auto": it starts from the first, and takes the second if that
# orders held-out cells better. Fewer cells than this choose by chance.
SHARING = 0.3, 0.1
_FEWEST_FOR_SHARING = 10_000
# Epochs with the second: to be judged, and to be kept.
_TO_JUDGE, _TO_KEEP = 1, 2
# Those of C="auto", which starts from the first. Log-odds that are less, or more, than
# this times the held-out margins call for the second, or for the third.
STRENGTHS = 5.0, 0.5, 50.0
_TOO_LARGE, _TOO_SMALL = 0.8, 1.5
_FEWEST_FOR_STRENGTH = 500
# Where there are more, so many cells and so many labels are enough to choose by.
_ENOUGH_FOR_SHARING, _ENOUGH_FOR_STRENGTH = (10_000, 10), (5_000, 7)
# A value is left for another one whose gain is so many of its standard errors.
SURE = 1.0
# Cells are held out by batches: by this many at least.
_FEWEST_BATCHES = 12


def held_out_size(net, n_rows):
    """Return the rows a batch of the held-out folds, of which there must be some."""
    size = n_rows if net.batch_size == -1 else net.batch_size
    return max(min(size, -(-n_rows // _FEWEST_BATCHES)), 1)


def choose_sharing(dual, batches, n_labels):
    """Set the sharing that orders held-out cells better.

    Parameters
    ----------
    dual : DualTrainer
        Settled after its last epoch.
    batches : list of slice
        Its batches.
    n_labels : int
        Number of labels.

    Returns
    -------
    known : HeldOut or None
        Cells that were held out of the trainer as it now is.
    slope : float or None
        How many log-odds a held-out margin is worth, over the label's base rate.
    """
    enough = len(dual.slot) >= _FEWEST_FOR_SHARING and len(batches) > 1
    if not (enough and dual.module.output.shape[1]) or dual.common:
        # Labels with weights in common share the most of them, one way or the other.
        return None, None
    part, cut = _some_labels(dual, batches, *_ENOUGH_FOR_SHARING)
    with without_fold(part, cut) as (out, rest, _):
        more = margins_of(part, out)
        _share_less(part, rest, _TO_JUDGE)
        less = margins_of(part, out)
        part.set_sharing(SHARING[0])
    scores = (ranking(part, known, n_labels) for known in (less, more))
    if gain(*scores)[0] > 0:
        _share_less(dual, batches, _TO_KEEP)
        return None, _slope(part, less)
    return more if part is dual else None, _slope(part, more)


def _share_less(dual, batches, n_epochs):
    dual.set_sharing(SHARING[1])
    dual.epochs(batches, n_epochs)
    dual.settle(batches)


def choose_strength(dual, batches, n_labels, n_epochs, known=None, slope=None):
    """Set the C that surely orders held-out cells better than the first, if one does.

    Parameters
    ----------
    dual : DualTrainer
        Trained from the start, and settled after its last epoch.
    batches : list of slice
        Its batches.
    n_labels : int
        Number of labels.
    n_epochs : int
        How many epochs a training takes.
    known : HeldOut, default=None
        Cells that were held out of the trainer.
    slope : float, default=None
        What `choose_sharing` found, which may leave nothing open.

    Returns
    -------
    HeldOut or None
        As `choose_sharing` does.
    """
    few = len(dual.slot) < _FEWEST_FOR_STRENGTH or len(batches) < 2
    if few or (slope is not None and _called_for(slope) is None):
        return known
    part, cut = _some_labels(dual, batches, *_ENOUGH_FOR_STRENGTH)
    now = known if part is dual else None
    # Where a value is called for already, one fold tells whether it still is.
    folds = FOLDS if slope is None else 1
    now = held_out_margins(part, cut, folds=folds, known=now)
    C = _called_for(_slope(part, now))
    if C is not None:
        now, then = _compare_strength(part, cut, n_labels, C, now)
        if then is not None:
            _train_again(dual, batches, C, n_epochs)
            return then if part is dual else None
    return now if part is dual else known


def _called_for(slope):
    """Return the C that a slope of the held-out margins calls for, None for the first.

    >>> from sklearn_masked.classifier._choices import _called_for
    >>> [_called_for(slope) for slope in (0.5, 1.0, 2.0)]
    [0.5, None, 50.0]
    """
    if _TOO_LARGE <= slope <= _TOO_SMALL:
        return None
    return STRENGTHS[1 if slope < _TOO_LARGE else 2]


def _compare_strength(part, cut, n_labels, C, now):
    """Return cells held out with the C that is there, and with another if better.

    Fold by fold, until the other one is not called for, or no better.
    """
    then = None
    for folds in range(1, FOLDS + 1):
        if folds > 1:
            now = held_out_margins(part, cut, folds=folds, known=now)
            if _called_for(_slope(part, now)) != C:
                return now, None
        then = held_out_margins(part, cut, folds=folds, known=then, C=C)
        scores = ranking(part, then, n_labels), ranking(part, now, n_labels)
        mean, errors = gain(*scores)
        if mean <= 0:
            return now, None
    return now, then if errors > SURE else None


def _slope(dual, held_out):
    """Return the log-odds that the rows add, over what they add to the margins."""
    margin, base, target, _, weight = cell_parts(dual, held_out)
    parts = margin - base, base, target, weight
    return float(shared_line(*(part.double() for part in parts))[0])


def _train_again(dual, batches, C, n_epochs):
    dual.restart(C)
    dual.epochs(batches, n_epochs)
    dual.settle(batches)


def _some_labels(dual, batches, n_cells, n_labels):
    """Return a trainer of labels enough to choose by, and batches of their cells.

    Every k-th label learns as it does among all, and has about so many cells left:
    unless labels have weights in common.
    """
    label = dual.label.cpu().numpy()
    step = min(len(label) // n_cells, len(np.unique(label)) // n_labels)
    if step <= 1 or dual.common:
        return dual, batches
    n_joined = min(step, len(batches) // _FEWEST_BATCHES)
    return dual.of_labels(_every(label, step), batches, max(n_joined, 1))


def _every(label, step):
    """Return every so many of the labels, from rare to frequent."""
    count = np.bincount(label)
    present = np.flatnonzero(count)
    return present[np.argsort(count[present], kind="stable")][step // 2 :: step]


def ranking(dual, held_out, n_labels):
    """Return how well the margins order the cells of each label: ROC AUC and AP, added.

    The log loss would reward sharing for what the output's lines do anyway, to make
    labels comparable. Cells are compared within a fold: what was left out moves a
    label's base rate.

    Returns
    -------
    array of shape (n_labels * FOLDS,)
        NaN where only one kind of cell was held out.
    """
    margin, _, target, label, weight = (
        part.cpu().numpy() for part in cell_parts(dual, held_out)
    )
    column = label * FOLDS + held_out.fold.cpu().numpy()
    is_positive, scores = target > 0.5, np.full(n_labels * FOLDS, np.nan)
    kinds = (column[(weight > 0) & kind] for kind in (is_positive, ~is_positive))
    scored, at = np.unique(column, return_inverse=True)
    has_both = np.logical_and(*(np.isin(scored, kind) for kind in kinds))
    kept = has_both[at] & (weight > 0)
    if not kept.any():
        return scores
    # Without the others no metric has to warn: filters of warnings are not a thread's.
    at = (np.cumsum(has_both) - 1)[at]
    cells = np.arange(len(label))[kept], at[kept], is_positive[kept].astype(np.int8)
    shape = len(label), has_both.sum()
    y = MaskedLabels.from_cells(*cells, shape=shape, weights=weight[kept])
    scores[scored[has_both]] = masked_roc_auc_score(
        y, margin[kept], average=None
    ) + masked_average_precision_score(y, margin[kept], average=None)
    return scores


def gain(scores, before):
    """Return the mean gain of some scores over others, and over its standard error."""
    gains = scores - before
    gains = gains[~np.isnan(gains)]
    if len(gains) < 2:
        return 0.0, 0.0
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return gains.mean(), gains.mean() / max(error, np.finfo(float).tiny)


def cell_parts(dual, held_out):
    """Return margin, base, target, label and weight of the cells held out."""
    margin, base, cells, _ = held_out
    weight = dual.strength[cells] / dual.C
    return margin, base, dual.target[cells], dual.label[cells], weight
