"""Fitted estimators with the maps of their scores, and how folds make them."""

import numpy as np

from ..metrics.averaging import Limits
from ..metrics.responses import response_of, score_matrix
from ..model_selection.cross_fit import fit_part, score_part
from ._maps import fit_maps

# Which scores are mapped: the first that the estimator has, as in scikit-learn.
SCORES = ("decision_function", "predict_proba")


class CalibratedPair:
    """A fitted estimator and the maps of its scores, one per label."""

    def __init__(self, estimator, calibrators):
        self.estimator = estimator
        self.calibrators = calibrators

    def predict_proba(self, X, classes):
        """Return calibrated probabilities of shape (n_samples, n_labels)."""
        n_labels = len(self.calibrators)
        scores = score_matrix(self.estimator, SCORES, X, n_labels, classes)
        scores = scores.astype(np.float64, copy=False)
        proba = np.empty(scores.shape)
        places = np.array([id(calibrator) for calibrator in self.calibrators])
        _, first = np.unique(places, return_index=True)
        for label in first:
            # Of ten thousand labels, most share one map.
            own = places == places[label]
            mapped = self.calibrators[label].predict(scores[:, own].ravel())
            proba[:, own] = mapped.reshape(len(proba), -1)
        return proba


def fit_pair(estimator, cells, method, limits):
    """Return an estimator with maps of its scores, and the labels that are pooled."""
    if not len(cells.cols):
        raise ValueError(
            "`cv` accepts splits that leave labeled cells out; got one that leaves "
            "none."
        )
    of_probabilities = not hasattr(estimator, "decision_function")
    maps, pooled = fit_maps(cells, method, of_probabilities, Limits(*limits))
    return CalibratedPair(estimator, maps), pooled


def score_fold(estimator, task, fold, fit_params, *, quiet=True):
    """Fit on the rows of a fold, and return the scores of the cells left out."""
    fit_part(estimator, task, fold[0], fit_params, quiet=quiet)
    return score_part(estimator, response_of(estimator, SCORES)[1], task, fold[1])


def fit_fold(estimator, task, fold, fit_params, method, limits):
    """Fit an estimator and its maps on the two parts of a fold."""
    cells = score_fold(estimator, task, fold, fit_params, quiet=False)
    return fit_pair(estimator, cells, method, limits)


class Uncorrected:
    """A calibrator without its shift, for an audit to be compared with."""

    def __init__(self, fitted):
        self._fitted = fitted
        self.classes_ = fitted.classes_

    def predict_proba(self, X):
        """Return probabilities before the shift."""
        proba = self._fitted._calibrated(X)
        return proba if proba.shape[1] > 1 else np.hstack([1 - proba, proba])
