"""The calibrator."""

import warnings
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from scipy.special import logit
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._fitted import of_one_fit, take_over
from .._meta import MaskedMetaClassifier
from .._rows import count_rows
from .._targets import check_same_labels, encode_target, shown_labels
from .._typing import LabelsLike, MatrixLike, PerLabel, Weights
from ..exceptions import PooledCalibrationWarning, ReversedScoresWarning
from ..labels.names import check_same_features, check_same_rows
from ..labels.per_label import read_per_label
from ..metrics.cells import score_cells
from ..metrics.responses import predict_cells, response_of
from ..metrics.shares import refuse_one_side, smoothed_share
from ..model_selection.cross_fit import (
    fit_whole,
    join_cells,
    make_splits,
    refuse_overlap,
    score_part,
)
from ..multioutput import MaskedMultiOutputClassifier
from ._maps import shift_logits
from ._pairs import SCORES, Uncorrected, fit_fold, fit_pair, score_fold
from ._prior import effective_weights, prior_shift, shrunken_shifts


class MaskedCalibratedClassifierCV(MaskedMetaClassifier):
    """Calibrate the probabilities of each label, from its left-out labeled cells.

    What :class:`sklearn.calibration.CalibratedClassifierCV` is to a binary classifier
    this is to a label matrix: for each label the result equals scikit-learn's on its
    labeled cells, whatever stands in the others. A 1-D `y` is calibrated as
    scikit-learn does it.

    Calibrated to the labeled cells is not calibrated to traffic: where annotators
    *sought* positives, labeled cells hold far more of them. Say how many there are in
    traffic, by `target_prevalence`, or let a few hundred cells be labeled that were
    drawn at random and pass them to :meth:`correct_prior`.

    Parameters
    ----------
    estimator : estimator, default=None
        The classifier to calibrate, by its `decision_function`, or `predict_proba` if
        it has none. None is a :class:`~sklearn_masked.MaskedMultiOutputClassifier` of
        :class:`~sklearn.svm.LinearSVC`. One inside a
        :class:`~sklearn.frozen.FrozenEstimator` is not fitted again: all cells then
        calibrate, and should not be those that it was fitted on.
    method : {"sigmoid", "isotonic", "temperature"}, default="sigmoid"
        Platt's two parameters per label, a non-decreasing step function, or one
        parameter per label. Isotonic takes some hundred cells per label.
    cv : int, splitter, iterable of splits or "prefit", default=None
        How rows are left out. An integer is a number of folds, None is 5. "prefit"
        is the same as a frozen estimator.
    n_jobs : int, default=None
        Number of folds fitted at a time.
    ensemble : bool or "auto", default="auto"
        If True, each fold's estimator is kept with the maps of the cells left out of
        it, and their probabilities are averaged. If False, the cells of all folds fit
        one map per label, for an estimator fitted on all rows: one model to serve, and
        all of a label's cells for its map, which rare labels need. "auto" is False
        for a frozen estimator and True else, as in scikit-learn.
    min_positive, min_negative : int, default=10
        A label with fewer positive or negative cells (left out of one fold, or of
        all if not `ensemble`) gets the map of all labels' cells together.
    target_prevalence : float, array-like of shape (n_labels,) or dict, default=None
        Share of positives of each label in traffic, strictly between 0 and 1; of a
        dict, the labels that it names. NaN and labels not named are not corrected.

    Attributes
    ----------
    calibrated_classifiers_ : list
        Fitted pairs with `estimator` and `calibrators`: as many as folds, or one.
    pooled_labels_ : ndarray of shape (n_labels,), bool
        Labels that have the pooled map, in a fold at least.
    cell_prevalence_ : ndarray of shape (n_labels,)
        Share of positives among the labeled cells that calibrated.
    prior_shift_ : ndarray of shape (n_labels,)
        What is added to the logit of each label: 0 without a correction.
    prior_shift_std_ : ndarray of shape (n_labels,)
        Standard deviation of `prior_shift_`, after `correct_prior`.
    classes_ : ndarray
        Positions of the labels, dtype object; for a 1-D `y`, its two values.
    label_names_ : ndarray of shape (n_labels,) or None
        Names of the labels, where `y` had them.
    n_labels_ : int
        Number of labels.
    n_features_in_ : int
        Number of features, if the estimator knows it.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if the estimator knows them.

    See Also
    --------
    masked_calibration_curve : Look at the result.
    inverse_propensity_weights : Where the cells' chances to be labeled are known.

    Notes
    -----
    If a cell's chance to be labeled depends on its truth and not otherwise on the
    score, the share of positives p among labeled cells and q in traffic change the
    odds of every cell by the same factor::

        logit P(positive | score, traffic) = logit P(positive | score, labeled) + shift
        shift = logit(q) - logit(p)

    (Elkan 2001; Saerens et al. 2002). The shift is the logarithm of the chance of a
    negative over that of a positive cell to be labeled: where all labels were sought
    in the same manner it is nearly the same for all, however rare they are, which is
    why :meth:`correct_prior` draws the labels' shifts together.

    References
    ----------
    Elkan, The foundations of cost-sensitive learning, IJCAI 2001.

    Saerens, Latinne and Decaestecker, Adjusting the outputs of a classifier to new a
    priori probabilities, Neural Computation 14, 2002.

    Platt, Probabilistic outputs for support vector machines, 1999.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_masked.calibration import MaskedCalibratedClassifierCV
    >>> from sklearn_masked.multioutput import MaskedMultiOutputClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 2))
    >>> Y = (X + rng.normal(size=X.shape) > 0).astype(float)
    >>> Y[rng.random(Y.shape) < 0.5] = np.nan  # unlabeled
    >>> base = MaskedMultiOutputClassifier(LogisticRegression())
    >>> clf = MaskedCalibratedClassifierCV(base, ensemble=False).fit(X, Y)
    >>> clf.predict_proba([[1.0, 0.0]]).round(1)
    array([[0.8, 0.5]])
    >>> clf.set_params(target_prevalence=0.1).fit(X, Y).predict_proba(
    ...     [[1.0, 0.0]]
    ... ).round(1)
    array([[0.4, 0.1]])
    """

    _parameter_constraints = {
        "estimator": [
            HasMethods(["fit", "decision_function"]),
            HasMethods(["fit", "predict_proba"]),
            None,
        ],
        "method": [StrOptions({"sigmoid", "isotonic", "temperature"})],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "n_jobs": [Integral, None],
        "ensemble": ["boolean", StrOptions({"auto"})],
        "min_positive": [Interval(Integral, 0, None, closed="left")],
        "min_negative": [Interval(Integral, 0, None, closed="left")],
        "target_prevalence": [Real, "array-like", dict, None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: Literal["sigmoid", "isotonic", "temperature"] = "sigmoid",
        cv: Any = None,
        n_jobs: int | None = None,
        ensemble: bool | Literal["auto"] = "auto",
        min_positive: int = 10,
        min_negative: int = 10,
        target_prevalence: PerLabel = None,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.n_jobs = n_jobs
        self.ensemble = ensemble
        self.min_positive = min_positive
        self.min_negative = min_negative
        self.target_prevalence = target_prevalence

    def fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        sample_weight: Weights = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimator, and its maps on the labeled cells left out of its fit.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            What the estimator is fitted on.
        y : MaskedLabels, array-like or sparse matrix of shape (n_samples, n_labels)
            Any form that :func:`sklearn_masked.check_labels` takes; or 1-D, of which
            unlabeled rows take no part.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            Weight of each row or cell, times the weights that y carries: for the
            estimator, if it takes them, and for the maps.
        **fit_params : dict
            Passed to `fit` of the estimator, cut to rows where they have n_samples
            rows. With metadata routing, what it and `cv` request.

        Returns
        -------
        self : object
            The fitted estimator. If this call fails, it is what it was before.

        Raises
        ------
        ValueError
            If y cannot be read or learnt from, the test parts of `cv` overlap where
            not `ensemble`, or `target_prevalence` is no share.
        NotFittedError
            If the estimator is frozen and not fitted.

        Warns
        -----
        PooledCalibrationWarning
            If labels have too few cells for a map of their own; one warning, which
            names at most ten.
        ReversedScoresWarning
            If the left-out cells of labels are ranked backwards, so that their sigmoid
            maps reverse the order of their scores; one warning, likewise.
        IgnoredWeightsWarning
            If there is `sample_weight` and the estimator takes none.
        """
        task, fit_params, split_params = self._read(X, y, sample_weight, fit_params)
        target = self._target_prevalence(task.labels)
        if self._resolve_ensemble():
            pairs = self._fit_ensemble(task, fit_params, split_params)
        else:
            pairs = self._fit_single(task, fit_params, split_params)
        pooled = np.any([which for _, which in pairs], axis=0)
        if pooled.any():
            self._warn_pooled(pooled, task.labels.label_names)
        pairs = [pair for pair, _ in pairs]
        if self.method == "sigmoid":
            self._warn_reversed(pairs, task.labels.label_names)
        share = smoothed_share(*task.totals())
        return self._adopt(
            task,
            pairs[0].estimator,
            without=("prior_shift_std_",),
            calibrated_classifiers_=pairs,
            pooled_labels_=pooled,
            cell_prevalence_=share,
            prior_shift_=prior_shift(target, share),
        )

    def correct_prior(
        self, X: MatrixLike, y: LabelsLike, sample_weight: Weights = None
    ) -> Self:
        """Correct the probabilities for traffic, from cells audited at random.

        Each label's logits get a shift that makes the audited cells most likely,
        drawn to the mean shift of all labels as far as its own cells leave it open:
        500 audited cells are of use for 28 labels. Call it after `fit`; a further
        call starts anew, and `target_prevalence` does not count then.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The rows of the audited cells; best, rows that the model was not fitted on.
        y : MaskedLabels or any other form of labels, (n_samples, n_labels), or 1-D
            The audited cells: chosen at random among rows and labels, or with known
            probabilities that are in the weights. Unlabeled cells do not count.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
            Weights of rows or cells, times those in y. Their scale does not matter.

        Returns
        -------
        self : object
            With `prior_shift_` and `prior_shift_std_` set.

        Raises
        ------
        ValueError
            If y cannot be read, has other labels than the model, or is one-sided.
        NotFittedError
            If `fit` was not called.
        """
        check_is_fitted(self)
        check_same_rows(X=X, y=y, sample_weight=sample_weight)
        classes = self.classes_ if self._one_dimensional else None
        target = encode_target(y, count_rows(X), classes=classes)
        check_same_labels(target, self, sample_weight)
        raw = Uncorrected(self)
        proba = predict_cells(raw, "predict_proba", X, target.labels, classes)
        labels = target.labels._without_row_ids()
        cells = score_cells(
            labels, proba, sample_weight, name="predict_proba", kind="proba"
        )
        weights = effective_weights(cells.cols, cells.weights, cells.n_labels)
        refuse_one_side(cells.positive.sum(), (~cells.positive).sum())
        with np.errstate(divide="ignore"):
            logits = logit(cells.scores)
        shifts, std = shrunken_shifts(
            cells.cols, cells.positive, logits, weights, cells.n_labels
        )
        state = {**vars(self), "prior_shift_": shifts, "prior_shift_std_": std}
        return take_over(self, state)

    @of_one_fit
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Predict the calibrated probability that each label is positive.

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
        proba = shift_logits(self._calibrated(X), self.prior_shift_)
        return np.hstack([1 - proba, proba]) if self._one_dimensional else proba

    @of_one_fit
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict each label of each row: positive above a probability of one half.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples,)
            0 and 1; after a 1-D y, its two values.
        """
        check_is_fitted(self)
        proba = self.predict_proba(X)
        if self._one_dimensional:
            return self.classes_[np.argmax(proba, axis=1)]
        return self._decide(proba > 0.5)

    def _inner(self):
        if self.estimator is not None:
            return self.estimator
        inner = LinearSVC(random_state=0)
        if get_config()["enable_metadata_routing"]:
            inner.set_fit_request(sample_weight=True)
        return MaskedMultiOutputClassifier(inner)

    def _resolve_ensemble(self):
        if isinstance(self.cv, str):
            return False
        if isinstance(self.ensemble, str):
            return not isinstance(self._inner(), FrozenEstimator)
        return self.ensemble

    def _target_prevalence(self, labels):
        if self.target_prevalence is None:
            return np.full(labels.n_labels, np.nan)
        return read_per_label(
            self.target_prevalence,
            "target_prevalence",
            labels.n_labels,
            labels.label_names,
            "shares strictly between 0 and 1, or NaN",
            lambda share: ((share > 0) & (share < 1)) | np.isnan(share),
        )

    def _fit_ensemble(self, task, fit_params, split_params):
        """Return, for each fold, a pair and the labels that are pooled in it."""
        splits = make_splits(self.cv, task, split_params)
        limits = self.min_positive, self.min_negative
        return Parallel(n_jobs=self.n_jobs)(
            delayed(fit_fold)(
                clone(self._inner()), task, fold, fit_params, self.method, limits
            )
            for fold in splits
        )

    def _fit_single(self, task, fit_params, split_params):
        """Return one pair, fitted on the cells left out of all folds, in a list."""
        if self._is_prefit():
            estimator = self._check_prefit()
            method = response_of(estimator, SCORES)[1]
            cells = score_part(estimator, method, task)
        else:
            splits = make_splits(self.cv, task, split_params)
            refuse_overlap(splits)
            parts = Parallel(n_jobs=self.n_jobs)(
                delayed(score_fold)(clone(self._inner()), task, fold, fit_params)
                for fold in splits
            )
            cells = join_cells(parts)
            estimator = fit_whole(clone(self._inner()), task, fit_params)
        limits = self.min_positive, self.min_negative
        return [fit_pair(estimator, cells, self.method, limits)]

    def _warn_pooled(self, pooled, label_names):
        where = "all folds together"
        if self._resolve_ensemble():
            where = "a fold (ensemble=False would take those of all folds together)"
        warnings.warn(
            f"Fewer than {self.min_positive} positive or {self.min_negative} negative "
            f"cells are left out, in {where}, of label "
            f"{shown_labels(pooled, label_names)}: the map of all labels together "
            "calibrates there.",
            PooledCalibrationWarning,
            stacklevel=3,
        )

    def _warn_reversed(self, pairs, label_names):
        told = [[each.reverses_ for each in pair.calibrators] for pair in pairs]
        is_reversed = np.any(told, axis=0)
        if is_reversed.any():
            warnings.warn(
                "Left-out cells are ranked backwards, and calibration reverses the "
                "order of the scores, for label "
                f"{shown_labels(is_reversed, label_names)}. Look at its labels; of few "
                "cells it is chance: raise `min_positive` to calibrate it with all "
                "labels together.",
                ReversedScoresWarning,
                stacklevel=3,
            )

    def _calibrated(self, X):
        """Return probabilities before the shift, shape (n_samples, n_labels)."""
        check_same_features(self, X, reset=False)
        classes = self.classes_ if self._one_dimensional else None
        pairs = self.calibrated_classifiers_
        total = sum(pair.predict_proba(X, classes) for pair in pairs)
        return total / len(pairs)
