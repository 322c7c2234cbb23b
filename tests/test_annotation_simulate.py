"""Simulations: an oracle answers, and the curve follows the strategy."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sklearn_masked import MaskedLabels, MaskedMultiOutputClassifier
from sklearn_masked.annotation import CellTable, seed_cells, simulate
from sklearn_masked.datasets import make_masked_multilabel


@pytest.fixture(scope="module")
def data():
    X, _, full = make_masked_multilabel(
        500, 6, vocabulary_size=300, as_text=False, return_full=True, random_state=0
    )
    X, full = X.tocsr(), full.toarray()
    return X[:350], full[:350], X[350:], full[350:]


def model():
    return MaskedMultiOutputClassifier(LogisticRegression(C=10, solver="liblinear"))


class Recorder(BaseEstimator):
    """Keep the labels of each fit, and predict what they say of each label."""

    seen = []

    def fit(self, X, y):
        Recorder.seen.append(y)
        self.rate_ = (y.n_positive + 1) / (y.n_labeled + 2)
        return self

    def predict_proba(self, X):
        return np.tile(self.rate_, (X.shape[0], 1))


@pytest.mark.parametrize(
    "strategy",
    ["default", "random", {"deficit": 1, "random": 1}, "random_rows", "uncertain_rows"],
)
def test_the_oracle_answers_what_is_asked_from_zero_cells_on(data, strategy):
    X, y, X_test, y_test = data
    Recorder.seen = []
    curve = simulate(
        Recorder(),
        X,
        y,
        X_test,
        y_test,
        strategy=strategy,
        n_cells=150,
        batch_cells=60,
        random_state=0,
    )
    assert curve["n_cells"].tolist() == [60, 120, 150]
    before = set()
    for row, labels in zip(curve, Recorder.seen, strict=True):
        cells = labels.cells()
        np.testing.assert_array_equal(cells.values, y[cells.rows, cells.cols])
        now = set(zip(cells.rows.tolist(), cells.cols.tolist(), strict=True))
        assert before < now
        assert (row["n_cells"], row["n_positive"]) == (len(now), cells.values.sum())
        before = now
    if isinstance(strategy, str) and strategy.endswith("rows"):
        assert set(np.diff(labels.indptr)) == {0, 6}


def test_the_curve_is_scored_on_the_test_samples(data):
    X, y, X_test, y_test = data
    seen = {}

    class Remember(MaskedMultiOutputClassifier):
        def fit(self, X, y):
            seen["labels"] = y
            return super().fit(X, y)

    curve = simulate(
        Remember(LogisticRegression()),
        X,
        y,
        X_test,
        y_test,
        n_cells=300,
        batch_cells=150,
        random_state=0,
    )
    fitted = MaskedMultiOutputClassifier(LogisticRegression()).fit(X, seen["labels"])
    proba = fitted.predict_proba(X_test)
    expected = [roc_auc_score(y_test[:, j], proba[:, j]) for j in range(6)]
    assert curve["macro_auc"][-1] == pytest.approx(np.mean(expected), abs=1e-12)
    counts = ("n_cells", "n_positive", "n_readings", "n_keys", "cost")
    assert curve.dtype.names == (*counts, "macro_auc", "macro_ap")
    assert isinstance(curve, CellTable)
    assert curve.to_frame().columns.tolist() == list(curve.dtype.names)


def test_metrics_of_ones_own(data):
    X, y, X_test, y_test = data
    curve = simulate(
        Recorder(),
        X,
        y,
        X_test,
        y_test,
        n_cells=20,
        batch_cells=10,
        metrics={"mean": lambda y, proba: proba.mean(), "n": lambda y, p: len(y)},
    )
    assert curve.dtype.names[5:] == ("mean", "n")
    assert curve["n"].tolist() == [150, 150]


def test_the_same_seed_gives_the_same_curve(data):
    runs = [
        simulate(model(), *data, n_cells=120, batch_cells=40, random_state=seed)
        for seed in (1, 1, 2)
    ]
    assert runs[0].tobytes() == runs[1].tobytes() != runs[2].tobytes()


def test_every_form_of_a_full_oracle(data):
    X, y, X_test, y_test = data
    forms = [
        y,
        MaskedLabels.from_dense(y),
        sp.csr_array(y),
        MaskedLabels.from_sparse(sp.csr_array(y), implicit="negative"),
    ]
    curves = [
        simulate(model(), X, form, X_test, y_test, n_cells=60, random_state=0)
        for form in forms
    ]
    assert len({curve.tobytes() for curve in curves}) == 1


def test_queries_make_the_first_round(data):
    X, y, X_test, y_test = data
    # A typical positive of each label, as a person might name one.
    queries = sp.csr_array(np.stack([X[y[:, j] == 1].mean(axis=0) for j in range(6)]))
    queries = sp.csr_array(queries.toarray().reshape(6, -1))
    Recorder.seen = []
    params = {"n_cells": 60, "batch_cells": 60, "random_state": 0}
    seeded = simulate(Recorder(), *data, queries=queries, **params)
    by_chance = simulate(Recorder(), *data, **params)
    assert seeded["n_positive"][0] > 1.5 * by_chance["n_positive"][0]
    table = seed_cells(
        X,
        queries,
        n_cells=60,
        random_share=0.25,
        random_state=np.random.default_rng(0),
    )
    cells = Recorder.seen[0].cells()
    assert set(zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)) == set(
        zip(table["sample"].tolist(), table["label"].tolist(), strict=True)
    )


def test_a_strategy_of_ones_own_gets_probabilities_and_arguments(data):
    calls = []

    def first_free(proba, labels, *, n_cells, random_state, column):
        calls.append((proba.shape, labels.n_cells, n_cells))
        free = np.flatnonzero(np.isnan(labels[:, [column]].to_dense()[:, 0]))[:n_cells]
        dtype = [("sample", int), ("label", int)]
        return np.array([(row, column) for row in free], dtype=dtype)

    curve = simulate(
        Recorder(), *data, strategy=first_free, column=2, n_cells=50, batch_cells=20
    )
    assert curve["n_cells"].tolist() == [20, 40, 50]
    assert calls == [((350, 6), 20, 20), ((350, 6), 40, 10)]


def test_a_strategy_that_asks_for_nothing_ends_the_curve(data):
    def nothing(proba, labels, *, n_cells, random_state):
        return np.empty(0, [("sample", int), ("label", int)])

    curve = simulate(Recorder(), *data, strategy=nothing, n_cells=50, batch_cells=20)
    assert curve["n_cells"].tolist() == [20]


def test_the_default_beats_chance_on_average_precision(data):
    X, y, X_test, y_test = data
    params = {"n_cells": 600, "batch_cells": 60}
    ap = {
        strategy: np.mean(
            [
                simulate(
                    model(),
                    X,
                    y,
                    X_test,
                    y_test,
                    strategy=strategy,
                    random_state=seed,
                    **params,
                )["macro_ap"][-1]
                for seed in range(3)
            ]
        )
        for strategy in ("default", "random")
    }
    assert ap["default"] > ap["random"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_cells": 0}, "`n_cells` accepts integers from 1; got 0."),
        ({"batch_cells": 1.5}, "`batch_cells` accepts integers from 1; got 1.5."),
        (
            {"n_cells": 2101},
            "`n_cells` accepts at most the 2100 cells of `y`; got 2101.",
        ),
        ({"y": np.ones((3, 6))}, "`y` must have 350 rows; got 3."),
        ({"y_test": np.ones((150, 5))}, "`y` must have 6 labels; got 5."),
    ],
)
def test_errors_say_what_is_accepted_and_what_arrived(data, change, message):
    X, y, X_test, y_test = data
    params = {"X": X, "y": y, "X_test": X_test, "y_test": y_test} | change
    with pytest.raises(ValueError) as raised:
        simulate(Recorder(), **params)
    assert str(raised.value) == message


def test_an_oracle_with_an_unlabeled_cell_is_refused(data):
    X, y, X_test, y_test = data
    y = y.astype(float)
    y[5, 3] = y[7, 2] = y[9, 2] = np.nan
    labels = MaskedLabels.from_dense(y, label_names=list("abcdef"))
    for form, called in [(y, "2"), (labels, "'c'")]:
        with pytest.raises(ValueError) as raised:
            simulate(Recorder(), X, form, X_test, y_test)
        assert str(raised.value) == (
            "`y` accepts labels without an unlabeled cell, since it answers for a "
            f"person; got one at sample 7, label {called}."
        )


def test_the_strategy_is_judged_before_the_first_fit(data):
    Recorder.seen = []
    with pytest.raises(ValueError, match="^`strategy` accepts default, likely_pos"):
        simulate(Recorder(), *data, strategy="entropy", n_cells=20, batch_cells=10)
    assert Recorder.seen == []


def test_the_example_runs_both_phases_and_draws(tmp_path, monkeypatch, capsys):
    path = Path(__file__).parents[1] / "examples" / "labeling_loop.py"
    spec = importlib.util.spec_from_file_location("labeling_loop", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    # The labels' own models, because they are quick.
    monkeypatch.setattr(
        example, "MaskedMultiLabelClassifier", lambda random_state: model()
    )
    picture = tmp_path / "curves.png"
    arguments = ["--cells", "120", "--rounds", "2", "--plot", str(picture)]
    monkeypatch.setattr("sys.argv", ["labeling_loop.py", *arguments])
    example.main()
    told = capsys.readouterr().out
    assert "The first questions:" in told
    assert "6 of 120 answers made wrong" in told
    assert told.count("    120 ") == 2
    assert picture.read_bytes()[:4] == b"\x89PNG"
