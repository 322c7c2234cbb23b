"""idf_power, shared_weight and C of "auto" are means over candidates."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.classifier._select_penalty import (
    USUAL,
    LeftOutRanks,
    Penalty,
    _mean,
    candidate_weights,
    draw_cells,
)
from sklearn_masked.metrics import masked_average_precision_score

NAMES = "idf_power", "shared_weight", "C"


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def keywords(seed=0, n=900, m=600, n_labels=6, known=0.4):
    """Return counts of words, labels that three words each tell, and all labels."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(m, 0.05), 12)
    mixed = rng.dirichlet(np.full(12, 0.3), n) @ topics
    X = rng.poisson(30 * mixed).astype(np.float32)
    often = rng.permutation(np.flatnonzero((X > 0).mean(axis=0) > 0.03))
    words = often[: 3 * n_labels].reshape(n_labels, 3)
    truth = np.stack([(X[:, each] > 0).any(axis=1) for each in words], axis=1)
    y = np.where(rng.random(truth.shape) < known, truth, np.nan)
    return sp.csr_matrix(X), y, truth.astype(float)


def taken(model):
    return Penalty(*(model.auto_params_[name] for name in NAMES))


def test_where_single_words_tell_a_label_the_embedding_counts_less():
    X, y, truth = keywords()
    train = np.arange(len(y)) < 600
    auto, usual = (
        make(**params).fit(X[train], y[train])
        for params in ({}, dict(zip(NAMES, USUAL, strict=True)))
    )
    assert taken(auto).shared_weight < 0.15 and set(auto.auto_params_) >= {*NAMES}
    scores = [
        masked_average_precision_score(truth[~train], each.predict_proba(X[~train]))
        for each in (auto, usual)
    ]
    assert scores[0] > scores[1] + 0.02
    given = make(**taken(auto)._asdict()).fit(X[train], y[train])
    np.testing.assert_allclose(
        given.predict_proba(X[~train]), auto.predict_proba(X[~train]), atol=1e-4
    )


def test_parameters_that_are_given_stay_and_the_others_are_averaged():
    X, y, _ = keywords()
    model = make(shared_weight=0.4).fit(X, y)
    assert float(model.net_.module_.shared_weight) == pytest.approx(0.4)
    assert model.auto_params_["C"] != 5.0
    model = make(C=2.0, idf_power=0.7).fit(X, y)
    assert model.C_ == 2.0 and model.net_.module_.feature_power == pytest.approx(0.7)
    assert abs(model.auto_params_["shared_weight"] - 0.3) > 0.01


def test_a_factor_on_all_weights_changes_nothing():
    X, y, _ = keywords(n=300)
    one = make().fit(X, y)
    four = make().fit(X, y, sample_weight=np.full(len(y), 4.0))
    np.testing.assert_allclose(taken(four)[:2], taken(one)[:2], rtol=1e-5)
    assert 4 * four.C_ == pytest.approx(one.C_)


def test_values_in_unlabeled_cells_change_nothing():
    X, y, _ = keywords(n=300)
    labels = MaskedLabels.from_dense(y)
    assert taken(make().fit(X, np.where(np.isnan(y), -1, y))) == taken(
        make().fit(X, labels)
    )


@pytest.mark.parametrize("case", ["few", "array", "stream", "weights in common"])
def test_elsewhere_they_are_the_usual_ones(case):
    X, y, _ = keywords(n=300)
    if case == "few":
        y = np.where(np.arange(len(y))[:, None] < 20, y, np.nan)
    if case == "array":
        X = X.toarray()
    params = {"label_correlation": 0.4} if case == "weights in common" else {}
    model = make(**params)
    (model.partial_fit if case == "stream" else model.fit)(X, y)
    idf_power = {} if case == "array" else {"idf_power": 0.5}
    want = {"shared_weight": 0.3, "C": 5.0, **idf_power}
    got = {name: model.auto_params_[name] for name in want}
    assert got == pytest.approx(want)


def test_weights_are_the_odds_of_being_the_best():
    scores = np.array([[3.0, 2.0, 4.0], [2.0, 2.5, 2.0], [np.nan, 0.0, 0.0]])
    assert candidate_weights(scores).tolist() == [1, 0, 0]  # two labels tell nothing
    first = candidate_weights(scores[:2])
    behind = scores[1] - scores[0]
    odds = np.exp(behind.mean() / (behind.std(ddof=1) / np.sqrt(3)))
    np.testing.assert_allclose(first, [1 / (1 + odds), odds / (1 + odds)])
    np.testing.assert_allclose(candidate_weights(np.ones((4, 5))), 0.25)
    mean = _mean([Penalty(0, 0.2, 1), Penalty(1, 0.4, 100)], np.array([0.5, 0.5]))
    np.testing.assert_allclose(mean, [0.5, 0.3, 10])


def test_folds_hold_both_classes_and_each_cell_once():
    rng = np.random.default_rng(0)
    label = rng.integers(4, size=300)
    target = (rng.random(300) < 0.3) * (label != 2.0)  # no positive of label 2
    cells = np.arange(300), label, target.astype(float), np.ones(300)
    table = draw_cells(cells, 300, rng)
    assert len(table) == 3 and table.shape[1] % 5 == 0
    for own in table:
        cells_of_label = own[own >= 0]
        assert len(np.unique(cells_of_label)) == len(cells_of_label)
        assert len(set(label[cells_of_label])) == 1
        for fold in own.reshape(5, -1):
            fold = fold[fold >= 0]
            assert abs(target[fold].sum() - target[cells_of_label].sum() / 5) < 1
            assert abs(len(fold) - len(cells_of_label) / 5) < 1


def test_known_cells_are_told_where_their_numbers_take_64_bits():
    n_rows, label = 1_200_000, np.int32(2_000)
    others = np.random.default_rng(0).permutation(n_rows)[:500]
    rows, target = np.sort(others[:10]), np.tile([0.0, 1.0], 5)
    cells = rows, np.full(10, label), target, np.ones(10)
    chosen = draw_cells(cells, 10, np.random.default_rng(0))
    X = sp.csr_array((n_rows, 1))
    ranks = LeftOutRanks(X, cells, chosen, np.random.default_rng(0))
    assert (~ranks.unknown).sum() == 10
