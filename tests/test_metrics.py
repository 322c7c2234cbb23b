"""Metrics: labels left out and their warning, weights, bad input, extreme input.

That the values are those of scikit-learn is the law's business: `test_law.py`.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn.metrics as skm
from sklearn.exceptions import UndefinedMetricWarning

from sklearn_masked.exceptions import UnscoredLabelsWarning
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_balanced_accuracy_score,
    masked_brier_score_loss,
    masked_f1_score,
    masked_fbeta_score,
    masked_log_loss,
    masked_matthews_corrcoef,
    masked_precision_score,
    masked_recall_score,
    masked_roc_auc_score,
)

NAN = np.nan
RANKING = [masked_roc_auc_score, masked_average_precision_score]
PROBABILITIES = [masked_log_loss, masked_brier_score_loss]
DECISIONS = [masked_precision_score, masked_recall_score, masked_f1_score]
BALANCED = [masked_balanced_accuracy_score, masked_matthews_corrcoef]
ALL = RANKING + PROBABILITIES + DECISIONS + BALANCED


def loop(function, Y, scores, weights=None):
    """One value a label by scikit-learn, from its labeled cells."""
    values = []
    for j in range(Y.shape[1]):
        labeled = ~np.isnan(Y[:, j])
        y = Y[labeled, j]
        w = None if weights is None else weights[labeled, j]
        values.append(
            function(y, scores[labeled, j], sample_weight=w)
            if 0 < y.sum() < len(y)
            else NAN
        )
    return np.array(values)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("decimals", [None, 1])
@pytest.mark.parametrize(
    "ours, theirs",
    [
        (masked_roc_auc_score, skm.roc_auc_score),
        (masked_average_precision_score, skm.average_precision_score),
    ],
)
def test_labels_of_very_different_sizes_equal_a_loop(ours, theirs, decimals, weighted):
    rng = np.random.default_rng(0)
    sizes = np.concatenate([rng.integers(0, 40, 150), [3000, 900, 2900, 1, 0]])
    Y = np.full((3000, len(sizes)), NAN)
    for j, size in enumerate(sizes):
        Y[rng.permutation(3000)[:size], j] = rng.integers(0, 2, size)
    scores = rng.normal(size=Y.shape)
    if decimals is not None:
        scores = scores.round(decimals)
    weights = None
    if weighted:
        # Labels whose weights are of another order of magnitude must not mix.
        weights = rng.exponential(size=Y.shape) * 10.0 ** rng.integers(
            -9, 9, len(sizes)
        )
    with pytest.warns(UnscoredLabelsWarning):
        values = ours(Y, scores, average=None, sample_weight=weights)
    np.testing.assert_allclose(values, loop(theirs, Y, scores, weights), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, int, bool])
def test_scores_of_any_number_dtype_are_ranked_as_they_are(dtype):
    rng = np.random.default_rng(1)
    Y = rng.choice([0, 1, NAN], (200, 3))
    scores = (rng.normal(size=Y.shape) * 3).astype(dtype)
    values = masked_roc_auc_score(Y, scores, average=None)
    np.testing.assert_allclose(values, loop(skm.roc_auc_score, Y, scores), atol=1e-12)


def test_extreme_scores_are_ranked_as_they_are():
    y = np.array([[0, 1, 0, 1, 1, 0]]).T
    largest = np.finfo(float).max
    scores = np.array([[-largest, largest, 5e-324, 0.0, -0.0, 1.0]]).T
    expected = skm.roc_auc_score(y[:, 0], scores[:, 0])
    assert masked_roc_auc_score(y, scores) == pytest.approx(expected, abs=1e-12)


def test_weighted_cells_at_the_top_keep_their_precision():
    # The running sums must start at the top: the first cells weigh next to nothing.
    y = np.array([[1, 0, 1, 0, 1]]).T
    scores = np.array([[5.0, 4.0, 3.0, 2.0, 1.0]]).T
    weights = np.array([1e-9, 1e-9, 1e-9, 1e9, 1e-9])
    expected = skm.average_precision_score(y[:, 0], scores[:, 0], sample_weight=weights)
    ours = masked_average_precision_score(y, scores, sample_weight=weights)
    assert ours == pytest.approx(expected, abs=1e-12)


def test_log_loss_clips_by_the_dtype_as_scikit_learn_does():
    y = np.array([[1, 0]]).T
    for dtype in (np.float32, np.float64):
        proba = np.array([[0.0, 1.0]], dtype=dtype).T
        assert masked_log_loss(y, proba) == pytest.approx(-np.log(np.finfo(dtype).eps))


# Labels that are left out


def unscorable():
    """Labels: scored, without negatives, without positives, without cells, scored."""
    Y = np.array(
        [
            [1, 1, 0, NAN, 1],
            [0, 1, NAN, NAN, 0],
            [1, NAN, 0, NAN, NAN],
            [0, 1, 0, NAN, 1],
        ]
    )
    return Y, np.array(
        [[0.9, 0.2, 0.3, 0.1, 0.4]] * 2 + [[0.1, 0.8, 0.5, 0.6, 0.7]] * 2
    )


@pytest.mark.parametrize("metric", RANKING)
def test_labels_with_one_class_are_left_out_with_one_warning(metric):
    Y, scores = unscorable()
    with pytest.warns(UnscoredLabelsWarning) as caught:
        values = metric(Y, scores, average=None)
    assert [str(w.message) for w in caught] == [
        "3 of 5 labels cannot be scored, which takes 1 positive and 1 negative labeled "
        "cells a label, and are left out: 1, 2, 3."
    ]
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(np.isnan(values), [False, True, True, True, False])
    with pytest.warns(UnscoredLabelsWarning, match="3 of 5 labels"):
        assert metric(Y, scores) == pytest.approx(values[[0, 4]].mean(), abs=1e-15)


@pytest.mark.parametrize("metric", DECISIONS)
def test_decisions_leave_out_labels_with_one_class(metric):
    Y, scores = unscorable()
    decisions = scores > 0.3
    with pytest.warns(UnscoredLabelsWarning) as caught:
        values = metric(Y, decisions, average=None)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(np.isnan(values), [False, True, True, True, False])


@pytest.mark.parametrize("metric", PROBABILITIES)
def test_probabilities_need_a_labeled_cell_alone(metric):
    Y, scores = unscorable()
    with pytest.warns(UnscoredLabelsWarning) as caught:
        values = metric(Y, scores, average=None)
    assert [str(w.message) for w in caught] == [
        "1 of 5 labels cannot be scored, which takes 1 labeled cell a label, and are "
        "left out: 3."
    ]
    np.testing.assert_array_equal(np.isnan(values), [False, False, False, True, False])
    with pytest.warns(UnscoredLabelsWarning, match="left out: 1, 2, 3"):
        values = metric(Y, scores, average=None, min_positive=1, min_negative=1)
    np.testing.assert_array_equal(np.isnan(values), [False, True, True, True, False])


def test_the_warning_names_ten_labels_by_name():
    names = [f"topic {j}" for j in range(14)]
    labels = MaskedLabels.from_cells(
        [0, 1, 0],
        ["topic 0", "topic 0", "topic 3"],
        [0, 1, 1],
        shape=(2, 14),
        label_names=names,
    )
    with pytest.warns(UnscoredLabelsWarning) as caught:
        masked_roc_auc_score(labels, np.zeros((2, 14)))
    listed = ", ".join(repr(name) for name in names[1:11])
    assert str(caught[0].message).endswith(f"are left out: {listed} and 3 more.")


@pytest.mark.parametrize("metric", ALL)
def test_nothing_to_score_gives_nan_and_a_warning(metric):
    Y = np.full((3, 2), NAN)
    for average in ("macro", "weighted"):
        with pytest.warns(UnscoredLabelsWarning, match="No label is left") as caught:
            assert np.isnan(metric(Y, np.zeros((3, 2)), average=average))
        assert len(caught) == 1
    with pytest.warns(UnscoredLabelsWarning, match="all labels together are too few"):
        assert np.isnan(metric(Y, np.zeros((3, 2)), average="micro"))


def test_weighted_average_without_positives_is_nan_and_says_why():
    with pytest.warns(UnscoredLabelsWarning, match="average='weighted' has no weights"):
        assert np.isnan(masked_log_loss([[0], [0]], [[0.5], [0.5]], average="weighted"))


def test_limits_leave_out_rare_labels():
    Y = np.array([[1, 1], [0, 1], [0, 0], [0, 0]])
    scores = np.array([[0.1, 0.9], [0.4, 0.8], [0.2, 0.3], [0.3, 0.85]])
    with pytest.warns(UnscoredLabelsWarning, match="takes 2 positive and 1 negative"):
        value = masked_roc_auc_score(Y, scores, min_positive=2)
    assert value == skm.roc_auc_score(Y[:, 1], scores[:, 1])


def test_average_precision_without_negatives_counts_on_demand():
    Y, scores = [[1], [1]], [[0.2], [0.1]]
    assert masked_average_precision_score(Y, scores, min_negative=0) == 1.0
    with pytest.warns(UnscoredLabelsWarning):
        assert np.isnan(masked_average_precision_score(Y, scores))


@pytest.mark.parametrize("metric", ALL)
def test_weight_0_is_as_good_as_unlabeled(metric):
    rng = np.random.default_rng(3)
    Y = rng.integers(0, 2, (30, 3)).astype(float)
    scores = (rng.random(Y.shape) > 0.5).astype(float)
    weights = rng.integers(0, 2, Y.shape).astype(float)
    weights[:, 2] = 0
    hidden = np.where(weights == 0, NAN, Y)
    scores_with_junk = np.where(weights == 0, NAN, scores)
    for average in ("macro", "micro", "weighted", None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnscoredLabelsWarning)
            ours = metric(Y, scores_with_junk, average=average, sample_weight=weights)
            expected = metric(hidden, scores, average=average)
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-15)


def test_zero_division_of_labels_without_positive_decisions():
    Y = np.array([[1, 1], [0, NAN], [NAN, 0]])
    decisions = np.array([[0, 1], [0, 1], [1, 0]])
    with pytest.warns(UndefinedMetricWarning) as caught:
        values = masked_precision_score(Y, decisions, average=None)
    assert [str(w.message) for w in caught] == [
        "Precision is ill-defined and set to 0.0 in labels with no predicted "
        "positives: 0. Use the `zero_division` parameter to control this behavior."
    ]
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(values, [0, 1])
    assert masked_precision_score(Y, decisions, zero_division=0) == 0.5
    assert masked_precision_score(Y, decisions, zero_division=1) == 1.0
    assert masked_precision_score(Y, decisions, zero_division=NAN) == 1.0


def test_fbeta_has_precision_and_recall_at_its_ends():
    Y = np.array([[1, 1], [0, NAN], [1, 0], [0, 1]])
    decisions = np.array([[1, 1], [1, 0], [0, 1], [1, 1]])
    ends = {0: masked_precision_score, np.inf: masked_recall_score, 1: masked_f1_score}
    for beta, metric in ends.items():
        assert masked_fbeta_score(Y, decisions, beta=beta) == metric(Y, decisions)


# Forms of scores


def test_scores_of_the_labeled_cells_alone():
    rng = np.random.default_rng(4)
    Y = rng.choice([0, 1, NAN], (40, 3))
    scores = rng.random(Y.shape)
    cells = MaskedLabels.from_dense(Y).cells()
    expected = masked_roc_auc_score(Y, scores)
    assert masked_roc_auc_score(Y, scores[cells.rows, cells.cols]) == expected
    assert masked_roc_auc_score(Y, pd.DataFrame(scores)) == expected
    assert masked_roc_auc_score(Y, scores.tolist()) == expected
    decisions = scores > 0.5
    expected = masked_f1_score(Y, decisions)
    assert masked_f1_score(Y, sp.csr_array(decisions)) == expected
    assert masked_f1_score(Y, sp.coo_matrix(decisions.astype(int))) == expected


@pytest.mark.parametrize(
    "y",
    [
        [0, 1, NAN, 1, 0, None],
        np.array([-1, 1, NAN, 1, -1, NAN]),
        np.array(["no", "yes", None, "yes", "no", None], dtype=object),
        pd.Series([0, 1, pd.NA, 1, 0, pd.NA], dtype="Int8"),
        np.ma.array([0, 1, 1, 1, 0, 1], mask=[0, 0, 1, 0, 0, 1]),
    ],
    ids=["list", "minus one is a class", "strings", "pandas", "numpy.ma"],
)
def test_binary_targets_read_as_scikit_learn_does(y):
    scores = np.array([0.6, 0.8, NAN, 0.4, 0.1, 7.0])
    labeled, truth = [0, 1, 3, 4], np.array([0, 1, 1, 0])
    proba = scores[labeled]
    assert masked_roc_auc_score(y, scores) == skm.roc_auc_score(truth, proba)
    assert masked_roc_auc_score(y, scores[:, None]) == skm.roc_auc_score(truth, proba)
    expected = skm.log_loss(truth, proba)
    assert masked_log_loss(y, scores) == pytest.approx(expected, abs=1e-12)
    both = np.column_stack([1 - scores, scores])
    assert masked_log_loss(y, both) == pytest.approx(expected, abs=1e-12)


def test_binary_decisions_are_the_original_values():
    y = np.array(["no", "yes", None, "yes", "no"], dtype=object)
    decisions = np.array(["yes", "yes", "whatever", "no", "no"], dtype=object)
    assert masked_precision_score(y, decisions) == 0.5
    with pytest.raises(
        ValueError,
        match="`y_pred` accepts the classes of `y_true`, .*; got .maybe. at sample 0",
    ):
        masked_precision_score(y, np.array(["maybe"] * 5, dtype=object))


# Bad input

BAD_SCORES = [
    (
        masked_roc_auc_score,
        [[0.1, 0.2], [NAN, 0.3]],
        "`y_score` accepts finite numbers in labeled cells; got nan at sample 1, label "
        "0.",
    ),
    (
        masked_average_precision_score,
        [[0.1, np.inf], [NAN, 0.3]],
        "`y_score` accepts finite numbers in labeled cells; got inf at sample 0, label "
        "1.",
    ),
    (
        masked_log_loss,
        [[0.1, 1.5], [0.5, 0.3]],
        "`y_proba` accepts probabilities between 0 and 1 in labeled cells; got 1.5 at "
        "sample 0, label 1.",
    ),
    (
        masked_brier_score_loss,
        [[0.1, 0.5], [-0.5, 0.3]],
        "`y_proba` accepts probabilities between 0 and 1 in labeled cells; got -0.5 at "
        "sample 1, label 0.",
    ),
    (
        masked_f1_score,
        [[1, 0], [0.25, 0]],
        "`y_pred` accepts 0 and 1 in labeled cells; got 0.25 at sample 1, label 0. "
        "Apply a threshold to the scores first.",
    ),
    (
        masked_roc_auc_score,
        [0.1, 0.2],
        "`y_score` accepts shape (2, 2), as `y_true` has, or one value for each of its "
        "3 labeled cells, row by row; got shape (2,).",
    ),
]


@pytest.mark.parametrize("metric, scores, message", BAD_SCORES)
def test_bad_scores_raise_one_sentence(metric, scores, message):
    with pytest.raises(ValueError) as caught:
        metric([[1, 0], [0, NAN]], scores)
    assert str(caught.value) == message


def test_bad_scores_name_the_label():
    labels = MaskedLabels.from_cells(
        [0, 1], ["b", "b"], [0, 1], shape=(2, 2), label_names=["a", "b"]
    )
    with pytest.raises(ValueError, match="got nan at sample 1, label 'b'"):
        masked_roc_auc_score(labels, [[NAN, 0.5], [0.5, NAN]])


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("scores", [[["a"], ["b"]], [[1j], [2j]]])
def test_scores_that_are_no_numbers_raise(metric, scores):
    with pytest.raises(
        TypeError, match="accepts numbers in labeled cells; got an array"
    ):
        metric([[1], [0]], scores)


@pytest.mark.parametrize("metric", ALL)
def test_bad_options_raise(metric):
    Y = [[1], [0]]
    with pytest.raises(
        ValueError, match="`average` accepts 'micro', .*; got 'samples'"
    ):
        metric(Y, Y, average="samples")
    with pytest.raises(
        ValueError, match="`min_positive` accepts an integer, 0 or above"
    ):
        metric(Y, Y, min_positive=-1)
    with pytest.raises(ValueError, match="`min_negative` accepts .* got 1.5"):
        metric(Y, Y, min_negative=1.5)


def test_bad_options_of_decisions_raise():
    Y = [[1], [0]]
    with pytest.raises(ValueError, match="`zero_division` accepts .*; got 2."):
        masked_f1_score(Y, Y, zero_division=2)
    with pytest.raises(
        ValueError, match="`beta` accepts a number, 0 or above; got -1."
    ):
        masked_fbeta_score(Y, Y, beta=-1)


def test_a_binary_target_and_scores_of_another_shape_raise():
    with pytest.raises(ValueError, match=r"shape \(3,\); got shape \(2,\)"):
        masked_roc_auc_score([0, 1, NAN], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"shape \(3,\); got shape \(3, 2\)"):
        masked_roc_auc_score([0, 1, NAN], np.zeros((3, 2)))


@pytest.mark.parametrize("zero, one", [(0, 1), (-1, 1), ("a", "b")])
def test_binary_decisions_tell_the_class_of_a_target_with_one_class(zero, one):
    limits = {"min_positive": 0, "min_negative": 0, "zero_division": 0}
    decisions = np.array([zero, one, one])
    assert masked_precision_score([one] * 3, decisions, **limits) == 1.0
    assert masked_recall_score([one] * 3, decisions, **limits) == 2 / 3
    assert masked_precision_score([zero] * 3, decisions, **limits) == 0.0
