"""Decisions: what their measures say, or why they say nothing."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedCalibratedClassifierCV,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
)
from sklearn_masked.exceptions import UnscoredLabelsWarning

NAN = np.nan

CLASSIFIERS = {
    "joint": MaskedMultiLabelClassifier(
        max_epochs=1, random_state=0, device="cpu", idf_power=0, std_power=0
    ),
    "separate": MaskedMultiOutputClassifier(LogisticRegression()),
    "calibrated": MaskedCalibratedClassifierCV(LogisticRegression(), cv=2),
    "tuned": MaskedTunedThresholdClassifierCV(LogisticRegression(), cv=2),
}


def binary_problem():
    X = np.random.default_rng(0).normal(size=(40, 2))
    return X, np.where(X[:, 0] > 0, "yes", "no").astype(object)


@pytest.mark.parametrize("classifier", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_score_of_an_unlabeled_binary_target_is_nan_with_one_warning(classifier):
    X, y = binary_problem()
    classifier.fit(X, y)
    assert classifier.score(X, np.where(X[:, 1] > 0, y, None)) > 0.5
    cases = [
        {"y": np.full(len(y), None)},
        {"y": y, "sample_weight": np.zeros(len(y))},
    ]
    for case in cases:
        with pytest.warns(UnscoredLabelsWarning, match="has no labeled entry") as seen:
            assert np.isnan(classifier.score(X, **case))
        assert len(seen) == 1 and seen[0].filename == __file__


@pytest.mark.parametrize("classifier", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_score_refuses_a_label_matrix_after_a_binary_target(classifier):
    X, y = binary_problem()
    classifier.fit(X, (y == "yes") * 1)
    Y = np.column_stack([y == "yes", y == "no"]) * 1.0
    with pytest.raises(ValueError, match="same number of dimensions"):
        classifier.score(X, Y)
