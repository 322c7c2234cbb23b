"""New labels join a fitted model by name; those that it knows keep their weights."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    serving,
)
from sklearn_masked.datasets import make_masked_multilabel
from sklearn_masked.metrics import (
    masked_average_precision_score,
    masked_log_loss,
    masked_roc_auc_score,
)
from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.model._more_labels import add_labels

NAN = np.nan
OLD, NAMES = ["war", "sport", "crime"], ["war", "sport", "crime", "trade", "climate"]
N, N_TRAIN = 900, 600


def make_data():
    """Return sparse rows, partly labeled y of five labels, and all labels."""
    texts, y, truth = make_masked_multilabel(
        N, 5, words_per_text=12, return_full=True, random_state=0
    )
    X = TfidfVectorizer(dtype=np.float32).fit_transform(texts)
    return X, y.to_dense(), truth.toarray()


X, Y, TRUTH = make_data()


def named(y, names=NAMES):
    return MaskedLabels.from_dense(y, label_names=names)


def classifier(**params):
    params = {"embedding_dim": 20, "random_state": 0, "device": "cpu", **params}
    return MaskedMultiLabelClassifier(**params)


def auc(model, labels, rows=slice(N_TRAIN, N)):
    return masked_roc_auc_score(
        TRUTH[rows][:, labels], model.predict_proba(X[rows])[:, labels]
    )


def only_new(rows=slice(0, N_TRAIN)):
    y = Y[rows].copy()
    y[:, :3] = NAN
    return y


@pytest.fixture(scope="module")
def known():
    return pickle.dumps(classifier().fit(X[:N_TRAIN], named(Y[:N_TRAIN, :3], OLD)))


def weights(model, n_labels=3):
    module = model.net_.module_
    parts = [module.output, module.bias]
    parts = [part.detach()[:n_labels].numpy().copy() for part in parts]
    return [*parts, model._additive(None, np.arange(n_labels))[1]["weight"]]


@pytest.mark.parametrize("call", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("direct", ["table", "pairs"])
def test_new_labels_learn_from_their_cells_and_others_keep_their_weights(
    call, direct, monkeypatch
):
    if direct == "pairs":
        monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 0)
    model = classifier().fit(X[:N_TRAIN], named(Y[:N_TRAIN, :3], OLD))
    before, proba = weights(model), model.predict_proba(X[N_TRAIN:])
    fit = model.set_params(warm_start=True).fit if call == "warm_start" else None
    (fit or model.partial_fit)(X[:N_TRAIN], named(only_new()))
    assert model.label_names_.tolist() == NAMES and model.n_labels_ == 5
    assert model.classes_.tolist() == [0, 1, 2, 3, 4]
    # Output lines are fitted to the cells of all labels.
    slope = model.net_.module_.slope.numpy()
    for name, was, now in zip("ubw", before, weights(model), strict=True):
        if name == "w":
            was, now = (sp.csr_array(part).toarray() for part in (was, now))
            scale = np.linalg.norm(now, axis=0) / np.linalg.norm(was, axis=0)
            was = was * scale
        np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-7)
    assert len(slope) == 5
    after = model.predict_proba(X[N_TRAIN:])
    np.testing.assert_allclose(after[:, :3], proba, atol=0.03)
    whole = classifier().fit(X[:N_TRAIN], named(Y[:N_TRAIN]))
    assert auc(model, [3, 4]) > auc(whole, [3, 4]) - 0.02
    # They rank rows, and their output is on the scale of probabilities.
    new = TRUTH[N_TRAIN:, 3:]
    own = masked_log_loss(new, after[:, 3:])
    base = np.broadcast_to(new.mean(axis=0), new.shape)
    assert own < masked_log_loss(new, base)


def test_a_model_that_grew_goes_on_as_any(known, tmp_path):
    model = pickle.loads(known).partial_fit(X[:N_TRAIN], named(only_new()))
    assert model.score(X[N_TRAIN:], named(TRUTH[N_TRAIN:])) > 0.8
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    serving.export(model, tmp_path / "model")
    served = serving.load(tmp_path / "model")
    np.testing.assert_allclose(
        served.predict_proba(X), model.predict_proba(X), atol=1e-6
    )
    for each in (model, again):
        each.partial_fit(X[N_TRAIN:], named(Y[N_TRAIN:]))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    # And once more.
    six = np.column_stack([np.full((N, 5), NAN), Y[:, 0]])
    model.partial_fit(X, named(six, [*NAMES, "war again"]))
    proba = model.predict_proba(X[N_TRAIN:])
    assert masked_roc_auc_score(TRUTH[N_TRAIN:, :1], proba[:, 5:]) > 0.8
    model.set_params(warm_start=True).fit(X, named(six, [*NAMES, "war again"]))
    cold = model.set_params(warm_start=False).fit(X, named(Y[:, :3], OLD))
    assert cold.predict(X).shape == (N, 3)


def test_a_few_cells_follow_one_fit_of_all(known):
    """All rows and their cells again, and a new column: old cells have been seen."""
    model = pickle.loads(known).partial_fit(X[:N_TRAIN], named(Y[:N_TRAIN]))
    whole = classifier().fit(X[:N_TRAIN], named(Y[:N_TRAIN]))
    for labels in ([0, 1, 2], [3, 4]):
        assert abs(auc(model, labels) - auc(whole, labels)) < 0.02
    got, want = (each.predict_proba(X[N_TRAIN:])[:, 3:] for each in (model, whole))
    assert abs(got.mean() - want.mean()) < 0.03


def test_a_new_label_without_cells_predicts_the_pooled_rate(known):
    model = pickle.loads(known)
    nothing = np.full((10, 5), NAN)
    model.partial_fit(X[:10], named(nothing))
    proba = model.predict_proba(X[N_TRAIN:])
    cells = Y[:N_TRAIN, :3]
    np.testing.assert_allclose(proba[:, 3:], cells[~np.isnan(cells)].mean(), rtol=1e-6)
    # Its first cells come later.
    model.partial_fit(X[:N_TRAIN], named(only_new()))
    assert auc(model, [3, 4]) > 0.8


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_labels_that_correlate_begin_with_what_they_have_in_common(sparse, correlation):
    rng = np.random.default_rng(0)
    rows = rng.random((300, 12)).astype(np.float32)
    toxic = rows[:, 0] + 0.2 * rng.random((300, 4)).T > 0.6
    y = np.where(rng.random((300, 4)) < 0.5, toxic.T, NAN).astype(float)
    y[:, 3] = NAN
    rows = sp.csr_matrix(rows) if sparse else rows
    model = classifier(label_correlation=correlation, interactions=0.5)
    model.fit(rows, named(y[:, :3], OLD))
    more = y.copy()
    more[:4, 3] = [1, 0, 1, 0]
    more[4:] = NAN
    model.partial_fit(rows, named(more, [*OLD, "new"]))
    ranks = masked_roc_auc_score(toxic.T[4:, 3:], model.predict_proba(rows)[4:, 3:])
    assert (ranks > 0.95) == (correlation > 0)


def test_a_bound_by_hand_of_what_all_labels_have_in_common():
    module = DirectSharedModule(2, 3, embedding_dim=1, label_correlation=0.5)
    # Of cells that add 1, 2 and 3 to a label each, half goes to all labels.
    module.output = torch.nn.Parameter(torch.tensor([[3.5], [4.0], [4.5]]))
    add_labels(module, np.array([0.25, -0.25]))
    assert module.output.flatten().tolist() == [3.5, 4.0, 4.5, 3.0, 3.0]
    assert module.bias.tolist() == [0, 0, 0, 0.25, -0.25]


# Words


def test_a_new_label_joins_by_its_words_before_it_has_a_cell():
    rng = np.random.default_rng(0)
    pools = {name: [f"{name}{i}" for i in range(8)] for name in "abcd"}
    truth = rng.integers(0, 4, 400)
    texts = [" ".join(rng.choice(pools["abcd"[k]], 3)) for k in truth]
    truth = np.eye(4)[truth]
    words = {name: f"{name}0 {name}1" for name in "abcd"}
    y = np.where(rng.random(truth.shape) < 0.3, truth, NAN)
    pipeline = make_pipeline(TfidfVectorizer(), classifier(base_rates=0.25))
    old = {name: words[name] for name in "abc"}
    model = DescribedLabelsClassifier(pipeline, old)
    model.fit(texts, named(y[:, :3], list("abc")))
    before = model.predict_proba(texts)
    vocabulary = model.estimator_[0].vocabulary_
    nothing = np.full(truth.shape, NAN)
    model.set_params(descriptions=words)
    model.partial_fit(texts, named(nothing, list("abcd")))
    assert model.estimator_[0].vocabulary_ is vocabulary
    proba = model.predict_proba(texts)
    np.testing.assert_allclose(proba[:, :3], before, atol=1e-6)
    assert masked_roc_auc_score(truth[:, 3:], proba[:, 3:]) > 0.95
    assert proba[:, 3].mean() == pytest.approx(0.25, abs=1e-4)
    whole = DescribedLabelsClassifier(pipeline, words)
    y[:, 3] = NAN
    whole.fit(texts, named(y, list("abcd")))
    ranks = (
        masked_average_precision_score(truth[:, 3:], each.predict_proba(texts)[:, 3:])
        for each in (model, whole)
    )
    assert abs(np.subtract(*ranks)) < 0.1
    # Of one more nothing is said; the words of others must stay.
    more, names = np.full((len(texts), 5), NAN), list("abcde")
    more[:40, 4] = truth[:40, 0]
    model.set_params(descriptions={**words, "a": "a2"})
    with pytest.raises(ValueError, match=CHANGED):
        model.partial_fit(texts, named(more, names))
    np.testing.assert_array_equal(model.predict_proba(texts), proba)
    model.set_params(descriptions=words).partial_fit(texts, named(more, names))
    assert not model.estimator_[-1].label_features[[4]].toarray().any()
    assert masked_roc_auc_score(truth[:, :1], model.predict_proba(texts)[:, 4:]) > 0.9


@pytest.mark.parametrize("described", [True, False])
def test_features_of_new_labels_count_as_those_of_others(described):
    features = np.zeros((5, X.shape[1]), np.float32)
    for label in range(5):  # the words that go with it most
        positive = X[:N_TRAIN][TRUTH[:N_TRAIN, label] == 1].mean(axis=0)
        rest = X[:N_TRAIN][TRUTH[:N_TRAIN, label] == 0].mean(axis=0)
        features[label, np.argsort(np.ravel(positive - rest))[-5:]] = 1
    sparse = sp.csr_matrix(features)
    first = sparse[:3] if described else None
    model = classifier(label_features=first, base_rates=0.3)
    model.fit(X[:N_TRAIN], named(Y[:N_TRAIN, :3], OLD))
    features[:3] = 0
    table = pd.DataFrame(features, index=NAMES)
    model.set_params(label_features=sparse if described else table)
    few = np.full((N_TRAIN, 5), NAN)
    few[:8, 3:] = TRUTH[:8, 3:]
    model.partial_fit(X[:N_TRAIN], named(few))
    assert model.label_features_coef_.shape == (2,)
    assert auc(model, [3, 4]) > 0.65
    parts = model._additive(X[:5], np.arange(5))
    assert parts[1]["prior_weight"].shape[1] == 5
    copy = pickle.loads(pickle.dumps(model))
    copy.partial_fit(X[:N_TRAIN], named(few))
    short = model.set_params(label_features=first)
    six = np.column_stack([few, few[:, :1]])
    with pytest.raises(ValueError, match="^`label_features` "):
        short.partial_fit(X[:N_TRAIN], named(six, [*NAMES, "f"]))


# Errors

FIRST = "`y` must have the labels of the fitted model first, in their order, and new "
BY_NAME = "New labels join by name: it takes label names in the `y` of the first fit"
CHANGED = "^`descriptions` must keep the words of label 'a'"
BAD = {
    "another order": (
        named(Y[:, :4], ["sport", "war", "crime", "trade"]),
        FIRST + "ones after them; label 0 is 'sport' and must be 'war'.",
    ),
    "new ones in between": (
        named(Y, ["climate", *OLD, "trade"]),
        FIRST + "ones after them; label 0 is 'climate' and must be 'war'.",
    ),
    "no names": (Y, BY_NAME),
    "fewer": (named(Y[:, :2], OLD[:2]), "must have the 3 labels that the model"),
    "one of them alone": (named(Y[:, :1], ["climate"]), "must have the 3 labels"),
    "others": (named(Y[:, :3], ["war", "sport", "climate"]), "'climate' is none of"),
}


@pytest.mark.parametrize("case", BAD)
def test_labels_are_matched_by_name_and_never_by_position(case, known):
    model, (y, message) = pickle.loads(known), BAD[case]
    before = vars(model).copy()
    with pytest.raises(ValueError) as caught:
        model.partial_fit(X, y)
    assert message in str(caught.value)
    assert vars(model) == before


def test_without_names_in_the_first_fit_no_label_joins():
    model = classifier().fit(X, Y[:, :3])
    with pytest.raises(ValueError, match=BY_NAME):
        model.partial_fit(X, named(Y))


@pytest.mark.parametrize(
    "params", [{"optimizer": torch.optim.Adam}, {"module": "embedding_bag"}]
)
def test_other_solvers_say_that_labels_cannot_join(params):
    model = classifier(max_epochs=1, **params).fit(X, named(Y[:, :3], OLD))
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="^`y` has 2 labels more than the model, and"):
        model.partial_fit(X, named(Y))
    assert model.n_labels_ == 3
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_numbers_per_label_must_have_one_for_each_of_all(known):
    model = classifier(label_weight=[1, 2, 1], base_rates=[0.1, 0.2, 0.3])
    model.fit(X, named(Y[:, :3], OLD))
    with pytest.raises(ValueError, match=r"one per label, shape \(5,\); got shape"):
        model.partial_fit(X, named(Y))
    model.set_params(label_weight=np.ones(5), base_rates=np.full(5, 0.2))
    assert model.partial_fit(X, named(Y)).n_labels_ == 5


def test_early_stopping_judges_new_labels_too():
    model = classifier(early_stopping=True, warm_start=True, max_epochs=3)
    model.fit(X, named(Y[:, :3], OLD)).fit(X, named(Y))
    assert np.isfinite([row["valid_loss"] for row in model.history_]).all()
    assert auc(model, [3, 4]) > 0.7
