"""How good a model is by held-out cells, and what more answers may bring."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import Bunch

from ...exceptions import UnscoredLabelsWarning
from ...inspection import bootstrap_interval, extrapolate_learning_curve
from ...labels import MaskedLabels
from ...metrics import masked_average_precision_score, masked_roc_auc_score

METRICS = {
    "roc_auc": masked_roc_auc_score,
    "average_precision": masked_average_precision_score,
}
# Shares of the training cells of a fold that the curve is fitted on, the last is all.
SHARES = (0.25, 0.5, 1.0)
_RESAMPLES = 200
_LEAST_CELLS = 40  # fewer make no curve


class Thinned(BaseEstimator):
    """An estimator that is fitted on a share of its labeled cells.

    The cells of a smaller share are among those of a larger one.
    """

    def __init__(self, estimator, share, random_state):
        self.estimator, self.share = estimator, share
        self.random_state = random_state

    def fit(self, X, y):
        """Fit on the first cells of a random order."""
        cells = y.cells()
        order = np.random.default_rng(self.random_state).permutation(len(cells.rows))
        kept = np.sort(order[: max(1, round(self.share * len(order)))])
        weights = None if cells.weights is None else cells.weights[kept]
        part = MaskedLabels.from_cells(
            cells.rows[kept],
            cells.cols[kept],
            cells.values[kept],
            shape=y.shape,
            weights=weights,
            label_names=y.label_names,
        )
        self.estimator_ = clone(self.estimator).fit(X, part)
        self.n_cells_ = len(kept)
        return self

    def predict_proba(self, X):
        """Return the probabilities of the fitted estimator."""
        return self.estimator_.predict_proba(X)


def score_labels(proba, labels, random_cells):
    """Return scores with 95 % intervals over samples, as a file can hold them.

    Parameters
    ----------
    proba : array of shape (n_cells,)
        Held-out probabilities of the labeled cells.
    labels : MaskedLabels
        What is labeled.
    random_cells : bool array of shape (n_cells,)
        Which of the labeled cells were asked for by chance.
    """
    scores = {"n_cells": labels.n_cells}
    for name, metric in METRICS.items():
        found = _interval(metric, labels, proba, average=None)
        scores[name] = found.estimate.tolist()
        scores[f"{name}_low"] = np.atleast_1d(found.low).tolist()
        scores[f"{name}_high"] = np.atleast_1d(found.high).tolist()
        scores[f"macro_{name}"] = _three(_interval(metric, labels, proba))
    cells = labels.cells()
    part = MaskedLabels.from_cells(
        cells.rows[random_cells],
        cells.cols[random_cells],
        cells.values[random_cells],
        shape=labels.shape,
    )
    scores["n_random"] = int(random_cells.sum())
    scores["random_roc_auc"] = [np.nan] * 3
    if 0 < part.n_positive.sum() < part.n_cells:
        random_proba = proba[random_cells]
        found = _interval(masked_roc_auc_score, part, random_proba, average="micro")
        scores["random_roc_auc"] = _three(found)
    return scores


def forecast(probas, n_train, labels, n_more_cells):
    """Return the rise of the macro average precision that more cells may bring.

    Parameters
    ----------
    probas : list of arrays of shape (n_cells,)
        Held-out probabilities of the labeled cells by models of each of `SHARES`.
    n_train : list of int
        Cells that those models were fitted on.
    labels : MaskedLabels
        What is labeled.
    n_more_cells : int
        How many more.

    Returns
    -------
    list of float
        The rise, and the ends of its 95 % interval; NaN where nothing can be said.
    """
    if labels.n_cells < _LEAST_CELLS:
        return [np.nan] * 3
    # One random state draws the same samples for each share: the curves are paired.
    found = [
        _interval(masked_average_precision_score, labels, proba) for proba in probas
    ]
    curve = np.stack([[one.estimate, *one.replicates] for one in found])
    curve = curve[:, ~np.isnan(curve).any(axis=0)]
    if not curve.shape[1]:
        return [np.nan] * 3
    # Folds train on fewer cells than there are: the last tick stands for all of them.
    sizes = np.array(n_train) * labels.n_cells / n_train[-1]
    curve = Bunch(train_sizes=sizes, test_scores=curve)
    wanted = [labels.n_cells, labels.n_cells + n_more_cells]
    now, then = extrapolate_learning_curve(curve, wanted).test_scores
    low, high = np.percentile((then - now)[1:], [2.5, 97.5])
    return [float((then - now)[0]), float(low), float(high)]


def _interval(metric, labels, proba, **params):
    with warnings.catch_warnings():  # the report shows where there is none
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", UnscoredLabelsWarning)
        return bootstrap_interval(
            metric, labels, proba, n_resamples=_RESAMPLES, random_state=0, **params
        )


def _three(found):
    return [float(one) for one in (found.estimate, found.low, found.high)]
