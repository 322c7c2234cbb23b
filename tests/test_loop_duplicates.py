"""Equal texts are asked about once, and answered for all."""

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from sklearn_masked import MaskedMultiOutputClassifier
from sklearn_masked.annotation import LabelingLoop

NAMES = ["sport", "football", "rain"]
TEXTS = ["A war!", "rain", "a  WAR", "sun", "a war.", "...", "!!", "..."]


def make(folder, texts=TEXTS, **options):
    estimator = MaskedMultiOutputClassifier(DummyClassifier())
    given = {"label_names": NAMES, "random_state": 0, "share_duplicates": True}
    return LabelingLoop(estimator, texts, folder=folder, **{**given, **options})


def said(loop):
    return {(one.sample, one.label): (one.value, one.reason) for one in loop.answers()}


def test_texts_are_equal_but_for_case_spaces_and_punctuation(tmp_path):
    with make(tmp_path) as loop:
        assert loop.duplicates == {
            **dict.fromkeys((0, 2, 4), [0, 2, 4]),
            **dict.fromkeys((5, 7), [5, 7]),  # without a word, to the letter
        }
    with LabelingLoop.open(tmp_path, None, TEXTS) as loop:
        assert loop.share_duplicates and len(loop.duplicates) == 5


def test_an_answer_holds_for_all_equal_texts_and_is_taken_back_for_all(tmp_path):
    with make(tmp_path, label_parents={"football": "sport"}) as loop:
        loop.answer(2, "rain", 0, annotator="bob")
        loop.answer(4, "rain", 1)  # nothing against an answer
        assert [one.value for one in loop.answers() if one.label == "rain"] == [
            0
        ] * 3 + [1]
        assert loop.undo()[0].sample == 4
        saved = loop.answer([0, 0], ["football", "rain"], [1, None], together=True)
        assert said(loop) == {
            (2, "rain"): (0, None),
            (0, "rain"): (None, None),
            (4, "rain"): (0, "duplicate"),
            (0, "football"): (1, None),
            (0, "sport"): (1, "implied"),
            **dict.fromkeys(
                [(row, name) for row in (2, 4) for name in ("football", "sport")],
                (1, "duplicate"),
            ),
        }
        assert len({one.screen for one in saved}) == 1
        assert len(loop.undo()) == len(saved)
        assert loop.labels.n_cells == 3


@pytest.mark.filterwarnings("ignore::sklearn_masked.exceptions.FewerCellsWarning")
@pytest.mark.parametrize("screens", [True, False])
def test_no_two_equal_texts_are_asked_about(tmp_path, screens):
    with make(tmp_path, TEXTS * 3) as loop:
        asked = set()
        while True:
            batch = loop.next_screens(9) if screens else loop.next_batch(9)
            if not len(batch):
                break
            for row, col in zip(batch["sample"], batch["label"], strict=True):
                asked.add((int(row), int(col)))
                loop.answer(row, col, 0)
        assert loop.labels.n_cells == 24 * 3
        groups = {loop.duplicates[row][0] for row, _ in asked}
        assert len(asked) == len(groups) * 3 == 5 * 3


def test_scores_see_no_equal_text_in_another_fold(tmp_path):
    rng = np.random.default_rng(0)
    texts = [f"text {i}" for i in range(40)] * 2
    with make(tmp_path, texts) as loop:
        loop.answer(range(40), [0] * 40, rng.integers(2, size=40))
        assert loop.labels.n_cells == 80
        assert loop.report(cv=2).scored_at == 40


def test_rows_of_features_have_no_duplicates(tmp_path):
    with pytest.raises(ValueError, match="`share_duplicates` accepts True where X are"):
        make(tmp_path / "f", np.ones((3, 2)))
    with pytest.raises(TypeError, match="`share_duplicates` accepts True or False"):
        make(tmp_path / "f", share_duplicates="yes")
    assert not (tmp_path / "f").exists()


def test_the_program_says_how_many_texts_are_equal(tmp_path):
    from sklearn_masked.annotation.terminal._folder import about_duplicates

    with make(tmp_path / "a") as loop:
        assert about_duplicates(loop) == (
            "5 texts equal others but for case, spaces, punctuation: 2 asked about, "
            "answered for all."
        )
    with make(tmp_path / "b", ["one", "two"]) as loop:
        assert about_duplicates(loop) == ""
