"""Scorers: values, blocks, kinds of X and of predictions, model selection, routing."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.metrics as skm
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_score,
    cross_validate,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_masked import metrics
from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.labels import MaskedLabels, check_labels
from sklearn_masked.metrics import responses

NAN = np.nan
SCORERS = {
    "masked_roc_auc_scorer": (metrics.masked_roc_auc_score, 1),
    "masked_average_precision_scorer": (metrics.masked_average_precision_score, 1),
    "neg_masked_log_loss_scorer": (metrics.masked_log_loss, -1),
    "neg_masked_brier_score_scorer": (metrics.masked_brier_score_loss, -1),
    "masked_f1_scorer": (metrics.masked_f1_score, 1),
    "masked_precision_scorer": (metrics.masked_precision_score, 1),
    "masked_recall_scorer": (metrics.masked_recall_score, 1),
    "masked_balanced_accuracy_scorer": (metrics.masked_balanced_accuracy_score, 1),
    "masked_matthews_corrcoef_scorer": (metrics.masked_matthews_corrcoef, 1),
}


class Linear(ClassifierMixin, BaseEstimator):
    """A least-squares model a label, which records what it is asked to predict."""

    def __init__(self, alpha=1.0):
        self.alpha = alpha

    def fit(self, X, y, sample_weight=None):
        Y = check_labels(y).to_dense()
        W = np.ones(len(Y)) if sample_weight is None else np.asarray(sample_weight)
        X = self._dense(X)
        self.coef_ = np.zeros((X.shape[1], Y.shape[1]))
        for j in range(Y.shape[1]):
            on = ~np.isnan(Y[:, j])
            A = (X[on].T * W[on]) @ X[on] + self.alpha * np.eye(X.shape[1])
            self.coef_[:, j] = np.linalg.solve(A, (X[on].T * W[on]) @ (Y[on, j] - 0.5))
        self.classes_ = np.arange(Y.shape[1]).astype(object)
        return self

    def _dense(self, X):
        return X.toarray() if sp.issparse(X) else np.asarray(X, dtype=float)

    def decision_function(self, X):
        return self._dense(X) @ self.coef_

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-self.decision_function(X)))

    def predict(self, X):
        return (self.decision_function(X) > 0).astype(int)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 5))
    Y = (X @ rng.normal(size=(5, 3)) + rng.normal(size=(120, 3)) > 0).astype(float)
    Y[rng.random(Y.shape) < 0.6] = NAN
    return X, Y


@pytest.mark.parametrize("name", SCORERS)
def test_scorer_is_the_metric_of_the_predictions(name, data):
    X, Y = data
    scorer, (metric, sign) = getattr(metrics, name), SCORERS[name]
    model = Linear().fit(X, Y)
    method = "predict"
    if name.startswith("neg"):
        method = "predict_proba"
    elif "auc" in name or "average" in name:
        method = "decision_function"
    expected = sign * metric(Y, getattr(model, method)(X))
    assert scorer(model, X, MaskedLabels.from_dense(Y)) == expected
    assert scorer(model, X, Y) == expected
    weights = np.arange(len(X)) % 3
    weighted = sign * metric(Y, getattr(model, method)(X), sample_weight=weights)
    assert scorer(model, X, Y, weights) == weighted
    assert weighted != expected


@pytest.mark.parametrize("block_rows", [1, 7, 1000])
@pytest.mark.parametrize(
    "make",
    [
        np.asarray,
        pd.DataFrame,
        sp.csr_array,
        sp.coo_matrix,
        sp.csc_matrix,
        lambda X: X.tolist(),
    ],
)
def test_blocks_of_any_kind_of_X(make, block_rows, data, monkeypatch):
    X, Y = data
    Y[[0, 5, 6, 119]] = NAN
    monkeypatch.setattr(responses, "_BLOCK_ROWS", block_rows)
    model = Linear().fit(X, Y)
    asked = []
    decide = model.decision_function
    model.decision_function = lambda block: asked.append(block) or decide(block)
    score = metrics.masked_roc_auc_scorer(model, make(X), Y)
    assert score == metrics.masked_roc_auc_score(Y, decide(X))
    sizes = [
        block.shape[0] if hasattr(block, "shape") else len(block) for block in asked
    ]
    assert max(sizes) <= block_rows
    # Rows without a labeled cell are not predicted.
    assert sum(sizes) == np.count_nonzero(~np.isnan(Y).all(axis=1))


def test_lists_of_text_in_a_pipeline():
    texts = ["red car", "blue car", "red bike", "blue bike", "red", "blue"]
    Y = np.array([[1, NAN], [0, 1], [1, 0], [NAN, 0], [1, NAN], [0, NAN]])
    model = make_pipeline(CountVectorizer(), Linear()).fit(texts, Y)
    assert metrics.masked_roc_auc_scorer(model, texts, Y) == 1.0
    assert metrics.masked_roc_auc_scorer(model, np.array(texts, object), Y) == 1.0
    assert metrics.masked_roc_auc_scorer(model, pd.Series(texts), Y) == 1.0


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
        MultiOutputClassifier(KNeighborsClassifier()),
        make_pipeline(MultiOutputClassifier(DummyClassifier(strategy="prior"))),
    ],
)
def test_scikit_learns_lists_of_probabilities(model, data):
    X, _ = data
    # The last label's training rows are all negative, those of label 1 all positive.
    full = (X[:, :4] > [0, -99, 0, 99]).astype(int)
    model.fit(X, full)
    labels = np.where(np.random.default_rng(1).random(full.shape) < 0.5, NAN, full)
    labels[:2] = [[1, 1, 0, 1], [0, 0, 1, 0]]
    proba = np.zeros(full.shape)
    for j, output in enumerate(model.predict_proba(X)):
        proba[:, j] = (
            [1.0 * (j == 1)] * len(X) if output.shape[1] == 1 else output[:, 1]
        )
    expected = -metrics.masked_log_loss(labels, proba)
    assert metrics.neg_masked_log_loss_scorer(model, X, labels) == expected


def test_one_label_takes_the_second_of_two_columns(data):
    X, Y = data
    y = Y[:, :1]
    on = ~np.isnan(y[:, 0])
    model = LogisticRegression().fit(X[on], y[on, 0])
    expected = -skm.log_loss(y[on, 0], model.predict_proba(X[on]))
    assert metrics.neg_masked_log_loss_scorer(model, X, y) == pytest.approx(expected)
    auc = skm.roc_auc_score(y[on, 0], model.decision_function(X[on]))
    assert metrics.masked_roc_auc_scorer(model, X, y) == pytest.approx(auc)


@pytest.mark.parametrize("classes", [(0, 1), (-1, 1), ("no", "yes"), (False, True)])
@pytest.mark.parametrize("name", SCORERS)
def test_binary_targets(name, classes, data):
    X, Y = data
    y = np.array(classes, dtype=object)[(Y[:, 0] == 1).astype(int)]
    on = ~np.isnan(Y[:, 0])
    model = LogisticRegression().fit(X[on], y[on].tolist())
    hidden = np.where(on, y, None)
    scorer, (metric, sign) = getattr(metrics, name), SCORERS[name]
    if "neg" in name:
        response = model.predict_proba(X)[:, 1]
    elif "auc" in name or "average" in name:
        response = model.decision_function(X)
    else:
        response = model.predict(X) == classes[1]
    expected = sign * metric(Y[:, :1], response[:, None])
    assert scorer(model, X, hidden) == pytest.approx(expected, abs=1e-15)


def test_a_binary_fold_of_one_class_reads_the_classes_of_the_model(data):
    X, Y = data
    on = ~np.isnan(Y[:, 0])
    y = np.where(Y[on, 0] == 1, "b", "a")
    model = LogisticRegression().fit(X[on], y)
    for value, truth in [("a", 0), ("b", 1)]:
        fold = X[on][y == value]
        expected = -skm.log_loss(
            [truth] * len(fold), model.predict_proba(fold)[:, 1], labels=[0, 1]
        )
        score = metrics.neg_masked_log_loss_scorer(model, fold, y[y == value])
        assert score == pytest.approx(expected)
    with pytest.raises(ValueError, match="the two classes that the classifier was"):
        metrics.neg_masked_log_loss_scorer(model, X[:2], ["a", "c"])


def test_model_selection_equals_a_loop_by_hand(data):
    X, Y = data
    labels = MaskedLabels.from_dense(Y)
    cv = KFold(3)
    search = GridSearchCV(
        Linear(),
        {"alpha": [0.1, 10.0]},
        scoring=metrics.masked_roc_auc_scorer,
        cv=3,
        error_score="raise",
    ).fit(X, labels)
    for alpha, mean in zip(
        [0.1, 10.0], search.cv_results_["mean_test_score"], strict=True
    ):
        by_hand = [
            metrics.masked_roc_auc_score(
                Y[test],
                Linear(alpha).fit(X[train], Y[train]).decision_function(X[test]),
            )
            for train, test in cv.split(X)
        ]
        assert mean == pytest.approx(np.mean(by_hand), abs=1e-15)


def test_several_scorers_at_once(data):
    X, Y = data
    labels = MaskedLabels.from_dense(Y)
    scoring = {
        "auc": metrics.masked_roc_auc_scorer,
        "loss": metrics.neg_masked_log_loss_scorer,
    }
    both = cross_validate(
        Linear(), X, labels, scoring=scoring, cv=3, error_score="raise"
    )
    for name, scorer in scoring.items():
        alone = cross_val_score(
            Linear(), X, labels, scoring=scorer, cv=3, error_score="raise"
        )
        np.testing.assert_array_equal(both[f"test_{name}"], alone)


def test_permutation_importance_passes_weights(data):
    X, Y = data
    model = Linear().fit(X, Y)
    result = permutation_importance(
        model,
        X,
        Y,
        scoring=metrics.masked_roc_auc_scorer,
        n_repeats=2,
        random_state=0,
        sample_weight=np.arange(len(X)),
    )
    assert result.importances.shape == (5, 2)
    assert np.abs(result.importances).max() > 0.01


def test_metadata_routing_of_weights(data):
    X, Y = data
    labels = MaskedLabels.from_dense(Y)
    weights = np.random.default_rng(2).integers(0, 3, len(X)).astype(float)
    with config_context(enable_metadata_routing=True):
        scorer = clone(metrics.masked_roc_auc_scorer)
        scorer.set_score_request(sample_weight=True)
        model = Linear().set_fit_request(sample_weight=False)
        scores = cross_val_score(
            model,
            X,
            labels,
            scoring=scorer,
            cv=3,
            params={"sample_weight": weights},
            error_score="raise",
        )
        both = cross_validate(
            model,
            X,
            labels,
            scoring={"auc": scorer, "f1": clone(metrics.masked_f1_scorer)},
            cv=3,
            error_score="raise",
        )
    by_hand = [
        metrics.masked_roc_auc_score(
            Y[test],
            Linear().fit(X[train], Y[train]).decision_function(X[test]),
            sample_weight=weights[test],
        )
        for train, test in KFold(3).split(X)
    ]
    np.testing.assert_allclose(scores, by_hand, rtol=0, atol=1e-15)
    assert set(both) >= {"test_auc", "test_f1"}


def test_a_search_routes_weights_under_another_name(data):
    X, Y = data
    weights = np.arange(len(X)) % 4
    with config_context(enable_metadata_routing=True):
        scorer = clone(metrics.masked_roc_auc_scorer)
        scorer.set_score_request(sample_weight="importance")
        search = GridSearchCV(
            Linear(), {"alpha": [1.0]}, scoring=scorer, cv=3, error_score="raise"
        )
        search.fit(X, MaskedLabels.from_dense(Y), importance=weights)
        score = search.score(X, MaskedLabels.from_dense(Y), importance=weights)
    response = search.best_estimator_.decision_function(X)
    assert score == metrics.masked_roc_auc_score(Y, response, sample_weight=weights)


def test_weights_that_nobody_asked_for_raise(data):
    X, Y = data
    with config_context(enable_metadata_routing=True), pytest.raises(ValueError):
        cross_val_score(
            Linear().set_fit_request(sample_weight=True),
            X,
            MaskedLabels.from_dense(Y),
            scoring=metrics.masked_roc_auc_scorer,
            params={"sample_weight": np.ones(len(X))},
            error_score="raise",
        )
    with pytest.raises(
        RuntimeError, match="`set_score_request` needs metadata routing"
    ):
        metrics.masked_roc_auc_scorer.set_score_request(sample_weight=True)


@pytest.mark.parametrize("copied", [clone, copy.deepcopy, "pickle"])
@pytest.mark.parametrize("name", SCORERS)
def test_scorers_are_copied_whole(name, copied, data):
    X, Y = data
    scorer = getattr(metrics, name)
    again = pickle.loads(pickle.dumps(scorer)) if copied == "pickle" else copied(scorer)
    assert again is not scorer
    assert repr(again) == repr(scorer)
    model = Linear().fit(X, Y)
    assert again(model, X, Y) == scorer(model, X, Y)
    with config_context(enable_metadata_routing=True):
        again.set_score_request(sample_weight=True)
        assert scorer.get_metadata_routing().score.requests == {"sample_weight": None}


def test_reprs():
    assert repr(metrics.neg_masked_log_loss_scorer) == (
        "make_masked_scorer(masked_log_loss, response_method='predict_proba', "
        "greater_is_better=False)"
    )
    scorer = metrics.make_masked_scorer(metrics.masked_f1_score, average="micro")
    assert repr(scorer) == (
        "make_masked_scorer(masked_f1_score, response_method='predict', "
        "average='micro')"
    )


def test_a_metric_of_the_users_own(data):
    X, Y = data

    def accuracy(labels, y_pred, *, offset=0.0):
        return np.mean(labels.cells().values == y_pred) + offset

    model = Linear().fit(X, Y)
    on = ~np.isnan(Y)
    scorer = metrics.make_masked_scorer(accuracy, offset=1.0)
    assert scorer(model, X, Y) == 1 + np.mean(Y[on] == model.predict(X)[on])


def test_sparse_predictions(data):
    X, Y = data
    model = Linear().fit(X, Y)
    expected = metrics.masked_f1_score(Y, model.predict(X))
    predict = model.predict
    model.predict = lambda X: sp.csc_matrix(predict(X))
    assert metrics.masked_f1_scorer(model, X, Y) == expected


def test_junk_predicted_for_unlabeled_cells_is_never_read(data):
    X, Y = data
    model = Linear().fit(X, Y)
    expected = metrics.masked_roc_auc_score(Y, model.decision_function(X))
    poisoned = np.where(np.isnan(Y), np.inf, model.decision_function(X))
    model.decision_function = lambda rows: poisoned[rows[:, 0].astype(int)]
    rows = np.arange(len(X))[:, None]
    assert metrics.masked_roc_auc_scorer(model, rows, Y) == expected


def test_no_labeled_cell_gives_nan(data):
    X, Y = data
    model = Linear().fit(X, Y)
    with pytest.warns(UnscoredLabelsWarning):
        assert np.isnan(metrics.masked_roc_auc_scorer(model, X, np.full_like(Y, NAN)))


def test_bad_use_raises_one_sentence(data):
    X, Y = data
    model = Linear().fit(X, Y)
    with pytest.raises(ValueError, match="same number of rows; got 3 and 120"):
        metrics.masked_roc_auc_scorer(model, X[:3], Y)
    with pytest.raises(
        ValueError,
        match=r"`decision_function` of Linear must return shape \(120, 2\), a column "
        r"per label of `y`, .* got shape \(120, 3\)",
    ):
        metrics.masked_roc_auc_scorer(model, X, np.nan_to_num(Y[:, :2]))
    with pytest.raises(ValueError, match="predictions of a binary classifier"):
        metrics.masked_roc_auc_scorer(model, X, np.nan_to_num(Y[:, 0]))
    with pytest.raises(
        AttributeError, match="MultiOutputClassifier has no decision_function"
    ):
        scorer = metrics.make_masked_scorer(
            metrics.masked_roc_auc_score, response_method="decision_function"
        )
        scorer(MultiOutputClassifier(LogisticRegression()), X, Y)
    with pytest.raises(ValueError, match="`response_method` accepts 'predict'"):
        metrics.make_masked_scorer(metrics.masked_f1_score, response_method="transform")
    with pytest.raises(TypeError, match="`score_func` accepts a callable; got 'auc'"):
        metrics.make_masked_scorer("auc")
