"""Processes that answer, killed at random points, over and over."""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from sklearn_masked.annotation.loop import _log
from sklearn_masked.annotation.loop._log import AnswerLog
from sklearn_masked.exceptions import (
    TornAnswerWarning,
)

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
    count = crash.kill_many(tmp_path, n_kills=45, seed=0)
    assert count["killed"] == 45
    assert count["steps acknowledged"] == count["  of these found"] > 0
    assert count["second processes refused"] > 0
    for name in (
        "lost",
        "doubled or not told of",
        "batches not asked again",
        "second processes let in",
        "  of these not as answered",
    ):
        assert count[name] == 0, name


@pytest.mark.parametrize("n_bytes", [1, 60, -1])
def test_a_kill_within_a_line_costs_only_that_line(crash, tmp_path, n_bytes):
    """The line is held where it is, until the process is killed."""

    class HeldOs:
        def __getattr__(self, name):
            return getattr(os, name)

        def write(self, descriptor, data):
            os.write(descriptor, data[:n_bytes])
            os.write(end, b"held\n")
            signal.pause()

    def work(pipe):
        nonlocal end
        end, loop = pipe, crash.open_loop(tmp_path)
        loop.answer([0, 1], [0, 0], [1, 0])
        _log.os = HeldOs()
        loop.answer(2, 0, 1)

    end = None
    child, pipe = crash.start(work)
    heard = crash.listen(pipe, time.monotonic() + 60, b"held")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(pipe)
    assert heard == b"held\n"
    if n_bytes == -1:  # the line break alone was missing
        loop, n = crash.open_loop(tmp_path), 3
    else:
        with pytest.warns(TornAnswerWarning):
            loop, n = crash.open_loop(tmp_path), 2
    with loop:
        assert len(loop.answers()) == n
        loop.answer(2, 0, 1)
        assert len(loop.answers()) == 3
    assert len(crash.read_apart(tmp_path / "answers.jsonl")[0]) == 3


def test_a_crowd_at_one_folder_loses_and_doubles_nothing(crash, tmp_path):
    count = crash.crowd(tmp_path, n_rounds=3, seed=0)
    for name in ("lost", "doubled", "two in the folder at once"):
        assert count[name] == 0, name
    assert count["answers told of"] >= 3 * 3 * 12
    assert count["times refused"] >= 3 * 3  # those that are not killed, each round


# The program would notice: it is run with logs that do what they should not.


def forgets(append):
    def broken(self, entries, what):
        if what != "answer":
            append(self, entries, what)

    return broken


def doubles(append):
    def broken(self, entries, what):
        append(self, entries, what)
        if what == "answer":
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
        # A batch and an answer at least.
        crash.kill_many(tmp_path, n_kills=10, seed=0, n_steps=3)


def test_the_program_notices_a_lock_that_does_not_lock(crash, tmp_path, monkeypatch):
    monkeypatch.setattr("sklearn_masked.annotation.loop._lock._lock", lambda fd: None)
    try:
        count = crash.crowd(tmp_path, n_rounds=1, seed=0)
    except SystemExit:  # a child found the file damaged
        return
    assert count["two in the folder at once"] >= 4
