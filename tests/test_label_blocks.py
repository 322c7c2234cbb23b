"""Blocks of labels on several workers: `examples/label_blocks.py` as it is started."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "label_blocks.py"
# Worker 1 dies, as if killed, when it should fit its block.
DIES = """
import os, runpy, signal, sys
import sklearn_masked.classifier._estimator as estimator
fit = estimator.MaskedMultiLabelClassifier.fit
def die(self, X, y):
    os.kill(os.getpid(), signal.SIGKILL)
if os.environ["RANK"] == "1":
    estimator.MaskedMultiLabelClassifier.fit = die
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def scores(out):
    return [float(number) for number in re.findall(r"AUC (\d\.\d+)", out)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("start", ["python", "torchrun"])
def test_blocks_score_as_one_fit_does(start):
    launch = [sys.executable, str(EXAMPLE)]
    if start == "torchrun":
        options = ["--standalone", "--nproc-per-node", "2"]
        launch[1:1] = ["-m", "torch.distributed.run", *options]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    blocks, whole = scores(done.stdout)
    assert abs(blocks - whole) < 0.001
    assert whole > 0.9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills itself by a signal of Unix")
def test_a_worker_that_dies_ends_all_others_with_one_sentence():
    env = {**os.environ, "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1"}
    env["MASTER_PORT"] = str(free_port())
    launch = [sys.executable, "-c", DIES, str(EXAMPLE)]
    workers = [
        subprocess.Popen(
            launch, env={**env, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True
        )
        for rank in range(3)
    ]
    try:
        errors = [worker.communicate(timeout=240)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    codes = [worker.returncode for worker in workers]
    assert codes == [1, -signal.SIGKILL, 1], errors
    for rank in (0, 2):
        assert errors[rank].strip().splitlines()[-1] == (
            f"Worker {rank} stops: another worker is gone, or later than the timeout "
            "of the process group."
        )
