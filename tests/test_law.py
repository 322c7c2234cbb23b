"""The one law: labels count cell by cell, and nothing else counts.

Whatever takes labels gives exactly what the ordinary function gives on the labeled
cells alone, whatever junk stands in the others. One test, over every public function
(`FUNCTIONS`) and every form of labels (`FORMS`), with inputs from hypothesis.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import sklearn.metrics as skm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_masked import metrics
from sklearn_masked.inspection import audited_performance
from sklearn_masked.labels import MaskedLabels, check_labels
from sklearn_masked.nn import MaskedBCEWithLogitsLoss

JUNK = [np.nan, np.inf, -np.inf, 2.0, -7.0, 0.0, 1.0, 0.5]
NAN = float("nan")


# The forms: each takes the labels as a float array with NaN for unlabeled cells.


def object_none(Y):
    return np.where(np.isnan(Y), None, Y.astype(object))


def pandas_nullable(Y):
    frame = pd.DataFrame(np.nan_to_num(Y).astype(int)).astype("Int8")
    return frame.mask(np.isnan(Y))


def polars_booleans(Y):
    values = np.where(np.isnan(Y), None, (Y == 1).astype(object))
    return pl.DataFrame(values.tolist(), schema=names_of(Y), orient="row")


def pyarrow_integers(Y):
    columns = np.where(np.isnan(Y), -1, Y).astype(int).T
    columns = [pa.array(one, mask=one < 0) for one in columns]
    return pa.table(columns, names=names_of(Y))


def names_of(Y):
    return [f"label {col}" for col in range(Y.shape[1])]


def masked_array(Y):
    # What stands under the mask is junk too.
    return np.ma.array(np.where(np.isnan(Y), 1, Y).astype(int), mask=np.isnan(Y))


def raw_sparse(Y):
    return sp.csr_array(np.where(np.isnan(Y), -1, Y))


def implicit_unlabeled(Y):
    rows, cols = np.nonzero(~np.isnan(Y))
    cells = sp.csr_array((Y[rows, cols], (rows, cols)), shape=Y.shape)
    return MaskedLabels.from_sparse(cells, implicit="unlabeled")


def from_cells(Y):
    rows, cols = np.nonzero(~np.isnan(Y))
    order = np.random.default_rng(0).permutation(len(rows))
    rows, cols = rows[order], cols[order]
    return MaskedLabels.from_cells(rows, cols, Y[rows, cols].astype(int), shape=Y.shape)


def from_dicts(Y):
    names = names_of(Y)
    records = [
        {
            name: int(value)
            for name, value in zip(names, row, strict=True)
            if value == value
        }
        for row in Y
    ]
    return MaskedLabels.from_dicts(records, label_names=names)


FORMS = {
    "dense NaN": lambda Y: Y,
    "float32 NaN": lambda Y: Y.astype(np.float32),
    "sentinel": lambda Y: np.where(np.isnan(Y), -1, Y).astype(int),
    "list": lambda Y: Y.tolist(),
    "object None": object_none,
    "pandas float": pd.DataFrame,
    "pandas nullable": pandas_nullable,
    "polars booleans": polars_booleans,
    "pyarrow integers": pyarrow_integers,
    "numpy.ma": masked_array,
    "raw sparse": raw_sparse,
    "implicit negative": lambda Y: MaskedLabels.from_sparse(
        raw_sparse(Y), implicit="negative"
    ),
    "implicit unlabeled": implicit_unlabeled,
    "from_dense": MaskedLabels.from_dense,
    "from_cells": from_cells,
    "from_dicts": from_dicts,
    "row views": lambda Y: np.asarray(MaskedLabels.from_dense(Y)),
}


# The functions: each oracle gets one label's labeled cells, as plain arrays, and is
# called only where the function says that it can score them.


def both_classes(y):
    return 0 < y.sum() < len(y)


def one_cell(y):
    return len(y) > 0


def log_loss(y, proba, sample_weight):
    return skm.log_loss(y, proba, sample_weight=sample_weight, labels=[0, 1])


def brier(y, proba, sample_weight):
    # scikit-learn 1.7 takes a sole class for the positive one.
    return skm.brier_score_loss(y, proba, sample_weight=sample_weight, pos_label=1)


def decision(function, **kwargs):
    def score(y, pred, sample_weight):
        return function(y, pred, sample_weight=sample_weight, zero_division=0, **kwargs)

    return score


def every_cell(weight, Y):
    """Weights of rows or of cells, or none, as weights of cells."""
    if weight is None:
        return np.ones(Y.shape)
    return np.broadcast_to(weight if weight.ndim == 2 else weight[:, None], Y.shape)


def labeled_cells(Y, scores, W):
    labeled = ~np.isnan(Y) & (W > 0)
    return Y[labeled], scores[labeled], W[labeled]


class Metric:
    """A masked metric over labels, beside a loop over scikit-learn's own."""

    def __init__(self, name, oracle, scorable, kind, average, **kwargs):
        self.function = partial(getattr(metrics, name), average=average, **kwargs)
        self.oracle, self.scorable = oracle, scorable
        self.kind, self.average = kind, average

    def scores(self, logits):
        if self.kind == "pred":
            return (logits > 0).astype(float)
        return 1 / (1 + np.exp(-logits)) if self.kind == "proba" else logits

    def ours(self, labels, Y, scores, weight):
        return self.function(labels, scores, sample_weight=weight)

    def expected(self, Y, scores, weight):
        W = every_cell(weight, Y)
        columns = [
            labeled_cells(Y[:, j], scores[:, j], W[:, j]) for j in range(Y.shape[1])
        ]
        if self.average == "micro":
            columns = [labeled_cells(Y, scores, W)]
        values = np.array([self.value(*column) for column in columns])
        scored = ~np.isnan(values)
        if self.average is None:
            return values
        if not scored.any():
            return NAN
        support = np.array([(y * w).sum() for y, _, w in columns])[scored]
        if self.average != "weighted":
            return values[scored].mean()
        return np.average(values[scored], weights=support) if support.sum() else NAN

    def value(self, y, scores, weight):
        if not self.scorable(y):
            return NAN
        return self.oracle(y, scores, sample_weight=weight)


class Loss:
    """The masked loss, beside torch's loss of the labeled cells of each group."""

    def __init__(self, reduction, pos_weight=None):
        self.loss = MaskedBCEWithLogitsLoss(reduction=reduction, pos_weight=pos_weight)
        self.reduction, self.pos_weight = reduction, pos_weight

    def scores(self, logits):
        return logits

    def ours(self, labels, Y, scores, weight):
        if not hasattr(labels, "to_dense"):
            labels = MaskedLabels.from_dense(Y)
        targets = torch.from_numpy(labels.to_dense())
        weight = None if weight is None else torch.from_numpy(weight)
        return self.loss(torch.from_numpy(scores), targets, weight).item()

    def expected(self, Y, scores, weight):
        W = every_cell(weight, Y)
        labeled = ~np.isnan(Y) & (W > 0)
        groups = {
            "cell": [labeled],
            "label": [
                labeled & (np.arange(Y.shape[1]) == j) for j in range(Y.shape[1])
            ],
            "sample": [
                labeled & (np.arange(len(Y)) == i)[:, None] for i in range(len(Y))
            ],
        }[self.reduction]
        means = [self.mean(Y[g], scores[g], W[g]) for g in groups if g.any()]
        return float(np.mean(means)) if means else 0.0

    def mean(self, y, scores, weight):
        pos_weight = None if self.pos_weight is None else torch.tensor(self.pos_weight)
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            torch.from_numpy(scores),
            torch.from_numpy(y),
            weight=torch.from_numpy(weight.copy()),
            pos_weight=pos_weight,
            reduction="sum",
        )
        return total.item() / weight.sum()


class DecisionReport:
    """The table of decisions, beside scikit-learn's metrics of each label."""

    def scores(self, logits):
        return (logits > 0).astype(float)

    def ours(self, labels, Y, scores, weight):
        report = metrics.masked_classification_report(
            labels, scores, sample_weight=weight, prevalence=0.1
        )
        names = ["tp", "fp", "fn", "tn", "precision", "recall", "f1"]
        return np.stack([report[name] for name in (*names, "traffic_precision")])

    def expected(self, Y, scores, weight):
        W = every_cell(weight, Y)
        cells = [
            labeled_cells(Y[:, j], scores[:, j], W[:, j]) for j in range(Y.shape[1])
        ]
        return np.stack([self.column(*of) for of in cells], axis=1)

    def column(self, y, pred, weight):
        values = np.full(4, NAN)
        if not len(y):
            return np.append(np.zeros(4), values)
        tn, fp, fn, tp = skm.confusion_matrix(y, pred, labels=[0, 1]).ravel()
        if both_classes(y):
            found = skm.precision_recall_fscore_support(
                y, pred, average="binary", sample_weight=weight, zero_division=NAN
            )
            recall, false = (
                np.average(pred[y == value], weights=weight[y == value])
                for value in (1, 0)
            )
            some = 0.1 * recall + 0.9 * false
            values[:] = *found[:3], 0.1 * recall / some if some else NAN
        return np.array([tp, fp, fn, tn, *values], dtype=float)


class Audit:
    """Performance by an audit: the labeled cells, and decisions on all rows."""

    def scores(self, logits):
        return logits

    def decisions(self, Y):
        return np.add.outer(np.arange(len(Y)), np.arange(Y.shape[1])) % 3 == 0

    def ours(self, labels, Y, scores, weight):
        report = audited_performance(labels, self.decisions(Y), sample_weight=weight)
        return np.stack([report[n] for n in ("precision", "recall", "prevalence")])

    def expected(self, Y, scores, weight):
        W, decided = every_cell(weight, Y), self.decisions(Y)
        columns = zip(Y.T, decided.T, W.T, strict=True)
        return np.stack([self.column(*of) for of in columns], axis=1)

    def column(self, y, decided, weight):
        def share(among):
            known = among & ~np.isnan(y) & (weight > 0)
            some = known.any()
            return np.average(y[known], weights=weight[known]) if some else NAN

        hit, missed, part = share(decided), share(~decided), decided.mean()
        found = part * hit if part else 0.0
        left = (1 - part) * missed if part < 1 else 0.0
        recall = found / (found + left) if found + left else NAN
        plain = share(np.ones(len(y), bool))
        return hit, recall, plain if np.isnan(found + left) else found + left


class Merged:
    """The union of parts that overlap in rows and labels: each cell as it was."""

    def scores(self, logits):
        return logits

    def ours(self, labels, Y, scores, weight):
        labels = check_labels(labels).with_label_names(names_of(Y))
        labels = labels.with_sample_ids([f"row {row}" for row in range(len(Y))])
        half, some = len(Y) // 2, Y.shape[1] // 2
        parts = labels[half:], labels[: half + 1, some:], labels[:half, : some + 1]
        parts = [part[::-1] for part in parts]
        ids, names = labels.sample_ids, labels.label_names
        merged = MaskedLabels.merge(*parts, sample_ids=ids, label_names=names)
        return merged.to_dense()

    def expected(self, Y, scores, weight):
        return Y


METRICS = {
    "masked_roc_auc_score": (skm.roc_auc_score, both_classes, "score", {}),
    "masked_average_precision_score": (
        skm.average_precision_score,
        both_classes,
        "score",
        {},
    ),
    "masked_log_loss": (log_loss, one_cell, "proba", {}),
    "masked_brier_score_loss": (brier, one_cell, "proba", {}),
    "masked_precision_score": (
        decision(skm.precision_score),
        both_classes,
        "pred",
        {"zero_division": 0},
    ),
    "masked_recall_score": (
        decision(skm.recall_score),
        both_classes,
        "pred",
        {"zero_division": 0},
    ),
    "masked_f1_score": (
        decision(skm.f1_score),
        both_classes,
        "pred",
        {"zero_division": 0},
    ),
    "masked_fbeta_score": (
        decision(skm.fbeta_score, beta=0.5),
        both_classes,
        "pred",
        {"zero_division": 0, "beta": 0.5},
    ),
    "masked_balanced_accuracy_score": (
        skm.balanced_accuracy_score,
        both_classes,
        "pred",
        {},
    ),
    "masked_matthews_corrcoef": (skm.matthews_corrcoef, both_classes, "pred", {}),
}
FUNCTIONS = (
    {
        f"{name}-{average}": Metric(name, oracle, scorable, kind, average, **kwargs)
        for name, (oracle, scorable, kind, kwargs) in METRICS.items()
        for average in ("macro", "micro", "weighted", None)
    }
    | {
        "masked_classification_report": DecisionReport(),
        "audited_performance": Audit(),
        "merge": Merged(),
    }
    | {
        f"loss-{reduction}-{pos_weight}": Loss(reduction, pos_weight)
        for reduction in ("cell", "label", "sample")
        for pos_weight in (None, 3.0)
    }
)


@st.composite
def problems(draw):
    """Labels, logits with ties, weights, and junk for the unlabeled cells."""
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 4)))
    Y = draw(hnp.arrays(float, shape, elements=st.sampled_from([0.0, 1.0, NAN])))
    tied = st.integers(-3, 3).map(lambda i: i / 2)
    spread = st.floats(-6, 6, allow_subnormal=False)
    logits = draw(
        hnp.arrays(float, shape, elements=draw(st.sampled_from([tied, spread])))
    )
    junk = draw(hnp.arrays(float, shape, elements=st.sampled_from(JUNK)))
    weights = st.sampled_from([0.0, 0.25, 1.0, 3.0])
    weight = draw(
        st.none()
        | hnp.arrays(float, shape[:1], elements=weights)
        | hnp.arrays(float, shape, elements=weights)
    )
    return Y, logits, junk, weight


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
@given(problem=problems())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_law(function, problem):
    Y, logits, junk, weight = problem
    scores = function.scores(logits)
    expected = function.expected(Y, scores, weight)
    poisoned = np.where(np.isnan(Y), junk, scores)
    for form, build in FORMS.items():
        with warnings.catch_warnings():
            # Labels that cannot be scored are part of the law; the warning about
            # them has its own tests.
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            ours = function.ours(build(Y), Y, poisoned, weight)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12, err_msg=form)


def test_the_law_covers_every_public_metric():
    metric_names = {
        name
        for name in metrics.__all__
        if name.startswith("masked_") and not name.endswith(("_scorer", "_report"))
    }
    assert metric_names == set(METRICS)
