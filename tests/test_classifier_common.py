"""label_correlation="auto": labels have weights in common where cells say so."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier import _select_representation
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.metrics import masked_roc_auc_score


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def task(together, n=1200, m=300, n_labels=8, known=0.15, seed=0):
    """Return counts, labels with unlabeled cells, and all labels.

    The labels go together, as effects of one cause do, or each has words of its own.
    """
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.2, size=(n, m)) * np.exp(rng.normal(size=m))
    weights = rng.normal(size=(m, n_labels))
    if together:
        weights = 0.3 * weights + rng.normal(size=(m, 1))
    logits = X @ weights
    logits = 2 * (logits - logits.mean(axis=0)) / logits.std(axis=0) - 1
    truth = (logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < known, truth, np.nan)
    return sp.csr_matrix(X, dtype=np.float32), y, truth


def taken(model):
    return round(float(model.net_.module_.label_correlation), 6)


@pytest.mark.parametrize(
    ("together", "dense", "expected"),
    [(True, False, 0.4), (True, True, 0.4), (False, False, 0.0)],
)
def test_a_correlation_is_taken_where_labels_go_together(together, dense, expected):
    X, y, truth = task(together)
    X = X.toarray() if dense else X
    train = np.arange(len(y)) < 800
    found = {}
    for label_correlation in ("auto", 0.0, 0.4):
        model = make(label_correlation=label_correlation, idf_power=0.5, std_power=1.0)
        found[label_correlation] = model.fit(X[train], y[train]).predict_proba(
            X[~train]
        )
        if label_correlation == "auto":
            assert taken(model) == pytest.approx(expected, abs=1e-3)
    np.testing.assert_allclose(found["auto"], found[expected], atol=1e-3)
    apart, joined = (masked_roc_auc_score(truth[~train], found[c]) for c in (0.0, 0.4))
    assert joined - apart > 0.03 if together else joined - apart < -0.01


def test_the_correlation_stays_0_where_nothing_can_be_told():
    X, y, _ = task(True)
    few = np.where(np.arange(len(y))[:, None] < 20, y, np.nan)  # 25 cells or so
    assert taken(make().fit(X, few)) == 0
    assert taken(make().partial_fit(X, y)) == 0
    assert taken(make(label_correlation=0.7).partial_fit(X, y)) == pytest.approx(0.7)
    assert taken(make(label_correlation=0.25).fit(X, few)) == 0.25


def test_the_choice_does_not_depend_on_random_state_or_order_of_rows():
    X, y, _ = task(True, n=600)
    order = np.random.default_rng(5).permutation(len(y))
    for params, rows in (({}, order), ({"random_state": 7}, np.arange(len(y)))):
        model = make(interactions=0, **params).fit(X[rows], y[rows])
        assert taken(model) == pytest.approx(0.4, abs=1e-3)


def test_labels_that_only_share_what_their_negatives_lack_are_kept_apart():
    corpus = load_brand_safety_snippets()
    X = TfidfVectorizer(dtype=np.float32).fit_transform(corpus.data)
    assert taken(make(max_epochs=1).fit(X, corpus.target)) == 0
    test = load_brand_safety_snippets(subset="test")
    model = make_pipeline(TfidfVectorizer(), make()).fit(corpus.data, corpus.target)
    proba = model.predict_proba(test.data)
    assert masked_roc_auc_score(test.target, proba) > 0.95


def test_a_model_without_a_direct_path_is_judged_by_its_embedding(monkeypatch):
    X, y, _ = task(True, n=600)
    monkeypatch.setattr("sklearn_masked.classifier._net.choose_direct", lambda *_: None)
    model = make().fit(X, y)
    assert model.net_.module_.direct is None
    assert taken(model) == pytest.approx(0.4, abs=1e-3)


def test_labels_whose_weights_are_all_in_common_order_rows_alike():
    X, y, _ = task(True)
    model = make(label_correlation=1.0, calibrate=False).fit(X, y)
    logits = model.decision_function(X)
    order = np.argsort(logits[:, 0])
    for column in logits.T:
        assert (np.diff(column[order]) > -1e-4).all()


@pytest.mark.filterwarnings("ignore:No cell is labeled")
@pytest.mark.parametrize("n_labels", [8, 4000])  # a table of weights, or pairs
def test_how_a_row_is_stored_does_not_change_what_it_counts(n_labels):
    X, y, _ = task(True)
    y = np.hstack([y, np.full((len(y), n_labels - 8), np.nan)])
    model = make(label_correlation=0.4).fit(X, y)
    assert (len(model.net_.module_.common_weight) > 0) == (n_labels > 8)
    want = model.decision_function(X)
    halves = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), 2 * X.indptr
    twice = sp.csr_array(halves, shape=X.shape)
    for other in (twice, X.toarray()):
        np.testing.assert_allclose(model.decision_function(other), want, atol=1e-4)
    zeros = sp.csr_array(X.toarray() + 1)
    zeros.data -= 1
    assert zeros.nnz == X.shape[0] * X.shape[1]
    np.testing.assert_allclose(model.decision_function(zeros), want, atol=1e-4)
    cells = np.arange(40), np.arange(40) % n_labels
    got = model.decision_function_cells(zeros, *cells)
    np.testing.assert_allclose(got, want[cells], atol=1e-4)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.decision_function(X), want)
    assert np.isfinite(model.partial_fit(X, y).decision_function(X)).all()


@pytest.mark.parametrize("label_correlation", [-0.1, 1.1, "yes", None])
def test_common_of_another_kind_is_refused(label_correlation):
    X, y, _ = task(True, n=60)
    with pytest.raises(ValueError, match="'label_correlation' parameter"):
        make(label_correlation=label_correlation).fit(X, y)


def test_a_row_that_lacks_a_feature_which_all_others_have_is_no_surprise():
    # One-hot columns: the number of features hardly varies, and says nothing.
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (600, 8))
    X = np.zeros((600, 40), np.float32)
    X[np.arange(600)[:, None], codes + 5 * np.arange(8)] = 1
    X[0, :5] = 0
    logits = X @ (rng.normal(size=(40, 1)) + 0.3 * rng.normal(size=(40, 6)))
    truth = (logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < 0.4, truth, np.nan)
    unknown = X.copy()
    unknown[:, 35:] = 0
    with_count, without = (
        make(label_correlation=label_correlation)
        .fit(sp.csr_matrix(X), y)
        .predict_proba(unknown)
        for label_correlation in (0.4, 0.0)
    )
    assert np.abs(with_count.mean(axis=0) - without.mean(axis=0)).max() < 0.2


def test_a_cell_that_weighs_nothing_leaves_what_the_number_of_features_counts():
    X, y, _ = task(True, n=600)
    model = make(label_correlation=0.4, interactions=0.0).fit(X, y)
    before = model.decision_function(X)
    assert model.net_.module_.output.detach()[:, -1].abs().min() > 0.1
    row = np.full((1, y.shape[1]), np.nan)
    row[0, 0] = 1
    for _ in range(3):
        model.partial_fit(X[:1], row, sample_weight=np.array([1e-6]))
    np.testing.assert_allclose(model.decision_function(X), before, atol=1e-3)


def test_of_many_cells_some_rows_are_looked_at(monkeypatch):
    module = "sklearn_masked.classifier._select_representation."
    monkeypatch.setattr(module + "_MOST_CELLS", 600)
    X, y, _ = task(True)
    assert (~np.isnan(y)).sum() > 1200
    seen, counted = [], _select_representation.residuals

    def spy(rows, *args, **kwargs):
        seen.append((len(rows), kwargs["shape"][1]))
        return counted(rows, *args, **kwargs)

    monkeypatch.setattr(module + "residuals", spy)
    model = make(max_epochs=1, interactions=0).fit(X, y)
    assert taken(model) == pytest.approx(0.4, abs=1e-3)
    [(n_cells, n_rows)] = seen
    assert 600 <= n_cells < 620 and n_rows < 600


def test_weak_negatives_are_no_evidence(monkeypatch):
    X, y, _ = task(True, n=300)
    seen, counted = [], _select_representation.residuals

    def spy(rows, *args, **kwargs):
        seen.append(len(rows))
        return counted(rows, *args, **kwargs)

    monkeypatch.setattr(
        "sklearn_masked.classifier._select_representation.residuals", spy
    )
    make(unlabeled_weight=0.1, max_epochs=1, interactions=0).fit(X, y)
    assert seen == [(~np.isnan(y)).sum()]
