"""The direct path: sparse pairs against a dense table."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from nn_problems import DEVICES, cell_rows, random_rows, random_targets

from sklearn_masked.nn._batches import bag_inputs
from sklearn_masked.nn.model._direct import DenseDirect, PairDirect, choose_direct


@pytest.mark.parametrize("device", DEVICES)
def test_pair_weights_equal_a_dense_table(device):
    rng = np.random.default_rng(0)
    X = random_rows(rng)
    X = sp.vstack([X, sp.csr_array((1, 30), dtype=np.float32)], format="csr")
    targets = random_targets(rng, 41, 7, known=0.2)
    pairs = PairDirect(30, 7).to(device)
    covered, positions = pairs.build_index(
        X, cell_rows(targets), targets.indices.astype(int)
    )
    pairs.weight.data.copy_(torch.from_numpy(rng.normal(size=len(pairs.weight))))
    table = np.zeros((30, 7), np.float32)
    features = np.repeat(np.arange(30), np.diff(pairs.starts.cpu()))
    table[features, pairs.labels.cpu()] = pairs.weight.detach().cpu()
    # Each pair that is touched has its weight where it says.
    assert positions is None
    touched = (part[covered.by_feature] for part in (covered.columns, covered.labels))
    np.testing.assert_array_equal(pairs.weight.detach().cpu(), table[tuple(touched)])
    inputs = {k: v.to(device) for k, v in bag_inputs(X).items()}
    want = X @ table
    got = pairs(**inputs).detach().cpu()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    rows, cols = rng.integers(41, size=60), rng.integers(7, size=60)
    some = pairs.cell_logits(
        torch.from_numpy(rows).to(device), torch.from_numpy(cols).to(device), **inputs
    )
    np.testing.assert_allclose(
        some.detach().cpu(), want[rows, cols], rtol=1e-5, atol=1e-6
    )


def test_pair_weights_in_blocks_of_labels(monkeypatch):
    rng = np.random.default_rng(1)
    X, targets = random_rows(rng), random_targets(rng, 40, 7)
    pairs = PairDirect(30, 7)
    pairs.build_index(X, cell_rows(targets), targets.indices.astype(int))
    pairs.weight.data.normal_()
    want = pairs(**bag_inputs(X))
    monkeypatch.setattr("sklearn_masked.nn.model._direct.SMALL_TABLE", 5)
    torch.testing.assert_close(pairs(**bag_inputs(X)), want)


def test_covering_more_pairs_keeps_the_weights_of_the_first():
    rng = np.random.default_rng(2)
    X = random_rows(rng)
    first, second = random_targets(rng, 40, 5, 0.1), random_targets(rng, 40, 5, 0.3)
    pairs = PairDirect(30, 5)
    pairs.build_index(X, cell_rows(first), first.indices.astype(int))
    pairs.weight.data.normal_()
    before = pairs(**bag_inputs(X))
    n_before = len(pairs.weight)
    pairs.build_index(X, cell_rows(second), second.indices.astype(int))
    assert len(pairs.weight) > n_before
    torch.testing.assert_close(pairs(**bag_inputs(X)), before)
    again = PairDirect(30, 5)
    again.load_state_dict(pairs.state_dict())
    torch.testing.assert_close(again(**bag_inputs(X)), before)


def test_choice_of_the_direct_path_follows_its_cost():
    rows = np.arange(1000)
    ones = np.ones(1000, np.float32)
    wide = sp.csr_array((ones, (rows, np.zeros(1000, int))), shape=(1000, 10**6))
    assert choose_direct(wide[:, :100], rows, 20) == "dense"
    assert choose_direct(wide, rows, 10_000) == "pairs"
    every_cell = np.repeat(rows, 100)
    assert choose_direct(wide, every_cell, 100) == "dense"
    assert choose_direct(wide, np.repeat(rows, 1000), 1000) is None
    assert choose_direct(np.zeros((5, 10), np.float32), rows[:5], 3) == "dense"


def test_dense_table_takes_sparse_and_dense_rows():
    X = random_rows(np.random.default_rng(3))
    direct = DenseDirect(30, 4)
    direct.weight.data.normal_()
    want = X.toarray() @ direct.weight.detach().numpy()
    sparse = direct(**bag_inputs(X)).detach()
    dense = direct(torch.from_numpy(X.toarray())).detach()
    np.testing.assert_allclose(sparse, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(dense, want, rtol=1e-5, atol=1e-6)
