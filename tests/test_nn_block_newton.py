"""Joint steps of the dual ascent, by slow oracles."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from sklearn_masked.nn.sdca import _block_newton
from sklearn_masked.nn.sdca._block_newton import (
    BlockNewton,
    EmbeddingGram,
    PairGram,
    RowGram,
    _brackets,
    _distinct,
)


def slow_joint_step(rows, margin, target, strength, old):
    """The margins at the optimum, by L-BFGS on the weights of the features."""
    features = np.column_stack([rows, np.full(len(rows), 0.5)])
    own = margin - features @ features.T @ (strength * (target - old))

    def objective(w):
        f = own + features @ w
        loss = strength * (np.logaddexp(0, f) - target * f)
        gradient = w + features.T @ (strength * (expit(f) - target))
        return w @ w / 2 + loss.sum(), gradient

    start = np.zeros(features.shape[1])
    options = {"maxiter": 20000, "ftol": 1e-16, "gtol": 1e-10}
    best = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return own + features @ best.x


def random_case(seed, n, n_labels, C):
    rng = np.random.default_rng(seed)
    label = rng.integers(n_labels, size=n)
    rows = rng.normal(size=(n, 6)) + 1
    target = (rng.random(n) < 0.4).astype(float)
    strength = C * rng.uniform(0.2, 2, n)
    old = rng.uniform(0.05, 0.95, n)
    K = rows @ rows.T + 0.25
    margin = rng.normal(size=n)
    for each in range(n_labels):  # margins that the old probabilities belong to
        own = label == each
        margin[own] += K[np.ix_(own, own)] @ (strength * (target - old))[own]
    return label, torch.from_numpy(rows), K, margin, target, strength, old


@pytest.mark.parametrize(("n", "n_labels"), [(1, 1), (9, 4), (60, 3), (80, 1)])
def test_a_few_joint_steps_reach_the_optimum_of_the_batch(n, n_labels):
    label, rows, K, margin, target, strength, old = random_case(n, n, n_labels, 1.0)
    blocks = BlockNewton(
        torch.from_numpy(label), EmbeddingGram(rows), torch.full((64,), 0.25)
    )
    tensors = [torch.tensor(part) for part in (margin, target, strength, old)]
    new = tensors[3]
    for _ in range(6):
        before, new = new, blocks.solve(tensors[0], tensors[1], tensors[2], new)
        for each in range(n_labels):
            own = label == each
            change = (tensors[2] * (before - new))[own]
            tensors[0][own] += torch.from_numpy(K[np.ix_(own, own)]) @ change
    for each in np.unique(label):
        own = label == each
        want = slow_joint_step(
            rows[own], margin[own], target[own], strength[own], old[own]
        )
        np.testing.assert_allclose(new[own], expit(want), atol=2e-5)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 40),
    n_labels=st.integers(1, 5),
    C=st.sampled_from([1e-4, 1.0, 1e4]),
)
def test_a_joint_step_never_lowers_the_dual(seed, n, n_labels, C):
    label, rows, K, margin, target, strength, old = random_case(seed, n, n_labels, C)
    blocks = BlockNewton(
        torch.from_numpy(label), EmbeddingGram(rows), torch.full((64,), 0.25)
    )
    tensors = (torch.from_numpy(part) for part in (margin, target, strength, old))
    new = blocks.solve(*tensors).numpy()
    assert np.isfinite(new).all() and (new >= 0).all() and (new <= 1).all()

    def entropy(p):
        q = np.clip(p, 1e-300, 1)
        r = np.clip(1 - p, 1e-300, 1)
        return -(p * np.log(q) + (1 - p) * np.log(r))

    for each in np.unique(label):
        own = label == each
        change = strength[own] * (old[own] - new[own])
        gain = (strength[own] * (entropy(new[own]) - entropy(old[own]))).sum()
        gain -= change @ margin[own] + change @ K[np.ix_(own, own)] @ change / 2
        assert gain >= -1e-9 * max(strength.max(), 1)


def test_a_cell_of_weight_0_stays_and_moves_nothing():
    label, rows, _, margin, target, strength, old = random_case(3, 12, 2, 1.0)
    strength[4] = 0
    tensors = [torch.from_numpy(part) for part in (margin, target, strength, old)]
    blocks = BlockNewton(
        torch.from_numpy(label), EmbeddingGram(rows), torch.full((64,), 0.25)
    )
    new = blocks.solve(*tensors)
    others = np.arange(12) != 4
    fewer = BlockNewton(
        torch.from_numpy(label[others]),
        EmbeddingGram(rows[others]),
        torch.full((64,), 0.25),
    ).solve(*(tensor[others] for tensor in tensors))
    np.testing.assert_allclose(new[others], fewer, atol=1e-12)


@pytest.mark.parametrize("has_quadratic", [False, True])
@pytest.mark.parametrize("kind", ["pairs", "rows", "dense rows"])
def test_products_of_all_paths_equal_the_dense_ones(kind, has_quadratic):
    rng = np.random.default_rng(4)
    X = (rng.random((7, 30)) * (rng.random((7, 30)) < 0.3)).astype(np.float32)
    X[2] = 0
    row = np.array([0, 0, 1, 2, 3, 4, 4, 5, 6, 6])  # the row of each cell
    label = np.array([0, 1, 0, 0, 1, 0, 1, 1, 0, 1])
    shared = torch.from_numpy(rng.normal(size=(10, 3)).astype(np.float32))
    crossed = torch.from_numpy(rng.normal(size=(10, 4)).astype(np.float32))
    shared_rows = shared, crossed if has_quadratic else None
    scaled = X * rng.uniform(0.5, 2, 30).astype(np.float32)
    if kind == "pairs":
        of_row = sp.csr_array(scaled[row])
        pairs = of_row.indices * 2 + np.repeat(label, np.diff(of_row.indptr))
        cell = np.repeat(np.arange(10), np.diff(of_row.indptr))
        several = np.bincount(pairs)[pairs] > 1
        assert several.any() and not several.all()
        alone = np.bincount(cell, of_row.data**2 * ~several, minlength=10)
        products = PairGram(
            *shared_rows,
            pairs[several],
            of_row.data[several],
            np.bincount(cell[several], minlength=10),
            torch.from_numpy(alone.astype(np.float32)),
        )
    else:
        given = sp.csr_array(scaled) if kind == "rows" else torch.from_numpy(scaled)
        products = RowGram(*shared_rows, given, torch.from_numpy(row))
    index = torch.tensor([[0, 2, 5, 8, 3], [1, 4, 6, 7, 9]])
    got = products(index)
    for each, cells in zip(got, index.numpy(), strict=True):
        z = shared.numpy()[cells]
        want = z @ z.T + scaled[row[cells]] @ scaled[row[cells]].T
        if has_quadratic:
            pairs = np.stack([np.outer(q, q).ravel() for q in crossed.numpy()[cells]])
            want = want + pairs @ pairs.T
        np.testing.assert_allclose(each, want, rtol=1e-5, atol=1e-5)


def test_cells_of_all_labels_move_jointly_where_weights_are_in_common():
    rng = np.random.default_rng(8)
    label = np.array([0, 1, 0, 2, 1, 0, 2, 1])
    rows = torch.from_numpy(rng.normal(size=(8, 3)))
    blocks = BlockNewton(
        torch.from_numpy(label), EmbeddingGram(rows), torch.full((64,), 0.25), 0.3
    )
    ((cells, mask, got),) = blocks.groups
    assert mask.all() and blocks.size == 64
    order, same = cells[0].numpy(), label[:, None] == label
    inner, related = (rows @ rows.T).numpy(), 0.3 + 0.7 * same
    want = (inner * related + 0.25 * same)[np.ix_(order, order)]
    np.testing.assert_allclose(got[0], want)


def test_few_labels_of_other_sizes_share_a_group_and_many_do_not():
    assert len(np.unique(_brackets(np.array([1, 3, 9, 15, 40])))) == 1
    many = _brackets(np.repeat([2, 90], [10_000, 3]))
    assert len(np.unique(many)) == 2


def test_distinct_pairs_are_found_by_marks_and_by_a_sort(monkeypatch):
    pairs = np.array([7, 2, 7, 9, 2], np.int32)
    for most in (256, 0):
        monkeypatch.setattr("sklearn_masked.nn.sdca._block_newton._MARKS", most)
        distinct, at = _distinct(pairs)
        assert distinct.tolist() == [2, 7, 9] and at.tolist() == [1, 0, 1, 2, 0]


@pytest.mark.parametrize(("length", "dtype"), [(1.0, "float32"), (300.0, "float64")])
def test_systems_that_are_not_tame_are_solved_in_double_precision(
    length, dtype, monkeypatch
):
    rng = np.random.default_rng(3)
    rows = torch.from_numpy(length * rng.normal(size=(12, 4)).astype(np.float32))
    blocks = BlockNewton(
        torch.zeros(12, dtype=torch.int64), EmbeddingGram(rows), torch.full((64,), 0.25)
    )
    seen, newton = [], _block_newton._newton

    def spy(products, *args):
        seen.append(str(products.dtype))
        return newton(products, *args)

    monkeypatch.setattr(_block_newton, "_newton", spy)
    cells = torch.zeros(12), (torch.arange(12) % 2).float(), torch.ones(12)
    new = blocks.solve(*cells, torch.full((12,), 0.5))
    assert seen == [f"torch.{dtype}"]
    assert torch.isfinite(new).all()
