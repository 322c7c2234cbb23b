"""Two models on the same cells, against exchanges made by hand."""

import warnings

import numpy as np
import pytest
import scipy.stats
from builders import predictions
from test_inspection import centers

from sklearn_masked import metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import bootstrap_interval, paired_comparison
from sklearn_masked.labels import MaskedLabels

NAN = np.nan
METRICS = {
    "masked_roc_auc_score": ("score", {}),
    "masked_average_precision_score": ("score", {}),
    "masked_log_loss": ("proba", {}),
    "masked_brier_score_loss": ("proba", {}),
    "masked_precision_score": ("pred", {"zero_division": 0.0}),
    "masked_recall_score": ("pred", {}),
    "masked_f1_score": ("pred", {}),
    "masked_fbeta_score": ("pred", {"beta": 0.5}),
    "masked_balanced_accuracy_score": ("pred", {}),
    "masked_matthews_corrcoef": ("pred", {}),
}


def problem(seed=0, shape=(30, 3)):
    rng = np.random.default_rng(seed)
    Y = rng.choice([0.0, 1.0, NAN], size=shape, p=[0.4, 0.4, 0.2])
    Y[4] = NAN
    signal = np.nan_to_num(Y)
    return Y, *(np.round(signal + rng.normal(size=shape), 1) for _ in range(2))


def uniform(Y, scores, average, numbers):
    """Return numbers in the order of the scores of each label, or of all labels."""
    placed = np.full(Y.shape, NAN)
    known = ~np.isnan(Y)
    numbers_of = np.full(Y.shape, NAN)
    numbers_of[known] = numbers
    labels = np.arange(Y.shape[1])
    pools = [known & (labels == label) for label in labels]
    if average == "micro":
        pools = [known]
    for pool in pools:
        order = np.sort(numbers_of[pool])
        ranks = scipy.stats.rankdata(scores[pool], "min").astype(int) - 1
        sizes = [np.sum(ranks == rank) for rank in ranks]
        placed[pool] = [
            order[rank : rank + size].mean()
            for rank, size in zip(ranks, sizes, strict=True)
        ]
    return placed


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("name", METRICS)
def test_exchanges_equal_those_made_by_hand(name, average):
    kind, kwargs = METRICS[name]
    kwargs = {**kwargs, "average": average}
    metric = getattr(metrics, name)
    Y, a, b = problem()
    a, b = predictions(kind, a), predictions(kind, b)
    weight = np.random.default_rng(0).choice([0.5, 1.0, 3.0], size=len(Y))
    with warnings.catch_warnings():
        # A sample without a positive decision has no precision: 0 stands for it.
        warnings.simplefilter("error")
        found = paired_comparison(
            metric,
            Y,
            a,
            b,
            sample_weight=weight,
            n_resamples=70,
            random_state=0,
            **kwargs,
        )
    rows = np.flatnonzero(~np.isnan(Y).all(axis=1))
    draw = np.random.RandomState(0)
    for _ in range(70):  # the bootstrap samples come first
        draw.randint(len(rows), size=len(rows))
    if kind == "score":
        n_cells = np.count_nonzero(~np.isnan(Y))
        a, b = (uniform(Y, x, average, draw.uniform(size=n_cells)) for x in (a, b))
    slow = []
    for _ in range(70):
        swapped = np.zeros((len(Y), 1), bool)
        swapped[rows, 0] = draw.randint(2, size=len(rows))
        first, second = (
            metric(Y, scores, sample_weight=weight, **kwargs)
            for scores in (np.where(swapped, b, a), np.where(swapped, a, b))
        )
        slow.append(first - second)
    slow = np.array(slow)
    np.testing.assert_allclose(found.null_replicates, slow, rtol=0, atol=1e-12)
    larger = np.abs(slow) >= np.abs(found.difference) - 1e-12
    np.testing.assert_allclose(found.p_value, (1 + larger.sum(axis=0)) / 71)


@pytest.mark.parametrize("average", ["macro", None])
@pytest.mark.parametrize(
    "metric", [metrics.masked_roc_auc_score, metrics.masked_average_precision_score]
)
def test_difference_and_interval_are_those_of_the_same_samples(metric, average):
    Y, a, b = problem()
    arguments = {"n_resamples": 100, "random_state": 0, "average": average}
    found = paired_comparison(metric, Y, a, b, **arguments)
    first, second = (
        bootstrap_interval(metric, Y, scores, **arguments) for scores in (a, b)
    )
    np.testing.assert_array_equal(found.estimate_a, first.estimate)
    np.testing.assert_array_equal(found.estimate_b, second.estimate)
    np.testing.assert_array_equal(found.difference, first.estimate - second.estimate)
    replicates = first.replicates - second.replicates
    np.testing.assert_array_equal(found.replicates, replicates)
    center = 2 * found.difference - replicates.mean(axis=0)
    scale = 1.0
    if metric is metrics.masked_average_precision_score:
        columns = [[j] for j in range(3)] if average is None else [[0, 1, 2]]
        unbiased = np.array(
            [
                [centers(Y[:, own], scores[:, own], "macro") for own in columns]
                for scores in (a, b)
            ]
        )
        few = np.minimum((Y == 1).sum(axis=0), (Y == 0).sum(axis=0))
        least = few if average is None else 3 / np.sum(1 / few)
        estimates = np.reshape([first.estimate, second.estimate], (2, -1))
        gaps = (1 - unbiased) / (1 - estimates)
        scale = np.mean(np.maximum(gaps, 1), axis=0) / np.sqrt(1 - 1 / least)
        center = unbiased[0] - unbiased[1]
    quantiles = np.quantile(replicates, [0.025, 0.975], axis=0)
    apart = np.reshape(quantiles - replicates.mean(axis=0), (2, -1))
    low, high = center + scale * apart
    low = np.minimum(low, found.difference)
    high = np.maximum(high, found.difference)
    if average:
        low, high = low.item(), high.item()
    np.testing.assert_allclose(found.low, low, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.high, high, rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        found.standard_error, replicates.std(axis=0, ddof=1), rtol=1e-9
    )
    assert found.confidence_level == 0.95
    assert np.shape(found.p_value) == (() if average else (3,))


def test_exchanging_the_models_turns_the_difference_round():
    Y, a, b = problem()
    arguments = {"n_resamples": 50, "random_state": 0}
    one = paired_comparison(metrics.masked_roc_auc_score, Y, a, b, **arguments)
    other = paired_comparison(metrics.masked_roc_auc_score, Y, b, a, **arguments)
    assert one.difference == -other.difference
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == other.p_value


def test_metrics_of_the_order_need_no_common_scale():
    Y, a, b = problem()
    arguments = {"n_resamples": 50, "random_state": 0}
    same = paired_comparison(metrics.masked_roc_auc_score, Y, a, b, **arguments)
    other = paired_comparison(
        metrics.masked_roc_auc_score, Y, 1000 * a - 7, b, **arguments
    )
    np.testing.assert_array_equal(same.null_replicates, other.null_replicates)
    assert same.p_value == other.p_value


def test_a_model_does_not_differ_from_itself():
    Y, a, _ = problem()
    found = paired_comparison(metrics.masked_roc_auc_score, Y, a, a, n_resamples=20)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_clear_difference_has_the_smallest_p_value():
    rng = np.random.default_rng(0)
    Y = rng.integers(2, size=(200, 2)).astype(float)
    Y[rng.random(Y.shape) < 0.5] = NAN
    good = np.nan_to_num(Y) + 0.3 * rng.normal(size=Y.shape)
    found = paired_comparison(
        metrics.masked_roc_auc_score,
        Y,
        good,
        rng.normal(size=Y.shape),
        n_resamples=99,
        random_state=0,
    )
    assert found.p_value == 0.01
    assert 0.2 < found.low < found.difference < found.high


@pytest.mark.parametrize(
    "metric", [metrics.masked_roc_auc_score, metrics.masked_brier_score_loss]
)
def test_p_values_of_equal_models_are_uniform(metric):
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(120):
        Y = rng.integers(2, size=(40, 3)).astype(float)
        Y[rng.random(Y.shape) < 0.3] = NAN
        shared = np.nan_to_num(Y) + rng.normal(size=(40, 1))
        a, b = (1 / (1 + np.exp(-shared - rng.normal(size=Y.shape))) for _ in range(2))
        found = paired_comparison(
            metric, Y, a, b, n_resamples=99, random_state=rng.integers(2**31)
        )
        p_values.append(found.p_value)
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


# The law


@pytest.mark.parametrize("name", METRICS)
def test_junk_in_unlabeled_cells_and_unlabeled_rows_change_nothing(name):
    kind, kwargs = METRICS[name]
    Y, a, b = problem()
    a, b = predictions(kind, a), predictions(kind, b)
    arguments = {"n_resamples": 20, "random_state": 0, **kwargs}
    clean = paired_comparison(getattr(metrics, name), Y, a, b, **arguments)
    longer = np.vstack([Y, np.full((6, 3), NAN)])
    for junk in (NAN, np.inf, -3.0):
        dirty = [
            np.vstack([np.where(np.isnan(Y), junk, scores), np.full((6, 3), junk)])
            for scores in (a, b)
        ]
        found = paired_comparison(
            getattr(metrics, name), MaskedLabels.from_dense(longer), *dirty, **arguments
        )
        assert found.difference == clean.difference
        assert found.p_value == clean.p_value
        np.testing.assert_array_equal(found.replicates, clean.replicates)
        np.testing.assert_array_equal(found.null_replicates, clean.null_replicates)


def test_labels_left_out_are_warned_about_once_and_have_no_p_value():
    Y = [[1, 1, NAN], [0, 1, NAN], [1, NAN, NAN], [0, NAN, NAN]]
    scores = np.arange(12).reshape(4, 3)
    with pytest.warns(UnscoredLabelsWarning) as caught:
        found = paired_comparison(
            metrics.masked_roc_auc_score,
            Y,
            scores,
            -scores,
            average=None,
            n_resamples=20,
            random_state=0,
        )
    assert len(caught) == 1
    assert found.difference[0] == -0.5
    assert 0 < found.p_value[0] <= 1
    assert np.isnan(found.p_value[1:]).all()


def test_nothing_labeled_gives_nan():
    with pytest.warns(UnscoredLabelsWarning):
        found = paired_comparison(
            metrics.masked_roc_auc_score,
            np.full((3, 2), NAN),
            np.ones((3, 2)),
            np.ones((3, 2)),
            n_resamples=3,
        )
    assert np.isnan([found.difference, found.low, found.p_value]).all()


def test_random_state_decides_the_numbers():
    Y, a, b = problem()

    def null(random_state):
        found = paired_comparison(
            metrics.masked_roc_auc_score,
            Y,
            a,
            b,
            n_resamples=10,
            random_state=random_state,
        )
        return found.null_replicates

    np.testing.assert_array_equal(null(0), null(0))
    np.testing.assert_array_equal(null(0), null(np.random.RandomState(0)))
    assert (null(0) != null(1)).any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"metric": len},
            ValueError,
            "`metric` accepts one of masked_roc_auc_score, "
            "masked_average_precision_score, masked_log_loss, masked_brier_score_loss, "
            "masked_precision_score, masked_recall_score, masked_f1_score, "
            "masked_fbeta_score, masked_balanced_accuracy_score, "
            "masked_matthews_corrcoef; got <built-in function len>.",
        ),
        (
            {"n_resamples": 0},
            ValueError,
            "`n_resamples` accepts an integer, 2 or above; got 0.",
        ),
        (
            {"confidence_level": 1},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "1.",
        ),
        (
            {"y_score_a": [[NAN, 0.2], [0.1, 0.3]]},
            ValueError,
            "`y_score_a` accepts finite numbers in labeled cells; got nan at sample 0, "
            "label 0.",
        ),
        (
            {"y_score_b": [[0.1, 0.2]]},
            ValueError,
            "`y_score_b` accepts shape (2, 2), as `y_true` has, or one value for each "
            "of its 3 labeled cells, row by row; got shape (1, 2).",
        ),
        (
            {"average": "mean"},
            ValueError,
            "`average` accepts 'micro', 'macro', 'weighted' or None; got 'mean'.",
        ),
    ],
)
def test_errors(arguments, error, message):
    arguments = {
        "metric": metrics.masked_roc_auc_score,
        "y_true": [[1, 0], [0, NAN]],
        "y_score_a": [[0.1, 0.2], [0.3, 0.4]],
        "y_score_b": [[0.1, 0.2], [0.3, 0.4]],
        **arguments,
    }
    with pytest.raises(error) as caught:
        paired_comparison(**arguments)
    assert str(caught.value) == message
