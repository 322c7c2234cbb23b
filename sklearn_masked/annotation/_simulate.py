"""A strategy against an oracle that knows all labels tells what labeling would cost."""

import warnings
from functools import partial

import numpy as np
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning

from .._rows import count_rows
from ..exceptions import (
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
from ._cold_start import seed_cells
from ._query import check_count, query_cells
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
    OneClassLabelWarning,
    OneSidedLabelsWarning,
    UndefinedMetricWarning,
    UnlabeledLabelWarning,
)
# Share of chance among the first cells that queries find: surely some negatives.
_FIRST_RANDOM = 0.25


def simulate(
    estimator,
    X,
    y,
    X_test,
    y_test,
    *,
    strategy="default",
    queries=None,
    n_cells=1000,
    batch_cells=100,
    chosen_negative_weight=CHOSEN_NEGATIVE_WEIGHT,
    metrics=None,
    random_state=None,
    **query_params,
):
    """Label from zero cells on by a strategy, with known labels for an annotator.

    Each round asks for the next cells, takes their values from `y`, fits a clone of
    the estimator on all cells so far and scores it on the test samples: a learning
    curve by labeled cells, for comparing strategies before paying for one. Warnings
    about labels without cells are not shown.

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
        If None, it takes random cells, or random rows for a strategy by the row.
    n_cells : int, default=1000
        Cells labeled at the end.
    batch_cells : int, default=100
        Cells asked for in a round.
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
        Its fields are `n_cells`, `n_positive` (int64) and a float64 for each metric.

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
    if n_cells > oracle.n_cells:
        raise ValueError(
            f"`n_cells` accepts at most the {oracle.n_cells} cells of `y`; got "
            f"{n_cells}."
        )
    metrics = _METRICS if metrics is None else metrics
    ask = _strategy(strategy, query_params)
    ask_first = _first(strategy, X, queries)
    truth = _positives(oracle)
    rng = as_generator(random_state)
    known = MaskedLabels.from_cells([], [], [], shape=oracle.shape)
    known = known._named_like(oracle)
    records, model, chosen = [], None, np.empty((0, 2), np.int64)
    while known.n_cells < n_cells:
        target = min((len(records) + 1) * batch_cells, n_cells)
        params = {"n_cells": target - known.n_cells, "random_state": rng}
        if model is None:
            table = ask_first(None, known, **params)
        else:
            table = ask(model.predict_proba(X), known, **params)
        if not len(table):
            break
        known = _label(known, table, truth)
        chosen = np.concatenate([chosen, _chosen(table)])
        to_fit = weigh(known, *chosen.T, chosen_negative_weight)
        model, scores = _fit_and_score(estimator, X, to_fit, X_test, y_test, metrics)
        records.append((known.n_cells, known.n_positive.sum(), *scores))
    fields = [("n_cells", np.int64), ("n_positive", np.int64)]
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


def _strategy(strategy, params):
    """Return what is asked from the second round on."""
    if isinstance(strategy, str) and strategy in _ROWS:
        return _ROWS[strategy]
    if callable(strategy):
        return partial(strategy, **params)
    parse_strategy(strategy, 1)  # judged before the first fit
    return partial(query_cells, strategy=strategy, **params)


def _first(strategy, X, queries):
    """Return what is asked in the first round, without a model."""
    if queries is not None:
        return partial(_seed, X, queries)
    if isinstance(strategy, str) and strategy in _ROWS:
        return random_rows
    return partial(query_cells, strategy="random")


def _seed(X, queries, proba, known, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewerCellsWarning)  # the next round goes on
        return seed_cells(X, queries, known, random_share=_FIRST_RANDOM, **params)


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
