"""The report: its values, its shape in print and its ways out."""

import numpy as np
import pytest

from sklearn_masked import metrics
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
            with pytest.warns(metrics.UnscoredLabelsWarning):
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
