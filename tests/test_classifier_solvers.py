"""Every parameter and every solver: it is read, or it raises."""

import copy
import functools
import inspect
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from builders import OwnLoss

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier import _solvers
from sklearn_masked.nn import MaskedBCEWithLogitsLoss

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 6)).astype(np.float32)
X[RNG.random(X.shape) < 0.3] = 0
Y = (X[:, :3] + 0.5 * RNG.normal(size=(60, 3)) > 0).astype(float)
Y[RNG.random(Y.shape) < 0.4] = np.nan


class Own(torch.nn.Module):
    """A module that a user might write."""

    def __init__(self, n_features=6, n_labels=3, depth=1, mode="sum"):
        super().__init__()
        self.mode = mode
        sizes = [n_features] * depth + [n_labels]
        self.layers = torch.nn.Sequential(
            *(torch.nn.Linear(*pair) for pair in zip(sizes, sizes[1:], strict=False))
        )

    def forward(self, X):
        return self.layers(X / 3 if self.mode == "mean" else X)


def classifier(**params):
    settings = {"max_epochs": 2, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**{**settings, **params})


def test_a_module_that_is_made_already_is_where_the_training_starts():
    module = Own()
    model = classifier(module=module, lr=1e-12).fit(X, Y)
    with torch.no_grad():
        logits = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(model.decision_function(X), logits, atol=1e-6)


SOLVERS = {
    "dual": {},
    "optimizer": {"optimizer": torch.optim.SGD, "lr": 0.05},
    "embedding_bag": {"module": "embedding_bag", "lr": 0.05},
    "module": {"module": Own, "optimizer": torch.optim.SGD, "lr": 0.05},
}
# A value that is not the default, and what else lets it be seen.
OTHER = {
    "embedding_dim": (2, {}),
    "shared_weight": (1.0, {}),
    "label_correlation": (0.5, {}),
    "interactions": (0.6, {}),
    "feature_blocks": (
        {"one": [0, 1, 2], "other": [3, 4, 5]},
        {"X": sp.csr_matrix(X)},
    ),
    "idf_power": (2.0, {"X": sp.csr_matrix(X)}),
    "std_power": (0.0, {"X": X * np.arange(1, 7, dtype=np.float32)}),
    "C": (0.1, {}),
    "calibrate": (False, {}),
    "label_features": (np.eye(3, 6, dtype=np.float32), {}),
    "base_rates": (0.01, {"Y": np.where(np.arange(3) == 1, np.nan, Y)}),
    "module": (functools.partial(Own, depth=2), {}),
    "criterion": (OwnLoss, {}),
    "reduction": ("label", {}),
    "pos_weight": (3.0, {}),
    "label_weight": ([1.0, 2.0, 3.0], {}),
    "unlabeled_weight": (0.5, {}),
    "label_smoothing": (0.3, {}),
    "optimizer": (torch.optim.RMSprop, {}),
    "lr": (0.03, {}),
    "max_epochs": (1, {}),
    "batch_size": (7, {}),
    "early_stopping": (True, {}),
    "validation_fraction": (0.5, {"early_stopping": True}),
    "n_iter_no_change": (1, {"early_stopping": True, "max_epochs": 9, "tol": 9.0}),
    "tol": (9.0, {"early_stopping": True, "max_epochs": 9, "n_iter_no_change": 1}),
    "warm_start": (True, {"calls": 2}),
    "random_state": (1, {"batch_size": 7}),
    "iterator_train__shuffle": (False, {"batch_size": 7}),
    "iterator_train__drop_last": (True, {"batch_size": 7}),
    "module__depth": (2, {}),
    "module__mode": ("mean", {}),
    "criterion__reduction": ("label", {}),
    "optimizer__weight_decay": (1.0, {}),
}
# What changes no prediction; and what needs a test of its own, below.
COSMETIC = {
    "callbacks",
    "callbacks__*",
    "checkpoint",
    "device",
    "iterator_train",
    "iterator_train__fixed",
    "iterator_valid",
    "iterator_valid__*",
    "net_params",
    "torch_load_kwargs",
    "train_split",
    "verbose",
}
# These want a compiler, which is not everywhere; that dual steps refuse them is below.
UNTRIED = {"compile", "compile__*"}


def test_every_parameter_is_in_the_table_and_in_the_walk():
    names = set(inspect.signature(MaskedMultiLabelClassifier.__init__).parameters)
    names -= {"self"}
    assert names <= set(_solvers.READ_BY)
    prefixes = {f"{name.split('__')[0]}__*" for name in OTHER if "__" in name}
    assert set(_solvers.READ_BY) - set(OTHER) - prefixes == COSMETIC | UNTRIED


def fitted(params, name=None, value=None, calls=1, X=X, Y=Y):
    params = dict(params)
    if name is not None and "__" in name:
        params["net_params"] = {name: value}
    elif name is not None:
        params[name] = value
    model = classifier(**params)
    for _ in range(calls):
        model.fit(X, Y)
    # How many epochs were run is a change too: the best of them may be the same.
    return np.append(model.predict_proba(X), len(model.history_))


@pytest.mark.filterwarnings("ignore:No cell is labeled of label 1")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", OTHER)
def test_every_parameter_is_read_or_raises(name, solver):
    value, setting = OTHER[name]
    setting = dict(setting)
    how = {key: setting.pop(key) for key in ("calls", "X", "Y") if key in setting}
    if solver == "module" and name in ("feature_blocks", "idf_power"):
        how = {}  # a module of arrays
    if solver == "dual" and name == "tol":
        # With these the first epoch is the best one.
        setting |= {"interactions": 0, "label_correlation": 0}
    params = {**SOLVERS[solver], **setting}
    plain = fitted(params, **how)
    if solver in _solvers._readers(name):
        assert not np.array_equal(fitted(params, name, value, **how), plain)
        return
    with pytest.raises(ValueError, match=f"^`{name}` accepts .* does not read it; got"):
        fitted(params, name, value, **how)


def test_parameters_of_a_switch_that_is_off_may_stand():
    plain = classifier().fit(X, Y).predict_proba(X)
    params = {"tol": 0.5, "n_iter_no_change": 2, "validation_fraction": 0.4}
    np.testing.assert_array_equal(
        classifier(**params).fit(X, Y).predict_proba(X), plain
    )


def test_a_saved_model_of_an_instance_of_our_loss_goes_on_with_it():
    loss = MaskedBCEWithLogitsLoss(reduction="label", pos_weight=torch.tensor(3.0))
    model = classifier(optimizer=torch.optim.SGD, lr=0.1, criterion=loss).fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, Y)
    np.testing.assert_array_equal(
        again.predict_proba(X), model.partial_fit(X, Y).predict_proba(X)
    )


@pytest.mark.parametrize("params", [{}, {"module": Own}])
def test_lbfgs_goes_on_from_a_saved_model(params):
    model = classifier(optimizer=torch.optim.LBFGS, lr=0.1, **params).fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).partial_fit(X, Y)
    assert again.history_[-1]["train_loss"] < model.history_[0]["train_loss"]
    model.partial_fit(X, Y)
    assert model.n_iter_ == 3


def test_auto_params_given_by_hand_go_on_with_the_model_that_took_them():
    model = classifier().fit(X, Y)
    told = copy.deepcopy(model).set_params(**model.auto_params_).partial_fit(X, Y)
    model.partial_fit(X, Y)
    np.testing.assert_array_equal(told.predict_proba(X), model.predict_proba(X))
    told.set_params(label_correlation="auto").partial_fit(X, Y)
    with pytest.raises(
        ValueError, match="^`label_correlation` must stay as it was in the first"
    ):
        told.set_params(label_correlation=0.3).partial_fit(X, Y)
