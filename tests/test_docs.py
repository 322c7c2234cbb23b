"""The README's code runs as it stands; the examples read what they say they do."""

import ast
import contextlib
import csv
import gzip
import importlib.util
import io
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

ROOT = Path(__file__).resolve().parents[1]


def blocks(file):
    """Return (code, what it prints or "") of the blocks of a page."""
    pattern = r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?"
    return re.findall(pattern, file.read_text(), re.M | re.S)


def test_readme_blocks_run_in_their_order_and_print_what_they_say():
    found = blocks(ROOT / "README.md")
    assert len(found) >= 4 and found[0][1]
    names = {}
    for block, expected in found:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README.md", "exec"), names)
        assert not expected or printed.getvalue() == expected
    assert names["model"].predict_proba(["The keeper saves a penalty"]).shape == (1, 2)
    assert str(names["labels"]) in (ROOT / "README.md").read_text()
    assert set(names["param_grid"]) <= set(names["model"].get_params())


def test_the_page_on_words_prints_what_it_says():
    ((block, expected),) = blocks(ROOT / "docs" / "words.md")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "words.md", "exec"), {})
    assert expected and printed.getvalue() == expected


def test_the_page_of_the_algorithm_names_what_exists():
    page = (ROOT / "docs" / "algorithm.md").read_text()
    named = re.findall(r"`((?:classifier|nn)/[\w/]+\.py)(?::([\w.]+))?`", page)
    assert len(named) > 30
    for file, name in named:
        node = ast.parse((ROOT / "sklearn_masked" / file).read_text())
        for part in filter(None, name.split(".")):
            inside = {each.name: each for each in node.body if hasattr(each, "name")}
            assert part in inside, f"{file} has no {name}"
            node = inside[part]


@pytest.fixture(scope="module")
def arxiv():
    spec = importlib.util.spec_from_file_location(
        "arxiv_example", ROOT / "examples" / "arxiv.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    with gzip.open(tmp_path / "texts.csv.gz", "wt", encoding="utf-8", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["id", "text", "split"])
        for i in range(10):
            split = "test" if i >= 7 else "train"
            writer.writerow([f"00{i}", f'A "quoted", text\nof number {i}', split])
    Y = sp.csr_matrix(np.eye(10, 3, dtype=np.int8) + np.eye(10, 3, -5, dtype=np.int8))
    sp.save_npz(tmp_path / "labels.npz", Y)
    (tmp_path / "label_names.txt").write_text("cs.AI\ncs.CL\ncs.LG\n")
    return tmp_path


def test_reader_of_the_arxiv_example(arxiv, folder):
    texts, Y, names, is_test = arxiv.read_folder(folder)
    assert len(texts) == 10
    assert texts[3] == 'A "quoted", text\nof number 3'
    assert names == ["cs.AI", "cs.CL", "cs.LG"]
    assert Y.shape == (10, 3) and Y.sum() == 6
    assert is_test.tolist() == [False] * 7 + [True] * 3


def test_reader_of_the_arxiv_example_refuses_what_does_not_fit(arxiv, folder):
    (folder / "label_names.txt").write_text("cs.AI\n")
    with pytest.raises(ValueError, match="there are 10 texts and 1 label"):
        arxiv.read_folder(folder)


@pytest.mark.parametrize("mask", ["one-sought", "random-60"])
def test_masks_of_the_arxiv_example_tell_the_truth(arxiv, mask):
    rng = np.random.default_rng(0)
    full = (rng.random((300, 8)) < 0.2).astype(np.int8)
    labels = arxiv.MASKS[mask](sp.csr_matrix(full), [str(j) for j in range(8)], 0)
    cells = labels.cells()
    np.testing.assert_array_equal(cells.values, full[cells.rows, cells.cols])
    if mask == "one-sought":
        assert np.diff(labels.indptr).tolist() == [1] * 300
        assert 0.4 < cells.values.mean() < 0.7
    else:
        assert 0.35 < labels.n_cells / full.size < 0.45
