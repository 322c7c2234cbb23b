"""Contributions add up to the logit; coefficients and shares are those of loops."""

import functools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.special import logit
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from sklearn_masked import (
    DescribedLabelsClassifier,
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
)
from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.datasets import load_brand_safety_snippets
from sklearn_masked.inspection import explain, label_coefficients
from sklearn_masked.nn.model import _direct
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

N_ROWS, N_FEATURES, N_LABELS = 80, 12, 3


def problem(sparse, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_ROWS, N_FEATURES)) + 0.5
    if sparse:
        X = np.abs(X) * (rng.random(X.shape) < 0.4)
        X[0] = 0
    if sparse == "blocks":
        X[:, 8:] = rng.normal(size=(N_ROWS, 4))
    scores = (X - X.mean(axis=0)) @ rng.normal(size=(N_FEATURES, N_LABELS))
    y = (scores > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    return (sp.csr_array(X) if sparse else X), y


def descriptions(sparse):
    words = np.zeros((N_LABELS, N_FEATURES))
    words[0, :3], words[1, 4:7] = 1, 0.5
    return sp.csr_array(words) if sparse else words


EVERYTHING = {"interactions": 0.3, "label_correlation": 0.3, "shared_weight": 0.5}
# name: (parameters, whether X is sparse, whether the direct weights are kept by pairs)
MODELS = {
    "sparse": ({"interactions": 0.3}, True, False),
    "sparse, all paths": (EVERYTHING, True, False),
    "sparse, all paths, pairs": (EVERYTHING, True, True),
    "not calibrated": ({**EVERYTHING, "calibrate": False}, True, True),
    "sparse, described": ({"label_features": True}, True, False),
    "sparse, described, pairs": ({**EVERYTHING, "label_features": True}, True, True),
    "described, not calibrated": (
        {"label_features": True, "calibrate": False},
        True,
        False,
    ),
    "dense": ({}, False, False),
    "dense, all paths": (EVERYTHING, False, False),
    "dense, described": ({"label_features": True}, False, False),
    "dense, not centered": ({"std_power": None}, False, False),
    "blocks": ({"label_correlation": 0}, "blocks", False),
    "blocks, all paths": ({"label_correlation": 0.3}, "blocks", True),
    "separate": (
        {"interactions": 0, "label_correlation": 0, "shared_weight": 0},
        True,
        False,
    ),
    "by an optimizer": ({"optimizer": torch.optim.Adam, "max_epochs": 2}, True, False),
    "bag": ({"module": "embedding_bag"}, True, False),
    "bag, dense": ({"module": "embedding_bag"}, False, False),
    "bag, mean": (
        {"module": "embedding_bag", "net_params": {"module__mode": "mean"}},
        True,
        False,
    ),
}


@functools.cache
def fit(name):
    params, sparse, by_pairs = MODELS[name]
    params = {"max_epochs": 5, **params}
    X, y = problem(sparse)
    if params.get("label_features"):
        params["label_features"] = descriptions(sparse)
    model = MaskedMultiLabelClassifier(embedding_dim=4, random_state=0, **params)
    with pytest.MonkeyPatch.context() as patch:
        if by_pairs:
            patch.setattr(_direct, "SMALL_TABLE", 0)
        return model.fit(X, y), X


@pytest.fixture(params=MODELS)
def fitted(request):
    return fit(request.param)


def by_loops(model, x):
    """Return each feature's contribution, shape (n_features, n_labels), and others."""
    module = model.net_.module_
    state = {k: v.double().numpy() for k, v in module.state_dict().items()}
    x = x.astype(float)
    if model.module == "embedding_bag":
        total = np.abs(x).sum() if module.mode == "mean" else 1.0
        embedding, output = state["embedding"], state["output.weight"]
        found = [
            [x[j] * embedding[j] @ u / (total or 1.0) for u in output]
            for j in range(len(x))
        ]
        return np.array(found), np.zeros(len(output))
    is_scaled = len(state["feature_shift"])
    v = x - state["feature_shift"] if is_scaled else x
    embedding = state["embedding"]
    e = np.stack([embedding[row] for row in module.embedding_row])
    if is_scaled:
        e = e / state["feature_std"][:, None]
    z = sum(v[j] * e[j] for j in range(len(x)))
    length = np.sqrt(z @ z) or 1.0
    width, others, found = e.shape[1], [], np.zeros((len(x), N_LABELS))
    for label in range(N_LABELS):
        a, u = state["slope"][label], state["output"][label]
        for j in range(len(x)):
            w = direct_weight(state, j, label)
            if len(state["common_weight"]):
                w += state["common_weight"][j]
            shared = state["shared_weight"] * (e[j] @ u[:width]) / length
            found[j, label] = a * v[j] * (state["feature_scale"][j] * w + shared)
        rest = 0.0
        if "quadratic.weight" in state:
            Q = state["quadratic.weight"][label]
            paired = z[-len(Q) :] / (np.linalg.norm(z[-len(Q) :]) or 1.0)
            rest += np.sqrt(state["interactions"]) * paired @ Q @ paired
        if len(state["row_length_scale"]):
            mean, std = state["row_length_scale"]
            count = (np.log1p(np.count_nonzero(x)) - mean) / std
            rest += u[-1] * 0.3 * min(max(count, -4), 4)
        others.append(a * rest)
    return found, np.array(others)


def direct_weight(state, j, label):
    if "direct.weight" not in state:
        return 0.0
    if "direct.starts" not in state:
        return state["direct.weight"][j, label]
    first, last = (int(at) for at in state["direct.starts"][j : j + 2])
    for at in range(first, last):
        if state["direct.labels"][at] == label:
            return state["direct.weight"][at]
    return 0.0


def test_contributions_add_up_to_the_logit_and_are_those_of_loops(fitted):
    model, X = fitted
    rows = X[:15]
    found = explain(model, rows)
    np.testing.assert_allclose(
        found.logits, model.decision_function(rows), rtol=0, atol=1e-5
    )
    array = rows.toarray() if sp.issparse(rows) else rows
    others = found.interactions + found.row_length
    for i, x in enumerate(array.astype(np.float32)):
        wanted, rest = by_loops(model, x)
        own = np.zeros_like(wanted)
        at = found.samples == i
        own[found.features[at]] = found.contributions[at]
        np.testing.assert_allclose(own, wanted, rtol=0, atol=1e-6)
        np.testing.assert_allclose(others[i], rest, rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.values[at], x[found.features[at]])


def test_every_path_of_the_models_above_is_on():
    for name in ("sparse, all paths", "sparse, described, pairs"):
        model, X = fit(name)
        found = explain(model, X)
        assert found.interactions.any() and found.row_length.any()
        assert model.net_.module_.output.any()
    assert model.net_.module_.common_weight.any() and found.from_descriptions.any()
    assert hasattr(model.net_.module_.direct, "starts")


def test_the_part_of_descriptions_is_that_of_their_scores(fitted):
    model, X = fitted
    found = explain(model, X[:6])
    if model.label_features is None:
        assert found.from_descriptions is None
        return
    prior, module = model._label_prior, model.net_.module_
    assert prior.written.any()
    rows, labels = np.indices((6, N_LABELS)).reshape(2, -1)
    X = X.astype(np.float32)
    scores = prior.scores.of_cells(module, X, rows, labels) @ prior.written
    wanted = module.slope.numpy() * scores.reshape(6, N_LABELS)
    total = np.zeros((6, N_LABELS))
    np.add.at(total, found.samples, found.from_descriptions)
    np.testing.assert_allclose(total, wanted, rtol=0, atol=1e-5)


def test_frame_adds_up_to_the_logits(fitted):
    model, X = fitted
    found = explain(model, X[1:5])
    frame = found.to_frame()
    total = frame.groupby(["sample", "label"])["contribution"].sum()
    np.testing.assert_allclose(total, found.logits.ravel(), atol=1e-9)
    parts = {"base", "feature"}
    parts |= {"description"} if model.label_features is not None else set()
    parts |= {"interactions"} if found.interactions.any() else set()
    parts |= {"row_length"} if found.row_length.any() else set()
    assert set(frame["part"]) == parts


def test_coefficients_carry_the_share_of_the_variance_that_they_say(fitted):
    model, X = fitted
    found = label_coefficients(model, X, n_features=None)
    array = X.toarray() if sp.issparse(X) else X
    scores = model.decision_function(X).astype(float)
    parts = explain(model, X)
    for label in range(N_LABELS):
        coef = dict(zip(found.features[label], found.coefficients[label], strict=True))
        coef = np.array([coef[f"x{j}"] for j in range(N_FEATURES)])
        shares = [found.shares[name][label] for name in list(found.shares)[1:]]
        linear = array @ coef
        wanted = []
        for term in (
            linear,
            scores[:, label]
            - linear
            - parts.interactions[:, label]
            - parts.row_length[:, label],
            parts.interactions[:, label],
            parts.row_length[:, label],
        ):
            covariance = np.cov(term, scores[:, label])
            wanted.append(covariance[0, 1] / covariance[1, 1])
        np.testing.assert_allclose(shares, wanted, atol=1e-5)
        assert sum(shares) == pytest.approx(1)
        effects = coef * array.std(axis=0)
        order = [f"x{j}" for j in np.argsort(-effects)]
        assert found.features[label].tolist() == order
        np.testing.assert_allclose(found.effects[label], np.sort(effects)[::-1])


def test_the_embedding_is_scaled_by_the_factor_of_least_squares():
    X, y = problem(True)
    model = MaskedMultiLabelClassifier(
        4, interactions=0, label_correlation=0, shared_weight=2.0, random_state=0
    ).fit(X, y)
    module = model.net_.module_
    found = label_coefficients(model, X, n_features=None, labels=1)
    coef = dict(zip(found.features[0], found.coefficients[0], strict=True))
    coef = np.array([coef[f"x{j}"] for j in range(N_FEATURES)])
    slope = float(module.slope[1])
    direct = module.feature_scale * module.direct.weight[:, 1].detach() * slope
    embedded = X @ (coef - direct.numpy())
    rest = model.decision_function(X)[:, 1] - X @ direct.numpy()
    assert np.polyfit(embedded, rest, 1)[0] == pytest.approx(1, abs=1e-4)


def test_model_that_is_linear_has_a_share_of_one_and_needs_few_rows():
    X, y = problem(False)
    params = {"interactions": 0, "shared_weight": 0, "label_correlation": 0}
    model = MaskedMultiLabelClassifier(random_state=0, **params).fit(X, y)
    shares = label_coefficients(model, X[:20]).shares
    np.testing.assert_allclose(shares["linear"], 1)
    one = label_coefficients(model, X[:1]).shares
    assert np.isnan(one["linear"]).all()


def test_the_classifiers_of_each_label_are_explained_by_their_coefficients():
    X, y = problem(True)
    y[:, 2] = np.where(y[:, 2] == 1, np.nan, y[:, 2])  # one class: a constant
    model = MaskedMultiOutputClassifier(LogisticRegression())
    with pytest.warns(UserWarning, match="all of one class"):
        model.fit(X, y)
    found = label_coefficients(model, X, n_features=None, order="coefficient")
    order = np.argsort(-model.estimators_[0].coef_[0])
    assert found.features[0].tolist() == [f"x{j}" for j in order]
    np.testing.assert_allclose(found.shares["linear"][:2], 1)
    parts = explain(model, X)
    np.testing.assert_allclose(parts.logits, model.decision_function(X), atol=1e-12)
    sparse = MaskedMultiOutputClassifier(LinearSVC(random_state=0)).fit(X, y[:, :2])
    for estimator in sparse.estimators_:
        estimator.coef_ = sp.csr_matrix(estimator.coef_)
    parts = explain(sparse, X.toarray())
    np.testing.assert_allclose(parts.logits, sparse.decision_function(X), atol=1e-12)


def test_labels_that_are_all_constant_have_no_features():
    X, y = problem(False)
    model = MaskedMultiOutputClassifier(LogisticRegression())
    with pytest.warns(UserWarning, match="all of one class"):
        model.fit(X, np.where(y == [1, 1, 0], np.nan, y))
    parts = explain(model, X[:3])
    assert not parts.contributions.any()
    np.testing.assert_allclose(parts.logits, model.decision_function(X[:3]))
    assert [len(each) for each in label_coefficients(model, X).features] == [0, 0, 0]


def test_label_without_cells_is_its_constant():
    X, y = problem(True)
    y[:, 1] = np.nan
    model = MaskedMultiLabelClassifier(4, random_state=0, **EVERYTHING)
    with pytest.warns(UserWarning, match="no labeled cell|No cell|has no labeled"):
        model.fit(X, y)
    found = explain(model, X)
    np.testing.assert_allclose(found.logits, model.decision_function(X), atol=1e-5)
    assert not found.contributions[:, 1].any()
    assert label_coefficients(model, X).features[1].size == 0


def test_binary_target_is_explained_by_its_positive_class():
    X, y = problem(False)
    target = np.where(X[:, 0] > 0, "yes", "no")
    model = MaskedMultiLabelClassifier(4, random_state=0).fit(X, target)
    found = explain(model, X)
    assert found.label_names == ["yes"]
    np.testing.assert_allclose(
        found.logits[:, 0], model.decision_function(X), atol=1e-5
    )
    assert found.of(0, "yes").features.size == N_FEATURES


def test_partial_fit_goes_on_being_explained():
    X, y = problem(True)
    model = MaskedMultiLabelClassifier(4, random_state=0)
    model.partial_fit(X[:40], y[:40]).partial_fit(X[40:], y[40:])
    found = explain(model, X)
    np.testing.assert_allclose(found.logits, model.decision_function(X), atol=1e-5)


def test_rows_in_another_form_than_the_fitted_ones_are_explained_alike():
    X, y = problem(True)
    model = MaskedMultiLabelClassifier(4, random_state=0, **EVERYTHING).fit(X, y)
    sparse, dense = explain(model, X[:5]), explain(model, X[:5].toarray())
    np.testing.assert_allclose(dense.logits, sparse.logits)
    X, y = problem(False)
    model = MaskedMultiLabelClassifier(4, random_state=0).fit(X, y)
    sparse, dense = explain(model, sp.csr_array(X[:5])), explain(model, X[:5])
    np.testing.assert_allclose(dense.logits, sparse.logits)
    np.testing.assert_allclose(dense.values, sparse.values)


# Names, and what stands around a classifier


@pytest.fixture(scope="module")
def snippets():
    corpus = load_brand_safety_snippets()
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True),
        MaskedMultiLabelClassifier(8, max_epochs=5, random_state=0),
    )
    return model.fit(corpus.data, corpus.target), list(corpus.data), corpus.target


def test_pipeline_of_texts_names_words_and_labels(snippets):
    model, texts, y = snippets
    found = explain(model, texts[:4])
    assert found.label_names == list(model[-1].label_names_)
    assert list(found.feature_names) == list(model[0].get_feature_names_out())
    np.testing.assert_allclose(
        found.logits, model.decision_function(texts[:4]), atol=1e-5
    )
    one = explain(model, texts[0], labels=found.label_names[2])
    np.testing.assert_allclose(one.logits[0, 0], found.logits[0, 2])
    np.testing.assert_allclose(
        one.contributions[:, 0],
        found.contributions[found.samples == 0, 2],
        atol=1e-12,
    )
    of = one.of(0, found.label_names[2])
    words = set(model[0].build_analyzer()(texts[0]))
    assert set(of.features) <= words and (np.diff(of.contributions) <= 0).all()
    assert found.label_names[0] in repr(found)
    table = label_coefficients(model, texts, n_features=3)
    assert all(len(each) <= 6 for each in table.features)
    assert table.features[0][0] in repr(table) and len(table.to_frame()) <= 6 * 28
    assert list(table.shares["label"]) == found.label_names


@pytest.mark.parametrize("labels", ["gambling", ["gambling", 0], [0, 2], 1])
def test_labels_are_chosen_by_name_or_position(snippets, labels):
    model, texts, _ = snippets
    names = list(model[-1].label_names_)
    wanted = labels if isinstance(labels, list) else [labels]
    wanted = [names[each] if isinstance(each, int) else each for each in wanted]
    assert explain(model, texts[:1], labels=labels).label_names == wanted
    assert label_coefficients(model, texts, labels=labels).label_names == wanted


def test_names_come_from_columns_or_are_given():
    import pandas as pd

    X, y = problem(False)
    columns = [f"column {j}" for j in range(N_FEATURES)]
    frame = pd.DataFrame(X, columns=columns)
    model = MaskedMultiLabelClassifier(4, random_state=0).fit(frame, y)
    assert list(explain(model, frame[:2]).feature_names) == columns
    years = pd.DataFrame(X, columns=range(2000, 2000 + N_FEATURES))
    model = MaskedMultiLabelClassifier(4, random_state=0).fit(years, y)
    assert explain(model, years[:2]).feature_names[0] == "2000"
    scaled = make_pipeline(StandardScaler(), MaskedMultiLabelClassifier(4)).fit(
        frame, y
    )
    assert list(explain(scaled, frame[:2]).feature_names) == columns
    # A step without names: positions, or the user's.
    nameless = make_pipeline(FunctionTransformer(np.abs), MaskedMultiLabelClassifier(4))
    nameless.fit(X, y)
    assert explain(nameless, X[:2]).feature_names[1] == "x1"
    given = [f"f{j}" for j in range(N_FEATURES)]
    found = label_coefficients(nameless, X, feature_names=given)
    assert set(found.features[0]) <= set(given)
    with pytest.raises(ValueError) as caught:
        explain(nameless, X[:2], feature_names=given[1:])
    assert str(caught.value) == (
        "`feature_names` accepts a name per feature of the classifier, 12; got 11."
    )


def inner():
    return MaskedMultiLabelClassifier(4, max_epochs=5, random_state=0)


def calibrated(method, **kwargs):
    return MaskedCalibratedClassifierCV(
        make_pipeline(StandardScaler(), inner()),
        method=method,
        cv=KFold(2),
        ensemble=False,
        min_positive=1,
        min_negative=1,
        **kwargs,
    )


WRAPPED = {
    "search": lambda: GridSearchCV(
        inner(), {"C": [1.0]}, cv=KFold(2), scoring=lambda model, X, y: 0.0
    ),
    "frozen": None,
    "sigmoid": lambda: calibrated("sigmoid"),
    "sigmoid, shifted": lambda: calibrated("sigmoid", target_prevalence=0.1),
    "temperature": lambda: calibrated("temperature"),
    "tuner of a calibrator": lambda: MaskedTunedThresholdClassifierCV(
        calibrated("sigmoid"), cv=KFold(2), min_positive=1, min_negative=1
    ),
}


# Of few left-out cells some are ranked backwards by chance.
@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.ReversedScoresWarning")
@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_are_explained_in_the_log_odds_that_they_predict(name):
    X, y = problem(False)
    if name == "frozen":
        model = FrozenEstimator(inner().fit(X, y))
    else:
        model = WRAPPED[name]().fit(X, MaskedLabels.from_dense(y))
    wanted = logit(model.predict_proba(X))
    np.testing.assert_allclose(explain(model, X).logits, wanted, atol=1e-5)


def test_described_texts_tell_what_their_words_gave():
    corpus = load_brand_safety_snippets()
    words = {"gambling": "casino bet betting lottery poker"}
    model = make_pipeline(
        TfidfVectorizer(),
        MaskedMultiLabelClassifier(8, base_rates=0.1, random_state=0),
    )
    model = DescribedLabelsClassifier(model, words).fit(corpus.data, None)
    found = explain(model, "A poker casino opens", labels="gambling")
    of = found.of(0, "gambling")
    assert set(of.features[:2]) == {"poker", "casino"}
    # No cell was labeled: all that features say are the words.
    np.testing.assert_allclose(found.contributions, found.from_descriptions, atol=1e-7)


class Own(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)

    def forward(self, X):
        return self.layer(X).tanh()


def test_models_that_are_no_sums_are_refused():
    X, y = problem(False)
    labels = MaskedLabels.from_dense(y)
    own = MaskedMultiLabelClassifier(module=Own, max_epochs=1).fit(X, y)
    with pytest.raises(TypeError) as caught:
        explain(own, X)
    assert str(caught.value) == (
        "`model` accepts the default module and the embedding bag, whose logits are "
        "sums over features; got a `module` of type Own."
    )
    forest = MaskedMultiOutputClassifier(RandomForestClassifier(2)).fit(X, y)
    with pytest.raises(TypeError) as caught:
        label_coefficients(forest, X)
    assert str(caught.value) == (
        "`estimator` must be a linear classifier, with `coef_` and `intercept_`, for "
        "its decisions to be sums over features; got RandomForestClassifier."
    )
    plain = LogisticRegression().fit(X, X[:, 0] > 0)
    with pytest.raises(TypeError, match="`model` accepts a fitted MaskedMultiLabel"):
        explain(plain, X)
    averaged = calibrated("sigmoid").set_params(ensemble=True).fit(X, labels)
    with pytest.raises(ValueError) as caught:
        explain(averaged, X)
    assert str(caught.value) == (
        "`model` accepts a calibrator of one estimator, whose logits are sums; got the "
        "mean of 2 estimators. Fit it with ensemble=False."
    )
    steps = calibrated("isotonic").fit(X, labels)
    with pytest.raises(ValueError, match="linear in logits.*got IsotonicMap"):
        explain(steps, X)
    tuned = MaskedTunedThresholdClassifierCV(
        inner(), cv=KFold(2), refit=False, min_positive=1, min_negative=1
    ).fit(X, labels)
    with pytest.raises(ValueError, match="accepts one classifier; got those of sev"):
        explain(tuned, X)
    with pytest.raises(ValueError, match="`label` accepts one of"):
        explain(inner().fit(X, y), X).of(0, "nothing")
    with pytest.raises(ValueError, match="`labels` accepts names or positions"):
        explain(inner().fit(X, y), X, labels=[])


def test_unfitted_model_is_said():
    with pytest.raises(NotFittedError):
        explain(inner(), np.zeros((1, 2)))
    with pytest.raises(NotFittedError):
        explain(make_pipeline(CountVectorizer(), inner()), ["a"])
    X, y = problem(False)
    search = GridSearchCV(
        inner(), {"C": [1.0]}, cv=KFold(2), scoring=lambda m, X, y: 0.0, refit=False
    )
    with pytest.raises(NotFittedError):
        explain(search.fit(X, y), X)


@pytest.mark.parametrize("sparse", [False, True])
def test_numbers_are_those_of_the_linear_explainer_of_shap(sparse):
    shap = pytest.importorskip("shap", reason="the optional oracle, not in an extra")
    X, y = problem(sparse)
    params = {"interactions": 0, "shared_weight": 0, "label_correlation": 0}
    model = MaskedMultiLabelClassifier(random_state=0, **params).fit(X, y)
    found = label_coefficients(model, X, n_features=None)
    X = X.toarray() if sparse else X
    background = np.zeros((1, N_FEATURES)) if sparse else X.mean(axis=0, keepdims=True)
    for label in range(N_LABELS):
        coef = dict(zip(found.features[label], found.coefficients[label], strict=True))
        coef = np.array([coef[f"x{j}"] for j in range(N_FEATURES)])
        explainer = shap.LinearExplainer((coef, 0.0), background)
        ours = explain(model, X).contributions[:, label].reshape(X.shape)
        np.testing.assert_allclose(ours, explainer.shap_values(X), atol=1e-5)
