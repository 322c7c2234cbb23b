"""A predictor from a file predicts what the exported model does, and imports little."""

import subprocess
import sys
import threading
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    StandardScaler,
)
from sklearn.svm import LinearSVC

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedCalibratedClassifierCV,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    MaskedTunedThresholdClassifierCV,
    serving,
)
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.exceptions import UnservableModelError
from sklearn_masked.metrics import masked_roc_auc_scorer

METHODS = "predict", "predict_proba", "decision_function", "predict_log_proba"


def texts(n_samples=100, seed=0):
    """Return texts, of which each label has words of its own, and their labels."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n_samples, 4)) < 0.3
    rows = []
    for positive in truth:
        words = [f"filler{i}" for i in rng.integers(60, size=6)]
        words += [f"Wörd{label}{rng.integers(9)}" for label in np.flatnonzero(positive)]
        rows.append(" ".join(rng.permutation(words).tolist()))
    return rows, np.where(rng.random(truth.shape) < 0.3, np.nan, truth)


def arrays(n_samples=120, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(3, [1.0, 5.0, 0.1, 2.0, 1.0], size=(n_samples, 5))
    y = (X[:, :3] + rng.normal(size=(n_samples, 3)) > 3).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return X, y


def counts(n_samples=120, n_features=40, ones=False, seed=0):
    rng = np.random.default_rng(seed)
    X = sp.csr_array(sp.random(n_samples, n_features, density=0.2, random_state=rng))
    X.data[:] = 1.0 if ones else rng.integers(1, 4, len(X.data))
    dense = X.toarray()
    y = (dense[:, :3] + dense[:, 3:6] > 0).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return X, y


def blocks(seed=0):
    """Return a sparse block beside a dense one, and labels that both tell."""
    X, y = counts(seed=seed)
    dense = np.random.default_rng(seed).normal(2, size=(X.shape[0], 5))
    y = np.where(dense[:, :3] > 3, np.where(np.isnan(y), y, 1), y)
    return sp.csr_array(sp.hstack([X, dense])), y


def masked(**params):
    return MaskedMultiLabelClassifier(random_state=0, device="cpu", **params)


def serve(model, path, **params):
    serving.export(model, path / "model.safetensors", **params)
    return serving.load(path / "model.safetensors")


def assert_same(predictor, model, X):
    """Check that each method gives what the model's does, and is there if it is."""
    for method in METHODS:
        assert hasattr(predictor, method) == hasattr(model, method)
        if not hasattr(model, method):
            continue
        expected, found = getattr(model, method)(X), getattr(predictor, method)(X)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        if method == "predict":
            np.testing.assert_array_equal(found, expected)
        else:
            atol = 1e-6 if method == "predict_proba" else 1e-5
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=atol)


NETS = {
    "dense X": (arrays, {}),
    "dense X, as it is": (arrays, {"std_power": None, "interactions": 0}),
    "dense X, pairs": (arrays, {"interactions": 0.5}),
    "sparse X": (counts, {}),
    "sparse X, pairs": (counts, {"interactions": 0.5}),
    "sparse X, correlated": (counts, {"label_correlation": 0.4}),
    "blocks": (blocks, {}),
    "blocks, correlated": (blocks, {"label_correlation": 0.4}),
    "direct alone": (counts, {"shared_weight": 0, "interactions": 0}),
    "not calibrated": (counts, {"calibrate": False}),
    "optimizer": (counts, {"optimizer": "Adam", "max_epochs": 2}),
    "classic": (counts, {"module": "embedding_bag", "max_epochs": 2}),
    "classic, dense X": (arrays, {"module": "embedding_bag", "max_epochs": 2}),
    "classic, means": (
        counts,
        {"module": "embedding_bag", "net_params": {"module__mode": "mean"}},
    ),
}


@pytest.mark.parametrize(("make", "params"), NETS.values(), ids=NETS)
def test_predictor_equals_the_net(make, params, tmp_path):
    if params.get("optimizer") == "Adam":
        import torch

        params = {**params, "optimizer": torch.optim.Adam}
    X, y = make()
    clf = masked(**params).fit(X, y)
    predictor = serve(clf, tmp_path)
    assert_same(predictor, clf, make(seed=1)[0])
    assert predictor.classes_.dtype == clf.classes_.dtype
    np.testing.assert_array_equal(predictor.classes_, clf.classes_)
    assert predictor.n_labels_ == 3
    assert predictor.n_features_in_ == X.shape[1]
    assert predictor.label_names_ is None


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("params", [{}, {"label_correlation": 0.4}], ids=str)
def test_predictor_equals_the_net_of_touched_pairs(
    params, small, tmp_path, monkeypatch
):
    # Few weights are all kept; here pairs are, as with many features and labels.
    monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 1)
    monkeypatch.setattr("sklearn_masked.nn.model._direct.MANY_CELLS", 100)
    if not small:
        monkeypatch.setattr("sklearn_masked.serving._pairs._TABLE", 30)
    X, y = counts()
    clf = masked(**params).fit(X, y)
    assert hasattr(clf.net_.module_.direct, "starts")
    assert_same(serve(clf, tmp_path), clf, counts(seed=1)[0])


def test_predictor_takes_the_other_storage_of_rows(tmp_path):
    for make in (arrays, counts):
        X, y = make()
        clf = masked().fit(X, y)
        other = X.toarray() if sp.issparse(X) else sp.csr_array(X)
        assert_same(serve(clf, tmp_path), clf, other)
    repeated = sp.csr_array(([1.0, 2.0, 0.0], ([0, 0, 0], [3, 3, 4])), shape=(1, 40))
    coo = sp.coo_array(([1.0, 2.0, 0.0], ([0, 0, 0], [3, 3, 4])), shape=(1, 40))
    for rows in (repeated, coo):
        assert_same(serve(clf, tmp_path), clf, rows)


def test_labels_without_a_labeled_cell_have_the_pooled_rate(tmp_path):
    X, y = counts()
    y[:, 1] = np.nan
    with warnings.catch_warnings(action="ignore"):
        clf = masked().fit(X, y)
    assert_same(serve(clf, tmp_path), clf, X)


def test_described_labels_are_served(tmp_path):
    X, y = texts()
    words = ["one", "two", "", "three"]
    pipeline = make_pipeline(TfidfVectorizer(), masked(base_rates=0.2))
    clf = DescribedLabelsClassifier(pipeline, words).fit(X, y)
    predictor = serve(clf, tmp_path)
    assert_same(predictor, clf, X)
    np.testing.assert_array_equal(predictor.label_names_, clf.label_names_)


PIPELINES = {
    "tf-idf": lambda: make_pipeline(TfidfVectorizer(sublinear_tf=True), masked()),
    "counts, then tf-idf": lambda: make_pipeline(
        CountVectorizer(ngram_range=(1, 2)), TfidfTransformer(), masked()
    ),
    "hashing": lambda: make_pipeline(HashingVectorizer(n_features=512), masked()),
    "union": lambda: make_pipeline(
        FeatureUnion(
            [
                ("words", TfidfVectorizer()),
                ("dropped", "drop"),
                ("chars", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 3))),
            ],
            transformer_weights={"chars": 0.5},
        ),
        "passthrough",
        masked(),
    ),
    "scaled counts": lambda: make_pipeline(
        CountVectorizer(), MaxAbsScaler(), Normalizer("max"), masked()
    ),
    "pipeline inside": lambda: make_pipeline(
        make_pipeline(CountVectorizer(), TfidfTransformer(norm="l1")), masked()
    ),
}


@pytest.mark.parametrize("make", PIPELINES.values(), ids=PIPELINES)
def test_predictor_equals_the_pipeline_of_texts(make, tmp_path):
    X, y = texts()
    clf = make().fit(X, y)
    predictor = serve(clf, tmp_path)
    new = [*texts(seed=1)[0], "", "Nothing of it", "ÉÉ ß"]
    for rows in (new, np.array(new), pd.Series(new), iter(new), tuple(new)):
        given = new if hasattr(rows, "__next__") else rows
        found = predictor.predict_proba(rows)
        np.testing.assert_allclose(found, clf.predict_proba(given), atol=1e-6)
    assert_same(predictor, clf, new)
    assert not hasattr(predictor, "n_features_in_")


SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((-1, 2), clip=True),
    MaxAbsScaler(),
    Normalizer(),
    Normalizer("l1"),
    FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]),
    make_pipeline(Normalizer(), StandardScaler()),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=str)
def test_predictor_equals_the_pipeline_of_arrays(scaler, tmp_path):
    X, y = arrays()
    clf = make_pipeline(clone(scaler), masked()).fit(X, y)
    predictor = serve(clf, tmp_path)
    for rows in (arrays(seed=1)[0], X.astype(np.float32), np.arange(5)[None]):
        assert_same(predictor, clf, rows)


LINEAR = {
    "logistic": LogisticRegression(),
    "svm": LinearSVC(),
    "ridge": RidgeClassifier(),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
    "perceptron": Perceptron(),
    "scaled": make_pipeline(StandardScaler(), MinMaxScaler(), LogisticRegression()),
}


@pytest.mark.parametrize("estimator", LINEAR.values(), ids=LINEAR)
@pytest.mark.parametrize("make", [arrays, counts])
def test_predictor_equals_one_linear_model_a_label(make, estimator, tmp_path):
    X, y = make()
    X = X.toarray() if sp.issparse(X) else X
    y[:, 2] = np.where(y[:, 2] == 0, np.nan, y[:, 2])  # a label of positives alone
    with warnings.catch_warnings(action="ignore"):
        clf = MaskedMultiOutputClassifier(clone(estimator)).fit(X, y)
    assert_same(serve(clf, tmp_path), clf, make(seed=1)[0] if make is arrays else X)


META = {
    "sigmoid": lambda base: MaskedCalibratedClassifierCV(base, cv=2),
    "one map": lambda base: MaskedCalibratedClassifierCV(
        base, cv=2, ensemble=False, target_prevalence=0.1, min_positive=60
    ),
    "isotonic": lambda base: MaskedCalibratedClassifierCV(
        base, cv=2, method="isotonic", min_positive=30
    ),
    "temperature": lambda base: MaskedCalibratedClassifierCV(
        base, cv=2, method="temperature"
    ),
    "thresholds": lambda base: MaskedTunedThresholdClassifierCV(base, cv=2),
    "thresholds by vote": lambda base: MaskedTunedThresholdClassifierCV(
        base, cv=2, refit=False, scoring="precision_at_recall", target=0.5
    ),
    "thresholds of decisions": lambda base: MaskedTunedThresholdClassifierCV(
        base, cv=3, refit=False, response_method="decision_function"
    ),
    "both": lambda base: MaskedTunedThresholdClassifierCV(
        FrozenEstimator(MaskedCalibratedClassifierCV(base, cv=2).fit(*arrays()))
    ),
}
BASES = {
    "net": lambda: masked(max_epochs=2, interactions=0),
    "linear": lambda: MaskedMultiOutputClassifier(LogisticRegression()),
}


@pytest.mark.filterwarnings(
    "ignore::sklearn_masked.exceptions.PooledCalibrationWarning"
)
@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.RefitThresholdWarning")
@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.ReversedScoresWarning")
@pytest.mark.filterwarnings(
    "ignore::sklearn_masked.exceptions.FallbackThresholdWarning"
)
@pytest.mark.parametrize("base", BASES.values(), ids=BASES)
@pytest.mark.parametrize("wrap", META.values(), ids=META)
def test_predictor_equals_calibrators_and_thresholds(wrap, base, tmp_path):
    X, y = arrays()
    clf = wrap(base()).fit(X, y)
    assert_same(serve(clf, tmp_path), clf, arrays(seed=1)[0])


@pytest.mark.filterwarnings(
    "ignore::sklearn_masked.exceptions.PooledCalibrationWarning"
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: masked(max_epochs=2),
        LogisticRegression,
        lambda: MaskedMultiOutputClassifier(LogisticRegression()),
        lambda: MaskedCalibratedClassifierCV(LogisticRegression(), cv=2),
        lambda: MaskedTunedThresholdClassifierCV(LogisticRegression(), cv=2),
        lambda: MaskedTunedThresholdClassifierCV(
            LogisticRegression(), cv=2, refit=False
        ),
    ],
)
@pytest.mark.parametrize("values", [[0, 1], ["no", "yes"], [False, True], [1.0, 3.0]])
def test_predictor_of_a_binary_problem_has_its_values(make, values, tmp_path):
    X, y = arrays()
    known = ~np.isnan(y[:, 0])
    y = np.array(values)[y[known, 0].astype(int)]
    clf = make().fit(X[known], y)
    predictor = serve(clf, tmp_path)
    assert_same(predictor, clf, X)
    assert predictor.classes_.dtype == clf.classes_.dtype
    np.testing.assert_array_equal(predictor.classes_, clf.classes_)


def test_a_search_is_served_as_its_best_model(tmp_path):
    X, y = arrays()
    pipeline = make_pipeline(StandardScaler(), masked(max_epochs=2, interactions=0))
    labels = MaskedLabels.from_dense(y, label_names=list("abc"))
    clf = GridSearchCV(pipeline, {"maskedmultilabelclassifier__C": [1.0, 2.0]}, cv=2)
    predictor = serve(clf.fit(X, labels), tmp_path)
    assert_same(predictor, clf, X)
    assert predictor.label_names_.tolist() == list("abc")


def test_thresholds_cut_the_constant_of_a_label_where_it_stands(tmp_path):
    X, y = arrays()
    y[:, 2] = np.where(y[:, 2] == 0, np.nan, y[:, 2])
    with warnings.catch_warnings(action="ignore"):
        base = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
        clf = MaskedTunedThresholdClassifierCV(FrozenEstimator(base)).fit(X, y)
    for rate in np.random.default_rng(0).random(20):
        base.estimators_[2].rate = clf.thresholds_[2] = rate
        assert_same(serve(clf, tmp_path), clf, X)


def test_names_of_labels_and_features_are_kept_and_checked(tmp_path):
    X, y = arrays()
    names = list("abcde")
    X = pd.DataFrame(X, columns=names)
    y = pd.DataFrame(y, columns=["war", "crime", 3])
    for model in (masked(), make_pipeline(StandardScaler(), masked())):
        clf = model.fit(X, y)
        predictor = serve(clf, tmp_path)
        assert predictor.label_names_.tolist() == ["war", "crime", 3]
        assert predictor.feature_names_in_.tolist() == names
        for rows in (X, pl.from_pandas(X), X.to_numpy()):
            found = predictor.predict_proba(rows)
            np.testing.assert_allclose(found, clf.predict_proba(X), atol=1e-6)
        with pytest.raises(
            ValueError, match="`X` must have the features of the export"
        ):
            predictor.predict(X[names[::-1]])
    numbered = X.set_axis([10, 11, 12, 13, 14], axis=1)
    predictor = serve(masked().fit(numbered, y), tmp_path)
    assert predictor.feature_names_in_.tolist() == [10, 11, 12, 13, 14]
    with pytest.raises(ValueError, match="feature 0 is 14 and must be 10"):
        predictor.predict(numbered[numbered.columns[::-1]])


@pytest.mark.parametrize("word", ["war", "战争"])
def test_the_model_of_a_labeling_loop_is_served(word, tmp_path):
    X = [f"{word} {i}{word}" if i % 2 else f"peace {i} 和平" for i in range(40)]
    with LabelingLoop(
        None, X, folder=tmp_path / "loop", label_names=["war"], random_state=0
    ) as loop:
        loop.answer(range(30), ["war"] * 30, [i % 2 for i in range(30)])
        loop.fit()
        predictor = serve(loop.model, tmp_path)
        assert_same(predictor, loop.model, X)
    assert predictor.label_names_.tolist() == ["war"]


def test_a_scorer_takes_a_predictor(tmp_path):
    X, y = arrays()
    clf = masked().fit(X, y)
    predictor = serve(clf, tmp_path)
    expected = masked_roc_auc_scorer(clf, X, y)
    assert masked_roc_auc_scorer(predictor, X, y) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights_of_fewer_bits_make_a_smaller_file(dtype, tmp_path):
    X, y = texts()
    clf = make_pipeline(TfidfVectorizer(), masked()).fit(X, y)
    exact = serve(clf, tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    predictor = serve(clf, tmp_path, dtype=dtype)
    smaller = (tmp_path / "model.safetensors").stat().st_size
    found, expected = predictor.predict_proba(X), exact.predict_proba(X)
    if dtype == "float32":
        assert smaller == size
        np.testing.assert_array_equal(found, expected)
    else:
        assert smaller < 0.7 * size
        np.testing.assert_allclose(found, expected, atol=5e-3)
        assert (found != expected).any()


def test_weights_of_linear_models_become_float32(tmp_path):
    X, y = arrays()
    clf = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    found = serve(clf, tmp_path, dtype="float32").predict_proba(X)
    np.testing.assert_allclose(found, clf.predict_proba(X), atol=1e-5)


def test_weights_too_large_for_float16_raise(tmp_path):
    X, y = arrays()
    clf = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    for one in clf.estimators_:
        one.coef_ = np.full((1, 5), 70000.0)
    with pytest.raises(UnservableModelError, match="`dtype` float16 has room for"):
        serving.export(clf, tmp_path / "model", dtype="float16")


@pytest.mark.parametrize("pairs", [False, True])
def test_pruned_models_leave_out_the_smallest_weights(pairs, tmp_path, monkeypatch):
    if pairs:
        monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 1)
    X, y = texts()
    clf = make_pipeline(TfidfVectorizer(), masked()).fit(X, y)
    exact = serve(clf, tmp_path)
    size = (tmp_path / "model.safetensors").stat().st_size
    errors = []
    for prune in (1e-9, 0.3, 0.8):
        predictor = serve(clf, tmp_path, prune=prune)
        error = np.abs(predictor.predict_proba(X) - exact.predict_proba(X))
        errors.append(error.mean())
    assert errors[0] < 1e-6 < errors[1] < errors[2]
    assert (tmp_path / "model.safetensors").stat().st_size < 0.5 * size
    model = predictor._model.model
    n_kept = model.direct.dense if hasattr(model.direct, "dense") else model.direct
    n_all = exact._model.model.direct
    n_all = n_all.dense if hasattr(n_all, "dense") else n_all
    n_all = np.count_nonzero(n_all) if pairs else n_all.size
    assert np.count_nonzero(n_kept) == pytest.approx(0.2 * n_all, abs=1)


def test_prune_and_dtype_refuse_what_they_cannot_do(tmp_path):
    X, y = arrays()
    for model in (masked(), MaskedMultiOutputClassifier(LogisticRegression())):
        clf = model.fit(X, y)
        with pytest.raises(
            UnservableModelError, match="`prune` leaves out weights of a"
        ):
            serving.export(clf, tmp_path / "model", prune=0.5)
    with pytest.raises(ValueError, match="`prune` accepts a share from 0 to below 1"):
        serving.export(clf, tmp_path / "model", prune=1)
    with pytest.raises(
        ValueError, match="`dtype` accepts 'float32', 'float16' or None"
    ):
        serving.export(clf, tmp_path / "model", dtype="int8")
    assert not list(tmp_path.iterdir())


def own_module():
    import torch

    class Net(torch.nn.Module):
        def __init__(self, n_features, n_labels):
            super().__init__()
            self.linear = torch.nn.Linear(n_features, n_labels)

        def forward(self, X):
            return self.linear(X)

    return masked(module=Net, max_epochs=1)


class OwnVectorizer(TfidfVectorizer):
    pass


REFUSED = {
    "own module": (own_module, arrays, "Net, is one of your own; torch.export"),
    "no linear model": (
        lambda: MaskedMultiOutputClassifier(DummyClassifier()),
        arrays,
        "MaskedMultiOutputClassifier of DummyClassifier is not one of linear models",
    ),
    "no transformer": (
        lambda: make_pipeline(OwnVectorizer(), masked(max_epochs=1)),
        texts,
        "OwnVectorizer is none of the models and transformers that a predictor",
    ),
    "tokenizer": (
        lambda: make_pipeline(
            CountVectorizer(tokenizer=str.split, token_pattern=None),
            masked(max_epochs=1),
        ),
        texts,
        "`tokenizer` of CountVectorizer is a function",
    ),
    "other probabilities": (
        lambda: MaskedMultiOutputClassifier(SGDClassifier(loss="modified_huber")),
        arrays,
        "the probabilities of SGDClassifier.loss='modified_huber'. are not logistic",
    ),
    "a label's own words": (
        lambda: MaskedMultiOutputClassifier(
            make_pipeline(TfidfVectorizer(), LogisticRegression())
        ),
        texts,
        "MaskedMultiOutputClassifier was fitted on texts; vectorize them before",
    ),
    "passthrough": (
        lambda: make_pipeline(
            FeatureUnion([("a", StandardScaler()), ("b", "passthrough")]),
            masked(max_epochs=1),
        ),
        arrays,
        "sklearn.FunctionTransformer is none of the models",
    ),
}


@pytest.mark.parametrize(("make", "data", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_predictor_does_not_compute_is_refused(make, data, words, tmp_path):
    clf = make().fit(*data())
    path = tmp_path / "model"
    with pytest.raises(UnservableModelError, match=words) as caught:
        serving.export(clf, path)
    assert str(caught.value).startswith("`model` cannot be exported: ")
    assert str(caught.value).endswith(".")
    assert not path.exists()


def test_a_model_that_is_not_fitted_or_no_classifier_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        serving.export(masked(), tmp_path / "model")
    with pytest.raises(UnservableModelError, match="StandardScaler does not classify"):
        serving.export(StandardScaler().fit(arrays()[0]), tmp_path / "model")


def test_a_predictor_that_differs_is_not_written(tmp_path):
    # On rows that are made up, and on those that are given.
    X, y = texts()
    clf = make_pipeline(TfidfVectorizer(), masked(max_epochs=1)).fit(X, y)
    clf[0].set_params(lowercase=False)
    clf[0].build_analyzer = lambda: str.split
    with pytest.raises(UnservableModelError, match="would differ from that of the mod"):
        serving.export(clf, tmp_path / "model")
    X, y = arrays()
    clf = masked().fit(X, y)
    given = clf.predict_proba

    def wrong_for_large(X):
        return given(X) + (np.asarray(X)[:, :1] == 1234)

    clf.predict_proba = wrong_for_large
    serving.export(clf, tmp_path / "model")
    X[0, 0] = 1234
    with pytest.raises(UnservableModelError, match="`predict_proba` of the predictor"):
        serving.export(clf, tmp_path / "model", X=X)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros((2, 4)), r"rows of the 5 features .* got the shape \(2, 4\)"),
        (np.zeros(5), r"got the shape \(5,\)"),
        (np.full((1, 5), np.nan), "`X` accepts finite numbers; got nan"),
        (np.full((1, 5), 1e300), "`X` accepts finite numbers; got inf"),
        (sp.csr_array(np.full((1, 5), np.inf)), "`X` accepts finite numbers; got inf"),
        ([["a"] * 5], "numbers that the model was fitted on; got texts"),
    ],
)
def test_rows_that_are_none_of_the_models_raise(X, words, tmp_path):
    predictor = serve(masked(max_epochs=1).fit(*arrays()), tmp_path)
    with pytest.raises(ValueError, match=words):
        predictor.predict_proba(X)


def test_one_text_for_several_raises(tmp_path):
    clf = make_pipeline(TfidfVectorizer(), masked(max_epochs=1)).fit(*texts())
    predictor = serve(clf, tmp_path)
    with pytest.raises(
        ValueError, match=r"`X` accepts a list of texts; .* pass \[text"
    ):
        predictor.predict("one text")
    with pytest.raises(ValueError, match="`X` accepts texts, str or bytes; got nan"):
        predictor.predict(["text", np.nan])
    assert predictor.predict_proba([]).shape == (0, 4)


def test_a_predictor_is_one_for_all_threads(tmp_path):
    X, y = texts()
    clf = make_pipeline(HashingVectorizer(n_features=512), masked(max_epochs=1))
    predictor = serve(clf.fit(X, y), tmp_path)
    expected = clf.predict_proba(X)
    wrong = []

    def run():
        for _ in range(5):
            if not np.allclose(predictor.predict_proba(X), expected, atol=1e-6):
                wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_files_are_loaded_without_scikit_learn_and_torch(tmp_path):
    X, y = texts()
    y = MaskedLabels.from_dense(y, label_names=list("abcd"))
    clf = make_pipeline(TfidfVectorizer(), masked()).fit(X, y)
    serve(clf, tmp_path)
    np.save(tmp_path / "X.npy", np.array(X))
    np.save(tmp_path / "proba.npy", clf.predict_proba(X))
    code = f"""
import sys
for name in ("sklearn", "torch", "skorch", "joblib", "threadpoolctl", "pandas"):
    sys.modules[name] = None  # an import of it fails
import numpy as np
from sklearn_masked import serving
from sklearn_masked.exceptions import ServedFileError
predictor = serving.load({str(tmp_path / "model.safetensors")!r})
X = np.load({str(tmp_path / "X.npy")!r}).tolist()
proba = predictor.predict_proba(X)
assert np.allclose(proba, np.load({str(tmp_path / "proba.npy")!r}), atol=1e-6)
assert serving.predict_top_k(predictor, X, 2).labels.shape == (len(X), 2)
assert predictor.predict(X).shape == proba.shape
try:
    serving.load({str(tmp_path / "X.npy")!r})
except ServedFileError:
    print(",".join(predictor.label_names_))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("a,b,c,d", "")


def test_a_frame_of_texts_is_told_to_pass_a_column(tmp_path):
    texts, y = ["good day", "bad day"] * 10, np.tile([[1.0, 0], [0, 1]], (10, 1))
    clf = MaskedMultiLabelClassifier(random_state=0, device="cpu")
    serving.export(
        make_pipeline(CountVectorizer(), clf).fit(texts, y), tmp_path / "model"
    )
    served = serving.load(tmp_path / "model")
    with pytest.raises(ValueError) as caught:
        served.predict_proba(pd.DataFrame({"text": texts}))
    assert str(caught.value) == (
        "`X` accepts a list of texts, which the model was fitted on; got the shape "
        "(20, 1). Of a data frame pass one column, frame['text']."
    )
