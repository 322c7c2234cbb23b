"""What check_labels and check_binary_labels refuse, word for word, and weights."""

import datetime

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from builders import message_of

from sklearn_masked.labels import (
    MaskedLabels,
    cell_weights,
    check_binary_labels,
    check_labels,
    check_sample_weight,
)

NAN = np.nan
WORDS = (
    " Map words to 1 and 0 first, as y.replace({'yes': 1, 'no': 0}) does; a column of "
    "ids is no label: leave it out, or make it the index."
)
ACCEPTED = "`y` accepts 1, 0, and NaN, -1 or None in unlabeled cells"
TWO = (
    " A 2 can come from scikit-learn's cross_val_predict, which recodes -1, 0 and 1 to "
    "0, 1 and 2: use sklearn_masked.model_selection.cross_val_predict."
)
LABELS = MaskedLabels.from_dense([[1, NAN], [0, 1]])
IDS = (
    " A column of ids or counts is no label: leave it out, or, in a data frame, make "
    "it the index."
)
SOFT = " For probabilities pass MaskedLabels.from_dense(y, soft=True)."


CELLS = {
    "two": ([[0, 1], [1, 2]], "2 at sample 1, label 1." + IDS),
    "two of those recoded": ([[0, 1], [2, 2]], "2 at sample 1, label 0." + TWO),
    "two as a float": (np.array([[0, 2.0]]), "2.0 at sample 0, label 1." + IDS),
    "two in a frame": (pd.DataFrame({"a": [0, 2]}), "2.0 at sample 1, label 0." + IDS),
    "two in sparse": (sp.csr_array([[0, 2]]), "2 at sample 0, label 1." + IDS),
    "two among objects": ([[None, 2]], "2 at sample 0, label 1." + IDS),
    "half": ([[0.5]], "0.5 at sample 0, label 0." + SOFT),
    "minus two": ([[-2, 1]], "-2 at sample 0, label 0."),
    "infinity": ([[1, -np.inf]], "-inf at sample 0, label 1."),
    "nearly one": ([[1 - 1e-12]], "0.999999999999 at sample 0, label 0." + SOFT),
    "huge": ([[1, 10**400]], f"{10**400} at sample 0, label 1." + IDS),
    "unsigned": (np.array([[255]], dtype=np.uint8), "255 at sample 0, label 0." + IDS),
    "string": (np.array([["1", "0"]]), "'1' at sample 0, label 0." + WORDS),
    "string in a list": ([[1, "1"]], "'1' at sample 0, label 1." + WORDS),
    "string nan": ([[None, "nan"]], "'nan' at sample 0, label 1." + WORDS),
    "date": (
        np.array([["2026-01-01"]], dtype="datetime64[D]"),
        f"{datetime.date(2026, 1, 1)!r} at sample 0, label 0.",
    ),
    "missing date": ([[1, pd.NaT]], "NaT at sample 0, label 1."),
    "complex object": ([[None, 1j]], "1j at sample 0, label 1."),
    "first of several": ([[1, 0], [3, 0], [1, 4]], "3 at sample 1, label 0." + IDS),
    "under no mask": (
        np.ma.array([[5, 5]], mask=[[1, 0]]),
        "5 at sample 0, label 1." + IDS,
    ),
    "sparse half": (sp.coo_array([[0, 0.5]]), "0.5 at sample 0, label 1." + SOFT),
    "first of a csc": (
        sp.csc_array([[0, 0, 3.0], [4.0, 0, 0]]),
        "3.0 at sample 0, label 2." + IDS,
    ),
}


@pytest.mark.parametrize(("y", "found"), CELLS.values(), ids=CELLS.keys())
def test_a_strange_cell_is_named(y, found):
    assert message_of(ValueError, check_labels, y) == f"{ACCEPTED}; got {found}"


DIMENSIONS = "`y` must be 2-D, (n_samples, n_labels)"
FORMS = {
    "1-D": ([1, 0], f"{DIMENSIONS}; got shape (2,). For one label pass y[:, None]."),
    "empty": ([], f"{DIMENSIONS}; got shape (0,). For one label pass y[:, None]."),
    "Series": (
        pd.Series([1, None], dtype="Int8"),
        f"{DIMENSIONS}; got shape (2,). For one label pass y[:, None].",
    ),
    "1-D masked": (
        np.ma.array([1, 0]),
        f"{DIMENSIONS}; got shape (2,). For one label pass y[:, None].",
    ),
    "3-D": (np.zeros((2, 2, 2)), f"{DIMENSIONS}; got shape (2, 2, 2)."),
    "None": (None, f"{DIMENSIONS}; got shape ()."),
    "number": (3, f"{DIMENSIONS}; got shape ()."),
    "ragged": (
        [[1, 0], [1]],
        f"{DIMENSIONS}, its rows equally long; got rows of unequal lengths.",
    ),
    "complex": (np.ones((1, 1)) * 1j, f"Complex data not supported: {ACCEPTED}."),
    "complex sparse": (
        sp.csr_array([[1j]]),
        f"Complex data not supported: {ACCEPTED}; got a sparse matrix of complex128.",
    ),
    "one row": (
        LABELS[0],
        f"{DIMENSIONS}; got one row of MaskedLabels. Take it as `labels[[i]]`.",
    ),
    "rows and more": (
        [LABELS[0], [1, 0]],
        "`y` mixes rows of MaskedLabels with something else; pass MaskedLabels.",
    ),
    "more and rows": (
        [None, LABELS[0]],
        "`y` mixes rows of MaskedLabels with something else; pass MaskedLabels.",
    ),
    "rows of two widths": (
        [LABELS[0], LABELS[:, [0]][0]],
        "`y` mixes rows of MaskedLabels of other labels: their number and "
        "`label_names` must agree.",
    ),
    "rows of other names": (
        [LABELS[0], LABELS.with_label_names(["a", "b"])[0]],
        "`y` mixes rows of MaskedLabels of other labels: their number and "
        "`label_names` must agree.",
    ),
    "columns of one name": (
        pd.DataFrame([[1, 0]], columns=["a", "a"]),
        "`label_names` must all differ; got 'a' twice.",
    ),
}


@pytest.mark.parametrize(("y", "message"), FORMS.values(), ids=FORMS.keys())
def test_a_strange_form_is_refused(y, message):
    assert message_of(ValueError, check_labels, y) == message


def test_expected_numbers_of_rows_and_labels():
    assert check_labels(LABELS, n_samples=2, n_labels=2) is LABELS
    assert message_of(ValueError, check_labels, LABELS, n_samples=3) == (
        "`y` must have 3 rows; got 2."
    )
    assert message_of(ValueError, check_labels, [[1, 0, 1]], n_labels=2) == (
        "`y` must have 2 labels; got 3."
    )


EXPLICIT_ZERO = (
    "`y` is sparse and stores an explicit zero at sample {}, label {}, so cells that "
    "are not stored may be negative or unlabeled. Say which: "
    'MaskedLabels.from_sparse(y, implicit="negative") or '
    'MaskedLabels.from_sparse(y, implicit="unlabeled").'
)


@pytest.mark.parametrize("kind", ["coo", "csr", "csc", "lil"])
def test_raw_sparse_with_an_explicit_zero_is_ambiguous(kind):
    y = sp.coo_array(([1.0, 0.0, 0.0], ([0, 1, 2], [2, 1, 0])), shape=(3, 3))
    message = message_of(ValueError, check_labels, y.asformat(kind))
    assert message == EXPLICIT_ZERO.format(1, 1)
    assert MaskedLabels.from_sparse(y, implicit="negative").n_cells == 9
    assert MaskedLabels.from_sparse(y, implicit="unlabeled").n_cells == 3


@pytest.mark.parametrize("implicit", [None, "negative", "unlabeled"])
@pytest.mark.parametrize("values", [[1.0, -1.0], [1.0, 1.0], [0.0, NAN]])
def test_cells_that_are_stored_twice_raise_before_they_are_added(implicit, values):
    # 1 and -1 would add up to a stored 0: a negative that nobody said.
    coo = sp.coo_array((values, ([2, 2], [1, 1])), shape=(3, 3))
    csr = sp.csr_array((values, [1, 1], [0, 0, 0, 2]), shape=(3, 3))
    csc = sp.csc_array((values, [2, 2], [0, 0, 2, 2]), shape=(3, 3))
    for y in (coo, csr, csc):
        stored = y.data.copy()
        call = check_labels
        kwargs = {}
        if implicit is not None:
            call, kwargs = MaskedLabels.from_sparse, {"implicit": implicit}
        assert message_of(ValueError, call, y, **kwargs) == (
            "`y` must store each cell once; sample 2, label 1 is stored twice."
        )
        np.testing.assert_array_equal(y.data, stored)


def test_from_sparse_takes_sparse_and_says_which():
    y = sp.csr_array(np.eye(2))
    assert message_of(ValueError, MaskedLabels.from_sparse, y, implicit="zero") == (
        '`implicit` accepts "negative" or "unlabeled"; got \'zero\'.'
    )
    assert message_of(
        TypeError, MaskedLabels.from_sparse, np.eye(2), implicit="negative"
    ) == (
        "`y` must be a scipy sparse matrix or array; got ndarray. For a dense one call "
        "MaskedLabels.from_dense."
    )
    with pytest.raises(TypeError, match="implicit"):
        MaskedLabels.from_sparse(y)


def test_what_passes_whole_passes_in_every_part():
    # Cells are judged alone: no column of one sort, no lack of zeros is refused.
    Y = np.array([[-1, -1], [1, -1], [0, 0], [1, 1]])
    for rows in ([0], [1], [2], [3], [0, 1], []):
        assert check_labels(Y[rows]) == check_labels(Y)[rows]


# 1-D y.


@pytest.mark.parametrize(
    ("y", "classes", "values"),
    [
        ([0, 1, 1], [0, 1], [0, 1, 1]),
        ([-1, 1, -1], [-1, 1], [0, 1, 0]),
        ([3.5, NAN, 7.0], [3.5, 7.0], [0, None, 1]),
        ([True, False, None], [False, True], [1, 0, None]),
        (["spam", None, "ham"], ["ham", "spam"], [1, None, 0]),
        (["spam", NAN, "ham"], ["ham", "spam"], [1, None, 0]),
        (np.array(["b", "a"]), ["a", "b"], [1, 0]),
        (pd.Series(["b", None, "a"], dtype="string"), ["a", "b"], [1, None, 0]),
        (pd.Series([1, None, 0], dtype="Int8"), [0, 1], [1, None, 0]),
        (pd.Categorical(["b", None, "a"]), ["a", "b"], [1, None, 0]),
        (np.ma.array([1, 9, 0], mask=[0, 1, 0]), [0, 1], [1, None, 0]),
        (np.ma.array([1.0, NAN, 0], mask=[0, 0, 1]), [1.0], [1, None, None]),
        ([1, 1], [1], [1, 1]),
        ([0, None], [0], [0, None]),
        ([-1, -1], [-1], [0, 0]),
        (["spam", None], ["spam"], [0, None]),
        ([NAN, NAN], [], [None, None]),
        ([], [], []),
    ],
)
def test_check_binary_labels_reads_two_values(y, classes, values):
    labels, found = check_binary_labels(y)
    assert found.tolist() == classes
    dense = [[NAN if value is None else value] for value in values]
    np.testing.assert_array_equal(labels.to_dense(), np.reshape(dense, (-1, 1)))
    assert labels.fill == "unlabeled" and labels.n_labels == 1


MINUS_ONE_AND_ZERO = (
    "Only binary classification is supported, and 1-D `y` holds -1 and 0: classes, or "
    "unlabeled entries beside negatives. If -1 means unlabeled, pass y[:, None]; if "
    "it is a class, name the two in other words."
)
THREE = (
    "Only binary classification is supported. 1-D `y` accepts two classes; got {}, "
    "beginning with {}. If -1 means unlabeled, pass y[:, None]; for one label a "
    "class, pass a 2-D `y`."
)
BINARY = {
    "minus one and zero": ([0, -1, 0], MINUS_ONE_AND_ZERO),
    "as floats": ([0.0, -1.0, NAN], MINUS_ONE_AND_ZERO),
    "as objects": ([0, -1, None], MINUS_ONE_AND_ZERO),
    "as Int8": (pd.Series([0, -1, None], dtype="Int8"), MINUS_ONE_AND_ZERO),
    "three": ([0, 1, -1], THREE.format(3, [-1, 0, 1])),
    "four": (["d", "c", "b", "a"], THREE.format(4, ["a", "b", "c"])),
    "continuous": (
        [0.5, 1.5, 2.5],
        "Unknown label type: continuous. `y` accepts two values in one dimension; got "
        "3.",
    ),
    "mix": (
        ["a", 1, None],
        "`y` accepts two values of one kind in one dimension; got a mix of ['int', "
        "'str'].",
    ),
    "2-D": ([[1, 0]], "1-D `y` expected, (n_samples,); got shape (1, 2)."),
    "ragged": (
        [[1, 0], [1]],
        f"{DIMENSIONS}, its rows equally long; got rows of unequal lengths.",
    ),
    "complex": ([1j, 2], f"Complex data not supported: {ACCEPTED}."),
}


@pytest.mark.parametrize(("y", "message"), BINARY.values(), ids=BINARY.keys())
def test_check_binary_labels_refuses_the_rest(y, message):
    assert message_of(ValueError, check_binary_labels, y) == message


# Weights beside y.


@pytest.mark.parametrize("fill", ["unlabeled", "negative"])
def test_cell_weights_multiply_and_ignore_unlabeled_cells(fill):
    Y = np.array([[1, NAN, 0], [NAN, 0, 1]])
    labels = check_labels(Y)
    if fill == "negative":
        labels = check_labels(sp.csr_array(np.where(np.isnan(Y), -1, Y)))
    cells = labels.cells()
    assert labels.fill == fill
    assert cell_weights(cells, None, Y.shape) is None
    assert cell_weights(cells, [2, 3], Y.shape).tolist() == [2, 2, 3, 3]
    W = np.where(np.isnan(Y), [[NAN], [-np.inf]], [[1, 2, 0], [4, 5, 6]])
    assert cell_weights(cells, W, Y.shape).tolist() == [1, 0, 5, 6]
    weighted = MaskedLabels.from_dense(Y, weights=[[10, NAN, 20], [NAN, 30, 40]])
    cells = weighted.cells()
    assert cell_weights(cells, None, Y.shape).tolist() == [10, 20, 30, 40]
    assert cell_weights(cells, W, Y.shape).tolist() == [10, 0, 150, 240]
    assert cell_weights(cells, [2, 0.5], Y.shape).tolist() == [20, 40, 15, 20]


SAMPLE_WEIGHTS = {
    "negative row": ([1, -1], "accepts finite numbers from 0; got -1.0 at sample 1."),
    "NaN row": ([NAN, 1], "accepts finite numbers from 0; got nan at sample 0."),
    "infinite row": (
        [1, np.inf],
        "accepts finite numbers from 0; got inf at sample 1.",
    ),
    "negative cell": (
        [[1, -9], [1, -2]],
        "accepts finite numbers from 0; got -2.0 at sample 1, label 1.",
    ),
    "NaN cell": (
        [[NAN, 1], [1, 1]],
        "accepts finite numbers from 0; got nan at sample 0, label 0.",
    ),
    "other length": (
        [1, 1, 1],
        "must have shape (2,), a weight a row, or (2, 2), a weight a cell; got (3,).",
    ),
    "a column": (
        [[1], [1]],
        "must have shape (2,), a weight a row, or (2, 2), a weight a cell; got (2, 1).",
    ),
    "strings": (["a", "b"], "accepts finite numbers from 0; got an array of <U1."),
    "complex": ([1j, 1], "accepts finite numbers from 0; got an array of complex128."),
    "objects": (
        [{}, 1],
        "accepts finite numbers from 0; got something that is no array of numbers.",
    ),
}


@pytest.mark.parametrize(
    ("weight", "message"), SAMPLE_WEIGHTS.values(), ids=SAMPLE_WEIGHTS.keys()
)
def test_bad_sample_weights_raise(weight, message):
    assert message_of(
        ValueError, cell_weights, LABELS.cells(), weight, LABELS.shape
    ) == ("`sample_weight` " + message)


def test_check_sample_weight_leaves_weights_of_cells_to_the_cells():
    weight = [[NAN, -1], [1, 2]]
    np.testing.assert_array_equal(check_sample_weight(weight, (2, 2)), weight)
    assert check_sample_weight([1, 0], (2, 2)).dtype == np.float64
