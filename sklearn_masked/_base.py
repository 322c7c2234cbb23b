"""Base of the classifiers: what follows from labels and probabilities alike."""

import warnings
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._fitted import of_one_fit
from ._rows import count_rows, take_rows
from ._targets import check_same_labels, encode_target
from ._typing import LabelsLike, MatrixLike, Weights
from ._version import DOC_LINK
from .exceptions import UnscoredLabelsWarning
from .labels import cell_weights
from .labels.names import check_same_rows
from .metrics import masked_roc_auc_scorer


def estimator_has(method):
    """Return a check, for `available_if`, of a method of the wrapped estimator."""

    def check(self):
        return hasattr(getattr(self, "estimator_", self.estimator), method)

    return check


def take_input_tags(tags, inner):
    """Copy the tags of a wrapped estimator that are about X and the fit."""
    for name in ("input_tags", "non_deterministic", "no_validation"):
        setattr(tags, name, getattr(inner, name))
    if inner.classifier_tags is not None:
        tags.classifier_tags.poor_score = inner.classifier_tags.poor_score


class MaskedClassifierMixin(ClassifierMixin):
    """Mixin of classifiers of label matrices and of 1-D binary targets.

    Fitting sets `classes_`, `n_labels_`, `label_names_` and `_one_dimensional`.
    """

    classes_: np.ndarray
    n_labels_: int
    label_names_: np.ndarray | None
    _scorer = masked_roc_auc_scorer  # of labels (n_samples, n_labels)
    _doc_link_module = "sklearn_masked"
    _doc_link_template = DOC_LINK

    @of_one_fit
    def score(
        self, X: MatrixLike, y: LabelsLike, sample_weight: Weights = None
    ) -> float:
        """Return the macro ROC AUC of the labeled cells; after a 1-D y the accuracy.

        :class:`~sklearn_masked.thresholds.MaskedTunedThresholdClassifierCV`, whose
        subject is decisions, returns the macro F1 instead of the ROC AUC. Unlabeled
        cells, and unlabeled entries of a 1-D y, do not count.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Labels in any form; or 1-D, of shape (n_samples,), as in `fit`.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            Weight of each row or cell, times the weights that y carries.

        Returns
        -------
        float
            The score, larger for better; NaN where nothing can be scored.

        Raises
        ------
        ValueError
            If y cannot be read, does not fit X, or has other labels, another order of
            them or another number of dimensions than the classifier was fitted with.

        Warns
        -----
        UnscoredLabelsWarning
            If labels lack positive or negative cells, or if a 1-D y has no labeled
            entry of a weight above 0.
        RowOrderWarning
            If two of X, y and `sample_weight` have the same row index in another order.
        """
        check_is_fitted(self)
        if not self._one_dimensional:
            return self._scorer(self, X, y, sample_weight=sample_weight)
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        target = encode_target(y, count_rows(X), classes=self.classes_)
        check_same_labels(target, self)
        cells = target.labels.cells()
        weights = cell_weights(cells, sample_weight, target.labels)
        if not len(cells.rows) or (weights is not None and not weights.any()):
            warnings.warn(
                "`y` has no labeled entry of a weight above 0, so that the accuracy is "
                "undefined; the result is NaN.",
                UnscoredLabelsWarning,
                stacklevel=3,  # beyond `of_one_fit`
            )
            return float("nan")
        predicted = self.predict(take_rows(X, cells.rows))
        right = predicted == self.classes_[cells.values.astype(np.intp)]
        return float(np.average(right, weights=weights))

    @available_if(lambda self: hasattr(self, "predict_proba"))
    @of_one_fit
    def predict_log_proba(self, X: MatrixLike) -> Any:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples, 2), float64
            ``log(predict_proba(X))``, in nats; -inf where a probability is 0.
        """
        proba = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            if isinstance(proba, list):  # of scikit-learn's own, an array per label
                return [np.log(one) for one in proba]
            return np.log(proba)

    def _decide(self, positive):
        """Return decisions of shape (n_samples, n_labels) as `predict` gives them."""
        if self._one_dimensional:
            return self.classes_[positive[:, 0].astype(np.intp)]
        return positive.astype(np.intp, copy=False)

    def _set_classes(self, labels, classes):
        """Record the labels; `classes` are the two values of a 1-D y, else None."""
        self._one_dimensional = classes is not None
        self.n_labels_ = labels.n_labels
        self.label_names_ = labels.label_names
        # An arange of integers would read as the classes of one problem.
        self.classes_ = (
            np.arange(labels.n_labels).astype(object) if classes is None else classes
        )

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: 1-D and 2-D labels, of two classes each."""
        tags = super().__sklearn_tags__()
        for name in ("one_d_labels", "two_d_labels", "single_output", "multi_output"):
            setattr(tags.target_tags, name, True)
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags
