"""The API reference has a page for every public name, and estimators lead there."""

import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sklearn_masked

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", DOCS / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(reference, tmp_path_factory):
    """Return the text of each page by its name."""
    folder = tmp_path_factory.mktemp("api")
    reference.write(folder)
    return {file.stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def public_things():
    """Yield (module, name, object) of each name in `__all__` of a public module."""
    found = pkgutil.iter_modules(sklearn_masked.__path__, "sklearn_masked.")
    for module in ["sklearn_masked", *(part.name for part in found)]:
        if not module.rpartition(".")[2].startswith("_"):
            loaded = importlib.import_module(module)
            for name in loaded.__all__:
                thing = getattr(loaded, name)
                if not inspect.ismodule(thing) and not name.startswith("__"):
                    yield module, name, thing


THINGS = list(public_things())


def test_every_public_name_has_a_page_and_is_listed_on_its_modules(pages):
    assert len(THINGS) > 100
    for module, name, _ in THINGS:
        listed = [
            line.split("`")[1].lstrip("~")
            for line in pages[module].splitlines()
            if ":py:obj:`" in line
        ]
        (home,) = [full for full in listed if full.rpartition(".")[2] == name]
        assert f":: {name}\n" in pages[home], f"{module}.{name}"


def test_every_page_is_in_a_table_of_contents(pages):
    for stem in pages:
        inside = [text for text in pages.values() if f"\n   {stem}\n" in text]
        assert len(inside) == (stem != "index"), stem


def test_every_public_name_has_a_docstring():
    for module, name, thing in THINGS:
        assert inspect.getdoc(thing), f"{module}.{name}"


def test_public_methods_of_the_package_are_on_the_page_of_their_class(pages):
    page = pages["sklearn_masked.calibration.MaskedCalibratedClassifierCV"]
    for method in ("fit", "predict_proba", "correct_prior", "score"):
        assert f".. automethod:: {method}\n" in page
    assert ".. autoproperty:: n_cells\n" in pages["sklearn_masked.labels.MaskedLabels"]


ESTIMATORS = {
    thing
    for _, _, thing in THINGS
    if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
}


@pytest.mark.parametrize("cls", sorted(ESTIMATORS, key=lambda cls: cls.__name__))
def test_html_box_of_an_estimator_leads_to_its_page(cls, pages):
    parameters = inspect.signature(cls).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty]
    link = cls(**dict.fromkeys(needed))._get_doc_link()
    assert link.startswith("https://") and Path(link).suffix == ".html"
    assert link.split("/api/")[1].removesuffix(".html") in pages
