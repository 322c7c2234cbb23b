"""Break texts into lines of a width, as a terminal counts it."""

import re

from prompt_toolkit.utils import get_cwidth

_TAB = "    "


def wrap_text(text, width):
    r"""Return the lines of a text, none wider than the terminal.

    Wide characters, as of Chinese, Japanese and Korean, take two columns and may be
    parted anywhere; words only where they do not fit on a line.

    Parameters
    ----------
    text : str
        May hold anything: what a terminal would obey is replaced.
    width : int
        Columns, 2 or more.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sklearn_masked.annotation.terminal._wrap import wrap_text
    >>> wrap_text("a label says yes,\nno, or nothing at all", 10)
    ['a label', 'says yes,', 'no, or', 'nothing at', 'all']
    """
    lines = []
    for paragraph in clean(text).split("\n"):
        lines += _wrap_paragraph(paragraph, max(2, width))
    while lines and not lines[-1]:
        lines.pop()
    return lines


def clean(text):
    """Return a text without what a terminal would obey, or show where it likes."""
    text = re.sub(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = text.replace("\t", _TAB)
    # Control characters, and those that turn the direction of what follows.
    text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "\ufffd", text)
    text = re.sub(r"[\u202a-\u202e\u2066-\u2069]", "", text)
    # Terminals do not agree how wide emoji are that are joined or tinted to be one.
    text = re.sub(r"\ufe0f|[\U0001f3fb-\U0001f3ff]", "", text)
    text = re.sub(r"\u200d(?=[\u2600-\u27bf\U0001f000-\U0001faff])", "", text)
    return re.sub(r"\n{3,}", "\n\n", text.strip("\n"))


def fit(text, width):
    """Return a text of one line cut to a width, with dots where something is cut."""
    if get_cwidth(text) <= width:
        return text
    dots = "..." if width > 6 else ""
    return _head(text, width - len(dots)) + dots


def _head(text, width):
    """Return as many first characters as fit."""
    used = 0
    for at, character in enumerate(text):
        used += get_cwidth(character)
        if used > width:
            return text[:at]
    return text


def _wrap_paragraph(paragraph, width):
    lines, line, used = [], "", 0
    for word in re.findall(r"\s+|[^\s]+", paragraph):
        size = get_cwidth(word)
        if used + size <= width:
            line, used = line + word, used + size
        elif word.isspace():
            lines, line, used = [*lines, line], "", 0
        elif size > width or _is_wide(word):
            *full, line = _fill(line, word, width)
            lines, used = lines + full, get_cwidth(line)
        else:
            lines, line, used = [*lines, line], word, size
    return [one.rstrip() for one in [*lines, line] if one or not paragraph.strip()]


def _is_wide(word):
    """Tell whether a word is of a script that has no spaces between words."""
    return get_cwidth(word) > 1.5 * len(word)


def _fill(line, word, width):
    """Return lines of what is there and a word, parted where a line is full."""
    lines = []
    used = get_cwidth(line)
    for character in word:
        size = get_cwidth(character)
        if used + size > width:
            lines, line, used = [*lines, line], "", 0
        line, used = line + character, used + size
    return [*lines, line]
