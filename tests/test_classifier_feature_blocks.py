"""feature_blocks: blocks of columns of one X have scales and a say of their own."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
)
from sklearn_masked.metrics import masked_average_precision_score

N_WORDS, N_DENSE = 60, 8


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def problem(n=400, seed=0, told_by=("words", "dense"), known=0.4):
    """Return rows of words, rows of numbers, labels with unlabeled cells, and all."""
    rng = np.random.default_rng(seed)
    words = rng.poisson(0.1, size=(n, N_WORDS)).astype(np.float32)
    dense = rng.normal(size=(n, N_DENSE)).astype(np.float32)
    logits = np.zeros((n, 4))
    if "words" in told_by:
        logits += words[:, :12].reshape(n, 4, 3).sum(axis=2) - 0.3
    if "dense" in told_by:
        logits += dense[:, :4]
    truth = (4 * logits + rng.logistic(size=logits.shape) > 0).astype(float)
    y = np.where(rng.random(truth.shape) < known, truth, np.nan)
    return sp.csr_array(words), dense, y, truth


def beside(*blocks):
    return sp.csr_array(sp.hstack([sp.csr_array(block) for block in blocks]))


def shares(model):
    return getattr(model, "feature_block_shares_", None)


def test_dense_columns_are_found_wherever_they_stand():
    words, dense, y, _ = problem()
    order = np.random.default_rng(1).permutation(N_WORDS + N_DENSE)
    model = make().fit(beside(words, dense)[:, order], y)
    assert list(shares(model)) == ["sparse", "dense"]
    assert sum(shares(model).values()) == pytest.approx(1)
    assert model.auto_params_["interactions"] == 0.5
    again = make().set_params(**model.auto_params_)
    assert list(shares(again.fit(beside(words, dense)[:, order], y))) == list(
        shares(model)
    )
    columns = {
        "sparse": np.flatnonzero(order < N_WORDS),
        "dense": order >= N_WORDS,
    }
    named = make(feature_blocks=columns).fit(beside(words, dense)[:, order], y)
    assert shares(named) == shares(model)
    X = beside(words, dense)[:, order]
    np.testing.assert_array_equal(named.predict_proba(X), model.predict_proba(X))


def test_what_is_one_block_stays_one():
    words, dense, y, _ = problem()
    in_all_texts = np.abs(dense) + 0.1  # a word's column has one sign
    for X in (words, beside(words, in_all_texts), sp.csr_array(dense), dense):
        assert shares(make().fit(X, y)) is None
    both = beside(words, dense)
    alone = make(feature_blocks=None).fit(both, y)
    assert shares(alone) is None
    one = make(feature_blocks={"all": slice(None)}).fit(both, y)
    np.testing.assert_array_equal(one.predict_proba(both), alone.predict_proba(both))


def test_the_scale_of_a_dense_block_changes_nothing():
    words, dense, y, _ = problem()
    proba = make().fit(beside(words, dense), y).predict_proba(beside(words, dense))
    X = beside(words, 1024 * dense)
    np.testing.assert_allclose(make().fit(X, y).predict_proba(X), proba, atol=1e-5)


def test_a_dense_block_need_not_be_centered():
    words, dense, y, truth = problem(600, told_by="dense")
    rows, test, scores = slice(300), slice(300, None), []
    for X in (beside(words, dense), beside(words, dense + 1)):
        model = make().fit(X[rows], y[rows])
        assert list(shares(model)) == ["sparse", "dense"]
        proba = model.predict_proba(X[test])
        scores.append(masked_average_precision_score(truth[test], proba))
    assert scores[1] > scores[0] - 0.02


def test_a_block_of_zeros_changes_nothing():
    words, _, y, _ = problem()
    columns = {"words": slice(N_WORDS), "zeros": slice(N_WORDS, None)}
    X = beside(words, sp.csr_array((words.shape[0], 5)))
    model = make(feature_blocks=columns).fit(X, y)
    assert shares(model) == {"words": 1.0, "zeros": 0.0}
    wanted = make().fit(words, y).predict_proba(words)
    np.testing.assert_allclose(model.predict_proba(X), wanted, atol=1e-3)


@pytest.mark.parametrize("told_by", ["words", "dense"])
def test_a_block_of_noise_costs_little(told_by):
    words, dense, y, truth = problem(600, told_by=told_by)
    alone = words if told_by == "words" else dense
    rows, test = slice(400), slice(400, None)

    def score(X, **params):
        proba = make(**params).fit(X[rows], y[rows]).predict_proba(X[test])
        return masked_average_precision_score(truth[test], proba)

    X = beside(words, 30 * dense)
    cost = score(alone) - score(X)
    if told_by == "dense":
        assert cost < 0.02
    else:
        assert cost < (score(alone) - score(X, feature_blocks=None)) / 3


def test_both_blocks_are_better_than_either():
    words, dense, y, truth = problem(600)
    scores = [
        masked_average_precision_score(
            truth[400:], make().fit(X[:400], y[:400]).predict_proba(X[400:])
        )
        for X in (beside(words, dense), words, dense)
    ]
    assert scores[0] > max(scores[1:]) + 0.02


def test_unlabeled_cells_may_hold_anything():
    words, dense, y, _ = problem()
    X, fits = beside(words, dense), []
    for labels in (y, np.where(np.isnan(y), -1, y), MaskedLabels.from_dense(y)):
        fits.append(make().fit(X, labels))
    for other in fits[1:]:
        assert shares(other) == shares(fits[0])
        np.testing.assert_array_equal(other.predict_proba(X), fits[0].predict_proba(X))


def test_a_model_of_blocks_is_kept_and_goes_on():
    words, dense, y, _ = problem()
    X = beside(words, dense)
    model = make().partial_fit(X[:200], y[:200])
    assert list(shares(model)) == ["sparse", "dense"]
    before = shares(model)
    model.partial_fit(X[200:], y[200:])
    assert shares(model) == before
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert shares(again) == before
    again.partial_fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="`feature_blocks` must stay as it was"):
        model.set_params(feature_blocks=None).partial_fit(X, y)


def test_two_sparse_blocks_and_a_dense_one():
    words, dense, y, _ = problem()
    X = beside(words[:, :30], words[:, 30:], dense)
    columns = {"a": slice(30), "b": slice(30, N_WORDS), "c": np.arange(60, 68)}
    model = make(feature_blocks=columns).fit(X, y)
    assert list(shares(model)) == ["a", "b", "c"]
    assert model.net_.module_.quadratic.weight.shape[1] == N_DENSE


def test_gradients_train_a_model_of_blocks():
    words, dense, y, _ = problem()
    X = beside(words, dense)
    model = make(optimizer=torch.optim.Adam, max_epochs=2).fit(X, y)
    assert list(shares(model)) == ["sparse", "dense"]
    assert model.net_.module_.quadratic is None


def test_blocks_of_a_column_transformer():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=(60, 2)).astype(float)
    texts = [" ".join(f"word{v}{rng.integers(9)}" for v in row) for row in y]
    table = np.column_stack([np.array(texts, object), rng.normal(size=60)])
    union = ColumnTransformer(
        [("text", TfidfVectorizer(), 0), ("number", "passthrough", [1])],
        sparse_threshold=1,
    )
    X = sp.csr_array(union.fit_transform(table), dtype=np.float32)
    model = make(feature_blocks=union.output_indices_).fit(X, y)
    assert set(shares(model)) == {"text", "number"}


def test_words_of_the_labels_pass_through_both_blocks():
    rng = np.random.default_rng(0)
    truth = (rng.random((120, 3)) < 0.4).astype(float)
    texts = []
    for row in truth:
        topics = [f"topic{label}" for label in np.flatnonzero(row)]
        texts.append(" ".join([*topics, f"filler{rng.integers(40)}"]))
    vectors = {f"topic{label}": rng.normal(size=6) for label in range(3)}

    def embed(rows):
        found = [
            sum([vectors.get(w, np.full(6, 0.01)) for w in row.split()], np.zeros(6))
            for row in rows
        ]
        return np.array(found)

    union = make_union(TfidfVectorizer(), FunctionTransformer(embed))
    words = {"0": "topic0", "1": "topic1", "2": "topic2"}
    y = np.full(truth.shape, np.nan)
    y[:10, 0] = truth[:10, 0]
    labels = MaskedLabels.from_dense(y, label_names=list(words))
    model = DescribedLabelsClassifier(
        make_pipeline(union, make(base_rates=0.4)), words
    ).fit(texts, labels)
    assert list(shares(model.estimator_[-1])) == ["sparse", "dense"]
    assert masked_average_precision_score(truth, model.predict_proba(texts)) > 0.9


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"a": slice(10)}, "each of the 68 columns of X once; column 10 is named 0"),
        ({"a": slice(None), "b": [3]}, "column 3 is named 2 times"),
        ({"a": np.ones(5, bool)}, "positions or booleans per block, for 68 columns"),
        ({"a": [100]}, "positions or booleans"),
        ({"a": ["word"]}, "positions or booleans"),
        ("both", "feature_blocks"),
    ],
)
def test_other_blocks_are_refused(columns, match):
    words, dense, y, _ = problem(60)
    with pytest.raises(ValueError, match=match):
        make(feature_blocks=columns).fit(beside(words, dense), y)


def test_an_array_of_blocks_is_taken_as_sparse():
    words, dense, y, _ = problem(60)
    X = beside(words, dense)
    model = make(feature_blocks={"a": slice(60), "b": slice(60, 68)})
    proba = model.fit(X, y).predict_proba(X)
    wanted = model.fit(X.toarray(), y).predict_proba(X.toarray())
    np.testing.assert_allclose(wanted, proba, atol=1e-6)
