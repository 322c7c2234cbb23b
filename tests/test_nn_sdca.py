"""Dual coordinate ascent, against the optimum by L-BFGS."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nn_problems import (
    DEVICES,
    cell_rows,
    dataset,
    random_rows,
    random_targets,
    slow_common_optimum,
    slow_features,
    slow_optimum,
    trained,
    trained_in_form,
)
from scipy.optimize import minimize

from sklearn_masked.nn._batches import bag_inputs
from sklearn_masked.nn.model._module import DirectSharedModule
from sklearn_masked.nn.sdca import SDCASolver
from sklearn_masked.nn.sdca._calibration import held_out_margins
from sklearn_masked.nn.sdca._solver import SDCASettings, bias_steps


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


def test_a_batch_of_all_rows_is_the_optimum_in_one_step():
    rng = np.random.default_rng(17)
    X, targets = random_rows(rng, n=60), random_targets(rng, 60, 3, known=0.6)
    precision = np.array([1.0, 2.0, 0.5])
    params = {"batch": 60, "prior_precision": precision}
    one, trainer = trained(X, targets, "dense", epochs=2, **params)
    assert trainer.moved_all
    assert trainer.has_converged
    few = {"batch": 30, "prior_precision": precision}
    want, trainer = trained(X, targets, "dense", epochs=500, **few)
    assert not trainer.moved_all
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, want.state_dict()[name], atol=2e-3, rtol=0)


def test_without_a_fold_a_batch_of_all_rows_is_a_fit_of_the_others():
    rng = np.random.default_rng(18)
    X, targets = random_rows(rng, n=60), random_targets(rng, 60, 3, known=0.6)
    params = {"batch": 60, "prior_precision": np.ones(3)}
    _, trainer = trained(X, targets, "dense", epochs=2, **params)
    n_cells = len(trainer.label)
    cuts = np.linspace(0, n_cells, 7).astype(int)
    batches = [slice(*pair) for pair in itertools.pairwise(cuts.tolist())]
    found = held_out_margins(trainer, batches)
    assert found.cells.tolist() == [
        i for fold in range(3) for b in batches[fold::3] for i in range(b.start, b.stop)
    ]
    for fold in range(3):
        out = found.cells[found.fold == fold]
        kept = trainer.state()
        trainer.cell_C[out] = 0
        trainer.reset()
        trainer.epochs([slice(0, n_cells)], 4)
        want = trainer.margins(slice(0, n_cells))[out]
        trainer.set_state(kept)
        torch.testing.assert_close(
            found.margin[found.fold == fold], want, atol=2e-3, rtol=0
        )
