"""The programs about speed run, at sizes where nothing takes long."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Return a function that imports a program and runs its `main` with arguments."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        module = importlib.import_module(name)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(module.engine, "pin", lambda threads: None)
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        module.main()
        written = tmp_path / f"{name}.json"
        return json.loads(written.read_text()) if written.exists() else module

    yield run
    names = "_engine", "_quality_data", "metrics", "prediction", "scaling", "serving"
    for name in (*names, "training"):
        sys.modules.pop(name, None)


def test_metrics_agree_with_the_loop(program, capsys):
    results = program("metrics", "--cells", 3000, "--labels", 30, "--repeats", 1)
    assert len(results["rows"]) == 8
    for row in results["rows"]:
        assert row["difference"] < 1e-12
        assert row["ratio"] > 0
    assert "roc_auc, tied, weighted" in capsys.readouterr().out


# Of torch's own Adagrad, which makes its sparse tensors without saying so, and of
# labels with cells of one kind.
@pytest.mark.filterwarnings("ignore")
def test_steps_of_all_contestants_are_timed(program, capsys):
    arguments = "--parts steps --batch-sizes 16 --rounds 1 --steps 2 --samples 64"
    arguments += " --features 90 --nonzeros 5 --labels 4"
    results = program("training", *arguments.split())
    times = results["steps"]["16"]
    assert {"ours, RowWiseAdagrad", "EmbeddingBag sparse, SGD"} <= set(times)
    assert times["ours, RowWiseAdagrad"]["ratio"] == 1
    assert all(row["median_ms"] > 0 for row in times.values())
    printed = capsys.readouterr().out
    for part in ("first epoch", "later epochs"):
        assert f"ours, the default's {part}" in printed


def test_one_size_is_measured(program, capsys):
    module = importlib.import_module("scaling")
    sizes = {"samples": 200, "features": 80, "labels": 30, "embedding_dim": 5}
    program("scaling", "--one", json.dumps(module.BASE | sizes | {"cells_a_row": 2}))
    row = json.loads(capsys.readouterr().out)
    assert set(row) > {"fit_s", "epoch_s", "epoch_cpu_s", "score_s", "peak_mb"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rows_on_disk_are_measured(program, capsys, tmp_path, monkeypatch):
    module = importlib.import_module("scaling")
    sizes = {"features": 90, "nonzeros": 5, "labels": 20, "epochs": 1}
    monkeypatch.setattr(module, "DISK", sizes)
    module.write_rows(tmp_path / "rows", 300)
    sizes = {"folder": str(tmp_path / "rows"), "mapped": True}
    program("scaling", "--one", json.dumps(sizes))
    row = json.loads(capsys.readouterr().out)
    assert row["rows"] == 300
    assert row["nonzeros"] == 1500
    assert 0 < row["model_mb"]
    assert 0 < row["before_mb"] <= row["peak_mb"] + 1


def test_synthetic_labels_have_so_many_cells_a_row(program):
    engine = importlib.import_module("_engine")
    for n_labels, a_row in [(1, 1), (7, 7), (30, 4)]:
        labels = engine.random_cells(50, n_labels, a_row)
        assert (np.diff(labels.indptr) == a_row).all()
    X = engine.synthetic_rows(40, 200, 10)
    np.testing.assert_allclose(X.multiply(X).sum(axis=1), 1, rtol=1e-5)
    Y = (X[:, :6] > 0).astype(np.int8)
    sought = engine.one_sought(Y)
    cells = sought.cells()
    assert cells.rows.tolist() == list(range(40))
    assert cells.values.tolist() == Y.toarray()[cells.rows, cells.cols].tolist()


def test_ways_to_predict_give_the_same_cells(program):
    module = importlib.import_module("prediction")
    engine = module.engine
    X = engine.synthetic_rows(60, 100, 8)
    labels = engine.random_cells(60, 3)
    model = module.MaskedMultiLabelClassifier(max_epochs=1, random_state=0)
    model.fit(X, labels)
    cells = np.arange(60), np.arange(60) % 3
    one, other = (
        module.WAYS[way](model, X, cells)
        for way in ("decision_function_cells", "the same cells out of whole rows")
    )
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_damaged_files_and_code_that_one_would_run_are_seen(program, tmp_path):
    module, path = importlib.import_module("serving"), tmp_path / "model"
    X = np.eye(4)
    y = np.where(np.eye(4) > 0, np.nan, X[::-1])
    module.serving.export(module.classifier().fit(X, y), path)
    data, rng = path.read_bytes(), np.random.default_rng(0)
    assert module._end(path, X) == "loaded"
    with module.no_code():
        for _ in range(30):
            damaged = module.damage(data, rng)
            path.write_bytes(damaged)
            assert damaged == data or module._end(path, X) == "error"
    with pytest.raises(RuntimeError, match="a file asked for"), module.no_code():
        exec("1")
