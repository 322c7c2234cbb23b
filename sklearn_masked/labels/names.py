"""Names of labels and ids of rows: where both sides have them, they must agree.

Names come from tables of pandas, polars and pyarrow, which are told by what they have
and never imported, from `MaskedLabels`, and from fitted estimators. What has no names
is matched by position.
"""

import itertools
import os
import sys
import warnings
from collections import Counter
from numbers import Integral
from typing import Any

import numpy as np

from .._typing import MatrixLike, Names
from ..exceptions import RowOrderWarning
from ._values import is_missing

_NONE = object()
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def is_table(data: Any) -> bool:
    """Return whether data is a two-dimensional table with named columns."""
    return table_columns(data) is not None


def table_columns(data: Any) -> list[Any] | None:
    """Return what pyarrow, polars or pandas call the columns of a table, or None."""
    if len(getattr(data, "shape", ())) != 2:  # a query that polars has not run warns
        return None
    columns = getattr(data, "column_names", None)
    if columns is None:
        columns = getattr(data, "columns", None)
    if columns is None or callable(columns):
        return None
    # Of a pandas Index, Python's own numbers and no numpy ones.
    return columns.tolist() if hasattr(columns, "tolist") else list(columns)


def column_names(table: Any) -> list[Any] | None:
    """Return the names of a table's columns as a list, or None.

    Names stay as they are: strings, integers, tuples of a MultiIndex, several kinds
    beside each other. Integers 0 to n - 1 in order, which a table has that got no
    names, are positions and not names.
    """
    columns = table_columns(table)
    return None if columns is None else _names_or_none(columns)


def row_names(table: Any) -> list[Any] | None:
    """Return the names of the rows of a pandas DataFrame as a list, or None."""
    if not hasattr(table, "iloc") or getattr(table, "ndim", None) != 2:
        return None
    return _names_or_none(table.index.tolist())


def entry_names(values: Any) -> list[Any] | None:
    """Return the names of the entries of a pandas Series as a list, or None."""
    if not hasattr(values, "iloc") or getattr(values, "ndim", None) != 1:
        return None
    return _names_or_none(values.index.tolist())


def check_same_names(
    names: Names, known: Names, parameter: str, of: str, what: str = "label"
) -> None:
    """Raise unless names agree with known ones, in set and in order.

    Every place where two things with names meet asks this function. None is without
    names, which agrees with everything: position decides. Against what has no names,
    the integers 0 to n - 1 in another order disagree, since they are its positions.
    """
    if names is None:
        return
    names = list(names)
    if known is None:
        if not _are_positions(names):
            return
        known = range(len(names))
    known = list(known)
    if names == known:
        return
    pairs = list(itertools.zip_longest(names, known, fillvalue=_NONE))
    places = (i for i, (a, b) in enumerate(pairs) if not _is_same(a, b))
    place = next(places, None)
    if place is not None:
        raise ValueError(
            f"`{parameter}` must have the {what}s of {of}, in the same order; "
            + _difference(*pairs[place], f"{what} {place}", known)
        )


def _difference(name, wanted, place, known):
    """Return the words for the first difference, and what to do about it."""
    if name is _NONE:
        return f"{place}, {wanted!r}, is missing."
    if wanted is _NONE:
        return f"{place}, {name!r}, is one more than the {len(known)} there."
    found = f"{place} is {name!r} and must be {wanted!r}."
    if name in known:
        return f"{found} Select by name in that order, or pass arrays without names."
    return f"{found} {name!r} is none of them."


def check_same_columns(
    data: Any, known: Names, parameter: str, of: str, what: str = "label"
) -> None:
    """Raise unless the columns of data, if it is a table, are the known names."""
    check_same_names(column_names(data), known, parameter, of, what)


def check_same_features(estimator: Any, X: MatrixLike, *, reset: bool) -> None:
    """Check names of features that scikit-learn leaves out: integers, and others.

    They are kept as `_feature_columns` if `reset`, else compared with those.
    """
    names = column_names(X)
    if names is not None and all(isinstance(name, str) for name in names):
        names = None
    if reset:
        estimator._feature_columns = names
    else:
        known = getattr(estimator, "_feature_columns", None)
        check_same_names(names, known, "X", "the fitted model", "feature")


def check_same_rows(*, sample_ids: Names = None, **given: Any) -> None:
    """Warn if two of the given have the same row ids in another order.

    Arguments without row ids are passed over; the warning names the user's line.
    """
    ids = {name: row_ids(data) for name, data in given.items()} | {
        "sample_ids": sample_ids
    }
    ids = [(name, index) for name, index in ids.items() if hasattr(index, "__len__")]
    for (name, index), (other, others) in itertools.combinations(ids, 2):
        if _is_another_order(index, others):
            pairs = enumerate(zip(_plain(index), _plain(others), strict=True))
            row, (a, b) = next(pair for pair in pairs if not _is_same(*pair[1]))
            warnings.warn(
                f"`{name}` and `{other}` have the same row index in another order "
                f"(row {row} is {a!r} and {b!r}), and rows are matched by position. If "
                "the index says which row is which, bring one into the order of the "
                "other, as `y.loc[X.index]` does; if the rows do stand in one order, "
                "give both the same index.",
                RowOrderWarning,
                stacklevel=_level_of_user(),
            )
            return


def _level_of_user():
    """Return the caller's `stacklevel` for the first frame outside the package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


def row_ids(data: Any) -> Any:
    """Return the ids of the rows of a pandas object or MaskedLabels, or None."""
    if hasattr(data, "iloc") and hasattr(data, "index"):
        return data.index
    return getattr(data, "_row_ids", None)


def _is_another_order(index, others):
    """Return whether two indexes hold the same ids, and not in the same order."""
    if index is others or len(index) != len(others) or not len(index):
        return False
    if hasattr(index, "equals") and index.equals(others):
        return False
    # Most indexes that differ hold other ids, which one look tells in any size.
    if not (_holds(others, index[0]) and _holds(index, others[0])):
        return False
    index, others = np.asarray(index), np.asarray(others)
    if index.dtype.kind in "iu" and others.dtype.kind in "iu":
        same, alike = np.array_equal(index, others), np.sort(index) == np.sort(others)
        return bool(not same and alike.all())
    index, others = index.tolist(), others.tolist()
    try:
        return index != others and Counter(index) == Counter(others)
    except TypeError:  # pandas' NA, which equals nothing and is no truth
        return False


def _holds(ids, one):
    """Return whether ids hold one of them; of a tuple or NaN, whether they may."""
    if isinstance(one, tuple) or is_missing(one):
        return True
    ids = ids if hasattr(ids, "dtype") else np.asarray(ids)
    same = np.asarray(ids == one)
    return same.dtype != bool or bool(same.any())


def _plain(index):
    return np.asarray(index).tolist()


def _names_or_none(names):
    return None if names == list(range(len(names))) and _are_positions(names) else names


def _are_positions(names):
    """Return whether names are the integers 0 to n - 1, in whatever order."""
    return all(
        isinstance(name, Integral) and not isinstance(name, bool) for name in names
    ) and sorted(names) == list(range(len(names)))


def _is_same(a, b):
    # NaN, a column that pandas.pivot may make, differs from itself.
    return a is b or a == b or (a != a and b != b)
