"""Predictions of single cells: equal to those of whole rows, at the cells' cost."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
from builders import Linear
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

import sklearn_masked.classifier._prediction as prediction
from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier, metrics
from sklearn_masked.metrics import responses
from sklearn_masked.nn.model._module import DirectSharedModule

NAN = np.nan
CELL_METHODS = ["decision_function", "predict_proba", "predict"]
# So many pairs are more than a small table: the direct path keeps pairs alone.
WIDE = (2000, 600)


def sparse_rows(rng, n, m):
    """Rows of a few positive numbers, the first without any."""
    dense = (rng.random((n, m)) + 0.1) * (rng.random((n, m)) < 8 / m)
    dense[0] = 0
    return sp.csr_matrix(dense.astype(np.float32))


def one_cell_a_row(rng, n, n_labels):
    """Labels with a cell a row; nothing is known of the last label."""
    return MaskedLabels.from_cells(
        np.arange(n),
        rng.integers(n_labels - 1, size=n),
        rng.integers(2, size=n),
        shape=(n, n_labels),
    )


@functools.cache
def wide_model(seed=0):
    rng = np.random.default_rng(seed)
    X, labels = sparse_rows(rng, 150, WIDE[0]), one_cell_a_row(rng, 150, WIDE[1])
    model = MaskedMultiLabelClassifier(embedding_dim=4, max_epochs=2, random_state=0)
    with pytest.warns(UserWarning, match="No cell is labeled of label"):
        model.fit(X, labels)
    return model, X, labels


class CellLinear(Linear):
    """The same with one."""

    def cell_logits(self, rows, cols, X):
        return (X[rows] * self.layer.weight[cols]).sum(1) + self.layer.bias[cols]


@functools.cache
def dense_model(**params):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 5)).astype(np.float32)
    y = np.where(rng.random((40, 300)) < 0.1, rng.integers(0, 2, (40, 300)), NAN)
    y[:2, :] = [[0], [1]]
    y[:, 3] = NAN
    model = MaskedMultiLabelClassifier(max_epochs=2, random_state=0, **params)
    with pytest.warns(UserWarning, match="No cell is labeled of label"):
        model.fit(X, y)
    return model, X, MaskedLabels.from_dense(y)


MODELS = {
    "pairs": wide_model,
    "dense": dense_model,
    "own": lambda: dense_model(module=Linear),
    "own, by cell": lambda: dense_model(module=CellLinear),
}


def some_cells(rng, shape, n):
    """Cells in any order, some of them twice, one of the label without cells."""
    rows, cols = rng.integers(shape[0], size=n), rng.integers(shape[1], size=n)
    rows[1], cols[1] = rows[0], cols[0]
    return rows, cols


@pytest.mark.parametrize("block", [1, 50, 1 << 20])
@pytest.mark.parametrize("n", [2, 300])
@pytest.mark.parametrize("name", MODELS)
def test_cells_equal_those_of_whole_rows(name, n, block, monkeypatch):
    model, X, labels = MODELS[name]()
    monkeypatch.setattr(prediction, "_BLOCK_ENTRIES", block)
    monkeypatch.setattr(prediction, "_BLOCK_ROWS", block)
    rows, cols = some_cells(np.random.default_rng(2), labels.shape, n)
    cols[-1] = 599 if name == "pairs" else 3
    for method in CELL_METHODS:
        whole = getattr(model, method)(X)
        cells = getattr(model, method + "_cells")(X, rows, cols)
        assert cells.dtype == whole.dtype
        assert cells.shape == (n,)
        # The few at the border of one half could fall to either side.
        if method != "predict":
            np.testing.assert_allclose(cells, whole[rows, cols], rtol=2e-5, atol=1e-6)
        else:
            clear = abs(model.decision_function(X)[rows, cols]) > 1e-5
            assert (cells == whole[rows, cols])[clear].all()
            assert clear.sum() > n / 2


@pytest.mark.parametrize("name", ["pairs", "own, by cell"])
def test_few_cells_compute_no_others(name, monkeypatch):
    model, X, labels = MODELS[name]()
    rows, cols = np.arange(labels.shape[0]), np.arange(labels.shape[0]) % 80
    want = model.decision_function(X)[rows, cols]

    def refuse(*args, **kwargs):
        raise AssertionError("all logits were computed")

    monkeypatch.setattr(model.net_.module_, "forward", refuse)
    got = model.decision_function_cells(X, rows, cols)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)


def test_many_cells_are_computed_as_whole_rows(monkeypatch):
    model, X, labels = wide_model()
    rows, cols = (part.ravel() for part in np.indices(labels.shape))

    def refuse(*args, **kwargs):
        raise AssertionError("cells were computed one by one")

    monkeypatch.setattr(model.net_.module_, "cell_logits", refuse)
    got = model.decision_function_cells(X, rows, cols)
    assert np.array_equal(got, model.decision_function(X).ravel())


def test_rows_nobody_asks_about_are_not_read(monkeypatch):
    model, X, _ = wide_model()
    read = []
    cell_logits = model.net_.cell_logits
    monkeypatch.setattr(
        model.net_, "cell_logits", lambda X, *a: read.append(X) or cell_logits(X, *a)
    )
    model.decision_function_cells(X, np.array([7, 3, 7]), np.array([0, 1, 2]))
    assert [part.shape[0] for part in read] == [2]
    assert (read[0] != X[[3, 7]]).nnz == 0


def test_no_cells_give_an_empty_array():
    model, X, _ = wide_model()
    assert model.decision_function_cells(X, [], []).shape == (0,)
    assert model.predict_proba_cells(X, [], []).dtype == np.float64
    assert model.predict_cells(X, [], []).dtype == np.int64


@pytest.mark.parametrize("classes", [(0, 1), ("no", "yes")])
def test_binary_target_has_one_column(classes):
    X = np.random.default_rng(3).normal(size=(30, 4))
    y = np.array(classes)[(X[:, 0] > 0).astype(int)]
    model = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    rows, cols = np.array([4, 2, 29]), np.zeros(3, int)
    np.testing.assert_allclose(
        model.decision_function_cells(X, rows, cols),
        model.decision_function(X)[rows],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        model.predict_proba_cells(X, rows, cols),
        model.predict_proba(X)[rows, 1],
        rtol=1e-5,
    )
    assert model.predict_cells(X, rows, cols).tolist() == list(model.predict(X)[rows])


@pytest.mark.parametrize(
    ("rows", "cols", "message"),
    [
        ([0.0], [0], r"`rows` accepts a 1-D array of integers; got dtype float64 and"),
        ([0], [[0]], r"`cols` accepts a 1-D array of integers; got dtype int\d+ and "),
        ([0], [True], r"`cols` accepts a 1-D array of integers; got dtype bool and sh"),
        ([2, 40], [0, 0], r"`rows` accepts positions from 0 to 39; got 40 at position"),
        (
            [0, 0],
            [-1, 2],
            r"`cols` accepts positions from 0 to 299; got -1 at position",
        ),
        ([0, 1], [0], r"`rows` and `cols` accept arrays of one length, an entry per"),
    ],
)
def test_cells_that_are_none_raise(rows, cols, message):
    model, X, _ = dense_model()
    with pytest.raises(ValueError, match=message):
        model.decision_function_cells(X, rows, cols)


def test_an_unfitted_model_raises():
    with pytest.raises(ValueError, match="is not fitted yet"):
        MaskedMultiLabelClassifier().predict_proba_cells(np.zeros((2, 2)), [0], [0])


# The scorers


class Spy(ClassifierMixin, BaseEstimator):
    """A model with both ways to predict, which notes what it is asked."""

    def fit(self, X, y):
        self.asked_ = []
        self.n_labels_ = y.shape[1]
        self.classes_ = np.arange(self.n_labels_).astype(object)
        return self

    def _logits(self, X):
        X = np.asarray(X, float)
        return X[:, :1] * np.arange(1, self.n_labels_ + 1)

    def decision_function(self, X):
        self.asked_.append("rows")
        return self._logits(X)

    def decision_function_cells(self, X, rows, cols):
        self.asked_.append("cells")
        return self._logits(X)[rows, cols]


class Louder(Spy):
    """Predicts rows in its own way, and inherits a way to cells that ignores it."""

    def decision_function(self, X):
        return -super().decision_function(X)


class OwnPipeline(Pipeline):
    """Predicts in a way of its own."""

    def decision_function(self, X):
        return -super().decision_function(X)


@pytest.fixture
def data():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(60, 3))
    Y = np.where(rng.random((60, 4)) < 0.5, rng.integers(0, 2, (60, 4)), NAN)
    Y[:4] = NAN
    return X, MaskedLabels.from_dense(Y)


def negate(X):
    return -X


WAYS = {
    "itself": (lambda spy: spy, 1, "cells"),
    "pipeline": (
        lambda spy: make_pipeline(FunctionTransformer(negate), MaxAbsScaler(), spy),
        -1,
        "cells",
    ),
    "one step": (lambda spy: make_pipeline(spy), 1, "cells"),
    "pipelines": (
        lambda spy: make_pipeline(
            FunctionTransformer(negate), make_pipeline(FunctionTransformer(negate), spy)
        ),
        1,
        "cells",
    ),
    "passthrough": (lambda spy: make_pipeline("passthrough", spy), 1, "cells"),
    "own pipeline": (lambda spy: OwnPipeline([("spy", spy)]), -1, "rows"),
    "frozen": (FrozenEstimator, 1, "rows"),
}


@pytest.mark.parametrize("way", WAYS)
def test_scorer_asks_for_cells_through(way, data):
    X, labels = data
    spy = Spy().fit(X, labels)
    make, sign, asked = WAYS[way]
    model = make(spy).fit(X, labels)
    spy = getattr(model, "steps", [[None, spy]])[-1][1]
    spy = getattr(spy, "steps", [[None, spy]])[-1][1]
    want = metrics.masked_roc_auc_score(labels, sign * spy._logits(X))
    assert metrics.masked_roc_auc_scorer(model, X, labels) == want
    assert spy.asked_ == [asked]


def test_scorer_asks_a_searchs_best_estimator_for_cells(data):
    X, labels = data
    model = make_pipeline(FunctionTransformer(negate), Spy())
    search = GridSearchCV(
        model,
        {"functiontransformer__func": [negate]},
        scoring=metrics.masked_roc_auc_scorer,
        cv=2,
        error_score="raise",
    ).fit(X, labels)
    outer = make_pipeline(FunctionTransformer(negate), search)
    spy = search.best_estimator_[-1]
    spy.asked_.clear()
    want = metrics.masked_roc_auc_score(labels, spy._logits(X))
    assert metrics.masked_roc_auc_scorer(outer, X, labels) == want
    assert spy.asked_ == ["cells"]


def test_scorer_asks_for_rows_where_rows_have_a_way_of_their_own(data):
    X, labels = data
    louder = Louder().fit(X, labels)
    want = metrics.masked_roc_auc_score(labels, -louder._logits(X))
    assert metrics.masked_roc_auc_scorer(louder, X, labels) == want
    assert louder.asked_ == ["rows"]
    spy = Spy().fit(X, labels)
    spy.decision_function = lambda X: -spy._logits(X)
    assert metrics.masked_roc_auc_scorer(spy, X, labels) == want
    assert spy.asked_ == []


def test_scorer_of_another_number_of_labels_raises(data):
    X, labels = data
    spy = Spy().fit(X, np.zeros((60, 3)))
    with pytest.raises(ValueError, match="must have the 3 labels .* got 4"):
        metrics.masked_roc_auc_scorer(spy, X, labels)


@pytest.mark.parametrize("block_rows", [7, 1000])
@pytest.mark.parametrize("method", CELL_METHODS)
@pytest.mark.parametrize("name", MODELS)
def test_scorers_read_what_rows_have_there(name, method, block_rows, monkeypatch):
    model, X, labels = MODELS[name]()
    monkeypatch.setattr(responses, "_BLOCK_ROWS", block_rows)
    cells = labels.cells()
    want = getattr(model, method)(X)[cells.rows, cells.cols]
    got = responses.predict_cells(model, method, X, labels)
    np.testing.assert_allclose(got, want, rtol=2e-5, atol=1e-6)


def test_texts_through_a_pipeline_and_folds():
    words = ["red", "blue", "car", "bike", "sea", "sky"]
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(words, 4)) for _ in range(60)]
    y = np.array([[word in text for word in words] for text in texts], float)
    y[rng.random(y.shape) < 0.5] = NAN
    model = make_pipeline(
        CountVectorizer(),
        MaskedMultiLabelClassifier(max_epochs=2, random_state=0, device="cpu"),
    )
    got = cross_val_score(
        model,
        texts,
        MaskedLabels.from_dense(y),
        cv=3,
        scoring=metrics.masked_roc_auc_scorer,
        error_score="raise",
    )
    fitted = model.fit(texts, y)
    want = metrics.masked_roc_auc_score(y, fitted.decision_function(texts))
    assert metrics.masked_roc_auc_scorer(fitted, texts, y) == pytest.approx(want)
    assert len(got) == 3
    assert (got > 0.5).all()


def test_the_default_module_says_when_cells_spare_work():
    assert DirectSharedModule(3, 2, direct="pairs").computes_cells
    assert DirectSharedModule(3, 2, direct=None).computes_cells
    assert not DirectSharedModule(3, 2, direct="dense").computes_cells
