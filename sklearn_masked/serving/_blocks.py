"""Predictions of many rows and labels, block by block of rows."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np

from .._rows import count_rows, take_rows
from .._typing import MatrixLike

# A block has at most so many rows, and so many predictions.
_BLOCK_ROWS, _BLOCK_NUMBERS = 1 << 11, 1 << 22


class TopK(NamedTuple):
    """The highest scores of each row, and the labels that have them.

    Attributes
    ----------
    scores : ndarray of shape (n_samples, k)
        The scores, in descending order.
    labels : int64 array of shape (n_samples, k)
        The position of each score's label among the columns of the predictions.
    """

    scores: np.ndarray
    labels: np.ndarray


def predict_blocks(
    estimator: Any,
    X: MatrixLike,
    *,
    method: str = "predict_proba",
    batch_size: int | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Predict block by block of rows, so that all predictions are never in memory.

    Parameters
    ----------
    estimator : Predictor, fitted classifier or pipeline
        With the method.
    X : list of str, array-like, sparse matrix or data frame of length n_samples
        The rows, as the method takes them.
    method : str, default="predict_proba"
        The method whose result has a row for each row of X.
    batch_size : int, default=None
        Rows per block. None takes at most 2,048, and fewer for more than 2,048 labels,
        so that a block has at most 2 ** 22 predictions.

    Yields
    ------
    rows : slice
        Which rows of X.
    predictions : ndarray of shape (n_block, n_labels)
        What the method returns for them.

    See Also
    --------
    predict_top_k : The best labels of each row alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.serving import predict_blocks
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> y = np.array([[1, np.nan, 0], [0, 1, np.nan], [np.nan, 0, 1]])  # NaN: unlabeled
    >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    >>> n_positive = np.zeros(3)
    >>> for rows, predicted in predict_blocks(clf, X, method="predict", batch_size=2):
    ...     n_positive += predicted.sum(axis=0)
    """
    predict = getattr(estimator, method)
    X = _sliceable(X)
    n_labels = getattr(estimator, "n_labels_", None)
    if n_labels is None:
        n_labels = len(getattr(estimator, "classes_", ()))
    if batch_size is not None and not (_is_int(batch_size) and batch_size > 0):
        raise ValueError(
            f"`batch_size` accepts 1 or more rows, or None; got {batch_size!r}."
        )
    for rows in row_blocks(count_rows(X), n_labels, batch_size):
        yield rows, predict(take_rows(X, rows))


def predict_top_k(
    estimator: Any,
    X: MatrixLike,
    k: int,
    *,
    method: str = "predict_proba",
    batch_size: int | None = None,
) -> TopK:
    """Predict the k labels with the highest scores of each row.

    Rows are predicted block by block, and of each block the k best scores are kept, so
    that the memory does not hold a score of each row and label.

    Parameters
    ----------
    estimator : Predictor, fitted classifier or pipeline
        With the method.
    X : list of str, array-like, sparse matrix or data frame of length n_samples
        The rows, as the method takes them.
    k : int
        How many labels, from 1 to n_labels.
    method : str, default="predict_proba"
        The method that gives the scores. Where labels are not calibrated apart,
        "decision_function" orders them alike and is faster.
    batch_size : int, default=None
        Rows per block, as in :func:`predict_blocks`.

    Returns
    -------
    TopK
        The `scores` and the `labels`, both of shape (n_samples, k), the best first; of
        equal scores, the label that stands first. ``label_names_[top.labels]`` names
        them.

    Raises
    ------
    ValueError
        If `k` is not from 1 to the number of labels, or the method does not return an
        array with a column for each label.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.serving import predict_top_k
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> y = np.array([[1, np.nan, 0], [0, 1, np.nan], [np.nan, 0, 1]])  # NaN: unlabeled
    >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    >>> top = predict_top_k(clf, X, k=2)
    >>> top.labels.shape
    (3, 2)
    >>> np.array_equal(top.scores[:, 0], clf.predict_proba(X).max(axis=1))
    True
    """
    X = _sliceable(X)
    top = None
    blocks = predict_blocks(estimator, X, method=method, batch_size=batch_size)
    for rows, scores in blocks:
        best = _best(scores, k, method)
        if top is None:
            shape = count_rows(X), k
            top = TopK(np.empty(shape, scores.dtype), np.empty(shape, np.int64))
        top.scores[rows] = np.take_along_axis(scores, best, axis=1)
        top.labels[rows] = best
    if top is None:
        top = TopK(np.empty((0, k)), np.empty((0, k), np.int64))
    return top


def _best(scores, k, method):
    """Return the positions of the k largest scores of each row, best first."""
    if getattr(scores, "ndim", None) != 2:
        raise ValueError(
            "`method` accepts a method that returns an array with a column for each "
            f"label; {method} returned {type(scores).__name__} of shape "
            f"{np.shape(scores)}."
        )
    n_labels = scores.shape[1]
    if not (_is_int(k) and 1 <= k <= n_labels):
        raise ValueError(
            f"`k` accepts 1 to {n_labels}, the number of labels; got {k!r}."
        )
    if scores.size and np.isnan(scores.min()):
        raise ValueError(
            f"`method` accepts a method without NaN; {method} returned it."
        )
    # The k-th largest of each row; of the scores that equal it, those that stand first.
    least = np.partition(scores, n_labels - k, axis=1)[:, [n_labels - k]]
    above = scores > least
    missing = k - above.sum(axis=1, keepdims=True)
    equal = scores == least
    chosen = above | (equal & (np.cumsum(equal, axis=1) <= missing))
    best = np.nonzero(chosen)[1].reshape(-1, k)
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), kind="stable")
    return np.take_along_axis(best, order, axis=1)


def row_blocks(n_rows, n_labels, batch_size=None):
    """Yield 0 to n_rows in slices of this size, or of one that suits the labels."""
    if batch_size is None:
        batch_size = min(max(_BLOCK_NUMBERS // max(n_labels, 1), 1), _BLOCK_ROWS)
    for start in range(0, n_rows, batch_size):
        yield slice(start, min(start + batch_size, n_rows))


def _is_int(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _sliceable(X):
    """Return rows of which slices can be taken."""
    if hasattr(X, "tocsr"):
        return X.tocsr()
    return X if hasattr(X, "shape") or hasattr(X, "__getitem__") else list(X)
