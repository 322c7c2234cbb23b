"""Weights and groups that travel through scikit-learn's metadata routing arrive.

Each test compares with the loop written by hand, and makes sure that the weights do
change what is compared.
"""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_masked.classifier import MaskedMultiLabelClassifier
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_average_precision_scorer,
    masked_roc_auc_score,
    masked_roc_auc_scorer,
)
from sklearn_masked.model_selection import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
    MaskedStratifiedShuffleSplit,
    cross_val_predict,
)
from sklearn_masked.multioutput import MaskedMultiOutputClassifier

NAN = np.nan


def make_data(n_samples=96, n_labels=3):
    """Return X, labels and groups; every label has both kinds of cells everywhere."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, 4))
    logits = X @ rng.normal(size=(4, n_labels)) + rng.normal(size=(n_samples, n_labels))
    y = (logits > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = NAN
    return X, MaskedLabels.from_dense(y), np.arange(n_samples) // 3


X, Y, GROUPS = make_data()
RNG = np.random.default_rng(1)
WEIGHTS = {
    "rows": RNG.uniform(0.1, 5, size=len(X)),
    "cells": RNG.uniform(0.1, 5, size=Y.shape),
    "cells, some 0": RNG.choice([0.0, 1.0, 4.0], p=[0.1, 0.5, 0.4], size=Y.shape),
}
MODELS = {
    "one per label": lambda: MaskedMultiOutputClassifier(LogisticRegression()),
    "joint": lambda: MaskedMultiLabelClassifier(max_epochs=2, random_state=0),
}


@pytest.fixture(autouse=True)
def routing():
    with config_context(enable_metadata_routing=True):
        yield


def requesting(kind):
    """Return a model that asks for weights, wherever they are to be asked for."""
    model = MODELS[kind]()
    if kind == "one per label":
        model.estimator.set_fit_request(sample_weight=True)
    else:
        model.set_fit_request(sample_weight=True)
    return model


def weighted_scorer(scorer=masked_roc_auc_scorer, name=True):
    return clone(scorer).set_score_request(sample_weight=name)


def by_hand(kind, splits, weight, scale=False, score=masked_roc_auc_score):
    """Return the score of each split, fitted and scored with these weights or none."""
    scores = []
    for train, test in splits:
        X_train, X_test = X[train], X[test]
        if scale:
            scaler = StandardScaler().fit(X_train)
            X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
        at = [{}, {}]
        if weight is not None:
            at = [{"sample_weight": weight[rows]} for rows in (train, test)]
        # Called by hand as a user would, with routing off.
        with config_context(enable_metadata_routing=False):
            model = MODELS[kind]().fit(X_train, Y[train], **at[0])
        scores.append(score(Y[test], model.decision_function(X_test), **at[1]))
    return scores


def assert_weights_matter(kind, splits, weight, **how):
    """Return the scores by hand, which differ from those without weights."""
    expected = by_hand(kind, splits, weight, **how)
    assert expected != pytest.approx(by_hand(kind, splits, None, **how), abs=1e-6)
    return pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", MODELS)
def test_cross_validate_brings_weights_and_groups(kind, weights):
    cv, weight = MaskedStratifiedGroupKFold(3), WEIGHTS[weights]
    result = cross_validate(
        requesting(kind),
        X,
        Y,
        cv=cv,
        scoring={
            "auc": weighted_scorer(),
            "ap": weighted_scorer(masked_average_precision_scorer),
        },
        params={"sample_weight": weight, "groups": GROUPS},
        error_score="raise",
    )
    splits = list(cv.split(X, Y, GROUPS))
    for train, test in splits:
        assert not set(GROUPS[train]) & set(GROUPS[test])
    assert result["test_auc"] == assert_weights_matter(kind, splits, weight)
    assert result["test_ap"] == assert_weights_matter(
        kind, splits, weight, score=masked_average_precision_score
    )


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("kind", MODELS)
def test_grid_search_over_a_pipeline_brings_weights_and_groups(kind, weights):
    cv, weight = MaskedStratifiedGroupKFold(3), WEIGHTS[weights]
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    model = requesting(kind)
    name = type(model).__name__.lower()
    grid = {"estimator__C": [1e-3, 1.0], "max_epochs": [1, 2]}
    param = "estimator__C" if kind == "one per label" else "max_epochs"
    search = GridSearchCV(
        make_pipeline(scaler, model),
        {f"{name}__{param}": grid[param]},
        cv=cv,
        scoring=weighted_scorer(),
        error_score="raise",
    ).fit(X, Y, sample_weight=weight, groups=GROUPS)
    splits = list(cv.split(X, Y, GROUPS))
    expected = assert_weights_matter(kind, splits, weight, scale=True)
    # The second value of each parameter is the one that the loop by hand has.
    assert [search.cv_results_[f"split{i}_test_score"][1] for i in range(3)] == expected
    best = search.best_params_[f"{name}__{param}"]
    scaled = StandardScaler().fit_transform(X)
    with config_context(enable_metadata_routing=False):
        fitted = MODELS[kind]().set_params(**{param: best})
        fitted.fit(scaled, Y, sample_weight=weight)
    np.testing.assert_array_equal(
        search.best_estimator_.predict_proba(X), fitted.predict_proba(scaled)
    )
    score = search.score(X, Y, sample_weight=weight)
    assert score == masked_roc_auc_score(
        Y, fitted.decision_function(scaled), sample_weight=weight
    )


@pytest.mark.parametrize("kind", MODELS)
def test_a_cell_of_weight_zero_is_an_unlabeled_cell(kind):
    weight = WEIGHTS["cells, some 0"] > 0
    known = MaskedLabels.from_dense(np.where(weight, Y.to_dense(), NAN))
    cv = KFold(3)
    weighted = cross_val_score(
        requesting(kind),
        X,
        Y,
        cv=cv,
        scoring=weighted_scorer(),
        params={"sample_weight": weight.astype(float)},
        error_score="raise",
    )
    plain = cross_val_score(
        MODELS[kind](),
        X,
        known,
        cv=cv,
        scoring=masked_roc_auc_scorer,
        error_score="raise",
    )
    assert weighted == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_weights_can_go_to_fit_alone_or_to_the_score_alone(kind):
    cv, weight = MaskedStratifiedKFold(3), WEIGHTS["cells"]
    splits = list(cv.split(X, Y))

    def scores(model, scorer):
        return cross_val_score(
            model,
            X,
            Y,
            cv=cv,
            scoring=scorer,
            params={"sample_weight": weight},
            error_score="raise",
        )

    fit_only = scores(requesting(kind), weighted_scorer(name=False))
    ignoring = MODELS[kind]()
    part = ignoring.estimator if kind == "one per label" else ignoring
    part.set_fit_request(sample_weight=False)
    score_only = scores(ignoring, weighted_scorer())
    expected = [], []
    for train, test in splits:
        with config_context(enable_metadata_routing=False):
            heavy = MODELS[kind]().fit(X[train], Y[train], sample_weight=weight[train])
            plain = MODELS[kind]().fit(X[train], Y[train])
        response = heavy.decision_function(X[test]), plain.decision_function(X[test])
        expected[0].append(masked_roc_auc_score(Y[test], response[0]))
        expected[1].append(
            masked_roc_auc_score(Y[test], response[1], sample_weight=weight[test])
        )
    assert fit_only == pytest.approx(expected[0], abs=1e-12)
    assert score_only == pytest.approx(expected[1], abs=1e-12)


@pytest.mark.parametrize("kind", MODELS)
def test_fit_and_score_can_have_weights_of_their_own(kind):
    votes, value = WEIGHTS["cells"], WEIGHTS["rows"]
    model = MODELS[kind]()
    part = model.estimator if kind == "one per label" else model
    part.set_fit_request(sample_weight="votes")
    cv = KFold(3)
    scores = cross_val_score(
        model,
        X,
        Y,
        cv=cv,
        scoring=weighted_scorer(name="value"),
        params={"votes": votes, "value": value},
        error_score="raise",
    )
    expected = []
    for train, test in cv.split(X):
        with config_context(enable_metadata_routing=False):
            fitted = MODELS[kind]().fit(X[train], Y[train], sample_weight=votes[train])
        response = fitted.decision_function(X[test])
        expected.append(
            masked_roc_auc_score(Y[test], response, sample_weight=value[test])
        )
    assert scores == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weights", ["rows", "cells"])
@pytest.mark.parametrize("kind", MODELS)
def test_our_cross_val_predict_brings_weights_and_groups(kind, weights):
    cv, weight = MaskedStratifiedGroupKFold(3), WEIGHTS[weights]
    proba = cross_val_predict(
        requesting(kind),
        X,
        Y,
        cv=cv,
        method="predict_proba",
        params={"sample_weight": weight, "groups": GROUPS},
    )
    expected, plain = np.empty(Y.shape), np.empty(Y.shape)
    with config_context(enable_metadata_routing=False):
        for train, test in cv.split(X, Y, GROUPS):
            for out, given in (
                (expected, {"sample_weight": weight[train]}),
                (plain, {}),
            ):
                model = MODELS[kind]().fit(X[train], Y[train], **given)
                out[test] = model.predict_proba(X[test])
    np.testing.assert_allclose(proba, expected, rtol=0, atol=1e-12)
    assert np.abs(proba - plain).max() > 1e-4


@pytest.mark.parametrize("kind", MODELS)
def test_weights_of_cells_in_y_come_along_and_multiply(kind):
    weight, votes = WEIGHTS["cells"], WEIGHTS["rows"]
    y = MaskedLabels.from_dense(Y.to_dense(), weights=weight)
    cv = MaskedStratifiedKFold(3)
    scores = cross_val_score(
        requesting(kind),
        X,
        y,
        cv=cv,
        scoring=weighted_scorer(),
        params={"sample_weight": votes},
        error_score="raise",
    )
    splits, product = list(cv.split(X, Y)), weight * votes[:, None]
    assert scores == assert_weights_matter(kind, splits, product)


# Groups


def test_groups_are_requested_by_default_and_only_by_the_group_splitter():
    request = MaskedStratifiedGroupKFold().get_metadata_routing().split.requests
    assert request == {"groups": True}
    for cv in (MaskedStratifiedKFold(), MaskedStratifiedShuffleSplit()):
        assert cv.get_metadata_routing().split.requests == {}
        assert not hasattr(cv, "set_split_request")
    cv = MaskedStratifiedGroupKFold().set_split_request(groups=False)
    assert cv.get_metadata_routing().split.requests == {"groups": False}


def test_groups_come_under_another_name():
    cv = MaskedStratifiedGroupKFold(3).set_split_request(groups="day")
    scores = cross_val_score(
        MODELS["one per label"](),
        X,
        Y,
        cv=cv,
        scoring=masked_roc_auc_scorer,
        params={"day": GROUPS},
    )
    splits = MaskedStratifiedGroupKFold(3).split(X, Y, GROUPS)
    assert scores == pytest.approx(by_hand("one per label", splits, None), abs=1e-12)


def test_groups_that_nobody_asked_for_raise():
    with pytest.raises(TypeError, match="unexpected argument.*groups"):
        cross_validate(
            MODELS["one per label"](),
            X,
            Y,
            cv=MaskedStratifiedKFold(3),
            scoring=masked_roc_auc_scorer,
            params={"groups": GROUPS},
        )


@pytest.mark.parametrize("kind", MODELS)
def test_weights_without_a_request_raise(kind):
    with pytest.raises(
        UnsetMetadataPassedError, match="sample_weight.* are passed but are not"
    ):
        cross_validate(
            MODELS[kind](),
            X,
            Y,
            cv=MaskedStratifiedKFold(3),
            scoring=weighted_scorer(name=False),
            params={"sample_weight": WEIGHTS["rows"]},
            error_score="raise",
        )


def test_groups_reach_the_inner_splitter_of_a_nested_search():
    inner, outer = MaskedStratifiedGroupKFold(2), MaskedStratifiedGroupKFold(3)
    weight = WEIGHTS["cells"]
    search = GridSearchCV(
        requesting("one per label"),
        {"estimator__C": [1e-3, 1.0]},
        cv=inner,
        scoring=weighted_scorer(),
        error_score="raise",
    )
    result = cross_validate(
        search,
        X,
        Y,
        cv=outer,
        scoring=weighted_scorer(),
        params={"groups": GROUPS, "sample_weight": weight},
        return_estimator=True,
        error_score="raise",
    )
    splits = outer.split(X, Y, GROUPS)
    for (train, test), fitted, score in zip(
        splits, result["estimator"], result["test_score"], strict=True
    ):
        for nth, (left, right) in enumerate(
            inner.split(X[train], Y[train], GROUPS[train])
        ):
            rows = train[left], train[right]
            expected = by_hand("one per label", [rows], weight)
            got = fitted.cv_results_[f"split{nth}_test_score"][1]
            assert [got] == pytest.approx(expected, abs=1e-12)
        response = fitted.best_estimator_.decision_function(X[test])
        expected = masked_roc_auc_score(Y[test], response, sample_weight=weight[test])
        assert score == pytest.approx(expected, abs=1e-12)


def test_learning_curve_brings_weights_and_groups():
    cv, weight = MaskedStratifiedGroupKFold(3), WEIGHTS["cells"]
    _, _, scores = learning_curve(
        requesting("one per label"),
        X,
        Y,
        cv=cv,
        train_sizes=[1.0],
        scoring=weighted_scorer(),
        params={"sample_weight": weight, "groups": GROUPS},
        error_score="raise",
    )
    splits = list(cv.split(X, Y, GROUPS))
    # The largest size is one that every split has.
    size = min(len(train) for train, _ in splits)
    splits = [(train[:size], test) for train, test in splits]
    assert scores[0] == assert_weights_matter("one per label", splits, weight)
