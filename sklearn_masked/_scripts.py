"""Texts in scripts that put no spaces between words."""

import re
from itertools import islice

import numpy as np

#: Thai, Lao, Burmese, Khmer, kana and Han, as ranges for a regular expression.
UNSPACED = (
    "\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN, _WORD = re.compile(f"[{UNSPACED}]+"), re.compile(r"\b\w\w+\b")
_LONGEST_GRAM = 3
# How many texts are looked at, and the share of them that must have such a script.
_LOOKED_AT, _SHARE = 1000, 0.05


def has_unspaced(text):
    """Tell whether a text has a character of such a script."""
    return _RUN.search(text) is not None


def are_unspaced(texts):
    """Tell whether enough of these texts are in such a script to cut them up."""
    some = [has_unspaced(text) for text in islice(texts, _LOOKED_AT)]
    return np.mean(some) >= _SHARE


def words_and_characters(text):
    """Return the words of a text, and n-grams of what has no spaces between words."""
    text = text.lower()
    pieces = _WORD.findall(_RUN.sub(" ", text))
    for run in _RUN.findall(text):
        for size in range(1, _LONGEST_GRAM + 1):
            pieces += (run[at : at + size] for at in range(len(run) - size + 1))
    return pieces
