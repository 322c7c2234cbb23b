"""From texts to counts of words: what scikit-learn's vectorizers compute."""

import re
import unicodedata
from array import array
from itertools import repeat

import numpy as np
import scipy.sparse as sp

from .._scripts import words_and_characters
from ._hashing import hashed_columns
from ._weighting import Weighting

_WHITE_SPACES = re.compile(r"\s\s+")
# Finds the same words as scikit-learn's default, whose ends need no look, and faster.
_FASTER = {r"(?u)\b\w\w+\b": r"(?u)\w\w+"}
_FLOATS = "float64", "float32"
# A hashing vectorizer keeps the columns of so many words.
_MOST_KEPT = 1 << 16


class Analyzer:
    """Cuts a text into words or n-grams, as the analyzer of a vectorizer does."""

    def __init__(self, part):
        self.encoding = part.setting("encoding", str)
        self.decode_error = part.setting("decode_error", str)
        self.lowercase = part.setting("lowercase", bool)
        accents = part.setting(
            "strip_accents", str, type(None), among=(None, "ascii", "unicode")
        )
        self.strip_accents = {"ascii": _to_ascii, "unicode": _without_accents}.get(
            accents
        )
        self.first, self.last = (part.setting(name, int) for name in ("min_n", "max_n"))
        if not 1 <= self.first <= self.last:
            part.refuse(f"its n-grams are of {self.first} to {self.last}")
        kinds = "word", "char", "char_wb", words_and_characters.__name__
        kind = part.setting("analyzer", str, among=kinds)
        self.cut = getattr(self, f"_{kind}_ngrams", words_and_characters)
        if kind == "word":
            pattern = part.setting("token_pattern", str)
            pattern = re.compile(_FASTER.get(pattern, pattern))
            if pattern.groups > 1:
                part.refuse("its token pattern has more than one group")
            self.tokens = pattern.findall
            stopped = "stop_words" in part.lists
            self.stop_words = frozenset(part.strings("stop_words") if stopped else ())

    def __call__(self, text):
        """Return the words or n-grams of a text, in its order."""
        if isinstance(text, bytes):
            text = text.decode(self.encoding, self.decode_error)
        if not isinstance(text, str):
            raise ValueError(
                f"`X` accepts texts, str or bytes; got {text!r} of type "
                f"{type(text).__name__}."
            )
        if self.lowercase:
            text = text.lower()
        if self.strip_accents is not None:
            text = self.strip_accents(text)
        return self.cut(text)

    def _word_ngrams(self, text):
        tokens = self.tokens(text)
        if self.stop_words:
            stop_words = self.stop_words
            tokens = [token for token in tokens if token not in stop_words]
        if self.last == 1:
            return tokens
        ngrams = list(tokens) if self.first == 1 else []
        for n in range(max(self.first, 2), min(self.last, len(tokens)) + 1):
            runs = zip(*(tokens[start:] for start in range(n)), strict=False)
            ngrams.extend(map(" ".join, runs))
        return ngrams

    def _char_ngrams(self, text):
        text, ngrams = _WHITE_SPACES.sub(" ", text), []
        for n in range(self.first, min(self.last, len(text)) + 1):
            ngrams.extend([text[i : i + n] for i in range(len(text) - n + 1)])
        return ngrams

    def _char_wb_ngrams(self, text):
        ngrams = []
        for word in _WHITE_SPACES.sub(" ", text).split():
            word = f" {word} "
            for n in range(self.first, self.last + 1):
                if len(word) <= n:  # a short word counts once
                    ngrams.append(word)
                    break
                ngrams.extend([word[i : i + n] for i in range(len(word) - n + 1)])
        return ngrams


class CountVectorizer:
    """Counts of the words of a vocabulary, and their TF-IDF where it is asked for."""

    takes = "texts"

    def __init__(self, part):
        self.analyze = Analyzer(part)
        words = part.strings("vocabulary")
        self.vocabulary = dict(zip(words, range(len(words)), strict=True))
        self.n_in, self.n_out = None, len(words)
        self.binary = part.setting("binary", bool)
        self.dtype = np.dtype(part.setting("dtype", str, among=(*_FLOATS, "int64")))
        self.weighting = None
        if part.kind == "TfidfVectorizer":
            self.weighting = Weighting(part, self.n_out)

    def transform(self, texts):
        """Return the features of texts, a CSR array of shape (n_texts, n_out)."""
        columns, ends = array("i"), np.empty(len(texts), np.int64)
        column_of, analyze = self.vocabulary.get, self.analyze
        for row, text in enumerate(texts):
            columns.extend(map(column_of, analyze(text), repeat(-1)))
            ends[row] = len(columns)
        columns = np.frombuffer(columns, np.int32) if columns else np.empty(0, np.int32)
        known = columns >= 0
        counts = _count(
            columns[known],
            np.append(0, np.cumsum(known))[ends],
            np.ones(np.count_nonzero(known), self.dtype),
            self.n_out,
        )
        if self.binary:
            counts.data.fill(1)
        return counts if self.weighting is None else self.weighting.transform(counts)


class HashingVectorizer:
    """Counts of hashed words, as scikit-learn's HashingVectorizer makes them."""

    takes = "texts"

    def __init__(self, part):
        self.analyze = Analyzer(part)
        self.n_in, self.n_out = None, part.setting("n_features", int)
        if not 0 < self.n_out < 1 << 31:
            part.refuse(f"it has {self.n_out} features")
        self.alternate_sign = part.setting("alternate_sign", bool)
        self.binary = part.setting("binary", bool)
        self.dtype = np.dtype(part.setting("dtype", str, among=_FLOATS))
        self.weighting = Weighting(part, self.n_out)
        self._kept = {}

    def transform(self, texts):
        """Return the features of texts, a CSR array of shape (n_texts, n_out)."""
        words, ends = [], np.empty(len(texts), np.int64)
        for row, text in enumerate(texts):
            words += self.analyze(text)
            ends[row] = len(words)
        signed = self._signed_columns(words)
        columns, signs = np.abs(signed) - 1, np.sign(signed)
        if not self.alternate_sign:
            signs = np.abs(signs)
        counts = _count(columns, ends, signs.astype(self.dtype), self.n_out)
        if self.binary:
            counts.data.fill(1)
        return self.weighting.transform(counts)

    def _signed_columns(self, words):
        """Return the column of each word plus one, negative where it is subtracted."""
        if len(self._kept) > _MOST_KEPT:
            self._kept = {}  # another thread may still look into the old one
        kept = self._kept
        new = [word for word in set(words) if word not in kept]
        kept.update(zip(new, hashed_columns(new, self.n_out).tolist(), strict=True))
        return np.fromiter(map(kept.__getitem__, words), np.int64, len(words))


def _count(columns, ends, values, n_columns):
    """Return the sums of values that stand in the same row and column, as a CSR."""
    indptr = np.append(0, ends)
    counts = sp.csr_array((values, columns, indptr), shape=(len(ends), n_columns))
    counts.sum_duplicates()
    return counts


def _without_accents(text):
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join([part for part in parts if not unicodedata.combining(part)])


def _to_ascii(text):
    parts = unicodedata.normalize("NFKD", text)
    return parts.encode("ASCII", "ignore").decode("ASCII")
