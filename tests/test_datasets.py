import csv
import re
from itertools import combinations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sklearn_masked.datasets
from sklearn_masked.datasets import load_brand_safety_snippets, make_masked_multilabel
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.multioutput import MaskedMultiOutputClassifier

TRAIN = load_brand_safety_snippets()
TEST = load_brand_safety_snippets(subset="test")


# The corpus


def test_train_has_one_decision_a_snippet_and_both_kinds_in_every_category():
    labels = TRAIN.target
    assert labels.shape == (len(TRAIN.data), 10) and len(TRAIN.data) >= 480
    assert labels.cells().rows.tolist() == list(range(len(TRAIN.data)))
    assert (labels.n_positive >= 20).all() and (labels.n_negative >= 20).all()
    assert abs(labels.n_positive.sum() / labels.n_cells - 0.5) < 0.05
    assert labels.label_names.tolist() == TRAIN.target_names


def test_test_is_fully_labeled():
    labels = TEST.target
    assert 100 <= len(TEST.data) <= 120
    assert labels.n_cells == 10 * len(TEST.data)
    assert (labels.n_positive >= 8).all()
    n_categories = labels.to_dense().sum(axis=1)
    assert (n_categories == 0).sum() >= 20 and (n_categories > 1).sum() >= 15
    assert TEST.target_names == TRAIN.target_names == labels.label_names.tolist()


def test_the_order_of_the_snippets_tells_nothing():
    # Integer `cv` takes neighboring rows: every third must hold every category.
    labels = TRAIN.target
    for part in np.array_split(np.arange(len(TRAIN.data)), 3):
        assert (labels[part].n_positive >= 3).all()
        assert (labels[part].n_negative >= 3).all()


def test_values_are_those_of_the_file():
    path = sklearn_masked.datasets.__path__[0] + "/data/brand_safety.csv"
    with open(path, encoding="utf-8", newline="") as file:
        header, *records = csv.reader(file)
    assert header == ["id", "text", "category", "value"]
    dense = TRAIN.target.to_dense()
    for i, (id_, text, category, value) in enumerate(records):
        assert (TRAIN.ids[i], TRAIN.data[i]) == (id_, text)
        assert dense[i, TRAIN.target_names.index(category)] == int(value)


def test_texts_are_short_distinct_and_whole():
    texts = TRAIN.data + TEST.data
    assert len(set(TRAIN.ids + TEST.ids)) == len(texts)
    for text in texts:
        assert 15 <= len(text.split()) <= 35, text
        assert re.fullmatch(r"[A-Z][\x20-\x7e]*[.?!]", text), text
    words = [set(re.findall(r"\w+", text.lower())) for text in texts]
    closest = max(len(a & b) / len(a | b) for a, b in combinations(words, 2))
    assert closest < 0.4  # near-duplicates would be above 0.7


def test_labels_are_learnable_but_not_trivial():
    model = make_pipeline(
        TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression(C=30))
    ).fit(TRAIN.data, TRAIN.target)
    auc = masked_roc_auc_score(
        TEST.target, model.predict_proba(TEST.data), average=None
    )
    assert 0.85 < auc.mean() < 0.99
    assert (auc > 0.75).all()


def test_description_says_what_the_corpus_is_not():
    assert "made for\ndemonstration" in TRAIN.DESCR
    assert "nothing about real" in TRAIN.DESCR
    assert f":train: {len(TRAIN.data)} snippets" in TRAIN.DESCR
    assert f":test: {len(TEST.data)} snippets" in TRAIN.DESCR
    assert all(f"- {name}: " in TRAIN.DESCR for name in TRAIN.target_names)


def test_unknown_subset_raises():
    message = '`subset` accepts "train" and "test"; got \'all\'.'
    with pytest.raises(ValueError, match=re.escape(message)):
        load_brand_safety_snippets(subset="all")


# The generator

MASKS = ["one-sought", "random", "full-rows", None]


def read_cells(labels):
    """Return every labeled cell as {(row, label): value}."""
    cells = labels.cells()
    return {(r, c): v for r, c, v in zip(*cells[:3], strict=True)}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("as_text", [True, False])
def test_the_same_seed_gives_the_same_data(mask, as_text):
    first, second, other = (
        make_masked_multilabel(
            50, 6, mask=mask, as_text=as_text, return_full=True, random_state=seed
        )
        for seed in (3, 3, 4)
    )
    same = lambda a, b: a == b if as_text else (a != b).nnz == 0  # noqa: E731
    assert same(first[0], second[0]) and not same(first[0], other[0])
    assert first[1] == second[1] and first[1] != other[1]
    assert (first[2] != second[2]).nnz == 0 and (first[2] != other[2]).nnz > 0


@pytest.mark.parametrize("state", [np.random.default_rng, np.random.RandomState])
def test_generators_are_accepted_as_random_state(state):
    first, second = (make_masked_multilabel(20, random_state=state(1)) for _ in "ab")
    assert first[0] == second[0] and first[1] == second[1]


@settings(max_examples=60, deadline=None)
@given(
    mask=st.sampled_from(MASKS),
    n_samples=st.integers(1, 30),
    n_labels=st.integers(1, 8),
    mean_labels=st.sampled_from([0.0, 0.5, 3.0]),
    n_topics=st.sampled_from([None, 1, 5]),
    label_imbalance=st.sampled_from([0, 1.0]),
    seed=st.integers(0, 99),
)
def test_labeled_cells_are_those_of_the_full_labels(mask, seed, **params):
    X, y, full = make_masked_multilabel(
        mask=mask, return_full=True, random_state=seed, **params
    )
    assert isinstance(y, MaskedLabels)
    assert len(X) == y.shape[0] == full.shape[0] == params["n_samples"]
    assert y.shape == full.shape and full.dtype == np.int8
    dense = full.toarray()
    assert set(np.unique(dense)) <= {0, 1}
    for (row, label), value in read_cells(y).items():
        assert value == dense[row, label]
    assert all(text.strip() for text in X)


def test_one_sought_labels_one_cell_a_text_and_half_of_them_are_sought():
    _, y, full = make_masked_multilabel(
        20_000, 10, mean_labels=1.5, return_full=True, random_state=0
    )
    cells = y.cells()
    np.testing.assert_array_equal(cells.rows, np.arange(20_000))
    share = np.asarray(full.mean(axis=1)).ravel()
    some = share > 0
    # A text with positives shows one if sought, or if it comes up by chance.
    expected = 0.5 + 0.5 * share[some]
    spread = np.sqrt((expected * (1 - expected)).sum())
    assert abs(cells.values[some].sum() - expected.sum()) < 5 * spread
    assert not cells.values[~some].any()
    # Without positives, all labels are asked for alike.
    asked = np.bincount(cells.cols[~some], minlength=10)
    mean = (~some).sum() / 10
    assert (abs(asked - mean) < 5 * np.sqrt(mean)).all()
    # Of several positives, each is sought alike often: the first is not preferred.
    two = np.flatnonzero(np.diff(full.indptr) == 2)
    two = two[cells.values[two] == 1]
    first = full.indices[full.indptr[two]] == cells.cols[two]
    assert abs(first.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(two))


@pytest.mark.parametrize("cells_per_sample", [0.3, 2.0, 12])
def test_random_labels_each_cell_with_the_same_probability(cells_per_sample):
    _, y = make_masked_multilabel(
        3000, 12, mask="random", cells_per_sample=cells_per_sample, random_state=0
    )
    p = cells_per_sample / 12
    spread = np.sqrt(3000 * 12 * p * (1 - p))
    assert abs(y.n_cells - 3000 * 12 * p) <= 5 * spread
    assert (abs(y.n_labeled - 3000 * p) <= 5 * np.sqrt(3000 * p * (1 - p))).all()
    by_row = np.bincount(y.cells().rows, minlength=3000)
    assert by_row[:1500].sum() == pytest.approx(y.n_cells / 2, abs=5 * spread + 1)


def test_full_rows_spend_the_same_number_of_decisions():
    _, y = make_masked_multilabel(1000, 20, mask="full-rows", random_state=0)
    by_row = np.bincount(y.cells().rows, minlength=1000)
    assert set(by_row) == {0, 20}
    assert y.n_cells == 1000
    _, y = make_masked_multilabel(10, 20, mask="full-rows", random_state=0)
    assert y.n_cells == 20


def test_no_mask_labels_everything_and_stores_the_positives():
    _, y, full = make_masked_multilabel(100, 7, mask=None, return_full=True)
    assert y.n_cells == 700 and y.fill == "negative"
    np.testing.assert_array_equal(y.to_dense(), full.toarray())


def test_counts_are_those_of_the_texts():
    texts, y = make_masked_multilabel(40, random_state=0)
    counts, y_counts = make_masked_multilabel(40, as_text=False, random_state=0)
    assert isinstance(counts, sp.csr_matrix) and counts.dtype == np.float32
    assert counts.shape == (40, 2000) and counts.has_canonical_format
    assert y == y_counts
    expected = CountVectorizer().fit_transform(texts)
    used = np.flatnonzero(counts.sum(axis=0))
    assert len(used) == expected.shape[1]
    # The vocabularies are ordered otherwise; the multisets of columns are the same.
    columns = lambda A: sorted(map(tuple, A.toarray().T.tolist()))  # noqa: E731
    assert columns(counts[:, used]) == columns(expected)


def test_label_frequencies_follow_zipf():
    # With so few labels a text, hardly one is drawn twice.
    _, y = make_masked_multilabel(
        200_000,
        30,
        mean_labels=0.02,
        mask=None,
        words_per_text=1,
        as_text=False,
        random_state=0,
    )
    zipf = 1 / np.arange(1, 31)
    expected = 200_000 * 0.02 * zipf / zipf.sum()
    assert (abs(y.n_positive - expected) < 4 * np.sqrt(expected) + 5).all()
    _, y = make_masked_multilabel(
        200_000,
        30,
        mean_labels=0.02,
        mask=None,
        words_per_text=1,
        as_text=False,
        label_imbalance=0,
        random_state=0,
    )
    assert (abs(y.n_positive - 4000 / 30) < 5 * np.sqrt(4000 / 30)).all()


def test_labels_of_a_topic_occur_together():
    _, _, full = make_masked_multilabel(
        5000, 20, n_topics=4, label_imbalance=0, return_full=True, random_state=0
    )
    lift = np.corrcoef(full.toarray().T)
    np.fill_diagonal(lift, 0)
    together = lift > 0.05
    # Belonging to one topic is transitive.
    np.testing.assert_array_equal(
        (together @ together) & ~np.eye(20, dtype=bool),
        (together @ together) & together,
    )
    assert together.sum() > 20


def test_texts_tell_the_labels():
    texts, y, full = make_masked_multilabel(1500, 8, return_full=True, random_state=0)
    model = make_pipeline(
        TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression())
    ).fit(texts[:1000], y[:1000])
    auc = masked_roc_auc_score(full[1000:].toarray(), model.predict_proba(texts[1000:]))
    assert 0.85 < auc < 0.999


def test_a_large_matrix_costs_what_is_labeled():
    # 20,000 x 1,000,000: any dense array of it would need 20 GB.
    _, y = make_masked_multilabel(
        20_000, 1_000_000, words_per_text=2, as_text=False, random_state=0
    )
    assert y.n_cells == 20_000
    _, y = make_masked_multilabel(
        20_000,
        1_000_000,
        mask="random",
        words_per_text=2,
        as_text=False,
        random_state=0,
    )
    assert abs(y.n_cells - 20_000) < 1000


BAD = {
    "n_samples": [0, 2.5, True],
    "n_labels": [0, "5"],
    "vocabulary_size": [0],
    "n_topics": [0, 1.5],
    "words_per_text": [-1, np.inf],
    "mean_labels": [-0.1, np.nan, "2"],
    "label_imbalance": [-1],
    "mask": ["sought", 3],
    "cells_per_sample": [0, 21, np.nan, "1", 2],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name in BAD for value in BAD[name]]
)
def test_bad_parameters_raise(name, value):
    # `cells_per_sample=2` does not go with the default mask, "one-sought".
    with pytest.raises(
        ValueError, match=f"`{name}` .*; got .*{re.escape(repr(value))}"
    ):
        make_masked_multilabel(**{name: value})
