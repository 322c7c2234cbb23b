"""The estimator inside scikit-learn's model selection, against loops by hand."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn import model_selection as ms
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.metrics import masked_roc_auc_scorer
from sklearn_masked.model_selection import MaskedStratifiedKFold, cross_val_predict

N_ROWS, N_LABELS = 120, 3
TOPICS = [f"topic{label}" for label in range(N_LABELS)]


def make_texts(n=N_ROWS, seed=0):
    """Return different short texts, and which of the topics each one names."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, N_LABELS)) < 0.4
    texts = []
    for i, row in enumerate(truth):
        noise = rng.choice([f"word{k}" for k in range(40)], size=6).tolist()
        topics = [topic for topic, named in zip(TOPICS, row, strict=True) if named]
        # A topic word now and then where the label is 0, so that scores differ.
        topics += [topic for topic in TOPICS if rng.random() < 0.15]
        texts.append(" ".join([*noise, *topics, f"only{i}"]))
    return texts, truth.astype(float)


def make_labels(truth, seed=1):
    """Return the truth with half of its cells, and some whole rows, unlabeled."""
    rng = np.random.default_rng(seed)
    y = truth.copy()
    y[rng.random(y.shape) < 0.4] = np.nan
    y[rng.random(len(y)) < 0.1] = np.nan
    return y


TEXTS, TRUTH = make_texts()
DENSE = make_labels(TRUTH)
LABELS = MaskedLabels.from_dense(DENSE)
SPLITTER = ms.KFold(3, shuffle=True, random_state=4)


def classifier(**params):
    settings = {"max_epochs": 3, "batch_size": 32, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def pipeline(**params):
    return make_pipeline(TfidfVectorizer(), classifier(**params))


def prefixed(**params):
    return {f"maskedmultilabelclassifier__{k}": v for k, v in params.items()}


def slow_auc(model, X, y):
    """Return the mean over labels of the AUC over labeled cells."""
    scores = model.decision_function(X)
    kept = ~np.isnan(y)
    return np.mean(
        [
            roc_auc_score(y[kept[:, j], j], scores[kept[:, j], j])
            for j in range(y.shape[1])
        ]
    )


def rows_of(X, rows):
    return [X[i] for i in rows] if isinstance(X, list) else X[rows]


def loop(model, cv=3, X=TEXTS, y=DENSE):
    """Return the test and training scores, split by split, by hand."""
    cv = ms.KFold(cv) if isinstance(cv, int) else cv
    tests, trains = [], []
    for train, test in cv.split(X):
        fitted = clone(model).fit(rows_of(X, train), MaskedLabels.from_dense(y[train]))
        tests.append(slow_auc(fitted, rows_of(X, test), y[test]))
        trains.append(slow_auc(fitted, rows_of(X, train), y[train]))
    return np.array(tests), np.array(trains)


def split_scores(search, part="test"):
    results = search.cv_results_
    return np.array([results[f"split{i}_{part}_score"] for i in range(3)]).T


SPLITS = pytest.mark.parametrize("cv", [3, SPLITTER], ids=["cv=3", "splitter"])
JOBS = pytest.mark.parametrize("n_jobs", [1, 2])
SEARCH = {"scoring": masked_roc_auc_scorer, "error_score": "raise"}


@pytest.fixture(scope="module")
def expected():
    """Return the scores by hand of the settings that the tests below search."""
    return {
        (epochs, cv): loop(pipeline(max_epochs=epochs), cv)
        for epochs in (1, 3)
        for cv in (3, SPLITTER)
    }


def test_settings_searched_differ_in_their_scores(expected):
    assert not np.array_equal(expected[1, 3][0], expected[3, 3][0])
    assert not np.array_equal(expected[3, 3][0], expected[3, SPLITTER][0])
    assert (expected[3, 3][0] > 0.6).all()


@SPLITS
@JOBS
def test_cross_validate_equals_a_loop(cv, n_jobs, expected):
    scores = ms.cross_validate(
        pipeline(),
        TEXTS,
        LABELS,
        cv=cv,
        n_jobs=n_jobs,
        return_train_score=True,
        **SEARCH,
    )
    test, train = expected[3, cv]
    np.testing.assert_allclose(scores["test_score"], test, rtol=1e-12)
    np.testing.assert_allclose(scores["train_score"], train, rtol=1e-12)


def test_cross_validate_scores_with_the_estimators_own_score(expected):
    scores = ms.cross_val_score(pipeline(), TEXTS, LABELS, cv=3, error_score="raise")
    np.testing.assert_allclose(scores, expected[3, 3][0], rtol=1e-12)


@SPLITS
@JOBS
def test_grid_search_equals_a_loop(cv, n_jobs, expected):
    search = ms.GridSearchCV(
        pipeline(), prefixed(max_epochs=[1, 3]), cv=cv, n_jobs=n_jobs, **SEARCH
    ).fit(TEXTS, LABELS)
    want = np.array([expected[1, cv][0], expected[3, cv][0]])
    np.testing.assert_allclose(split_scores(search), want, rtol=1e-12)
    best = pipeline(max_epochs=[1, 3][int(np.argmax(want.mean(axis=1)))])
    np.testing.assert_array_equal(
        search.predict_proba(TEXTS), best.fit(TEXTS, LABELS).predict_proba(TEXTS)
    )


@SPLITS
@JOBS
def test_randomized_search_equals_a_loop(cv, n_jobs, expected):
    search = ms.RandomizedSearchCV(
        pipeline(),
        prefixed(max_epochs=[1, 3]),
        n_iter=2,
        random_state=0,
        cv=cv,
        n_jobs=n_jobs,
        **SEARCH,
    ).fit(TEXTS, LABELS)
    tried = [
        params["maskedmultilabelclassifier__max_epochs"]
        for params in search.cv_results_["params"]
    ]
    assert sorted(tried) == [1, 3]
    want = [expected[epochs, cv][0] for epochs in tried]
    np.testing.assert_allclose(split_scores(search), want, rtol=1e-12)


@SPLITS
@JOBS
def test_validation_curve_equals_a_loop(cv, n_jobs, expected):
    train, test = ms.validation_curve(
        pipeline(),
        TEXTS,
        LABELS,
        param_name="maskedmultilabelclassifier__max_epochs",
        param_range=[1, 3],
        cv=cv,
        n_jobs=n_jobs,
        **SEARCH,
    )
    for i, epochs in enumerate([1, 3]):
        np.testing.assert_allclose(test[i], expected[epochs, cv][0], rtol=1e-12)
        np.testing.assert_allclose(train[i], expected[epochs, cv][1], rtol=1e-12)


@SPLITS
@JOBS
def test_learning_curve_equals_a_loop(cv, n_jobs):
    sizes, train, test = ms.learning_curve(
        pipeline(),
        TEXTS,
        LABELS,
        train_sizes=[40, 80],
        cv=cv,
        n_jobs=n_jobs,
        **SEARCH,
    )
    np.testing.assert_array_equal(sizes, [40, 80])
    splits = (ms.KFold(3) if cv == 3 else cv).split(TEXTS)
    for k, (rows, held_out) in enumerate(splits):
        for i, size in enumerate(sizes):
            part = rows[:size]
            fitted = pipeline().fit(rows_of(TEXTS, part), LABELS[part])
            for got, at in ((train[i, k], part), (test[i, k], held_out)):
                want = slow_auc(fitted, rows_of(TEXTS, at), DENSE[at])
                assert got == pytest.approx(want, rel=1e-12)


@SPLITS
@JOBS
@pytest.mark.parametrize("method", ["predict_proba", "predict"])
def test_our_cross_val_predict_equals_a_loop(cv, n_jobs, method):
    got = cross_val_predict(
        pipeline(), TEXTS, LABELS, cv=cv, n_jobs=n_jobs, method=method
    )
    want = np.empty((N_ROWS, N_LABELS))
    splitter = MaskedStratifiedKFold(3) if cv == 3 else cv
    for train, test in splitter.split(TEXTS, LABELS):
        fitted = pipeline().fit(rows_of(TEXTS, train), LABELS[train])
        want[test] = getattr(fitted, method)(rows_of(TEXTS, test))
    np.testing.assert_allclose(got, want, rtol=1e-5 if n_jobs == 2 else 0)


def test_cross_val_predict_of_scikit_learn_refuses_to_recode_labels():
    with pytest.raises(ValueError) as caught:
        ms.cross_val_predict(pipeline(), TEXTS, LABELS, cv=3, method="predict_proba")
    message = str(caught.value)
    assert "which would read them as negatives" in message
    assert "sklearn_masked.model_selection.cross_val_predict" in message


def test_cross_val_predict_of_scikit_learn_with_predict_equals_ours():
    got = ms.cross_val_predict(pipeline(), TEXTS, LABELS, cv=SPLITTER)
    np.testing.assert_array_equal(
        got, cross_val_predict(pipeline(), TEXTS, LABELS, cv=SPLITTER)
    )


@pytest.mark.parametrize(
    "budget",
    [
        {"min_resources": 60},
        {
            "resource": "maskedmultilabelclassifier__max_epochs",
            "min_resources": 1,
            "max_resources": 4,
        },
    ],
    ids=["rows", "epochs"],
)
def test_halving_grid_search_runs(budget):
    grid = {"tfidfvectorizer__sublinear_tf": [False, True]}
    if "resource" not in budget:
        grid |= prefixed(max_epochs=[1, 3])
    search = ms.HalvingGridSearchCV(
        pipeline(), grid, factor=2, cv=3, random_state=0, **budget, **SEARCH
    ).fit(TEXTS, LABELS)
    assert len(search.n_resources_) >= 2
    assert search.n_resources_[0] == budget["min_resources"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict_proba(TEXTS).shape == (N_ROWS, N_LABELS)


def test_halving_over_epochs_scores_what_a_loop_scores():
    search = ms.HalvingGridSearchCV(
        pipeline(),
        {"tfidfvectorizer__sublinear_tf": [False, True]},
        factor=2,
        cv=SPLITTER,
        resource="maskedmultilabelclassifier__max_epochs",
        min_resources=1,
        max_resources=2,
        random_state=0,
        **SEARCH,
    ).fit(TEXTS, LABELS)
    assert search.cv_results_["n_resources"].tolist() == [1, 1, 2]
    for params, got in zip(
        search.cv_results_["params"], split_scores(search), strict=True
    ):
        model = pipeline().set_params(**params)
        np.testing.assert_allclose(got, loop(model, SPLITTER)[0], rtol=1e-12)


def test_permutation_importance_of_dense_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    y = (X[:, [0, 0, 1]] + 0.1 * rng.normal(size=(150, 3)) > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    labels = MaskedLabels.from_dense(y)
    model = classifier(max_epochs=10).fit(X, labels)
    for scoring in (None, masked_roc_auc_scorer):
        found = permutation_importance(
            model, X, labels, scoring=scoring, n_repeats=3, random_state=0
        )
        means = found.importances_mean
        assert means.shape == (4,)
        # Two labels hang on column 0, one on column 1, none on the others.
        assert means[0] > means[1] > max(abs(means[2]), abs(means[3])) + 0.05


def test_permutation_importance_of_text_columns():
    rng = np.random.default_rng(0)
    order = rng.permutation(N_ROWS)
    frame = pd.DataFrame({"title": TEXTS, "body": [TEXTS[i] for i in order]})
    columns = ColumnTransformer(
        [
            ("title", TfidfVectorizer(), "title"),
            ("body", TfidfVectorizer(), "body"),
        ]
    )
    model = make_pipeline(columns, classifier(max_epochs=10)).fit(frame, LABELS)
    found = permutation_importance(
        model,
        frame,
        LABELS,
        scoring=masked_roc_auc_scorer,
        n_repeats=3,
        random_state=0,
    )
    assert found.importances_mean[0] > found.importances_mean[1] + 0.05


class Bags(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.bags = torch.nn.EmbeddingBag(n_features, n_labels, mode="sum")

    def forward(self, indices, offsets, weights):
        return self.bags(indices, offsets.to(indices.dtype), weights)


class Linear(torch.nn.Module):
    def __init__(self, n_features, n_labels, depth=1):
        super().__init__()
        sizes = [n_features] * depth
        layers = [torch.nn.Linear(size, size) for size in sizes[1:]]
        self.layers = torch.nn.Sequential(
            *layers, torch.nn.Linear(n_features, n_labels)
        )

    def forward(self, X):
        return self.layers(X)


def test_grids_of_net_parameters_go_through_set_params():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 5)).astype(np.float32)
    y = (X[:, :3] > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    model = classifier(module=Linear, optimizer=torch.optim.SGD, lr=0.05)
    grid = {"module__depth": [1, 2], "optimizer__momentum": [0.0, 0.9]}
    search = ms.GridSearchCV(model, grid, cv=3, **SEARCH)
    search.fit(X, MaskedLabels.from_dense(y))
    assert len(search.cv_results_["params"]) == 4
    for params, got in zip(
        search.cv_results_["params"], split_scores(search), strict=True
    ):
        by_hand = classifier(
            module=Linear,
            optimizer=torch.optim.SGD,
            lr=0.05,
            net_params=dict(params),
        )
        np.testing.assert_allclose(got, loop(by_hand, 3, X, y)[0], rtol=1e-12)
    assert len({tuple(row) for row in split_scores(search)}) == 4
    net = search.best_estimator_.net_
    depth = search.best_params_["module__depth"]
    assert len(net.module_.layers) == depth
    momentum = search.best_params_["optimizer__momentum"]
    assert net.optimizer_.param_groups[0]["momentum"] == momentum


class WarnsAlways(MaskedMultiLabelClassifier):
    """Hears torch's warning of read-only arrays each time, not once a process."""

    def fit(self, X, y, sample_weight=None):
        torch.set_warn_always(True)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        torch.set_warn_always(True)
        return super().predict_proba(X)


@pytest.fixture
def warn_always():
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def large_problem(kind):
    """Return rows, weighted labels and weights that joblib maps: above 1 MB each."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 60)).astype(np.float32)
    y = (X[:, :30] > 0).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    weight = rng.uniform(0.5, 1.5, size=y.shape)
    labels = MaskedLabels.from_dense(y, weights=weight)
    assert min(X.nbytes, labels.weights.nbytes, weight.nbytes) > 1 << 20
    if kind == "sparse":
        X = sp.csr_matrix(np.where(np.abs(X) > 0.1, X, 0))
        assert min(X.data.nbytes, X.indices.nbytes) > 1 << 20
    return X, labels, weight


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_two_jobs_on_large_arrays_pass_with_warnings_as_errors(kind):
    X, labels, weight = large_problem(kind)
    # Of so firm a penalty an epoch is enough.
    params = {"C": 1e-3, "max_epochs": 1, "embedding_dim": 8, "calibrate": False}
    model = WarnsAlways(device="cpu", random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = ms.cross_validate(
            model,
            X,
            labels,
            cv=2,
            n_jobs=2,
            params={"sample_weight": weight},
            return_estimator=True,
            **SEARCH,
        )
    assert np.isfinite(scores["test_score"]).all()
    assert scores["estimator"][0].predict_proba(X[:5]).shape == (5, 30)


def fit_where_everything_is_read_only(model, X, labels, weight):
    """Fit and predict in a worker, with what joblib mapped, whole."""
    data = X.data if sp.issparse(X) else X
    read_only = not data.flags.writeable and not weight.flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, labels, sample_weight=weight)
        return read_only, model.predict_proba(X)[:5]


@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("module", ["default", "own"])
def test_memory_maps_pass_with_warnings_as_errors(kind, module):
    X, labels, weight = large_problem(kind)
    if module == "default":
        params = {"embedding_dim": 8, "C": 1e-3}
    else:
        params = {"module": Linear if kind == "dense" else Bags}
    model = WarnsAlways(max_epochs=1, device="cpu", random_state=0, **params)
    job = joblib.delayed(fit_where_everything_is_read_only)(model, X, labels, weight)
    for read_only, proba in joblib.Parallel(n_jobs=2)([job, job]):
        assert read_only
        assert proba.shape == (5, 30)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_read_only_rows_pass_with_warnings_as_errors(kind, warn_always):
    X = np.random.default_rng(0).normal(size=(300, 10)).astype(np.float32)
    y = MaskedLabels.from_dense((X[:, :3] > 0).astype(float))
    if kind == "sparse":
        X = sp.csr_matrix(X)
        for part in (X.data, X.indices, X.indptr):
            part.flags.writeable = False
    else:
        X.flags.writeable = False
    weight = np.ones(300)
    weight.flags.writeable = False
    model = classifier().fit(X, y, sample_weight=weight)
    for method in (model.predict_proba, model.predict, model.decision_function):
        assert method(X).shape == (300, 3)
    model.partial_fit(X, y, sample_weight=weight)


RAW = {
    "NaN": DENSE,
    "-1": np.where(np.isnan(DENSE), -1, DENSE),
    "object": np.where(np.isnan(DENSE), None, DENSE),
}


@pytest.mark.parametrize("form", RAW)
def test_raw_arrays_with_a_splitter_equal_masked_labels(form, expected):
    y = RAW[form]
    scores = ms.cross_validate(pipeline(), TEXTS, y, cv=SPLITTER, **SEARCH)
    want = expected[3, SPLITTER][0]
    np.testing.assert_allclose(scores["test_score"], want, rtol=1e-12)
    search = ms.GridSearchCV(pipeline(), prefixed(max_epochs=[3]), cv=SPLITTER)
    search.set_params(**SEARCH).fit(TEXTS, y)
    np.testing.assert_allclose(split_scores(search)[0], want, rtol=1e-12)


def test_raw_sentinels_with_an_integer_cv_equal_masked_labels(expected):
    y = RAW["-1"].astype(int)
    scores = ms.cross_validate(pipeline(), TEXTS, y, cv=3, **SEARCH)
    np.testing.assert_allclose(scores["test_score"], expected[3, 3][0], rtol=1e-12)


@pytest.mark.parametrize("cv", [3, SPLITTER], ids=["cv=3", "splitter"])
def test_raw_sparse_labels_in_grid_search_equal_masked_labels(cv):
    y = sp.csr_matrix(TRUTH)
    search = ms.GridSearchCV(pipeline(), prefixed(max_epochs=[3]), cv=cv, **SEARCH)
    search.fit(TEXTS, y)
    masked = ms.GridSearchCV(pipeline(), prefixed(max_epochs=[3]), cv=cv, **SEARCH)
    masked.fit(TEXTS, MaskedLabels.from_sparse(y, implicit="negative"))
    np.testing.assert_array_equal(split_scores(search), split_scores(masked))


def test_equal_labels_train_equally_well_whichever_cells_are_stored():
    stored = MaskedLabels.from_sparse(sp.csr_matrix(TRUTH), implicit="negative")
    full = MaskedLabels.from_dense(TRUTH)
    assert stored == full
    scores = [
        ms.cross_val_score(
            make_pipeline(
                TfidfVectorizer(),
                MaskedMultiLabelClassifier(random_state=0, device="cpu"),
            ),
            TEXTS,
            labels,
            cv=SPLITTER,
            **SEARCH,
        ).mean()
        for labels in (full, stored)
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.05)


@pytest.mark.parametrize("form", ["NaN", "-1"])
def test_our_cross_val_predict_takes_raw_arrays(form):
    got = cross_val_predict(pipeline(), TEXTS, RAW[form], cv=3, method="predict_proba")
    want = cross_val_predict(pipeline(), TEXTS, LABELS, cv=3, method="predict_proba")
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", [np.float64, np.float32, float])
def test_numbers_that_a_distribution_draws_are_parameters(kind):
    X = np.random.default_rng(0).normal(size=(40, 3))
    y = np.where(X > 0.5, 1.0, np.where(X < -0.5, 0.0, np.nan))
    params = {"C": kind(2), "shared_weight": kind(0.25), "label_correlation": kind(0)}
    drawn = classifier(max_epochs=20, **params).fit(X, y).predict_proba(X)
    params = {name: float(value) for name, value in params.items()}
    given = classifier(max_epochs=20, **params).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(drawn, given)
