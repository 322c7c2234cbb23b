"""`cross_val_predict` that keeps unlabeled cells unlabeled."""

import importlib
import inspect
import pkgutil
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context, model_selection
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit
from sklearn.pipeline import make_pipeline

import sklearn_masked
from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.exceptions import RareLabelWarning
from sklearn_masked.inspection import learning_curve_by_cells
from sklearn_masked.labels import MaskedLabels, check_labels
from sklearn_masked.model_selection import MaskedStratifiedKFold, cross_val_predict
from sklearn_masked.multioutput import MaskedMultiOutputClassifier
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

NAN = np.nan


class Means(ClassifierMixin, BaseEstimator):
    """The weighted share of positives of each label, tilted by the first feature."""

    def fit(self, X, y, sample_weight=None):
        Y = check_labels(y).to_dense()
        W = np.ones(Y.shape) if sample_weight is None else np.asarray(sample_weight)
        W = np.where(np.isnan(Y), 0, W[:, None] if W.ndim == 1 else W)
        self.share_ = (W * np.nan_to_num(Y)).sum(axis=0) / W.sum(axis=0)
        return self

    def decision_function(self, X):
        first = X[:, [0]].toarray() if sp.issparse(X) else np.asarray(X)[:, :1]
        return self.share_ + first

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-self.decision_function(X)))

    def predict_log_proba(self, X):
        return np.log(self.predict_proba(X))

    def predict(self, X):
        return (self.decision_function(X) > 0.5).astype(int)


class Lists(Means):
    """Probabilities as scikit-learn's multi-output classifiers give them."""

    def fit(self, X, y):
        super().fit(X, y)
        Y = check_labels(y).to_dense()
        self.classes_ = [np.unique(column[~np.isnan(column)]) for column in Y.T]
        return self

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        both = [np.column_stack([1 - p, p]) for p in proba.T]
        return [
            pair if len(seen) == 2 else np.ones((len(pair), 1))
            for pair, seen in zip(both, self.classes_, strict=True)
        ]


# What an integer `cv` means.
FOLDS = MaskedStratifiedKFold(3)


def split(cv, X, y):
    """Return the splits; that a label is rare is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RareLabelWarning)
        return list(cv.split(X, y))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    Y = rng.choice([0, 1, NAN], (60, 3))
    Y[:, 0] = rng.choice([1, NAN], 60)  # NaN and 1 alone: what scikit-learn recodes
    return rng.normal(size=(60, 4)), Y


def by_hand(model, X, Y, cv, method):
    labels = MaskedLabels.from_dense(Y)
    out = None
    for train, test in split(cv, X, labels):
        fitted = clone(model).fit(X[train], labels[train])
        part = getattr(fitted, method)(X[test])
        out = np.zeros((len(Y), *part.shape[1:]), part.dtype) if out is None else out
        out[test] = part
    return out


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "predict_log_proba"]
)
def test_equals_a_loop_by_hand(method, n_jobs, data):
    X, Y = data
    cv = KFold(4, shuffle=True, random_state=0)
    predicted = cross_val_predict(
        Means(), X, MaskedLabels.from_dense(Y), cv=cv, method=method, n_jobs=n_jobs
    )
    np.testing.assert_array_equal(predicted, by_hand(Means(), X, Y, cv, method))


@pytest.mark.parametrize(
    "form",
    [
        lambda Y: Y,
        lambda Y: np.where(np.isnan(Y), -1, Y),
        lambda Y: sp.csr_array(np.where(np.isnan(Y), -1, Y)),
        pd.DataFrame,
        lambda Y: Y.tolist(),
        lambda Y: np.asarray(MaskedLabels.from_dense(Y)),
    ],
)
def test_every_form_of_labels(form, data):
    X, Y = data
    predicted = cross_val_predict(Means(), X, form(Y), cv=3, method="predict_proba")
    np.testing.assert_array_equal(
        predicted, by_hand(Means(), X, Y, FOLDS, "predict_proba")
    )


def test_names_and_weights_of_the_labels_reach_every_fold(data):
    X, Y = data
    seen = []

    class Spy(Means):
        def fit(self, X, y):
            seen.append(y)
            return super().fit(X, y)

    rows, cols = np.nonzero(~np.isnan(Y))
    labels = MaskedLabels.from_cells(
        rows,
        np.array(["a", "b", "c"])[cols],
        Y[rows, cols].astype(int),
        shape=Y.shape,
        weights=np.arange(1.0, len(rows) + 1),
        label_names=["a", "b", "c"],
    )
    cross_val_predict(Spy(), X, labels, cv=2)
    folds = split(MaskedStratifiedKFold(2), X, labels)
    for fold, (train, _) in zip(seen, folds, strict=True):
        assert fold == labels[train]


@pytest.mark.parametrize("make", [sp.csr_array, sp.coo_array, pd.DataFrame, list])
def test_every_kind_of_X(make, data):
    X, Y = data
    predicted = cross_val_predict(Means(), make(X), Y, cv=3, method="predict_proba")
    np.testing.assert_array_equal(
        predicted, by_hand(Means(), X, Y, FOLDS, "predict_proba")
    )


def test_text_in_a_pipeline():
    texts = ["a", "b", "a b", "b a", "a", "b"]
    Y = np.array([[1, NAN], [0, 1], [1, 0], [NAN, 0], [1, 1], [0, NAN]])
    model = make_pipeline(CountVectorizer(token_pattern=r"\w"), Means())
    predicted = cross_val_predict(
        model, texts, Y, cv=LeaveOneOut(), method="predict_proba"
    )
    for row in range(6):
        train = [i for i in range(6) if i != row]
        fitted = clone(model).fit([texts[i] for i in train], Y[train])
        np.testing.assert_array_equal(
            predicted[[row]], fitted.predict_proba([texts[row]])
        )


def test_weights_are_cut_to_the_fold(data):
    X, Y = data
    for weights in (np.arange(60.0), np.arange(180.0).reshape(60, 3), list(range(60))):
        predicted = cross_val_predict(
            Means(),
            X,
            Y,
            cv=3,
            method="predict_proba",
            params={"sample_weight": weights},
        )
        for train, test in split(FOLDS, X, Y):
            fitted = Means().fit(X[train], Y[train], np.asarray(weights)[train])
            np.testing.assert_array_equal(
                predicted[test], fitted.predict_proba(X[test])
            )


def test_groups_and_metadata_routing(data):
    X, Y = data
    groups = np.arange(60) % 7
    plain = cross_val_predict(Means(), X, Y, groups=groups, cv=GroupKFold(3))
    with config_context(enable_metadata_routing=True):
        routed = cross_val_predict(
            Means().set_fit_request(sample_weight=True),
            X,
            Y,
            cv=GroupKFold(3),
            params={"groups": groups, "sample_weight": np.ones(60)},
        )
        with pytest.raises(ValueError, match="`groups` accepts None while metadata"):
            cross_val_predict(Means(), X, Y, groups=groups, cv=GroupKFold(3))
    np.testing.assert_array_equal(plain, routed)


def test_lists_of_probabilities_get_both_columns_in_every_fold(data):
    X, Y = data
    Y[:, 1:] = np.nan_to_num(Y[:, 1:])
    predicted = cross_val_predict(Lists(), X, Y, cv=3, method="predict_proba")
    expected = by_hand(Means(), X, Y, FOLDS, "predict_proba")
    assert [p.shape for p in predicted] == [(60, 2)] * 3
    # Training never saw a negative of label 0, so that it has one column, of ones.
    np.testing.assert_array_equal(predicted[0], [[0.0, 1.0]] * 60)
    np.testing.assert_array_equal(predicted[1][:, 1], expected[:, 1])


def test_a_complete_binary_target_goes_to_scikit_learn(data):
    X, _ = data
    y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(
            cross_val_predict(LogisticRegression(), X, y, cv=3, method=method),
            model_selection.cross_val_predict(
                LogisticRegression(), X, y, cv=3, method=method
            ),
        )


@pytest.mark.parametrize(
    "unlabeled",
    [
        lambda y, off: np.where(off, NAN, y),
        lambda y, off: np.where(off, None, y).tolist(),
        lambda y, off: pd.Series(y.astype(int), dtype="Int8").mask(off),
        lambda y, off: np.ma.array(y, mask=off),
    ],
)
def test_a_binary_target_keeps_its_unlabeled_entries(unlabeled, data):
    X, _ = data
    y, off = (X[:, 0] > 0).astype(float), X[:, 1] > 0.5
    seen = []

    class Spy(DummyClassifier):
        def fit(self, X, y):
            seen.append(y)
            return super().fit(X, np.zeros(len(y)) + (np.arange(len(y)) % 2))

    cross_val_predict(Spy(), X, unlabeled(y, off), cv=2, method="predict_proba")
    folds = split(MaskedStratifiedKFold(2), X, np.where(off, NAN, y)[:, None])
    for fold, (train, _) in zip(seen, folds, strict=True):
        masked = np.ma.isMaskedArray(fold)
        rows = np.ma.getmaskarray(fold) if masked else np.zeros(len(fold), bool)
        values = np.ma.getdata(fold) if masked else np.asarray(fold)
        values = np.array(
            [
                NAN if r or pd.isna(v) else float(v)
                for v, r in zip(values, rows, strict=True)
            ]
        )
        np.testing.assert_array_equal(values, np.where(off, NAN, y)[train])


def test_scikit_learns_own_function_stops_instead_of_recoding(data):
    X, Y = data
    with pytest.raises(ValueError, match=r"Use sklearn_masked\.model_selection"):
        model_selection.cross_val_predict(
            Means(), X, MaskedLabels.from_dense(Y), cv=3, method="predict_proba"
        )


def test_bad_use_raises_one_sentence(data):
    X, Y = data
    for cv in (ShuffleSplit(3, random_state=0), []):
        with pytest.raises(ValueError, match="a partition of the rows"):
            cross_val_predict(Means(), X, Y, cv=cv)
    with pytest.raises(
        ValueError, match="`method` accepts predict, .*; got 'transform'"
    ):
        cross_val_predict(Means(), X, Y, method="transform")
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cross_val_predict(Means(), X[:5], Y)
    with pytest.raises(ValueError, match="2"):
        cross_val_predict(Means(), X, np.where(np.isnan(Y), 2, Y))


class BothClasses(Means):
    """An estimator that accepts training rows with both classes of every label."""

    parts = []

    def fit(self, X, y, sample_weight=None):
        labels = check_labels(y)
        assert labels.n_positive.all() and labels.n_negative.all()
        BothClasses.parts.append(np.asarray(X)[:, 1])
        self.classes_ = [np.array([0, 1])] * labels.n_labels
        return super().fit(X, y)


def _cross_val_predict(model, X, y, **groups):
    cross_val_predict(model, X, y, cv=3, method="predict_proba", **groups)


def _learning_curve(model, X, y, **groups):
    scoring = lambda *_: 0.0  # noqa: E731
    learning_curve_by_cells(
        model, X, y, cv=3, train_sizes=[1.0], scoring=scoring, **groups
    )


# Each public name with a parameter `cv`, and whether it takes groups.
TAKE_CV = {
    "cross_val_predict": (_cross_val_predict, True),
    "learning_curve_by_cells": (_learning_curve, True),
    "MaskedCalibratedClassifierCV": (
        lambda *a: MaskedCalibratedClassifierCV(a[0], cv=3, ensemble=False).fit(*a[1:]),
        False,
    ),
    "MaskedTunedThresholdClassifierCV": (
        lambda *a: MaskedTunedThresholdClassifierCV(a[0], cv=3).fit(*a[1:]),
        False,
    ),
}


@pytest.fixture
def sorted_rows():
    """Rows sorted by label, so that consecutive folds would lack a class."""
    y = np.repeat([[1.0, NAN], [0, NAN], [NAN, 1], [NAN, 0]], 15, axis=0)
    return np.column_stack([np.arange(60) % 7, np.arange(60) // 3]), y


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.ReversedScoresWarning")
@pytest.mark.parametrize("name", TAKE_CV)
def test_an_integer_cv_means_folds_with_both_classes_of_each_label(name, sorted_rows):
    X, y = sorted_rows
    TAKE_CV[name][0](BothClasses(), X, y)


@pytest.mark.parametrize("name", [name for name, (_, has) in TAKE_CV.items() if has])
def test_an_integer_cv_keeps_groups_whole(name, sorted_rows):
    X, y = sorted_rows
    BothClasses.parts.clear()
    TAKE_CV[name][0](BothClasses(), X, y, groups=X[:, 1])
    assert len(BothClasses.parts) == 3
    for part in BothClasses.parts:
        assert (np.unique(part, return_counts=True)[1] == 3).all()


def test_every_public_name_that_takes_cv_is_walked_over():
    found = set()
    for package in pkgutil.iter_modules(sklearn_masked.__path__):
        if not package.ispkg or package.name == "onnx":  # which needs an extra
            continue
        module = importlib.import_module(f"sklearn_masked.{package.name}")
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and "cv" in inspect.signature(value).parameters:
                found.add(name)
    assert found == set(TAKE_CV)


@pytest.mark.parametrize("taker", ["cross_val_predict", "calibrator", "tuner", "curve"])
def test_rows_that_are_trained_on_are_not_tested(taker):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    Y = (X + rng.normal(size=X.shape) > 0).astype(float)
    Y[rng.random(Y.shape) < 0.2] = np.nan
    rows = np.arange(40)
    cv = [(rows[:30], rows[20:]), (rows[20:], rows[:20])]
    model = MaskedMultiOutputClassifier(LogisticRegression())
    take = {
        "cross_val_predict": lambda: cross_val_predict(model, X, Y, cv=cv),
        "calibrator": MaskedCalibratedClassifierCV(model, cv=cv).fit,
        "tuner": MaskedTunedThresholdClassifierCV(model, cv=cv).fit,
        "curve": lambda: learning_curve_by_cells(model, X, Y, cv=cv),
    }[taker]
    given = () if taker in ("cross_val_predict", "curve") else (X, Y)
    with pytest.raises(ValueError, match="whose test rows are not trained on; split 0"):
        take(*given)
