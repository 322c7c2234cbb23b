"""Labels that are renamed and dropped, and what the log then means."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.annotate import main
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.exceptions import FolderInUseError

NAMES = ["war", "crime", "rain"]
X = np.arange(20.0)[:, None]


def make(folder, names=NAMES, **options):
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    given = {"label_names": names, "random_state": 0, **options}
    return LabelingLoop(estimator, X, folder=folder, **given)


def said(loop):
    return [(one.sample, one.label, one.value) for one in loop.answers()]


@pytest.fixture
def folder(tmp_path):
    with make(tmp_path, label_parents={"crime": "war"}) as loop:
        loop.answer([0, 1, 2], ["war", "rain", "crime"], [0, 1, None])
        loop.answer(3, "rain", 1)
        loop.fit()
        loop.report(cv=2)
        loop.next_batch(20)
    return tmp_path


def test_a_renamed_label_keeps_its_answers_batches_and_relations(folder):
    with make(folder, label_parents={"crime": "war"}) as loop:
        before, batch = loop.labels.to_dense(), loop.next_batch(20)
    LabelingLoop.rename_label(folder, "war", "conflict")
    LabelingLoop.rename_label(folder, "conflict", "armed conflict")
    names = ["armed conflict", "crime", "rain"]
    with pytest.raises(ValueError, match="`LabelingLoop.rename_label` and `dr"):
        make(folder)
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    with LabelingLoop.open(folder, estimator, X) as loop:
        assert loop.label_names == names
        assert loop.label_parents == {"crime": "armed conflict"}
        np.testing.assert_array_equal(loop.labels.to_dense(), before)
        assert said(loop)[0] == (0, "armed conflict", 0)
        again = loop.next_batch(20)
        assert (again["sample"] == batch["sample"]).all()
        assert (again["label"] == batch["label"]).all()
        assert loop.undo()[0].label == "rain"
        loop.answer(5, "armed conflict", 1)
        assert loop.model is not None
    lines = (folder / "answers.jsonl").read_text().splitlines()
    kinds = [json.loads(line) for line in lines]
    assert [one["renamed"] for one in kinds if "renamed" in one] == [
        ["war", "conflict"],
        ["conflict", "armed conflict"],
    ]


def test_a_dropped_label_counts_no_more(folder):
    with make(folder) as loop:
        last = loop.undo()  # of rain, and given again
        loop.answer(3, "rain", 1)
    LabelingLoop.drop_label(folder, "war")
    assert not (folder / "model.joblib").exists()
    with make(folder, ["crime", "rain"]) as loop:
        assert said(loop) == [
            (0, "crime", 0),  # which the dropped one implied
            (1, "rain", 1),
            (2, "crime", None),
            (3, "rain", 1),
        ]
        assert loop.labels.shape == (20, 2)
        assert {row["label"] for row in loop.next_batch(20)} <= {0, 1}
        assert last[0].label == "rain" and loop.undo()[0].sample == 3
        assert loop.fit().model.predict_proba(X).shape == (20, 2)
    with make(folder, ["crime", "rain", "new"]) as loop:  # others may follow
        assert len(loop.label_names) == 3


@pytest.mark.parametrize("new", ["conflict", None])
def test_a_change_that_a_crash_cut_short_is_made_whole(folder, new, monkeypatch):
    from sklearn_masked.annotation.loop import _label_changes

    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(_label_changes, "record_changes", crash)
        with pytest.raises(Crash):
            _label_changes.change_label(folder, "war", new)
    names = ["crime", "rain"] if new is None else ["conflict", "crime", "rain"]
    with make(folder, names) as loop:
        assert len(loop.answers()) == (4 if new is None else 5)
    lines = (folder / "answers.jsonl").read_text().splitlines()
    assert sum("renamed" in line or "dropped" in line for line in lines) == 1
    with make(folder, names):
        pass
    assert len((folder / "answers.jsonl").read_text().splitlines()) == len(lines)


@pytest.mark.parametrize(
    ("name", "new", "match"),
    [
        ("peace", "x", "the label must be one of the folder, such as 'war'; got 'pea"),
        ("war", "rain", "one that no label has or had; got 'rain'."),
        ("war", "", "the new name must be text that can be shown; got ''."),
        ("war", "a\nb", "the new name must be text that can be shown"),
        ("war", None, "`new` accepts a name; `drop_label` drops a label."),
    ],
)
def test_changes_that_cannot_be_change_nothing(folder, name, new, match):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match=match):
        LabelingLoop.rename_label(folder, name, new)
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_name_is_not_used_for_another_label(folder):
    LabelingLoop.rename_label(folder, "war", "conflict")
    with pytest.raises(ValueError, match="no label has or had; got 'war'."):
        LabelingLoop.rename_label(folder, "rain", "war")
    with pytest.raises(ValueError, match="'war' was renamed or dropped, and its answ"):
        make(folder, ["conflict", "crime", "rain", "war"])
    LabelingLoop.drop_label(folder, "conflict")
    LabelingLoop.drop_label(folder, "crime")
    with pytest.raises(ValueError, match="the last label, 'rain', cannot be dropped."):
        LabelingLoop.drop_label(folder, "rain")


def test_folders_in_use_and_others_are_refused(folder, tmp_path_factory):
    with make(folder), pytest.raises(FolderInUseError):
        LabelingLoop.rename_label(folder, "war", "conflict")
    with pytest.raises(FileNotFoundError, match="must be that of a labeling loop"):
        LabelingLoop.drop_label(tmp_path_factory.mktemp("other"), "war")


def test_the_program_renames_and_drops(tmp_path, capsys):
    texts, labels = tmp_path / "t.txt", tmp_path / "l.txt"
    texts.write_text("a war\nrain\n")
    labels.write_text("war\ncrime\nrain\n")
    folder = tmp_path / "t-answers"
    with LabelingLoop(
        None, ["a war", "rain"], folder=folder, label_names=NAMES
    ) as loop:
        loop.answer([0, 1], ["war", "rain"], [1, 1])
    files = [str(texts), "--labels", str(labels)]
    assert main([*files, "--rename", "war=conflict", "--drop", "crime"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(
        f"'war' is now 'conflict'. So it must stand in {labels}, too."
    )
    assert "'crime' is dropped; its answers stay in the log." in out
    assert main([*files, "--export", str(tmp_path / "out.csv")]) == 2
    error = capsys.readouterr().err
    assert "--rename OLD=NEW and --drop LABEL change those of this one." in error
    labels.write_text("conflict\nrain\n")
    assert main([*files, "--export", str(tmp_path / "out.csv")]) == 0
    assert "0,conflict,yes," in (tmp_path / "out.csv").read_text()
    assert main([*files, "--drop", "peace"]) == 2
    assert "the label must be one of the folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*files, "--rename", "war"])
