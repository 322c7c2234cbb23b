"""Scales of columns: against numpy's mean and standard deviation, in blocks."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.model._scaling import feature_scales
from sklearn_masked.nn.model._svd import singular_directions

CPU = torch.device("cpu")


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 40),
    m=st.integers(1, 9),
    block=st.integers(1, 50),
    power=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
def test_scales_of_an_array_are_those_of_numpy(seed, n, m, block, power):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)) * 10.0 ** rng.integers(-6, 6, m)
    X = (X + 100 * X.std(axis=0) * rng.normal(size=m)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sklearn_masked.nn.model._scaling._BLOCK", block)
        scales = feature_scales(X)
    wide = X.astype(float)
    np.testing.assert_allclose(scales.shift, wide.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(scales.std, wide.std(axis=0), rtol=1e-7)
    rows = (wide - wide.mean(axis=0)) * scales.scale(power)
    assert np.square(rows).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
    ratio = scales.scale(power).astype(float) * wide.std(axis=0) ** power
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_a_constant_column_takes_the_usual_spread():
    X = np.array([[1, 7, 0.1], [3, 7, 0.1], [5, 7, 0.1]], np.float32)
    scales = feature_scales(X)
    usual = np.sqrt(8 / 3)
    np.testing.assert_allclose(scales.std, [usual] * 3)
    np.testing.assert_allclose(scales.shift, X.mean(axis=0), rtol=1e-7)


def test_constant_columns_do_not_shorten_the_rows():
    X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    want = feature_scales(X).scale(1.0)
    constant = np.hstack([X, np.full((50, 30), 7, np.float32)])
    np.testing.assert_allclose(feature_scales(constant).scale(1.0)[:4], want, rtol=1e-6)


def test_powers_that_overflow_keep_what_counts():
    X = np.random.default_rng(0).normal(size=(50, 3)) * [1e-25, 1, 1e3]
    scale = feature_scales(X.astype(np.float32)).scale(8.0)
    assert np.isfinite(scale).all() and scale[0] > 0


@pytest.mark.parametrize("X", [np.ones((5, 3)), np.zeros((5, 3)), np.ones((1, 3))])
def test_rows_that_are_all_the_same_are_not_centered(X):
    scales = feature_scales(X.astype(np.float32))
    assert scales.shift is None and scales.std is None
    assert np.isfinite(scales.scale(1.0)).all()


def test_a_sparse_matrix_is_not_centered():
    X = sp.csr_array(np.array([[1, 0], [2, 3]], np.float32))
    assert feature_scales(X).shift is None


@pytest.mark.parametrize("m", [30, 1100])  # by the Gram matrix, and by the Krylov space
def test_directions_of_an_array_are_those_of_its_standardized_columns(m):
    rng = np.random.default_rng(3)
    signal = rng.normal(size=(150, 3)) @ (rng.normal(size=(3, m)) * [[9], [6], [3]])
    Z = signal + 0.1 * rng.normal(size=(150, m))
    units = 10.0 ** rng.integers(-3, 3, m)
    X = (Z * units + 5 * units).astype(np.float32)
    columns, vectors = singular_directions(X, 3, CPU)
    np.testing.assert_array_equal(columns, np.arange(m))
    standardized = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    _, _, Vt = np.linalg.svd(standardized, full_matrices=False)
    np.testing.assert_allclose(np.abs(Vt[:3] @ vectors.numpy()), np.eye(3), atol=2e-3)


def test_the_module_takes_rows_over_their_means_and_a_state_brings_these_along():
    rng = np.random.default_rng(4)
    X = (rng.normal(size=(20, 5)) * [1, 10, 0.1, 1, 1] + 7).astype(np.float32)
    module = DirectSharedModule(5, 2, 3, 0.5, "dense")
    module.init_from_data(X, 0.5)
    for parameter in (module.output, module.direct.weight, module.bias):
        torch.nn.init.normal_(parameter)
    inputs = torch.from_numpy(X)
    centered = X.astype(float) - X.astype(float).mean(axis=0)
    hidden = (
        centered / X.astype(float).std(axis=0) @ module.embedding[1:].detach().numpy()
    )
    z = 0.5 * hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    want = (
        centered * module.feature_scale.numpy() @ module.direct.weight.detach().numpy()
        + z @ module.output.detach().numpy().T
        + module.bias.detach().numpy()
    )
    got = module(inputs).detach().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    again = DirectSharedModule(5, 2, 3, 0.5, "dense")
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(inputs), module(inputs))
    assert module.takes_sparse is False and again.takes_sparse is False
