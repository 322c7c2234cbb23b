"""The default module: lengths of rows, gradients and states."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from nn_problems import (
    random_rows,
    random_targets,
    slow_features,
    trained,
)

from sklearn_masked.nn._batches import bag_inputs, model_input
from sklearn_masked.nn.model._module import DirectSharedModule


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


def test_an_optimizer_still_trains_what_was_loaded():
    X = random_rows(np.random.default_rng(3))
    targets = random_targets(np.random.default_rng(3), 40, 3)
    for kind in ("pairs", "dense"):
        module, _ = trained(X, targets, kind, epochs=1)
        before = {name: id(part) for name, part in module.named_parameters()}
        module.load_state_dict(module.state_dict())
        assert {name: id(part) for name, part in module.named_parameters()} == before
