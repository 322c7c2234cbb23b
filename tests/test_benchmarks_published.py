"""The benchmark beside published rows runs on a tiny set, and its scores are right."""

import csv
import gzip
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import f1_score, precision_recall_curve

from sklearn_masked.datasets import make_masked_multilabel

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def published():
    sys.path.insert(0, str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module("published")
    sys.path.remove(str(BENCHMARKS))
    for name in set(sys.modules) - before:
        if (
            BENCHMARKS
            == Path(getattr(sys.modules[name], "__file__", None) or "").parent
        ):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "goemotions"
    path.mkdir()
    texts, _, Y = make_masked_multilabel(
        n_samples=240, n_labels=4, return_full=True, random_state=0
    )
    parts = ["train", "train", "dev", "test"]
    with gzip.open(path / "texts.csv.gz", "wt", encoding="utf-8", newline="") as file:
        rows = [[i, text, parts[i % 4]] for i, text in enumerate(texts)]
        csv.writer(file).writerows([["id", "text", "split"], *rows])
    sp.save_npz(path / "labels.npz", sp.csr_matrix(Y))
    (path / "label_names.txt").write_text("a\nb\nc\nd\n")
    words = {name: texts[i][:20] for i, name in enumerate("abcd")}
    (tmp_path / "words.json").write_text(json.dumps({"goemotions": words}))
    return tmp_path


def test_models_run_and_the_table_has_a_row_each(published, folder, capsys):
    out = folder / "out.jsonl"
    models = ["separate:C=1", "words", "words-only"]
    arguments = ["run", "--data", str(folder), "--out", str(out)]
    arguments += ["--sets", "goemotions", "--models", *models]
    published.main(arguments)
    published.main(arguments)  # nothing is fitted again
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["model"] for line in lines] == models
    assert all(0.4 < line["macro_auc"] <= 1 for line in lines)
    capsys.readouterr()
    published.main(["table", "--out", str(out)])
    printed = capsys.readouterr().out
    assert printed.count("| goemotions |") == 3 and "arXiv:2005.00547" in printed


def test_thresholds_come_from_the_development_rows_and_scores_from_the_test(published):
    rng = np.random.default_rng(0)
    proba = rng.random((600, 3))
    Y = (proba + rng.normal(0, 0.4, proba.shape) > 0.8).astype(float)
    found = published.scores_of(Y[:300], Y[300:], proba)
    decided = np.empty((300, 3), int)
    for j in range(3):
        precision, recall, cuts = precision_recall_curve(Y[:300, j], proba[:300, j])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        decided[:, j] = proba[300:, j] >= cuts[np.argmax(f1[:-1])]
    for average in ("micro", "macro"):
        want = f1_score(Y[300:], decided, average=average)
        assert abs(found[f"{average}_f1"] - want) < 0.01
    top = proba[300:].argmax(axis=1)
    assert abs(found["p_at_1"] - Y[np.arange(300, 600), top].mean()) < 1e-4
