"""Modules and criterions of the user's own, for dense, sparse and n-dimensional X."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from sklearn.base import clone
from torch import nn

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.classifier._data import _sizes
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.nn import MaskedBCEWithLogitsLoss


def make_labels(signal, seed=0):
    rng = np.random.default_rng(seed)
    y = (signal > 0).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    y[::10] = np.nan
    return y


def make_data(n=100, m=8, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, m)).astype(np.float32)
    return X, make_labels(X[:, :3])


def classifier(module=None, **params):
    settings = {
        "max_epochs": 20,
        "batch_size": 32,
        "lr": 0.05,
        "random_state": 0,
        "device": "cpu",
    }
    return MaskedMultiLabelClassifier(module=module, **{**settings, **params})


class Linear(nn.Module):
    """A dense module."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.layer = nn.Linear(n_features, n_labels)

    def forward(self, X):
        return self.layer(X)


class Perceptron(nn.Module):
    """A dense module with arguments of its own."""

    def __init__(self, n_features, n_labels, width=4, activation=nn.ReLU, dropout=0.0):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, width),
            activation(),
            nn.Dropout(dropout),
            nn.Linear(width, n_labels),
        )

    def forward(self, X):
        return self.layers(X)


class Convolution(nn.Module):
    """A module for images, which takes n_labels alone."""

    def __init__(self, n_labels, channels=4):
        super().__init__()
        self.convolution = nn.Conv2d(1, channels, 3, padding=1)
        self.output = nn.Linear(channels, n_labels)

    def forward(self, images):
        assert images.ndim == 4 and images.dtype == torch.float32
        hidden = F.relu(self.convolution(images))
        return self.output(hidden.amax(dim=(2, 3)))


class Bags(nn.Module):
    """A module for sparse rows."""

    def __init__(self, n_features, n_labels, dim=8):
        super().__init__()
        self.bags = nn.EmbeddingBag(n_features, dim, mode="sum")
        self.output = nn.Linear(dim, n_labels)

    def forward(self, indices, offsets, weights):
        # torch wants one integer type for both.
        bags = self.bags(indices, offsets.to(indices.dtype), per_sample_weights=weights)
        return self.output(bags)


def images(n=120):
    """Return images in which each label has a pattern of its own."""
    rng = np.random.default_rng(0)
    X = 0.1 * rng.normal(size=(n, 1, 6, 6)).astype(np.float32)
    truth = rng.random((n, 2)) < 0.5
    X[truth[:, 0], 0, 2, 1:4] += 2
    X[truth[:, 1], 0, 1:4, 4] += 2
    return X, truth.astype(float)


# Dense


def test_dense_module_learns():
    X, y = make_data()
    model = classifier(Linear).fit(X, y)
    assert model.score(X, y) > 0.95
    logits = model.decision_function(X)
    assert logits.shape == (100, 3) and logits.dtype == np.float32
    with torch.no_grad():
        want = model.net_.module_.layer(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, want, atol=1e-6)


def test_dense_module_follows_a_loop_of_torch_by_hand():
    X, y = make_data()
    model = classifier(
        Start, optimizer=torch.optim.SGD, lr=0.5, max_epochs=5, batch_size=-1
    ).fit(X, y)
    weight = torch.zeros(3, 8, requires_grad=True)
    kept = ~np.isnan(y)
    losses = []
    for _ in range(5):
        logits = torch.from_numpy(X) @ weight.T
        loss = F.binary_cross_entropy_with_logits(
            logits[torch.from_numpy(kept)], torch.from_numpy(y[kept]).float()
        )
        losses.append(loss.item())
        (gradient,) = torch.autograd.grad(loss, weight)
        weight = (weight - 0.5 * gradient).detach().requires_grad_()
    want = X @ weight.detach().numpy().T
    np.testing.assert_allclose(model.decision_function(X), want, atol=1e-5)
    got = [row["train_loss"] for row in model.history_]
    np.testing.assert_allclose(got, losses, rtol=1e-5)


class Start(nn.Module):
    """A linear module that starts from zeros."""

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_labels, n_features))

    def forward(self, X):
        return X @ self.weight.T


def test_epochs_loss_is_the_mean_over_the_cells():
    X, y = make_data()
    model = classifier(
        Start, optimizer=torch.optim.SGD, lr=1e-12, max_epochs=1, batch_size=7
    ).fit(X, y)
    # Logits of 0 cost ln 2 a cell, whatever the batches.
    assert model.history_[0]["train_loss"] == pytest.approx(np.log(2), rel=1e-6)
    sizes = [batch["train_batch_size"] for batch in model.history_[0]["batches"]]
    assert sum(sizes) == np.isfinite(y).sum()


def test_dropout_is_off_when_predicting():
    X, y = make_data()
    model = classifier(Perceptron, net_params={"module__dropout": 0.9}).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    parts = [model.predict_proba(X[i : i + 10]) for i in range(0, 100, 10)]
    np.testing.assert_allclose(np.vstack(parts), model.predict_proba(X), atol=1e-6)


def test_dropout_is_on_when_training():
    X, y = make_data()
    kept, dropped = (
        classifier(Perceptron, net_params={"module__dropout": rate}).fit(X, y)
        for rate in (0.0, 0.9)
    )
    assert dropped.history_[-1]["train_loss"] > kept.history_[-1]["train_loss"] + 0.1


# Arguments


def test_module_arguments_reach_the_module_and_the_grid():
    X, y = make_data()
    model = classifier(Perceptron).set_params(
        module__width=7, module__activation=nn.Tanh
    )
    assert model.get_params()["module__width"] == 7
    layers = clone(model).fit(X, y).net_.module_.layers
    assert layers[0].out_features == 7
    assert isinstance(layers[1], nn.Tanh)
    assert layers[0].in_features == 8 and layers[-1].out_features == 3


def test_module_argument_that_is_not_there_names_itself():
    X, y = make_data()
    model = classifier(Perceptron, net_params={"module__height": 7})
    with pytest.raises(TypeError, match="height"):
        model.fit(X, y)
    assert not hasattr(model, "net_")


class Keywords(nn.Module):
    """A module that takes any argument and says which it got."""

    def __init__(self, n_labels, **kwargs):
        super().__init__()
        self.got = sorted(kwargs)
        self.layer = nn.LazyLinear(n_labels)

    def forward(self, X):
        return self.layer(X)


def test_module_gets_the_numbers_that_its_signature_names():
    X, y = make_data()
    model = classifier(Keywords, max_epochs=1).fit(X, y)
    assert model.net_.module_.got == []
    assert model.decision_function(X).shape == (100, 3)


def test_function_in_the_place_of_a_class_makes_the_module():
    X, y = make_data()

    def make(n_features, n_labels):
        return nn.Linear(n_features, n_labels)

    assert classifier(make).fit(X, y).score(X, y) > 0.95


@pytest.mark.parametrize("n_labels", [1, 2])
def test_module_for_one_or_two_labels(n_labels):
    X, y = make_data()
    model = classifier(Linear).fit(X, y[:, :n_labels])
    assert model.predict_proba(X).shape == (100, n_labels)
    assert model.score(X, y[:, :n_labels]) > 0.95


def test_module_for_a_binary_target():
    X, _ = make_data()
    y = np.where(X[:, 0] > 0, "yes", "no")
    model = classifier(Linear).fit(X, y)
    assert model.predict_proba(X).shape == (100, 2)
    assert model.decision_function(X).shape == (100,)
    assert (model.predict(X) == y).mean() > 0.9


# Sparse


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csr_array, sp.csc_matrix])
def test_sparse_module_learns_from_bags(kind):
    X, y = make_data()
    X = np.where(np.abs(X) > 0.3, X, 0)
    X[5] = 0  # an empty bag
    model = classifier(Bags, net_params={"module__dim": 6}).fit(kind(X), y)
    assert model.score(kind(X), y) > 0.95
    module = model.net_.module_
    assert module.bags.embedding_dim == 6
    with torch.no_grad():
        table, output = module.bags.weight.numpy(), module.output
        want = X @ table @ output.weight.numpy().T + output.bias.numpy()
    np.testing.assert_allclose(model.decision_function(kind(X)), want, atol=1e-4)


def test_sparse_module_with_sparse_gradients_and_their_optimizer():
    X, y = make_data()

    class SparseBags(Bags):
        def __init__(self, n_features, n_labels):
            super().__init__(n_features, n_labels)
            self.bags = nn.EmbeddingBag(n_features, n_labels, mode="sum", sparse=True)
            self.output = nn.Identity()

    model = classifier(SparseBags, optimizer=torch.optim.SparseAdam)
    model.fit(sp.csr_matrix(X), y)
    assert model.score(sp.csr_matrix(X), y) > 0.95


# n-dimensional


def test_convolution_learns_from_images():
    X, truth = images()
    y = truth.copy()
    y[np.random.default_rng(1).random(y.shape) < 0.3] = np.nan
    model = classifier(Convolution, max_epochs=60).fit(X[:90], y[:90])
    proba = model.predict_proba(X[90:])
    assert proba.shape == (30, 2)
    assert masked_roc_auc_score(truth[90:], proba) > 0.95
    assert model.predict(X[90:]).shape == (30, 2)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X[90:]), proba)
    model.partial_fit(X, truth)


@pytest.mark.parametrize("shape", [(2, 6, 6), (6, 6), (36,)])
@pytest.mark.parametrize("call", ["predict_proba", "partial_fit"])
def test_rows_of_another_shape_raise(shape, call):
    X, truth = images()
    model = classifier(Convolution, max_epochs=1).fit(X, truth)
    before = model.predict_proba(X)
    other = np.zeros((len(X), *shape), np.float32)
    with pytest.raises(ValueError, match="`?X`?.*(shape|features)"):
        model.partial_fit(other, truth) if call == "partial_fit" else (
            model.predict_proba(other)
        )
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_images_that_are_not_finite_raise(bad):
    X, truth = images()
    X[3, 0, 2, 2] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        classifier(Convolution).fit(X, truth)


def test_default_module_takes_no_images_and_says_so():
    X, truth = images()
    with pytest.raises(ValueError, match="Found array with dim 4"):
        classifier().fit(X, truth)


# Criterions


class SquaredError(nn.Module):
    """A criterion of the user's own: called with logits and targets with NaN."""

    seen = []

    def __init__(self, power=2):
        super().__init__()
        self.power = power

    def forward(self, logits, targets):
        SquaredError.seen.append(targets.clone())
        known = ~targets.isnan()
        error = torch.sigmoid(logits[known]) - targets[known]
        return error.abs().pow(self.power).mean()


@pytest.mark.parametrize("module", [None, Linear])
def test_criterion_of_the_users_own_gets_nan_in_unlabeled_cells(module):
    X, y = make_data()
    SquaredError.seen = []
    model = classifier(
        module,
        criterion=SquaredError,
        max_epochs=15,
        batch_size=-1,
        net_params={"criterion__power": 3, "iterator_train__shuffle": False},
    ).fit(X, y)
    assert model.net_.criterion_.power == 3
    assert len(SquaredError.seen) == 15
    kept = ~np.isnan(y).all(axis=1)
    np.testing.assert_array_equal(SquaredError.seen[0].numpy(), y[kept])
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < losses[0]
    assert model.score(X, y) > 0.9


def test_function_in_the_place_of_a_criterion_class_makes_the_criterion():
    X, y = make_data()

    def make():
        return SquaredError(power=1)

    model = classifier(Linear, criterion=make).fit(X, y)
    assert model.net_.criterion_.power == 1


def test_weights_beside_a_criterion_that_takes_none_raise_or_are_passed():
    X, y = make_data()
    weight = np.linspace(0.5, 1.5, len(X))
    with pytest.raises(TypeError, match="argument"):
        classifier(Linear, criterion=SquaredError).fit(X, y, sample_weight=weight)

    class Weighted(nn.Module):
        def forward(self, logits, targets, weight):
            Weighted.seen = weight.clone()
            known = ~targets.isnan()
            error = torch.sigmoid(logits[known]) - targets[known]
            return (error.square() * weight[known]).sum() / weight[known].sum()

    classifier(
        Linear,
        criterion=Weighted,
        batch_size=-1,
        net_params={"iterator_train__shuffle": False},
    ).fit(X, y, sample_weight=weight)
    rows, cols = np.nonzero(~np.isnan(y))
    kept = np.unique(rows)
    cells = Weighted.seen.numpy()[np.searchsorted(kept, rows), cols]
    np.testing.assert_allclose(cells, weight[rows], rtol=1e-6)


class Focal(MaskedBCEWithLogitsLoss):
    """A subclass of the masked loss, for cells that are hard."""

    def __init__(self, gamma=2.0, **kwargs):
        super().__init__(**kwargs)
        self.gamma = gamma

    def _cell_losses(self, logits, targets, pos_weight):
        loss = super()._cell_losses(logits, targets, pos_weight)
        return loss * (1 - torch.exp(-loss)) ** self.gamma


@pytest.mark.parametrize("module", [None, Linear])
def test_subclass_of_the_masked_loss_gets_the_estimators_arguments(module):
    X, y = make_data()
    model = classifier(
        module,
        criterion=Focal,
        pos_weight=[1.0, 2.0, 3.0],
        reduction="label",
        label_smoothing=0.1,
        net_params={"criterion__gamma": 1.0},
    ).fit(X, y)
    criterion = model.net_.criterion_
    assert isinstance(criterion, Focal) and criterion.gamma == 1.0
    assert criterion.pos_weight.tolist() == [1.0, 2.0, 3.0]
    assert (criterion.reduction, criterion.label_smoothing) == ("label", 0.1)
    assert model.score(X, y) > 0.9
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < losses[0]


class Nothing(MaskedBCEWithLogitsLoss):
    """A subclass that overrides the dense call alone."""

    def forward(self, logits, targets, weight=None):
        return 0 * super().forward(logits, targets, weight)


def test_subclass_that_overrides_the_dense_call_is_really_called():
    X, y = make_data()
    model = classifier(Linear, criterion=Nothing, max_epochs=2).fit(X, y)
    assert [row["train_loss"] for row in model.history_] == [0.0, 0.0]


def test_unlabeled_weight_counts_unlabeled_cells_as_weak_negatives():
    X, y = make_data()
    positive = np.where(y == 1, 1, np.nan)
    shares = [
        classifier(Linear, unlabeled_weight=weight).fit(X, positive).predict(X).mean()
        for weight in (0.01, 1.0)
    ]
    assert shares[0] > shares[1]


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_negative_fill_trains_the_module_as_the_full_matrix_does(form):
    X, _ = make_data()
    full = (X[:, :3] > 0).astype(float)
    y = sp.csr_matrix(full)
    if form == "dense":
        y = MaskedLabels.from_sparse(y, implicit="negative")
    got = classifier(Linear, max_epochs=5).fit(X, y).predict_proba(X)
    want = classifier(Linear, max_epochs=5).fit(X, full).predict_proba(X)
    np.testing.assert_allclose(got, want, atol=1e-5)


# Optimizers


@pytest.mark.parametrize(
    "optimizer", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adagrad]
)
@pytest.mark.parametrize("module", [None, Linear, "embedding_bag"])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_optimizers_of_torch_train_any_module(optimizer, module, kind):
    if module is Linear and kind is sp.csr_matrix:
        module = Bags
    X, y = make_data()
    X = np.where(np.abs(X) > 0.3, X, 0)
    lr = 1.0 if optimizer is torch.optim.SGD else 0.1
    model = classifier(module, optimizer=optimizer, lr=lr).fit(kind(X), y)
    assert isinstance(model.net_.optimizer_, optimizer)
    losses = [row["train_loss"] for row in model.history_]
    assert losses[-1] < losses[0]
    assert model.score(kind(X), y) > 0.8


def test_optimizer_arguments_by_group_of_parameters():
    X, y = make_data()
    model = classifier(
        Linear,
        optimizer=torch.optim.SGD,
        max_epochs=3,
        net_params={"optimizer__param_groups": [("layer.bias", {"lr": 0.0})]},
    ).fit(X, y)
    rates = [group["lr"] for group in model.net_.optimizer_.param_groups]
    assert sorted(rates) == [0.0, 0.05]


@pytest.mark.parametrize(
    "idle",
    [
        {"reduction": "label"},
        {"pos_weight": "balanced"},
        {"label_weight": [1.0, 2.0, 1.0]},
        {"unlabeled_weight": 0.1},
        {"label_smoothing": 0.1},
    ],
    ids=lambda idle: next(iter(idle)),
)
def test_parameters_that_the_criterion_cannot_heed_raise(idle):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 4)).astype(np.float32)
    Y = (X[:, :3] > 0).astype(float)
    model = MaskedMultiLabelClassifier(
        criterion=torch.nn.MSELoss, max_epochs=1, device="cpu", **idle
    )
    with pytest.raises(ValueError, match=f"^`{next(iter(idle))}` is a parameter of "):
        model.fit(X, Y)


def test_early_stopping_sets_images_aside():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 1, 4, 3)).astype(np.float32)
    X[1] = X[0]  # equal rows are on one side
    y = np.where(rng.random((60, 2)) < 0.5, rng.integers(0, 2, (60, 2)), np.nan)

    class Images(nn.Module):
        def __init__(self, n_labels):
            super().__init__()
            self.output = nn.Linear(12, n_labels)

        def forward(self, X):
            return self.output(X.flatten(1))

    model = classifier(Images, early_stopping=True, max_epochs=3).fit(X, y)
    assert "valid_loss" in model.history_[0]
    assert model.predict_proba(X).shape == (60, 2)


@pytest.mark.parametrize(
    "n_rows, sizes",
    [(20, (32, 100)), (640, (32, 5)), (6000, (300, 5)), (20_000, (512, 5))],
)
def test_small_sets_get_a_hundred_steps(n_rows, sizes):
    estimator = MaskedMultiLabelClassifier(module=Start)
    data = SimpleNamespace(solver="module", targets=None, train=range(n_rows))
    found = _sizes(estimator, data)
    assert (found["batch_size"], found["max_epochs"]) == sizes


def test_lbfgs_takes_all_rows():
    estimator = MaskedMultiLabelClassifier(module=Start, optimizer=torch.optim.LBFGS)
    data = SimpleNamespace(solver="module", targets=None, train=range(6000))
    found = _sizes(estimator, data)
    assert (found["batch_size"], found["max_epochs"]) == (-1, 5)


class Narrow(nn.Module):
    """A module for rows of another width."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(7, 3)

    def forward(self, X):
        return self.layer(X)


def test_a_module_that_does_not_take_the_rows_is_named():
    X, y = make_data()
    with pytest.raises(RuntimeError) as caught:
        classifier(Narrow).fit(X, y)
    assert str(caught.value) == (
        "`module`: the forward of Narrow fails on a batch of X of shape (32, 8) and "
        "torch.float32: mat1 and mat2 shapes cannot be multiplied (32x8 and 7x3)"
    )
