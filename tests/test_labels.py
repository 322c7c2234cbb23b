"""MaskedLabels: what every form says, whichever cells hold it, and every part of it."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sklearn_masked.labels import Cells, LabelRow, MaskedLabels, check_labels

NAN = np.nan
Y = np.array([[1, NAN, 0], [NAN, NAN, NAN], [0, 1, 1], [NAN, 0, NAN]])


def stored_negative(Y):
    """Return labels that store the positives and the unlabeled cells."""
    return MaskedLabels.from_sparse(
        sp.coo_array(np.where(np.isnan(Y), -1, Y)), implicit="negative"
    )


BUILD = {"unlabeled": MaskedLabels.from_dense, "negative": stored_negative}


@pytest.fixture(params=BUILD)
def labels(request):
    return BUILD[request.param](Y)


def label_arrays(min_rows=0):
    shape = st.tuples(st.integers(min_rows, 9), st.integers(1, 5))
    return hnp.arrays(float, shape, elements=st.sampled_from([0.0, 1.0, NAN]))


def cells_of(Y):
    """Return the labeled cells by a loop."""
    return [
        (i, j, int(value))
        for i, row in enumerate(Y.tolist())
        for j, value in enumerate(row)
        if value == value
    ]


def listed(cells):
    return list(
        zip(
            cells.rows.tolist(), cells.cols.tolist(), cells.values.tolist(), strict=True
        )
    )


def assert_says(labels, Y):
    """Assert that labels say what Y says, and are stored as they should be."""
    assert labels.shape == Y.shape and labels.ndim == 2 and len(labels) == len(Y)
    np.testing.assert_array_equal(labels.to_dense(), Y)
    assert listed(labels.cells()) == cells_of(Y)
    per_label = [
        [value for _, j, value in cells_of(Y) if j == k] for k in range(Y.shape[1])
    ]
    assert labels.n_positive.tolist() == [sum(values) for values in per_label]
    assert labels.n_labeled.tolist() == [len(values) for values in per_label]
    assert labels.n_negative.tolist() == [v.count(0) for v in per_label]
    assert labels.n_cells == len(cells_of(Y))
    stored = set(labels.values.tolist())
    assert stored <= ({0, 1} if labels.fill == "unlabeled" else {1, -1})
    for start, stop in zip(labels.indptr[:-1], labels.indptr[1:], strict=True):
        assert (np.diff(labels.indices[start:stop]) > 0).all()
    dtypes = labels.indptr.dtype, labels.indices.dtype, labels.values.dtype
    assert dtypes == (np.int64, np.int32, np.int8)


# Every form says the same.


def with_none(Y):
    return np.where(np.isnan(Y), None, Y.astype(object))


def with_na(Y):
    return np.where(np.isnan(Y), pd.NA, np.nan_to_num(Y).astype(int).astype(object))


def nullable(Y, dtype):
    return pd.DataFrame(np.nan_to_num(Y)).astype(dtype).mask(np.isnan(Y))


def masked(Y):
    # What stands under the mask is no label at all.
    return np.ma.array(np.where(np.isnan(Y), 7, Y), mask=np.isnan(Y))


def raw_sparse(Y, missing=-1.0, kind=sp.csr_array):
    return kind(np.where(np.isnan(Y), missing, Y))


def confirmed(Y, kind=sp.coo_array):
    """Return labeled cells as a sparse matrix, negatives as stored zeros."""
    rows, cols = np.nonzero(~np.isnan(Y))
    return kind(sp.coo_array((Y[rows, cols], (rows, cols)), shape=Y.shape))


FORMS = {
    "float64": lambda Y: Y,
    "float32": lambda Y: Y.astype(np.float32),
    "float16": lambda Y: Y.astype(np.float16),
    "int8 sentinel": lambda Y: np.where(np.isnan(Y), -1, Y).astype(np.int8),
    "int64 sentinel": lambda Y: np.where(np.isnan(Y), -1, Y).astype(np.int64),
    "fortran": np.asfortranarray,
    "view": lambda Y: np.repeat(Y, 2, axis=1)[:, ::2],
    "list": lambda Y: Y.tolist(),
    "tuple of arrays": lambda Y: tuple(Y),
    "object None": with_none,
    "object NA": with_na,
    "object of every number": lambda Y: np.array(
        [
            [
                np.float32(v) if v != v else [True, 1, 1.0, np.int8(1)][j % 4] * v
                for j, v in enumerate(row)
            ]
            for row in Y
        ],
        dtype=object,
    ).reshape(Y.shape),
    "frame": pd.DataFrame,
    "frame Int8": lambda Y: nullable(Y, "Int8"),
    "frame boolean": lambda Y: nullable(Y, "boolean"),
    "frame Float32": lambda Y: nullable(Y, "Float32"),
    "frame object": lambda Y: pd.DataFrame(with_na(Y)),
    "frame of mixed dtypes": lambda Y: pd.DataFrame(
        {
            j: nullable(Y, "Int8")[j] if j % 2 else pd.Series(Y[:, j])
            for j in range(Y.shape[1])
        }
    ),
    "numpy.ma": masked,
    "numpy.ma object": lambda Y: np.ma.array(
        np.where(np.isnan(Y), "junk", Y.astype(object)), mask=np.isnan(Y)
    ),
    "sparse -1": raw_sparse,
    "sparse NaN": lambda Y: raw_sparse(Y, NAN),
    "sparse int8": lambda Y: raw_sparse(Y).astype(np.int8),
    "MaskedLabels": MaskedLabels.from_dense,
    "array of row views": lambda Y: np.asarray(stored_negative(Y)),
    "list of row views": lambda Y: list(MaskedLabels.from_dense(Y)),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@given(Y=label_arrays(min_rows=1))
@settings(max_examples=20, deadline=None)
def test_check_labels_reads_every_form(form, Y):
    assert_says(check_labels(form(Y)), Y)


SPARSE_KINDS = [
    getattr(sp, f"{name}_{kind}")
    for name in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")
    for kind in ("array", "matrix")
]


@pytest.mark.parametrize("kind", SPARSE_KINDS, ids=lambda kind: kind.__name__)
def test_raw_sparse_of_every_format_is_read_as_scikit_learn_reads_it(kind):
    # By the block, a bsr matrix stores zeros that are none of scikit-learn's.
    y = raw_sparse(Y[:, :2])
    y = y.tobsr(blocksize=(1, 1)) if kind.__name__.startswith("bsr") else kind(y)
    labels = check_labels(y)
    assert labels.fill == "negative"
    assert_says(labels, Y[:, :2])


@pytest.mark.parametrize("kind", SPARSE_KINDS, ids=lambda kind: kind.__name__)
def test_from_sparse_keeps_confirmed_negatives_or_refuses_the_format(kind):
    if "dia" in kind.__name__:
        y = kind(confirmed(Y))
        with pytest.raises(ValueError, match="got dia, which stores zeros that mean"):
            MaskedLabels.from_sparse(y, implicit="unlabeled")
        return
    y = confirmed(Y, lambda y: y.tobsr((1, 1)) if "bsr" in kind.__name__ else kind(y))
    labels = MaskedLabels.from_sparse(y, implicit="unlabeled")
    assert labels.fill == "unlabeled"
    assert_says(labels, Y)


def test_from_sparse_refuses_padding_as_negatives():
    y = sp.bsr_array(np.eye(4), blocksize=(2, 2))
    with pytest.raises(ValueError) as caught:
        MaskedLabels.from_sparse(y, implicit="unlabeled")
    assert str(caught.value) == (
        '`y` with implicit="unlabeled" accepts sparse formats that store single cells, '
        "since a stored 0 is a negative; got bsr, which stores zeros that mean "
        "nothing. Build it as a coo_array or csr_array."
    )
    assert_says(MaskedLabels.from_sparse(y, implicit="negative"), np.eye(4))


def test_sparse_boolean_and_unsigned_are_indicator_matrices():
    for dtype in (bool, np.uint8, np.int64, np.float32):
        assert_says(check_labels(sp.csc_array(np.eye(3)).astype(dtype)), np.eye(3))


def test_from_sparse_reads_one_matrix_in_two_ways():
    y = sp.csr_array(
        ([1.0, 0.0, -1.0, NAN], ([0, 0, 1, 1], [0, 1, 0, 2])), shape=(2, 3)
    )
    negative = MaskedLabels.from_sparse(y, implicit="negative")
    unlabeled = MaskedLabels.from_sparse(y, implicit="unlabeled")
    assert_says(negative, np.array([[1, 0, 0], [NAN, 0, NAN]]))
    assert_says(unlabeled, np.array([[1, 0, NAN], [NAN, NAN, NAN]]))


def test_sparse_labels_do_not_share_memory_with_the_matrix():
    for kind in (sp.csr_array, sp.coo_array):
        y = kind(np.eye(3))
        labels = check_labels(y)
        y.data[:] = 0
        assert_says(labels, np.eye(3))


def test_many_blocks_of_rows_read_as_one():
    Y = np.random.default_rng(0).choice([0, 1, NAN], size=(1200, 1000))
    W = np.random.default_rng(1).choice([0, 0.5, 2], size=Y.shape)
    labels = MaskedLabels.from_dense(Y, weights=W)
    np.testing.assert_array_equal(labels.to_dense(), np.where(W == 0, NAN, Y))
    cells = labels.cells()
    np.testing.assert_array_equal(cells.weights, W[cells.rows, cells.cols])
    Y[1100, 7] = 3
    with pytest.raises(ValueError, match=r"got 3.0 at sample 1100, label 7\. A col"):
        check_labels(Y)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
@pytest.mark.parametrize("build", BUILD.values(), ids=BUILD.keys())
def test_empty_labels_are_labels(shape, build):
    labels = build(np.empty(shape))
    assert_says(labels, np.empty(shape))
    blocks = [rows.stop - rows.start for rows, _ in labels.iter_cells()]
    assert sum(blocks) == shape[0]
    assert labels[:].shape == shape


def test_names_come_from_the_columns_of_a_frame():
    labels = check_labels(pd.DataFrame(Y, columns=["a", "b", "c"]))
    assert labels.label_names.tolist() == ["a", "b", "c"]
    assert check_labels(pd.DataFrame(Y)).label_names is None


# Round trips, whichever cells are stored.


@given(Y=label_arrays(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_both_fills_are_equal_in_everything(Y, data):
    one, other = MaskedLabels.from_dense(Y), stored_negative(Y)
    assert (one.fill, other.fill) == ("unlabeled", "negative")
    assert one == other and other == one
    assert_says(one, Y)
    assert_says(other, Y)
    assert repr(one) == repr(other)
    for labels in (one, other):
        again = MaskedLabels.from_sparse(labels.to_sparse(), implicit=labels.fill)
        assert again == labels and again.fill == labels.fill
        assert MaskedLabels.from_frame(labels.to_frame()) == labels
        assert MaskedLabels.from_dense(labels.to_dense()) == labels
        cells = labels.cells()
        assert MaskedLabels.from_cells(*cells[:3], shape=labels.shape) == labels
        long = MaskedLabels.from_frame(
            labels.to_frame(long=True),
            sample="sample",
            label="label",
            value="value",
            sample_ids=range(len(Y)),
            label_names=range(Y.shape[1]),
        )
        assert long.with_label_names(range(Y.shape[1])) == long
        assert_says(long, Y)
        if len(Y):
            assert check_labels(np.asarray(labels)) == labels
            rows = data.draw(st.lists(st.integers(-len(Y), len(Y) - 1)))
            assert_says(labels[rows], Y[rows])
        cols = data.draw(st.permutations(range(Y.shape[1])))
        assert_says(labels[:, cols], Y[:, cols])
    if Y.size:
        Y = Y.copy()
        Y[-1, -1] = 0 if np.isnan(Y[-1, -1]) else NAN
        assert one != stored_negative(Y) and other != stored_negative(Y)
        assert one != MaskedLabels.from_dense(Y) and other != MaskedLabels.from_dense(Y)


@given(Y=label_arrays(), max_cells=st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_iter_cells_gives_whole_rows_in_order(Y, max_cells):
    for build in BUILD.values():
        labels = build(Y)
        found, end = [], 0
        for rows, cells in labels.iter_cells(max_cells):
            assert rows.start == end < rows.stop
            end = rows.stop
            assert len(cells.rows) <= max_cells or rows.stop - rows.start == 1
            found += [(i + rows.start, j, value) for i, j, value in listed(cells)]
        assert end == len(Y)
        assert found == cells_of(Y)


def test_cells_have_the_dtypes_that_metrics_expect(labels):
    cells = labels.cells()
    assert isinstance(cells, Cells) and cells.weights is None
    dtypes = cells.rows.dtype, cells.cols.dtype, cells.values.dtype
    assert dtypes == (np.intp, np.intp, np.int8)


def test_weights_of_stored_negative_labels_are_those_of_their_cells():
    plain = MaskedLabels.from_dense(Y, weights=np.where(Y == 1, 2.5, 1))
    stored = stored_negative(Y)
    weights = np.where(stored.values == 1, 2.5, 9)
    labels = MaskedLabels(
        stored.indptr,
        stored.indices,
        stored.values,
        Y.shape,
        fill="negative",
        weights=weights,
    )
    np.testing.assert_array_equal(labels.cells().weights, plain.cells().weights)
    assert labels == plain and plain == labels
    assert labels != stored and stored != labels
    assert labels.without_weights() == stored
    # What weighs an unlabeled cell makes no difference.
    other = MaskedLabels(
        stored.indptr,
        stored.indices,
        stored.values,
        Y.shape,
        fill="negative",
        weights=np.where(stored.values == 1, 2.5, 4),
    )
    assert labels == other


# Brackets.

SELECTIONS = {
    "list": [2, 0],
    "repeated": [1, 1, 2],
    "negative": [-1, -4],
    "array": np.array([3, 1]),
    "uint8": np.array([3, 1], dtype=np.uint8),
    "empty list": [],
    "slice": slice(1, 3),
    "backwards": slice(None, None, -1),
    "every second": slice(None, None, 2),
    "nothing": slice(3, 1),
    "past the end": slice(2, 99),
    "booleans": np.array([True, False, True, False]),
    "list of booleans": [False, True, False, True],
    "Series": pd.Series([2, 3], index=[7, 8]),
    "Series of booleans": pd.Series([True, False, False, True]),
}


@pytest.mark.parametrize("rows", SELECTIONS.values(), ids=SELECTIONS.keys())
def test_rows_are_taken_as_numpy_takes_them(labels, rows):
    expected = Y[rows if isinstance(rows, slice) or len(rows) else np.empty(0, int)]
    for taken in (labels[rows], labels[rows, ...]):
        assert isinstance(taken, MaskedLabels) and taken.fill == labels.fill
        assert_says(taken, expected)


@pytest.mark.parametrize(
    ("cols", "expected"),
    [
        ([2, 0], [2, 0]),
        ([-1], [2]),
        (slice(1, None), [1, 2]),
        (slice(None, None, -1), [2, 1, 0]),
        (np.array([True, False, True]), [0, 2]),
        (["c", "a"], [2, 0]),
        (np.array(["b", "c"]), [1, 2]),
        (pd.Index(["b", "c"]), [1, 2]),
        (["b", 0], [1, 0]),
        ("b", [1]),
        (1, [1]),
        ([], []),
    ],
)
def test_labels_are_taken_by_position_or_name(labels, cols, expected):
    labels = labels.with_label_names(["a", "b", "c"])
    taken = labels[[0, 2, 3], cols]
    assert_says(taken, Y[[0, 2, 3]][:, expected])
    assert taken.label_names.tolist() == [["a", "b", "c"][j] for j in expected]
    assert taken.fill == labels.fill


def test_one_cell_is_a_number(labels):
    labels = labels.with_label_names(["a", "b", "c"])
    for i in range(-4, 4):
        for j, name in enumerate("abc"):
            values = labels[i, j], labels[i, name], labels[np.int64(i), np.int8(j - 3)]
            np.testing.assert_array_equal(values, [Y[i, j]] * 3)
            assert all(type(value) is float for value in values)


def test_one_row_is_a_view(labels):
    row = labels[2]
    assert isinstance(row, LabelRow) and len(row) == 3
    np.testing.assert_array_equal(row.to_dense(), Y[2])
    some = labels[-1, [1, 0]]
    assert isinstance(some, LabelRow)
    np.testing.assert_array_equal(some.to_dense(), Y[-1, [1, 0]])
    assert repr(row) == "LabelRow(0: 0, 1: 1, 2: 1)"
    assert repr(labels.with_label_names(list("abc"))[0]) == "LabelRow(a: 1, c: 0)"
    wide = check_labels(np.ones((1, 9)))[0]
    assert repr(wide).endswith("6: 1, 7: 1, ...)")
    assert row == labels[[2]][0] and row != labels[0] and row != 3
    same, other = row == row, row != labels[[2]][0]  # noqa: PLR0124
    assert same and not other
    assert [(row.position, len(row)) for row in labels[[0, 2]]] == [(0, 3), (1, 3)]


def test_slices_keep_weights_and_names():
    W = np.arange(1.0, 13).reshape(Y.shape)
    labels = MaskedLabels.from_dense(Y, weights=W, label_names=["a", "b", "c"])
    for taken, rows, cols in [
        (labels[[3, 0]], [3, 0], [0, 1, 2]),
        (labels[1:], [1, 2, 3], [0, 1, 2]),
        (labels[[0, 2], ["c", "a"]], [0, 2], [2, 0]),
    ]:
        cells = taken.cells()
        expected = W[np.ix_(rows, cols)][cells.rows, cells.cols]
        np.testing.assert_array_equal(cells.weights, expected)
        assert taken.label_names.tolist() == [["a", "b", "c"][j] for j in cols]
    assert repr(labels).endswith("negative, weighted)")


BAD_KEYS = {
    "row past the end": (4, "row 4 is out of range for 4 rows."),
    "row before the start": (-5, "row -5 is out of range for 4 rows."),
    "list past the end": ([0, 9], "row 9 is out of range for 4 rows."),
    "list before the start": ([0, -9], "row -9 is out of range for 4 rows."),
    "label past the end": ((0, 3), "label 3 is out of range for 3 labels."),
    "labels past the end": (([0], [0, 5]), "label 5 is out of range for 3 labels."),
    "mixed past the end": (([0], ["a", 5]), "label 5 is out of range for 3 labels."),
    "few booleans": (
        [True, False],
        "a boolean selection of rows must have 4 entries; got 2.",
    ),
    "floats": ([0.0, 1.0], "rows accept integers or booleans; got float64."),
    "two dimensions": ([[0, 1]], "rows accept a 1-D selection; got 2 dimensions."),
    "a truth value": (True, "rows accept a 1-D selection; got 0 dimensions."),
    "unknown name": (
        (0, "z"),
        "no label is named 'z'; the first names are ['a', 'b', 'c'].",
    ),
    "unknown names": (
        ([0], ["a", "z"]),
        "no label is named 'z'; the first names are ['a', 'b', 'c'].",
    ),
    "None": (
        None,
        "MaskedLabels accept `rows` or `(rows, cols)`: an int, a list, a slice, or an "
        "integer or boolean array of each; got None.",
    ),
    "a name": (
        "a",
        "MaskedLabels accept `rows` or `(rows, cols)`: an int, a list, a slice, or an "
        "integer or boolean array of each; got 'a'.",
    ),
    "three": (
        (0, 1, 2),
        "MaskedLabels accept `rows` or `(rows, cols)`: an int, a list, a slice, or an "
        "integer or boolean array of each; got (0, 1, 2).",
    ),
}


@pytest.mark.parametrize(("key", "message"), BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_bad_keys_raise_index_errors(labels, key, message):
    with pytest.raises(IndexError) as caught:
        labels.with_label_names(["a", "b", "c"])[key]
    assert str(caught.value) == message


def test_names_of_nameless_labels_raise(labels):
    with pytest.raises(IndexError) as caught:
        labels[:, "a"]
    assert str(caught.value) == "no label is named 'a'; none has a name."


# The rest of the protocol.


def test_repr_counts(labels):
    assert repr(labels) == (
        "MaskedLabels(4 x 3, 6 labeled cells: 3 positive, 3 negative)"
    )
    assert repr(labels[[3]]) == (
        "MaskedLabels(1 x 3, 1 labeled cell: 0 positive, 1 negative)"
    )


def test_equality_is_one_bool_and_minds_weights_names_and_shape(labels):
    assert labels == labels[:] and not labels != labels[:]
    assert labels != labels[:3]
    assert labels != labels.with_label_names(["a", "b", "c"])
    assert labels.with_label_names(list("abc")) == labels.with_label_names(list("abc"))
    assert labels.with_label_names(list("abc")) != labels.with_label_names(list("abd"))
    ones = MaskedLabels.from_dense(Y, weights=np.ones(Y.shape))
    assert labels == ones, "a weight of 1 is what a cell weighs without weights"
    assert labels != MaskedLabels.from_dense(Y, weights=np.full(Y.shape, 2))
    for other in (None, 3, Y, Y.tolist()):
        assert (labels == other) is False
        assert (labels != other) is True


def test_arithmetic_with_arrays_raises_type_errors(labels):
    for operation in (np.add, np.multiply, np.greater, np.equal):
        with pytest.raises(TypeError, match="does not support ufuncs"):
            operation(np.ones(Y.shape), labels)
    with pytest.raises(TypeError):
        labels + 1
    with pytest.raises(TypeError, match="unhashable type: 'MaskedLabels'"):
        hash(labels)


def test_everything_is_read_only(labels):
    labels = MaskedLabels.from_dense(
        Y, weights=np.ones(Y.shape), label_names="a b c".split()
    )
    for twin in (labels, pickle.loads(pickle.dumps(labels)), labels[1:], labels[[0]]):
        for name in ("indptr", "indices", "values", "weights", "label_names"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(twin, name)[0] = 0
    labels.n_positive[:] = 9
    assert labels.n_positive.tolist() == [1, 1, 1]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_and_copies_are_equal(labels, protocol):
    labels = labels.with_label_names(["a", "b", "c"])
    assert labels.n_cells == 6
    for twin in (
        pickle.loads(pickle.dumps(labels, protocol)),
        copy.copy(labels),
        copy.deepcopy(labels),
    ):
        assert twin == labels and twin.fill == labels.fill
        assert_says(twin, Y)
    row = pickle.loads(pickle.dumps(labels[2], protocol))
    assert row == labels[2]


def test_to_frame_wide_and_long(labels):
    wide = labels.with_label_names(list("abc")).to_frame(sample_ids=list("wxyz"))
    expected = pd.DataFrame(
        Y, index=list("wxyz"), columns=np.array(list("abc"), object)
    ).astype("Int8")
    pd.testing.assert_frame_equal(wide, expected, check_column_type=False)
    long = labels.to_frame(long=True)
    assert list(long.itertuples(index=False, name=None)) == cells_of(Y)
    assert list(long.columns) == ["sample", "label", "value"]
    with pytest.raises(ValueError) as caught:
        labels.to_frame(sample_ids=["x"])
    assert str(caught.value) == "`sample_ids` must name the 4 samples; got 1."


def test_to_sparse_stores_confirmed_negatives(labels):
    y = labels.to_sparse()
    assert y.format == "csr" and y.dtype == np.float64
    assert y.nnz == {"unlabeled": 6, "negative": 9}[labels.fill]
    y.data[:] = 5  # a copy
    y.indices[:] = 0
    assert_says(labels, Y)


def test_with_label_names_checks_them(labels):
    for names, message in [
        (["a"], "`label_names` must name the 3 labels; got 1 names."),
        (["a", "b", "a"], "`label_names` must all differ; got 'a' twice."),
    ]:
        with pytest.raises(ValueError) as caught:
            labels.with_label_names(names)
        assert str(caught.value) == message
    with pytest.raises(TypeError) as caught:
        labels.with_label_names("abc")
    assert str(caught.value) == (
        "`label_names` accepts a sequence of names; got the string 'abc'."
    )
    assert labels.with_label_names(None).label_names is None
    tuples = [("news", 1), ("news", 2), ("sport", 1)]
    assert labels.with_label_names(tuples)[:, [("sport", 1)]].n_labels == 1
