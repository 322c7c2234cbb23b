"""Data on a device: the batches of the host, bit by bit, and their transposes.

All of it runs on the CPU too, by the same code; what needs CUDA is in
`test_nn_device_cuda.py`.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.nn import RowWiseAdagrad, SparseSGD
from sklearn_masked.nn import _sparse as sparse_module
from sklearn_masked.nn._batches import BatchIterator, CellDataset, CellTargets
from sklearn_masked.nn._sparse import BagGradient, embedding_bag
from sklearn_masked.nn.device import _transpose as transpose
from sklearn_masked.nn.sdca import SDCADataset
from sklearn_masked.nn.sgd import _net as net_module
from sklearn_masked.nn.sgd import _prefetch as prefetch
from sklearn_masked.nn.sgd._data import DeviceDataset
from sklearn_masked.nn.sgd._prefetch import PrefetchDataset, bytes_needed, place

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no CUDA device on this machine"
        ),
    ),
]
N, M, LABELS = 37, 23, 5


def random_rows(kind, rng):
    if kind == "dense":
        return rng.normal(size=(N, M)).astype(np.float32)
    if kind == "images":
        return rng.normal(size=(N, 2, 3, 4)).astype(np.float32)
    X = rng.normal(size=(N, M)) * (rng.random((N, M)) < 0.3)
    X[:, 4] = 1.5  # a column in every row
    X[[2, 9, N - 1]] = 0  # empty rows
    X = sp.csr_matrix(X.astype(np.float32))
    index = np.int64 if kind == "long" else np.int32
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def random_targets(rng, fill="unlabeled", weights=False, sample_weight=None):
    stored = rng.random((N, LABELS)) < 0.4
    stored[[0, 5, 6]] = False
    rows, cols = np.nonzero(stored)
    low = -1 if fill == "negative" else 0
    return CellTargets(
        np.append(0, np.cumsum(stored.sum(1))),
        cols.astype(np.int32),
        rng.choice(np.array([low, 1], np.int8), len(rows)),
        LABELS,
        weights=rng.uniform(0.5, 2, len(rows)) if weights else None,
        fill=fill,
        sample_weight={
            None: None,
            "rows": rng.uniform(0.5, 2, N),
            "cells": rng.uniform(0.5, 2, (N, LABELS)),
        }[sample_weight],
    )


def tensors_of(batch):
    """Every tensor, and number, of a batch by its name."""
    inputs, target = batch
    parts = dict(inputs) if isinstance(inputs, dict) else {"X": inputs}
    # The number of cells is known on the way to a device alone.
    parts.update({k: v for k, v in target._asdict().items() if k != "n_cells"})
    return {k: v.cpu() if torch.is_tensor(v) else v for k, v in parts.items()}


def assert_same_batches(got, want):
    for one, other in itertools.zip_longest(got, want):
        one, other = tensors_of(one), tensors_of(other)
        assert one.keys() == other.keys()
        for name, value in other.items():
            if torch.is_tensor(value):
                if name in ("indices", "offsets"):  # scipy narrows them as it likes
                    value = value.to(one[name].dtype)
                assert one[name].dtype == value.dtype, name
                assert one[name].shape == value.shape, name
                torch.testing.assert_close(
                    one[name], value, rtol=0, atol=0, equal_nan=True
                )
            else:
                assert one[name] == value, name


def iterators(data, placed, **params):
    """The same pass through two datasets."""
    return (
        BatchIterator(each, generator=np.random.default_rng(3), **params)
        for each in (placed, data)
    )


# Batches


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("group_entries", [1, 60, 1 << 24])
@pytest.mark.parametrize("kind", ["sparse", "long", "dense", "images"])
def test_batches_on_a_device_are_those_of_the_host(kind, group_entries, device):
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows(kind, rng), random_targets(rng))
    placed = DeviceDataset(data, device, group_entries)
    assert len(placed) == len(data)
    got, want = iterators(data, placed, batch_size=8, shuffle=True)
    for _ in range(3):
        assert_same_batches(got, want)
    assert_same_batches([placed[3], placed[[7, 1]]], [data[3], data[[7, 1]]])


TARGETS = {
    "cells": {},
    "weights": {"weights": True},
    "rows weigh": {"weights": True, "sample_weight": "rows"},
    "cells weigh": {"sample_weight": "cells"},
    "negative": {"fill": "negative"},
    "negative, weights": {"fill": "negative", "weights": True, "sample_weight": "rows"},
    "negative, cells weigh": {"fill": "negative", "sample_weight": "cells"},
}


@pytest.mark.parametrize("make", [DeviceDataset, PrefetchDataset])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_targets_on_a_device_are_those_of_the_host(name, dense, device, make):
    rng = np.random.default_rng(1)
    X, targets = random_rows("sparse", rng), random_targets(rng, **TARGETS[name])
    data = CellDataset(X, targets, dense=dense)
    placed = make(data, device)
    got, want = iterators(data, placed, batch_size=7, shuffle=True)
    assert_same_batches(got, want)
    for one, other in zip(*iterators(data, placed, batch_size=7), strict=True):
        assert net_module._n_cells(one[1]) == net_module._n_cells(other[1])


@pytest.mark.parametrize("make", [DeviceDataset, PrefetchDataset])
@pytest.mark.parametrize("batch_size", [1, 5, -1])
def test_some_rows_in_any_batch_size(batch_size, make):
    rng = np.random.default_rng(2)
    X, targets = random_rows("sparse", rng), random_targets(rng, weights=True)
    data = CellDataset(X, targets, rows=np.array([8, 2, 9, 36, 3, 4, 0]))
    got, want = iterators(data, make(data, "cpu"), batch_size=batch_size)
    assert_same_batches(got, want)


@pytest.mark.parametrize("make", [DeviceDataset, PrefetchDataset])
def test_fixed_batches_on_a_device(make):
    rng = np.random.default_rng(2)
    data = CellDataset(random_rows("sparse", rng), random_targets(rng))
    placed = make(data, "cpu")
    got, want = iterators(data, placed, batch_size=6, shuffle=True, fixed=True)
    for _ in range(3):
        assert_same_batches(got, want)
    assert bool(got._kept) == (make is DeviceDataset)


@pytest.mark.parametrize("kind", ["sparse", "dense"])
@pytest.mark.parametrize("make", [DeviceDataset, PrefetchDataset])
def test_no_rows_give_no_batches(make, kind):
    rng = np.random.default_rng(2)
    data = CellDataset(
        random_rows(kind, rng), random_targets(rng), rows=np.empty(0, np.int64)
    )
    assert list(BatchIterator(make(data, "cpu"), 4)) == []


def test_rows_without_entries_or_cells():
    rng = np.random.default_rng(2)
    X = sp.csr_matrix((N, M), dtype=np.float32)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    data = CellDataset(X, random_targets(rng), rows=np.array([0, 5, 6, 1]))
    got, want = iterators(data, DeviceDataset(data, "cpu"), batch_size=3)
    assert_same_batches(got, want)


def test_read_only_memory_maps_are_placed(tmp_path):
    rng = np.random.default_rng(2)
    np.save(tmp_path / "X.npy", random_rows("dense", rng))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    data = CellDataset(X, random_targets(rng))
    got, want = iterators(data, DeviceDataset(data, "cpu"), batch_size=5)
    assert_same_batches(got, want)


def test_large_uploads_go_in_blocks(monkeypatch):
    monkeypatch.setattr("sklearn_masked.nn.sgd._data._UPLOAD", 10)
    for kind in ("sparse", "images"):
        rng = np.random.default_rng(2)
        data = CellDataset(random_rows(kind, rng), random_targets(rng))
        got, want = iterators(data, DeviceDataset(data, "cpu"), batch_size=5)
        assert_same_batches(got, want)


# Where the data live


class FakeCuda:
    """A CUDA device of which only the free memory is known."""

    def __init__(self, monkeypatch, free):
        self.free = free
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda d: (self.free, 0))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda d: 0)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda d: 0)
        for name in ("DeviceDataset", "PrefetchDataset"):
            monkeypatch.setattr(prefetch, name, lambda *a, name=name: name)


@pytest.mark.parametrize("kind", ["sparse", "dense"])
def test_data_go_to_the_device_if_they_fit(kind, monkeypatch):
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows(kind, rng), random_targets(rng, weights=True))
    cuda = FakeCuda(monkeypatch, 1 << 40)
    assert place(data, "cuda", 8) == "DeviceDataset"
    cuda.free = int(bytes_needed(data, 8) / 0.6) + 2
    assert place(data, "cuda", 8) == "DeviceDataset"
    cuda.free -= 4
    assert place(data, "cuda", 8) == "PrefetchDataset"
    cuda.free = int(bytes_needed(data, 8) / 0.6) + 2
    # Batches that are kept need more.
    assert place(data, "cuda", 8, fixed=True) == "PrefetchDataset"
    assert place(data, "cpu", 8) is data
    assert place(data, torch.device("mps"), 8) is data


def test_bytes_needed_cover_the_tensors():
    rng = np.random.default_rng(0)
    for kind in ("sparse", "long", "dense", "images"):
        targets = random_targets(rng, weights=True)
        data = CellDataset(random_rows(kind, rng), targets)
        placed = DeviceDataset(data, "cpu")
        held = [placed.cells.starts, *placed.cells.arrays.values()]
        if placed.bags is None:
            held.append(placed.X)
        else:
            held += [placed.bags.starts, *placed.bags.arrays.values()]
        held = sum(tensor.nbytes for tensor in held)
        assert held <= bytes_needed(data, 8) <= held + 96 * (N * M + N * LABELS)


def test_batches_of_another_kind_stay_where_they_are(monkeypatch):
    FakeCuda(monkeypatch, 1 << 40)
    rng = np.random.default_rng(0)
    X, targets = random_rows("sparse", rng), random_targets(rng)
    slices = SDCADataset(X, targets, np.arange(N), None, None, generator=rng)
    assert place(slices, "cuda", 8) is slices


# Prefetch


def test_prefetch_goes_on_ahead_of_the_batch_that_is_computed():
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows("sparse", rng), random_targets(rng))
    asked = []
    batch = data.batch
    data.batch = lambda part: asked.append(len(part)) or batch(part)
    epoch = PrefetchDataset(data, "cpu").epoch([np.arange(k) for k in range(1, 7)])
    next(epoch)
    next(epoch)
    epoch.close()  # waits for those under way
    assert asked in ([1, 2, 3], [1, 2, 3, 4])


def test_an_error_in_the_prefetch_thread_reaches_the_loop():
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows("sparse", rng), random_targets(rng))
    epoch = PrefetchDataset(data, "cpu").epoch([np.arange(3), np.array([N])])
    next(epoch)
    with pytest.raises(IndexError, match="out of bounds"):
        next(epoch)


# Transposes


def assert_transposed(got, X):
    """The parts of a transpose against scipy's."""
    csc = X.tocsc()
    columns = np.flatnonzero(np.diff(csc.indptr))
    assert got.columns.tolist() == columns.tolist()
    assert got.columns.dtype == torch.int64
    starts = csc.indptr[columns]
    assert got.offsets.tolist() == starts.tolist()
    assert got.rows.tolist() == csc.indices.tolist()
    assert got.weights.tolist() == csc.data.tolist()
    # A chunk begins where a column does, and at each multiple of its size.
    cuts = np.arange(0, csc.nnz, transpose.CHUNK)
    chunks = np.union1d(starts, cuts)
    assert got.chunks.tolist() == chunks.tolist()
    of = np.searchsorted(starts, chunks, side="right") - 1
    assert got.chunk_columns.tolist() == of.tolist()
    assert got.first_chunks.tolist() == np.searchsorted(chunks, starts).tolist()


def bags_of(X, device="cpu"):
    return (
        torch.from_numpy(X.indices).to(device),
        torch.from_numpy(X.indptr[:-1]).to(device),
        torch.from_numpy(X.data).to(device),
    )


def sparse_rows(rng, n, m, density, index=np.int32):
    X = sp.random(n, m, density, random_state=rng, dtype=np.float32)
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=5),
    m=st.integers(1, 60),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    chunk=st.sampled_from([1, 3, 16]),
)
def test_transposes_of_several_batches_equal_scipy(seed, sizes, m, density, chunk):
    rng = np.random.default_rng(seed)
    batches = [sparse_rows(rng, n, m, density) for n in sizes]
    indices = np.concatenate([X.indices for X in batches])
    rows = [np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)) for X in batches]
    weights = np.concatenate([X.data for X in batches])
    bounds = np.append(0, np.cumsum([X.nnz for X in batches])).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transpose, "CHUNK", chunk)
        got = transpose.transpose_batches(
            torch.from_numpy(indices),
            torch.from_numpy(np.concatenate(rows).astype(np.int32)),
            torch.from_numpy(weights),
            bounds,
            m,
        )
        for one, X in zip(got, batches, strict=True):
            assert_transposed(one, X)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_keys_of_many_columns_do_not_overflow(index):
    rng = np.random.default_rng(0)
    m = 2**31 - 1
    indices = rng.integers(m - 5, m, 40).astype(index)
    weights = np.arange(40, dtype=np.float32)
    got = transpose.transpose_batches(
        torch.from_numpy(indices),
        torch.zeros(40, dtype=torch.int32),
        torch.from_numpy(weights),
        [0, 10, 40],
        m,
    )
    for one, part in zip(got, (slice(0, 10), slice(10, 40)), strict=True):
        assert one.columns.tolist() == np.unique(indices[part]).tolist()
        order = np.argsort(indices[part], kind="stable")
        assert one.weights.tolist() == weights[part][order].tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_single_transpose_equals_scipy(index, device):
    X = sparse_rows(np.random.default_rng(5), 300, 40, 0.2, index)
    got = transpose.transpose_on_device(*bags_of(X, device))
    assert_transposed(transpose.Transposed(*(part.cpu() for part in got)), X)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [1, 700])
def test_gradients_in_chunks_equal_the_dense_product(n, device):
    rng = np.random.default_rng(6)
    X = sparse_rows(rng, n, 30, 0.6).astype(np.float64)
    grad = torch.from_numpy(rng.normal(size=(n, 7))).to(device)
    want = X.T @ grad.cpu().numpy()
    parts = bags_of(X, device)
    gradient = BagGradient(transpose.transpose_on_device(*parts), grad)
    got = gradient.to_sparse((30, 7)).to_dense()
    np.testing.assert_allclose(got.cpu(), want, rtol=1e-12, atol=1e-12)
    (columns, values), *more = gradient.blocks()
    assert more == []
    np.testing.assert_allclose(
        values.cpu(), want[columns.cpu()], rtol=1e-12, atol=1e-12
    )
    whole = sparse_module._dense_gradient(grad, *parts, 30)
    np.testing.assert_allclose(whole.cpu(), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 5), (3, 5)])
def test_dense_gradient_of_nothing(shape):
    X = sp.csr_array(shape, dtype=np.float32)
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    grad = torch.ones(shape[0], 2)
    got = sparse_module._dense_gradient(grad, *bags_of(X), 5)
    assert torch.equal(got, torch.zeros(5, 2))


def gradient_of(inputs, table):
    table.grad = None
    embedding_bag(table, **inputs).square().sum().backward()
    return table.grad.to_dense()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [DeviceDataset, PrefetchDataset])
def test_placed_batches_find_their_transposes_ready(make, device, monkeypatch):
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows("sparse", rng), random_targets(rng))
    placed = make(data, device)
    table = torch.randn(M, 3, dtype=torch.float64, device=device, requires_grad=True)
    host = table.detach().cpu().requires_grad_()
    made = []
    for module, name in (
        ("data", "transpose_batches"),
        ("prefetch", "transpose_on_device"),
    ):
        name = f"sklearn_masked.nn.sgd._{module}.{name}"
        function = getattr(transpose, name.split(".")[-1])
        monkeypatch.setattr(name, lambda *a, f=function: made.append(0) or f(*a))
    for _ in range(2):
        got, want = iterators(data, placed, batch_size=9, shuffle=True)
        for (inputs, _), (other, _) in zip(got, want, strict=True):
            torch.testing.assert_close(
                gradient_of(inputs, table).cpu(), gradient_of(other, host)
            )
    # Once a pass for all batches of a group, or ahead for each batch.
    assert len(made) == (2 if make is DeviceDataset else 2 * len(want))


def test_groups_do_not_change_a_batch_transposed():
    rng = np.random.default_rng(0)
    data = CellDataset(random_rows("sparse", rng), random_targets(rng))
    parts = [np.arange(k, min(k + 5, len(data))) for k in range(0, len(data), 5)]

    def transposes(group_entries):
        placed = DeviceDataset(data, "cpu", group_entries)
        for inputs, _ in placed.epoch(parts):
            yield inputs["indices"].kept_transpose.get(**inputs)

    for one, other in zip(transposes(1), transposes(1 << 24), strict=True):
        for part, same in zip(one, other, strict=True):
            assert torch.equal(part, same)


# Whole trainings


class Bags(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(n_features, 6) * 0.1)
        self.output = torch.nn.Linear(6, n_labels)

    def forward(self, indices, offsets, weights):
        return self.output(
            embedding_bag(self.table, indices, offsets, weights, self.sparse_gradients)
        )

    sparse_gradients = False


class TorchBags(torch.nn.Module):
    def __init__(self, n_features, n_labels):
        super().__init__()
        self.bag = torch.nn.EmbeddingBag(n_features, 6, mode="sum")
        self.output = torch.nn.Linear(6, n_labels)

    def forward(self, indices, offsets, weights):
        return self.output(self.bag(indices, offsets, weights))


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(8)
    X = sparse_rows(rng, 90, 40, 0.2)
    y = np.where(rng.random((90, 4)) < 0.5, rng.integers(0, 2, (90, 4)), np.nan)
    return sp.csr_matrix(X), y


WAYS = {
    "device": lambda data, *_: DeviceDataset(data, "cpu", group_entries=200),
    "prefetch": lambda data, *_: PrefetchDataset(data, "cpu"),
}


def fitted(problem, **params):
    settings = {"max_epochs": 3, "batch_size": 16, "random_state": 0, "device": "cpu"}
    return MaskedMultiLabelClassifier(**settings | params).fit(*problem)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "params",
    [
        {"module": TorchBags},
        {"module": Bags, "optimizer": RowWiseAdagrad, "lr": 0.1},
        {"module": Bags, "optimizer": SparseSGD, "early_stopping": True},
        {"optimizer": torch.optim.Adam, "unlabeled_weight": 0.1},
        {"module": TorchBags, "net_params": {"iterator_train__fixed": True}},
    ],
    ids=str,
)
def test_fits_do_not_depend_on_where_the_data_are(way, params, problem, monkeypatch):
    want = fitted(problem, **params)
    monkeypatch.setattr(net_module, "place", WAYS[way])
    got = fitted(problem, **params)
    torch.testing.assert_close(
        torch.from_numpy(got.decision_function(problem[0])),
        torch.from_numpy(want.decision_function(problem[0])),
        rtol=1e-4,
        atol=1e-5,
    )
    for one, other in zip(got.history_, want.history_, strict=True):
        sizes = [batch.get("train_batch_size") for batch in one["batches"]]
        assert sizes == [batch.get("train_batch_size") for batch in other["batches"]]
        assert one["train_batch_count"] == other["train_batch_count"] > 1
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)


def test_implicit_negatives_train_from_a_device(problem, monkeypatch):
    X, y = problem
    sparse = sp.csr_matrix(np.nan_to_num(y, nan=-1).astype(np.int8))
    labels = MaskedLabels.from_sparse(sparse, implicit="negative")
    monkeypatch.setattr("sklearn_masked.classifier._data._MOST_CELLS", 1)
    want = fitted((X, labels), optimizer=torch.optim.Adam)
    monkeypatch.setattr(net_module, "place", WAYS["device"])
    got = fitted((X, labels), optimizer=torch.optim.Adam)
    np.testing.assert_array_equal(got.decision_function(X), want.decision_function(X))
