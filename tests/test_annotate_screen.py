"""What is drawn: within any size, whatever the texts hold."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("prompt_toolkit", reason="the extra `annotate` is not installed")

from prompt_toolkit.utils import get_cwidth  # noqa: E402

from sklearn_masked.annotation.session import Question  # noqa: E402
from sklearn_masked.annotation.terminal._screen import HELP, Screen  # noqa: E402
from sklearn_masked.annotation.terminal._wrap import clean, fit, wrap_text  # noqa: E402

TEXTS = st.text(st.characters(codec="utf-8"), max_size=200) | st.text(
    "ab 日本語\n\té👍🏽\u200b", max_size=200
)


def session(text="A war, and a warning.", label="war", **others):
    """Return what a screen looks at."""
    given = {
        "loop": SimpleNamespace(label_names=[label]),
        "texts": [text],
        "question": Question(0, (0,)),
        "max_labels": None,
        "marked": set(),
        "is_new_label": False,
        "place": (3, 24),
        "n_all": 212,
        "pace": SimpleNamespace(n=12, a_minute=18.4),
        "message": "war: yes.  (u takes it back)",
        "notice": "",
        "activity": "",
        "finished": False,
        "chooser": SimpleNamespace(busy=True),
    }
    return SimpleNamespace(**{**given, **others})


def drawn(screen, width=80, height=24):
    return [
        "".join(text for _, text in line).rstrip()
        for line in screen.draw(width, height)
    ]


def test_a_question_at_80_columns():
    screen = Screen(session(), {})
    lines = drawn(screen)
    assert len(lines) == 24
    assert lines[0] == (
        "12 this session, 18 a minute, 212 in all                        "
        "question 3 of 24"
    )
    assert lines[2] == "Label: [war]  - does it apply? y/n"
    assert lines[4] == "A war, and a warning."
    assert lines[20] == "war: yes.  (u takes it back)"
    assert lines[23] == (
        "y yes   n no   s skip   u undo   space more   r report   ? help   q quit"
    )
    screen.session.is_new_label = True
    assert drawn(screen)[2].startswith("New label: [war]")


def many(names, marked=(), **others):
    loop = SimpleNamespace(label_names=names)
    question = Question(0, tuple(range(len(names))))
    return session(
        loop=loop,
        question=question,
        max_labels=9,
        marked=set(marked),
        pace=SimpleNamespace(n=1, a_minute=None),
        **others,
    )


def test_labels_to_be_marked_at_80_columns():
    names = ["war", "crime", "rain and sun", "sport", "x" * 20, "a", "b", "c", "d"]
    lines = drawn(Screen(many(names, {1, 8}), {"war": "battle", "a": "warning"}))
    assert lines[0].startswith("1 text this session, 212 answers in all   ")
    assert lines[0].endswith("text 3 of 24")
    assert lines[2] == (
        "Which apply? Mark with 1-9; Enter answers: marked yes, not marked NO"
    )
    assert lines[3:6] == [
        "1 [ ] war    3 [ ] rain and sun  5 [ ] xxxxxxxxxxxxxxxxxxxx  7 [ ] b  9 [x] d",
        "2 [x] crime  4 [ ] sport         6 [ ] a                     8 [ ] c",
        "",
    ]
    assert lines[6] == "A war, and a warning."
    assert lines[23] == (
        "1-9 mark  Enter answer  o other labels  s skip  u undo  r report  ? help  "
        "q quit"
    )


@given(
    names=st.lists(TEXTS.filter(bool), min_size=1, max_size=9),
    width=st.integers(2, 130),
    height=st.integers(1, 40),
)
def test_no_label_leaves_the_screen(names, width, height):
    lines = Screen(many(names, {0}), {}).draw(width, height)
    assert len(lines) <= height
    for line in lines:
        assert get_cwidth("".join(text for _, text in line)) <= width


def test_words_of_all_labels_on_the_screen_are_underlined():
    screen = Screen(many(["war", "crime"]), {"war": "war", "crime": "warning"})
    marked = [
        text
        for line in screen.draw(80, 24)
        for style, text in line
        if style == "class:hit"
    ]
    assert marked == ["war", "warning"]


def test_words_of_the_label_are_marked_as_whole_words():
    screen = Screen(session("War, warning, 賭 and (war)!"), {"war": "war peace"})
    marked = [
        text
        for line in screen.draw(80, 24)
        for style, text in line
        if style == "class:hit"
    ]
    assert marked == ["War", "war"]


def test_words_without_spaces_are_marked_where_they_stand():
    screen = Screen(session("今天战争爆发 wars", "war"), {"war": "战争 war"})
    marked = [
        text
        for line in screen.draw(80, 24)
        for style, text in line
        if style == "class:hit"
    ]
    assert marked == ["战争"]


def test_a_long_text_is_scrolled_to_its_end_and_back():
    text = "\n".join(f"line {i}" for i in range(1, 61))
    screen = Screen(session(text, activity="training on 9 answers"), {})
    seen = set()
    for _ in range(8):
        lines = drawn(screen)
        seen |= {line for line in lines if line.startswith("line ")}
        screen.scroll(1)
    assert seen == {f"line {i}" for i in range(1, 61)}
    assert "line 60" in lines and "space: more" not in lines[19]
    assert lines[19].startswith("-- lines 46-60 of 60 -- training on 9 answers --")
    screen.scroll(-0.5)
    assert drawn(screen)[4] == "line 45"
    for _ in range(8):
        screen.scroll(-1)
    assert drawn(screen)[4] == "line 1"
    assert drawn(screen)[19].startswith("-- lines 1-15 of 60, space: more -- training")
    screen.scroll(1)
    screen.session.question = Question(0, (0,))._replace(sample=0)
    assert drawn(screen)[4] == "line 15"  # the same question stays where it is
    screen.session.texts.append("another")
    screen.session.question = Question(1, (0,))
    assert drawn(screen)[4] == "another"


def test_pages_stand_in_for_the_question_until_they_are_closed():
    screen = Screen(session(), {})
    screen.open_page("Help", HELP)
    lines = drawn(screen)
    assert lines[0] == "Help" and lines[-1] == "Any other key: back to the question"
    assert "space: more" not in lines[-2]  # fits on a small terminal
    assert screen.close_page() and not screen.close_page()
    assert "A war, and a warning." in drawn(screen)


def test_what_is_said_without_a_question():
    screen = Screen(session(question=None), {})
    assert "Choosing the next questions..." in drawn(screen)
    screen.session.chooser.busy = False
    assert "No questions: see below. y tries again, q quits." in drawn(screen)
    screen.session.finished = True
    assert any(line.startswith("No question is left:") for line in drawn(screen))


def test_a_long_name_of_a_label_is_shown_in_full():
    name = "a label that says a lot, and then " * 4 + "ends"
    lines = drawn(Screen(session(label=name), {}))
    assert " ".join(lines[2:4]) == f"Label: [{name}] y/n?"
    assert lines[5] == "A war, and a warning." and len(lines) == 24


@given(text=TEXTS, label=TEXTS, width=st.integers(2, 130), height=st.integers(1, 40))
def test_nothing_leaves_the_screen(text, label, width, height):
    screen = Screen(session(text, label or "x", message=text, notice=label), {})
    lines = screen.draw(width, height)
    assert len(lines) <= height
    for line in lines:
        said = "".join(text for _, text in line)
        assert get_cwidth(said) <= width
        assert "\n" not in said


@pytest.mark.parametrize("size", [(20, 6), (12, 4), (30, 8)])
def test_on_a_tiny_screen_label_and_text_are_left(size):
    lines = drawn(Screen(session(), {}), *size)
    assert any("[war]" in line for line in lines)
    assert any("A war" in line for line in lines)


@given(text=TEXTS, width=st.integers(2, 90))
def test_wrapping_loses_nothing_and_fits(text, width):
    lines = wrap_text(text, width)
    assert all(get_cwidth(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("one two three", 7, ["one two", "three"]),
        ("one two", 100, ["one two"]),
        ("a verylongword b", 5, ["a ver", "ylong", "word", "b"]),
        ("日本語のテキスト", 7, ["日本語", "のテキ", "スト"]),
        ("see 日本語のテキスト", 9, ["see 日本", "語のテキ", "スト"]),
        ("a\n\n\n\n\nb\n\n", 9, ["a", "", "b"]),
        ("  def f():\n\treturn", 20, ["  def f():", "    return"]),
        ("", 9, []),
    ],
)
def test_wrapping(text, width, lines):
    assert wrap_text(text, width) == lines


def test_what_a_terminal_would_obey_is_replaced():
    assert clean("a\x1b[2Jb\x07\x9bc\r\nd\re\u202ef\u2028g") == (
        "a\ufffd[2Jb\ufffd\ufffdc\nd\nef\ng"
    )


def test_emoji_are_shown_one_by_one_and_scripts_keep_their_joiners():
    assert clean("👍🏽 👨\u200d👩\u200d👧 ❤\ufe0f क्\u200dष") == "👍 👨👩👧 ❤ क्\u200dष"


@given(text=st.text("ab日👍", max_size=30), width=st.integers(0, 40))
def test_cut_texts_fit_and_say_so(text, width):
    cut = fit(text, width)
    assert get_cwidth(cut) <= width
    if cut != text and width > 6:
        assert cut.endswith("...") and text.startswith(cut[:-3])
