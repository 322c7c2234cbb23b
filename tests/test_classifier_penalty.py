"""The penalty C, convergence, and honest margins of held-out cells."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.nn.sdca._calibration import held_out_margins


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def noisy(n=900, m=100, n_labels=6, signal=0.25, seed=0):
    """Return rows of many directions that all say a little, and half of the labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(np.float32)
    logits = signal * X @ rng.normal(size=(m, n_labels)) / 3
    truth = logits + rng.logistic(size=logits.shape) > 0
    return X, np.where(rng.random(truth.shape) < 0.5, truth, np.nan)


@pytest.mark.parametrize("factor", [1e-3, 0.1, 1e3])
@pytest.mark.parametrize("kind", ["rows", "cells", "labels"])
def test_a_factor_on_all_weights_changes_nothing(kind, factor):
    X, y = noisy(300)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=y.shape)
    params = {"label_correlation": 0, "interactions": 0, "max_epochs": 20}

    def fit(factor):
        if kind == "labels":
            return make(label_weight=factor * weight[0], **params).fit(X, y)
        each = factor * (weight[:, 0] if kind == "rows" else weight)
        return make(**params).fit(X, y, sample_weight=each)

    one, other = fit(1.0), fit(factor)
    assert other.C_ == pytest.approx(one.C_ / factor)
    assert other.auto_params_["C"] == other.C_
    got, want = (model.decision_function(X) for model in (other, one))
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_c_is_5_for_unweighted_cells_and_stays_that_of_the_first_call():
    X, y = noisy(100)
    model = make().partial_fit(X, y)
    assert model.C_ == 5
    assert model.partial_fit(X, y, sample_weight=np.full(100, 10.0)).C_ == 5
    assert make(C=2).fit(X, y).C_ == 2


@pytest.mark.parametrize("max_epochs", [2, "auto"])
def test_an_ascent_that_is_far_from_the_optimum_warns(max_epochs):
    X, y = noisy(300, m=5, signal=3)
    params = {"label_correlation": 0, "interactions": 0, "batch_size": 25}
    model = make(C=1e4, max_epochs=max_epochs, **params)
    n = 2 if max_epochs == 2 else 100
    message = (
        rf"^The duality gap is still about [0-9.e+]+ nats per cell after {n} epochs\. "
        r"Raise `max_epochs`, or lower `C`, here 1e\+04\.$"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X, y)
    assert model.n_iter_ == n


def test_ill_conditioned_columns_get_the_epochs_that_they_need():
    X, y = noisy(300, m=5, signal=3)
    params = {"label_correlation": 0, "interactions": 0, "calibrate": False}
    few = make(C=50.0, batch_size=25, **params).fit(X, y)
    assert 5 < few.n_iter_ < 100
    more = make(C=50.0, max_epochs=400, batch_size=25, **params).fit(X, y)
    np.testing.assert_allclose(
        few.decision_function(X), more.decision_function(X), atol=0.5
    )
    # All cells of a label at once need no more than a look back.
    one = make(C=50.0, **params).fit(X, y)
    assert one.n_iter_ == 2
    np.testing.assert_allclose(
        one.decision_function(X), more.decision_function(X), atol=0.5
    )


@pytest.mark.parametrize("C", ["1", "Auto", 0, -1.0, None])
def test_c_of_another_kind_is_refused(C):
    X, y = noisy(60)
    with pytest.raises(ValueError, match="'C' parameter"):
        make(C=C).fit(X, y)


def test_cells_that_were_held_out_are_not_remembered(monkeypatch):
    # Labels are chance, and few directions carry all rows: what was learnt of a cell
    # is in the margins of all others, and goes with it only if these start anew.
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1500, 40)).astype(np.float32)
    y = np.where(rng.random((1500, 4)) < 0.8, rng.integers(0, 2, (1500, 4)), np.nan)
    seen, asked = [], []

    def spy(trainer, batches, **kwargs):
        asked.append(kwargs["n_more"])  # an epoch is enough for the output's lines
        held_out = held_out_margins(trainer, batches, **kwargs)
        label, target = (
            part[held_out.cells].numpy() for part in (trainer.label, trainer.target)
        )
        for each in range(4):
            for fold in range(3):
                own = (label == each) & (held_out.fold.numpy() == fold)
                if own.any():
                    args = target[own], held_out.margin[own].numpy()
                    seen.append(roc_auc_score(*args))
        return held_out

    monkeypatch.setattr("sklearn_masked.classifier._calibrate.held_out_margins", spy)
    make(C=5.0).fit(X, y)
    assert len(seen) == 12 and asked == [1]
    # One has a standard error of about 0.03.
    assert abs(np.mean(seen) - 0.5) < 0.025
