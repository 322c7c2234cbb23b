"""Builders from records, frames and dicts, against dicts of cells."""

import numpy as np
import pandas as pd
import pytest
from builders import message_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked.labels import MaskedLabels

NAN = np.nan
IDS, NAMES = ["a3", "a5", "a17"], ["war", "crime"]


def dict_of(labels):
    """Return {(sample, label): value, or (value, weight) where there are weights}."""
    cells = labels.cells()
    where = zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
    values = cells.values.tolist()
    if cells.weights is not None:
        values = list(zip(values, cells.weights.tolist(), strict=True))
    return dict(zip(where, values, strict=True))


# Records.


@pytest.mark.parametrize(
    "form",
    [list, tuple, np.array, pd.Series, lambda v: pd.Series(v, index=[5, 5, 9])],
    ids=["list", "tuple", "array", "Series", "Series of odd index"],
)
@pytest.mark.parametrize(
    ("samples", "labels"),
    [
        (["a17", "a3", "a17"], ["crime", "war", "war"]),
        ([2, 0, 2], [1, 0, 0]),
        (["a17", "a3", "a17"], [1, 0, 0]),
    ],
    ids=["ids", "positions", "ids and positions"],
)
def test_from_cells_joins_records_by_id_or_position(form, samples, labels):
    ids = None if samples[0] == 2 else IDS
    shape = (3, 2) if ids is None else None
    labels = MaskedLabels.from_cells(
        form(samples),
        form(labels),
        form([1, 0, 0]),
        shape=shape,
        sample_ids=ids,
        label_names=NAMES,
    )
    assert labels.shape == (3, 2) and labels.label_names.tolist() == NAMES
    assert dict_of(labels) == {(2, 1): 1, (0, 0): 0, (2, 0): 0}
    assert MaskedLabels.from_cells([], [], [], shape=(2, 2)).n_cells == 0


def test_from_cells_looks_up_integer_ids_and_names():
    labels = MaskedLabels.from_cells(
        [30, 10], [7, 5], [1, 0], sample_ids=[10, 20, 30], label_names=[5, 7]
    )
    assert dict_of(labels) == {(2, 1): 1, (0, 0): 0}
    for kind in (np.int32, object, "Int64"):
        positions = pd.Series([2, 0]).astype(kind)
        labels = MaskedLabels.from_cells(positions, [1, 1], [1, 0], shape=(3, 2))
        assert dict_of(labels) == {(2, 1): 1, (0, 1): 0}


def test_from_cells_takes_no_integer_for_a_string_id():
    # An id read as a position would label another sample without a word.
    assert (
        message_of(
            ValueError,
            MaskedLabels.from_cells,
            [1],
            [0],
            [1],
            sample_ids=["2", "1"],
            label_names=NAMES,
        )
        == "`samples` accepts what `sample_ids` holds; got 1 in record 0. "
        "Mend what is misspelled, leave the record out, or add to `sample_ids`."
    )


def test_from_cells_refuses_integers_that_may_be_names():
    names = ["0", "1", "2"]
    labels = MaskedLabels.from_cells([0], [2], [1], shape=(1, 3), label_names=names)
    assert dict_of(labels) == {(0, 2): 1}
    message = message_of(
        ValueError,
        MaskedLabels.from_cells,
        [0, 0],
        [0, 2],
        [1, 0],
        shape=(1, 3),
        label_names=["0", "2", "x"],
    )
    assert message == (
        "`labels` accepts positions or names; got 2 in record 1, a position while '2' "
        "is the name of label 1. Pass each as it stands in `label_names`."
    )


@pytest.mark.parametrize(
    "values",
    [
        [1, 0, NAN, -1, None],
        [True, False, None, None, pd.NA],
        [1.0, 0.0, NAN, NAN, -1.0],
        np.array([1, 0, -1, -1, -1], dtype=np.int8),
        np.ma.array([1, 0, 1, 0, 1], mask=[0, 0, 1, 1, 1]),
        np.ma.array([1, 0, "junk", 7, None], mask=[0, 0, 1, 1, 1], dtype=object),
        pd.Series([1, 0, None, None, -1], dtype="Int8"),
        pd.Series([True, False, None, None, None], dtype="boolean"),
    ],
    ids=["mixed", "bools", "floats", "int8", "ma", "ma objects", "Int8", "boolean"],
)
def test_records_that_decide_nothing_leave_cells_unlabeled(values):
    labels = MaskedLabels.from_cells(range(5), [0] * 5, values, shape=(5, 1))
    assert dict_of(labels) == {(0, 0): 1, (1, 0): 0}


RECORDS = {
    "unknown id": (
        (["a3", "zz"], ["war", "war"], [1, 1]),
        {},
        "`samples` accepts what `sample_ids` holds; got 'zz' in record 1. "
        "Mend what is misspelled, leave the record out, or add to `sample_ids`.",
    ),
    "unknown ids": (
        (["zz", "a3", "zy"], ["war", "war", "war"], [1, 1, 1]),
        {},
        "`samples` accepts what `sample_ids` holds; got 'zz' in record 0, and unknown "
        "ones in 1 more. Mend what is misspelled, leave the record out, or add to "
        "`sample_ids`.",
    ),
    "missing id": (
        ([NAN], ["war"], [1]),
        {},
        "`samples` accepts what `sample_ids` holds; got nan in record 0. "
        "Mend what is misspelled, leave the record out, or add to `sample_ids`.",
    ),
    "unknown name": (
        (["a3"], ["peace"], [1]),
        {},
        "`labels` accepts what `label_names` holds; got 'peace' in record 0. "
        "Mend what is misspelled, leave the record out, or add to `label_names`.",
    ),
    "repeated id": (
        (["a3"], ["war"], [1]),
        {"sample_ids": ["a3", "a5", "a3"]},
        "`sample_ids` must all differ; got 'a3' twice.",
    ),
    "repeated name": (
        (["a3"], ["war"], [1]),
        {"label_names": ["war", "war"]},
        "`label_names` must all differ; got 'war' twice.",
    ),
    "row past the end": (
        ([0, 3], [0, 0], [1, 1]),
        {"sample_ids": None, "shape": (3, 2)},
        "`samples` accepts positions from 0 to 2; got 3 in record 1.",
    ),
    "row below 0": (
        ([-1], [0], [1]),
        {"sample_ids": None, "shape": (3, 2)},
        "`samples` accepts positions from 0 to 2; got -1 in record 0.",
    ),
    "label past the end": (
        (["a3"], [2], [1]),
        {},
        "`labels` accepts positions from 0 to 1; got 2 in record 0.",
    ),
    "ids without a list of them": (
        (["a3"], ["war"], [1]),
        {"sample_ids": None, "shape": (3, 2)},
        "`samples` accepts positions from 0, unless `sample_ids` says what is where; "
        "got 'a3' in record 0.",
    ),
    "float positions": (
        ([0.0], [0], [1]),
        {"sample_ids": None, "shape": (3, 2)},
        "`samples` accepts positions from 0, unless `sample_ids` says what is where; "
        "got 0.0 in record 0.",
    ),
    "boolean positions": (
        ([True], [0], [1]),
        {"sample_ids": None, "shape": (3, 2)},
        "`samples` accepts positions from 0, unless `sample_ids` says what is where; "
        "got True in record 0.",
    ),
    "no shape": (
        ([0], [0], [1]),
        {"sample_ids": None},
        "`shape` is needed, unless both `sample_ids` and `label_names` are given: rows "
        "without a record would be lost.",
    ),
    "bad shape": (
        ([0], [0], [1]),
        {"sample_ids": None, "shape": (3.5, 2)},
        "`shape` accepts two integers from 0, (n_samples, n_labels); got (3.5, 2).",
    ),
    "three lengths": (
        ([0], [0], [1]),
        {"sample_ids": None, "shape": (3, 2, 1)},
        "`shape` accepts two integers from 0, (n_samples, n_labels); got (3, 2, 1).",
    ),
    "ids of another shape": (
        (["a3"], ["war"], [1]),
        {"shape": (4, 2)},
        "`sample_ids` must name the 4 samples of `shape`; got 3.",
    ),
    "names of another shape": (
        (["a3"], ["war"], [1]),
        {"shape": (3, 3)},
        "`label_names` must name the 3 labels; got 2 names.",
    ),
    "unequal lengths": (
        (["a3", "a5"], ["war"], [1]),
        {},
        "`samples`, `labels` and `values` must have one entry per record; got 2, 1 and "
        "1.",
    ),
    "two dimensions": (
        (["a3"], [["war"]], [1]),
        {},
        "`labels` must be 1-D, one entry per record; got 2 dimensions.",
    ),
    "a value 2": (
        (["a3", "a5"], ["war", "war"], [1, 2]),
        {},
        "`values` accepts 1, 0, and NaN, -1 or None for a record that decides nothing; "
        "got 2 in record 1.",
    ),
    "a string value": (
        (["a3", "a5"], ["war", "war"], [None, "1"]),
        {},
        "`values` accepts 1, 0, and NaN, -1 or None for a record that decides nothing; "
        "got '1' in record 1.",
    ),
    "string values": (
        (["a3"], ["war"], np.array(["1"])),
        {},
        "`values` accepts 1, 0, and NaN, -1 or None for a record that decides nothing; "
        "got '1' in record 0.",
    ),
    "a negative weight": (
        (["a3"], ["war"], [1]),
        {"weights": [-0.5]},
        "`weights` accepts finite numbers from 0; got -0.5 in record 0.",
    ),
    "weights of another length": (
        (["a3"], ["war"], [1]),
        {"weights": [1, 2]},
        "`weights` must have one entry per record, (1,); got (2,).",
    ),
    "a policy": (
        (["a3"], ["war"], [1]),
        {"on_conflict": "first"},
        "`on_conflict` accepts one of ('raise', 'last', 'majority'); got 'first'.",
    ),
    "a repeated cell": (
        (["a3", "a5", "a3"], ["war", "war", "war"], [1, 0, 1]),
        {},
        "Sample 'a3', label 'war' has several records, with the values 1 and 1. Pass "
        'on_conflict="last" or on_conflict="majority" to settle them.',
    ),
}


@pytest.mark.parametrize(
    ("columns", "changes", "message"), RECORDS.values(), ids=RECORDS.keys()
)
def test_bad_records_raise(columns, changes, message):
    arguments = {"sample_ids": IDS, "label_names": NAMES, **changes}
    assert (
        message_of(ValueError, MaskedLabels.from_cells, *columns, **arguments)
        == message
    )


records = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.sampled_from([1, 0, None]),
        st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    ),
    max_size=12,
)


def settled(records, policy):
    """Settle records one by one; values with weights of the cells."""
    votes = {}
    for sample, label, value, weight in records:
        if value is not None and weight > 0:
            votes.setdefault((sample, label), []).append((value, weight))
    if policy == "last":
        return {cell: said[-1] for cell, said in votes.items()}
    cells = {}
    for cell, said in votes.items():
        yes = sum(weight for value, weight in said if value == 1)
        no = sum(weight for value, weight in said if value == 0)
        if yes != no:
            cells[cell] = (1, yes) if yes > no else (0, no)
    return cells


@given(records=records, policy=st.sampled_from(["last", "majority"]))
@settings(max_examples=150, deadline=None)
def test_conflicts_are_settled_as_by_hand(records, policy):
    columns = [list(column) for column in zip(*records, strict=True)] or [[]] * 4
    weighted = MaskedLabels.from_cells(
        *columns[:3], shape=(3, 3), weights=columns[3], on_conflict=policy
    )
    assert dict_of(weighted) == settled(records, policy)
    plain = MaskedLabels.from_cells(*columns[:3], shape=(3, 3), on_conflict=policy)
    expected = settled([(*record[:3], 1) for record in records], policy)
    assert dict_of(plain) == {cell: value for cell, (value, _) in expected.items()}


def test_a_weight_of_zero_is_no_record():
    labels = MaskedLabels.from_cells(
        [0, 0, 1], [0, 0, 1], [1, 0, 1], shape=(2, 2), weights=[1, 0, 0]
    )
    assert dict_of(labels) == {(0, 0): (1, 1.0)}
    assert labels.n_labeled.tolist() == [1, 0]


# Dense with weights.


def test_from_dense_drops_cells_of_weight_zero_and_minds_labeled_ones_only():
    Y = [[1, NAN, 0], [0, 1, -1]]
    W = [[0.5, NAN, 0], [2, 1, -7]]
    for weights in (W, np.array(W), pd.DataFrame(W), np.array(W, dtype=object)):
        labels = MaskedLabels.from_dense(Y, weights=weights, label_names=list("abc"))
        assert dict_of(labels) == {(0, 0): (1, 0.5), (1, 0): (0, 2.0), (1, 1): (1, 1.0)}
        assert labels.n_labeled.tolist() == [2, 1, 0]
        assert labels.without_weights().weights is None


WEIGHTS = {
    "negative": (
        [[1, -1]],
        "accepts finite numbers from 0; got -1.0 at sample 0, label 1.",
    ),
    "NaN": ([[NAN, 1]], "accepts finite numbers from 0; got nan at sample 0, label 0."),
    "infinite": (
        [[np.inf, 1]],
        "accepts finite numbers from 0; got inf at sample 0, label 0.",
    ),
    "masked": (
        np.ma.array([[1.0, 1]], mask=[[0, 1]]),
        "accepts finite numbers from 0; got nan at sample 0, label 1.",
    ),
    "shape": ([1, 1], "must have the shape of `y`, (1, 2); got (2,)."),
    "strings": ([["x", "y"]], "accepts finite numbers from 0; got an array of <U1."),
    "complex": (
        [[1j, 1]],
        "accepts finite numbers from 0; got an array of complex128.",
    ),
    "ragged": (
        [[1], [1, 2]],
        "accepts finite numbers from 0; got something that is no array of numbers.",
    ),
    "None": (
        [[1, None]],
        "accepts finite numbers from 0; got nan at sample 0, label 1.",
    ),
}


@pytest.mark.parametrize(("weights", "message"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_bad_weights_raise(weights, message):
    assert (
        message_of(ValueError, MaskedLabels.from_dense, [[1, 0]], weights=weights)
        == "`weights` " + message
    )


# Frames and dicts.

LONG = pd.DataFrame(
    {
        "id": ["a17", "a3", "a5"],
        "topic": ["crime", "war", "war"],
        "yes": pd.array([True, False, None], dtype="boolean"),
        "votes": [3, 1, 2],
    }
)
COLUMNS = {"sample": "id", "label": "topic", "value": "yes"}


def test_from_frame_reads_a_long_frame():
    labels = MaskedLabels.from_frame(
        LONG, **COLUMNS, weight="votes", sample_ids=IDS, label_names=NAMES
    )
    assert dict_of(labels) == {(2, 1): (1, 3.0), (0, 0): (0, 1.0)}
    assert labels.shape == (3, 2) and labels.label_names.tolist() == NAMES
    long = labels.to_frame(sample_ids=IDS, long=True)
    assert long.columns.tolist() == ["sample", "label", "value", "weight"]
    again = MaskedLabels.from_frame(
        long,
        sample="sample",
        label="label",
        value="value",
        weight="weight",
        sample_ids=pd.Index(IDS),
        label_names=pd.Series(NAMES),
    )
    assert again == labels


def test_from_frame_settles_conflicts_and_takes_categories():
    twice = pd.concat([LONG, LONG.assign(yes=False)]).astype({"topic": "category"})
    labels = MaskedLabels.from_frame(
        twice, **COLUMNS, sample_ids=IDS, label_names=NAMES, on_conflict="last"
    )
    assert dict_of(labels) == {(2, 1): 0, (0, 0): 0, (1, 0): 0}


def test_from_frame_takes_columns_of_a_wide_frame():
    frame = pd.DataFrame(
        {"text": ["x", "y"], "war": [1, None], "crime": pd.array([0, None], "Int8")}
    )
    labels = MaskedLabels.from_frame(frame, label_names=["crime", "war"])
    assert labels.label_names.tolist() == ["crime", "war"]
    assert dict_of(labels) == {(0, 0): 0, (0, 1): 1}


FRAMES = {
    "half named": (
        {"sample": "id", "label": "topic"},
        "A long frame needs `sample`, `label` and `value`, the names of its columns; "
        "got sample='id', label='topic', value=None.",
    ),
    "weight alone": (
        {"weight": "votes"},
        "A long frame needs `sample`, `label` and `value`, the names of its columns; "
        "got sample=None, label=None, value=None.",
    ),
    "unknown column": (
        {**COLUMNS, "value": "no"},
        "`frame` has no column 'no'; it has ['id', 'topic', 'yes', 'votes'].",
    ),
    "unknown weight": (
        {**COLUMNS, "weight": "w"},
        "`frame` has no column 'w'; it has ['id', 'topic', 'yes', 'votes'].",
    ),
    "no ids": (
        {**COLUMNS, "label_names": NAMES},
        "A long frame needs `sample_ids`, the ids of the rows of X in their order, and "
        "`label_names`: rows are joined by id, never by order.",
    ),
    "ids for a wide frame": (
        {"sample_ids": IDS},
        "`sample_ids` goes with a long frame; the rows of a wide one are taken in "
        "their order. Pass frame.reindex(sample_ids) to join by its index.",
    ),
    "unknown label of a wide frame": (
        {"label_names": ["votes", "peace"]},
        "`frame` has no column 'peace'; it has ['id', 'topic', 'yes', 'votes'].",
    ),
    "text in a wide frame": (
        {},
        "`y` accepts 1, 0, and NaN, -1 or None in unlabeled cells; got 'a17' at "
        "sample 0, label 0. Map words to 1 and 0 first, as y.replace({'yes': 1, 'no': "
        "0}) does; a column of ids is no label: leave it out, or make it the index.",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), FRAMES.values(), ids=FRAMES.keys())
def test_bad_frames_raise(arguments, message):
    assert message_of(ValueError, MaskedLabels.from_frame, LONG, **arguments) == message


def test_from_dicts_reads_absent_keys_as_unlabeled():
    dicts = [{"war": 1, "crime": None}, {}, {"sport": 0, "war": NAN}, {"crime": True}]
    labels = MaskedLabels.from_dicts(dicts)
    assert labels.label_names.tolist() == ["war", "crime", "sport"]
    assert labels.shape == (4, 3)
    assert dict_of(labels) == {(0, 0): 1, (2, 2): 0, (3, 1): 1}
    ordered = MaskedLabels.from_dicts(
        iter(dicts), label_names=["sport", "crime", "war"]
    )
    assert ordered == labels[:, ["sport", "crime", "war"]]
    assert MaskedLabels.from_dicts([]).shape == (0, 0)
    assert MaskedLabels.from_dicts([{}, {}], label_names=["a"]).shape == (2, 1)


def test_bad_dicts_raise():
    build = MaskedLabels.from_dicts
    assert message_of(
        ValueError, build, [{}, {"war": 1, "peace": 0}], label_names=["war"]
    ) == ("`records` accepts keys that `label_names` holds; got 'peace' at sample 1.")
    # A key is a name; a position among names would be a guess.
    assert message_of(ValueError, build, [{0: 1}], label_names=["war"]) == (
        "`records` accepts keys that `label_names` holds; got 0 at sample 0."
    )
    assert message_of(ValueError, build, [{}, {"war": 0.5}]) == (
        "`values` accepts 1, 0, and NaN, -1 or None for a record that decides nothing; "
        "got 0.5 at sample 1, label 'war'. For probabilities pass soft=True."
    )
    assert message_of(TypeError, build, [{}, ["war"]]) == (
        "`records` accepts a dict a sample; got list at sample 1."
    )
