"""Scorers: metrics of an estimator's predictions, computed by blocks of rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Literal, Self

from sklearn import get_config
from sklearn.utils.metadata_routing import MetadataRequest

from .._typing import LabelsLike, MatrixLike, Weights
from ..labels.names import check_same_columns, check_same_rows
from ._balanced import masked_balanced_accuracy_score, masked_matthews_corrcoef
from ._decisions import masked_f1_score, masked_precision_score, masked_recall_score
from ._probabilities import masked_brier_score_loss, masked_log_loss
from ._ranking import masked_average_precision_score, masked_roc_auc_score
from .responses import fitted_labels, labels_for, predict_cells


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

    def __init__(
        self,
        score_func: Callable[..., Any],
        response_method: str | tuple[str, ...],
        sign: Literal[1, -1],
        kwargs: dict[str, Any],
    ) -> None:
        self._score_func = score_func
        self._response_method = response_method
        self._sign = sign
        self._kwargs = kwargs
        self._sample_weight_request: bool | str | None = None

    def __call__(
        self,
        estimator: Any,
        X: MatrixLike,
        y: LabelsLike,
        sample_weight: Weights = None,
    ) -> float:
        """Return the score, larger for better.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            For labels of shape (n_samples, n_labels), its predictions are an array
            of that shape, or a list of arrays (n_samples, 2), one per label.
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
        labels, classes = labels_for(estimator, X, y)
        _, names = fitted_labels(estimator)
        check_same_columns(sample_weight, names, "sample_weight", "the fitted model")
        labels = labels._without_row_ids()
        y_score = predict_cells(estimator, self._response_method, X, labels, classes)
        kwargs = dict(self._kwargs)
        if sample_weight is not None:
            kwargs["sample_weight"] = sample_weight
        return self._sign * self._score_func(labels, y_score, **kwargs)

    def set_score_request(
        self, *, sample_weight: bool | str | None = None
    ) -> MaskedScorer:
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

    def get_metadata_routing(self) -> Any:
        """Return what the scorer requests, for scikit-learn's metadata routing."""
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(
            param="sample_weight", alias=self._sample_weight_request
        )
        return request

    def _accept_sample_weight(self):
        # scikit-learn's scoring by several metrics asks this of each scorer.
        return True

    def __sklearn_clone__(self) -> Self:
        """Return an independent copy."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        """Return the call of `make_masked_scorer` that makes the same scorer."""
        name = getattr(self._score_func, "__name__", repr(self._score_func))
        words = [name, f"response_method={self._response_method!r}"]
        if self._sign < 0:
            words.append("greater_is_better=False")
        words += [f"{key}={value!r}" for key, value in self._kwargs.items()]
        return f"make_masked_scorer({', '.join(words)})"


def make_masked_scorer(
    score_func: Callable[..., Any],
    *,
    response_method: str | tuple[str, ...] = "predict",
    greater_is_better: bool = True,
    **kwargs: Any,
) -> MaskedScorer:
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


_SCORES = ("decision_function", "predict_proba")

masked_roc_auc_scorer: MaskedScorer = make_masked_scorer(
    masked_roc_auc_score, response_method=_SCORES
)
masked_average_precision_scorer: MaskedScorer = make_masked_scorer(
    masked_average_precision_score, response_method=_SCORES
)
neg_masked_log_loss_scorer: MaskedScorer = make_masked_scorer(
    masked_log_loss, response_method="predict_proba", greater_is_better=False
)
neg_masked_brier_score_scorer: MaskedScorer = make_masked_scorer(
    masked_brier_score_loss, response_method="predict_proba", greater_is_better=False
)
masked_balanced_accuracy_scorer: MaskedScorer = make_masked_scorer(
    masked_balanced_accuracy_score
)
masked_matthews_corrcoef_scorer: MaskedScorer = make_masked_scorer(
    masked_matthews_corrcoef
)
masked_f1_scorer: MaskedScorer = make_masked_scorer(masked_f1_score)
masked_precision_scorer: MaskedScorer = make_masked_scorer(masked_precision_score)
masked_recall_scorer: MaskedScorer = make_masked_scorer(masked_recall_score)
