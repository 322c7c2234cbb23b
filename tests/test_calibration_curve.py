"""Reliability curves and calibration errors, beside scikit-learn's and slow loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from sklearn_masked.calibration import (
    expected_calibration_error,
    masked_calibration_curve,
)
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.labels import MaskedLabels

STRATEGIES = ["uniform", "quantile"]
NAN = np.nan


def make_cells(seed, n=60, n_labels=3):
    rng = np.random.default_rng(seed)
    proba = rng.random((n, n_labels)).round(rng.integers(1, 4))
    Y = (rng.random(proba.shape) < proba**2).astype(float)
    Y[rng.random(Y.shape) < 0.4] = NAN
    Y[0] = 0, 1, 0
    junk = np.where(np.isnan(Y), rng.choice([NAN, -7, 2, np.inf], Y.shape), proba)
    return Y, proba, junk


def not_empty(curve):
    kept = curve.weight > 0
    return curve.prob_true[kept], curve.prob_pred[kept]


@given(seed=st.integers(0, 10**6), n_bins=st.integers(1, 12))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_curves_equal_scikit_learns_on_the_labeled_cells(strategy, seed, n_bins):
    Y, proba, junk = make_cells(seed)
    labeled = ~np.isnan(Y)
    given_ = {"n_bins": n_bins, "strategy": strategy}
    pooled = masked_calibration_curve(Y, junk, **given_)
    want = calibration_curve(Y[labeled], proba[labeled], **given_)
    np.testing.assert_allclose(not_empty(pooled), want)
    each = masked_calibration_curve(Y, junk, average=None, **given_)
    assert each.prob_true.shape == (3, n_bins)
    for label in range(3):
        own = labeled[:, label]
        one = type(each)(*(part[label] for part in each))
        want = calibration_curve(Y[own, label], proba[own, label], **given_)
        np.testing.assert_allclose(not_empty(one), want)
        assert one.weight.sum() == own.sum()
        np.testing.assert_array_equal(np.isnan(one.prob_true), one.weight == 0)


def slow_error(y, proba, weight, n_bins, strategy):
    """Loop over bins that are open on the left, but for the first."""
    edges = np.linspace(0, 1, n_bins + 1)
    if strategy == "quantile":
        edges = np.percentile(proba, edges * 100)
    total = 0.0
    for k in range(n_bins):
        low = -np.inf if k == 0 else edges[k]
        high = np.inf if k == n_bins - 1 else edges[k + 1]
        inside = (proba > low) & (proba <= high)
        if inside.any():
            gap = np.average(y[inside] - proba[inside], weights=weight[inside])
            total += weight[inside].sum() * abs(gap)
    return total / weight.sum()


@given(seed=st.integers(0, 10**6), n_bins=st.integers(1, 20), weighted=st.booleans())
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_error_equals_a_loop_over_the_labeled_cells(strategy, seed, n_bins, weighted):
    Y, proba, junk = make_cells(seed)
    labeled = ~np.isnan(Y)
    weight = np.ones(Y.shape)
    if weighted:
        weight = np.random.default_rng(seed).uniform(0.1, 3, Y.shape)
    given_ = {"n_bins": n_bins, "strategy": strategy}
    if weighted:
        given_["sample_weight"] = np.where(labeled, weight, NAN)
    want = [
        slow_error(
            Y[own, label], proba[own, label], weight[own, label], n_bins, strategy
        )
        for label, own in enumerate(labeled.T)
    ]
    got = expected_calibration_error(Y, junk, average=None, **given_)
    np.testing.assert_allclose(got, want, atol=1e-12)
    macro = expected_calibration_error(Y, junk, **given_)
    assert macro == pytest.approx(np.mean(want), abs=1e-12)
    micro = expected_calibration_error(Y, junk, average="micro", **given_)
    whole = slow_error(Y[labeled], proba[labeled], weight[labeled], n_bins, strategy)
    assert micro == pytest.approx(whole, abs=1e-12)
    support = (weight * (Y == 1)).sum(axis=0)
    by_support = expected_calibration_error(Y, junk, average="weighted", **given_)
    assert by_support == pytest.approx(np.average(want, weights=support), abs=1e-12)


def test_scores_by_cell_and_weights_in_the_labels():
    Y, proba, _ = make_cells(0)
    weight = np.random.default_rng(0).uniform(0, 2, Y.shape)
    labels = MaskedLabels.from_dense(Y, weights=weight)
    cells = labels.cells()
    by_cell = proba[cells.rows, cells.cols]
    want = expected_calibration_error(Y, proba, sample_weight=weight)
    assert expected_calibration_error(labels, by_cell) == pytest.approx(want)
    want = masked_calibration_curve(Y, proba, sample_weight=weight)
    got = masked_calibration_curve(labels, by_cell)
    np.testing.assert_allclose(got.weight, want.weight)
    np.testing.assert_allclose(got.prob_true, want.prob_true)


def test_weight_zero_is_as_good_as_unlabeled():
    Y, proba, _ = make_cells(0)
    drop = np.random.default_rng(1).random(Y.shape) < 0.3
    fewer, weight = np.where(drop, NAN, Y), np.where(drop, 0.0, 1.0)
    for strategy in STRATEGIES:
        want = expected_calibration_error(fewer, proba, strategy=strategy)
        got = expected_calibration_error(
            Y, proba, sample_weight=weight, strategy=strategy
        )
        assert got == pytest.approx(want)


def test_binary_target():
    rng = np.random.default_rng(0)
    proba = rng.random(50)
    y = np.where(rng.random(50) < proba, "yes", "no").astype(object)
    y[:5] = None
    both = np.column_stack([1 - proba, proba])
    curve = masked_calibration_curve(y, both)
    want = calibration_curve(y[5:] == "yes", proba[5:])
    np.testing.assert_allclose(not_empty(curve), want)
    truth = (y[5:] == "yes").astype(float)
    want = slow_error(truth, proba[5:], np.ones(45), 15, "uniform")
    assert expected_calibration_error(y, proba) == pytest.approx(want)


def test_true_probabilities_have_a_small_error_and_wrong_ones_a_large_one():
    rng = np.random.default_rng(0)
    proba = rng.random((50_000, 2))
    Y = (rng.random(proba.shape) < proba).astype(float)
    assert expected_calibration_error(Y, proba) < 0.01
    assert expected_calibration_error(Y, np.sqrt(proba)) > 0.1


def test_pooling_hides_errors_that_differ_by_label():
    proba = np.full((100, 2), 0.5)
    Y = np.column_stack([np.zeros(100), np.ones(100)])
    assert expected_calibration_error(Y, proba) == 0.5
    assert expected_calibration_error(Y, proba, average="micro") == 0.0


def test_label_without_cells_is_nan_and_told_of():
    Y = np.array([[1, NAN], [0, NAN]])
    with pytest.warns(
        UnscoredLabelsWarning,
        match=r"^1 of 2 labels cannot be scored, which takes 1 labeled cell a label, "
        r"and are left out: 1\.$",
    ):
        got = expected_calibration_error(Y, [[0.5, NAN], [0.5, NAN]], average=None)
    np.testing.assert_array_equal(got, [0, NAN])
    curve = masked_calibration_curve(Y, [[0.5, NAN], [0.5, NAN]], average=None)
    assert np.isnan(curve.prob_true[1]).all()
    assert curve.weight[1].tolist() == [0] * 5
    with pytest.warns(UnscoredLabelsWarning, match=r"takes 2 positive and 0 negative"):
        assert np.isnan(
            expected_calibration_error(Y, [[0.5, 0], [0.5, 0]], min_positive=2)
        )


FUNCTIONS = [expected_calibration_error, masked_calibration_curve]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_bins": 0}, r"^`n_bins` accepts an integer from 1; got 0\.$"),
        ({"n_bins": 2.5}, r"^`n_bins` accepts an integer from 1; got 2\.5\.$"),
        ({"n_bins": True}, r"^`n_bins` accepts an integer from 1; got True\.$"),
        (
            {"strategy": "kmeans"},
            r"^`strategy` accepts 'uniform' or 'quantile'; got 'kmeans'\.$",
        ),
        (
            {"y_proba": [[1.5, 0], [0.5, 0]]},
            r"^`y_proba` accepts probabilities between 0 and 1 in labeled cells; got "
            r"1\.5 at sample 0, label 0",
        ),
        (
            {"y_proba": [[0.5], [0.5]]},
            r"^`y_proba` accepts shape \(2, 2\), as `y_true` ",
        ),
        ({"sample_weight": [1, -1]}, r"^`sample_weight` accepts finite numbers from 0"),
    ],
)
def test_errors(function, params, message):
    params = {"y_proba": [[0.5, NAN], [0.5, 1]], **params}
    with pytest.raises(ValueError, match=message):
        function([[1, NAN], [0, 1]], **params)


def test_average_of_curve_raises():
    with pytest.raises(
        ValueError, match=r"^`average` accepts 'micro' or None; got 'macro'\.$"
    ):
        masked_calibration_curve([[1, 0]], [[0.5, 0.5]], average="macro")
