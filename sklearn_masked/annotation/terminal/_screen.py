"""What stands on the screen, as lines of styled text that fit any size."""

import unicodedata

from prompt_toolkit.utils import get_cwidth

from ..session import count, marked, pattern
from ._wrap import clean, fit, wrap_text

# On a very wide screen, the eye would lose the line.
_WIDEST = 100
# Lines for what came of a key, with what is heard from the background; and for the
# longest names of labels.
_SAID = 3
_COMMON = (
    ("s", "skip"),
    ("u", "undo"),
    ("space", "more"),
    ("r", "report"),
    ("?", "help"),
    ("q", "quit"),
)
_ASKED_MANY = (
    "Which apply? Mark with 1-9; Enter answers: marked yes, not marked NO",
    "Which apply? Enter: marked yes, not marked NO",
    "Enter: marked yes, others NO",
)
KEYS = (("y", "yes"), ("n", "no"), *_COMMON)
# That space shows more is said where there is more.
KEYS_MANY = (
    ("1-9", "mark"),
    ("Enter", "answer"),
    ("o", "other labels"),
    *(one for one in _COMMON if one[0] != "space"),
)
_HELP = """\
s  skip: I cannot tell. A skip is no answer; you are not asked again
u  undo: take back the last answer, then the one before it, and so on

space, arrow down, page down   see more of a long text
b, arrow up, page up           go back in it
w  why this is asked     r  report: answers and scores by label
?  this help
q  quit: train the model on all answers, and stop (also Ctrl-D)
Ctrl-C  stop at once: answers are saved, the model waits for next time

A model is trained in the background while you answer, and chooses what to
ask next. Words of the label file that stand in a text are underlined.
To go on another day, start the same command again."""
HELP = f"""\
Does the label apply to the text? One key says so, and it is saved at once.

y  yes, it applies (also 1)
n  no, it does not (also 0)
{_HELP}"""
HELP_MANY = f"""\
Which of these labels apply to the text?

1 to 9  mark a label, or mark it no more
Enter   answer ALL labels on the screen: the marked ones yes, the others no
o       ask next for other labels of this text, that are not on the screen
{_HELP}"""
INTRO = """\
Each text comes with the labels that may apply to it. Mark those that do with
the keys 1 to 9, and press Enter.

Enter answers ALL labels on the screen: the marked ones with yes, those not
marked with no. It is saved at once, and u takes it back. About labels that
are not on the screen nothing is said; o asks for them next.

s skips the text, if you cannot tell. ? shows all keys.

To be asked for one label at a time, start with --one-label."""


class Screen:
    """What is shown of a session, and how far it is scrolled.

    Parameters
    ----------
    session : Session
        What it shows.
    words : dict of str to str
        Of each label, words to underline in the texts.
    """

    def __init__(self, session, words):
        self.session = session
        self._words, self._hits = words, {}
        self._page = None  # (title, text) of what is shown instead of the question
        self._top, self._shown, self._n_rows, self._n_lines = 0, None, 1, 0
        self._n_drawn = 0
        self.unsure = set()  # rows on the screen whose width terminals disagree on

    def open_page(self, title, text):
        """Show a text until :meth:`close_page`."""
        self._page, self._top = (title, text), 0

    def close_page(self):
        """Go back to the question; tell whether there was a page."""
        was_open, self._page = self._page is not None, None
        return was_open

    def scroll(self, pages):
        """Go on, or back, by so many screens of text."""
        # A line is seen twice, so that the eye finds where it was.
        step = max(1, self._n_rows - 1)
        self._top += (
            round(pages * step) if abs(pages) >= 1 else (1 if pages > 0 else -1)
        )
        self._bound()

    def _bound(self):
        self._top = max(0, min(self._top, self._n_lines - self._n_rows))

    def draw(self, width, height):
        """Return height lines at most, each a list of (style, text) within width."""
        head, foot = self._head(width), self._foot(width)
        if height < len(head) + len(foot) + 3:  # the question before all else
            head, foot = self._title(width)[:-1], foot[-1:] if height > 2 else []
        self._follow()
        lines = self._body(min(width, _WIDEST))
        self._n_rows = max(1, height - len(head) - len(foot))
        self._n_lines = len(lines)
        self._bound()
        shown = lines[self._top : self._top + self._n_rows]
        shown += [[]] * (self._n_rows - len(shown))
        rule = self._rule(width)
        foot = [rule if line is None else line for line in foot]
        return self._rewrite((head + shown + foot)[:height], width)

    def _rewrite(self, lines, width):
        """Have rows of unsure width, now or before, written anew from end to end.

        The renderer writes only what differs from the row before, by column; where
        the terminal takes a character for wider, parts of the old row would remain.
        """
        unsure = {row for row, line in enumerate(lines) if _is_unsure(line)}
        self._n_drawn += 1
        mark = f" class:drawn-{self._n_drawn % 2}"  # another style differs always
        for row in (unsure | self.unsure) & set(range(len(lines))):
            line = lines[row]
            # The renderer writes a mark twice that is the last character of a row.
            if sum(get_cwidth(text) for _, text in line) < width:
                line = [*line, ("", " ")]
            lines[row] = [(style + mark, text) for style, text in line]
        self.unsure = unsure
        return lines

    def _follow(self):
        """Begin at the top of a text that was not shown before."""
        now = self._page, self.session.question
        if now != self._shown:
            self._shown, self._top = now, 0

    # The lines above the text

    def _head(self, width):
        if self._page is not None:
            return self._title(width)
        return [self._progress(width), [("", "-" * width)], *self._title(width)]

    def _title(self, width):
        """Return what says what the text is about, and a blank line."""
        if self._page is not None:
            return [[("class:label", fit(self._page[0], width))], []]
        if self.session.question is None:
            return [[("class:label", fit(self._waiting(), width))], []]
        return [*self._asked(width), []]

    def _progress(self, width):
        session = self.session
        pace = session.pace
        many = session.max_labels is not None
        left = f"{count(pace.n, 'text') if many else pace.n} this session"
        if pace.a_minute is not None:
            left += f", {pace.a_minute:.0f} a minute"
        left += f", {session.n_all} {'answers ' * many}in all"
        right = ""
        if session.question is not None:
            what = "text" if many else "question"
            right = what + " {} of {}".format(*session.place)
        gap = width - len(left) - len(right)
        if gap < 2:
            return [("", fit(left, width))]
        return [("", left + " " * gap + right)]

    def _asked(self, width):
        """Return the lines that ask: one, unless the name of the label is long."""
        if self.session.max_labels is not None:
            return [_first_that_fits(_ASKED_MANY, width), *self._boxes(width)]
        name = clean(self.session.loop.label_names[self.session.question.labels[0]])
        name = f"[{name}]".replace("\n", " ")
        # That it has changed is easily overlooked after ten alike.
        before = "New label: " if self.session.is_new_label else "Label: "
        for after in ("  - does it apply? y/n", " y/n?"):
            if len(before) + get_cwidth(name) + len(after) <= width:
                return [[("", before), ("class:label", name), ("", after)]]
        if get_cwidth(name) <= width < 20:
            return [[("class:label", name)]]
        lines = wrap_text(f"{before}{name} y/n?", width)
        return [[("class:label", line)] for line in lines[:_SAID]]

    def _boxes(self, width):
        """Return the labels to be marked, in as few rows as there is room for."""
        width, names, boxes = min(width, _WIDEST), self.session.loop.label_names, []
        for key, label in enumerate(self.session.question.labels, 1):
            is_marked = label in self.session.marked
            name = clean(names[label]).replace("\n", " ")
            box = fit(f"{key} [{'x' if is_marked else ' '}] {name}", width)
            boxes.append(("class:label" if is_marked else "", box))
        for n_rows in range(1, len(boxes) + 1):
            columns = [boxes[i : i + n_rows] for i in range(0, len(boxes), n_rows)]
            widths = [max(get_cwidth(box) for _, box in column) for column in columns]
            if sum(widths) + 2 * (len(widths) - 1) <= width:
                break
        lines = []
        for row in range(n_rows):
            parts = [
                (column[row], size)
                for column, size in zip(columns, widths, strict=True)
                if row < len(column)
            ]
            line = []
            for (style, box), size in parts:
                line += [(style, box), ("", " " * (size - get_cwidth(box) + 2))]
            lines.append(line[:-1])
        return lines

    def _waiting(self):
        if self.session.finished:
            return "No question is left: every cell is answered or skipped. q quits."
        if self.session.chooser.busy:
            return "Choosing the next questions..."
        return "No questions: see below. y tries again, q quits."

    # The text

    def _body(self, width):
        if self._page is not None:
            return [[("", line)] for line in wrap_text(self._page[1], width)]
        question = self.session.question
        if question is None:
            return []
        text = self.session.texts[question.sample]
        lines = wrap_text(text if text.strip() else "(an empty text)", width)
        hits = self._pattern(question.labels)
        return [_styled(line, hits) for line in lines]

    def _pattern(self, labels):
        """Return what finds the words of labels."""
        if labels not in self._hits:
            names = (self.session.loop.label_names[label] for label in labels)
            words = " ".join(self._words.get(name, "") for name in names)
            self._hits[labels] = pattern(words)
        return self._hits[labels]

    # The lines below it

    def _foot(self, width):
        if self._page is not None:
            return [None, [("", fit("Any other key: back to the question", width))]]
        room = _SAID - bool(self.session.notice)
        said = wrap_text(self.session.message, width)[:room] or [""]
        said += wrap_text(self.session.notice, width)
        said = [*said[:_SAID], *[""] * (_SAID - len(said))]
        keys = KEYS if self.session.max_labels is None else KEYS_MANY
        return [None, *([("", line)] for line in said), _keys(keys, width)]

    def _rule(self, width):
        """Return the line below the text: what is hidden of it, and what goes on."""
        said = []
        if self._n_lines > self._n_rows:
            last = min(self._top + self._n_rows, self._n_lines)
            said.append(f"lines {self._top + 1}-{last} of {self._n_lines}")
            if last < self._n_lines:
                said[-1] += ", space: more"
        if self._page is None:
            said.append(self.session.activity)
        said = " -- ".join(one for one in said if one)
        if not said:
            return [("", "-" * width)]
        said = fit(clean(f"-- {said} ").replace("\n", " "), width)
        return [("", said + "-" * max(0, width - len(said)))]


def _is_unsure(line):
    """Tell whether terminals may disagree on the width of a line: marks, joiners."""
    return any(
        unicodedata.category(character) in ("Mc", "Me", "Mn", "Cf")
        for _, text in line
        for character in text
    )


def _first_that_fits(lines, width):
    """Return the first line that is not too wide, or what fits of the last."""
    for line in lines:
        if len(line) <= width:
            return [("", line)]
    return [("", fit(lines[-1], width))]


def _keys(keys, width):
    """Return the line of keys, with as many words as there is room for."""
    line = [part for key, word in keys for part in (key, word)]
    if len(" ".join(line)) + len(keys) - 1 > width:
        return [("", fit(" ".join(key for key, _ in keys if key != "space"), width))]
    styled = []
    for key, word in keys:
        styled += [("class:key", key), ("", f" {word}   ")]
    styled[-1] = ("", f" {keys[-1][1]}")
    if sum(len(text) for _, text in styled) > width:
        styled = [(style, text.replace("   ", "  ")) for style, text in styled]
    return styled


def _styled(line, hits):
    """Return a line as styled parts, those that match underlined."""
    return [("class:hit" * is_hit, part) for part, is_hit in marked(line, hits)]
