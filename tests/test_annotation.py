"""Queries by the cell: what is asked for, in which order, and never twice."""

import pickle
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked import MaskedLabels
from sklearn_masked.annotation import (
    CellTable,
    query_cells,
)
from sklearn_masked.annotation._candidates import Pool
from sklearn_masked.exceptions import (
    FewerCellsWarning,
)

FLAT = {
    "likely_positive": lambda p: p,
    "likely_negative": lambda p: 1 - p,
    "uncertain": lambda p: 1 - abs(2 * p - 1),
}
ALL = [*FLAT, "deficit", "expected_gain", "random", "default"]


def problem(n_samples=60, n_labels=7, labeled=0.3, seed=0):
    """Return probabilities and labels; label j has about j / n_labels positives."""
    rng = np.random.default_rng(seed)
    proba = rng.random((n_samples, n_labels))
    Y = (rng.random(proba.shape) < np.arange(n_labels) / n_labels) * 1.0
    Y[rng.random(Y.shape) >= labeled] = np.nan
    return proba, Y


def cells_of(table):
    return list(zip(table["sample"].tolist(), table["label"].tolist(), strict=True))


def greedy(utility, Y, n_cells, per_label=None, per_sample=None):
    """Take the best unlabeled cells one by one, within the quotas."""
    order = sorted(np.argwhere(np.isnan(Y)).tolist(), key=lambda c: -utility[*c])
    chosen = []
    for row, col in order:
        in_label = sum(c == col for _, c in chosen)
        in_sample = sum(r == row for r, _ in chosen)
        if per_label is not None and in_label >= per_label[col]:
            continue
        if per_sample is not None and in_sample >= per_sample:
            continue
        chosen.append((row, col))
        if len(chosen) == n_cells:
            break
    return chosen


# What is asked for


@pytest.mark.parametrize("strategy", FLAT)
@pytest.mark.parametrize("per_label", [None, 2, [9, 0, 1, 5, 2, 3, 1]])
@pytest.mark.parametrize("per_sample", [None, 1, 2])
def test_flat_strategies_take_the_best_cells_within_the_quotas(
    strategy, per_label, per_sample
):
    proba, Y = problem()
    quota = None if per_label is None else np.broadcast_to(per_label, 7)
    expected = greedy(FLAT[strategy](proba), Y, 13, quota, per_sample)
    table = query_cells(
        proba,
        Y,
        n_cells=13,
        strategy=strategy,
        max_per_label=per_label,
        max_per_sample=per_sample,
    )
    assert cells_of(table) == expected
    for (row, col), cell in zip(expected, table, strict=True):
        assert cell["probability"] == proba[row, col]
        assert cell["utility"] == FLAT[strategy](proba[row, col])
        assert cell["reason"] == strategy
        assert np.isnan(cell["propensity"])


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 14), st.integers(1, 5)),
    labeled=st.floats(0, 1),
    counts=st.dictionaries(st.sampled_from(list(FLAT)), st.integers(1, 6), min_size=1),
    per_label=st.none() | st.integers(0, 4),
    per_sample=st.none() | st.integers(1, 2),
)
def test_parts_of_a_mixture_choose_in_turn_from_all_cells_left(
    seed, shape, labeled, counts, per_label, per_sample
):
    proba, Y = problem(*shape, labeled, seed)
    quota = None if per_label is None else [per_label] * shape[1]
    chosen, wanted = [], 0
    for name, n_cells in counts.items():
        wanted += n_cells
        order = sorted(
            np.argwhere(np.isnan(Y)).tolist(),
            key=lambda c, name=name: -FLAT[name](proba[*c]),
        )
        for row, col in order:
            room = quota is None or sum(c == col for _, c in chosen) < quota[col]
            if per_sample is not None:
                room &= sum(r == row for r, _ in chosen) < per_sample
            if len(chosen) < wanted and room and (row, col) not in chosen:
                chosen.append((row, col))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewerCellsWarning)
        table = query_cells(
            proba,
            Y,
            n_cells=wanted,
            strategy=counts,
            max_per_label=per_label,
            max_per_sample=per_sample,
        )
    assert cells_of(table) == chosen


def one_by_one(proba, Y, n_cells, next_of, gain):
    """Take cells one by one, each time of the label that gains most by its next."""
    n_pos = (Y == 1).sum(axis=0).astype(float)
    n_neg = (Y == 0).sum(axis=0).astype(float)
    pos, neg = n_pos.copy(), n_neg.copy()
    queues = []
    for col in range(Y.shape[1]):
        rows = np.flatnonzero(np.isnan(Y[:, col])).tolist()
        score = next_of(n_pos[col], n_neg[col])
        queues.append(sorted(rows, key=lambda r, c=col, s=score: s(proba[r, c])))
    chosen = []
    while len(chosen) < n_cells:
        gains = [
            gain(proba[queue[0], col], pos[col], neg[col], n_pos[col] <= n_neg[col])
            if queue
            else -1
            for col, queue in enumerate(queues)
        ]
        col = int(np.argmax(gains))
        row = queues[col].pop(0)
        chosen.append((row, col))
        pos[col] += proba[row, col]
        neg[col] += 1 - proba[row, col]
    return chosen


def test_deficit_seeks_the_side_that_a_label_is_short_of():
    proba, Y = problem()
    expected = one_by_one(
        proba,
        Y,
        40,
        next_of=lambda pos, neg: (lambda p: -p) if pos <= neg else (lambda p: p),
        gain=lambda p, pos, neg, short: p / (1 + pos) if short else (1 - p) / (1 + neg),
    )
    table = query_cells(proba, Y, n_cells=40, strategy="deficit", max_per_label=None)
    assert cells_of(table) == expected
    # Label 0 has no positive, label 6 hardly a negative: likely ones are sought.
    assert table["probability"][table["label"] == 0].min() > 0.5
    assert table["probability"][table["label"] == 6].max() < 0.5


def test_expected_gain_is_the_expected_fall_of_the_variance():
    proba, Y = problem()

    def fall(p, pos, neg, short):
        before = 1 / (pos + 1) + 1 / (neg + 1)
        if_positive = 1 / (pos + 2) + 1 / (neg + 1)
        if_negative = 1 / (pos + 1) + 1 / (neg + 2)
        return before - (p * if_positive + (1 - p) * if_negative)

    table = query_cells(
        proba, Y, n_cells=1, strategy="expected_gain", max_per_label=None
    )
    n_pos, n_neg = (Y == 1).sum(axis=0), (Y == 0).sum(axis=0)
    gains = np.where(np.isnan(Y), fall(proba, n_pos, n_neg, None), -1)
    assert cells_of(table) == [np.unravel_index(gains.argmax(), gains.shape)]
    assert table["utility"][0] == pytest.approx(gains.max(), rel=1e-12)
    expected = one_by_one(
        proba,
        Y,
        25,
        next_of=lambda pos, neg: (lambda p: -p) if pos <= neg else (lambda p: p),
        gain=fall,
    )
    table = query_cells(
        proba, Y, n_cells=25, strategy="expected_gain", max_per_label=None
    )
    assert sorted(cells_of(table)) == sorted(expected)


def test_default_quota_is_an_even_share():
    proba = np.random.default_rng(0).random((50, 5))
    proba[:, 2] += 1
    table = query_cells(
        proba / 2, np.full((50, 5), np.nan), n_cells=20, strategy="likely_positive"
    )
    assert np.bincount(table["label"]).tolist() == [4] * 5
    table = query_cells(
        proba / 2, np.full((50, 5), np.nan), n_cells=7, strategy="likely_positive"
    )
    assert np.bincount(table["label"], minlength=5).max() == 2
    assert (table["label"] == 2).sum() == 2


def test_default_quota_gives_way_where_labels_have_no_cells_left():
    proba, Y = np.full((30, 4), 0.5), np.zeros((30, 4))
    Y[:, 1] = np.nan
    Y[:3, 2] = np.nan
    table = query_cells(proba, Y, n_cells=30, random_state=0)
    assert len(set(cells_of(table))) == 30
    assert np.isnan(Y[table["sample"], table["label"]]).all()


def counted(n_positive, n_negative, n_samples=200):
    """Return labels with so many positives and negatives of each label."""
    Y = np.full((n_samples, len(n_positive)), np.nan)
    for col, (pos, neg) in enumerate(zip(n_positive, n_negative, strict=True)):
        Y[:pos, col], Y[pos : pos + neg, col] = 1, 0
    return Y


def test_by_default_labels_with_their_first_positives_get_two_shares():
    # The last two are short of negatives, and of neither.
    Y = counted([0, 1, 3, 4, 30, 30], [30, 30, 30, 30, 2, 30], 400)
    proba = np.random.default_rng(0).random(Y.shape)
    table = query_cells(proba, Y, n_cells=900, random_state=0)
    asked = np.bincount(table["label"][table["reason"] == "uncertain"])
    drawn = np.bincount(table["label"][table["reason"] == "random"])
    assert (asked + drawn <= [100, 200, 200, 100, 200, 100]).all()
    assert (asked[[1, 2, 4]] > 1.5 * asked[[0, 3, 5]].max()).all()
    table = query_cells(proba, Y, n_cells=900, strategy="uncertain", random_state=0)
    assert np.bincount(table["label"]).tolist() == [150] * 6


def test_by_default_chance_decides_where_a_model_saw_one_class_alone():
    Y = counted([0] * 11 + [20], [20] * 11 + [0])
    # The label's rate, but for ripples that are the same in all labels.
    ripples = 1 + 0.01 * np.random.default_rng(0).random((200, 1))
    proba = ripples * np.append(np.geomspace(0.0013, 0.04, 11), 0.97)

    def samples(strategy):
        table = query_cells(proba, Y, n_cells=120, strategy=strategy, random_state=0)
        return np.unique(table["sample"][table["reason"] == "uncertain"])

    assert len(samples("uncertain")) < 30
    assert len(samples("default")) > 65
    # What tells samples apart, from elsewhere, counts.
    proba[[150, 151], 3] = 0.4, 0.5
    table = query_cells(proba, Y, n_cells=36, random_state=0)
    assert {(150, 3), (151, 3)} <= set(cells_of(table))


@pytest.mark.parametrize("strategy", ALL)
def test_all_unlabeled_cells_are_found_and_no_other(strategy):
    proba, Y = problem()
    n_free = int(np.isnan(Y).sum())
    table = query_cells(proba, Y, n_cells=n_free, strategy=strategy, random_state=3)
    assert sorted(cells_of(table)) == [tuple(c) for c in np.argwhere(np.isnan(Y))]


@pytest.mark.parametrize("strategy", ALL)
def test_fewer_cells_than_asked_for_warn(strategy):
    proba, Y = problem(10, 3)
    n_free = int(np.isnan(Y).sum())
    message = (
        f"^99 cells were asked for, and {n_free} unlabeled ones were found within the "
        r"quotas and the diversity\.$"
    )
    with pytest.warns(FewerCellsWarning, match=message):
        table = query_cells(proba, Y, n_cells=99, strategy=strategy)
    assert len(set(cells_of(table))) == n_free
    with pytest.warns(FewerCellsWarning):
        table = query_cells(proba, Y * 0 + 1, n_cells=99, max_per_label=0)
    assert len(table) == 0


def test_everything_labeled_gives_an_empty_table():
    proba, Y = problem(10, 3, labeled=1.1)
    for strategy in ALL:
        with pytest.warns(FewerCellsWarning, match="and 0 unlabeled"):
            table = query_cells(proba, Y, n_cells=5, strategy=strategy)
        assert len(table) == 0 and isinstance(table, CellTable)


# Chance


def test_random_cells_have_the_propensity_that_is_recorded():
    Y = problem(12, 5)[1]
    free = np.isnan(Y)
    counts = np.zeros(Y.shape)
    for seed in range(1000):
        table = query_cells(None, Y, n_cells=8, strategy="random", random_state=seed)
        counts[table["sample"], table["label"]] += 1
        assert len(set(cells_of(table))) == 8
    assert (counts[~free] == 0).all()
    np.testing.assert_array_equal(table["propensity"], 8 / free.sum())
    error = np.sqrt(1000 * 8 / free.sum())
    assert abs(counts[free] - 1000 * 8 / free.sum()).max() < 4.5 * error


def test_random_cells_with_quotas_have_the_propensity_that_is_recorded():
    Y = problem(12, 5)[1]
    free = np.isnan(Y)
    quota = np.array([1, 0, 9, 9, 2])
    counts, propensity = np.zeros(Y.shape), np.full(Y.shape, np.nan)
    estimates = []
    for seed in range(1000):
        table = query_cells(
            None,
            Y,
            n_cells=9,
            strategy="random",
            max_per_label=quota,
            random_state=seed,
        )
        assert (np.bincount(table["label"], minlength=5) <= quota).all()
        assert len(table) == len(set(cells_of(table))) == 9
        cells = table["sample"], table["label"]
        counts[cells] += 1
        propensity[cells] = table["propensity"]
        estimates.append((table["sample"] / table["propensity"]).sum())
    sought = free & (quota > 0)
    assert np.array_equal(~np.isnan(propensity), sought)
    error = np.sqrt(1000 * propensity[sought])
    assert (abs(counts - 1000 * propensity)[sought] < 4.5 * error).all()
    # Weights of 1 / propensity make a sum over the cells unbiased.
    truth = np.argwhere(sought)[:, 0].sum()
    standard_error = np.std(estimates) / np.sqrt(1000)
    assert abs(np.mean(estimates) - truth) < 4.5 * standard_error


def test_random_cells_come_first_and_keep_their_propensity_in_a_mixture():
    proba, Y = problem()
    strategy = {"uncertain": 0.5, "random": 0.25, "likely_positive": 0.25}
    table = query_cells(proba, Y, n_cells=20, strategy=strategy, random_state=0)
    assert table["reason"].tolist() == (
        ["random"] * 5 + ["uncertain"] * 10 + ["likely_positive"] * 5
    )
    assert len(set(cells_of(table))) == 20
    np.testing.assert_array_equal(table["propensity"][:5], 5 / np.isnan(Y).sum())
    assert np.isnan(table["propensity"][5:]).all()
    np.testing.assert_array_equal(
        table["probability"], proba[table["sample"], table["label"]]
    )


def test_shares_of_a_mixture_are_whole_cells():
    proba, Y = problem()
    thirds = {"uncertain": 1, "likely_positive": 1, "random": 1}
    table = query_cells(proba, Y, n_cells=20, strategy=thirds)
    assert sorted(np.unique(table["reason"], return_counts=True)[1]) == [6, 7, 7]
    table = query_cells(proba, Y, n_cells=3, strategy={"uncertain": 1, "deficit": 0})
    assert set(table["reason"]) == {"uncertain"}


@pytest.mark.parametrize("strategy", ALL)
def test_the_same_seed_gives_the_same_cells(strategy):
    proba, Y = problem()
    proba = proba.round(1)  # ties
    first, again, other = (
        query_cells(proba, Y, n_cells=30, strategy=strategy, random_state=seed)
        for seed in (5, 5, 6)
    )
    assert first.tobytes() == again.tobytes()
    assert set(cells_of(first)) != set(cells_of(other))


def test_random_states_of_all_kinds():
    proba, Y = problem()
    for make in (
        np.random.RandomState,
        np.random.default_rng,
        int,
    ):
        first, again = (
            query_cells(proba, Y, strategy="random", random_state=make(3))
            for _ in range(2)
        )
        assert cells_of(first) == cells_of(again)


# How probabilities and labels come


def blocks(proba, *sizes):
    ends = np.append(0, np.cumsum(sizes))
    for start, stop in zip(ends[:-1], ends[1:], strict=True):
        yield slice(int(start), int(stop)), proba[start:stop]


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("quotas", [(None, None), (3, 1), ("auto", 2)])
def test_blocks_do_not_matter(strategy, quotas, tmp_path, monkeypatch):
    proba, Y = problem()
    proba = proba.round(1)  # ties, which chance decides
    params = {
        "n_cells": 20,
        "strategy": strategy,
        "max_per_label": quotas[0],
        "max_per_sample": quotas[1],
        "random_state": 1,
    }
    whole = query_cells(proba, Y, **params)
    path = tmp_path / "proba.npy"
    np.save(path, proba)
    forms = [
        np.load(path, mmap_mode="r"),
        blocks(proba, 1, 58, 1),
        iter(list(blocks(proba, 30, 0, 30))),
        list(blocks(proba, 60)),
        ((rows, block.tolist()) for rows, block in blocks(proba, 20, 40)),
    ]
    for form in forms:
        assert query_cells(form, Y, **params).tobytes() == whole.tobytes()
    monkeypatch.setattr("sklearn_masked.annotation._blocks.BLOCK_CELLS", 21)
    monkeypatch.setattr("sklearn_masked.annotation._candidates._SLACK", 0)
    assert query_cells(proba, Y, **params).tobytes() == whole.tobytes()


def test_float32_integers_and_lists_are_probabilities_too():
    proba, Y = problem()
    exact = (proba * 64).round() / 64
    whole = query_cells(exact, Y, n_cells=20, random_state=0)
    for form in (exact.astype(np.float32), exact.tolist(), exact.astype(object)):
        again = query_cells(form, Y, n_cells=20, random_state=0)
        assert cells_of(again) == cells_of(whole)
    table = query_cells((proba > 0.5).astype(int), Y, strategy="likely_positive")
    assert set(table["probability"]) <= {0.0, 1.0}


@pytest.mark.parametrize("strategy", ALL)
def test_every_form_of_labels_gives_the_same_cells(strategy):
    proba, Y = problem()
    rows, cols = np.nonzero(~np.isnan(Y))
    stored = sp.csr_array((Y[rows, cols], (rows, cols)), shape=Y.shape)
    forms = [
        Y,
        pd.DataFrame(Y),
        np.where(np.isnan(Y), -1, Y).astype(int),
        MaskedLabels.from_sparse(stored, implicit="unlabeled"),
        MaskedLabels.from_sparse(
            sp.csr_array(np.where(np.isnan(Y), -1, Y)), implicit="negative"
        ),
    ]
    for quota in ("auto", 4):
        tables = [
            query_cells(
                proba,
                form,
                n_cells=20,
                strategy=strategy,
                max_per_label=quota,
                random_state=0,
            )
            for form in forms
        ]
        assert len({table.tobytes() for table in tables}) == 1


@pytest.mark.parametrize("strategy", ALL)
def test_what_stands_in_labeled_cells_is_not_read(strategy):
    proba, Y = problem()
    Y[:4, 3] = [1, 0, 1, 0]
    Y[4:, 3] = np.nan  # as many positives as negatives: no side is sought
    expected = query_cells(proba, Y, n_cells=20, strategy=strategy, random_state=0)
    for junk in (np.nan, np.inf, -7.0, 0.5):
        dirty = np.where(np.isnan(Y), proba, junk)
        table = query_cells(dirty, Y, n_cells=20, strategy=strategy, random_state=0)
        assert table.tobytes() == expected.tobytes()


def test_memory_follows_the_query_and_not_the_cells():
    rng = np.random.default_rng(0)
    base = rng.random((500, 200), dtype=np.float32)
    labels = MaskedLabels.from_cells([0], [0], [1], shape=(50_000, 200))

    def stream():
        for start in range(0, 50_000, 500):
            yield slice(start, start + 500), np.roll(base, start // 500, axis=1)

    def peak(strategy, quota):
        tracemalloc.start()
        try:
            query_cells(
                stream(), labels, n_cells=200, strategy=strategy, max_per_label=quota
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # All cells would be 40 MB as float32; a block and the candidates are held.
    for strategy, quota in [("default", "auto"), ("uncertain", None)]:
        assert peak(strategy, quota) < 25e6
    base[:] = 0.01
    assert peak("default", "auto") < 25e6


def test_cells_that_are_all_alike_do_not_all_wait(monkeypatch):
    # Each time that too many wait they are sorted: those behind by chance never do.
    cuts, cut = [], Pool._cut
    monkeypatch.setattr("sklearn_masked.annotation._candidates._SLACK", 0)
    monkeypatch.setattr(Pool, "_cut", lambda self: cuts.append(1) or cut(self))
    labels = MaskedLabels.from_cells([0], [0], [1], shape=(20_000, 5))
    blocks = (
        (slice(start, start + 100), np.full((100, 5), 0.01, np.float32))
        for start in range(0, 20_000, 100)
    )
    table = query_cells(blocks, labels, n_cells=100, random_state=0)
    assert len(table) == 100
    assert len(cuts) < 30


# Diversity


@pytest.mark.parametrize("as_form", [np.asarray, sp.csr_matrix, sp.coo_array])
def test_near_duplicates_are_not_asked_for_twice(as_form):
    proba, Y = problem(30, 3, labeled=0.1)
    rng = np.random.default_rng(0)
    X = np.repeat(rng.random((10, 20)) * (rng.random((10, 20)) < 0.3), 3, axis=0)
    X *= rng.random((30, 1)) + 0.1  # the length does not matter
    table = query_cells(
        proba,
        Y,
        n_cells=24,
        strategy="likely_positive",
        max_per_label=8,
        X=as_form(X),
        max_similarity=0.99,
    )
    assert len(table) == 24
    for label in range(3):
        groups = table["sample"][table["label"] == label] // 3
        assert len(set(groups)) == len(groups) == 8
        # The best of each group of three is the one that is asked for.
        best = {
            group: max(
                (i for i in range(3 * group, 3 * group + 3) if np.isnan(Y[i, label])),
                key=lambda i, label=label: proba[i, label],
            )
            for group in groups
        }
        assert set(best.values()) == set(table["sample"][table["label"] == label])


def test_the_limit_of_similarity_decides():
    proba, Y = np.array([[0.5], [0.6], [0.7]]), np.full((3, 1), np.nan)
    X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 2.0]])  # cosines 0.6, 0 and 0.8
    for limit, expected in [(0.65, [0, 1]), (0.55, [0, 2])]:
        table = query_cells(
            proba, Y, n_cells=2, strategy="uncertain", X=X, max_similarity=limit
        )
        assert table["sample"].tolist() == expected


def test_rows_of_zeros_resemble_nothing():
    proba, Y = problem(10, 2, labeled=0)
    table = query_cells(proba, Y, n_cells=20, X=np.zeros((10, 4)), max_similarity=0)
    assert len(table) == 20


# The table


def test_table_to_frame_names_samples_and_labels():
    proba, Y = problem(4, 2)
    labels = MaskedLabels.from_dense(Y, label_names=["war", "crime"])
    table = query_cells(proba, labels, n_cells=2, strategy="likely_positive")
    frame = table.to_frame(sample_ids=["a", "b", "c", "d"])
    assert frame.columns.tolist() == [
        "sample",
        "label",
        "probability",
        "utility",
        "propensity",
        "reason",
    ]
    for i in range(2):
        assert frame["sample"][i] == "abcd"[table["sample"][i]]
        assert frame["label"][i] == ["war", "crime"][table["label"][i]]
    assert table[:1].to_frame()["label"].tolist() == frame["label"][:1].tolist()
    plain = query_cells(proba, Y, n_cells=2, strategy="likely_positive").to_frame()
    assert plain["label"].tolist() == table["label"].tolist()
    message = (
        r"^`sample_ids` must name all samples; got 0 ids, and the table has sample"
    )
    with pytest.raises(ValueError, match=message):
        table.to_frame(sample_ids=[])


def test_table_is_a_structured_array():
    proba, Y = problem(6, 2)
    labels = MaskedLabels.from_dense(Y, label_names=["war", "crime"])
    table = query_cells(proba, labels, n_cells=4)
    assert type(table["sample"]) is np.ndarray
    assert type(table[["sample", "label"]]) is CellTable
    again = pickle.loads(pickle.dumps(table))
    assert again.tobytes() == table.tobytes()
    assert again.label_names.tolist() == ["war", "crime"]
    answers = labels[table["sample"]]
    assert answers.shape == (4, 2)


def test_answers_go_back_by_the_cell():
    proba, Y = problem()
    labels = MaskedLabels.from_dense(Y)
    table = query_cells(proba, labels, n_cells=10, random_state=0)
    answers = MaskedLabels.from_cells(
        table["sample"], table["label"], np.ones(10), shape=labels.shape
    )
    merged = MaskedLabels.merge(labels, answers)
    assert merged.n_cells == labels.n_cells + 10
    nexts = query_cells(proba, merged, n_cells=10, random_state=0)
    assert not set(cells_of(nexts)) & set(cells_of(table))


def test_annotation_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, sklearn_masked.annotation; "
        "print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


# Errors

SHARES = (
    "`strategy` accepts shares that are finite numbers from 0; got {} for 'uncertain'."
)
NAMES = (
    "`strategy` accepts default, likely_positive, likely_negative, uncertain, deficit, "
    "expected_gain, random, or a dict of shares of all but the first; got {!r}."
)
COUNT = "`{}` accepts integers from 1; got {!r}."


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_cells": 0}, ValueError, COUNT.format("n_cells", 0)),
        ({"n_cells": 2.0}, ValueError, COUNT.format("n_cells", 2.0)),
        ({"n_cells": True}, ValueError, COUNT.format("n_cells", True)),
        ({"max_per_sample": 0}, ValueError, COUNT.format("max_per_sample", 0)),
        ({"strategy": "entropy"}, ValueError, NAMES.format("entropy")),
        ({"strategy": {"default": 1}}, ValueError, NAMES.format("default")),
        ({"strategy": {"uncertain": -1}}, ValueError, SHARES.format(-1)),
        ({"strategy": {"uncertain": np.nan}}, ValueError, SHARES.format("nan")),
        ({"strategy": {"uncertain": True}}, ValueError, SHARES.format("True")),
        ({"strategy": {"uncertain": "half"}}, ValueError, SHARES.format("'half'")),
        (
            {"strategy": {"uncertain": 0}},
            ValueError,
            "`strategy` accepts shares with a finite sum above 0; got "
            "{'uncertain': 0}.",
        ),
        (
            {"strategy": {}},
            TypeError,
            "`strategy` accepts a name or a dict of shares by name; got {}.",
        ),
        (
            {"strategy": None},
            TypeError,
            "`strategy` accepts a name or a dict of shares by name; got None.",
        ),
        (
            {"max_per_label": -1},
            ValueError,
            '`max_per_label` accepts "auto", None, or integers from 0, one for all '
            "labels or one for each; got -1.",
        ),
        (
            {"max_per_label": "few"},
            ValueError,
            '`max_per_label` accepts "auto", None, or integers from 0, one for all '
            "labels or one for each; got 'few'.",
        ),
        (
            {"max_per_label": [1, 2]},
            ValueError,
            "`max_per_label` accepts one integer or one for each of the 3 labels; got "
            "shape (2,).",
        ),
        (
            {"max_similarity": 1.5},
            ValueError,
            "`max_similarity` accepts a cosine between 0 and 1; got 1.5.",
        ),
        (
            {"X": np.ones((4, 2))},
            ValueError,
            "`X` must have 2 dimensions and the 5 rows of `labels`; got shape (4, 2).",
        ),
        (
            {"random_state": "seed"},
            ValueError,
            "`random_state` accepts None, an integer from 0, a RandomState or a "
            "Generator; got 'seed'.",
        ),
        (
            {"proba": None},
            TypeError,
            "`proba` accepts None for strategy='random' alone; got None for 'default'.",
        ),
        (
            {"proba": np.ones((5, 2))},
            ValueError,
            "`proba` must have the shape of `labels`, (5, 3); got (5, 2).",
        ),
        (
            {"proba": sp.csr_array(np.ones((5, 3)))},
            TypeError,
            "`proba` accepts a dense array, a memory map or an iterator of (slice of "
            "rows, array) blocks; got csr_array.",
        ),
        (
            {"proba": np.full((5, 3), "a")},
            TypeError,
            "`proba` accepts probabilities; got an array of dtype <U1.",
        ),
        (
            {"proba": np.full((5, 3), "a", dtype=object)},
            TypeError,
            "`proba` accepts probabilities; got an array of dtype object.",
        ),
        (
            {"proba": iter([np.ones((5, 3))])},
            TypeError,
            "`proba` accepts blocks that are (slice of rows, array) tuples; got "
            "ndarray.",
        ),
        (
            {"proba": iter([(0, np.ones((5, 3)))])},
            TypeError,
            "`proba` accepts blocks that are (slice of rows, array) tuples; got int "
            "for the slice.",
        ),
        (
            {"proba": iter([(slice(1, 5), np.ones((4, 3)))])},
            ValueError,
            "`proba` accepts blocks of rows that follow one another; expected one that "
            "starts at row 0, got slice(1, 5, None).",
        ),
        (
            {"proba": iter([(slice(0, 4), np.ones((3, 3)))])},
            ValueError,
            "`proba` must have shape (4, 3) in the block of rows 0 to 4; got (3, 3).",
        ),
        (
            {"proba": iter([(slice(0, 4), np.ones((4, 3)))])},
            ValueError,
            "`proba` must have a block for each of the 5 rows of `labels`; its blocks "
            "end before row 4.",
        ),
        (
            {"labels": np.full((5, 3), 2)},
            ValueError,
            "at sample 0, label 0",
        ),
    ],
)
def test_errors_say_what_is_accepted_and_what_arrived(change, error, message):
    params = {"proba": np.full((5, 3), 0.5), "labels": np.full((5, 3), np.nan)}
    params |= change
    with pytest.raises(error) as raised:
        query_cells(params.pop("proba"), params.pop("labels"), **params)
    if "labels" in change:
        assert message in str(raised.value)
    else:
        assert str(raised.value) == message


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.5, np.inf])
def test_no_probability_in_an_unlabeled_cell_is_named(bad):
    proba, Y = np.full((5, 3), 0.5), np.full((5, 3), np.nan)
    proba[3, 1] = bad
    Y[4] = 1
    proba[4] = bad
    accepted = "`proba` accepts probabilities between 0 and 1 in unlabeled cells; got "
    for names, called in [(None, "1"), (["a", "war", "b"], "'war'")]:
        labels = MaskedLabels.from_dense(Y, label_names=names)
        for form in (proba, blocks(proba, 2, 3)):
            with pytest.raises(ValueError) as raised:
                query_cells(form, labels, n_cells=2)
            assert str(raised.value) == (
                f"{accepted}{float(bad)} at sample 3, label {called}."
            )


def test_no_warning_where_enough_cells_are_found():
    proba, Y = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(query_cells(proba, Y, n_cells=10)) == 10
