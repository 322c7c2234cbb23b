"""Every place where annotation writes a file: what is there already, and what fails."""

import ast
import errno
import os
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

import sklearn_masked
from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked import _files as files
from sklearn_masked.annotate import main
from sklearn_masked.annotation import (
    Annotations,
    LabelingLoop,
    query_cells,
    write_annotations,
    write_queries,
)
from sklearn_masked.annotation.loop._salvage import salvage
from sklearn_masked.annotation.terminal._command import _say_goodbye
from sklearn_masked.annotation.terminal._export import replace_answers
from sklearn_masked.annotation.terminal._texts import Pool
from sklearn_masked.annotation.terminal._written import Written
from sklearn_masked.labels import MaskedLabels

ROOT = Path(sklearn_masked.__file__).parent
TEXTS = [f"text {i}" for i in range(6)]
NAMES = ["war", "crime"]
# Modules that write with functions of their own, and no other does.
WRITERS = {"_files.py", "_log.py", "_checkpoint.py", "_lock.py"}
# Of these, those that change a file or a folder; what they read is not asked.
WRITING = {
    "os": {"open", "replace", "rename", "write", "ftruncate", "unlink", "truncate"},
    "shutil": {"copy", "copyfile", "copy2", "move"},
    "Path": {"write_text", "write_bytes", "rename", "replace", "unlink", "touch"},
}


def make(folder):
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    return LabelingLoop(
        estimator, TEXTS, folder=folder, label_names=NAMES, random_state=0
    )


LABELS = MaskedLabels.from_dense(
    np.array([[1, np.nan], [np.nan, 0], [np.nan, np.nan]]), label_names=NAMES
)


def answers_to(path):
    write_annotations(Annotations.from_labels(LABELS, list("abc")), path, "csv")


def queries_to(path):
    cells = query_cells(np.full((3, 2), 0.5), LABELS, n_cells=2)
    write_queries(cells, path, "doccano", sample_ids=list("abc"), texts=TEXTS[:3])


def inside(work):
    """Return what does some work with the loop of the folder of a file."""

    def write(path):
        with make(path.parent) as loop:
            work(loop)

    return write


def program(option):
    def write(path):
        texts = path.parents[1] / "texts.txt"
        command = texts, "--labels", texts.with_name("labels.txt"), option, path
        status = main([*map(str, command), "--folder", str(path.parent), "--force"])
        if status:
            raise OSError("as it says")

    return write


# What writes a file as a whole, by the name of the file.
WHOLE = {
    "settings.json": lambda path: make(path.parent / "new").close(),
    "model.joblib": inside(lambda loop: loop.fit()),
    "scores.json": inside(lambda loop: loop.report(cv=2)),
    "labels.csv": inside(
        lambda loop: replace_answers(loop, Pool(TEXTS, None), Written(loop.folder))
    ),
    "written.json": inside(
        lambda loop: Written(loop.folder).note(loop.folder / "lock")
    ),
    "exported.csv": program("--export"),
    "exported.pkl": program("--model"),
    "answers.csv": answers_to,
    "queries.jsonl": queries_to,
}


@pytest.fixture
def folder(tmp_path):
    """A folder with answers and a model, beside what they are about."""
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "labels.txt").write_text("war\ncrime\n")
    with make(tmp_path / "loop") as loop:
        loop.answer([0, 1, 2, 3], ["war"] * 4, [1, 0, 1, 0])
        loop.answer([0, 1, 2, 3], ["crime"] * 4, [1, 0, 1, 0])
        loop.fit()
    return tmp_path / "loop"


def content(folder):
    """Return what files hold, but for those that say who works with the folder."""
    return {
        file.relative_to(folder): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "lock" and "answers.check" not in file.name
    }


class FullDisk:
    """The functions of `os` on a disk that takes no byte more."""

    def fsync(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name):
        return getattr(os, name)


def no_file(path, mode="r", *args, **options):
    """Open a file in a folder that is read-only."""
    if mode.strip("tb") != "r":
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return open(path, mode, *args, **options)


@pytest.mark.parametrize("trouble", ["full disk", "read-only folder"])
@pytest.mark.parametrize("name", WHOLE)
def test_what_cannot_be_written_is_as_it_was(folder, monkeypatch, name, trouble):
    if name not in ("settings.json", "model.joblib"):
        (folder / name).write_text("what was there")
    before = content(folder)
    with monkeypatch.context() as patch:
        if trouble == "full disk":
            patch.setattr(files, "os", FullDisk())
        else:
            patch.setattr(files, "open", no_file, raising=False)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises((OSError, UserWarning)):
                WHOLE[name](folder / name)
    after = content(folder)
    copies = {path for path in after if "changed" in path.name}  # of labels.csv
    assert after.keys() - copies - {Path("new/answers.jsonl")} == before.keys()
    assert before.items() <= after.items()
    assert not list(folder.rglob("*.part"))
    if name == "settings.json":
        return
    WHOLE[name](folder / name)  # once that is mended, it goes on
    assert content(folder)[Path(name)] != before[Path(name)] or name == "model.joblib"


@pytest.mark.parametrize("name", ["exported.csv", "exported.pkl", "answers.csv"])
@pytest.mark.parametrize(
    "kind", ["folder", "pipe", "link to nothing", "link to a file"]
)
def test_what_is_no_plain_file_is_not_replaced(folder, tmp_path, name, kind):
    path, other = folder / name, tmp_path / "other"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(other)
        if kind == "link":
            other.write_text("what was there")
            other.chmod(0o640)
    mode = path.lstat().st_mode
    if kind in ("folder", "pipe"):
        with pytest.raises(OSError):
            WHOLE[name](path)
    else:
        WHOLE[name](path)
        assert other.stat().st_size > 20
        if kind == "link":
            assert other.stat().st_mode & 0o777 == 0o640
    assert path.lstat().st_mode == mode
    assert not list(folder.rglob("*.part"))


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_under_the_name_of_a_temporary_one_stays(folder, name):
    others = [folder / f"{name}.part", folder / f"{name}.{os.getpid()}.part"]
    if name in ("answers.csv", "queries.jsonl", "exported.csv", "exported.pkl"):
        for one in others:
            one.write_text("mine")
    WHOLE[name](folder / name)
    assert all(one.read_text() == "mine" for one in others if one.exists())
    assert len(list(folder.glob("*.part"))) in (0, 2)


def test_a_session_that_ends_on_a_full_disk_says_so(folder, monkeypatch, capsys):
    (folder / "labels.csv").write_text("what was there")
    session = SimpleNamespace(pace=SimpleNamespace(n=0), n_given=0)
    with make(folder) as loop:
        monkeypatch.setattr(files, "os", FullDisk())
        assert not _say_goodbye(loop, Pool(TEXTS, None), [session], True)
    captured = capsys.readouterr()
    assert "8 in all; saved." in captured.out and "Answers:" not in captured.out
    assert captured.err == (
        f"note: {folder / 'labels.csv'} could not be written (No space left on "
        "device); what was there is as it was. --export FILE writes the answers "
        "elsewhere.\n"
    )
    assert (folder / "labels.csv").read_text() == "what was there"


def test_a_salvage_on_a_full_disk_leaves_the_log(folder, monkeypatch):
    log = folder / "answers.jsonl"
    lines = log.read_bytes().splitlines(True)
    log.write_bytes(b"".join([lines[0], b"damaged\n", *lines[2:]]))
    before = content(folder)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", FullDisk())
        with pytest.raises(OSError, match=r"answers\.jsonl could not be written"):
            salvage(folder)
    assert before.items() <= content(folder).items()
    assert salvage(folder).n_lost == 1


def calls(module):
    """Yield the calls of a module that may write: (name, line)."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id == "open":
            mode = node.args[1].value if len(node.args) > 1 else "r"
            if set(mode) & set("wax+"):
                yield "open", node.lineno
        elif isinstance(function, ast.Attribute):
            owner = getattr(function.value, "id", "Path")
            owner = owner if owner in WRITING else "Path"
            if function.attr in WRITING[owner] and not (
                # of a str or a dataclass, with two arguments
                function.attr == "replace" and len(node.args) != 1
            ):
                yield f"{owner}.{function.attr}", node.lineno


def test_nothing_else_writes_a_file():
    """A new place that writes comes here, and to the walk above."""
    modules = [*ROOT.glob("annotat*/**/*.py")]
    found = {
        (module.name, name)
        for module in modules
        for name, _ in calls(module)
        if module.name not in WRITERS
    }
    assert found == {
        ("_wording.py", "os.open"),  # the null device
        ("_label_changes.py", "Path.unlink"),  # what was computed for a dropped label
        ("_model.py", "Path.rename"),  # a model that cannot be read, to a free name
        ("_salvage.py", "Path.unlink"),  # what was computed from a damaged log
    }
    assert len(modules) > 40
    assert all(any(calls(m)) for m in modules if m.name in WRITERS)
