"""Read y, split, fit and score left-out cells, for meta-estimators."""

import warnings
from collections.abc import Iterable
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn import model_selection
from sklearn.utils import indexable

from .._rows import count_rows, take_params, take_rows
from .._targets import encode_target
from .._typing import LabelsLike, MatrixLike, RandomState, Weights
from ..exceptions import (
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    RareLabelWarning,
    UnlabeledLabelWarning,
)
from ..labels import MaskedLabels, cell_weights, check_sample_weight
from ..metrics.cells import ScoredCells, score_cells
from ..metrics.responses import predict_cells
from ._split import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
    MaskedStratifiedShuffleSplit,
)
from .fitting import explain_labels

_ABOUT_LABELS = (UnlabeledLabelWarning, OneSidedLabelsWarning, OneClassLabelWarning)


class Task(NamedTuple):
    """A data set as meta-estimators see it, of a 1-D y the labeled rows alone."""

    X: Any
    y: Any  # what the estimator is fitted on: MaskedLabels, or a 1-D array
    labels: MaskedLabels
    classes: np.ndarray | None  # the two values of a 1-D y
    sample_weight: Any
    kept: np.ndarray | None  # rows that are left of a 1-D y, None for all
    raw: Any  # the EncodedTarget, for what is judged about y as a whole

    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the weights of the positive and of the negative cells, per label."""
        if self.sample_weight is None and self.labels.weights is None:
            return self.labels.n_positive * 1.0, self.labels.n_negative * 1.0
        cells = self.labels.cells()
        weights = cell_weights(cells, self.sample_weight, self.labels.shape)
        weights = np.ones(len(cells.rows)) if weights is None else weights
        kinds = 2 * cells.cols + (cells.values == 1)
        counts = np.bincount(kinds, weights, minlength=2 * self.labels.n_labels)
        negative, positive = counts.reshape(-1, 2).T
        return positive, negative

    def cut(self, params: Any, rows: np.ndarray | None = None) -> dict[str, Any]:
        """Return arguments with the entries of some of the rows of the task."""
        n_given = count_rows(self.X) if self.kept is None else self.raw.labels.shape[0]
        if self.kept is not None:
            rows = self.kept if rows is None else self.kept[rows]
        if rows is None:
            return dict(params)
        return take_params(params, rows, n_given)


def read_task(X: MatrixLike, y: LabelsLike, sample_weight: Weights) -> Task:
    """Return X, y and weights as a :class:`Task`."""
    (X,) = indexable(X)
    target = encode_target(y, count_rows(X))
    labels = target.labels._without_row_ids()
    sample_weight = check_sample_weight(sample_weight, labels)
    if target.classes is None:
        return Task(X, labels, labels, None, sample_weight, None, target)
    kept = None
    if labels.n_cells < len(labels):
        kept = labels.cells().rows
        X, labels = take_rows(X, kept), labels[kept]
        if sample_weight is not None:
            sample_weight = sample_weight[kept]
    y = np.asarray(y) if kept is None else None
    if y is None or y.dtype == object:
        values = labels.cells().values
        y = target.classes[np.minimum(values, len(target.classes) - 1)]
    return Task(X, y, labels, target.classes, sample_weight, kept, target)


def make_splits(
    cv: Any,
    task: Task,
    split_params: dict[str, Any] | None = None,
    random_state: RandomState = None,
) -> list[Any]:
    """Return (train, test) positions by `cv`; a fraction is one stratified split."""
    if isinstance(cv, Iterable) and not hasattr(cv, "split"):
        splits = [tuple(_positions(part, task) for part in split) for split in cv]
        if not splits:
            raise ValueError("`cv` accepts one split or more; got none.")
        return refuse_leaks(splits)
    params = task.cut(split_params or {})
    has_groups = params.get("groups") is not None
    is_binary = task.classes is not None
    splitter = check_cv(cv, has_groups, is_binary, random_state)
    with warnings.catch_warnings():
        # What becomes of rare labels is for the caller to say.
        warnings.simplefilter("ignore", RareLabelWarning)
        return refuse_leaks(list(splitter.split(task.X, task.y, **params)))


def refuse_leaks(splits: list[Any]) -> list[Any]:
    """Return the splits; raise if a row is both trained on and tested."""
    for i, (train, test) in enumerate(splits):
        both = np.intersect1d(train, test)
        if len(both):
            raise ValueError(
                "`cv` accepts splits whose test rows are not trained on; split "
                f"{i} has {len(both)} rows in both parts, the first is {both[0]}."
            )
    return splits


def check_cv(
    cv: Any,
    has_groups: bool = False,
    is_binary: bool = False,
    random_state: RandomState = None,
) -> Any:
    """Return the splitter that `cv` means.

    Parameters
    ----------
    cv : int, float, splitter or iterable of splits, or None
        An integer is the number of stratified folds, None is 5, a fraction is one
        stratified random split with such a part left out.
    has_groups : bool, default=False
        Whether rows have groups: folds keep them whole.
    is_binary : bool, default=False
        Whether y is 1-D and each row labeled, else it is a matrix of labels.
    random_state : int, RandomState instance or None, default=None
        Seed of the random split.

    Returns
    -------
    splitter

    Examples
    --------
    >>> from sklearn_masked.model_selection.cross_fit import check_cv
    >>> check_cv(3)
    MaskedStratifiedKFold(n_splits=3, random_state=None, shuffle=False)
    >>> check_cv(None, has_groups=True)
    MaskedStratifiedGroupKFold(n_splits=5, random_state=None, shuffle=False)
    """
    cv = 5 if cv is None else cv
    if isinstance(cv, Integral):
        name = "StratifiedGroupKFold" if has_groups else "StratifiedKFold"
        masked = MaskedStratifiedGroupKFold if has_groups else MaskedStratifiedKFold
        return (getattr(model_selection, name) if is_binary else masked)(int(cv))
    if isinstance(cv, float):
        if has_groups:
            raise ValueError(
                f"`cv` accepts a number of folds or a splitter where `groups` are "
                f"given; got {cv}, whose random part would cut groups in two."
            )
        masked = MaskedStratifiedShuffleSplit
        shuffle = model_selection.StratifiedShuffleSplit if is_binary else masked
        return shuffle(n_splits=1, test_size=cv, random_state=random_state)
    return model_selection.check_cv(cv)


def _positions(part, task):
    """Return the rows of a split that was made before, counted in the task's rows."""
    part = np.asarray(part)
    if part.dtype == bool:
        part = np.flatnonzero(part)
    if task.kept is None:
        return part
    position = np.full(task.raw.labels.shape[0], -1)
    position[task.kept] = np.arange(len(task.kept))
    part = position[part]
    return part[part >= 0]


def refuse_overlap(splits: list[Any]) -> None:
    """Raise unless each row is left out once at most."""
    tests = np.concatenate([np.arange(0), *(np.asarray(test) for _, test in splits)])
    if len(np.unique(tests)) < len(tests):
        raise ValueError(
            "`cv` accepts splits whose test parts do not overlap: each cell counts "
            "once. Pass a splitter of the k-fold kind."
        )


def fit_part(
    estimator: Any, task: Task, train: np.ndarray, fit_params: Any, *, quiet: bool
) -> Any:
    """Fit an estimator on some rows, if `quiet` without warnings of single labels."""
    X, y = take_rows(task.X, train), take_rows(task.y, train)
    if isinstance(y, MaskedLabels) and not y.n_cells:
        raise ValueError(
            "`cv` accepts splits whose training parts hold labeled cells; got one that "
            "holds none."
        )
    with warnings.catch_warnings():
        for category in _ABOUT_LABELS if quiet else ():
            warnings.simplefilter("ignore", category)
        return _fit(estimator, X, y, task.cut(fit_params, train))


def fit_whole(estimator: Any, task: Task, fit_params: Any) -> Any:
    """Fit an estimator on all rows of a task."""
    return _fit(estimator, task.X, task.y, task.cut(fit_params))


def _fit(estimator, X, y, fit_params):
    """Fit an estimator, and say it if the reason for a failure is the form of y."""
    with explain_labels(estimator, y):
        return estimator.fit(X, y, **fit_params)


def score_part(
    estimator: Any, method: str, task: Task, rows: np.ndarray | None = None
) -> ScoredCells:
    """Return the scores of the labeled cells of some rows, of all where None."""
    X, labels, sample_weight = task.X, task.labels, task.sample_weight
    if rows is not None:
        X, labels = take_rows(X, rows), labels[rows]
        sample_weight = None if sample_weight is None else sample_weight[rows]
    scores = predict_cells(estimator, method, X, labels, task.classes)
    return score_cells(labels, scores, sample_weight, name=method, kind="score")


def join_cells(parts: Any) -> ScoredCells:
    """Return the cells of several parts as one."""
    first = parts[0]
    weights = None
    if first.weights is not None:
        weights = np.concatenate([part.weights for part in parts])
    return ScoredCells(
        np.concatenate([part.cols for part in parts]),
        np.concatenate([part.positive for part in parts]),
        np.concatenate([part.scores for part in parts]),
        weights,
        first.n_labels,
        first.names,
    )
