"""Answers of a loop: what they come to, whoever gives them, however often."""

import json
import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_masked import MaskedLabels
from sklearn_masked.annotation import LabelingLoop

TEXTS = [f"text {i}" for i in range(6)]
NAMES = ["war", "crime"]


def make(folder, **options):
    return LabelingLoop(
        None, TEXTS, folder=folder, label_names=NAMES, random_state=0, **options
    )


def dense(loop):
    return loop.labels.to_dense()


def nothing():
    return np.full((6, 2), np.nan)


def test_yes_no_and_skip_by_value_or_word(tmp_path):
    expected = nothing()
    expected[[0, 1, 2, 3], [0, 0, 1, 1]] = [1, 0, 1, 0]
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        loop.answer(1, 0, "no")
        loop.answer([2, 3], ["crime", 1], ["yes", np.int8(0)])
        loop.answer(4, "war", None)
        loop.answer(5, "war", "skip")
        np.testing.assert_array_equal(dense(loop), expected)
        assert isinstance(loop.labels, MaskedLabels)
        assert loop.labels.label_names.tolist() == NAMES
        assert [one.value for one in loop.answers()] == [1, 0, 1, 0, None, None]
    with make(tmp_path) as loop:
        np.testing.assert_array_equal(dense(loop), expected)


def test_a_skip_is_never_a_negative(tmp_path):
    with make(tmp_path) as loop:
        for row in range(6):
            loop.answer(row, "war", "skip")
        assert loop.labels.n_cells == 0
        assert loop.labels.n_negative.tolist() == [0, 0]
        loop.answer(0, "war", 1, annotator="ann")
        loop.answer(0, "war", None, annotator="bob")
        assert dense(loop)[0, 0] == 1  # a skip is no vote either
        assert loop.disagreements() == []


def test_the_same_answer_is_saved_once(tmp_path):
    log = tmp_path / "answers.jsonl"
    with make(tmp_path) as loop:
        for _ in range(3):
            loop.answer(0, "war", 1)
            loop.answer([0, 0, 1], [0, 0, 0], [1, 1, None])
        assert len(log.read_bytes().splitlines()) == 2
        loop.answer(0, "war", 1, annotator="ann")  # somebody else
        assert len(log.read_bytes().splitlines()) == 3


def test_an_answer_of_an_id_is_saved_once_and_is_that_answer(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1, answer_id="a1")
        loop.answer(0, "war", 0, answer_id="a2")
        loop.answer(0, "war", 1, answer_id="a1")  # came late, and a second time
        assert dense(loop)[0, 0] == 0
        with pytest.raises(
            ValueError,
            match="`answer_id` 'a1' is that of another answer: sample 0, label 'war', "
            "value 1.",
        ):
            loop.answer(1, "war", 1, answer_id="a1")
        with pytest.raises(TypeError, match="`answer_id` accepts a string; got 7."):
            loop.answer(1, "war", 1, answer_id=7)
        with pytest.raises(ValueError, match="is for a single answer; got several"):
            loop.answer([1, 2], [0, 0], [1, 1], answer_id="b")


def test_undo_takes_back_the_last_answer_that_stands(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1)
        loop.answer(1, "war", 0)
        loop.answer(0, "war", 0)  # a correction
        [undone] = loop.undo()
        assert (undone.sample, undone.label, undone.value) == (0, "war", 0)
        assert dense(loop)[:2, 0].tolist() == [1, 0]  # the first one stands again
        assert loop.undo()[0].sample == 1
        assert np.isnan(dense(loop)[1, 0])
    with make(tmp_path) as loop:  # after a restart too
        assert loop.undo()[0].value == 1
        assert loop.undo() == []
        assert loop.labels.n_cells == 0
        loop.answer(0, "war", 1)  # may be given again
        assert dense(loop)[0, 0] == 1
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    kinds = ["undo" in json.loads(line) for line in lines]
    assert kinds == [False, False, False, True, True, True, False]  # nothing is erased


def test_undo_by_annotator_and_by_id(tmp_path):
    with make(tmp_path) as loop:
        loop.answer(0, "war", 1, annotator="ann", answer_id="a")
        loop.answer(1, "war", 1, annotator="bob")
        assert loop.undo() == []  # one without a name gave none
        assert loop.undo(annotator="ann")[0].id == "a"
        assert loop.undo(annotator="ann") == []
        assert loop.undo(answer_id="a")[0].id == "a"  # stays undone
        assert [one.annotator for one in loop.answers()] == ["bob"]
        with pytest.raises(ValueError, match="must be that of an answer; got 'z'."):
            loop.undo(answer_id="z")


@pytest.mark.parametrize(
    ("policy", "two", "three"),
    [("unlabeled", None, None), ("majority", None, 1), ("last", 0, 1)],
)
def test_annotators_who_disagree(tmp_path, policy, two, three):
    def value(loop):
        here = dense(loop)[0, 0]
        return None if np.isnan(here) else here

    with make(tmp_path, on_disagreement=policy) as loop:
        loop.answer(0, "war", 1, annotator="ann")
        assert value(loop) == 1
        loop.answer(0, "war", 0, annotator="bob")
        assert value(loop) == two
        [both] = loop.disagreements()
        assert [(one.annotator, one.value) for one in both] == [("ann", 1), ("bob", 0)]
        loop.answer(0, "war", 1, annotator="cid")
        assert value(loop) == three
        assert len(loop.answers()) == 3  # each is kept
        loop.answer(0, "war", 1, annotator="bob")  # bob gives in
        assert value(loop) == 1
        assert loop.disagreements() == []


def test_disagreement_that_is_to_be_settled_first(tmp_path):
    with make(tmp_path, on_disagreement="raise") as loop:
        loop.answer(0, "war", 1, annotator="ann")
        loop.answer(0, "war", 0)
        with pytest.raises(
            ValueError,
            match="disagree on sample 0, label 'war': ann yes, one without a name no;",
        ):
            loop.labels  # noqa: B018
        assert len(loop.disagreements()) == 1


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((6, "war", 1), "positions from 0 to 5, and ids that are text where"),
        ((-1, "war", 1), "`sample` accepts positions from 0 to 5.*got -1"),
        (("text 0", "war", 1), "where `sample_ids` were given; got 'text 0'."),
        ((True, "war", 1), "got True."),
        ((0, "peace", 1), "from 0 to 1 and names, such as 'war'; got 'peace'."),
        ((0, 2, 1), "`label` accepts positions from 0 to 1 .* got 2."),
        ((0, "war", -1), 'accepts 1 or "yes", 0 or "no", None or "skip"; got -1.'),
        ((0, "war", np.nan), "got nan."),
        ((0, "war", "y"), "got 'y'."),
        (([0, 1], ["war", "war"], 1), "must be of one length, or each single; got"),
        ((0, "war", [1]), 'None or "skip"; got .1..'),
        (([0, 1], "war", [1, 0]), "got .0, 1., 'war' and .1, 0.."),
        (([0, 1], ["war"], [1, 0]), "one entry an answer; got 2, 1 and 2."),
    ],
)
def test_what_is_no_answer_is_refused_and_changes_nothing(tmp_path, args, sentence):
    with make(tmp_path) as loop:
        with pytest.raises(ValueError, match=sentence):
            loop.answer(*args)
        with pytest.raises(ValueError):  # nothing of several is saved then
            loop.answer([1, 9], [0, 0], [1, 1])
        assert loop.answers() == []
    assert (tmp_path / "answers.jsonl").read_bytes() == b""


def test_an_annotator_has_a_name(tmp_path):
    with make(tmp_path) as loop:
        for function in (
            lambda: loop.answer(0, "war", 1, annotator=""),
            lambda: loop.undo(annotator=3),
            lambda: loop.next_batch(annotator=["ann"]),
        ):
            with pytest.raises(TypeError, match="`annotator` accepts a name or None"):
                function()


def test_ids_of_samples(tmp_path):
    ids = [f"id{i}" for i in range(5)] + [77]
    with make(tmp_path, sample_ids=ids) as loop:
        loop.answer("id3", "war", 1)
        loop.answer(5, "war", 0)  # an integer is a position, always
        assert loop.positions(["id0", 77]).tolist() == [0, 5]
        assert [one.sample for one in loop.answers()] == ["id3", 77]
        np.testing.assert_array_equal(
            np.flatnonzero(~np.isnan(dense(loop)[:, 0])), [3, 5]
        )
        with pytest.raises(ValueError, match="ids of the 6 samples of the pool; got 9"):
            loop.positions(["id0", 9])


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("answer"),
            st.integers(0, 2),
            st.integers(0, 1),
            st.sampled_from([1, 0, None]),
            st.sampled_from([None, "ann", "bob"]),
        ),
        st.tuples(st.just("undo"), st.sampled_from([None, "ann", "bob"])),
        st.tuples(st.just("restart")),
        st.tuples(st.just("batch"), st.sampled_from([None, "ann"])),
    ),
    max_size=25,
)


def by_hand(actions, policy):
    """Return the labels that actions come to, kept in one plain list."""
    stack = []
    for kind, *rest in actions:
        if kind == "answer":
            row, col, value, who = rest
            mine = [v for r, c, v, w in stack if (r, c, w) == (row, col, who)]
            if not mine or mine[-1] != value:
                stack.append((row, col, value, who))
        elif kind == "undo":
            at = [i for i, one in enumerate(stack) if one[3] == rest[0]]
            if at:
                del stack[at[-1]]
    labels = nothing()
    for row in range(6):
        for col in range(2):
            last = {}
            for r, c, value, who in stack:
                if (r, c) == (row, col):
                    last.pop(who, None)
                    last[who] = value
            votes = [value for value in last.values() if value is not None]
            if not votes:
                continue
            if len(set(votes)) == 1 or policy == "last":
                labels[row, col] = votes[-1]
            elif policy == "majority" and votes.count(1) != votes.count(0):
                labels[row, col] = votes.count(1) > votes.count(0)
    return labels


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.sampled_from(["unlabeled", "majority", "last"]))
def test_any_course_of_answers_undos_and_restarts(tmp_path_factory, actions, policy):
    folder = tmp_path_factory.mktemp("loop")
    # A batch may ask again what was said, and the same answer is saved again then:
    # only courses without such an answer are as simple as by_hand.
    if any(kind == "batch" for kind, *_ in actions):
        actions = [one for one in actions if one[0] != "undo"]
    loop = make(folder, on_disagreement=policy)
    for kind, *rest in actions:
        if kind == "answer":
            loop.answer(*rest[:3], annotator=rest[3])
        elif kind == "undo":
            loop.undo(annotator=rest[0])
        elif kind == "batch":
            loop.next_batch(2, annotator=rest[0])
        else:
            loop.close()
            loop = make(folder, on_disagreement=policy)
    with loop:
        np.testing.assert_array_equal(dense(loop), by_hand(actions, policy))


def test_threads_may_answer_at_once(tmp_path):
    texts = [f"text {i}" for i in range(40)]
    with LabelingLoop(None, texts, folder=tmp_path, label_names=NAMES) as loop:
        failed = []

        def work(who):
            order = list(range(40))
            random.Random(who).shuffle(order)
            try:
                for row in order:
                    loop.answer(row, "war", row % 2, annotator=who)
                    assert loop.labels.n_cells >= 1
                    loop.next_batch(3, annotator=who)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert loop.labels.n_labeled.tolist() == [40, 0]
        assert len(loop.answers()) == 160
    with LabelingLoop(None, texts, folder=tmp_path, label_names=NAMES) as loop:
        assert len(loop.answers()) == 160
