"""Bad input: one clear sentence each, and a fitted estimator that is as it was."""

import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier

N, M, K = 40, 5, 3


def make_data(n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, M)).astype(np.float32)
    y = (X[:, :K] > 0).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return X, y


X, Y = make_data()
NAN = np.nan


def classifier(**params):
    settings = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def at(array, where, value, dtype=None):
    """Return a copy with one value changed."""
    array = np.array(array, dtype=dtype)
    array[where] = value
    return array


def explicit_zeros():
    stored = sp.coo_matrix(([1.0, 0.0], ([0, 2], [1, 0])), shape=(N, K))
    return stored.tocsr()


def stored_twice():
    return sp.coo_matrix(([1.0, -1.0], ([0, 0], [1, 1])), shape=(N, K))


SOFT = "For probabilities pass MaskedLabels.from_dense(y, soft=True)."
ACCEPTED = "`y` accepts 1, 0, and NaN, -1 or None in unlabeled cells"
LABELS = MaskedLabels.from_dense(Y)

# What y is wrong by itself: refused in every call that takes labels.
WORDS = (
    " Map words to 1 and 0 first, as y.replace({'yes': 1, 'no': 0}) does; a column of "
    "ids is no label: leave it out, or make it the index."
)
BAD_Y = {
    "a half": (
        at(Y, (17, 2), 0.5),
        f"{ACCEPTED}; got 0.5 at sample 17, label 2. {SOFT}",
    ),
    "a two": (
        at(Y, (3, 1), 2),
        f"{ACCEPTED}; got 2.0 at sample 3, label 1. A column of ids or counts is no "
        "label: leave it out, or, in a data frame, make it the index.",
    ),
    "an infinity": (
        at(Y, (4, 0), np.inf),
        f"{ACCEPTED}; got inf at sample 4, label 0.",
    ),
    "minus two": (
        at(np.nan_to_num(Y, nan=-1), (4, 0), -2, int),
        f"{ACCEPTED}; got -2 at sample 4, label 0.",
    ),
    "strings": (
        np.full((N, K), "yes"),
        f"{ACCEPTED}; got 'yes' at sample 0, label 0.{WORDS}",
    ),
    "one string": (
        at(Y, (2, 1), "yes", object),
        f"{ACCEPTED}; got 'yes' at sample 2, label 1.{WORDS}",
    ),
    "a frame's string": (
        pd.DataFrame(at(Y, (2, 1), "yes", object), columns=list("abc")),
        f"{ACCEPTED}; got 'yes' at sample 2, label 1.{WORDS}",
    ),
    "sparse half": (
        sp.csr_matrix(at(np.zeros((N, K)), (2, 1), 0.5)),
        f"{ACCEPTED}; got 0.5 at sample 2, label 1. {SOFT}",
    ),
    "explicit zeros": (
        explicit_zeros(),
        "`y` is sparse and stores an explicit zero at sample 2, label 0, so cells that "
        "are not stored may be negative or unlabeled. Say which: "
        'MaskedLabels.from_sparse(y, implicit="negative") or '
        'MaskedLabels.from_sparse(y, implicit="unlabeled").',
    ),
    "stored twice": (
        stored_twice(),
        "`y` must store each cell once; sample 0, label 1 is stored twice.",
    ),
    "complex": (Y + 1j, f"Complex data not supported: {ACCEPTED}."),
    "three dimensions": (
        np.zeros((N, K, 2)),
        f"`y` must be 2-D, (n_samples, n_labels); got shape ({N}, {K}, 2).",
    ),
    "ragged rows": (
        [[0, 1, 1], *[[0, 1]] * (N - 1)],
        "`y` must be 2-D, (n_samples, n_labels), its rows equally long; got rows of "
        "unequal lengths.",
    ),
    "none": (
        None,
        "This MaskedMultiLabelClassifier estimator requires y to be passed, but the "
        "target y is None.",
    ),
    "too few rows": (
        Y[:30],
        "`X` and `y` must have the same number of rows (inconsistent numbers of "
        f"samples); got {N} and 30.",
    ),
    "too few rows of MaskedLabels": (
        LABELS[:30],
        "`X` and `y` must have the same number of rows (inconsistent numbers of "
        f"samples); got {N} and 30.",
    ),
}

# What only a whole fit can judge.
BAD_Y_OF_FIT = {
    "nothing labeled": (
        np.full((N, K), NAN),
        "`y` must have a labeled cell of a weight above zero; got none in "
        f"{N} x {K} cells.",
    ),
    "nothing labeled, MaskedLabels": (
        MaskedLabels.from_dense(np.full((N, K), -1)),
        "`y` must have a labeled cell of a weight above zero; got none in "
        f"{N} x {K} cells.",
    ),
    "no negative, -1": (
        np.where(Y == 1, 1, -1),
        "`y` has no 0 anywhere: every labeled cell is positive, and -1 or NaN means "
        "unlabeled. If -1 is the negative, pass `(y == 1).astype(float)`; if there "
        "really is no negative yet, pass MaskedLabels.from_dense(y).",
    ),
    "no negative, NaN": (
        np.where(Y == 1, 1, NAN),
        "`y` has no 0 anywhere: every labeled cell is positive, and -1 or NaN means "
        "unlabeled. If -1 is the negative, pass `(y == 1).astype(float)`; if there "
        "really is no negative yet, pass MaskedLabels.from_dense(y).",
    ),
}

# What does not go with the labels or the rows of the fit before.
BAD_Y_OF_MORE = {
    "fewer labels": (
        Y[:, :2],
        f"`y` must have the {K} labels that the model was fitted with; got 2.",
    ),
    "one dimension": (
        np.tile([0, 1], N // 2),
        "`y` must have the same number of dimensions in every call; got 1 and the "
        "model was fitted with 2.",
    ),
}

FEATURES = "X has 4 features, but MaskedMultiLabelClassifier is expecting 5 features"
BAD_X = {
    "infinity": (at(X, (3, 2), np.inf), "Input X contains infinity"),
    "NaN": (at(X, (3, 2), NAN), "Input X contains NaN."),
    "sparse infinity": (
        sp.csr_matrix(at(X, (3, 2), np.inf)),
        "Input X contains infinity",
    ),
    "empty": (X[:0], "Found array with 0 sample(s)"),
    "no features": (X[:, :0], "0 feature(s)"),
    "texts": (
        np.array(["some text"] * N),
        "could not convert string to float",
    ),
    "words": (np.full((N, M), "word"), "could not convert string to float"),
    "list of texts": (["some text"] * N, "could not convert string to float"),
    "complex": (X + 1j, "Complex data not supported"),
    "one dimension": (X[:, 0], "Expected 2D array, got 1D array instead"),
    "three dimensions": (np.zeros((N, M, 2)), "Found array with dim 3"),
}


def sentence(error):
    """Return the message, whichever way "labeled" is spelt."""
    return str(error).replace("labeled", "labeled")


def one_sentence(message):
    """Return whether a message is one sentence of some length, or a few, no repr."""
    return len(message) > 20 and not re.search(
        r"Traceback|<class|object at 0x", message
    )


@pytest.fixture
def fitted():
    """Return a fitted estimator; afterwards look that it is as it was."""
    model = classifier().fit(X, Y)
    before, epochs = model.predict_proba(X), len(model.history_)
    attributes = set(vars(model))
    parameters = model.get_params()
    yield model
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert len(model.history_) == epochs
    assert set(vars(model)) == attributes
    assert model.n_labels_ == K and model.n_features_in_ == M
    assert model.classes_.tolist() == [0, 1, 2]
    model.set_params(**parameters)
    # And it goes on as one that never failed.
    other = classifier().fit(X, Y)
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(
        model.predict_proba(X), other.partial_fit(X, Y).predict_proba(X)
    )


CALLS = {
    "fit": lambda model, X, y, **kwargs: model.fit(X, y, **kwargs),
    "warm fit": lambda model, X, y, **kwargs: warm_fit(model, X, y, **kwargs),
    "partial_fit": lambda model, X, y, **kwargs: model.partial_fit(X, y, **kwargs),
}


def warm_fit(model, X, y, **kwargs):
    model.set_params(warm_start=True)
    try:
        return model.fit(X, y, **kwargs)
    finally:
        model.set_params(warm_start=False)


EVERY_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@EVERY_CALL
@pytest.mark.parametrize("case", BAD_Y)
def test_bad_labels_raise_our_sentence(case, call, fitted):
    y, message = BAD_Y[case]
    with pytest.raises(ValueError) as caught:
        call(fitted, X, y)
    assert sentence(caught.value) == message


@pytest.mark.parametrize("case", BAD_Y)
def test_bad_labels_leave_an_unfitted_estimator_unfitted(case):
    y, message = BAD_Y[case]
    for call in (CALLS["fit"], CALLS["partial_fit"]):
        model = classifier()
        with pytest.raises(ValueError) as caught:
            call(model, X, y)
        assert sentence(caught.value) == message
        assert set(vars(model)) == set(model.get_params(deep=False))


@pytest.mark.parametrize("call", ["fit", "warm fit"])
@pytest.mark.parametrize("case", BAD_Y_OF_FIT)
def test_labels_that_teach_nothing_raise_in_fit(case, call, fitted):
    y, message = BAD_Y_OF_FIT[case]
    with pytest.raises(ValueError) as caught:
        CALLS[call](fitted, X, y)
    assert sentence(caught.value) == message


@pytest.mark.parametrize("case", BAD_Y_OF_FIT)
def test_batch_that_teaches_nothing_is_legal_in_partial_fit(case):
    model = classifier().fit(X, Y)
    before = model.predict_proba(X)
    model.partial_fit(X, BAD_Y_OF_FIT[case][0])
    if case.startswith("nothing"):
        np.testing.assert_array_equal(model.predict_proba(X), before)
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("call", ["warm fit", "partial_fit"])
@pytest.mark.parametrize("case", BAD_Y_OF_MORE)
def test_labels_unlike_those_of_the_fit_raise(case, call, fitted):
    y, message = BAD_Y_OF_MORE[case]
    with pytest.raises(ValueError) as caught:
        CALLS[call](fitted, X, y)
    assert sentence(caught.value) == message


@EVERY_CALL
@pytest.mark.parametrize("case", BAD_X)
def test_bad_rows_raise(case, call, fitted):
    rows, message = BAD_X[case]
    y = Y[: len(rows)] if hasattr(rows, "shape") is False else Y[: rows.shape[0]]
    with pytest.raises((ValueError, TypeError)) as caught:
        call(fitted, rows, y)
    assert message in str(caught.value)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
@pytest.mark.parametrize("case", BAD_X)
def test_bad_rows_raise_when_predicting(case, method, fitted):
    rows, message = BAD_X[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(fitted, method)(rows)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_another_number_of_features_raises(kind, fitted):
    rows = kind(X[:, :4])
    for call in (
        lambda: fitted.predict(rows),
        lambda: fitted.predict_proba(rows),
        lambda: fitted.decision_function(rows),
        lambda: fitted.score(rows, Y),
        lambda: fitted.partial_fit(rows, Y),
        lambda: warm_fit(fitted, rows, Y),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert FEATURES in str(caught.value)


def test_texts_as_rows_are_told_what_to_do():
    texts = ["some text"] * N
    for X in (texts, np.array(texts), pd.Series(texts)):
        with pytest.raises(ValueError) as caught:
            classifier().fit(X, Y)
        assert str(caught.value) == (
            "`X` accepts numbers, of shape (n_samples, n_features): could not convert "
            "string to float: 'some text'. Put a vectorizer before, as "
            "make_pipeline(TfidfVectorizer(), MaskedMultiLabelClassifier()) does."
        )


def test_a_frame_of_texts_in_a_pipeline_is_told_what_to_do():
    frame = pd.DataFrame({"text": ["some text"] * N})
    with pytest.raises(ValueError) as caught:
        make_pipeline(TfidfVectorizer(), classifier()).fit(frame, Y)
    assert str(caught.value) == (
        "`X` and `y` must have the same number of rows (inconsistent numbers of "
        f"samples); got 1 and {N}. If a text vectorizer made the row of a data frame, "
        "it has read the names of its columns: pass one column, as frame['text']."
    )


def test_images_without_a_module_are_told_what_to_do():
    with pytest.raises(ValueError) as caught:
        classifier().fit(np.zeros((N, 1, 2, 2), np.float32), Y)
    assert str(caught.value) == (
        "Found array with dim 4, while dim <= 2 is required by "
        "MaskedMultiLabelClassifier without a `module` of your own: pass one that "
        "takes such rows, or flatten them, X.reshape(len(X), -1)."
    )


@pytest.mark.parametrize("call", ["warm fit", "partial_fit"])
def test_labels_in_another_order_raise(call):
    labels = MaskedLabels.from_dense(Y, label_names=["a", "b", "c"])
    model = classifier().fit(X, labels)
    before = model.predict_proba(X)
    for other in (
        MaskedLabels.from_dense(Y[:, [0, 2, 1]], label_names=["a", "c", "b"]),
        pd.DataFrame(Y[:, [0, 2, 1]], columns=["a", "c", "b"]),
    ):
        with pytest.raises(ValueError) as caught:
            CALLS[call](model, X, other)
        assert sentence(caught.value) == (
            "`y` must have the labels of the fitted model, in the same order; label 1 "
            "is 'c' and must be 'b'. Select by name in that order, or pass arrays "
            "without names."
        )
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_one_sided_masked_labels_only_warn():
    positive = MaskedLabels.from_dense(np.where(Y == 1, 1, NAN))
    with pytest.warns(UserWarning) as caught:
        model = classifier().fit(X, positive)
    assert [sentence(w.message) for w in caught] == [
        "Every labeled cell of `y` is positive: nothing tells one example from another."
    ]
    assert (model.predict_proba(X) > 0.5).all()
    negative = MaskedLabels.from_dense(np.where(Y == 0, 0, NAN))
    with pytest.warns(UserWarning, match=r"of `y` is negative: "):
        model = classifier().fit(X, negative)
    assert (model.predict_proba(X) < 0.5).all()


def test_one_sided_raw_labels_pass_where_unlabeled_cells_are_weak_negatives():
    y = np.where(Y == 1, 1, NAN)
    model = classifier(unlabeled_weight=0.5).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()


BAD_WEIGHTS = {
    "negative": (
        at(np.ones(N), 3, -1),
        "`sample_weight` accepts finite numbers from 0; got -1.0 at sample 3.",
    ),
    "NaN": (
        at(np.ones(N), 3, NAN),
        "`sample_weight` accepts finite numbers from 0; got nan at sample 3.",
    ),
    "infinite": (
        at(np.ones(N), 3, np.inf),
        "`sample_weight` accepts finite numbers from 0; got inf at sample 3.",
    ),
    "too short": (
        np.ones(N - 1),
        f"`sample_weight` must have shape ({N},), a weight a row, or ({N}, {K}), a "
        f"weight a cell; got ({N - 1},).",
    ),
    "another width": (
        np.ones((N, K + 1)),
        f"`sample_weight` must have shape ({N},), a weight a row, or ({N}, {K}), a "
        f"weight a cell; got ({N}, {K + 1}).",
    ),
}


@EVERY_CALL
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_raise_our_sentence(case, call, fitted):
    weight, message = BAD_WEIGHTS[case]
    with pytest.raises(ValueError) as caught:
        call(fitted, X, Y, sample_weight=weight)
    assert sentence(caught.value) == message


def test_bad_weight_of_a_labeled_cell_raises_and_of_another_does_not():
    labeled = tuple(np.argwhere(~np.isnan(Y))[5])
    unlabeled = tuple(np.argwhere(np.isnan(Y))[5])
    with pytest.raises(ValueError) as caught:
        classifier().fit(X, Y, sample_weight=at(np.ones((N, K)), labeled, -2))
    assert str(caught.value) == (
        "`sample_weight` accepts finite numbers from 0; got -2.0 at sample "
        f"{labeled[0]}, label {labeled[1]}."
    )
    junk = classifier().fit(X, Y, sample_weight=at(np.ones((N, K)), unlabeled, NAN))
    np.testing.assert_array_equal(
        junk.predict_proba(X),
        classifier().fit(X, Y, sample_weight=np.ones((N, K))).predict_proba(X),
    )


def test_bad_cell_weights_in_negative_fill_raise():
    y = sp.csr_matrix(np.nan_to_num(Y))
    row, col = np.argwhere(np.nan_to_num(Y) == 0)[4]
    with pytest.raises(ValueError) as caught:
        classifier().fit(X, y, sample_weight=at(np.ones((N, K)), (row, col), -2))
    assert str(caught.value) == (
        "`sample_weight` accepts finite numbers from 0; got -2.0 at sample "
        f"{row}, label {col}."
    )


def test_weights_that_are_all_zero_raise():
    with pytest.raises(ValueError) as caught:
        classifier().fit(X, Y, sample_weight=np.zeros(N))
    assert sentence(caught.value) == (
        "`y` must have a labeled cell of a weight above zero; got none in "
        f"{N} x {K} cells."
    )


@pytest.mark.parametrize("name", ["gpu", "cuda:x", ""])
def test_bad_device_name_raises_our_sentence(name, fitted):
    fitted.set_params(device=name)
    for call in CALLS.values():
        with pytest.raises(ValueError) as caught:
            call(fitted, X, Y)
        assert str(caught.value) == (
            '`device` accepts "auto" or the name of a torch device such as "cpu" or '
            f'"cuda:0"; got {name!r}.'
        )


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "xpu", "meta"])
def test_device_that_is_not_here_raises_our_sentence(name, fitted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    fitted.set_params(device=name)
    for call in CALLS.values():
        with pytest.raises(ValueError) as caught:
            call(fitted, X, Y)
        assert str(caught.value) == (
            f"`device` is {name!r}, and torch finds no such device on this machine; "
            'pass "cpu" or "auto".'
        )


BAD_PARAMS = {
    "lr": [0, -1.0, "fast"],
    "max_epochs": [0, 1.5],
    "batch_size": [0, -2],
    "validation_fraction": [0, 1, 1.0],
    "n_iter_no_change": [0],
    "tol": [-1],
    "module": [3],
    "criterion": ["bce"],
    "optimizer": ["adam"],
    "callbacks": [3, "enable"],
    "device": [3],
    "net_params": [[1]],
    "reduction": ["mean"],
    "label_smoothing": [1, -0.1],
    "unlabeled_weight": [-1],
    "pos_weight": ["auto"],
    "warm_start": ["yes"],
    "random_state": ["seed"],
}


@pytest.mark.parametrize(
    "name, value",
    [(name, value) for name, values in BAD_PARAMS.items() for value in values],
)
def test_bad_parameter_raises_and_names_itself(name, value, fitted):
    fitted.set_params(**{name: value})
    for call in (CALLS["fit"], CALLS["partial_fit"]):
        with pytest.raises(ValueError) as caught:
            call(fitted, X, Y)
        assert f"The {name!r} parameter of MaskedMultiLabelClassifier must be" in str(
            caught.value
        )


@pytest.mark.parametrize("name", ["pos_weight", "label_weight"])
def test_bad_weights_of_labels_raise(name, fitted):
    fitted.set_params(**{name: [1.0, 2.0]})
    with pytest.raises(ValueError) as caught:
        fitted.fit(X, Y)
    assert str(caught.value) == (
        f"`{name}` accepts one number or one per label, shape ({K},); got shape (2,)."
    )
    fitted.set_params(**{name: [1.0, -2.0, 1.0]})
    with pytest.raises(ValueError) as caught:
        fitted.fit(X, Y)
    assert str(caught.value) == (
        f"`{name}` accepts finite numbers from 0; got [1.0, -2.0, 1.0]."
    )


def test_net_params_that_are_the_estimators_own_raise(fitted):
    for name in ("lr", "max_epochs", "module", "dataset"):
        fitted.set_params(net_params={name: 1})
        for call in CALLS.values():
            with pytest.raises(ValueError) as caught:
                call(fitted, X, Y)
            assert str(caught.value) == (
                "`net_params` accepts what skorch.NeuralNet takes beside the "
                f"estimator's own parameters; got {name!r}, which is a parameter of "
                "the estimator or set by it."
            )


def test_net_params_that_nothing_knows_raise(fitted):
    fitted.set_params(net_params={"optimiser__lr": 1})
    for call in CALLS.values():
        with pytest.raises(ValueError) as caught:
            call(fitted, X, Y)
        assert re.fullmatch(
            r"`net_params` accepts parameters of skorch\.NeuralNet and names that "
            r"begin with one of \('callbacks__', .*'optimizer__'\); got "
            r"'optimiser__lr'\.",
            str(caught.value),
        )


def test_bad_name_in_set_params_raises_as_in_scikit_learn():
    with pytest.raises(ValueError, match=r"Invalid parameter 'optimiser' for estim"):
        classifier().set_params(optimiser=3)


class Wrong(torch.nn.Module):
    """A module that returns something else than logits."""

    def __init__(self, n_features, n_labels, returns="wide"):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)
        self.returns = returns

    def forward(self, X):
        logits = self.layer(X)
        return {
            "wide": logits.repeat(1, 2),
            "flat": logits.ravel(),
            "deep": logits[:, :, None],
            "pair": (logits, logits),
            "row": logits[:1],
        }[self.returns]


WRONG = {
    "wide": f"(16, {2 * K})",
    "flat": f"({16 * K},)",
    "deep": f"(16, {K}, 1)",
    "pair": "tuple",
    "row": f"(1, {K})",
}


@pytest.mark.parametrize("returns", WRONG)
def test_module_of_another_shape_raises_our_sentence(returns, fitted):
    full = np.nan_to_num(Y)
    fitted.set_params(module=Wrong, net_params={"module__returns": returns})
    with pytest.raises(ValueError) as caught:
        fitted.fit(X, full)
    assert str(caught.value) == (
        f"`module` must return raw logits of shape (batch, n_labels) = (16, {K}); "
        f"Wrong returned {WRONG[returns]}."
    )
    fitted.set_params(module=None, net_params=None)


class Linear(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = torch.nn.Linear(n_features, n_labels)

    def forward(self, X):
        # Squares make a step that is too large grow without end.
        return self.layer(X) ** 3


def diverging(**params):
    return classifier(
        module=Linear, optimizer=torch.optim.SGD, lr=1e9, max_epochs=20, **params
    )


DIVERGED = (
    r"Training diverged: the train loss became (nan|inf) in epoch \d+\. Lower `lr` "
    r"\(here 1000000000\.0\), or scale X\."
)


def test_divergence_raises_our_sentence_and_keeps_the_model(fitted):
    for name, value in diverging().get_params().items():
        setattr(fitted, name, value)
    with pytest.raises(ValueError) as caught:
        fitted.fit(X, Y)
    assert re.fullmatch(DIVERGED, str(caught.value))
    for name, value in classifier().get_params().items():
        setattr(fitted, name, value)


@pytest.mark.parametrize("call", ["warm fit", "partial_fit"])
def test_divergence_of_a_later_step_restores_the_parameters(call):
    model = diverging().set_params(lr=1e-3, max_epochs=2).fit(X, Y)
    before, epochs = model.predict_proba(X), len(model.history_)
    weights = [p.detach().clone() for p in model.net_.module_.parameters()]
    model.set_params(max_epochs=20)
    # The first batch of such rows is enough: the others never count.
    with pytest.raises(ValueError) as caught:
        for _ in range(20):
            CALLS[call](model, X * np.float32(1e9), Y)
    assert re.fullmatch(DIVERGED.replace(r"1000000000\.0", ".*"), str(caught.value))
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert len(model.history_) == epochs
    for parameter, was in zip(model.net_.module_.parameters(), weights, strict=True):
        torch.testing.assert_close(parameter.detach(), was, rtol=0, atol=0)


def test_a_failed_partial_fit_leaves_nothing_that_a_later_one_would_notice(monkeypatch):
    models = [classifier().fit(X, Y) for _ in range(2)]
    for model in models:  # the order of the batches is drawn: both draw alike
        model.partial_fit(X, Y)

    def broken(self, cells):
        raise RuntimeError("in the middle of an epoch")

    with monkeypatch.context() as patch:
        patch.setattr("sklearn_masked.nn.sdca.SDCASolver.step", broken)
        with pytest.raises(RuntimeError, match="^in the middle of an epoch$"):
            models[0].partial_fit(X, Y)
    one, other = (model.partial_fit(X, Y).predict_proba(X) for model in models)
    np.testing.assert_array_equal(one, other)


def test_a_warning_that_is_an_error_leaves_a_warm_model_as_it_was():
    half = np.where(np.arange(Y.shape[1]) > 0, Y, np.nan)
    with pytest.warns(UserWarning, match="^No cell is labeled of label 0"):
        model = classifier(warm_start=True).fit(X, half)
    before = model.predict_proba(X)
    with pytest.raises(UserWarning, match="^No cell is labeled of label 0"):
        model.fit(-X, half)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("scale", [1e-20, 1e6, 1e18, 1e30])
@pytest.mark.parametrize("call", CALLS)
def test_rows_of_any_scale_leave_a_model_of_finite_probabilities(scale, call):
    rows = X * np.float32(scale)
    model = classifier() if call == "fit" else classifier().fit(X, Y)
    try:
        CALLS[call](model, rows, Y)
    except ValueError as error:
        assert call != "fit", error
        assert str(error).startswith("Training diverged: ")
    for kind in (X, rows):
        proba = model.predict_proba(kind)
        assert ((proba > 0) & (proba < 1)).all()


def test_value_that_float32_cannot_hold_raises():
    rows = at(X, (3, 2), 1e300, np.float64)
    model = classifier().fit(X, Y)
    with np.errstate(over="ignore"):
        for call in (lambda: model.fit(rows, Y), lambda: model.predict(rows)):
            with pytest.raises(ValueError) as caught:
                call()
            assert "Input X contains infinity or a value too large" in str(caught.value)


class Fails(torch.nn.Module):
    """A criterion that raises at its third call."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, logits, targets):
        self.calls += 1
        if self.calls == 3:
            raise RuntimeError("the third call")
        return logits.square().mean()


def test_error_of_a_criterion_passes_and_keeps_the_model(fitted):
    fitted.set_params(criterion=Fails)
    with pytest.raises(RuntimeError, match="^the third call$"):
        fitted.fit(X, Y)
    fitted.set_params(criterion=None)


def test_early_stopping_without_a_row_to_train_on_raises(fitted):
    y = np.full((N, K), NAN)
    y[3] = 1, 0, 1
    fitted.set_params(early_stopping=True)
    with pytest.raises(ValueError) as caught:
        fitted.fit(X, y)
    assert sentence(caught.value) == (
        "`early_stopping` needs a row to train on beside the validation rows; got 1 "
        "rows with a labeled cell and validation_fraction=0.1."
    )
    fitted.set_params(early_stopping=False)


BINARY = (X[:, 0] > 0).astype(int)
BAD_BINARY = {
    "three classes": (
        np.arange(N) % 3,
        "Only binary classification is supported. 1-D `y` accepts two classes; got 3, "
        "beginning with [0, 1, 2]. If -1 means unlabeled, pass y[:, None]; for one "
        "label a class, pass a 2-D `y`.",
    ),
    "-1 and 0": (
        -BINARY,
        "Only binary classification is supported, and 1-D `y` holds -1 and 0: classes, "
        "or unlabeled entries beside negatives. If -1 means unlabeled, pass y[:, "
        "None]; if it is a class, name the two in other words.",
    ),
    "one class": (
        np.zeros(N),
        "`y` must hold two classes among its rows of a weight above zero; got one "
        "class.",
    ),
}


@pytest.mark.parametrize("case", BAD_BINARY)
def test_bad_binary_target_raises_our_sentence(case):
    y, message = BAD_BINARY[case]
    model = classifier().fit(X, BINARY)
    before = model.predict_proba(X)
    for candidate in (classifier(), model):
        with pytest.raises(ValueError) as caught:
            candidate.fit(X, y)
        assert sentence(caught.value) == message
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_partial_fit_of_a_binary_target_asks_for_the_classes():
    model = classifier()
    with pytest.raises(ValueError) as caught:
        model.partial_fit(X, BINARY)
    assert sentence(caught.value) == (
        "`classes` must name the two values of a 1-D `y` at the first call of "
        "partial_fit; got None."
    )
    model.partial_fit(X, BINARY, classes=[0, 1])
    before = model.predict_proba(X)
    with pytest.raises(ValueError) as caught:
        model.partial_fit(X, BINARY + 1)
    assert sentence(caught.value) == (
        "`y` accepts the two classes [0, 1] that the model knows; got 2."
    )
    with pytest.raises(ValueError, match="same number of dimensions in every call"):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_classes_of_partial_fit_must_be_two():
    for classes in ([0], [0, 1, 2]):
        with pytest.raises(ValueError) as caught:
            classifier().partial_fit(X, BINARY, classes=classes)
        assert str(caught.value) == (
            "`classes` accepts the two values of a 1-D `y`. Only binary classification "
            f"is supported. Got {len(classes)} classes."
        )


def test_other_classes_at_a_later_call_raise():
    model = classifier().partial_fit(X, BINARY, classes=[0, 1])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, BINARY, classes=[1, 2])
