import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from sklearn_masked.exceptions import (
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    UnlabeledLabelWarning,
    UnscoredLabelsWarning,
)
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import masked_roc_auc_scorer
from sklearn_masked.multioutput import MaskedMultiOutputClassifier

NAN = float("nan")


def make_data(n_samples=60, n_labels=3, share=0.5, seed=0):
    """Return X, and Y with NaN in unlabeled cells, both classes in every label."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, 4))
    Y = (X @ rng.normal(size=(4, n_labels)) > 0).astype(float)
    Y[rng.random(Y.shape) > share] = NAN
    Y[0], Y[1] = 0, 1
    return X, Y


X, Y = make_data()
labeled = ~np.isnan(Y)


def by_hand(estimator, X, Y, weight=None, rows=slice(None)):
    """Return the probabilities of separate clones, each on its labeled rows."""
    columns = []
    for j in range(Y.shape[1]):
        known = ~np.isnan(Y[:, j])
        if weight is not None:
            known &= weight[:, j] > 0
        params = {} if weight is None else {"sample_weight": weight[known, j]}
        model = clone(estimator).fit(X[known], Y[known, j].astype(int), **params)
        columns.append(model.predict_proba(X[rows])[:, 1])
    return np.column_stack(columns)


class Recorder(ClassifierMixin, BaseEstimator):
    """Remember what it was fitted on."""

    def fit(self, X, y, sample_weight=None, tag=None, hint=None):
        self.X_, self.y_, self.weight_ = X, y, sample_weight
        self.tag_, self.hint_ = tag, hint
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(X.shape[0], int)


# The law


def dense_negative_fill(Y):
    rows, cols = np.nonzero(np.nan_to_num(Y, nan=-1))
    values = np.where(np.isnan(Y), -1, Y)[rows, cols]
    return sp.csr_matrix((values, (rows, cols)), Y.shape)


FORMS = {
    "NaN": lambda Y: Y,
    "-1": lambda Y: np.where(np.isnan(Y), -1, Y).astype(int),
    "list": lambda Y: np.where(np.isnan(Y), None, Y).tolist(),
    "frame": pd.DataFrame,
    "masked array": lambda Y: np.ma.masked_invalid(Y),
    "labels": MaskedLabels.from_dense,
    "raw sparse": dense_negative_fill,
    "negative fill": lambda Y: MaskedLabels.from_sparse(
        dense_negative_fill(Y), implicit="negative"
    ),
    "row views": lambda Y: np.asarray(MaskedLabels.from_dense(Y)),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_label_equals_a_clone_fitted_on_its_labeled_rows(form):
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, FORMS[form](Y))
    expected = by_hand(LogisticRegression(), X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    np.testing.assert_array_equal(model.predict(X), expected > 0.5)
    for j in range(3):
        np.testing.assert_array_equal(model.estimators_[j].classes_, [0, 1])


@pytest.mark.parametrize("form", ["NaN", "negative fill"])
@pytest.mark.parametrize("kind", ["row", "cell"])
def test_weights_of_rows_and_of_cells_reach_the_clones(form, kind):
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 4, size=Y.shape if kind == "cell" else len(Y))
    weight[:2] = 1
    each = np.broadcast_to(weight[:, None] if kind == "row" else weight, Y.shape)
    model = MaskedMultiOutputClassifier(LogisticRegression())
    model.fit(X, FORMS[form](Y), sample_weight=weight)
    expected = by_hand(LogisticRegression(), X, Y, each)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("form", ["NaN", "negative fill"])
def test_weights_of_cells_in_y_are_multiplied_with_sample_weight(form):
    rng = np.random.default_rng(2)
    rows, cols = np.nonzero(labeled)
    cell_weight = rng.uniform(0.5, 2, size=Y.shape)
    row_weight = rng.uniform(0.5, 2, size=len(Y))
    y = MaskedLabels.from_cells(
        rows, cols, Y[rows, cols], shape=Y.shape, weights=cell_weight[rows, cols]
    )
    model = MaskedMultiOutputClassifier(LogisticRegression())
    model.fit(X, y, sample_weight=row_weight)
    expected = by_hand(LogisticRegression(), X, Y, cell_weight * row_weight[:, None])
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_negative_fill_with_weighted_positives_weighs_implied_negatives_one():
    y = sp.csr_matrix(np.array([[1.0], [0], [0], [1], [0], [1]]))
    labels = MaskedLabels.from_sparse(y, implicit="negative")
    weighted = MaskedLabels(
        labels.indptr,
        labels.indices,
        labels.values,
        labels.shape,
        fill="negative",
        weights=np.array([3.0, 0.5, 2.0]),
    )
    model = MaskedMultiOutputClassifier(Recorder()).fit(np.eye(6), weighted)
    (clone_,) = model.estimators_
    assert clone_.y_.tolist() == [1, 0, 0, 1, 0, 1]
    assert clone_.weight_.tolist() == [3, 1, 1, 0.5, 1, 2]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_unlabeled_cells_never_reach_a_clone(data):
    n, k = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 4))
    cells = st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=n * k, max_size=n * k)
    y = np.reshape(data.draw(cells), (n, k))
    if np.isnan(y).all():
        return
    rows = np.arange(n, dtype=float)[:, None]
    model = MaskedMultiOutputClassifier(Recorder())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlabeledLabelWarning)
        warnings.simplefilter("ignore", OneClassLabelWarning)
        warnings.simplefilter("ignore", OneSidedLabelsWarning)
        model.fit(rows, MaskedLabels.from_dense(y))
    for j, estimator in enumerate(model.estimators_):
        known = np.flatnonzero(~np.isnan(y[:, j]))
        if len(set(y[known, j])) < 2:
            assert not isinstance(estimator, Recorder)
        else:
            assert estimator.X_.ravel().tolist() == known.tolist()
            assert estimator.y_.tolist() == y[known, j].tolist()
            assert estimator.weight_ is None


def test_rows_without_a_labeled_cell_are_not_read():
    junk = np.vstack([X, np.full((2, 4), NAN)])
    more = np.vstack([Y, np.full((2, 3), NAN)])
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(junk, more)
    expected = by_hand(LogisticRegression(), X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


# X of every kind


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array, sp.coo_array])
def test_sparse_rows_stay_sparse(container):
    model = MaskedMultiOutputClassifier(Recorder()).fit(container(X), Y)
    for j, estimator in enumerate(model.estimators_):
        assert sp.issparse(estimator.X_) and estimator.X_.format == "csr"
        np.testing.assert_array_equal(estimator.X_.toarray(), X[labeled[:, j]])


def test_texts_go_through_a_pipeline_a_label():
    texts = ["red fox", "red hen", "blue fox", "blue hen", "red cat", "blue cat"]
    y = np.array([[1, NAN], [1, 0], [0, 1], [0, 0], [NAN, 0], [NAN, NAN]])
    inner = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model = MaskedMultiOutputClassifier(inner).fit(texts, y)
    assert set(model.estimators_[1][0].vocabulary_) == {
        "red",
        "blue",
        "hen",
        "fox",
        "cat",
    }
    assert set(model.estimators_[0][0].vocabulary_) == {"red", "blue", "hen", "fox"}
    np.testing.assert_array_equal(
        model.predict_proba(texts), by_hand(inner, np.array(texts, object), y)
    )


def test_data_frames_keep_their_columns():
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(60)[::-1] + 7)
    inner = make_pipeline(
        make_column_transformer(("passthrough", ["a", "d"])), LogisticRegression()
    )
    model = MaskedMultiOutputClassifier(inner).fit(frame, Y)
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model.n_features_in_ == 4
    expected = by_hand(LogisticRegression(), X[:, [0, 3]], Y)
    # To the last bit but one: columns of a frame lie otherwise in memory.
    np.testing.assert_allclose(model.predict_proba(frame), expected, rtol=1e-14)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("dcba")])


def test_another_number_of_features_raises():
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features, but .* is expecting 4"):
        model.predict_proba(X[:, :2])


# Labels that cannot be learned


def test_label_without_a_labeled_cell_predicts_the_pooled_rate():
    y = Y.copy()
    y[:, 1] = NAN
    pooled = np.nansum(y) / np.sum(~np.isnan(y))
    model = MaskedMultiOutputClassifier(LogisticRegression())
    message = (
        "No cell is labeled of label 1: "
        "the pooled rate of positives is predicted there."
    )
    with pytest.warns(UnlabeledLabelWarning, match=re.escape(message)) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], pooled, rtol=1e-15)
    expected = by_hand(LogisticRegression(), X, y[:, [0, 2]])
    np.testing.assert_array_equal(model.predict_proba(X)[:, [0, 2]], expected)


def test_label_of_one_class_predicts_its_smoothed_rate():
    y = MaskedLabels.from_dense(
        np.array([[0, 1, NAN], [1, 1, 0], [0, NAN, NAN], [1, 1, NAN]]),
        label_names=["sport", "war", "wine"],
    )
    pooled = 5 / 8
    model = MaskedMultiOutputClassifier(LogisticRegression())
    message = (
        "The labeled cells are all of one class for label war, wine: a constant, "
        "their smoothed rate of positives, is predicted there."
    )
    with pytest.warns(OneClassLabelWarning, match=re.escape(message)) as caught:
        model.fit(X[:4], y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    proba = model.predict_proba(X[:2])
    np.testing.assert_allclose(proba[:, 1], (3 + pooled) / 4)
    np.testing.assert_allclose(proba[:, 2], (0 + pooled) / 2)
    np.testing.assert_array_equal(model.predict(X[:2])[:, 1:], [[1, 0], [1, 0]])
    scores = model.decision_function(X[:2])
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), proba)


def test_warnings_name_ten_labels_at_most():
    y = np.full((60, 20), NAN)
    y[:, :3] = Y
    with pytest.warns(UnlabeledLabelWarning, match="label 3, 4, .*, 12 and 7 more:"):
        MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)


def test_weights_of_zero_make_a_label_unlabeled():
    weight = np.ones_like(Y)
    weight[:, 2] = 0
    with pytest.warns(UnlabeledLabelWarning, match="of label 2:"):
        MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y, weight)


def test_masked_labels_of_one_side_warn_and_stay_inside_the_unit_interval():
    y = MaskedLabels.from_dense(np.array([[1, NAN], [NAN, 1]]))
    model = MaskedMultiOutputClassifier(LogisticRegression())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[:2], y)
    assert [w.category for w in caught] == [OneSidedLabelsWarning, OneClassLabelWarning]
    assert "Every labeled cell of `y` is positive" in str(caught[0].message)
    assert {w.filename for w in caught} == {__file__}
    proba = model.predict_proba(X)
    assert ((proba > 0) & (proba < 1)).all()
    assert np.isfinite(model.decision_function(X)).all()


BAD_TARGETS = {
    "no labeled cell": (np.full((60, 2), NAN), "must have a labeled cell"),
    "no negative": (np.where(Y == 1, 1, -1), "`y` has no 0 anywhere"),
    "None": (None, "requires y to be passed, but the target y is None"),
    "rows": (Y[:5], "inconsistent numbers of samples"),
    "values": (np.where(Y == 1, 2.0, Y), "2"),
    "three classes": (np.arange(60) % 3, "Only binary classification is supported"),
    "-1 and 0": (-(np.arange(60) % 2), re.escape("y[:, None]")),
    "one class": (np.ones(60), "class"),
    "explicit zeros": (
        sp.csr_matrix((np.zeros(1), ([0], [0])), shape=(60, 2)),
        "from_sparse",
    ),
    "3-D": (np.zeros((60, 2, 2)), "3|shape"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_bad_targets_raise_and_leave_the_fitted_model(case):
    y, message = BAD_TARGETS[case]
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_a_fit_that_fails_inside_leaves_the_fitted_model():
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    before = model.predict_proba(X)
    wrong = np.where(np.arange(60)[:, None] == 1, NAN, X)[:, :2]
    with pytest.raises(ValueError, match="contains NaN"):
        model.fit(wrong, Y[:, :2])
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.n_features_in_ == 4


def test_bad_parameters_raise():
    with pytest.raises(ValueError, match="The 'estimator' parameter"):
        MaskedMultiOutputClassifier("logistic").fit(X, Y)
    with pytest.raises(ValueError, match="The 'n_jobs' parameter"):
        MaskedMultiOutputClassifier(LogisticRegression(), n_jobs="two").fit(X, Y)
    with pytest.raises(ValueError, match="SVC of pairwise similarities"):
        MaskedMultiOutputClassifier(SVC(kernel="precomputed")).fit(X @ X.T, Y)


@pytest.mark.parametrize("where", ["y", "sample_weight"])
def test_weights_for_a_classifier_that_takes_none_raise(where):
    rows, cols = np.nonzero(labeled)
    y = MaskedLabels.from_cells(
        rows,
        cols,
        Y[rows, cols],
        shape=Y.shape,
        weights=np.full(len(rows), 2.0) if where == "y" else None,
    )
    weight = np.ones(60) if where == "sample_weight" else None
    model = MaskedMultiOutputClassifier(KNeighborsClassifier())
    message = f"`{where}` has weights; KNeighborsClassifier does not"
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, weight)
    model.fit(X, y.without_weights())
    assert model.predict(X).shape == Y.shape


@pytest.mark.parametrize("weight", [np.ones(5), np.ones((60, 2)), -np.ones(60)])
@pytest.mark.parametrize("form", ["NaN", "negative fill"])
def test_bad_weights_raise(weight, form):
    with pytest.raises(ValueError, match="sample_weight"):
        MaskedMultiOutputClassifier(LogisticRegression()).fit(X, FORMS[form](Y), weight)


# Outputs


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_label_matrix_outputs_have_a_column_a_label(n_labels):
    y = Y[:, :n_labels]
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.predict(X).dtype.kind == "i"
    for method in ("predict_proba", "decision_function"):
        assert getattr(model, method)(X).shape == y.shape
        assert getattr(model, method)(X).dtype == np.float64
    assert model.classes_.dtype == object
    assert model.classes_.tolist() == list(range(n_labels))
    assert model.n_labels_ == len(model.estimators_) == n_labels
    assert model.label_names_ is None
    expected = np.mean(
        [
            roc_auc_score(y[known, j], model.decision_function(X)[known, j])
            for j, known in enumerate(labeled.T[:n_labels])
        ]
    )
    assert model.score(X, y) == pytest.approx(expected, abs=1e-12)
    scores = cross_validate(
        model, X, y=MaskedLabels.from_dense(y), cv=3, error_score="raise"
    )
    assert np.isfinite(scores["test_score"]).all()


def test_label_names_are_kept():
    frame = pd.DataFrame(Y, columns=["sport", "war", "wine"])
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, frame)
    assert model.label_names_.tolist() == ["sport", "war", "wine"]


def test_methods_follow_those_of_the_classifier():
    forest = RandomForestClassifier(3, random_state=0)
    model = MaskedMultiOutputClassifier(forest).fit(X, Y)
    assert not hasattr(model, "decision_function")
    assert not hasattr(model, "partial_fit")
    np.testing.assert_array_equal(model.predict_proba(X), by_hand(forest, X, Y))
    assert model.score(X, Y) > 0.9
    svc = MaskedMultiOutputClassifier(LinearSVC())
    assert not hasattr(svc, "predict_proba")
    assert svc.fit(X, Y).score(X, Y) > 0.9


def test_unfitted_raises():
    model = MaskedMultiOutputClassifier(LogisticRegression())
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    with pytest.raises(NotFittedError):
        model.score(X, Y)


def test_score_warns_of_labels_that_cannot_be_scored():
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    y = Y.copy()
    y[y[:, 1] == 0, 1] = NAN
    with pytest.warns(UnscoredLabelsWarning):
        assert 0.5 < model.score(X, y) <= 1


# One dimension


BINARY = {
    "strings": (["ham", "spam"], None),
    "-1 and 1": ([-1, 1], NAN),
    "booleans": ([False, True], None),
    "integers": ([3, 7], NAN),
}


@pytest.mark.parametrize("case", BINARY)
@pytest.mark.parametrize("container", [list, "array", pd.Series])
def test_one_dimensional_y_is_a_binary_problem(case, container):
    values, missing = BINARY[case]
    known = labeled[:, 0]
    entries = [
        values[int(value)] if there else missing
        for value, there in zip(Y[:, 0], known, strict=True)
    ]
    if container == "array":
        y = np.array(entries, dtype=object if missing is None else float)
    else:
        y = container(entries)
    if container is pd.Series:
        y.index = np.arange(60) + 5
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    encoded = LogisticRegression().fit(X[known], Y[known, 0].astype(int))
    assert model.classes_.tolist() == values
    np.testing.assert_array_equal(model.predict_proba(X), encoded.predict_proba(X))
    np.testing.assert_array_equal(
        model.decision_function(X), encoded.decision_function(X)
    )
    expected = [values[i] for i in encoded.predict(X)]
    assert model.predict(X).tolist() == expected
    weight = np.arange(60.0)
    right = [e == t for e, t in zip(expected, entries, strict=True)]
    assert model.score(X, y) == pytest.approx(np.mean(np.array(right)[known]))
    assert model.score(X, y, weight) == pytest.approx(
        accuracy_score(
            np.ones(known.sum()), np.array(right)[known], sample_weight=weight[known]
        )
    )


def test_accuracy_without_a_labeled_entry_is_nan():
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y[:, 0])
    with pytest.warns(UndefinedMetricWarning, match="has no labeled entry"):
        assert np.isnan(model.score(X, np.full(60, NAN)))


def test_score_reads_the_class_that_the_model_means():
    y = np.where(np.arange(60) % 2, "ham", "spam")
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    ham = model.predict(X) == "ham"
    assert model.score(X, np.full(60, "ham")) == ham.mean()
    assert model.score(X, np.full(60, "spam")) == 1 - ham.mean()
    with pytest.raises(ValueError, match="'eggs'"):
        model.score(X, np.full(60, "eggs"))


# partial_fit


def test_partial_fit_equals_partial_fit_of_each_clone():
    inner = SGDClassifier(random_state=0)
    model = MaskedMultiOutputClassifier(inner)
    for batch in np.array_split(np.arange(60), 4):
        model.partial_fit(X[batch], Y[batch])
    for j in range(3):
        alone = clone(inner)
        for batch in np.array_split(np.arange(60), 4):
            batch = batch[labeled[batch, j]]
            if len(batch):
                alone.partial_fit(X[batch], Y[batch, j].astype(int), classes=[0, 1])
        np.testing.assert_array_equal(model.estimators_[j].coef_, alone.coef_)


def test_partial_fit_waits_for_the_first_labeled_cell():
    model = MaskedMultiOutputClassifier(GaussianNB())
    nothing = np.full((60, 2), NAN)
    model.partial_fit(X, nothing)
    np.testing.assert_array_equal(model.predict_proba(X), np.full((60, 2), 0.5))
    first = nothing.copy()
    first[:8, 0] = [0, 1, 1, 1, 1, 1, 1, 1]
    model.partial_fit(X, first)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 7 / 8)
    model.partial_fit(X, np.column_stack([Y[:, 0], Y[:, 1]]))
    alone = GaussianNB().fit(X[labeled[:, 1]], Y[labeled[:, 1], 1])
    np.testing.assert_allclose(
        model.predict_proba(X)[:, 1], alone.predict_proba(X)[:, 1]
    )


def test_partial_fit_checks_the_labels_of_every_call():
    names = ["sport", "war", "wine"]
    model = MaskedMultiOutputClassifier(SGDClassifier(random_state=0))
    model.partial_fit(X, MaskedLabels.from_dense(Y, label_names=names))
    with pytest.raises(ValueError, match="must have the 3 labels"):
        model.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="label 0 is 'wine' and must be 'sport'"):
        model.partial_fit(X, MaskedLabels.from_dense(Y, label_names=names[::-1]))
    with pytest.raises(ValueError, match="got 1 and the model was fitted with 2"):
        model.partial_fit(X, Y[:, 0])


def test_partial_fit_of_one_dimension_needs_classes_once():
    model = MaskedMultiOutputClassifier(SGDClassifier(random_state=0))
    y = np.where(Y[:, 0] == 1, "spam", "ham")
    with pytest.raises(ValueError, match="`classes` .* first call"):
        model.partial_fit(X, y)
    one = y == "spam"
    model.partial_fit(X[one], y[one], classes=["ham", "spam"])
    model.partial_fit(X[~one], y[~one])
    alone = SGDClassifier(random_state=0)
    alone.partial_fit(X[one], y[one], classes=["ham", "spam"])
    alone.partial_fit(X[~one], y[~one])
    np.testing.assert_array_equal(
        model.decision_function(X), alone.decision_function(X)
    )
    assert model.classes_.tolist() == ["ham", "spam"]


def test_scikit_learn_checks_with_partial_fit():
    with warnings.catch_warnings():
        # The checks fit degenerate data on purpose.
        warnings.simplefilter("ignore")
        results = check_estimator(
            MaskedMultiOutputClassifier(GaussianNB()), on_fail=None, on_skip=None
        )
    names = {result["check_name"] for result in results}
    assert "check_estimators_partial_fit_n_features" in names
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


# In scikit-learn's workflow


def test_fit_params_are_cut_to_the_labeled_rows():
    model = MaskedMultiOutputClassifier(Recorder())
    model.fit(X, Y, tag=np.arange(60), hint="all")
    for j, estimator in enumerate(model.estimators_):
        np.testing.assert_array_equal(estimator.tag_, np.flatnonzero(labeled[:, j]))
        assert estimator.hint_ == "all"


def test_metadata_is_routed_to_the_classifier():
    weight = np.random.default_rng(0).uniform(0.5, 2, size=60)
    inner = LogisticRegression()
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(ValueError, match="not explicitly set as requested"):
            MaskedMultiOutputClassifier(inner).fit(X, Y, sample_weight=weight)
        asking = LogisticRegression().set_fit_request(sample_weight=True)
        model = MaskedMultiOutputClassifier(asking).fit(X, Y, sample_weight=weight)
        piped = MaskedMultiOutputClassifier(make_pipeline(asking))
        piped.fit(X, Y, sample_weight=weight)
        y = MaskedLabels.from_dense(Y, weights=np.tile(weight[:, None], 3))
        carried = MaskedMultiOutputClassifier(asking).fit(X, y)
        search = GridSearchCV(
            MaskedMultiOutputClassifier(asking),
            {"estimator__C": [1.0]},
            scoring=masked_roc_auc_scorer,
            cv=3,
        )
        request = LogisticRegression().set_fit_request(sample_weight="votes")
        renamed = MaskedMultiOutputClassifier(request).fit(X, Y, votes=weight)
        search.scoring = masked_roc_auc_scorer.__sklearn_clone__()
        search.scoring.set_score_request(sample_weight=False)
        search.fit(X, MaskedLabels.from_dense(Y), sample_weight=weight)
    expected = by_hand(inner, X, Y, np.tile(weight[:, None], 3))
    for fitted in (model, piped, carried, renamed, search.best_estimator_):
        np.testing.assert_array_equal(fitted.predict_proba(X), expected)


def test_grid_search_reaches_the_classifier():
    search = GridSearchCV(
        MaskedMultiOutputClassifier(LogisticRegression()),
        {"estimator__C": [1e-3, 1.0]},
        scoring=masked_roc_auc_scorer,
        cv=3,
        error_score="raise",
    )
    search.fit(X, MaskedLabels.from_dense(Y))
    assert (
        search.best_estimator_.estimators_[0].C == search.best_params_["estimator__C"]
    )


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_several_jobs_on_read_only_memory_maps_give_the_same(container):
    # Above 1 MB, joblib hands arrays to its workers as read-only memory maps.
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(4000, 50))
    y = np.where(rng.random((4000, 2)) < 0.9, wide[:, :2] > 0, NAN)
    y[:, 0] = wide[:, 0] > 0
    data = container(wide)
    one = MaskedMultiOutputClassifier(LogisticRegression()).fit(data, y)
    two = MaskedMultiOutputClassifier(LogisticRegression(), n_jobs=2).fit(data, y)
    # A worker has fewer BLAS threads than the parent, which may round sums otherwise:
    # to the bit the two need not agree.
    np.testing.assert_allclose(
        one.predict_proba(data), two.predict_proba(data), rtol=1e-12
    )


def test_clone_and_pickle():
    y = Y.copy()
    y[:, 2] = NAN
    model = MaskedMultiOutputClassifier(LogisticRegression())
    with pytest.warns(UnlabeledLabelWarning):
        model.fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert not hasattr(clone(model), "estimators_")
    assert not hasattr(model.estimator, "coef_")


def test_a_refit_forgets_the_features_of_the_first():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(frame, Y)
    model.fit(X[:, :2], Y)
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")
