"""Imports run one way: a module imports those above it in the table, none below."""

import ast
import graphlib
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
    "_typing",
    "_html",
    "exceptions",
    "_files",
    "_fitted",
    "_rows",
    "_scripts",
    "feature_extraction",
    "labels",
    "_targets",
    "metrics",
    "_base",
    "model_selection",
    "datasets",
    "_meta",
    "multioutput",
    "nn",
    "classifier",
    "calibration",
    "thresholds",
    "inspection",
    "annotation",
    "serving",
    "plotting",
    "onnx",
    "annotate",
]
TORCH = {"nn", "classifier"}
# The rooms of `nn`, from the top to the bottom.
ROOMS = ["device", "_sparse", "_batches", "model", "sgd", "sdca"]
# What `nn` takes from outside the package; triton only where it is there and wanted.
NN_IMPORTS = {"numpy", "scipy", "torch", "skorch", "triton"}
# Signals that a command or a request is refused; they never leave what serves it.
EXCEPTIONS_ELSEWHERE = {
    ("sklearn_masked.annotation.session._wording.py", "Refused"),
    ("sklearn_masked.annotation.browser._app.py", "Refusal"),
}


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
    """Yield each import of a file as (path inside the package or (), top-level name).

    The path of a name ends with the name where it is a module.
    """
    inside = file.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top, *path = alias.name.split(".")
                yield (tuple(path) if top == "sklearn_masked" else ()), top
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield (), node.module.split(".")[0]
                continue
            base = inside[: len(inside) - node.level]
            path = base + tuple(node.module.split(".") if node.module else ())
            for alias in node.names:
                longer = (*path, alias.name)
                yield (longer if is_module(longer) else path), "sklearn_masked"


def is_module(path):
    file = ROOT.joinpath(*path)
    return file.is_dir() or file.with_suffix(".py").is_file()


@pytest.mark.parametrize(
    ("part", "file"), modules(), ids=lambda value: getattr(value, "name", value)
)
def test_imports_run_one_way(part, file):
    assert part in TABLE, f"{file.name} has no place in the house"
    for path, name in imported(file):
        target = path[0] if path else None
        if name == "torch":
            assert part in TORCH
        if part == "nn":
            allowed = NN_IMPORTS | set(sys.stdlib_module_names) | {"sklearn_masked"}
            assert name in allowed
            assert target in (None, "nn", "exceptions")
        elif target is not None:
            assert TABLE.index(target) <= TABLE.index(part)


@pytest.mark.parametrize(
    ("part", "file"), modules(), ids=lambda value: getattr(value, "name", value)
)
def test_private_modules_are_imported_in_their_own_package_alone(part, file):
    inside = file.relative_to(ROOT).parts
    for path, _ in imported(file):
        if part in TORCH and path[:1] == ("nn",):
            continue  # the rooms of `nn` are open to each other and to `classifier`
        private = [i for i, name in enumerate(path) if name.startswith("_")]
        for i in private:
            assert path[:i] == inside[:i], f"{'.'.join(path)} is private"


def test_no_file_imports_itself_by_way_of_others():
    graph = {}
    for _, file in modules():
        path = file.relative_to(ROOT).with_suffix("").parts
        path = path[:-1] if path[-1] == "__init__" else path
        graph[path] = {target for target, _ in imported(file) if target}
    # Raises CycleError, which names the files.
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert {("labels", "_store"), ("nn", "_sparse")} <= set(order)


@pytest.mark.parametrize("file", sorted(ROOT.joinpath("nn").rglob("*.py")), ids=str)
def test_rooms_of_nn_import_one_way(file):
    room = file.relative_to(ROOT / "nn").parts[0].removesuffix(".py")
    for path, _ in imported(file):
        if room != "__init__" and path[:1] == ("nn",):
            assert ROOMS.index(path[1]) <= ROOMS.index(room)


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


@pytest.mark.parametrize("name", ["exceptions", "labels", "serving"])
def test_labels_and_predictors_do_not_load_scikit_learn(name):
    code = f"import sys, sklearn_masked.{name}; print('sklearn' in sys.modules)"
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
