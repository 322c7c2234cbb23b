"""The benchmark of quality runs on a tiny set, goes on where it stopped, and tells."""

import csv
import gzip
import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from sklearn_masked.datasets import make_masked_multilabel

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MODULES = ("quality", "quality_plots", "_quality_data", "_quality_rivals")
MODULES += ("_quality_tables", "_quality_fasttext")


@pytest.fixture(scope="module")
def benchmark():
    """Import the program by its name, as `python benchmarks/quality.py` does."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        sys.modules.pop(name, None)


def write(file, rows):
    with gzip.open(file, "wt", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for name in ("arxiv_cs", "tox21"):
        (root / name).mkdir()
    texts, _, Y = make_masked_multilabel(
        n_samples=240, n_labels=4, return_full=True, random_state=0
    )
    split = ["test" if i % 3 == 0 else "train" for i in range(240)]
    rows = [[i, text, split[i]] for i, text in enumerate(texts)]
    write(root / "arxiv_cs" / "texts.csv.gz", [["id", "text", "split"], *rows])
    sp.save_npz(root / "arxiv_cs" / "labels.npz", sp.csr_matrix(Y))
    rng = np.random.RandomState(0)
    bits = sp.csr_matrix((rng.rand(240, 16) < 0.3).astype(np.float32))
    smiles = ["".join(rng.choice(list("CNO"), 6)) for _ in range(240)]
    rows = [[i, smiles[i], split[i], split[i]] for i in range(240)]
    head = ["id", "smiles", "split_random0", "split_scaffold"]
    write(root / "tox21" / "molecules.csv.gz", [head, *rows])
    cells = [[i, *(rng.choice(["", "0", "1"], 3))] for i in range(240)]
    write(root / "tox21" / "labels.csv.gz", [["id", "a", "b", "c"], *cells])
    sp.save_npz(root / "tox21" / "X_ecfp4_1024.npz", bits)
    return root


@pytest.fixture(scope="module")
def results(benchmark, folder, tmp_path_factory):
    """Run a few models; return the file."""
    out = tmp_path_factory.mktemp("results") / "results.jsonl"
    arguments = ["--data", str(folder), "--out", str(out), "--seeds", "0"]
    arguments += ["--cache", str(out.parent / "cache")]
    main = benchmark("quality").main
    common = ["--sizes", "60", "1000000", "full", "--models", "ours", "separate_C30"]
    masks = ["--masks", "one-sought", "full-budget", "natural"]
    sets = ["--sets", "arxiv_cs", "tox21_smiles_random"]
    main(["run", *arguments, *common, *sets, *masks])
    # Two values are enough to see that the search searches, and goes past its edge.
    grid = benchmark("_quality_rivals").GRID
    benchmark("_quality_rivals").GRID = (1.0, 10.0)
    searched = ["--sets", "tox21_ecfp_scaffold", "--masks", "one-sought"]
    models = ["separate", "negative_lr", "separate_C1"]
    main(["run", *arguments, *searched, "--sizes", "60", "--models", *models])
    benchmark("_quality_rivals").GRID = grid
    return out, arguments


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_line_tells_what_was_run_and_how_it_went(results):
    lines = lines_of(results[0])
    found = {(x["set"], x["mask"], x["size"], x["model"]) for x in lines}
    ours = {key[:3] for key in found if key[3] == "ours"}
    # 1,000,000 cells are nowhere; "natural" is for sets that are partial.
    assert ours == {
        (name, mask, size)
        for name in ("arxiv_cs", "tox21_smiles_random")
        for mask in ("one-sought", "full-budget", "natural")
        for size in ("60", "full")
        if (name, mask) != ("arxiv_cs", "natural")
    }
    one = next(x for x in lines if (x["mask"], x["size"]) == ("one-sought", "full"))
    assert one["n_cells"] == 160 and one["labels_scored"] == 4
    assert 0 <= one["macro_auc"] <= 1 and one["model_bytes"] > 0
    assert one["version"].startswith("0.") and one["fit_cpu_s"] > 0
    by_model = {x["model"]: x for x in lines if x["set"] == "tox21_ecfp_scaffold"}
    assert by_model["separate"]["chosen"]["tried"] >= 3
    assert by_model["negative_lr"]["chosen"]["C"] > 0


def test_what_is_done_is_skipped_and_a_cut_line_is_run_again(results, benchmark):
    out, arguments = results
    text = out.read_text()
    last = json.loads(text.splitlines()[-1])
    again = ["run", *arguments, "--sets", last["set"], "--masks", last["mask"]]
    again += ["--sizes", last["size"], "--models", last["model"]]
    benchmark("quality").main(again)
    assert out.read_text() == text
    out.write_text(text[:-40])  # ended in the middle of the last line
    benchmark("quality").main(again)
    *_, rerun = benchmark("quality").read_lines(out)
    assert rerun["macro_ap"] == last["macro_ap"]
    out.write_text(text)


def test_tables_name_every_bar(results, benchmark, capsys):
    benchmark("quality").main(["table", "--out", str(results[0])])
    told = capsys.readouterr().out
    assert "| arxiv_cs | one-sought | full: 160 | ours | 1 |" in told
    assert "average macro_ap above separate" in told
    # Which one is worst is the model's affair.
    assert re.search(r"worst set and mask, macro_auc: \w+, ", told)
    assert (
        "tox21_ecfp_scaffold, natural, full: macro_auc | +0.7600 | +nan | not run"
        in (told)
    )


def test_differences_are_paired_and_taken_to_the_strongest_rival(benchmark):
    tables = benchmark("_quality_tables")

    def line(model, seed, value, size="full"):
        key = {"set": "arxiv_cs", "mask": "one-sought", "size": size, "seed": seed}
        scores = dict.fromkeys(tables.SCORES, value)
        return {**key, "model": model, "version": "new", **scores}

    lines = [
        {**line("ours", 0, 0.1), "version": "old"},
        *(line("ours", seed, value) for seed, value in ((0, 0.8), (1, 0.9))),
        *(line("separate", seed, value) for seed, value in ((0, 0.7), (1, 0.6))),
        *(line("separate_C30", seed, value) for seed, value in ((0, 0.6), (1, 0.9))),
        line("forest", 0, 1.0),  # of one seed only: left out of averages
    ]
    results = tables.Results(lines)
    cell = "arxiv_cs", "one-sought", "full"
    assert results.version == "new"
    rival, differences = results.strongest(cell, "macro_auc", all_seeds=True)
    assert rival == "separate_C30"
    assert differences == {0: pytest.approx(0.2), 1: 0.0}
    assert results.strongest(cell, "log_loss")[0] == "separate"
    assert results.strongest(cell, "macro_auc")[0] == "forest"
    means, n_cells = tables.seed_means(results, "separate", "macro_ap")
    assert n_cells == 1
    np.testing.assert_allclose(means, [0.1, 0.3])
    center, half = tables.interval(means)
    assert center == pytest.approx(0.2)
    assert half == pytest.approx(12.7062 * np.std(means, ddof=1) / 2**0.5, rel=1e-4)


def test_masks_keep_known_cells_only_and_sizes_are_nested(benchmark):
    data = benchmark("_quality_data")
    rng = np.random.RandomState(0)
    Y = rng.choice([0.0, 1.0, np.nan], size=(200, 5), p=[0.6, 0.2, 0.2])
    Y = Y.astype(np.float32)
    for mask in data.MASKS:
        whole = data.choose_cells(Y, mask, "full", 3).to_dense()
        labeled = ~np.isnan(whole)
        np.testing.assert_array_equal(whole[labeled], Y[labeled])
        small, smaller = (data.choose_cells(Y, mask, n, 3) for n in (100, 40))
        assert set(zip(*smaller.cells()[:2], strict=True)) < set(
            zip(*small.cells()[:2], strict=True)
        )
        if mask == "full-budget":
            used = labeled.any(axis=1)
            np.testing.assert_array_equal(whole[used], Y[used])
            assert 35 <= smaller.n_cells <= 40
        else:
            assert smaller.n_cells == 40
    one = data.choose_cells(Y, "one-sought", "full", 3).to_dense()
    known = ~np.isnan(Y)
    np.testing.assert_array_equal((~np.isnan(one)).sum(1), known.any(1))
    assert data.choose_cells(Y, "one-sought", 201, 3) is None


def test_fasttext_rivals_train_on_a_tiny_set(benchmark, folder):
    pytest.importorskip("fasttext")
    quality, data = benchmark("quality"), benchmark("_quality_data")
    loaded = data.load("arxiv_cs", folder)
    labels = data.choose_cells(loaded.Y, "one-sought", "full", 0)
    for model in ("separate_fasttext", "fasttext_ova"):
        line = quality.measure(loaded, labels, model, 0)
        assert line["macro_auc"] > 0.5 and line["model_bytes"] > 1000


def test_parameters_of_ours_are_read_from_its_name(benchmark):
    rivals = benchmark("_quality_rivals")
    assert rivals._value("None") is None and rivals._value("False") is False
    assert rivals._value("3") == 3 and rivals._value("0.05") == 0.05
    assert rivals._value("label") == "label"
    with pytest.raises(ValueError, match="model 'other' is none of ours, separate"):
        rivals.get("other")


def test_loss_table_shows_differences_to_the_default(results, benchmark, capsys):
    out, arguments = results
    chosen = ["--sets", "arxiv_cs", "--masks", "one-sought", "--sizes", "full"]
    models = ["--models", "ours", "ours:reduction=label"]
    text = out.read_text()
    benchmark("quality").main(["loss", *arguments, *chosen, *models])
    out.write_text(text)
    told = capsys.readouterr().out
    row = next(x for x in told.splitlines() if x.startswith("| arxiv_cs") and ":" in x)
    assert "ours:reduction=label | " in row and ("+0." in row or "-0." in row)


# The oldest matplotlib calls names that a newer pyparsing has replaced.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_picture_is_drawn(results, benchmark, tmp_path):
    pytest.importorskip("matplotlib")
    image = tmp_path / "curve.png"
    benchmark("quality_plots").main(["--out", str(results[0]), "--image", str(image)])
    assert image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
