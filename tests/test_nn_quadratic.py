"""The quadratic path, against sums over pairs of dimensions."""

import numpy as np
import pytest
import torch

from sklearn_masked.nn.model._quadratic import QuadraticPath


def drawn(n_labels=5, dim=4, n=30, seed=0):
    torch.manual_seed(seed)
    path = QuadraticPath(n_labels, dim).double()
    path.weight.data.normal_()
    rows = torch.randn(n, dim, dtype=torch.float64)
    return path, rows, torch.randint(n_labels, (n,))


def slow_logits(weight, rows):
    logits = np.zeros((len(rows), len(weight)))
    for i, row in enumerate(rows):
        for label, matrix in enumerate(weight):
            for a, left in enumerate(row):
                for b, right in enumerate(row):
                    logits[i, label] += left * matrix[a, b] * right
    return logits


@pytest.mark.parametrize("at_once", [1, 300, 1 << 22])
def test_logits_are_sums_over_pairs(at_once, monkeypatch):
    monkeypatch.setattr("sklearn_masked.nn.model._quadratic._AT_ONCE", at_once)
    path, rows, labels = drawn()
    want = slow_logits(path.weight.detach().numpy(), rows.numpy())
    np.testing.assert_allclose(path(rows).detach(), want, atol=1e-12)
    cells = path.cell_logits(rows, labels).detach()
    np.testing.assert_allclose(cells, want[np.arange(30), labels], atol=1e-12)


def test_cells_and_whole_rows_have_the_same_gradient():
    path, rows, labels = drawn()
    found = []
    for of_cells in (True, False):
        z = rows.clone().requires_grad_()
        logits = path.cell_logits(z, labels) if of_cells else path(z)
        logits = logits if of_cells else logits[torch.arange(30), labels]
        found.append(torch.autograd.grad(logits.sin().sum(), [z, path.weight]))
    for got, want in zip(*found, strict=True):
        torch.testing.assert_close(got, want)


def test_what_is_added_makes_logits_squares_of_inner_products():
    path, rows, labels = drawn()
    path.weight.data.zero_()
    amount = torch.randn(30, dtype=torch.float64)
    path.add(rows, labels, amount)
    same = (labels[:, None] == torch.arange(5)).double()
    want = (rows @ rows.T).square() @ (amount[:, None] * same)
    torch.testing.assert_close(path(rows).detach(), want)


def test_no_rows_have_no_logits():
    path, rows, labels = drawn()
    assert path(rows[:0]).shape == (0, 5)
    assert path.cell_logits(rows[:0], labels[:0]).shape == (0,)
    path.add(rows[:0], labels[:0], labels[:0].double())
