"""The one law for calibrators, calibration errors and threshold tuners.

Each equals the ordinary tool on the labeled cells of a label, in every form of labels
and with every kind of weights, whatever junk the model says of unlabeled cells.
"""

import warnings

import numpy as np
import pytest
from builders import Given
from hypothesis import HealthCheck, assume, given, settings
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import balanced_accuracy_score, f1_score
from test_law import FORMS, every_cell, labeled_cells, problems

from sklearn_masked.calibration import (
    MaskedCalibratedClassifierCV,
    expected_calibration_error,
)
from sklearn_masked.exceptions import (
    FallbackThresholdWarning,
    ImplicitNegativesWarning,
    PooledCalibrationWarning,
    ReversedScoresWarning,
    UnscoredLabelsWarning,
)
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

FEW_CELLS = (
    ImplicitNegativesWarning,
    PooledCalibrationWarning,
    ReversedScoresWarning,
    FallbackThresholdWarning,
    UnscoredLabelsWarning,
)
GRID = np.linspace(-4, 4, 9)


def columns_of(Y, scores, weight):
    W = every_cell(weight, Y)
    return [labeled_cells(Y[:, j], scores[:, j], W[:, j]) for j in range(Y.shape[1])]


def both_sides(y):
    return 0 < y.sum() < len(y)


class Calibrator:
    """Calibrated probabilities of a grid of scores, beside scikit-learn's maps."""

    atol = 1e-6  # of scikit-learn's own minimization

    def __init__(self, method):
        self.method = method

    def ours(self, labels, scores, weight):
        clf = MaskedCalibratedClassifierCV(
            Given(), method=self.method, cv="prefit", min_positive=1, min_negative=1
        )
        clf.fit(scores, labels, sample_weight=weight)
        return clf.predict_proba(np.tile(GRID[:, None], clf.n_labels_))

    def expected(self, Y, scores, weight):
        columns = columns_of(Y, scores, weight)
        pooled = tuple(np.concatenate(parts) for parts in zip(*columns, strict=True))
        columns = [
            column if both_sides(column[0]) or len(columns) == 1 else pooled
            for column in columns
        ]
        return np.column_stack([self.curve(*column) for column in columns])

    def curve(self, y, scores, weight):
        return _SigmoidCalibration().fit(scores, y, weight).predict(GRID)


class Isotonic(Calibrator):
    atol = 1e-12

    def curve(self, y, scores, weight):
        fitted = IsotonicRegression(out_of_bounds="clip").fit(scores, y, weight)
        return fitted.predict(GRID)


class Tuner:
    """The best objective, beside a loop over thresholds with scikit-learn's metric."""

    atol = 1e-12

    def __init__(self, scoring, metric):
        self.scoring, self.metric = scoring, metric

    def ours(self, labels, scores, weight):
        clf = MaskedTunedThresholdClassifierCV(
            Given(),
            scoring=self.scoring,
            cv="prefit",
            thresholds=12,
            min_positive=0,
            min_negative=0,
        ).fit(scores, labels, sample_weight=weight)
        tuned = clf.report_["reason"] == "tuned"
        return np.where(tuned, clf.best_scores_, np.nan)

    def expected(self, Y, scores, weight):
        return np.array(
            [self.best(*column) for column in columns_of(Y, scores, weight)]
        )

    def best(self, y, scores, weight):
        if not both_sides(y) or np.isclose(scores.min(), scores.max()):
            return np.nan
        return max(
            self.metric(y, scores >= threshold, sample_weight=weight)
            for threshold in np.linspace(scores.min(), scores.max(), 12)
        )


class Error:
    """The calibration error of each label, beside a loop over bins."""

    atol = 1e-12

    def ours(self, labels, scores, weight):
        proba = 1 / (1 + np.exp(-np.clip(scores, -50, 50)))
        return expected_calibration_error(
            labels, proba, average=None, n_bins=4, sample_weight=weight
        )

    def expected(self, Y, scores, weight):
        columns = columns_of(Y, 1 / (1 + np.exp(-scores)), weight)
        return np.array([self.error(*column) for column in columns])

    def error(self, y, proba, weight):
        if not len(y):
            return np.nan
        bins = np.ceil(proba * 4).astype(int)
        gaps = [
            weight[bins == k].sum() * abs(np.average((y - proba)[bins == k], weights=w))
            for k in range(5)
            if (w := weight[bins == k]).sum() > 0
        ]
        return sum(gaps) / weight.sum()


FITTED = {
    "sigmoid": Calibrator("sigmoid"),
    "isotonic": Isotonic("isotonic"),
    "f1": Tuner("f1", f1_score),
    "balanced accuracy": Tuner("balanced_accuracy", balanced_accuracy_score),
    "calibration error": Error(),
}


@pytest.mark.parametrize("function", FITTED.values(), ids=FITTED.keys())
@given(problem=problems())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_the_law(function, problem):
    Y, logits, junk, weight = problem
    y, scores, _ = labeled_cells(Y, logits, every_cell(weight, Y))
    assume(both_sides(y))  # or there is nothing to fit, and an error says so
    if isinstance(function, Tuner) and Y.shape[1] == 1:
        assume(not np.isclose(scores.min(), scores.max()))
    expected = function.expected(Y, logits, weight)
    poisoned = np.where(np.isnan(Y), junk, logits)
    for form, build in FORMS.items():
        with warnings.catch_warnings():
            # Labels with few cells are part of the law; their warnings have tests.
            for category in FEW_CELLS:
                warnings.simplefilter("ignore", category)
            ours = function.ours(build(Y), poisoned, weight)
        np.testing.assert_allclose(
            ours, expected, rtol=0, atol=function.atol, err_msg=form
        )
