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

from sklearn_masked import __version__

ROOT = Path(__file__).resolve().parents[1]


def blocks(file):
    """Return (code, what it prints or "") of the blocks of a page."""
    pattern = r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?"
    return re.findall(pattern, file.read_text(), re.M | re.S)


def run_blocks(page):
    """Run a page's blocks in their order; return their names and a claim per block."""
    names, claims = {}, []
    for block, expected in blocks(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, page.name, "exec"), names)
        claims.append((printed.getvalue(), expected))
    return names, claims


# Pages with tests of their own, and those whose code needs files of the reader.
ELSEWHERE = {
    "annotate.md",
    "annotation_tools.md",
    "labeling.md",
    "onnx.md",
    "weak_labels.md",
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p.name not in ELSEWHERE], ids=lambda p: p.name
)
def test_pages_run_and_print_what_they_say(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, claims = run_blocks(page)
    for printed, expected in claims:
        assert printed == expected


def test_readme_is_short_and_every_block_shows_what_it_prints():
    text = (ROOT / "README.md").read_text()
    assert len(text.split()) <= 1100
    found = blocks(ROOT / "README.md")
    assert len(found) >= 3 and all(expected for _, expected in found)


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" not in target and not target.startswith("#"):
                path = page.parent / target.split("#")[0]
                assert path.exists(), f"{page.name}: {target}"


def test_every_page_of_the_guide_has_its_place():
    listed = (ROOT / "docs" / "guide.rst").read_text()
    listed += (ROOT / "docs" / "project.rst").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        # Sphinx writes pages of these names itself.
        assert page.stem not in ("search", "genindex", "py-modindex")
        placed = page.stem == "index" or f"   {page.stem}\n" in listed
        assert placed, f"docs/{page.name} has no line in docs/guide.rst"


def test_every_example_has_a_title_for_the_gallery():
    examples = sorted((ROOT / "examples").glob("*.py"))
    assert len(examples) >= 12
    for example in examples:
        doc = ast.get_docstring(ast.parse(example.read_text()))
        title, line = doc.splitlines()[:2]
        assert line == "=" * len(title), example.name


def test_the_version_is_the_same_everywhere():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


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
