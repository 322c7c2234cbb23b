"""The displays: what they hold, what they draw, and that they can be read."""

import subprocess
import sys
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import sklearn.metrics as skm
from sklearn.base import BaseEstimator
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch
from test_inspection import centers

from sklearn_masked import metrics, plotting
from sklearn_masked.calibration import masked_calibration_curve
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.inspection import bootstrap_interval, extrapolate_learning_curve
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.multioutput import MaskedMultiOutputClassifier
from sklearn_masked.plotting._style import line_style

plt.switch_backend("Agg")

NAN = np.nan
CURVES = {
    plotting.MaskedRocCurveDisplay: metrics.masked_roc_auc_score,
    plotting.MaskedPrecisionRecallDisplay: metrics.masked_average_precision_score,
}
FROM_PREDICTIONS = [
    *CURVES,
    plotting.MaskedCalibrationDisplay,
    plotting.ThresholdCurveDisplay,
]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def problem(n_labels=5, n_samples=300, seed=0, labeled=0.6):
    rng = np.random.default_rng(seed)
    Y = (rng.random((n_samples, n_labels)) < 0.4).astype(float)
    proba = 1 / (1 + np.exp(-(3 * Y - 1.5 + 2 * rng.normal(size=Y.shape))))
    Y[rng.random(Y.shape) > labeled] = NAN
    Y[0], Y[1] = 1, 0
    return Y, np.round(proba, 2)


def named(Y):
    names = [f"category {label}" for label in range(Y.shape[1])]
    return MaskedLabels.from_dense(Y, label_names=names)


def draw(figure):
    """Draw to the last pixel, warnings as errors, and return what can be read."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# ROC and precision-recall


def test_roc_curves_are_scikit_learns_of_the_labeled_cells():
    Y, proba = problem()
    weight = np.random.default_rng(0).random(len(Y))
    display = plotting.MaskedRocCurveDisplay.from_predictions(
        Y, proba, sample_weight=weight, n_resamples=5
    )
    for label, curve in enumerate(display.curves):
        known = ~np.isnan(Y[:, label])
        y, score, own = Y[known, label], proba[known, label], weight[known]
        fpr, tpr, _ = skm.roc_curve(y, score, sample_weight=own)
        np.testing.assert_allclose(curve.x, fpr, rtol=0, atol=1e-12)
        np.testing.assert_allclose(curve.y, tpr, rtol=0, atol=1e-12)
        assert curve.area == pytest.approx(
            skm.roc_auc_score(y, score, sample_weight=own), abs=1e-12
        )
    grid = np.linspace(0, 1, 101)
    lines = [np.interp(grid, curve.x, curve.y) for curve in display.curves]
    np.testing.assert_allclose(display.macro.y, np.mean(lines, axis=0), atol=1e-12)
    np.testing.assert_array_equal(display.macro.x, grid)
    assert display.macro.area == np.mean([curve.area for curve in display.curves])


def test_precision_recall_curves_are_scikit_learns_of_the_labeled_cells():
    Y, proba = problem()
    display = plotting.MaskedPrecisionRecallDisplay.from_predictions(
        Y, proba, n_resamples=5
    )
    grid = np.linspace(0, 1, 101)
    lines = []
    for label, curve in enumerate(display.curves):
        known = ~np.isnan(Y[:, label])
        y, score = Y[known, label], proba[known, label]
        precision, recall, _ = skm.precision_recall_curve(y, score)
        np.testing.assert_array_equal(curve.x, recall)
        np.testing.assert_array_equal(curve.y, precision)
        assert curve.area == pytest.approx(skm.average_precision_score(y, score))
        # The precision of the highest threshold that reaches each recall.
        lines.append([precision[:-1][recall[:-1] >= r - 1e-12][-1] for r in grid])
    np.testing.assert_allclose(display.macro.y, np.mean(lines, axis=0), atol=1e-12)


@pytest.mark.parametrize(("display", "metric"), CURVES.items())
def test_intervals_of_areas_are_those_of_bootstrap_interval(display, metric):
    Y, proba = problem()
    arguments = {"n_resamples": 70, "random_state": 1, "confidence_level": 0.9}
    drawn = display.from_predictions(Y, proba, **arguments)
    each = bootstrap_interval(metric, Y, proba, average=None, **arguments)
    mean = bootstrap_interval(metric, Y, proba, **arguments)
    np.testing.assert_allclose([c.low for c in drawn.curves], each.low, atol=1e-12)
    np.testing.assert_allclose([c.high for c in drawn.curves], each.high, atol=1e-12)
    assert [drawn.macro.low, drawn.macro.high] == pytest.approx([mean.low, mean.high])
    assert drawn.confidence_level == 0.9


def slow_line(display, y, score):
    """Return the curve of drawn cells along the grid of the bands."""
    grid = np.linspace(0, 1, 101)
    if not 0 < y.sum() < len(y):
        return np.full(101, NAN)
    if display is plotting.MaskedRocCurveDisplay:
        fpr, tpr, _ = skm.roc_curve(y, score, drop_intermediate=False)
        return np.interp(grid, fpr, tpr)
    precision, recall, _ = skm.precision_recall_curve(y, score)
    return [precision[:-1][recall[:-1] >= r - 1e-12][-1] for r in grid]


@pytest.mark.parametrize("n_samples", [6, 60])
@pytest.mark.parametrize("display", CURVES)
def test_bands_are_those_of_rows_drawn_by_hand(display, n_samples):
    Y, proba = problem(3, n_samples)
    Y[5] = NAN
    drawn = display.from_predictions(Y, proba, n_resamples=40, random_state=0)
    rows = np.flatnonzero(~np.isnan(Y).all(axis=1))
    draw_rows = np.random.RandomState(0)
    copies = []
    for _ in range(40):
        some = rows[draw_rows.randint(len(rows), size=len(rows))]
        copies.append(
            [
                slow_line(display, Y[some, j][known], proba[some, j][known])
                for j in range(3)
                for known in [~np.isnan(Y[some, j])]
            ]
        )
    copies = np.array(copies)
    known = ~np.isnan(copies)
    assert known.all() == (n_samples == 60)
    with np.errstate(invalid="ignore"):  # a copy may lack a class of every label
        mean = np.nansum(copies, axis=1) / known.sum(axis=1)
    whole = [
        slow_line(display, Y[known, j], proba[known, j])
        for j in range(3)
        for known in [~np.isnan(Y[:, j])]
    ]
    ratio = 1.0
    if display is plotting.MaskedPrecisionRecallDisplay:
        areas = bootstrap_interval(
            CURVES[display], Y, proba, n_resamples=40, random_state=0
        )
        bias = areas.estimate - centers(Y, proba, "macro")
        copied = np.nanmean(areas.replicates) - areas.estimate
        ratio = np.clip(bias / copied, 1, 4) if copied > 0 else 1.0
    for curve, line, own, times in zip(
        [*drawn.curves, drawn.macro],
        [*whole, np.mean(whole, axis=0)],
        [*copies.transpose(1, 0, 2), mean],
        [1.0, 1.0, 1.0, ratio],
        strict=True,
    ):
        expected = np.nanquantile(own, [0.025, 0.975], axis=0)
        expected -= (1 + times) * (np.nanmean(own, axis=0) - line)
        expected = np.clip(expected, 0, 1)
        expected = [np.minimum(expected[0], line), np.maximum(expected[1], line)]
        np.testing.assert_allclose(curve.band, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("display", CURVES)
def test_without_a_level_there_are_no_intervals(display):
    Y, proba = problem()
    drawn = display.from_predictions(named(Y), proba, confidence_level=None)
    assert all(curve.band is None for curve in [*drawn.curves, drawn.macro])
    assert np.isnan([drawn.curves[0].low, drawn.macro.high]).all()
    area = drawn.curves[0].area
    assert legend(drawn)[0] == f"category 0: {area:.2f}"
    title = drawn.ax_.get_legend().get_title().get_text()
    assert title in ("ROC AUC", "Average precision")


@pytest.mark.parametrize("display", CURVES)
def test_few_labels_have_a_color_and_a_line_in_the_legend_each(display):
    Y, proba = problem()
    drawn = display.from_predictions(named(Y), proba, n_resamples=10, random_state=0)
    draw(drawn.figure_)
    curve = drawn.curves[2]
    assert legend(drawn)[2] == (
        f"category 2: {curve.area:.2f} [{curve.low:.2f}, {curve.high:.2f}]"
    )
    assert legend(drawn)[-1].startswith("macro average: ")
    assert len(legend(drawn)) == 6
    assert len({line.get_color() for line in drawn.ax_.get_lines()[:6]}) == 6
    assert len(drawn.ax_.collections) == 1  # the band of the mean
    assert drawn.ax_.get_legend().get_title().get_text().endswith("[95 % interval]")


@pytest.mark.parametrize("display", CURVES)
def test_two_labels_have_bands_of_their_own(display):
    Y, proba = problem()
    drawn = display.from_predictions(
        named(Y), proba, labels=["category 3", "category 1"], n_resamples=10
    )
    assert [curve.name for curve in drawn.curves] == ["category 3", "category 1"]
    assert len(drawn.ax_.collections) == 2
    single = display.from_predictions(named(Y), proba, labels=[4], n_resamples=10)
    assert legend(single)[0].startswith("category 4: ")
    assert len(legend(single)) == 1


@pytest.mark.parametrize("display", CURVES)
def test_many_labels_stand_behind_their_mean_and_the_worst(display):
    Y, proba = problem(85, 200)
    proba[:, [7, 20, 60]] = 1 - proba[:, [7, 20, 60]]
    drawn = display.from_predictions(named(Y), proba, n_resamples=5, random_state=0)
    draw(drawn.figure_)
    lines = legend(drawn)
    assert lines[0] == "82 other labels"
    assert {line.split(":")[0] for line in lines[1:4]} == {
        *("category 7", "category 20", "category 60")
    }
    assert lines[4].startswith("macro average: ")
    assert len(lines) == 5
    chosen = drawn.plot(highlight=["category 2", 5])
    assert [line.split(":")[0] for line in legend(chosen)[1:3]] == [
        "category 2",
        "category 5",
    ]
    assert legend(chosen)[0] == "83 other labels"


@pytest.mark.parametrize(
    ("highlight", "message"),
    [
        (
            ["war"],
            "`highlight` accepts names or positions of the labels drawn; got 'war'.",
        ),
        ([9], "`highlight` accepts names or positions of the labels drawn; got 9."),
        (
            [0] * 7,
            "`highlight` accepts up to 6 labels, which one picture can tell apart; got "
            "7.",
        ),
    ],
)
def test_errors_of_highlight(highlight, message):
    Y, proba = problem()
    with pytest.raises(ValueError) as caught:
        plotting.MaskedRocCurveDisplay.from_predictions(
            Y, proba, confidence_level=None, highlight=highlight
        )
    assert str(caught.value) == message


@pytest.mark.parametrize("display", CURVES)
def test_labels_without_both_classes_are_left_out_with_a_warning(display):
    Y, proba = problem()
    Y[:, 2] = np.where(Y[:, 2] == 1, NAN, Y[:, 2])
    with pytest.warns(UnscoredLabelsWarning) as caught:
        drawn = display.from_predictions(named(Y), proba, n_resamples=5)
    assert [str(warning.message) for warning in caught] == [
        "1 of 5 labels cannot be scored, which takes 1 positive and 1 negative labeled "
        "cells a label, and are left out: 'category 2'."
    ]
    assert caught[0].filename == __file__
    assert [curve.name for curve in drawn.curves] == [
        f"category {label}" for label in (0, 1, 3, 4)
    ]


def test_lines_can_be_told_apart_in_grey():
    styles = [line_style(place) for place in range(6)]
    assert len({str(style["linestyle"]) for style in styles}) == 6
    assert len({style["color"] for style in styles}) == 6


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_warnings_point_at_the_call(display):
    model, X, Y = estimator()
    Y[:, 1] = NAN
    with pytest.warns(UnscoredLabelsWarning, match="left out: 1") as caught:
        display.from_estimator(model, X, Y)
    with pytest.warns(UnscoredLabelsWarning, match="left out: 1") as again:
        display.from_predictions(Y, np.full(Y.shape, 0.5))
    assert [warning.filename for warning in [*caught, *again]] == [__file__] * 2


# Reliability


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("weighted", [False, True])
def test_reliability_is_that_of_masked_calibration_curve(strategy, weighted):
    Y, proba = problem()
    weight = np.random.default_rng(0).random(Y.shape) if weighted else None
    arguments = {"n_bins": 7, "strategy": strategy, "sample_weight": weight}
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(Y, proba, **arguments)
    pooled = masked_calibration_curve(Y, proba, **arguments)
    each = masked_calibration_curve(Y, proba, average=None, **arguments)
    for line, expected in [
        (drawn.pooled, pooled),
        *(
            (line, [part[label] for part in each])
            for label, line in enumerate(drawn.lines)
        ),
    ]:
        full = expected[2] > 0
        found = [line.prob_true, line.prob_pred, line.weight]
        for part, values in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, values[full], rtol=0, atol=1e-12)


def test_reliability_of_full_labels_is_scikit_learns():
    Y, proba = problem(labeled=2)
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(Y, proba)
    for label, line in enumerate(drawn.lines):
        true, predicted = calibration_curve(Y[:, label], proba[:, label], n_bins=10)
        np.testing.assert_allclose(line.prob_true, true, rtol=0, atol=1e-12)
        np.testing.assert_allclose(line.prob_pred, predicted, rtol=0, atol=1e-12)


def wilson(k, n, z=1.959963984540054):
    center = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    return center - half, center + half


def test_bars_of_one_label_are_wilsons():
    Y, proba = problem()
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(Y, proba)
    for line in drawn.lines:
        low, high = wilson(line.prob_true * line.weight, line.weight)
        np.testing.assert_allclose(line.interval, [low, high], rtol=1e-9)


def test_bars_count_rows_where_cells_are_copies():
    Y, proba = problem(1)
    one = plotting.MaskedCalibrationDisplay.from_predictions(Y, proba)
    ten = plotting.MaskedCalibrationDisplay.from_predictions(
        np.tile(Y, 10), np.tile(proba, 10)
    )
    np.testing.assert_allclose(ten.pooled.interval, one.pooled.interval, rtol=1e-9)
    np.testing.assert_allclose(ten.pooled.weight, 10 * one.pooled.weight)


def test_bars_count_cells_where_cells_are_independent():
    rng = np.random.default_rng(0)
    Y = (rng.random((2000, 10)) < 0.3).astype(float)
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(
        Y, np.full(Y.shape, 0.35), n_bins=2
    )
    low, high = wilson(Y.sum(), Y.size)
    width = np.diff(drawn.pooled.interval, axis=0)[0, 0]
    assert width == pytest.approx(high - low, rel=0.1)


def test_bars_have_a_width_where_all_cells_are_of_one_class():
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(
        [[1], [1], [1], [0]], [[0.9], [0.9], [0.9], [0.1]], n_bins=2
    )
    low, high = wilson(3, 3)
    np.testing.assert_allclose(drawn.pooled.interval[:, 1], [low, high], rtol=1e-9)
    assert low < 0.5


@pytest.mark.parametrize(("n_labels", "n_lines"), [(5, 7), (85, 87)])
def test_reliability_of_few_and_many_labels(n_labels, n_lines):
    Y, proba = problem(n_labels, 100)
    drawn = plotting.MaskedCalibrationDisplay.from_predictions(named(Y), proba)
    draw(drawn.figure_)
    assert len(drawn.ax_.get_lines()) == n_lines  # with the diagonal and the pool
    total = f"all labels: {np.count_nonzero(~np.isnan(Y)):,} cells"
    assert legend(drawn)[-1] == total
    assert len(legend(drawn)) == (6 if n_labels == 5 else 2)
    plain = plotting.MaskedCalibrationDisplay.from_predictions(
        named(Y), proba, confidence_level=None
    )
    assert plain.pooled.interval is None
    assert plain.ax_.get_legend().get_title().get_text() == ""


# Thresholds


def test_threshold_curves_are_the_metrics_of_decisions():
    Y, proba = problem()
    weight = np.random.default_rng(0).random(len(Y))
    drawn = plotting.ThresholdCurveDisplay.from_predictions(
        Y, proba, sample_weight=weight
    )
    for label in range(5):
        for place in range(0, len(drawn.thresholds[label]), 7):
            decided = (proba[:, [label]] >= drawn.thresholds[label][place]) * 1.0
            for name in ("precision", "recall", "f1"):
                metric = getattr(metrics, f"masked_{name}_score")
                expected = metric(Y[:, [label]], decided, sample_weight=weight)
                assert getattr(drawn, name)[label][place] == pytest.approx(expected)


def test_few_labels_have_a_panel_each():
    Y, proba = problem()
    drawn = plotting.ThresholdCurveDisplay.from_predictions(named(Y), proba)
    draw(drawn.figure_)
    assert [panel.get_title() for panel in drawn.axes_] == drawn.names
    assert len(drawn.figure_.axes) == 5
    assert legend(drawn) == ["precision", "recall", "F1"]
    assert drawn.ax_ is drawn.axes_[0]
    for panel in drawn.axes_[2:]:
        assert panel.get_xlabel() == "threshold on the score"


def test_many_labels_have_a_panel_a_metric_with_their_mean():
    Y, proba = problem(85, 100)
    drawn = plotting.ThresholdCurveDisplay.from_predictions(named(Y), proba)
    draw(drawn.figure_)
    titles = [panel.get_title() for panel in drawn.axes_]
    assert titles == ["precision", "recall", "F1"]
    assert legend(drawn) == ["mean of labels", "labels above"]
    grid, mean = drawn.axes_[1].get_lines()[85].get_data()
    for threshold, value in list(zip(grid, mean, strict=True))[::40]:
        expected = metrics.masked_recall_score(Y, (proba >= threshold) * 1.0)
        assert value == pytest.approx(expected)
    grid, mean = drawn.axes_[0].get_lines()[85].get_data()
    share = drawn.axes_[0].get_lines()[86].get_ydata()
    for place in range(0, 201, 40):
        decided = (proba >= grid[place]) * 1.0
        precision = metrics.masked_precision_score(
            Y, decided, average=None, zero_division=NAN
        )
        assert mean[place] == pytest.approx(np.nanmean(precision))
        assert share[place] == pytest.approx(np.mean(~np.isnan(precision)))


def test_labels_without_a_positive_have_no_thresholds():
    Y, proba = problem()
    Y[:, 1] = np.where(Y[:, 1] == 1, NAN, Y[:, 1])
    with pytest.warns(UnscoredLabelsWarning, match=r"left out: 1\."):
        drawn = plotting.ThresholdCurveDisplay.from_predictions(Y, proba)
    assert drawn.names == ["label 0", "label 2", "label 3", "label 4"]


# Coverage


def test_coverage_counts_the_labeled_cells():
    Y, _ = problem()
    Y[:, 3] = np.where(Y[:, 3] == 1, NAN, Y[:, 3])
    drawn = plotting.LabelCoverageDisplay.from_labels(named(Y))
    assert "category 0" in draw(drawn.figure_)
    np.testing.assert_array_equal(drawn.n_positive, np.nansum(Y == 1, axis=0))
    np.testing.assert_array_equal(drawn.n_negative, np.nansum(Y == 0, axis=0))
    assert drawn.n_samples == 300
    labeled = drawn.n_positive + drawn.n_negative
    ticks = [tick.get_text() for tick in drawn.ax_.get_yticklabels()]
    assert ticks == [f"category {label}" for label in np.argsort(-labeled)]
    lines = {scatter.get_label(): scatter for scatter in drawn.ax_.collections[1:]}
    assert list(lines) == ["labeled", "negative", "positive"]
    offsets = lines["positive"].get_offsets().data
    np.testing.assert_array_equal(offsets[:, 0], drawn.n_positive[np.argsort(-labeled)])
    low, _ = drawn.ax_.get_xlim()
    assert low < 0  # the label without a positive stands at 0
    assert drawn.ax_.get_xlabel() == "cells, of 300 rows"


def test_coverage_as_the_labels_stand_and_of_a_binary_target():
    Y, _ = problem()
    drawn = plotting.LabelCoverageDisplay.from_labels(Y, sort=False)
    ticks = [tick.get_text() for tick in drawn.ax_.get_yticklabels()]
    assert ticks == [f"label {label}" for label in range(5)]
    binary = plotting.LabelCoverageDisplay.from_labels(["a", None, "b", "b"])
    assert (binary.n_positive, binary.n_negative) == (2, 1)
    draw(binary.figure_)


@pytest.mark.parametrize("n_labels", [5, 85])
def test_names_of_labels_do_not_overlap(n_labels):
    Y, _ = problem(n_labels, 40)
    drawn = plotting.LabelCoverageDisplay.from_labels(named(Y))
    draw(drawn.figure_)
    boxes = [tick.get_window_extent() for tick in drawn.ax_.get_yticklabels()]
    assert len(boxes) == n_labels
    for upper, lower in zip(boxes[:-1], boxes[1:], strict=True):
        assert upper.y0 >= lower.y1 - 0.5
    inside = drawn.figure_.get_window_extent()
    assert min(box.x0 for box in boxes) >= inside.x0


def test_coverage_of_very_many_labels_has_no_names():
    Y, _ = problem(300, 30)
    drawn = plotting.LabelCoverageDisplay.from_labels(named(Y))
    assert not any("category" in text for text in draw(drawn.figure_))
    assert drawn.ax_.get_ylabel() == "place among 300 labels"
    assert drawn.figure_.get_size_inches()[1] < 10


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "want"),
    [
        ([17], [31], ["20", "50"]),
        ([30, 210], [245, 260], ["20", "50", "100", "200", "500"]),
        ([0, 2], [3, 9], ["0", "1", "2", "5", "10"]),
        ([5, 4000], [90, 30000], ["10", "100", "1,000", "10,000"]),
        ([0, 1], [900, 2_000_000], ["0", "1", "10"]),
    ],
)
def test_coverage_names_round_counts_that_do_not_overlap(n_positive, n_negative, want):
    drawn = plotting.LabelCoverageDisplay(
        n_positive=np.array(n_positive), n_negative=np.array(n_negative)
    ).plot()
    drawn.figure_.draw_without_rendering()
    low, high = drawn.ax_.get_xlim()
    axis = drawn.ax_.xaxis
    shown = [
        (tick.get_text(), tick.get_window_extent())
        for minor in (False, True)
        for place, tick in zip(
            axis.get_ticklocs(minor=minor),
            axis.get_ticklabels(minor=minor),
            strict=True,
        )
        if tick.get_text() and low <= place <= high
    ]
    assert [text for text, _ in shown][: len(want)] == want
    for (_, left), (_, right) in pairwise(shown):
        assert left.x1 < right.x0


def test_coverage_of_nothing_labeled():
    drawn = plotting.LabelCoverageDisplay.from_labels(np.full((3, 2), NAN))
    draw(drawn.figure_)
    assert drawn.n_positive.tolist() == [0, 0]


# Learning curve


def learning_curve():
    scores = np.array([[0.70, 0.74], [0.78, 0.80], [0.83, 0.85]])
    return Bunch(
        train_sizes=np.array([100, 200, 400]),
        train_scores=scores + 0.05,
        test_scores=scores,
    )


def test_learning_curve_is_drawn_and_continued():
    curve = learning_curve()
    drawn = plotting.LearningCurveByCellsDisplay(curve=curve, score_name="AUC")
    drawn.plot(n_more_cells=1000, show_train=True)
    draw(drawn.figure_)
    test, train, continued = drawn.ax_.get_lines()
    np.testing.assert_allclose(test.get_ydata(), [0.72, 0.79, 0.84])
    np.testing.assert_allclose(train.get_ydata(), [0.77, 0.84, 0.89])
    sizes, scores = continued.get_data()
    assert (sizes[0], sizes[-1]) == (400, 1400)
    foretold = extrapolate_learning_curve(curve, [400, 1400]).test_scores.mean(axis=1)
    np.testing.assert_allclose(scores[[0, -1]], foretold)
    gain = foretold[1] - foretold[0]
    assert legend(drawn)[-1] == f"continued: {gain:+.3f} for 1,000 more cells"
    assert drawn.ax_.get_ylabel() == "AUC"
    assert drawn.ax_.get_xlabel() == "labeled cells in training"


def test_learning_curve_leaves_out_scores_that_are_nan():
    scores = np.array([[NAN, NAN], [0.5, NAN], [0.6, 0.8]])
    curve = Bunch(train_sizes=np.array([1, 5, 9]), test_scores=scores)
    drawn = plotting.LearningCurveByCellsDisplay(curve=curve).plot()
    draw(drawn.figure_)
    line = drawn.ax_.lines[0].get_ydata()
    np.testing.assert_allclose(line, [NAN, 0.5, 0.7])


def test_learning_curve_of_an_estimator():
    X = np.random.default_rng(0).normal(size=(120, 3))
    Y = np.where(np.random.default_rng(1).random((120, 2)) < 0.3, NAN, X[:, :2] > 0)
    drawn = plotting.LearningCurveByCellsDisplay.from_estimator(
        MaskedMultiOutputClassifier(LogisticRegression()),
        X,
        Y,
        train_sizes=[20, 50, 80],
        cv=2,
        random_state=0,
        n_more_cells=50,
    )
    assert drawn.curve.train_sizes.tolist() == [20, 50, 80]
    assert len(drawn.ax_.get_lines()) == 2


# All of them


def estimator():
    X = np.random.default_rng(0).normal(size=(150, 3))
    Y = (X + np.random.default_rng(1).normal(size=X.shape) > 0).astype(float)
    Y[np.random.default_rng(2).random(Y.shape) < 0.4] = NAN
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, Y)
    return model, X, Y


def held(display):
    """Return what a display holds, as one list of numbers and names."""
    found = []
    for part in vars(display).values():
        if isinstance(part, matplotlib.artist.Artist):
            continue
        stack = [part]
        while stack:
            item = stack.pop()
            if isinstance(item, list | tuple):
                stack.extend(item)
            elif isinstance(item, np.ndarray) and item.dtype == object:
                continue  # axes
            elif isinstance(item, str | None):
                found.append(item)
            else:
                found.append(np.round(np.ravel(item), 9).tolist())
    return repr(found)


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_from_estimator_is_from_predictions_of_the_estimator(display):
    model, X, Y = estimator()
    seeded = {"random_state": 0} if display in CURVES else {}
    one = display.from_estimator(model, X, Y, **seeded)
    method = model.decision_function if display in CURVES else model.predict_proba
    other = display.from_predictions(Y, method(X), **seeded)
    if display is plotting.ThresholdCurveDisplay:
        assert (one.score_name, other.score_name) == ("probability", "score")
        other.score_name = "probability"
    assert held(one) == held(other)


def test_the_method_of_the_estimator_can_be_chosen():
    model, X, Y = estimator()
    drawn = plotting.MaskedRocCurveDisplay.from_estimator(
        model, X, Y, response_method="predict_proba", confidence_level=None
    )
    auto = plotting.ThresholdCurveDisplay.from_estimator(
        model, X, Y, response_method="auto"
    )
    assert drawn.ax_ is not auto.ax_
    assert auto.score_name == "score"
    assert auto.thresholds[0].min() < 0


def test_a_binary_estimator_and_target():
    X = np.random.default_rng(0).normal(size=(80, 2))
    y = np.where(X[:, 0] + 0.5 * X[:, 1] > 0, "yes", "no")
    model = LogisticRegression().fit(X, y)
    y = np.where(np.arange(80) % 3 == 0, None, y)
    known = y != None  # noqa: E711
    for display in FROM_PREDICTIONS:
        drawn = display.from_estimator(model, X, y)
        assert drawn.ax_.figure is drawn.figure_
    drawn = plotting.MaskedRocCurveDisplay.from_estimator(model, X, y)
    expected = skm.roc_auc_score(y[known] == "yes", model.decision_function(X)[known])
    assert drawn.curves[0].area == pytest.approx(expected)
    assert drawn.curves[0].name == "label 0"


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_junk_in_unlabeled_cells_changes_nothing(display):
    Y, proba = problem()
    seeded = {"random_state": 0, "n_resamples": 20} if display in CURVES else {}
    clean = held(display.from_predictions(Y, proba, **seeded))
    for junk in (NAN, np.inf, -7.0, 2.0):
        dirty = np.vstack([np.where(np.isnan(Y), junk, proba), np.full((3, 5), junk)])
        longer = np.vstack([np.where(np.isnan(Y), -1, Y), np.full((3, 5), -1)])
        assert held(display.from_predictions(longer, dirty, **seeded)) == clean
    labels = MaskedLabels.from_dense(Y)
    cells = labels.cells()
    single = display.from_predictions(labels, proba[cells.rows, cells.cols], **seeded)
    assert held(single) == clean


@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_chosen_labels_are_drawn_as_if_the_others_were_not_there(display):
    Y, proba = problem()
    Y[10:20, :3] = NAN  # rows that only the other labels have
    seeded = {"random_state": 0, "n_resamples": 20} if display in CURVES else {}
    chosen = display.from_predictions(named(Y), proba, labels=[2, 0], **seeded)
    alone = display.from_predictions(named(Y)[:, [2, 0]], proba[:, [2, 0]], **seeded)
    assert held(chosen) == held(alone)


@pytest.mark.parametrize("n_labels", [5, 85])
@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_every_picture_stays_inside_its_figure(display, n_labels):
    Y, proba = problem(n_labels, 60)
    seeded = {"n_resamples": 3} if display in CURVES else {}
    drawn = display.from_predictions(named(Y), proba, **seeded)
    draw(drawn.figure_)
    inside = drawn.figure_.get_window_extent()
    tight = drawn.figure_.get_tightbbox().transformed(drawn.figure_.dpi_scale_trans)
    assert tight.x0 >= inside.x0 - 1 and tight.y0 >= inside.y0 - 1
    assert tight.x1 <= inside.x1 + 1 and tight.y1 <= inside.y1 + 1


def into(display, ax):
    """Draw any display into given axes."""
    Y, proba = problem(3, 60)
    if display is plotting.LabelCoverageDisplay:
        return display.from_labels(Y, ax=ax)
    if display is plotting.LearningCurveByCellsDisplay:
        return display(curve=learning_curve()).plot(ax=ax)
    return display.from_predictions(Y, proba, ax=ax)


# tests/test_plotting_explain.py draws those of one model's terms.
OF_ONE_MODEL = {"ExplanationDisplay", "LabelCoefficientsDisplay"}
EVERY = [
    getattr(plotting, name) for name in plotting.__all__ if name not in OF_ONE_MODEL
]


@pytest.mark.parametrize("display", EVERY)
def test_axes_of_ones_own(display):
    figure, axes = plt.subplots(1, 2, layout="constrained")
    drawn = into(display, axes[1])
    assert drawn.figure_ is figure
    assert not axes[0].lines
    if display is plotting.ThresholdCurveDisplay:
        assert len(figure.axes) == 5
        assert not axes[1].axison
    else:
        assert drawn.ax_ is axes[1]
    draw(figure)
    again = drawn.plot()
    assert again is drawn
    assert drawn.figure_ is not figure


def test_panels_of_ones_own():
    figure, axes = plt.subplots(1, 3)
    drawn = into(plotting.ThresholdCurveDisplay, axes)
    assert drawn.axes_.tolist() == axes.tolist()
    assert len(figure.axes) == 3
    with pytest.raises(ValueError) as caught:
        into(plotting.ThresholdCurveDisplay, axes[:2])
    assert str(caught.value) == (
        "`ax` accepts None, one axes or 3 axes, one a panel; got 2."
    )


def test_long_names_are_cut():
    name = "a category with a name that no legend can hold"
    labels = MaskedLabels.from_dense([[1], [0]], label_names=[name])
    drawn = plotting.MaskedRocCurveDisplay.from_predictions(
        labels, [[0.6], [0.4]], confidence_level=None
    )
    assert legend(drawn) == ["a category with a name th...: 1.00"]
    assert drawn.curves[0].name == name


@pytest.mark.parametrize("display", CURVES)
def test_random_state_decides_the_intervals(display):
    Y, proba = problem()

    def ends(random_state):
        drawn = display.from_predictions(
            Y, proba, n_resamples=10, random_state=random_state
        )
        return [curve.low for curve in drawn.curves]

    assert ends(0) == ends(0) == ends(np.random.RandomState(0))
    assert ends(0) != ends(1)


SHARED_ERRORS = [
    (
        {"labels": []},
        ValueError,
        "`labels` accepts names or positions of labels; got none.",
    ),
    (
        {"labels": ["war"]},
        IndexError,
        "no label is named 'war'; none has a name.",
    ),
    ({"labels": [2]}, IndexError, "label 2 is out of range for 2 labels."),
    (
        {"sample_weight": [1, -1]},
        ValueError,
        "`sample_weight` accepts finite numbers from 0; got -1.0 at sample 1.",
    ),
]


@pytest.mark.parametrize(("arguments", "error", "message"), SHARED_ERRORS)
@pytest.mark.parametrize("display", FROM_PREDICTIONS)
def test_errors_of_every_display(display, arguments, error, message):
    with pytest.raises(error) as caught:
        display.from_predictions([[1, 0], [0, 1]], np.ones((2, 2)), **arguments)
    assert str(caught.value) == message
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("display", "arguments", "error", "message"),
    [
        (
            plotting.MaskedRocCurveDisplay,
            {"y_true": [[1, NAN], [1, 0]]},
            ValueError,
            "`y_true` must have 1 positive and 1 negative labeled cells of some label "
            "to draw; got none.",
        ),
        (
            plotting.ThresholdCurveDisplay,
            {"y_true": [[0, NAN], [0, 0]]},
            ValueError,
            "`y_true` must have 1 positive and 0 negative labeled cells of some label "
            "to draw; got none.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"y_true": np.full((2, 2), NAN)},
            ValueError,
            "`y_true` must have 1 labeled cell of some label to draw; got none.",
        ),
        (
            plotting.MaskedRocCurveDisplay,
            {"confidence_level": 2},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "2.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"confidence_level": 0},
            ValueError,
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            "0.",
        ),
        (
            plotting.MaskedPrecisionRecallDisplay,
            {"n_resamples": 1},
            ValueError,
            "`n_resamples` accepts an integer, 2 or above; got 1.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"n_bins": 0},
            ValueError,
            "`n_bins` accepts an integer from 1; got 0.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"n_bins": True},
            ValueError,
            "`n_bins` accepts an integer from 1; got True.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"strategy": "equal"},
            ValueError,
            "`strategy` accepts 'uniform' or 'quantile'; got 'equal'.",
        ),
        (
            plotting.MaskedCalibrationDisplay,
            {"scores": [[2.0, 0.5], [0.1, 0.2]]},
            ValueError,
            "`y_proba` accepts probabilities between 0 and 1 in labeled cells; got 2.0 "
            "at sample 0, label 0.",
        ),
        (
            plotting.MaskedRocCurveDisplay,
            {"scores": [[NAN, 0.5], [0.1, 0.2]]},
            ValueError,
            "`y_score` accepts finite numbers in labeled cells; got nan at sample 0, "
            "label 0.",
        ),
    ],
)
def test_errors(display, arguments, error, message):
    arguments = {"y_true": [[1, 0], [0, 1]], "scores": np.ones((2, 2)), **arguments}
    y_true, scores = arguments.pop("y_true"), arguments.pop("scores")
    with pytest.raises(error) as caught:
        display.from_predictions(y_true, scores, **arguments)
    assert str(caught.value) == message
    assert not plt.get_fignums()


def test_errors_of_estimators():
    model, X, Y = estimator()
    with pytest.raises(ValueError) as caught:
        plotting.MaskedRocCurveDisplay.from_estimator(
            model, X, Y, response_method="predict"
        )
    assert str(caught.value) == (
        "`response_method` accepts 'auto', 'decision_function' or 'predict_proba'; got "
        "'predict'."
    )
    with pytest.raises(ValueError) as caught:
        plotting.MaskedCalibrationDisplay.from_estimator(model, X[:9], Y)
    assert str(caught.value) == (
        "`X` and `y` accept the same number of rows; got 9 and 150."
    )

    class Decides(BaseEstimator):
        def predict(self, X):
            return np.zeros((len(X), 3))

    with pytest.raises(AttributeError, match="Decides has no predict_proba"):
        plotting.MaskedCalibrationDisplay.from_estimator(Decides(), X, Y)


def test_matplotlib_is_loaded_when_something_is_drawn_and_not_before():
    code = (
        "import sys, sklearn_masked.plotting, sklearn_masked.inspection; "
        "print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False False")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError) as caught:
        plotting.LabelCoverageDisplay.from_labels([[1], [0]])
    assert str(caught.value) == (
        "The displays draw with matplotlib: `pip install sklearn-masked[plot]`."
    )
