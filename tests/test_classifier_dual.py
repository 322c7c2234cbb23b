"""The default model's training, as a user sees it: base rates, gaps and few cells."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from skorch.callbacks import Callback

from sklearn_masked import MaskedLabels, MaskedMultiLabelClassifier
from sklearn_masked.nn.sgd._net import MaskedNet
from sklearn_masked.nn.sgd._optim import FallbackAdam


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


@pytest.mark.parametrize("batch_size", ["auto", 1])
def test_rows_without_a_feature_train_beside_others(batch_size):
    rng = np.random.default_rng(0)
    X = sp.random(60, 20_000, 0.002, format="lil", dtype=np.float32, random_state=0)
    X[:55] = 0
    cells = rng.random((60, 200)) < 0.03
    y = np.where(cells, rng.integers(0, 2, (60, 200)), np.nan)
    y[:, 0] = rng.integers(0, 2, 60)
    labels = MaskedLabels.from_dense(y)
    with pytest.warns(UserWarning):  # some labels have one kind of cell, or none
        model = make(batch_size=batch_size).fit(X.tocsr(), labels)
    assert np.isfinite(model.decision_function(X.tocsr())).all()


def test_a_few_cells_more_do_not_overturn_a_base_rate():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1000, 20)).astype(np.float32)
    y = (X[:, :3] + rng.normal(size=(1000, 3)) > 1.5).astype(float)
    model = make().fit(X, y)
    before = model.predict_proba(X)[:, 0].mean()
    for row in np.flatnonzero(y[:, 0] == 1)[:8]:
        model.partial_fit(X[[row]], [[1, np.nan, np.nan]])
    assert before < 0.2
    # Eight positives beside a thousand cells: more, and far from all of them.
    assert before < model.predict_proba(X)[:, 0].mean() < 0.4


@pytest.mark.parametrize("max_epochs", [1, 5, 50])
def test_one_cell_is_no_certainty_for_every_row(max_epochs):
    rng = np.random.default_rng(2)
    X = rng.normal(size=(200, 20)).astype(np.float32)
    y = (X[:, :3] > 0).astype(float)
    y[:, 2] = np.nan
    y[0, 2] = 1
    model = make(max_epochs=max_epochs).fit(X, MaskedLabels.from_dense(y))
    proba = model.predict_proba(X)[:, 2]
    assert 0.5 < proba.mean() < 0.999


def test_a_batch_of_all_rows_is_as_good_as_small_ones():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(1500, 10)).astype(np.float32)
    y = (X[:, :2] + rng.normal(size=(1500, 2)) > 0).astype(float)
    small = make(max_epochs=15, calibrate=False).fit(X, y)
    whole = make(max_epochs=15, calibrate=False, batch_size=-1).fit(X, y)
    losses = [
        np.logaddexp(0, np.where(y == 1, -1, 1) * model.decision_function(X)).mean()
        for model in (small, whole)
    ]
    # 1,500 cells of a label in one batch move in parts, and get as far.
    assert abs(losses[0] - losses[1]) < 0.02


def counts(n=700, seed=0):
    """Raw counts of common words that tell nothing, and rare ones that tell all."""
    rng = np.random.default_rng(seed)
    common = rng.poisson(3.0, (n, 40))
    rare = (rng.random((n, 400)) < 0.01).astype(float)
    y = (rare[:, :200].sum(axis=1) > rare[:, 200:].sum(axis=1)).astype(float)
    y = np.column_stack([y, 1 - y, rng.integers(0, 2, n)])
    y[rng.random(y.shape) < 0.2] = np.nan
    return sp.csr_matrix(np.hstack([common, rare]), dtype=np.float32), y


def idf_power(model):
    return float(model.net_.module_.feature_power)


@pytest.mark.parametrize("power", [0.0, 0.5, 2.0])
def test_columns_are_scaled_by_the_power_of_their_idf(power):
    X, y = counts(60)
    module = make(idf_power=power).fit(X, y).net_.module_
    dense = X.toarray().astype(float)
    df = (dense != 0).sum(axis=0)
    expected = np.maximum(np.log(len(dense) / (df + 1)) + 1, 0.1) ** power
    expected /= np.sqrt(((dense * expected) ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(module.feature_scale.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [-1.0, "idf", None])
def test_idf_power_of_another_kind_is_refused(bad):
    X, y = counts(60)
    with pytest.raises(ValueError, match="idf_power"):
        make(idf_power=bad).fit(X, y)


def test_a_fit_and_a_load_do_not_load_the_compiler_of_torch():
    # Seconds of imports, for an optimizer that the dual steps never ask.
    code = """
import pickle, sys
import numpy as np
from sklearn_masked import MaskedMultiLabelClassifier
X = np.random.default_rng(0).normal(size=(30, 4))
y = np.where(np.arange(30)[:, None] % 3 == [0, 1], np.nan, X[:, :2] > 0)
model = MaskedMultiLabelClassifier(device="cpu").fit(X, y)
again = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
assert (model.predict_proba(X) > 0).all() and again.net_.optimizer_.param_groups
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_optimizer_that_stands_by_is_adam():
    table = [torch.nn.Parameter(torch.arange(3.0)) for _ in range(2)]
    steps = [FallbackAdam(table[:1], lr=0.1), torch.optim.Adam(table[1:], lr=0.1)]
    for _ in range(3):
        for parameter, optimizer in zip(table, steps, strict=True):
            optimizer.zero_grad()
            (parameter**2).sum().backward()
            optimizer.step()
    assert torch.equal(*table)
    steps[0].load_state_dict(steps[1].state_dict())
    assert str(steps[0].state_dict()) == str(steps[1].state_dict())


def _many_pairs():
    """Return rows and labels for which the direct path has weights of pairs."""
    rng = np.random.default_rng(8)
    X = sp.random(300, 20_000, 0.002, format="csr", dtype=np.float32, random_state=1)
    y = np.where(rng.random((300, 60)) < 0.1, rng.integers(0, 2, (300, 60)), np.nan)
    return X, MaskedLabels.from_dense(y)


def _weights(net):
    return net.module_.direct.weight.detach().clone()


@pytest.mark.parametrize("way", ["callbacks", "net_params"])
@pytest.mark.parametrize("hook", ["on_batch_end", "on_epoch_end"])
def test_callbacks_see_the_weights_as_they_are(hook, way):
    seen = []

    def look(self, net, training=True, **_):
        if training:
            seen.append(_weights(net))

    watch = type("Watch", (Callback,), {hook: look})()
    given = [("watch", watch)]
    if way == "net_params":  # in the place of one of skorch's own
        given = {"callbacks__print_log": watch}
    model = make(max_epochs=3, batch_size=150, **{way: given})
    model.fit(*_many_pairs())
    assert len(seen) == (6 if hook == "on_batch_end" else 3)
    assert (seen[0] != 0).any()
    assert all((one != other).any() for one, other in itertools.pairwise(seen))


def test_validation_rows_are_judged_by_the_weights_as_they_are(monkeypatch):
    seen, step = [], MaskedNet.validation_step

    def look(net, batch, **kwargs):
        seen.append(_weights(net))
        return step(net, batch, **kwargs)

    monkeypatch.setattr(MaskedNet, "validation_step", look)
    make(max_epochs=3, batch_size=300, early_stopping=True).fit(*_many_pairs())
    assert len(seen) == 3 and (seen[0] != 0).any()
    assert all((one != other).any() for one, other in itertools.pairwise(seen))


def test_the_training_ends_where_it_has_arrived():
    rng = np.random.default_rng(0)
    X = sp.csr_array(rng.random((400, 30)) * (rng.random((400, 30)) < 0.3))
    y = np.where(rng.random((400, 3)) < 0.5, rng.integers(2, size=(400, 3)), np.nan)
    params = {"idf_power": 0.5, "label_correlation": 0.0, "interactions": 0.0, "C": 5.0}
    model = MaskedMultiLabelClassifier(random_state=0, max_epochs=400, **params)
    few = len(model.fit(X, y).history_)
    assert 5 < few < 300
    aside = model.set_params(early_stopping=True, n_iter_no_change=400, max_epochs=300)
    assert len(aside.fit(X, y).history_) == 300
    # It is no interruption, which would warn; and a fit goes on from there.
    again = model.set_params(early_stopping=False, warm_start=True).fit(X, y)
    assert len(again.history_) > 300
