"""Leave-fold-out margins in closed form, against fits without the fold."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from sklearn_masked.nn.sdca._block_newton import leave_folds_out


def slow_coefficients(K, prior, target, cost):
    """Minimize the primal objective in the coefficients."""

    def loss(a):
        f = prior + K @ a
        value = cost @ (np.logaddexp(0, f) - target * f) + a @ K @ a / 2
        return value, K @ (a - cost * (target - 1 / (1 + np.exp(-f))))

    start = np.zeros(len(target))
    return minimize(loss, start, jac=True, method="L-BFGS-B", tol=1e-14).x


@pytest.mark.parametrize("C", [0.3, 3.0])
def test_margins_and_coefficients_are_about_those_of_fits_without_the_fold(C):
    rng = np.random.default_rng(0)
    n_folds, size, n_labels = 4, 6, 3
    n = n_folds * size
    X = rng.normal(size=(n_labels, n, 40)) / np.sqrt(40)
    K = X @ X.transpose(0, 2, 1) + 0.5
    target = (X[:, :, 0] > 0).astype(float)
    prior = np.tile(rng.normal(size=(n_labels, 1)), n)
    cost = C * rng.integers(1, 3, size=(n_labels, n)).astype(float)
    cost[0, [4, 5, 17, 23]] = 0  # no cell there
    parts = (torch.from_numpy(part) for part in (K, prior, target, cost))
    found = leave_folds_out(*parts, n_folds)
    assert found.margins.shape == (n_labels, n_folds, size)
    for label in range(n_labels):
        for fold in range(n_folds):
            own = np.arange(fold * size, (fold + 1) * size)
            left = np.where(np.isin(np.arange(n), own), 0, cost[label])
            a = slow_coefficients(K[label], prior[label], target[label], left)
            a[left == 0] = 0
            got = found.coefficients[label, fold].numpy()
            assert (got[left == 0] == 0).all()
            np.testing.assert_allclose(got, a, atol=0.05 * np.abs(a).max())
            is_cell = cost[label, own] > 0
            want = (prior[label] + K[label] @ a)[own][is_cell]
            margins = found.margins[label, fold].numpy()[is_cell]
            np.testing.assert_allclose(margins, want, atol=0.06)


def test_the_margins_are_those_of_the_coefficients():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2, 20, 9))
    K = torch.from_numpy(X @ X.transpose(0, 2, 1))
    target = torch.from_numpy(rng.integers(2, size=(2, 20)).astype(float))
    prior, cost = torch.zeros(2, 20).double(), torch.ones(2, 20).double()
    found = leave_folds_out(K, prior, target, cost, 5)
    want = (K[:, None] @ found.coefficients[..., None])[..., 0]
    for fold in range(5):
        own = slice(4 * fold, 4 * fold + 4)
        torch.testing.assert_close(
            found.margins[:, fold], want[:, fold, own], atol=1e-2, rtol=1e-2
        )


def test_a_label_whose_products_overflow_is_nan_and_leaves_the_others():
    K = torch.eye(10).double().repeat(2, 1, 1)
    target = torch.tensor([0.0, 1.0]).double().repeat(2, 5)
    prior, cost = torch.zeros(2, 10).double(), torch.ones(2, 10).double()
    want = leave_folds_out(K, prior, target, cost, 5)
    K[1] *= torch.inf
    got = leave_folds_out(K, prior, target, cost, 5)
    for one, other in zip(got[:2], want[:2], strict=True):
        torch.testing.assert_close(one[0], other[0])
        assert one[1].isnan().all()


def test_where_the_search_starts_does_not_matter():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(2, 20, 9))
    K = torch.from_numpy(X @ X.transpose(0, 2, 1))
    target = torch.from_numpy(rng.integers(2, size=(2, 20)).astype(float))
    parts = torch.zeros(2, 20).double(), target, torch.ones(2, 20).double(), 5
    want = leave_folds_out(K, *parts)
    got = leave_folds_out(
        K, *parts, start=torch.from_numpy(3 * rng.normal(size=(2, 20)))
    )
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, atol=1e-2, rtol=1e-2)
