"""The terminal program in a real pseudo-terminal, and its command line."""

import codecs
import contextlib
import csv
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import joblib
import numpy as np
import pytest

pytest.importorskip("prompt_toolkit", reason="the extra `annotate` is not installed")
fcntl = pytest.importorskip("fcntl", reason="this platform has no pseudo-terminals")
pty = pytest.importorskip("pty", reason="this platform has no pseudo-terminals")
termios = pytest.importorskip("termios", reason="no pseudo-terminals here")

from sklearn_masked.annotate import main  # noqa: E402
from sklearn_masked.annotation import LabelingLoop  # noqa: E402
from sklearn_masked.annotation.terminal._screen import HELP, HELP_MANY, INTRO  # noqa: E402

ROOT = Path(__file__).parents[1]
# As a shell would start it: the terminal is its own, and it is told when that closes.
START = (
    "import fcntl, runpy, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "runpy.run_module('sklearn_masked.annotate', run_name='__main__', alter_sys=True)"
)
NOHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
LABELS = ["war", "crime", "rain"]
TEXTS = [
    f"text {i}: " + ["the war goes on", "a thief was arrested", "rain and 雨"][i % 3]
    for i in range(30)
]


class Screen:
    """As much of a terminal as the program uses; what it does not know is refused."""

    SEQUENCE = re.compile(
        r"\x1b\[(?P<private>\?)?(?P<numbers>[\d;]*)(?P<kind>[A-Za-z])"
        r"|\x1b\][^\x07]*\x07|\x1b[78=>]"
    )

    def __init__(self, columns, rows):
        self.resize(columns, rows)
        self.modes, self.styles = set(), set()

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.col = 0

    def __str__(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def feed(self, text):
        """Take up text; return what is the beginning of a sequence."""
        at = 0
        while at < len(text):
            if text[at] == "\x1b":
                found = self.SEQUENCE.match(text, at)
                if found is None:
                    assert len(text) - at < 60, repr(text[at : at + 60])
                    return text[at:]
                self.obey(found)
                at = found.end()
            else:
                self.put(text[at])
                at += 1
        return ""

    def obey(self, found):
        kind = found["kind"]
        numbers = [int(one) for one in (found["numbers"] or "").split(";") if one]
        n = numbers[0] if numbers else 1
        if kind is None:
            return
        if found["private"]:
            (self.modes.add if kind == "h" else self.modes.discard)(n)
        elif kind == "m":
            self.styles |= set(numbers)
        elif kind == "H":
            self.row, self.col = [one - 1 for one in numbers] or (0, 0)
        elif kind in "ABCD":
            down, right = {"A": (-n, 0), "B": (n, 0), "C": (0, n), "D": (0, -n)}[kind]
            self.row = min(max(self.row + down, 0), self.rows - 1)
            self.col = min(max(self.col + right, 0), self.columns - 1)
        elif kind in "JK" and (not numbers or n == 0):
            self.erase(kind == "J")
        elif kind == "J":
            self.resize(self.columns, self.rows)
        else:
            raise AssertionError(found.group())

    def erase(self, all_below):
        self.cells[self.row][self.col :] = [" "] * (self.columns - self.col)
        if all_below:
            for row in range(self.row + 1, self.rows):
                self.cells[row] = [" "] * self.columns

    def put(self, character):
        if character == "\r":
            self.col = 0
        elif character == "\n":
            if self.row == self.rows - 1:
                self.cells = [*self.cells[1:], [" "] * self.columns]
            self.row = min(self.row + 1, self.rows - 1)
        elif character == "\b":
            self.col = max(0, self.col - 1)
        elif character >= " ":
            wide = unicodedata.east_asian_width(character) in "WF"
            if self.col < self.columns:
                self.cells[self.row][self.col] = character
                if wide and self.col + 1 < self.columns:
                    self.cells[self.row][self.col + 1] = ""
            self.col += 1 + wide


class Program:
    """The program in a terminal of its own."""

    def __init__(self, folder, *options, columns=80, rows=24, nohup=False, **environ):
        self.screen = Screen(columns, rows)
        self.fd, slave = pty.openpty()
        self._size(columns, rows)
        environ = {"TERM": "xterm", "OMP_NUM_THREADS": "1", **environ}
        arguments = "texts.csv", "--labels", "l.txt", *options
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", nohup * NOHUP + START, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, **environ},
            start_new_session=True,
        )
        os.close(slave)
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = self.text = ""

    def _size(self, columns, rows):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def resize(self, columns, rows):
        self.screen.resize(columns, rows)
        self._size(columns, rows)

    def read(self, seconds=0.05):
        """Take up what the program writes; tell whether it may write more."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the other end is closed
            data = b""
        text = self._decoder.decode(data)
        self.text += text
        self._rest = self.screen.feed(self._rest + text)
        return bool(data)

    def wait(self, *expected, seconds=60):
        """Wait until the screen shows all of this."""
        end = time.monotonic() + seconds
        while not all(one in str(self.screen) for one in expected):
            assert time.monotonic() < end, f"no {expected} on\n{self.screen}"
            assert self.read(), f"no {expected}, but an end, on\n{self.screen}"

    def rest(self, seconds=0.2):
        """Wait until nothing has come for a while: a screen may arrive in pieces."""
        while select.select([self.fd], [], [], seconds)[0] and self.read():
            pass

    def press(self, key, *expected):
        # As quick as keys are taken for answers.
        time.sleep(0.16)
        os.write(self.fd, key.encode())
        self.wait(*expected)

    def end(self, seconds=60):
        """Wait for the end; return the exit status."""
        end = time.monotonic() + seconds
        while self.read():
            assert time.monotonic() < end, str(self.screen)
        return self.process.wait(60)

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.fd)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)


@pytest.fixture
def start(tmp_path):
    lines = [f'{i},"{text}"' for i, text in enumerate(TEXTS)]
    (tmp_path / "texts.csv").write_text("\n".join(["id,text", *lines]) + "\n")
    (tmp_path / "l.txt").write_text("war: battle war\ncrime: thief\nrain\n")
    programs = []

    def start(*options, one_label=True, **others):
        options = (*options, *["--one-label"] * one_label)
        programs.append(Program(tmp_path, *options, **others))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


def said(folder):
    """Return what the log says, less the questions."""
    lines = (folder / "texts-answers" / "answers.jsonl").read_text().splitlines()
    entries = map(json.loads, lines)
    return [
        one.get("value", "undo") for one in entries if "value" in one or "undo" in one
    ]


def truth(program):
    """Return the right key for the question on the screen."""
    program.rest()
    shown = str(program.screen)
    label = re.search(r"\[(\w+)\]", shown)[1]
    return (
        "y"
        if LABELS.index(label) == int(re.search(r"text (\d+)", shown)[1]) % 3
        else "n"
    )


def test_from_an_empty_folder_to_a_trained_model(start, tmp_path):
    program = start("--round", "12", "--annotator", "ann", "--no-color")
    program.wait("does it apply? y/n", "0 this session, 0 in all", "question 1 of 12")
    program.press("y", ": yes.  (u takes it back)", "1 this session, 1 in all")
    program.press("u", "Taken back: ", ": yes.", "question 1 of 12")
    program.press("s", ": skipped.")
    program.press("x", "The key x does nothing. ? shows the keys.")
    program.press("?", "Help", "s  skip: I cannot tell.", "Any other key: back")
    program.press("y", "1 this session", "apply?")  # goes back, and answers nothing
    program.press("r", "Report", "no model yet")
    program.press("q", "1 this session", "apply?")
    program.press("\x1b[200~yyy\x1b[201~", "Something was pasted, and is no answer.")
    program.resize(38, 11)
    program.wait("[war]", "y n s u r ? q")
    program.resize(80, 24)
    program.wait("y yes   n no   s skip")
    for n in range(2, 16):
        program.press(truth(program), f"{n} this session")
        program.wait("y/n")
    program.press("q")
    assert program.end() == 0
    assert "15 this session" not in str(program.screen)  # the terminal is as it was
    assert 1049 not in program.screen.modes and 25 in program.screen.modes
    program.wait("Answers and skips: 15 in this session, 15 in all; saved.")
    program.wait("Model:   texts-answers/model.joblib", "The same command goes on")
    assert not program.screen.styles & set(range(30, 50))  # no color

    assert said(tmp_path)[:3] == [1, "undo", None]
    assert len(said(tmp_path)) == 17 and None not in said(tmp_path)[3:]
    with open(tmp_path / "texts-answers" / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15 and rows[0]["value"] == "skip"
    assert {row["annotator"] for row in rows} == {"ann"}
    model = joblib.load(tmp_path / "texts-answers" / "model.joblib")
    proba = model.predict_proba(TEXTS)
    assert proba.shape == (30, 3)
    sure = {"yes": [], "no": [], "skip": []}
    for row in rows:
        sure[row["value"]].append(proba[int(row["sample"]), LABELS.index(row["label"])])
    assert np.mean(sure["yes"]) > np.mean(sure["no"])  # it has learned


def mark(program):
    """Press the keys of the labels that apply to the text, and return how many."""
    program.rest()
    shown = str(program.screen)
    right = LABELS[int(re.search(r"text (\d+)", shown)[1]) % 3]
    keys = re.findall(rf"(\d) \[ \] {right}\b", shown)
    for key in keys:
        program.press(key, f"{key} [x] {right}", "Enter answers: yes to what is marked")
    return len(keys)


def test_several_labels_of_a_text_are_answered_by_one_enter(start, tmp_path):
    (tmp_path / "l.txt").write_text(
        "war: battle war\ncrime: thief\nrain > drizzle\ncrime | war\n"
    )
    program = start("--round", "4", "--no-color", one_label=False)
    program.wait("Before the first text", "those not\nmarked with no", "Any other key")
    program.press("\r", "Which apply?", "0 texts this session", "text 1 of 4")
    program.wait("1 [ ] war", "2 [ ] crime", "3 [ ] rain", "4 [ ] drizzle")
    program.press("4", "4 [x] drizzle", "3 [x] rain")  # what is above it, too
    program.press("3", "4 [ ] drizzle", "3 [ ] rain")
    program.press("1", "1 [x] war")
    program.press("2", "1 [ ] war", "2 [x] crime")  # at most one applies
    program.press("7", "There is no label 7 here: nothing was marked.")
    program.press("y", "The key y does nothing.")
    program.press("\r", "Yes: crime. No to the other 3.  (u takes it back)")
    program.wait("1 text this session, 4 answers in all", "text 2 of 4")
    program.press("u", "Taken back: Yes: crime.", "2 [x] crime", "text 1 of 4")
    program.press("2", "2 [ ] crime")
    program.press("\r", "No to all 4.")
    for _ in range(4):
        mark(program)
        program.press("\r", "answers in all")
    program.press("s", "Skipped: all 4.")
    program.press("q")
    assert program.end() == 0
    program.wait("Answers and skips: 24 in this session, 24 in all; saved.")
    assert said(tmp_path)[:8] == [0, 1, 0, 0, *["undo"] * 4]
    with open(tmp_path / "texts-answers" / "labels.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and {row["value"] for row in rows} == {"yes", "no", "skip"}
    assert {row["reason"] for row in rows} <= {
        "similar",
        "likely",
        "random",
        "uncertain",
    }
    program = start("--round", "4", one_label=False)  # the introduction is known
    program.wait("Which apply?", "24 answers in all")


def test_scripts_of_unsure_width_leave_nothing_on_the_screen(start, tmp_path):
    """The terminal takes a column for each vowel sign, as some multiplexers do."""
    texts = ["नमस्ते दुनिया में युद्ध", "किताबें पढ़ी गईं", "plain text", "सूर्य निकला और बारिश"]
    lines = [f'{i},"{text}"' for i, text in enumerate(texts)]
    (tmp_path / "texts.csv").write_text("\n".join(["id,text", *lines]) + "\n")
    (tmp_path / "l.txt").write_text("युद्ध\n")
    program = start("--no-color")
    program.wait("question 1 of 4")
    for n in range(1, 5):
        program.rest()
        first, _, title, _, text, *_ = str(program.screen).splitlines()
        assert re.fullmatch(rf"{n - 1} this session.* question {n} of 4", first)
        assert title.endswith("Label: [युद्ध]  - does it apply? y/n")
        assert text in texts
        program.press("y", f"{n} this session")  # the line below stays as it is


def test_a_killed_program_goes_on_where_it_was(start, tmp_path):
    program = start()
    program.wait("question 1 of 24")
    for n in (1, 2, 3):
        program.press("n", f"{n} this session")
    shown = str(program.screen).splitlines()[2:10]
    program.process.send_signal(signal.SIGKILL)
    program.process.wait(60)
    assert said(tmp_path) == [0, 0, 0]

    program = start(NO_COLOR="1")
    program.wait("0 this session, 3 in all", "question 1 of 21")
    assert str(program.screen).splitlines()[2:10] == shown  # the same question
    program.press("u", "Taken back:", "2 in all")
    program.press("y", "1 this session", "3 in all")
    program.press("\x03")  # Ctrl-C: at once, without training
    assert program.end() == 130
    program.wait("Answers and skips: 1 in this session, 3 in all; saved.")
    assert not program.screen.styles & set(range(30, 50))
    assert said(tmp_path) == [0, 0, 0, "undo", 1]
    assert not (tmp_path / "texts-answers" / "model.joblib").exists()


def test_a_label_may_be_added_to_the_file(start, tmp_path):
    program = start("--round", "4")
    program.wait("question 1 of 4")
    for n in (1, 2, 3, 4):
        program.press(truth(program), f"{n} this session")
        program.wait("y/n")
    program.press("q")
    assert program.end() == 0  # with a model of three labels
    with (tmp_path / "l.txt").open("a") as file:
        file.write("sport: goal\n")
    program = start("--round", "8")
    program.wait("apply? y/n")
    for _ in range(30):
        program.rest()
        if "[sport]" in str(program.screen):
            break
        shown = re.search(r"(\d+) this session", str(program.screen))
        program.press("n", f"{int(shown[1]) + 1} this session")
        program.wait("y/n")
    program.press("y", "sport: yes.")
    program.press("q")
    assert program.end() == 0
    names = [*LABELS, "sport"]
    ids = list(map(str, range(len(TEXTS))))
    folder = tmp_path / "texts-answers"
    with LabelingLoop.open(folder, None, TEXTS, sample_ids=ids) as loop:
        assert loop.label_names == names and loop.labels.n_positive[3] == 1
        assert loop.model.predict_proba(TEXTS[:2]).shape == (2, 4)


@pytest.mark.parametrize("how", ["hangup", "no signal", "SIGTERM"])
def test_a_closed_terminal_loses_nothing(start, tmp_path, how):
    # Under nohup, or on a busy machine, a write fails and no signal is there.
    program = start(nohup=how == "no signal")
    program.wait("question 1 of 24")
    program.press("y", "1 this session")
    if how == "hangup":
        os.close(program.fd)
        assert program.process.wait(60) in (-signal.SIGHUP, 130)
    elif how == "no signal":
        os.close(program.fd)
        assert program.process.wait(60) == 130
    else:
        assert 36 in program.screen.styles  # with colors, where they are not refused
        program.process.send_signal(signal.SIGTERM)
        assert program.end() == 130
        assert 1049 not in program.screen.modes and 25 in program.screen.modes
        program.wait("Answers and skips: 1 in this session, 1 in all; saved.")
    assert said(tmp_path) == [1]
    # Nobody holds the folder, and what is there is whole.
    ids = list(map(str, range(len(TEXTS))))
    folder = tmp_path / "texts-answers"
    with LabelingLoop.open(folder, None, TEXTS, sample_ids=ids) as loop:
        assert loop.labels.n_cells == 1


def run(capsys, *arguments):
    """Run the program without a terminal; return (status, output, error)."""
    status = main([str(one) for one in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def files(tmp_path):
    (tmp_path / "texts.txt").write_text("the war goes on\na thief\nwar again\n")
    (tmp_path / "labels.txt").write_text("war\ncrime\n")
    return tmp_path / "texts.txt", "--labels", tmp_path / "labels.txt"


def test_files_are_judged_before_the_terminal(files, capsys):
    files[2].unlink()
    status, _, error = run(capsys, *files)
    assert status == 2
    assert "labels.txt" in error
    assert "terminal" not in error


def test_without_a_terminal_a_sentence_says_so(files, capsys):
    status, out, error = run(capsys, *files)
    assert (status, out) == (2, "")
    assert error == (
        "error: asking needs a terminal for both input and output; here one of them is "
        "a file or a pipe. --export, --model, --predict, --import and --repair work "
        "without.\n"
    )
    assert not (files[0].parent / "texts-answers").exists()


def test_without_the_extra_a_sentence_says_what_to_install(files, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(capsys, *files)[2] == (
        "error: asking in the terminal needs prompt_toolkit: pip install "
        "'sklearn-masked[annotate]'\n"
    )


def test_answers_and_model_are_written_without_a_question(files, capsys):
    folder = files[0].parent
    labels, model = folder / "out.csv", folder / "model.pkl"
    status, _, error = run(capsys, *files, "--export", labels)
    assert status == 2 and "has no answers yet. Without --export, --mo" in error
    assert not (folder / "texts-answers").exists()
    texts = files[0].read_text().splitlines()
    options = {"folder": folder / "texts-answers", "label_names": ["war", "crime"]}
    with LabelingLoop(None, texts, **options) as loop:
        loop.answer([0, 1, 2], [0, 0, 0], [1, 0, None])
        status, _, error = run(capsys, *files, "--export", labels)
        assert status == 2 and "is in use by another labeling loop" in error
    status, out, error = run(capsys, *files, "--export", labels, "--model", model)
    assert (status, error) == (0, "")
    assert out == f"3 answers: {labels}\nModel of 2 labeled cells: {model}\n"
    assert labels.read_text().splitlines()[1].startswith("0,war,yes,,")
    assert joblib.load(model).predict_proba(["war"]).shape == (1, 2)


def test_what_does_not_belong_together_is_refused(files, capsys, tmp_path):
    folder = tmp_path / "texts-answers"
    texts = files[0].read_text().splitlines()
    with LabelingLoop(None, texts[:2], folder=folder, label_names=["crime"]):
        pass
    status, _, error = run(capsys, *files, "--export", tmp_path / "out.csv")
    assert status == 2
    assert error.startswith("error: the labels must begin with those of the folder")
    assert error.endswith("(--folder says which folder.)\n")
    files[0].unlink()
    status, _, error = run(capsys, *files, "--export", tmp_path / "out.csv")
    assert (status, error) == (2, f"error: {files[0]}: No such file or directory\n")
    files[0].write_text("another text\nand another\n")
    labels = tmp_path / "labels.txt"
    labels.write_text("crime\n")
    status, _, error = run(capsys, *files, "--export", tmp_path / "out.csv")
    assert status == 2 and error.startswith("error: the texts must begin with the 2")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    status, _, error = run(
        capsys, *files, "--folder", tmp_path / "other", "--export", "o"
    )
    assert status == 2 and "has no answers yet" in error


@pytest.mark.filterwarnings("default::sklearn_masked.exceptions.SamplesSetAsideWarning")
def test_texts_with_ids_may_be_sorted_and_removed(files, capsys, tmp_path):
    table, labels = tmp_path / "news.csv", files[1:]
    table.write_text("id,text\na,war\nb,goal\nc,rain\n")
    names, out = ["war"], tmp_path / "out.csv"
    (tmp_path / "labels.txt").write_text("war\n")
    loop = LabelingLoop(
        None,
        ["war", "goal", "rain"],
        folder=tmp_path / "news-answers",
        label_names=names,
        sample_ids=["a", "b", "c"],
        share_duplicates=True,
    )
    with loop:
        loop.answer(["a", "c"], ["war", "war"], [1, 0])
    table.write_text("id,text\nc,rain\nnew,sun\nb,goal\n")
    status, _, error = run(capsys, table, *labels, "--export", out)
    assert status == 0 and error.startswith("note: The pool lacks 1 of")
    assert [line[:4] for line in out.read_text().splitlines()[1:]] == ["c,wa"]
    table.write_text("id,text\nb,goal\na,war\nc,rain\n")
    status, _, error = run(capsys, table, *labels, "--export", out)
    assert (status, error) == (0, "")
    assert len(out.read_text().splitlines()) == 3


def test_the_page_names_what_there_is(capsys):
    page = (ROOT / "docs" / "annotate.md").read_text()
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    named = set(re.findall(r"--[a-z]+(?:-[a-z]+)*", page))
    assert len(named) > 9 and all(f"{option} " in out for option in named)
    for text in (HELP, HELP_MANY, INTRO):  # with two lines above and two below
        assert text.count("\n") <= 18 and max(map(len, text.splitlines())) <= 80
    screen = re.search(r"```text\n(12 texts this session.*?)```", page, re.S)[1]
    assert max(map(len, screen.splitlines())) <= 80


def test_help_is_complete(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    options = "folder text-column id-column annotator round order no-color export model"
    assert all(f"--{option}" in out for option in options.split())
    assert "--labels" in out and "examples:" in out and "keys:" in out
    assert max(map(len, out.splitlines())) <= 80
    with pytest.raises(SystemExit):
        main(["a.csv", "--labels", "b", "--round", "none"])
    assert "must be a number from 1; got 'none'" in capsys.readouterr().err
