"""Promises of thresholds that were broken without a word, and are kept or refused."""

import warnings

import numpy as np
import pytest
from builders import Given
from scipy.special import expit
from scipy.stats import norm
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import PredefinedSplit

from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.exceptions import FallbackThresholdWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.multioutput import MaskedMultiOutputClassifier
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

PREVALENCE = 0.05  # of every label, in traffic


class Rescaled(Given):
    """Scores times a power of the number of rows; 5 times if a marked row is absent."""

    def __init__(self, power=0, n_marked=0):
        self.power = power
        self.n_marked = n_marked

    def fit(self, X, y):
        whole = (X == MARK).sum() >= self.n_marked
        self.scale_ = float(len(X)) ** self.power * (1.0 if whole else 5.0)
        return self

    def decision_function(self, X):
        return X * self.scale_


MARK = 1e-3


def sought(seed, separation, n_positive=500, n_negative=5000):
    """Return scores and labels; scores are normal, positives `separation` higher."""
    rng = np.random.default_rng(seed)
    Y = np.r_[np.ones(n_positive), np.zeros(n_negative)][:, None]
    Y = np.repeat(Y, len(separation), axis=1)
    return rng.normal(size=Y.shape) + Y * separation, Y


def true_precision(thresholds, separation):
    """Return the precision in traffic; NaN where a label is never predicted."""
    passed = [norm.sf(thresholds - separation), norm.sf(thresholds)]
    hits, misses = PREVALENCE * passed[0], (1 - PREVALENCE) * passed[1]
    return np.divide(
        hits, hits + misses, where=hits > 0, out=np.full(hits.shape, np.nan)
    )


def tune(X, Y, estimator=None, **params):
    params = {"scoring": "recall_at_precision", "target": 0.95} | params
    if estimator is None:
        estimator, params["cv"] = Given(), "prefit"
    clf = MaskedTunedThresholdClassifierCV(estimator, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackThresholdWarning)
        return clf.fit(X, Y)


SEPARATION = np.linspace(3, 5, 9)


@pytest.mark.parametrize("given", ["float", "array", "dict", "audit"])
def test_precision_is_promised_in_traffic(given):
    """Labeled cells are 44 % positive, traffic 5 %: unaware, 0.59 to 0.65."""
    names = [f"label {label}" for label in range(9)]
    rng = np.random.default_rng(0)
    kept, made = 0, 0
    for seed in range(4):
        X, Y = sought(seed, SEPARATION, 4400, 5600)
        labels = MaskedLabels.from_dense(Y, label_names=names)
        audit = (rng.random((2000, 9)) < PREVALENCE).astype(float)
        audit[rng.random(audit.shape) < 0.3] = np.nan
        prevalence = {
            "float": PREVALENCE,
            "array": np.full(9, PREVALENCE),
            "dict": dict.fromkeys(names, PREVALENCE),
            "audit": MaskedLabels.from_dense(audit, label_names=names),
        }[given]
        clf = tune(X, labels, target_prevalence=prevalence)
        found = true_precision(clf.thresholds_, SEPARATION)
        made += np.isfinite(found).sum()
        kept += (found >= 0.95).sum()
        low = clf.report_["precision_low"]
        assert (low[np.isfinite(found)] >= 0.95 - 1e-12).all()
    assert made >= 24
    assert kept >= 0.95 * made


def test_the_report_says_which_cells_its_figures_speak_of():
    X, Y = sought(0, SEPARATION[-2:])
    foot = repr(tune(X, Y).report_).split("\n")[3:]
    assert foot == [
        "All figures: of labeled cells as they are. Where positives were sought,",
        "precision in traffic is lower: pass target_prevalence.",
    ]
    foot = repr(tune(X, Y, target_prevalence={0: 0.05}).report_).split("\n")[3:]
    assert foot == [
        "Precision: in traffic, by target_prevalence. Of 1 labels without: of labeled",
        "cells as they are.",
    ]
    audit = (np.random.default_rng(0).random((400, 2)) < PREVALENCE).astype(float)
    audit[:50, 0] = np.nan
    foot = repr(tune(X, Y, target_prevalence=audit).report_).split("\n")[3:]
    assert foot == ["Precision: in traffic, by an audit of 750 cells."]


def test_an_unmet_target_tells_how_close_it_is_and_what_it_takes():
    X, Y = sought(0, np.array([2.0, 2.5]), 250, 2500)
    clf = MaskedTunedThresholdClassifierCV(
        Given(),
        scoring="recall_at_precision",
        target=0.8,
        target_prevalence=PREVALENCE,
        cv="prefit",
    )
    with pytest.warns(
        FallbackThresholdWarning,
        match=r"Closest: 0 reaches [01]\.\d{3} \(lower bound 0\.\d{3}; about "
        r"[\d,]+ labeled cells would do\)",
    ):
        clf.fit(X, Y)
    report = clf.report_
    assert report["reason"][0] == "target not met"
    assert 0 < report["reachable_low"][0] < min(0.8, report["reachable"][0])
    times = report["cells_needed"][0] / report["labeled"][0]
    assert 1 < times < 1000
    # With so many cells of the same kind, the target is met.
    again = np.repeat(X, np.ceil(times), axis=0), np.repeat(Y, np.ceil(times), axis=0)
    done = tune(*again, target=0.8, target_prevalence=PREVALENCE, confidence=0.95)
    assert done.report_["reason"][0] == "tuned"
    assert "Not met: 0 reaches " in repr(report)


def test_a_dict_of_targets_for_some_labels_is_enough():
    X, Y = sought(0, SEPARATION[:3])
    labels = MaskedLabels.from_dense(Y, label_names=["war", "crime", "sport"])
    clf = tune(X, labels, target={"sport": 0.9})
    assert clf.report_["reason"].tolist() == ["no target", "no target", "tuned"]
    assert clf.thresholds_[:2].tolist() == [0.0, 0.0]  # of a decision function
    alone = tune(X[:, 2:], Y[:, 2:], target=0.9)
    assert clf.thresholds_[2] == alone.thresholds_[0]


def test_all_promises_together_are_kept_with_confidence_over_the_family():
    """Scores say nothing, precision is just below the target: luck passes alone."""
    rng = np.random.default_rng(0)
    passed = {"label": 0, "family": 0}
    for _ in range(6):
        X = rng.random((400, 20))
        Y = (rng.random(X.shape) < 0.78).astype(float)
        for over in passed:
            clf = tune(X, Y, target=0.8, confidence=0.8, confidence_over=over)
            passed[over] += (clf.report_["reason"] == "tuned").any()
    assert passed["label"] >= 4
    assert passed["family"] <= 1


@pytest.mark.parametrize(
    ("estimator", "fault"),
    [
        (
            Rescaled(power=-4),
            "are scored on another scale by the estimator fitted on all",
        ),
        (
            Rescaled(n_marked=3),
            "are scored on another scale in some folds than in others",
        ),
    ],
    ids=["refit", "folds"],
)
def test_a_threshold_that_dies_at_the_refit_is_named(estimator, fault):
    from sklearn_masked.exceptions import RefitThresholdWarning

    X, Y = sought(0, np.array([4.0]))
    order = np.random.default_rng(0).permutation(len(X))
    X, Y = X[order], Y[order]
    X[:3] = MARK  # in three of the folds
    cv = PredefinedSplit(np.arange(len(X)) % 5)
    with pytest.warns(RefitThresholdWarning) as record:
        clf = tune(X, Y, estimator, cv=cv)
    assert clf.report_["recall"][0] > 0.1
    assert clf.report_["recall_refit"][0] < 0.01
    text = str(record[0].message)
    assert text.startswith(f"1 of 1 labels {fault}")
    assert "refit=False" in text


def test_a_promise_is_kept_where_the_refit_would_break_it():
    """As many rows as features: the refit solves its rows exactly, the folds do not."""
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(2, 490)) / np.sqrt(490)

    def draw(n):
        Y = (rng.random((n, 2)) < 0.35).astype(float)
        return rng.normal(size=(n, 490)) + 6 * Y @ axes, Y

    (X, Y), (X_traffic, Y_traffic) = draw(500), draw(4000)
    base = MaskedMultiOutputClassifier(RidgeClassifier(alpha=1e-8))
    params = {"target": 0.75, "cv": 5}
    found = {}
    for refit in (True, False):
        clf = tune(X, Y, base, refit=refit, **params)
        positive = clf.predict(X_traffic) == 1
        found[refit] = [Y_traffic[positive[:, k], k].mean() for k in range(2)]
    assert clf.report_["reason"].tolist() == ["tuned"] * 2
    assert max(found[True]) < 0.75 <= min(found[False])


@pytest.mark.parametrize("cv", [5, 0.4])
def test_a_threshold_that_suits_the_refit_is_not(cv):
    X, Y = sought(0, np.array([3.5]))
    clf = tune(X, Y, Rescaled(0), cv=cv)
    assert clf.report_["recall_refit"][0] == pytest.approx(
        clf.report_["recall"][0], abs=0.05
    )


def test_a_prior_shift_inside_is_named_where_figures_are_of_labeled_cells():
    from sklearn_masked.exceptions import PriorShiftWarning

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    Y = (X + rng.normal(size=X.shape) > 0.5).astype(float)
    audit = np.where(rng.random(Y.shape) < 0.5, np.nan, Y)
    inner = MaskedMultiOutputClassifier(LogisticRegression())
    calibrated = MaskedCalibratedClassifierCV(inner, cv=2, ensemble=False).fit(X, Y)
    tune(X, Y, FrozenEstimator(calibrated), target=0.5)  # without a shift, no warning
    calibrated.correct_prior(
        X, np.where(audit == 1, np.nan, audit) * 0 + (rng.random(Y.shape) < 0.1)
    )
    frozen = FrozenEstimator(calibrated)
    with pytest.warns(PriorShiftWarning, match="Pass `target_prevalence`"):
        tune(X, Y, frozen, target=0.5)
    tune(X, Y, frozen, target=0.5, target_prevalence=0.1)
    with pytest.warns(PriorShiftWarning, match=r"Pass FrozenEstimator\(estimator\)"):
        tune(X, Y, calibrated, target=0.5, cv=2)


def test_objectives_are_those_of_traffic():
    """F1 and cost at 5 % positives, from cells that are 50 % positive."""
    X, Y = sought(0, np.array([2.0]), 2000, 2000)
    grid = np.linspace(-1, 5, 61)
    tp, fp = PREVALENCE * norm.sf(grid - 2), (1 - PREVALENCE) * norm.sf(grid)
    f1 = 2 * tp / (PREVALENCE + tp + fp)
    clf = MaskedTunedThresholdClassifierCV(
        Given(),
        scoring="f1",
        cv="prefit",
        target_prevalence=PREVALENCE,
        thresholds=grid,
    ).fit(X, Y)
    assert clf.thresholds_[0] == pytest.approx(grid[f1.argmax()], abs=0.2)
    assert clf.best_scores_[0] == pytest.approx(f1.max(), abs=0.05)
    costs = np.array([[0, 1], [4, 0]])
    cost = fp + 4 * (PREVALENCE - tp)
    clf.set_params(scoring="cost", cost_matrix=costs).fit(X, Y)
    assert clf.thresholds_[0] == pytest.approx(grid[cost.argmin()], abs=0.2)
    assert -clf.best_scores_[0] == pytest.approx(cost.min(), abs=0.01)


def test_an_audit_of_labels_in_another_order_is_refused():
    X, Y = sought(0, SEPARATION[:2], 50, 50)
    labels = MaskedLabels.from_dense(Y, label_names=["war", "sport"])
    audit = MaskedLabels.from_dense(np.eye(2), label_names=["sport", "war"])
    with pytest.raises(ValueError, match=r"^`target_prevalence` must have the labels "):
        tune(X, labels, target_prevalence=audit)


def test_scores_of_one_label_equal_those_of_weighted_cells():
    """Reweighed to the labels' own share, nothing changes; expit changes nothing."""
    X, Y = sought(0, SEPARATION[-3:], 300, 900)
    plain, same = tune(X, Y), tune(X, Y, target_prevalence=0.25)
    np.testing.assert_allclose(same.report_["precision"], plain.report_["precision"])
    lower = tune(expit(X), Y, target_prevalence=0.1)
    np.testing.assert_allclose(
        lower.thresholds_, expit(tune(X, Y, target_prevalence=0.1).thresholds_)
    )
