"""scikit-learn's own checks, and those that every classifier of ours must pass."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
)

SHUFFLED = (
    "rtol 1e-7 between repeated and weighted rows cannot hold for shuffled float32 "
    "mini-batches; scikit-learn expects the same of its SGD estimators. "
    "tests/test_nn_losses.py has the exact law in their place."
)
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": SHUFFLED,
    "check_sample_weight_equivalence_on_sparse_data": SHUFFLED,
}


def run_checks(estimator):
    with warnings.catch_warnings():
        # The checks fit degenerate data on purpose; each warning has its own test.
        warnings.simplefilter("ignore")
        return check_estimator(estimator, on_fail=None, on_skip=None)


def failures(results):
    return {
        result["check_name"]: repr(result["exception"])
        for result in results
        if result["status"] == "failed"
    }


@pytest.mark.parametrize("run", range(2))
def test_scikit_learn_checks_of_the_estimator(run):
    results = run_checks(MaskedMultiLabelClassifier())
    assert len(results) > 60
    failed = failures(results)
    assert {k: v for k, v in failed.items() if k not in EXPECTED_FAILURES} == {}


def test_scikit_learn_checks_of_the_classic_model():
    results = run_checks(MaskedMultiLabelClassifier(module="embedding_bag"))
    assert len(results) > 60
    failed = failures(results)
    assert {k: v for k, v in failed.items() if k not in EXPECTED_FAILURES} == {}


def test_scikit_learn_checks_of_separate_models():
    results = run_checks(MaskedMultiOutputClassifier(LogisticRegression()))
    assert len(results) > 60
    assert failures(results) == {}


CLASSIFIERS = [
    MaskedMultiLabelClassifier(max_epochs=2, random_state=0, device="cpu"),
    MaskedMultiLabelClassifier(
        module="embedding_bag", max_epochs=2, random_state=0, device="cpu"
    ),
    MaskedMultiOutputClassifier(LogisticRegression()),
]


def name_of(classifier):
    is_classic = getattr(classifier, "module", None) is not None
    return "classic" if is_classic else type(classifier).__name__


def partly_labeled(rng, n_samples, n_labels=3):
    """Return X, and labels by its first columns of which 40 % are unlabeled."""
    X = rng.normal(size=(n_samples, 4))
    Y = (X[:, :n_labels] > 0).astype(float)
    Y[rng.random(Y.shape) < 0.4] = np.nan
    return X, Y


@pytest.mark.parametrize("n_labels", [1, 2, 3])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_outputs_have_a_column_a_label(classifier, n_labels):
    X, Y = partly_labeled(np.random.default_rng(0), 60, n_labels)
    classifier.fit(X, Y)
    proba = classifier.predict_proba(X)
    assert proba.shape == (60, n_labels)
    assert proba.dtype == np.float64
    assert ((proba > 0) & (proba < 1)).all()
    assert classifier.decision_function(X).shape == (60, n_labels)
    predicted = classifier.predict(X)
    assert predicted.dtype == np.int64
    np.testing.assert_array_equal(predicted, proba > 0.5)
    assert classifier.classes_.dtype == object
    assert classifier.classes_.tolist() == list(range(n_labels))
    assert classifier.n_labels_ == n_labels


SEPARATE = MaskedMultiOutputClassifier(LogisticRegression())
ALL = [
    *CLASSIFIERS,
    MaskedCalibratedClassifierCV(SEPARATE, method="isotonic", cv=2, min_negative=1),
    MaskedTunedThresholdClassifierCV(SEPARATE, cv=2),
    MaskedTunedThresholdClassifierCV(SEPARATE, cv=2, refit=False),
]


@pytest.mark.parametrize("one_dimensional", [False, True])
@pytest.mark.parametrize("classifier", ALL, ids=name_of)
def test_decisions_and_logarithms_follow_from_one_base(classifier, one_dimensional):
    X, Y = partly_labeled(np.random.default_rng(0), 120)
    y = np.where(X[:, 0] > 0, "yes", "no") if one_dimensional else Y
    classifier = clone(classifier).fit(X, y)
    proba = classifier.predict_proba(X)
    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(classifier.predict_log_proba(X), np.log(proba))
    predicted = classifier.predict(X)
    if one_dimensional:
        assert set(predicted) <= {"no", "yes"}
        assert classifier.score(X, y) == np.mean(predicted == y)
    else:
        assert predicted.dtype == np.intp
    tags = get_tags(classifier)
    assert tags.target_tags.two_d_labels and tags.target_tags.one_d_labels
    assert tags.classifier_tags.multi_label and not tags.classifier_tags.multi_class


def test_a_classifier_without_probabilities_has_no_logarithms_of_them():
    assert not hasattr(MaskedMultiOutputClassifier(LinearSVC()), "predict_log_proba")


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_junk_form_of_unlabeled_cells_changes_nothing(classifier):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 5)).astype(np.float32)
    Y = (X[:, :3] > 0).astype(float)
    unlabeled = rng.random(Y.shape) < 0.5
    as_nan = np.where(unlabeled, np.nan, Y)
    as_sentinel = np.where(unlabeled, -1, Y)
    as_object = as_nan.astype(object)
    as_object[unlabeled] = None
    as_masked = np.ma.array(np.where(unlabeled, 7, Y), mask=unlabeled)
    want = classifier.fit(X, as_nan).predict_proba(X)
    for form in (as_sentinel, as_object, as_masked):
        np.testing.assert_array_equal(classifier.fit(X, form).predict_proba(X), want)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
@pytest.mark.parametrize(
    "y", [[0, 1, 2, 1, 0, 2], [0, -1, 1, 0, -1, 1]], ids=["three", "-1 beside 0, 1"]
)
def test_one_dimensional_y_is_binary(classifier, y):
    X = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match=r"Only binary classification is supported"):
        classifier.fit(X, y)
    with pytest.raises(ValueError, match=r"y\[:, None\]"):
        classifier.fit(X, y)


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_negative_one_and_zero_in_one_dimension_raise(classifier):
    X = np.random.default_rng(0).normal(size=(6, 2))
    with pytest.raises(ValueError, match=r"y\[:, None\]"):
        classifier.fit(X, [0, -1, 0, 0, -1, -1])


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=name_of)
def test_label_without_cells_warns_and_predicts_pooled_rate(classifier):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 3))
    Y = np.full((50, 3), np.nan)
    Y[:, 0] = X[:, 0] > 0
    Y[:20, 1] = X[:20, 1] > 0
    pooled = np.nansum(Y) / np.isfinite(Y).sum()
    with pytest.warns(UserWarning, match=r"No cell is labeled of label 2: "):
        classifier.fit(X, Y)
    np.testing.assert_allclose(classifier.predict_proba(X)[:, 2], pooled, rtol=1e-6)
