"""From sought cells to traffic: prior shifts, prevalences and propensities."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from sklearn_masked.calibration import (
    MaskedCalibratedClassifierCV,
    estimate_prevalence,
    expected_calibration_error,
    inverse_propensity_weights,
)
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_brier_score_loss,
    masked_log_loss,
    masked_precision_score,
    masked_roc_auc_score,
)
from sklearn_masked.multioutput import MaskedMultiOutputClassifier


def make_traffic(n=3000, n_labels=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_labels))
    logits = 2 * X - np.linspace(1.5, 3, n_labels)
    return X, (rng.random(logits.shape) < expit(logits)).astype(float)


def seek(Y, seed=0, of_negatives=0.1):
    """Keep all positive cells, and a tenth of the negative ones."""
    rng = np.random.default_rng(seed)
    return np.where((Y == 1) | (rng.random(Y.shape) < of_negatives), Y, np.nan)


def separate():
    return MaskedMultiOutputClassifier(LogisticRegression())


def fitted(n=3000, seed=0, **params):
    X, Y = make_traffic(n, seed=seed)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False, **params)
    return clf.fit(X, seek(Y)), X, Y


# Known prevalences


@pytest.mark.parametrize("ensemble", [True, False])
def test_target_prevalence_changes_the_odds_as_saerens_et_al_have_it(ensemble):
    X, Y = make_traffic(1000)
    sought = seek(Y)
    target = np.array([0.2, 0.1, 0.05, 0.4])
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=ensemble)
    before = clf.fit(X, sought).predict_proba(X)
    after = clf.set_params(target_prevalence=target).fit(X, sought).predict_proba(X)
    share = np.nanmean(sought, axis=0)
    np.testing.assert_allclose(clf.cell_prevalence_, share)
    positive = target / share * before
    negative = (1 - target) / (1 - share) * (1 - before)
    np.testing.assert_allclose(after, positive / (positive + negative), rtol=1e-9)
    np.testing.assert_allclose(clf.prior_shift_, logit(target) - logit(share))


def test_true_prevalences_make_probabilities_of_sought_cells_true():
    clf, X, Y = fitted(target_prevalence=make_traffic()[1].mean(axis=0))
    raw = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False)
    raw.fit(X, seek(Y))
    X_new, Y_new = make_traffic(20_000, seed=1)
    before = expected_calibration_error(Y_new, raw.predict_proba(X_new))
    after = expected_calibration_error(Y_new, clf.predict_proba(X_new))
    assert after < before / 5
    assert masked_log_loss(Y_new, clf.predict_proba(X_new)) < 0.75 * masked_log_loss(
        Y_new, raw.predict_proba(X_new)
    )


def test_target_prevalence_by_names_scalar_and_nan():
    X, Y = make_traffic(600)
    names = ["war", "crime", "sport", "fire"]
    labels = MaskedLabels.from_dense(seek(Y), label_names=names)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3)

    def shift(target, y=labels):
        return clf.set_params(target_prevalence=target).fit(X, y).prior_shift_

    by_name = shift({"sport": 0.1, "war": 0.2})
    by_label = shift([0.2, np.nan, 0.1, np.nan])
    np.testing.assert_array_equal(by_name, by_label)
    assert by_name[[1, 3]].tolist() == [0, 0]
    assert (by_name[[0, 2]] != 0).all()
    np.testing.assert_array_equal(shift(0.1), shift([0.1] * 4))
    unnamed = shift({2: 0.1, 0: 0.2}, MaskedLabels.from_dense(seek(Y)))
    np.testing.assert_array_equal(unnamed, by_name)


def test_target_prevalence_of_a_one_dimensional_y():
    X, Y = make_traffic(600)
    y = np.where(Y[:, 0] == 1, "yes", "no")
    clf = MaskedCalibratedClassifierCV(LogisticRegression(), cv=3)
    before = clf.fit(X, y).predict_proba(X)
    after = clf.set_params(target_prevalence=0.01).fit(X, y).predict_proba(X)
    share = (y == "yes").mean()
    want = expit(logit(before[:, 1]) + logit(0.01) - logit(share))
    np.testing.assert_allclose(after[:, 1], want, rtol=1e-9)
    np.testing.assert_allclose(after.sum(axis=1), 1)
    assert (clf.predict(X) == "yes").sum() < (before[:, 1] > 0.5).sum()


def test_probabilities_of_zero_and_one_stay():
    X, Y = make_traffic(600)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, method="isotonic")
    before = clf.fit(X, seek(Y)).predict_proba(X)
    after = clf.set_params(target_prevalence=0.1).fit(X, seek(Y)).predict_proba(X)
    assert (before == 0).any()
    np.testing.assert_array_equal(after[before == 0], 0)
    np.testing.assert_array_equal(after[before == 1], 1)


def test_label_of_one_side_has_a_finite_shift():
    X, Y = make_traffic(600)
    sought = seek(Y)
    sought[sought[:, 1] == 0, 1] = np.nan
    clf = MaskedCalibratedClassifierCV(separate(), cv=2, target_prevalence=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(X, sought)
    assert np.isfinite(clf.prior_shift_).all()
    n_positive, pooled = np.nansum(sought[:, 1]), np.nanmean(sought)
    want = (n_positive + pooled) / (n_positive + 1)
    assert clf.cell_prevalence_[1] == pytest.approx(want)


# Audits


def draw(Y, n_cells, seed=0):
    """Return rows, and labels of cells drawn at random, one per row."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(Y), n_cells, replace=False)
    audit = np.full((n_cells, Y.shape[1]), np.nan)
    cols = rng.integers(Y.shape[1], size=n_cells)
    audit[np.arange(n_cells), cols] = Y[rows, cols]
    return rows, audit


def most_likely_shift(proba, y):
    """Return the shift of the logits that makes y most likely, by line search."""

    def loss(shift):
        return np.logaddexp(0, np.where(y == 1, -1, 1) * (logit(proba) + shift)).sum()

    return minimize_scalar(loss, bounds=(-20, 20), method="bounded").x


def test_large_audit_gives_each_label_its_most_likely_shift():
    clf, *_ = fitted()
    X, Y = make_traffic(20_000, seed=1)
    before = clf.predict_proba(X)
    assert clf.correct_prior(X, Y) is clf
    want = [most_likely_shift(before[:, k], Y[:, k]) for k in range(4)]
    np.testing.assert_allclose(clf.prior_shift_, want, atol=0.01)
    np.testing.assert_allclose(clf.prior_shift_, np.log(0.1), atol=0.3)
    assert clf.prior_shift_std_.shape == (4,)
    assert (clf.prior_shift_std_ < 0.1).all()
    after = expit(logit(before) + clf.prior_shift_)
    np.testing.assert_allclose(clf.predict_proba(X), after)


def test_audit_of_few_cells_makes_probabilities_true():
    clf, _, Y = fitted()
    X_new, Y_new = make_traffic(20_000, seed=1)
    before = expected_calibration_error(Y_new, clf.predict_proba(X_new))
    errors = []
    for seed in range(10):
        X, Y = make_traffic(5000, seed=2)
        rows, audit = draw(Y, 300, seed)
        clf.correct_prior(X[rows], audit)
        errors.append(expected_calibration_error(Y_new, clf.predict_proba(X_new)))
    assert np.mean(errors) < before / 4


def test_shifts_of_labels_with_few_audited_cells_are_drawn_together():
    """Nearer to the truth than each label's own, on average."""
    clf, *_ = fitted()
    own_error, shrunken_error = [], []
    for seed in range(30):
        X, Y = make_traffic(5000, seed=100 + seed)
        rows, audit = draw(Y, 120, seed)
        raw = fitted_shift_free(clf, X[rows])
        clf.correct_prior(X[rows], audit)
        for label in range(4):
            cells = ~np.isnan(audit[:, label])
            if 0 < np.nansum(audit[:, label]) < cells.sum():
                own = most_likely_shift(raw[cells, label], audit[cells, label])
                own_error.append(abs(own - np.log(0.1)))
                shrunken_error.append(abs(clf.prior_shift_[label] - np.log(0.1)))
    assert np.mean(shrunken_error) < 0.8 * np.mean(own_error)


def fitted_shift_free(clf, X):
    """Return the probabilities before the shift."""
    return expit(logit(clf.predict_proba(X)) - clf.prior_shift_)


def test_label_without_audited_cells_gets_the_mean_shift():
    clf, *_ = fitted()
    X, Y = make_traffic(2000, seed=1)
    Y[:, 2] = np.nan
    clf.correct_prior(X, Y)
    others = clf.prior_shift_[[0, 1, 3]]
    assert clf.prior_shift_[2] == pytest.approx(others.mean(), abs=0.05)
    assert clf.prior_shift_std_[2] > clf.prior_shift_std_[0]


def test_a_further_audit_starts_anew_and_fit_forgets():
    clf, X_train, Y_train = fitted()
    X, Y = make_traffic(1000, seed=1)
    first = clf.correct_prior(X, Y).prior_shift_
    again = clf.correct_prior(X, Y).prior_shift_
    np.testing.assert_allclose(again, first, rtol=1e-9)
    clf.fit(X_train, seek(Y_train))
    np.testing.assert_array_equal(clf.prior_shift_, 0)
    assert not hasattr(clf, "prior_shift_std_")


def test_form_and_junk_of_audit_change_nothing():
    clf, *_ = fitted()
    X, Y = make_traffic(1000, seed=1)
    rows, audit = draw(Y, 300)
    want = clf.correct_prior(X[rows], audit).prior_shift_
    unlabeled = np.isnan(audit)
    for form in (
        np.where(unlabeled, -1, audit).astype(int),
        np.ma.array(np.where(unlabeled, 1, audit), mask=unlabeled),
        MaskedLabels.from_dense(audit),
    ):
        np.testing.assert_array_equal(
            clf.correct_prior(X[rows], form).prior_shift_, want
        )
    # Rows without an audited cell are of no account.
    X_more, blank = np.vstack([X[rows], X]), np.full(Y.shape, np.nan)
    got = clf.correct_prior(X_more, np.vstack([audit, blank])).prior_shift_
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_weights_of_an_audit_have_no_scale_and_undo_its_design():
    clf, *_ = fitted()
    X, Y = make_traffic(20_000, seed=1)
    rows, audit = draw(Y, 500)
    want = clf.correct_prior(X[rows], audit).prior_shift_
    weight = np.full(500, 40.0)
    got = clf.correct_prior(X[rows], audit, sample_weight=weight).prior_shift_
    np.testing.assert_allclose(got, want)
    # An audit that took all positives and a tenth of the negatives, and says so.
    chosen = seek(Y, seed=3)
    chance = np.where(Y == 1, 1.0, 0.1)
    labels = inverse_propensity_weights(chosen, chance)
    weighted = clf.correct_prior(X, labels).prior_shift_
    plain = clf.correct_prior(X, chosen).prior_shift_
    np.testing.assert_allclose(weighted, np.log(0.1), atol=0.3)
    np.testing.assert_allclose(plain, 0, atol=0.3)


def test_audit_of_a_one_dimensional_y():
    X, Y = make_traffic(3000)
    sought = seek(Y)[:, 0]
    clf = MaskedCalibratedClassifierCV(LogisticRegression(), cv=3).fit(X, sought)
    X_new, Y_new = make_traffic(5000, seed=1)
    clf.correct_prior(X_new, Y_new[:, 0])
    np.testing.assert_allclose(clf.prior_shift_, np.log(0.1), atol=0.3)
    assert clf.predict_proba(X_new).shape == (5000, 2)


def test_isotonic_cells_of_zero_and_one_tell_nothing():
    clf, *_ = fitted(method="isotonic")
    X, Y = make_traffic(5000, seed=1)
    want = clf.correct_prior(X, Y).prior_shift_
    np.testing.assert_allclose(want, np.log(0.1), atol=0.6)
    # Rows that the model is certain of, and wrong: no shift would mend that.
    certain = np.full((300, 4), -50.0)
    assert (clf.predict_proba(certain) == 0).all()
    clf.correct_prior(np.vstack([X, certain]), np.vstack([Y, np.ones((300, 4))]))
    np.testing.assert_allclose(clf.prior_shift_, want, atol=1e-6)


AUDIT_ERRORS = {
    "one side": (
        np.zeros((5, 4)),
        r"^`y` of an audit must hold positive and negative cells of a weight above "
        r"zero; got negative ones alone\. Audit more cells, drawn at random\.$",
    ),
    "no cell": (
        np.full((5, 4), np.nan),
        r"^`y` of an audit must hold .*; got no labeled cell\. ",
    ),
    "labels": (np.zeros((5, 2)), r"^`y` must have the 4 labels that the model was "),
    "rows": (np.zeros((6, 4)), r"^`X` and `y` must have the same number of rows "),
}


@pytest.mark.parametrize("case", AUDIT_ERRORS)
def test_audits_that_cannot_be_used_raise(case):
    clf, *_ = fitted(600)
    y, message = AUDIT_ERRORS[case]
    with pytest.raises(ValueError, match=message):
        clf.correct_prior(np.zeros((5, 4)), y)
    np.testing.assert_array_equal(clf.prior_shift_, 0)


def test_audit_before_fit_raises():
    with pytest.raises(NotFittedError):
        MaskedCalibratedClassifierCV().correct_prior(np.zeros((2, 1)), [[0], [1]])


# Prevalences


def test_prevalences_of_large_audits_are_the_shares():
    _, Y = make_traffic(20_000)
    np.testing.assert_allclose(estimate_prevalence(Y), Y.mean(axis=0), rtol=0.01)


def test_prevalences_of_small_audits_are_nearer_to_the_truth_than_shares():
    rng = np.random.default_rng(0)
    own, drawn = [], []
    for _ in range(40):
        truth = rng.beta(2, 30, size=28)
        n_cells = np.full(28, 18)
        hits = rng.binomial(n_cells, truth)
        audit = np.full((18, 28), 0.0)
        for label, count in enumerate(hits):
            audit[:count, label] = 1
        got = estimate_prevalence(audit)
        assert ((got > 0) & (got < 1)).all()
        own.append(np.abs(hits / n_cells - truth).mean())
        drawn.append(np.abs(got - truth).mean())
    assert np.mean(drawn) < 0.75 * np.mean(own)


def test_label_without_audited_cells_has_the_pooled_prevalence():
    audit = np.full((40, 3), np.nan)
    audit[:, 0], audit[:, 1] = np.arange(40) < 8, np.arange(40) < 2
    got = estimate_prevalence(audit)
    assert got[2] == pytest.approx(10 / 80)
    assert got[1] < got[2] < got[0]


def test_weights_of_prevalences_have_no_scale_and_undo_the_design():
    _, Y = make_traffic(20_000)
    chosen = seek(Y)
    chance = np.where(Y == 1, 1.0, 0.1)
    labels = inverse_propensity_weights(chosen, chance)
    np.testing.assert_allclose(estimate_prevalence(labels), Y.mean(axis=0), rtol=0.1)
    want = estimate_prevalence(chosen)
    got = estimate_prevalence(chosen, sample_weight=np.full(len(Y), 3.0))
    np.testing.assert_allclose(got, want)
    with pytest.raises(ValueError, match=r"got positive ones alone\. Audit more cells"):
        estimate_prevalence([[1, np.nan], [1, 1]])


# Propensities


def chosen_by_score(seed, n=6000):
    """Return full labels, scores, chosen cells and their propensities.

    The annotators look at what the model is sure of: more at high scores.
    """
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 2))
    Y = (rng.random(scores.shape) < expit(1.5 * scores - 1)).astype(float)
    chance = np.clip(expit(2 * scores), 0.05, 1)
    chosen = np.where(rng.random(scores.shape) < chance, Y, np.nan)
    return Y, scores, chosen, chance


METRICS = {
    "auc": masked_roc_auc_score,
    "average precision": masked_average_precision_score,
    "precision": lambda y, s: masked_precision_score(y, (s > 0.5).astype(int)),
    "log loss": lambda y, s: masked_log_loss(y, expit(s)),
    "brier": lambda y, s: masked_brier_score_loss(y, expit(s)),
    "calibration": lambda y, s: expected_calibration_error(y, expit(s)),
}


@pytest.mark.parametrize("metric", METRICS)
def test_weighted_metric_is_unbiased_where_the_plain_one_is_not(metric):
    score = METRICS[metric]
    plain, weighted = [], []
    for seed in range(20):
        Y, scores, chosen, chance = chosen_by_score(seed)
        truth = score(Y, scores)
        plain.append(score(chosen, scores) - truth)
        labels = inverse_propensity_weights(chosen, chance)
        weighted.append(score(labels, scores) - truth)
    error = np.std(weighted) / np.sqrt(len(weighted))
    assert abs(np.mean(plain)) > 5 * np.std(plain) / np.sqrt(len(plain))
    assert abs(np.mean(weighted)) < 3 * error + 0.002
    assert abs(np.mean(weighted)) < abs(np.mean(plain))


def test_weighted_cells_calibrate_for_traffic():
    X, Y = make_traffic(6000)
    labels = inverse_propensity_weights(seek(Y), np.where(Y == 1, 1.0, 0.1))
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False)
    X_new, Y_new = make_traffic(20_000, seed=1)
    plain = clf.fit(X, labels.without_weights()).predict_proba(X_new)
    weighted = clf.fit(X, labels).predict_proba(X_new)
    assert expected_calibration_error(Y_new, weighted) < 0.02
    assert expected_calibration_error(Y_new, plain) > 0.15


def test_choice_by_truth_alone_does_not_bias_auc_within_a_label():
    X, Y = make_traffic(40_000)
    truth = masked_roc_auc_score(Y, X)
    assert masked_roc_auc_score(seek(Y), X) == pytest.approx(truth, abs=0.005)
    # Precision, of course, it does bias.
    decisions = (X > 0.5).astype(int)
    of_sought = masked_precision_score(seek(Y), decisions)
    assert of_sought > masked_precision_score(Y, decisions) + 0.2


def test_weights_are_the_inverse_and_multiply_those_there():
    y = np.array([[1, np.nan], [np.nan, 0], [0, 1]])
    chance = np.array([[0.5, np.nan], [-3, 0.25], [1, 0.1]])
    got = inverse_propensity_weights(y, chance)
    np.testing.assert_allclose(got.weights, [2, 4, 1, 10])
    np.testing.assert_array_equal(got.to_dense(), y)
    by_cell = inverse_propensity_weights(y, [0.5, 0.25, 1, 0.1])
    assert by_cell == got
    stored = sp.csr_array(np.nan_to_num(chance))
    assert inverse_propensity_weights(y, stored) == got
    clipped = inverse_propensity_weights(y, chance, clip=0.5)
    np.testing.assert_allclose(clipped.weights, [2, 2, 1, 2])
    labels = MaskedLabels.from_dense(
        y, weights=np.full(y.shape, 3.0), label_names=["war", "crime"]
    )
    twice = inverse_propensity_weights(labels, chance)
    np.testing.assert_allclose(twice.weights, [6, 12, 3, 30])
    assert twice.label_names.tolist() == ["war", "crime"]
    sparse = sp.csr_array(np.where(np.isnan(y), -1, y))
    negative = MaskedLabels.from_sparse(sparse, implicit="negative")
    assert inverse_propensity_weights(negative, chance) == got


PROPENSITY_ERRORS = {
    "zero": (
        {"propensities": [[1, 1], [1, 0.0]]},
        r"^`propensities` accepts probabilities above 0 and up to 1 in labeled cells; "
        r"got 0\.0 at sample 1, label 1\.$",
    ),
    "NaN": (
        {"propensities": [[1, 1], [1, np.nan]]},
        r"^`propensities` accepts probabilities above 0 and up to 1 in labeled cells; "
        r"got nan at ",
    ),
    "above one": (
        {"propensities": [[1.5, 1], [1, 1]]},
        r"^`propensities` accepts probabilities above 0 and up to 1 in labeled cells; "
        r"got 1\.5 at ",
    ),
    "shape": (
        {"propensities": [1, 1, 1]},
        r"^`propensities` accepts shape \(2, 2\), as `y` has, or one value for each of "
        r"its 2 labeled cells, row by row; got shape \(3,\)\.$",
    ),
    "clip": (
        {"propensities": [1, 1], "clip": 0},
        r"^`clip` accepts a probability above 0, up to 1, or None; got 0\.$",
    ),
}


@pytest.mark.parametrize("case", PROPENSITY_ERRORS)
def test_propensities_that_cannot_be_used_raise(case):
    params, message = PROPENSITY_ERRORS[case]
    with pytest.raises(ValueError, match=message):
        inverse_propensity_weights([[1, np.nan], [np.nan, 0]], **params)


def test_propensities_that_cannot_be_used_name_the_label():
    labels = MaskedLabels.from_dense([[1, np.nan]], label_names=["war", "crime"])
    with pytest.raises(ValueError, match=r"got 2\.0 at sample 0, label 'war'\.$"):
        inverse_propensity_weights(labels, [2.0])


def test_propensities_that_are_no_numbers_raise():
    with pytest.raises(
        TypeError,
        match=r"^`propensities` accepts numbers; got an array of dtype <U4\.$",
    ):
        inverse_propensity_weights([[1, np.nan], [np.nan, 0]], ["half", "all"])
    for shape in (2, (2, 2)):
        chances = np.full(shape, "half", dtype=object)
        with pytest.raises(TypeError, match="^`propensities` accepts numbers; .*half"):
            inverse_propensity_weights([[1, np.nan], [np.nan, 0]], chances)
