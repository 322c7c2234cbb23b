"""Samples to read next, each with the labels to answer at once."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import query_samples, seed_samples, simulate
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.exceptions import FewerCellsWarning


def make(n_samples=300, n_labels=30, labeled=0.1, seed=0):
    rng = np.random.default_rng(seed)
    proba = rng.random((n_samples, n_labels)) ** 3
    values = (rng.random(proba.shape) < proba).astype(float)
    return proba, np.where(rng.random(proba.shape) < labeled, values, np.nan)


def screens(table):
    """Return {sample: labels} and check that cells of a sample are neighbors."""
    rows = table["sample"]
    n_runs = 1 + np.count_nonzero(np.diff(rows))
    found = {row: set(table["label"][rows == row].tolist()) for row in rows.tolist()}
    assert n_runs == len(found)
    return found


@pytest.mark.parametrize("strategy", ["uncertain", "likely_positive", "deficit"])
def test_where_all_labels_fit_samples_are_ranked_by_the_sum_of_their_utilities(
    strategy,
):
    proba, labels = make(n_labels=6, labeled=0.3)
    cost = np.linspace(0, 1, len(proba))
    table = query_samples(
        proba, labels, n_samples=40, strategy=strategy, reading_cost=cost
    )
    free = np.isnan(labels)
    if strategy == "uncertain":
        utility = 1 - np.abs(2 * proba - 1)
    elif strategy == "likely_positive":
        utility = proba
    else:
        few = np.nansum(labels, axis=0) <= np.nansum(1 - labels, axis=0)
        utility = np.where(few, proba, 1 - proba)
    value = (utility * free).sum(axis=1) - cost
    expected = np.argsort(-value)[:40]
    found = screens(table)
    assert list(found) == expected.tolist()
    for row, cols in found.items():
        assert cols == set(np.flatnonzero(free[row]).tolist())
    assert set(table["reason"]) == {strategy}
    at = table["sample"], table["label"]
    np.testing.assert_allclose(table["utility"], utility[at], atol=1e-8)
    np.testing.assert_array_equal(table["probability"], proba[at])


def test_labeled_cells_are_never_shown_and_never_read():
    proba, labels = make()
    table = query_samples(proba, labels, n_samples=30, random_state=0)
    assert np.isnan(labels[table["sample"], table["label"]]).all()
    junk = np.where(np.isnan(labels), proba, np.nan)
    again = query_samples(junk, labels, n_samples=30, random_state=0)
    for name in ("sample", "label", "reason"):
        assert (table[name] == again[name]).all()


@pytest.mark.parametrize("step", [1, 7, 100])
def test_the_result_does_not_depend_on_the_blocks(step):
    proba, labels = make(n_samples=3000, n_labels=12)
    blocks = (
        (slice(i, i + step), proba[i : i + step]) for i in range(0, len(proba), step)
    )
    table = query_samples(proba, labels, n_samples=20, max_labels=4, random_state=3)
    again = query_samples(blocks, labels, n_samples=20, max_labels=4, random_state=3)
    for name in ("sample", "label", "utility", "reason"):
        np.testing.assert_array_equal(table[name], again[name])


def test_a_label_that_has_had_its_share_is_shown_no_more():
    proba, labels = make(n_labels=30, labeled=0)
    proba[:, 0] = 0.5 + proba[:, 0] / 3  # would be on every screen
    table = query_samples(
        proba,
        labels,
        n_samples=20,
        max_labels=5,
        strategy="uncertain",
        max_similarity=1,
    )
    found = screens(table)
    assert len(found) == 20 and {len(cols) for cols in found.values()} == {5}
    assert np.bincount(table["label"], minlength=30).max() == 4  # 20 x 5 / 30


def test_random_cells_bring_the_likeliest_labels_of_their_samples():
    proba, labels = make(labeled=0)
    table = query_samples(
        proba, labels, n_samples=10, max_labels=4, strategy="random", random_state=0
    )
    drawn = table[table["reason"] == "random"]
    assert len(drawn) == 10
    np.testing.assert_allclose(drawn["propensity"], 10 / labels.size)
    assert {len(cols) for cols in screens(table).values()} == {4}
    beside = table[table["reason"] == "likely"]
    assert np.isnan(beside["propensity"]).all()
    row = table["sample"][0]  # before any label has had its share
    others = np.delete(proba[row], drawn["label"][drawn["sample"] == row])
    shown = beside["probability"][beside["sample"] == row]
    np.testing.assert_allclose(shown, np.sort(others)[::-1][: len(shown)])


def test_without_probabilities_labels_and_samples_are_random():
    _, labels = make(n_samples=50, n_labels=8, labeled=0.5)
    labels[0] = 1
    n_open = np.isnan(labels).any(axis=1).sum()
    table = query_samples(None, labels, n_samples=10, max_labels=3, random_state=0)
    assert len(screens(table)) == 10 and set(table["reason"]) == {"random"}
    for row, cols in screens(table).items():
        n_free = np.isnan(labels[row]).sum()
        here = table["propensity"][table["sample"] == row]
        np.testing.assert_allclose(here, 10 / n_open * len(cols) / n_free)
    # The weights 1 / propensity estimate the number of unlabeled cells.
    sums = [
        (1 / query_samples(None, labels, n_samples=10, random_state=seed)["propensity"])
        for seed in range(200)
    ]
    assert np.mean([one.sum() for one in sums]) == pytest.approx(
        np.isnan(labels).sum(), rel=0.03
    )


def test_samples_that_are_not_worth_their_cost_are_not_shown():
    proba, labels = make(n_samples=20, n_labels=3, labeled=0)
    total = (1 - np.abs(2 * proba - 1)).sum(axis=1)
    cost = float(np.sort(total)[-5] + np.sort(total)[-6]) / 2
    with pytest.warns(FewerCellsWarning, match="10 samples were asked for, and 5 with"):
        table = query_samples(
            proba, labels, n_samples=10, strategy="uncertain", reading_cost=cost
        )
    assert set(screens(table)) == set(np.argsort(-total)[:5].tolist())


def test_near_duplicates_are_not_shown_twice():
    proba, labels = make(n_samples=20, n_labels=3, labeled=0)
    X = np.eye(20)
    X[10:] = X[:10]
    table = query_samples(proba, labels, n_samples=10, strategy="uncertain", X=X)
    assert len({row % 10 for row in screens(table)}) == 10


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.FewerCellsWarning")
def test_when_everything_is_labeled_nothing_is_shown():
    proba, labels = make(n_samples=10, labeled=1.1)
    assert len(query_samples(proba, labels, n_samples=3)) == 0
    assert len(query_samples(None, labels, n_samples=3)) == 0


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_samples": 0}, "`n_samples` accepts integers from 1; got 0."),
        ({"max_labels": 1.5}, "`max_labels` accepts integers from 1; got 1.5."),
        ({"reading_cost": "much"}, "one for each of the 300 samples; got 'much'."),
        ({"reading_cost": [1, 2]}, r"got shape \(2,\)."),
        ({"reading_cost": np.nan}, "`reading_cost` accepts a finite number"),
    ],
)
def test_parameters_that_cannot_be_are_refused(params, match):
    proba, labels = make()
    with pytest.raises(ValueError, match=match):
        query_samples(proba, labels, **params)


def test_seeds_show_the_likeliest_labels_of_their_samples():
    X = np.eye(8)[:, :4] + np.eye(8, 4, -4)  # rows 0 and 4 of label 0, and so on
    X[:, :2] += 0.1
    labels = np.full((8, 4), np.nan)
    labels[1, 0] = 0
    table = seed_samples(X, np.eye(4), labels, n_samples=4, max_labels=2)
    found = screens(table)
    assert len(found) == 4
    similar = table[table["reason"] == "similar"]
    assert sorted(similar["label"].tolist()) == [0, 1, 2, 3]
    assert all(len(cols) == 2 for cols in found.values())
    assert (1, 0) not in {(row, col) for row in found for col in found[row]}


@pytest.mark.parametrize("queries", [None, "given"])
def test_simulate_counts_readings_and_keys(queries):
    X, _, full = make_masked_multilabel(
        300, 6, vocabulary_size=200, as_text=False, return_full=True, random_state=0
    )
    X, full = X.toarray(), full.toarray()
    if queries is not None:
        queries = np.stack([X[full[:, j] == 1].mean(axis=0) for j in range(6)])
    asked = []

    def metric(y, proba):
        return 0.0

    class Model(MaskedMultiOutputClassifier):
        def fit(self, X, y):
            asked.append(y)
            return super().fit(X, y)

    curve = simulate(
        Model(LogisticRegression()),
        X,
        full,
        X,
        full,
        queries=queries,
        n_cells=120,
        batch_cells=40,
        max_labels=4,
        cost_per_reading=2,
        cost_per_key=0.5,
        metrics={"none": metric},
        random_state=0,
    )
    assert curve["n_cells"][-1] >= 120
    labels = MaskedLabels.from_dense(asked[-1].to_dense())
    assert curve["n_positive"][-1] == labels.n_positive.sum()
    # Each sample once in a round, and at most in each of the rounds.
    rows = np.count_nonzero(np.diff(labels.indptr))
    assert rows <= curve["n_readings"][-1] <= rows * len(curve)
    assert curve["n_readings"][-1] < curve["n_cells"][-1] / 2
    expected = curve["n_readings"] + curve["n_positive"]
    np.testing.assert_array_equal(curve["n_keys"], expected)
    cost = 2 * curve["n_readings"] + 0.5 * curve["n_keys"]
    np.testing.assert_allclose(curve["cost"], cost)
