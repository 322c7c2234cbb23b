"""ONNX graphs give the estimator's probabilities, of arrays, sparse rows and texts."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

REASON = "the extra `onnx` is not installed"
skl2onnx = pytest.importorskip("skl2onnx", reason=REASON)
onnxruntime = pytest.importorskip("onnxruntime", reason=REASON)

from sklearn.feature_extraction.text import (  # noqa: E402
    CountVectorizer,
    TfidfVectorizer,
)
from sklearn.frozen import FrozenEstimator  # noqa: E402
from sklearn.linear_model import LogisticRegression, SGDClassifier  # noqa: E402
from sklearn.model_selection import KFold  # noqa: E402
from sklearn.pipeline import make_pipeline, make_union  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402
from test_docs import ROOT, run_blocks  # noqa: E402
from test_inspection_explain import (  # noqa: E402
    EVERYTHING,
    MODELS,
    WRAPPED,
    Own,
    fit,
    inner,
    problem,
)

from sklearn_masked import (  # noqa: E402
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.onnx import register_converters, to_onnx  # noqa: E402
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV  # noqa: E402

TEXTS = [
    "Troops cross the border, 東京 3½",
    "The striker scores twice, twice!",
    "Shelling near the BORDER: don't stop_now",
    "The keeper saves a penalty; naïve ÉCOLE",
    "",
    "a I ?",
    "border_line  near\nthe\tborder near the border",
]
Y = np.array(
    [[1, 0, np.nan], [0, 1, 1], [1, np.nan, 0], [np.nan, 1, 1]] + [[0] * 3] * 3
)


def run(graph, X):
    """Return label and probabilities of rows, or of texts."""
    if isinstance(X, list):
        X = np.array(X, dtype=object)
    else:
        X = (X.toarray() if sp.issparse(X) else X).astype(np.float32)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X})


def check(model, X, **kwargs):
    label, proba = run(to_onnx(model, **kwargs), X)
    np.testing.assert_allclose(proba, model.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(label, model.predict(X))
    return proba


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_and_decisions_are_those_of_the_estimator(name):
    check(*fit(name))


def test_rows_far_from_the_others_stay_finite():
    model, X = fit("dense, all paths")
    for factor in (1e-30, 1e20):
        _, proba = run(to_onnx(model), factor * X)
        np.testing.assert_allclose(proba, model.predict_proba(factor * X), atol=1e-5)


def test_rows_of_zeros_have_no_embedding():
    model, X = fit("sparse, all paths")
    check(model, sp.csr_array(X.shape))


@pytest.mark.parametrize("classes", [["no", "yes"], [3, 7], [False, True]])
def test_binary_target_gives_its_values_and_both_probabilities(classes):
    X, _ = problem(False)
    y = np.array(classes)[(X[:, 0] > 0).astype(int)]
    model = MaskedMultiLabelClassifier(4, max_epochs=5, random_state=0).fit(X, y)
    assert check(model, X).shape == (len(X), 2)


def test_classifiers_of_each_label_and_constants():
    X, y = problem(True)
    y[:, 2] = np.where(y[:, 2] == 1, np.nan, y[:, 2])
    model = MaskedMultiOutputClassifier(LogisticRegression())
    with pytest.warns(UserWarning, match="all of one class"):
        check(model.fit(X, y), X)
    y[:, :2] = np.where(y[:, :2] == [1, 0], np.nan, y[:, :2])
    with pytest.warns(UserWarning, match="all of one class"):
        check(model.fit(X, y), X)
    sgd = SGDClassifier(loss="log_loss", random_state=0)
    check(MaskedMultiOutputClassifier(sgd).fit(*problem(True)), X)


def test_pipeline_of_numbers():
    X, y = problem(False)
    model = make_pipeline(
        StandardScaler(),
        MaskedMultiLabelClassifier(4, max_epochs=5, random_state=0, **EVERYTHING),
    )
    check(model.fit(X, y), X)


VECTORIZERS = {
    "tfidf": TfidfVectorizer(),
    "sublinear": TfidfVectorizer(sublinear_tf=True, stop_words=["the"]),
    "n-grams": TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
    "bigrams": CountVectorizer(ngram_range=(2, 3)),
    "no idf": TfidfVectorizer(use_idf=False, norm="l1"),
    "no norm": TfidfVectorizer(norm=None),
    "binary": CountVectorizer(binary=True, lowercase=False),
    "short words": CountVectorizer(token_pattern=r"(?u)\b\w+\b"),
    "union": make_union(CountVectorizer(binary=True), TfidfVectorizer()),
}


@pytest.mark.parametrize("name", VECTORIZERS)
def test_pipelines_of_texts(name):
    classifier = MaskedMultiLabelClassifier(2, max_epochs=3, random_state=0)
    model = make_pipeline(VECTORIZERS[name], classifier).fit(TEXTS, Y)
    new = ["THE Border ÉCOLE unseen", "twice saves 3½ a penalty", "東京", "", "..."]
    kwargs = {}
    if name == "union":
        from skl2onnx.common.data_types import StringTensorType

        kwargs = {"initial_types": [("X", StringTensorType([None]))]}
    check(model, TEXTS, **kwargs)
    check(model, new, **kwargs)


def test_labels_that_words_describe():
    classifier = MaskedMultiLabelClassifier(
        2, max_epochs=3, base_rates=0.3, random_state=0
    )
    words = ["troops shelling", "striker keeper", "penalty"]
    model = DescribedLabelsClassifier(
        make_pipeline(TfidfVectorizer(), classifier), words
    )
    check(model.fit(TEXTS, Y), TEXTS)


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.ReversedScoresWarning")
@pytest.mark.parametrize("name", WRAPPED)
def test_calibrators_and_thresholds_are_folded_in(name):
    X, y = problem(False)
    model = FrozenEstimator(inner()) if name == "frozen" else WRAPPED[name]()
    if name == "frozen":
        model.estimator.fit(X, y)
    else:
        model.fit(X, MaskedLabels.from_dense(y))
    check(model, X)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function"])
def test_thresholds_of_either_scale_decide(method):
    tuned = MaskedTunedThresholdClassifierCV(
        inner(), cv=KFold(2), response_method=method, min_positive=1, min_negative=1
    )
    model = make_pipeline(StandardScaler(), tuned)
    X, y = problem(False)
    check(model.fit(X, MaskedLabels.from_dense(y)), X)
    assert not np.allclose(tuned.thresholds_, 0.5)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"analyzer": "char"}, "`analyzer` of CountVectorizer accepts 'word' for ONNX"),
        ({"strip_accents": "unicode"}, "`strip_accents` of CountVectorizer accepts No"),
        ({"token_pattern": "[a-z]+"}, "`token_pattern` of CountVectorizer accepts"),
        (
            {"ngram_range": (1, 2), "stop_words": ["the"]},
            "`stop_words` of CountVectorizer accepts None with n-grams",
        ),
    ],
)
def test_vectorizers_that_no_operator_computes_are_refused(params, message):
    classifier = MaskedMultiLabelClassifier(2, max_epochs=1, random_state=0)
    model = make_pipeline(CountVectorizer(**params), classifier).fit(TEXTS, Y)
    with pytest.raises(ValueError, match=message):
        to_onnx(model)


def test_models_that_are_no_sums_are_refused():
    X, y = problem(False)
    model = MaskedMultiLabelClassifier(module=Own, max_epochs=1).fit(X, y)
    with pytest.raises(TypeError, match="got a `module` of type Own"):
        to_onnx(model)


@pytest.mark.parametrize(
    "estimator", [LinearSVC(), SGDClassifier(loss="modified_huber", random_state=0)]
)
def test_probabilities_that_are_not_logistic_are_refused(estimator):
    model = MaskedMultiOutputClassifier(estimator).fit(*problem(False))
    with pytest.raises(TypeError, match="as LogisticRegression has; got "):
        to_onnx(model)


def test_old_operators_are_refused():
    model, _ = fit("dense")
    with pytest.raises(ValueError) as caught:
        to_onnx(model, target_opset=15)
    assert str(caught.value) == (
        "`target_opset` accepts 18 or more for this model; got 15."
    )


@pytest.mark.parametrize("kind", ["Float", "Double", "Int64"])
def test_converters_are_registered_for_skl2onnx_itself(kind):
    from skl2onnx.common import data_types

    model, X = fit("dense")
    X = np.round(X) if kind == "Int64" else X
    pipeline = make_pipeline(model)
    register_converters()
    types = [("X", getattr(data_types, f"{kind}TensorType")([None, X.shape[1]]))]
    graph = skl2onnx.convert_sklearn(
        pipeline, initial_types=types, options={StandardScaler: {}}
    )
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    dtype = {"Float": np.float32, "Double": np.float64, "Int64": np.int64}[kind]
    _, proba = session.run(None, {"X": X.astype(dtype)})
    np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-5)


def test_the_package_loads_without_skl2onnx():
    code = (
        "import sys; sys.modules['skl2onnx'] = None; import sklearn_masked.onnx as o\n"
        "try: o.register_converters()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == (
        "ONNX graphs are made by skl2onnx: `pip install sklearn-masked[onnx]`."
    )


def test_the_page_runs_and_prints_what_it_says():
    pytest.importorskip("skops", reason="skops is not installed")
    _, claims = run_blocks(ROOT / "docs" / "onnx.md")
    for printed, expected in claims:
        assert expected and printed == expected
