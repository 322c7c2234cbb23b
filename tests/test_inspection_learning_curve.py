"""Score against labeled cells: what is masked, what stays, and where it leads."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupKFold, KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import Bunch

from sklearn_masked.exceptions import RareLabelWarning
from sklearn_masked.inspection import (
    extrapolate_learning_curve,
    learning_curve_by_cells,
)
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.metrics import (
    masked_roc_auc_score,
    masked_roc_auc_scorer,
    neg_masked_brier_score_scorer,
)
from sklearn_masked.model_selection import MaskedStratifiedKFold
from sklearn_masked.multioutput import MaskedMultiOutputClassifier

NAN = np.nan


def problem(n=200, n_labels=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    Y = (X[:, :n_labels] + rng.normal(size=(n, n_labels)) > 0).astype(float)
    Y[rng.random(Y.shape) < 0.4] = NAN
    return X, Y


class Recorder(BaseEstimator):
    """Remembers what it was fitted on and asked to score; the score is the size."""

    seen = []

    def fit(self, X, y, **params):
        self.fitted = Bunch(X=X, y=y, params=params, tests=[])
        Recorder.seen.append(self.fitted)
        return self

    def score(self, X, y):
        self.fitted.tests.append((X, y))
        return self.fitted.y.n_cells + len(y) / 1000


@pytest.fixture
def seen():
    Recorder.seen = []
    yield Recorder.seen
    Recorder.seen = []


def known(labels):
    return ~np.isnan(labels.to_dense())


def test_cells_are_masked_in_nested_sets_and_rows_stay(seen):
    X, Y = problem()
    labels = MaskedLabels.from_dense(Y, label_names=["a", "b", "c"])
    sizes = [10, 50, 200]
    cv = KFold(3)
    curve = learning_curve_by_cells(
        Recorder(), X, labels, train_sizes=sizes, cv=cv, n_repeats=2, random_state=0
    )
    assert curve.train_sizes.tolist() == sizes
    assert curve.test_scores.shape == (3, 6)
    assert len(seen) == 18
    splits = [split for split in cv.split(X) for _ in range(2)]
    for series, (train, test) in enumerate(splits):
        before = None
        for tick, size in enumerate(sizes):
            fit = seen[6 * tick + series]
            np.testing.assert_array_equal(fit.X, X[train])
            assert fit.y.n_cells == size
            assert fit.y.label_names.tolist() == ["a", "b", "c"]
            now = known(fit.y)
            np.testing.assert_array_equal(fit.y.to_dense()[now], Y[train][now])
            if before is not None:
                assert now[before].all()
            before = now
            (X_test, y_test), (X_train, y_train) = fit.tests
            np.testing.assert_array_equal(X_test, X[test])
            assert y_test == labels[test]
            np.testing.assert_array_equal(X_train, X[train])
            assert y_train == fit.y
            assert curve.test_scores[tick, series] == size + len(test) / 1000
            assert curve.train_scores[tick, series] == size + len(train) / 1000
    first, second = known(seen[0].y), known(seen[1].y)
    assert (first != second).any()  # another order of the same fold
    assert (curve.fit_times >= 0).all() and (curve.score_times >= 0).all()


def test_all_cells_give_the_score_of_the_whole_fold():
    X, Y = problem()
    train, test = np.arange(150), np.arange(150, 200)
    model = MaskedMultiOutputClassifier(GaussianNB())
    curve = learning_curve_by_cells(
        model, X, Y, train_sizes=[1.0], cv=[(train, test)], random_state=0
    )
    model.fit(X[train], Y[train])
    expected = masked_roc_auc_score(Y[test], model.predict_proba(X[test]))
    assert curve.test_scores[0, 0] == pytest.approx(expected, abs=1e-12)
    assert curve.train_sizes[0] == np.count_nonzero(~np.isnan(Y[train]))


def test_fully_labeled_rows_give_scikit_learns_metric():
    X, Y = problem()
    Y = (X[:, :2] > 0).astype(int)
    train, test = np.arange(150), np.arange(150, 200)
    curve = learning_curve_by_cells(
        MaskedMultiOutputClassifier(GaussianNB()),
        X,
        Y,
        train_sizes=[300],
        cv=[(train, test)],
        scoring=masked_roc_auc_scorer,
    )
    expected = np.mean(
        [
            sklearn.metrics.roc_auc_score(
                Y[test, j],
                GaussianNB().fit(X[train], Y[train, j]).predict_proba(X[test])[:, 1],
            )
            for j in range(2)
        ]
    )
    assert curve.test_scores[0, 0] == pytest.approx(expected, abs=1e-12)


def test_weights_of_cells_travel_along(seen):
    _, Y = problem(20)
    weight = np.random.default_rng(0).random(Y.shape) + 0.1
    labels = MaskedLabels.from_dense(Y, weights=weight)
    learning_curve_by_cells(
        Recorder(), np.zeros((20, 1)), labels, train_sizes=[15], cv=KFold(2)
    )
    for fit, train in zip(seen, (np.arange(10, 20), np.arange(10)), strict=True):
        cells = fit.y.cells()
        np.testing.assert_array_equal(
            cells.weights, weight[train][cells.rows, cells.cols]
        )


@pytest.mark.parametrize("fill", ["unlabeled", "negative"])
def test_every_fill_keeps_negatives_apart_from_unlabeled_cells(fill, seen):
    _, Y = problem(30)
    if fill == "negative":
        stored = sp.csr_array(np.where(np.isnan(Y), -1, Y))
        labels = MaskedLabels.from_sparse(stored, implicit="negative")
    else:
        labels = MaskedLabels.from_dense(Y)
    learning_curve_by_cells(
        Recorder(),
        np.zeros((30, 1)),
        labels,
        train_sizes=[0.5, 1.0],
        cv=KFold(2),
        random_state=0,
    )
    for fit, train in zip(seen, 2 * (np.arange(15, 30), np.arange(15)), strict=True):
        now = known(fit.y)
        np.testing.assert_array_equal(fit.y.to_dense()[now], Y[train][now])
        assert not now[np.isnan(Y[train])].any()


def test_shares_are_of_the_smallest_training_fold(seen):
    Y = np.full((9, 2), NAN)
    Y[:6] = [[1, 0]]
    Y[6:, 0] = 1
    curve = learning_curve_by_cells(
        Recorder(), np.zeros((9, 1)), Y, train_sizes=[0.01, 0.5, 1.0], cv=KFold(3)
    )
    assert curve.train_sizes.tolist() == [1, 4, 9]
    assert curve.train_sizes.dtype == np.int64


def test_an_integer_cv_is_stratified_by_cells(seen):
    X, Y = problem()
    curve = learning_curve_by_cells(Recorder(), X, Y, train_sizes=[5], cv=4)
    assert curve.test_scores.shape == (1, 4)
    splits = MaskedStratifiedKFold(4).split(X, Y)
    for fit, (_, test) in zip(seen, splits, strict=True):
        np.testing.assert_array_equal(fit.tests[0][0], X[test])
    assert learning_curve_by_cells(
        Recorder(), X, Y, train_sizes=[5]
    ).test_scores.shape == (1, 5)


def test_rare_labels_are_named_by_the_splitter():
    X, Y = problem(50)
    Y[:, 0] = NAN
    Y[0, 0] = 1
    with pytest.warns(RareLabelWarning):
        learning_curve_by_cells(Recorder(), X, Y, train_sizes=[5], cv=2)


def test_groups_stay_together(seen):
    X, Y = problem(60)
    groups = np.arange(60) // 6
    learning_curve_by_cells(
        Recorder(), X, Y, train_sizes=[5], cv=GroupKFold(5), groups=groups
    )
    for fit in seen:
        inside = {tuple(row) for row in fit.X}
        test_groups = {
            int(group)
            for row, group in zip(X, groups, strict=True)
            if tuple(row) not in inside
        }
        assert len(test_groups) == 2


def test_arguments_of_fit_are_cut_to_the_fold(seen):
    X, Y = problem(40)
    weight = np.arange(40.0)
    learning_curve_by_cells(
        Recorder(),
        X,
        Y,
        train_sizes=[5],
        cv=KFold(2),
        params={"sample_weight": weight, "mode": "fast"},
    )
    np.testing.assert_array_equal(seen[0].params["sample_weight"], weight[20:])
    assert seen[0].params["mode"] == "fast"


def test_metadata_routing_reaches_fit_score_and_split(seen):
    X, Y = problem(60)
    weight = np.random.default_rng(0).random(60)
    groups = np.arange(60) // 6

    class Weighted(Recorder):
        def fit(self, X, y, sample_weight=None):
            return super().fit(X, y, sample_weight=sample_weight)

        def score(self, X, y, sample_weight=None):
            self.fitted.score_weight = sample_weight
            return super().score(X, y)

    with sklearn.config_context(enable_metadata_routing=True):
        model = Weighted().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        arguments = {"train_sizes": [5], "cv": GroupKFold(3)}
        learning_curve_by_cells(
            model, X, Y, params={"sample_weight": weight, "groups": groups}, **arguments
        )
        with pytest.raises(ValueError) as caught:
            learning_curve_by_cells(model, X, Y, groups=groups, **arguments)
    assert str(caught.value) == (
        "`groups` accepts None while metadata routing is enabled; pass "
        "params={'groups': groups} instead."
    )
    splits = GroupKFold(3).split(X, groups=groups)
    for fit, (train, _) in zip(seen, splits, strict=True):
        np.testing.assert_array_equal(fit.params["sample_weight"], weight[train])
        np.testing.assert_array_equal(fit.score_weight, weight[train])


def test_random_state_decides_the_curve():
    X, Y = problem()

    def scores(random_state, n_jobs=None):
        return learning_curve_by_cells(
            MaskedMultiOutputClassifier(GaussianNB()),
            X,
            Y,
            train_sizes=[60, 120],
            cv=2,
            scoring=neg_masked_brier_score_scorer,
            random_state=random_state,
            n_jobs=n_jobs,
        ).test_scores

    first = scores(0)
    np.testing.assert_array_equal(first, scores(0))
    np.testing.assert_array_equal(first, scores(np.random.RandomState(0)))
    assert (first != scores(1)).any()
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(first, scores(0, n_jobs=2))
    assert (first < 0).all()


@pytest.mark.parametrize("form", [pd.DataFrame, sp.csr_array, list])
def test_X_may_be_anything_that_has_rows(form, seen):
    X, Y = problem(20)
    learning_curve_by_cells(Recorder(), form(X), Y, train_sizes=[5], cv=KFold(2))
    part = seen[0].X
    part = part.toarray() if sp.issparse(part) else np.asarray(part)
    np.testing.assert_array_equal(part, X[10:])


def test_junk_in_unlabeled_cells_has_no_way_in():
    X, Y = problem()
    model = MaskedMultiOutputClassifier(GaussianNB())
    arguments = {"train_sizes": [80], "cv": 2, "random_state": 0}
    clean = learning_curve_by_cells(model, X, Y, **arguments).test_scores
    masked = np.ma.array(np.where(np.isnan(Y), 1, Y).astype(int), mask=np.isnan(Y))
    for form in (np.where(np.isnan(Y), -1, Y), masked, MaskedLabels.from_dense(Y)):
        found = learning_curve_by_cells(model, X, form, **arguments).test_scores
        np.testing.assert_array_equal(found, clean)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"y": [0, 1, 0, 1]},
            "`y` accepts labels of shape (n_samples, n_labels); got a 1-D target. Pass "
            "it as a column, in which -1 is unlabeled, or call scikit-learn's "
            "learning_curve.",
        ),
        ({"n_repeats": 0}, "`n_repeats` accepts an integer, 1 or above; got 0."),
        ({"n_repeats": 1.5}, "`n_repeats` accepts an integer, 1 or above; got 1.5."),
        (
            {"train_sizes": [0.0, 0.5]},
            "`train_sizes` accepts shares above 0, up to 1, or whole numbers of "
            "labeled cells; got [0.0, 0.5].",
        ),
        (
            {"train_sizes": [0.5, 3.0]},
            "`train_sizes` accepts shares above 0, up to 1, or whole numbers of "
            "labeled cells; got [0.5, 3.0].",
        ),
        (
            {"train_sizes": [1, 9]},
            "`train_sizes` accepts 1 to 3 labeled cells, which the smallest training "
            "fold has; got [1, 9].",
        ),
        (
            {"train_sizes": [0, 2]},
            "`train_sizes` accepts 1 to 3 labeled cells, which the smallest training "
            "fold has; got [0, 2].",
        ),
        (
            {"train_sizes": []},
            "`train_sizes` accepts a sequence of numbers; got [].",
        ),
        (
            {"scoring": "roc_auc"},
            "`scoring` accepts a scorer of sklearn_masked.metrics, such as "
            "masked_roc_auc_scorer, or None; got 'roc_auc', and scikit-learn's scorers "
            "know no unlabeled cells.",
        ),
        ({"cv": []}, "`cv` accepts one split or more; got none."),
        (
            {"train_sizes": "all"},
            "`train_sizes` accepts a sequence of numbers; got 'all'.",
        ),
        (
            {"X": np.zeros((3, 1))},
            "Found input variables with inconsistent numbers of samples: [3, 4]",
        ),
        (
            {"y": np.full((4, 2), NAN)},
            "`y` must have labeled cells in every training fold; got none in one.",
        ),
    ],
)
def test_errors(arguments, message):
    y = [[1, 0], [0, NAN], [1, 0], [0, NAN]]
    arguments = {"X": np.zeros((4, 1)), "y": y, "cv": KFold(2), **arguments}
    X, y = arguments.pop("X"), arguments.pop("y")
    with pytest.raises(ValueError) as caught:
        learning_curve_by_cells(Recorder(), X, y, **arguments)
    assert str(caught.value) == message


def test_ticks_that_are_the_same_warn_and_stand_once():
    X, Y = problem(20)
    with pytest.warns(RuntimeWarning) as caught:
        curve = learning_curve_by_cells(
            Recorder(), X, Y, train_sizes=[8, 3, 8], cv=KFold(2)
        )
    assert [str(warning.message) for warning in caught] == [
        "`train_sizes` come to 2 different numbers of labeled cells, not 3: [3, 8]."
    ]
    assert curve.train_sizes.tolist() == [3, 8]


# What more cells may bring


@pytest.mark.parametrize("exponent", [0.2, 0.5, 1.0])
def test_a_power_law_is_continued(exponent):
    sizes = np.array([50, 100, 200, 400, 800])
    limits, losses = np.array([0.9, 0.95]), np.array([1.0, 1.4])

    def law(n_cells):
        return limits - losses * np.asarray(n_cells, float)[:, None] ** -exponent

    curve = Bunch(train_sizes=sizes, test_scores=law(sizes))
    found = extrapolate_learning_curve(curve, [1600, 3200])
    np.testing.assert_allclose(found.test_scores, law([1600, 3200]), atol=2e-3)
    assert found.train_sizes.tolist() == [1600, 3200]


def test_a_falling_series_is_continued_level_and_nan_is_left_out():
    sizes = np.array([10, 20, 40])
    scores = np.array([[0.9, 0.5, NAN], [0.8, 0.6, 0.7], [0.7, 0.7, 0.8]])
    curve = Bunch(train_sizes=sizes, test_scores=scores)
    found = extrapolate_learning_curve(curve, 1000).test_scores
    assert found.shape == (1, 2)
    assert found[0, 0] == pytest.approx(0.8)
    assert found[0, 1] > 0.7


@pytest.mark.parametrize(
    ("sizes", "scores", "n_cells", "message"),
    [
        ([1, 2], [[0.1], [0.2]], 3, "`curve` accepts three ticks or more; got 2."),
        (
            [1, 2, 3],
            [[NAN], [0.2], [0.3]],
            3,
            "`curve` accepts test scores; got NaN in each of its series.",
        ),
        (
            [1, 2, 3],
            [[0.1], [0.2], [0.3]],
            [5, 0],
            "`n_cells` accepts numbers above 0; got [5, 0].",
        ),
        (
            [1, 2, 3],
            [[0.1], [0.2], [0.3]],
            "many",
            "`n_cells` accepts numbers above 0; got ['many'].",
        ),
    ],
)
def test_what_cannot_be_continued(sizes, scores, n_cells, message):
    with pytest.raises(ValueError) as caught:
        extrapolate_learning_curve(
            Bunch(train_sizes=sizes, test_scores=scores), n_cells
        )
    assert str(caught.value) == message


def test_more_labels_help_and_the_curve_says_how_much():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 12))
    Y = (X[:, :3] + 0.5 * rng.normal(size=(1500, 3)) > 0).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = learning_curve_by_cells(
            MaskedMultiOutputClassifier(GaussianNB()),
            X,
            Y,
            train_sizes=[60, 120, 240, 480, 960],
            cv=3,
            n_repeats=4,
            random_state=0,
        )
    mean = curve.test_scores.mean(axis=1)
    assert (np.diff(mean) > 0).all()
    fit = Bunch(train_sizes=curve.train_sizes[:-1], test_scores=curve.test_scores[:-1])
    foretold = extrapolate_learning_curve(fit, 960).test_scores.mean()
    assert abs(foretold - mean[-1]) < 0.5 * (mean[-1] - mean[-2]) + 0.01
