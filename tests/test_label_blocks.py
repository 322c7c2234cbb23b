"""Blocks of labels on several workers: `examples/label_blocks.py` as it is started."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "label_blocks.py"


def scores(out):
    return [float(number) for number in re.findall(r"AUC (\d\.\d+)", out)]


def test_blocks_score_as_one_fit_does_under_torchrun():
    options = ["--standalone", "--nproc-per-node", "2"]
    launch = [sys.executable, "-m", "torch.distributed.run", *options, str(EXAMPLE)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    blocks, whole = scores(done.stdout)
    assert abs(blocks - whole) < 0.001
    assert whole > 0.9
