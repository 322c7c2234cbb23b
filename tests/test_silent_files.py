"""Nothing that people wrote is lost or replaced in silence: folders, files, answers."""

import io
import json
import os
import shutil
import sys
import warnings
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from builders import content, said
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_masked.annotate import main
from sklearn_masked.annotation import (
    LabelingLoop,
    query_cells,
    simulate,
    write_queries,
)
from sklearn_masked.annotation.terminal._texts import Pool, read_texts
from sklearn_masked.calibration import MaskedCalibratedClassifierCV
from sklearn_masked.exceptions import (
    DamagedLogError,
)
from sklearn_masked.inspection import learning_curve_by_cells
from sklearn_masked.labels import MaskedLabels
from sklearn_masked.model_selection import cross_val_predict
from sklearn_masked.thresholds import MaskedTunedThresholdClassifierCV

TEXTS = [f"text {i}" for i in range(6)]
NAMES = ["war", "crime"]


def make(folder, **options):
    options = {"label_names": NAMES, "share_duplicates": True, **options}
    return LabelingLoop(None, TEXTS, folder=folder, random_state=0, **options)


SAID = [(0, "war", 1), (1, "crime", 0), (2, "war", None), (3, "war", 0)]


@pytest.fixture
def folder(tmp_path):
    """A folder with four answers, a line each."""
    with make(tmp_path / "loop") as loop:
        for answer in SAID:
            loop.answer(*answer)
    return tmp_path / "loop"


# A log that lacks what was saved there.


SHORTENED = {
    "missing": lambda lines: None,
    "emptied": lambda lines: b"",
    "shortened to whole lines": lambda lines: b"".join(lines[:2]),
    "shortened within a line": lambda lines: b"".join(lines[:2]) + lines[2][:30],
    "one answer short": lambda lines: b"".join(lines[:3]),
    "its last line cut": lambda lines: b"".join(lines)[:-20],
    "blank": lambda lines: b"\n\n",
    "of another folder": lambda lines: None,
}


def shorten(folder, how):
    """Shorten the log of a folder; return what is left of it."""
    log = folder / "answers.jsonl"
    left = SHORTENED[how](log.read_bytes().splitlines(True))
    log.unlink()
    if how == "of another folder":  # with as many answers
        with make(folder.with_name("other")) as loop:
            loop.answer([0, 1, 2, 3, 4], ["war"] * 5, [1] * 5)
        left = (folder.with_name("other") / "answers.jsonl").read_bytes()
    if left is not None:
        log.write_bytes(left)
    return left


@pytest.mark.parametrize("how", SHORTENED)
def test_a_log_that_lacks_answers_is_refused_and_says_how_to_recover(folder, how):
    shorten(folder, how)
    before = content(folder)
    with pytest.raises(DamagedLogError) as raised:
        make(folder)
    sentence = str(raised.value)
    assert sentence.startswith(str(folder / "answers.jsonl"))
    assert "Restore the file from a copy" in sentence
    assert "`LabelingLoop.salvage(folder)`" in sentence
    assert content(folder) == before


def test_the_sentences_of_logs_that_lack_answers(folder):
    log = folder / "answers.jsonl"
    lines = log.read_bytes().splitlines(True)
    sentences = {}
    for how, text in {"short": lines[:3], "another": [*lines[1:], lines[0]]}.items():
        log.write_bytes(b"".join(text[:3]))
        with pytest.raises(DamagedLogError) as raised:
            make(folder)
        sentences[how] = str(raised.value)
    assert sentences["short"].startswith(
        f"{log} has 3 entries, and 4 were saved there. Restore the file from a copy; "
        "or keep the lines that are whole by `LabelingLoop.salvage(folder)`, which "
        "says what is lost. Nothing was changed."
    )
    log.unlink()
    with pytest.raises(DamagedLogError, match=r"jsonl is missing, and 4 were saved th"):
        make(folder)


def test_a_missing_log_is_noticed_without_its_checkpoint_too(folder):
    (folder / "answers.jsonl").unlink()
    (folder / "answers.check").unlink()
    with pytest.raises(DamagedLogError, match="is missing, and settings.json beside i"):
        make(folder)


def test_a_copy_of_log_and_settings_is_enough(folder, tmp_path):
    """As docs/labeling.md says; in a folder that can tell what was saved there."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("answers.jsonl", "settings.json"):
        shutil.copy(folder / name, copy)
    with make(copy) as loop:
        assert said(loop) == SAID
    os.truncate(copy / "answers.jsonl", 0)
    with pytest.raises(DamagedLogError, match="no entries, and 4 were saved there"):
        make(copy)


# A log that an editor has saved.


EDITED = {
    "a blank last line": lambda text: text + b"\n",
    "blank lines": lambda text: b"\n" + text.replace(b"\n", b"\n\n") + b"  \n \t",
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "CRLF, no last line break": lambda text: text.replace(b"\n", b"\r\n")[:-2],
    "half a CRLF": lambda text: text.replace(b"\n", b"\r\n")[:-1],
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "all of it": lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n") + b"\r\n",
}


@pytest.mark.parametrize("how", EDITED)
def test_what_editors_do_to_line_ends_changes_no_answer(folder, how):
    log = folder / "answers.jsonl"
    log.write_bytes(EDITED[how](log.read_bytes()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with make(folder) as loop:
            assert said(loop) == SAID
            loop.answer(4, "war", 1)
        with make(folder) as loop:
            assert said(loop) == [*SAID, (4, "war", 1)]
            loop.undo()
    with make(folder) as loop:
        assert said(loop) == SAID
    assert LabelingLoop.salvage(folder).copy is None


# What is whole of a damaged log is kept.


def damage(folder, how):
    """Damage the log of a folder; return what it was replaced by."""
    log = folder / "answers.jsonl"
    lines = log.read_bytes().splitlines(True)
    text = b"".join(DAMAGED[how][0](lines))
    log.write_bytes(text)
    return text


DAMAGED = {
    # (what becomes of the lines, answers kept, lost, damaged lines, cells concerned)
    "a value changed": (
        lambda x: [x[0], x[1].replace(b'"value":0', b'"value":1'), *x[2:]],
        [0, 2, 3],
        1,
        [2],
        [(1, "crime")],
    ),
    "a line lost": (lambda x: [x[0], *x[2:]], [0, 2, 3], 1, [], []),
    "a line doubled": (lambda x: [*x[:2], x[1], *x[2:]], [0, 1, 2, 3], 0, [], []),
    "lines swapped": (lambda x: [x[0], x[2], x[1], x[3]], [0, 1, 2, 3], 0, [], []),
    "zeros": (lambda x: [x[0], b"\0" * 50 + b"\n", *x[2:]], [0, 2, 3], 1, [2], []),
    "not text": (lambda x: [x[0], b"\xff\xfe\n", *x[1:]], [0, 1, 2, 3], 1, [2], []),
    "line breaks lost": (
        lambda x: [x[0], x[1].strip(), *x[2:]],
        [0, 3],
        2,
        [2],
        [(1, "crime")],
    ),
    "old line ends": (
        lambda x: [line.replace(b"\n", b"\r") for line in x],
        [0, 1, 2, 3],
        0,
        [],
        [],
    ),
    "the last line cut": (
        lambda x: [*x[:3], x[3][:-20]],
        [0, 1, 2],
        1,
        [4],
        [(3, "war")],
    ),
    "the end lost": (lambda x: x[:1], [0], 3, [], []),
    "everything lost": (lambda x: [], [], 4, [], []),
}


@pytest.mark.parametrize("how", DAMAGED)
def test_salvage_keeps_every_whole_line_and_says_what_is_lost(folder, how):
    _, kept, n_lost, lines, cells = DAMAGED[how]
    text = damage(folder, how)
    with pytest.raises(DamagedLogError, match=r"LabelingLoop\.salvage\(folder\)"):
        make(folder)
    report = LabelingLoop.salvage(folder)
    assert (report.n_kept, report.n_lost) == (len(kept), n_lost)
    assert (report.lines, report.cells) == (lines, cells)
    assert report.n_unknown == n_lost - len(cells)
    if report.copy is not None:
        assert report.copy.read_bytes() == text
    if lines:
        assert report.copy == folder / "answers.damaged.jsonl"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with make(folder) as loop:
            assert said(loop) == [SAID[i] for i in kept]
            loop.answer(5, "war", 1)
        with make(folder) as loop:
            assert said(loop)[-1] == (5, "war", 1)


def test_the_report_of_a_salvage_prints_what_to_look_at(folder):
    damage(folder, "a value changed")
    assert str(LabelingLoop.salvage(folder)) == (
        "3 entries kept, 1 lost.\n"
        "Damaged lines: 2.\n"
        "An answer or an undo is lost for: 'crime' of sample 1.\n"
        f"The file as it was: {folder / 'answers.damaged.jsonl'}."
    )
    before = content(folder)
    assert str(LabelingLoop.salvage(folder)) == "3 entries kept, 0 lost."
    assert content(folder) == before  # a second time, there is nothing to do
    damage(folder, "the end lost")
    assert str(LabelingLoop.salvage(folder)) == (
        "1 entry kept, 2 lost.\n"
        "Of 2 entries nothing tells which cell was concerned: compare with another "
        "copy, such as an export."
    )


def test_a_second_salvage_keeps_the_first_copy(folder):
    first = damage(folder, "zeros")
    LabelingLoop.salvage(folder)
    with make(folder) as loop:
        loop.answer(*SAID[1])
    second = damage(folder, "zeros")
    report = LabelingLoop.salvage(folder)
    assert report.copy.name == "answers.damaged-2.jsonl"
    assert report.copy.read_bytes() == second
    assert (folder / "answers.damaged.jsonl").read_bytes() == first


def test_salvage_of_undone_answers(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        loop.answer(1, "war", 1)
        loop.undo()
        loop.answer(2, "war", 1)
        loop.undo()
    log = tmp_path / "answers.jsonl"
    lines = log.read_bytes().splitlines(True)
    # An answer that was undone: the undo is whole, and has nothing to take back.
    log.write_bytes(b"".join([lines[0], lines[1][:-9] + b"\n", *lines[2:]]))
    assert LabelingLoop.salvage(tmp_path).cells == [(1, "war")]
    with make(tmp_path) as loop:
        assert said(loop) == [(0, "war", 1)]
    # An undo: the answer stands again, and that is said.
    log.write_bytes(b"".join([*lines[:4], lines[4].replace(b"time", b"tide")]))
    assert LabelingLoop.salvage(tmp_path).cells == [(2, "war")]
    with make(tmp_path) as loop:
        assert said(loop) == [(0, "war", 1), (2, "war", 1)]


def test_one_damaged_line_among_many_costs_one_answer(tmp_path):
    n = 2000
    texts = [str(i) for i in range(n)]
    with LabelingLoop(None, texts, folder=tmp_path, label_names=["war"]) as loop:
        loop.answer(list(range(n)), ["war"] * n, [1] * n)
    log = tmp_path / "answers.jsonl"
    lines = log.read_bytes().splitlines(True)
    lines[1000] = lines[1000][:50] + b"\xff" + lines[1000][51:]
    log.write_bytes(b"".join(lines))
    report = LabelingLoop.salvage(tmp_path)
    assert (report.n_kept, report.n_lost, report.lines) == (n - 1, 1, [1001])
    with LabelingLoop.open(tmp_path, None, texts) as loop:
        assert loop.labels.n_cells == n - 1


def test_a_model_is_not_taken_for_newer_than_a_salvaged_log(folder):
    (folder / "model.joblib").write_bytes(b"")
    (folder / "model.json").write_text('{"n_entries": 4}')
    damage(folder, "a value changed")
    LabelingLoop.salvage(folder)
    with make(folder) as loop:
        assert loop.report().n_since_fit == 3


def test_salvage_of_what_is_no_folder_of_a_loop(tmp_path):
    with pytest.raises(FileNotFoundError, match="has neither answers.jsonl nor setti"):
        LabelingLoop.salvage(tmp_path)
    assert not list(tmp_path.iterdir())


# Files of something else under the names of a loop's.


@pytest.mark.parametrize(
    "name",
    ["model.joblib", "model.json", "scores.json", "lock"],
)
def test_a_new_loop_takes_no_folder_with_files_that_it_would_replace(tmp_path, name):
    (tmp_path / name).write_text("mine, and precious")
    (tmp_path / "notes.txt").write_text("these are in nobody's way")
    before = content(tmp_path)
    with pytest.raises(ValueError, match=name):
        make(tmp_path)
    assert content(tmp_path) == before
    (tmp_path / name).unlink()
    make(tmp_path).close()


def test_each_unreadable_model_is_kept(folder):
    for text in (b"one", b"two"):
        (folder / "model.joblib").write_bytes(text)
        with make(folder) as loop, pytest.warns(UserWarning, match="is set aside as"):
            assert loop.model is None
    kept = ("model.unreadable.joblib", "model.unreadable-2.joblib")
    assert [(folder / name).read_bytes() for name in kept] == [b"one", b"two"]


# Records that a tool refuses as a whole.


def test_doccano_gets_a_probability_in_all_records_or_in_none():
    labels = np.full((4, 2), np.nan)
    proba = np.array([[0.9, 0.5], [0.25, 0.1], [0.3, 0.6], [0.2, 0.8]])
    cells = query_cells(proba, labels, n_cells=4, strategy="uncertain")

    def fields(cells):
        file = io.StringIO()
        write_queries(
            cells,
            file,
            "doccano",
            sample_ids=range(4),
            label_names=NAMES,
            texts=TEXTS[:4],
        )
        return [set(json.loads(line)) for line in file.getvalue().splitlines()]

    assert all("probability" in one for one in fields(cells))
    cells["probability"][2] = np.nan  # as the loop hands out, by seeds and by a model
    some = fields(cells)
    assert some == [{"text", "label", "sample_id", "asked_label"}] * 4


# What the terminal program replaces.


@pytest.fixture
def place(tmp_path, folder):
    """Texts, labels, a folder of answers, and a file of somebody else."""
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "labels.txt").write_text("war\ncrime\n")
    (tmp_path / "mine.csv").write_text("mine, and precious\n")
    (tmp_path / "down").mkdir()
    return tmp_path


def run(capsys, place, *arguments):
    """Run the program; return (status, output, error)."""
    files = place / "texts.txt", "--labels", place / "labels.txt"
    options = *files, "--folder", place / "loop", *arguments
    status = main([str(one) for one in options])
    return status, *capsys.readouterr()


def everything(place):
    return {file: file.read_bytes() for file in place.rglob("*") if file.is_file()}


REFUSED = {
    # (how the file comes to be, what the sentence says)
    "texts.txt": (None, "is the file of texts"),
    "labels.txt": (None, "is the file of labels"),
    "down/../texts.txt": (None, "is the file of texts"),
    "link to texts": (
        lambda path: path.symlink_to("texts.txt"),
        "is the file of texts",
    ),
    "hard link to labels": (
        lambda path: os.link(path.with_name("labels.txt"), path),
        "is the file of labels",
    ),
    "loop/answers.jsonl": (None, "that the program keeps in"),
    "loop/settings.json": (None, "that the program keeps in"),
    "loop/answers.check": (lambda path: None, "that the program keeps in"),
    "loop/lock": (None, "that the program keeps in"),
    "loop/model.joblib": (lambda path: None, "that the program keeps in"),
    "loop/written.json": (lambda path: None, "that the program keeps in"),
    "link to log": (
        lambda path: path.symlink_to("loop/answers.jsonl"),
        "is answers.jsonl. Nothing",
    ),
    "hard link to log": (
        lambda path: os.link(path.with_name("loop") / "answers.jsonl", path),
        "is answers.jsonl. Nothing",
    ),
    "mine.csv": (None, "exists, and is not what this program last wrote there"),
    "link to mine": (
        lambda path: path.symlink_to("mine.csv"),
        "exists, and is not what this program last wrote there",
    ),
    "down": (None, "must be a file, new or existing;"),
    "pipe": (lambda path: os.mkfifo(path), "must be a file, new or existing;"),
    "nowhere/a.csv": (lambda path: None, "must be in a folder that exists;"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and links are made")
@pytest.mark.parametrize("option", ["--export", "--model"])
@pytest.mark.parametrize("name", REFUSED)
def test_the_program_replaces_nothing_that_is_not_its_own(place, capsys, option, name):
    begin, sentence = REFUSED[name]
    if begin is not None:
        begin(place / name)
    before = everything(place)
    status, out, error = run(capsys, place, option, place / name)
    assert (status, out) == (2, "")
    assert sentence in error and error.count("\n") == 1
    assert error.endswith("Nothing was written.\n")
    assert everything(place) == before
    if "exists" not in sentence or "in a folder" in sentence:
        assert run(capsys, place, option, place / name, "--force")[0] == 2
        assert everything(place) == before


@pytest.mark.parametrize("option", ["texts", "--labels"])
def test_labels_csv_is_not_taken_for_texts_or_labels(place, capsys, option):
    """It would be replaced at the end of the session."""
    end_of_session(place, capsys)
    own = place / "loop" / "labels.csv"
    files = {"texts": place / "texts.txt", "--labels": place / "labels.txt"}
    texts, labels = (files | {option: own}).values()
    command = texts, "--labels", labels, "--folder", place / "loop", "--repair"
    status = main([str(one) for one in command])
    out, error = capsys.readouterr()
    assert (status, out) == (2, "")
    assert f"the program keeps in {place / 'loop'}; {own} is labels.csv." in error


def test_the_model_does_not_take_the_place_of_labels_csv(place, capsys):
    end_of_session(place, capsys)
    own = place / "loop" / "labels.csv"
    before = own.read_bytes()
    assert run(capsys, place, "--model", own, "--force")[0] == 2
    assert own.read_bytes() == before
    status, _, error = run(capsys, place, "--export", own)
    assert (status, error) == (0, "") and own.read_bytes() == before


def test_one_file_for_both_is_refused(place, capsys):
    both = "--export", place / "new", "--model", place / "new"
    status, out, error = run(capsys, place, *both)
    assert (status, out) == (2, "") and "is the file of --export. Nothing was" in error
    assert not (place / "new").exists()


def test_neither_is_written_where_one_is_refused(place, capsys):
    both = "--export", place / "new.csv", "--model", place / "mine.csv"
    before = everything(place)
    status, out, _ = run(capsys, place, *both)
    assert (status, out) == (2, "")
    after = everything(place)
    assert after == before | {place / "loop" / "lock": after[place / "loop" / "lock"]}


def test_an_earlier_export_is_replaced_and_a_changed_one_is_not(place, capsys):
    path = place / "out.csv"
    for _ in range(2):  # its own
        assert run(capsys, place, "--export", path)[0] == 0
    ours = path.read_bytes()
    path.write_bytes(ours.replace(b"war,yes", b"war,no"))
    changed = path.read_bytes()
    status, _, error = run(capsys, place, "--export", path)
    assert status == 2 and path.read_bytes() == changed
    assert f"Take another name, --import {path} to bring its answers in, or " in error
    assert run(capsys, place, "--export", path, "--force")[0] == 0
    assert path.read_bytes() == ours
    assert run(capsys, place, "--export", path)[0] == 0


def test_an_earlier_model_is_replaced_and_another_file_is_not(place, capsys):
    path = place / "model.pkl"
    for _ in range(2):
        assert run(capsys, place, "--model", path)[0] == 0
    assert joblib.load(path).predict_proba(["text"]).shape == (1, 2)
    path.write_bytes(b"another model")
    assert run(capsys, place, "--model", path)[0] == 2
    assert path.read_bytes() == b"another model"


def test_a_link_to_an_earlier_export_stays_one(place, capsys):
    (place / "link.csv").symlink_to(place / "down" / "out.csv")
    for _ in range(2):
        assert run(capsys, place, "--export", place / "link.csv")[0] == 0
    assert (place / "link.csv").is_symlink()
    assert (place / "down" / "out.csv").read_text().count("\n") == 5


# What people correct in labels.csv.


def end_of_session(place, capsys):
    """Do what a session does when it ends; return what it says."""
    from sklearn_masked.annotation.terminal._command import _say_goodbye

    session = SimpleNamespace(pace=SimpleNamespace(n=0), n_given=0)
    with make(place / "loop") as loop:
        _say_goodbye(loop, Pool(TEXTS, None), [session], True)
    captured = capsys.readouterr()
    return captured.out + captured.err


def correct(place, before="crime,no", after="crime,yes"):
    path = place / "loop" / "labels.csv"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    return path


def test_corrections_in_labels_csv_are_kept_and_come_in(place, capsys):
    end_of_session(place, capsys)
    end_of_session(place, capsys)
    assert not list(place.rglob("labels.changed*"))  # nobody has changed it
    text = correct(place).read_bytes()
    said_ = end_of_session(place, capsys)
    copy = place / "loop" / "labels.changed.csv"
    assert copy.read_bytes() == text
    assert (
        "note: labels.csv was not as this program left it, and is kept as "
        "labels.changed.csv. The folder lacks 1 answer of it, which --import "
        f"{copy} brings in.\n" in said_
    )
    assert "crime,no" in (place / "loop" / "labels.csv").read_text()
    status, out, error = run(capsys, place, "--import", copy)
    assert (status, error) == (0, "")
    assert out == (
        f"{copy}: 4 answers, of which 0 new, 1 changed, 3 as they were.\n"
        "  now yes: 'crime' of sample 1\n"
    )
    assert "crime,yes" in (place / "loop" / "labels.csv").read_text()
    with make(place / "loop") as loop:
        assert (1, "crime", 1) in said(loop) and len(said(loop)) == 4


def test_a_second_corrected_file_is_kept_too(place, capsys):
    end_of_session(place, capsys)
    first = correct(place).read_bytes()
    end_of_session(place, capsys)
    second = correct(place, "war,skip", "war,yes").read_bytes()
    end_of_session(place, capsys)
    assert (place / "loop" / "labels.changed.csv").read_bytes() == first
    assert (place / "loop" / "labels.changed-2.csv").read_bytes() == second


def test_labels_csv_itself_may_be_brought_in(place, capsys):
    end_of_session(place, capsys)
    path = correct(place)
    path.write_text(path.read_text() + "4,war,yes,bob,2026-01-01T00:00:00+00:00,,x\n")
    status, out, error = run(capsys, place, "--import", path)
    assert (status, out) == (
        0,
        f"{path}: 5 answers, of which 1 new, 1 changed, 3 as they were.\n"
        "  now yes: 'crime' of sample 1\n",
    )
    assert error.endswith("All answers in it are in the folder.\n")
    with make(place / "loop") as loop:
        assert {(1, "crime", 1), (4, "war", 1)} < set(said(loop))
        assert [one.annotator for one in loop.answers() if one.sample == 4] == ["bob"]
    status, out, error = run(capsys, place, "--import", path)
    assert (status, error) == (0, "") and "0 new, 0 changed, 5 as" in out


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_spreadsheet_may_save_other_delimiters(place, capsys, mark):
    end_of_session(place, capsys)
    path = correct(place)
    path.write_text("\ufeff" + path.read_text().replace(",", mark))
    status, out, _ = run(capsys, place, "--import", path)
    assert status == 0 and "0 new, 1 changed, 3 as they were." in out


def test_a_line_removed_by_hand_is_said_to_count_still(place, capsys):
    end_of_session(place, capsys)
    path = place / "loop" / "labels.csv"
    lines = path.read_text().splitlines(True)
    path.write_text("".join([lines[0], *lines[2:]]))
    status, _, error = run(capsys, place, "--import", path)
    assert status == 0
    assert error == (
        f"note: 1 answer of the folder, not in {path}, still count: a line that was "
        "removed takes nothing back.\n"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("9,war,yes,,,,", "sample '9' is none of the texts."),
        ("0,peace,yes,,,,", "label 'peace' is none of the labels."),
        ("0,war,no,,,,", "got two for sample '0', label 'war'. Remove one of the"),
        ("0,war,perhaps,,,,", "or nothing where nobody has answered; got 'perhaps'."),
        (",war,yes,,,,", "labels.csv, line 6"),
    ],
)
def test_files_that_cannot_be_brought_in_change_nothing(place, capsys, line, sentence):
    end_of_session(place, capsys)
    path = place / "loop" / "labels.csv"
    path.write_text(path.read_text() + line + "\n")
    before = (place / "loop" / "answers.jsonl").read_bytes()
    status, out, error = run(capsys, place, "--import", path)
    assert (status, out) == (2, "") and sentence in error and error.count("\n") == 1
    assert (place / "loop" / "answers.jsonl").read_bytes() == before
    kept = path.read_bytes()
    assert "Its answers cannot be read: " in end_of_session(place, capsys)
    assert (place / "loop" / "labels.changed.csv").read_bytes() == kept


# A lost or damaged log, for who uses the program.


@pytest.mark.parametrize("how", SHORTENED)
def test_labels_csv_survives_a_lost_log_and_brings_the_answers_back(place, capsys, how):
    end_of_session(place, capsys)
    labels = place / "loop" / "labels.csv"
    text = labels.read_bytes()
    shorten(place / "loop", how)
    status, out, error = run(capsys, place, "--export", place / "out.csv")
    assert (status, out) == (2, "") and error.count("\n") == 1
    assert "by --repair, which says what is lost. Nothing was changed. Then " in error
    assert f"Then --import {labels} brings in what is lost there" in error
    assert labels.read_bytes() == text and not (place / "out.csv").exists()

    if how == "of another folder":
        return  # its answers are those of that folder, and whole
    status, out, error = run(capsys, place, "--repair")
    assert status == 0 and "lost.\n" in out
    assert f"which --import {labels} brings in.\n" in error
    assert labels.read_bytes() == text
    status, out, _ = run(capsys, place, "--import", labels, "--export", place / "o.csv")
    assert status == 0 and "0 changed" in out
    with make(place / "loop") as loop:
        assert sorted(map(repr, said(loop))) == sorted(map(repr, SAID))
    assert (place / "loop" / "labels.changed.csv").read_bytes() == text


def test_one_damaged_line_is_repaired_from_the_command_line(place, capsys):
    damage(place / "loop", "a value changed")
    out = place / "out.csv"
    status, _, error = run(capsys, place, "--export", out)
    assert status == 2 and "line 2, is not as it was written" in error
    assert "by --repair, which says what is lost. Nothing was changed.\n" in error
    status, said_, error = run(capsys, place, "--repair", "--export", out)
    assert (status, error) == (0, "")
    assert said_.startswith("3 entries kept, 1 lost.\nDamaged lines: 2.\n")
    assert "An answer or an undo is lost for: 'crime' of sample 1." in said_
    assert said_.endswith(f"3 answers: {out}\n")


# Texts that are not read.


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_column_without_a_header_loses_no_text(tmp_path, name):
    path = tmp_path / name
    path.write_text("the war goes on\na thief was arrested\n")
    with pytest.raises(ValueError) as raised:
        read_texts(path)
    assert str(raised.value) == (
        f"{path} must have a column 'text', or --text-column NAME must say which one "
        "holds the texts; it has 'the war goes on'. If that is the name of the column, "
        "pass it; if it is a text, put a line with the word text above it."
    )
    path.write_text("x" * 500 + "\na thief was arrested\n")
    with pytest.raises(ValueError, match=r"it has 'x{57}\.\.\.'\. If that"):
        read_texts(path)


# Estimators of scikit-learn, which read no unlabeled cell.


X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.array([[1, 0], [0, 1], [1, np.nan], [0, 0], [1, 1], [np.nan, 0]] * 2)
OF_SKLEARN = {
    "LogisticRegression": LogisticRegression(),
    "GaussianNB": GaussianNB(),
    "DecisionTreeClassifier": make_pipeline(StandardScaler(), DecisionTreeClassifier()),
    "MultiOutputClassifier": MultiOutputClassifier(LogisticRegression()),
    "ClassifierChain": ClassifierChain(LogisticRegression()),
    "SGDClassifier": GridSearchCV(SGDClassifier(), {"alpha": [1, 2]}, cv=2),
}
INNER = dict.fromkeys(
    ("MultiOutputClassifier", "ClassifierChain"), "LogisticRegression"
)


def fit_in_a_loop(estimator, folder):
    with LabelingLoop(estimator, X, folder=folder, label_names=NAMES) as loop:
        loop.answer([0, 1, 2, 3], ["war"] * 4, [1, 0, 1, 0])
        loop.fit()


def cross_validate_in_a_loop(estimator, folder):
    with LabelingLoop(estimator, X, folder=folder, label_names=NAMES) as loop:
        loop.answer([0, 1, 2, 3], ["war"] * 4, [1, 0, 1, 0])
        loop.report(cv=2)


FITS = {
    "loop": fit_in_a_loop,
    "report": cross_validate_in_a_loop,
    "cross_val_predict": lambda estimator, _: cross_val_predict(estimator, X, Y, cv=3),
    "1-D": lambda estimator, _: cross_val_predict(estimator, X, Y[:, 0], cv=3),
    "simulate": lambda estimator, _: simulate(
        estimator, X, np.nan_to_num(Y), X, Y, n_cells=8, batch_cells=4
    ),
    "learning curve": lambda estimator, _: learning_curve_by_cells(
        estimator, X, Y, cv=2, train_sizes=[4]
    ),
    "calibration": lambda estimator, _: MaskedCalibratedClassifierCV(
        estimator, cv=2
    ).fit(X, Y),
    "thresholds": lambda estimator, _: MaskedTunedThresholdClassifierCV(
        estimator, cv=2
    ).fit(X, Y),
}


@pytest.mark.parametrize("where", FITS)
@pytest.mark.parametrize("name", OF_SKLEARN)
def test_estimators_that_read_no_unlabeled_cells_are_named(tmp_path, name, where):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of folds that failed
        with pytest.raises(ValueError) as raised:
            FITS[where](OF_SKLEARN[name], tmp_path)
    assert str(raised.value).startswith(
        "`estimator` must take labels with unlabeled cells, which "
        f"{name} does not. Pass MaskedMultiOutputClassifier("
        f"{INNER.get(name, name)}(...)), which fits a clone per label on its labeled "
    )


# Names of labels in pictures.


LONG = "inhibition of the nuclear receptor"


@pytest.mark.parametrize(
    "names",
    [
        [f"{LONG}, {i}" for i in range(12)],
        [f"{LONG}, assay {i}, in the second half" for i in range(3)],
        [f"{LONG} {i} {LONG} and of more" for i in range(3)],
        ["short", LONG, f"{LONG}s", "short too"],
    ],
)
def test_names_that_begin_alike_stay_distinct_in_pictures(names):
    from sklearn_masked.plotting._style import shorten

    short = shorten(names)
    assert len(set(short)) == len(names)
    for name, one in zip(names, short, strict=True):
        assert one == name or "..." in one
        assert len(name) > 28 or one == name
        assert len(one) <= 28


def test_a_legend_of_labels_that_begin_alike_names_each():
    pytest.importorskip("matplotlib", reason="the extra `plot` is not installed")
    from sklearn_masked.plotting import MaskedRocCurveDisplay

    names = [f"{LONG}, {i}" for i in range(3)]
    y = np.random.default_rng(0).integers(0, 2, (40, 3))
    labels = MaskedLabels.from_dense(y, label_names=names)
    scores = np.random.default_rng(1).random(y.shape)
    display = MaskedRocCurveDisplay.from_predictions(labels, scores)
    shown = [text.get_text().split(":")[0] for text in display.ax_.get_legend().texts]
    assert len(set(shown)) == 4 and shown[0].endswith(", 0")
