"""The estimator: a clone of a binary classifier per label."""

import copy
from numbers import Integral
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import check_array, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from .._base import MaskedClassifierMixin, take_input_tags
from .._fitted import FEATURES, of_one_fit, scratch_of, take_over
from .._rows import count_rows
from .._targets import check_learnable, check_same_labels, check_y_given, encode_target
from .._typing import LabelsLike, MatrixLike, Weights
from ..labels.names import check_same_features, check_same_rows
from ._columns import Columns, has_fractions, is_weighted, training_set
from ._constants import ConstantLabel, constant_labels, warn_constant_labels
from ._linear import linear_weights


def _estimator_has(method):
    """Return a check of whether the classifiers of the labels have a method."""

    def check(self):
        return hasattr(self._representative(), method)

    return check


class MaskedMultiOutputClassifier(
    MaskedClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """Fit one clone of a binary classifier per label, on the labeled rows of the label.

    Unlabeled cells take no part: the classifier of a label is exactly the one that
    is fitted on the rows where the label is confirmed or denied. The baseline to
    compare a joint model with, and often a strong one.

    Parameters
    ----------
    estimator : estimator
        Any binary classifier of scikit-learn's kind. Each clone is fitted on targets
        0 and 1.
    n_jobs : int, default=None
        Number of labels fitted at a time; threads for predictions. None is 1, unless
        a :obj:`joblib.parallel_backend` says otherwise; -1 uses all processors.

    Attributes
    ----------
    classes_ : ndarray
        For a label matrix, the positions of the labels, of dtype object and shape
        (n_labels,); for a 1-D `y`, its two values.
    estimators_ : list of length n_labels
        The fitted classifiers. A label that has labeled cells of one class, or none,
        has an object there that predicts a constant.
    label_names_ : ndarray of shape (n_labels,) or None
        Names of the labels, where `y` had them.
    n_labels_ : int
        Number of labels.
    n_features_in_ : int
        Number of features, if `X` has such a thing.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if all names in `X` are strings.

    See Also
    --------
    sklearn_masked.MaskedMultiLabelClassifier : One model for all labels.
    sklearn.multioutput.MultiOutputClassifier : For fully labeled `y`.

    Notes
    -----
    A label whose labeled cells are all of one class predicts the smoothed rate
    ``(w_1 + p) / (w + 1)``, with `w_1` the weight of its positive cells, `w` that of
    all its cells and `p` the pooled rate of positives over all labels; without any
    labeled cell this is `p`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_masked.multioutput import MaskedMultiOutputClassifier
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [3.0, 2.0]])
    >>> Y = np.array([[0, np.nan], [0, 0], [1, 1], [np.nan, 0]])
    >>> clf = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    >>> clf.predict(X)
    array([[0, 0],
           [0, 0],
           [1, 1],
           [1, 0]])
    >>> clf.predict_proba(X).shape
    (4, 2)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "n_jobs": [Integral, None],
    }

    def __init__(self, estimator: Any, *, n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.n_jobs = n_jobs

    def fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        sample_weight: Weights = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the classifiers on the labeled cells of y.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            Whatever `estimator` is fitted on. Rows are taken from it; sparse input
            stays sparse.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Any form that :func:`sklearn_masked.check_labels` takes; or 1-D, a binary
            problem. A cell of soft MaskedLabels, of value v and weight w, trains as a
            positive of weight w * v and a negative of weight w * (1 - v).
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            Weight of each row or cell, times the weights that y carries. A cell of
            weight 0 is as good as unlabeled.
        **fit_params : dict
            Passed to `fit` of the classifiers; cut to the labeled rows where they
            have n_samples rows. With metadata routing enabled, what `estimator`
            requests.

        Returns
        -------
        self : object
            The fitted estimator. If this call fails, it is what it was before.

        Raises
        ------
        ValueError
            If y cannot be read, no cell is labeled, a 1-D y has one class, a raw y
            has no 0 anywhere, or there are weights or soft labels and `estimator`
            takes no weights.

        Warns
        -----
        UnlabeledLabelWarning
            If labels have no labeled cell.
        OneClassLabelWarning
            If the labeled cells of labels are of one class.
        """
        X, target, columns, params = self._validate(
            X, y, sample_weight, fit_params, method="fit"
        )
        n_positive, n_negative = columns.totals()
        check_learnable(target, n_positive, n_negative, stacklevel=3)
        warn_constant_labels(n_positive, n_negative, target.labels.label_names)
        estimators = constant_labels(n_positive, n_negative)
        learnable = np.flatnonzero((n_positive > 0) & (n_negative > 0))
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_label)(
                clone(self.estimator),
                *training_set(X, columns[label], params),
                _shown(target, label),
            )
            for label in learnable
        )
        for label, estimator in zip(learnable, fitted, strict=True):
            estimators[label] = estimator
        return self._adopt(X, target, estimators, n_positive, n_negative)

    @available_if(_estimator_has("partial_fit"))
    def partial_fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        classes: ArrayLike | None = None,
        sample_weight: Weights = None,
        **partial_fit_params: Any,
    ) -> Self:
        """Go on fitting, with one batch of rows.

        A label stays constant until its first labeled cell arrives; from then on its
        classifier is fitted by its own `partial_fit`. Cells from which a constant was
        made by `fit` are not seen again.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            More rows.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Their labels, in any form; or 1-D. The first call fixes the number of
            labels. A batch may lack a class, or any labeled cell.
        classes : array-like, default=None
            For 1-D y, its two values: needed at the first call. For a label matrix
            the classes are 0 and 1 and this is not used.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            As in `fit`.
        **partial_fit_params : dict
            As in `fit`.

        Returns
        -------
        self : object
            The fitted estimator. If this call fails, at whatever label, it is what it
            was before.

        Raises
        ------
        ValueError
            If y cannot be read, has other labels than before, or is 1-D at the first
            call without `classes`.
        """
        first = not hasattr(self, "estimators_")
        X, target, columns, params = self._validate(
            X,
            y,
            sample_weight,
            partial_fit_params,
            method="partial_fit",
            classes=classes,
        )
        n_positive, n_negative = columns.totals()
        seen = np.flatnonzero(n_positive + n_negative)
        if first:
            estimators = [None] * target.labels.n_labels
        else:
            X = self._check_X(X)
            estimators = list(self.estimators_)
            n_positive = n_positive + self._n_positive
            n_negative = n_negative + self._n_negative
        constants = constant_labels(n_positive, n_negative)
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_label)(
                # A copy: where one label fails, all stay as they were.
                copy.deepcopy(estimators[label])
                if _is_fitted(estimators[label])
                else clone(self.estimator),
                *training_set(X, columns[label], params),
                _shown(target, label),
                go_on=True,
            )
            for label in seen
        )
        for label, estimator in zip(seen, fitted, strict=True):
            estimators[label] = estimator
        estimators = [
            estimator if _is_fitted(estimator) else constant
            for estimator, constant in zip(estimators, constants, strict=True)
        ]
        return self._adopt(X, target, estimators, n_positive, n_negative, reset=first)

    @of_one_fit
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict each label of each row.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples,)
            0 and 1; after a 1-D y, its two values.
        """
        return self._decide(self._columnwise("predict", X, np.intp))

    @available_if(_estimator_has("predict_proba"))
    @of_one_fit
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Predict the probability that each label is positive.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples, 2), float64
            The probabilities of the positive class; after a 1-D y, of its two values.
        """
        check_is_fitted(self)
        if self._one_dimensional:
            X = self._check_X(X)
            return np.asarray(self.estimators_[0].predict_proba(X), dtype=np.float64)
        return self._columnwise("predict_proba", X, np.float64)

    @available_if(_estimator_has("decision_function"))
    @of_one_fit
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Predict a score of each label, above 0 where it is predicted positive.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples,), float64
            The scores; their scale is the classifiers' own.
        """
        scores = self._columnwise("decision_function", X, np.float64)
        return scores[:, 0] if self._one_dimensional else scores

    def get_metadata_routing(self) -> Any:
        """Return what is routed where, for scikit-learn's metadata routing.

        Returns
        -------
        MetadataRouter
            Metadata of `fit` and `partial_fit` go to those of `estimator`.
        """
        mapping = (
            MethodMapping()
            .add(caller="fit", callee="fit")
            .add(caller="partial_fit", callee="partial_fit")
        )
        return MetadataRouter(owner=self).add(
            estimator=self.estimator, method_mapping=mapping
        )

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the classifier, for many labels."""
        tags = super().__sklearn_tags__()
        take_input_tags(tags, get_tags(self.estimator))
        return tags

    def _representative(self):
        """Return an estimator that has the methods that the labels' have."""
        for estimator in getattr(self, "estimators_", ()):
            if _is_fitted(estimator):
                return estimator
        return self.estimator

    def _validate(self, X, y, sample_weight, params, *, method, classes=None):
        """Return X, the target, its columns and the arguments of the classifiers."""
        self._validate_params()
        check_y_given(self, y)
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        if get_tags(self.estimator).input_tags.pairwise:
            raise ValueError(
                "`estimator` accepts classifiers of features; got "
                f"{type(self.estimator).__name__} of pairwise similarities, whose "
                "columns would have to follow the labeled rows of each label."
            )
        X = _with_rows(X)
        again = method == "partial_fit" and hasattr(self, "estimators_")
        if again and self._one_dimensional:
            classes = self.classes_
        target = encode_target(y, count_rows(X), classes=classes, accept_soft=True)
        if again:
            check_same_labels(target, self, sample_weight)
        elif method == "partial_fit" and target.classes is not None and classes is None:
            raise ValueError(
                "`classes` accepts the two values of a 1-D `y` and must be passed at "
                "the first call of partial_fit; got None."
            )
        params = self._route(method, params, sample_weight, target.labels)
        columns = Columns(target.labels, params.pop("sample_weight", None))
        return X, target, columns, params

    def _route(self, method, params, sample_weight, labels):
        """Return the arguments of the classifiers, row weights among them."""
        weighted = sample_weight is not None or is_weighted(labels)
        if get_config()["enable_metadata_routing"]:
            if weighted and sample_weight is None:
                # The weights of the cells in y travel as sample_weight.
                sample_weight = np.ones(labels.shape[0])
            if sample_weight is not None:
                params = {**params, "sample_weight": sample_weight}
            return dict(process_routing(self, method, **params).estimator[method])
        if weighted and not has_fit_parameter(self.estimator, "sample_weight"):
            if has_fractions(labels):
                raise ValueError(
                    "`estimator` must accept sample_weight where `y` is soft: a cell "
                    "counts as a positive and a negative, weighted; "
                    f"{type(self.estimator).__name__} does not. Pass "
                    "`labels.hard(threshold=0.5)`, or another estimator."
                )
            source = "`sample_weight`" if sample_weight is not None else "`y`"
            raise ValueError(
                f"`estimator` must accept sample_weight where {source} has weights; "
                f"{type(self.estimator).__name__} does not. Pass "
                "`labels.without_weights()` and no sample_weight, or another estimator."
            )
        return {**params, "sample_weight": sample_weight}

    def _adopt(self, X, target, estimators, n_positive, n_negative, reset=True):
        """Set all attributes at once, after everything that can fail."""
        fitted = scratch_of(self, without=FEATURES if reset else ())
        if reset:
            validate_data(fitted, X, skip_check_array=True)
            check_same_features(fitted, X, reset=True)
            fitted._set_classes(target.labels, target.classes)
        fitted.estimators_ = estimators
        fitted._n_positive, fitted._n_negative = n_positive, n_negative
        return take_over(self, vars(fitted))

    def _check_X(self, X):
        X = _with_rows(X)
        # Of anything but a table the classifiers themselves say what they expect.
        if len(getattr(X, "shape", ())) == 2:
            validate_data(self, X, reset=False, skip_check_array=True)
            check_same_features(self, X, reset=False)
        return X

    @of_one_fit
    def _additive(self, X, labels):
        """Return X, if any, as array or CSR, and the weights of linear classifiers."""
        if X is not None:
            X = check_array(self._check_X(X), accept_sparse="csr", dtype=np.float64)
        return X, linear_weights([self.estimators_[label] for label in labels])

    def _columnwise(self, method, X, dtype):
        """Return what a method of the labels' classifiers gives, a column per label."""
        check_is_fitted(self)
        X = self._check_X(X)
        result = np.empty((count_rows(X), self.n_labels_), dtype=dtype)
        Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(_predict_label)(result, label, estimator, method, X)
            for label, estimator in enumerate(self.estimators_)
        )
        return result


def _with_rows(X):
    """Return X as something that rows can be counted in and taken from."""
    if sp.issparse(X):
        return X.tocsr()
    if hasattr(X, "shape") or hasattr(X, "__len__"):
        return X
    return np.asarray(X)


def _is_fitted(estimator):
    return not (estimator is None or isinstance(estimator, ConstantLabel))


def _shown(target, label):
    """Return how errors name a label; None for a 1-D y."""
    if target.classes is not None:
        return None
    names = target.labels.label_names
    return str(label) if names is None else repr(str(names[label]))


def _fit_label(estimator, X, y, params, shown, *, go_on=False):
    """Fit, or go on fitting, the classifier of a label; errors say of which."""
    try:
        if go_on:
            return estimator.partial_fit(X, y, classes=np.arange(2), **params)
        return estimator.fit(X, y, **params)
    except Exception as error:
        if shown is None:
            raise
        n_positive = np.count_nonzero(y)
        where = (
            f"That was the classifier of label {shown}, of {n_positive} positive and "
            f"{len(y) - n_positive} negative cells."
        )
        if type(error) not in (TypeError, ValueError):
            error.add_note(where)
            raise
        raise type(error)(f"{error} {where}") from error


def _predict_label(result, label, estimator, method, X):
    """Write the predictions of one label into its column."""
    predicted = getattr(estimator, method)(X)
    result[:, label] = predicted[:, 1] if method == "predict_proba" else predicted
