"""Features that describe labels: scores, what is learned of them, and no cell."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

import sklearn_masked.classifier._fit as training
from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.classifier._label_prior import (
    PRIOR,
    fit_coefficients,
    solve_intercepts,
)
from sklearn_masked.classifier._label_scores import LabelScores
from sklearn_masked.exceptions import AssumedBaseRateWarning, InterruptedFitWarning
from sklearn_masked.metrics import masked_roc_auc_score, masked_roc_auc_scorer

N, M, K = 90, 14, 4
NAN = np.nan


def make_data(seed=0, form="csr", n=N, share=0.4):
    """Return rows in which label j is likely where feature j or j + 4 is there."""
    rng = np.random.default_rng(seed)
    X = rng.random((n, M)) * (rng.random((n, M)) < 0.35)
    X[:, 0] += 0.1  # no row without a feature
    logits = 4 * (X[:, :K] + X[:, K : 2 * K]) - 2
    y = (rng.random((n, K)) < expit(logits)).astype(float)
    y[rng.random((n, K)) > share] = NAN
    features = np.zeros((K, M))
    features[np.arange(K), np.arange(K)] = 1.0
    features[1, 2 * K + 1] = 2.0
    X, features = X.astype(np.float32), features.astype(np.float32)
    if form == "csr":
        return sp.csr_matrix(X), y, sp.csr_matrix(features)
    return X, y, features


def classifier(**params):
    settings = {"max_epochs": 5, "batch_size": 16, "random_state": 0, "device": "cpu"}
    settings |= {"label_correlation": 0, "interactions": 0, "embedding_dim": 5}
    settings |= {"C": 5.0, "shared_weight": 0.3, "idf_power": 0.5}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def margins(clf, X):
    """Return the logits before the output is scaled, less the biases."""
    module = clf.net_.module_
    intercept, slope = module.intercept.numpy(), module.slope.numpy()
    logits = (clf.decision_function(X) - intercept) / slope
    return logits - module.bias.detach().numpy()


def without(features, labels):
    """Return the features with zeros for these labels."""
    array = dense(features).copy()
    array[labels] = 0
    return sp.csr_matrix(array) if sp.issparse(features) else array


def dense(X):
    return X.toarray() if sp.issparse(X) else np.asarray(X)


def slow_scores(module, X, features):
    """Return both standardized scores of each row and label, by loops."""
    X, features = dense(X).astype(float), dense(features).astype(float)
    shift = np.asarray(module.feature_shift) if len(module.feature_shift) else 0.0
    scale = module.feature_scale.numpy().astype(float)
    told = [k for k in range(len(features)) if features[k].any()]
    rows = (X - shift) * scale
    words = {k: (features[k] - shift) * scale for k in told}
    embedded = module.embedding.detach().numpy()[module.embedding_row.numpy()]
    if len(module.feature_std):
        embedded = module.embedding.detach().numpy()[1:]
        z = ((X - shift) / module.feature_std.numpy()) @ embedded
    else:
        z = X @ embedded
    z = z / np.linalg.norm(z, axis=1, keepdims=True)

    def standardized(score):
        if len(told) > 1:
            mean = [np.mean([row[k] for k in told]) for row in score]
            score = [
                {k: row[k] - m for k in told}
                for row, m in zip(score, mean, strict=True)
            ]
        values = np.array([row[k] for row in score for k in told])
        out = np.zeros((len(X), len(features)))
        for i, row in enumerate(score):
            for k in told:
                out[i, k] = (row[k] - values.mean()) / values.std()
        return out

    cosine = [
        {k: row @ words[k] / np.linalg.norm(words[k]) for k in told} for row in rows
    ]
    direct = standardized(cosine)
    feedback = {}
    for k in told:
        total = sum(max(direct[i, k] - 2, 0) * z[i] for i in range(len(X)))
        length = np.linalg.norm(total)
        feedback[k] = total / length if length else total
    shared = standardized(
        [{k: z[i] @ feedback[k] for k in told} for i in range(len(X))]
    )
    return np.stack([direct, shared], axis=2)


# The scores


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("form", ["csr", "array"])
def test_scores_are_those_of_loops(form, blank):
    X, y, features = make_data(form=form)
    if blank:
        features = without(features, 2)
    module = classifier().fit(X, y).net_.module_
    scores = LabelScores(module, X, features)
    rows, labels = (part.ravel() for part in np.indices((N, K)))
    found = scores.of_cells(module, X, rows, labels)
    found -= np.where(scores.is_described[labels][:, None], scores.means, 0)
    expected = slow_scores(module, X, features)[rows, labels]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    if blank:
        assert not found[labels == 2].any()


def test_one_described_label_keeps_the_variation_of_its_score():
    X, y, features = make_data()
    module = classifier().fit(X, y).net_.module_
    features = without(features, [0, 2, 3])
    scores = LabelScores(module, X, features)
    found = scores.of_cells(module, X, np.arange(N), np.ones(N, int)) - scores.means
    expected = slow_scores(module, X, features)[:, 1]
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("form", ["csr", "array"])
def test_weights_hold_the_learned_amount_of_each_score(form, small, monkeypatch):
    if not small:  # pairs of (feature, label), and more of them than cells touch
        monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 0)
    X, y, features = make_data(form=form, share=0.2)
    plain, told = (
        classifier(label_features=each).fit(X, y) for each in (None, features)
    )
    prior = told._label_prior
    rows, labels = (part.ravel() for part in np.indices((N, K)))
    added = prior.scores.of_cells(told.net_.module_, X, rows, labels) @ prior.amounts
    assert (prior.amounts > 0).any()
    np.testing.assert_allclose(
        margins(told, X), margins(plain, X) + added.reshape(N, K), atol=2e-4
    )
    cells = told.decision_function_cells(X, rows, labels)
    np.testing.assert_allclose(cells, told.decision_function(X).ravel(), atol=1e-4)


def test_center_in_few_columns_keeps_scores_and_weights_consistent(monkeypatch):
    monkeypatch.setattr("sklearn_masked.classifier._label_scores._MOST_CENTERED", K)
    X, y, features = make_data()
    plain, told = (
        classifier(label_features=each).fit(X, y) for each in (None, features)
    )
    assert np.count_nonzero(told._label_prior.scores.center) < 5
    test_weights_hold_the_learned_amount_of_each_score("csr", True, monkeypatch)


# How much they count


def log_posterior(line, cells, label):
    """Return the negative log posterior without the scores' prior, and that prior."""
    margin, scores, target, weight = cells
    slope = PRIOR.slope / np.average(margin**2, weights=weight) ** 0.25
    logits = np.exp(line[2]) * margin + scores @ line[:2] + line[3] + line[4:][label]
    rest = weight @ (np.logaddexp(0, logits) - target * logits)
    rest += ((line[2] - np.log(slope)) / PRIOR.slope_log_std) ** 2 / 2
    rest += (line[3] / PRIOR.intercept_std) ** 2 / 2
    rest += ((line[4:] / PRIOR.label_std) ** 2).sum() / 2
    return rest, (((line[:2] - PRIOR.score) / PRIOR.score_std) ** 2).sum() / 2


def probability_right(best, cells, label):
    """Return it by quadrature over both coefficients, the rest by Laplace."""
    step = 1e-3
    shifts = step * np.eye(len(best))

    def rest(line):
        return log_posterior(line, cells, label)[0]

    gradient = [(rest(best + s) - rest(best - s)) / (2 * step) for s in shifts]
    hessian = [
        [
            (rest(best + s + t) - rest(best + s - t))
            - (rest(best - s + t) - rest(best - s - t))
            for t in shifts
        ]
        for s in shifts
    ]
    gradient, hessian = np.array(gradient), np.array(hessian) / (4 * step**2)
    curve = hessian[:2, :2] - hessian[:2, 2:] @ np.linalg.solve(
        hessian[2:, 2:], hessian[2:, :2]
    )
    grid = np.linspace(-3, 4, 401)
    a = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)

    def likelihood(a):
        away = a - best[:2]
        return np.exp(-away @ gradient[:2] - ((away @ curve) * away).sum(-1) / 2)

    density = np.exp(-(((a - PRIOR.score) / PRIOR.score_std) ** 2).sum(1) / 2)
    right = (likelihood(a) * density).sum() / density.sum()
    return 1 / (1 + likelihood(np.zeros(2)) / (PRIOR.odds * right))


@pytest.mark.parametrize("truth", [(0.5, 0.1), (0.0, 0.0), (0.3, -0.5)])
def test_coefficients_are_the_maximum_a_posteriori_if_words_are_right(truth):
    rng = np.random.default_rng(1)
    n = 150
    label = rng.integers(0, K, n)
    margin, scores = 0.2 * rng.normal(size=n), rng.normal(size=(n, 2))
    weight = rng.random(n) + 0.5
    logits = 4 * margin + scores @ truth + label - 2
    target = (rng.random(n) < expit(logits)).astype(float)
    cells = margin, scores, target, weight
    best = minimize(
        lambda line: sum(log_posterior(line, cells, label)),
        np.zeros(4 + K),
        bounds=[(0, None), (0, None), *[(None, None)] * (2 + K)],
        tol=1e-12,
    ).x
    found, coefficients = fit_coefficients(margin, scores, target, label, weight, K)
    np.testing.assert_allclose(found, np.exp(best[2]), rtol=1e-3)
    share = probability_right(best, cells, label)
    np.testing.assert_allclose(coefficients, share * best[:2], atol=2e-3)
    if not any(truth):
        assert share < 0.5
    if truth[1] < 0:  # a score that speaks against itself does not count
        assert coefficients[1] == 0


def test_coefficients_of_no_cell_are_the_prior_means():
    nothing = np.zeros(0)
    slope, coefficients = fit_coefficients(
        nothing, np.zeros((0, 2)), nothing, nothing.astype(int), nothing, K
    )
    assert slope == pytest.approx(PRIOR.most_slope)
    share = PRIOR.odds / (1 + PRIOR.odds)
    np.testing.assert_allclose(coefficients, share * PRIOR.score)


def test_right_words_help_and_words_of_other_labels_fade():
    X, y, features = make_data(n=600, share=0.15)
    X_test, y_test, _ = make_data(seed=1, n=600, share=1.0)

    def fitted(each):
        clf = classifier(label_features=each).fit(X, y)
        return clf, masked_roc_auc_score(y_test, clf.decision_function(X_test))

    plain, right, wrong = (
        fitted(each) for each in (None, features, features[[1, 2, 3, 0]])
    )
    assert right[1] > plain[1] - 0.002
    assert wrong[1] > plain[1] - 0.02
    assert right[0].label_features_coef_.sum() > wrong[0].label_features_coef_.sum()


# What must not change anything


@pytest.mark.parametrize("form", ["csr", "array"])
def test_descriptions_of_zeros_change_nothing(form):
    X, y, features = make_data(form=form)
    plain = classifier().fit(X, y)
    blank = classifier(label_features=features * 0).fit(X, y)
    np.testing.assert_array_equal(
        plain.decision_function(X), blank.decision_function(X)
    )
    assert not hasattr(blank, "label_features_coef_")


def test_permuted_labels_give_a_permuted_model():
    X, y, features = make_data()
    order = np.array([2, 0, 3, 1])
    # One batch, so that labels see the same steps in the same order.
    settings = {"batch_size": -1, "max_epochs": 60}
    one = classifier(label_features=features, **settings).fit(X, y)
    other = classifier(label_features=features[order], **settings).fit(X, y[:, order])
    np.testing.assert_allclose(
        one.decision_function(X)[:, order], other.decision_function(X), atol=2e-3
    )


def test_forms_of_labels_and_features_give_the_same_model():
    X, y, features = make_data()
    expected = classifier(label_features=features).fit(X, y).decision_function(X)
    minus_one = np.where(np.isnan(y), -1, y)
    frame = pd.DataFrame(dense(features), index=list("abcd"))
    named = MaskedLabels.from_dense(y, label_names=list("abcd"))
    forms = (minus_one, features), (y, features.toarray()), (named, frame)
    for labels, given in forms:
        found = classifier(label_features=given).fit(X, labels).decision_function(X)
        np.testing.assert_array_equal(found, expected)


# No labeled cell


@pytest.mark.parametrize("calibrate", [True, False])
@pytest.mark.parametrize("form", ["csr", "array"])
def test_without_a_cell_the_mean_probability_is_the_base_rate(form, calibrate):
    X, _, features = make_data(form=form, n=300)
    _, y_test, _ = make_data(form=form, n=300, share=1.0)
    rates = np.array([0.1, 0.2, 0.4, 0.05])
    clf = classifier(label_features=features, base_rates=rates, calibrate=calibrate)
    clf.fit(X, None)
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.mean(axis=0), rates, atol=1e-4)
    assert masked_roc_auc_score(y_test, proba) > 0.6
    np.testing.assert_array_equal(clf.label_features_coef_, [0.25, 0.25])
    empty = clone(clf).fit(X, np.full((X.shape[0], K), NAN))
    np.testing.assert_array_equal(empty.predict_proba(X), proba)


def test_without_a_cell_or_base_rates_one_label_per_row_is_assumed():
    X, _, features = make_data()
    message = (
        "No cell is labeled of label a, b, c, d, and `base_rates` is None: a base rate "
        "of 0.25, that of one label per row, is assumed. Probabilities depend on it: "
        "state the share of positive rows per label."
    )
    frame = pd.DataFrame(dense(features), index=list("abcd"))
    with pytest.warns(AssumedBaseRateWarning) as caught:
        clf = classifier(label_features=frame).fit(X, None)
    assert str(caught[0].message) == message and caught[0].filename == __file__
    assert list(clf.label_names_) == list("abcd")
    np.testing.assert_allclose(clf.predict_proba(X).mean(axis=0), 0.25, atol=1e-4)


def test_a_label_without_cells_is_told_by_its_words():
    X, y, features = make_data(n=400)
    _, truth, _ = make_data(n=400, share=1.0)
    y[:, 3] = NAN
    with pytest.warns(AssumedBaseRateWarning, match="pooled of all labels") as caught:
        clf = classifier(label_features=features).fit(X, y)
    assert len(caught) == 1
    pooled = (y == 1).sum() / (~np.isnan(y)).sum()
    proba = clf.predict_proba(X)
    assert proba[:, 3].mean() == pytest.approx(pooled, abs=1e-4)
    assert masked_roc_auc_score(truth[:, 3:], proba[:, 3:]) > 0.6
    cells = clf.predict_proba_cells(X, np.arange(5), np.full(5, 3))
    np.testing.assert_allclose(cells, proba[:5, 3], rtol=1e-5)
    stated = classifier(label_features=features, base_rates=0.07).fit(X, y)
    np.testing.assert_allclose(stated.predict_proba(X)[:, 3].mean(), 0.07, atol=1e-4)
    np.testing.assert_array_equal(stated.predict_proba(X)[:, :3], proba[:, :3])


def test_base_rates_alone_are_those_of_labels_without_cells():
    X, y, _ = make_data()
    y[:, 3] = NAN
    clf = classifier(base_rates=[0.5, 0.5, 0.5, 0.03]).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X)[:, 3], 0.03, rtol=1e-4)
    plain = classifier(base_rates=None)
    with pytest.warns(UserWarning, match="No cell is labeled of label 3"):
        plain.fit(X, y)
    np.testing.assert_array_equal(
        plain.predict_proba(X)[:, :3], clf.predict_proba(X)[:, :3]
    )


@pytest.mark.parametrize("form", ["csr", "array"])
def test_cells_come_after_a_fit_without_any(form):
    X, y, features = make_data(n=300, form=form)
    _, truth, _ = make_data(n=300, share=1.0)
    clf = classifier(label_features=features, base_rates=0.3).fit(X, None)
    before = masked_roc_auc_score(truth, clf.predict_proba(X))
    for rows in np.array_split(np.arange(300), 3):
        clf.partial_fit(X[rows], y[rows])
        prior = clf._label_prior
        module, (at, labels) = clf.net_.module_, np.indices((300, K)).reshape(2, -1)
        raw = prior.scores.of_cells(module, X, at, labels) @ prior.amounts
        np.testing.assert_array_equal(prior.amounts, prior.written)
        assert np.isfinite(margins(clf, X) - raw.reshape(300, K)).all()
    assert masked_roc_auc_score(truth, clf.predict_proba(X)) > before
    assert not np.array_equal(clf.label_features_coef_, [0.25, 0.25])
    clf.set_params(warm_start=True).fit(X, y)
    whole = classifier(label_features=features).fit(X, y)
    scores = (
        masked_roc_auc_score(truth, each.predict_proba(X)) for each in (clf, whole)
    )
    assert abs(np.subtract(*scores)) < 0.05


def test_one_dimensional_labels_take_a_description():
    X, y, features = make_data(n=300)
    one, labels = features[:1], np.where(np.isnan(y[:, 0]), -1, y[:, 0])
    clf = classifier(label_features=one).fit(X, y[:, :1])
    flat = classifier(label_features=one).fit(X, np.where(labels < 0, NAN, labels))
    np.testing.assert_array_equal(
        flat.decision_function(X), clf.decision_function(X)[:, 0]
    )
    nothing = np.full(300, NAN)
    first = classifier(label_features=one, base_rates=0.2)
    first.partial_fit(X, nothing, classes=["no", "yes"])
    assert first.predict_proba(X)[:, 1].mean() == pytest.approx(0.2, abs=1e-4)
    with pytest.raises(ValueError, match="`y` must have a labeled cell"):
        classifier(label_features=one).fit(X, nothing)


def test_early_stopping_and_cell_weights_go_together_with_words():
    X, y, features = make_data(n=300)
    weight = np.random.default_rng(0).random(300) + 0.5
    params = {"early_stopping": True, "max_epochs": 3, "C": "auto"}
    clf = classifier(label_features=features, **params)
    clf.fit(X, y, sample_weight=weight)
    assert clf.label_features_coef_.shape == (2,)
    scaled = clone(clf).fit(X, y, sample_weight=4 * weight)
    np.testing.assert_allclose(
        scaled.label_features_coef_, clf.label_features_coef_, rtol=1e-3
    )


def test_without_the_shared_path_the_features_alone_count():
    X, y, features = make_data()
    clf = classifier(label_features=features, shared_weight=0.0).fit(X, y)
    assert clf._label_prior.scores.scale[1] == 0
    assert np.isfinite(clf.predict_proba(X)).all()


# As an estimator


def test_clones_pickles_and_searches_keep_the_features():
    X, y, features = make_data(n=K * 20)
    clf = classifier(label_features=features, base_rates=[0.1] * K).fit(X, y)
    copied = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(copied.predict_proba(X), clf.predict_proba(X))
    copied.partial_fit(X, y)
    again = clone(clf).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    # As many rows as labels: a fit parameter would be cut by the folds.
    square = classifier(label_features=features)
    search = GridSearchCV(
        square,
        {"C": [0.5, 5], "label_features": [features, None]},
        scoring=masked_roc_auc_scorer,
        cv=2,
        error_score="raise",
    )
    few = slice(0, 2 * K)
    full = (make_data(share=1.0)[1])[few]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # folds of four rows
        search.fit(X[few], full)
    assert np.shape(search.best_estimator_.net_.module_.bias) == (K,)


def test_a_fit_that_fails_leaves_the_model_as_it_was(monkeypatch):
    X, y, features = make_data()
    clf = classifier(label_features=features).fit(X, y)
    before = clf.predict_proba(X)
    amounts = clf._label_prior.amounts.copy()
    monkeypatch.setattr(training, "apply_prior", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clf.partial_fit(X, 1 - y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    np.testing.assert_array_equal(clf._label_prior.amounts, amounts)


@pytest.mark.parametrize("small", [True, False])
def test_an_interrupt_after_the_prior_goes_back_to_the_trained_weights(
    small, monkeypatch
):
    if not small:
        monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 0)
    X, y, features = make_data()
    real = training.apply_prior

    def interrupted(*args):
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "apply_prior", interrupted)
    clf = classifier(label_features=features)
    with pytest.warns(InterruptedFitWarning):
        clf.fit(X, y)
    monkeypatch.setattr(training, "apply_prior", real)
    plain = classifier(calibrate=False).fit(X, y)
    # The biases are those before they were settled.
    found, expected = (each.decision_function(X) for each in (clf, plain))
    np.testing.assert_allclose(
        found - found.mean(axis=0), expected - expected.mean(axis=0), atol=1e-5
    )


# Errors

BAD = {
    "one row too few": (
        {"label_features": np.ones((K - 1, M))},
        "`label_features` accepts a row per label of `y` and a column per feature of "
        "`X`, shape (4, 14); got shape (3, 14).",
    ),
    "one column too many": (
        {"label_features": np.ones((K, M + 1))},
        "`label_features` accepts a row per label of `y` and a column per feature of "
        "`X`, shape (4, 14); got shape (4, 15).",
    ),
    "another order": (
        {"label_features": pd.DataFrame(np.ones((K, M)), index=list("abdc"))},
        "`label_features` must have the labels of `y`, in the same order; label 2 is "
        "'d' and must be 'c'. Select by name in that order, or pass arrays without "
        "names.",
    ),
    "another name": (
        {"label_features": pd.DataFrame(np.ones((K, M)), index=list("abce"))},
        "`label_features` must have the labels of `y`, in the same order; label 3 is "
        "'e' and must be 'd'. 'e' is none of them.",
    ),
    "a rate of 1": (
        {"base_rates": [0.1, 0.2, 1.0, 0.3]},
        "`base_rates` accepts numbers between 0 and 1, exclusive; got "
        "[0.1, 0.2, 1.0, 0.3].",
    ),
    "one rate too few": (
        {"base_rates": [0.1, 0.2, 0.3]},
        "`base_rates` accepts one number or one per label, shape (4,); got shape (3,).",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters_raise_one_sentence(case):
    params, message = BAD[case]
    X, y, _ = make_data()
    labels = MaskedLabels.from_dense(y, label_names=list("abcd"))
    clf = classifier(**params)
    with pytest.raises(ValueError) as caught:
        clf.fit(X, labels)
    assert str(caught.value) == message
    with pytest.raises(NotFittedError):
        clf.predict(X)


def test_names_of_features_must_agree():
    X, y, features = make_data(form="array")
    names = [f"f{i}" for i in range(M)]
    table = pd.DataFrame(X, columns=names)
    right = pd.DataFrame(features, columns=names)
    classifier(label_features=right).fit(table, y)
    wrong = right[names[::-1]]
    with pytest.raises(ValueError, match="must have the features of `X`, in the same"):
        classifier(label_features=wrong).fit(table, y)


def test_numbers_that_are_none_are_refused():
    X, y, features = make_data()
    bad = features.toarray()
    bad[0, 0] = NAN
    with pytest.raises(ValueError, match="label_features contains NaN"):
        classifier(label_features=bad).fit(X, y)


def test_a_model_that_goes_on_keeps_its_features():
    X, y, features = make_data()
    clf = classifier(label_features=features).fit(X, y)
    clf.set_params(label_features=features.copy()).partial_fit(X, y)  # the same values
    clf.set_params(label_features=features[[1, 0, 2, 3]])
    with pytest.raises(ValueError, match="`label_features` must stay as it was"):
        clf.partial_fit(X, y)


def test_an_optimizer_does_not_read_label_features():
    import torch

    X, y, features = make_data()
    clf = MaskedMultiLabelClassifier(
        label_features=features, optimizer=torch.optim.Adam, device="cpu"
    )
    with pytest.raises(ValueError, match="`label_features` accepts None alone with"):
        clf.fit(X, y)


def test_without_features_a_cell_is_needed():
    X, y, features = make_data()
    for given in (None, features * 0):
        with pytest.raises(ValueError, match="`y` must have a labeled cell"):
            classifier(label_features=given).fit(X, np.full(y.shape, NAN))
    with pytest.raises(ValueError, match="requires y to be passed"):
        classifier().fit(X, None)


def test_intercepts_meet_their_rates():
    logits = np.random.default_rng(0).normal(size=(50, 3)) * [0.1, 2.0, 8.0]
    rates = np.array([0.5, 0.01, 0.3])
    shifts = solve_intercepts(logits, rates)
    np.testing.assert_allclose(expit(logits + shifts).mean(axis=0), rates, rtol=1e-6)
