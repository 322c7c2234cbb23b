"""Soft labels are for training: every other public door refuses them, in one sentence.

One test walks over all public functions and methods that take labels, which it finds by
the names of their parameters: a new one must say here what it does.
"""

import importlib
import inspect

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import sklearn_masked
from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
    annotation,
    calibration,
    check_labels,
    inspection,
    labels,
    metrics,
    model_selection,
    plotting,
)

plt.switch_backend("Agg")

REFUSED = (
    "Hard labels, 1 or 0 per cell, are needed here; got soft MaskedLabels, which are "
    "for training alone. Evaluate on labels that somebody confirmed, or pass "
    "`labels.hard(threshold=0.5)`."
)
NAN = np.nan
N = 12
X = np.random.RandomState(0).randn(N, 3)
Y = np.tile([[1, 0], [0, 1], [1, NAN], [0, 0]], (3, 1))
HARD = MaskedLabels.from_dense(Y, label_names=["a", "b"])
# No value is between 0 and 1: what is refused does not depend on the rows at hand.
SOFT = MaskedLabels.from_dense(Y, label_names=["a", "b"], soft=True)
SCORES = np.random.RandomState(1).rand(N, 2)
DECISIONS = (SCORES > 0.5).astype(int)
TEXTS = ["one", "two", "one three", "four"] * 3
IDS = [f"text {i}" for i in range(N)]
PARAMETERS = {
    "y",
    "y_true",
    "y_test",
    "labels",
    "stratify",
    "arrays",
    "target_prevalence",
    "truth",
}
FITTED = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, HARD)
auc = metrics.masked_roc_auc_score
table = annotation.query_cells(SCORES, HARD, n_cells=1, random_state=0)


def split(splitter, groups=None):
    return lambda y: next(splitter.split(X, y, groups))


def of(function, *scores, **kwargs):
    return lambda y: function(y, *scores, **kwargs)


def method(name, build=lambda: FITTED):
    return lambda y: getattr(build(), name)(X, y)


def calibrated():
    return MaskedCalibratedClassifierCV(FITTED, cv=2)


def fitted_calibrated():
    return calibrated().set_params(min_positive=1, min_negative=1).fit(X, HARD)


def tuned(**params):
    return MaskedTunedThresholdClassifierCV(FITTED, cv=2, **params)


def small():
    return MaskedMultiLabelClassifier(
        C=1.0, shared_weight=0.0, label_correlation=0.0, idf_power=0.0
    )


def described():
    steps = TfidfVectorizer(), small()
    return DescribedLabelsClassifier(make_pipeline(*steps), {"a": "one", "b": "two"})


def displays():
    for name in plotting.__all__:
        display = getattr(plotting, name)
        if hasattr(display, "from_predictions"):
            yield (
                f"plotting.{name}.from_predictions",
                of(display.from_predictions, SCORES),
            )
            yield (
                f"plotting.{name}.from_estimator",
                (lambda y, make=display.from_estimator: make(FITTED, X, y)),
            )


def metric_calls():
    for name in metrics.__all__:
        function = getattr(metrics, name)
        if name.startswith("masked_") and not isinstance(
            function, metrics.MaskedScorer
        ):
            kind = "y_pred" in inspect.signature(function).parameters
            more = {"beta": 2} if name == "masked_fbeta_score" else {}
            yield f"metrics.{name}", of(function, DECISIONS if kind else SCORES, **more)
        elif isinstance(function, metrics.MaskedScorer):
            yield f"metrics.{name}", lambda y, score=function: score(FITTED, X, y)


KFOLD = model_selection.MaskedStratifiedKFold(2)
GROUPED = model_selection.MaskedStratifiedGroupKFold(2)
REFUSING = {
    **dict(metric_calls()),
    **dict(displays()),
    "annotation.Annotations.from_labels": lambda y: annotation.Annotations.from_labels(
        y, sample_ids=IDS
    ),
    "annotation.audit_cells": lambda y: annotation.audit_cells(SCORES, y),
    "annotation.query_cells": lambda y: annotation.query_cells(SCORES, y, n_cells=1),
    "annotation.query_samples": lambda y: annotation.query_samples(
        SCORES, y, n_samples=1
    ),
    "annotation.seed_samples": lambda y: annotation.seed_samples(
        X, X[:2], y, n_samples=1
    ),
    "annotation.seed_cells": lambda y: annotation.seed_cells(
        X, np.eye(2, 3), labels=y, n_cells=1
    ),
    "annotation.simulate": lambda y: annotation.simulate(
        FITTED, X, y, X, HARD, n_cells=4, batch_cells=2
    ),
    "annotation.simulate(y_test)": lambda y: annotation.simulate(
        FITTED, X, MaskedLabels.from_dense(np.ones((N, 2))), X, y, n_cells=4
    ),
    "annotation.weigh_chosen_negatives": lambda y: annotation.weigh_chosen_negatives(
        y, table, weight=0.5
    ),
    "calibration.MaskedCalibratedClassifierCV.fit": lambda y: calibrated().fit(X, y),
    "calibration.MaskedCalibratedClassifierCV.score": method(
        "score", fitted_calibrated
    ),
    "calibration.MaskedCalibratedClassifierCV.correct_prior": method(
        "correct_prior", fitted_calibrated
    ),
    "calibration.estimate_prevalence": of(calibration.estimate_prevalence),
    "calibration.expected_calibration_error": of(
        calibration.expected_calibration_error, SCORES
    ),
    "calibration.inverse_propensity_weights": of(
        calibration.inverse_propensity_weights, np.full((N, 2), 0.5)
    ),
    "calibration.masked_calibration_curve": of(
        calibration.masked_calibration_curve, SCORES
    ),
    "classifier.MaskedMultiLabelClassifier.score": method(
        "score", lambda: small().fit(X, HARD)
    ),
    "classifier.DescribedLabelsClassifier.score": lambda y: (
        described().fit(TEXTS, HARD).score(TEXTS, y)
    ),
    "inspection.audited_performance": of(inspection.audited_performance, DECISIONS),
    "inspection.bootstrap_interval": lambda y: inspection.bootstrap_interval(
        auc, y, SCORES, n_resamples=2
    ),
    "inspection.learning_curve_by_cells": lambda y: inspection.learning_curve_by_cells(
        FITTED, X, y, cv=2
    ),
    "inspection.paired_comparison": lambda y: inspection.paired_comparison(
        auc, y, SCORES, SCORES, n_resamples=2
    ),
    "labels.MaskedLabels.from_votes": lambda y: MaskedLabels.from_votes([HARD, y]),
    "labels.aggregate_votes": lambda y: labels.aggregate_votes({"a": HARD, "b": y}),
    "labels.vote_agreement": lambda y: labels.vote_agreement({"a": HARD, "b": y}),
    "labels.check_labels": check_labels,
    "labels.check_labels(rows)": lambda y: check_labels(list(y)),
    "model_selection.MaskedStratifiedGroupKFold.split": split(GROUPED, np.arange(N)),
    "model_selection.MaskedStratifiedKFold.split": split(KFOLD),
    "model_selection.MaskedStratifiedShuffleSplit.split": split(
        model_selection.MaskedStratifiedShuffleSplit(1)
    ),
    "model_selection.cross_val_predict": lambda y: model_selection.cross_val_predict(
        FITTED, X, y, cv=2
    ),
    "model_selection.masked_train_test_split": lambda y: (
        model_selection.masked_train_test_split(X, y)
    ),
    "model_selection.masked_train_test_split(stratify)": lambda y: (
        model_selection.masked_train_test_split(X, stratify=y)
    ),
    "multioutput.MaskedMultiOutputClassifier.score": method("score"),
    "plotting.LabelCoverageDisplay.from_labels": of(
        plotting.LabelCoverageDisplay.from_labels
    ),
    "plotting.LearningCurveByCellsDisplay.from_estimator": lambda y: (
        plotting.LearningCurveByCellsDisplay.from_estimator(FITTED, X, y, cv=2)
    ),
    "thresholds.MaskedTunedThresholdClassifierCV.fit": lambda y: tuned().fit(X, y),
    "thresholds.MaskedTunedThresholdClassifierCV(target_prevalence)": lambda y: tuned(
        target_prevalence=y
    ).fit(X, HARD),
    "thresholds.MaskedTunedThresholdClassifierCV.score": lambda y: (
        tuned(min_positive=1, min_negative=1).fit(X, HARD).score(X, y)
    ),
}
# Others that have such a parameter, and what they do with labels.
OTHERS = {
    "annotation.CellAudit": "a result",
    "annotation.LoopReport": "a result",
    "calibration.MaskedCalibratedClassifierCV": "target_prevalence is of numbers",
    "classifier.DescribedLabelsClassifier.fit": "trains",
    "classifier.DescribedLabelsClassifier.partial_fit": "trains",
    "classifier.MaskedMultiLabelClassifier.fit": "trains",
    "classifier.MaskedMultiLabelClassifier.partial_fit": "trains",
    "feature_extraction.TextEncoder.fit": "reads no labels",
    "feature_extraction.TextEncoder.fit_transform": "reads no labels",
    "labels.LabelRow": "a row of any labels",
    "labels.VoteAggregation": "a result",
    "labels.MaskedLabels.from_cells": "columns of records",
    "inspection.explain": "names of labels",
    "inspection.label_coefficients": "names of labels",
    "labels.MaskedLabels.from_dense": "reads values",
    "labels.MaskedLabels.from_sparse": "reads values",
    "labels.MaskedLabels.merge": "keeps soft values",
    "labels.check_binary_labels": "1-D, never MaskedLabels",
    "model_selection.MaskedStratifiedGroupKFold.get_n_splits": "reads no labels",
    "model_selection.MaskedStratifiedKFold.get_n_splits": "reads no labels",
    "model_selection.MaskedStratifiedShuffleSplit.get_n_splits": "reads no labels",
    "multioutput.MaskedMultiOutputClassifier.fit": "trains",
    "multioutput.MaskedMultiOutputClassifier.partial_fit": "trains",
    "plotting.LabelCoefficientsDisplay.from_estimator": "names of labels",
    "thresholds.MaskedTunedThresholdClassifierCV": "in fit",
}


def public_callables():
    for module in sklearn_masked._MODULES:
        home = importlib.import_module(f"sklearn_masked.{module}")
        for name in getattr(home, "__all__", ()):
            thing = getattr(home, name)
            if not inspect.isclass(thing):
                if callable(thing):
                    yield f"{module}.{name}", thing
                continue
            if "torch" in str(thing.__mro__):
                continue  # losses and optimizers take tensors
            yield f"{module}.{name}", thing.__init__
            for attribute, member in inspect.getmembers(thing, callable):
                if not attribute.startswith("_"):
                    yield f"{module}.{name}.{attribute}", member


def taking_labels():
    for name, function in public_callables():
        try:
            parameters = inspect.signature(function).parameters
        except ValueError:  # of builtins
            continue
        if PARAMETERS & set(parameters):
            yield name


def test_every_public_function_that_takes_labels_is_listed():
    listed = {name.split("(")[0] for name in REFUSING} | set(OTHERS)
    assert set(taking_labels()) == listed


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.ReversedScoresWarning")
@pytest.mark.parametrize("call", REFUSING.values(), ids=REFUSING.keys())
def test_soft_labels_are_refused_in_one_sentence(call):
    with pytest.raises(ValueError) as caught:
        call(SOFT)
    assert str(caught.value) == REFUSED


def test_hard_is_what_to_pass_instead():
    assert auc(SOFT.hard(), SCORES) == auc(HARD, SCORES)
