"""A session without a screen: its questions, answers, rounds and training."""

import threading
import time
import warnings

import pytest

from sklearn_masked.annotation import LabelingLoop
from sklearn_masked.annotation.session import MIN_SECONDS, Background, Pace, Session
from sklearn_masked.exceptions import (
    AnswerNotSavedError,
)
from sklearn_masked.labels import MaskedLabels

NAMES = ["war", "crime", "rain"]
TEXTS = [f"text {i} about {NAMES[i % 3]}" for i in range(12)]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Model:
    """Predicts the same for all, and takes as long as it is told to."""

    gate = threading.Event()
    broken = None

    def get_params(self, deep=True):
        return {}

    def fit(self, X, y):
        assert isinstance(y, MaskedLabels)
        assert self.gate.wait(60)
        if Model.broken:
            raise Model.broken
        return self

    def predict_proba(self, X):
        return [[0.5] * 3 for _ in X]


@pytest.fixture
def make(tmp_path):
    Model.gate.set()
    Model.broken = None
    loops = []

    def make(**options):
        for loop in loops:
            loop.close()
        loop = LabelingLoop(
            Model(), TEXTS, folder=tmp_path / "f", label_names=NAMES, random_state=0
        )
        loops.append(loop)
        session = Session(loop, TEXTS, clock=Clock(), **options)
        settle(session)
        return session

    yield make
    for loop in loops:
        loop.close()


def settle(session, training=False):
    """Wait for what runs in the background."""
    end = time.monotonic() + 60
    while session.chooser.busy or (training and session.trainer.busy):
        assert time.monotonic() < end
        session.poll()
        time.sleep(0.002)


def give(session, value, seconds=2.0):
    session._clock.now += seconds
    return session.answer(value)


def test_answers_are_in_the_loop_at_once(make):
    session = make(annotator="ann")
    asked = []
    for value in (1, 0, None):
        asked.append(session.question)
        assert give(session, value)
    said = session.loop.answers()
    assert [(one.sample, (NAMES.index(one.label),)) for one in said] == asked
    assert [one.value for one in said] == [1, 0, None]
    assert {one.annotator for one in said} == {"ann"}
    assert session.n_all == session.pace.n == 3
    assert (
        session.message == f"{NAMES[asked[2].labels[0]]}: skipped.  (u takes it back)"
    )


def test_a_round_goes_label_by_label(make):
    session = make(n_round=24)
    cols = [one.labels for one in session._questions]
    assert cols == sorted(cols)
    assert len(set(session._questions)) == 24
    ranked = make(n_round=24, order="loop")._questions
    assert sorted(ranked) == sorted(session._questions)
    assert [one.labels for one in ranked] != cols


def test_the_next_round_begins_with_the_label_at_hand(make):
    session = make(n_round=6)
    new = []
    while session.place[0] < 6:
        new.append(session.is_new_label)
        give(session, 0)
    last = session.question.labels[0]
    give(session, 0)
    settle(session)
    assert not new[0] and any(new)
    labels = [one.labels[0] for one in session._questions]
    assert last not in labels or labels[0] == last


def test_keys_that_come_too_quickly_are_not_taken(make):
    session = make()
    assert give(session, 1)
    assert not give(session, 1, seconds=MIN_SECONDS / 2)
    assert session.message.startswith("Not taken: the key came before")
    assert session.loop.labels.n_cells == 1
    assert give(session, 1, seconds=MIN_SECONDS)


def test_undo_asks_again_and_goes_back_past_the_session(make):
    session = make(n_round=4)
    first = session.question
    give(session, 1)
    second = session.question
    give(session, None)
    session.undo()
    assert session.message == f"Taken back: {NAMES[second.labels[0]]}: skipped."
    assert session.question == second and session.place == (2, 4)
    give(session, 0)
    session = make(n_round=4)  # another day
    assert session.n_all == 2 and session.place == (1, 2)
    session.undo()
    session.undo()
    assert session.question == first
    assert session._questions.count(first) == 1
    assert (session.n_all, session.pace.n) == (0, 0)
    session.undo()
    assert session.message == "There is nothing to take back."
    assert session.loop.labels.n_cells == 0


def test_undo_while_the_next_round_is_chosen(make):
    session = make(n_round=1)
    asked = session.question
    give(session, 1)
    session.undo()
    assert session.question == asked
    settle(session)
    assert session._questions.count(asked) == 1
    give(session, 0)
    assert session.loop.labels.to_dense()[asked.cells()[0]] == 0


def test_training_runs_in_the_background(make):
    session = make(n_round=8)
    Model.gate.clear()
    for _ in range(6):
        assert session.activity == ""
        give(session, 1)
    assert session.activity == "training on 6 answers"
    for _ in range(2):
        assert give(session, 0)  # no key waits
    settle(session)
    assert session.question is not None  # nor does the next round
    give(session, 0)
    Model.gate.set()
    settle(session, training=True)
    assert session.notice == "The model has learned from 6 answers."
    assert session.activity == "" and session.needs_training
    assert session.loop.report().n_since_fit == 3


def test_training_that_fails_is_said_and_labeling_goes_on(make):
    session = make(n_round=4)
    Model.broken = ValueError("no luck")
    for _ in range(3):
        give(session, 1)
    settle(session, training=True)
    assert session.notice == "Training failed, the answers are safe: no luck"
    assert give(session, 0)
    settle(session, training=True)
    said = []
    assert not session.finish(said.append)
    assert said[-1] == "Training failed, the answers are safe: no luck"
    assert session.loop.labels.n_cells == 4
    Model.broken = None
    assert session.finish(said.append)
    assert session.loop.report().n_since_fit == 0


def test_finish_trains_on_what_no_model_has_seen(make):
    said = []
    session = make(n_round=4)
    assert session.finish(said.append) and said == []  # nothing to learn from
    give(session, None)
    assert session.finish(said.append) and said == []  # a skip is no answer
    give(session, 1)
    session = make()  # after a kill, say
    assert session.needs_training
    assert session.finish(said.append)
    assert said == ["Training on 1 answer... (Ctrl-C leaves it; the answers are safe)"]
    assert not make().needs_training


def test_an_answer_that_was_not_saved_is_asked_again(make, monkeypatch):
    session = make()
    asked = session.question
    error = AnswerNotSavedError("the disk is full")

    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(session.loop, "answer", fail)
        assert not give(session, 1)
    assert session.message == "NOT SAVED, please answer again: the disk is full"
    assert session.question == asked and session.pace.n == 0
    assert give(session, 1)
    with monkeypatch.context() as patch:
        patch.setattr(session.loop, "undo", fail)
        session.undo()
    assert session.message == "NOT TAKEN BACK, please press u again: the disk is full"
    assert session.n_all == 1


def test_questions_that_could_not_be_chosen_may_be_had_later(make, monkeypatch):
    session = make(n_round=1)

    def fail(*_, **__):
        raise AnswerNotSavedError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(session.loop, "next_batch", fail)
        give(session, 1)
        settle(session)
    assert session.question is None and not session.finished
    assert session.notice == "No questions could be chosen: the disk is full"
    assert not give(session, 1)
    settle(session)
    assert session.question is not None


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.FewerCellsWarning")
def test_when_every_cell_is_answered_there_is_an_end(make):
    session = make(n_round=20)
    seen = set()
    while not session.finished:
        seen.add(session.question)
        assert give(session, 0)
        settle(session, training=True)
    assert len(seen) == session.loop.labels.n_cells == 36
    assert not give(session, 1)
    assert session.message == "There is no question: nothing was answered."
    session.undo()
    assert not session.finished and give(session, 1)


def test_warnings_are_shown_where_they_can_be_seen(make):
    session = make()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = session.note_warning
        warnings.warn("a word on `X`", UserWarning, stacklevel=1)
    assert session.notice == "a word on the texts"
    for _ in range(6):  # it has been read by then
        assert session.notice
        give(session, 0)
    assert not session.notice


# Several labels at once


def press(session, *labels, seconds=2.0):
    session._clock.now += seconds
    for label in labels:
        session.toggle(label)


def test_enter_answers_every_label_on_the_screen(make):
    session = make(max_labels=2, n_round=4, annotator="ann")
    first = session.question
    assert len(first.labels) == 2 and session.place == (1, 4)
    press(session, 0, 1, 1)
    assert session.marked == {first.labels[0]}
    assert session.submit()
    yes = NAMES[first.labels[0]]
    assert session.message == f"Yes: {yes}. No to the other 1.  (u takes it back)"
    said = {(one.sample, one.label): one.value for one in session.loop.answers()}
    assert said == {
        (first.sample, NAMES[one]): int(one in first.labels[:1]) for one in first.labels
    }
    assert len({one.screen for one in session.loop.answers()}) == 1
    assert session.marked == set()
    assert (session.pace.n, session.n_given, session.n_all) == (1, 2, 2)
    session._clock.now += 2
    assert session.submit()
    assert session.message.startswith("No to all 2.")
    press(session, 0, 1)
    assert session.submit() and session.message.startswith("Yes to all 2.")
    assert give(session, None) and session.message.startswith("Skipped: all 2.")


def test_undo_brings_a_screen_back_with_its_marks(make):
    session = make(max_labels=3, n_round=3)
    first = session.question
    press(session, 1)
    assert session.submit()
    press(session, seconds=2)
    assert session.submit()
    session.undo()
    assert session.marked == set() and session.place == (2, 3)
    session.undo()
    assert session.question == first and session.marked == {first.labels[1]}
    assert session.message == f"Taken back: Yes: {NAMES[first.labels[1]]}. " + (
        "No to the other 2."
    )
    assert session.n_given == session.n_all == session.loop.labels.n_cells == 0
    # Another day, one label at a time: each of them is asked again.
    press(session, 1)
    assert session.submit()
    session = make(n_round=3)
    session.undo()
    asked = [one.cells()[0] for one in session._questions[:3]]
    assert asked == first.cells()
    session = make(max_labels=3, n_round=3)
    assert session.question == first


def test_other_labels_of_a_text_are_asked_for_next(make):
    session = make(max_labels=2, n_round=3)
    first = session.question
    press(session, 0)
    session.ask_others()
    assert session.message == "Other labels of this text come next: 1."
    session.ask_others()
    assert session.message.startswith("All labels of this text are on the screen")
    assert session.marked == {first.labels[0]}
    assert session.submit()
    [other] = {0, 1, 2} - set(first.labels)
    assert session.question == (first.sample, (other,))
    assert give(session, 0)
    said = {one.label: one.reason for one in session.loop.answers()}
    assert said[NAMES[other]] is None  # nobody had asked for it
    assert session.question.sample != first.sample


def test_why_a_text_is_asked_is_said(make):
    session = make(max_labels=2, n_round=2, notice="said first")
    assert session.notice == "said first"
    session.why()
    assert all(NAMES[label] in session.message for label in session.question.labels)
    assert "its words: " in session.message  # the names stand in the texts
    session._why[session.question.cells()[0]] = "uncertain", 0.5
    session.why()
    first = NAMES[session.question.labels[0]]
    assert session.message.startswith(f"Why? unsure: {first} 0.50; ")


def test_marks_that_come_too_quickly_are_not_taken(make):
    session = make(max_labels=3, n_round=3)
    press(session, 0)
    assert session.submit()
    press(session, 0, seconds=MIN_SECONDS / 2)
    assert session.marked == set() and session.message.startswith("Not taken:")
    assert not session.submit()


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.FewerCellsWarning")
def test_screens_end_when_every_cell_is_answered(make):
    session = make(max_labels=2, n_round=9)
    while not session.finished:
        press(session, 0)
        assert session.submit()
        settle(session, training=True)
    assert session.loop.labels.n_cells == 36


def test_what_is_implied_is_said_and_asked_no_more(tmp_path):
    names = ["sport", "football", "rain"]
    with LabelingLoop(
        Model(),
        TEXTS,
        folder=tmp_path / "f",
        label_names=names,
        label_parents={"football": "sport"},
        exclusive_labels=[["sport", "rain"]],
        random_state=0,
    ) as loop:
        loop.next_batch(36)
        session = Session(loop, TEXTS, clock=Clock(), n_round=36)
        settle(session)
        while session.question.labels != (0,):
            give(session, None)
        sample = session.question.sample
        left = [one for one in session._questions if one.sample == sample]
        assert give(session, 0)
        assert session.message.startswith("sport: no. So also no: football.")
        after = [one for one in session._questions if one.sample == sample]
        assert after == [one for one in left if one.labels == (2,)]
        session.undo()
        assert session.question == (sample, (0,))


def test_pace_leaves_breaks_out():
    clock = Clock()
    pace = Pace(clock)
    assert pace.a_minute is None
    for seconds in (4, 4, 4):
        clock.now += seconds
        pace.note(1)
    assert pace.a_minute == 15
    clock.now += 3600  # lunch counts a minute
    pace.note(1)
    assert pace.a_minute == 60 * 4 / 72
    pace.note(-1)
    assert pace.n == 3


def test_background_runs_one_job_and_gives_its_result_once():
    woken = threading.Event()
    background = Background(woken.set)
    assert background.take() is None and not background.busy
    gate = threading.Event()
    background.start(lambda: gate.wait(60) and "done")
    assert background.busy and background.take() is None
    with pytest.raises(RuntimeError, match="A job is running already"):
        background.start(print)
    gate.set()
    assert woken.wait(60)
    assert background.take(timeout=60) == ("done", None)
    assert background.take() is None and not background.busy
    background.start(lambda: 1 / 0)
    assert isinstance(background.take(timeout=60).error, ZeroDivisionError)


def test_what_went_wrong_is_not_hidden_by_a_model_that_came_later(make, monkeypatch):
    session = make(n_round=1)

    def fail(*_, **__):
        raise AnswerNotSavedError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(session.loop, "next_batch", fail)
        give(session, 1)
        settle(session, training=True)
    assert session.notice == "No questions could be chosen: the disk is full"
