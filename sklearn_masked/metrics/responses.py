"""Responses of a fitted classifier: of whole rows or, where it can, of cells."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable

from .._rows import count_rows, take_rows
from .._targets import check_fitted_labels
from .._typing import LabelsLike, MatrixLike
from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_columns
from .cells import binary_labels, encode_binary, is_one_dimensional

# Limits of a block of predictions: its rows, and its entries.
_BLOCK_ROWS = 1 << 16


_BLOCK_NUMBERS = 1 << 22


def labels_for(
    estimator: Any, X: MatrixLike, y: LabelsLike
) -> tuple[MaskedLabels, np.ndarray | None]:
    """Return y as labels of the rows of X, and the classes of a 1-D y, else None.

    The classes are those of the fitted estimator where it has two: a part of y may
    hold one of them only.
    """
    if is_one_dimensional(y):
        labels, classes = binary_labels(y, _binary_classes(estimator))
    else:
        labels, classes = check_labels(y), None
    if count_rows(X) != labels.shape[0]:
        raise ValueError(
            f"`X` and `y` accept the same number of rows; got {count_rows(X)} and "
            f"{labels.shape[0]}."
        )
    return labels, classes


def predict_cells(
    estimator: Any,
    response_method: str | tuple[str, ...],
    X: MatrixLike,
    labels: MaskedLabels,
    classes: np.ndarray | None = None,
) -> np.ndarray:
    """Return the estimator's prediction of every labeled cell, shape (n_cells,).

    Only rows with a labeled cell are predicted, block by block. `classes` are the
    two classes of a binary target, None for a label matrix.
    """
    n_labels, names = fitted_labels(estimator)
    if classes is None and n_labels is not None:
        check_fitted_labels(labels, n_labels, names)
    cells = labels.cells()
    predict, method = response_of(estimator, response_method)
    first_cells = np.flatnonzero(np.diff(cells.rows, prepend=-1))
    rows = cells.rows[first_cells]
    bounds = np.append(first_cells, len(cells.rows))
    by_cell = None if classes is not None else _by_cell(estimator, method, labels)
    whole_rows = max(1, _BLOCK_NUMBERS // max(1, labels.n_labels))
    block_rows = min(_BLOCK_ROWS, _BLOCK_ROWS if by_cell else whole_rows)
    predicted = []
    for start in range(0, len(rows), block_rows):
        block = rows[start : start + block_rows]
        X_block = take_rows(X, _as_slice(block))
        some = slice(bounds[start], bounds[start + len(block)])
        at, cols = np.searchsorted(block, cells.rows[some]), cells.cols[some]
        if by_cell:
            predicted.append(by_cell(X_block, at, cols))
            continue
        response = predict(X_block)
        columns = _columns(response, estimator, method, len(block), labels, classes)
        predicted.append(columns(at, cols))
    return np.concatenate(predicted) if predicted else np.empty(0)


def fitted_labels(estimator: Any) -> tuple[int | None, np.ndarray | None]:
    """Return number and names of the labels of a fitted estimator, None if unknown."""
    while not hasattr(estimator, "n_labels_"):
        inner = getattr(estimator, "best_estimator_", None)
        if inner is None and getattr(estimator, "steps", None):
            inner = estimator.steps[-1][1]
        inner = getattr(estimator, "estimator_", None) if inner is None else inner
        if inner is None:
            return None, None
        estimator = inner
    return estimator.n_labels_, getattr(estimator, "label_names_", None)


def _by_cell(estimator, method, labels):
    """Return a function of X, rows and columns that predicts cells, or None.

    Pipelines and searches of scikit-learn's own are seen through: where a class in
    between predicts in a way of its own, it is asked for whole rows.
    """
    transforms = []
    while True:
        kind = type(estimator)
        if method in getattr(estimator, "__dict__", ()):
            return None
        if _shares(kind, GridSearchCV, method) and hasattr(
            estimator, "best_estimator_"
        ):
            estimator = estimator.best_estimator_
        elif _shares(kind, Pipeline, method):
            if len(estimator.steps) > 1:
                transforms.append(estimator[:-1].transform)
            estimator = estimator.steps[-1][1]
        else:
            break
    cells_method = method + "_cells"
    if not _speaks_for(kind, cells_method, method):
        return None

    def predict(X, rows, cols):
        for transform in transforms:
            X = transform(X)
        return getattr(estimator, cells_method)(X, rows, cols)

    return predict


def _shares(kind, known, method):
    """Tell whether a class has a method from a known one, not one of its own."""
    missing = object()
    own = inspect.getattr_static(kind, method, missing)
    return own is not missing and own is inspect.getattr_static(known, method, None)


def _speaks_for(kind, cells_method, method):
    """Tell whether a class's method for cells knows its method for rows.

    A subclass that predicts rows in its own way inherits a method for cells that
    knows nothing of it.
    """
    owners = {
        name: index
        for index, base in reversed(list(enumerate(kind.__mro__)))
        for name in (cells_method, method)
        if name in vars(base)
    }
    return cells_method in owners and owners[cells_method] <= owners.get(method, -1)


def response_of(
    estimator: Any, response_method: str | tuple[str, ...]
) -> tuple[Callable[..., Any], str]:
    """Return the estimator's first method of those named, bound, and its name."""
    methods = response_method
    if isinstance(methods, str):
        methods = (methods,)
    for method in methods:
        if hasattr(estimator, method):
            return getattr(estimator, method), method
    raise AttributeError(
        f"{type(estimator).__name__} has no {' nor '.join(methods)}, which the scorer "
        "needs."
    )


def _as_slice(rows):
    """Return neighboring rows as a slice, which copies nothing."""
    if rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _columns(response, estimator, method, n_rows, labels, classes):
    """Return a function of rows and labels that reads one block of predictions."""
    if classes is not None:
        column = _binary_column(response, method, n_rows, classes)
        return lambda rows, cols: column[rows]
    n_labels = labels.n_labels
    check_same_columns(response, labels.label_names, method, "`y`")
    if isinstance(response, list | tuple) and len(response) == n_labels:
        response = _stack_outputs(response, estimator, n_rows)
    elif sp.issparse(response):
        response = response.tocsr()
    else:
        response = np.asarray(response)
    if n_labels == 1 and method == "predict_proba" and response.shape == (n_rows, 2):
        response = response[:, 1:]
    if n_labels == 1 and response.shape == (n_rows,):
        response = response[:, None]
    if response.shape != (n_rows, n_labels):
        raise ValueError(
            f"`{method}` of {type(estimator).__name__} must return shape "
            f"({n_rows}, {n_labels}), a column per label of `y`, or a list of arrays "
            f"({n_rows}, 2), one per label; got shape {response.shape}."
        )
    return lambda rows, cols: np.asarray(response[rows, cols]).ravel()


def _stack_outputs(outputs, estimator, n_rows):
    """Return the probabilities of class 1 of scikit-learn's list of outputs."""
    outputs = [np.asarray(output) for output in outputs]
    classes = getattr(estimator, "classes_", None)
    if classes is None or len(classes) != len(outputs):
        classes = [np.arange(2)] * len(outputs)
    if any(output.ndim != 2 or len(output) != n_rows for output in outputs):
        return np.asarray(outputs)  # a list of rows, then; its shape is judged next
    stacked = np.zeros((n_rows, len(outputs)))
    for label, (output, seen) in enumerate(zip(outputs, classes, strict=True)):
        # A label of which training saw one class has one column.
        column = np.flatnonzero(np.asarray(seen) == 1)
        if len(column):
            stacked[:, label] = output[:, column[0]]
    return stacked


def _binary_column(response, method, n_rows, classes):
    """Return the predictions of a binary target: of its larger class, or 0 and 1."""
    response = np.asarray(response)
    if method == "predict_proba" and response.shape == (n_rows, 2):
        return response[:, 1]
    if method != "predict_proba" and response.shape in ((n_rows,), (n_rows, 1)):
        column = response.reshape(n_rows)
        return encode_binary(column, classes) if method == "predict" else column
    raise ValueError(
        f"`{method}` must return predictions of a binary classifier for a 1-D `y`; "
        f"got shape {response.shape} for {n_rows} samples."
    )


def _binary_classes(estimator):
    """Return the two classes of a fitted binary classifier, or None."""
    classes = getattr(estimator, "classes_", None)
    if isinstance(classes, np.ndarray) and classes.shape == (2,):
        return classes
    return None


class _Width(NamedTuple):
    """As much of labels as the shape of predictions is judged by."""

    n_labels: int
    label_names: None = None


def score_matrix(
    estimator: Any,
    methods: str | tuple[str, ...],
    X: MatrixLike,
    n_labels: int,
    classes: np.ndarray | None,
) -> np.ndarray:
    """Return an estimator's scores of all cells, shape (n_samples, n_labels)."""
    (X,) = indexable(X)
    predict, method = response_of(estimator, methods)
    n_rows = count_rows(X)
    width = _Width(n_labels)
    columns = _columns(predict(X), estimator, method, n_rows, width, classes)
    rows, cols = np.arange(n_rows)[:, None], np.arange(n_labels)
    return columns(rows, cols).reshape(n_rows, n_labels)
