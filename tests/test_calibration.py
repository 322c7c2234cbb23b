"""The calibrator: scikit-learn's own, on the labeled cells of each label alone."""

import pickle
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
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.exceptions import (
    IgnoredWeightsWarning,
    PooledCalibrationWarning,
    ReversedScoresWarning,
    UnlabeledLabelWarning,
)
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import masked_roc_auc_score, neg_masked_log_loss_scorer

SCIKIT_LEARN_HAS_TEMPERATURE = sklearn.__version__ >= "1.8"
METHODS = ["sigmoid", "isotonic"] + ["temperature"] * SCIKIT_LEARN_HAS_TEMPERATURE


def make_data(n=240, n_labels=3, seed=0, labeled=1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5))
    Y = (X[:, :n_labels] + rng.normal(size=(n, n_labels)) > 0.3).astype(float)
    Y[rng.random(Y.shape) >= labeled] = np.nan
    return X, Y


BASES = {
    "decision_function": LogisticRegression(),
    "large scores": SGDClassifier(alpha=1e-6, random_state=0),
    "predict_proba": GaussianNB(),
}


# The law


def test_large_scores_are_scaled_as_scikit_learn_does_it():
    X, Y = make_data()
    scores = BASES["large scores"].fit(X, Y[:, 0]).decision_function(X)
    assert np.abs(scores).max() > 30


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("base", BASES, ids=str)
def test_fully_labeled_matrix_equals_scikit_learn_column_by_column(
    base, method, ensemble
):
    X, Y = make_data()
    folds = make_folds(len(X))
    ours = MaskedCalibratedClassifierCV(
        separate(BASES[base]), method=method, cv=folds, ensemble=ensemble
    ).fit(X, Y)
    for label in range(Y.shape[1]):
        theirs = CalibratedClassifierCV(
            BASES[base], method=method, cv=folds, ensemble=ensemble
        ).fit(X, Y[:, label])
        want = theirs.predict_proba(X)[:, 1]
        np.testing.assert_allclose(
            ours.predict_proba(X)[:, label], want, rtol=0, atol=1e-6
        )


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_partly_labeled_matrix_equals_scikit_learn_on_the_labeled_rows(
    method, ensemble
):
    X, Y = make_data(n=400, labeled=0.6)
    folds = make_folds(len(X))
    ours = MaskedCalibratedClassifierCV(
        separate(), method=method, cv=folds, ensemble=ensemble, min_positive=5
    ).fit(X, Y)
    for label in range(Y.shape[1]):
        rows = np.flatnonzero(~np.isnan(Y[:, label]))
        own = [
            tuple(np.flatnonzero(np.isin(rows, part)) for part in fold)
            for fold in folds
        ]
        theirs = CalibratedClassifierCV(
            LogisticRegression(), method=method, cv=own, ensemble=ensemble
        ).fit(X[rows], Y[rows, label])
        np.testing.assert_allclose(
            ours.predict_proba(X)[:, label],
            theirs.predict_proba(X)[:, 1],
            rtol=0,
            atol=1e-6,
        )


@pytest.mark.parametrize("ensemble", ["auto", False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cv", [None, 4])
def test_one_dimensional_y_equals_scikit_learn(method, ensemble, cv):
    X, Y = make_data(n=150)
    y = np.where(Y[:, 0] == 1, "yes", "no")
    given = {"method": method, "ensemble": ensemble, "cv": cv}
    ours = MaskedCalibratedClassifierCV(LogisticRegression(), **given).fit(X, y)
    theirs = CalibratedClassifierCV(LogisticRegression(), **given).fit(X, y)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6
    )
    assert ours.predict(X).tolist() == theirs.predict(X).tolist()
    assert ours.classes_.tolist() == ["no", "yes"]
    assert ours.score(X, y) == theirs.score(X, y)


def test_default_estimator_equals_scikit_learns_default():
    X, Y = make_data(n=150)
    ours = MaskedCalibratedClassifierCV().fit(X, Y[:, 0])
    theirs = CalibratedClassifierCV().fit(X, Y[:, 0])
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6
    )


@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_sample_weight_equals_scikit_learn(method, ensemble):
    X, Y = make_data()
    folds = make_folds(len(X))
    weight = np.random.default_rng(1).uniform(0.2, 3, len(X))
    given = {"method": method, "cv": folds, "ensemble": ensemble}
    ours = MaskedCalibratedClassifierCV(separate(), **given)
    proba = ours.fit(X, Y, sample_weight=weight).predict_proba(X)
    theirs = CalibratedClassifierCV(LogisticRegression(), **given)
    want = theirs.fit(X, Y[:, 1], sample_weight=weight).predict_proba(X)[:, 1]
    np.testing.assert_allclose(proba[:, 1], want, rtol=0, atol=1e-6)


def test_weights_of_cells_equal_weights_in_the_labels():
    X, Y = make_data(labeled=0.7)
    weight = np.random.default_rng(2).uniform(0.5, 2, Y.shape)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False)
    want = clf.fit(X, Y, sample_weight=weight).predict_proba(X)
    labels = MaskedLabels.from_dense(Y, weights=weight)
    np.testing.assert_allclose(clf.fit(X, labels).predict_proba(X), want, rtol=1e-9)


@pytest.mark.parametrize("ensemble", [True, False])
def test_weight_zero_is_as_good_as_unlabeled(ensemble):
    X, Y = make_data(n=300)
    drop = np.random.default_rng(3).random(Y.shape) < 0.3
    folds = make_folds(len(X))
    clf = MaskedCalibratedClassifierCV(separate(), cv=folds, ensemble=ensemble)
    want = clf.fit(X, np.where(drop, np.nan, Y)).predict_proba(X)
    share = clf.cell_prevalence_
    got = clf.fit(X, Y, sample_weight=np.where(drop, 0.0, 1.0)).predict_proba(X)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(clf.cell_prevalence_, share)


@pytest.mark.parametrize("method", METHODS)
def test_form_of_labels_and_junk_change_nothing(method):
    X, Y = make_data(labeled=0.6)
    clf = MaskedCalibratedClassifierCV(separate(), method=method, cv=3, min_positive=1)
    want = clf.fit(X, Y).predict_proba(X)
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
        np.testing.assert_array_equal(clf.fit(X, form).predict_proba(X), want)


def test_weights_of_unlabeled_cells_are_never_read():
    X, Y = make_data(labeled=0.6)
    weight = np.where(np.isnan(Y), np.nan, 1.0)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, min_positive=1)
    want = clf.fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(
        clf.fit(X, Y, sample_weight=weight).predict_proba(X), want
    )


@given(seed=st.integers(0, 10**6), method=st.sampled_from(["sigmoid", "isotonic"]))
@settings(max_examples=15, deadline=None)
def test_what_the_model_says_of_unlabeled_cells_changes_nothing(seed, method):
    X, Y = make_data(n=80, seed=seed % 50, labeled=0.5)

    class Scores:
        """Scores that stand in X; a fitted estimator of the user's own."""

        _estimator_type = "classifier"

        def fit(self, X, y):
            self.fitted_ = True
            return self

        def decision_function(self, X):
            return X[:, :3]

        def get_params(self, deep=True):
            return {}

        def __sklearn_tags__(self):
            return separate().__sklearn_tags__()

    junk = X.copy()
    junk[:, :3][np.isnan(Y)] = np.random.default_rng(seed).normal(
        0, 50, np.isnan(Y).sum()
    )
    fitted = Scores().fit(X, Y)
    clf = MaskedCalibratedClassifierCV(
        fitted, method=method, cv="prefit", min_positive=2, min_negative=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PooledCalibrationWarning)
        want = clf.fit(X, Y).predict_proba(X)
        got = clf.fit(junk, Y).predict_proba(X)
    np.testing.assert_array_equal(got, want)


# Too few cells


def rare_labels():
    """Label 1 has 4 positives, label 2 but 3 negatives."""
    X, Y = make_data(n=300, seed=5)
    Y[np.flatnonzero(Y[:, 1] == 1)[4:], 1] = np.nan
    Y[np.flatnonzero(Y[:, 2] == 0)[3:], 2] = np.nan
    return X, Y


def test_rare_labels_have_the_pooled_map_and_one_warning_says_so():
    X, Y = rare_labels()
    base = FrozenEstimator(separate().fit(X, Y))
    clf = MaskedCalibratedClassifierCV(base)
    with pytest.warns(PooledCalibrationWarning) as record:
        clf.fit(X, Y)
    assert [str(warning.message) for warning in record] == [
        "Fewer than 10 positive or 10 negative cells are left out, in all folds "
        "together, of label 1, 2: the map of all labels together calibrates there."
    ]
    assert clf.pooled_labels_.tolist() == [False, True, True]
    labeled = ~np.isnan(Y)
    scores = base.decision_function(X)
    pooled = CalibratedClassifierCV(FrozenEstimator(IdentityScore().fit(scores, Y)))
    pooled.fit(scores[labeled][:, None], Y[labeled])
    for label in (1, 2):
        want = pooled.predict_proba(scores[:, [label]])[:, 1]
        np.testing.assert_allclose(clf.predict_proba(X)[:, label], want, atol=1e-6)


def test_a_map_that_reverses_the_order_of_a_label_is_told():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    Y = (X > rng.normal(size=X.shape)).astype(float)
    base = FrozenEstimator(separate().fit(X, Y))
    Y[:, 2] = 1 - Y[:, 2]  # somebody took yes for no
    Y[rng.random(Y.shape) < 0.3] = np.nan
    clf = MaskedCalibratedClassifierCV(base)
    with pytest.warns(ReversedScoresWarning) as record:
        clf.fit(X, Y)
    assert [str(warning.message) for warning in record] == [
        "Left-out cells are ranked backwards, and calibration reverses the order of "
        "the scores, for label 2. Look at its labels; of few cells it is chance: raise "
        "`min_positive` to calibrate it with all labels together."
    ]
    for method in ("isotonic", "temperature"):  # these never do
        clf.set_params(method=method).fit(X, Y)


class IdentityScore(GaussianNB):
    """A binary classifier whose score is its one feature."""

    def fit(self, X, y):
        self.classes_ = np.array([0.0, 1.0])
        self.n_features_in_ = 1
        return self

    def __getattribute__(self, name):
        if name == "predict_proba":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def decision_function(self, X):
        return X[:, 0]


def test_warning_of_an_ensemble_names_the_remedy():
    X, Y = make_data(n=300)
    Y[np.flatnonzero(Y[:, 1] == 1)[12:], 1] = np.nan
    labels = MaskedLabels.from_dense(Y, label_names=["war", "crime", "sport"])
    with pytest.warns(
        PooledCalibrationWarning,
        match=r"^Fewer than 10 positive or 10 negative cells are left out, in a fold "
        r"\(ensemble=False would take those of all folds together\), of label crime: "
        r"the map of all labels together calibrates there\.$",
    ):
        MaskedCalibratedClassifierCV(separate(), cv=3).fit(X, labels)
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False).fit(X, labels)
    assert not clf.pooled_labels_.any()
    assert clf.label_names_.tolist() == ["war", "crime", "sport"]


def test_warning_names_at_most_ten():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 14))
    Y = (X > 0.5).astype(float)
    Y[:, 2:][rng.random((60, 12)) < 0.6] = np.nan
    fitted = separate().fit(X, Y)
    clf = MaskedCalibratedClassifierCV(fitted, cv="prefit", min_positive=13)
    with pytest.warns(PooledCalibrationWarning) as record:
        clf.fit(X, Y)
    pooled = np.flatnonzero(clf.pooled_labels_)
    assert len(pooled) > 10
    named = ", ".join(map(str, pooled[:10])) + f" and {len(pooled) - 10} more"
    assert f" together, of label {named}: the map " in str(record[0].message)


@pytest.mark.parametrize("method", METHODS)
def test_labels_that_share_a_map_share_it(method):
    X, Y = make_data(n=200, n_labels=5)
    fitted = separate().fit(X, Y)
    clf = MaskedCalibratedClassifierCV(
        fitted, method=method, cv="prefit", min_positive=10**6
    )
    with pytest.warns(PooledCalibrationWarning):
        clf.fit(X, Y)
    shared = clf.calibrated_classifiers_[0].calibrators[0]
    scores = fitted.decision_function(X)
    want = np.column_stack([shared.predict(column) for column in scores.T])
    np.testing.assert_array_equal(clf.predict_proba(X), want)


def test_one_label_needs_no_pooled_map():
    X, Y = make_data(n=30)
    clf = MaskedCalibratedClassifierCV(separate(), cv=2, min_positive=100)
    clf.fit(X, Y[:, :1])
    assert clf.pooled_labels_.tolist() == [False]


def test_label_without_cells_gets_the_pooled_map():
    X, Y = make_data(n=200)
    Y[:, 1] = np.nan
    clf = MaskedCalibratedClassifierCV(separate(), cv=3, ensemble=False)
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        clf.fit(X, Y)
    # Once, of the fit on all rows, and not once a fold.
    assert [warning.category for warning in record] == [
        UnlabeledLabelWarning,
        PooledCalibrationWarning,
    ]
    assert clf.pooled_labels_.tolist() == [False, True, False]
    assert np.isfinite(clf.predict_proba(X)).all()
    assert clf.cell_prevalence_[1] == pytest.approx(np.nanmean(Y))


# Frozen and prefit


@pytest.mark.parametrize("method", METHODS)
def test_frozen_and_prefit_equal_scikit_learn(method):
    X, Y = make_data(n=300)
    base = LogisticRegression().fit(X[:150], Y[:150, 0])
    want = CalibratedClassifierCV(FrozenEstimator(base), method=method)
    want = want.fit(X[150:], Y[150:, 0]).predict_proba(X)
    for clf in (
        MaskedCalibratedClassifierCV(FrozenEstimator(base), method=method),
        MaskedCalibratedClassifierCV(base, method=method, cv="prefit"),
    ):
        clf.fit(X[150:], Y[150:, 0])
        np.testing.assert_allclose(clf.predict_proba(X), want, atol=1e-6)
        assert len(clf.calibrated_classifiers_) == 1


def test_frozen_ensemble_equals_scikit_learn():
    X, Y = make_data(n=300)
    base = FrozenEstimator(LogisticRegression().fit(X[:150], Y[:150, 0]))
    given = {"cv": 3, "ensemble": True}
    ours = MaskedCalibratedClassifierCV(base, **given).fit(X[150:], Y[150:, 0])
    theirs = CalibratedClassifierCV(base, **given).fit(X[150:], Y[150:, 0])
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6
    )
    assert len(ours.calibrated_classifiers_) == 3


@pytest.mark.parametrize("frozen", [True, False])
def test_prefit_that_is_not_fitted_raises(frozen):
    X, Y = make_data(n=60)
    base = FrozenEstimator(separate()) if frozen else separate()
    clf = MaskedCalibratedClassifierCV(base, cv=None if frozen else "prefit")
    with pytest.raises(
        NotFittedError,
        match=r"^`estimator` must be fitted where cv='prefit' or where it is frozen; "
        r"this MaskedMultiOutputClassifier is not\.$",
    ):
        clf.fit(X, Y)


# What it is made of


def test_inputs_of_all_kinds():
    texts = [
        "war in the east",
        "the match",
        "a fire",
        "war and fire",
        "match point",
    ] * 12
    Y = np.array([[1, 0], [0, 0], [0, 1], [1, np.nan], [0, np.nan]] * 12)
    base = make_pipeline(TfidfVectorizer(), separate())
    clf = MaskedCalibratedClassifierCV(base, cv=2, min_positive=1).fit(texts, Y)
    proba = clf.predict_proba(["war", "fire"])
    assert proba[0, 0] > proba[1, 0]
    assert proba[1, 1] > proba[0, 1]
    X, Y = make_data(n=120, labeled=0.8)
    frame = pd.DataFrame(X, columns=list("abcde"))
    clf = MaskedCalibratedClassifierCV(separate(), cv=2, min_positive=1)
    want = clf.fit(frame, Y).predict_proba(frame)
    assert clf.feature_names_in_.tolist() == list("abcde")
    assert clf.n_features_in_ == 5
    np.testing.assert_allclose(clf.fit(sp.coo_array(X), Y).predict_proba(X), want, 1e-5)
    assert not hasattr(clf, "feature_names_in_")


def test_estimators_with_a_list_of_outputs():
    X, Y = make_data(n=150)

    class Forest(RandomForestClassifier):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y.to_dense(), sample_weight)

    clf = MaskedCalibratedClassifierCV(Forest(n_estimators=5, random_state=0), cv=2)
    assert clf.fit(X, Y).predict_proba(X).shape == (150, 3)
    assert masked_roc_auc_score(Y, clf.predict_proba(X)) > 0.8


def test_the_joint_model_is_calibrated():
    X, Y = make_data(n=300, labeled=0.6)
    base = MaskedMultiLabelClassifier(max_epochs=3, random_state=0, device="cpu")
    clf = MaskedCalibratedClassifierCV(base, cv=2, ensemble=False)
    clf.fit(X.astype(np.float32), Y)
    proba = clf.predict_proba(X.astype(np.float32))
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.mean(axis=0), np.nanmean(Y, axis=0), atol=0.1)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X.astype(np.float32)), proba)


def test_outputs():
    X, Y = make_data(n=150, labeled=0.8)
    clf = MaskedCalibratedClassifierCV(separate(), cv=2).fit(X, Y)
    proba = clf.predict_proba(X)
    assert proba.dtype == np.float64
    np.testing.assert_array_equal(clf.predict(X), (proba > 0.5).astype(int))
    assert clf.predict(X).dtype == np.intp
    assert clf.score(X, Y) == masked_roc_auc_score(Y, proba)
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.classes_.dtype == object
    assert clf.n_labels_ == 3
    assert len(clf.calibrated_classifiers_) == 2
    np.testing.assert_array_equal(clf.prior_shift_, 0)


def test_unlabeled_entries_of_a_one_dimensional_y_take_no_part():
    X, Y = make_data(n=200)
    y = Y[:, 0].copy()
    y[::4] = np.nan
    rows = np.flatnonzero(~np.isnan(y))
    clf = MaskedCalibratedClassifierCV(LogisticRegression(), cv=3)
    want = clf.fit(X[rows], y[rows]).predict_proba(X)
    np.testing.assert_array_equal(clf.fit(X, y).predict_proba(X), want)
    assert clf.score(X, y) == clf.score(X[rows], y[rows])
    weight = np.arange(200.0)
    want = clf.fit(X[rows], y[rows], sample_weight=weight[rows]).predict_proba(X)
    got = clf.fit(X, y, sample_weight=weight).predict_proba(X)
    np.testing.assert_array_equal(got, want)
    # Splits that were made before count all rows.
    folds = make_folds(200)
    clf.set_params(cv=folds).fit(X, y)
    own = [tuple(np.flatnonzero(np.isin(rows, p)) for p in fold) for fold in folds]
    want = clone(clf).set_params(cv=own).fit(X[rows], y[rows]).predict_proba(X)
    np.testing.assert_array_equal(clf.predict_proba(X), want)


def test_accuracy_without_labeled_entry_is_nan():
    X, Y = make_data(n=60)
    clf = MaskedCalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, Y[:, 0])
    with pytest.warns(UserWarning, match=r"^`y` has no labeled entry"):
        assert np.isnan(clf.score(X, np.full(60, np.nan)))


@pytest.mark.parametrize("ensemble", [True, False])
def test_jobs_change_nothing(ensemble):
    X, Y = make_data(n=150)
    clf = MaskedCalibratedClassifierCV(separate(), cv=2, ensemble=ensemble)
    want = clf.fit(X, Y).predict_proba(X)
    with joblib.parallel_config("threading"):
        got = clf.set_params(n_jobs=2).fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_clone_pickle_and_grid_search():
    X, Y = make_data(n=200, labeled=0.8)
    clf = MaskedCalibratedClassifierCV(separate(), cv=2, target_prevalence=[0.1] * 3)
    assert clone(clf).get_params()["target_prevalence"] == [0.1] * 3
    clf.fit(X, Y)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    grid = {"method": ["sigmoid", "isotonic"], "estimator__estimator__C": [0.1, 1.0]}
    search = GridSearchCV(
        MaskedCalibratedClassifierCV(separate(), cv=2, ensemble=False),
        grid,
        scoring=neg_masked_log_loss_scorer,
        cv=2,
        error_score="raise",
    ).fit(X, MaskedLabels.from_dense(Y))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.predict_proba(X).shape == (200, 3)


def test_groups_and_weights_are_routed():
    X, Y = make_data(n=200)
    groups = np.arange(200) % 10
    with sklearn.config_context(enable_metadata_routing=True):
        base = separate(LogisticRegression().set_fit_request(sample_weight=True))
        few = {"min_positive": 1, "min_negative": 1}
        clf = MaskedCalibratedClassifierCV(base, cv=GroupKFold(3), **few)
        clf.fit(X, Y, groups=groups, sample_weight=np.ones(200))
        search = GridSearchCV(
            clone(clf).set_fit_request(sample_weight=True),
            {"method": ["sigmoid"]},
            scoring=clone(neg_masked_log_loss_scorer).set_score_request(
                sample_weight=True
            ),
            cv=GroupKFold(2),
            error_score="raise",
        )
        search.fit(
            X, MaskedLabels.from_dense(Y), groups=groups, sample_weight=np.ones(200)
        )
    folds = list(GroupKFold(3).split(X, groups=groups))
    want = MaskedCalibratedClassifierCV(separate(), cv=folds, **few).fit(X, Y)
    np.testing.assert_allclose(clf.predict_proba(X), want.predict_proba(X), rtol=1e-9)


def test_default_estimator_takes_routed_weights():
    X, Y = make_data(n=100)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = MaskedCalibratedClassifierCV(cv=2)
        clf.fit(X, Y, sample_weight=np.ones(100))
    assert clf.n_labels_ == 3


def test_estimator_without_weights_is_told_of():
    X, Y = make_data(n=100)
    clf = MaskedCalibratedClassifierCV(KNeighborsClassifier(), cv=2)
    with pytest.warns(
        IgnoredWeightsWarning,
        match=r"^KNeighborsClassifier accepts no `sample_weight`: the weights count in "
        r"what MaskedCalibratedClassifierCV fits upon it alone\.$",
    ):
        clf.fit(X, Y[:, 0], sample_weight=np.ones(100))


def test_fit_that_fails_leaves_the_model_as_it_was():
    X, Y = make_data(n=100)
    clf = MaskedCalibratedClassifierCV(separate(), cv=2).fit(X, Y)
    want = clf.predict_proba(X)
    with pytest.raises(ValueError, match="target_prevalence"):
        clf.set_params(target_prevalence=2.0).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), want)


# Errors


def fit_with(X=None, y=None, **params):
    X_default, Y = make_data(n=60)
    X = X_default if X is None else X
    clf = MaskedCalibratedClassifierCV(params.pop("estimator", separate()), **params)
    return clf.fit(X, Y if y is None else y)


ONE_SIDED = np.array([[1.0], [np.nan]] * 30)
ERRORS = {
    "method": (
        lambda: fit_with(method="platt"),
        r"The 'method' parameter of MaskedCalibratedClassifierCV must be a str among ",
    ),
    "estimator": (
        lambda: fit_with(estimator=object()),
        r"The 'estimator' parameter of MaskedCalibratedClassifierCV must be ",
    ),
    "shape of prevalence": (
        lambda: fit_with(target_prevalence=[0.1, 0.2]),
        r"^`target_prevalence` accepts one number, one per label, shape \(3,\), or a "
        r"dict by names; got shape \(2,\)\.$",
    ),
    "prevalence": (
        lambda: fit_with(target_prevalence=[0.1, 0.0, 0.3]),
        r"^`target_prevalence` accepts shares strictly between 0 and 1, or NaN; got "
        r"0\.0 for label 1\.$",
    ),
    "name in prevalence": (
        lambda: fit_with(target_prevalence={"war": 0.1}),
        r"^`target_prevalence` accepts the labels of `y` as keys; got 'war', which is "
        r"none of them\.$",
    ),
    "overlapping splits": (
        lambda: fit_with(cv=ShuffleSplit(3, random_state=0), ensemble=False),
        r"^`cv` accepts splits whose test parts do not overlap: each cell counts "
        r"once\. Pass a splitter of the k-fold kind\.$",
    ),
    "fold without cells": (
        lambda: fit_with(
            y=np.vstack([make_data(n=40)[1], np.full((20, 3), np.nan)]),
            cv=[(np.arange(40), np.arange(40, 60))],
        ),
        r"^`cv` accepts splits that leave labeled cells out; got one that leaves ",
    ),
    "training part without cells": (
        lambda: fit_with(
            y=np.vstack([make_data(n=40)[1], np.full((20, 3), np.nan)]),
            cv=[(np.arange(40, 60), np.arange(40))],
        ),
        r"^`cv` accepts splits whose training parts hold labeled cells; got one that "
        r"holds none\.$",
    ),
    "no split": (
        lambda: fit_with(cv=[]),
        r"^`cv` accepts one split or more; got none\.$",
    ),
    "rows": (
        lambda: fit_with(X=np.zeros((5, 2))),
        r"^`X` and `y` must have the same number of rows \(inconsistent numbers of "
        r"samples\); got 5 and 60\.$",
    ),
    "no negative": (
        lambda: fit_with(y=ONE_SIDED),
        r"^`y` has no 0 anywhere: every labeled cell is positive, and -1 or NaN means ",
    ),
    "no cell": (
        lambda: fit_with(y=np.full((60, 2), np.nan)),
        r"^`y` must have a labeled cell of a weight above zero; got none in 60 x 2 ",
    ),
    "few rows of a class": (
        lambda: fit_with(estimator=LogisticRegression(), y=[0] * 57 + [1] * 3),
        r"^Requesting 5-fold cross-validation but provided less than 5 examples for at "
        r"least one class of `y`\.$",
    ),
    "three classes": (
        lambda: fit_with(estimator=LogisticRegression(), y=[0, 1, 2] * 20),
        r"Only binary classification is supported",
    ),
    "binary estimator for a label matrix": (
        lambda: fit_with(estimator=GaussianNB()),
        r"^`estimator` must take labels with unlabeled cells, which GaussianNB does "
        r"not\. Pass MaskedMultiOutputClassifier\(GaussianNB\(\.\.\.\)\), which fits ",
    ),
    "negative weight": (
        lambda: MaskedCalibratedClassifierCV(separate()).fit(
            *make_data(n=60), sample_weight=np.full(60, -1.0)
        ),
        r"^`sample_weight` accepts finite numbers from 0; got -1\.0 at sample 0\.$",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_none_for_y_raises():
    with pytest.raises(
        ValueError, match="requires y to be passed, but the target y is "
    ):
        MaskedCalibratedClassifierCV().fit(np.zeros((3, 1)), None)


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_unfitted_raises(method):
    with pytest.raises(NotFittedError):
        getattr(MaskedCalibratedClassifierCV(), method)(np.zeros((3, 1)))


# scikit-learn's checks

ONE_COLUMN = "A 2-D y of one column is a label matrix here, never a 1-D y."


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), {"check_supervised_y_2d": ONE_COLUMN}),
        (separate(), {}),
    ],
    ids=["binary", "matrix"],
)
def test_scikit_learn_checks(estimator, expected):
    clf = MaskedCalibratedClassifierCV(estimator, cv=3)
    with warnings.catch_warnings():
        # The checks fit degenerate data on purpose; each warning has its own test.
        warnings.simplefilter("ignore")
        results = check_estimator(clf, on_fail=None, on_skip=None)
    assert len(results) > 60
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == set(expected)


def test_constant_scores_give_a_constant():
    X, Y = make_data(n=60)

    class Constant(DummyClassifier):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y.to_dense()[:, 0], sample_weight)

        def predict_proba(self, X):
            return np.full((len(X), 3), 0.5)

        def __sklearn_tags__(self):
            return separate().__sklearn_tags__()

    for method in ("sigmoid", "isotonic"):
        clf = MaskedCalibratedClassifierCV(Constant(), method=method, ensemble=False)
        proba = clf.fit(X, Y).predict_proba(X)
        assert len(np.unique(proba, axis=0)) == 1
        np.testing.assert_allclose(proba[0], Y.mean(axis=0), atol=0.02)
