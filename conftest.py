"""Settings of all tests: one thread, and generators that each test finds alike."""

import importlib.util
import os
import sys
from pathlib import Path

# The tests' tensors are small: more threads than one only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  after the number of threads
import pytest  # noqa: E402

# Scripts for type checkers are read, not run.
collect_ignore = ["tests/typing"]
# Its modules import what the extra of that name installs.
if importlib.util.find_spec("skl2onnx") is None:
    collect_ignore.append("sklearn_masked/onnx")


@pytest.fixture(autouse=True)
def seeded_global_generators():
    """Seed what is drawn without a seed, so that no test depends on those before it."""
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def pytest_collection_modifyitems(items):
    """Mark the tests that are listed as slow, for ``pytest -m "not slow"``.

    tests/slow.txt has them as ``pytest --durations=0 --durations-min=1`` names them.
    """
    slow = set(
        Path(__file__).with_name("tests").joinpath("slow.txt").read_text().split()
    )
    for item in items:
        if f"{item.path.name}::{item.name.split('[')[0]}" in slow:
            item.add_marker("slow")
