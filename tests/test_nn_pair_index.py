"""Which pairs are touched, and by whom: against a dictionary."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from sklearn_masked.nn.model._direct import PairDirect, PairIndex
from sklearn_masked.nn.sdca._direct_weights import ActivePairWeights

N_ROWS, N_FEATURES, N_LABELS = 30, 12, 9
CASES = ["some cells", "one label", "a cell a row", "no cell", "empty rows"]


def draw(case, seed=0):
    """Rows and cells: rows in any order, more than once, some of them empty."""
    rng = np.random.default_rng(seed)
    density = 0.0 if case == "empty rows" else 0.25
    shape = N_ROWS, N_FEATURES
    kept = rng.random(shape) < density
    X = sp.csr_array(kept * rng.uniform(0.1, 1, shape), dtype=np.float32)
    n_cells = {"no cell": 0, "a cell a row": N_ROWS}.get(case, 50)
    labels = 1 if case == "one label" else N_LABELS
    rows = rng.integers(N_ROWS, size=n_cells)
    cols = rng.integers(labels, size=n_cells)
    if case == "a cell a row":
        rows = np.arange(N_ROWS)
    # A cell is labeled once.
    _, first = np.unique(rows * N_LABELS + cols, return_index=True)
    return X, rows[np.sort(first)], cols[np.sort(first)]


def slowly(X, rows, cols):
    """Return of each pair which cells touch it, with which numbers."""
    touched = {}
    for cell, (row, col) in enumerate(zip(rows.tolist(), cols.tolist(), strict=True)):
        for at in range(X.indptr[row], X.indptr[row + 1]):
            pair = int(X.indices[at]), col
            touched.setdefault(pair, []).append((cell, X.data[at]))
    return touched


@pytest.fixture(params=[7, 1 << 20], ids=["small blocks", "one block"])
def block(request, monkeypatch):
    for module in ("model._direct", "sdca._direct_weights"):
        monkeypatch.setattr(f"sklearn_masked.nn.{module}.BLOCK", request.param)


@pytest.mark.parametrize("case", CASES)
def test_covered_pairs_are_those_of_a_dictionary(case, block):
    X, rows, cols = draw(case)
    covered, want = PairIndex(X, rows, cols), slowly(X, rows, cols)
    pairs = list(zip(covered.columns.tolist(), covered.labels.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) and set(pairs) == set(want)
    assert [pairs[i] for i in covered.by_feature] == sorted(want)
    counts = np.bincount([pair[0] for pair in want] or [0], minlength=N_FEATURES)
    np.testing.assert_array_equal(covered.counts, counts * bool(want))
    several = [pair for pair in pairs if len(want[pair]) > 1]
    alone = [pair for pair in pairs if len(want[pair]) == 1]
    assert [p for p, s in zip(pairs, covered.is_shared, strict=True) if s] == several
    found = zip(covered.cells.tolist(), covered.data.tolist(), strict=True)
    assert list(found) == [want[pair][0] for pair in alone]
    for cell, (row, col) in enumerate(zip(rows, cols, strict=True)):
        own = slice(covered.ends[cell], covered.ends[cell + 1])
        features = X.indices[X.indptr[row] : X.indptr[row + 1]].tolist()
        for number, feature in zip(covered.number[own], features, strict=True):
            pair = feature, int(col)
            assert (several[number] if number >= 0 else pair) == pair
            assert (number >= 0) == (len(want[pair]) > 1)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_touched_pairs_keep_the_weights_of_a_table(case, known, block):
    X, rows, cols = draw(case, seed=1)
    rng = np.random.default_rng(2)
    direct = PairDirect(N_FEATURES, N_LABELS)
    if known:  # weights are there already, of some of the pairs and of others
        direct.build_index(*draw("some cells", seed=3))
        direct.weight.data.normal_()
    table = dense(direct)
    scale = rng.uniform(0.5, 2, N_FEATURES).astype(np.float32)
    module = SimpleNamespace(
        direct=direct,
        bias=direct.weight,
        feature_scale=torch.from_numpy(scale),
        label_correlation=0.0,
    )
    cache = SimpleNamespace(X=X, positions=np.arange(X.shape[0]))
    touched = ActivePairWeights(module, cache, rows, cols)
    scaled = X.toarray()[rows] * scale
    cells, total = slice(0, len(rows)), np.zeros(len(rows), np.float32)
    for _ in range(2):
        amount = rng.normal(size=len(rows)).astype(np.float32)
        touched.add(cells, torch.from_numpy(amount))
        np.add.at(table.T, cols, scaled * amount[:, None])
        total += amount
    got = torch.zeros(len(rows))
    touched.add_margins(got, cells, torch.from_numpy(total))
    want = (scaled * table[:, cols].T).sum(1)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    touched.write(torch.from_numpy(total))
    np.testing.assert_allclose(dense(direct), table, rtol=1e-4, atol=1e-5)


def dense(direct):
    """Return the weights of all pairs as a table."""
    table = np.zeros((N_FEATURES, N_LABELS), np.float32)
    features = np.repeat(np.arange(N_FEATURES), np.diff(direct.starts))
    table[features, direct.labels] = direct.weight.detach().numpy()
    return table
