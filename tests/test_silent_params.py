"""What is passed is heeded, or the sentence says who would heed it."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import skorch.callbacks
import skorch.dataset
import torch
from builders import OwnLoss
from sklearn.linear_model import LogisticRegression

from sklearn_masked import (
    MaskedLabels,
    MaskedMultiLabelClassifier,
    MaskedMultiOutputClassifier,
    check_labels,
    exceptions,
)
from sklearn_masked.classifier import _data, _solvers
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.nn import MaskedBCEWithLogitsLoss
from sklearn_masked.nn.sgd._optim import LazyAdam

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
X[RNG.random(X.shape) < 0.3] = 0
Y = (X[:, :3] + 0.5 * RNG.normal(size=(60, 3)) > 0).astype(float)
Y[RNG.random(Y.shape) < 0.4] = np.nan


class Own(torch.nn.Module):
    """A module that a user might write."""

    def __init__(self, n_features=6, n_labels=3, depth=1):
        super().__init__()
        sizes = [n_features] * depth + [n_labels]
        self.layers = torch.nn.Sequential(
            *(torch.nn.Linear(*pair) for pair in zip(sizes, sizes[1:], strict=False))
        )

    def forward(self, X):
        return self.layers(X)


class OurLoss(MaskedBCEWithLogitsLoss):
    """A criterion derived from ours."""


def classifier(**params):
    settings = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


# A module, a criterion, an optimizer that are made already


@pytest.mark.parametrize("further", ["fit", "partial_fit"])
def test_a_module_that_is_made_already_is_copied_for_each_fit(further):
    torch.manual_seed(0)
    module = Own()
    before = copy.deepcopy(module.state_dict())
    model = classifier(module=module, warm_start=further == "partial_fit")
    first = model.fit(X, Y).predict_proba(X)
    getattr(model, further)(X, Y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(each.grad is None for each in module.parameters())
    assert model.net_.module_ is not module
    again = classifier(module=module).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), first)


def test_noise_is_not_learned_from_the_rows_that_are_asked_later():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 30)).astype(np.float32)
    y = rng.integers(2, size=(80, 4)).astype(float)
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(30, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)
    )
    model = classifier(module=module, lr=0.02, max_epochs=20)
    passes = []
    for _ in range(2):
        scores = []
        for fold in range(3):
            test = np.arange(80) % 3 == fold
            scores.append(model.fit(rows[~test], y[~test]).score(rows[test], y[test]))
        passes.append(scores)
    assert passes[0] == passes[1]
    assert max(passes[1]) < 0.7


def test_a_criterion_that_is_made_already_is_copied_for_each_fit():
    criterion = OwnLoss(3.0)
    criterion.scale = torch.nn.Parameter(torch.ones(()))
    model = classifier(module=Own, criterion=criterion).fit(X, Y)
    assert model.net_.criterion_.power == 3
    assert model.net_.criterion_ is not criterion
    label = classifier(optimizer=torch.optim.Adam, criterion=OurLoss(reduction="label"))
    told = classifier(optimizer=torch.optim.Adam, criterion=OurLoss, reduction="label")
    np.testing.assert_array_equal(
        label.fit(X, Y).predict_proba(X), told.fit(X, Y).predict_proba(X)
    )


def test_an_optimizer_that_is_made_already_raises():
    optimizer = torch.optim.SGD(Own().parameters(), lr=0.1)
    with pytest.raises(ValueError) as caught:
        classifier(module=Own(), optimizer=optimizer).fit(X, Y)
    assert str(caught.value) == (
        "`optimizer` accepts a torch.optim.Optimizer class; got an instance of SGD, "
        "which is bound to the parameters of another module: pass SGD and its "
        'settings, as net_params={"optimizer__momentum": 0.9}.'
    )


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("module__depth", {"module": Own()}),
        ("criterion__power", {"module": Own, "criterion": OwnLoss()}),
    ],
)
def test_arguments_for_what_is_made_already_raise(name, params):
    with pytest.raises(ValueError, match=rf"^`{name}` is an argument of a class, and"):
        classifier(**params, net_params={name: 2}).fit(X, Y)


# Every parameter and every solver

SOLVERS = {
    "dual": {},
    "optimizer": {"optimizer": torch.optim.SGD, "lr": 0.05},
    "module": {"module": Own, "optimizer": torch.optim.SGD, "lr": 0.05},
}
# Values that are not the default, and that the solver does not read.
UNREAD = {
    "dual": {
        "lr": 0.03,
        "criterion__reduction": "label",
        "iterator_train": torch.utils.data.DataLoader,
        "iterator_train__drop_last": True,
        "iterator_train__fixed": True,
        "module__depth": 2,
        "optimizer__weight_decay": 1.0,
    },
    "optimizer": {
        "label_correlation": 0.5,
        "interactions": 0.5,
        "C": 0.1,
        "calibrate": False,
        "module__depth": 2,
    },
    "module": {
        "embedding_dim": 2,
        "shared_weight": 1.0,
        "label_correlation": 0.5,
        "interactions": 0.5,
        "idf_power": 2.0,
        "std_power": None,
        "C": 0.1,
        "calibrate": False,
    },
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("solver", "name"), [(solver, name) for solver in UNREAD for name in UNREAD[solver]]
)
def test_what_the_solver_does_not_read_raises(solver, name, call):
    value = UNREAD[solver][name]
    given = {"net_params": {name: value}} if "__" in name else {name: value}
    if name == "iterator_train":
        given = {"net_params": {name: value}}
    with pytest.raises(ValueError, match=f"^`{name}` accepts .* does not read it; got"):
        getattr(classifier(**{**SOLVERS[solver], **given}), call)(X, Y)


@pytest.mark.parametrize("params", [{}, {"optimizer": torch.optim.Adam}])
@pytest.mark.parametrize("name", ["compile", "compile__mode"])
def test_the_default_module_refuses_a_compiler(params, name):
    with pytest.raises(ValueError, match=f"^`{name}` accepts nothing with"):
        classifier(**params, net_params={name: True}).fit(X, Y)


def test_the_sentence_says_what_would_read_it():
    with pytest.raises(ValueError) as caught:
        classifier(lr=0.1).fit(X, Y)
    assert str(caught.value) == (
        "`lr` accepts 'auto' alone with dual coordinate ascent (`module`, `criterion` "
        "and `optimizer` None), which does not read it; got 0.1. It is read by the "
        "default module with an `optimizer` or a `criterion`, by the classic model "
        '(`module` "embedding_bag") and by a `module` of your own.'
    )


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_both_calls_refuse(call):
    model = classifier(optimizer=torch.optim.Adam, C=1.0)
    with pytest.raises(ValueError, match=r"^`C` accepts 'auto' alone with the default"):
        getattr(model, call)(X, Y)


@pytest.mark.parametrize("name", ["dataset", "predict_nonlinearity", "use_caching"])
def test_net_params_that_nothing_reads_raise(name):
    with pytest.raises(ValueError, match="^`net_params` accepts what skorch"):
        classifier(module=Own, net_params={name: None}).fit(X, Y)


def test_a_batch_size_by_another_name_raises():
    params = {"iterator_train__batch_size": 3}
    with pytest.raises(ValueError, match="^`net_params` accepts what skorch"):
        classifier(module=Own, net_params=params).fit(X, Y)


@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_without_callbacks_raises(solver):
    params = {**SOLVERS[solver], "early_stopping": True, "callbacks": "disable"}
    with pytest.raises(ValueError, match=r"^`early_stopping` is a callback, and"):
        classifier(**params).fit(X, Y)


@pytest.mark.parametrize(
    "callback",
    [
        skorch.callbacks.LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1),
        ("clip", skorch.callbacks.GradientNormClipping(1.0)),
        skorch.callbacks.Freezer("output"),
    ],
)
def test_callbacks_that_dual_steps_never_heed_raise(callback):
    with pytest.raises(ValueError, match=r"^`callbacks` accepts \w+ with an `optim"):
        classifier(callbacks=[callback]).fit(X, Y)
    classifier(callbacks=[callback], optimizer=torch.optim.Adam).fit(X, Y)


CHANGES = {
    "embedding_dim": 3,
    "shared_weight": 0.2,
    "std_power": 0.0,
    "module": Own,
    "criterion": OurLoss,
    "optimizer": torch.optim.SGD,
    "callbacks": [skorch.callbacks.EpochTimer()],
    "net_params": {"iterator_train__shuffle": False},
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_a_model_that_goes_on_cannot_change_raises(name, call):
    model = classifier(warm_start=True, optimizer=torch.optim.Adam).fit(X, Y)
    before = model.predict_proba(X)
    model.set_params(**{name: CHANGES[name]})
    with pytest.raises(ValueError, match=rf"^`{name}` must stay as it was in the fi"):
        getattr(model, call)(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize(
    "change", [{"label_correlation": 0.3}, {"interactions": 0.6}, {"module": Own}]
)
def test_what_dual_steps_that_go_on_cannot_change_raises(change):
    model = classifier().fit(X, Y).set_params(**change)
    with pytest.raises(ValueError, match="must stay as it was in the first call"):
        model.partial_fit(X, Y)


def test_a_loss_is_changed_by_dual_steps_and_not_by_others():
    model = classifier().fit(X, Y)
    same = copy.deepcopy(model).partial_fit(X, Y).predict_proba(X)
    model.set_params(pos_weight=9.0).partial_fit(X, Y)
    assert not np.array_equal(model.predict_proba(X), same)
    model = classifier(module=Own).fit(X, Y).set_params(pos_weight=9.0)
    with pytest.raises(ValueError, match="^`pos_weight` must stay as it was"):
        model.partial_fit(X, Y)


# Labels that lead to another solver


def implicit_negatives():
    y = sp.csr_matrix(np.nan_to_num(Y))
    return MaskedLabels.from_sparse(y, implicit="negative")


def test_labels_of_many_implicit_negatives_warn_of_the_other_solver(monkeypatch):
    y = implicit_negatives()
    assert classifier(C=3.0).fit(X, y).C_ == 3
    monkeypatch.setattr(_data, "_MOST_CELLS", 100)
    model = classifier(C=3.0, lr=0.02)
    with pytest.warns(exceptions.SolverFallbackWarning) as caught:
        model.fit(X, y)
    assert [str(each.message) for each in caught] == [
        "`y` stores the positives of a label matrix of more negatives than dual "
        "coordinate ascent takes (2 ** 22 cells): torch.optim.Adam with lr=0.02 trains "
        "the model instead. `C`, `label_correlation`, `interactions` and `calibrate` "
        "do not count there, here C=3.0; pass optimizer=torch.optim.Adam to choose it."
    ]
    assert caught[0].filename == __file__
    assert not hasattr(model, "C_")
    assert "C" not in model.auto_params_
    told = classifier(lr=0.02, optimizer=torch.optim.Adam).fit(X, y)
    np.testing.assert_array_equal(told.predict_proba(X), model.predict_proba(X))


# What "auto" took


def test_auto_params_are_those_of_the_solver():
    can_be_auto = {
        name
        for name, kinds in MaskedMultiLabelClassifier._parameter_constraints.items()
        if any("auto" in str(kind) for kind in kinds) or name == "device"
    }
    for solver, params in SOLVERS.items():
        model = classifier(**params).fit(X, Y)
        names = set(model.auto_params_)
        read = {n for n in can_be_auto if solver in _solvers.READ_BY[n]}
        # An array's columns have none.
        assert names == read - {"idf_power", "feature_blocks"}
        if "module" not in params:
            sparse = classifier(**params).fit(sp.csr_matrix(X), Y).auto_params_
            assert set(sparse) == read
        assert model.auto_params_["device"] == "cpu"
        assert ("C" in names) == hasattr(model, "C_")


def test_auto_params_given_by_hand_make_the_same_model():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 5)).astype(np.float32)
    y = (rows[:, :3] + rng.normal(size=(400, 3)) > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    model = classifier().fit(rows, y)
    assert all(value != "auto" for value in model.auto_params_.values())
    told = classifier(**model.auto_params_).fit(rows, y)
    assert told.auto_params_ == model.auto_params_
    np.testing.assert_allclose(
        told.decision_function(rows), model.decision_function(rows), atol=1e-5
    )


def test_what_is_given_is_what_auto_params_hold():
    given = {
        "shared_weight": 0.2,
        "label_correlation": 0.1,
        "interactions": 0.5,
        "C": 2.0,
        "unlabeled_weight": 0.2,
        "max_epochs": 3,
        "batch_size": 9,
        "device": "cpu",
    }
    assert classifier(**given).fit(X, Y).auto_params_ == given


@pytest.mark.parametrize("solver", SOLVERS)
def test_n_iter_counts_the_epochs_of_all_calls(solver):
    model = classifier(**SOLVERS[solver], max_epochs=2).fit(X, Y)
    assert model.n_iter_ == 2 == len(model.history_)
    assert model.partial_fit(X, Y).n_iter_ == 3
    model.partial_fit(X[:2], np.full((2, 3), np.nan))
    assert model.n_iter_ == 3
    assert model.fit(X, Y).n_iter_ == 2


# Pairs of features and labels that come later

N_LABELS = 40


def text_like(n=90, n_features=30_000, seed=0):
    """Rows and cells of so many (feature, label) pairs that only touched ones count."""
    rng = np.random.default_rng(seed)
    cols = rng.integers(n_features, size=n * 12)
    rows = np.repeat(np.arange(n), 12)
    data = rng.random(n * 12).astype(np.float32) + 0.1
    rows_of_x = sp.csr_matrix((data, (rows, cols)), shape=(n, n_features))
    y = np.full((n, N_LABELS), np.nan)
    y[np.arange(n), np.arange(n) % N_LABELS] = rng.integers(2, size=n)
    return rows_of_x, y


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.SGD,
        torch.optim.Adam,
        torch.optim.Adagrad,
        LazyAdam,
        torch.optim.LBFGS,
    ],
)
def test_a_stream_of_batches_ends_with_the_pairs_of_one_fit(optimizer):
    rows, y = text_like()
    params = {"optimizer": optimizer, "embedding_dim": 4}
    whole = classifier(**params, max_epochs=1).fit(rows, y).net_.module_.direct
    model = classifier(**params)
    for start in range(0, 90, 30):
        batch = slice(start, start + 30)
        before = getattr(model, "net_", None) and model.net_.module_.direct
        known = None if before is None else before.weight.detach().clone()
        model.partial_fit(rows[batch], y[batch])
        # Only the pairs of this batch have a gradient.
        if optimizer is torch.optim.SGD and known is not None:
            now = model.net_.module_.direct
            kept = torch.isin(now._keys(), before._keys())
            assert torch.equal(before.weight, known) and kept.sum() == len(known)
            assert (now.weight[~kept] != 0).any()
    direct = model.net_.module_.direct
    assert torch.equal(direct.starts, whole.starts)
    assert torch.equal(direct.labels, whole.labels)
    held = model.net_.optimizer_.param_groups[0]["params"]
    assert any(parameter is direct.weight for parameter in held)
    # All of them learned: none is 0 but by chance.
    assert (direct.weight == 0).float().mean() < 0.01


class Fails(skorch.callbacks.Callback):
    """Fail at the end of an epoch, when told to."""

    told = False

    def on_epoch_end(self, net, **kwargs):
        if Fails.told:
            raise RuntimeError("told to fail")


def test_a_stream_that_fails_leaves_the_pairs_as_they_were(monkeypatch):
    rows, y = text_like()
    params = {"optimizer": torch.optim.Adam, "embedding_dim": 4, "callbacks": [Fails()]}
    model = classifier(**params).partial_fit(rows[:30], y[:30])
    control = copy.deepcopy(model)
    monkeypatch.setattr(Fails, "told", True)
    with pytest.raises(RuntimeError, match="^told to fail$"):
        model.partial_fit(rows[30:], y[30:])
    monkeypatch.setattr(Fails, "told", False)
    found = [
        each.partial_fit(rows[30:60], y[30:60]).decision_function(rows)
        for each in (model, control)
    ]
    np.testing.assert_array_equal(*found)
    assert len(model.net_.module_.direct.weight) == 60 * 12


# What would be read as something else


class Items(torch.utils.data.Dataset):
    """Rows that are made anew when they are asked for."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i] + RNG.normal()


@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict"])
@pytest.mark.parametrize(
    "given",
    [
        Items(),
        torch.utils.data.DataLoader(Items()),
        torch.utils.data.TensorDataset(torch.from_numpy(X)),
        skorch.dataset.Dataset(X, Y),
    ],
    ids=lambda given: type(given).__name__,
)
def test_a_torch_dataset_in_the_place_of_x_raises(given, method):
    model = classifier().fit(X, Y)
    args = (given,) if method == "predict" else (given, Y)
    with pytest.raises(ValueError) as caught:
        getattr(model, method)(*args)
    assert str(caught.value) == (
        "`X` accepts an array, a data frame or a sparse matrix; got a torch "
        f"{type(given).__name__}, whose items would be read once, not anew in each "
        "epoch. Pass the rows as an array (a float32 numpy.memmap stays on the "
        "disk), and augment them in the `forward` of a `module` of your own, "
        "where `self.training` is True."
    )


NAMES = {
    "sets": [{"war"}, {"war", "sport"}] * 30,
    "of three kinds": [{"war"}, {"sport"}, set()] * 20,
    "of positions": [{0}, {0, 2}] * 30,
    "frozensets": [frozenset({"war"}), frozenset()] * 30,
    "lists": [["war"], ["war", "sport"]] * 30,
    "equally long": [("war", "sport"), ("sport", "crime")] * 30,
    "the first empty": [[], ["war"]] * 30,
    "records": [{"war": 1}, {"sport": 0}] * 30,
    "an array": np.array([{"war"}, {"war", "sport"}] * 30, dtype=object),
    "unlabeled first": [None, {"war"}, {"war", "sport"}] * 20,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "estimator",
    [classifier(), MaskedMultiOutputClassifier(LogisticRegression())],
    ids=lambda estimator: type(estimator).__name__,
)
def test_names_of_labels_in_the_place_of_a_matrix_raise(name, estimator):
    with pytest.raises(ValueError) as caught:
        estimator.fit(X, NAMES[name])
    sentence = str(caught.value)
    assert "MaskedLabels.from_dicts" in sentence and "MultiLabelBinarizer" in sentence
    with pytest.raises(ValueError, match="from_dicts"):
        masked_roc_auc_score(NAMES[name], np.zeros(60))
    with pytest.raises(ValueError, match="from_dicts"):
        check_labels(NAMES[name])


def test_the_sentence_names_the_first_collection_and_where_it_stands():
    with pytest.raises(ValueError) as caught:
        classifier().fit(X, NAMES["unlabeled first"])
    assert str(caught.value) == (
        "`y` accepts a label matrix, (n_samples, n_labels), or two values in one "
        "dimension; got a set at sample 1. MaskedLabels.from_dicts reads {label: 1 or "
        "0} per sample, where an absent label is unlabeled; "
        "sklearn.preprocessing.MultiLabelBinarizer reads sets of labels, where an "
        "absent label is negative."
    )


def test_a_series_of_sets_raises():
    pd = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="got a set at sample 0"):
        classifier().fit(X, pd.Series(NAMES["sets"]))


@pytest.mark.parametrize("solver", SOLVERS)
def test_parameters_of_a_callback_that_is_not_there_raise(solver):
    clip = ("clip", skorch.callbacks.EpochTimer())
    params = {**SOLVERS[solver], "callbacks": [clip]}
    with pytest.raises(ValueError) as caught:
        classifier(**params, net_params={"callbacks__clop__value": 1}).fit(X, Y)
    assert str(caught.value) == (
        "`callbacks__clop__value` names no callback of the net, which has epoch_timer, "
        "train_loss, valid_loss, print_log, clip."
    )
    nothing = {"callbacks__print_log": None}
    classifier(**params, net_params=nothing).fit(X, Y)
    with pytest.raises(ValueError, match="^`callbacks__print_log` names no callback"):
        classifier(**{**params, "callbacks": "disable"}, net_params=nothing).fit(X, Y)
