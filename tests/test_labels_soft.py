"""Soft labels: what MaskedLabels keep of values between 0 and 1, and pass on."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier, check_labels

NAN = np.nan
Y = np.array([[1.0, NAN, 0.25], [NAN, NAN, NAN], [0.5, 0.0, NAN]])
SOFT = MaskedLabels.from_dense(Y, soft=True, label_names=["a", "b", "c"])


def message_of(call, *args, error=ValueError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@st.composite
def soft_matrices(draw):
    shape = draw(st.tuples(st.integers(0, 6), st.integers(1, 4)))
    values = st.sampled_from([0.0, 1.0, 0.5, 1 / 3, 1e-9, NAN]) | st.floats(0, 1)
    return draw(hnp.arrays(float, shape, elements=values))


def records(dense):
    rows, cols = np.nonzero(~np.isnan(dense))
    return rows, cols, dense[rows, cols]


@given(soft_matrices(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_every_way_in_and_out_keeps_the_values(dense, random):
    labels = MaskedLabels.from_dense(dense, soft=True)
    np.testing.assert_array_equal(labels.to_dense(), dense)
    order = list(range(len(records(dense)[0])))
    random.shuffle(order)
    rows, cols, values = (part[order] for part in records(dense))
    names = [f"label {i}" for i in range(dense.shape[1])]
    dicts = [
        {name: value for name, value in zip(names, row, strict=True) if value == value}
        for row in dense.tolist()
    ]
    frame = pd.DataFrame({"s": rows, "l": cols, "v": values})
    same = [
        MaskedLabels.from_cells(rows, cols, values, shape=dense.shape, soft=True),
        MaskedLabels.from_cells(
            rows, cols, values.astype(object), shape=dense.shape, soft=True
        ),
        MaskedLabels.from_sparse(labels.to_sparse(), implicit="unlabeled", soft=True),
        MaskedLabels.from_dense(np.where(np.isnan(dense), -1, dense), soft=True),
        MaskedLabels.from_dense(
            np.ma.array(np.nan_to_num(dense, nan=7), mask=np.isnan(dense)), soft=True
        ),
        MaskedLabels.from_dense(labels.to_frame().to_numpy(), soft=True),
        MaskedLabels.from_frame(labels.to_frame(), soft=True),
        MaskedLabels.merge(labels, labels),
        MaskedLabels.merge(labels[:0], labels[:0]) if not len(dense) else labels,
        pickle.loads(pickle.dumps(labels)),
        labels[list(range(len(labels)))],
        labels[:, list(range(labels.n_labels))],
        labels.without_weights(),
        check_labels(list(labels), accept_soft=True) if len(dense) else labels,
    ]
    for other in same:
        assert other.soft and other == labels
        assert other.values.dtype == np.float64 and not other.values.flags.writeable
    named = labels.with_label_names(names)
    assert MaskedLabels.from_dicts(dicts, label_names=names, soft=True) == named
    assert (
        MaskedLabels.from_frame(
            frame,
            sample="s",
            label="l",
            value="v",
            sample_ids=range(len(dense)),
            label_names=range(dense.shape[1]),
            soft=True,
        ).to_frame()
    ).equals(labels.to_frame())


@given(soft_matrices())
@settings(max_examples=40, deadline=None)
def test_counts_are_expected_ones(dense):
    labels = MaskedLabels.from_dense(dense, soft=True)
    assert labels.n_labeled.tolist() == (~np.isnan(dense)).sum(0).tolist()
    assert labels.n_labeled.dtype == np.int64
    assert labels.n_cells == (~np.isnan(dense)).sum()
    np.testing.assert_allclose(labels.n_positive, np.nansum(dense, 0), atol=1e-12)
    np.testing.assert_allclose(labels.n_negative, np.nansum(1 - dense, 0), atol=1e-12)


@given(soft_matrices(), st.sampled_from([0.2, 0.5, 0.9]))
@settings(max_examples=40, deadline=None)
def test_hard_cuts_at_the_threshold(dense, threshold):
    labels = MaskedLabels.from_dense(
        dense, soft=True, weights=np.full(dense.shape, 2.0)
    )
    cut = np.where(np.isnan(dense) | (dense == threshold), NAN, dense > threshold)
    expected = MaskedLabels.from_dense(cut, weights=np.full(dense.shape, 2.0))
    hard = labels.hard(threshold=threshold)
    assert hard == expected and not hard.soft and hard.values.dtype == np.int8
    assert hard.hard() is hard


def test_soft_labels_show_that_they_are():
    assert repr(SOFT) == "MaskedLabels(3 x 3, 4 soft cells: 1.8 positive, 2.2 negative)"
    weighted = MaskedLabels.from_dense([[0.5]], weights=[[3]], soft=True)
    assert repr(weighted) == (
        "MaskedLabels(1 x 1, 1 soft cell: 0.5 positive, 0.5 negative, weighted)"
    )
    third = MaskedLabels.from_dense([[1 / 3, 1, NAN]], soft=True)
    assert repr(third[0]) == "LabelRow(0: 0.3333, 1: 1)"
    assert SOFT[0, "c"] == 0.25 and np.isnan(SOFT[0, "b"])
    assert not MaskedLabels.from_dense([[1]]).soft


def test_values_of_0_and_1_stay_soft_and_differ_from_hard_ones():
    soft = MaskedLabels.from_dense([[1, 0]], soft=True)
    hard = MaskedLabels.from_dense([[1, 0]])
    assert soft.soft and soft[:0].soft and soft != hard and hard != soft
    assert soft.hard() == hard


def test_the_wide_and_the_long_frame_hold_floats():
    wide = SOFT.to_frame()
    assert wide.dtypes.astype(str).tolist() == ["Float64"] * 3
    assert wide.isna().sum().sum() == 5 and wide.loc[0, "c"] == 0.25
    long = SOFT.to_frame(long=True)
    assert long["value"].tolist() == [1.0, 0.25, 0.5, 0.0]
    again = MaskedLabels.from_dense(pl.DataFrame({"a": [0.3, None]}), soft=True)
    np.testing.assert_array_equal(again.to_dense(), [[0.3], [NAN]])


RAW = {
    "array": [[0.7, NAN]],
    "sparse": sp.csr_array([[0.7, 0.0]]),
    "frame": pd.DataFrame({"a": [0.7]}),
    "object": [[None, 0.7]],
}


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW.keys())
def test_a_raw_fraction_is_refused(raw):
    for y in (raw, SOFT.to_dense()):
        with pytest.raises(ValueError, match="accepts 1, 0, and NaN, -1 or None"):
            check_labels(y, accept_soft=True)
    with pytest.raises(ValueError, match=r"got 0\.7 at .*\(y, soft=True\)\.$"):
        MaskedMultiOutputClassifier(LogisticRegression()).fit(
            np.ones((np.shape(raw)[0], 1)), raw
        )


@pytest.mark.parametrize("value", [1.5, -0.25, -2, np.inf])
def test_soft_values_are_from_0_to_1(value):
    accepts = "accepts 0 to 1, and NaN, -1 or None"
    build = MaskedLabels.from_dense
    assert message_of(build, [[0.5, value]], soft=True) == (
        f"`y` {accepts} in unlabeled cells; got {value} at sample 0, label 1."
    ).replace("got -2", f"got {float(value)}")
    sparse = sp.coo_array(([value], ([0], [0])), shape=(1, 1))
    with pytest.raises(ValueError, match="`y` accepts 0 to 1"):
        MaskedLabels.from_sparse(sparse, implicit="unlabeled", soft=True)
    for values in ([0.5, value], np.array([0.5, value], dtype=object)):
        message = message_of(
            MaskedLabels.from_cells, [0, 0], [0, 1], values, shape=(1, 2), soft=True
        )
        assert message.startswith(
            f"`values` {accepts} for a record that decides nothing; got "
        )
        assert message.endswith("in record 1.")


def test_soft_sparse_labels_store_their_negatives():
    stored = SOFT.to_sparse()
    assert message_of(
        MaskedLabels.from_sparse, stored, implicit="negative", soft=True
    ) == (
        '`implicit` accepts "unlabeled" for soft labels; got "negative". Store a 0 in '
        "the cells that are negative."
    )


VOTES = dict(samples=[0, 0, 0, 1], labels=[0, 0, 0, 0], values=[1, 0, 1, 0])


def test_several_records_of_a_cell_become_their_share():
    build = MaskedLabels.from_cells
    shares = build(**VOTES, shape=(2, 1), soft=True, on_conflict="mean")
    np.testing.assert_allclose(shares.to_dense(), [[2 / 3], [0]])
    assert shares.weights is None
    weighted = build(
        **VOTES, shape=(2, 1), soft=True, on_conflict="mean", weights=[1, 2, 1, 4]
    )
    np.testing.assert_allclose(weighted.to_dense(), [[0.5], [0]])
    assert weighted.weights.tolist() == [4, 4]
    assert message_of(build, **VOTES, shape=(2, 1), on_conflict="mean") == (
        "`on_conflict` accepts one of ('raise', 'last', 'majority'); got 'mean'."
    )


def test_merging_hard_and_soft_labels_is_soft():
    hard = MaskedLabels.from_dense([[1, NAN, NAN], [0, 1, NAN], [NAN, 0, NAN]])
    both = MaskedLabels.merge(SOFT, hard)
    assert both.soft and both.label_names.tolist() == ["a", "b", "c"]
    expected = [[1, NAN, 0.25], [0, 1, NAN], [0.5, 0, NAN]]
    np.testing.assert_array_equal(both.to_dense(), expected)
    other = MaskedLabels.from_dense([[0.5], [NAN]], soft=True)
    one = MaskedLabels.from_dense([[1], [1]])
    assert message_of(MaskedLabels.merge, one, other).startswith(
        "Sample 0, label 0 has several records, with the values 1.0 and 0.5."
    )
    mean = MaskedLabels.merge(one, other, on_conflict="mean")
    np.testing.assert_array_equal(mean.to_dense(), [[0.75], [1]])
    rows = check_labels([*one, *other], accept_soft=True)
    assert rows.soft and rows.shape == (4, 1)


@pytest.mark.parametrize("threshold", [0, 1, NAN, 2])
def test_a_threshold_is_between_0_and_1(threshold):
    assert message_of(SOFT.hard, threshold=threshold) == (
        f"`threshold` accepts a number between 0 and 1; got {threshold!r}."
    )


# Separate classifiers: a soft cell is two weighted ones.


def data(n=60, seed=0):
    rng = np.random.RandomState(seed)
    X = rng.randn(n, 3)
    y = (X @ rng.randn(3, 2) + rng.randn(n, 2) > 0).astype(float)
    return X, np.where(rng.rand(n, 2) < 0.3, NAN, y), rng


def separate(**params):
    return MaskedMultiOutputClassifier(LogisticRegression(tol=1e-10, **params))


def test_soft_values_of_0_and_1_fit_as_hard_ones_do():
    X, y, _ = data()
    hard = separate().fit(X, MaskedLabels.from_dense(y))
    soft = separate().fit(X, MaskedLabels.from_dense(y, soft=True))
    np.testing.assert_array_equal(hard.predict_proba(X), soft.predict_proba(X))
    # An estimator without weights has nothing to do with them.
    knn = MaskedMultiOutputClassifier(KNeighborsClassifier(3))
    np.testing.assert_array_equal(
        knn.fit(X, y).predict(X),
        knn.fit(X, MaskedLabels.from_dense(y, soft=True)).predict(X),
    )


@pytest.mark.parametrize("given_weight", [None, "rows", "cells"])
def test_a_soft_cell_is_two_weighted_cells(given_weight):
    X, y, rng = data()
    values = np.where(np.isnan(y), NAN, rng.rand(*y.shape))
    weights = rng.choice([0.5, 1, 3], y.shape)
    outer = {"rows": rng.rand(len(X)), "cells": rng.rand(*y.shape), None: None}[
        given_weight
    ]
    soft = MaskedLabels.from_dense(values, weights=weights, soft=True)
    ours = separate().fit(X, soft, sample_weight=outer)
    if outer is not None:
        weights = weights * (outer[:, None] if outer.ndim == 1 else outer)
    for label, estimator in enumerate(ours.estimators_):
        rows = np.flatnonzero(~np.isnan(values[:, label]))
        v, w = values[rows, label], weights[rows, label]
        twice = np.concatenate([X[rows], X[rows]])
        expected = LogisticRegression(tol=1e-10).fit(
            twice,
            np.repeat([1, 0], len(rows)),
            sample_weight=np.concatenate([w * v, w * (1 - v)]),
        )
        np.testing.assert_allclose(estimator.coef_, expected.coef_, atol=1e-5)
    junk = X.copy()
    junk[np.isnan(values).all(1)] = 1e6
    again = separate().fit(junk, soft, sample_weight=outer)
    np.testing.assert_array_equal(again.decision_function(X), ours.decision_function(X))


def test_as_many_halves_as_rows_are_not_taken_for_all_rows():
    X = np.arange(4.0)[:, None]
    y = MaskedLabels.from_dense([[0.2], [NAN], [NAN], [0.9]], soft=True)
    ours = separate().fit(X, y)
    expected = LogisticRegression(tol=1e-10).fit(
        X[[0, 0, 3, 3]], [1, 0, 1, 0], sample_weight=[0.2, 0.8, 0.9, 0.1]
    )
    np.testing.assert_allclose(ours.estimators_[0].coef_, expected.coef_, atol=1e-6)


def test_partial_fit_takes_soft_cells():
    X, y, rng = data()
    soft = MaskedLabels.from_dense(np.where(np.isnan(y), NAN, 0.8 * y), soft=True)
    model = MaskedMultiOutputClassifier(SGDClassifier(loss="log_loss", random_state=0))
    for _ in range(3):
        model.partial_fit(X, soft)
    assert ((model.predict_proba(X) > 0.5) == (y == 1))[~np.isnan(y)].mean() > 0.7


def test_an_estimator_without_weights_refuses_soft_cells():
    model = MaskedMultiOutputClassifier(KNeighborsClassifier())
    assert message_of(model.fit, np.ones((3, 1)), SOFT) == (
        "`estimator` must accept sample_weight where `y` is soft: a cell counts as a "
        "positive and a negative, weighted; KNeighborsClassifier does not. Pass "
        "`labels.hard(threshold=0.5)`, or another estimator."
    )
