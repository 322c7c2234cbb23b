"""The estimators of the folds, kept as one."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ..metrics.responses import score_matrix


def _member_has(method):
    """Return a check of whether the estimators have a method."""
    return available_if(lambda self: hasattr(self.estimators[0], method))


class FoldEstimators(ClassifierMixin, BaseEstimator):
    """Fitted estimators of the folds: their scores are averaged, their decisions vote.

    Thresholds were tuned on the scores of each, so that a vote is not misled where the
    scores of different estimators are on different scales; a mean would be.
    """

    def __init__(self, estimators):
        self.estimators = estimators

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        """The classes of the estimators."""
        return self.estimators[0].classes_

    @_member_has("predict_proba")
    def predict_proba(self, X):
        """Return the mean of the estimators' probabilities."""
        return self._mean("predict_proba", X)

    @_member_has("decision_function")
    def decision_function(self, X):
        """Return the mean of the estimators' scores."""
        return self._mean("decision_function", X)

    def _mean(self, method, X):
        found = [getattr(estimator, method)(X) for estimator in self.estimators]
        if isinstance(found[0], list):
            return [np.mean(label, axis=0) for label in zip(*found, strict=True)]
        return np.mean(found, axis=0)


def vote(estimator, methods, X, thresholds, classes, *, ties):
    """Return decisions of an estimator, or the majority of those of several.

    `ties` is the decision where half of the estimators say so.
    """
    members = [estimator]
    if isinstance(estimator, FoldEstimators):
        members = estimator.estimators
    votes = sum(
        (score_matrix(one, methods, X, len(thresholds), classes) >= thresholds).astype(
            np.intp
        )
        for one in members
    )
    return 2 * votes + ties > len(members)
