"""A strategy against an oracle that knows all labels tells what labeling would cost."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning

from .._rows import count_rows
from .._typing import LabelsLike, MatrixLike
from ..exceptions import (
    AssumedBaseRateWarning,
    FewerCellsWarning,
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    UnlabeledLabelWarning,
)
from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_names, check_same_rows
from ..metrics import masked_average_precision_score, masked_roc_auc_score
from ..metrics.cells import label_name
from ..model_selection.fitting import explain_labels
from ._cold_start import seed_cells, seed_samples
from ._query import check_count, query_cells
from ._query_samples import query_samples
from ._random import as_generator
from ._row_baselines import random_rows, uncertain_rows
from ._selection_weights import (
    CHOSEN_NEGATIVE_WEIGHT,
    check_weight,
    is_chosen,
    weigh,
    weights_explained,
)
from ._strategies import parse_strategy
from ._table import CellTable

_METRICS = {
    "macro_auc": masked_roc_auc_score,
    "macro_ap": masked_average_precision_score,
}
_ROWS = {"random_rows": random_rows, "uncertain_rows": uncertain_rows}
_EXPECTED = (
    AssumedBaseRateWarning,
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    UndefinedMetricWarning,
    UnlabeledLabelWarning,
)
# Share of chance among the first cells that queries find: surely some negatives.
_FIRST_RANDOM = 0.25


def simulate(
    estimator: Any,
    X: MatrixLike,
    y: LabelsLike,
    X_test: MatrixLike,
    y_test: LabelsLike,
    *,
    strategy: str | dict[str, Any] | Callable[..., Any] = "default",
    queries: Any = None,
    n_cells: int = 1000,
    batch_cells: int = 100,
    max_labels: int | None = None,
    cost_per_reading: float = 1.0,
    cost_per_key: float = 0.1,
    chosen_negative_weight: float = CHOSEN_NEGATIVE_WEIGHT,
    metrics: Sequence[str] | None = None,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    **query_params: Any,
) -> CellTable:
    """Label from zero cells on by a strategy, with known labels for an annotator.

    Each round asks for the next cells, takes their values from `y`, fits a clone of
    the estimator on all cells so far and scores it on the test samples: a learning
    curve by labeled cells and by what they cost a person, for comparing strategies
    before paying for one. Warnings about labels without cells are not shown.

    Parameters
    ----------
    estimator : estimator
        With `fit` for label matrices in which cells are unlabeled, and
        `predict_proba`.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The samples that may be asked about.
    y : MaskedLabels or any other form of labels
        Their labels, of shape (n_samples, n_labels), no cell unlabeled: the oracle.
    X_test : array-like or sparse matrix of shape (n_test, n_features)
        Samples to score on.
    y_test : MaskedLabels or any other form of labels
        Their labels, of shape (n_test, n_labels).
    strategy : str, dict or callable, default="default"
        As of :func:`query_cells`; or "random_rows" and "uncertain_rows" for whole
        rows as other tools ask for them, by chance or by the mean entropy over the
        labels; or a callable ``strategy(proba, labels, *, n_cells, random_state)``
        that returns a table with `sample` and `label`, and best `reason`.
    queries : matrix or dict, default=None
        If given, the first round takes :func:`seed_cells`, a quarter of them random.
        If None, it takes random cells, or random rows for a strategy by the row; the
        terminal program takes the names of labels as words there.
    n_cells : int, default=1000
        Cells labeled at the end.
    batch_cells : int, default=100
        Cells asked for in a round.
    max_labels : int, default=None
        If given, a sample is shown with up to so many labels, as of
        :func:`query_samples` and :func:`seed_samples`: it is read once, and the keys
        are one for each label that applies, and one to go on. A round asks for as
        many samples as make up its cells, so that the last may pass `n_cells` by some.
        If None, a label is asked for at a time: one key a cell, and a sample is read
        again unless the cell before was of it too.
    cost_per_reading, cost_per_key : float, default=1.0 and 0.1
        What reading a sample costs, and pressing a key.
    chosen_negative_weight : float, default=0.2
        Weight in a fit of the negatives that the table gives a reason other than
        "random" for: see :func:`weigh_chosen_negatives`. 1 gives the labels no
        weights, for estimators that take none.
    metrics : dict of str to callable, default=None
        By name, ``metric(y_test, proba)``. None is the macro averages of the masked
        ROC AUC, "macro_auc", and of the masked average precision, "macro_ap".
    random_state : int, RandomState, Generator or None, default=None
        Decides what chance decides; the estimator has its own.
    **query_params : dict
        Further arguments of :func:`query_cells`.

    Returns
    -------
    CellTable with a row a round
        Its fields are `n_cells`, `n_positive`, `n_readings`, `n_keys` (int64), `cost`
        and a float64 for each metric.

    Raises
    ------
    ValueError
        If the oracle has an unlabeled cell, or fewer cells than `n_cells`; or a
        parameter has another value.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_masked import MaskedMultiOutputClassifier
    >>> from sklearn_masked.annotation import simulate
    >>> from sklearn_masked.datasets import make_masked_multilabel
    >>> X, _, y = make_masked_multilabel(
    ...     300, 5, as_text=False, return_full=True, random_state=0
    ... )
    >>> y = y.toarray()
    >>> curve = simulate(
    ...     MaskedMultiOutputClassifier(LogisticRegression()),
    ...     X[:200], y[:200], X[200:], y[200:],
    ...     n_cells=90, batch_cells=40, random_state=0,
    ... )
    >>> curve["n_cells"]
    array([40, 80, 90])
    """
    check_same_rows(X=X, y=y)
    check_same_rows(X_test=X_test, y_test=y_test)
    oracle = _oracle(y, count_rows(X))._without_row_ids()
    y_test = check_labels(
        y_test, n_samples=count_rows(X_test), n_labels=oracle.n_labels
    )
    y_test = y_test._without_row_ids()
    check_same_names(y_test.label_names, oracle.label_names, "y_test", "`y`")
    check_count(n_cells, "n_cells")
    check_count(batch_cells, "batch_cells")
    check_weight(chosen_negative_weight, "chosen_negative_weight")
    if max_labels is not None:
        check_count(max_labels, "max_labels")
        max_labels = min(max_labels, oracle.n_labels)
    _check_cost(cost_per_reading, "cost_per_reading")
    _check_cost(cost_per_key, "cost_per_key")
    if n_cells > oracle.n_cells:
        raise ValueError(
            f"`n_cells` accepts at most the {oracle.n_cells} cells of `y`; got "
            f"{n_cells}."
        )
    metrics = _METRICS if metrics is None else metrics
    ask = _strategy(strategy, max_labels, query_params)
    ask_first = _first(strategy, X, queries, max_labels)
    by_sample = max_labels is not None or strategy in tuple(_ROWS)
    truth = _positives(oracle)
    rng = as_generator(random_state)
    known = MaskedLabels.from_cells([], [], [], shape=oracle.shape)
    known = known._named_like(oracle)
    records, model, chosen = [], None, np.empty((0, 2), np.int64)
    work = np.zeros(2, np.int64)  # readings, keys
    while known.n_cells < n_cells:
        target = min((len(records) + 1) * batch_cells, n_cells)
        params = {"n_cells": target - known.n_cells, "random_state": rng}
        if max_labels is not None:
            params["n_samples"] = -(-params.pop("n_cells") // max_labels)
        if model is None:
            table = ask_first(None, known, **params)
        else:
            table = ask(model.predict_proba(X), known, **params)
        if not len(table):
            break
        work += _work(table, truth, by_sample)
        known = _label(known, table, truth)
        chosen = np.concatenate([chosen, _chosen(table)])
        to_fit = weigh(known, *chosen.T, chosen_negative_weight)
        model, scores = _fit_and_score(estimator, X, to_fit, X_test, y_test, metrics)
        cost = work @ [cost_per_reading, cost_per_key]
        records.append((known.n_cells, known.n_positive.sum(), *work, cost, *scores))
    counts = ("n_cells", "n_positive", "n_readings", "n_keys")
    fields = [*((name, np.int64) for name in counts), ("cost", float)]
    return CellTable(np.array(records, fields + [(name, float) for name in metrics]))


def _oracle(y, n_samples):
    labels = check_labels(y, n_samples=n_samples)
    if labels.n_cells < labels.shape[0] * labels.n_labels:
        label = int(np.argmax(labels.n_labeled < len(labels)))
        column = labels[:, [label]].to_dense()[:, 0]
        raise ValueError(
            "`y` accepts labels without an unlabeled cell, since it answers for a "
            f"person; got one at sample {int(np.argmax(np.isnan(column)))}, label "
            f"{label_name(labels.label_names, label)}."
        )
    return labels


def _positives(labels):
    """Return the positives as CSR, to look up cells in."""
    stored = labels.values == 1
    rows = np.repeat(np.arange(len(labels)), np.diff(labels.indptr))
    parts = (np.ones(stored.sum(), np.int8), (rows[stored], labels.indices[stored]))
    return sp.csr_array(parts, shape=labels.shape)


def _check_cost(cost, name):
    real = isinstance(cost, Real) and not isinstance(cost, bool)
    if not real or not 0 <= cost < np.inf:
        raise ValueError(f"`{name}` accepts finite numbers from 0; got {cost!r}.")


def _strategy(strategy, max_labels, params):
    """Return what is asked from the second round on."""
    if isinstance(strategy, str) and strategy in _ROWS:
        if max_labels is not None:
            raise ValueError(
                f"`max_labels` accepts None for the strategy {strategy!r}, which asks "
                f"for whole rows; got {max_labels}."
            )
        return _ROWS[strategy]
    if callable(strategy):
        return partial(strategy, **params)
    parse_strategy(strategy, 1)  # judged before the first fit
    if max_labels is not None:
        params = {"max_labels": max_labels, **params}
        if strategy == "random":
            return partial(_random_samples, **params)
        return partial(query_samples, strategy=strategy, **params)
    return partial(query_cells, strategy=strategy, **params)


def _first(strategy, X, queries, max_labels):
    """Return what is asked in the first round, without a model."""
    if queries is not None:
        seed, params = seed_cells, {}
        if max_labels is not None:
            seed, params = seed_samples, {"max_labels": max_labels}
        return partial(_seed, seed, X, queries, **params)
    if isinstance(strategy, str) and strategy in _ROWS:
        return random_rows
    if max_labels is not None:
        return partial(query_samples, max_labels=max_labels)
    return partial(query_cells, strategy="random")


def _random_samples(proba, known, **params):
    return query_samples(None, known, **params)


def _seed(seed, X, queries, proba, known, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewerCellsWarning)  # the next round goes on
        return seed(X, queries, known, random_share=_FIRST_RANDOM, **params)


def _work(table, truth, by_sample):
    """Return how often a sample was read for these cells, and how many keys pressed."""
    rows = np.asarray(table["sample"])
    n_readings = 1 + np.count_nonzero(np.diff(rows))
    if not by_sample:
        return n_readings, len(rows)
    n_positive = np.asarray(truth[rows, np.asarray(table["label"])]).sum()
    return n_readings, n_readings + n_positive


def _chosen(table):
    """Return (row, col) of the cells of a table that were chosen by what they are."""
    cells = np.column_stack([table["sample"], table["label"]]).astype(np.int64)
    try:
        reasons = np.asarray(table["reason"])
    except (KeyError, ValueError):  # whole rows, and other people's tables
        return cells[:0]
    return cells[[is_chosen(reason) for reason in reasons.tolist()]]


def _label(known, table, truth):
    """Return the labels with the oracle's answers."""
    rows, cols = table["sample"], table["label"]
    values = np.asarray(truth[rows, cols]).ravel()
    answers = MaskedLabels.from_cells(rows, cols, values, shape=known.shape)
    return MaskedLabels.merge(known, answers)


def _fit_and_score(estimator, X, known, X_test, y_test, metrics):
    model = clone(estimator)
    with warnings.catch_warnings():
        # Labels short of cells, or without positives in the test: in every round.
        for expected in _EXPECTED:
            warnings.simplefilter("ignore", expected)
        with weights_explained(known), explain_labels(model, known):
            model.fit(X, known)
        proba = model.predict_proba(X_test)
        return model, [metric(y_test, proba) for metric in metrics.values()]
