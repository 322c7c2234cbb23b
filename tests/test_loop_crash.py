"""Processes that answer, killed at random points, over and over."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from sklearn_masked.annotation.loop._log import AnswerLog

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="processes are forked and killed by signals"
)


@pytest.fixture(scope="module")
def crash():
    path = ROOT / "benchmarks" / "loop_crash.py"
    spec = importlib.util.spec_from_file_location("loop_crash", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_killed_loops_lose_and_double_nothing(crash, tmp_path):
    missed = {"  within a line", "full disks met", "second processes refused"}
    for seed in range(5):  # whether a kill falls within a line is chance
        folder = tmp_path / str(seed)
        folder.mkdir()
        count = crash.kill_many(folder, n_kills=45, seed=seed)
        assert count["killed"] == 45
        assert count["steps acknowledged"] == count["  of these found"] > 0
        for name in (
            "lost",
            "doubled or not told of",
            "batches not asked again",
            "second processes let in",
            "  of these not as answered",
        ):
            assert count[name] == 0, name
        missed = {name for name in missed if not count[name]}
        if not missed:
            break
    assert not missed


def test_a_crowd_at_one_folder_loses_and_doubles_nothing(crash, tmp_path):
    refused = 0
    for seed in range(20):  # whether they meet is chance
        folder = tmp_path / str(seed)
        folder.mkdir()
        count = crash.crowd(folder, n_rounds=3, seed=seed)
        for name in ("lost", "doubled", "two in the folder at once"):
            assert count[name] == 0, name
        assert count["answers told of"] >= 3 * 3 * 12
        refused += count["times refused"]
        if refused:
            break
    assert refused


# The program would notice: it is run with logs that do what they should not.


def forgets(append):
    def broken(self, entries, what):
        if what != "answer" or os.urandom(1)[0] > 30:
            append(self, entries, what)

    return broken


def doubles(append):
    def broken(self, entries, what):
        append(self, entries, what)
        if what == "answer" and len(self.entries) % 7 == 6:
            append(self, [{**entries[0], "id": os.urandom(8).hex()}], what)

    return broken


def forgets_batches(append):
    def broken(self, entries, what):
        if what != "batch":
            append(self, entries, what)

    return broken


@pytest.mark.parametrize("broken", [forgets, doubles, forgets_batches])
def test_the_program_notices_a_log_that_is_broken(crash, tmp_path, monkeypatch, broken):
    monkeypatch.setattr(AnswerLog, "append", broken(AnswerLog.append))
    with pytest.raises(SystemExit, match="is not what was told|a child failed"):
        crash.kill_many(tmp_path, n_kills=30, seed=0)


def test_the_program_notices_a_lock_that_does_not_lock(crash, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_masked.annotation.loop._lock._lock", lambda fd: None)
    noticed = False
    for seed in range(20):  # whether they meet is chance
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            count = crash.crowd(folder, n_rounds=1, seed=seed)
        except SystemExit:
            noticed = True
        else:
            noticed = count["lost"] + count["two in the folder at once"] > 0
        if noticed:
            break
    assert noticed
