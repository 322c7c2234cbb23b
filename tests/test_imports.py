"""Imports run one way: a module imports those above it in the table, none below."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_masked
from sklearn_masked import exceptions

ROOT = Path(sklearn_masked.__file__).parent
# From the top of the house to its bottom. `nn` stands apart: see below.
TABLE = [
    "_version",
    "exceptions",
    "_fitted",
    "feature_extraction",
    "labels",
    "_targets",
    "metrics",
    "_base",
    "model_selection",
    "datasets",
    "multioutput",
    "nn",
    "classifier",
    "calibration",
    "thresholds",
    "annotation",
    "inspection",
    "plotting",
    "annotate",
]
TORCH = {"nn", "classifier"}
# What `nn` takes from outside the package; triton only where it is there and wanted.
NN_IMPORTS = {"numpy", "scipy", "torch", "skorch", "triton"}
# The terminal's own signal that a command is refused; it never leaves the command.
EXCEPTIONS_ELSEWHERE = {("sklearn_masked.annotation.terminal._wording.py", "Refused")}


def modules():
    """Return (part of the house, file) for each file of the package."""
    files = sorted(ROOT.rglob("*.py"))
    relative = [file.relative_to(ROOT) for file in files]
    return [
        (path.parts[0].removesuffix(".py"), file)
        for path, file in zip(relative, files, strict=True)
        if path.parts != ("__init__.py",)
    ]


def imported(file):
    """Yield (part of the house or None, top-level name) of each import of a file."""
    inside = file.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                ours = parts[0] == "sklearn_masked"
                yield (parts[1] if ours and parts[1:] else None), parts[0]
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield None, node.module.split(".")[0]
                continue
            base = list(inside[: len(inside) - node.level])
            path = base + (node.module.split(".") if node.module else [])
            if path:
                yield path[0], "sklearn_masked"
            else:
                for alias in node.names:
                    yield alias.name, "sklearn_masked"


@pytest.mark.parametrize(
    ("part", "file"), modules(), ids=lambda value: getattr(value, "name", value)
)
def test_imports_run_one_way(part, file):
    assert part in TABLE, f"{file.name} has no place in the house"
    for target, name in imported(file):
        if name == "torch":
            assert part in TORCH
        if part == "nn":
            allowed = NN_IMPORTS | set(sys.stdlib_module_names) | {"sklearn_masked"}
            assert name in allowed
            assert target in (None, "nn", "exceptions")
        elif target is not None:
            assert TABLE.index(target) <= TABLE.index(part)


def test_warnings_and_errors_are_public_and_in_one_module():
    found = set()
    for _, file in modules():
        name = ".".join(["sklearn_masked", *file.relative_to(ROOT).parts])
        tree = ast.parse(file.read_text())
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        module = importlib.import_module(name.removesuffix(".py")) if classes else None
        for node in classes:
            kind = getattr(module, node.name, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                found.add((name, node.name))
    assert found == EXCEPTIONS_ELSEWHERE | {
        ("sklearn_masked.exceptions.py", name) for name in exceptions.__all__
    }


def test_labels_do_not_load_scikit_learn():
    code = "import sys, sklearn_masked.labels; print('sklearn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False")


def test_labels_and_metrics_do_not_load_torch():
    code = (
        "import sys, sklearn_masked, sklearn_masked.labels, sklearn_masked.metrics, "
        "sklearn_masked.feature_extraction, "
        "sklearn_masked.model_selection, sklearn_masked.datasets, "
        "sklearn_masked.multioutput, sklearn_masked.calibration, "
        "sklearn_masked.thresholds, sklearn_masked.inspection, "
        "sklearn_masked.plotting, sklearn_masked.annotation; "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "False")


def test_top_level_names_are_lazy_and_listed():
    for name in sklearn_masked.__all__:
        assert getattr(sklearn_masked, name) is not None
    assert sorted(sklearn_masked.__all__) == dir(sklearn_masked)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sklearn_masked.nothing  # noqa: B018
