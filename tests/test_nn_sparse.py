"""The bag operator against X @ W, torch's own EmbeddingBag and gradcheck."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from sklearn_masked.nn._batches import bag_inputs
from sklearn_masked.nn._sparse import count_numbers, embedding_bag, transpose_batch

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no CUDA device on this machine"
        ),
    ),
]


def random_csr(rng, n=9, m=13, dtype=np.float32, index=np.int32):
    """A matrix with empty rows, a full column and an unused column."""
    dense = rng.normal(size=(n, m)) * (rng.random((n, m)) < 0.3)
    dense[:, 0] = rng.normal(size=n)
    dense[[1, n - 1]] = 0
    dense[:, 5] = 0
    X = sp.csr_matrix(dense.astype(dtype))
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def on(device, inputs):
    return {name: tensor.to(device) for name, tensor in inputs.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.05)],
)
def test_bag_and_gradient_equal_dense_product(device, index, dtype, tolerance):
    rng = np.random.default_rng(0)
    X = random_csr(rng, dtype=np.float64, index=index)
    table = torch.randn(13, 4, dtype=torch.float64).to(dtype)
    table = table.to(device).requires_grad_()
    inputs = on(device, bag_inputs(X))
    inputs["weights"] = inputs["weights"].to(dtype)
    H = embedding_bag(table, **inputs)
    upstream = torch.randn(H.shape, dtype=torch.float64).to(dtype).to(device)
    H.backward(upstream)
    want = X.toarray() @ table.detach().double().cpu().numpy()
    want_gradient = X.toarray().T @ upstream.double().cpu().numpy()
    np.testing.assert_allclose(
        H.detach().double().cpu(), want, rtol=tolerance, atol=tolerance
    )
    gradient = table.grad
    touched = np.unique(X.indices)
    assert gradient.is_sparse
    # torch drops the coalesced flag as it accumulates: the rows are unique still.
    assert gradient._indices()[0].cpu().tolist() == touched.tolist()
    np.testing.assert_allclose(
        gradient.to_dense().double().cpu(),
        want_gradient,
        rtol=tolerance,
        atol=tolerance,
    )


def test_bag_equals_torch_embedding_bag():
    rng = np.random.default_rng(1)
    inputs = bag_inputs(random_csr(rng))
    table = torch.randn(13, 4, requires_grad=True)
    again = table.detach().clone().requires_grad_()
    ours = embedding_bag(table, **inputs)
    theirs = torch.nn.functional.embedding_bag(
        inputs["indices"],
        again,
        inputs["offsets"],
        mode="sum",
        per_sample_weights=inputs["weights"],
    )
    assert torch.equal(ours, theirs)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    torch.testing.assert_close(table.grad.to_dense(), again.grad)


@pytest.mark.parametrize("device", DEVICES)
def test_bag_gradcheck(device):
    inputs = on(device, bag_inputs(random_csr(np.random.default_rng(2), dtype=float)))
    table = torch.randn(13, 2, dtype=torch.float64, device=device, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda W: embedding_bag(W, **inputs, sparse=False), (table,)
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [0, 3])
def test_bag_of_nothing(device, n):
    inputs = on(device, bag_inputs(sp.csr_matrix((n, 5), dtype=np.float32)))
    table = torch.randn(5, 2, device=device, requires_grad=True)
    H = embedding_bag(table, **inputs)
    H.sum().backward()
    assert H.shape == (n, 2)
    assert (H == 0).all()
    assert (table.grad.to_dense() == 0).all()


@pytest.mark.parametrize("device", DEVICES)
def test_transposed_batch_equals_scipy(device):
    X = random_csr(np.random.default_rng(3))
    got = transpose_batch(**on(device, bag_inputs(X)))
    columns, rows, starts, weights = (part.cpu().numpy() for part in got)
    csc = X.tocsc()
    assert columns.tolist() == np.unique(X.indices).tolist()
    for k, column in enumerate(columns):
        stop = starts[k + 1] if k + 1 < len(starts) else len(rows)
        own = slice(csc.indptr[column], csc.indptr[column + 1])
        assert rows[starts[k] : stop].tolist() == csc.indices[own].tolist()
        assert weights[starts[k] : stop].tolist() == csc.data[own].tolist()


def test_repeated_columns_add_up():
    table = torch.tensor([[1.0], [10.0]], requires_grad=True)
    H = embedding_bag(
        table, torch.tensor([1, 1, 0]), torch.tensor([0]), torch.tensor([1.0, 2.0, 3.0])
    )
    H.sum().backward()
    assert H.tolist() == [[33.0]]
    assert table.grad.to_dense().tolist() == [[3.0], [3.0]]


@pytest.mark.parametrize("block", [3, 1000])
def test_counts_in_parts_equal_counts_at_once(monkeypatch, block):
    monkeypatch.setattr("sklearn_masked.nn._sparse._BLOCK_NUMBERS", block)
    rng = np.random.default_rng(5)
    numbers = rng.integers(0, 6, 20).astype(np.int32)
    values = rng.normal(size=20).astype(np.float32)
    want = np.bincount(numbers, minlength=8)
    np.testing.assert_array_equal(count_numbers(numbers, 8), want)
    want = np.bincount(numbers, values.astype(float) ** 2, minlength=8)
    np.testing.assert_allclose(count_numbers(numbers, 8, values), want)
    assert count_numbers(numbers[:0], 2).tolist() == [0, 0]
