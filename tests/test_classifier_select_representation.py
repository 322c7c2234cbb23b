"""Evidence that labels' weights are correlated, against sums over pairs of cells."""

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_masked.classifier._select_representation import (
    correlation_z_score,
    residuals,
    supported_correlation,
)


def draw(seed, n=40, n_labels=4, known=0.6):
    """Return features and the cells: rows, labels, targets, weights."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 30)) * (rng.random((n, 30)) < 0.3)
    rows, labels = np.nonzero(rng.random((n, n_labels)) < known)
    targets = (rng.random(len(rows)) < 0.4).astype(float)
    return X, (rows, labels, targets, rng.integers(1, 4, len(rows)).astype(float))


def slow_z_score(X, cells, n_labels, least):
    """Loop over the pairs of cells that stand in two rows."""
    K = X @ X.T
    rows, labels, targets, weights = cells
    mean = [
        np.average(targets[labels == each], weights=weights[labels == each])
        if (labels == each).any()
        else 0.0
        for each in range(n_labels)
    ]
    r = weights * (targets - np.take(mean, labels))
    products, pairs = np.zeros((n_labels, n_labels)), np.zeros((n_labels, n_labels))
    for i in range(len(r)):
        for j in range(len(r)):
            if rows[i] != rows[j]:
                products[labels[i], labels[j]] += r[i] * r[j] * K[rows[i], rows[j]]
                pairs[labels[i], labels[j]] += r[i] ** 2 * r[j] ** 2
    across = ~np.eye(n_labels, dtype=bool)
    variance = max(np.trace(products) / np.trace(pairs), 0.0)
    excess = products[across].sum() - least * variance * pairs[across].sum()
    # The sign of each label's weights by chance, all of them.
    signs = np.array(np.meshgrid(*[[-1, 1]] * n_labels)).reshape(n_labels, -1)
    chance = [(products * np.outer(s, s))[across].sum() for s in signs.T]
    return excess / np.std(chance)


def z_score(X, cells, n_labels, least, block=7):
    n = X.shape[0]
    slices = [slice(start, start + block) for start in range(0, n, block)]
    blocks = ((part, X[part]) for part in slices)
    return correlation_z_score(residuals(*cells, shape=(n_labels, n)), blocks, least)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array, sp.csr_matrix])
def test_z_score_equals_sums_over_pairs_of_cells(seed, least, form):
    X, cells = draw(seed)
    want = slow_z_score(X, cells, 4, least)
    assert z_score(form(X), cells, 4, least) == pytest.approx(want, rel=1e-6)


def test_labels_that_go_together_are_told_from_those_that_exclude_each_other():
    found = {"same": [], "chance": [], "apart": []}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(300, 60)) / 8
        cause = X @ rng.normal(size=60)
        for case in found:
            if case == "same":
                Y = cause[:, None] + 0.3 * rng.normal(size=(300, 6)) > np.median(cause)
            elif case == "chance":
                Y = rng.random((300, 6)) < 0.5
            else:  # topics: a row is of one of them
                Y = (X @ rng.normal(size=(60, 6))).argmax(1)[:, None] == np.arange(6)
            rows, labels = np.nonzero(rng.random(Y.shape) < 0.5)
            cells = rows, labels, Y[rows, labels].astype(float), np.ones(len(rows))
            found[case].append(z_score(X, cells, 6, 0.1))
    assert min(found["same"]) > 2.5
    assert max(found["apart"]) < -2.5
    assert max(found["chance"]) < 2.5


@pytest.mark.parametrize(
    ("labels", "targets"),
    [
        ([0, 0, 0, 0], [0, 1, 0, 1]),  # one label
        ([0, 0, 1, 1], [1, 1, 0, 0]),  # one class per label
        ([], []),
    ],
)
def test_where_nothing_can_be_told_the_z_score_is_0(labels, targets):
    rows = np.arange(len(labels))
    cells = rows, np.array(labels, int), np.array(targets, float), np.ones(len(labels))
    assert z_score(np.eye(4), cells, 3, 0.1) == 0


def test_the_correlation_grows_smoothly_with_the_evidence_from_none_to_all():
    gains = np.ones(12)
    of_scores = [supported_correlation(z, gains) for z in np.arange(-3, 6, 0.01)]
    of_gains = [supported_correlation(9.0, g * gains) for g in np.arange(-1, 1, 0.001)]
    for found in map(np.array, (of_scores, of_gains)):
        assert found[0] == 0 and found[-1] == pytest.approx(0.4, abs=1e-4)
        taken = found[found > 0]
        assert taken[0] == pytest.approx(0.1, abs=0.01)
        assert 0 <= np.diff(taken).min() and np.diff(taken).max() < 0.01


def test_ranks_that_surely_fall_forbid_what_cells_show():
    falling = np.full(12, -0.6)
    assert supported_correlation(5.0, falling) == 0
    # What few labels say is not sure.
    assert supported_correlation(5.0, falling[:1]) > 0.1
    assert supported_correlation(-2.0, -falling) == 0
