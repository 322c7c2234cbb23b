"""Predictions by blocks of rows, and the k best labels of each."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier, MaskedMultiOutputClassifier
from sklearn_masked.serving import export, load, predict_blocks, predict_top_k


class Scores:
    """A model whose score of a row's label is a number of the row."""

    def __init__(self, n_labels):
        self.n_labels_, self.n_rows = n_labels, []

    def predict_proba(self, X):
        self.n_rows.append(len(X))
        return np.asarray(X, float)

    def decision_function(self, X):
        return np.tile(np.arange(self.n_labels_), (len(X), 1))


def best_by_sorting(row, k):
    return sorted(range(len(row)), key=lambda label: (-row[label], label))[:k]


@settings(max_examples=100, deadline=None)
@given(
    X=st.lists(
        st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=4),
        min_size=1,
        max_size=6,
    ),
    k=st.integers(1, 4),
    batch_size=st.integers(1, 7),
)
def test_top_k_are_those_of_a_sort(X, k, batch_size):
    top = predict_top_k(Scores(4), X, k, batch_size=batch_size)
    assert top.labels.tolist() == [best_by_sorting(row, k) for row in X]
    assert top.scores.tolist() == [
        [row[i] for i in best_by_sorting(row, k)] for row in X
    ]


def fitted():
    rng = np.random.default_rng(0)
    X = sp.csr_array(sp.random(100, 20, density=0.3, random_state=rng))
    y = (X[:, :5].toarray() > 0).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    clf = MaskedMultiLabelClassifier(random_state=0, max_epochs=2, device="cpu")
    return clf.fit(X, y), X


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_top_k_of_a_classifier_and_its_predictor(method, tmp_path):
    clf, X = fitted()
    export(clf, tmp_path / "model")
    scores = getattr(clf, method)(X)
    for estimator in (clf, load(tmp_path / "model")):
        for rows in (X, X.tocsc(), sp.csr_matrix(X), X.toarray()):
            top = predict_top_k(estimator, rows, 2, method=method, batch_size=7)
            expected = np.sort(scores, axis=1)[:, :-3:-1]
            np.testing.assert_allclose(top.scores, expected, rtol=1e-4, atol=1e-6)
            found = np.take_along_axis(scores, top.labels, axis=1)
            np.testing.assert_allclose(top.scores, found, rtol=1e-4, atol=1e-6)
            assert top.labels.dtype == np.int64
            assert top.scores.dtype == scores.dtype


def test_top_k_of_tables_and_texts():
    clf, X = fitted()
    table = pd.DataFrame(X.toarray(), columns=[f"f{i}" for i in range(20)])
    named = MaskedMultiOutputClassifier(LogisticRegression())
    named.fit(table, clf.predict(X))
    expected = predict_top_k(named, table, 2)
    for rows in (table, pl.from_pandas(table)):
        top = predict_top_k(named, rows, 2, batch_size=9)
        np.testing.assert_array_equal(top.labels, expected.labels)
    texts = [" ".join(f"w{i}" for i in X[[row]].indices) for row in range(100)]
    pipeline = make_pipeline(CountVectorizer(), named).fit(texts, clf.predict(X))
    expected = np.sort(pipeline.predict_proba(texts), axis=1)[:, :-3:-1]
    for rows in (texts, np.array(texts), pd.Series(texts, index=texts), iter(texts)):
        top = predict_top_k(pipeline, rows, 2, batch_size=9)
        np.testing.assert_allclose(top.scores, expected)


def test_top_k_of_a_binary_problem_are_its_two_classes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 2))
    clf = LogisticRegression().fit(X, X[:, 0] > 0)
    top = predict_top_k(clf, X, 1)
    np.testing.assert_array_equal(clf.classes_[top.labels[:, 0]], clf.predict(X))


def test_top_k_of_no_rows_is_empty():
    top = predict_top_k(Scores(4), np.empty((0, 4)), 3)
    assert top.scores.shape == top.labels.shape == (0, 3)


@pytest.mark.parametrize("k", [0, 5, -1, 1.5, "2", None, True])
def test_k_that_is_no_number_of_labels_raises(k):
    with pytest.raises(ValueError, match=f"`k` accepts 1 to 4, .* got {k!r}"):
        predict_top_k(Scores(4), [[0.0] * 4], k)


def test_scores_that_are_no_matrix_raise():
    X = np.arange(8.0).reshape(4, 2)
    y = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    clf = MultiOutputClassifier(LogisticRegression()).fit(X, y)
    with pytest.raises(ValueError, match="predict_proba returned list of shape"):
        predict_top_k(clf, X, 1)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_scores_that_are_nan_raise(k):
    with pytest.raises(ValueError, match="predict_proba returned it"):
        predict_top_k(Scores(3), [[0.5, 0.5, 0.5], [0.5, np.nan, 0.5]], k)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "3"])
def test_batch_size_that_is_no_number_of_rows_raises(batch_size):
    for function in (predict_blocks, lambda *a, **kw: predict_top_k(*a, 1, **kw)):
        with pytest.raises(
            ValueError, match="`batch_size` accepts 1 or more rows, or N"
        ):
            list(function(Scores(4), [[0.0] * 4], batch_size=batch_size))


def test_blocks_are_those_of_the_whole():
    clf, X = fitted()
    for method in ("predict", "predict_proba", "decision_function"):
        whole = getattr(clf, method)(X)
        found = np.zeros_like(whole)
        for rows, part in predict_blocks(clf, X, method=method, batch_size=33):
            found[rows] = part
        np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-6)


def test_blocks_have_fewer_rows_where_labels_are_many():
    for n_labels, n_rows in [(4, 2048), (1 << 12, 1024), (1 << 23, 1)]:
        model = Scores(n_labels)
        blocks = predict_blocks(model, np.zeros((3000, 1)))
        next(blocks)
        assert model.n_rows == [n_rows]


def test_memory_does_not_hold_a_score_of_each_row_and_label():
    model = Scores(2000)
    rows = np.arange(4000)[:, None]
    tracemalloc.start()
    top = predict_top_k(model, rows, 3, method="decision_function", batch_size=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top.labels.tolist() == [[1999, 1998, 1997]] * 4000
    whole = 8 * 4000 * 2000
    assert peak < whole / 5
