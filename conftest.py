"""Settings of all tests: one thread, and generators that each test finds alike."""

import importlib.util
import os
import sys

# The tests' tensors are small: more threads than one only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402  after the number of threads
import pytest  # noqa: E402

# Its modules import what the extra of that name installs.
if importlib.util.find_spec("skl2onnx") is None:
    collect_ignore = ["sklearn_masked/onnx"]


@pytest.fixture(autouse=True)
def seeded_global_generators():
    """Seed what is drawn without a seed, so that no test depends on those before it."""
    np.random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
