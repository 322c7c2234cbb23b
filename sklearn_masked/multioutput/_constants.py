"""Constant predictors of labels that have nothing to learn from."""

import warnings

import numpy as np
from scipy.special import logit

from .._rows import count_rows
from .._targets import shown_labels, warn_unlabeled_labels
from ..exceptions import OneClassLabelWarning


class ConstantLabel:
    """Predict a constant rate, for a label that cannot be fitted."""

    def __init__(self, rate):
        # Strictly between 0 and 1, as every probability.
        self.rate = float(np.clip(rate, np.nextafter(0, 1), np.nextafter(1, 0)))

    def predict(self, X):
        return np.full(count_rows(X), int(self.rate > 0.5))

    def predict_proba(self, X):
        return np.tile([1 - self.rate, self.rate], (count_rows(X), 1))

    def decision_function(self, X):
        return np.full(count_rows(X), logit(self.rate))


def constant_labels(n_positive, n_negative):
    """Return, for every label, what it predicts without a classifier."""
    total = (n_positive + n_negative).sum()
    pooled = n_positive.sum() / total if total else 0.5
    rates = (n_positive + pooled) / (n_positive + n_negative + 1)
    return [ConstantLabel(rate) for rate in rates]


def warn_constant_labels(n_positive, n_negative, label_names):
    """Warn, once for each kind, of the labels that get no classifier."""
    warn_unlabeled_labels(n_positive + n_negative > 0, label_names)
    one_class = (n_positive > 0) != (n_negative > 0)
    if one_class.any():
        warnings.warn(
            "The labeled cells are all of one class for label "
            f"{shown_labels(one_class, label_names)}: a constant, their smoothed rate "
            "of positives, is predicted there.",
            OneClassLabelWarning,
            stacklevel=3,
        )
