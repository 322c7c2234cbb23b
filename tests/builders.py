"""Estimators, problems and readings of errors that several test modules share."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedMultiOutputClassifier


class Given(ClassifierMixin, BaseEstimator):
    """Decides by the scores that it is given for X."""

    def fit(self, X, y):
        return self

    def decision_function(self, X):
        return X

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        return MaskedMultiOutputClassifier(LogisticRegression()).__sklearn_tags__()


class Linear(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)

    def forward(self, X):
        return self.layer(X)


class OwnLoss(torch.nn.Module):
    """A criterion that is not derived from ours."""

    def __init__(self, power=2.0):
        super().__init__()
        self.power = power

    def forward(self, logits, targets):
        known = ~targets.isnan()
        return (logits[known].sigmoid() - targets[known]).abs().pow(self.power).mean()


def message_of(error, call, *args, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def make_folds(n, k=3, seed=0):
    parts = np.array_split(np.random.default_rng(seed).permutation(n), k)
    return [
        (np.sort(np.setdiff1d(np.arange(n), part)), np.sort(part)) for part in parts
    ]


def separate(estimator=None):
    return MaskedMultiOutputClassifier(estimator or LogisticRegression())


def content(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def said(loop):
    return [(one.sample, one.label, one.value) for one in loop.answers()]


def predictions(kind, logits):
    if kind == "pred":
        return (logits > 0.5).astype(float)
    return 1 / (1 + np.exp(-logits)) if kind == "proba" else logits
