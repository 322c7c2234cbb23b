"""Score against the number of labeled cells, and what the next ones may buy."""

import time
import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.utils import Bunch, check_random_state, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.parallel import Parallel, delayed

from .._rows import count_rows, take_params, take_rows
from .._typing import LabelsLike, MatrixLike, RandomState
from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_rows
from ..metrics.cells import is_one_dimensional
from ..model_selection.cross_fit import check_cv, refuse_leaks
from ..model_selection.fitting import explain_labels

# Exponents tried for the way in which scores approach their limit.
_EXPONENTS = np.geomspace(0.05, 2.0, 80)


def learning_curve_by_cells(
    estimator: Any,
    X: MatrixLike,
    y: LabelsLike,
    *,
    train_sizes: ArrayLike = (0.1, 0.325, 0.55, 0.775, 1.0),
    cv: Any = None,
    scoring: Callable[..., Any] | None = None,
    n_repeats: int = 1,
    groups: ArrayLike | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    params: dict[str, Any] | None = None,
) -> Any:
    """Score an estimator that is fitted on more and more labeled cells.

    Cells are masked, rows stay: what grows is the number of decisions that people
    made, which is what costs. In each training fold the labeled cells are put in a
    random order, of which a tick of the curve takes the first ones, so that each set
    holds the smaller ones. Test folds keep all their labeled cells.

    Parameters
    ----------
    estimator : estimator
        Cloned for each fit; it takes `MaskedLabels` with unlabeled cells.
    X : array-like, sparse matrix, data frame or list of length n_samples
        The data.
    y : MaskedLabels or any other form of labels of shape (n_samples, n_labels)
        The labels.
    train_sizes : array-like of shape (n_ticks,), \
default=(0.1, 0.325, 0.55, 0.775, 1.0)
        Numbers of labeled cells (integers), or shares (floats above 0, up to 1) of
        the labeled cells of the smallest training fold.
    cv : int, splitter or iterable of splits, default=None
        An integer is the number of folds of
        :class:`~sklearn_masked.model_selection.MaskedStratifiedKFold`, with `groups` of
        :class:`~sklearn_masked.model_selection.MaskedStratifiedGroupKFold`; None is 5.
    scoring : callable or None, default=None
        A scorer, such as :data:`~sklearn_masked.metrics.masked_roc_auc_scorer`. None
        is the estimator's `score`, the macro ROC AUC for the estimators here.
    n_repeats : int, default=1
        Number of random orders of the cells in each training fold.
    groups : array-like of shape (n_samples,), default=None
        The group of each row; folds that an integer stands for keep groups whole.
    random_state : int, RandomState instance or None, default=None
        Pass an int for the same orders of the cells in every call.
    n_jobs : int, default=None
        Number of fits worked on at a time.
    params : dict, default=None
        Arguments of `fit`, cut to the rows of the fold where they have n_samples
        rows; with metadata routing, also of the splitter and the scorer.

    Returns
    -------
    Bunch
        `train_sizes`, int64 of shape (n_ticks,), the numbers of labeled cells;
        `train_scores` and `test_scores`, of shape (n_ticks, n_folds * n_repeats),
        fold by fold; `fit_times` and `score_times` of the same shape, in seconds.

    Raises
    ------
    ValueError
        If `train_sizes` or `n_repeats` is out of range, `scoring` is a string, `cv`
        makes no split, or `y` is 1-D, has another number of rows than `X`, or no
        labeled cell in some training fold.

    Warns
    -----
    RuntimeWarning
        If several of `train_sizes` are the same number of cells.

    See Also
    --------
    extrapolate_learning_curve : What the next labeled cells may buy.
    sklearn.model_selection.learning_curve : By rows, for complete labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn_masked.inspection import learning_curve_by_cells
    >>> from sklearn_masked.multioutput import MaskedMultiOutputClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(400, 5))
    >>> y = (X[:, :2] + rng.normal(size=(400, 2)) > 0).astype(float)
    >>> y[rng.random(y.shape) < 0.5] = np.nan
    >>> curve = learning_curve_by_cells(
    ...     MaskedMultiOutputClassifier(GaussianNB()),
    ...     X,
    ...     y,
    ...     train_sizes=[20, 60, 240],
    ...     cv=KFold(5),
    ...     n_repeats=3,
    ...     random_state=0,
    ... )
    >>> curve.train_sizes
    array([ 20,  60, 240])
    >>> curve.test_scores.shape
    (3, 15)
    >>> curve.test_scores.mean(axis=1).round(2)
    array([0.65, 0.76, 0.83])
    """
    if is_one_dimensional(y):
        raise ValueError(
            "`y` accepts labels of shape (n_samples, n_labels); got a 1-D target. Pass "
            "it as a column, in which -1 is unlabeled, or call scikit-learn's "
            "learning_curve."
        )
    if not isinstance(n_repeats, Integral) or n_repeats < 1:
        raise ValueError(
            f"`n_repeats` accepts an integer, 1 or above; got {n_repeats!r}."
        )
    if isinstance(scoring, str):
        raise ValueError(
            "`scoring` accepts a scorer of sklearn_masked.metrics, such as "
            f"masked_roc_auc_scorer, or None; got {scoring!r}, and scikit-learn's "
            "scorers know no unlabeled cells."
        )
    check_same_rows(X=X, y=y, groups=groups)
    X, y = indexable(X, check_labels(y))
    scorer = check_scoring(estimator, scoring=scoring)
    routed = _route(estimator, scorer, cv, groups, params or {})
    split_params = routed.splitter.split
    splitter = check_cv(cv, split_params.get("groups") is not None)
    splits = refuse_leaks(list(splitter.split(X, y, **split_params)))
    n_most = _fewest_cells(y, splits)
    train_sizes = _absolute_sizes(train_sizes, n_most)
    random_state = check_random_state(random_state)
    seeds = random_state.randint(2**31 - 1, size=(len(splits), n_repeats))
    parallel = Parallel(n_jobs=n_jobs)
    results = parallel(
        delayed(_fit_and_score)(
            clone(estimator), scorer, X, y, train, test, int(size), int(seed), routed
        )
        for size in train_sizes
        for (train, test), fold_seeds in zip(splits, seeds, strict=True)
        for seed in fold_seeds
    )
    results = np.reshape(results, (len(train_sizes), -1, 4))
    names = ("train_scores", "test_scores", "fit_times", "score_times")
    return Bunch(
        train_sizes=train_sizes,
        **{name: results[:, :, place] for place, name in enumerate(names)},
    )


def _fewest_cells(labels, splits):
    """Return the number of labeled cells of the smallest training fold."""
    if not splits:
        raise ValueError("`cv` accepts one split or more; got none.")
    fewest = min(labels[train].n_cells for train, _ in splits)
    if not fewest:
        raise ValueError(
            "`y` must have labeled cells in every training fold; got none in one."
        )
    return fewest


def extrapolate_learning_curve(curve: Any, n_cells: int | ArrayLike) -> Any:
    """Estimate the test scores that more labeled cells would bring.

    Every series of the curve, of one fold and one order of the cells, is continued
    by ``limit - loss * n_cells ** -exponent``, fitted by least squares, with one
    exponent for all. A rule of thumb: trust it as far as the curve is smooth, and
    not much beyond twice its largest number of cells.

    Parameters
    ----------
    curve : Any
        What :func:`learning_curve_by_cells` returns: its `train_sizes` and
        `test_scores`, of at least three ticks.
    n_cells : int or array-like of shape (n_points,)
        Numbers of labeled cells, above 0.

    Returns
    -------
    Bunch
        `train_sizes`, of shape (n_points,), the numbers of labeled cells;
        `test_scores`, of shape (n_points, n_series).

    Raises
    ------
    ValueError
        If the curve has fewer than three ticks or no series without NaN, or a
        number of cells is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.utils import Bunch
    >>> from sklearn_masked.inspection import extrapolate_learning_curve
    >>> sizes = np.array([100, 200, 400, 800])
    >>> curve = Bunch(train_sizes=sizes, test_scores=0.9 - sizes[:, None] ** -0.5)
    >>> extrapolate_learning_curve(curve, 1800).test_scores.round(2)
    array([[0.88]])
    """
    sizes = np.asarray(curve.train_sizes, dtype=np.float64)
    if len(sizes) < 3:
        raise ValueError(f"`curve` accepts three ticks or more; got {len(sizes)}.")
    n_cells = np.atleast_1d(np.asarray(n_cells))
    if n_cells.dtype.kind not in "iuf" or not (n_cells > 0).all():
        raise ValueError(f"`n_cells` accepts numbers above 0; got {n_cells.tolist()}.")
    scores = np.asarray(curve.test_scores, dtype=np.float64)
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if not scores.shape[1]:
        raise ValueError("`curve` accepts test scores; got NaN in each of its series.")
    fits = [_fit_power(sizes, scores, exponent) for exponent in _EXPONENTS]
    best = int(np.argmin([error for error, _, _ in fits]))
    _, limit, loss = fits[best]
    continued = limit - loss * n_cells[:, None] ** -_EXPONENTS[best]
    return Bunch(train_sizes=n_cells, test_scores=continued)


def _fit_power(sizes, scores, exponent):
    """Return the squared error, the limits and the losses of the series."""
    powers = sizes**-exponent
    center = powers.mean()
    spread = powers - center
    # More labels are taken never to harm: a falling series is continued level.
    loss = np.maximum(-(spread @ scores) / (spread @ spread), 0.0)
    limit = scores.mean(axis=0) + loss * center
    return np.sum((scores - limit + np.outer(powers, loss)) ** 2), limit, loss


def _absolute_sizes(train_sizes, n_most):
    """Return numbers of cells, increasing and different, of numbers or shares."""
    sizes = np.asarray(train_sizes)
    if sizes.ndim != 1 or not len(sizes) or sizes.dtype.kind not in "iuf":
        raise ValueError(
            f"`train_sizes` accepts a sequence of numbers; got {train_sizes!r}."
        )
    if sizes.dtype.kind == "f":
        if not ((sizes > 0) & (sizes <= 1)).all():
            raise ValueError(
                "`train_sizes` accepts shares above 0, up to 1, or whole numbers of "
                f"labeled cells; got {sizes.tolist()}."
            )
        sizes = np.maximum((sizes * n_most).astype(np.int64), 1)
    if sizes.min() < 1 or sizes.max() > n_most:
        raise ValueError(
            f"`train_sizes` accepts 1 to {n_most} labeled cells, which the smallest "
            f"training fold has; got {sizes.tolist()}."
        )
    different = np.unique(sizes.astype(np.int64))
    if len(different) < len(sizes):
        warnings.warn(
            f"`train_sizes` come to {len(different)} different numbers of labeled "
            f"cells, not {len(sizes)}: {different.tolist()}.",
            RuntimeWarning,
            stacklevel=3,
        )
    return different


def _route(estimator, scorer, cv, groups, params):
    """Return the arguments of `split`, `fit` and `score`."""
    if not get_config()["enable_metadata_routing"]:
        return Bunch(
            splitter=Bunch(split={} if groups is None else {"groups": groups}),
            estimator=Bunch(fit=params),
            scorer=Bunch(score={}),
        )
    if groups is not None:
        raise ValueError(
            "`groups` accepts None while metadata routing is enabled; pass "
            "params={'groups': groups} instead."
        )
    router = MetadataRouter(owner="learning_curve_by_cells")
    for name, routed, method in (
        ("splitter", cv, "split"),
        ("estimator", estimator, "fit"),
        ("scorer", scorer, "score"),
    ):
        mapping = MethodMapping().add(caller="fit", callee=method)
        router.add(**{name: routed}, method_mapping=mapping)
    return process_routing(router, "fit", **params)


def _fit_and_score(estimator, scorer, X, y, train, test, size, seed, routed):
    """Return the training and test scores of a number of cells, and both times."""
    n_samples = count_rows(X)
    labels = _first_cells(y[train], size, seed)
    X_train, X_test = take_rows(X, train), take_rows(X, test)
    fit_params = take_params(routed.estimator.fit, train, n_samples)
    start = time.perf_counter()
    with explain_labels(estimator, labels):
        estimator.fit(X_train, labels, **fit_params)
    fitted = time.perf_counter()
    score_params = take_params(routed.scorer.score, test, n_samples)
    test_score = scorer(estimator, X_test, y[test], **score_params)
    scored = time.perf_counter()
    score_params = take_params(routed.scorer.score, train, n_samples)
    train_score = scorer(estimator, X_train, labels, **score_params)
    return train_score, test_score, fitted - start, scored - fitted


def _first_cells(labels, size, seed):
    """Return labels that keep the first cells of a random order, the others masked."""
    cells = labels.cells()
    order = np.random.RandomState(seed).permutation(len(cells.rows))
    kept = np.sort(order[:size])
    return MaskedLabels.from_cells(
        cells.rows[kept],
        cells.cols[kept],
        cells.values[kept],
        shape=labels.shape,
        weights=None if cells.weights is None else cells.weights[kept],
    )._named_like(labels)
