"""The report: its values, its shape in print and its ways out."""

import numpy as np
import pytest
import scipy.stats
from test_inspection import centers, share_ends

from sklearn_masked import metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.labels import MaskedLabels

NAN = np.nan


@pytest.fixture
def labels():
    Y = np.array(
        [[1, NAN, 1], [0, 1, NAN], [1, 0, NAN], [NAN, 1, 1], [0, NAN, NAN], [1, 0, NAN]]
    )
    names = np.array(["arms", "hate", "war"])
    rows, cols = np.nonzero(~np.isnan(Y))
    return MaskedLabels.from_cells(
        rows,
        names[cols],
        Y[rows, cols].astype(int),
        shape=Y.shape,
        label_names=names.tolist(),
    )


@pytest.fixture
def proba():
    return np.random.default_rng(0).random((6, 3))


def test_columns_equal_the_metrics(labels, proba):
    report = metrics.masked_report(labels, proba)
    assert list(report) == [
        "label",
        "labeled",
        "positive",
        "negative",
        "auc",
        "ap",
        "brier",
    ]
    assert report["label"].tolist() == ["arms", "hate", "war"]
    assert report["labeled"].tolist() == [5, 4, 2]
    assert report["positive"].tolist() == [3, 2, 2]
    assert report["negative"].tolist() == [2, 2, 0]
    for name, metric in {
        "auc": metrics.masked_roc_auc_score,
        "ap": metrics.masked_average_precision_score,
        "brier": metrics.masked_brier_score_loss,
    }.items():
        if name != "brier":
            with pytest.warns(UnscoredLabelsWarning):
                values = metric(labels, proba, average=None)
        else:
            values = metric(labels, proba, average=None)
        np.testing.assert_array_equal(report[name], values)
        assert report.macro[name] == pytest.approx(np.nanmean(values), abs=1e-15)
        assert report.micro[name] == metric(labels, proba, average="micro")


def test_printed_table(labels):
    proba = np.array([[0.9, 0.1, 0.8]] * 3 + [[0.2, 0.7, 0.6]] * 3)
    assert repr(metrics.masked_report(labels, proba)) == (
        "label  labeled  positive  negative    auc     ap  brier\n"
        "arms         5         3         2 0.5833 0.6444 0.3020\n"
        "hate         4         2         2 0.5000 0.5000 0.3500\n"
        "war          2         2         0    nan    nan 0.1000\n"
        "\n"
        "macro                              0.5417 0.5722 0.2507\n"
        "micro       11         7         4 0.5893 0.6810 0.2827"
    )


def test_many_and_long_labels_fit_80_columns_and_a_screen():
    names = [
        f"a name that is much too long for any table to print, number {j}"
        for j in range(200)
    ]
    labels = MaskedLabels.from_cells(
        np.arange(400) % 2,
        np.repeat(names, 2),
        np.arange(400) % 2,
        shape=(2, 200),
        label_names=names,
    )
    report = metrics.masked_report(labels, np.full((2, 200), 0.5))
    lines = repr(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 1 + 5 + 1 + 5 + 1 + 2 + 2
    assert lines[6] == "..."
    assert lines[-1] == "[200 labels]"
    assert lines[-3].startswith("micro")


def test_weights_count_in_metrics_and_cells_of_weight_0_nowhere(labels, proba):
    weights = np.array([0.0, 1, 2, 3, 1, 2])
    report = metrics.masked_report(labels, proba, sample_weight=weights)
    assert report["labeled"].tolist() == [4, 4, 1]
    expected = metrics.masked_brier_score_loss(
        labels, proba, average=None, sample_weight=weights
    )
    np.testing.assert_array_equal(report["brier"], expected)


def test_frame_and_records(labels, proba):
    report = metrics.masked_report(labels, proba)
    frame = report.to_frame()
    assert frame.index.tolist() == ["arms", "hate", "war"]
    assert frame.index.name == "label"
    assert frame.loc["hate", "auc"] == report["auc"][1]
    records = report.to_records()
    assert records.dtype.names == tuple(report)
    assert records[1]["label"] == "hate"
    assert records["positive"].tolist() == [3, 2, 2]


def test_nothing_labeled_reports_nan_without_a_warning():
    report = metrics.masked_report(np.full((2, 2), NAN), np.full((2, 2), NAN))
    assert np.isnan(report["brier"]).all()
    assert np.isnan(list(report.macro.values())).all()
    assert np.isnan(list(report.micro.values())).all()


def test_a_binary_target_has_one_row():
    report = metrics.masked_report([0, 1, None], np.array([0.2, 0.6, NAN]))
    assert report["auc"].tolist() == [1.0]


# Intervals


def problem(seed=0, shape=(60, 3)):
    rng = np.random.default_rng(seed)
    Y = rng.choice([0.0, 1.0, NAN], size=shape, p=[0.4, 0.4, 0.2])
    Y[:, -1] = np.where(Y[:, -1] == 1, NAN, Y[:, -1])
    return Y, rng.random(shape)


def drawn(Y, proba, seed, n_resamples):
    """Draw rows one sample at a time, and report each sample without intervals."""
    rows = np.flatnonzero(~np.isnan(Y).all(axis=1))
    draw = np.random.RandomState(seed)
    for _ in range(n_resamples):
        some = rows[draw.randint(len(rows), size=len(rows))]
        yield metrics.masked_report(Y[some], proba[some])


def ends(estimate, values, least, level, center=None):
    """Return the ends of the interval of a metric between 0 and 1."""
    values = np.asarray(values)
    values = values[~np.isnan(values)]
    if not len(values):
        return [NAN, NAN]
    return share_ends(estimate, values, least, level, center)


@pytest.mark.parametrize("level", [0.95, 0.5])
def test_intervals_are_those_of_rows_drawn_by_hand(level):
    Y, proba = problem()
    report = metrics.masked_report(
        Y, proba, confidence_level=level, n_resamples=80, random_state=5
    )
    plain = metrics.masked_report(Y, proba)
    samples = list(drawn(Y, proba, 5, 80))
    positive, negative = (Y == 1), (Y == 0)
    few = np.minimum(positive.sum(axis=0), negative.sum(axis=0))
    every = (positive | negative).sum(axis=0)
    pooled = min(positive.any(axis=1).sum(), negative.any(axis=1).sum())
    least = {
        "auc": (few, 2 / np.sum(1 / few[:2]), pooled),
        "brier": (every, 3 / np.sum(1 / every), np.count_nonzero(~np.isnan(Y).all(1))),
    }
    least["ap"] = least["auc"]
    assert report.confidence_level == level
    assert plain.confidence_level is None
    assert list(report)[: len(plain)] == list(plain)
    assert list(report)[len(plain) :] == [
        f"{name}_{end}" for name in ("auc", "ap", "brier") for end in ("low", "high")
    ]
    unbiased = {
        "ap": (
            [centers(Y[:, [j]], proba[:, [j]], "micro") for j in (0, 1)] + [NAN],
            centers(Y[:, :2], proba[:, :2], "macro"),
            centers(Y, proba, "micro"),
        )
    }
    for name in ("auc", "ap", "brier"):
        np.testing.assert_array_equal(report[name], plain[name])
        center = unbiased.get(name, ([None] * 3, None, None))
        for label in range(3):
            expected = ends(
                plain[name][label],
                [sample[name][label] for sample in samples],
                least[name][0][label],
                level,
                center[0][label],
            )
            found = [report[f"{name}_low"][label], report[f"{name}_high"][label]]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        for place, average in ((1, "macro"), (2, "micro")):
            found = getattr(report, average)
            estimate = getattr(plain, average)[name]
            assert found[name] == estimate
            expected = ends(
                estimate,
                [getattr(sample, average)[name] for sample in samples],
                least[name][place],
                level,
                center[place],
            )
            np.testing.assert_allclose(
                [found[f"{name}_low"], found[f"{name}_high"]],
                expected,
                rtol=0,
                atol=1e-12,
            )
    assert np.isnan([report["auc_low"][2], report["ap_high"][2]]).all()
    assert 0 < report["brier_low"][2] < report["brier"][2] < report["brier_high"][2]


def test_intervals_agree_with_bootstrap_interval():
    from sklearn_masked.inspection import bootstrap_interval

    Y, proba = problem()
    Y = Y[:, :2]
    proba = proba[:, :2]
    weights = np.random.default_rng(0).choice([0.0, 1.0, 2.5], size=len(Y))
    arguments = {"n_resamples": 50, "random_state": 0, "sample_weight": weights}
    report = metrics.masked_report(Y, proba, confidence_level=0.95, **arguments)
    for name, metric in {
        "auc": metrics.masked_roc_auc_score,
        "ap": metrics.masked_average_precision_score,
        "brier": metrics.masked_brier_score_loss,
    }.items():
        one_by_one = bootstrap_interval(metric, Y, proba, average=None, **arguments)
        np.testing.assert_array_equal(report[f"{name}_low"], one_by_one.low)
        np.testing.assert_array_equal(report[f"{name}_high"], one_by_one.high)
        macro = bootstrap_interval(metric, Y, proba, **arguments)
        assert report.macro[f"{name}_low"] == pytest.approx(macro.low, abs=1e-14)


def test_printed_table_with_intervals(labels):
    proba = np.array([[0.9, 0.1, 0.8]] * 3 + [[0.2, 0.7, 0.6]] * 3)
    report = metrics.masked_report(
        labels, proba, confidence_level=0.9, n_resamples=40, random_state=0
    )
    lines = repr(report).splitlines()
    assert lines[0] == "label   labeled  positive  negative    auc     ap  brier"
    assert lines[1] == "arms          5         3         2 0.5833 0.6444 0.3020"
    low, high = report["auc_low"][0], report["auc_high"][0]
    assert lines[2].split()[:2] == ["low", f"{low:.4f}"]
    assert lines[3].split()[:2] == ["high", f"{high:.4f}"]
    assert lines[8].split() == ["low", "nan", "nan", f"{report['brier_low'][2]:.4f}"]
    assert [line.split()[0] for line in lines[1:10]] == [
        *("arms", "low", "high", "hate", "low", "high", "war", "low", "high")
    ]
    assert lines[10] == ""
    assert [line.split()[0] for line in lines[11:17]] == [
        *("macro", "low", "high", "micro", "low", "high")
    ]
    assert lines[14] == "micro        11         7         4 0.5893 0.6810 0.2827"
    assert lines[17:] == ["", "[3 labels; low to high: 90 % intervals]"]


def test_many_labels_with_intervals_fit_a_screen():
    rng = np.random.default_rng(0)
    report = metrics.masked_report(
        rng.integers(2, size=(20, 85)),
        rng.random((20, 85)),
        confidence_level=0.95,
        n_resamples=5,
        random_state=0,
    )
    lines = repr(report).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 1 + 15 + 1 + 15 + 1 + 6 + 2
    assert lines[16] == "..."
    assert [line.split()[0] for line in lines[13:21]] == [
        *("4", "low", "high", "...", "80", "low", "high", "81")
    ]
    assert lines[-1] == "[85 labels; low to high: 95 % intervals]"


def test_labels_in_perfect_order_have_an_interval_of_their_positive_cells():
    y = np.array([[1, 1], [1, 1], [0, 1], [0, 0], [0, 0], [0, 0]])
    report = metrics.masked_report(
        y, y, confidence_level=0.95, n_resamples=20, random_state=0
    )
    z2 = scipy.stats.norm.ppf(0.975) ** 2
    np.testing.assert_allclose(report["auc_low"], [2 / (2 + z2), 3 / (3 + z2)])
    assert report.macro["ap_low"] == pytest.approx(2.4 / (2.4 + z2))
    assert report.micro["auc_low"] == pytest.approx(3 / (3 + z2))
    assert report.micro["brier_high"] == pytest.approx(z2 / (6 + z2))


def test_twenty_labels_with_intervals_are_printed_and_more_are_not():
    for n_labels, n_lines in ((20, 1 + 60 + 1 + 6 + 2), (21, 1 + 31 + 1 + 6 + 2)):
        report = metrics.masked_report(
            np.arange(2 * n_labels).reshape(2, -1) % 2,
            np.full((2, n_labels), 0.5),
            confidence_level=0.95,
            n_resamples=3,
        )
        assert len(repr(report).splitlines()) == n_lines


def test_frame_and_records_hold_the_intervals():
    Y, proba = problem()
    report = metrics.masked_report(
        Y, proba, confidence_level=0.95, n_resamples=5, random_state=0
    )
    frame = report.to_frame()
    assert frame.loc[1, "ap_high"] == report["ap_high"][1]
    assert report.to_records()["brier_low"][2] == report["brier_low"][2]


def test_junk_in_unlabeled_cells_and_unlabeled_rows_leave_intervals_alone():
    Y, proba = problem()
    arguments = {"confidence_level": 0.95, "n_resamples": 20, "random_state": 0}
    clean = metrics.masked_report(Y, proba, **arguments)
    for junk in (NAN, np.inf, -7.0):
        dirty = np.vstack([np.where(np.isnan(Y), junk, proba), np.full((4, 3), junk)])
        longer = np.vstack([Y, np.full((4, 3), NAN)])
        found = metrics.masked_report(longer, dirty, **arguments)
        for name in clean:
            np.testing.assert_array_equal(found[name], clean[name])
        assert found.micro == clean.micro


def test_nothing_labeled_has_nan_intervals_without_a_warning():
    report = metrics.masked_report(
        np.full((2, 2), NAN), np.full((2, 2), NAN), confidence_level=0.95
    )
    assert np.isnan(report["brier_low"]).all()
    assert np.isnan(list(report.macro.values())).all()
    assert np.isnan(list(report.micro.values())).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"confidence_level": 1.0},
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "1.0.",
        ),
        (
            {"confidence_level": 0.95, "n_resamples": 1},
            "`n_resamples` accepts an integer, 2 or above; got 1.",
        ),
    ],
)
def test_errors_of_intervals(arguments, message):
    with pytest.raises(ValueError) as caught:
        metrics.masked_report([[1], [0]], [[0.5], [0.5]], **arguments)
    assert str(caught.value) == message
