"""Scorers: metrics of an estimator's predictions, computed by blocks of rows."""

import copy
import inspect

import numpy as np
import scipy.sparse as sp
from sklearn import get_config
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest

from .._targets import check_fitted_labels
from ..labels import check_labels
from ..labels.names import check_same_columns, check_same_rows
from ._balanced import masked_balanced_accuracy_score, masked_matthews_corrcoef
from ._cells import binary_labels, encode_binary, is_one_dimensional
from ._decisions import masked_f1_score, masked_precision_score, masked_recall_score
from ._probabilities import masked_brier_score_loss, masked_log_loss
from ._ranking import masked_average_precision_score, masked_roc_auc_score
from ._rows import count_rows, take_rows

# A block of predictions holds at most so many rows, and numbers.
_BLOCK_ROWS = 1 << 16
_BLOCK_NUMBERS = 1 << 22


class MaskedScorer:
    """Score an estimator by its predictions of the labeled cells.

    Made by :func:`make_masked_scorer`. A call asks the estimator for predictions
    block by block, of the rows with labeled cells alone, and keeps those of the
    labeled cells: memory follows the labeled cells, not samples times labels. An
    estimator that predicts single cells (a method named like the response method and
    `_cells`, called with X, rows and cols: `MaskedMultiLabelClassifier` has them) is
    asked for the labeled cells alone, also as a pipeline's last step or a search's
    best estimator: time follows the labeled cells then.

    Parameters
    ----------
    score_func : callable
        Called with the labels (`MaskedLabels`), the predictions of their labeled
        cells in the order of ``MaskedLabels.cells()``, and `kwargs`.
    response_method : str or tuple of str
        The estimator's method, or the methods of which it has the first.
    sign : {1, -1}
        -1 where smaller is better.
    kwargs : dict
        Further arguments of `score_func`.
    """

    def __init__(self, score_func, response_method, sign, kwargs):
        self._score_func = score_func
        self._response_method = response_method
        self._sign = sign
        self._kwargs = kwargs
        self._sample_weight_request = None

    def __call__(self, estimator, X, y, sample_weight=None):
        """Return the score, larger for better.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            For labels of shape (n_samples, n_labels), its predictions are an array
            of that shape, or a list of arrays (n_samples, 2), one a label.
        X : array-like, sparse matrix, data frame or list of length n_samples
            What the estimator predicts from.
        y : MaskedLabels or any other form of labels
            Labels, or a binary target of shape (n_samples,).
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
            Weights of rows or cells.

        Returns
        -------
        float
            The score; NaN, with a warning, if nothing can be scored.

        Raises
        ------
        ValueError
            If the labels of `y` are not those, by number, name and order, that the
            estimator was fitted with.

        Warns
        -----
        RowOrderWarning
            If two of `X`, `y` and `sample_weight` have the same row index in another
            order.
        """
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        if is_one_dimensional(y):
            labels, classes = binary_labels(y, _binary_classes(estimator))
        else:
            labels, classes = check_labels(y), None
        if count_rows(X) != labels.shape[0]:
            raise ValueError(
                f"`X` and `y` accept the same number of rows; got {count_rows(X)} and "
                f"{labels.shape[0]}."
            )
        _, names = _fitted_labels(estimator)
        check_same_columns(sample_weight, names, "sample_weight", "the fitted model")
        labels = labels._without_row_ids()
        y_score = predict_cells(estimator, self._response_method, X, labels, classes)
        kwargs = dict(self._kwargs)
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return self._sign * self._score_func(labels, y_score, **kwargs)

    def set_score_request(self, *, sample_weight=None):
        """Say what metadata routing does with `sample_weight`, as in scikit-learn.

        Parameters
        ----------
        sample_weight : bool, str or None
            Whether the scorer wants it, or the name under which it comes.

        Returns
        -------
        MaskedScorer
            The scorer itself, changed: clone one of the module's before.

        Raises
        ------
        RuntimeError
            If metadata routing is off.
        """
        if not get_config()["enable_metadata_routing"]:
            raise RuntimeError(
                "`set_score_request` needs metadata routing: call "
                "sklearn.set_config(enable_metadata_routing=True) first."
            )
        self._sample_weight_request = sample_weight
        return self

    def get_metadata_routing(self):
        """Return what the scorer requests, for scikit-learn's metadata routing."""
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(
            param="sample_weight", alias=self._sample_weight_request
        )
        return request

    def _accept_sample_weight(self):
        # scikit-learn's scoring by several metrics asks this of each scorer.
        return True

    def __sklearn_clone__(self):
        """Return an independent copy."""
        return copy.deepcopy(self)

    def __repr__(self):
        """Return the call of `make_masked_scorer` that makes the same scorer."""
        name = getattr(self._score_func, "__name__", repr(self._score_func))
        words = [name, f"response_method={self._response_method!r}"]
        if self._sign < 0:
            words.append("greater_is_better=False")
        words += [f"{key}={value!r}" for key, value in self._kwargs.items()]
        return f"make_masked_scorer({', '.join(words)})"


def make_masked_scorer(
    score_func, *, response_method="predict", greater_is_better=True, **kwargs
):
    """Make a scorer for model selection from a masked metric.

    The scorer reads predictions by blocks of rows and keeps those of the labeled
    cells; what the model says of unlabeled cells never counts.

    Parameters
    ----------
    score_func : callable
        Any function of this module that returns one number, or your own: it is
        called as ``score_func(labels, y_score, **kwargs)``, with `MaskedLabels`
        and the predictions of their labeled cells, shape (n_cells,), in the order
        of ``labels.cells()``, and with `sample_weight` where one is given.
    response_method : {"predict", "predict_proba", "decision_function"} or a tuple \
of them, default="predict"
        Where the predictions come from; of several, the first that the estimator
        has.
    greater_is_better : bool, default=True
        If False, the scorer returns the negative of the metric.
    **kwargs : dict
        Further arguments of `score_func`, such as ``average="micro"``.

    Returns
    -------
    MaskedScorer
        A callable ``(estimator, X, y, sample_weight=None)``.

    Raises
    ------
    TypeError
        If `score_func` cannot be called.
    ValueError
        If `response_method` is none of the three.

    Examples
    --------
    >>> from sklearn_masked.metrics import make_masked_scorer, masked_fbeta_score
    >>> make_masked_scorer(masked_fbeta_score, beta=2)
    make_masked_scorer(masked_fbeta_score, response_method='predict', beta=2)
    """
    if not callable(score_func):
        raise TypeError(f"`score_func` accepts a callable; got {score_func!r}.")
    if isinstance(response_method, str):
        methods = (response_method,)
    else:
        methods = response_method = tuple(response_method)
    accepted = {"predict", "predict_proba", "decision_function"}
    if not methods or not accepted.issuperset(methods):
        raise ValueError(
            "`response_method` accepts 'predict', 'predict_proba', "
            f"'decision_function' or a tuple of these; got {response_method!r}."
        )
    return MaskedScorer(
        score_func, response_method, 1 if greater_is_better else -1, kwargs
    )


def predict_cells(estimator, response_method, X, labels, classes=None):
    """Return the estimator's prediction of every labeled cell, shape (n_cells,).

    Only rows with a labeled cell are predicted, block by block. `classes` are the
    two classes of a binary target, None for a label matrix.
    """
    n_labels, names = _fitted_labels(estimator)
    if classes is None and n_labels is not None:
        check_fitted_labels(labels, n_labels, names)
    cells = labels.cells()
    predict, method = _response(estimator, response_method)
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


def _fitted_labels(estimator):
    """Return number and names of the labels of a fitted estimator, None if unknown.

    Pipelines, searches and meta-estimators are seen through.
    """
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


def _response(estimator, response_method):
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
            f"({n_rows}, {n_labels}), a column a label of `y`, or a list of arrays "
            f"({n_rows}, 2), one a label; got shape {response.shape}."
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


_SCORES = ("decision_function", "predict_proba")

masked_roc_auc_scorer = make_masked_scorer(
    masked_roc_auc_score, response_method=_SCORES
)
masked_average_precision_scorer = make_masked_scorer(
    masked_average_precision_score, response_method=_SCORES
)
neg_masked_log_loss_scorer = make_masked_scorer(
    masked_log_loss, response_method="predict_proba", greater_is_better=False
)
neg_masked_brier_score_scorer = make_masked_scorer(
    masked_brier_score_loss, response_method="predict_proba", greater_is_better=False
)
masked_balanced_accuracy_scorer = make_masked_scorer(masked_balanced_accuracy_score)
masked_matthews_corrcoef_scorer = make_masked_scorer(masked_matthews_corrcoef)
masked_f1_scorer = make_masked_scorer(masked_f1_score)
masked_precision_scorer = make_masked_scorer(masked_precision_score)
masked_recall_scorer = make_masked_scorer(masked_recall_score)
