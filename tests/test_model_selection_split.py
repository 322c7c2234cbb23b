"""Splitters: exact partitions, balance, every form of labels, groups, and errors."""

import pickle
import re
import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB

from sklearn_masked.exceptions import RareLabelWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import masked_roc_auc_scorer
from sklearn_masked.model_selection import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
    MaskedStratifiedShuffleSplit,
    cross_val_predict,
    masked_train_test_split,
)
from sklearn_masked.multioutput import MaskedMultiOutputClassifier

NAN = np.nan
ignore_rare = pytest.mark.filterwarnings(
    "ignore::sklearn_masked.exceptions.RareLabelWarning"
)


def one_cell_a_row(n_samples, n_labels, rate=0.3, seed=0):
    """Return dense labels, NaN but for one cell a row; rare labels among them."""
    rng = np.random.RandomState(seed)
    y = np.full((n_samples, n_labels), NAN)
    label = np.minimum(rng.geometric(0.3, n_samples) - 1, n_labels - 1)
    y[np.arange(n_samples), label] = rng.rand(n_samples) < rate
    return y


def random_cells(n_samples, n_labels, unlabeled=0.6, seed=0, rarest=0.05):
    """Return dense labels, each cell NaN with a probability, of unlike rates."""
    rng = np.random.RandomState(seed)
    y = (rng.rand(n_samples, n_labels) < np.linspace(rarest, 0.6, n_labels)).astype(
        float
    )
    y[rng.rand(n_samples, n_labels) < unlabeled] = NAN
    return y


def fold_counts(y, parts):
    """Return positives, then negatives, of each label in each of the parts."""
    return np.array(
        [np.append((y[rows] == 1).sum(axis=0), (y[rows] == 0).sum(0)) for rows in parts]
    )


def largest_deviation(y, parts):
    """Return by how many cells a part is off its share of the rows at most."""
    shares = np.array([len(rows) for rows in parts]) / sum(map(len, parts))
    counts = fold_counts(y, parts)
    return np.abs(counts - np.outer(shares, counts.sum(axis=0))).max()


def held_out(cv, y, groups=None):
    """Return the test parts, after making sure that train parts are all the others."""
    tests = []
    for train, test in cv.split(np.zeros(len(y)), y, groups):
        assert np.array_equal(np.sort(np.append(train, test)), np.arange(len(y)))
        tests.append(test)
    return tests


def same(a, b):
    return all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


# Rows, and balance


@st.composite
def label_matrices(draw):
    n_samples, n_labels = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    cells = st.sampled_from([NAN, NAN, 0.0, 1.0])
    rows = st.lists(cells, min_size=n_labels, max_size=n_labels)
    return np.array(draw(st.lists(rows, min_size=n_samples, max_size=n_samples)))


@ignore_rare
@settings(max_examples=60, deadline=None)
@given(
    y=label_matrices(), n_splits=st.integers(2, 7), seed=st.none() | st.integers(0, 9)
)
def test_kfold_is_an_exact_partition_in_kfolds_sizes_for_any_mask(y, n_splits, seed):
    n_splits = min(n_splits, len(y))
    cv = MaskedStratifiedKFold(n_splits, shuffle=seed is not None, random_state=seed)
    tests = held_out(cv, y)
    assert sorted(np.concatenate(tests)) == list(range(len(y)))
    sizes = [len(test) for test in tests]
    assert sizes == [len(test) for _, test in KFold(n_splits).split(y)]
    assert same(tests, held_out(cv, y))


@settings(max_examples=60, deadline=None)
@given(
    n_samples=st.integers(2, 80),
    n_labels=st.integers(1, 6),
    n_splits=st.integers(2, 8),
    seed=st.none() | st.integers(0, 99),
    data_seed=st.integers(0, 99),
    blank=st.sampled_from([0, 0.2, 0.8]),
)
@ignore_rare
def test_one_cell_a_row_gives_ideal_counts_rounded(
    n_samples, n_labels, n_splits, seed, data_seed, blank
):
    y = one_cell_a_row(n_samples, n_labels, seed=data_seed)
    y[np.random.RandomState(data_seed).rand(n_samples) < blank] = NAN
    n_splits = min(n_splits, n_samples)
    cv = MaskedStratifiedKFold(n_splits, shuffle=seed is not None, random_state=seed)
    tests = held_out(cv, y)
    counts = fold_counts(y, tests)
    empty = np.isnan(y).all(axis=1)
    counts = np.column_stack([counts, [empty[test].sum() for test in tests]])
    assert (np.ptp(counts, axis=0) <= 1).all()


@pytest.mark.parametrize("shuffle", [False, True])
def test_each_label_is_balanced_where_rows_have_many_cells(shuffle):
    y = random_cells(1500, 12)
    cv = MaskedStratifiedKFold(5, shuffle=shuffle, random_state=0 if shuffle else None)
    tests = held_out(cv, y)
    plain = [test for _, test in KFold(5, shuffle=True, random_state=0).split(y)]
    assert largest_deviation(y, tests) < 2
    assert largest_deviation(y, plain) > 10
    assert np.ptp([len(test) for test in tests]) == 0


@ignore_rare
@pytest.mark.parametrize("seed", range(12))
def test_small_splits_are_within_a_cell_of_the_best_there_is(seed):
    rng = np.random.RandomState(seed)
    y = random_cells(12, rng.randint(1, 6), unlabeled=rng.rand() * 0.7, seed=seed)
    rows = set(range(12))
    halves = (set(half) for half in combinations(range(12), 6))
    best = min(
        largest_deviation(y, [sorted(half), sorted(rows - half)]) for half in halves
    )
    assert largest_deviation(y, held_out(MaskedStratifiedKFold(2), y)) < best + 1


def test_a_full_label_matrix_is_balanced():
    y = random_cells(400, 5, unlabeled=0)
    assert largest_deviation(y, held_out(MaskedStratifiedKFold(4), y)) <= 1


def test_rare_cells_that_sort_together_by_time_are_spread():
    y = np.full((60, 2), NAN)
    y[:, 0] = 0
    y[:5, 0] = 1
    y[55:, 1] = [1, 1, 1, 0, 0]
    with pytest.warns(RareLabelWarning):
        tests = held_out(MaskedStratifiedKFold(5), y)
    counts = fold_counts(y, tests)
    assert counts[:, 0].tolist() == [1] * 5
    assert counts[:, 2].tolist() == [11] * 5
    assert sorted(counts[:, 1]) == [0, 0, 1, 1, 1]


@ignore_rare
@pytest.mark.parametrize("seed", range(20))
def test_one_fully_labeled_label_is_split_as_by_stratified_kfold(seed):
    rng = np.random.RandomState(seed)
    n_samples, n_splits = rng.randint(12, 90), rng.randint(2, 6)
    y = rng.permutation(np.arange(n_samples) < n_splits + rng.randint(4)).astype(int)
    theirs = [test for _, test in StratifiedKFold(n_splits).split(y, y)]
    assert same(held_out(MaskedStratifiedKFold(n_splits), y), theirs)
    assert same(held_out(MaskedStratifiedKFold(n_splits), y[:, None]), theirs)
    shuffled = MaskedStratifiedKFold(n_splits, shuffle=True, random_state=seed)
    column = y[:, None]
    counts, best = (fold_counts(column, t) for t in (held_out(shuffled, y), theirs))
    assert (np.ptp(counts, axis=0) <= np.ptp(best, axis=0)).all()


def test_without_shuffle_neighbors_of_equal_labels_stay_together():
    y = np.full((12, 2), NAN)
    y[:, 0] = [1] * 6 + [0] * 6
    with pytest.warns(RareLabelWarning, match="^Label 1: "):
        tests = held_out(MaskedStratifiedKFold(3), y)
    assert [test.tolist() for test in tests] == [
        [0, 1, 6, 7],
        [2, 3, 8, 9],
        [4, 5, 10, 11],
    ]


def test_shuffle_follows_the_seed():
    y = random_cells(90, 3, rarest=0.3)

    def split(seed):
        cv = MaskedStratifiedKFold(3, shuffle=True, random_state=seed)
        return held_out(cv, y)

    assert same(split(1), split(1))
    assert not same(split(1), split(2))
    rng = np.random.RandomState(1)
    cv = MaskedStratifiedKFold(3, shuffle=True, random_state=rng)
    first, second = held_out(cv, y), held_out(cv, y)
    assert same(first, split(1))
    assert not same(first, second)


def test_every_row_comes_to_the_test_part_about_equally_often():
    y = one_cell_a_row(40, 2)
    cv = MaskedStratifiedShuffleSplit(200, test_size=0.25, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RareLabelWarning)
        often = np.bincount(np.concatenate([test for _, test in cv.split(y, y)]))
    # 50 of 200 on average, with a standard deviation of about 6.
    assert (often > 20).all()
    assert (often < 80).all()


# Forms of labels

Y = random_cells(48, 4, unlabeled=0.5, rarest=0.4)
JUNK = np.where(
    np.isnan(Y), np.random.RandomState(5).choice([0.0, 1.0, 7.0], Y.shape), Y
)


def object_frame():
    frame = pd.DataFrame(Y).astype(object)
    return frame.mask(frame.isna(), None)


def stored_unlabeled():
    rows, cols = np.nonzero(~(Y == 0))
    values = np.where(np.isnan(Y), -1, Y)[rows, cols]
    return sp.csr_array((values, (rows, cols)), shape=Y.shape)


LABELS = MaskedLabels.from_dense(Y)
FORMS = {
    "minus one": lambda: np.where(np.isnan(Y), -1, Y).astype(int),
    "lists": lambda: [[None if np.isnan(v) else v for v in row] for row in Y.tolist()],
    "frame": lambda: pd.DataFrame(Y).astype("Int8"),
    "object frame": object_frame,
    "masked array, junk": lambda: np.ma.array(JUNK, mask=np.isnan(Y)),
    "masked labels": lambda: LABELS,
    "row views": lambda: np.asarray(LABELS),
    "weighted": lambda: MaskedLabels.from_dense(
        Y, weights=1 + np.arange(Y.size).reshape(Y.shape)
    ),
    "sparse, negative": stored_unlabeled,
    "fill negative": lambda: MaskedLabels.from_sparse(
        stored_unlabeled(), implicit="negative"
    ),
}


@ignore_rare
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_labels_gives_the_same_splits(form):
    y, groups = FORMS[form](), np.arange(len(Y)) // 3
    for cv, some in [
        (MaskedStratifiedKFold(4), None),
        (MaskedStratifiedKFold(4, shuffle=True, random_state=3), None),
        (MaskedStratifiedGroupKFold(4), groups),
    ]:
        expected = [test for _, test in cv.split(Y, Y, some)]
        assert same(expected, [test for _, test in cv.split(Y, y, some)])
    cv = MaskedStratifiedShuffleSplit(3, random_state=0)
    for ours, other in zip(cv.split(Y, y), cv.split(Y, Y), strict=True):
        assert same(ours, other)
    rows = np.arange(len(Y))
    ours = masked_train_test_split(rows, stratify=y, random_state=0)
    assert same(ours, masked_train_test_split(rows, Y, random_state=0)[:2])


@pytest.mark.parametrize(("often", "rarely"), [(1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("unlabeled", [0, 3])
def test_labels_mostly_of_one_value_split_alike_in_both_stores(
    often, rarely, unlabeled
):
    y = np.full((50, 3), often)
    y[::5] = rarely
    y[:unlabeled, 0] = NAN
    y[-2:] = NAN
    rows, cols = np.nonzero(~(y == 0))
    stored = sp.csr_array((y[rows, cols], (rows, cols)), shape=y.shape)
    stored = MaskedLabels.from_sparse(stored, implicit="negative")
    assert stored == MaskedLabels.from_dense(y)
    tests = held_out(MaskedStratifiedKFold(5), y)
    assert same(tests, held_out(MaskedStratifiedKFold(5), stored))
    assert largest_deviation(y, tests) <= 1


def test_rows_mostly_without_a_labeled_cell_are_spread():
    y = np.full((40, 2), NAN)
    y[:12, 0] = [0, 1] * 6
    y[12:16, 1] = [0, 1, 0, 1]
    tests = held_out(MaskedStratifiedKFold(2), y)
    assert fold_counts(y, tests).tolist() == [[3, 1, 3, 1]] * 2


@pytest.mark.parametrize("unlabeled", [None, NAN])
def test_one_dimensional_targets_with_unlabeled_entries(unlabeled):
    y = np.array(["ham", "spam", unlabeled, "ham", unlabeled, "spam"] * 4, dtype=object)
    tests = held_out(MaskedStratifiedKFold(4), y)
    assert [sorted(map(str, y[test])) for test in tests] == [
        sorted(["ham"] * 2 + [str(unlabeled)] * 2 + ["spam"] * 2)
    ] * 4


def test_minus_one_is_a_class_in_one_dimension():
    y = np.array([-1, 1] * 6)
    tests = held_out(MaskedStratifiedKFold(3), y)
    assert [y[test].tolist().count(-1) for test in tests] == [2, 2, 2]


def test_the_number_of_rows_will_do_for_X():
    by_number = MaskedStratifiedKFold(4).split(len(Y), Y)
    for ours, other in zip(
        by_number, MaskedStratifiedKFold(4).split(Y, Y), strict=True
    ):
        assert same(ours, other)


# Labels too rare


def test_rare_labels_are_named_once_where_the_caller_stands():
    y = np.full((30, 3), NAN)
    y[:, 0] = [0, 1] * 15
    y[:6, 1] = [1, 1, 0, 0, 0, 0]
    labels = MaskedLabels.from_dense(y, label_names=["war", "crime", "sport"])
    message = re.escape(
        "Label crime, sport: too few positive or too few negative cells for 3 folds: "
        "some fold has none of them in its test part."
    )
    with pytest.warns(RareLabelWarning, match=f"^{message}$") as caught:
        list(MaskedStratifiedKFold(3).split(y, labels))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with pytest.warns(RareLabelWarning, match="crime, sport") as caught:
        list(MaskedStratifiedGroupKFold(3).split(y, labels, np.arange(30)))
    assert (len(caught), caught[0].filename) == (1, __file__)


def test_at_most_ten_rare_labels_are_named():
    y = np.full((4, 13), NAN)
    y[:, 0] = [0, 0, 1, 1]
    expected = "^Label 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more: too few"
    with pytest.warns(RareLabelWarning, match=expected):
        list(MaskedStratifiedKFold(2).split(y, y))


def test_a_label_with_as_many_cells_as_folds_does_not_warn():
    y = one_cell_a_row(60, 1)
    y[:, 0] = NAN
    y[:10, 0] = [0, 1] * 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = list(MaskedStratifiedKFold(5).split(y, y))
    found = [y[test, 0] for _, test in splits]
    assert [sorted(part[~np.isnan(part)]) for part in found] == [[0, 1]] * 5


def test_shuffle_split_and_train_test_split_warn_of_rare_labels():
    y = np.full((20, 2), NAN)
    y[:, 0] = [0, 1] * 10
    y[:3, 1] = [1, 0, 0]
    message = re.escape(
        "Label 1: too few positive or too few negative cells for a train and a test "
        "part: one of the two has none of them."
    )
    with pytest.warns(RareLabelWarning, match=f"^{message}$") as caught:
        list(MaskedStratifiedShuffleSplit(3, test_size=0.5, random_state=0).split(y, y))
    assert (len(caught), caught[0].filename) == (1, __file__)
    with pytest.warns(RareLabelWarning, match=f"^{message}$") as caught:
        masked_train_test_split(y, y, random_state=0)
    assert (len(caught), caught[0].filename) == (1, __file__)


# Groups


@ignore_rare
@settings(max_examples=60, deadline=None)
@given(y=label_matrices(), data=st.data(), seed=st.none() | st.integers(0, 9))
def test_groups_stay_whole_and_no_fold_is_empty(y, data, seed):
    n_samples = len(y)
    groups = data.draw(
        st.lists(st.sampled_from("abcdef"), min_size=n_samples, max_size=n_samples).map(
            lambda some: ["y", "z", *some[2:]]
        )
    )
    n_splits = data.draw(st.integers(2, len(set(groups))))
    cv = MaskedStratifiedGroupKFold(
        n_splits, shuffle=seed is not None, random_state=seed
    )
    tests = held_out(cv, y, groups)
    assert sorted(np.concatenate(tests)) == list(range(n_samples))
    fold = {}
    for nth, test in enumerate(tests):
        assert len(test)
        for row in test:
            assert fold.setdefault(groups[row], nth) == nth
    assert same(tests, held_out(cv, y, groups))


def test_groups_are_balanced_over_labels_and_rows():
    rng = np.random.RandomState(0)
    y, groups = one_cell_a_row(3000, 4), rng.randint(400, size=3000)
    tests = held_out(MaskedStratifiedGroupKFold(5), y, groups)
    plain = [test for _, test in GroupKFold(5).split(y, groups=groups)]
    assert largest_deviation(y, tests) < 3
    assert largest_deviation(y, plain) > 8
    assert np.ptp([len(test) for test in tests]) < 10


def test_a_group_too_large_for_a_fold_stands_alone():
    groups = np.array([0] * 60 + list(range(1, 41)))
    y = random_cells(100, 1, unlabeled=0.2)
    tests = held_out(MaskedStratifiedGroupKFold(3), y, groups)
    assert sorted(len(test) for test in tests) == [20, 20, 60]


def test_many_groups_are_dealt_beyond_the_largest(monkeypatch):
    monkeypatch.setattr("sklearn_masked.model_selection._allocate._GREEDY", 5)
    y = one_cell_a_row(600, 3)
    groups = np.random.RandomState(0).randint(200, size=600)
    groups[:100] = 0
    tests = held_out(MaskedStratifiedGroupKFold(4), y, groups)
    assert largest_deviation(y, tests) < 6
    assert np.ptp([len(test) for test in tests]) < 10
    with pytest.warns(RareLabelWarning):
        tests = held_out(MaskedStratifiedGroupKFold(4), y[:6], np.arange(6))
    assert sorted(map(len, tests)) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "form",
    [
        list,
        np.array,
        pd.Series,
        lambda groups: pd.Series(groups, dtype="category"),
        lambda groups: np.array(groups, dtype=object),
    ],
)
@ignore_rare
def test_groups_come_in_many_forms(form):
    days = ["mon", "tue", "wed", "thu"] * 12
    number = {day: nth for nth, day in enumerate(["mon", "tue", "wed", "thu"])}
    expected = held_out(MaskedStratifiedGroupKFold(2), Y, [number[day] for day in days])
    assert same(held_out(MaskedStratifiedGroupKFold(2), Y, form(days)), expected)


@ignore_rare
def test_groups_of_mixed_types():
    groups = ["a", 1, ("b", 2), pd.Timestamp("2026-01-01")] * 12
    tests = held_out(MaskedStratifiedGroupKFold(4), Y, groups)
    assert [len({row % 4 for row in test}) for test in tests] == [1, 1, 1, 1]


def test_shuffled_groups_follow_the_seed():
    y, groups = random_cells(120, 2, rarest=0.3), np.arange(120) // 2

    def split(seed):
        cv = MaskedStratifiedGroupKFold(3, shuffle=True, random_state=seed)
        return held_out(cv, y, groups)

    assert same(split(0), split(0))
    assert not same(split(0), split(1))


# Shuffled splits


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"test_size": 0.3},
        {"test_size": 7},
        {"train_size": 0.6},
        {"train_size": 20, "test_size": 10},
        {"train_size": 0.2, "test_size": 0.2},
    ],
)
@ignore_rare
def test_shuffle_split_has_scikit_learns_sizes_and_balances(sizes):
    y = one_cell_a_row(100, 3)
    ours = list(MaskedStratifiedShuffleSplit(4, random_state=0, **sizes).split(y, y))
    theirs = list(ShuffleSplit(4, random_state=0, **sizes).split(y))
    assert len(ours) == 4
    for (train, test), (their_train, their_test) in zip(ours, theirs, strict=True):
        assert (len(train), len(test)) == (len(their_train), len(their_test))
        assert not set(train) & set(test)
        rest = np.setdiff1d(np.arange(100), np.append(train, test))
        counts = fold_counts(y, [train, test, rest])
        ideal = np.outer([len(train), len(test), len(rest)], counts.sum(axis=0)) / 100
        assert np.abs(counts - ideal).max() <= 1 + 1e-9
    assert not np.array_equal(ours[0][1], ours[1][1])
    assert not np.array_equal(ours[0][1], np.sort(ours[0][1]))
    again = MaskedStratifiedShuffleSplit(4, random_state=0, **sizes).split(y, y)
    assert all(same(a, b) for a, b in zip(ours, again, strict=True))


# One split of arrays


def test_train_test_split_keeps_types_and_rows_together():
    labels = MaskedLabels.from_dense(Y, label_names=list("abcd"))
    index = [f"row {i}" for i in range(len(Y))]
    arrays = [
        sp.csr_array(np.arange(len(Y))[:, None] * [1, 0, 2]),
        labels,
        pd.DataFrame({"position": range(len(Y))}, index=index),
        index,
        np.arange(len(Y)),
        pd.Series(range(len(Y)), index=index),
        sp.coo_array(np.arange(len(Y))[:, None]),
    ]
    parts = masked_train_test_split(*arrays, test_size=0.25, random_state=0)
    assert len(parts) == 14
    for part, size in ((0, 36), (1, 12)):
        X, y, frame, names, positions, series, coo = parts[part::2]
        assert sp.issparse(X)
        assert X.toarray()[:, 0].tolist() == positions.tolist()
        assert coo.toarray()[:, 0].tolist() == positions.tolist()
        assert y == labels[positions]
        assert frame.index.tolist() == names == [index[row] for row in positions]
        assert isinstance(names, list)
        assert series.tolist() == positions.tolist()
        assert len(positions) == size
    train, test = parts[8:10]
    assert sorted([*train, *test]) == list(range(len(Y)))
    assert largest_deviation(Y, [train, test]) < 2


def test_train_test_split_without_shuffle_keeps_the_order():
    y = np.array([[1, NAN], [0, NAN], [NAN, 1], [NAN, 0]] * 10)
    rows = np.arange(40)
    train, test, *_ = masked_train_test_split(rows, y, test_size=0.2, shuffle=False)
    assert train.tolist() == list(range(32))
    assert test.tolist() == list(range(32, 40))


def test_train_test_split_keeps_groups_whole():
    y, groups = one_cell_a_row(300, 2), np.random.RandomState(0).randint(60, size=300)
    rows = np.arange(300)
    train, test, _, _ = masked_train_test_split(
        rows, y, test_size=0.2, groups=groups, random_state=0
    )
    groups_of = [set(groups[part]) for part in (train, test)]
    assert not groups_of[0] & groups_of[1]
    assert 55 <= len(test) <= 65
    assert largest_deviation(y, [train, test]) < 3


def test_train_test_split_of_one_array_by_other_labels():
    train, test = masked_train_test_split(np.arange(48), stratify=Y, random_state=0)
    assert (len(train), len(test)) == (36, 12)
    assert largest_deviation(Y, [train, test]) < 2


@pytest.mark.parametrize(
    ("arrays", "params", "message"),
    [
        ((), {}, "`masked_train_test_split` needs at least one array; got none."),
        (
            (Y,),
            {},
            "`stratify` accepts the labels to balance; got None and no second array. "
            "Pass `masked_train_test_split(X, y)` or `stratify=y`.",
        ),
        (
            (Y, Y, Y[:5]),
            {},
            "`arrays` must have the same number of rows; got 48 in array 0 and 5 in "
            "array 2.",
        ),
        (
            (Y,),
            {"stratify": Y[:5]},
            "`arrays` and `stratify` must have the same number of rows; got 48 and 5.",
        ),
        (
            (Y, Y),
            {"groups": np.zeros(48)},
            "`groups` accepts two groups or more; got one.",
        ),
        (
            (Y, Y),
            {"groups": np.arange(48), "train_size": 4, "test_size": 5},
            "`test_size` and `train_size` must add up to all rows where `groups` are "
            "given; got 4 and 5 of 48.",
        ),
    ],
)
def test_train_test_split_refuses(arrays, params, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        masked_train_test_split(*arrays, **params)


def test_sizes_that_cannot_be_are_scikit_learns_errors():
    for size in (48, 1.5, -1):
        with pytest.raises(ValueError, match=f"test_size={size}"):
            masked_train_test_split(Y, Y, test_size=size)
        with pytest.raises(ValueError, match=f"test_size={size}"):
            MaskedStratifiedShuffleSplit(test_size=size).split(Y, Y)


# Errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"n_splits": 1},
            ValueError,
            "`n_splits` accepts an integer, 2 or above; got 1.",
        ),
        (
            {"n_splits": 2.0},
            TypeError,
            "`n_splits` accepts an integer, 2 or above; got 2.0.",
        ),
        ({"shuffle": 1}, TypeError, "`shuffle` accepts True or False; got 1."),
        (
            {"random_state": 3},
            ValueError,
            "`random_state` accepts None unless `shuffle=True`: without shuffling "
            "nothing is random; got 3.",
        ),
    ],
)
@pytest.mark.parametrize("cls", [MaskedStratifiedKFold, MaskedStratifiedGroupKFold])
def test_parameters_that_cannot_be_raise(cls, params, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        cls(**params)


@pytest.mark.parametrize("n_splits", [0, -1, 2.0, "3", True])
def test_a_shuffle_split_of_no_splits_raises(n_splits):
    with pytest.raises(
        (TypeError, ValueError), match="`n_splits` accepts an integer, 1"
    ):
        MaskedStratifiedShuffleSplit(n_splits)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            (Y, None),
            "`y` accepts labels, 2-D or 1-D, by which the split is stratified; got "
            "None.",
        ),
        ((None, Y), "`X` accepts the rows, or their number; got None."),
        ((Y[:5], Y), "`X` and `y` must have the same number of rows; got 5 and 48."),
        (
            (Y[:4], Y[:4]),
            "`n_splits` accepts at most as many folds as there are samples; got 5 "
            "folds for 4 samples.",
        ),
        ((Y, np.where(np.isnan(Y), 2, Y)), "`y` accepts 1, 0, and NaN"),
        ((Y, np.arange(48) % 3), "Only binary classification is supported."),
    ],
)
def test_labels_that_cannot_be_raise_at_once(args, message):
    for cv in (MaskedStratifiedKFold(), MaskedStratifiedGroupKFold()):
        groups = np.arange(48 if args[0] is None else len(args[0])) % 5
        given = (groups,) if isinstance(cv, MaskedStratifiedGroupKFold) else ()
        with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
            cv.split(*args, *given)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "`groups` accepts a group for each row, shape (n_samples,); got None."),
        (
            np.zeros((48, 1)),
            "`groups` accepts a group for each row, shape (n_samples,); got shape "
            "(48, 1).",
        ),
        ([1, 2], "`X` and `groups` must have the same number of rows; got 48 and 2."),
        (
            [1.0, NAN, 2.0, 3.0] * 12,
            "`groups` accepts a group for each row; got nan at row 1.",
        ),
        (
            ["a", "b", None] * 16,
            "`groups` accepts a group for each row; got None at row 2.",
        ),
        (
            pd.array([1, 2, 3, pd.NA] * 12, dtype="Int64"),
            "`groups` accepts a group for each row; got <NA> at row 3.",
        ),
        (
            [1, 2, 3, 4] * 12,
            "`n_splits` accepts at most as many folds as there are groups; got 5 folds "
            "for 4 groups.",
        ),
    ],
)
def test_groups_that_cannot_be_raise(groups, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MaskedStratifiedGroupKFold().split(Y, Y, groups)


def test_groups_that_have_no_hash_raise():
    message = (
        "^`groups` accepts numbers, strings or other hashable values, one per row; "
    )
    with pytest.raises(TypeError, match=message):
        MaskedStratifiedGroupKFold().split(Y, Y, [[1]] * 48)


@pytest.mark.parametrize("cls", [MaskedStratifiedKFold, MaskedStratifiedShuffleSplit])
def test_groups_are_refused_with_a_warning_where_they_do_nothing(cls):
    message = f"^`groups` is ignored by {cls.__name__}; MaskedStratifiedGroupKFold"
    with pytest.warns(UserWarning, match=message) as caught:
        cls(2).split(Y, Y, np.arange(48))
    assert caught[0].filename == __file__


# In scikit-learn


@pytest.mark.parametrize(
    ("cv", "expected"),
    [
        (
            MaskedStratifiedKFold(3),
            "MaskedStratifiedKFold(n_splits=3, random_state=None, shuffle=False)",
        ),
        (
            MaskedStratifiedGroupKFold(3, shuffle=True, random_state=1),
            "MaskedStratifiedGroupKFold(n_splits=3, random_state=1, shuffle=True)",
        ),
        (
            MaskedStratifiedShuffleSplit(3, test_size=0.2, random_state=1),
            "MaskedStratifiedShuffleSplit(n_splits=3, random_state=1, test_size=0.2,\n"
            "               train_size=None)",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
@ignore_rare
def test_splitters_say_what_they_are_and_survive_pickling(cv, expected):
    assert " ".join(repr(cv).split()) == " ".join(expected.split())
    assert cv.get_n_splits() == cv.get_n_splits(Y, Y, np.arange(48)) == 3
    groups = np.arange(48) if isinstance(cv, MaskedStratifiedGroupKFold) else None
    for copy in (pickle.loads(pickle.dumps(cv)), clone(cv, safe=False)):
        for ours, other in zip(
            cv.split(Y, Y, groups), copy.split(Y, Y, groups), strict=True
        ):
            assert same(ours, other)


def data(n_samples=120):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n_samples, 3))
    y = (X + rng.normal(size=X.shape) > 0).astype(float)
    y[rng.rand(*y.shape) < 0.5] = NAN
    return X, MaskedLabels.from_dense(y)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    "cv",
    [
        MaskedStratifiedKFold(3),
        MaskedStratifiedShuffleSplit(3, test_size=0.3, random_state=0),
        MaskedStratifiedGroupKFold(3),
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_splitters_go_into_cv_everywhere(cv, n_jobs):
    X, y = data()
    groups = np.arange(len(X)) // 2
    given = groups if isinstance(cv, MaskedStratifiedGroupKFold) else None
    model = MaskedMultiOutputClassifier(GaussianNB())
    by_hand = []
    for train, test in cv.split(X, y, given):
        fitted = clone(model).fit(X[train], y[train])
        by_hand.append(masked_roc_auc_scorer(fitted, X[test], y[test]))
    scores = cross_validate(
        model, X, y, cv=cv, groups=given, scoring=masked_roc_auc_scorer, n_jobs=n_jobs
    )
    assert scores["test_score"] == pytest.approx(by_hand, abs=1e-12)
    search = GridSearchCV(
        model,
        {"estimator__var_smoothing": [1e-9, 1e-1]},
        cv=cv,
        scoring=masked_roc_auc_scorer,
        n_jobs=n_jobs,
        error_score="raise",
    ).fit(X, y, groups=given)
    found = [search.cv_results_[f"split{i}_test_score"][0] for i in range(3)]
    assert found == pytest.approx(by_hand, abs=1e-12)


def test_cross_val_predict_takes_the_kfold_splitters():
    X, y = data()
    cv = MaskedStratifiedKFold(4, shuffle=True, random_state=0)
    model = MaskedMultiOutputClassifier(LogisticRegression())
    proba = cross_val_predict(model, X, y, cv=cv, method="predict_proba")
    for train, test in cv.split(X, y):
        expected = clone(model).fit(X[train], y[train]).predict_proba(X[test])
        assert np.allclose(proba[test], expected, rtol=0, atol=1e-12)
    groups = np.arange(len(X)) // 4
    cv = MaskedStratifiedGroupKFold(4)
    assert cross_val_predict(model, X, y, cv=cv, groups=groups).shape == (120, 3)
