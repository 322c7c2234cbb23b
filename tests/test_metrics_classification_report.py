"""The table of decisions: counts, precision in traffic, intervals, shape in print."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics as skm

from sklearn_masked import metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import bootstrap_interval
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics.shares import clopper_pearson, ratio_ends

NAN = np.nan
COUNTS = ["n_labeled", "support", "tp", "fp", "fn", "tn"]


def problem(seed=0, shape=(60, 3)):
    """Labels, the last one without positives, and decisions."""
    rng = np.random.default_rng(seed)
    Y = rng.choice([0.0, 1.0, NAN], size=shape, p=[0.4, 0.4, 0.2])
    Y[:, -1] = np.where(Y[:, -1] == 1, NAN, Y[:, -1])
    return Y, np.where(rng.random(shape) < 0.7, np.nan_to_num(Y), 1 - np.nan_to_num(Y))


def test_counts_and_metrics_equal_scikit_learn_on_the_labeled_cells():
    Y, decided = problem()
    report = metrics.masked_classification_report(Y, decided)
    assert list(report) == ["label", *COUNTS, "precision", "recall", "f1"]
    for label in range(Y.shape[1]):
        known = ~np.isnan(Y[:, label])
        y, pred = Y[known, label], decided[known, label]
        tn, fp, fn, tp = skm.confusion_matrix(y, pred, labels=[0, 1]).ravel()
        expected = [len(y), tp + fn, tp, fp, fn, tn]
        assert [report[name][label] for name in COUNTS] == expected
        if label < 2:
            assert report["precision"][label] == skm.precision_score(y, pred)
            assert report["recall"][label] == skm.recall_score(y, pred)
            assert report["f1"][label] == pytest.approx(skm.f1_score(y, pred), 1e-15)
    assert np.isnan([report[name][2] for name in ("precision", "recall", "f1")]).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_averages_equal_the_metrics(weighted):
    Y, decided = problem()
    weight = np.random.default_rng(1).choice([0, 0.5, 2], len(Y)) if weighted else None
    report = metrics.masked_classification_report(Y, decided, sample_weight=weight)
    for name, metric in {
        "precision": metrics.masked_precision_score,
        "recall": metrics.masked_recall_score,
        "f1": metrics.masked_f1_score,
    }.items():
        options = {"zero_division": NAN, "sample_weight": weight}
        with pytest.warns(UnscoredLabelsWarning):
            macro = metric(Y, decided, **options)
            own = metric(Y, decided, average=None, **options)
        assert report.macro[name] == pytest.approx(macro, abs=1e-15)
        micro = metric(Y, decided, average="micro", **options)
        assert report.micro[name] == pytest.approx(micro, abs=1e-15)
        np.testing.assert_allclose(report[name], own, rtol=0, atol=1e-15)


def test_nothing_predicted_has_no_precision_and_does_not_count_in_its_mean():
    y = np.array([[1, 1], [0, 0], [1, 0]])
    report = metrics.masked_classification_report(y, [[1, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(report["precision"], [1, NAN])
    np.testing.assert_array_equal(report["recall"], [0.5, 0])
    assert report.macro["precision"] == 1
    assert report.macro["recall"] == 0.25


def test_precision_in_traffic_is_that_of_cells_at_the_prevalence():
    """As many copies of positives and negatives as traffic holds tell it directly."""
    Y, decided = problem()
    names = ["arms", "hate", "war"]
    labels = MaskedLabels.from_dense(Y).with_label_names(names)
    share = {"arms": 0.1, "hate": 0.02, "war": 0.5}
    report = metrics.masked_classification_report(labels, decided, prevalence=share)
    n_positive, n_negative = (Y == 1).sum(axis=0), (Y == 0).sum(axis=0)
    wanted = np.array(list(share.values()))
    with np.errstate(divide="ignore"):
        weights = np.where(Y == 1, wanted / n_positive, (1 - wanted) / n_negative)
    for label in range(2):
        known = ~np.isnan(Y[:, label])
        expected = skm.precision_score(
            Y[known, label], decided[known, label], sample_weight=weights[known, label]
        )
        found = report["traffic_precision"][label]
        assert found == pytest.approx(expected, abs=1e-14)
        assert found < report["precision"][label]
    assert np.isnan(report["traffic_precision"][2])
    known = ~np.isnan(Y[:, :2])
    pooled = skm.precision_score(
        Y[:, :2][known], decided[:, :2][known], sample_weight=weights[:, :2][known]
    )
    assert report.micro["traffic_precision"] == pytest.approx(pooled, abs=1e-14)
    mean = report["traffic_precision"][:2].mean()
    assert report.macro["traffic_precision"] == pytest.approx(mean, abs=1e-14)
    np.testing.assert_array_equal(report["prevalence"], wanted)


def test_prevalence_of_some_labels_only():
    Y, decided = problem()
    report = metrics.masked_classification_report(Y, decided, prevalence={1: 0.1})
    found = report["traffic_precision"]
    assert (
        np.isnan(found[[0, 2]]).all() and report.micro["traffic_precision"] == found[1]
    )


@pytest.mark.parametrize("interval", ["wilson", "clopper_pearson"])
def test_intervals_of_shares_equal_scipy(interval):
    Y, decided = problem()
    report = metrics.masked_classification_report(
        Y, decided, confidence_level=0.9, interval=interval, n_resamples=5
    )
    method = "exact" if interval == "clopper_pearson" else "wilson"

    def ends(hits, total):
        test = scipy.stats.binomtest(int(hits), int(total))
        found = test.proportion_ci(0.9, method)
        return np.array([found.low, found.high])

    for label in range(2):
        tp, fp, fn = (report[name][label] for name in ("tp", "fp", "fn"))
        jaccard = ends(tp, tp + fp + fn)
        for name, expected in {
            "precision": ends(tp, tp + fp),
            "recall": ends(tp, tp + fn),
            "f1": 2 * jaccard / (1 + jaccard),
        }.items():
            found = [report[f"{name}_{end}"][label] for end in ("low", "high")]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert np.isnan(report["recall_low"][2]) and np.isnan(report["f1_high"][2])


def test_weighted_cells_count_as_their_effective_number():
    Y, decided = problem()
    options = {"confidence_level": 0.95, "n_resamples": 5, "prevalence": 0.1}
    plain = metrics.masked_classification_report(Y, decided, **options)
    constant = metrics.masked_classification_report(
        Y, decided, sample_weight=np.full(len(Y), 7.0), **options
    )
    for name in ("precision", "recall", "f1", "traffic_precision"):
        for end in ("low", "high"):
            column = f"{name}_{end}"
            np.testing.assert_allclose(constant[column], plain[column], atol=1e-12)
    weight = np.random.default_rng(0).random(len(Y)) ** 3
    uneven = metrics.masked_classification_report(
        Y, decided, sample_weight=weight, **options
    )
    w = weight[Y[:, 0] == 1]
    share, n = uneven["recall"][0], w.sum() ** 2 / (w**2).sum()
    z2 = scipy.stats.norm.ppf(0.975) ** 2
    roots = np.roots([1 + z2 / n, -2 * share - z2 / n, share**2])  # Wilson's equation
    found = [uneven["recall_low"][0], uneven["recall_high"][0]]
    np.testing.assert_allclose(found, np.sort(roots), rtol=0, atol=1e-12)


def test_bootstrap_intervals_agree_with_bootstrap_interval():
    Y, decided = problem()
    Y, decided = Y[:, :2], decided[:, :2]
    arguments = {"n_resamples": 50, "random_state": 0}
    report = metrics.masked_classification_report(
        Y, decided, confidence_level=0.95, interval="bootstrap", **arguments
    )
    for name in ("precision", "recall", "f1"):
        metric = getattr(metrics, f"masked_{name}_score")
        for average, found in (
            (None, report),
            ("macro", report.macro),
            ("micro", report.micro),
        ):
            expected = bootstrap_interval(
                metric, Y, decided, average=average, **arguments
            )
            np.testing.assert_allclose(found[f"{name}_low"], expected.low, atol=1e-14)
            np.testing.assert_allclose(found[f"{name}_high"], expected.high, atol=1e-14)


def test_groups_are_redrawn_together_in_all_intervals():
    Y, decided = problem()
    groups = np.arange(len(Y)) // 4
    arguments = {"n_resamples": 50, "random_state": 0, "groups": groups}
    report = metrics.masked_classification_report(
        Y[:, :2], decided[:, :2], confidence_level=0.95, **arguments
    )
    for average, found in ((None, report), ("macro", report.macro)):
        expected = bootstrap_interval(
            metrics.masked_recall_score,
            Y[:, :2],
            decided[:, :2],
            average=average,
            **arguments,
        )
        np.testing.assert_allclose(found["recall_low"], expected.low, atol=1e-14)
        np.testing.assert_allclose(found["recall_high"], expected.high, atol=1e-14)


@pytest.mark.parametrize("n", [30, 300])
def test_precision_in_traffic_lies_in_its_interval_as_often_as_stated(n):
    """2,000 labels are 2,000 draws; binomial counts of the positives and negatives."""
    rng = np.random.default_rng(n)
    recall, false, share, n_draws = 0.7, 0.05, 0.02, 2000
    Y = np.repeat([1.0, 0.0], [n, 4 * n])[:, None].repeat(n_draws, axis=1)
    decided = rng.random(Y.shape) < np.where(Y == 1, recall, false)
    report = metrics.masked_classification_report(
        Y, decided * 1, prevalence=share, confidence_level=0.95, n_resamples=2
    )
    truth = share * recall / (share * recall + (1 - share) * false)
    low, high = report["traffic_precision_low"], report["traffic_precision_high"]
    covered = np.mean((low <= truth) & (truth <= high))
    assert 0.94 <= covered <= 0.98
    assert (low <= report["traffic_precision"])[~np.isnan(low)].all()


def test_macro_precision_in_traffic_has_no_interval_where_false_positives_are_unseen():
    """15 cells per label: labels without a false positive seem to be precise."""
    rng = np.random.default_rng(0)
    Y = np.where(rng.random((15, 20)) < 0.3, 1.0, 0.0)
    decided = (rng.random(Y.shape) < np.where(Y == 1, 0.7, 0.1)) * 1.0
    options = {"prevalence": 0.05, "confidence_level": 0.95, "n_resamples": 20}
    report = metrics.masked_classification_report(Y, decided, **options)
    assert (report["fp"] == 0).mean() > 0.2
    assert report.macro["traffic_precision"] > 0.5  # truly 0.27
    assert np.isnan(report.macro["traffic_precision_low"])
    assert not np.isnan(report.micro["traffic_precision_low"])
    redrawn = metrics.masked_classification_report(
        Y, decided, interval="bootstrap", **options
    )
    unknown = (report["fp"] == 0) | np.isnan(report["traffic_precision"])
    np.testing.assert_array_equal(np.isnan(redrawn["traffic_precision_low"]), unknown)
    decided[:2] = 1 - Y[:2]
    report = metrics.masked_classification_report(Y, decided, **options)
    assert (report["fp"] > 0).all()
    assert report.macro["traffic_precision_low"] < report.macro["traffic_precision"]


def test_ends_of_a_ratio_where_counts_are_none():
    zero, some = (np.array([0.0, 0.1]), np.array([0.1, 0.4]))
    low, high = ratio_ends(0.2, some, 0.0, zero)
    assert 0.1 / 0.1 < low < 0.2 / 0.1 and high == np.inf
    low, high = ratio_ends(0.0, zero, 0.2, some)
    assert low == 0 and 0.1 / 0.4 < high < 0.1 / 0.1
    equal = ratio_ends(0.2, some, 0.2, np.array([0.2, 0.2]))  # a known number
    np.testing.assert_allclose(equal, some / 0.2)


def test_clopper_pearson_of_no_cell_is_nan():
    found = clopper_pearson(np.array([NAN, 0.0]), np.array([0.0, 3.0]), 0.95)
    np.testing.assert_allclose(found, [[NAN, 0.0], [NAN, 1 - 0.025 ** (1 / 3)]])


def test_printed_table():
    labels = MaskedLabels.from_dense([[1, NAN], [0, 1], [1, 0], [NAN, 1]])
    labels = labels.with_label_names(["arms", "hate"])
    pred = np.array([[1, 0], [1, 1], [1, 0], [0, 0]])
    report = metrics.masked_classification_report(
        labels, pred, confidence_level=0.9, n_resamples=10, random_state=0
    )
    lines = repr(report).splitlines()
    assert lines[0].split() == [
        *("label", "labeled", "support", "tp", "fp", "fn", "tn"),
        *("prec.", "recall", "f1"),
    ]
    assert lines[1].split() == [*"arms 3 2 2 1 0 0 0.6667 1.0000 0.8000".split()]
    assert lines[2].split() == [
        "low",
        *(f"{report[f'{name}_low'][0]:.4f}" for name in ("precision", "recall", "f1")),
    ]
    assert lines[-3 - 2].split()[:7] == [*"micro 6 4 3 1 1 1".split()]
    assert lines[-1] == "[2 labels, labeled cells; 90 % intervals]"


def test_many_and_long_labels_with_large_counts_fit_80_columns():
    names = [f"a name that is much too long for a table, number {j}" for j in range(70)]
    labels = MaskedLabels.from_dense(np.arange(140).reshape(2, -1) % 2 * 1.0)
    labels = labels.with_label_names(names)
    report = metrics.masked_classification_report(
        labels, np.ones((2, 70)), prevalence=0.1, confidence_level=0.95, n_resamples=3
    )
    for name in COUNTS:
        report._columns[name] = report[name] + 54321
    lines = repr(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 1 + 15 + 1 + 15 + 1 + 6 + 2
    assert lines[1].startswith("a name") and "..." in lines[1]
    assert lines[0].split()[:3] == ["label", "tp", "fp"]  # their sums make room


def test_records_and_frame():
    Y, decided = problem()
    report = metrics.masked_classification_report(Y, decided)
    assert report.to_records()["tp"].tolist() == report["tp"].tolist()
    assert report.to_frame().loc[1, "f1"] == report["f1"][1]


def test_a_binary_target_of_names_has_one_row():
    y = np.array(["no", "yes", None, "yes"], dtype=object)
    report = metrics.masked_classification_report(y, ["no", "yes", "yes", "no"])
    assert [report[name][0] for name in COUNTS] == [3, 2, 1, 0, 1, 1]


def test_nothing_labeled_reports_nan_without_a_warning():
    report = metrics.masked_classification_report(
        np.full((2, 2), NAN), np.zeros((2, 2)), prevalence=0.1, confidence_level=0.95
    )
    assert np.isnan(report["traffic_precision_low"]).all()
    assert np.isnan([*report.macro.values(), *report.micro.values()]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"interval": "wald"},
            "`interval` accepts 'auto', 'wilson', 'clopper_pearson' or 'bootstrap'; "
            "got 'wald'.",
        ),
        (
            {"interval": "wilson", "groups": [0, 0]},
            "`interval` accepts 'auto' or 'bootstrap' with `groups`, whose rows are "
            "not independent; got 'wilson'.",
        ),
        (
            {"confidence_level": 95},
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "95.",
        ),
        (
            {"prevalence": [0.2, 1.2]},
            "`prevalence` accepts shares strictly between 0 and 1, or NaN; got 1.2 for "
            "label 1.",
        ),
        (
            {"prevalence": {"war": 0.2}},
            "`prevalence` accepts the labels of `y` as keys; got 'war', which is none "
            "of them.",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as caught:
        metrics.masked_classification_report(
            [[1, 0], [0, 1]], [[1, 0], [0, 1]], **arguments
        )
    assert str(caught.value) == message
