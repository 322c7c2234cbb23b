"""The tuner: scikit-learn's thresholds on labeled cells, and promises that are kept."""

import pickle
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from builders import make_folds, separate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    fbeta_score,
    make_scorer,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    LeaveOneOut,
    ShuffleSplit,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from sklearn_masked import metrics
from sklearn_masked.calibration import (
    MaskedCalibratedClassifierCV,
    inverse_propensity_weights,
)
from sklearn_masked.exceptions import FallbackThresholdWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import masked_f1_score, masked_f1_scorer
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV, ThresholdReport


def make_data(n=300, n_labels=3, seed=0, labeled=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    Y = (X[:, :n_labels] + rng.normal(size=(n, n_labels)) > 0.8).astype(float)
    Y[rng.random(Y.shape) >= labeled] = np.nan
    return X, Y


COSTS = np.array([[0.0, 1.0], [5.0, 0.5]])


def mean_cost(y_true, y_pred):
    return np.mean([COSTS[int(t), int(p)] for t, p in zip(y_true, y_pred, strict=True)])


# Ours, and the same for scikit-learn.
OBJECTIVES = {
    "balanced_accuracy": ({}, "balanced_accuracy"),
    "matthews_corrcoef": ({}, "matthews_corrcoef"),
    "f1": ({}, "f1"),
    "fbeta": ({"beta": 2.0}, make_scorer(fbeta_score, beta=2.0)),
    "cost": (
        {"cost_matrix": COSTS},
        make_scorer(mean_cost, greater_is_better=False),
    ),
}


# The law


@pytest.mark.parametrize("response", ["predict_proba", "decision_function"])
@pytest.mark.parametrize("scoring", OBJECTIVES)
def test_fully_labeled_matrix_equals_scikit_learn_column_by_column(scoring, response):
    X, Y = make_data()
    folds = make_folds(len(X))
    params, theirs_scoring = OBJECTIVES[scoring]
    given = {"cv": folds, "response_method": response, "store_cv_results": True}
    given["thresholds"] = 100 if scoring in ("balanced_accuracy", "cost") else 20
    ours = MaskedTunedThresholdClassifierCV(
        separate(), scoring=scoring, **params, **given
    ).fit(X, Y)
    for label in range(Y.shape[1]):
        theirs = TunedThresholdClassifierCV(
            LogisticRegression(), scoring=theirs_scoring, **given
        ).fit(X, Y[:, label])
        assert ours.thresholds_[label] == pytest.approx(theirs.best_threshold_, 1e-12)
        assert ours.best_scores_[label] == pytest.approx(theirs.best_score_, 1e-12)
        for name in ("thresholds", "scores"):
            np.testing.assert_allclose(
                ours.cv_results_[name][label], theirs.cv_results_[name], rtol=1e-10
            )
        np.testing.assert_array_equal(ours.predict(X)[:, label], theirs.predict(X))


@pytest.mark.parametrize("scoring", OBJECTIVES)
def test_partly_labeled_matrix_equals_scikit_learn_on_the_labeled_rows(scoring):
    X, Y = make_data(n=500, labeled=0.6)
    folds = make_folds(len(X))
    params, theirs_scoring = OBJECTIVES[scoring]
    ours = MaskedTunedThresholdClassifierCV(
        separate(), scoring=scoring, cv=folds, thresholds=20, **params
    ).fit(X, Y)
    for label in range(Y.shape[1]):
        rows = np.flatnonzero(~np.isnan(Y[:, label]))
        own = [
            tuple(np.flatnonzero(np.isin(rows, part)) for part in fold)
            for fold in folds
        ]
        theirs = TunedThresholdClassifierCV(
            LogisticRegression(), scoring=theirs_scoring, cv=own, thresholds=20
        ).fit(X[rows], Y[rows, label])
        assert ours.thresholds_[label] == pytest.approx(theirs.best_threshold_, 1e-12)
        assert ours.best_scores_[label] == pytest.approx(theirs.best_score_, 1e-12)


@pytest.mark.parametrize("cv", [None, 4, 0.3])
@pytest.mark.parametrize("scoring", ["balanced_accuracy", "f1"])
def test_one_dimensional_y_equals_scikit_learn(scoring, cv):
    X, Y = make_data(n=200)
    y = np.where(Y[:, 0] == 1, "yes", "no")
    theirs_scoring = scoring
    if scoring == "f1":
        theirs_scoring = make_scorer(f1_score, pos_label="yes")
    given = {"cv": cv, "random_state": 0, "thresholds": 30}
    ours = MaskedTunedThresholdClassifierCV(
        LogisticRegression(), scoring=scoring, **given
    ).fit(X, y)
    theirs = TunedThresholdClassifierCV(
        LogisticRegression(), scoring=theirs_scoring, **given
    ).fit(X, y)
    assert ours.thresholds_[0] == pytest.approx(theirs.best_threshold_, 1e-12)
    assert ours.predict(X).tolist() == theirs.predict(X).tolist()
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    np.testing.assert_array_equal(
        ours.decision_function(X), theirs.decision_function(X)
    )
    np.testing.assert_array_equal(
        ours.predict_log_proba(X), theirs.predict_log_proba(X)
    )
    assert ours.score(X, y) == accuracy_score(y, theirs.predict(X))


def test_given_thresholds_equal_scikit_learn():
    X, Y = make_data()
    given = {"thresholds": [0.1, 0.25, 0.4, 0.6], "cv": make_folds(len(X))}
    ours = MaskedTunedThresholdClassifierCV(separate(), **given).fit(X, Y)
    theirs = TunedThresholdClassifierCV(LogisticRegression(), **given).fit(X, Y[:, 1])
    assert ours.thresholds_[1] == theirs.best_threshold_


def test_given_thresholds_may_stand_in_any_order_and_be_infinite():
    X, Y = make_data()
    given = {"scoring": "f1", "cv": make_folds(len(X)), "store_cv_results": True}
    rising = MaskedTunedThresholdClassifierCV(
        separate(), thresholds=[-np.inf, 0.1, 0.3, 0.5, 0.7, np.inf], **given
    ).fit(X, Y)
    mixed = MaskedTunedThresholdClassifierCV(
        separate(), thresholds=[0.7, np.inf, 0.1, -np.inf, 0.5, 0.3], **given
    ).fit(X, Y)
    np.testing.assert_array_equal(mixed.thresholds_, rising.thresholds_)
    order = np.argsort(mixed.cv_results_["thresholds"][0])
    for got, want in zip(
        mixed.cv_results_["scores"], rising.cv_results_["scores"], strict=True
    ):
        np.testing.assert_array_equal(got[order], want)


def test_a_callable_is_an_objective_of_the_counts():
    X, Y = make_data()

    def accuracy(tp, fp, fn, tn):
        return (tp + tn) / (tp + fp + fn + tn)

    folds = make_folds(len(X))
    ours = MaskedTunedThresholdClassifierCV(separate(), scoring=accuracy, cv=folds)
    theirs = TunedThresholdClassifierCV(
        LogisticRegression(), scoring="accuracy", cv=folds
    ).fit(X, Y[:, 0])
    ours.fit(X, Y)
    assert ours.thresholds_[0] == pytest.approx(theirs.best_threshold_, 1e-12)


@pytest.mark.parametrize("name", ["balanced_accuracy", "matthews_corrcoef", "f1"])
def test_metrics_and_scorers_of_the_package_are_objectives(name):
    X, Y = make_data(n=200, labeled=0.6)
    suffix = "" if name == "matthews_corrcoef" else "_score"
    want = None
    for scoring in (
        name,
        getattr(metrics, f"masked_{name}{suffix}"),
        getattr(metrics, f"masked_{name}_scorer"),
    ):
        clf = MaskedTunedThresholdClassifierCV(separate(), scoring=scoring, cv=2)
        found = clf.fit(X, Y).thresholds_
        want = found if want is None else want
        np.testing.assert_array_equal(found, want)


def test_a_scorer_that_is_no_objective_is_refused():
    X, Y = make_data(n=60)
    for scorer in (
        metrics.masked_roc_auc_scorer,
        metrics.make_masked_scorer(metrics.masked_f1_score, average="micro"),
    ):
        clf = MaskedTunedThresholdClassifierCV(separate(), scoring=scorer)
        with pytest.raises(ValueError, match="^`scoring` accepts an objective by name"):
            clf.fit(X, Y)


def test_a_callable_that_is_undefined_everywhere_tunes_nothing():
    X, Y = make_data()

    def rare_alone(tp, fp, fn, tn):
        return np.where(tp + fn < 25, tp, np.nan)

    few = np.flatnonzero(Y[:, 1] == 1)[20:]
    Y[few, 1] = np.nan
    clf = MaskedTunedThresholdClassifierCV(
        separate(), scoring=rare_alone, cv=2, pool_folds=True, fallback=0.25
    )
    with pytest.warns(FallbackThresholdWarning, match=r": 0, 2 \(undefined score\)\.$"):
        clf.fit(X, Y)
    assert clf.thresholds_[[0, 2]].tolist() == [0.25, 0.25]
    assert clf.report_["reason"][1] == "tuned"


def test_frozen_and_prefit_equal_scikit_learn():
    X, Y = make_data(n=400)
    base = LogisticRegression().fit(X[:200], Y[:200, 0])
    theirs = TunedThresholdClassifierCV(base, cv="prefit", refit=False)
    theirs.fit(X[200:], Y[200:, 0])
    for params in (
        {"estimator": base, "cv": "prefit"},
        {"estimator": FrozenEstimator(base)},
    ):
        ours = MaskedTunedThresholdClassifierCV(**params).fit(X[200:], Y[200:, 0])
        assert ours.thresholds_[0] == pytest.approx(theirs.best_threshold_, 1e-12)
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_weights_equal_repeated_rows():
    X, Y = make_data(n=300, labeled=0.7)
    base = FrozenEstimator(separate().fit(X, Y))
    times = np.random.default_rng(0).integers(0, 4, len(X))
    for scoring in OBJECTIVES:
        params, _ = OBJECTIVES[scoring]
        clf = MaskedTunedThresholdClassifierCV(base, scoring=scoring, **params)
        want = clf.fit(np.repeat(X, times, axis=0), np.repeat(Y, times, axis=0))
        want = want.thresholds_, want.best_scores_
        got = clf.fit(X, Y, sample_weight=times)
        np.testing.assert_allclose(got.thresholds_, want[0])
        np.testing.assert_allclose(got.best_scores_, want[1])
        labels = MaskedLabels.from_dense(Y, weights=np.repeat(times[:, None], 3, 1))
        np.testing.assert_allclose(clf.fit(X, labels).thresholds_, want[0])


@pytest.mark.parametrize("scoring", ["f1", "recall_at_precision"])
def test_form_of_labels_and_junk_change_nothing(scoring):
    X, Y = make_data(n=600, labeled=0.6)
    clf = MaskedTunedThresholdClassifierCV(
        separate(), scoring=scoring, target=0.45 if scoring != "f1" else None, cv=3
    )
    want = clf.fit(X, Y).thresholds_
    assert np.isfinite(want).all()
    unlabeled = np.isnan(Y)
    forms = [
        np.where(unlabeled, -1, Y).astype(int),
        np.where(unlabeled, None, Y.astype(object)),
        np.ma.array(np.where(unlabeled, 1, Y), mask=unlabeled),
        np.ma.array(np.where(unlabeled, 0, Y), mask=unlabeled),
        pd.DataFrame(Y),
        sp.csr_array(np.where(unlabeled, -1, Y)),
        MaskedLabels.from_dense(Y),
        MaskedLabels.from_sparse(
            sp.csr_array(np.where(unlabeled, -1, Y)), implicit="negative"
        ),
        np.asarray(MaskedLabels.from_dense(Y)),
    ]
    for form in forms:
        np.testing.assert_array_equal(clf.fit(X, form).thresholds_, want)


class Scores:
    """Scores that stand in X: a fitted estimator of the user's own."""

    _estimator_type = "classifier"

    def __init__(self, n_labels):
        self.n_labels = n_labels
        self.fitted_ = True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(X)[:, : self.n_labels]

    def __sklearn_tags__(self):
        return separate().__sklearn_tags__()


@given(
    seed=st.integers(0, 10**6),
    scoring=st.sampled_from(["f1", "recall_at_precision", "precision_at_recall"]),
)
@settings(max_examples=20, deadline=None)
def test_what_the_model_says_of_unlabeled_cells_changes_nothing(seed, scoring):
    rng = np.random.default_rng(seed)
    Y = np.where(rng.random((60, 3)) < 0.5, np.nan, rng.integers(0, 2, (60, 3)))
    scores = rng.random((60, 3))
    junk = np.where(np.isnan(Y), rng.random((60, 3)), scores)
    clf = MaskedTunedThresholdClassifierCV(
        Scores(3), scoring=scoring, target=None if scoring == "f1" else 0.4, cv="prefit"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackThresholdWarning)
        want = clf.fit(scores, Y).report_.to_records()
        got = clf.fit(junk, Y).report_.to_records()
    for column in want.dtype.names:
        np.testing.assert_array_equal(got[column], want[column])


# Promises


def tune_scores(scores, y, **params):
    """Fit on given scores of one label and return the tuner."""
    clf = MaskedTunedThresholdClassifierCV(Scores(1), cv="prefit", **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackThresholdWarning)
        return clf.fit(np.asarray(scores)[:, None], np.asarray(y, float)[:, None])


def naive_threshold(scores, y, target, promise):
    """Return the threshold by the shares of the cells, by trying each score."""
    best, best_value = None, -1.0
    for threshold in sorted(set(scores), reverse=True):
        predicted = scores >= threshold
        precision = y[predicted].mean()
        recall = y[predicted].sum() / y.sum()
        kept, value = (
            (precision, recall)
            if promise == "recall_at_precision"
            else (recall, precision)
        )
        lower = promise == "recall_at_precision"
        if kept >= target and (value > best_value or (lower and value == best_value)):
            best, best_value = threshold, value
    return best


@given(seed=st.integers(0, 10**6), target=st.sampled_from([0.3, 0.5, 0.75, 0.9, 1.0]))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("promise", ["recall_at_precision", "precision_at_recall"])
def test_without_confidence_the_best_of_all_thresholds_is_taken(promise, seed, target):
    rng = np.random.default_rng(seed)
    n = rng.integers(15, 60)
    scores = np.round(rng.random(n), 2)
    y = (rng.random(n) < scores).astype(int)
    y[:2] = 0, 1
    clf = tune_scores(
        scores,
        y,
        scoring=promise,
        target=target,
        confidence=None,
        min_positive=1,
        min_negative=1,
    )
    want = naive_threshold(scores, y, target, promise)
    if want is None:
        assert clf.report_["reason"].tolist() == ["target not met"]
    else:
        assert clf.thresholds_[0] == want
    assert np.isnan(clf.report_["precision_low"][0])


def fixed_sequence(scores, y, target, confidence):
    """Walk down the scores, as the docs tell it, with a test at each candidate."""
    alpha = 1 - confidence
    order = sorted(zip(scores, y, strict=True), key=lambda pair: -pair[0])
    fewest = next(n for n in range(1, 10**6) if target**n <= alpha / 2)
    if fewest > len(order):
        return np.inf
    sizes, size = [], float(fewest)
    while True:
        wanted = int(np.ceil(min(size, len(order)) - 1e-9))
        if wanted not in sizes:
            sizes.append(wanted)
        if size >= len(order):
            break
        size *= 1.05
    shares = [0.0] * len(sizes)
    for third, share in enumerate([alpha / 2, alpha / 4, alpha / 4]):
        shares[int(third * len(sizes) / 3)] += share
    chosen, carried = np.inf, 0.0
    for size, share in zip(sizes, shares, strict=True):
        hits = sum(truth for _, truth in order[:size])
        level = share + carried
        passed = level > 0 and binom.sf(hits - 1, size, target) <= level
        carried = level if passed else 0.0
        if passed:
            chosen = order[size - 1][0]
    return chosen


@given(seed=st.integers(0, 10**6), target=st.sampled_from([0.5, 0.8, 0.9]))
@settings(max_examples=40, deadline=None)
def test_precision_is_promised_by_fixed_sequence_tests(seed, target):
    rng = np.random.default_rng(seed)
    scores = rng.permutation(np.linspace(0.01, 0.99, rng.integers(20, 600)))
    sharp = rng.choice([1.0, 3.0, 10.0])
    y = rng.random(len(scores)) < 1 / (1 + np.exp(-sharp * (scores - 0.4) * 3))
    y[:2] = 0, 1
    clf = tune_scores(
        scores,
        y,
        scoring="recall_at_precision",
        target=target,
        min_positive=1,
        min_negative=1,
    )
    assert clf.thresholds_[0] == fixed_sequence(scores, y, target, 0.95)


@given(seed=st.integers(0, 10**6), target=st.sampled_from([0.5, 0.8, 0.9]))
@settings(max_examples=40, deadline=None)
def test_recall_is_promised_by_one_test(seed, target):
    rng = np.random.default_rng(seed)
    scores = rng.random(rng.integers(20, 200)).round(2)
    y = rng.random(len(scores)) < scores
    y[:2] = 0, 1
    clf = tune_scores(
        scores,
        y,
        scoring="precision_at_recall",
        target=target,
        min_positive=1,
        min_negative=1,
    )
    best, want = -1.0, -np.inf
    for threshold in sorted(set(scores), reverse=True):
        predicted = scores >= threshold
        hits, total = y[predicted].sum(), y.sum()
        bound = beta.ppf(0.05, hits, total - hits + 1) if hits else 0.0
        if bound >= target and y[predicted].mean() > best:
            best, want = y[predicted].mean(), threshold
    assert clf.thresholds_[0] == want


@pytest.mark.parametrize(
    ("scoring", "n_cells", "which"),
    [("recall_at_precision", 36, "passing"), ("precision_at_recall", 29, "positive")],
)
def test_the_warning_says_how_many_cells_a_promise_takes(scoring, n_cells, which):
    def tuned(n, target=0.9):
        scores = np.r_[np.linspace(0.9, 0.8, n), np.linspace(0.2, 0.1, 40)][:, None]
        y = np.r_[np.ones(n), np.zeros(40)][:, None]
        clf = MaskedTunedThresholdClassifierCV(
            Scores(1), cv="prefit", scoring=scoring, target=target
        )
        return clf.fit(scores, y)

    assert tuned(n_cells).report_["reason"].tolist() == ["tuned"]
    takes = f"takes {n_cells} {which} labeled cells"
    with pytest.warns(FallbackThresholdWarning, match=takes):
        tuned(n_cells - 1)
    with pytest.warns(FallbackThresholdWarning, match="No number of cells can promise"):
        tuned(35, target=1.0)


def test_a_target_met_by_luck_on_twelve_cells_is_not_met():
    scores = np.linspace(0.99, 0.01, 100)
    y = np.r_[np.ones(12), np.zeros(88)]
    given = {"scoring": "recall_at_precision", "target": 0.95}
    lucky = tune_scores(scores, y, confidence=None, **given)
    assert lucky.report_["precision"].tolist() == [1.0]
    clf = MaskedTunedThresholdClassifierCV(Scores(1), cv="prefit", **given)
    with pytest.warns(
        FallbackThresholdWarning,
        match=r"^1 of 1 labels get the fallback for a threshold, fallback='auto': 0 "
        r"\(target not met\)\. Never predicted: 0\. A target of 0\.95 with "
        r"confidence=0\.95 takes 72 "
        "passing labeled cells of a label without a mistake among them, and more with "
        r"mistakes\. Closest: 0 reaches 1\.000 \(lower bound 0\.735; about 600 labeled "
        r"cells would do\)\.$",
    ):
        clf.fit(scores[:, None], y[:, None])
    assert clf.thresholds_.tolist() == [np.inf]
    assert clf.predict(scores[:, None]).sum() == 0
    enough = tune_scores(
        np.linspace(0.99, 0.01, 200), np.r_[np.ones(100), np.zeros(100)], **given
    )
    assert enough.report_["reason"].tolist() == ["tuned"]
    assert enough.report_["precision"][0] >= enough.report_["precision_low"][0] >= 0.95


def test_promises_are_kept_as_often_as_the_confidence_says():
    """Precision of the chosen thresholds in the population, over many draws."""
    rng = np.random.default_rng(0)
    kept = {None: [], 0.8: []}
    for _ in range(200):
        scores = rng.random(400)
        y = rng.random(400) < scores  # so that a threshold t has precision (1 + t) / 2
        y[:2] = 0, 1
        for confidence in kept:
            clf = tune_scores(
                scores,
                y,
                scoring="recall_at_precision",
                target=0.8,
                confidence=confidence,
            )
            kept[confidence].append((1 + clf.thresholds_[0]) / 2 >= 0.8)
    assert np.mean(kept[None]) < 0.5
    # 0.8 less three standard deviations of 200 draws.
    assert np.mean(kept[0.8]) > 0.8 - 3 * np.sqrt(0.8 * 0.2 / 200)


def test_scores_that_say_nothing_do_not_keep_a_promise_by_search():
    """Precision is 0.78 at every threshold: the best of many bounds reaches 0.8."""
    rng = np.random.default_rng(0)
    found, searched = [], []
    for _ in range(300):
        scores, y = rng.random(400), rng.random(400) < 0.78
        clf = tune_scores(scores, y, scoring="recall_at_precision", target=0.8)
        found.append(np.isfinite(clf.thresholds_[0]))
        hits, total = np.cumsum(y[np.argsort(-scores)]), np.arange(1, 401)
        bound = beta.ppf(0.05, np.maximum(hits, 1), total - hits + 1)
        searched.append((bound[hits > 0] >= 0.8).any())
    assert np.mean(searched) > 0.1
    assert np.mean(found) <= 0.05


def test_weighted_cells_count_as_their_effective_number():
    rng = np.random.default_rng(1)
    scores = rng.permutation(np.linspace(0.01, 0.99, 300))
    y = rng.random(300) < scores
    given = {"scoring": "recall_at_precision", "target": 0.7}
    want = tune_scores(scores, y, **given).thresholds_
    clf = MaskedTunedThresholdClassifierCV(Scores(1), cv="prefit", **given)
    # The scale of equal weights says nothing.
    clf.fit(scores[:, None], y[:, None].astype(float), sample_weight=np.full(300, 7.0))
    np.testing.assert_array_equal(clf.thresholds_, want)
    # One cell that weighs as much as all others leaves little to be sure of.
    weight = np.ones(300)
    weight[np.argmax(scores)] = 300
    with pytest.warns(FallbackThresholdWarning, match="target not met"):
        clf.fit(scores[:, None], y[:, None].astype(float), sample_weight=weight)


def test_weighted_cells_promise_precision_in_traffic():
    """All positives are labeled, and a tenth of the negatives."""
    rng = np.random.default_rng(0)
    kept = {"plain": [], "weighted": []}
    for _ in range(60):
        scores = rng.random(6000)
        y = rng.random(6000) < scores  # precision of a threshold t: (1 + t) / 2
        chance = np.where(y, 1.0, 0.1)
        cells = np.where(rng.random(6000) < chance, y, np.nan)[:, None]
        plain = MaskedLabels.from_dense(cells)
        weighted = inverse_propensity_weights(plain, chance[:, None])
        clf = MaskedTunedThresholdClassifierCV(
            Scores(1), scoring="recall_at_precision", target=0.8, cv="prefit"
        )
        for name, labels in (("plain", plain), ("weighted", weighted)):
            clf.fit(scores[:, None], labels)
            assert np.isfinite(clf.thresholds_[0])
            kept[name].append((1 + clf.thresholds_[0]) / 2 >= 0.8)
    assert np.mean(kept["plain"]) == 0
    assert np.mean(kept["weighted"]) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 60)


TRAFFIC_SCORES = np.linspace(0, 1, 20_001)


@pytest.mark.parametrize("promise", ["precision", "recall"])
@pytest.mark.parametrize("chosen_by", ["score", "truth", "both"])
def test_promises_hold_where_weights_go_with_the_truth(promise, chosen_by):
    """Kish's number of cells breaks up to half of them, and not 5 in 100."""
    rng = np.random.default_rng(0)
    truth = TRAFFIC_SCORES**2  # chance to be positive
    target, scoring = (
        (0.8, "recall_at_precision")
        if promise == "precision"
        else (0.9, "precision_at_recall")
    )
    n_broken, n_made = 0, 0
    for _ in range(100):
        scores = rng.random(3000)
        y = rng.random(3000) < scores**2
        chance = {
            "score": np.clip(scores**2, 0.02, 1),
            "truth": np.where(y, 1.0, 0.05),
            "both": np.clip(scores, 0.1, 1) * np.where(y, 1, 0.2),
        }[chosen_by]
        cells = MaskedLabels.from_dense(
            np.where(rng.random(3000) < chance, y, np.nan)[:, None]
        )
        clf = MaskedTunedThresholdClassifierCV(
            Scores(1), scoring=scoring, target=target, cv="prefit"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackThresholdWarning)
            clf.fit(scores[:, None], inverse_propensity_weights(cells, chance[:, None]))
        if not np.isfinite(clf.thresholds_[0]):
            continue
        n_made += 1
        passed = TRAFFIC_SCORES >= clf.thresholds_[0]
        whole = passed.sum() if promise == "precision" else truth.sum()
        n_broken += truth[passed].sum() / whole < target
    # 0.05 and three standard deviations of 100 draws.
    assert n_broken <= 100 * 0.05 + 3 * np.sqrt(100 * 0.05 * 0.95)
    assert n_made >= 20


def test_bound_of_weighted_cells_inverts_its_test_and_ignores_the_scale():
    rng = np.random.default_rng(3)
    scores, weight = rng.random(80), rng.exponential(size=80)
    y = rng.random(80) < scores
    y[:2] = 0, 1
    given = {"scoring": "precision_at_recall", "target": 0.5, "cv": "prefit"}
    clf = MaskedTunedThresholdClassifierCV(Scores(1), **given)
    Y = y[:, None].astype(float)
    report = clf.fit(scores[:, None], Y, sample_weight=weight).report_
    again = clf.fit(scores[:, None], Y, sample_weight=weight * 512).report_
    passed = scores >= report["threshold"][0]
    for share, whole, kept, least in (
        ("precision", passed, y, weight[~y].min()),
        ("recall", y, passed, (weight**2).sum() / weight.sum()),
    ):
        assert again[f"{share}_low"][0] == pytest.approx(report[f"{share}_low"][0])
        hits, misses = weight[whole & kept], weight[whole & ~kept]
        heaviest = max(weight[whole].max(), least)
        # Shapes and scales of two gamma distributions by their means and variances.
        up = (misses.sum() + heaviest) ** 2 / (np.sum(misses**2) + heaviest**2)
        many = rng.gamma(hits.sum() ** 2 / np.sum(hits**2), size=200_000)
        many *= np.sum(hits**2) / hits.sum()
        few = rng.gamma(up, size=200_000) * (misses.sum() + heaviest) / up
        want = np.quantile(many / (many + few), 0.05)
        assert report[f"{share}_low"][0] == pytest.approx(want, abs=3e-3)
        assert report[share][0] == pytest.approx(hits.sum() / weight[whole].sum())


def test_target_by_names_and_by_label():
    X, Y = make_data(n=1500, labeled=0.8)
    names = ["war", "crime", "sport"]
    labels = MaskedLabels.from_dense(Y, label_names=names)
    given = {"scoring": "recall_at_precision", "cv": 3}
    target = {"war": 0.35, "sport": 0.55, "crime": 0.45}
    clf = MaskedTunedThresholdClassifierCV(separate(), target=target, **given)
    by_name = clf.fit(X, labels).thresholds_
    by_label = clf.set_params(target=[0.35, 0.45, 0.55]).fit(X, Y).thresholds_
    np.testing.assert_array_equal(by_name, by_label)
    for label, target in enumerate([0.35, 0.45, 0.55]):
        alone = clf.set_params(target=target).fit(X, Y).thresholds_[label]
        assert by_label[label] == alone
    assert len(set(by_label)) == 3


# Fallbacks


def rare_labels():
    """Label 1 has 3 positives; label 2 no cell."""
    X, Y = make_data(n=300, seed=3)
    Y[np.flatnonzero(Y[:, 1] == 1)[3:], 1] = np.nan
    Y[:, 2] = np.nan
    return X, Y


@pytest.mark.parametrize(
    ("fallback", "want"),
    [("default", 0.5), ("never", np.inf), ("always", -np.inf), (0.3, 0.3)],
)
def test_fallbacks(fallback, want):
    X, Y = rare_labels()
    base = FrozenEstimator(fit_quietly(separate(), X, Y))
    clf = MaskedTunedThresholdClassifierCV(base, fallback=fallback)
    with pytest.warns(FallbackThresholdWarning) as record:
        clf.fit(X, Y)
    then = {np.inf: " Never predicted: 1, 2.", -np.inf: " Always predicted: 1, 2."}
    assert [str(warning.message) for warning in record] == [
        f"2 of 3 labels get the fallback for a threshold, fallback={fallback!r}: 1, 2 "
        f"(few cells).{then.get(want, '')}"
    ]
    assert clf.thresholds_[1:].tolist() == [want, want]
    assert clf.report_["reason"].tolist() == ["tuned", "few cells", "few cells"]
    predicted = clf.predict(X)[:, 1:]
    np.testing.assert_array_equal(predicted, base.predict_proba(X)[:, 1:] >= want)


def fit_quietly(estimator, X, Y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, Y)


@pytest.mark.parametrize(("fallback", "want"), [("never", np.inf), (0.25, 0.25)])
def test_a_single_label_of_few_cells_gets_the_fallback_that_was_asked_for(
    fallback, want
):
    rng = np.random.default_rng(0)
    scores, y = rng.random(40), np.r_[1, 1, np.zeros(38)]
    clf = MaskedTunedThresholdClassifierCV(Scores(1), cv="prefit", fallback=fallback)
    then = r" Never predicted: 0\." if want == np.inf else ""
    said = rf": 0 \(few cells\)\.{then}$"
    with pytest.warns(FallbackThresholdWarning, match=said):
        clf.fit(scores[:, None], y[:, None])
    assert clf.thresholds_.tolist() == [want]
    # Its own cells are the pool of all labels, as for a 1-D y.
    clf.set_params(fallback="pooled").fit(scores[:, None], y[:, None])
    assert clf.report_["reason"].tolist() == ["tuned"]


def test_default_fallback_of_a_decision_function_is_zero():
    X, Y = rare_labels()
    base = FrozenEstimator(fit_quietly(separate(), X, Y))
    clf = MaskedTunedThresholdClassifierCV(
        base, fallback="default", response_method="decision_function"
    )
    assert fit_quietly(clf, X, Y).thresholds_[1] == 0.0


@pytest.mark.parametrize("scoring", OBJECTIVES)
def test_pooled_fallback_is_the_threshold_of_all_cells_together(scoring):
    X, Y = rare_labels()
    params, theirs_scoring = OBJECTIVES[scoring]
    base = fit_quietly(separate(), X, Y)
    clf = MaskedTunedThresholdClassifierCV(
        FrozenEstimator(base), scoring=scoring, **params
    )
    fit_quietly(clf, X, Y)
    labeled = ~np.isnan(Y)
    cells = base.predict_proba(X)[labeled][:, None]
    theirs = TunedThresholdClassifierCV(
        Given().fit(cells, Y[labeled]), scoring=theirs_scoring, cv="prefit", refit=False
    ).fit(cells, Y[labeled])
    assert clf.thresholds_[1:] == pytest.approx([theirs.best_threshold_] * 2)


class Given(GaussianNB):
    """A binary classifier whose probability is its one feature."""

    def predict_proba(self, X):
        return np.hstack([1 - X, X])


def test_pooled_fallback_of_a_promise_is_tested_on_all_cells():
    X, Y = make_data(n=900, seed=3)
    Y[np.flatnonzero(Y[:, 1] == 1)[3:], 1] = np.nan
    base = separate().fit(X, Y)
    given = {"scoring": "recall_at_precision", "target": 0.6, "fallback": "pooled"}
    clf = MaskedTunedThresholdClassifierCV(FrozenEstimator(base), **given)
    fit_quietly(clf, X, Y)
    labeled = ~np.isnan(Y)
    pooled = tune_scores(base.predict_proba(X)[labeled], Y[labeled], **given)
    assert clf.thresholds_[1] == pooled.thresholds_[0]
    # Where the pooled cells cannot show it either, the promise is kept by silence.
    clf.set_params(target=0.999)
    assert fit_quietly(clf, X, Y).thresholds_.tolist() == [np.inf] * 3


def test_a_recall_that_cannot_be_shown_is_kept_by_predicting_all():
    scores, y = np.linspace(0, 1, 40), np.r_[np.zeros(30), np.ones(10)]
    clf = tune_scores(scores, y, scoring="precision_at_recall", target=0.9)
    assert clf.thresholds_.tolist() == [-np.inf]
    assert clf.report_["predicted"].tolist() == [40]
    assert clf.report_["recall"].tolist() == [1.0]


def test_constant_scores_get_the_fallback():
    Y = np.array([[0, 0], [1, 1], [np.nan, 0], [1, 1], [0, 0], [0, 1]] * 4)
    scores = np.random.default_rng(0).random((24, 2))
    scores[:, 1] = 0.4
    clf = MaskedTunedThresholdClassifierCV(Scores(2), cv="prefit", fallback="default")
    with pytest.warns(FallbackThresholdWarning, match=r": 1 \(constant scores\)\.$"):
        clf.fit(scores, Y)
    assert clf.thresholds_[1] == 0.5
    with pytest.raises(
        ValueError,
        match=r"^`estimator` makes constant predictions, so that no threshold can be "
        r"tuned; got one score for all left-out rows of a fold\.$",
    ):
        MaskedTunedThresholdClassifierCV(Constant(), cv=2).fit(scores, Y[:, 1])


def test_folds_of_one_class_each_are_not_called_constant():
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    clf = MaskedTunedThresholdClassifierCV(GaussianNB(), cv=LeaveOneOut())
    with pytest.raises(
        ValueError,
        match=r"^`cv` accepts splits that leave both classes of a 1-D `y` out together "
        r"at least once; got none\. Pass pool_folds=True to join the folds\.$",
    ):
        clf.fit(X, y)
    clf.set_params(pool_folds=True).fit(X, y)
    assert clf.report_["reason"].tolist() == ["tuned"]


class Constant(GaussianNB):
    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_folds_without_a_side_are_left_out():
    rng = np.random.default_rng(0)
    scores, y = rng.random(60), np.zeros(60)
    y[rng.choice(40, 12, replace=False)] = 1  # none in the last fold
    folds = [np.arange(60).reshape(3, 20)[k] for k in range(3)]
    splits = [(np.setdiff1d(np.arange(60), fold), fold) for fold in folds]
    base = FrozenEstimator(Scores(1))
    given = {"scoring": "f1", "store_cv_results": True}
    clf = MaskedTunedThresholdClassifierCV(FitScores(), cv=splits, **given)
    two = MaskedTunedThresholdClassifierCV(FitScores(), cv=splits[:2], **given)
    got = clf.fit(scores[:, None], y[:, None])
    want = two.fit(scores[:, None], y[:, None])
    np.testing.assert_array_equal(got.thresholds_, want.thresholds_)
    assert base.estimator.fitted_


class FitScores(LogisticRegression):
    """Scores that stand in X, of an estimator that can be cloned."""

    def fit(self, X, y):
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def __sklearn_tags__(self):
        return separate().__sklearn_tags__()


def test_pooled_folds_score_all_left_out_cells_at_once():
    rng = np.random.default_rng(0)
    scores = rng.random((200, 2))
    Y = (rng.random((200, 2)) < scores).astype(float)
    Y[rng.random(Y.shape) < 0.3] = np.nan
    pooled = MaskedTunedThresholdClassifierCV(
        FitScores(), scoring="f1", cv=4, pool_folds=True
    ).fit(scores, Y)
    whole = MaskedTunedThresholdClassifierCV(Scores(2), scoring="f1", cv="prefit")
    whole.fit(scores, Y)
    np.testing.assert_array_equal(pooled.thresholds_, whole.thresholds_)
    np.testing.assert_array_equal(pooled.best_scores_, whole.best_scores_)
    averaged = clone(pooled).set_params(pool_folds=False).fit(scores, Y)
    assert (averaged.best_scores_ != whole.best_scores_).all()


# The report


def test_report_tells_what_each_threshold_buys():
    X, Y = make_data(n=600, labeled=0.7)
    names = ["war", "crime", "a very long name of a category"]
    labels = MaskedLabels.from_dense(Y, label_names=names)
    base = FrozenEstimator(separate().fit(X, Y))
    clf = MaskedTunedThresholdClassifierCV(base, scoring="f1").fit(X, labels)
    report = clf.report_
    proba = base.predict_proba(X)
    for label in range(3):
        own = ~np.isnan(Y[:, label])
        y, predicted = Y[own, label], proba[own, label] >= clf.thresholds_[label]
        hits = int(y[predicted].sum())
        assert report["labeled"][label] == own.sum()
        assert report["positive"][label] == y.sum()
        assert report["predicted"][label] == predicted.sum()
        assert report["precision"][label] == pytest.approx(hits / predicted.sum())
        assert report["recall"][label] == pytest.approx(hits / y.sum())
        for name, total in (
            ("precision_low", predicted.sum()),
            ("recall_low", y.sum()),
        ):
            want = beta.ppf(0.05, hits, total - hits + 1)
            assert report[name][label] == pytest.approx(want)
        assert report["score"][label] == pytest.approx(f1_score(y, predicted))
    np.testing.assert_array_equal(report["score"], clf.best_scores_)
    assert report["label"].tolist() == names
    assert list(report) == [
        "label",
        "threshold",
        "reason",
        "labeled",
        "positive",
        "predicted",
        "prevalence",
        "precision",
        "precision_low",
        "recall",
        "recall_low",
        "score",
        "reachable",
        "reachable_low",
        "cells_needed",
        "precision_refit",
        "recall_refit",
    ]
    assert len(report) == 17
    np.testing.assert_allclose(report["prevalence"], np.nanmean(Y, axis=0))


def test_report_as_table_records_and_text():
    X, Y = make_data(n=400)
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=2).fit(X, Y)
    report = clf.report_
    assert isinstance(report, ThresholdReport)
    records = report.to_records()
    assert records.shape == (3,)
    assert records["threshold"].tolist() == clf.thresholds_.tolist()
    frame = report.to_frame()
    assert frame.index.tolist() == [0, 1, 2]
    assert frame["reason"].tolist() == ["tuned"] * 3
    lines = repr(report).split("\n")
    assert len(lines) == 6
    assert lines[4].startswith("All figures: of labeled cells as they are.")
    assert lines[0].split() == (
        ["label", "thresh.", "labeled", "pos.", "pred.", "prec.", "bound", "recall"]
        + ["reason"]
    )
    assert lines[1].split()[1] == f"{clf.thresholds_[0]:.4f}"


def test_report_of_many_labels_fits_the_screen():
    rng = np.random.default_rng(0)
    scores = rng.random((50, 85))
    Y = (rng.random(scores.shape) < scores).astype(float)
    names = [f"category with a long name {label}" for label in range(85)]
    labels = MaskedLabels.from_dense(Y, label_names=names)
    clf = MaskedTunedThresholdClassifierCV(Scores(85), cv="prefit").fit(scores, labels)
    lines = repr(clf.report_).split("\n")
    assert len(lines) == 16
    assert lines[6] == "..."
    assert lines[-3] == "[85 labels]"
    assert max(map(len, lines)) <= 80


# What it is made of


def test_thresholds_are_a_plain_array_that_may_be_changed():
    X, Y = make_data()
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=3).fit(X, Y)
    assert type(clf.thresholds_) is np.ndarray
    assert clf.thresholds_.dtype == np.float64
    np.testing.assert_array_equal(
        clf.predict(X), (clf.predict_proba(X) >= clf.thresholds_).astype(int)
    )
    clf.thresholds_[0] = 2.0
    assert clf.predict(X)[:, 0].sum() == 0
    assert clf.report_["threshold"][0] != 2.0


def test_outputs():
    X, Y = make_data(labeled=0.8)
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=2).fit(X, Y)
    inner = separate().fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), inner.predict_proba(X))
    np.testing.assert_array_equal(clf.decision_function(X), inner.decision_function(X))
    assert clf.predict(X).dtype == np.intp
    assert clf.score(X, Y) == masked_f1_score(Y, clf.predict(X))
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.n_labels_ == 3
    assert not hasattr(clf, "cv_results_")


def test_only_methods_that_the_estimator_has():
    clf = MaskedTunedThresholdClassifierCV(separate(LinearSVC()))
    assert hasattr(clf, "decision_function")
    assert not hasattr(clf, "predict_proba")
    X, Y = make_data()
    clf.fit(X, Y)
    assert not hasattr(clf, "predict_proba")
    np.testing.assert_array_equal(
        clf.predict(X), clf.decision_function(X) >= clf.thresholds_
    )


def test_unlabeled_entries_of_a_one_dimensional_y_take_no_part():
    X, Y = make_data(n=200)
    y = Y[:, 0].copy()
    y[::4] = np.nan
    rows = np.flatnonzero(~np.isnan(y))
    clf = MaskedTunedThresholdClassifierCV(LogisticRegression(), cv=3)
    want = clf.fit(X[rows], y[rows]).thresholds_
    np.testing.assert_array_equal(clf.fit(X, y).thresholds_, want)
    assert clf.score(X, y) == accuracy_score(y[rows], clf.predict(X[rows]))


def test_single_split_without_refit():
    X, Y = make_data(n=300)
    clf = MaskedTunedThresholdClassifierCV(
        separate(), cv=0.4, refit=False, random_state=0, store_cv_results=True
    ).fit(X, Y)
    again = clone(clf).fit(X, Y)
    np.testing.assert_array_equal(clf.thresholds_, again.thresholds_)
    whole = clone(clf).set_params(refit=True).fit(X, Y)
    np.testing.assert_array_equal(clf.thresholds_, whole.thresholds_)
    assert (clf.predict_proba(X) != whole.predict_proba(X)).any()
    assert [len(grid) for grid in clf.cv_results_["thresholds"]] == [100] * 3


@pytest.mark.parametrize("scoring", ["f1", "precision_at_recall"])
def test_folds_without_refit_vote(scoring):
    X, Y = make_data(n=400, labeled=0.7)
    folds = make_folds(len(X), k=4)
    target = None if scoring == "f1" else 0.6
    clf = MaskedTunedThresholdClassifierCV(
        separate(), scoring=scoring, target=target, cv=folds, refit=False
    ).fit(X, Y)
    whole = clone(clf).set_params(refit=True).fit(X, Y)
    np.testing.assert_array_equal(clf.thresholds_, whole.thresholds_)
    members = [separate().fit(X[train], Y[train]) for train, _ in folds]
    proba = np.array([member.predict_proba(X) for member in members])
    votes = (proba >= clf.thresholds_).sum(axis=0)
    assert (votes == 2).any()  # ties keep the promise of recall
    want = votes > 2 if scoring == "f1" else votes >= 2
    np.testing.assert_array_equal(clf.predict(X), want)
    np.testing.assert_allclose(clf.predict_proba(X), proba.mean(axis=0))
    scores = [member.decision_function(X) for member in members]
    np.testing.assert_allclose(clf.decision_function(X), np.mean(scores, axis=0))
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(proba.mean(axis=0)))
    assert clf.n_features_in_ == 5
    assert np.isfinite(clf.score(X, Y))
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(X), want)


def test_folds_of_a_one_dimensional_y_vote():
    X, Y = make_data(n=200)
    y = np.where(Y[:, 0] == 1, "yes", "no")
    clf = MaskedTunedThresholdClassifierCV(LogisticRegression(), cv=3, refit=False)
    clf.fit(X, y)
    proba = np.mean([one.predict_proba(X) for one in clf.estimator_.estimators], axis=0)
    np.testing.assert_allclose(clf.predict_proba(X), proba)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(proba))
    assert set(clf.predict(X)) == {"yes", "no"}
    assert clf.score(X, y) > 0.6


def test_cv_results_of_a_promise_are_all_thresholds_with_their_shares():
    scores = np.array([0.9, 0.8, 0.8, 0.3, 0.2, 0.1])
    y = np.array([1, 1, 0, 1, 0, 0])
    clf = tune_scores(
        scores,
        y,
        scoring="recall_at_precision",
        target=0.7,
        confidence=None,
        min_positive=1,
        min_negative=1,
        store_cv_results=True,
    )
    assert clf.cv_results_["thresholds"][0].tolist() == [0.9, 0.8, 0.3, 0.2, 0.1]
    np.testing.assert_allclose(
        clf.cv_results_["scores"][0], [1, 2 / 3, 3 / 4, 3 / 5, 1 / 2]
    )
    assert clf.thresholds_.tolist() == [0.3]


@pytest.mark.parametrize("promise", ["recall_at_precision", "precision_at_recall"])
def test_ties_pass_together(promise):
    scores, y = np.repeat([0.9, 0.5, 0.1], 100), np.repeat([1, 1, 0], 100)
    clf = tune_scores(scores, y, scoring=promise, target=0.8)
    assert clf.thresholds_.tolist() == [0.5]


def test_jobs_change_nothing():
    X, Y = make_data(n=200)
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=2)
    want = clf.fit(X, Y).thresholds_
    with joblib.parallel_config("threading"):
        got = clf.set_params(n_jobs=2).fit(X, Y).thresholds_
    np.testing.assert_array_equal(got, want)


def test_clone_pickle_and_grid_search():
    X, Y = make_data(n=600, labeled=0.8)
    clf = MaskedTunedThresholdClassifierCV(
        MaskedCalibratedClassifierCV(separate(), cv=2, ensemble=False),
        scoring="recall_at_precision",
        target=0.4,
        cv=2,
    )
    assert clone(clf).get_params()["target"] == 0.4
    clf.fit(X, Y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))
    assert repr(again.report_) == repr(clf.report_)
    grid = {"target": [0.35, 0.4], "estimator__method": ["sigmoid", "temperature"]}
    search = GridSearchCV(
        clf, grid, scoring=masked_f1_scorer, cv=2, error_score="raise"
    ).fit(X, MaskedLabels.from_dense(Y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict(X).shape == (600, 3)


def test_inside_a_pipeline_and_around_one():
    X, Y = make_data(n=200)
    inner = make_pipeline(StandardScaler(), separate())
    around = MaskedTunedThresholdClassifierCV(inner, cv=2).fit(X, Y)
    inside = make_pipeline(
        StandardScaler(), MaskedTunedThresholdClassifierCV(separate(), cv=2)
    ).fit(X, Y)
    assert around.predict(X).shape == inside.predict(X).shape == Y.shape
    assert around.n_features_in_ == 5


def test_groups_and_weights_are_routed():
    X, Y = make_data(n=200)
    groups = np.arange(200) % 10
    weight = np.random.default_rng(0).uniform(0.5, 2, 200)
    with sklearn.config_context(enable_metadata_routing=True):
        base = separate(LogisticRegression().set_fit_request(sample_weight=True))
        clf = MaskedTunedThresholdClassifierCV(base, cv=GroupKFold(3))
        clf.fit(X, Y, groups=groups, sample_weight=weight)
    folds = list(GroupKFold(3).split(X, groups=groups))
    want = MaskedTunedThresholdClassifierCV(separate(), cv=folds)
    want.fit(X, Y, sample_weight=weight)
    np.testing.assert_array_equal(clf.thresholds_, want.thresholds_)


def test_fit_that_fails_leaves_the_model_as_it_was():
    X, Y = make_data(n=100)
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=2).fit(X, Y)
    want = clf.predict(X)
    with pytest.raises(ValueError, match="target"):
        clf.set_params(scoring="recall_at_precision", target=2.0).fit(X, Y)
    np.testing.assert_array_equal(clf.predict(X), want)


# Errors


def fit_with(y=None, **params):
    X, Y = make_data(n=60)
    estimator = params.pop("estimator", separate())
    return MaskedTunedThresholdClassifierCV(estimator, **params).fit(
        X, Y if y is None else y
    )


PRECISION = {"scoring": "recall_at_precision"}
NAMED = MaskedLabels.from_dense(
    make_data(n=60)[1], label_names=["war", "crime", "sport"]
)
ERRORS = {
    "scoring": (
        lambda: fit_with(scoring="roc_auc"),
        r"The 'scoring' parameter of MaskedTunedThresholdClassifierCV must be ",
    ),
    "confidence": (
        lambda: fit_with(confidence=1.0, **PRECISION),
        r"The 'confidence' parameter of MaskedTunedThresholdClassifierCV must be ",
    ),
    "no target": (
        lambda: fit_with(**PRECISION),
        r"^`target` accepts the least share that scoring='recall_at_precision' "
        r"promises, such as 0\.95; got None\.$",
    ),
    "target without a promise": (
        lambda: fit_with(scoring="f1", target=0.9),
        r"^`target` accepts None unless `scoring` is 'recall_at_precision' or "
        r"'precision_at_recall'; got 0\.9 for 'f1'\.$",
    ),
    "target above 1": (
        lambda: fit_with(target=[0.5, 1.5, 0.5], **PRECISION),
        r"^`target` accepts shares above 0 and up to 1; got 1\.5 for label 1\.$",
    ),
    "target of NaN": (
        lambda: fit_with(target=np.nan, **PRECISION),
        r"^`target` accepts shares above 0 and up to 1; got nan for label 0\.$",
    ),
    "shape of target": (
        lambda: fit_with(target=[0.5, 0.5], **PRECISION),
        r"^`target` accepts one number, one per label, shape \(3,\), or a dict by "
        r"names; got shape \(2,\)\.$",
    ),
    "name in target": (
        lambda: fit_with(NAMED, target={"peace": 0.5}, **PRECISION),
        r"^`target` accepts the labels of `y` as keys; got 'peace', which is none of "
        r"them\.$",
    ),
    "no name in target": (
        lambda: fit_with(NAMED, target={}, **PRECISION),
        r"^`target` accepts a dict with labels of `y` as keys; got an empty one\.$",
    ),
    "prevalence of 1": (
        lambda: fit_with(target_prevalence=[0.5, 1.0, 0.5], target=0.5, **PRECISION),
        r"^`target_prevalence` accepts shares strictly between 0 and 1, NaN, or a "
        r"label matrix of audited cells; got 1\.0 for label 1\.$",
    ),
    "labels of an audit": (
        lambda: fit_with(target_prevalence=np.eye(4), target=0.5, **PRECISION),
        r"^`target_prevalence` accepts an audit of the 3 labels of `y`; got 4\.$",
    ),
    "one-sided audit": (
        lambda: fit_with(
            target_prevalence=MaskedLabels.from_dense(np.zeros((4, 3), int)),
            target=0.5,
            **PRECISION,
        ),
        r"^`target_prevalence` of an audit must hold positive and negative cells of a "
        r"weight above zero; got negative ones alone\. ",
    ),
    "no cost": (
        lambda: fit_with(scoring="cost"),
        r"^`cost_matrix` accepts an array where scoring='cost', and None elsewhere; "
        r"got None for 'cost'\.$",
    ),
    "cost without need": (
        lambda: fit_with(cost_matrix=[[0, 1], [1, 0]]),
        r"^`cost_matrix` accepts an array where scoring='cost', and None elsewhere; "
        r"got shape \(2, 2\) for 'balanced_accuracy'\.$",
    ),
    "shape of cost": (
        lambda: fit_with(scoring="cost", cost_matrix=[1, 2]),
        r"^`cost_matrix` accepts shape \(2, 2\) or \(3, 2, 2\); got \(2,\)\.$",
    ),
    "cost of NaN": (
        lambda: fit_with(scoring="cost", cost_matrix=[[0, 1], [np.nan, 0]]),
        r"^`cost_matrix` accepts finite numbers; got NaN or infinity\.$",
    ),
    "fallback of NaN": (
        lambda: fit_with(fallback=np.nan),
        r"^`fallback` accepts a number that is one; got nan\.$",
    ),
    "shape of thresholds": (
        lambda: fit_with(thresholds=[[0.5]]),
        r"^`thresholds` accepts an integer or a 1-D array; got shape \(1, 1\)\.$",
    ),
    "threshold of NaN": (
        lambda: fit_with(thresholds=[0.5, np.nan]),
        r"^`thresholds` accepts numbers that are ones; got nan at position 1\.$",
    ),
    "callable of one number": (
        lambda: fit_with(scoring=lambda tp, fp, fn, tn: 1.0),
        r"^`scoring` accepts a callable that returns a number for each threshold, "
        r"shape \(100,\); it returned shape \(\)\.$",
    ),
    "no split": (
        lambda: fit_with(cv=[]),
        r"^`cv` accepts one split or more; got none\.$",
    ),
    "response method": (
        lambda: fit_with(
            estimator=separate(LinearSVC()), response_method="predict_proba"
        ),
        r"^`response_method` accepts a method of the estimator; "
        r"MaskedMultiOutputClassifier has no predict_proba\.$",
    ),
    "overlapping splits": (
        lambda: fit_with(cv=ShuffleSplit(3, random_state=0), target=0.5, **PRECISION),
        r"^`cv` accepts splits whose test parts do not overlap: each cell counts ",
    ),
    "few rows of a class": (
        lambda: fit_with([0] * 57 + [1] * 3, estimator=LogisticRegression()),
        r"^Requesting 5-fold cross-validation but provided less than 5 examples for ",
    ),
    "no cell": (
        lambda: fit_with(np.full((60, 2), np.nan)),
        r"^`y` must have a labeled cell of a weight above zero; got none in 60 x 2 ",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "params",
    [
        {"thresholds": ["a"]},
        {"scoring": "cost", "cost_matrix": [["a", 0], [0, 1]]},
        {"target": ["a", 0.5, 0.5], **PRECISION},
        {"target": {0: "a"}, **PRECISION},
    ],
    ids=lambda params: str(params),
)
def test_parameters_that_are_no_numbers_are_named(params):
    (name,) = {"thresholds", "cost_matrix", "target"} & set(params)
    with pytest.raises(TypeError, match=rf"^`{name}` accepts numbers; .*'a'\.$"):
        fit_with(**params)


def test_prefit_that_is_not_fitted_raises():
    with pytest.raises(
        NotFittedError,
        match=r"^`estimator` must be fitted where cv='prefit' or where it is frozen; "
        r"this MaskedMultiOutputClassifier is not\.$",
    ):
        fit_with(cv="prefit")


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_unfitted_raises(method):
    with pytest.raises(NotFittedError):
        clf = MaskedTunedThresholdClassifierCV(separate())
        getattr(clf, method)(np.zeros((3, 1)))


# scikit-learn's checks

HALF = (
    "Thresholds other than one half are what the tuner is for; scikit-learn expects "
    "check_classifiers_train to fail of its own tuner."
)
ONE_COLUMN = "A 2-D y of one column is a label matrix here, never a 1-D y."


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (
            LogisticRegression(),
            {"check_classifiers_train": HALF, "check_supervised_y_2d": ONE_COLUMN},
        ),
        (
            separate(),
            {"check_classifiers_train": HALF, "check_classifier_multioutput": HALF},
        ),
    ],
    ids=["binary", "matrix"],
)
def test_scikit_learn_checks(estimator, expected):
    clf = MaskedTunedThresholdClassifierCV(estimator, cv=3)
    with warnings.catch_warnings():
        # The checks fit degenerate data on purpose; each warning has its own test.
        warnings.simplefilter("ignore")
        results = check_estimator(clf, on_fail=None, on_skip=None)
    assert len(results) > 60
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == set(expected)


def test_scikit_learn_checks_at_one_half():
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=3, thresholds=[0.5 + 1e-9])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(clf, on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


def test_torch_is_not_loaded():
    code = (
        "import sys, sklearn_masked.calibration, sklearn_masked.thresholds; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False")


def test_balanced_accuracy_of_the_decisions_is_not_worse_than_at_one_half():
    X, Y = make_data(n=2000)
    clf = MaskedTunedThresholdClassifierCV(separate(), cv=3).fit(X[:1000], Y[:1000])
    tuned, plain = clf.predict(X[1000:]), clf.estimator_.predict(X[1000:])
    for label in range(3):
        truth = Y[1000:, label]
        assert balanced_accuracy_score(truth, tuned[:, label]) > (
            balanced_accuracy_score(truth, plain[:, label]) + 0.02
        )
