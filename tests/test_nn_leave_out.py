"""Margins of held-out folds, against refits without them."""

import numpy as np
import pytest
import torch
from nn_problems import (
    dataset,
    random_rows,
    random_targets,
    slow_common_optimum,
    slow_features,
    slow_optimum,
    trained,
)

from sklearn_masked.nn.sdca._calibration import held_out_margins


def test_held_out_cells_are_not_in_the_weights_in_common(monkeypatch):
    for name in ("_EPOCHS", "_ANEW", "_ON"):
        monkeypatch.setattr("sklearn_masked.nn.sdca._calibration." + name, 100)
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


def held_out_case(monkeypatch, epochs, alike=0.9):
    for name in ("_EPOCHS", "_ANEW", "_ON"):
        monkeypatch.setattr("sklearn_masked.nn.sdca._calibration." + name, epochs)
    monkeypatch.setattr("sklearn_masked.nn.sdca._calibration._ALIKE", alike)
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
    monkeypatch.setattr("sklearn_masked.nn.sdca._calibration._ENOUGH", 10)
    _, _, cells, _ = held_out_margins(trainer, batches)
    part = [range(batch.start, batch.stop) for batch in batches[::3]]
    assert cells.tolist() == [cell for each in part for cell in each]
    margin, _, cells, _ = held_out_margins(
        trainer, [slice(0, len(trainer.row_of_cell))]
    )
    assert len(margin) == len(cells) == 0
