"""Several labels of a sample at once: screens, answers together, relations."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation._label_relations import LabelRelations
from sklearn_masked.exceptions import AnswerNotSavedError

NAMES = ["sport", "football", "tennis", "youth football", "politics", "weather"]
PARENTS = {"football": "sport", "tennis": "sport", "youth football": "football"}
EXCLUSIVE = [["sport", "politics"], ["football", "tennis"]]
TEXTS = [f"a text about {NAMES[i % 6]}, number {i}" for i in range(40)]


def make(folder, names=NAMES, **options):
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    given = {"folder": folder, "label_names": names, "random_state": 0, **options}
    return LabelingLoop(estimator, TEXTS, **given)


def screens(table):
    rows = table["sample"].tolist()
    assert 1 + np.count_nonzero(np.diff(rows)) == len(set(rows))
    return {
        row: table["label"][table["sample"] == row].tolist()
        for row in dict.fromkeys(rows)
    }


def cells(loop):
    return {(one.sample, one.label): one.value for one in loop.answers()}


# Screens


@pytest.mark.parametrize("seeds", [None, {"sport": "sport number"}])
def test_screens_come_from_words_then_from_the_model(tmp_path, seeds):
    with make(tmp_path, seeds=seeds) as loop:
        table = loop.next_screens(5, max_labels=3)
        found = screens(table)
        assert len(found) == 5 and {len(cols) for cols in found.values()} == {3}
        assert set(table["reason"]) <= {"similar", "likely", "random"}
        for row, cols in found.items():
            loop.answer([row] * 3, cols, [1, 0, 0], together=True)
        loop.fit()
        table = loop.next_screens(5, max_labels=3, strategy="uncertain")
        assert len(screens(table)) == 5
        assert loop.labels.to_dense()[table["sample"], table["label"]].size
        assert np.isnan(loop.labels.to_dense()[table["sample"], table["label"]]).all()


def test_open_screens_are_handed_out_again_after_a_restart(tmp_path):
    with make(tmp_path) as loop:
        found = screens(loop.next_screens(4, max_labels=4))
        first, second, *_ = found
        loop.answer([first] * 4, found[first], [0] * 4, together=True)
        loop.answer(second, found[second][0], 1)
    with make(tmp_path) as loop:
        again = screens(loop.next_screens(10))
        expected = {second: found[second][1:]}
        expected |= {row: found[row] for row in list(found)[2:]}
        assert again == expected
        assert screens(loop.next_screens(1)) == {second: found[second][1:]}
        # One label at a time goes through the same cells.
        batch = loop.next_batch(100)
        assert len(batch) == sum(map(len, again.values()))


def test_no_sample_is_on_two_screens_of_a_batch(tmp_path):
    with make(tmp_path, seeds={"weather": "weather"}) as loop:
        loop.answer([0, 1], ["sport", "sport"], [1, 0])
        loop.fit()
        assert len(screens(loop.next_screens(40, max_labels=2))) == 40


# Answers that belong together


def test_answers_given_together_are_taken_back_together(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(1, "sport", 1)
        saved = loop.answer([0, 0, 0], [0, 1, 2], [1, 0, None], together=True)
        assert len({one.screen for one in saved}) == 1 and saved[0].screen
        assert [one.value for one in saved] == [1, 0, None]
    with make(tmp_path) as loop:  # another day
        undone = loop.undo()
        assert [one.id for one in undone] == [one.id for one in saved]
        assert cells(loop) == {(1, "sport"): 1}
        assert loop.undo()[0].screen is None
        assert loop.undo() == []
        # By the id of one, again all of them, which stay undone.
        assert loop.undo(answer_id=saved[1].id)[0].id == saved[1].id


def test_answers_say_why_their_cells_were_asked_for(tmp_path):
    with make(tmp_path) as loop:
        table = loop.next_screens(3, max_labels=2)
        for row, cols in screens(table).items():
            loop.answer([row] * len(cols), cols, [0] * len(cols), together=True)
        said = {(one.sample, one.label): one for one in loop.answers()}
        for row in table:
            one = said[int(row["sample"]), NAMES[row["label"]]]
            assert one.reason == row["reason"]
            known = not np.isnan(row["propensity"])
            assert one.propensity == (row["propensity"] if known else None)


@pytest.mark.parametrize("n_bytes", [0, 1, 150, 400, 700])
def test_a_screen_that_a_crash_cut_short_is_asked_for_again(tmp_path, n_bytes):
    with make(tmp_path) as loop:
        found = screens(loop.next_screens(2, max_labels=4))
        row, *_ = found
        n_before = (tmp_path / "answers.jsonl").stat().st_size
        loop.answer([row] * 4, found[row], [1, 0, 0, 0], together=True)
    log = tmp_path / "answers.jsonl"
    log.write_bytes(log.read_bytes()[: n_before + n_bytes])
    (tmp_path / "answers.check").unlink()
    with warns_if_torn(n_bytes), make(tmp_path) as loop:
        n_left = len(found[row]) - len(loop.answers())
        assert screens(loop.next_screens(1)) == {row: found[row][4 - n_left :]}
        loop.answer([row] * n_left, found[row][4 - n_left :], [0] * n_left)
        assert loop.labels.n_cells == 4


def warns_if_torn(n_bytes):
    from contextlib import nullcontext

    from sklearn_masked.exceptions import TornAnswerWarning

    return pytest.warns(TornAnswerWarning) if n_bytes else nullcontext()


def test_a_screen_that_could_not_be_saved_leaves_nothing(tmp_path, monkeypatch):
    from sklearn_masked.annotation.loop import _log

    with make(tmp_path, label_parents=PARENTS) as loop:
        with monkeypatch.context() as patch:

            def full(*_):
                raise OSError(28, "No space left on device")

            patch.setattr(_log.os, "write", full)
            with pytest.raises(AnswerNotSavedError):
                loop.answer([0, 0], ["football", "weather"], [1, 0], together=True)
        assert loop.answers() == []


# Relations


def test_yes_goes_up_and_no_goes_down(tmp_path):
    with make(tmp_path, label_parents=PARENTS) as loop:
        saved = loop.answer(0, "youth football", 1)
        assert [(one.label, one.value, one.reason) for one in saved] == [
            ("youth football", 1, None),
            ("sport", 1, "implied"),
            ("football", 1, "implied"),
        ]
        loop.answer(1, "sport", 0)
        assert {label for (row, label), value in cells(loop).items() if row == 1} == {
            *PARENTS,
            "sport",
        }
        assert loop.labels.n_negative.sum() == 4
        loop.answer(2, "sport", 1)  # says nothing of those below it
        loop.answer(2, "football", None)  # nor does a skip
        assert sum(row == 2 for row, _ in cells(loop)) == 2


def test_one_of_an_exclusive_group_denies_the_others_and_what_is_below(tmp_path):
    with make(tmp_path, label_parents=PARENTS, exclusive_labels=EXCLUSIVE) as loop:
        loop.answer(0, "football", 1)
        assert cells(loop) == {
            (0, "football"): 1,
            (0, "sport"): 1,
            (0, "tennis"): 0,
            (0, "politics"): 0,
        }
        loop.answer(1, "politics", 1)
        assert {label: value for (row, label), value in cells(loop).items() if row} == {
            "politics": 1,
            **dict.fromkeys([*PARENTS, "sport"], 0),
        }


def test_nothing_is_implied_against_an_answer(tmp_path):
    with make(tmp_path, label_parents=PARENTS, exclusive_labels=EXCLUSIVE) as loop:
        loop.answer(0, "sport", 0, annotator="ann")
        loop.answer(0, "football", 1, annotator="bob")
        said = {(one.label, one.annotator): one.value for one in loop.answers()}
        assert ("sport", "bob") not in said  # ann's answer stands alone
        assert said["football", "ann"] == 0 and said["football", "bob"] == 1
        # Answers of one screen that contradict each other stand as they were given.
        saved = loop.answer([1] * 3, [0, 1, 2], [0, 1, 1], together=True)
        assert [one.value for one in saved][:3] == [0, 1, 1]
        implied = {one.label: one.value for one in saved[3:]}
        assert implied == {"politics": 0, "youth football": 0}


def test_undo_takes_back_what_was_implied(tmp_path):
    with make(tmp_path, label_parents=PARENTS) as loop:
        loop.answer([0, 1], ["football", "weather"], [1, 1])  # not together
        assert [one.label for one in loop.undo()] == ["weather"]
        assert [one.label for one in loop.undo()] == ["football", "sport"]
        assert loop.labels.n_cells == 0


def test_implied_cells_are_not_asked_for_and_the_folder_knows_the_relations(tmp_path):
    with make(tmp_path, label_parents=PARENTS, exclusive_labels=EXCLUSIVE) as loop:
        loop.next_batch(40 * 6)
        loop.answer(3, "sport", 0)
        left = {(row["sample"], row["label"]) for row in loop.next_batch(40 * 6)}
        assert not {(3, NAMES.index(name)) for name in PARENTS} & left
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    with LabelingLoop.open(tmp_path, estimator, TEXTS) as loop:
        assert loop.label_parents == PARENTS and loop.exclusive_labels == EXCLUSIVE
        assert len(loop.answer(4, "sport", 0)) == 4
    entry = json.loads((tmp_path / "answers.jsonl").read_text().splitlines()[-1])
    assert entry["reason"] == "implied" and entry["screen"]


def test_what_labels_say_of_each_other_is_closed():
    rng = np.random.default_rng(0)
    relations = LabelRelations(NAMES, PARENTS, EXCLUSIVE)
    assert relations and not LabelRelations(NAMES)
    for _ in range(300):
        cols = rng.choice(6, rng.integers(1, 4), replace=False)
        values = dict(
            zip(cols.tolist(), rng.integers(2, size=6).tolist(), strict=False)
        )
        said = values | relations.implied(values)
        again = relations.implied(said)
        # A second time nothing new is said, but of what was contradicted.
        assert all({col: value} != {col: said.get(col)} for col, value in again.items())
        assert not values.keys() & relations.implied(values).keys()


@pytest.mark.parametrize(
    ("parents", "exclusive", "match"),
    [
        ({"golf": "sport"}, None, "`label_parents` accepts names of labels"),
        ({"sport": "golf"}, None, "such as 'sport'; got 'golf'."),
        ({"sport": "tennis", "tennis": "sport"}, None, "is above itself."),
        (PARENTS, [["sport", "football"]], "none above another"),
        (None, [["sport"]], "groups of two labels or more"),
        (None, [["sport", "sport"]], "that all differ"),
        (None, [["sport", "golf"]], "`exclusive_labels` accepts names of labels"),
    ],
)
def test_relations_that_cannot_be_are_refused(parents, exclusive, match, tmp_path):
    with pytest.raises(ValueError, match=match):
        make(tmp_path / "f", label_parents=parents, exclusive_labels=exclusive)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("parents", "exclusive", "match"),
    [
        ([("a", "b")], None, "`label_parents` accepts a dict"),
        (None, "sport", "`exclusive_labels` accepts a list of lists"),
        (None, ["sport", "tennis"], "`exclusive_labels` accepts a list of lists"),
    ],
)
def test_relations_of_another_form_are_refused(parents, exclusive, match):
    with pytest.raises(TypeError, match=match):
        LabelRelations(NAMES, parents, exclusive)
