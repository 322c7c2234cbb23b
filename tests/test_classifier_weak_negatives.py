"""Unlabeled cells as weak negatives: on request, and a sample weighs as all of them."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    check_labels,
)
from sklearn_masked.classifier import _weak_negatives
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.classifier._weak_negatives import sought_z_score
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.exceptions import UnlabeledLabelWarning
from sklearn_masked.labels.draw import draw_unlabeled
from sklearn_masked.metrics import masked_average_precision_score


def make_data(n=200, n_labels=6, seed=0):
    X, y, full = make_masked_multilabel(
        n,
        n_labels,
        vocabulary_size=150,
        as_text=False,
        return_full=True,
        random_state=seed,
    )
    return X.tocsr(), check_labels(y).to_dense(), full.toarray().astype(float)


def classifier(**params):
    return MaskedMultiLabelClassifier(random_state=0, device="cpu", **params)


def weighed(y, weight):
    """Return labels in which the unlabeled cells of labeled rows are weak negatives."""
    has_cells = ~np.isnan(y).all(axis=1)
    rows, cols = np.nonzero(np.broadcast_to(has_cells[:, None], y.shape))
    values = y[rows, cols]
    weights = np.where(np.isnan(values), weight, 1.0)
    values = np.nan_to_num(values).astype(int)
    return MaskedLabels.from_cells(rows, cols, values, shape=y.shape, weights=weights)


@pytest.fixture
def unit(monkeypatch):
    """Take weights as they are: explicit weak negatives lower their mean."""
    build = "sklearn_masked.classifier._net.mean_weight"
    monkeypatch.setattr(build, lambda *_, **__: 1.0)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"reduction": "label", "label_smoothing": 0.1},
        {"label_weight": [1, 2, 3, 1, 2, 3.0], "pos_weight": 2.0},
        {"early_stopping": True, "max_epochs": 8},
    ],
    ids=lambda params: " ".join(params),
)
def test_few_unlabeled_cells_all_count_as_explicit_weak_negatives(params, unit):
    X, y, _ = make_data()
    y[::7] = np.nan  # rows without a labeled cell stay out
    # Explicit cells take part in selecting the penalty; unlabeled ones do not.
    params = {"shared_weight": 0.3, "idf_power": 0.5, "C": 5.0, **params}
    got = classifier(unlabeled_weight=0.05, **params).fit(X, y)
    want = classifier(**params).fit(X, weighed(y, 0.05))
    np.testing.assert_array_equal(got.predict_proba(X), want.predict_proba(X))
    plain = classifier(**params).fit(X, y)
    assert np.abs(got.predict_proba(X) - plain.predict_proba(X)).max() > 0.01


def test_balanced_counts_labeled_cells_alone():
    X, y, _ = make_data()
    labels = check_labels(y)
    balance = (labels.n_negative / labels.n_positive).astype(np.float32)
    params = {"unlabeled_weight": 0.05}
    got = classifier(pos_weight="balanced", **params).fit(X, y)
    want = classifier(pos_weight=balance, **params).fit(X, y)
    np.testing.assert_allclose(got.predict_proba(X), want.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("form", ["NaN", "-1", "sparse", "MaskedLabels"])
def test_what_hides_under_the_mask_is_not_read(form):
    X, y, full = make_data()
    rows, cols = np.nonzero(~np.isnan(y))
    forms = {
        "NaN": y,
        "-1": np.nan_to_num(y, nan=-1),
        "sparse": MaskedLabels.from_sparse(
            sp.coo_array((y[rows, cols], (rows, cols)), shape=y.shape),
            implicit="unlabeled",
        ),
        "MaskedLabels": check_labels(y),
    }
    want = classifier(unlabeled_weight=0.1).fit(X, y).predict_proba(X)
    ones = np.where(np.isnan(y), 1.0, y)
    hidden = [np.ma.masked_array(under, np.isnan(y)) for under in (full, ones)]
    for other in (forms[form], *hidden):
        got = classifier(unlabeled_weight=0.1).fit(X, other).predict_proba(X)
        np.testing.assert_array_equal(got, want)


@pytest.fixture
def few_drawn(monkeypatch):
    monkeypatch.setattr(_weak_negatives, "_A_CELL", 1)
    monkeypatch.setattr(_weak_negatives, "_FEWEST", 50)


def test_a_sample_weighs_as_much_as_all(few_drawn):
    _, y, _ = make_data(n=400, n_labels=10)
    y[::3] = np.nan
    labels = check_labels(y)
    weights = np.linspace(1, 2, labels.n_cells)
    cells = labels.cells()
    labels = MaskedLabels.from_cells(*cells[:3], shape=y.shape, weights=weights)
    has_cells = np.diff(labels.indptr) > 0
    n_all = has_cells.sum() * 10 - labels.n_cells
    times = np.zeros(y.shape)
    for seed in range(40):
        targets = _weak_negatives.with_weak_negatives(
            make_targets(labels, None), 0.2, seed
        )
        rows = np.repeat(np.arange(len(y)), np.diff(targets.indptr))
        drawn = np.isnan(y[rows, targets.indices])
        n_drawn = drawn.sum()
        assert n_drawn == max(50, labels.n_cells) < n_all
        assert has_cells[rows].all() and not targets.values[drawn].any()
        np.testing.assert_allclose(targets.weights[drawn].sum(), 0.2 * n_all)
        # The labeled cells are what they were, between the others in order.
        np.testing.assert_array_equal(targets.weights[~drawn], weights)
        np.testing.assert_array_equal(targets.values[~drawn], cells.values)
        keys = rows * 10 + targets.indices
        assert (np.diff(keys) > 0).all()
        times[rows[drawn], targets.indices[drawn]] += 1
    # Every unlabeled cell is as likely as another: a binomial number of times.
    share = n_drawn / n_all
    free = times[has_cells][np.isnan(y[has_cells])]
    assert abs(free.mean() / (40 * share) - 1) < 1e-9
    assert 0.8 < free.var() / (40 * share * (1 - share)) < 1.25
    by_label = np.array(
        [times[has_cells, j][np.isnan(y[has_cells, j])].mean() for j in range(10)]
    )
    assert np.abs(by_label / (40 * share) - 1).max() < 0.1


def test_chance_follows_the_random_state_alone(few_drawn):
    X, y, _ = make_data()
    first, again = (
        classifier(unlabeled_weight=0.1).fit(X, y).predict_proba(X) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    other = classifier(unlabeled_weight=0.1).set_params(random_state=1).fit(X, y)
    assert np.abs(first - other.predict_proba(X)).max() > 1e-4


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 6))
def test_draws_are_unlabeled_cells_without_repetition(seed, n_rows, n_labels):
    rng = np.random.default_rng(seed)
    stored = sp.csr_array(rng.random((n_rows, n_labels)) < rng.random())
    stored.sort_indices()
    free = set(zip(*np.nonzero(~stored.toarray()), strict=True))
    n_cells = int(rng.integers(len(free) + 1))
    parts = stored.indptr, stored.indices, n_labels
    if free:
        rows, cols = draw_unlabeled(*parts, n_cells, rng)
        drawn = set(zip(rows.tolist(), cols.tolist(), strict=True))
        assert len(drawn) == n_cells and drawn <= free
        everything = draw_unlabeled(*parts, len(free), rng)
        assert set(zip(*everything, strict=True)) == free


def test_draws_from_many_cells_list_none_of_the_others():
    # 10^9 cells, of which every tenth row has one: 8 GB if they were listed.
    n_rows, n_labels = 1_000_000, 1_000
    indptr = (np.arange(n_rows + 1) + 9) // 10
    indices = np.random.default_rng(0).integers(n_labels, size=indptr[-1])
    drawn = []
    for seed in (0, 0, 1):
        rng = np.random.default_rng(seed)
        rows, cols = draw_unlabeled(indptr, indices, n_labels, 300_000, rng)
        keys = rows * n_labels + cols
        assert len(np.unique(keys)) == 300_000
        assert not np.isin(np.arange(0, n_rows, 10) * n_labels + indices, keys).any()
        drawn.append(keys)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert abs(drawn[2].mean() / (n_rows * n_labels / 2) - 1) < 0.01
    assert abs((drawn[2] % n_labels).mean() / (n_labels / 2) - 1) < 0.01


def test_sought_positives_alone_make_a_model():
    X, _, full = make_data(n=600, seed=1)
    rng = np.random.default_rng(0)
    y = np.full(full.shape, np.nan)
    for i in range(400):
        positives = np.flatnonzero(full[i])
        if len(positives):
            y[i, rng.choice(positives)] = 1
    model = classifier(unlabeled_weight=0.05).fit(X[:400], y[:400])
    ap = masked_average_precision_score(full[400:], model.predict_proba(X[400:]))
    assert ap > full[400:].mean() + 0.2


def test_labels_without_a_labeled_cell_are_told_and_get_the_pooled_rate():
    X, y, _ = make_data()
    y[:, 2] = np.nan
    model = classifier(unlabeled_weight=0.05)
    with pytest.warns(UnlabeledLabelWarning):
        model.fit(X, y)
    assert len(np.unique(model.predict_proba(X)[:, 2])) == 1


def test_partial_fit_draws_from_the_rows_it_gets():
    X, y, full = make_data(n=600)
    model = classifier(unlabeled_weight=0.05)
    for start in range(0, 400, 100):
        part = slice(start, start + 100)
        model.partial_fit(X[part], y[part])
    proba = model.predict_proba(X[400:])
    assert masked_average_precision_score(full[400:], proba) > full[400:].mean() + 0.2
    # A batch without a labeled cell has no cell to draw, and changes nothing.
    model.partial_fit(X[:5], np.full((5, full.shape[1]), np.nan))
    np.testing.assert_array_equal(model.predict_proba(X[400:]), proba)


def test_full_rows_have_nothing_to_draw():
    X, _, full = make_data()
    got = classifier(unlabeled_weight=0.5).fit(X, full).predict_proba(X)
    np.testing.assert_array_equal(got, classifier().fit(X, full).predict_proba(X))


@pytest.mark.parametrize("fill", ["unlabeled", "negative"])
def test_an_optimizer_sees_all_of_them(fill, unit, monkeypatch):
    X, y, _ = make_data()
    y[np.isnan(y).all(axis=1), 0] = 0  # then both forms have the same rows
    want, labels = weighed(y, 0.05), check_labels(y)
    if fill == "negative":
        monkeypatch.setattr("sklearn_masked.classifier._data._MOST_CELLS", 1)
        stored = sp.csr_array(np.where(np.isnan(y), -1, y))
        labels = MaskedLabels.from_sparse(stored, implicit="negative")
        assert make_targets(labels, None).fill == "negative"
    params = {"optimizer": torch.optim.Adam, "max_epochs": 20}
    got = classifier(unlabeled_weight=0.05, **params).fit(X, labels).predict_proba(X)
    want = classifier(**params).fit(X, want).predict_proba(X)
    np.testing.assert_allclose(got, want, atol=1e-3)


def sought(seed=0, n=400, n_labels=6, rate=-2.5):
    """Return rows, the truth, and labels whose positives were sought, a cell a row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 12))
    truth = 2 * X @ rng.normal(size=(12, n_labels)) + rate > rng.logistic(
        size=(n, n_labels)
    )
    y = np.full(truth.shape, np.nan)
    for row, values in enumerate(truth):
        found = np.flatnonzero(values)
        seeks = len(found) and rng.random() < 0.7
        col = rng.choice(found if seeks else n_labels)
        y[row, col] = values[col]
    return X, truth, y


def at_random(truth, known=0.3):
    return np.where(np.random.default_rng(9).random(truth.shape) < known, truth, np.nan)


@pytest.mark.parametrize("sparse", [False, True])
def test_auto_takes_weak_negatives_where_positives_were_sought(sparse):
    X, truth, y = sought()
    X = sp.csr_array(np.maximum(X, 0)) if sparse else X
    params = {"max_epochs": 1, "calibrate": False}
    auto = classifier(unlabeled_weight="auto", **params).fit(X, y)
    assert auto.auto_params_["unlabeled_weight"] == 0.03
    want = classifier(unlabeled_weight=0.03, **params).fit(X, y)
    np.testing.assert_array_equal(auto.predict_proba(X), want.predict_proba(X))
    random = classifier(unlabeled_weight="auto", **params).fit(X, at_random(truth))
    assert random.auto_params_["unlabeled_weight"] == 0.0
    want = classifier(**params).fit(X, at_random(truth))
    np.testing.assert_array_equal(random.predict_proba(X), want.predict_proba(X))


def test_the_evidence_is_seldom_there_where_cells_are_a_random_sample():
    found = []
    for seed in range(40):
        X, truth, y = sought(seed, n=150)
        for labels in (y, at_random(truth)):
            cells = check_labels(labels)
            targets = make_targets(cells, None)
            rng = np.random.default_rng(seed)
            found.append(sought_z_score(X, targets, rng))
    sought_, random = np.reshape(found, (40, 2)).T
    assert (sought_ > 2.5).mean() > 0.6
    assert (random > 2.5).mean() <= 0.1
    assert abs(np.median(random)) < 0.5


def test_labels_without_unlabeled_cells_tell_nothing():
    X, truth, _ = sought(n=60)
    targets = make_targets(check_labels(truth.astype(float)), None)
    assert sought_z_score(X, targets, np.random.default_rng(0)) == 0.0


def test_auto_asks_once_and_only_where_all_cells_are_there():
    X, truth, y = sought()
    params = {"max_epochs": 1, "calibrate": False, "unlabeled_weight": "auto"}
    parts = classifier(**params).partial_fit(X, y).partial_fit(X, y)
    assert parts.auto_params_["unlabeled_weight"] == 0.0
    warm = classifier(warm_start=True, **params).fit(X, y)
    warm.fit(X, at_random(truth))
    assert warm.auto_params_["unlabeled_weight"] == 0.03
    warm.set_params(warm_start=False).fit(X, at_random(truth))
    assert warm.auto_params_["unlabeled_weight"] == 0.0


def test_auto_needs_rows_that_are_vectors():
    X = np.zeros((6, 2, 3), np.float32)
    y = np.array([[0, 1], [1, np.nan], [np.nan, 0]] * 2)
    model = classifier(unlabeled_weight="auto", module=torch.nn.Flatten)
    message = (
        "unlabeled_weight='auto' compares rows of X, which must be of shape "
        r"(n_samples, n_features); got (6, 2, 3). Pass a number."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        model.fit(X, y)
