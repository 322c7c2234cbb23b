"""Cross-validation that keeps unlabeled cells unlabeled."""

import warnings
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn import get_config, model_selection
from sklearn.base import clone
from sklearn.utils import get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed

from .._rows import count_rows, take_params, take_rows
from .._targets import encode_target
from .._typing import LabelsLike, MatrixLike
from ..exceptions import RareLabelWarning
from ..labels import check_labels
from ..labels.names import check_same_rows
from ..metrics.cells import is_one_dimensional
from .cross_fit import check_cv, refuse_leaks
from .fitting import explain_labels, has_unlabeled

__all__ = ["cross_val_predict"]

_METHODS = ("predict", "predict_proba", "decision_function", "predict_log_proba")


def cross_val_predict(
    estimator: Any,
    X: MatrixLike,
    y: LabelsLike = None,
    *,
    groups: ArrayLike | None = None,
    cv: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
    params: dict[str, Any] | None = None,
    pre_dispatch: int | str = "2*n_jobs",
    method: Literal[
        "predict", "predict_proba", "decision_function", "predict_log_proba"
    ] = "predict",
) -> Any:
    """Predict each row by a model that was fitted without it.

    The parameters are those of :func:`sklearn.model_selection.cross_val_predict`,
    which recodes label matrices column by column for ``method="predict_proba"`` and
    so turns unlabeled cells into labels. Here `y` is checked once, and each training
    fold gets ``labels[train]`` as it is: the result equals a loop of `clone`, `fit`
    and `method` written by hand.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fold.
    X : array-like, sparse matrix, data frame or list of length n_samples
        The data.
    y : MaskedLabels or any other form of labels, of shape (n_samples, n_labels)
        A 1-D `y` in which every entry is labeled, and None, go to scikit-learn's
        function; one with unlabeled entries is passed on in parts as it is. Soft
        labels need a splitter that reads no labels, such as ``KFold(5)``.
    groups : array-like of shape (n_samples,), default=None
        The group of each row; folds that an integer stands for keep groups whole.
    cv : int, splitter or iterable of splits, default=None
        An integer is the number of folds of
        :class:`~sklearn_masked.model_selection.MaskedStratifiedKFold`, with `groups` of
        :class:`~sklearn_masked.model_selection.MaskedStratifiedGroupKFold`; None is 5.
    n_jobs : int, default=None
        Number of folds worked on at a time.
    verbose : int, default=0
        Passed to joblib.
    params : dict, default=None
        Arguments of `fit`, cut to the rows of the fold where they have n_samples
        rows; with metadata routing, also of the splitter.
    pre_dispatch : int or str, default="2*n_jobs"
        Passed to joblib.
    method : {"predict", "predict_proba", "decision_function", \
"predict_log_proba"}, default="predict"
        The method of the estimator.

    Returns
    -------
    ndarray, sparse matrix or list of ndarray
        What `method` returns, with a row for each row of X; a list where the
        estimator returns one array (n_samples, 2) a label.

    Raises
    ------
    ValueError
        If the test parts of `cv` are not a partition of the rows, a label is not
        accepted, or the estimator takes no unlabeled cells, as scikit-learn's do not.

    See Also
    --------
    sklearn_masked.metrics.masked_report : What to do with the probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn_masked.model_selection import cross_val_predict
    >>> class Share(DummyClassifier):
    ...     "Predict the share of positives among the labeled cells of each label."
    ...     def fit(self, X, y):
    ...         self.share_ = y.n_positive / y.n_labeled
    ...         return self
    ...     def predict_proba(self, X):
    ...         return np.tile(self.share_, (len(X), 1))
    >>> y = np.array([[1, np.nan], [1, 1], [0, 1], [0, 1], [np.nan, 0]])
    >>> X = np.zeros((5, 1))
    >>> cross_val_predict(Share(), X, y, cv=2, method="predict_proba").round(2)
    array([[0.5 , 0.67],
           [0.5 , 1.  ],
           [0.5 , 1.  ],
           [0.5 , 0.67],
           [0.5 , 1.  ]])
    """
    if method not in _METHODS:
        raise ValueError(f"`method` accepts {', '.join(_METHODS)}; got {method!r}.")
    check_same_rows(X=X, y=y, groups=groups)
    if y is None or (is_one_dimensional(y) and not has_unlabeled(y)):
        return model_selection.cross_val_predict(
            estimator,
            X,
            y,
            groups=groups,
            cv=cv,
            n_jobs=n_jobs,
            verbose=verbose,
            params=params,
            pre_dispatch=pre_dispatch,
            method=method,
        )
    if not is_one_dimensional(y):
        y = check_labels(y, accept_soft=True)  # the splitters of the package refuse it
    X, y = indexable(X, y)
    split_params, fit_params = _route(estimator, cv, groups, params or {})
    splitter = check_cv(cv, split_params.get("groups") is not None)
    with warnings.catch_warnings():
        # Labels with fewer cells than folds are predicted all the same.
        warnings.simplefilter("ignore", RareLabelWarning)
        splits = refuse_leaks(list(splitter.split(X, _cells_of(y, X), **split_params)))
    tests = np.concatenate([np.arange(0), *(test for _, test in splits)])
    if not np.array_equal(np.sort(tests), np.arange(count_rows(X))):
        raise ValueError(
            "`cv` accepts splits whose test parts are a partition of the rows: each "
            "row must be predicted exactly once."
        )
    parallel = Parallel(n_jobs=n_jobs, verbose=verbose, pre_dispatch=pre_dispatch)
    parts = parallel(
        delayed(_fit_and_predict)(
            clone(estimator), X, y, train, test, fit_params, method
        )
        for train, test in splits
    )
    return _join(parts, np.argsort(tests))


def _cells_of(y, X):
    """Return labels as splitters read them: a 1-D y is a matrix of one column."""
    return encode_target(y, count_rows(X)).labels if is_one_dimensional(y) else y


def _route(estimator, cv, groups, params):
    """Return the arguments of `split` and of `fit`."""
    if not get_config()["enable_metadata_routing"]:
        return {"groups": groups}, params
    if groups is not None:
        raise ValueError(
            "`groups` accepts None while metadata routing is enabled; pass "
            "params={'groups': groups} instead."
        )
    router = (
        MetadataRouter(owner="cross_val_predict")
        .add(
            splitter=cv,
            method_mapping=MethodMapping().add(caller="fit", callee="split"),
        )
        .add(
            estimator=estimator,
            method_mapping=MethodMapping().add(caller="fit", callee="fit"),
        )
    )
    routed = process_routing(router, "fit", **params)
    return routed.splitter.split, routed.estimator.fit


def _fit_and_predict(estimator, X, y, train, test, fit_params, method):
    """Fit on some rows and predict others."""
    fit_params = take_params(fit_params, train, count_rows(X))
    X_train, X_test = take_rows(X, train), take_rows(X, test)
    if get_tags(estimator).input_tags.pairwise:
        X_train, X_test = X_train[:, train], X_test[:, train]
    with explain_labels(estimator, y):
        estimator.fit(X_train, take_rows(y, train), **fit_params)
        predictions = getattr(estimator, method)(X_test)
    if isinstance(predictions, list) and method != "predict":
        return _both_classes(predictions, estimator.classes_, method)
    return predictions


def _both_classes(predictions, classes, method):
    """Give every label its two columns, where training saw one class alone too."""
    fill = -np.inf if method == "predict_log_proba" else 0.0
    both = []
    for prediction, seen in zip(predictions, classes, strict=True):
        columns = np.asarray(seen).astype(np.intp)
        if prediction.shape[1] == len(columns) < 2:
            full = np.full((len(prediction), 2), fill)
            full[:, columns] = prediction
            prediction = full
        both.append(prediction)
    return both


def _join(parts, order):
    """Put the predictions of the folds into the order of the rows."""
    if isinstance(parts[0], list):
        return [_join(label, order) for label in zip(*parts, strict=True)]
    if sp.issparse(parts[0]):
        return sp.vstack(parts, format="csr")[order]
    return np.concatenate(parts)[order]
