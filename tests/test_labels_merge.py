"""Merging of labels: of the same cells, by name and by id, against dicts of cells."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from builders import message_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked.labels import MaskedLabels

NAN = np.nan
NAMES = ["war", "crime"]


def dict_of(labels):
    """Return {(sample, label): value, or (value, weight) where there are weights}.

    By id and by name, where there are such.
    """
    cells = labels.cells()
    ids = np.arange(len(labels)) if labels.sample_ids is None else labels.sample_ids
    names = labels.label_names
    names = np.arange(labels.n_labels) if names is None else names
    where = zip(ids[cells.rows].tolist(), names[cells.cols].tolist(), strict=True)
    values = cells.values.tolist()
    if cells.weights is not None:
        values = list(zip(values, cells.weights.tolist(), strict=True))
    return dict(zip(where, values, strict=True))


# Of the same samples and labels


def test_merge_is_the_union():
    ann = MaskedLabels.from_dense([[1, NAN], [NAN, 0]], label_names=NAMES)
    bob = MaskedLabels.from_dense([[1, 0], [NAN, NAN]])
    merged = MaskedLabels.merge(ann, bob)
    assert dict_of(merged) == {(0, "war"): 1, (0, "crime"): 0, (1, "crime"): 0}
    assert merged.label_names.tolist() == NAMES
    assert MaskedLabels.merge(ann) == ann
    full = MaskedLabels.from_sparse(
        sp.csr_array([[1.0, 0], [0, 0]]), implicit="negative"
    )
    assert MaskedLabels.merge(full, ann) == full.with_label_names(NAMES)


def test_merge_settles_conflicts():
    said = [[[1, 0]], [[0, 0]], [[0, NAN]], [[1, NAN]]]
    parts = [MaskedLabels.from_dense(Y) for Y in said]
    assert dict_of(MaskedLabels.merge(*parts[:3], on_conflict="last")) == {
        (0, 0): 0,
        (0, 1): 0,
    }
    assert dict_of(MaskedLabels.merge(*parts[:3], on_conflict="majority"))[0, 0] == 0
    assert dict_of(MaskedLabels.merge(*parts, on_conflict="majority")) == {(0, 1): 0}
    heavy = MaskedLabels.from_dense(said[0], weights=[[2.5, 1]])
    assert dict_of(MaskedLabels.merge(heavy, *parts[1:3], on_conflict="majority")) == {
        (0, 0): (1, 2.5),
        (0, 1): (0, 2.0),
    }
    assert dict_of(MaskedLabels.merge(parts[0], heavy)) == {
        (0, 0): (1, 2.5),
        (0, 1): (0, 1.0),
    }
    assert message_of(ValueError, MaskedLabels.merge, *parts) == (
        "Sample 0, label 0 has several records, with the values 1 and 0. Pass "
        'on_conflict="last" or on_conflict="majority" to settle them.'
    )


# By name and by id


def source(cells, ids, names, form="cells", soft=False):
    """Return labels of {(id, name): (value, weight)} in one of the forms of storage."""
    keys = [(ids.index(i), names.index(n)) for i, n in cells]
    rows, cols = np.array(keys, int).reshape(-1, 2).T
    values, weights = np.array(list(cells.values()), float).reshape(-1, 2).T
    shape = len(ids), len(names)
    if form == "cells":
        labels = MaskedLabels.from_cells(
            rows, cols, values, shape=shape, weights=weights, soft=soft
        )
        return labels.with_label_names(names).with_sample_ids(ids)
    dense, weight = np.full(shape, NAN), np.ones(shape)
    dense[rows, cols], weight[rows, cols] = values, weights
    if form == "dense":
        labels = MaskedLabels.from_dense(dense, weights=weight, soft=soft)
    elif form == "frame":
        frame = pd.DataFrame(dense, index=ids, columns=names)
        return MaskedLabels.from_dense(frame, weights=weight, soft=soft)
    else:
        labels = MaskedLabels.from_sparse(
            sp.csr_array(dense), implicit="negative"
        )._replace(weights=weight[dense != 0])
    return labels.with_label_names(names).with_sample_ids(ids)


@st.composite
def sources(draw, soft=False):
    """Sets of labels, and for each {(id, name): (value, weight)} of its cells."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        ids = draw(st.lists(st.sampled_from("abcd"), max_size=4, unique=True))
        names = draw(st.lists(st.sampled_from("wxyz"), max_size=4, unique=True))
        value = st.sampled_from([0.0, 1.0, 0.25] if soft else [0.0, 1.0])
        weight = st.sampled_from([1.0, 0.5, 2.0])
        cells = draw(
            st.dictionaries(
                st.tuples(st.sampled_from(ids), st.sampled_from(names)),
                st.tuples(value, weight),
            )
            if ids and names
            else st.just({})
        )
        forms = ["cells", "dense", "frame"] + ([] if soft else ["negative"])
        form = draw(st.sampled_from(forms))
        if form == "negative":  # its negatives are not stored, so weigh 1
            cells = {key: (v, w if v else 1.0) for key, (v, w) in cells.items()}
        found.append((cells, ids, names, form, soft))
    return found


def slow_merge(given, on_conflict):
    """Return {(id, name): (value, weight)}, or None where a cell is in conflict."""
    said = {}
    for cells, *_ in given:
        for key, record in cells.items():
            said.setdefault(key, []).append(record)
    merged = {}
    for key, records in said.items():
        values = [value for value, _ in records]
        yes = sum(weight * value for value, weight in records)
        no = sum(weight * (1 - value) for value, weight in records)
        if len(records) == 1 or on_conflict == "last":
            merged[key] = records[-1]
        elif on_conflict == "raise":
            if len(set(values)) > 1:
                return None
            merged[key] = records[-1]
        elif on_conflict == "mean":
            merged[key] = yes / (yes + no), yes + no
        elif yes != no:
            merged[key] = float(yes > no), max(yes, no)
    return merged


def rounded(cells):
    return {key: (round(v, 12), round(w, 12)) for key, (v, w) in cells.items()}


@pytest.mark.parametrize("soft", [False, True])
@given(data=st.data(), on_conflict=st.sampled_from(["raise", "last", "majority"]))
@settings(max_examples=120, deadline=None)
def test_sets_are_joined_by_name_and_by_id(soft, data, on_conflict):
    given_ = data.draw(sources(soft))
    if soft and data.draw(st.booleans()):
        on_conflict = "mean"
    labels = [source(*one) for one in given_]
    wanted = slow_merge(given_, on_conflict)
    ids = list(dict.fromkeys(key for _, ids, *_ in given_ for key in ids))
    names = list(dict.fromkeys(key for _, _, names, *_ in given_ for key in names))
    order = {}
    if data.draw(st.booleans()):
        ids = data.draw(st.permutations([*ids, "more"]))
        names = data.draw(st.permutations([*names, "other"]))
        order = {"sample_ids": ids, "label_names": names}
    if wanted is None:
        message = message_of(
            ValueError, MaskedLabels.merge, *labels, on_conflict=on_conflict, **order
        )
        assert "has several records, with the values" in message
        return
    merged = MaskedLabels.merge(*labels, on_conflict=on_conflict, **order)
    assert merged.sample_ids.tolist() == ids and merged.shape == (len(ids), len(names))
    assert merged.label_names.tolist() == names and merged.soft == soft
    got = {
        key: cell if isinstance(cell, tuple) else (cell, 1.0)
        for key, cell in dict_of(merged).items()
    }
    # With "majority" a lone soft value stays as it is.
    assert rounded(got) == rounded(wanted)
    again = pickle.loads(pickle.dumps(merged))
    assert again == merged and again.sample_ids.tolist() == ids


def test_sets_that_store_no_negatives_stay_so_where_they_share_no_sample():
    rng = np.random.default_rng(0)
    full = (rng.random((7, 40)) < 0.1).astype(float)
    full[2, 3] = full[6, 0] = NAN
    names = [f"label {i}" for i in range(40)]

    def part(rows, cols):
        labels = MaskedLabels.from_sparse(
            sp.csr_array(full[rows][:, cols]), implicit="negative"
        )
        labels = labels.with_label_names([names[col] for col in cols])
        return labels.with_sample_ids([f"id {row}" for row in rows])

    every = list(range(40))
    parts = part([4, 0, 2], every), part([6, 1], every[::-1]), part([3, 5], every)
    merged = MaskedLabels.merge(*parts)
    assert merged.fill == "negative" and len(merged.values) < 60
    order = [4, 0, 2, 6, 1, 3, 5]
    np.testing.assert_array_equal(merged.to_dense(), full[order])
    assert merged.sample_ids.tolist() == [f"id {row}" for row in order]
    assert merged.label_names.tolist() == names
    ids = [f"id {row}" for row in range(7)]
    merged = MaskedLabels.merge(*parts, sample_ids=ids)
    assert merged.fill == "negative" and merged == part(every[:7], every)
    # Sets without names have the labels of the others, by position.
    nameless = [parts[0], parts[2].with_label_names(None)]
    merged = MaskedLabels.merge(*nameless)
    assert merged.fill == "negative" and merged.label_names.tolist() == names
    # A sample in two sets, a row without any, a label that one lacks: cell by cell.
    for others in ({"sample_ids": [*ids, "id 7"]}, {"label_names": [*names, "more"]}):
        assert MaskedLabels.merge(*parts, **others).fill == "unlabeled"
    twice = MaskedLabels.merge(*parts, part([4], every))
    assert twice.fill == "unlabeled" and len(twice) == 7


def test_one_set_takes_the_order_that_is_asked_for():
    labels = source({("a", "x"): (1, 1), ("b", "y"): (0, 1)}, ["a", "b"], ["x", "y"])
    merged = MaskedLabels.merge(
        labels, sample_ids=["b", "c", "a"], label_names=["y", "z", "x"]
    )
    want = [[0, NAN, NAN], [NAN, NAN, NAN], [NAN, NAN, 1]]
    np.testing.assert_array_equal(merged.to_dense(), want)


@pytest.mark.parametrize(
    "ids",
    [
        pd.Index(["a", "b"]),
        pd.Index([7, 3]),
        np.array(["a", "b"]),
        (("a", 1), ("b", 2)),
        pd.DatetimeIndex(["2026-11-30", "2026-12-01"]),
    ],
    ids=lambda ids: type(ids).__name__,
)
def test_ids_of_any_kind_join(ids):
    one = MaskedLabels.from_dense([[1], [0]], label_names=["x"]).with_sample_ids(ids)
    two = pickle.loads(pickle.dumps(one))[::-1].with_label_names(["y"])
    merged = MaskedLabels.merge(one, two)
    np.testing.assert_array_equal(merged.to_dense(), [[1, 1], [0, 0]])
    assert list(merged.sample_ids) == list(ids)


def test_the_index_of_a_frame_that_got_none_is_no_id():
    frame = pd.DataFrame({"x": [1, 0]})
    one = MaskedLabels.from_dense(frame)
    assert one.sample_ids is None and MaskedLabels.merge(one, one) == one
    assert one.with_sample_ids([0, 1]).sample_ids.tolist() == [0, 1]
    assert one[1:].sample_ids.tolist() == [1]
    other = MaskedLabels.from_dense(frame.set_axis(["a", "b"]))
    assert other.sample_ids.tolist() == ["a", "b"]
    assert other.with_sample_ids(None).sample_ids is None
    merged = MaskedLabels.merge(one, other)  # by position, as one of them has none
    assert merged.shape == (2, 1)


# Errors


A = source({("a", "x"): (1, 1)}, ["a", "b"], ["x", "y"])
B = source({("a", "x"): (0, 1)}, ["c", "a", "d"], ["z", "x", "w"])
PLAIN = MaskedLabels.from_dense([[1, 0]])


@pytest.mark.parametrize(
    ("labels", "changes", "message"),
    [
        (
            (A, B),
            {},
            "Sample 'a', label 'x' has several records, with the values 1 and 0. Pass "
            'on_conflict="last" or on_conflict="majority" to settle them.',
        ),
        (
            (A, B),
            {"label_names": ["x", "y", "z"]},
            "`label_names` must hold every label name; 'w' of labels[1] is not there.",
        ),
        (
            (A, B),
            {"sample_ids": ["a", "b", "c"]},
            "`sample_ids` must hold every sample id; 'd' of labels[1] is not there.",
        ),
        (
            (A, B),
            {"sample_ids": ["a", "b", "c", "d", "b"]},
            "`sample_ids` must all differ; got 'b' twice.",
        ),
        (
            (A, B[[0, 1, 0]]),
            {},
            "`merge` joins by a sample id that stands once in each set; labels[1] has "
            "'c' twice.",
        ),
        (
            (A, PLAIN),
            {"label_names": ["x", "y"]},
            "`label_names` is for sets that have such; labels[1] has none: give it "
            "some by with_label_names.",
        ),
        (
            (PLAIN, A),
            {},
            "`merge` joins samples by `sample_ids` where their number differs: 1 in "
            "labels[0], 2 in labels[1], and labels[0] has no `sample_ids`; give it "
            "some by with_sample_ids.",
        ),
        (
            (PLAIN, B),
            {},
            "`merge` joins labels by `label_names` where their number differs: 2 in "
            "labels[0], 3 in labels[1], and labels[0] has no `label_names`; give it "
            "some by with_label_names.",
        ),
        ((), {}, "`merge` needs at least one MaskedLabels; got none."),
    ],
)
def test_sets_that_do_not_join_are_refused(labels, changes, message):
    assert message_of(ValueError, MaskedLabels.merge, *labels, **changes) == message


def test_what_is_no_set_or_no_sequence_is_refused():
    assert message_of(TypeError, MaskedLabels.merge, PLAIN, [[1, 0]]) == (
        "`merge` accepts MaskedLabels; got list."
    )
    assert message_of(TypeError, MaskedLabels.merge, A, B, label_names="xyzw") == (
        "`label_names` accepts a sequence of names; got the string 'xyzw'."
    )
    assert message_of(TypeError, PLAIN.with_sample_ids, "a") == (
        "`sample_ids` accepts a sequence of ids; got the string 'a'."
    )
    assert message_of(ValueError, PLAIN.with_sample_ids, ["a", "b"]) == (
        "`sample_ids` must name the 1 samples; got 2 ids."
    )
