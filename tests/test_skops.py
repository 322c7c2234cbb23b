"""skops reads a saved model after one or two types of this package are trusted."""

import io
import zipfile

import numpy as np
import pytest
import torch

skops = pytest.importorskip("skops.io", reason="skops is not installed")

from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from test_inspection_explain import problem  # noqa: E402

from sklearn_masked import (  # noqa: E402
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)

ESTIMATOR = "sklearn_masked.classifier._estimator.MaskedMultiLabelClassifier"
SDCA = "sklearn_masked.nn.sdca._net.SDCANet"


def check(model, X, y, wanted):
    data = skops.dumps(model)
    assert skops.get_untrusted_types(data=data) == sorted(wanted)
    # Arrays and a schema alone: no bytes that another reader would load.
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {name.rpartition(".")[2] for name in names} <= {"json", "npy", "npz"}
    loaded = skops.loads(data, trusted=wanted)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    if hasattr(model, "partial_fit"):
        loaded.partial_fit(X, y)
        model.partial_fit(X, y)
        np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [{}, {"early_stopping": True}, {"interactions": 0.3, "label_correlation": 0.3}],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_default_model_asks_for_itself_and_its_net(params, sparse):
    X, y = problem(sparse)
    model = MaskedMultiLabelClassifier(4, max_epochs=3, random_state=0, **params)
    check(model.fit(X, y), X, y, [ESTIMATOR, SDCA])


@pytest.mark.parametrize("optimizer", [None, torch.optim.Adam])
def test_classic_model_asks_for_its_net_and_a_given_optimizer(optimizer):
    X, y = problem(True)
    model = MaskedMultiLabelClassifier(
        4, module="embedding_bag", optimizer=optimizer, max_epochs=2, random_state=0
    )
    wanted = [ESTIMATOR, "sklearn_masked.nn.sgd._net.MaskedNet"]
    if optimizer is not None:  # a parameter, which is what the user set
        wanted.append("torch.optim.adam.Adam")
    check(model.fit(X, y), X, y, wanted)


def test_pipeline_of_texts_asks_for_no_more():
    texts = ["troops cross the border", "the striker scores", "shelling", "a penalty"]
    y = np.array([[1, np.nan], [0, 1], [1, 0], [np.nan, 1]])
    classifier = MaskedMultiLabelClassifier(2, max_epochs=2, random_state=0)
    model = make_pipeline(TfidfVectorizer(), classifier).fit(texts, y)
    check(model, texts, y, [ESTIMATOR, SDCA])


def test_described_labels_ask_for_their_prior_and_their_sparse_features():
    X, y = problem(True)
    words = X[:3].copy()
    model = MaskedMultiLabelClassifier(
        4, max_epochs=3, label_features=words, random_state=0
    )
    prior = "sklearn_masked.classifier._label_prior.LabelPrior"
    scores = "sklearn_masked.classifier._label_scores.LabelScores"
    found = ["scipy.sparse._csr.csr_array", ESTIMATOR, prior, scores, SDCA]
    check(model.fit(X, y), X, y, found)


def test_classifiers_of_each_label_ask_for_their_frame():
    X, y = problem(False)
    model = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, y)
    name = "sklearn_masked.multioutput._classifier.MaskedMultiOutputClassifier"
    check(model, X, y, [name])
