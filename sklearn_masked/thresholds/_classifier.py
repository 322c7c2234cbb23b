"""The tuner of thresholds."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from .._base import estimator_has
from .._fitted import of_one_fit
from .._meta import MaskedMetaClassifier
from .._typing import LabelsLike, MatrixLike, PerLabel, RandomState, Weights
from ..labels import MaskedLabels
from ..labels.names import check_same_features
from ..metrics import masked_f1_scorer
from ..model_selection.cross_fit import (
    fit_part,
    fit_whole,
    join_cells,
    make_splits,
    refuse_overlap,
    score_part,
)
from ._messages import judge, warn_prior_shift
from ._objectives import OBJECTIVES
from ._report import ThresholdReport
from ._settings import CONSTRAINED, read_settings
from ._stability import warn_unstable
from ._tune import Tuner
from ._vote import FoldEstimators, vote

_SCORES = ("predict_proba", "decision_function")


class MaskedTunedThresholdClassifierCV(MaskedMetaClassifier):
    """Tune a decision threshold for each label, on its left-out labeled cells.

    For each label the threshold equals that of
    :class:`sklearn.model_selection.TunedThresholdClassifierCV` on its labeled cells,
    whatever stands in the others. In addition, thresholds can keep a promise, such as
    "precision at least 0.95"; the report says for which labels there are too few cells
    to make it.

    Where annotators *sought* positives, labeled cells hold more of them than traffic,
    and precision in traffic is lower: pass `target_prevalence`.

    Parameters
    ----------
    estimator : estimator
        The classifier, with `predict_proba` or `decision_function`. One inside a
        :class:`~sklearn.frozen.FrozenEstimator` is not fitted again: all cells tune,
        and should not be those that it was fitted on.
    scoring : str or callable, default="balanced_accuracy"
        What to maximize, for each label:

        - "balanced_accuracy", "matthews_corrcoef", "f1", or "fbeta" with `beta`; for
          the first three also the metric or the scorer of the package, such as
          `masked_f1_scorer`;
        - "cost": minus the mean cost of a cell by `cost_matrix`;
        - "recall_at_precision": recall, where precision is at least `target`;
        - "precision_at_recall": precision, where recall is at least `target`;
        - a callable of the weighted counts ``(tp, fp, fn, tn)``, arrays with an entry
          a threshold, that returns an array, larger for better; NaN counts as worst.
    beta : float, default=1.0
        Weight of recall in "fbeta".
    cost_matrix : array-like of shape (2, 2) or (n_labels, 2, 2), default=None
        For "cost": ``cost_matrix[truth, decision]``.
    target : float, array-like of shape (n_labels,) or dict, default=None
        For the two promises: the least precision or recall, above 0 and up to 1. Of a
        dict, the labels that it names; the others get no promise, and keep the
        estimator's own threshold (0.5 or 0).
    target_prevalence : float, array-like of shape (n_labels,), dict or label matrix \
of shape (n_audited, n_labels), default=None
        Share of positives of each label in traffic, strictly between 0 and 1. Each
        label's positive and negative cells are reweighed to it: promises, precision
        and objectives then speak of traffic. Of a dict, the labels that it names;
        those not named, and those of NaN, are taken as labeled, and so are all with
        None. A label matrix, in any form that :func:`sklearn_masked.check_labels`
        takes with two dimensions, is an *audit*: cells of the same labels, drawn at
        random from traffic, whose uncertainty counts in promises and bounds.
    confidence : float or None, default=0.95
        Confidence with which a promise is kept, see Notes, and of the bounds in
        `report_`. None takes the precision of the left-out cells for the true one,
        and so keeps the promise by luck often.
    confidence_over : {"label", "family"}, default="label"
        What `confidence` holds for: each label's promise by itself, so that of 100
        labels 5 may break theirs, and of few that pass most; or all promises together
        ("family"), which takes more cells: the chance of error is divided by the
        number of labels that have a target and enough cells (Bonferroni).
    min_positive, min_negative : int, default=5
        A label with fewer positive or negative cells gets the fallback.
    fallback : {"auto", "pooled", "default", "never", "always"} or float, \
default="auto"
        Threshold of the labels that get none of their own: the one that suits the
        cells of all labels together, the estimator's own (0.5 or 0), infinity either
        way, or a number. "auto" keeps promises: never positive where the precision,
        always positive where the recall cannot be shown; "pooled" if nothing is
        promised.
    response_method : {"auto", "predict_proba", "decision_function"}, default="auto"
        The scores that the thresholds cut. "auto" takes the first that there is.
    thresholds : int or array-like, default=100
        For what is not a promise: number of thresholds of an even grid, or the
        thresholds. Promises look at all scores.
    pool_folds : bool, default=False
        For what is not a promise: whether to score the left-out cells of all folds
        together, which rare labels need, instead of averaging over the folds as
        scikit-learn does. Promises pool always.
    cv : int, float, splitter, iterable of splits or "prefit", default=None
        How rows are left out: a number of folds (None is 5), the share of rows in one
        random split, or splits. "prefit" is the same as a frozen estimator.
    refit : bool, default=True
        Whether to fit `estimator_` on all rows. False keeps the estimators that the
        thresholds were tuned on: of a single split that one; of several folds all, of
        which each decides by the thresholds, and the majority counts.
    n_jobs : int, default=None
        Number of folds fitted at a time.
    random_state : int, RandomState or None, default=None
        Of the split, where `cv` is a share.
    store_cv_results : bool, default=False
        Whether to keep `cv_results_`.

    Attributes
    ----------
    estimator_ : estimator
        The fitted classifier; with `refit=False` and several folds one whose scores are
        the means of those of its `estimators`.
    thresholds_ : ndarray of shape (n_labels,), float64
        A cell is positive where its score is at least its label's threshold; inf
        where it never is. May be changed.
    best_scores_ : ndarray of shape (n_labels,)
        The objective at the thresholds.
    report_ : ThresholdReport
        What each threshold buys: counts, precision and recall with bounds, and why a
        label has the fallback.
    cv_results_ : dict
        "thresholds" and "scores": lists of arrays, one per label; of a promise, the
        scores are the shares that are promised. If `store_cv_results`.
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
    sklearn_masked.calibration.MaskedCalibratedClassifierCV : Probabilities first.

    Notes
    -----
    A precision of 12 out of 12 cells is no precision of 0.95: shares of 0.78 and above
    give that in one of 20 cases. And the best of many thresholds is best by luck in
    part. So, for "recall_at_precision", thresholds are *tested*, from the strictest
    that lets enough cells pass down, each against the hypothesis that its precision is
    below `target`, by the binomial tail (the test that the bound of Clopper and Pearson
    inverts). The tests share the chance of error ``1 - confidence`` in a fixed sequence
    with three starts, and the laxest threshold that passes is chosen: the chance that
    its precision is below `target` is at most ``1 - confidence``, for each label.
    "precision_at_recall" takes one test, since recall falls as thresholds rise.

    With `target_prevalence` q, of a label with a share p of positives among its labeled
    cells, a precision of t in traffic is one of t' among the labeled cells, and is
    tested as such::

        logit(t') = logit(t) + logit(p) - logit(q)

    The numbers of positive and negative cells are taken as given: the test then has at
    most its nominal size from confidence 0.8 on, as enumerated for 10 to 500 positive
    and 10 to 5,000 negative cells. For an audit the p-value is averaged over the
    confidence distribution of q (Fay, Proschan and Brittain 2015), by the label's own
    audited cells; figures without a bound take their share. This takes for granted
    that positives, and negatives, were sought without regard to their score beyond
    their truth. Where they were not, give the cells their inverse propensities for
    weights (:func:`sklearn_masked.calibration.inverse_propensity_weights`), or tune on
    audited cells. Weighted cells are tested as Fay and Feuer bound weighted sums, with
    one miss more, as heavy as any may be: an approximation, which asks for more cells
    the more the weights differ.

    Refitting makes another one: the scores that were tested are those of the folds'
    models. A :class:`~sklearn_masked.exceptions.RefitThresholdWarning` names labels
    where they are on another scale than those of `estimator_`, as far as labeled cells
    show it: a model that overfits can hide it. With ``refit=False`` the folds' models
    are kept and vote, which cannot be misled so; with ``cv=0.3, refit=False`` the one
    model that was tested decides, and the promise holds to the letter.

    References
    ----------
    Angelopoulos, Bates, Candes, Jordan and Lei, Learn then Test: calibrating predictive
    algorithms to achieve risk control, 2021.

    Fay, Proschan and Brittain, Combining one-sample confidence procedures for inference
    in the two-sample case, Biometrics 71, 2015.

    Fay and Feuer, Confidence intervals for directly standardized rates: a method based
    on the gamma distribution, Statistics in Medicine 16, 1997.

    Wiens, A fixed sequence Bonferroni procedure for testing multiple endpoints,
    Pharmaceutical Statistics 2, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_masked.multioutput import MaskedMultiOutputClassifier
    >>> from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> Y = (X + 0.3 * rng.normal(size=X.shape) > 0).astype(float)
    >>> Y[rng.random(Y.shape) < 0.5] = np.nan  # unlabeled
    >>> base = MaskedMultiOutputClassifier(LogisticRegression())
    >>> clf = MaskedTunedThresholdClassifierCV(
    ...     base, scoring="recall_at_precision", target=0.95
    ... ).fit(X, Y)
    >>> clf.thresholds_.round(1)
    array([0.8, 0.8])
    >>> clf.predict([[2.0, -2.0]])
    array([[1, 0]])

    In traffic, fewer cells are positive than half of them, as labeled:

    >>> clf.set_params(target_prevalence=0.4).fit(X, Y).thresholds_ > 0.8
    array([ True,  True])
    """

    _scorer = masked_f1_scorer  # of labels (n_samples, n_labels)
    _parameter_constraints = {
        "estimator": [
            HasMethods(["fit", "predict_proba"]),
            HasMethods(["fit", "decision_function"]),
        ],
        "scoring": [StrOptions({*OBJECTIVES, *CONSTRAINED}), callable],
        "beta": [Interval(Real, 0, None, closed="left")],
        "cost_matrix": ["array-like", None],
        "target": [Real, "array-like", dict, None],
        "target_prevalence": [
            Real,
            "array-like",
            "sparse matrix",
            dict,
            MaskedLabels,
            None,
        ],
        "confidence": [Interval(Real, 0, 1, closed="neither"), None],
        "confidence_over": [StrOptions({"label", "family"})],
        "min_positive": [Interval(Integral, 0, None, closed="left")],
        "min_negative": [Interval(Integral, 0, None, closed="left")],
        "fallback": [
            StrOptions({"auto", "pooled", "default", "never", "always"}),
            Real,
        ],
        "response_method": [StrOptions({"auto", *_SCORES})],
        "thresholds": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "pool_folds": ["boolean"],
        "cv": [
            "cv_object",
            StrOptions({"prefit"}),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "refit": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "store_cv_results": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        scoring: str | Callable[..., Any] = "balanced_accuracy",
        beta: float = 1.0,
        cost_matrix: ArrayLike | None = None,
        target: PerLabel = None,
        target_prevalence: PerLabel = None,
        confidence: float | None = 0.95,
        confidence_over: Literal["label", "family"] = "label",
        min_positive: int = 5,
        min_negative: int = 5,
        fallback: Literal["auto", "pooled", "default", "never", "always"]
        | float = "auto",
        response_method: Literal["auto", "predict_proba", "decision_function"] = "auto",
        thresholds: int | ArrayLike = 100,
        pool_folds: bool = False,
        cv: Any = None,
        refit: bool = True,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        store_cv_results: bool = False,
    ) -> None:
        self.estimator = estimator
        self.scoring = scoring
        self.beta = beta
        self.cost_matrix = cost_matrix
        self.target = target
        self.target_prevalence = target_prevalence
        self.confidence = confidence
        self.confidence_over = confidence_over
        self.min_positive = min_positive
        self.min_negative = min_negative
        self.fallback = fallback
        self.response_method = response_method
        self.thresholds = thresholds
        self.pool_folds = pool_folds
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.store_cv_results = store_cv_results

    def fit(
        self,
        X: MatrixLike,
        y: LabelsLike,
        sample_weight: Weights = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimator, and choose thresholds on the cells left out of its folds.

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
            estimator, if it takes them, and for the counts.
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
            If y cannot be read or learnt from, a parameter is missing or does not fit
            the labels, or the scores of a 1-D y are constant.
        NotFittedError
            If the estimator is frozen and not fitted.

        Warns
        -----
        FallbackThresholdWarning
            If labels get the fallback; one warning, which names at most ten of each
            reason.
        PriorShiftWarning
            If a calibrator inside shifts its probabilities to traffic while figures
            are of the labeled cells, or if fitting it again loses `correct_prior`.
        RefitThresholdWarning
            If a promise was tested on scores of another scale than those of
            `estimator_`.
        IgnoredWeightsWarning
            If there is `sample_weight` and the estimator takes none.
        """
        task, fit_params, split_params = self._read(X, y, sample_weight, fit_params)
        default = 0.5 if self._method() == "predict_proba" else 0.0
        settings = read_settings(self, task.labels, default)
        estimator, parts = self._score_folds(task, settings, fit_params, split_params)
        tuner = Tuner(parts, join_cells(parts), settings)
        choices = [tuner.choose(label) for label in range(task.labels.n_labels)]
        names = task.labels.label_names
        first = estimator
        if isinstance(estimator, FoldEstimators):
            first = estimator.estimators[0]
        seen = None
        if settings.constrained and self.refit and not self._is_prefit():
            seen = score_part(estimator, self._method(), task)
        report = ThresholdReport(tuner.columns(choices, names, seen), settings.traffic)
        judge(task, tuner, report, self.fallback)
        if settings.constrained:
            warn_unstable(report, parts, self.scoring, names)
        warn_prior_shift(self.estimator, first, settings.traffic)
        curves = {}
        if self.store_cv_results:
            curves["cv_results_"] = {
                "thresholds": [choice.grid for choice in choices],
                "scores": [choice.curve for choice in choices],
            }
        return self._adopt(
            task,
            first,
            without=("cv_results_",),
            estimator_=estimator,
            report_=report,
            thresholds_=report["threshold"].copy(),
            best_scores_=report["score"].copy(),
            **curves,
        )

    @of_one_fit
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Predict each label of each row: positive from its threshold on.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples,)
            0 and 1; after a 1-D y, its two values.
        """
        self._check_features(X)
        classes = self.classes_ if self._one_dimensional else None
        positive = vote(
            self.estimator_,
            self._methods(),
            X,
            self.thresholds_,
            classes,
            ties=isinstance(self.scoring, str)
            and self.scoring == "precision_at_recall",
        )
        return self._decide(positive)

    @available_if(estimator_has("predict_proba"))
    @of_one_fit
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return `predict_proba` of the fitted estimator.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples, 2)
            The probabilities, which thresholds do not change.
        """
        self._check_features(X)
        return self.estimator_.predict_proba(X)

    @available_if(estimator_has("decision_function"))
    @of_one_fit
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return `decision_function` of the fitted estimator.

        Parameters
        ----------
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_labels) or (n_samples,)
            The scores, which thresholds do not change.
        """
        self._check_features(X)
        return self.estimator_.decision_function(X)

    def _check_features(self, X):
        check_is_fitted(self)
        check_same_features(self, X, reset=False)

    def _methods(self):
        if self.response_method == "auto":
            return _SCORES
        return (self.response_method,)

    def _method(self):
        """Return the method that gives the scores."""
        for method in self._methods():
            if hasattr(self.estimator, method):
                return method
        raise ValueError(
            f"`response_method` accepts a method of the estimator; "
            f"{type(self.estimator).__name__} has no {self.response_method}."
        )

    def _score_folds(self, task, settings, fit_params, split_params):
        """Return the fitted estimator, and the scored cells left out of each fold."""
        method = self._method()
        if self._is_prefit():
            estimator = self._check_prefit()
            return estimator, [score_part(estimator, method, task)]
        splits = make_splits(self.cv, task, split_params, self.random_state)
        if settings.constrained or settings.pool_folds:
            refuse_overlap(splits)
        fitted = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_fold)(
                clone(self.estimator),
                method,
                task,
                fold,
                fit_params,
                keep=not self.refit,
                quiet=self.refit or place > 0,
            )
            for place, fold in enumerate(splits)
        )
        estimators, parts = zip(*fitted, strict=True)
        if self.refit:
            return fit_whole(clone(self.estimator), task, fit_params), list(parts)
        if len(estimators) == 1:
            return estimators[0], list(parts)
        return FoldEstimators(list(estimators)), list(parts)


def _fit_fold(estimator, method, task, fold, fit_params, *, keep, quiet):
    """Fit on the rows of a fold, and score the cells left out."""
    fit_part(estimator, task, fold[0], fit_params, quiet=quiet)
    return estimator if keep else None, score_part(estimator, method, task, fold[1])
