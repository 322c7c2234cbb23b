"""The models that `quality.py` compares, each set up as its own users would.

A model is a function of a `Task` and a seed that returns a `Fitted`. Everything that it
chooses, it chooses on training cells.
"""

import pickle
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RepeatedKFold, train_test_split

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.metrics import masked_average_precision_score

GRID = (0.3, 1.0, 3.0, 10.0, 30.0)
# From an edge of the grid the search goes on while a step gains as much.
STEP, MORE_STEPS, ENOUGH = 10**0.5, 4, 0.001
# The search leaves out cells where a fold's fits would take minutes.
SEARCH_ALL, SEARCH_SAMPLE = 300_000, 150_000


class Task(NamedTuple):
    """What a model is fitted on and asked for."""

    data: object
    labels: MaskedLabels


class Fitted(NamedTuple):
    """A fitted model: what it predicts, its bytes and what it chose."""

    predict: object
    n_bytes: object
    chosen: dict


def _pickled(model, X_test, chosen):
    return Fitted(
        lambda: model.predict_proba(X_test),
        lambda: len(pickle.dumps(model)),
        chosen,
    )


def ours(task, seed, **params):
    """Fit the default, or the default with the parameters named."""
    model = MaskedMultiLabelClassifier(random_state=seed, **params)
    return _pickled(model.fit(task.data.X, task.labels), task.data.X_test, params)


def separate_at(C):
    """Return C separate logistic regressions at a fixed C."""

    def fit(task, seed):
        return _fit_separate(task, _logistic(seed, C=C), {"C": C})

    return fit


def separate(task, seed):
    """C separate liblinear logistic regressions, one C by masked cross-validation.

    The C (on molecules also the class weight) with the best macro average precision
    in three folds, repeated three times where cells are few.
    """
    X, labels = _labeled_rows(task.data.X, _sample(task.labels, seed))
    weights = (None, "balanced") if task.data.name.startswith("tox21") else (None,)
    found = [
        (*_search(X, labels, seed, class_weight=weight), weight) for weight in weights
    ]
    _, C, tried, weight = max(found, key=lambda result: result[0])
    chosen = {
        "C": round(C, 4),
        "class_weight": weight,
        "tried": tried,
        "cells_searched": labels.n_cells,
    }
    return _fit_separate(task, _logistic(seed, C=C, class_weight=weight), chosen)


def _logistic(seed, **params):
    return LogisticRegression(solver="liblinear", random_state=seed, **params)


def _fit_separate(task, estimator, chosen):
    X, labels = _labeled_rows(task.data.X, task.labels)
    model = MaskedMultiOutputClassifier(estimator).fit(X, labels)
    return _pickled(model, task.data.X_test, chosen)


def _labeled_rows(X, labels):
    """Leave out the rows without a labeled cell: no separate model can use them."""
    rows = np.unique(labels.cells().rows)
    return X[rows], labels[rows]


def _sample(labels, seed):
    """Return the labels, or a random part of their cells where there are very many."""
    if labels.n_cells <= SEARCH_ALL:
        return labels
    cells = labels.cells()
    keep = np.random.default_rng(seed).permutation(labels.n_cells)[:SEARCH_SAMPLE]
    return MaskedLabels.from_cells(
        cells.rows[keep], cells.cols[keep], cells.values[keep], shape=labels.shape
    )


class QuickLogistic(LogisticRegression):
    """The same weights in less time: features that no row has get none anyway."""

    def fit(self, X, y):
        """Fit on the features that the rows have."""
        used = np.flatnonzero(X.getnnz(axis=0))
        super().fit(X[:, used], y)
        coef = np.zeros((1, X.shape[1]))
        coef[:, used] = self.coef_
        self.coef_, self.n_features_in_ = coef, X.shape[1]
        return self


def _search(X, labels, seed, **params):
    """Return the best score, its C and how many were tried; go on from an edge.

    The mean over folds of the macro average precision within a fold: pooled over folds
    it would reward large C on few cells, since a fold that is rich in positives is
    predicted by models that saw few.
    """
    repeats = 3 if labels.n_cells < 10_000 else 1
    splitter = RepeatedKFold(n_splits=3, n_repeats=repeats, random_state=seed)
    folds = list(splitter.split(X))
    scores = {}

    def score(C):
        logistic = QuickLogistic(C=C, solver="liblinear", random_state=seed, **params)
        model = MaskedMultiOutputClassifier(logistic)
        scores[C] = np.mean(
            [
                masked_average_precision_score(
                    labels[test],
                    model.fit(X[train], labels[train]).predict_proba(X[test]),
                )
                for train, test in folds
            ]
        )

    for C in GRID:
        score(C)
    edge = max(scores, key=scores.get)
    factor = {GRID[0]: 1 / STEP, GRID[-1]: STEP}.get(edge)
    for _ in range(MORE_STEPS if factor else 0):
        score(edge * factor)
        if scores[edge * factor] < scores[edge] + ENOUGH:
            break
        edge *= factor
    best = max(scores, key=scores.get)
    return scores[best], best, len(scores)


def negative_lr(task, seed):
    """Logistic regressions that read each unlabeled cell as a negative.

    On the rows with a labeled cell; C by cross-validation of the labels read so, on
    5,000 rows at most.
    """
    X, labels = _labeled_rows(task.data.X, task.labels)
    read = MaskedLabels.from_dense(np.nan_to_num(labels.to_dense(), nan=0.0))
    part = np.random.default_rng(seed).permutation(len(read))[:5000]
    _, C, _ = _search(X[part], read[part], seed)
    model = MaskedMultiOutputClassifier(_logistic(seed, C=C)).fit(X, read)
    return _pickled(model, task.data.X_test, {"C": round(C, 4)})


def forest(task, seed):
    """Return a random forest a label: 500 trees, classes balanced."""
    forest = RandomForestClassifier(
        500, class_weight="balanced", random_state=seed, n_jobs=1
    )
    return _fit_separate(task, forest, {})


class StoppedBoosting(ClassifierMixin, BaseEstimator):
    """LightGBM, stopped by the log loss of a fifth of the rows where it can be."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y):
        """Fit one label."""
        from lightgbm import LGBMClassifier, early_stopping

        params = {"learning_rate": 0.05, "n_jobs": 1, "verbose": -1}
        model = LGBMClassifier(
            n_estimators=1000, random_state=self.random_state, **params
        )
        self.classes_ = np.unique(y)
        if np.bincount(y.astype(int), minlength=2).min() < 5:
            self.model_ = model.set_params(n_estimators=100).fit(X, y)
            return self
        parts = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=self.random_state
        )
        self.model_ = model.fit(
            parts[0],
            parts[2],
            eval_set=[(parts[1], parts[3])],
            callbacks=[early_stopping(50, verbose=False)],
        )
        return self

    def predict(self, X):
        """Return the classes."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Return the probabilities of both classes."""
        return self.model_.predict_proba(X)


def boosting(task, seed):
    """LightGBM a label, its rounds by early stopping on a fifth of the cells."""
    return _fit_separate(task, StoppedBoosting(seed), {})


def fasttext(task, seed, **params):
    """fastText; in a module of its own, as few have the package."""
    import _quality_fasttext

    return _quality_fasttext.fit(task, seed, **params)


def separate_fasttext(task, seed):
    """C binary fastText models, learning rate and epochs by left-out cells."""
    return fasttext(task, seed, ova=False)


def fasttext_ova(task, seed):
    """One fastText model with `ova` loss: what is not positive is a negative."""
    return fasttext(task, seed, ova=True)


SEPARATE = {
    "separate": separate,
    "separate_C1": separate_at(1.0),
    "separate_C30": separate_at(30.0),
    "separate_fasttext": separate_fasttext,
    "forest": forest,
    "boosting": boosting,
}
RIVALS = {**SEPARATE, "negative_lr": negative_lr, "fasttext_ova": fasttext_ova}
TOX21_ONLY = ("forest", "boosting")


def get(name):
    """Return the function of a model's name; "ours:a=b,c=d" sets parameters."""
    if name in RIVALS:
        return RIVALS[name]
    head, _, settings = name.partition(":")
    if head != "ours":
        raise ValueError(f"model {name!r} is none of ours, {', '.join(RIVALS)}.")
    pairs = [setting.split("=", 1) for setting in settings.split(",") if setting]
    params = {key: _value(text) for key, text in pairs}
    return lambda task, seed: ours(task, seed, **params)


def _value(text):
    words = {"None": None, "True": True, "False": False}
    if text in words:
        return words[text]
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            pass
    return text


def fit_quietly(model, task, seed):
    """Fit without the warnings of labels that have one class, or none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model(task, seed)
