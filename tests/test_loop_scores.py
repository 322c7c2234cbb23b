"""How good the model of a loop is, and what more answers may bring."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.loop._score import Thinned, forecast, score_labels
from sklearn_masked.inspection import bootstrap_interval
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_roc_auc_score,
)

NAMES = ["war", "crime", "rain"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    y = (X[:, :3] + rng.normal(size=(300, 3)) > 0.8).astype(int)
    return X, y


def make(folder, X):
    estimator = MaskedMultiOutputClassifier(LogisticRegression())
    given = {"folder": folder, "label_names": NAMES, "random_state": 0}
    return LabelingLoop(estimator, X, chosen_negative_weight=1, **given)


def answer(loop, y, n_cells):
    batch = loop.next_batch(n_cells)
    rows, cols = batch["sample"], batch["label"]
    loop.answer(rows, cols, y[rows, cols])


def test_scores_have_intervals_and_random_cells_their_own(data, tmp_path):
    X, y = data
    with make(tmp_path, X) as loop:
        answer(loop, y, 120)
        loop.answer(np.arange(300), [0] * 300, y[:, 0])  # nobody asked for these
        report = loop.report(cv=3)
        labels, cells = loop.labels, loop.labels.cells()
        proba = loop._held_out_proba(labels, 3)
        params = {"n_resamples": 200, "random_state": 0}
        found = bootstrap_interval(
            masked_roc_auc_score, labels, proba, average=None, **params
        )
        np.testing.assert_allclose(report.labels["roc_auc"], found.estimate)
        np.testing.assert_allclose(report.labels["roc_auc_low"], found.low)
        np.testing.assert_allclose(report.labels["roc_auc_high"], found.high)
        found = bootstrap_interval(
            masked_average_precision_score, labels, proba, **params
        )
        expected = found.estimate, found.low, found.high
        np.testing.assert_allclose(report.macro_average_precision, expected)
        # All 120 cells were drawn by chance: there was neither a model nor a word.
        chance = {(one.sample, one.label) for one in loop.answers() if one.reason}
        is_random = [
            (row, NAMES[col]) in chance
            for row, col in zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
        ]
        assert report.n_random == sum(is_random) == 120
        expected = masked_roc_auc_score(
            MaskedLabels.from_cells(
                cells.rows[is_random],
                cells.cols[is_random],
                cells.values[is_random],
                shape=labels.shape,
            ),
            proba[is_random],
            average="micro",
        )
        assert report.random_roc_auc[0] == expected
        assert np.isnan(report.rise[0]) and report.n_more_cells is None
        printed = str(report)
        assert max(map(len, printed.splitlines())) <= 80
        assert "ROC AUC on the 120 cells drawn by chance: 0." in printed
    with make(tmp_path, X) as loop:
        assert str(loop.report()) == printed  # they are in the folder


def test_the_curve_so_far_grows_and_more_cells_are_forecast(data, tmp_path):
    X, y = data
    with make(tmp_path, X) as loop:
        for _ in range(3):
            answer(loop, y, 60)
            report = loop.report(cv=3, n_more_cells=100)
        assert [one[0] for one in report.history] == [60, 120, 180]
        assert report.history[-1][1:] == report.macro_average_precision
        rise, low, high = report.rise
        assert low <= rise <= high and 0 <= rise < 0.2
        assert "100 more answers may add +0." in str(report)
        assert "mean AP so far: 60 cells 0." in str(report)
        assert loop.report(cv=3).history == report.history  # scored again, not more


def test_a_forecast_meets_what_comes(data):
    """The rise from 300 to 600 cells, by models of 75 to 300."""
    X, y = data
    rng = np.random.default_rng(1)
    order = rng.permutation(y.size)
    estimator = MaskedMultiOutputClassifier(LogisticRegression(C=0.1))
    test_X = rng.normal(size=(2000, 6))
    test = (test_X[:, :3] + rng.normal(size=(2000, 3)) > 0.8).astype(float)

    def proba(n):
        rows, cols = np.divmod(order[:n], 3)
        labels = MaskedLabels.from_cells(rows, cols, y[rows, cols], shape=y.shape)
        return estimator.fit(X, labels).predict_proba(test_X).ravel()

    labels = MaskedLabels.from_dense(test)
    # As if the 300 cells that the last model has were those that it is scored on.
    scored = labels[:100]
    probas = [proba(n).reshape(-1, 3)[:100].ravel() for n in (75, 150, 300)]
    rise, low, high = forecast(probas, [75, 150, 300], scored, 300)
    came = [
        masked_average_precision_score(labels, proba(n), average="macro")
        for n in (300, 600)
    ]
    assert low <= rise <= high
    assert abs(rise - (came[1] - came[0])) < 0.03
    # Nothing is promised where there is nothing to go by.
    few = MaskedLabels.from_cells([0, 1], [0, 0], [0, 1], shape=(2, 1))
    assert np.isnan(forecast([np.ones(2)] * 3, [1, 1, 2], few, 10)).all()


def test_without_positives_nothing_is_scored():
    labels = MaskedLabels.from_cells(range(50), [0] * 50, [0] * 50, shape=(50, 2))
    scores = score_labels(np.full(50, 0.1), labels, np.ones(50, bool))
    for name in ("roc_auc", "average_precision", "macro_roc_auc", "random_roc_auc"):
        assert np.isnan(scores[name]).all()
    assert np.isnan(forecast([np.full(50, 0.1)] * 3, [1, 2, 4], labels, 10)).all()


def test_a_share_of_the_cells_is_among_those_of_a_larger_one(data):
    X, y = data
    seen = []

    class Keep(MaskedMultiOutputClassifier):
        def fit(self, X, y):
            seen.append(y)
            return super().fit(X, y)

    weights = np.linspace(1, 2, y.size).reshape(y.shape)
    labels = MaskedLabels.from_dense(y.astype(float), weights=weights)
    for share in (0.25, 0.5, 1.0):
        Thinned(Keep(LogisticRegression()), share, 0).fit(X, labels)
    dense = [one.to_dense() for one in seen]
    assert [one.n_cells for one in seen] == [225, 450, 900]
    for small, large in zip(dense, dense[1:], strict=False):
        known = ~np.isnan(small)
        assert (small[known] == large[known]).all()
    some = seen[0].cells()
    np.testing.assert_array_equal(some.weights, weights[some.rows, some.cols])


@pytest.mark.parametrize("n", [0, 1.5, "many"])
def test_a_number_of_cells_that_cannot_be_is_refused(data, tmp_path, n):
    with make(tmp_path, data[0]) as loop:
        answer(loop, data[1], 60)
        with pytest.raises(ValueError, match="`n_more_cells` accepts integers from 1"):
            loop.report(cv=2, n_more_cells=n)
