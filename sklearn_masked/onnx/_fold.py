"""Calibrators and tuners around a classifier, folded into one that is converted."""

import numpy as np
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from ..inspection.unwrap import Unwrapped


class FoldedClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier with the lines and thresholds of what stood around it."""

    def __init__(self, unwrapped):
        self.unwrapped = unwrapped
        classifier, tuner = unwrapped.classifier, unwrapped.tuner
        for name in ("classes_", "n_labels_", "_one_dimensional"):
            setattr(self, name, getattr(classifier, name))
        self.logit_thresholds_ = None
        if tuner is not None:
            thresholds = np.asarray(tuner.thresholds_, dtype=float)
            is_share = tuner._method() == "predict_proba"
            with np.errstate(divide="ignore", invalid="ignore"):
                self.logit_thresholds_ = logit(thresholds) if is_share else thresholds

    def _additive(self, X, labels):
        """Return X, and the weights with the lines folded in."""
        X, model = self.unwrapped.read(X, labels)
        return X, {k: v for k, v in vars(model).items() if v is not None}


def fold(model):
    """Return a pipeline whose last step is a folded classifier."""
    from ._classifier import refuse_other_probabilities

    unwrapped = Unwrapped(model)
    if not unwrapped.is_mapped:
        for estimator in getattr(unwrapped.classifier, "estimators_", ()):
            refuse_other_probabilities(estimator)
    steps = [step for head in unwrapped.heads for _, step in head.steps]
    steps.append(FoldedClassifier(unwrapped))
    return Pipeline([(f"step_{place}", step) for place, step in enumerate(steps)])
