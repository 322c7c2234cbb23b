"""C="auto": which penalty, by cells that were held out; and that those are honest."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from sklearn_masked import MaskedMultiLabelClassifier
from sklearn_masked.classifier import _choices
from sklearn_masked.nn.held_out import held_out_margins


def make(**params):
    return MaskedMultiLabelClassifier(**{"random_state": 0, "device": "cpu", **params})


def noisy(n=900, m=100, n_labels=6, signal=0.25, seed=0):
    """Return rows of many directions that all say a little, and half of the labels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, m)).astype(np.float32)
    logits = signal * X @ rng.normal(size=(m, n_labels)) / 3
    truth = logits + rng.logistic(size=logits.shape) > 0
    return X, np.where(rng.random(truth.shape) < 0.5, truth, np.nan)


def clear(n=1500, m=400, n_labels=6, seed=0):
    """Return counts of words that decide each label, and half of the labels."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.3, size=(n, m)) * np.exp(rng.normal(size=m))
    logits = X @ (rng.normal(size=(m, n_labels)) * (rng.random((m, 1)) < 0.5))
    truth = logits > np.median(logits, axis=0)
    y = np.where(rng.random(truth.shape) < 0.5, truth, np.nan)
    return sp.csr_matrix(X, dtype=np.float32), y


@pytest.mark.parametrize(("data", "expected"), [(noisy, 0.5), (clear, 50.0)])
def test_c_is_chosen_by_held_out_cells(data, expected):
    X, y = data()
    model = make().fit(X, y)
    assert model.C_ == expected
    told = make(C=expected, interactions=float(model.net_.module_.interactions))
    assert told.fit(X, y).C_ == expected
    got, want = (each.decision_function(X).ravel() for each in (model, told))
    assert np.corrcoef(got, want)[0, 1] > 0.99


def test_c_stays_where_nothing_can_be_told():
    X, y = noisy()
    few = np.where(np.arange(len(y))[:, None] < 100, y, np.nan)
    assert make().fit(X, few).C_ == 5
    assert make().partial_fit(X, y).C_ == 5
    assert make(early_stopping=True).fit(X, y).C_ == 5
    assert make(C=2).fit(X, y).C_ == 2


def test_later_calls_keep_the_c_that_was_chosen_unless_told():
    X, y = noisy()
    model = make().fit(X, y)
    assert model.C_ == 0.5
    assert model.partial_fit(X, y).C_ == 0.5
    assert model.set_params(C=3.0).partial_fit(X, y).C_ == 3


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

    monkeypatch.setattr("sklearn_masked.classifier._finish.held_out_margins", spy)
    make(C=5.0).fit(X, y)
    assert len(seen) == 12 and asked == [1]
    # One has a standard error of about 0.03.
    assert abs(np.mean(seen) - 0.5) < 0.025


def test_of_many_cells_some_labels_choose(monkeypatch):
    X, y = clear()
    y = np.hstack([y] * 5)
    asked = []
    ranking = _choices.ranking

    def spy(dual, held_out, n_labels):
        asked.append(len(np.unique(dual.label)))
        return ranking(dual, held_out, n_labels)

    monkeypatch.setattr(_choices, "ranking", spy)
    monkeypatch.setattr(_choices, "_ENOUGH_FOR_STRENGTH", (500, 7))
    model = make(idf_power=0.5, sharing=0.3, common=0.0, interactions=0.0).fit(X, y)
    assert model.C_ == 50
    assert set(asked) == {7}


@pytest.mark.parametrize(
    ("told", "slopes", "gains", "asked", "chosen"),
    [
        # What another choice found is enough, or one fold does not agree with it.
        (1.0, [], [], "", None),
        (2.0, [1.0], [], "1", None),
        # Fold by fold, until the other value is not called for, or no better.
        (2.0, [2.0], [-1], "1 1*", None),
        (0.5, [0.5, 1.0], [1], "1 1* 2", None),
        (2.0, [2.0, 2.0], [1, -1], "1 1* 2 2*", None),
        (0.5, [0.5, 0.5, 1.0], [1, 1], "1 1* 2 2* 3", None),
        (2.0, [2.0, 2.0, 2.0], [1, 1, 0.9], "1 1* 2 2* 3 3*", None),
        (2.0, [2.0, 2.0, 2.0], [1, 1, 1.1], "1 1* 2 2* 3 3*", 50.0),
        (None, [0.5] * 3, [1, 1, 1.1], "3 1* 2 2* 3 3*", 0.5),
    ],
)
def test_no_more_folds_are_asked_than_are_needed(
    monkeypatch, told, slopes, gains, asked, chosen
):
    found, trained = [], []

    def held_out(dual, batches, folds=3, known=None, C=None):
        found.append(f"{folds}*" if C else f"{folds}")
        assert C in (None, 50.0 if told == 2.0 else 0.5)
        return folds

    slopes, gains = iter(slopes), iter(gains)
    monkeypatch.setattr(_choices, "held_out_margins", held_out)
    monkeypatch.setattr(_choices, "_slope", lambda *_: next(slopes))
    monkeypatch.setattr(_choices, "ranking", lambda *_: None)
    monkeypatch.setattr(_choices, "gain", lambda *_: (each := next(gains), each))
    monkeypatch.setattr(_choices, "_train_again", lambda *args: trained.append(args[2]))
    label = SimpleNamespace(cpu=lambda: SimpleNamespace(numpy=lambda: np.zeros(1000)))
    dual = SimpleNamespace(slot=range(1000), label=label, common=0.4)
    _choices.choose_strength(dual, [None] * 12, 1, 5, slope=told)
    assert " ".join(found) == asked and trained == [chosen] * (chosen is not None)
