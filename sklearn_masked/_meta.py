"""Base of the calibrator and the tuner: read y, route arguments, record the fit."""

import warnings
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from ._base import MaskedClassifierMixin, take_input_tags
from ._fitted import FEATURES, scratch_of, take_over
from ._targets import check_learnable, check_y_given
from .exceptions import IgnoredWeightsWarning
from .labels import check_sample_weight
from .labels.names import check_same_features, check_same_rows
from .model_selection.cross_fit import read_task


class MaskedMetaClassifier(MaskedClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Base of the classifiers that correct another classifier label by label."""

    def _inner(self):
        """Return the estimator that is wrapped."""
        return self.estimator

    def _is_prefit(self):
        return isinstance(self.cv, str) or isinstance(self._inner(), FrozenEstimator)

    def _read(self, X, y, sample_weight, fit_params):
        """Return the task, and the arguments of the estimator's fit and the split."""
        self._validate_params()
        check_y_given(self, y)
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        task = read_task(X, y, sample_weight)
        n_positive, n_negative = task.totals()
        check_learnable(task.raw, n_positive, n_negative, stacklevel=4)
        if task.classes is not None and not self._is_prefit():
            self._judge_folds(task)
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, task.raw.labels.shape)
        fit_params, split_params = self._route(sample_weight, fit_params)
        return task, fit_params, split_params

    def _judge_folds(self, task):
        """Raise if a class of a 1-D y has fewer rows than there are folds."""
        n_folds = getattr(self.cv, "n_splits", self.cv)
        n_folds = 5 if n_folds is None else n_folds
        fewest = np.minimum(task.labels.n_positive, task.labels.n_negative)[0]
        if isinstance(n_folds, int) and fewest < n_folds:
            raise ValueError(
                f"Requesting {n_folds}-fold cross-validation but provided less than "
                f"{n_folds} examples for at least one class of `y`."
            )

    def _route(self, sample_weight, fit_params):
        """Return the arguments of the estimator's fit, and of the split."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(
                self, "fit", sample_weight=sample_weight, **fit_params
            )
            return dict(routed.estimator.fit), dict(routed.splitter.split)
        if sample_weight is None or self._is_prefit():
            return dict(fit_params), {}
        estimator = self._inner()
        if has_fit_parameter(estimator, "sample_weight"):
            return {**fit_params, "sample_weight": sample_weight}, {}
        warnings.warn(
            f"{type(estimator).__name__} accepts no `sample_weight`: the weights "
            f"count in what {type(self).__name__} fits upon it alone.",
            IgnoredWeightsWarning,
            stacklevel=4,
        )
        return dict(fit_params), {}

    def _check_prefit(self):
        """Return the estimator as it is, which must be fitted."""
        estimator = self._inner()
        try:
            check_is_fitted(estimator)
        except NotFittedError:
            frozen = isinstance(estimator, FrozenEstimator)
            inner = estimator.estimator if frozen else estimator
            raise NotFittedError(
                "`estimator` must be fitted where cv='prefit' or where it is frozen; "
                f"this {type(inner).__name__} is not."
            ) from None
        return estimator

    def _adopt(self, task, inner, *, without=(), **attributes):
        """Set what was fitted at once, without the attributes that `without` names."""
        fitted = scratch_of(self, without=(*FEATURES, *without))
        for name in FEATURES:
            if hasattr(inner, name):
                setattr(fitted, name, getattr(inner, name))
        check_same_features(fitted, task.X, reset=True)
        fitted._set_classes(task.labels, task.classes)
        return take_over(self, {**vars(fitted), **attributes})

    def get_metadata_routing(self) -> Any:
        """Return what is routed where, for scikit-learn's metadata routing.

        Returns
        -------
        MetadataRouter
            `sample_weight` is used here, other metadata by `estimator` and `cv`.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        splitting = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self._inner(), method_mapping=mapping)
            .add(splitter=self.cv, method_mapping=splitting)
        )

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: those of the estimator, for two classes."""
        tags, inner = super().__sklearn_tags__(), get_tags(self._inner())
        take_input_tags(tags, inner)
        for name in ("one_d_labels", "two_d_labels", "single_output", "multi_output"):
            setattr(tags.target_tags, name, getattr(inner.target_tags, name))
        if inner.classifier_tags is not None:
            tags.classifier_tags.multi_label = inner.classifier_tags.multi_label
        return tags
