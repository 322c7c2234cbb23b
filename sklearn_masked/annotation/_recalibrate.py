"""Out-of-fold probabilities made comparable: a slope for all, a shift a label."""

import numpy as np
from scipy.special import expit, logit

# Beyond these a logit says how a solver stopped, and no more about the cell.
_EDGE = 1e-6
_MAX_STEPS = 100


def rescale(cols, given, proba, weights, n_labels):
    """Return probabilities that fit the given values, on average, label by label.

    The logit gets one slope for all labels and a shift for each, by logistic
    regression with a unit ridge towards no change: models that are too sure of
    themselves, or of a rare label, do not outshout the others.
    """
    weights = np.ones(len(cols)) if weights is None else weights
    score = logit(np.clip(proba, _EDGE, 1 - _EDGE))
    slope, shift = 0.0, np.zeros(n_labels)
    loss = _loss(score, given, weights)
    for _ in range(_MAX_STEPS):
        step_slope, step_shift = _newton(score, slope, shift, cols, given, weights)
        size = 1.0
        while size > 1e-4:
            tried = slope - size * step_slope, shift - size * step_shift
            moved = (1 + tried[0]) * score + tried[1][cols]
            ridge = (tried[0] ** 2 + (tried[1] ** 2).sum()) / 2
            new_loss = _loss(moved, given, weights) + ridge
            if new_loss < loss:
                break
            size /= 2
        else:
            break
        (slope, shift), gained, loss = tried, loss - new_loss, new_loss
        if gained < 1e-10 * (1 + loss):
            break
    return expit((1 + slope) * score + shift[cols])


def _loss(score, given, weights):
    return weights @ (np.logaddexp(0, score) - given * score)


def _newton(score, slope, shift, cols, given, weights):
    """Return the Newton step; its matrix is diagonal but for the slope's row."""
    p = expit((1 + slope) * score + shift[cols])
    wrong, curve = weights * (p - given), weights * p * (1 - p)
    n_labels = len(shift)
    by_label = np.bincount(cols, wrong, n_labels) + shift
    of_slope = wrong @ score + slope
    diagonal = np.bincount(cols, curve, n_labels) + 1
    row = np.bincount(cols, curve * score, n_labels)
    corner = curve @ score**2 + 1 - (row**2 / diagonal).sum()
    step_slope = (of_slope - (row * by_label / diagonal).sum()) / corner
    return step_slope, (by_label - row * step_slope) / diagonal
