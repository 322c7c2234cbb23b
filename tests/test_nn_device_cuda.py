"""What only a GPU can show: the same results, steps that wait for nothing, pickles.

Without CUDA all of it is skipped; the same code runs on the CPU in the other tests.
"""

import gc
import importlib.util
import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier._data import make_targets
from sklearn_masked.labels import check_labels
from sklearn_masked.metrics import masked_roc_auc_score
from sklearn_masked.nn import EmbeddingBagModule, RowWiseAdagrad, SparseSGD
from sklearn_masked.nn._batches import BatchIterator, CellDataset
from sklearn_masked.nn._sparse import embedding_bag
from sklearn_masked.nn.device import _kernels as kernels
from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.sdca import SDCADataset, SDCASolver
from sklearn_masked.nn.sgd import _prefetch as prefetch
from sklearn_masked.nn.sgd._data import DeviceDataset
from sklearn_masked.nn.sgd._net import MaskedNet
from sklearn_masked.nn.sgd._prefetch import PrefetchDataset

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device on this machine"
)
DEVICE = "cuda"
N, M, LABELS = 1500, 400, 6


class Bags(torch.nn.Module):
    sparse_gradients = False

    def __init__(self, n_features, n_labels):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(n_features, 16) * 0.1)
        self.output = torch.nn.Linear(16, n_labels)

    def forward(self, indices, offsets, weights):
        return self.output(
            embedding_bag(self.table, indices, offsets, weights, self.sparse_gradients)
        )


class TorchBags(Bags):
    def __init__(self, n_features, n_labels):
        super().__init__(n_features, n_labels)
        self.table = None
        self.bag = torch.nn.EmbeddingBag(n_features, 16, mode="sum")

    def forward(self, indices, offsets, weights):
        return self.output(self.bag(indices, offsets, weights))


class Linear(torch.nn.Linear):
    def __init__(self, n_features, n_labels):
        super().__init__(n_features, n_labels)


@pytest.fixture(scope="module")
def problem():
    """Sparse rows, labels that follow them, and 40 % of the cells labeled."""
    rng = np.random.default_rng(0)
    X = rng.random((2 * N, M)) * (rng.random((2 * N, M)) < 0.05)
    X[:, 3] = 1
    secret = X @ rng.normal(size=(M, LABELS))
    y = (secret > np.median(secret, axis=0)).astype(float)
    y[rng.random(y.shape) < 0.6] = np.nan
    return sp.csr_matrix(X.astype(np.float32)), y


def dataset(problem, *, dense=False, densify=False):
    X, y = problem
    X = X[:N].toarray() if densify else X[:N]
    return CellDataset(X, make_targets(check_labels(y[:N]), None), dense=dense)


# Steps


STEPS = {
    "row-wise Adagrad": (Bags, RowWiseAdagrad, {}),
    "momentum": (Bags, SparseSGD, {"optimizer__momentum": 0.9}),
    "Adam": (Bags, torch.optim.Adam, {}),
    "torch's bags": (TorchBags, torch.optim.SGD, {}),
    "default model": (
        DirectSharedModule,
        torch.optim.Adam,
        {"module__direct": "dense"},
    ),
    "dense targets": (
        Bags,
        torch.optim.Adam,
        {"criterion__unlabeled_weight": 0.1},
    ),
    "dense rows": (Linear, torch.optim.SGD, {}),
    "classic": (EmbeddingBagModule, torch.optim.Adam, {"optimizer__fused": True}),
    "classic, mean": (EmbeddingBagModule, RowWiseAdagrad, {"module__mode": "mean"}),
}


def net_of(name, X):
    module, optimizer, params = STEPS[name]
    net = MaskedNet(
        module,
        optimizer=optimizer,
        module__n_features=M,
        module__n_labels=LABELS,
        lr=0.01,
        device=DEVICE,
        callbacks="disable",
        **params,
    ).initialize()
    net.n_labels = LABELS
    if module is DirectSharedModule:
        net.module_.init_from_data(X)
        net.initialize_optimizer()
    return net


@pytest.mark.parametrize("name", STEPS)
def test_no_step_waits_for_the_device(name, problem):
    data = dataset(problem, dense=name == "dense targets", densify=name == "dense rows")
    net = net_of(name, problem[0])
    placed = DeviceDataset(data, DEVICE)
    parts = np.array_split(np.arange(len(data)), 5)
    first, *others = list(placed.epoch(parts))
    net.train_step(first)  # makes the group's transposes, and the optimizer's state
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = [net.train_step(batch)["loss"].detach() for batch in others]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(losses).isfinite().all()


@pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [1, 64, 100, 256, 1000])
def test_triton_kernels_are_right_and_chosen(dtype, width):
    table = torch.zeros(3, width, dtype=dtype, device=DEVICE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.for_table(table) is not None


@pytest.mark.parametrize("triton", [False, True])
def test_steps_on_both_devices_lead_to_the_same_table(triton, problem, monkeypatch):
    if not triton:
        monkeypatch.setattr(kernels, "for_table", lambda table: None)
    data = dataset(problem)
    parts = np.array_split(np.random.default_rng(0).permutation(len(data)), 7)
    tables = []
    for placed, device in (
        (data, "cpu"),
        (DeviceDataset(data, DEVICE), DEVICE),
        (DeviceDataset(data, DEVICE), DEVICE),
    ):
        start = torch.randn(M, 16, generator=torch.Generator().manual_seed(0))
        table = torch.nn.Parameter(start.to(device))
        optimizer = RowWiseAdagrad([table], lr=0.1)
        for inputs, _ in placed.epoch(parts):
            optimizer.zero_grad()
            embedding_bag(table, **inputs, sparse="blocks").tanh().sum().backward()
            optimizer.step()
        tables.append(table.detach().cpu())
    assert torch.equal(tables[1], tables[2])  # bit by bit
    torch.testing.assert_close(tables[1], tables[0], rtol=1e-4, atol=1e-4)


def test_dual_steps_on_both_devices_agree(problem):
    X, y = problem
    targets = make_targets(check_labels(y[:N]), None)
    rows = targets.labeled_rows()
    found = []
    for direct in ("dense", "pairs"):
        for device in ("cpu", DEVICE):
            module = DirectSharedModule(M, LABELS, 20, direct=direct)
            torch.manual_seed(0)
            module.init_from_data(X[:N])
            module.to(device)
            cells = np.ones(len(targets.indices)), targets.values.astype(float)
            generator = np.random.default_rng(0)
            data = SDCADataset(X[:N], targets, rows, *cells, generator=generator)
            trainer = SDCASolver(module, data, 3.0)
            for _ in range(4):
                for cells in data.batches(200):
                    trainer.step(cells)
                trainer.end_epoch()
            found.append(trainer.alpha.cpu())
        # The steps of Newton's method are fewer on a device: see `_block_newton`.
        torch.testing.assert_close(found[-1], found[-2], rtol=0.05, atol=0.02)


# Data


@pytest.mark.parametrize("dense", [False, True])
def test_batches_sent_ahead_arrive_before_they_are_read(dense, problem):
    data = dataset(problem, dense=dense)
    placed = PrefetchDataset(data, DEVICE)
    placed.transposes = not dense
    table = torch.randn(M, 16, device=DEVICE, requires_grad=True)
    busy = torch.randn(2000, 2000, device=DEVICE)
    params = {"batch_size": 64, "shuffle": True}
    got, want = (
        BatchIterator(each, generator=np.random.default_rng(1), **params)
        for each in (placed, data)
    )
    sums = []
    for inputs, target in got:
        busy = (busy @ busy).tanh()  # the device lags behind
        table.grad = None
        embedding_bag(table, **inputs).sum().backward()
        sums.append((inputs, target, table.grad.to_dense()))
    host = table.detach().cpu().requires_grad_()
    for (inputs, target, gradient), (other, cells) in zip(sums, want, strict=True):
        for name, tensor in other.items():
            assert torch.equal(inputs[name].cpu(), tensor.to(inputs[name].dtype))
        for one, two in zip(target[:2], cells[:2], strict=True):
            if two is not None:
                torch.testing.assert_close(one.cpu(), two, equal_nan=True)
        host.grad = None
        embedding_bag(host, **other).sum().backward()
        torch.testing.assert_close(gradient.cpu(), host.grad.to_dense())


FITS = {
    "default": {},
    "default, more labels": {"embedding_dim": 30, "early_stopping": True},
    "Adam": {"optimizer": torch.optim.Adam, "max_epochs": 8},
    "bags": {"module": Bags, "optimizer": RowWiseAdagrad, "lr": 0.1},
    "sgd": {"module": Bags, "optimizer": SparseSGD, "lr": 2.0, "max_epochs": 20},
    "fixed": {
        "module": Bags,
        "optimizer": RowWiseAdagrad,
        "lr": 0.1,
        "net_params": {"iterator_train__fixed": True},
    },
    "torch": {"module": TorchBags, "optimizer": torch.optim.Adam, "lr": 0.05},
    "classic": {"module": "embedding_bag"},
    "classic, mean": {
        "module": "embedding_bag",
        "optimizer": RowWiseAdagrad,
        "lr": 0.1,
        "net_params": {"module__mode": "mean"},
    },
}


@pytest.mark.parametrize("room", [True, False], ids=["on the device", "sent ahead"])
@pytest.mark.parametrize("densify", [False, True], ids=["sparse", "dense"])
@pytest.mark.parametrize("name", FITS)
def test_fits_on_both_devices_agree(name, densify, room, problem, monkeypatch):
    params, (X, y) = FITS[name], problem
    if densify:
        if params.get("module") in (Bags, TorchBags):
            pytest.skip("bags take sparse rows")
        X = X.toarray()
    if not room:
        monkeypatch.setattr(prefetch, "free_memory", lambda device: 0)
    scores = []
    for device in ("cpu", DEVICE):
        model = MaskedMultiLabelClassifier(random_state=0, device=device, **params)
        model.fit(X[:N], y[:N])
        scores.append(masked_roc_auc_score(y[N:], model.decision_function(X[N:])))
    assert scores[0] > 0.6
    assert scores[1] == pytest.approx(scores[0], abs=0.002)


@pytest.mark.parametrize("name", ["default", "bags", "classic"])
def test_a_fit_leaves_no_rows_on_the_device(name, problem):
    X, y = problem
    model = MaskedMultiLabelClassifier(random_state=0, device=DEVICE, **FITS[name])
    clone(model).fit(X[:N], y[:N])  # what libraries keep is there from here on
    gc.collect()
    before = torch.cuda.memory_allocated()
    model.fit(X[:N], y[:N])
    gc.collect()
    module, optimizer = model.net_.module_, model.net_.optimizer_
    own = [*module.parameters(), *module.buffers()]
    for state in optimizer.state.values():
        own += [value for value in state.values() if torch.is_tensor(value)]
    kept = sum(-(-tensor.nbytes // 512) * 512 for tensor in own)
    assert torch.cuda.memory_allocated() - before <= kept + X[:N].data.nbytes // 4


# Pickles


@pytest.mark.parametrize("name", ["default", "bags", "classic"])
def test_models_of_a_gpu_load_where_there_is_none(name, problem, monkeypatch):
    X, y = problem
    model = MaskedMultiLabelClassifier(random_state=0, **FITS[name]).fit(X[:N], y[:N])
    assert next(model.net_.module_.parameters()).is_cuda
    want = model.decision_function(X[N:])
    data = pickle.dumps(model)
    again = pickle.loads(data)
    assert next(again.net_.module_.parameters()).is_cuda
    np.testing.assert_array_equal(again.decision_function(X[N:]), want)
    again.partial_fit(X[N:], y[N:])  # its optimizer is there too
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(data)
    assert not next(loaded.net_.module_.parameters()).is_cuda
    got = loaded.decision_function(X[N:])
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)
