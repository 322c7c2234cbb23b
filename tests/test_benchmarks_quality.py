"""The benchmark of quality runs on tiny sets, goes on where it stopped, and tells."""

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
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from sklearn_masked.datasets import make_masked_multilabel

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MODULES = ("quality", "quality_plots", "_quality_data", "_quality_rivals")
MODULES += ("_quality_tables", "_quality_fasttext")
QUICK = "ours:C=5,shared_weight=0.3,idf_power=0.5,label_correlation=0,interactions=0"
QUICK += ",max_epochs=1"


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
    for name in ("arxiv_cs", "xed_en", "tox21", "emotions"):
        (root / name).mkdir()
    texts, _, Y = make_masked_multilabel(
        n_samples=240, n_labels=4, return_full=True, random_state=0
    )
    split = ["test" if i % 3 == 0 else "train" for i in range(240)]
    rows = [[i, text, split[i]] for i, text in enumerate(texts)]
    write(root / "arxiv_cs" / "texts.csv.gz", [["id", "text", "split"], *rows])
    sp.save_npz(root / "arxiv_cs" / "labels.npz", sp.csr_matrix(Y))
    # A set without a split.
    write(root / "xed_en" / "texts.csv.gz", [["id", "text"], *(r[:2] for r in rows)])
    sp.save_npz(root / "xed_en" / "labels.npz", sp.csr_matrix(Y))
    rng = np.random.RandomState(0)
    bits = sp.csr_matrix((rng.rand(240, 16) < 0.3).astype(np.float32))
    smiles = ["".join(rng.choice(list("CNO"), 6)) for _ in range(240)]
    rows = [[i, smiles[i], split[i], split[i]] for i in range(240)]
    head = ["id", "smiles", "split_random0", "split_scaffold"]
    write(root / "tox21" / "molecules.csv.gz", [head, *rows])
    cells = [[i, *(rng.choice(["", "0", "1"], 3))] for i in range(240)]
    write(root / "tox21" / "labels.csv.gz", [["id", "a", "b", "c"], *cells])
    sp.save_npz(root / "tox21" / "X_ecfp4_1024.npz", bits)
    X = rng.randn(240, 5)
    np.save(root / "emotions" / "X.npy", X)
    (root / "emotions" / "split.txt").write_text("\n".join(split))
    cells = [[i, *(X[i, :2] > 0).astype(int)] for i in range(240)]
    write(root / "emotions" / "labels.csv.gz", [["id", "a", "b"], *cells])
    return root


@pytest.fixture(scope="module")
def results(benchmark, folder, tmp_path_factory):
    """Run a few models; return the file."""
    out = tmp_path_factory.mktemp("results") / "results.jsonl"
    arguments = ["--data", str(folder), "--out", str(out)]
    arguments += ["--cache", str(out.parent / "cache")]
    common = ["--sizes", "60", "1000000", "full", "--seeds", "0", "1"]
    sets = ["--sets", "arxiv_cs", "tox21:smiles:scaffold", "emotions"]
    models = ["--models", QUICK, "separate:C=1", "forest"]
    # Few trees are enough to see that forests are asked on dense columns alone.
    rivals = benchmark("_quality_rivals")
    rivals.KINDS, kinds = {"forest": ("dense",)}, rivals.KINDS
    forest = rivals.RandomForestClassifier
    rivals.RandomForestClassifier = lambda _, **params: forest(5, **params)
    benchmark("quality").main(["run", *arguments, *common, *sets, *models])
    rivals.KINDS, rivals.RandomForestClassifier = kinds, forest
    return out, arguments


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_line_tells_what_was_run_and_how_it_went(results):
    lines = lines_of(results[0])
    # 1,000,000 cells are nowhere; "natural" is for sets that are partial.
    masks = {"arxiv_cs": "random-60", "emotions": "random-60"}
    masks["tox21:smiles:scaffold"] = "natural"
    settings = {
        (name, mask, size, seed)
        for name in masks
        for mask in ("one-sought", masks[name])
        for size, seed in (("60", 0), ("60", 1), ("full", 0))
    }
    names = "set", "mask", "size", "seed"

    def found(model, rows):
        chosen = [x for x in lines if (x["model"], x["rows"]) == (model, rows)]
        return {tuple(x[name] for name in names) for x in chosen}

    assert found(QUICK, "labeled") == found(QUICK, "all") == settings
    assert found("separate:C=1", "labeled") == settings
    assert found("separate:C=1", "all") == set()
    assert {setting[0] for setting in found("forest", "labeled")} == {"emotions"}
    one = next(x for x in lines if (x["mask"], x["size"]) == ("one-sought", "full"))
    assert one["n_cells"] == one["n_rows"] == 160 and one["labels_scored"] == 4
    assert 0 <= one["macro_auc"] <= 1 and one["version"].startswith("0.")
    assert one["fit_cpu_s"] > 0 and one["predict_cpu_s"] >= 0
    few = [x for x in lines if (x["size"], x["rows"]) == ("60", "all")]
    assert all(x["n_rows"] == 160 for x in few)


def test_what_is_done_is_skipped_and_a_cut_line_is_run_again(results, benchmark):
    out, arguments = results
    text = out.read_text()
    last = json.loads(text.splitlines()[-1])
    again = ["run", *arguments, "--seeds", str(last["seed"])]
    for name in ("set", "mask", "size", "model"):
        again += [f"--{name}s", last[name]]
    benchmark("quality").main(again)
    assert out.read_text() == text
    out.write_text(text[:-40])  # ended in the middle of the last line
    benchmark("quality").main(again)
    *_, rerun = benchmark("quality").read_lines(out)
    assert rerun["macro_ap"] == last["macro_ap"]
    out.write_text(text)


def test_tables_have_a_row_per_setting_and_name_the_rival(results, benchmark, capsys):
    main = benchmark("quality").main
    main(["table", "--out", str(results[0])])
    told = capsys.readouterr().out
    # The forest was not run on all sets.
    assert "Compared with: macro_auc separate:C=1, macro_ap separate:C=1" in told
    number = r"[+-]\d\.\d{4} ± \d\.\d{4}"
    assert re.search(rf"\| {QUICK} \| all \| 12 \| {number} \|", told)
    assert re.search(rf"\| emotions \| one-sought \| {QUICK} \| all \| {number}", told)
    assert re.search(r"\| emotions \| random-60 \| all \| 60 \| forest \| 2 \| 0", told)
    main(["table", "--out", str(results[0]), "--rival", "forest"])
    assert "Compared with: macro_auc forest" in capsys.readouterr().out


def test_other_orders_and_noise_make_a_table_of_spread(
    folder, tmp_path, benchmark, capsys
):
    out = tmp_path / "spread.jsonl"
    chosen = ["--sets", "emotions", "--sizes", "60", "--models", QUICK]
    chosen += ["--masks", "random-60", "--runs", "order0", "order1", "plain", "noise0"]
    main = benchmark("quality").main
    main(["spread", "--data", str(folder), "--out", str(out), *chosen])
    by_run = {line["run"]: line["macro_ap"] for line in lines_of(out)}
    assert set(by_run) == {"order0", "order1", "plain", "noise0"}
    capsys.readouterr()
    main(["table", "--out", str(out)])
    told = capsys.readouterr().out
    off = np.std([by_run["order0"], by_run["order1"]], ddof=1)
    assert re.search(rf"\| {QUICK} \| 0 \| 2 \|.* {off:.4f} \|", told)


def test_an_order_keeps_each_rows_cells_and_noise_is_small(benchmark, folder):
    quality, data = benchmark("quality"), benchmark("_quality_data")
    loaded = data.load("tox21", str(folder))
    labels = data.choose_cells(loaded.Y, "natural", 50, 0)
    plain, seed = quality.arrange(loaded, labels, "labeled", 4, "plain")
    assert seed == 4 and plain.X.shape[0] == len(plain.labels) < len(labels)
    other, seed = quality.arrange(loaded, labels, "labeled", 4, "order3")
    assert seed == 3 and set(other.rows) == set(plain.rows)
    assert list(other.rows) != list(plain.rows)
    back = np.argsort(other.rows)
    assert (other.X[back] != plain.X).nnz == 0
    np.testing.assert_array_equal(
        other.labels.to_dense()[back], plain.labels.to_dense()
    )
    before = loaded.X.copy()
    noisy, seed = quality.arrange(loaded, labels, "all", 4, "noise0")
    assert seed == 4 and len(noisy.labels) == len(labels)
    off = np.abs((noisy.X - loaded.X).data)
    assert 0 < off.max() < 1e-6 and (loaded.X != before).nnz == 0


def made_line(model, seed, value, **changed):
    key = {"set": "arxiv_cs", "mask": "one-sought", "size": "100", "rows": "labeled"}
    key |= {"seed": seed, "run": "plain", "model": model, "version": "new"}
    names = ("macro_auc", "macro_ap", "micro_auc", "micro_ap", "log_loss")
    return {**key, **dict.fromkeys(names, value), **changed}


def test_differences_are_paired_and_taken_to_the_best_rival(benchmark):
    tables = benchmark("_quality_tables")
    lines = [
        made_line("ours", 0, 0.1, version="old"),
        *(made_line("ours", seed, value) for seed, value in ((0, 0.8), (1, 0.9))),
        made_line("ours", 0, 0.7, size="full"),
        *(made_line("separate", seed, value) for seed, value in ((0, 0.7), (1, 0.6))),
        made_line("separate", 0, 0.6, size="full"),
        *(made_line("other", seed, value) for seed, value in ((0, 0.6), (1, 0.9))),
        made_line("other", 0, 0.6, size="full"),
        made_line("forest", 0, 1.0),  # not in all settings
    ]
    results = tables.Results(lines)
    setting = tables.Setting("arxiv_cs", "one-sought", "labeled", "100")
    assert results.version == "new" and "ours@old" in results.models
    assert results.best_rival(["ours"], "macro_auc") == "other"
    assert results.best_rival(["ours"], "log_loss") == "separate"
    differences = results.differences(setting, "ours", "separate", "macro_ap")
    assert differences == {0: pytest.approx(0.1), 1: pytest.approx(0.3)}
    # Rivals never see unlabeled rows: both ways to pass them have the same rival.
    everything = setting._replace(rows="all")
    assert results.by_seed(everything, "separate") == results.by_seed(
        setting, "separate"
    )
    mean, error = tables.pooled([differences, {0: 0.4}])
    assert mean == pytest.approx((0.2 + 0.4) / 2)
    assert error == pytest.approx(0.1 / 2)  # the setting of one draw has no error
    center, half = tables.interval([0.1, 0.3])
    assert center == pytest.approx(0.2) and half == pytest.approx(1.27062, rel=1e-4)


@pytest.mark.parametrize(("off", "is_lost"), [(0.0, False), (-0.02, True)])
def test_a_setting_is_lost_where_two_standard_errors_do_not_help(
    benchmark, off, is_lost
):
    tables = benchmark("_quality_tables")
    draws = (0, 0.80), (1, 0.82), (2, 0.81)
    lines = [made_line("separate", seed, value) for seed, value in draws]
    lines += [made_line("ours", s, v + off + 0.004 * (s - 1)) for s, v in draws]
    lines = [dict(line, fit_cpu_s=1.0, predict_cpu_s=0.0) for line in lines]
    told = tables.report(lines)
    row = "| arxiv_cs | one-sought | labeled | 100 | ours | macro_ap | -0.0200 | 0.0023"
    assert (row in told) == is_lost
    assert ("None." in told) == (not is_lost)


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


def test_views_and_splits_are_part_of_a_sets_name(benchmark, folder):
    data = benchmark("_quality_data")
    with pytest.raises(ValueError, match="set 'news' is none of arxiv_cs, "):
        data.load("news", str(folder))
    with pytest.raises(ValueError, match="view 'smiles' is none of tfidf, embedding"):
        data.load("arxiv_cs:smiles", str(folder))
    both = data.load("tox21:both:random", str(folder), None, 1)
    smiles = data.load("tox21:smiles:random", str(folder), None, 1)
    assert both.X.shape == (192, smiles.X.shape[1] + 16) and len(both.Y_test) == 24
    own = [data.load("xed_en", str(folder), None, seed) for seed in (0, 1)]
    assert own[0].X.shape[0] == 192 and len(own[0].Y_test) == 48
    np.testing.assert_array_equal(own[0].Y, own[1].Y)
    assert data.kind_of("xed_en:embedding") == "embedding"
    assert data.load("emotions", str(folder)).X.dtype == np.float32


def slow_search(X, y, C_grid):
    """Return the left-out log loss per C, each fold fitted by scikit-learn."""
    losses = np.zeros(len(C_grid))
    for train, test in StratifiedKFold(3, shuffle=True, random_state=0).split(X, y):
        for i, C in enumerate(C_grid):
            model = LogisticRegression(C=C, solver="liblinear").fit(X[train], y[train])
            proba = model.predict_proba(X[test])
            losses[i] -= np.log(proba[np.arange(len(test)), y[test].astype(int)]).sum()
    return losses


def test_separate_models_are_those_of_a_plain_search(benchmark, folder):
    quality, data = benchmark("quality"), benchmark("_quality_data")
    rivals = benchmark("_quality_rivals")
    loaded = data.load("arxiv_cs", str(folder))
    labels = data.choose_cells(loaded.Y, "random-60", "full", 0)
    task, _ = quality.arrange(loaded, labels, "all", 0, "plain")
    Y = labels.to_dense()
    columns = [(~np.isnan(Y[:, label]), label) for label in range(Y.shape[1])]
    losses = [
        slow_search(loaded.X[own], Y[own, label], rivals.C_GRID)
        for own, label in columns
    ]
    best = rivals.C_GRID[np.argmin(np.sum(losses, axis=0))]
    for name, values in (
        ("separate", [best] * 4),
        ("separate:per_label=True", rivals.C_GRID[np.argmin(losses, axis=1)]),
    ):
        fitted = rivals.get(name)(task, 0)
        assert fitted.chosen["C"] == sorted(set(np.round(values, 3)))
        for (own, label), C in zip(columns, values, strict=True):
            plain = LogisticRegression(C=C, solver="liblinear")
            plain.fit(loaded.X[own], Y[own, label])
            np.testing.assert_allclose(
                fitted.predict()[:, label],
                plain.predict_proba(loaded.X_test)[:, 1],
                atol=1e-3,
            )


def test_separate_models_of_few_cells_fall_back_on_rates(benchmark, folder):
    quality, data = benchmark("quality"), benchmark("_quality_data")
    rivals = benchmark("_quality_rivals")
    loaded = data.load("emotions", str(folder))
    Y = np.full_like(loaded.Y, np.nan)
    Y[:3, 0], Y[:2, 1] = 1, (0, 1)
    labels = data.choose_cells(Y, "natural", "full", 0)
    task, _ = quality.arrange(loaded, labels, "labeled", 0, "plain")
    fitted = rivals.get("separate")(task, 0)
    assert fitted.chosen["C"] == [1.0]
    np.testing.assert_allclose(fitted.predict()[:, 0], (3 + 0.8) / 4, rtol=1e-6)
    negative = rivals.get("separate:C=1,unlabeled=negative")(task, 0)
    # The second label has two unlabeled cells in these rows... all of them negative.
    assert np.all(negative.predict()[:, 1] < 1)


def test_scaling_of_arrays_is_chosen_by_the_same_folds(benchmark):
    rivals = benchmark("_quality_rivals")
    losses = [np.full((6, 2), 3.0), np.full((6, 2), 3.0)]
    losses[1][2, 0], losses[1][4, 1] = 1.0, 0.5
    best, C = rivals._choose(losses, 2, False, None)
    assert best == 1 and C.tolist() == [rivals.C_GRID[4]] * 2
    best, C = rivals._choose(losses, 2, True, None)
    assert best == 1 and C.tolist() == [rivals.C_GRID[2], rivals.C_GRID[4]]
    assert rivals._choose([], 2, True, 7.0) == (0, pytest.approx([7.0, 7.0]))


def test_fasttext_rivals_train_on_a_tiny_set(benchmark, folder):
    pytest.importorskip("fasttext")
    quality, data = benchmark("quality"), benchmark("_quality_data")
    loaded = data.load("arxiv_cs", str(folder))
    labels = data.choose_cells(loaded.Y, "one-sought", "full", 0)
    for model in ("fasttext", "fasttext:ova=True"):
        key = {"rows": "labeled", "seed": 0, "run": "plain", "model": model}
        assert quality.measure(loaded, labels, key)["macro_auc"] > 0.5


def test_the_classic_model_and_a_loop_by_hand_have_the_same_scores(benchmark, folder):
    quality, data = benchmark("quality"), benchmark("_quality_data")
    loaded = data.load("arxiv_cs", str(folder))
    labels = data.choose_cells(loaded.Y, "random-60", "full", 0)
    key = {"rows": "labeled", "seed": 0, "run": "plain"}
    settings = "lr=0.03,max_epochs=30,batch_size=32,embedding_dim=8"
    names = f"classic:{settings}", f"loop:{settings}"
    classic, loop = (
        quality.measure(loaded, labels, {**key, "model": name}) for name in names
    )
    assert classic["macro_auc"] > 0.7
    assert classic["macro_auc"] == pytest.approx(loop["macro_auc"], abs=0.05)
    assert quality.version_of("classic") == quality.version_of("ours")


def test_parameters_of_models_are_read_from_their_names(benchmark):
    rivals = benchmark("_quality_rivals")
    assert rivals._value("None") is None and rivals._value("False") is False
    assert rivals._value("3") == 3 and rivals._value("0.05") == 0.05
    assert rivals._value("label") == "label"
    assert rivals.applies("forest", "dense") and not rivals.applies("forest", "text")
    assert rivals.applies("forest:C=1", "text")  # asked for by name
    with pytest.raises(ValueError, match="model 'other' is none of ours, classic"):
        rivals.get("other")
    run = ["run", "--data", "nowhere", "--out", "none", "--models", "ours", "other"]
    with pytest.raises(ValueError, match="model 'other' is none of ours"):
        benchmark("quality").main(run)


# The oldest matplotlib calls names that a newer pyparsing has replaced.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_picture_is_drawn(results, benchmark, tmp_path):
    pytest.importorskip("matplotlib")
    image = tmp_path / "curve.png"
    words = tmp_path / "words.jsonl"
    line = {"set": "arxiv_cs", "model": "words", "version": "1", "auc": 0.8, "ap": 0.3}
    sizes = ("0", "30", "30", "full")
    words.write_text("".join(json.dumps({**line, "size": s}) + "\n" for s in sizes))
    chosen = ["--ours", QUICK, "--rival", "separate:C=1", "--words", str(words)]
    benchmark("quality_plots").main(
        ["--out", str(results[0]), "--image", str(image), *chosen]
    )
    assert image.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
