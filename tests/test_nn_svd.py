"""The singular vectors that the embedding starts from, against numpy's."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from nn_problems import (
    CPU,
    DEVICES,
)

from sklearn_masked.nn.model._scaling import (
    document_frequency,
    inverse_document_frequency,
)
from sklearn_masked.nn.model._svd import _krylov, singular_directions


@pytest.mark.parametrize("device", DEVICES)
def test_directions_equal_the_singular_vectors(device):
    rng = np.random.default_rng(4)
    signal = rng.normal(size=(200, 4)) @ (
        rng.normal(size=(4, 25)) * [[9], [6], [4], [3]]
    )
    X = sp.csr_array((signal + 0.1 * rng.normal(size=(200, 25))).astype(np.float32))
    columns, vectors = singular_directions(X, 4, torch.device(device))
    idf = inverse_document_frequency(document_frequency(X), 200)
    _, _, Vt = np.linalg.svd(X.toarray() * idf, full_matrices=False)
    got = vectors.cpu().numpy() / idf[columns, None]
    overlap = np.abs(Vt[:4] @ got)
    np.testing.assert_allclose(overlap, np.eye(4), atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (2, 50), (6, 4)])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
def test_directions_of_little_data_are_finite(shape, zero, sparse):
    X = np.zeros(shape, np.float32) if zero else np.ones(shape, np.float32)
    X = sp.csr_array(X) if sparse else X
    columns, vectors = singular_directions(X, 100, CPU)
    assert torch.isfinite(vectors).all()
    assert vectors.shape == (len(columns), min(100, shape[0], len(columns)))


@pytest.mark.parametrize("ratio", [0.9, 0.2])
def test_directions_are_orthonormal_however_fast_they_decay(ratio):
    rng = np.random.default_rng(5)
    V, _ = np.linalg.qr(rng.normal(size=(300, 300)))
    gram = torch.from_numpy((V * ratio ** (2.0 * np.arange(300))) @ V.T).float()
    torch.manual_seed(1)
    # Later blocks lose nearly all that they have to the basis before them.
    got = _krylov(lambda table: gram @ table, 300, 24, CPU).double().numpy()
    got = got[:, np.linalg.norm(got, axis=0) > 0.5]
    np.testing.assert_allclose(got.T @ got, np.eye(got.shape[1]), atol=1e-5)
    np.testing.assert_allclose(np.abs(V[:, :3].T @ got[:, :3]), np.eye(3), atol=1e-2)


_SPECTRA = {
    "one large": np.append(1e4, np.ones(799)),
    "some large": np.append([1e4, 1e3, 1e2], np.arange(1, 798) ** -0.3),
    "fast": 0.9 ** np.arange(800),
    "low rank": np.append(np.linspace(2, 1, 150), np.zeros(650)),
    "steps": np.repeat([8.0, 4.0, 2.0, 1.0], 200),
}


@pytest.mark.parametrize("dim", [64, 200])
@pytest.mark.parametrize("spectrum", _SPECTRA)
def test_directions_are_orthonormal_whatever_the_spectrum(spectrum, dim):
    rng = np.random.default_rng(8)
    values = _SPECTRA[spectrum]
    V, _ = np.linalg.qr(rng.normal(size=(800, 800)))
    X = torch.from_numpy((V * values).T).float()
    torch.manual_seed(1)
    got = _krylov(lambda table: X.T @ (X @ table), 800, dim, CPU).double().numpy()
    found = got[:, np.linalg.norm(got, axis=0) > 0.5]
    np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-5)
    # The first three may hide the others, and single precision what is far smaller.
    square = np.square(X.double().numpy() @ found).sum(0)
    got, best = square[3:].sum(), np.square(values[3:dim]).sum()
    slack = 1e-6 * values[0] ** 2
    least = 0.96 if spectrum == "steps" else 0.9999
    assert least * best - slack <= got <= 1.0001 * best + slack


@pytest.mark.parametrize("large", [[100.0], [300.0, 30.0]])
def test_blocks_that_lost_directions_still_span_the_whole_space(large):
    # A few large values hide the others in the first images; the basis is square.
    rng = np.random.default_rng(8)
    values = np.append(large, np.arange(1, 257 - len(large)) ** -0.5)
    V, _ = np.linalg.qr(rng.normal(size=(256, 256)))
    X = torch.from_numpy((V * values).T).float()
    torch.manual_seed(1)
    got = _krylov(lambda table: X.T @ (X @ table), 256, 64, CPU).double().numpy()
    square = np.square(X.double().numpy() @ got).sum(0)[len(large) :].sum()
    assert square == pytest.approx(np.square(values[len(large) : 64]).sum(), rel=5e-3)


def test_directions_stay_apart_over_many_blocks():
    # What a block has inside the basis before it, by rounding, grows with each block.
    rng = np.random.default_rng(6)
    X = (rng.random((1500, 1024)) < 0.2).astype(float)
    gram = torch.from_numpy((X.T @ X).astype(np.float32))
    torch.manual_seed(1)
    got = _krylov(lambda table: gram @ table, 1024, 200, CPU).double().numpy()
    np.testing.assert_allclose(got.T @ got, np.eye(200), atol=1e-5)
    best = np.linalg.svd(X, compute_uv=False)[:200]
    assert np.square(X @ got).sum() > 0.9999 * np.square(best).sum()


@pytest.mark.parametrize("kind", ["equal", "two sizes", "one large"])
def test_no_direction_is_missing_where_singular_values_are_equal(kind):
    rng = np.random.default_rng(7)
    columns = np.repeat(np.arange(200), 2 if kind == "equal" else 1)
    columns = np.append(columns, np.arange(100 if kind == "two sizes" else 0))
    X = np.eye(200)[columns]
    if kind == "one large":
        X = (rng.random((400, 200)) < 0.02).astype(float)
        X[:, 0] *= 1000
    gram = torch.from_numpy(X.T @ X).float()
    torch.manual_seed(1)
    got = _krylov(lambda table: gram @ table, 200, 40, CPU).double().numpy()
    np.testing.assert_allclose(got.T @ got, np.eye(40), atol=1e-5)
    best = np.linalg.svd(X, compute_uv=False)[:40]
    assert np.square(X @ got).sum() > 0.98 * np.square(best).sum()
