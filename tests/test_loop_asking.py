"""Questions of a loop: which cells come, and that they come again after a restart."""

import errno
import json
import os
import warnings

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.loop import _log
from sklearn_masked.exceptions import (
    AnswerNotSavedError,
    FewerCellsWarning,
    UnknownSeedWarning,
)

NAMES = ["war", "crime", "sport"]
WORDS = {
    "war": "troops shell border tank siege".split(),
    "crime": "thief court robbery jail police".split(),
    "sport": "goal match striker coach league".split(),
}
SEEDS = {name: " ".join(words[:2]) for name, words in WORDS.items()}


def corpus(n=90, seed=0):
    """Return texts of one topic or none each, and the truth of every cell."""
    rng = np.random.default_rng(seed)
    truth, texts = np.zeros((n, 3), int), []
    for i in range(n):
        words = [f"filler{j}" for j in rng.integers(0, 30, 6)]
        if i % 4 < 3:
            truth[i, i % 4] = 1
            words += list(rng.choice(WORDS[NAMES[i % 4]], 3))
        texts.append(" ".join(rng.permutation(words)))
    return texts, truth


TEXTS, TRUTH = corpus()


def model():
    return make_pipeline(
        TfidfVectorizer(), MaskedMultiOutputClassifier(LogisticRegression(C=30))
    )


def make(folder, **options):
    return LabelingLoop(
        model(), TEXTS, folder=folder, label_names=NAMES, random_state=0, **options
    )


def cells(table):
    return list(zip(table["sample"].tolist(), table["label"].tolist(), strict=True))


def assert_same(table, other):
    assert table.dtype == other.dtype
    assert table.tobytes() == other.tobytes()  # NaN too


def reply(loop, table, **options):
    rows, cols = table["sample"], table["label"]
    loop.answer(rows, cols, TRUTH[rows, cols], **options)


def test_a_batch_is_asked_again_until_answered_after_restarts_too(tmp_path):
    with make(tmp_path) as loop:
        batch = loop.next_batch(12)
        assert len(set(cells(batch))) == 12
        assert_same(loop.next_batch(12), batch)
    with make(tmp_path) as loop:
        again = loop.next_batch(20)
        assert_same(again, batch)  # every field of every row
        assert again.dtype == batch.dtype
        assert again.label_names.tolist() == NAMES
        reply(loop, batch[3:8])
        loop.answer(*cells(batch)[0], "skip")
        left = cells(batch)[1:3] + cells(batch)[8:]
        assert cells(loop.next_batch(12)) == left
        assert cells(loop.next_batch(2)) == left[:2]
    with make(tmp_path) as loop:
        assert cells(loop.next_batch()) == left
        assert loop.report().n_open == 6
        reply(loop, loop.next_batch())
        new = loop.next_batch(12)
        assert len(new) == 12
        assert not set(cells(new)) & set(cells(batch))


def test_an_undone_answer_is_asked_for_again_in_its_place(tmp_path):
    with make(tmp_path) as loop:
        batch = loop.next_batch(3)
        reply(loop, batch)
        loop.undo()
        loop.undo()
        assert cells(loop.next_batch(3)) == cells(batch)[1:]
    with make(tmp_path) as loop:
        assert cells(loop.next_batch(3)) == cells(batch)[1:]
        loop.answer(*cells(batch)[1], 1, annotator="somebody")
        assert cells(loop.next_batch(3)) == cells(batch)[2:]


def test_annotators_get_cells_of_their_own(tmp_path):
    with make(tmp_path) as loop:
        one = loop.next_batch(10, annotator="ann")
        two = loop.next_batch(10, annotator="bob")
        assert not set(cells(one)) & set(cells(two))
        reply(loop, one[:5], annotator="ann")
    with make(tmp_path) as loop:
        assert cells(loop.next_batch(annotator="ann")) == cells(one)[5:]
        assert cells(loop.next_batch(annotator="bob")) == cells(two)
        reply(loop, one[5:6])  # whoever answers, it is answered
        assert cells(loop.next_batch(annotator="ann")) == cells(one)[6:]


def test_released_cells_may_go_to_anybody(tmp_path):
    texts = TEXTS[:2]
    options = {"folder": tmp_path, "label_names": NAMES, "random_state": 0}
    with LabelingLoop(None, texts, **options) as loop:
        one = loop.next_batch(5, annotator="ann")
        with pytest.warns(FewerCellsWarning, match="2 cells .*, and 1 are left") as w:
            loop.next_batch(2, annotator="bob")
        assert w[0].filename == __file__
        loop.release(one[:2])
        assert cells(loop.next_batch(annotator="ann")) == cells(one)[2:]
    with LabelingLoop(None, texts, **options) as loop:
        assert cells(loop.next_batch(annotator="ann")) == cells(one)[2:]
        assert loop.report().n_open == 4
        loop.release()
        assert loop.report().n_open == 0
        everything = loop.next_batch(6, annotator="cid")
        assert sorted(cells(everything)) == [(i, j) for i in range(2) for j in range(3)]


def test_every_cell_is_asked_for_once_until_none_is_left(tmp_path):
    texts = TEXTS[:7]
    asked = []
    with LabelingLoop(None, texts, folder=tmp_path, label_names=NAMES) as loop:
        for _ in range(4):
            batch = loop.next_batch(5)
            asked += cells(batch)
            loop.answer(batch["sample"], batch["label"], ["skip", 1, 0, 1, "skip"])
        with pytest.warns(FewerCellsWarning):
            last = loop.next_batch(5)
        assert sorted(asked + cells(last)) == [
            (i, j) for i in range(7) for j in range(3)
        ]
        loop.answer(last["sample"], last["label"], [None] * len(last))
        with pytest.warns(FewerCellsWarning, match="5 cells .*, and 0 are left"):
            none = loop.next_batch(5)
        assert len(none) == 0 and none.dtype == last.dtype


def test_skipped_cells_go_to_another_annotator_not_to_the_same(tmp_path):
    options = {"folder": tmp_path, "label_names": ["war"], "random_state": 0}
    with LabelingLoop(None, TEXTS[:4], **options) as loop:
        for row in range(3):
            loop.answer(row, "war", "skip", annotator="ann")
        with pytest.warns(FewerCellsWarning):
            assert cells(loop.next_batch(4, annotator="ann")) == [(3, 0)]
        with pytest.warns(FewerCellsWarning):
            bob = loop.next_batch(4, annotator="bob")
        assert sorted(cells(bob)) == [(0, 0), (1, 0), (2, 0)]
        loop.release()
        with pytest.warns(FewerCellsWarning):  # who has no name may be ann
            assert cells(loop.next_batch(4)) == [(3, 0)]


def test_disputed_cells_go_to_a_third_annotator(tmp_path):
    options = {"folder": tmp_path, "label_names": ["war"], "random_state": 0}
    with LabelingLoop(None, TEXTS[:2], on_disagreement="majority", **options) as loop:
        loop.answer(1, "war", 1)
        loop.answer(0, "war", 1, annotator="ann")
        loop.answer(0, "war", 0, annotator="bob")
        third = loop.next_batch(1, annotator="cid")
        assert cells(third) == [(0, 0)]
        loop.answer(0, "war", 0, annotator="cid")
        assert loop.labels.to_dense()[:, 0].tolist() == [0, 1]


@pytest.mark.parametrize("seeds", [SEEDS, None])
def test_first_cells_are_sought_by_seeds_or_by_names_of_labels(tmp_path, seeds):
    if seeds is None:  # names of labels stand for seeds where texts have them
        texts = [text.replace("shell", "war") for text in TEXTS]
        names = ["war", "crime", "goal_match"]
    else:
        texts, names = TEXTS, NAMES
    with LabelingLoop(
        model(),
        texts,
        folder=tmp_path,
        label_names=names,
        seeds=seeds,
        random_state=0,
    ) as loop:
        batch = loop.next_batch(10)
        sought = batch[batch["reason"] == "similar"]
        assert len(sought) == 8 and set(batch["reason"]) == {"similar", "random"}
        assert TRUTH[sought["sample"], sought["label"]].all()
        expected = [0, 1, 2] if seeds else [0, 2]  # no text has the word "crime"
        assert sorted(set(sought["label"].tolist())) == expected


def test_examples_and_rows_as_seeds(tmp_path):
    examples = {"war": [TEXTS[0], TEXTS[4]], "sport": TEXTS[2]}  # "crime" by its name
    with make(tmp_path / "texts", seeds=examples) as loop:
        batch = loop.next_batch(10)
        sought = batch[batch["reason"] == "similar"]
        assert set(sought["label"].tolist()) == {0, 2}
        assert TRUTH[sought["sample"], sought["label"]].mean() > 0.8
    X = TRUTH + 0.01 * np.random.default_rng(0).random((90, 3))
    with LabelingLoop(
        None,
        X,
        folder=tmp_path / "rows",
        label_names=NAMES,
        seeds={"crime": np.array([[0.0, 1.0, 0.0]])},
        random_state=0,
    ) as loop:
        batch = loop.next_batch(5)
        sought = batch[batch["reason"] == "similar"]
        assert len(sought) and TRUTH[sought["sample"], 1].all()


def test_seeds_that_cannot_be_used(tmp_path):
    with pytest.raises(ValueError, match="such as 'war'; got 'peace'."):
        make(tmp_path, seeds={"peace": "dove"})
    with pytest.raises(TypeError, match="a dict of words or rows by label name; got s"):
        make(tmp_path, seeds="war")
    assert not any(tmp_path.iterdir())
    with make(tmp_path / "1", seeds={"war": "kajak", "crime": "jail"}) as loop:
        with pytest.warns(UnknownSeedWarning, match="got none for 'war'. These") as w:
            loop.next_batch(5)
        assert w[0].filename == __file__
        loop.release()
        loop.next_batch(5)  # says it once
    X = np.eye(4)
    with LabelingLoop(
        None, X, folder=tmp_path / "2", label_names=NAMES, seeds={"war": "shell"}
    ) as loop:
        with pytest.raises(ValueError, match="got words, and X that are no texts."):
            loop.next_batch(5)


def test_texts_without_a_word_are_no_hindrance(tmp_path):
    with LabelingLoop(None, ["?", "!", ""], folder=tmp_path, label_names=NAMES) as loop:
        assert set(loop.next_batch(5)["reason"]) == {"random"}


def test_with_a_model_it_asks_and_seeds_go_on_for_labels_without_a_positive(tmp_path):
    with make(tmp_path, seeds=SEEDS) as loop:
        for row in range(8):  # "sport" gets negatives alone
            loop.answer(row, 0, TRUTH[row, 0])
            loop.answer(row, 1, TRUTH[row, 1])
            loop.answer(row, 2, 0)
        loop.fit()
        batch = loop.next_batch(30)
        sought = batch[batch["reason"] == "similar"]
        assert len(sought) == 10  # an even share
        assert set(sought["label"].tolist()) == {2}
        assert TRUTH[sought["sample"], 2].all()
        assert {"uncertain", "random"} <= set(batch["reason"])
        assert len(set(cells(batch))) == 30
        reply(loop, batch)
        loop.fit()
        assert "similar" not in loop.next_batch(30)["reason"]


def test_probabilities_from_elsewhere_decide(tmp_path):
    proba = np.full((90, 3), 0.01)
    proba[[5, 9, 60], [0, 2, 1]] = [0.5, 0.51, 0.48]
    with make(tmp_path, seeds=SEEDS) as loop:
        batch = loop.next_batch(3, proba=proba, strategy="uncertain")
        assert sorted(cells(batch)) == [(5, 0), (9, 2), (60, 1)]
        assert sorted(batch["probability"]) == [0.48, 0.5, 0.51]
        with pytest.raises(ValueError, match=r"shape of `labels`, \(90, 3\); got"):
            loop.next_batch(3, annotator="ann", proba=proba[:5])


def test_the_same_course_asks_the_same_cells(tmp_path):
    courses = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        course = []
        for _ in range(3):
            with make(folder, seeds=SEEDS) as loop:  # restarts make no difference
                batch = loop.next_batch(15)
                course.append(cells(batch))
                reply(loop, batch)
                loop.fit()
        courses.append(course)
    with make(tmp_path / "c", seeds=SEEDS) as loop:
        course = []
        for _ in range(3):
            batch = loop.next_batch(15)
            course.append(cells(batch))
            reply(loop, batch)
            loop.fit()
        courses.append(course)
    assert courses[0] == courses[1] == courses[2]


def test_answers_tell_why_they_were_asked_for(tmp_path):

    with make(tmp_path) as loop:
        batch = loop.next_batch(4)
        reply(loop, batch)
        loop.answer(50, "war", 0) if (50, 0) not in cells(batch) else None
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines if '"value"' in line]
    for entry, row in zip(entries, batch, strict=False):
        assert entry["reason"] == row["reason"] == "random"
        assert entry["propensity"] == row["propensity"] > 0
    assert "reason" not in entries[-1]


def test_review_asks_again_for_what_looks_wrong(tmp_path):
    rng = np.random.default_rng(1)
    rows, cols = np.divmod(np.arange(270), 3)
    said = TRUTH[rows, cols].copy()
    wrong = rng.choice(270, 6, replace=False)
    said[wrong] = 1 - said[wrong]
    with make(tmp_path) as loop:
        loop.answer(rows, cols, said, annotator="ann")
        batch = loop.review_batch(8, annotator="bob", cv=3)
        spoiled = {(int(rows[i]), int(cols[i])) for i in wrong}
        assert len(set(cells(batch)) & spoiled) >= 5
        assert set(batch["reason"]) == {"review"}
        assert (np.diff(batch["utility"]) <= 0).all() and batch["utility"][0] > 0.5
    with make(tmp_path, on_disagreement="last") as loop:
        assert_same(loop.next_batch(9, annotator="bob"), batch)
        assert_same(loop.review_batch(annotator="bob"), batch)
        reply(loop, batch, annotator="bob")
        expected = said.reshape(90, 3).copy()
        expected[batch["sample"], batch["label"]] = TRUTH[
            batch["sample"], batch["label"]
        ]
        np.testing.assert_array_equal(loop.labels.to_dense(), expected)
        more = loop.review_batch(8, annotator="bob", cv=3)
        assert not set(cells(more)) & set(cells(batch))  # twice is enough


def test_who_confirms_in_review_has_answered(tmp_path):
    with make(tmp_path) as loop:
        rows, cols = np.divmod(np.arange(270), 3)
        loop.answer(rows, cols, TRUTH[rows, cols])
        batch = loop.review_batch(2, cv=2)
        reply(loop, batch)  # the same person, the same answer
        assert not set(cells(loop.review_batch(2, cv=2))) & set(cells(batch))
        np.testing.assert_array_equal(loop.labels.to_dense(), TRUTH)


def test_a_batch_that_cannot_be_saved_is_not_handed_out(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class FullDisk:
        write = staticmethod(full)

        def __getattr__(self, name):
            return getattr(os, name)

    with make(tmp_path) as loop:
        with monkeypatch.context() as patch:
            patch.setattr(_log, "os", FullDisk())
            with pytest.raises(AnswerNotSavedError) as raised:
                loop.next_batch(4)
            assert str(raised.value) == (
                f"The batch was not saved: {tmp_path / 'answers.jsonl'} could not be "
                "written (No space left on device). Nothing was changed; mend that, "
                "and ask for it again."
            )
        batch = loop.next_batch(4)
        with monkeypatch.context() as patch:
            patch.setattr(_log, "os", FullDisk())
            with pytest.raises(AnswerNotSavedError, match="The release was not saved"):
                loop.release()
            assert_same(loop.next_batch(4), batch)  # needs no room


def test_answers_that_come_while_a_batch_is_chosen_are_left_out(tmp_path, monkeypatch):
    with make(tmp_path, strategy="uncertain") as loop:
        loop.answer(
            np.arange(30), np.arange(30) % 3, TRUTH[range(30), np.arange(30) % 3]
        )
        loop.fit()
        first = loop.next_batch(6)
        loop.release()

        class Slow:
            def predict_proba(self, X):
                loop.answer(*cells(first)[0], 1)  # as another thread would
                return fitted.predict_proba(X)

        fitted = loop._fitted.predictor
        monkeypatch.setattr(loop._fitted, "predictor", Slow())
        second = loop.next_batch(6)
        assert cells(first)[0] not in cells(second)


def test_no_batch_of_nothing(tmp_path):
    with make(tmp_path) as loop:
        for n in (0, -1, 2.5, True):
            with pytest.raises(ValueError, match="`n_cells` accepts integers from 1"):
                loop.next_batch(n)


def test_a_dummy_model_is_no_hindrance(tmp_path):
    X = np.arange(40.0).reshape(20, 2)
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    with LabelingLoop(estimator, X, folder=tmp_path, label_names=["a"]) as loop:
        loop.answer([0, 1], [0, 0], [1, 0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert len(loop.fit().next_batch(5)) == 5
