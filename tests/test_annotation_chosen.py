"""Negatives that a strategy chose weigh less in fits, wherever they were asked for."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import (
    LabelingLoop,
    query_cells,
    seed_cells,
    simulate,
    weigh_chosen_negatives,
)
from sklearn_masked.datasets import make_masked_multilabel


class Recorder(BaseEstimator):
    """Keep the labels of each fit."""

    seen = []

    def fit(self, X, y):
        Recorder.seen.append(y)
        self.n_labels_ = y.n_labels
        return self

    def predict_proba(self, X):
        rng = np.random.default_rng(0)
        return rng.random((len(X), self.n_labels_))


@pytest.fixture
def seen():
    Recorder.seen = []
    return Recorder.seen


def answered(n_rows=60, n_labels=4):
    """Return labels, a table of some of their cells, and the truth."""
    rng = np.random.default_rng(1)
    y = np.full((n_rows, n_labels), np.nan)
    y[:5] = rng.random((5, n_labels)) < 0.5
    proba, truth = rng.random((2, n_rows, n_labels))
    table = query_cells(proba, y, n_cells=50, random_state=0)
    for row in table:
        y[row["sample"], row["label"]] = truth[row["sample"], row["label"]] < 0.5
    return y, table


def oracle(y, table, weight):
    """Return the weights cell by cell, in dense form; NaN where nothing is labeled."""
    weights = np.where(np.isnan(y), np.nan, 1.0)
    for row in table:
        cell = row["sample"], row["label"]
        if y[cell] == 0 and row["reason"] not in ("random", "review"):
            weights[cell] = weight
    return weights


def dense_weights(labels):
    weights = np.full(labels.shape, np.nan)
    cells = labels.cells()
    weights[cells.rows, cells.cols] = cells.weights
    return weights


@pytest.mark.parametrize("weight", [0.1, 0.01, 3])
def test_weights_are_those_of_a_cell_by_cell_oracle(weight):
    y, table = answered()
    assert {"random", "uncertain"} == set(table["reason"])
    weighted = weigh_chosen_negatives(y, table, weight=weight)
    np.testing.assert_array_equal(dense_weights(weighted), oracle(y, table, weight))
    np.testing.assert_array_equal(weighted.to_dense(), y)
    # A table is as good as its rows in another order, and as a frame.
    again = weigh_chosen_negatives(y, table[::-1].to_frame(), weight=weight)
    np.testing.assert_array_equal(again.weights, weighted.weights)


def test_weights_there_are_multiplied_and_names_kept():
    y, table = answered()
    cells = MaskedLabels.from_dense(y).cells()
    given = np.linspace(1, 2, len(cells.rows))
    labels = MaskedLabels.from_cells(
        *cells[:3], shape=y.shape, weights=given, label_names=list("abcd")
    )
    weighted = weigh_chosen_negatives(labels, table, weight=0.5)
    expected = given * oracle(y, table, 0.5)[cells.rows, cells.cols]
    np.testing.assert_allclose(weighted.weights, expected, rtol=1e-15)
    assert weighted.label_names.tolist() == list("abcd")
    np.testing.assert_array_equal(labels.weights, given)


def test_labels_with_implicit_negatives_are_weighed_too():
    y, table = answered()
    full = np.where(np.isnan(y), 1, y)
    labels = MaskedLabels.from_sparse(sp.csr_array(full), implicit="negative")
    assert labels.fill == "negative"
    weighted = weigh_chosen_negatives(labels, table)
    np.testing.assert_array_equal(dense_weights(weighted), oracle(full, table, 0.2))


def test_weight_1_and_a_table_by_chance_leave_the_labels_as_they_are():
    y, table = answered()
    assert weigh_chosen_negatives(y, table, weight=1).weights is None
    by_chance = table[table["reason"] == "random"]
    assert len(by_chance) and weigh_chosen_negatives(y, by_chance).weights is None


def test_cells_of_the_table_that_nobody_answered_stay_unlabeled():
    y, table = answered()
    for row in table[:20]:
        y[row["sample"], row["label"]] = np.nan
    weighted = weigh_chosen_negatives(y, table)
    np.testing.assert_array_equal(weighted.to_dense(), y)


@pytest.mark.parametrize("weight", [0, -1, np.nan, np.inf, True, "0.2", None])
def test_other_weights_are_refused(weight, tmp_path):
    y, table = answered()
    message = f"accepts finite numbers above 0, 1 for none; got {weight!r}."
    with pytest.raises(ValueError, match=re.escape("`weight` " + message)):
        weigh_chosen_negatives(y, table, weight=weight)
    message = re.escape("`chosen_negative_weight` " + message)
    full = np.eye(3)
    with pytest.raises(ValueError, match=message):
        simulate(Recorder(), full, full, full, full, chosen_negative_weight=weight)
    with pytest.raises(ValueError, match=message):
        LabelingLoop(
            None,
            ["a"],
            folder=tmp_path / "loop",
            label_names=["x"],
            chosen_negative_weight=weight,
        )
    assert not (tmp_path / "loop").exists()


def test_a_table_of_other_labels_is_refused():
    y, table = answered()
    message = "`table` accepts cells of the labels, label from 0 to 1; got label "
    with pytest.raises(ValueError, match=message):
        weigh_chosen_negatives(y[:, :2], table)
    message = "`table` accepts cells of the labels, sample from 0 to 9; got sample "
    with pytest.raises(ValueError, match=message):
        weigh_chosen_negatives(y[:10], table)


def test_a_table_of_something_else_is_refused():
    y, table = answered()
    frame = table.to_frame()
    message = "without one of them.$"
    for other in (frame.drop(columns="reason"), table[["sample", "label"]], [(0, 1)]):
        with pytest.raises(ValueError, match=message):
            weigh_chosen_negatives(y, other)
    table.label_names = np.array(list("abcd"), dtype=object)
    message = "`table` accepts positions as `label`, integers from 0 to 3, not ids or "
    with pytest.raises(ValueError, match=message + "names; got '[abcd]'"):
        weigh_chosen_negatives(y, table.to_frame())
    assert weigh_chosen_negatives(y, table[:0]).weights is None


def test_simulations_weigh_what_was_not_asked_by_chance(seen):
    rng = np.random.default_rng(0)
    X, y = rng.random((50, 3)), (rng.random((50, 4)) < 0.3).astype(float)
    asked = []

    def ask(proba, labels, *, n_cells, random_state):
        asked.append(
            query_cells(proba, labels, n_cells=n_cells, random_state=random_state)
        )
        return asked[-1]

    params = {"n_cells": 60, "batch_cells": 20, "random_state": 0}
    simulate(
        Recorder(), X, y, X, y, strategy=ask, metrics={"zero": lambda *_: 0}, **params
    )
    assert seen[0].weights is None  # the first cells are by chance
    known = np.where(np.isnan(seen[-1].to_dense()), np.nan, y)
    expected = oracle(known, np.concatenate(asked), 0.2)
    np.testing.assert_array_equal(dense_weights(seen[-1]), expected)
    assert (expected == 0.2).any()
    del seen[:]
    simulate(
        Recorder(),
        X,
        y,
        X,
        y,
        strategy=ask,
        metrics={"zero": lambda *_: 0},
        chosen_negative_weight=1,
        **params,
    )
    assert all(labels.weights is None for labels in seen)


def test_simulations_weigh_first_cells_by_words_but_not_whole_rows(seen):
    X, _, full = make_masked_multilabel(
        80, 4, vocabulary_size=60, as_text=False, return_full=True, random_state=0
    )
    X, y = X.toarray(), full.toarray()
    params = {"metrics": {"zero": lambda *_: 0}, "n_cells": 40, "random_state": 0}
    simulate(Recorder(), X, y, X, y, queries=X[:4], **params)
    rng = np.random.default_rng(0)
    first = seed_cells(
        X,
        X[:4],
        np.full(y.shape, np.nan),
        n_cells=40,
        random_share=0.25,
        random_state=rng,
    )
    known = np.where(np.isnan(seen[0].to_dense()), np.nan, y)
    np.testing.assert_array_equal(dense_weights(seen[0]), oracle(known, first, 0.2))
    for strategy in ("random", "random_rows", "uncertain_rows"):
        del seen[:]
        simulate(Recorder(), X, y, X, y, strategy=strategy, batch_cells=20, **params)
        assert [labels.weights for labels in seen] == [None, None]


def loop_of(tmp_path, **params):
    texts = [f"{word} number {i}" for i in range(30) for word in ("war", "rain")]
    return texts, {"folder": tmp_path / "loop", "random_state": 0, **params}


def test_a_loop_weighs_what_it_did_not_ask_by_chance(tmp_path, seen):
    texts, params = loop_of(tmp_path, label_names=["war", "rain"])
    with LabelingLoop(Recorder(), texts, **params) as loop:
        batch = loop.next_batch(20)
        for row in batch:
            loop.answer(row["sample"], row["label"], 0)
        loop.answer(59, "war", 0)  # nobody asked: whoever answers knows why
        loop.fit()
        labels, weighted = loop.labels, loop.training_labels
        assert labels.weights is None
        expected = oracle(labels.to_dense(), batch, 0.2)
        assert set(np.unique(expected[~np.isnan(expected)])) == {0.2, 1.0}
        np.testing.assert_array_equal(dense_weights(weighted), expected)
        np.testing.assert_array_equal(seen[-1].weights, weighted.weights)
    with LabelingLoop.open(params["folder"], Recorder(), texts) as loop:
        np.testing.assert_array_equal(loop.training_labels.weights, weighted.weights)


def test_a_review_leaves_a_cell_what_it_was(tmp_path):
    texts, params = loop_of(tmp_path, label_names=["war", "rain"])
    with LabelingLoop(None, texts, **params) as loop:
        loop.answer(np.arange(20), ["war"] * 20, [1, 0] * 10)
        assert loop.training_labels.weights is None
    separate = MaskedMultiOutputClassifier(LogisticRegression())
    model = make_pipeline(TfidfVectorizer(), separate)
    with LabelingLoop.open(params["folder"], model, texts) as loop:
        batch = loop.review_batch(5, cv=2)
        assert set(batch["reason"]) == {"review"}
        loop.answer(batch["sample"], batch["label"], [0] * len(batch), annotator="b")
        assert loop.training_labels.weights is None


def test_the_weight_of_a_loop_stays_with_its_folder(tmp_path):
    texts, params = loop_of(tmp_path, label_names=["war", "rain"])
    with LabelingLoop(None, texts, chosen_negative_weight=0.5, **params) as loop:
        batch = loop.next_batch(20)
        loop.answer(batch["sample"], batch["label"], [0] * len(batch))
    with LabelingLoop.open(params["folder"], None, texts) as loop:
        assert loop.chosen_negative_weight == 0.5
        assert loop.training_labels.weights.min() == 0.5


def test_estimators_without_weights_are_told_where_weights_come_from(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.random((50, 3)), (rng.random((50, 2)) < 0.4).astype(float)
    knn = MaskedMultiOutputClassifier(KNeighborsClassifier(1))
    params = {"n_cells": 40, "batch_cells": 20, "random_state": 0}
    with pytest.raises(ValueError, match="must accept sample_weight") as raised:
        simulate(knn, X, y, X, y, **params)
    note = (
        "`chosen_negative_weight` gave the labels weights; with "
        "`chosen_negative_weight=1` they have none."
    )
    assert raised.value.__notes__ == [note]
    curve = simulate(knn, X, y, X, y, chosen_negative_weight=1, **params)
    assert curve["n_cells"].tolist() == [20, 40]
    seeds = {"a": X[:1], "b": X[1:2]}
    params = {"label_names": ["a", "b"], "seeds": seeds, "random_state": 0}
    with LabelingLoop(knn, X, folder=tmp_path / "loop", **params) as loop:
        batch = loop.next_batch(20)
        loop.answer(batch["sample"], batch["label"], [0, 1] * 10)
        for action in (loop.fit, lambda: loop.report(cv=2)):
            with pytest.raises(ValueError, match="must accept sample_weight") as raised:
                action()
            assert raised.value.__notes__ == [note]
