"""A CSR whose arrays lie on disk is fitted as one in memory, and never read at once."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier import _data
from sklearn_masked.nn.sdca import _batches, _solver

PARTS = "data", "indices", "indptr"


def rows(n_rows=120, n_features=60):
    rng = np.random.default_rng(0)
    half = sp.random(n_rows // 2, n_features, 0.1, "csr", np.float32, rng)
    X = sp.csr_matrix(sp.vstack([half, half]))  # each row twice, blocks apart
    y = np.where(rng.random((n_rows, 3)) < 0.5, np.nan, X[:, :3].toarray() > 0)
    return X, y


@pytest.fixture
def mapped(tmp_path):
    """Return a function that puts a CSR on the disk and opens it, read-only."""

    def put(X):
        for name in PARTS:
            np.save(tmp_path / f"{name}.npy", getattr(X, name))
        arrays = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in PARTS]
        return sp.csr_matrix(tuple(arrays), shape=X.shape, copy=False)

    return put


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_mapped_rows_give_the_model_of_rows_in_memory(mapped, call):
    X, y = rows()
    on_disk = mapped(X)
    want, got = (
        getattr(MaskedMultiLabelClassifier(random_state=0), call)(some, y)
        for some in (X, on_disk)
    )
    np.testing.assert_array_equal(got.predict_proba(on_disk), want.predict_proba(X))


def test_a_fit_keeps_mapped_rows_where_they_are(mapped):
    X, y = rows()
    on_disk = mapped(X)
    model = MaskedMultiLabelClassifier(random_state=0)
    taken = model._check_X(on_disk, reset=True)
    for name in PARTS[:2]:
        assert np.shares_memory(getattr(taken, name), getattr(on_disk, name))


def test_equal_rows_are_sought_in_blocks(mapped, monkeypatch):
    X, _ = rows()
    order = np.arange(X.shape[0])
    whole = _batches.grouped_permutation(X, order, np.random.default_rng(1))
    sizes, digests = [], _batches.row_digests

    def watched(X):
        sizes.append(X.nnz)
        return digests(X)

    monkeypatch.setattr(_batches, "row_digests", watched)
    monkeypatch.setattr(_batches, "_NUMBERS", 50)
    blocks = _batches.grouped_permutation(mapped(X), order, np.random.default_rng(1))
    for got, want in zip(blocks, whole, strict=True):
        np.testing.assert_array_equal(got, want)
    assert max(sizes) < X.nnz / 4


def test_rows_whose_embedding_is_not_kept_are_never_read_in_one_batch(monkeypatch):
    X, y = rows()
    n_numbers = X.shape[0] * 5 // 2
    monkeypatch.setattr(_data, "SIZES", _data.AutoSizes(joint_numbers=n_numbers))
    settings = dataclasses.replace(_solver.SETTINGS, cache=n_numbers, block=16)
    monkeypatch.setattr(_solver, "SETTINGS", settings)
    sizes, embed = [], _batches.RowCache._embed

    def watched(cache, rows):
        sizes.append(rows.stop - rows.start)
        return embed(cache, rows)

    monkeypatch.setattr(_batches.RowCache, "_embed", watched)
    model = MaskedMultiLabelClassifier(embedding_dim=5, C=1, random_state=0).fit(X, y)
    assert model.auto_params_["batch_size"] < X.shape[0] / 4
    assert max(sizes) < X.shape[0] / 4
