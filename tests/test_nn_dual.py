"""The default model: its paths, its training and its left-out margins, by oracles."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.optimize import minimize
from scipy.special import expit

from sklearn_masked.nn.batches import CellTargets, bag_inputs, model_input
from sklearn_masked.nn.model._direct import DenseDirect, PairDirect, choose_direct
from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.model._scaling import (
    document_frequency,
    inverse_document_frequency,
)
from sklearn_masked.nn.model._svd import _krylov, singular_directions
from sklearn_masked.nn.sdca import SDCADataset, SDCASolver
from sklearn_masked.nn.sdca._leave_out import held_out_margins
from sklearn_masked.nn.sdca._solver import SDCASettings, bias_steps

CPU = torch.device("cpu")
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="no CUDA device on this machine"
        ),
    ),
]


def random_rows(rng, n=40, m=30, density=0.2):
    values = rng.random((n, m)) * (rng.random((n, m)) < density)
    X = sp.csr_array(values.astype(np.float32))
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X


def random_targets(rng, n, n_labels, known=0.5, weights=False):
    Y = (rng.random((n, n_labels)) < 0.5).astype(np.int8)
    mask = rng.random((n, n_labels)) < known
    rows, cols = np.nonzero(mask)
    return CellTargets(
        np.append(0, np.cumsum(mask.sum(1))),
        cols.astype(np.int32),
        Y[rows, cols],
        n_labels,
        weights=rng.uniform(0.2, 2, len(rows)) if weights else None,
    )


def cell_rows(targets):
    return np.repeat(np.arange(len(targets)), np.diff(targets.indptr))


# The direct path


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


# The shared path


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


def test_rows_without_a_known_feature_leave_the_gradient_finite():
    X = sp.csr_array(np.array([[0, 0, 0], [1, 2, 0], [0, 1, 1]], np.float32))
    module = DirectSharedModule(3, 2, 2, 0.5, "dense")
    module.init_from_data(X)
    module.output.data.normal_()
    for inputs in (bag_inputs(X), {"X": torch.from_numpy(X.toarray())}):
        module.zero_grad()
        module(**inputs).square().sum().backward()
        for parameter in module.parameters():
            assert torch.isfinite(parameter.grad).all()
            assert parameter.grad.abs().max() < 100


# The training


def slow_features(module, X):
    """The rows as the convex problem has them, from its description."""
    X = X.toarray() if sp.issparse(X) else np.asarray(X)
    X = standardized = X.astype(float)
    if len(module.feature_shift):
        X = X - X.mean(axis=0)
        standardized = X / X.std(axis=0)
    D = module.feature_scale.double().numpy()
    E = module.embedding.detach().double().numpy()[module.embedding_row.long().numpy()]
    hidden = standardized @ E
    length = np.linalg.norm(hidden, axis=1, keepdims=True)
    z = np.divide(hidden, length, out=np.zeros_like(hidden), where=length > 0)
    parts = [X * D, float(module.shared_weight) * z]
    if module.interactions:
        pairs = np.stack([np.outer(row, row).ravel() for row in z])
        parts.append(np.sqrt(float(module.interactions)) * pairs)
    if len(module.row_length_scale):
        count = np.log1p((X != 0).sum(axis=1, keepdims=True))
        parts.append(0.3 * (count - count.mean()) / max(count.std(), 0.1))
    return np.hstack(parts)


def slow_optimum(features, y, weight, C):
    """L2-regularized logistic regression with a free intercept, by L-BFGS."""

    def objective(p):
        w, b = p[:-1], p[-1]
        m = features @ w + b
        loss = weight * (np.logaddexp(0, m) - y * m)
        g = C * weight * (expit(m) - y)
        return w @ w / 2 + C * loss.sum(), np.append(w + features.T @ g, g.sum())

    start = np.zeros(features.shape[1] + 1)
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


def dataset(X, targets):
    """Return the rows with a cell; each cell weighs what the targets say, or 1."""
    weight = targets.weights
    weight = np.ones(len(targets.values)) if weight is None else weight
    cells = weight, targets.values.astype(float)
    rows, generator = targets.labeled_rows(), np.random.default_rng(0)
    return SDCADataset(X, targets, rows, *cells, generator=generator)


def trained(
    X,
    targets,
    direct,
    C=3.0,
    epochs=300,
    device="cpu",
    batch=16,
    label_correlation=0.0,
    interactions=0.0,
    bias=0.0,
    settings=None,
):
    torch.manual_seed(0)
    shape = X.shape[1], targets.n_labels, 5, 0.5, direct
    module = DirectSharedModule(*shape, label_correlation, interactions).to(device)
    module.init_from_data(X)
    module.bias.data += bias
    data = dataset(X, targets)
    trainer = SDCASolver(module, data, C, settings=settings)
    for _ in range(epochs):
        for start in range(0, len(data), batch):
            stop = min(start + batch, len(data))
            _, cells = data.batch(np.arange(start, stop))
            trainer.step(cells)
        trainer.end_epoch()
    trainer.write()
    return module, trainer


def trained_in_form(kind, weights, **params):
    """Return targets, the features and inputs of their rows, and a trained module."""
    rng = np.random.default_rng(5)
    X = random_rows(rng, n=60)
    targets = random_targets(rng, 60, 3, known=0.6, weights=weights)
    X = X.toarray() if kind == "dense X" else X
    module, _ = trained(X, targets, kind.split()[0], **params)
    inputs = model_input(X)
    inputs = inputs if isinstance(inputs, dict) else {"X": inputs}
    return targets, slow_features(module.cpu(), X), inputs, module


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("kind", ["pairs", "dense", "dense X"])
def test_dual_ascent_reaches_the_optimum_of_each_label(kind, weights, device):
    targets, features, inputs, module = trained_in_form(kind, weights, device=device)
    logits = module(**inputs).detach().numpy()
    rows = cell_rows(targets)
    for label in range(3):
        own = targets.indices == label
        weight = np.ones(own.sum()) if not weights else targets.weights[own]
        best = slow_optimum(features[rows[own]], targets.values[own], weight, C=3.0)
        want = features @ best[:-1] + best[-1]
        np.testing.assert_allclose(logits[:, label], want, rtol=2e-3, atol=2e-3)


def slow_common_optimum(features, label, n_labels, y, weight, C, correlation):
    """The same for all labels at once: own weights, and weights in common, by L-BFGS.

    The logit of a cell is sqrt(1 - correlation) x w_l + sqrt(correlation) x w + b_l.
    """
    n, m = features.shape
    own = np.zeros((n, n_labels, m))
    own[np.arange(n), label] = np.sqrt(1 - correlation) * features
    wide = np.hstack([own.reshape(n, -1), np.sqrt(correlation) * features])
    onehot = np.eye(n_labels)[label]

    def objective(p):
        w, b = p[:-n_labels], p[-n_labels:]
        f = wide @ w + b[label]
        loss = weight * (np.logaddexp(0, f) - y * f)
        g = C * weight * (expit(f) - y)
        return w @ w / 2 + C * loss.sum(), np.append(w + wide.T @ g, onehot.T @ g)

    start = np.zeros(wide.shape[1] + n_labels)
    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9}
    p = minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    own = np.sqrt(1 - correlation) * p[: n_labels * m].reshape(n_labels, m)
    return own + np.sqrt(correlation) * p[n_labels * m : -n_labels], p[-n_labels:]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("correlation", "interactions"), [(0.4, 0.0), (1.0, 0.0), (0.0, 0.6), (0.4, 0.6)]
)
@pytest.mark.parametrize("kind", ["pairs", "dense", "dense X"])
def test_dual_ascent_reaches_the_optimum_of_weights_in_common_and_of_pairs(
    kind, correlation, interactions, device
):
    params = {
        "device": device,
        "label_correlation": correlation,
        "interactions": interactions,
    }
    targets, features, inputs, module = trained_in_form(kind, True, **params)
    logits = module(**inputs).detach()
    w, b = slow_common_optimum(
        features[cell_rows(targets)],
        targets.indices,
        3,
        targets.values,
        targets.weights,
        3.0,
        correlation,
    )
    np.testing.assert_allclose(logits, features @ w.T + b, rtol=5e-3, atol=5e-3)
    rows, cols = torch.arange(60).repeat(3), torch.arange(3).repeat_interleave(60)
    torch.testing.assert_close(
        module.cell_logits(rows, cols, **inputs).detach(),
        logits[rows, cols],
        rtol=1e-4,
        atol=1e-5,
    )
    again = DirectSharedModule(30, 3, 5, 0.5, kind.split()[0])
    again.load_state_dict(module.state_dict())
    torch.testing.assert_close(again(**inputs).detach(), logits, rtol=0, atol=0)


def test_no_row_has_so_many_features_that_nothing_else_counts():
    rng = np.random.default_rng(7)
    X = random_rows(rng, n=60, m=2000, density=0.01)
    module, _ = trained(
        X, random_targets(rng, 60, 3), "dense", epochs=0, label_correlation=0.4
    )
    full = sp.csr_array(np.ones((1, 2000), np.float32))
    counts = []
    for bags in map(bag_inputs, (X, full)):
        counts.append(module.shared(module.embedded(**bags), **bags).detach()[:, -1])
    assert float(counts[0].square().mean()) == pytest.approx(0.3**2, rel=0.01)
    assert float(counts[1]) == pytest.approx(4 * 0.3)


@pytest.mark.parametrize("correlation", [0.4, 1.0])
@pytest.mark.parametrize("has_counts", [True, False])
def test_biases_and_counts_move_to_where_the_margins_want_them(has_counts, correlation):
    rng = np.random.default_rng(8)
    n, n_labels = 400, 4
    label, target = rng.integers(n_labels, size=n), rng.integers(2, size=n)
    margin, counts = rng.normal(size=n), 0.3 * rng.normal(size=n)
    target = (rng.logistic(size=n) + counts + margin > 0).astype(float)
    strength, hold = 5 * rng.random(n), rng.random(n_labels)
    bias, anchor, weight = rng.normal(size=(3, n_labels))
    spread = (1 - correlation) * np.eye(n_labels) + correlation
    # The same move of all labels' weights: where all is in common, no other is there.
    weight, before = weight if correlation < 1 else np.full(n_labels, weight[0]), 0.7

    def objective(p):
        shifts, tilt = p[:-1], p[-1] * has_counts
        m = margin + shifts[label] + tilt * counts
        loss = (strength * (np.logaddexp(0, m) - target * m)).sum()
        w = weight + tilt - before
        far = hold @ np.square(anchor - bias - shifts) / 2
        return loss + far + w @ np.linalg.pinv(spread) @ w / 2

    parts = {
        "margin": margin,
        "target": target,
        "cell_C": strength,
        "prior_mean": anchor,
    }
    parts["row_length"] = counts if has_counts else None
    parts["row_length_prior"] = np.full((), n_labels * before)
    trainer = SimpleNamespace(
        label=torch.from_numpy(label),
        correlation=correlation,
        module=SimpleNamespace(
            bias=torch.from_numpy(bias), output=torch.from_numpy(weight[:, None])
        ),
        **{k: v if v is None else torch.from_numpy(v) for k, v in parts.items()},
    )
    shifts, tilt = bias_steps(trainer, torch.from_numpy(hold))
    want = minimize(objective, np.zeros(n_labels + 1), method="BFGS", tol=1e-8).x
    np.testing.assert_allclose([*shifts, tilt], want, atol=5e-3)


@pytest.mark.parametrize("kind", ["pairs", "dense", "dense X"])
def test_rows_have_length_1_over_all_paths_but_the_shared(kind):
    X = random_rows(np.random.default_rng(2), n=80)
    X = X.toarray() if kind == "dense X" else X
    targets = random_targets(np.random.default_rng(3), 80, 3)
    params = {"epochs": 0, "label_correlation": 0.4, "interactions": 0.6}
    module, _ = trained(X, targets, kind.split()[0], **params)
    squares = np.square(slow_features(module, X)).sum(axis=0)
    own = squares[:30].sum() / 80, squares[35 : 35 + 25].sum() / 80
    np.testing.assert_allclose(own, [0.4, 0.6], rtol=0.02)


def test_what_the_number_of_features_counts_is_moved_after_each_epoch(monkeypatch):
    X = random_rows(np.random.default_rng(2), n=80)
    targets = random_targets(np.random.default_rng(3), 80, 3)
    module, trainer = trained(X, targets, "dense", epochs=1, label_correlation=0.4)
    moved = torch.zeros(3), torch.tensor(0.5)
    monkeypatch.setattr("sklearn_masked.nn.sdca._solver.bias_steps", lambda *_: moved)
    before = module.output.detach().clone()
    trainer.end_epoch(share=0.5)
    change = module.output.detach() - before
    torch.testing.assert_close(change[:, -1], torch.full((3,), 0.25))
    assert not change[:, :-1].any()


@pytest.mark.parametrize("own", [0.0, 0.5])
@pytest.mark.parametrize("other", [0.0, 0.5])
def test_a_state_brings_the_path_of_pairs_or_takes_it_away(own, other):
    X, targets = (
        random_rows(np.random.default_rng(2)),
        random_targets(np.random.default_rng(3), 40, 3),
    )
    module, _ = trained(X, targets, "dense", epochs=2, interactions=other)
    again = DirectSharedModule(30, 3, 4, 0.5, "dense", 0.0, own)
    again.init_from_data(X)
    again.load_state_dict(module.state_dict())
    inputs = model_input(X)
    torch.testing.assert_close(again(**inputs), module(**inputs), rtol=0, atol=0)


def test_a_row_of_many_cells_is_split_where_weights_are_in_common():
    rng = np.random.default_rng(2)
    X, targets = random_rows(rng, n=12, m=20, density=0.5), random_targets(rng, 12, 18)
    params = {"label_correlation": 0.4, "settings": SDCASettings(max_joint=5)}
    module, trainer = trained(X, targets, "dense", epochs=200, **params)
    blocks = trainer.blocks.values()
    assert max(len(cells[0]) for each in blocks for cells, _, _ in each.groups) <= 5
    w, b = slow_common_optimum(
        slow_features(module, X)[cell_rows(targets)],
        targets.indices,
        18,
        targets.values,
        np.ones(len(targets.values)),
        3.0,
        0.4,
    )
    want = slow_features(module, X) @ w.T + b
    known = np.isin(np.arange(18), targets.indices)
    got = module(**bag_inputs(X)).detach().numpy()
    both = [len(set(targets.values[targets.indices == each])) > 1 for each in range(18)]
    np.testing.assert_allclose(got[:, known & both], want[:, known & both], atol=0.03)


def test_an_optimizer_still_trains_what_was_loaded():
    X = random_rows(np.random.default_rng(3))
    targets = random_targets(np.random.default_rng(3), 40, 3)
    for kind in ("pairs", "dense"):
        module, _ = trained(X, targets, kind, epochs=1)
        before = {name: id(part) for name, part in module.named_parameters()}
        module.load_state_dict(module.state_dict())
        assert {name: id(part) for name, part in module.named_parameters()} == before


def test_held_out_cells_are_not_in_the_weights_in_common(monkeypatch):
    for name in ("_EPOCHS", "_ANEW", "_ON"):
        monkeypatch.setattr("sklearn_masked.nn.sdca._leave_out." + name, 100)
    rng = np.random.default_rng(11)
    X, targets = random_rows(rng, n=60, m=12), random_targets(rng, 60, 3, known=0.8)
    for kind in ("pairs", "dense"):
        module, trainer = trained(X, targets, kind, epochs=5, label_correlation=0.4)
        data = dataset(X, targets)
        batches = data.batches(5)
        before = {name: part.clone() for name, part in module.state_dict().items()}
        held_out = held_out_margins(trainer, batches)
        for name, part in module.state_dict().items():
            torch.testing.assert_close(part, before[name], rtol=0, atol=0)
        first = held_out.fold == 0
        out = np.zeros(len(trainer.row_of_cell), bool)
        out[held_out.cells[first]] = True
        label, y = trainer.label.numpy(), trainer.target.numpy()
        features = slow_features(module, X)[data.rows][trainer.row_of_cell]
        w, b = slow_common_optimum(
            features[~out], label[~out], 3, y[~out], np.ones((~out).sum()), 3.0, 0.4
        )
        want = (features * w[label]).sum(axis=1) + b[label]
        np.testing.assert_allclose(held_out.margin[first], want[out], atol=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.4])
@pytest.mark.parametrize("density", [0.02, 0.2])  # pairs of one cell, and of many
def test_paths_of_the_direct_weights_agree(density, correlation):
    rng = np.random.default_rng(6)
    X, targets = random_rows(rng, density=density), random_targets(rng, 40, 3)
    inputs = bag_inputs(X)
    pairs, _ = trained(X, targets, "pairs", epochs=4, label_correlation=correlation)
    dense, _ = trained(X, targets, "dense", epochs=4, label_correlation=correlation)
    # A pair that no labeled cell touched has no weight in either.
    torch.testing.assert_close(pairs(**inputs), dense(**inputs), rtol=1e-4, atol=1e-4)
    rows, cols = torch.arange(40).repeat(3), torch.arange(3).repeat_interleave(40)
    torch.testing.assert_close(
        pairs.cell_logits(rows, cols, **inputs),
        pairs(**inputs)[rows, cols],
        rtol=1e-4,
        atol=1e-5,
    )


def test_training_goes_on_from_the_weights_of_pairs_of_one_cell():
    rng = np.random.default_rng(16)
    X = random_rows(rng, density=0.05)
    first, second = random_targets(rng, 40, 3, 0.1), random_targets(rng, 40, 3, 0.2)
    module, _ = trained(X, first, "pairs", epochs=3)
    inputs = bag_inputs(X)
    before = module(**inputs)
    data = dataset(X, second)
    trainer = SDCASolver(module, data, 3.0, cold=False)
    assert (trainer.direct.square > 0).any() and (trainer.direct.base != 0).any()
    cells = slice(0, len(second.values))
    rows, label = data.rows[trainer.row_of_cell], trainer.label
    kept = before[rows, label]
    torch.testing.assert_close(trainer.margins(cells), kept, rtol=1e-4, atol=1e-5)
    for _ in range(3):
        trainer.step(cells)
        want = trainer.margins(cells)
        trainer.write()
        got = module(**inputs)[rows, label]
        torch.testing.assert_close(want, got, rtol=1e-4, atol=1e-5)
    assert (want - kept).abs().max() > 0.1


def test_writing_twice_leaves_what_came_between():
    rng = np.random.default_rng(17)
    X, targets = random_rows(rng, density=0.05), random_targets(rng, 40, 3)
    module, trainer = trained(X, targets, "pairs", epochs=1)
    module.direct.weight.data.zero_()  # such as an earlier epoch's, brought back
    trainer.write()
    assert not module.direct.weight.any()


def test_shared_rows_read_anew_equal_kept_ones():
    rng = np.random.default_rng(7)
    X, targets = random_rows(rng), random_targets(rng, 40, 3)
    kept, _ = trained(X, targets, "pairs", epochs=3)
    nothing_kept = SDCASettings(cache=0)
    anew, _ = trained(X, targets, "pairs", epochs=3, settings=nothing_kept)
    torch.testing.assert_close(kept(**bag_inputs(X)), anew(**bag_inputs(X)))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_steps_do_not_diverge_on_rows_that_are_all_alike(scale):
    rng = np.random.default_rng(8)
    X = (scale * (5 + 0.1 * rng.normal(size=(200, 4)))).astype(np.float32)
    targets = random_targets(rng, 200, 2, known=1.0)
    module, trainer = trained(X, targets, "dense", epochs=30, batch=200)
    margin = trainer.margins(slice(0, len(trainer.row_of_cell)))
    loss = torch.nn.functional.binary_cross_entropy_with_logits(margin, trainer.target)
    assert loss < 0.75


def test_the_training_has_arrived_where_the_duality_gap_is_small():
    rng = np.random.default_rng(13)
    X, targets = random_rows(rng), random_targets(rng, 40, 3)
    module, trainer = trained(X, targets, "dense", epochs=2)
    assert not trainer.has_converged
    features = slow_features(module, X)[trainer.cache.positions[trainer.row_of_cell]]
    names = "label", "target", "cell_C", "alpha"
    label, t, s, p = (getattr(trainer, name).numpy() for name in names)
    bias = module.bias.detach().numpy()[label]
    w = np.stack([(s * (t - p) * (label == each)) @ features for each in range(3)])
    margin = (features * w[label]).sum(1) + bias
    primal = (w**2).sum() / 2 + s @ (np.logaddexp(0, margin) - t * margin)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    gap = primal - (s @ entropy - (w**2).sum() / 2 - s * (t - p) @ bias)
    trainer.step(slice(0, len(label)))
    assert trainer.duality_gap.item() == pytest.approx(gap, rel=1e-3)
    _, trainer = trained(X, targets, "dense", epochs=60)
    assert trainer.has_converged


@pytest.mark.parametrize(
    ("found", "arrived"),
    [
        ([0.9e-3], True),  # of one epoch alone, what it found
        ([1.1e-3], False),
        ([40e-3, 3.3e-3], True),  # leaves 0.95
        ([40e-3, 3.5e-3], False),  # 1.04
        ([1.5e-3, 1.2e-3], False),  # slow: 1.07
        ([1.5e-3, 1.1e-3], True),  # 0.94
        ([1e-3, 1.2e-3], False),  # no nearer: as much as it found
        ([0.0, 0.0], True),
        ([1e-3, -1e-9], True),  # by rounding
    ],
)
def test_an_epoch_leaves_less_than_it_found_by_as_much_as_the_last(found, arrived):
    rng = np.random.default_rng(13)
    X, targets = random_rows(rng), random_targets(rng, 40, 3)
    _, trainer = trained(X, targets, "dense", epochs=0)
    trainer.n_steps = 100
    assert not trainer.has_converged  # before any epoch
    for each in found:
        trainer.duality_gap = each * trainer.cell_C.sum()
        trainer.end_epoch()
    assert trainer.has_converged == arrived
    trainer.n_steps = 99
    assert not trainer.has_converged


# What follows from it for nothing


def held_out_case(monkeypatch, epochs, alike=0.9):
    for name in ("_EPOCHS", "_ANEW", "_ON"):
        monkeypatch.setattr("sklearn_masked.nn.sdca._leave_out." + name, epochs)
    monkeypatch.setattr("sklearn_masked.nn.sdca._leave_out._ALIKE", alike)
    rng = np.random.default_rng(9)
    X = random_rows(rng, n=60, m=12, density=0.5)
    targets = random_targets(rng, 60, 2, known=0.8, weights=True)
    module, trainer = trained(X, targets, "dense", C=1.0, epochs=100)
    data = dataset(X, targets)
    return X, targets, module, trainer, data.batches(5)


@pytest.mark.parametrize("alike", [0.0, 1.1])  # the others move on, or start anew
@pytest.mark.parametrize("fresh", [True, False])
def test_held_out_margins_equal_refits_without_the_fold(alike, fresh, monkeypatch):
    X, targets, module, trainer, batches = held_out_case(monkeypatch, 60, alike)
    trainer.cold = fresh
    margin, base, cells, fold_of_cells = held_out_margins(trainer, batches)
    assert sorted(cells.tolist()) == list(range(len(trainer.row_of_cell)))
    got, bias = np.empty(len(margin)), np.empty(len(margin))
    got[cells], bias[cells] = margin, base
    features = slow_features(module, X)[trainer.cache.positions[trainer.row_of_cell]]
    label, y = trainer.label.numpy(), trainer.target.numpy()
    weight = trainer.cell_C.numpy()
    for fold in range(3):
        out = np.zeros(len(y), bool)
        for batch in batches[fold::3]:
            out[batch] = True
        assert (fold_of_cells.numpy()[out[cells]] == fold).all()
        for each in range(2):
            kept, asked = ~out & (label == each), out & (label == each)
            best = slow_optimum(features[kept], y[kept], weight[kept], 1.0)
            want = features[asked] @ best[:-1] + best[-1]
            np.testing.assert_allclose(got[asked], want, atol=0.02)
            np.testing.assert_allclose(bias[asked], best[-1], atol=0.02)


def test_holding_out_leaves_the_model_as_it_was(monkeypatch):
    X, _, module, trainer, batches = held_out_case(monkeypatch, epochs=1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    strength = trainer.cell_C.clone()
    few_epochs, *_ = held_out_margins(trainer, batches)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    torch.testing.assert_close(trainer.cell_C, strength, rtol=0, atol=0)
    again, *_ = held_out_margins(trainer, batches)
    torch.testing.assert_close(few_epochs, again, rtol=0, atol=0)


@pytest.mark.parametrize(("n_more", "epochs"), [(None, 3), (1, 1), (2, 2)])
def test_the_look_at_what_is_remembered_is_the_first_epoch(monkeypatch, n_more, epochs):
    _, _, _, trainer, batches = held_out_case(monkeypatch, epochs=3, alike=0.0)
    steps, step = [], trainer.step
    monkeypatch.setattr(
        trainer, "step", lambda cells: steps.append(cells) or step(cells)
    )
    held_out_margins(trainer, batches, n_more=n_more)
    rest = [len(batches) - len(batches[fold::3]) for fold in range(3)]
    assert len(steps) == epochs * sum(rest)


def test_many_cells_are_held_out_in_part_and_one_batch_not_at_all(monkeypatch):
    _, _, _, trainer, batches = held_out_case(monkeypatch, epochs=1)
    monkeypatch.setattr("sklearn_masked.nn.sdca._leave_out._ENOUGH", 10)
    _, _, cells, _ = held_out_margins(trainer, batches)
    part = [range(batch.start, batch.stop) for batch in batches[::3]]
    assert cells.tolist() == [cell for each in part for cell in each]
    margin, _, cells, _ = held_out_margins(
        trainer, [slice(0, len(trainer.row_of_cell))]
    )
    assert len(margin) == len(cells) == 0


def test_a_batch_with_many_cells_of_a_label_moves_in_parts():
    rng = np.random.default_rng(11)
    X = random_rows(rng, n=60)
    targets = random_targets(rng, 60, 3, known=0.6)
    whole, _ = trained(X, targets, "dense", batch=60, epochs=200)
    few = SDCASettings(max_joint=5)
    parts, trainer = trained(X, targets, "dense", batch=60, epochs=200, settings=few)
    ((batch, found),) = trainer.parts.items()
    assert (found[0].start, found[-1].stop) == batch
    for one, other in zip(found, found[1:], strict=False):
        assert one.stop == other.start
        assert (
            trainer.row_of_cell[one][-1] < trainer.row_of_cell[other][0]
        )  # whole rows
    for part in found:
        assert torch.bincount(trainer.label[part]).max() <= 5
    inputs = bag_inputs(X)
    torch.testing.assert_close(parts(**inputs), whole(**inputs), rtol=1e-2, atol=1e-2)
