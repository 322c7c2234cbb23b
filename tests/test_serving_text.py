"""Texts are analyzed without scikit-learn exactly as with it."""

import string

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
)
from sklearn.utils.murmurhash import murmurhash3_32 as sklearn_hash

from sklearn_masked._scripts import words_and_characters
from sklearn_masked.exceptions import UnservableModelError
from sklearn_masked.serving._hashing import hashed_columns, murmurhash3_32
from sklearn_masked.serving._parts import part_of
from sklearn_masked.serving._text import Analyzer
from sklearn_masked.serving._text import CountVectorizer as Served
from sklearn_masked.serving._text import HashingVectorizer as ServedHashing
from sklearn_masked.serving._weighting import TfidfTransformer as ServedTransformer

# Letters that change their number in lower case, combine, join, or separate words.
ODD = "İßﬁΣςΩé\u0301ñ½\u00a0\u2003\u200d_\ud7a3한글中文😀\x00\x1c\x85\u2028'-.٣"
TEXTS = st.text(
    st.sampled_from(ODD + string.ascii_letters[:30] + "  \t\n0") | st.characters(),
    max_size=30,
)
DOCUMENTS = st.lists(TEXTS, min_size=1, max_size=5)
ANALYSES = {
    "scripts without spaces": {"analyzer": words_and_characters, "lowercase": False},
    "default": {},
    "as it is": {"lowercase": False},
    "unicode accents": {"strip_accents": "unicode"},
    "ascii accents": {"strip_accents": "ascii", "ngram_range": (1, 2)},
    "bigrams alone": {"ngram_range": (2, 2), "token_pattern": r"(?u)\b\w+\b"},
    "up to trigrams": {"ngram_range": (1, 3), "token_pattern": r"(?u)\w"},
    "a group": {"token_pattern": r"(\w)\w*"},
    "stop words": {"stop_words": "english", "ngram_range": (1, 2)},
    "own stop words": {"stop_words": ["aa", "bb"], "token_pattern": r"[a-z]+"},
    "chars": {"analyzer": "char", "ngram_range": (1, 3)},
    "chars from 2": {"analyzer": "char", "ngram_range": (2, 4)},
    "words' chars": {"analyzer": "char_wb", "ngram_range": (2, 5)},
    "words' chars from 1": {"analyzer": "char_wb", "ngram_range": (1, 1)},
}


@pytest.mark.filterwarnings("ignore:Your stop_words may be inconsistent")
@pytest.mark.parametrize("params", ANALYSES.values(), ids=ANALYSES)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_analyzer_equals_scikit_learns_on_any_text(params, text):
    vectorizer = HashingVectorizer(**params)
    analyze = Analyzer(part_of(vectorizer))
    assert analyze(text) == list(vectorizer.build_analyzer()(text))


@pytest.mark.parametrize("decode_error", ["ignore", "replace"])
def test_analyzer_bytes_are_decoded_as_asked(decode_error):
    vectorizer = HashingVectorizer(encoding="latin-1", decode_error=decode_error)
    utf8 = HashingVectorizer(decode_error=decode_error)
    for one in (vectorizer, utf8):
        text = "naïve \xff café".encode("latin-1")
        assert Analyzer(part_of(one))(text) == list(one.build_analyzer()(text))


@pytest.mark.parametrize("text", [None, np.nan, 3])
def test_analyzer_something_else_raises(text):
    with pytest.raises(ValueError, match="`X` accepts texts, str or bytes; got"):
        Analyzer(part_of(HashingVectorizer()))(text)


def assert_same(found, expected, rtol=1e-12):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    found, expected = sp.csr_array(found), sp.csr_array(expected)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.data, expected.data, rtol=rtol)


WEIGHTS = [
    {},
    {"norm": "l1", "sublinear_tf": True},
    {"norm": None, "smooth_idf": False},
    {"use_idf": False, "binary": True},
    {"dtype": np.float32},
]
CORPUS = ["a cat and a dog", "the dog barks: dog!", "", "café CAFÉ cat", "one two 2"]


@pytest.mark.parametrize("params", WEIGHTS, ids=str)
@pytest.mark.parametrize("analyzer", ["word", "char_wb"])
@settings(max_examples=20, deadline=None)
@given(texts=DOCUMENTS)
def test_tfidf_vectorizer_equals_scikit_learns(params, analyzer, texts):
    vectorizer = TfidfVectorizer(analyzer=analyzer, **params).fit([*CORPUS, *texts[:1]])
    texts = [*texts, *CORPUS]
    rtol = 1e-6 if "dtype" in params else 1e-12
    found = Served(part_of(vectorizer)).transform(texts)
    assert_same(found, vectorizer.transform(texts), rtol)


@pytest.mark.parametrize("params", [{}, {"binary": True}, {"dtype": np.float32}])
def test_count_vectorizer_and_transformer_equal_scikit_learns(params):
    vectorizer = CountVectorizer(**params).fit(CORPUS[:3])
    counts = vectorizer.transform(CORPUS)
    assert_same(Served(part_of(vectorizer)).transform(CORPUS), counts)
    weighting = TfidfTransformer(sublinear_tf=True).fit(counts)
    served = ServedTransformer(part_of(weighting))
    assert_same(served.transform(counts), weighting.transform(counts), 1e-6)


def test_vocabulary_of_ones_own_keeps_its_order():
    vectorizer = CountVectorizer(vocabulary=["dog", "cat", "\ud800", "a\nb"])
    vectorizer.fit(CORPUS)
    assert_same(
        Served(part_of(vectorizer)).transform(CORPUS), vectorizer.transform(CORPUS)
    )


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"alternate_sign": False, "norm": "l1"},
        {"n_features": 7, "norm": None},
        {"binary": True, "norm": None, "dtype": np.float32},
        {"n_features": 1 << 20, "analyzer": "char", "ngram_range": (1, 4)},
    ],
    ids=str,
)
@settings(max_examples=20, deadline=None)
@given(texts=DOCUMENTS)
def test_hashing_vectorizer_equals_scikit_learns(params, texts):
    vectorizer = HashingVectorizer(**params)
    texts = [text.encode("utf-8", "ignore").decode() for text in [*texts, *CORPUS]]
    served = ServedHashing(part_of(vectorizer))
    expected = vectorizer.transform(texts)
    for _ in range(2):  # the second time, the words' columns are known
        assert_same(served.transform(texts), expected, 1e-6)


def test_hashing_vectorizer_forgets_words_when_they_are_too_many(monkeypatch):
    monkeypatch.setattr("sklearn_masked.serving._text._MOST_KEPT", 2)
    vectorizer = HashingVectorizer()
    served = ServedHashing(part_of(vectorizer))
    for text in CORPUS:
        assert_same(served.transform([text]), vectorizer.transform([text]))


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(st.binary(max_size=40), max_size=8), seed=st.integers(0, 9))
def test_murmurhash_equals_scikit_learns(keys, seed):
    expected = [sklearn_hash(key, seed=seed) for key in keys]
    assert murmurhash3_32(keys, seed).tolist() == expected


def test_hashed_columns_the_smallest_hash_has_the_column_of_its_size(monkeypatch):
    # abs(-2 ** 31) has no place in 32 bits: scikit-learn takes 2 ** 31 % n for it.
    monkeypatch.setattr(
        "sklearn_masked.serving._hashing.murmurhash3_32",
        lambda keys: np.array([-(2**31)], np.int32),
    )
    assert hashed_columns(["word"], 1000).tolist() == [-(2**31 % 1000 + 1)]


@pytest.mark.parametrize(
    ("vectorizer", "words"),
    [
        (CountVectorizer(tokenizer=str.split), "`tokenizer` of CountVectorizer is a"),
        (HashingVectorizer(preprocessor=str.lower), "`preprocessor` of Hashing"),
        (HashingVectorizer(analyzer=str.split), "`analyzer` of HashingVectorizer is a"),
        (HashingVectorizer(strip_accents=str), "`strip_accents` of HashingVectorizer"),
        (HashingVectorizer(input="filename"), "`input` of HashingVectorizer is 'file"),
        (HashingVectorizer(ngram_range=(0, 2)), r"`ngram_range` of .* is \(0, 2\)"),
    ],
    ids=str,
)
def test_functions_and_files_are_refused_in_one_sentence(vectorizer, words):
    with pytest.raises(UnservableModelError, match=words):
        part_of(vectorizer)
