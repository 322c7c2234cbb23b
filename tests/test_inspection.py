"""Bootstrap intervals, against a loop over rows drawn by hand."""

import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.stats
import sklearn.metrics as skm
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer, roc_auc_score

from sklearn_masked import metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import bootstrap_interval
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import bootstrap
from sklearn_masked.metrics.bootstrap._own_row import average_precision_of_others
from sklearn_masked.metrics.cells import ScoredCells

NAN = np.nan
METRICS = {
    "masked_roc_auc_score": ("score", {}),
    "masked_average_precision_score": ("score", {}),
    "masked_log_loss": ("proba", {}),
    "masked_brier_score_loss": ("proba", {}),
    "masked_precision_score": ("pred", {}),
    "masked_recall_score": ("pred", {"zero_division": 1.0, "min_positive": 0}),
    "masked_f1_score": ("pred", {"zero_division": NAN, "min_positive": 0}),
    "masked_fbeta_score": ("pred", {"beta": 2.0}),
    "masked_balanced_accuracy_score": ("pred", {"adjusted": True}),
    "masked_matthews_corrcoef": ("pred", {"min_positive": 0}),
}
AVERAGES = ("macro", "micro", "weighted", None)
AVERAGE_PRECISION = ["masked_average_precision_score"]


def problem(seed=0, shape=(40, 4), *, tied=True):
    """Labels with a column that lacks positives, and logits."""
    rng = np.random.default_rng(seed)
    Y = rng.choice([0.0, 1.0, NAN], size=shape, p=[0.4, 0.3, 0.3])
    Y[:, -1] = np.where(Y[:, -1] == 1, 0, Y[:, -1])
    Y[3] = NAN
    logits = rng.normal(size=shape)
    return Y, np.round(logits, 1) if tied else logits


def predictions(kind, logits):
    if kind == "pred":
        return (logits > 0).astype(float)
    return 1 / (1 + np.exp(-logits)) if kind == "proba" else logits


def row_weights(weight, shape):
    if weight is None:
        return np.ones(shape)
    return np.broadcast_to(weight if weight.ndim == 2 else weight[:, None], shape)


def slow_replicates(function, Y, scores, weight, seed, n_resamples):
    """Draw rows one sample at a time, and call the metric for each."""
    used = ~np.isnan(Y) & (row_weights(weight, Y.shape) > 0)
    rows = np.flatnonzero(used.any(axis=1))
    draw = np.random.RandomState(seed)
    values = []
    for _ in range(n_resamples):
        some = rows[draw.randint(len(rows), size=len(rows))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedMetricWarning)
            values.append(
                function(
                    MaskedLabels.from_dense(Y[some]),
                    scores[some],
                    sample_weight=None if weight is None else weight[some],
                )
            )
    return np.array(values)


def quiet_interval(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return bootstrap_interval(*args, **kwargs)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", METRICS)
def test_replicates_equal_a_loop_over_the_same_rows(name, average):
    kind, kwargs = METRICS[name]
    kwargs = {**kwargs, "average": average}
    metric = getattr(metrics, name)
    rng = np.random.default_rng(1)
    Y, logits = problem()
    scores = predictions(kind, logits)
    for weight in (
        None,
        rng.choice([0.0, 0.5, 2.0], size=len(Y)),
        rng.choice([0.0, 0.3, 1.7], size=Y.shape),
    ):
        found = quiet_interval(
            metric,
            Y,
            scores,
            sample_weight=weight,
            n_resamples=70,
            random_state=3,
            **kwargs,
        )
        slow = slow_replicates(partial(metric, **kwargs), Y, scores, weight, 3, 70)
        np.testing.assert_allclose(found.replicates, slow, rtol=0, atol=1e-12)
        assert found.replicates.shape == slow.shape


@given(
    Y=hnp.arrays(
        float,
        st.tuples(st.integers(1, 9), st.integers(1, 4)),
        elements=st.sampled_from([0.0, 1.0, NAN]),
    ),
    seed=st.integers(0, 99),
    tied=st.booleans(),
    limit=st.integers(0, 2),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_replicates_of_any_small_matrix(Y, seed, tied, limit):
    rng = np.random.default_rng(seed)
    scores = rng.integers(3, size=Y.shape) / 2 if tied else rng.random(Y.shape)
    weight = rng.choice([0.0, 0.3, 1.0, 2.5], size=len(Y)) if seed % 2 else None
    kwargs = {"min_positive": limit, "min_negative": limit}
    for name, own in {
        "masked_roc_auc_score": {},
        "masked_average_precision_score": {},
        "masked_f1_score": {"zero_division": 1.0},
    }.items():
        scores = (scores > 0.3) * 1.0 if own else scores
        for average in AVERAGES:
            options = {"average": average, **kwargs, **own}
            metric = partial(getattr(metrics, name), **options)
            found = quiet_interval(
                getattr(metrics, name),
                Y,
                scores,
                sample_weight=weight,
                n_resamples=5,
                random_state=seed,
                **options,
            )
            slow = slow_replicates(metric, Y, scores, weight, seed, 5)
            np.testing.assert_allclose(found.replicates, slow, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_replicates_equal_scikit_learn_column_by_column(seed):
    Y, logits = problem(seed)
    found = quiet_interval(
        metrics.masked_average_precision_score,
        Y,
        logits,
        average=None,
        n_resamples=20,
        random_state=seed,
    )
    rows = np.flatnonzero(~np.isnan(Y).all(axis=1))
    draw = np.random.RandomState(seed)
    for replicate in found.replicates:
        some = rows[draw.randint(len(rows), size=len(rows))]
        for label in range(Y.shape[1]):
            y, score = Y[some, label], logits[some, label]
            y, score = y[~np.isnan(y)], score[~np.isnan(y)]
            if 0 < y.sum() < len(y):
                expected = skm.average_precision_score(y, score)
                assert replicate[label] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(replicate[label])


@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_of_labels_and_copies_change_nothing(weighted, monkeypatch):
    Y, logits = problem(shape=(60, 7), tied=False)
    weight = np.random.default_rng(0).random(60) if weighted else None
    arguments = {"sample_weight": weight, "n_resamples": 30, "random_state": 0}
    metric = metrics.masked_roc_auc_score
    whole = quiet_interval(metric, Y, logits, average=None, **arguments)
    monkeypatch.setattr(bootstrap._areas, "_BLOCK_STEPS", 20)
    monkeypatch.setattr(bootstrap._draws, "_MOST_COPIES", 7)
    monkeypatch.setattr(bootstrap._sums, "_MOST_SINGLE", 10)
    parts = quiet_interval(metric, Y, logits, average=None, **arguments)
    np.testing.assert_allclose(parts.replicates, whole.replicates, rtol=0, atol=1e-13)


def test_weights_in_the_labels_count_like_sample_weight():
    Y, logits = problem()
    weight = np.random.default_rng(2).choice([0.0, 0.5, 3.0], size=Y.shape)
    arguments = {"n_resamples": 20, "random_state": 0, "average": "weighted"}
    inside = quiet_interval(
        metrics.masked_roc_auc_score,
        MaskedLabels.from_dense(Y, weights=weight),
        logits,
        **arguments,
    )
    beside = quiet_interval(
        metrics.masked_roc_auc_score, Y, logits, sample_weight=weight, **arguments
    )
    assert inside.estimate == beside.estimate
    np.testing.assert_array_equal(inside.replicates, beside.replicates)


# What the interval is


def wilson(share, n, level):
    z = scipy.stats.norm.ppf((1 + level) / 2)
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return [center - half, center + half]


def share_ends(estimate, replicates, least, level=0.95, center=None):
    """Return the ends of the interval of a metric between 0 and 1.

    `least` is the smaller of the numbers of positive and of negative cells; `center`
    an estimate of less bias.
    """
    known = replicates[~np.isnan(replicates)]
    share = (least - 1) / least
    if center is None:
        center = np.clip(2 * estimate - known.mean(), 0, 1)
    else:
        share = min(share, ((1 - estimate) / (1 - center)) ** 2)
    n = center * (1 - center) / known.var(ddof=1) * share
    low, high = wilson(center, max(n, 1), level)
    return [min(low, estimate), max(high, estimate)]


def precision_of_others(y, scores, rows, weight=None):
    """Return the average precision of a label without each positive's own row."""
    weight = np.ones(len(y)) if weight is None else weight
    total = weight[y == 1].sum()
    known, top = {}, 0.0
    for i in np.flatnonzero(y == 1):
        others = rows != rows[i]
        above = weight * (others & (scores >= scores[i]))
        positive, negative = above[y == 1].sum(), above[y == 0].sum()
        if positive + negative == 0:
            top += weight[i]
            continue
        own = weight[(y == 1) & ~others].sum()
        positive = positive * total / (total - own) if own < total else own / 2
        known[i] = positive / (positive + negative)
    precision = (1 + total / weight.sum()) / 2
    if known:
        best = max(scores[i] for i in known)
        best = [i for i in known if scores[i] == best]
        precision = np.average([known[i] for i in best], weights=weight[best])
        precision += (1 - precision) * top / total
    return (sum(weight[i] * known[i] for i in known) + top * precision) / total


def centers(Y, scores, average):
    """Return the average precision without each positive's own row."""
    known = ~np.isnan(Y)
    if average == "micro":
        return precision_of_others(Y[known], scores[known], np.nonzero(known)[0])
    own = [known[:, label] for label in range(Y.shape[1])]
    support = np.array([np.sum(Y[:, label] == 1) for label in range(Y.shape[1])])
    values = [
        precision_of_others(Y[own[label], label], scores[own[label], label], *rows)
        for label in np.flatnonzero(support)
        for rows in [np.nonzero(own[label])]
    ]
    weights = support[support > 0] if average == "weighted" else None
    return np.average(values, weights=weights)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("level", [0.5, 0.95])
@pytest.mark.parametrize("name", ["masked_roc_auc_score", *AVERAGE_PRECISION])
def test_interval_is_wilsons_with_the_variance_of_the_replicates(name, level, average):
    Y, logits = problem(tied=False)
    metric = getattr(metrics, name)
    found = quiet_interval(
        metric, Y, logits, confidence_level=level, average=average, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        assert found.estimate == metric(Y, logits, average=average)
    if average == "micro":
        least = min(np.count_nonzero((Y == value).any(axis=1)) for value in (0, 1))
    else:
        few = np.minimum((Y == 1).sum(axis=0), (Y == 0).sum(axis=0))[:-1]
        least = len(few) / np.sum(1 / few)
    center = centers(Y, logits, average) if name in AVERAGE_PRECISION else None
    expected = share_ends(found.estimate, found.replicates, least, level, center)
    assert [found.low, found.high] == pytest.approx(expected, abs=1e-12)
    assert found.standard_error == pytest.approx(found.replicates.std(ddof=1))
    assert found.confidence_level == level
    assert found.replicates.shape == (1000,)
    assert isinstance(found.low, float) and isinstance(found.standard_error, float)


@pytest.mark.parametrize("seed", range(40))
def test_average_precision_of_other_rows_equals_a_loop(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 25)
    cells = ScoredCells(
        np.sort(rng.integers(0, 2, n)),
        rng.random(n) < 0.4,
        rng.integers(0, 8, n) / 8 if seed % 2 else rng.random(n),
        rng.choice([0.5, 1.0, 2.5], n) if seed % 3 else None,
        2,
        None,
    )
    rows = rng.integers(0, 10, n) if seed % 5 else np.arange(n)
    found = average_precision_of_others(cells, rows)
    for label in range(2):
        own = cells.cols == label
        if not cells.positive[own].any():
            assert np.isnan(found[label])
            continue
        weight = None if cells.weights is None else cells.weights[own]
        expected = precision_of_others(
            cells.positive[own] * 1, cells.scores[own], rows[own], weight
        )
        assert found[label] == pytest.approx(expected, abs=1e-12)


def test_interval_of_each_label_skips_samples_without_a_value():
    Y = np.array([[1, NAN], [0, 1], [0, 0], [NAN, 0], [0, NAN]])
    scores = np.array([[0.2, NAN], [0.1, 0.5], [0.6, 0.7], [NAN, 0.1], [0.4, NAN]])
    found = bootstrap_interval(
        metrics.masked_roc_auc_score,
        Y,
        scores,
        average=None,
        n_resamples=200,
        random_state=0,
    )
    for label in range(2):
        known = found.replicates[:, label]
        known = known[~np.isnan(known)]
        assert 50 < len(known) < 200
        expected = share_ends(found.estimate[label], known, 1)
        assert [found.low[label], found.high[label]] == pytest.approx(expected)
        assert found.standard_error[label] == pytest.approx(known.std(ddof=1))


def test_a_handful_in_perfect_order_has_an_interval_of_that_handful():
    y = np.array([[1, 0, 1], [1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, NAN], [0, 0, NAN]])
    scores = np.where(np.isnan(y), 0, y)
    scores[:, 1] = 1 - scores[:, 1]
    arguments = {"random_state": 0, "n_resamples": 30}
    found = bootstrap_interval(
        metrics.masked_roc_auc_score, y, scores, average=None, **arguments
    )
    assert found.estimate.tolist() == [1, 0, 1]
    for label, n in enumerate([3, 2, 2]):
        low, high = wilson(found.estimate[label], n, 0.95)
        assert found.low[label] == pytest.approx(low)
        assert found.high[label] == pytest.approx(high)
    perfect = bootstrap_interval(
        metrics.masked_roc_auc_score, y[:, [0, 2]], scores[:, [0, 2]], **arguments
    )
    assert perfect.estimate == 1
    harmonic_mean = 2 / (1 / 3 + 1 / 2)
    assert perfect.low == pytest.approx(wilson(1, harmonic_mean, 0.95)[0])
    pooled = bootstrap_interval(
        metrics.masked_roc_auc_score,
        y[:, [0, 0, 2]],
        scores[:, [0, 0, 2]],
        average="micro",
        **arguments,
    )
    assert pooled.low == pytest.approx(wilson(1, 3, 0.95)[0])  # rows, not cells


@pytest.mark.parametrize(
    ("name", "decided", "n"),
    [
        ("masked_precision_score", [1, 1, 0, 0, 0, 0], 2),
        ("masked_recall_score", [1, 1, 1, 1, 0, 0], 3),
        ("masked_f1_score", [1, 1, 1, 0, 0, 0], 3),
        ("masked_f1_score", [0, 0, 0, 1, 0, 0], 2),
    ],
)
def test_decisions_without_a_mistake_have_the_interval_of_their_number(
    name, decided, n
):
    y = np.array([[1], [1], [1], [0], [0], [0]])
    found = quiet_interval(
        getattr(metrics, name),
        y,
        np.array(decided)[:, None],
        n_resamples=50,
        random_state=0,
        zero_division=NAN,
    )
    assert found.estimate in (0, 1)
    expected = np.clip(wilson(found.estimate, n, 0.95), 0, 1)
    assert [found.low, found.high] == pytest.approx(expected.tolist(), abs=1e-12)


def test_the_log_loss_has_percentiles_moved_by_twice_their_bias():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=(30, 1))
    found = bootstrap_interval(
        metrics.masked_log_loss, y, rng.random((30, 1)) ** 4, random_state=0
    )
    bias = found.replicates.mean() - found.estimate
    low, high = np.quantile(found.replicates, [0.025, 0.975]) - 2 * bias
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-12)
    assert found.high > 1


def test_labels_that_cannot_be_scored_have_no_interval():
    Y = [[1, 1, NAN], [0, 1, NAN]]
    with pytest.warns(UnscoredLabelsWarning) as caught:
        found = bootstrap_interval(
            metrics.masked_roc_auc_score, Y, np.ones((2, 3)), average=None
        )
    assert len(caught) == 1
    assert found.estimate[0] == 0.5
    for part in (found.estimate, found.low, found.high, found.standard_error):
        assert np.isnan(part[1:]).all()


def test_nothing_labeled_gives_nan():
    for metric in (metrics.masked_roc_auc_score, metrics.masked_f1_score):
        found = quiet_interval(metric, np.full((3, 2), NAN), np.ones((3, 2)))
        assert np.isnan([found.estimate, found.low, found.high]).all()
        assert np.isnan(found.replicates).all()


def test_a_single_row_has_the_interval_of_one_cell():
    found = bootstrap_interval(
        metrics.masked_brier_score_loss, [[1], [NAN]], [[0.5], [NAN]], n_resamples=5
    )
    assert found.estimate == 0.25
    want = wilson_of(0.25, 1)
    np.testing.assert_allclose([found.low, found.high], want, rtol=1e-12)


@pytest.mark.parametrize("n", range(4, 60))
def test_ends_lie_on_either_side_of_the_estimate_to_the_last_digit(n):
    Y = np.array([[1.0], [0.0]] * n)
    for decided in (Y, 1 - Y):
        found = bootstrap_interval(
            metrics.masked_f1_score, Y, decided, n_resamples=20, random_state=0
        )
        assert found.low <= found.estimate <= found.high


def wilson_of(share, n, z=1.959963984540054):
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    width = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return center - width, center + width


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", METRICS)
def test_every_interval_contains_its_estimate(name, average):
    kind, kwargs = METRICS[name]
    for seed in range(3):
        Y, logits = problem(seed, shape=(12, 30))
        found = quiet_interval(
            getattr(metrics, name),
            Y,
            predictions(kind, logits),
            average=average,
            n_resamples=10,
            random_state=seed,
            **kwargs,
        )
        known = ~np.isnan(found.low)
        ends = [np.asarray(end)[known] for end in (found.low, found.high)]
        estimate = np.asarray(found.estimate)[known]
        assert (ends[0] <= estimate).all() and (estimate <= ends[1]).all()
        assert known.any()


def test_rows_are_drawn_not_cells():
    # Ten labels that are copies of one know no more than the one.
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=(50, 1)).astype(float)
    scores = y + rng.normal(size=y.shape)
    one, ten = (
        bootstrap_interval(
            metrics.masked_roc_auc_score,
            np.tile(y, (1, k)),
            np.tile(scores, (1, k)),
            average="micro",
            random_state=0,
        )
        for k in (1, 10)
    )
    np.testing.assert_allclose(ten.replicates, one.replicates, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["masked_roc_auc_score", "masked_brier_score_loss"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(name):
    rng = np.random.default_rng(0)
    metric = getattr(metrics, name)

    def simulate(n):
        y = rng.integers(2, size=(n, 1)).astype(float)
        proba = 1 / (1 + np.exp(-(2 * y - 1 + 1.5 * rng.normal(size=y.shape))))
        y[rng.random(n) < 0.3] = NAN
        return y, proba

    truth = metric(*simulate(200_000))
    held = 0
    for _ in range(100):
        found = bootstrap_interval(
            metric,
            *simulate(150),
            n_resamples=200,
            confidence_level=0.9,
            random_state=rng.integers(2**31),
        )
        held += found.low <= truth <= found.high
    assert 80 <= held <= 98


def test_labels_with_few_positives_nearly_in_order_are_held():
    rng = np.random.default_rng(0)
    metric = metrics.masked_average_precision_score

    def simulate(n):
        y = (rng.random((n, 1)) < 0.1).astype(float)
        return y, 3 * y + rng.normal(size=y.shape)

    truth = metric(*simulate(200_000))
    held = n_scored = 0
    while n_scored < 200:
        y, scores = simulate(60)
        if y.sum() == 0:
            continue
        found = bootstrap_interval(
            metric, y, scores, n_resamples=100, random_state=rng.integers(2**31)
        )
        n_scored += 1
        held += found.low <= truth <= found.high
    assert held >= 180


def test_mean_of_many_average_precisions_is_held():
    # Plain percentiles lie above the estimate here, far from the truth.
    rng = np.random.default_rng(0)

    def simulate(n, n_labels):
        y = (rng.random((n, n_labels)) < 0.1).astype(float)
        return y, 1.5 * y + rng.normal(size=y.shape)

    metric = metrics.masked_average_precision_score
    truth = metric(*simulate(100_000, 1))
    held = by_percentiles = 0
    for _ in range(20):
        found = bootstrap_interval(
            metric,
            *simulate(200, 60),
            n_resamples=100,
            random_state=rng.integers(2**31),
        )
        held += found.low <= truth <= found.high
        low, high = np.quantile(found.replicates, [0.025, 0.975])
        by_percentiles += low <= truth <= high
    assert held >= 16
    assert by_percentiles <= 8


# The law


@pytest.mark.parametrize("name", METRICS)
def test_junk_in_unlabeled_cells_and_unlabeled_rows_change_nothing(name):
    kind, kwargs = METRICS[name]
    metric = getattr(metrics, name)
    Y, logits = problem()
    scores = predictions(kind, logits)
    arguments = {"n_resamples": 20, "random_state": 0, **kwargs}
    clean = quiet_interval(metric, Y, scores, **arguments)
    for junk in (NAN, np.inf, -7.0, 2.0):
        dirty = np.where(np.isnan(Y), junk, scores)
        longer = np.vstack([np.full((5, 4), NAN), Y, np.full((9, 4), NAN)])
        padded = np.vstack([np.full((5, 4), junk), dirty, np.full((9, 4), junk)])
        sentinel = np.where(np.isnan(Y), -1, Y).astype(int)
        for labels, values in (
            (sentinel, dirty),
            (MaskedLabels.from_dense(longer), padded),
        ):
            found = quiet_interval(metric, labels, values, **arguments)
            assert found.estimate == clean.estimate
            np.testing.assert_array_equal(found.replicates, clean.replicates)
            assert (found.low, found.high) == (clean.low, clean.high)


def test_estimates_of_full_labels_are_scikit_learns():
    rng = np.random.default_rng(0)
    Y = rng.integers(2, size=(50, 3))
    proba = rng.random(Y.shape)
    for name, oracle in {
        "masked_roc_auc_score": skm.roc_auc_score,
        "masked_average_precision_score": skm.average_precision_score,
        "masked_log_loss": skm.log_loss,
        "masked_brier_score_loss": skm.brier_score_loss,
        "masked_f1_score": skm.f1_score,
    }.items():
        values = (proba > 0.5).astype(int) if name == "masked_f1_score" else proba
        found = bootstrap_interval(
            getattr(metrics, name), Y, values, average=None, n_resamples=2
        )
        expected = [oracle(Y[:, j], values[:, j]) for j in range(3)]
        np.testing.assert_allclose(found.estimate, expected, rtol=0, atol=1e-12)


def test_scores_of_labeled_cells_and_a_binary_target():
    Y, logits = problem(tied=False)
    labels = MaskedLabels.from_dense(Y)
    cells = labels.cells()
    arguments = {"n_resamples": 10, "random_state": 0, "average": "micro"}
    metric = metrics.masked_roc_auc_score
    whole = bootstrap_interval(metric, labels, logits, **arguments)
    single = bootstrap_interval(
        metric, labels, logits[cells.rows, cells.cols], **arguments
    )
    np.testing.assert_array_equal(whole.replicates, single.replicates)
    target = np.where(np.isnan(Y[:, 0]), None, np.where(Y[:, 0] == 1, "yes", "no"))
    column = bootstrap_interval(metric, Y[:, :1], logits[:, 0], **arguments)
    binary = bootstrap_interval(metric, target, logits[:, 0], **arguments)
    np.testing.assert_array_equal(column.replicates, binary.replicates)


def test_decisions_on_a_binary_target_with_its_own_values():
    target = np.array(["no", "yes", None, "yes", "no", "yes"], dtype=object)
    decided = np.array(["no", "yes", "no", "no", "yes", "yes"])
    coded = np.array([0, 1, NAN, 1, 0, 1])
    arguments = {"n_resamples": 10, "random_state": 0}
    found = quiet_interval(metrics.masked_f1_score, target, decided, **arguments)
    expected = quiet_interval(
        metrics.masked_f1_score, coded, (decided == "yes") * 1.0, **arguments
    )
    assert found.estimate == expected.estimate == pytest.approx(2 / 3)
    np.testing.assert_array_equal(found.replicates, expected.replicates)


# A metric of one's own


def precision_at_2(labels, scores, sample_weight=None):
    best = np.argsort(-scores, kind="stable")[:2]
    values = labels.cells().values[best]
    if sample_weight is None:
        return values.mean()
    return np.average(values, weights=sample_weight[labels.cells().rows[best]])


@pytest.mark.parametrize("fill", ["unlabeled", "negative"])
def test_a_metric_of_ones_own_is_called_for_each_sample(fill):
    Y, logits = problem(tied=False)
    labels = MaskedLabels.from_dense(Y)
    if fill == "negative":
        stored = sp.csr_array(np.where(np.isnan(Y), -1, Y))
        labels = MaskedLabels.from_sparse(stored, implicit="negative")
        assert labels.fill == "negative"
    weight = np.random.default_rng(0).random(len(Y)) + 0.1
    found = bootstrap_interval(
        precision_at_2,
        labels,
        logits,
        sample_weight=weight,
        n_resamples=15,
        random_state=4,
    )
    dense = np.where(np.isnan(Y), -np.inf, logits)

    def oracle(labels, scores, sample_weight):
        known = ~np.isnan(labels.to_dense())
        return precision_at_2(labels, scores[known], sample_weight)

    slow = slow_replicates(oracle, Y, dense, weight, 4, 15)
    np.testing.assert_allclose(found.replicates, slow, rtol=0, atol=1e-12)
    assert found.estimate == oracle(MaskedLabels.from_dense(Y), dense, weight)


def test_a_metric_of_ones_own_equals_ours():
    Y, logits = problem()
    for average in ("macro", None):
        fast, slow = (
            quiet_interval(
                metric, Y, logits, n_resamples=10, random_state=0, average=average
            )
            for metric in (
                metrics.masked_roc_auc_score,
                lambda *a, **k: metrics.masked_roc_auc_score(*a, **k),
            )
        )
        np.testing.assert_array_equal(fast.estimate, slow.estimate)
        np.testing.assert_allclose(fast.replicates, slow.replicates, rtol=0, atol=1e-12)


# Determinism, warnings, errors


def test_random_state_decides_the_replicates():
    Y, logits = problem()
    metric = partial(
        quiet_interval, metrics.masked_roc_auc_score, Y, logits, n_resamples=10
    )
    first = metric(random_state=0).replicates
    np.testing.assert_array_equal(first, metric(random_state=0).replicates)
    rng = np.random.RandomState(0)
    np.testing.assert_array_equal(first, metric(random_state=rng).replicates)
    assert (metric(random_state=rng).replicates != first).any()
    assert (metric(random_state=1).replicates != first).any()


def test_labels_left_out_are_warned_about_once():
    Y, logits = problem()
    with pytest.warns(UnscoredLabelsWarning) as caught:
        bootstrap_interval(metrics.masked_roc_auc_score, Y, logits, n_resamples=5)
    assert [str(warning.message) for warning in caught] == [
        "1 of 4 labels cannot be scored, which takes 1 positive and 1 negative labeled "
        "cells a label, and are left out: 3."
    ]


def test_printed_form_leaves_the_replicates_out():
    found = bootstrap_interval(
        metrics.masked_brier_score_loss, [[1], [1]], [[0.5], [0.5]], n_resamples=3
    )
    assert found.replicates.tolist() == [0.25] * 3
    assert repr(found) == (
        "BootstrapInterval(estimate=0.25, low=0.25, high=0.25, standard_error=0.0, "
        "confidence_level=0.95)"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"metric": "roc_auc"},
            TypeError,
            "`metric` accepts a callable; got 'roc_auc'.",
        ),
        (
            {"metric": roc_auc_score},
            ValueError,
            "`metric` accepts a metric of sklearn_masked.metrics, or a callable that "
            "takes MaskedLabels; got scikit-learn's roc_auc_score, which knows no "
            "unlabeled cells.",
        ),
        (
            {"metric": make_scorer(roc_auc_score)},
            ValueError,
            "`metric` accepts a metric of sklearn_masked.metrics, or a callable that "
            "takes MaskedLabels; got scikit-learn's make_scorer(roc_auc_score, "
            "response_method='predict'), which knows no unlabeled cells.",
        ),
        (
            {"n_resamples": 1},
            ValueError,
            "`n_resamples` accepts an integer, 2 or above; got 1.",
        ),
        (
            {"n_resamples": 10.0},
            ValueError,
            "`n_resamples` accepts an integer, 2 or above; got 10.0.",
        ),
        (
            {"n_resamples": True},
            ValueError,
            "`n_resamples` accepts an integer, 2 or above; got True.",
        ),
        (
            {"confidence_level": 95},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "95.",
        ),
        (
            {"confidence_level": "high"},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "'high'.",
        ),
        (
            {"average": "samples"},
            ValueError,
            "`average` accepts 'micro', 'macro', 'weighted' or None; got 'samples'.",
        ),
        (
            {"y_score": [[0.1, 0.2], [NAN, 0.3]]},
            ValueError,
            "`y_score` accepts finite numbers in labeled cells; got nan at sample 1, "
            "label 0.",
        ),
        (
            {"y_score": [[0.1], [0.3]]},
            ValueError,
            "`y_score` accepts shape (2, 2), as `y_true` has, or one value for each of "
            "its 3 labeled cells, row by row; got shape (2, 1).",
        ),
        (
            {"y_score": [["a", "b"], ["c", "d"]]},
            TypeError,
            "`y_score` accepts numbers in labeled cells; got an array of dtype <U1.",
        ),
        (
            {"sample_weight": [1, -1]},
            ValueError,
            "`sample_weight` accepts finite numbers from 0; got -1.0 at sample 1.",
        ),
        (
            {"beta": 2},
            TypeError,
            "masked_roc_auc_score() got an unexpected keyword argument 'beta'",
        ),
    ],
)
def test_errors(arguments, error, message):
    arguments = {
        "metric": metrics.masked_roc_auc_score,
        "y_true": [[1, 0], [0, NAN]],
        "y_score": [[0.1, 0.2], [0.3, 0.4]],
        **arguments,
    }
    with pytest.raises(error) as caught:
        bootstrap_interval(**arguments)
    assert str(caught.value) == message


def test_scores_of_another_shape_for_a_metric_of_ones_own():
    with pytest.raises(ValueError, match=r"`y_score` accepts shape \(2, 1\)"):
        bootstrap_interval(precision_at_2, [[1], [0]], [[0.1, 0.2, 0.3]])


@pytest.mark.parametrize("average", [None, "micro"])
@pytest.mark.parametrize("adjusted", [False, True])
def test_balanced_accuracy_knows_that_a_recall_of_1_may_be_less(average, adjusted):
    """300 draws as labels; all of some 20 positives are often decided right."""
    rng = np.random.default_rng(0)
    Y = (rng.random((400, 300)) < 0.05) * 1.0
    decided = (rng.random(Y.shape) < np.where(Y == 1, 0.95, 0.01)) * 1.0
    arguments = {"n_resamples": 20, "random_state": 0, "average": average}
    truth = 0.94 if adjusted else 0.97
    if average == "micro":  # one label at a time
        Y, decided = Y[:, :20], decided[:, :20]
        found = [
            bootstrap_interval(
                metrics.masked_balanced_accuracy_score,
                Y[:, [j]],
                decided[:, [j]],
                adjusted=adjusted,
                **arguments,
            )
            for j in range(Y.shape[1])
        ]
        low, high = np.array([(one.low, one.high) for one in found]).T
    else:
        found = bootstrap_interval(
            metrics.masked_balanced_accuracy_score,
            Y,
            decided,
            adjusted=adjusted,
            **arguments,
        )
        low, high = found.low, found.high
    assert 0.9 <= np.mean((low <= truth) & (truth <= high)) <= 1
    assert (high - low < 0.5 * (1 + adjusted)).all()
