"""The texts of a pool as features: for the first cells, and for the default model."""

import re

import numpy as np

from ..._rows import count_rows
from ..._scripts import are_unspaced, words_and_characters

# In a pool that large, a word of one text alone helps no other.
_LARGE = 1000
_WORDS = re.compile(r"\w+")


def are_texts(X):
    """Tell whether the rows of X are strings."""
    if not count_rows(X) or getattr(X, "ndim", 1) != 1:
        return False
    return isinstance(X.iloc[0] if hasattr(X, "iloc") else X[0], str)


def equal_texts(X):
    """Return {row: all rows with the same text}, of rows that have such others.

    Texts are the same that differ in case, spaces and punctuation alone.
    """
    by_words = {}
    for row, text in enumerate(X):
        words = " ".join(_WORDS.findall(text.casefold())) or text
        by_words.setdefault(words, []).append(row)
    groups = (rows for rows in by_words.values() if len(rows) > 1)
    return {row: rows for rows in groups for row in rows}


class Texts:
    """TF-IDF of the texts of a pool, computed when it is first needed."""

    def __init__(self, X):
        self.X, self._read = X, None

    def read(self):
        """Return (vectorizer, matrix of the pool)."""
        if self._read is None:
            from sklearn.feature_extraction.text import TfidfVectorizer

            vectorizer = TfidfVectorizer(
                analyzer=words_and_characters if are_unspaced(self.X) else "word",
                sublinear_tf=True,
                min_df=2 if count_rows(self.X) >= _LARGE else 1,
                dtype=np.float32,
            )
            self._read = vectorizer, vectorizer.fit_transform(self.X)
        return self._read
