"""interactions="auto": whether pairs of the embedding's dimensions count."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.datasets import load_digits

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_roc_auc_score

SELECT = "sklearn_masked.classifier._select_representation."


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def task(pairs, n=1200, m=12, n_labels=4, known=0.5, seed=0):
    """Return rows, labels with unlabeled cells, and all labels.

    Labels tell of products of two columns each, or of columns by themselves.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m))
    logits = X[:, :n_labels] + X[:, n_labels : 2 * n_labels]
    if pairs:
        logits = X[:, :n_labels] * X[:, n_labels : 2 * n_labels]
    truth = (3 * logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < known, truth, np.nan)
    return X, y, truth


def bits(pairs, n=1200, m=12, n_labels=4, known=0.5, seed=0):
    """Return the same as `task`, of a sparse X of bits."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n, m)) < 0.5).astype(float)
    one, other = 2 * X[:, :n_labels] - 1, 2 * X[:, n_labels : 2 * n_labels] - 1
    logits = 2 * one * other if pairs else one + other
    truth = (logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < known, truth, np.nan)
    return sp.csr_array(X), y, truth


def taken(model):
    return float(model.net_.module_.interactions)


@pytest.mark.parametrize("pairs", [True, False])
def test_interactions_of_bits_are_fixed(pairs):
    X, y, truth = bits(pairs)
    params = {"idf_power": 0.0, "label_correlation": 0.0}
    model = make(**params).fit(X[:800], y[:800])
    assert taken(model) == 0.5 and model.auto_params_["interactions"] == 0.5
    without = make(interactions=0, **params).fit(X[:800], y[:800])
    gain = np.subtract(
        *(
            masked_roc_auc_score(truth[800:], each.predict_proba(X[800:]))
            for each in (model, without)
        )
    )
    assert gain > 0.2 if pairs else gain > -0.02
    nearly = X.copy()
    nearly.data = nearly.data * (1 + 1e-6 * np.arange(X.nnz) / X.nnz)
    assert taken(make(max_epochs=1, **params).fit(nearly, y)) == 0.5
    few = np.where(np.arange(len(y))[:, None] < 200, y, np.nan)  # 400 cells or so
    counts = sp.csr_array(X.toarray() * np.arange(1.0, 13))
    for rows, labels in ((X, few), (counts, y), (-X, y)):
        assert taken(make(max_epochs=1, **params).fit(rows, labels)) == 0


def test_digits_with_hidden_cells_are_told_apart_by_pairs_of_pixels():
    X, digit = load_digits(return_X_y=True)
    truth = (digit[:, None] == np.arange(10)).astype(float)
    y = np.where(np.random.default_rng(0).random(truth.shape) < 0.6, truth, np.nan)
    params = {"shared_weight": 0.3, "C": 50.0}
    scores = []
    for interactions in ("auto", 0.0):
        model = make(interactions=interactions, **params).fit(X[:900], y[:900])
        assert taken(model) >= 0.5 or interactions == 0
        scores.append(masked_roc_auc_score(truth[900:], model.predict_proba(X[900:])))
    assert 1 - scores[0] < 0.5 * (1 - scores[1])


@pytest.mark.parametrize(("pairs", "least"), [(True, 0.25), (False, -0.02)])
def test_interactions_of_arrays_are_fixed(pairs, least):
    X, y, truth = task(pairs)
    model = make(label_correlation=0).fit(X[:800], y[:800])
    assert taken(model) == 0.5 and model.auto_params_["interactions"] == 0.5
    scores = [
        masked_roc_auc_score(truth[800:], each.predict_proba(X[800:]))
        for each in (
            model,
            make(label_correlation=0, interactions=0).fit(X[:800], y[:800]),
        )
    ]
    assert scores[0] - scores[1] > least
    assert taken(make().fit(X[:20], y[:20])) == 0.5
    assert taken(make().partial_fit(X, y)) == 0.5


def test_they_are_0_where_pairs_are_many(monkeypatch):
    X, y, _ = bits(True, n=300)
    assert taken(make(interactions=0.25).fit(X, y)) == 0.25
    wide = sp.csr_array((X.shape[0], (1 << 20) // 4 - 11))
    assert taken(make().fit(sp.hstack([X, wide]).tocsr(), y)) == 0
    monkeypatch.setattr(SELECT + "_MOST_WEIGHTS", 4 * 143)
    for rows in (X, X.toarray()):
        assert taken(make().fit(rows, y)) == 0


@pytest.mark.parametrize("n_features", [12, 600_000])  # a table of weights, or pairs
def test_a_model_with_interactions_is_kept_and_goes_on(n_features):
    X, y, _ = task(True, n=300)
    X = sp.csr_array(X)
    X.resize(len(y), n_features)
    model = make(interactions=0.6, embedding_dim=5).fit(X, y)
    module = model.net_.module_
    assert module.quadratic.weight.shape == (4, 10, 10)
    narrow = make(interactions=0, embedding_dim=5).fit(X, y).net_.module_
    assert (narrow.quadratic, narrow.embedding.shape[1]) == (None, 5)
    weight = module.quadratic.weight
    torch.testing.assert_close(weight, weight.transpose(1, 2))
    want = model.decision_function(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.decision_function(X), want)
    cells = np.repeat(np.arange(300), 4), np.tile(np.arange(4), 300)
    got = model.decision_function_cells(X, *cells)
    np.testing.assert_allclose(got, want[cells], atol=1e-4)
    before = weight.detach().clone()
    model.partial_fit(X, 1 - y)
    assert not torch.equal(model.net_.module_.quadratic.weight, before)
    assert np.abs(model.decision_function(X) - want).max() > 0.1
    torch.testing.assert_close(
        again.net_.module_.quadratic.weight, before, rtol=0, atol=0
    )


def test_junk_in_unlabeled_cells_changes_nothing():
    X, y, _ = task(True, n=300)
    X[::7] = 0
    got, want = (
        make(interactions=0.5).fit(X, labels).decision_function(X)
        for labels in (np.where(np.isnan(y), -1, y), y)
    )
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("interactions", [-0.1, 1.0, "yes", None])
def test_interactions_of_another_kind_are_refused(interactions):
    X, y, _ = task(True, n=60)
    with pytest.raises(ValueError, match="'interactions' parameter"):
        make(interactions=interactions).fit(X, y)


def test_matrices_beyond_all_bounds_are_refused():
    X, y, _ = task(True, n=60, m=300)
    message = (
        r"^interactions=0\.5 takes a matrix a label, here 360,000 weights in all; at "
        r"most 100,000 are possible\. Lower `embedding_dim`, or set `interactions` to "
        r"0\.$"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SELECT + "MAX_WEIGHTS", 100_000)
        with pytest.raises(ValueError, match=message):
            make(interactions=0.5, embedding_dim=150).fit(X, y)
