"""The classic model, `module="embedding_bag"`: a loop of torch by hand, in one line."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skorch.callbacks import Callback
from torch import nn

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.nn import (
    EmbeddingBagModule,
    LazyAdam,
    RowWiseAdagrad,
    SparseSGD,
)

N, M, LABELS = 120, 40, 5
RNG = np.random.default_rng(0)
X = np.where(RNG.random((N, M)) < 0.2, RNG.random((N, M)), 0).astype(np.float32)
X[7] = 0
CSR = sp.csr_matrix(X)
Y = (X @ RNG.normal(size=(M, LABELS)) > 0).astype(float)
Y[RNG.random(Y.shape) < 0.6] = np.nan
Y[::9] = np.nan


def classic(**params):
    given = {"embedding_dim": 8, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(module="embedding_bag", **{**given, **params})


class Watch(Callback):
    """Notes the initial weights and, epoch by epoch, the batches of the training."""

    seen = None

    def on_train_begin(self, net, **kwargs):
        Watch.seen = copy.deepcopy(net.module_.state_dict()), []

    def on_batch_end(self, net, batch, training, **kwargs):
        if training:
            Watch.seen[1].append(batch)


class Loop(nn.Module):
    """What a user of torch writes by hand."""

    def __init__(self, state):
        super().__init__()
        table = state["embedding"].clone()
        self.bag = nn.EmbeddingBag.from_pretrained(table, freeze=False, mode="sum")
        self.output = nn.Linear(table.shape[1], len(state["output.bias"]))
        parts = {"weight": state["output.weight"], "bias": state["output.bias"]}
        self.output.load_state_dict(parts)

    def forward(self, indices, offsets, weights):
        offsets = offsets.to(indices.dtype)
        return self.output(self.bag(indices, offsets, per_sample_weights=weights))

    def train_on(self, batches, optimizer, **settings):
        """Return the losses, each the mean over the labeled cells of its batch."""
        steps, losses = optimizer(self.parameters(), **settings), []
        for inputs, cells in batches:
            logits = self(**inputs)[cells.rows, cells.cols]
            loss = F.binary_cross_entropy_with_logits(logits, cells.values)
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses.append(loss.item())
        return losses


@pytest.mark.parametrize(
    ("ours", "theirs", "lr"),
    [
        (None, torch.optim.Adam, 0.01),
        (torch.optim.Adam, torch.optim.Adam, 0.05),
        (torch.optim.SGD, torch.optim.SGD, 1.0),
        (SparseSGD, torch.optim.SGD, 1.0),
        (torch.optim.Adagrad, torch.optim.Adagrad, 0.1),
    ],
)
def test_losses_are_those_of_a_loop_by_hand(ours, theirs, lr):
    params = {"optimizer": ours, "lr": lr, "max_epochs": 3, "callbacks": [Watch()]}
    model = classic(**params).fit(CSR, Y)
    start, batches = Watch.seen
    loop = Loop(start)
    losses = loop.train_on(batches, theirs, lr=lr)
    steps = [step for epoch in model.history_ for step in epoch["batches"]]
    got = [step["train_loss"] for step in steps]
    assert len(got) == 3 * 7
    np.testing.assert_allclose(got, losses, rtol=0, atol=1e-5)
    module = model.net_.module_
    for one, two in zip(
        [module.embedding, *module.output.parameters()], loop.parameters(), strict=True
    ):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-5)


def test_initial_weights_are_those_of_fasttext():
    classic(callbacks=[Watch()]).fit(CSR, Y)
    start, _ = Watch.seen
    table = start.pop("embedding")
    assert table.shape == (M, 8) and 0.11 < table.abs().max() <= 1 / 8
    assert abs(table.mean()) < 0.02
    assert not any(part.any() for part in start.values())


# The law


@given(
    junk=st.sampled_from([0.0, 1.0]),
    hidden=st.integers(0, 2**16),
    weighted=st.booleans(),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_labeled_cells_alone_train_the_model(junk, hidden, weighted):
    rng = np.random.default_rng(hidden)
    full = np.where(np.isnan(Y), junk, Y)
    known = ~np.isnan(Y) & (rng.random(Y.shape) < 0.8)
    weight = rng.uniform(0.5, 2, Y.shape) if weighted else np.ones(Y.shape)
    batch = {"batch_size": -1, "max_epochs": 2, "lr": 1.0}
    batch |= {"optimizer": torch.optim.SGD, "callbacks": [Watch()]}
    model = classic(**batch).fit(
        CSR, np.where(known, full, np.nan), sample_weight=weight
    )
    module = Loop(Watch.seen[0])
    rows = {"indices": CSR.indices, "offsets": CSR.indptr[:-1], "weights": CSR.data}
    rows = {name: torch.from_numpy(part) for name, part in rows.items()}
    steps = torch.optim.SGD(module.parameters(), lr=1.0)
    for _ in range(2):
        loss = F.binary_cross_entropy_with_logits(
            module(**rows)[known],
            torch.from_numpy(full[known]).float(),
            weight=torch.from_numpy(weight[known]).float(),
            reduction="sum",
        )
        steps.zero_grad()
        (loss / weight[known].sum()).backward()
        steps.step()
    want = module(**rows).detach().numpy()
    np.testing.assert_allclose(model.decision_function(CSR), want, atol=1e-5)


# Rows


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("optimizer", [None, LazyAdam, RowWiseAdagrad])
def test_arrays_and_sparse_rows_give_the_same(mode, optimizer):
    params = {"optimizer": optimizer, "net_params": {"module__mode": mode}}
    # A row optimizer leaves rows without a gradient alone: Adam's averages move there.
    params["max_epochs"] = 1 if optimizer is LazyAdam else 4
    params["batch_size"] = -1
    one, two = (classic(**params).fit(kind(X), Y) for kind in (np.array, sp.csr_array))
    for rows in (X, CSR):
        np.testing.assert_allclose(
            one.decision_function(rows), two.decision_function(rows), atol=1e-5
        )
    cells = np.arange(N), np.arange(N) % LABELS
    got = one.decision_function_cells(CSR, *cells)
    np.testing.assert_allclose(got, one.decision_function(X)[cells], atol=1e-5)


def test_mean_weighs_the_embeddings_of_a_rows_features():
    counts = np.floor(3 * X).astype(np.float32)
    model = classic(net_params={"module__mode": "mean"}).fit(counts, Y)
    module = model.net_.module_
    table, output = module.embedding.detach().numpy(), module.output
    tokens = [np.repeat(np.arange(M), row.astype(int)) for row in counts]
    hidden = [table[of].mean(axis=0) if len(of) else np.zeros(8) for of in tokens]
    weight, bias = (part.detach().numpy() for part in output.parameters())
    want = np.stack(hidden) @ weight.T + bias
    for rows in (counts, sp.csr_matrix(counts)):
        np.testing.assert_allclose(model.decision_function(rows), want, atol=1e-5)


def test_embedding_dim_is_the_width_of_the_embedding():
    assert classic(embedding_dim=3).fit(CSR, Y).net_.module_.embedding.shape == (M, 3)


def test_images_are_refused():
    with pytest.raises(ValueError, match="Found array with dim 3"):
        classic().fit(X.reshape(N, 8, 5), Y)


# What every model of the estimator can do


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"unlabeled_weight": 0.2},
        {"pos_weight": "balanced", "reduction": "label", "label_smoothing": 0.1},
        {"label_weight": [1.0, 2.0, 1.0, 3.0, 0.0]},
        {"optimizer": torch.optim.LBFGS, "lr": 0.5, "batch_size": -1},
        {"net_params": {"iterator_train__fixed": True}},
    ],
    ids=lambda params: next(iter(params)),
)
def test_settings_of_the_training_count(params):
    model = classic(**{"lr": 0.1, "max_epochs": 20, **params}).fit(CSR, Y)
    assert model.score(CSR, Y) > 0.8
    plain = classic(lr=0.1, max_epochs=20).fit(CSR, Y)
    assert not np.array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_partial_fit_and_warm_start_go_on():
    model = classic(max_epochs=1).fit(CSR, Y)
    other = pickle.loads(pickle.dumps(model)).partial_fit(CSR, Y)
    model.set_params(warm_start=True).fit(CSR, Y)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))
    losses = [epoch["train_loss"] for epoch in model.history_]
    assert len(losses) == 2 and losses[1] < losses[0]
    with pytest.raises(ValueError, match="^`embedding_dim` must stay as it was in"):
        model.set_params(embedding_dim=9).fit(CSR, Y)
    with pytest.raises(ValueError, match="^`module` must stay as it was in the first"):
        other.set_params(module=None).partial_fit(CSR, Y)


def test_names_and_a_label_without_cells():
    names = [f"topic {label}" for label in range(LABELS)]
    labels = np.where(np.arange(LABELS) == 2, np.nan, Y)
    labels = MaskedLabels.from_dense(labels).with_label_names(names)
    with pytest.warns(UserWarning, match="No cell is labeled of label topic 2: "):
        model = classic().fit(CSR, labels)
    assert model.label_names_.tolist() == names
    rate = labels.n_positive.sum() / labels.n_cells
    np.testing.assert_allclose(model.predict_proba(X)[:, 2], rate)


def test_positives_of_a_full_matrix_train_it_as_the_matrix_does():
    full = np.nan_to_num(Y)
    positives = MaskedLabels.from_sparse(sp.csr_matrix(full), implicit="negative")
    one, two = (classic().fit(CSR, labels) for labels in (full, positives))
    np.testing.assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-6)


def test_two_classes_in_one_dimension():
    y = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
    model = classic(max_epochs=100, lr=0.05).fit(X, y)
    assert model.predict_proba(X).shape == (N, 2)
    assert (model.predict(X) == y).mean() > 0.95


def test_a_saved_net_makes_no_class_that_is_not_ours():
    net = classic(max_epochs=1).fit(CSR, Y).net_
    state = net.__getstate__()
    assert "module_" not in state and state["module"] == "EmbeddingBagModule"
    with pytest.raises(ValueError, match="'Linear'"):
        object.__new__(type(net)).__setstate__({**state, "module": "Linear"})


# Errors


@pytest.mark.parametrize("name", ["fasttext", "embeddingbag", ""])
def test_a_module_of_another_name_is_refused(name):
    with pytest.raises(ValueError, match="'module' parameter .*'embedding_bag'"):
        MaskedMultiLabelClassifier(module=name).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "named"),
    [
        (
            {"shared_weight": 0.5},
            "`shared_weight` accepts 'auto' alone with the classic model",
        ),
        ({"C": 1.0}, "`C` accepts 'auto' alone with the classic model"),
        (
            {"net_params": {"module__embedding_dim": 3}},
            "`module__embedding_dim` accepts nothing with the classic model",
        ),
        ({"net_params": {"module__mode": "max"}}, "`module__mode` accepts one of"),
    ],
)
def test_parameters_that_it_does_not_read_raise(params, named):
    with pytest.raises(ValueError, match=f"^{named}"):
        classic(**params).fit(CSR, Y)


def test_the_module_alone_takes_both_kinds_of_rows():
    module = EmbeddingBagModule(M, LABELS, embedding_dim=4)
    nn.init.normal_(module.output.weight)
    bags = {"indices": CSR.indices, "offsets": CSR.indptr[:-1], "weights": CSR.data}
    bags = {name: torch.from_numpy(part) for name, part in bags.items()}
    torch.testing.assert_close(module(**bags), module(torch.from_numpy(X)))
