"""X that is an array: columns of any unit, and beside a sparse X of the same rows."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.nn.sdca._solver import SDCASettings

NAN = np.nan


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def task(n=300, m=12, n_labels=4, known=0.4, seed=0):
    """Return standardized rows, their labels with unlabeled cells, and all labels."""
    rng = np.random.default_rng(seed)
    X = StandardScaler().fit_transform(rng.normal(size=(n, m)))
    logits = 2 * X @ rng.normal(size=(m, n_labels))
    truth = (logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < known, truth, NAN)
    return X, y, truth


def power(model):
    return float(model.net_.module_.feature_power)


def test_units_and_offsets_of_columns_do_not_matter():
    X, y, _ = task()
    rng = np.random.default_rng(1)
    units = 10.0 ** rng.uniform(-4, 4, X.shape[1])
    want = make(std_power=1.0).fit(X, y).predict_proba(X)
    raw = X * units + 20 * units * rng.normal(size=X.shape[1])
    got = make(std_power=1.0).fit(raw, y).predict_proba(raw)
    np.testing.assert_allclose(got, want, atol=2e-3)


def test_raw_columns_are_learnt_as_well_as_standardized_ones():
    X, classes = load_wine(return_X_y=True)
    truth = (classes[:, None] == np.arange(3)).astype(float)
    rng = np.random.default_rng(0)
    train = rng.random(len(X)) < 0.7
    y = np.where(rng.random(truth.shape) < 0.4, truth, NAN)
    model = make().fit(X[train], y[train])
    score = masked_roc_auc_score(truth[~train], model.predict_proba(X[~train]))
    assert score > 0.99
    as_it_is = make(std_power=None).fit(X[train], y[train])
    proba = as_it_is.predict_proba(X[~train])
    assert masked_roc_auc_score(truth[~train], proba) < 0.95


@pytest.mark.parametrize("bad", [-1.0, "std"])
def test_std_power_of_another_kind_is_refused(bad):
    X, y, _ = task(40)
    with pytest.raises(ValueError, match="'std_power' parameter"):
        make(std_power=bad).fit(X, y)


def test_columns_that_say_nothing_change_little():
    X, y, _ = task()
    want = make(std_power=1.0).fit(X, y).decision_function(X)
    constant = np.hstack([X, np.full((len(X), 2), 123.0)])
    got = make(std_power=1.0).fit(constant, y).decision_function(constant)
    assert np.corrcoef(want.ravel(), got.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("scale", [1e-30, 3.3e38])
def test_columns_at_the_ends_of_float32_are_read_as_others(scale):
    X, y, _ = task()
    want = make(std_power=1.0).fit(X, y).decision_function(X)
    huge = X / np.abs(X).max() * scale
    with np.errstate(invalid="ignore", over="ignore"):  # of scikit-learn's own sum
        model = make(std_power=1.0).fit(huge, y)
        got, turned = model.decision_function(huge), model.decision_function(-huge)
    np.testing.assert_allclose(got, want, atol=0.05)
    assert np.isfinite(turned).all()


def test_a_first_batch_of_one_row_leaves_the_columns_as_they_are():
    X, y, truth = task(m=5)
    model = make().partial_fit(X[:1], truth[:1])
    assert model.net_.module_.feature_shift.numel() == 0
    model.partial_fit(X[1:], truth[1:])
    assert masked_roc_auc_score(truth, model.predict_proba(X)) > 0.8


@pytest.mark.parametrize("n_kept", [10_000, 30])  # all columns, or not the rarest
@pytest.mark.parametrize("n_labels", [4, 400])  # a table of weights, or pairs
@pytest.mark.parametrize("first", ["array", "sparse"])
def test_the_other_form_of_x_is_read_as_the_same_rows(
    first, n_labels, n_kept, monkeypatch
):
    monkeypatch.setattr("sklearn_masked.nn.model._svd.MAX_COLUMNS", n_kept)
    rng = np.random.default_rng(5)
    X = sp.random(120, 3000, 0.01, format="csr", dtype=np.float32, random_state=1)
    y = np.where(
        rng.random((120, n_labels)) < 0.1, rng.integers(0, 2, (120, n_labels)), NAN
    )
    y[:2] = [[0], [1]]
    own, other = (X.toarray(), X) if first == "array" else (X, X.toarray())
    model = make().fit(own, y)
    want = model.decision_function(own)
    np.testing.assert_allclose(model.decision_function(other), want, atol=1e-4)
    cells = rng.integers(0, 120, 30), rng.integers(0, n_labels, 30)
    got = model.decision_function_cells(other, *cells)
    np.testing.assert_allclose(got, want[cells], atol=1e-4)
    one, two = (
        pickle.loads(pickle.dumps(model)).partial_fit(Z, y) for Z in (own, other)
    )
    np.testing.assert_array_equal(one.predict_proba(own), two.predict_proba(own))


def test_a_loaded_model_centers_as_the_saved_one():
    X, y, _ = task()
    model = make().fit(X + 50, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))


def test_sparse_rows_of_a_model_of_arrays_are_read_batch_by_batch(monkeypatch):
    rng = np.random.default_rng(6)
    X = sp.random(2000, 30, 0.2, format="csr", dtype=np.float32, random_state=2)
    y = np.where(rng.random((2000, 3)) < 0.3, rng.integers(0, 2, (2000, 3)), NAN)
    model = make(batch_size=50).fit(X.toarray()[:200], y[:200])
    other = pickle.loads(pickle.dumps(model))
    want = model.partial_fit(X.toarray(), y).predict_proba(X.toarray())
    sizes = []
    toarray = type(X).toarray
    for kind in (sp.csr_matrix, sp.csr_array):
        monkeypatch.setattr(
            kind, "toarray", lambda self: sizes.append(self.shape[0]) or toarray(self)
        )
    few_at_once = SDCASettings(block=64)
    monkeypatch.setattr("sklearn_masked.nn.sdca._solver.SETTINGS", few_at_once)
    monkeypatch.setattr("sklearn_masked.nn.sdca._batches._NUMBERS", 64 * X.shape[1])
    monkeypatch.setattr(
        "sklearn_masked.classifier._prediction.PredictionMixin._block_rows",
        lambda self: 64,
    )
    got = other.partial_fit(X, y).predict_proba(X)
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert len(sizes) > 30 and max(sizes) <= 400
