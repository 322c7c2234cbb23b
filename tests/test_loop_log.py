"""The log of a loop, whatever goes wrong while an answer is written."""

import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
import zlib

import pytest
from builders import said

from sklearn_masked.annotation.loop import (
    LabelingLoop,
    _log,
)
from sklearn_masked.exceptions import (
    AnswerNotSavedError,
    DamagedLogError,
    FolderInUseError,
    TornAnswerWarning,
)

TEXTS = [f"text {i}" for i in range(6)]
NAMES = ["war", "crime"]


def make(folder, **options):
    return LabelingLoop(
        None, TEXTS, folder=folder, label_names=NAMES, random_state=0, **options
    )


def read_apart(folder):
    """Return the answers in a folder, read by other code than the package's."""
    found = []
    for n, line in enumerate((folder / "answers.jsonl").read_bytes().splitlines(True)):
        assert line.endswith(b'"}\n')
        body, checksum = line[:-3].rsplit(b',"crc":"', 1)
        assert zlib.crc32(body) == int(checksum, 16)
        entry = json.loads(line)
        assert entry["n"] == n
        found.append((entry["sample"], entry["label"], entry["value"]))
    return found


class FaultyOs:
    """The functions of `os`, some of them replaced."""

    def __init__(self, **replaced):
        self.__dict__.update(replaced)

    def __getattr__(self, name):
        return getattr(os, name)


def fail(number):
    def function(*_):
        raise OSError(number, os.strerror(number))

    return function


def short_write(n_bytes):
    return lambda descriptor, data: os.write(descriptor, data[:n_bytes])


def wrote_then_fails(descriptor, data):
    os.write(descriptor, data)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def interrupted(descriptor, data):
    os.write(descriptor, data[:20])
    raise KeyboardInterrupt


FAULTS = {
    "no room at all": ({"write": fail(errno.ENOSPC)}, "No space left on device"),
    "nothing written": ({"write": short_write(0)}, "only 0 of"),
    "one byte short": ({"write": lambda d, b: os.write(d, b[:-1])}, "bytes had room"),
    "a few bytes": ({"write": short_write(7)}, "only 7 of"),
    "error after writing": ({"write": wrote_then_fails}, "Input/output error"),
    "error at fsync": ({"fsync": fail(errno.EIO)}, "Input/output error"),
    "quota at fsync": ({"fsync": fail(errno.EDQUOT)}, "could not be written"),
    "nothing can be undone": (
        {"write": short_write(7), "ftruncate": fail(errno.EIO)},
        "only 7 of",
    ),
    "nothing works": (
        {"fsync": fail(errno.EIO), "ftruncate": fail(errno.EIO)},
        "Input/output error",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_answer_that_cannot_be_written_changes_nothing_and_may_be_repeated(
    tmp_path, monkeypatch, fault
):
    faults, reason = FAULTS[fault]
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        with monkeypatch.context() as patch:
            patch.setattr(_log, "os", FaultyOs(**faults))
            for tried in range(3):
                with pytest.raises(AnswerNotSavedError) as raised:
                    loop.answer([1, 2], ["war", "crime"], [0, 1])
                assert str(raised.value).startswith(
                    f"The answer was not saved: {tmp_path / 'answers.jsonl'} "
                )
                assert said(loop) == [(0, "war", 1)]
                assert loop.labels.n_cells == 1
                if "ftruncate" not in faults or not tried:
                    assert reason in str(raised.value)
                else:
                    assert "can neither be written nor cut back" in str(raised.value)
                if "ftruncate" not in faults:
                    assert read_apart(tmp_path) == [(0, "war", 1)]
        loop.answer([1, 2], ["war", "crime"], [0, 1])
        loop.answer([1, 2], ["war", "crime"], [0, 1])
        expected = [(0, "war", 1), (1, "war", 0), (2, "crime", 1)]
        assert said(loop) == expected == read_apart(tmp_path)
    with make(tmp_path) as loop:
        assert said(loop) == expected


def test_the_sentence_of_a_full_disk(tmp_path, monkeypatch):
    with make(tmp_path) as loop:
        monkeypatch.setattr(_log, "os", FaultyOs(write=fail(errno.ENOSPC)))
        with pytest.raises(AnswerNotSavedError) as raised:
            loop.answer(0, "war", 1)
        assert str(raised.value) == (
            f"The answer was not saved: {tmp_path / 'answers.jsonl'} could not be "
            "written (No space left on device). Nothing was changed; mend that, and "
            "give the answer again."
        )
        assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("where", ["write", "fsync"])
def test_interrupt_within_an_answer_leaves_memory_and_disk_equal(
    tmp_path, monkeypatch, where
):
    def interrupt(*_):
        raise KeyboardInterrupt

    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        replaced = {"write": interrupted, "fsync": interrupt}[where]
        with monkeypatch.context() as patch:
            patch.setattr(_log, "os", FaultyOs(**{where: replaced}))
            with pytest.raises(KeyboardInterrupt):
                loop.answer(1, "war", 0)
        # Patched, fsync also interrupts the taking back: the next answer repeats it.
        loop.answer(2, "war", 0)
        assert said(loop) == [(0, "war", 1), (2, "war", 0)] == read_apart(tmp_path)


STEPS = {
    "answer": lambda loop: loop.answer([1, 2], ["war", "war"], [0, None]),
    "correct": lambda loop: loop.answer(0, "war", 0),
    "undo": lambda loop: loop.undo(),
    "next_batch": lambda loop: loop.next_batch(2, annotator="ann"),
    "release": lambda loop: loop.release(),
}


def state(loop):
    """Return what a loop says of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            loop.answers(),
            loop.labels.to_dense().tolist(),
            loop.report().n_open,
            [loop.next_batch(9, annotator=who).tobytes() for who in (None, "ann")],
            loop.undo(),
            loop.undo(),
        )


@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_at_any_line_leaves_memory_and_disk_equal(tmp_path, step):
    """Raise at the i-th line that is executed, for every i, as Ctrl-C may."""
    package = os.path.dirname(_log.__file__)

    def raise_at(n):
        left = n

        def trace(frame, event, _):
            nonlocal left
            if not frame.f_code.co_filename.startswith(package):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            return trace

        return trace

    n, outcomes = 0, set()
    while True:
        n += 3 if step == "next_batch" and n > 120 else 1  # there it chooses
        folder, copy = tmp_path / str(n), tmp_path / f"copy of {n}"
        with make(folder) as loop:
            loop.next_batch(3)
            loop.answer(0, "war", 1)
            before = sys.gettrace()
            sys.settrace(raise_at(n))
            try:
                STEPS[step](loop)
                done = True
            except KeyboardInterrupt:
                done = False
            finally:
                sys.settrace(before)
            outcomes.add(len((folder / "answers.jsonl").read_bytes().splitlines()))
            shutil.copytree(folder, copy)
            with make(copy) as other:
                # np.nan is not np.nan, and its text is
                assert repr(state(loop)) == repr(state(other))
        if done:
            break
    assert n > 20 and len(outcomes) > 1  # before and after the line is on disk


def test_last_line_cut_at_every_byte_is_cut_off_or_kept_whole(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        loop.answer(1, "crime", 0)
        check = (tmp_path / "answers.check").read_bytes()
        loop.answer(2, "war", 1)
    path = tmp_path / "answers.jsonl"
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        (tmp_path / "answers.check").write_bytes(check)  # it was not acknowledged
        n_kept = 3 if end == len(whole) - 1 else 2  # the line break alone was missing
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with make(tmp_path) as loop:
                assert len(said(loop)) == n_kept
                loop.answer(2, "war", 1)
                assert len(said(loop)) == 3
        assert len(read_apart(tmp_path)) == 3
        expected = [TornAnswerWarning] * (start < end < len(whole) - 1)
        assert [one.category for one in caught] == expected


def test_the_sentence_of_a_torn_line(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
    path = tmp_path / "answers.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":1,"id"' + b"\0" * 3)
    with pytest.warns(TornAnswerWarning) as caught:
        make(tmp_path).close()
    assert str(caught[0].message) == (
        f"The last line of {path}, line 2, was cut short by a crash and is set aside "
        'in answers.torn: b\'{"n":1,"id"\\x00\\x00\\x00\'. It had not been '
        "acknowledged; the 1 before it are whole."
    )
    assert caught[0].filename == __file__
    assert path.read_bytes() == whole
    aside = tmp_path / "answers.torn"
    assert aside.read_bytes() == b'{"n":1,"id"\0\0\0\n'


def test_a_torn_line_is_removed_where_it_cannot_be_set_aside(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
    (tmp_path / "answers.torn").mkdir()
    path = tmp_path / "answers.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"n":1')
    with pytest.warns(TornAnswerWarning, match="by a crash and is removed: b'"):
        make(tmp_path).close()
    assert path.read_bytes() == whole


def test_what_is_acknowledged_would_survive_a_loss_of_power(tmp_path, monkeypatch):
    """Count what is on disk for certain: what was there at the last fsync."""
    path = tmp_path / "answers.jsonl"
    synced = 0

    class Disk:
        def fsync(self, descriptor):
            nonlocal synced
            os.fsync(descriptor)
            synced = os.fstat(descriptor).st_size

        def __getattr__(self, name):
            return getattr(os, name)

    with make(tmp_path) as loop:
        monkeypatch.setattr(_log, "os", Disk())
        for step in (
            lambda: loop.answer(0, "war", 1),
            lambda: loop.answer([1, 2], ["war", "war"], [0, None]),
            loop.next_batch,
            loop.undo,
            loop.release,
        ):
            before = path.stat().st_size
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a batch of all that is left
                step()
            assert before < path.stat().st_size == synced


def damaged(lines):
    flipped = lines[1].replace(b'"value":0', b'"value":1')
    return {
        "a value changed": [lines[0], flipped, lines[2]],
        "a line lost": [lines[0], lines[2]],
        "a line doubled": [lines[0], lines[1], lines[1], lines[2]],
        "lines swapped": [lines[0], lines[2], lines[1]],
        "zeros": [lines[0], b"\0" * 50 + b"\n", lines[2]],
        "a line of one's own": [lines[0], b'{"sample":1,"value":1}\n', *lines[1:]],
        "the last line changed": [*lines[:2], lines[2].replace(b"war", b"waR")],
        "not text": [lines[0], b"\xff\xfe\n", *lines[1:]],
    }


@pytest.mark.parametrize("damage", damaged([b"", b"", b""]))
def test_damage_that_no_crash_makes_is_refused_with_its_line(tmp_path, damage):
    with make(tmp_path) as loop:
        loop.answer([0, 1, 2], ["war", "crime", "war"], [1, 0, 1])
    path = tmp_path / "answers.jsonl"
    content = b"".join(damaged(path.read_bytes().splitlines(True))[damage])
    path.write_bytes(content)
    line = 3 if damage in ("the last line changed", "a line doubled") else 2
    with pytest.raises(DamagedLogError) as raised:
        make(tmp_path)
    assert str(raised.value).startswith(
        f"{path}, line {line}, is not as it was written: its checksum or its number "
        "is wrong"
    )
    assert path.read_bytes() == content
    with pytest.raises(DamagedLogError):  # the lock was let go: it is not in use
        make(tmp_path)


CHANGES = {
    "removed": lambda path: path.unlink(),
    "moved": lambda path: path.rename(path.with_name("elsewhere")),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more\n"),
    "shorter": lambda path: os.truncate(path, 3),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_changed_meanwhile_is_not_written_to(tmp_path, change):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        CHANGES[change](tmp_path / "answers.jsonl")
        with pytest.raises(AnswerNotSavedError, match="another program has chang"):
            loop.answer(1, "war", 1)
        assert said(loop) == [(0, "war", 1)]


def test_a_closed_loop_takes_no_answer(tmp_path):
    with make(tmp_path) as loop:
        pass
    with pytest.raises(ValueError, match="The labeling loop is closed; open its"):
        loop.answer(0, "war", 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_cannot_answer_and_frees_no_lock(tmp_path):
    with make(tmp_path) as loop:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            try:
                loop.answer(0, "war", 1)
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        with pytest.raises(FolderInUseError):
            make(tmp_path)


SECOND = """
import sys
from sklearn_masked.annotation.loop import LabelingLoop
LabelingLoop(None, sys.argv[2:], folder=sys.argv[1], label_names=["war", "crime"])
"""


def test_the_second_process_gets_a_sentence_and_changes_nothing(tmp_path):
    def content():
        return {
            file.name: (file.read_bytes(), file.stat().st_mtime_ns)
            for file in tmp_path.iterdir()
        }

    def start():
        command = [sys.executable, "-c", SECOND, str(tmp_path), *TEXTS]
        return subprocess.run(command, capture_output=True, text=True)

    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        before = content()
        done = start()
        assert done.returncode == 1
        assert done.stderr.strip().splitlines()[-1] == (
            "sklearn_masked.exceptions.FolderInUseError: `folder` "
            f"{tmp_path} is in use by another labeling loop (process {os.getpid()}); "
            "close that one first, or give each annotator a folder of their own. "
            "Nothing was changed."
        )
        with pytest.raises(FolderInUseError):  # of the same process too
            make(tmp_path)
        assert content() == before
        loop.answer(1, "war", 0)
    assert start().returncode == 0
