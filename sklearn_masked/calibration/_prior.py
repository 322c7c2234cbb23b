"""From the cells that were sought to the traffic that a model will see."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import betaln, expit, logit

from .._typing import LabelsLike, Weights
from ..labels import cell_weights, check_labels
from ..labels.names import check_same_rows
from ..metrics.shares import refuse_one_side

_STEPS = 500
_TOLERANCE = 1e-7
# Prior: a mean shift within some 5 either way, and labels
# that differ by 0.5, as if one label more had shown it.
_MEAN_VARIANCE = 25.0
_LABEL_VARIANCE = 0.25


def prior_shift(target, share):
    """Return ``logit(target) - logit(share)`` (Elkan 2001); 0 where `target` is NaN."""
    return np.where(np.isnan(target), 0.0, logit(target) - logit(share))


def effective_weights(cols, weights, n_labels):
    """Return weights scaled to sum to a label's effective number of cells (Kish)."""
    if weights is None:
        return np.ones(len(cols))
    sums = np.bincount(cols, weights, minlength=n_labels)
    squares = np.bincount(cols, weights**2, minlength=n_labels)
    scale = np.divide(sums, squares, out=np.zeros(n_labels), where=squares > 0)
    return weights * scale[cols]


def shrunken_shifts(cols, positive, logits, weights, n_labels):
    """Return each label's shift, drawn to a mean shift, and its standard deviation.

    Label j has a shift s_j from N(m, t^2), and its cells are positive with
    probability ``expit(logit + s_j)``. m and t^2 are found together with the shifts,
    by expectation and maximization with a normal posterior of each shift (empirical
    Bayes): a label with few audited positives takes what the others show.
    """
    # No shift moves a probability of 0 or 1: such cells tell nothing.
    finite = np.isfinite(logits)
    cols, positive, logits = cols[finite], positive[finite], logits[finite]
    weights = weights[finite]
    seen = np.bincount(cols, weights, minlength=n_labels) > 0
    shift, mean, variance = np.zeros(n_labels), 0.0, 1.0
    for _ in range(_STEPS):
        proba = expit(logits + shift[cols])
        slope = np.bincount(cols, weights * (positive - proba), minlength=n_labels)
        bend = np.bincount(cols, weights * proba * (1 - proba), minlength=n_labels)
        bend += 1 / variance
        step = (slope - (shift - mean) / variance) / bend
        shift = shift + np.clip(step, -1, 1)
        spread = shift[seen]
        new_mean = spread.sum() / (seen.sum() + variance / _MEAN_VARIANCE)
        squares = (spread - new_mean) ** 2 + 1 / bend[seen]
        new_variance = (squares.sum() + _LABEL_VARIANCE) / (seen.sum() + 1)
        change = max(
            np.abs(step).max(), abs(new_mean - mean), abs(new_variance - variance)
        )
        mean, variance = new_mean, new_variance
        if change < _TOLERANCE:
            break
    shift = np.where(seen, shift, mean)
    return shift, np.where(seen, np.sqrt(1 / bend), np.sqrt(variance))


def estimate_prevalence(y: LabelsLike, *, sample_weight: Weights = None) -> np.ndarray:
    """Estimate each label's share of positives in traffic from audited cells.

    The audit must be drawn without regard to what the cells might be: at random, or
    with known probabilities that :func:`inverse_propensity_weights` turned into
    weights. Labels with few audited cells are drawn to the share of all labels, as
    far as the labels seem to be alike (a beta distribution over the labels, fitted by
    marginal likelihood). Unlabeled cells do not count.

    Parameters
    ----------
    y : MaskedLabels or any other form of labels, (n_samples, n_labels)
        The audited cells.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
        Weights of rows or cells, times those in y. Their scale does not matter.

    Returns
    -------
    ndarray of shape (n_labels,), float64
        Shares, strictly between 0 and 1: what `target_prevalence` takes.

    Raises
    ------
    ValueError
        If y cannot be read, or the audited cells are not of both kinds.

    See Also
    --------
    MaskedCalibratedClassifierCV.correct_prior : Uses the scores of the audited cells
        too, and so needs fewer of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.calibration import estimate_prevalence
    >>> audit = np.full((60, 3), np.nan)
    >>> audit[:20, 0] = [1] * 8 + [0] * 12
    >>> audit[20:60, 1] = [1] * 2 + [0] * 38
    >>> estimate_prevalence(audit).round(2)
    array([0.34, 0.07, 0.17])
    """
    check_same_rows(y=y, sample_weight=sample_weight)
    labels = check_labels(y)
    cells = labels.cells()
    weights = cell_weights(cells, sample_weight, labels)
    weights = effective_weights(cells.cols, weights, labels.n_labels)
    positive = np.bincount(
        cells.cols, weights * cells.values, minlength=labels.n_labels
    )
    total = np.bincount(cells.cols, weights, minlength=labels.n_labels)
    refuse_one_side(positive.sum(), (total - positive).sum())
    mean = positive.sum() / total.sum()

    def loss(log_size):
        a, b = np.exp(log_size) * mean, np.exp(log_size) * (1 - mean)
        # The last part is what little is believed before: some 10 cells, a factor
        # of 10 up or down.
        believed = 0.5 * ((log_size - np.log(10)) / np.log(10)) ** 2
        fit = betaln(positive + a, total - positive + b) - betaln(a, b)
        return believed - fit.sum()

    size = np.exp(minimize_scalar(loss, bounds=(-5, 15), method="bounded").x)
    return (positive + size * mean) / (total + size)
