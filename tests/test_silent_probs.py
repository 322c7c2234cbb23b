"""Probabilities that were wrong in silence: of few cells, copies and later calls."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier, check_labels


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def few_cells(n_cells, sparse, seed, n_labels=6, n_features=30):
    """Return rows and labels: this number of cells per label, one per row."""
    rng = np.random.default_rng(seed)
    n = n_cells * n_labels
    X = rng.random((n, n_features)) * (rng.random((n, n_features)) < 0.3)
    label = np.repeat(np.arange(n_labels), n_cells)
    y = np.full((n, n_labels), np.nan)
    y[np.arange(n), label] = rng.random(n) < rng.random(n_labels)[label]
    y[:2, 0] = [0, 1][: len(y[:2])]  # both classes somewhere
    return sp.csr_array(X.astype(np.float32)) if sparse else X, check_labels(y)


def test_three_texts_give_no_certainty():
    texts = ["Troops cross the border", "The striker scores twice", "Shelling at night"]
    y = np.array([[1, np.nan], [0, 1], [1, 0]])
    model = make_pipeline(TfidfVectorizer(), make()).fit(texts, y)
    unknown, known = model.predict_proba(["Banana", "Troops at the border"])
    rates = (np.array([2, 1]) + 2 * 0.6) / (np.array([3, 2]) + 2)
    np.testing.assert_allclose(unknown, rates, atol=0.15)
    assert 0.5 < known[0] < 0.95


@pytest.mark.parametrize("sparse", [False, True])
def test_one_cell_per_label_gives_no_certainty(sparse):
    rng = np.random.default_rng(0)
    X = np.eye(24) + 0.1 * rng.normal(size=(24, 24))
    y = np.full((24, 24), np.nan)
    np.fill_diagonal(y, np.arange(24) % 2)
    X = sp.csr_array(X.astype(np.float32)) if sparse else X
    proba = make().fit(X, y).predict_proba(X)
    assert 0.02 < proba.min() < proba.max() < 0.98
    X, y = few_cells(1, sparse, seed=1)
    proba = make().fit(X, y).predict_proba(X)
    assert 0.02 < proba.min() < proba.max() < 0.98


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("n_cells", [1, 3])
def test_a_row_without_information_gets_the_rate_of_the_label(n_cells, sparse):
    for seed in range(3):
        X, y = few_cells(n_cells, sparse, seed)
        mean = sp.csr_array(X[:1] * 0) if sparse else X.mean(axis=0, keepdims=True)
        pooled = y.n_positive.sum() / y.n_labeled.sum()
        rates = (y.n_positive + 2 * pooled) / (y.n_labeled + 2)
        got = make().fit(X, y).predict_proba(mean)[0]
        np.testing.assert_allclose(got, rates, atol=0.15)


def test_few_cells_are_predicted_no_worse_than_by_the_rates_of_the_labels():
    losses, baseline = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        shift, weight = 2 * rng.normal(size=6), 0.3 * rng.normal(size=(20, 6))
        X, X_test = (rng.normal(size=(n, 20)) for n in (40, 400))
        y, y_test = (
            rows @ weight + shift + rng.logistic(size=(len(rows), 6)) > 0
            for rows in (X, X_test)
        )
        y = np.where(rng.random(y.shape) < 0.2, y, np.nan)
        proba = make().fit(X, check_labels(y)).predict_proba(X_test)
        n = (~np.isnan(y)).sum(axis=0)
        rates = (np.nansum(y, axis=0) + 2 * np.nanmean(y)) / (n + 2)
        losses.append(log_loss(y_test, proba))
        baseline.append(log_loss(y_test, np.broadcast_to(rates, y_test.shape)))
    assert np.mean(losses) < np.mean(baseline) + 0.005


def log_loss(y, proba):
    return -np.log(np.where(y, proba, 1 - proba)).mean()


def emotional(n=240, seed=0):
    """Return dense rows of weak signal, half of whose cells are labeled, and truth."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 40))
    truth = X @ rng.normal(size=(40, 4)) + 8 * rng.logistic(size=(n, 4)) > 0
    return X, np.where(rng.random(truth.shape) < 0.5, truth, np.nan), truth


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}])
@pytest.mark.parametrize("sparse", [False, True])
def test_copies_of_rows_change_the_log_loss_little(sparse, params):
    params = {"label_correlation": 0, "interactions": 0, **params}
    change = []
    for seed in (1, 2, 3):
        X, y, truth = emotional(seed=seed)
        X = sp.csr_array(np.maximum(X, 0).astype(np.float32)) if sparse else X
        losses = []
        for n_copies in (1, 3):
            rows = np.tile(np.arange(120), n_copies)
            model = make(**params).fit(X[rows], y[rows])
            losses.append(log_loss(truth[120:], model.predict_proba(X[120:])))
        change.append(losses[1] - losses[0])
    assert np.mean(change) < 0.01


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_a_factor_on_all_weights_leaves_the_probabilities(factor):
    X, y, _ = emotional()
    one = make().fit(X, y).predict_proba(X)
    other = make().fit(X, y, sample_weight=np.full(len(X), factor)).predict_proba(X)
    np.testing.assert_allclose(other, one, atol=1e-3)


def streamed(n=1200, seed=0):
    """Return sparse rows, all cells' labels and a mask of labeled ones."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.3, size=(n, 60)).astype(np.float32)
    logits = X @ rng.normal(size=(60, 4)) + [-2, -1, 0, 1]
    truth = logits + 2 * rng.logistic(size=(n, 4)) > 0
    return sp.csr_array(X), truth, np.where(rng.random((n, 4)) < 0.3, truth, np.nan)


@pytest.mark.parametrize("call", ["warm fit", "partial_fit"])
def test_calls_on_rows_that_were_seen_change_the_log_loss_little(call):
    X, truth, y = streamed()
    params = {"label_correlation": 0, "interactions": 0, "warm_start": True}
    model = make(**params).fit(X[:600], y[:600])
    losses = [log_loss(truth[600:], model.predict_proba(X[600:]))]
    for _ in range(3):
        (model.fit if call == "warm fit" else model.partial_fit)(X[:600], y[:600])
        losses.append(log_loss(truth[600:], model.predict_proba(X[600:])))
    assert max(losses) < losses[0] + 0.016


def test_a_stream_is_as_well_calibrated_as_one_fit():
    X, truth, y = streamed()
    params = {"label_correlation": 0, "interactions": 0}
    whole = make(**params).fit(X[:800], y[:800])
    stream = make(**params)
    for start in range(0, 800, 40):
        stream.partial_fit(X[start : start + 40], y[start : start + 40])
    one, other = (
        log_loss(truth[800:], model.predict_proba(X[800:])) for model in (whole, stream)
    )
    rates = np.broadcast_to(np.nanmean(y[:800], axis=0), truth[800:].shape)
    assert other < one + 0.03 and other < log_loss(truth[800:], rates)
