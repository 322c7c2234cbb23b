"""The texts of a pool as features: for the first cells, and for the default model."""

import numpy as np

from ..._rows import count_rows
from ..scripts import are_unspaced, words_and_characters

# In a pool that large, a word of one text alone helps no other.
_LARGE = 1000


def are_texts(X):
    """Tell whether the rows of X are strings."""
    if not count_rows(X) or getattr(X, "ndim", 1) != 1:
        return False
    return isinstance(X.iloc[0] if hasattr(X, "iloc") else X[0], str)


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
