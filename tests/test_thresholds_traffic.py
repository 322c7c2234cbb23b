"""Promises in traffic: the tests behind them, by enumeration and by other means."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from builders import Given
from scipy.stats import beta, binom, nbinom
from sklearn.base import clone

from sklearn_masked.exceptions import FallbackThresholdWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV
from sklearn_masked.thresholds._constraints import p_value
from sklearn_masked.thresholds._curves import Share
from sklearn_masked.thresholds._prevalence import read_traffic


def tune(X, Y, **params):
    params = {"scoring": "recall_at_precision", "target": 0.8} | params
    clf = MaskedTunedThresholdClassifierCV(Given(), cv="prefit", **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackThresholdWarning)
        return clf.fit(X, Y)


def draw(seed, n_positive=300, n_negative=900, separation=(2.5, 3.0, 3.5)):
    rng = np.random.default_rng(seed)
    Y = np.repeat([1.0, 0.0], [n_positive, n_negative])
    Y = np.repeat(Y[:, None], len(separation), axis=1)
    return rng.normal(size=Y.shape) + Y * separation, Y


def shares(hits, misses, prevalence, n_positive, n_negative):
    """Return precision in traffic for counts of cells that pass."""
    hits, misses = np.broadcast_arrays(np.asarray(hits, float), misses)
    odds = prevalence.odds(n_positive, n_negative)
    return Share(hits, hits, misses * 1.0, misses * 1.0, np.ones(hits.shape), odds)


SIZES = [(10, 50), (40, 1000), (200, 2000)]


@pytest.mark.parametrize(("n_positive", "n_negative"), SIZES)
@pytest.mark.parametrize("prevalence", [0.01, 0.05, 0.3])
def test_size_of_the_test_is_at_most_its_level(n_positive, n_negative, prevalence):
    """Enumerated over both binomials, at the edge of the hypothesis."""
    labels = MaskedLabels.from_dense(np.eye(1))
    (known,) = read_traffic(prevalence, labels).prevalences
    for target in (0.5, 0.8, 0.95):
        rates = prevalence * (1 - target) / ((1 - prevalence) * target)
        for recall in (0.05, 0.3, 0.8, 1.0):
            hits = np.arange(n_positive + 1)
            most = int(binom.ppf(1 - 1e-9, n_negative, rates * recall)) + 1
            misses = np.arange(most + 1)
            share = shares(hits[:, None], misses, known, n_positive, n_negative)
            chance = binom.pmf(hits, n_positive, recall)[:, None] * binom.pmf(
                misses, n_negative, rates * recall
            )
            found = p_value(share, target)
            for level in (0.2, 0.05, 0.025, 0.001):
                assert chance[found <= level].sum() <= level


@pytest.mark.parametrize("n_audited", [50, 400])
@pytest.mark.parametrize("prevalence", [0.05, 0.3])
def test_size_of_the_test_with_an_audit_is_at_most_its_level(prevalence, n_audited):
    """Enumerated over the audit too; one draw in a million is left out of each."""
    n_positive, n_negative, target = 30, 300, 0.8
    rate = prevalence * (1 - target) / ((1 - prevalence) * target)
    labels = MaskedLabels.from_dense(np.eye(1))
    for recall in (0.3, 0.9):
        hits, misses, found = (
            np.arange(*binom.ppf([1e-6, 1 - 1e-6], n, p).astype(int) + [0, 1])
            for n, p in (
                (n_positive, recall),
                (n_negative, rate * recall),
                (n_audited, prevalence),
            )
        )
        chance = binom.pmf(hits, n_positive, recall)[:, None] * binom.pmf(
            misses, n_negative, rate * recall
        )
        sizes = dict.fromkeys((0.2, 0.05, 0.01), 0.0)
        for n_found in found[found > 0]:
            audit = np.r_[np.ones(n_found), np.zeros(n_audited - n_found)][:, None]
            (known,) = read_traffic(audit, labels).prevalences
            share = shares(hits[:, None], misses, known, n_positive, n_negative)
            chances = p_value(share, target)
            for level in sizes:
                rejected = chance[chances <= level].sum()
                sizes[level] += rejected * binom.pmf(n_found, n_audited, prevalence)
        for level, size in sizes.items():
            assert size <= level


def test_p_value_is_the_chance_to_see_so_few_negatives_before_the_positives():
    labels = MaskedLabels.from_dense(np.eye(1))
    (known,) = read_traffic(0.1, labels).prevalences
    found = p_value(shares([7], [2], known, 20, 80), 0.6)
    ratio = 0.1 * 0.4 / (0.9 * 0.6)  # false over true positive rate at the target
    positive = 20 / (20 + 80 * ratio)
    assert found[0] == pytest.approx(nbinom.cdf(2, 7, positive))


def test_p_value_of_an_audit_averages_over_its_prevalence():
    labels = MaskedLabels.from_dense(np.eye(1))
    audit = np.r_[np.ones(30), np.zeros(170)][:, None]
    (known,) = read_traffic(audit, labels).prevalences
    found = p_value(shares([40], [3], known, 60, 200), 0.7)[0]
    draws = beta.rvs(30, 171, size=40_000, random_state=0)
    ratio = draws * 0.3 / ((1 - draws) * 0.7)
    want = nbinom.cdf(3, 40, 60 / (60 + 200 * ratio)).mean()
    assert want < found < 1.15 * want + 1e-4  # each part at its worst end


def test_p_value_of_an_audit_reaches_the_levels_of_a_thousand_labels():
    labels = MaskedLabels.from_dense(np.eye(1))
    audit = np.r_[np.ones(200), np.zeros(200)][:, None]
    (known,) = read_traffic(audit, labels).prevalences
    assert p_value(shares([5000], [0], known, 5000, 5000), 0.8)[0] < 1e-7


def walk(scores, y, target, prevalence, alpha=0.05):
    """Return the threshold by walking down the scores, as the docs tell it."""
    order = np.argsort(-scores)
    y, n_positive = y[order], int(y.sum())
    n_negative = len(y) - n_positive
    ratio = prevalence * (1 - target) / ((1 - prevalence) * target)
    positive = n_positive / (n_positive + n_negative * ratio)
    best = np.minimum(np.arange(1, len(y) + 1), n_positive)
    could = binom.sf(best - 1, np.arange(1, len(y) + 1), positive) <= alpha / 2
    if not could.any():
        return np.inf
    first, last = np.flatnonzero(could)[[0, -1]] + 1
    sizes, size = [], float(first)
    while True:
        sizes.append(int(np.ceil(min(size, last) - 1e-9)))
        if size >= last:
            break
        size *= 1.05
    sizes = sorted(set(sizes))
    start = np.zeros(len(sizes))
    for third, share in enumerate((alpha / 2, alpha / 4, alpha / 4)):
        start[int(third * len(sizes) / 3)] += share
    chosen, carried = np.inf, 0.0
    for size, share in zip(sizes, start, strict=True):
        level = share + carried
        passed = level > 0 and binom.sf(y[:size].sum() - 1, size, positive) <= level
        carried = level if passed else 0.0
        chosen = scores[order[size - 1]] if passed else chosen
    return chosen


@pytest.mark.parametrize("prevalence", [0.05, 0.15, 0.25, 0.6])
def test_precision_in_traffic_is_promised_by_fixed_sequence_tests(prevalence):
    X, Y = draw(1)
    clf = tune(X, Y, target_prevalence=prevalence)
    want = [walk(X[:, label], Y[:, label], 0.8, prevalence) for label in range(3)]
    assert clf.thresholds_.tolist() == want
    assert np.isfinite(want).any()


def test_report_is_that_of_traffic():
    X, Y = draw(0)
    clf = tune(X, Y, target_prevalence=[0.1, np.nan, 0.25])
    report = clf.report_
    np.testing.assert_allclose(report["prevalence"], [0.1, 0.25, 0.25])
    for label, share in enumerate([0.1, 0.25, 0.25]):
        passed = X[:, label] >= clf.thresholds_[label]
        recall, false = passed[Y[:, label] == 1].mean(), passed[Y[:, label] == 0].mean()
        want = share * recall / (share * recall + (1 - share) * false)
        assert report["precision"][label] == pytest.approx(want)
        assert report["recall"][label] == pytest.approx(recall)
        assert 0.8 <= report["precision_low"][label] + 1e-12 < want


def test_the_prevalence_of_the_cells_changes_no_objective():
    X, Y = draw(0)
    for scoring in ("f1", "balanced_accuracy"):
        given = {"scoring": scoring, "target": None}
        plain = tune(X, Y, **given)
        same = tune(X, Y, target_prevalence=0.25, **given)
        np.testing.assert_array_equal(same.thresholds_, plain.thresholds_)
        np.testing.assert_allclose(same.best_scores_, plain.best_scores_)
    moved = tune(X, Y, target_prevalence=0.02, scoring="f1", target=None)
    plain = tune(X, Y, scoring="f1", target=None)
    assert (moved.thresholds_ > plain.thresholds_).all()


def test_f1_in_traffic_equals_that_of_repeated_negatives():
    X, Y = draw(0)
    repeated = np.r_[np.arange(300), np.tile(np.arange(300, 1200), 19)]  # 57 to 1
    prevalence = 300 / len(repeated)
    given = {"scoring": "f1", "target": None}
    want = tune(X[repeated], Y[repeated], **given)
    got = tune(X, Y, target_prevalence=prevalence, **given)
    np.testing.assert_allclose(got.thresholds_, want.thresholds_)
    np.testing.assert_allclose(got.best_scores_, want.best_scores_)


def test_the_form_of_an_audit_and_junk_change_nothing():
    X, Y = draw(2)
    rng = np.random.default_rng(0)
    audit = (rng.random((900, 3)) < 0.15).astype(float)
    audit[rng.random(audit.shape) < 0.5] = np.nan
    unlabeled = np.isnan(audit)
    want = tune(X, Y, target_prevalence=audit)
    assert np.isfinite(want.thresholds_).any()
    forms = [
        MaskedLabels.from_dense(audit),
        np.where(unlabeled, -1, audit).astype(int),
        np.ma.array(np.where(unlabeled, 1, audit), mask=unlabeled),
        np.ma.array(np.where(unlabeled, 0, audit), mask=unlabeled),
        sp.csr_array(np.where(unlabeled, -1, audit)),
        pd.DataFrame(audit),
        MaskedLabels.from_dense(audit, weights=np.full(audit.shape, 7.0)),
        MaskedLabels.from_dense(np.r_[audit, np.full((5, 3), np.nan)]),
    ]
    for form in forms:
        got = tune(X, Y, target_prevalence=form)
        np.testing.assert_allclose(got.thresholds_, want.thresholds_)
        low = got.report_["precision_low"]
        np.testing.assert_allclose(low, want.report_["precision_low"], rtol=1e-6)
    assert clone(got).get_params()["target_prevalence"] is not None


def test_a_label_without_audited_positives_gets_no_promise():
    X, Y = draw(0)
    audit = (np.random.default_rng(0).random((800, 3)) < 0.2).astype(float)
    audit[:, 0], audit[:, 1] = 0, np.nan
    clf = tune(X, Y, target_prevalence=audit)
    reasons = ["no audited positive"] * 2 + ["tuned"]
    assert clf.report_["reason"].tolist() == reasons
    assert clf.thresholds_[:2].tolist() == [np.inf, np.inf]
    # What is no promise of precision takes the prevalence of all labels.
    clf = tune(X, Y, target_prevalence=audit, scoring="f1", target=None)
    assert clf.report_["reason"].tolist() == ["tuned"] * 3
    clf = tune(X, Y, target_prevalence=audit, scoring="precision_at_recall")
    assert clf.report_["reason"].tolist() == ["tuned"] * 3


def test_a_larger_audit_promises_more():
    X, Y = draw(0, separation=(3.0,))
    found = []
    for n_audited in (200, 1000, 20_000):
        audit = np.arange(n_audited)[:, None] % 10 == 0
        found.append(tune(X, Y, target_prevalence=audit.astype(int)).thresholds_[0])
    known = tune(X, Y, target_prevalence=0.1).thresholds_[0]
    assert found[0] > found[1] > found[2] >= known


def test_recall_is_promised_whatever_the_prevalence():
    X, Y = draw(0)
    given = {"scoring": "precision_at_recall"}
    plain, moved = tune(X, Y, **given), tune(X, Y, target_prevalence=0.02, **given)
    np.testing.assert_array_equal(moved.thresholds_, plain.thresholds_)
    assert (moved.report_["precision"] < plain.report_["precision"]).all()


def test_pooled_fallback_is_that_of_traffic():
    X, Y = draw(0)
    Y[5:300, 0] = np.nan
    given = {"fallback": "pooled", "min_positive": 20}
    plain, moved = tune(X, Y, **given), tune(X, Y, target_prevalence=0.05, **given)
    assert plain.report_["reason"][0] == "few cells"
    assert np.isfinite(plain.thresholds_[0])
    assert moved.thresholds_[0] > plain.thresholds_[0]


def test_confidence_over_the_family_counts_labels_that_are_tested():
    X, Y = draw(0)
    Y[5:300, 0] = np.nan
    given = {"min_positive": 20, "target": {1: 0.8, 2: 0.8}}
    family = tune(X, Y, confidence_over="family", **given)
    each = tune(X, Y, confidence=0.975, **given)
    np.testing.assert_array_equal(family.thresholds_, each.thresholds_)


def test_folds_are_reweighed_each():
    X, Y = draw(0)
    fold = np.arange(1200) % 3
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3)]
    clf = MaskedTunedThresholdClassifierCV(
        Given(), scoring="f1", target_prevalence=0.05, cv=splits, thresholds=[2.0]
    ).fit(X, Y)
    for label in range(3):
        parts = []
        for _, rows in splits:
            passed, truth = X[rows, label] >= 2, Y[rows, label] == 1
            tp, fp = 0.05 * passed[truth].mean(), 0.95 * passed[~truth].mean()
            parts.append(2 * tp / (0.05 + tp + fp))
        assert clf.best_scores_[label] == pytest.approx(np.mean(parts))
