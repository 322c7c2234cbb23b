"""Which names and ids data have, and where they agree."""

import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from sklearn_masked.exceptions import RowOrderWarning
from sklearn_masked.labels import MaskedLabels, check_labels
from sklearn_masked.labels.names import (
    check_same_names,
    check_same_rows,
    column_names,
    entry_names,
    is_table,
)

VALUES = [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (pd.DataFrame(VALUES, columns=["war", "crime"]), ["war", "crime"]),
        (pd.DataFrame(VALUES, columns=[7, 3]), [7, 3]),
        (pd.DataFrame(VALUES, columns=["war", 3]), ["war", 3]),
        (pd.DataFrame(VALUES, columns=[1, 0]), [1, 0]),
        (pd.DataFrame(VALUES, columns=[1, 2]), [1, 2]),
        (pd.DataFrame(VALUES, columns=[False, True]), [False, True]),
        (pd.DataFrame(VALUES), None),
        (
            pd.DataFrame(VALUES, columns=pd.MultiIndex.from_product([["a"], [1, 2]])),
            [("a", 1), ("a", 2)],
        ),
        (pl.DataFrame(VALUES, schema=["war", "crime"], orient="row"), ["war", "crime"]),
        (pa.table({"war": [1, 0], "crime": [0, 1]}), ["war", "crime"]),
        (pl.LazyFrame({"war": [1, 0]}), None),
        (pd.Series([1, 0], index=["war", "crime"]), None),
        (np.array(VALUES), None),
        (sp.csr_array(VALUES), None),
        (VALUES, None),
        (None, None),
    ],
)
def test_column_names(data, names):
    assert column_names(data) == names
    if names is not None:
        assert is_table(data)
        labels = check_labels(data)
        assert labels.label_names.tolist() == names
        np.testing.assert_array_equal(labels.to_dense(), VALUES)


def test_names_are_pythons_own_numbers():
    labels = check_labels(pd.DataFrame(VALUES, columns=np.array([7, 3])))
    assert [type(name) for name in labels.label_names] == [int, int]


def test_entry_names():
    assert entry_names(pd.Series([1, 2], index=["war", "crime"])) == ["war", "crime"]
    assert entry_names(pd.Series([1, 2])) is None
    assert entry_names(np.array([1, 2])) is None
    assert entry_names({"war": 1}) is None


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (None, ["a", "b"]),
        (["a", "b"], None),
        ([10, 20], None),
        (["a", "b"], np.array(["a", "b"], dtype=object)),
        ([1, 2.0], [1.0, 2]),
        (["a", float("nan")], ["a", float("nan")]),
    ],
)
def test_names_that_agree(names, known):
    check_same_names(names, known, "y", "the model")


@pytest.mark.parametrize(
    ("names", "known", "difference"),
    [
        (["b", "a"], ["a", "b"], "label 0 is 'b' and must be 'a'. Select by name in"),
        (
            ["a", "c"],
            ["a", "b"],
            "label 1 is 'c' and must be 'b'. 'c' is none of them.",
        ),
        (["a"], ["a", "b"], "label 1, 'b', is missing."),
        (["a", "b"], ["a"], "label 1, 'b', is one more than the 1 there."),
        (["1", "0"], [1, 0], "label 0 is '1' and must be 1. '1' is none of them."),
        ([1, 0], None, "label 0 is 1 and must be 0. Select by name in that order"),
    ],
)
def test_names_that_differ(names, known, difference):
    with pytest.raises(ValueError) as caught:
        check_same_names(names, known, "y", "the model")
    start = "`y` must have the labels of the model, in the same order; "
    assert str(caught.value).startswith(start + difference)


DAYS = pd.date_range("2026-01-01", periods=3)


@pytest.mark.parametrize(
    ("index", "others"),
    [
        (list("abc"), list("cab")),
        ([3, 5, 9], [9, 3, 5]),
        ([1, 1, 2], [1, 2, 1]),
        (DAYS, DAYS[::-1]),
        (pd.MultiIndex.from_tuples([(1, "a"), (1, "b")]), [(1, "b"), (1, "a")]),
        (pd.CategoricalIndex(list("abc")), list("cba")),
        ([1, "a"], ["a", 1]),
    ],
)
def test_row_ids_in_another_order_warn(index, others):
    X, y = pd.DataFrame(index=index), pd.Series(0, index=others)
    with pytest.warns(RowOrderWarning, match="`X` and `y` have the same row index"):
        check_same_rows(X=X, y=y)


@pytest.mark.parametrize(
    ("index", "others"),
    [
        (list("abc"), list("abc")),
        (list("abc"), list("abd")),
        (list("abc"), [0, 1, 2]),
        (list("abc"), DAYS),
        (DAYS, DAYS.tz_localize("UTC")),
        ([1, 1, 2], [1, 2, 2]),
        (list("aab"), list("abb")),
        (list("ab"), list("abc")),
        ([], []),
        # What is missing equals nothing.
        ([pd.NA, 1], [1, pd.NA]),
        (pd.Index([pd.NA, 1], dtype="Int64"), pd.Index([1, pd.NA], dtype="Int64")),
    ],
)
def test_row_ids_that_say_nothing_of_the_order(index, others):
    check_same_rows(X=pd.Series(0, index=index), y=pd.Series(0, index=others))


def test_a_pivoted_frame_is_told_from_its_rows():
    votes = pd.DataFrame({"id": ["b", "a"], "topic": ["war", "war"], "yes": [1.0, 0.0]})
    y = votes.pivot(index="id", columns="topic", values="yes")
    X = pd.DataFrame({"length": [1, 2]}, index=["b", "a"])
    with pytest.warns(RowOrderWarning, match="row 0 is 'b' and 'a'"):
        check_same_rows(X=X, y=MaskedLabels.from_frame(y))
    check_same_rows(X=X, y=MaskedLabels.from_frame(y.loc[X.index]))


def test_no_table_is_imported():
    code = (
        "import sys, sklearn_masked.annotation, sklearn_masked.plotting, "
        "sklearn_masked.labels.names; "
        "print({'polars', 'pyarrow'} & set(sys.modules))"
    )
    block = "import sys; sys.modules['pandas'] = None; "  # which imports pyarrow
    done = subprocess.run(
        [sys.executable, "-c", block + code], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
