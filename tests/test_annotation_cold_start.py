"""The first cells: samples like the queries of the labels, label by label in turn."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from sklearn_masked import MaskedLabels
from sklearn_masked.annotation import seed_cells
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.exceptions import (
    FewerCellsWarning,
)


def problem(n_samples=40, n_features=12, n_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.random((n_samples, n_features)) * (
        rng.random((n_samples, n_features)) < 0.4
    )
    return X, rng.random((n_labels, n_features)) * (rng.random((1, n_features)) < 0.7)


def cells_of(table):
    return list(zip(table["sample"].tolist(), table["label"].tolist(), strict=True))


def in_turn(cosine, Y, n_cells):
    """Let the label with the fewest labeled and chosen cells choose its best one."""
    n_labeled = (~np.isnan(Y)).sum(axis=0)
    cosine = np.where(np.isnan(Y) & (cosine > 0), cosine, -np.inf)
    chosen = []
    while len(chosen) < n_cells:
        best = cosine.max(axis=0)
        turns = np.where(np.isfinite(best), n_labeled, 10**9)
        tied = np.flatnonzero(turns == turns.min())
        label = tied[np.argmax(best[tied])]
        row = int(cosine[:, label].argmax())
        chosen.append((row, int(label)))
        cosine[row, label] = -np.inf
        n_labeled[label] += 1
    return chosen


@pytest.mark.parametrize("as_x", [np.asarray, sp.csr_matrix, sp.coo_array])
@pytest.mark.parametrize("as_query", [np.asarray, sp.csr_matrix])
def test_labels_take_turns_by_their_largest_cosines(as_x, as_query):
    X, queries = problem()
    Y = np.full((40, 4), np.nan)
    Y[:7, 0], Y[5:9, 2] = 1, 0
    cosine = cosine_similarity(X, queries)
    params = {"n_cells": 30, "max_similarity": 1}
    table = seed_cells(as_x(X), as_query(queries), Y, **params)
    assert cells_of(table) == in_turn(cosine, Y, 30)
    np.testing.assert_allclose(
        table["utility"], cosine[table["sample"], table["label"]], rtol=1e-12
    )
    assert np.isnan(table["probability"]).all()
    assert set(table["reason"]) == {"similar"}


def test_examples_of_a_label_count_by_their_mean_direction():
    X, queries = problem()
    examples = np.stack([queries[1], 100 * queries[2]])
    unit = examples / np.linalg.norm(examples, axis=1, keepdims=True)
    params = {"n_cells": 10, "max_similarity": 1}
    for form in (examples, sp.csr_matrix(examples)):
        table = seed_cells(X, {0: form}, **params)
        expected = cosine_similarity(X, unit.mean(axis=0)[None])
        assert cells_of(table) == in_turn(expected, np.full((40, 1), np.nan), 10)


def test_words_find_texts_of_their_label():
    snippets = load_brand_safety_snippets(subset="test")
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    X = vectorizer.fit_transform(snippets.data)
    words = {
        "gambling": vectorizer.transform(["casino betting lottery poker"]),
        "armed_conflict": vectorizer.transform(["war troops army ceasefire"]),
    }
    blank = MaskedLabels.from_cells(
        [], [], [], shape=snippets.target.shape, label_names=snippets.target_names
    )
    table = seed_cells(X, words, blank, n_cells=10)
    assert set(table.to_frame()["label"]) == set(words)
    truth = snippets.target.to_dense()[table["sample"], table["label"]]
    base = np.nanmean(snippets.target[:, list(words)].to_dense())
    assert truth.mean() > 3 * base


def test_names_of_a_dict_name_the_labels():
    X, queries = problem()
    words = {"war": queries[[0]], "crime": queries[[1]]}
    table = seed_cells(X, words, n_cells=4)
    assert table.label_names.tolist() == ["war", "crime"]
    swapped = MaskedLabels.from_cells(
        [], [], [], shape=(40, 2), label_names=["crime", "war"]
    )
    again = seed_cells(X, words, swapped, n_cells=4)
    assert table.to_frame()[["sample", "label"]].equals(
        again.to_frame()[["sample", "label"]]
    )


def test_labeled_cells_are_never_chosen_whatever_the_form_of_labels():
    X, queries = problem()
    Y = np.where(np.random.default_rng(1).random((40, 4)) < 0.5, 1, np.nan)
    stored = sp.csr_array(np.where(np.isnan(Y), -1, Y))
    tables = [
        seed_cells(X, queries, form, n_cells=30, max_similarity=1, random_share=0.4)
        if form is None
        else seed_cells(
            X,
            queries,
            form,
            n_cells=30,
            max_similarity=1,
            random_share=0.4,
            random_state=0,
        )
        for form in (
            Y,
            MaskedLabels.from_dense(Y),
            MaskedLabels.from_sparse(stored, implicit="negative"),
        )
    ]
    assert len({table.tobytes() for table in tables}) == 1
    assert np.isnan(Y[tables[0]["sample"], tables[0]["label"]]).all()
    assert tables[0]["reason"].tolist() == ["random"] * 12 + ["similar"] * 18
    np.testing.assert_array_equal(tables[0]["propensity"][:12], 12 / np.isnan(Y).sum())


def test_blocks_and_order_of_nothing_matter(monkeypatch):
    X, queries = problem()
    X, queries = np.ceil(X), np.ceil(queries)  # ties
    params = {"n_cells": 30, "random_state": 4, "max_similarity": 1}
    expected = seed_cells(X, queries, **params)
    monkeypatch.setattr("sklearn_masked.annotation._cold_start.BLOCK_CELLS", 9)
    monkeypatch.setattr("sklearn_masked.annotation._candidates._SLACK", 0)
    assert seed_cells(X, queries, **params).tobytes() == expected.tobytes()
    other = seed_cells(X, queries, **{**params, "random_state": 5})
    assert other.tobytes() != expected.tobytes()


def test_quotas_and_near_duplicates():
    X, queries = problem()
    doubled = np.repeat(X, 2, axis=0)
    table = seed_cells(doubled, queries, n_cells=40, max_per_sample=1)
    assert len(set(table["sample"])) == 40
    table = seed_cells(doubled, queries, n_cells=40, max_similarity=0.999)
    pairs = set(zip(table["sample"] // 2, table["label"], strict=True))
    assert len(pairs) == len(table) == 40
    table = seed_cells(X, queries, n_cells=6, max_per_label=[0, 2, 3, 1])
    assert np.bincount(table["label"], minlength=4).tolist() == [0, 2, 3, 1]


def test_only_samples_that_share_a_feature_are_found():
    X, queries = np.eye(6), np.zeros((2, 6))
    queries[0, [1, 4]] = 1
    message = (
        "^5 cells were asked for, and 2 unlabeled ones were found that share a feature "
        r"with the query of their label, within the quotas and the diversity\.$"
    )
    with pytest.warns(FewerCellsWarning, match=message):
        table = seed_cells(X, queries, n_cells=5)
    assert sorted(cells_of(table)) == [(1, 0), (4, 0)]


FEATURES = "`queries` must have the 12 features of X; got 3{}."
KEYS = "`queries` accepts positions and names of labels, such as {}; got {!r}."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": np.ones((4, 3))}, FEATURES.format("")),
        ({"queries": {0: np.ones((1, 3))}}, FEATURES.format(" for label 0")),
        (
            {"queries": np.ones((3, 12)), "labels": np.full((40, 4), np.nan)},
            "`queries` must have a row for each of the 4 labels; got 3 rows.",
        ),
        (
            {"queries": {4: np.ones((1, 12))}, "labels": np.full((40, 4), np.nan)},
            KEYS.format("0, 1, 2, 3", 4),
        ),
        (
            {
                "queries": {"peace": np.ones((1, 12))},
                "labels": MaskedLabels.from_cells(
                    [], [], [], shape=(40, 2), label_names=["war", "crime"]
                ),
            },
            KEYS.format("'war', 'crime'", "peace"),
        ),
        (
            {"queries": {"war": np.zeros((1, 12))}},
            "`queries` accepts rows that have a feature of X; got none for label "
            "'war': words that the vectorizer does not know?",
        ),
        (
            {"queries": {"war": np.ones(12)}},
            "`queries` accepts a 2-D array or sparse matrix of numbers; got float64 "
            "of shape (12,).",
        ),
        (
            {"X": np.full((40, 12), "a")},
            "`X` accepts a 2-D array or sparse matrix of numbers; got <U1 of shape "
            "(40, 12).",
        ),
        (
            {"X": np.full((40, 12), np.nan)},
            "`X` accepts finite numbers; got NaN or infinity.",
        ),
        (
            {"queries": sp.csr_array(np.full((4, 12), np.inf))},
            "`queries` accepts finite numbers; got NaN or infinity.",
        ),
        ({"n_cells": 0}, "`n_cells` accepts integers from 1; got 0."),
        ({"max_per_sample": 0}, "`max_per_sample` accepts integers from 1; got 0."),
        ({"random_share": 1.5}, "`random_share` accepts numbers from 0 to 1; got 1.5."),
        (
            {"random_share": True},
            "`random_share` accepts numbers from 0 to 1; got True.",
        ),
        (
            {"max_similarity": 2},
            "`max_similarity` accepts a cosine between 0 and 1; got 2.",
        ),
        ({"labels": np.full((39, 4), np.nan)}, "`y` must have 40 rows; got 39."),
    ],
)
def test_errors_say_what_is_accepted_and_what_arrived(change, message):
    X, queries = problem()
    params = {"X": X, "queries": queries} | change
    with pytest.raises(ValueError) as raised:
        seed_cells(params.pop("X"), params.pop("queries"), **params)
    assert str(raised.value) == message
