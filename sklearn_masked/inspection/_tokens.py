"""Locate the features of a vectorizer in a text."""

import re
from typing import NamedTuple

from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

_BLANKS = re.compile(r"\s\s+")  # what scikit-learn's character n-grams replace


class Term(NamedTuple):
    """An occurrence of a feature in a text: its name, and the pieces that make it."""

    name: str
    spans: tuple  # of (start, end) in the text


def token_spans(heads, X):
    """Return texts and, for each, the terms of its vectorizers with their places.

    Both are None where the first step reads no texts, or not all of X are texts.
    """
    vectorizers = _vectorizers(heads[0][0]) if heads else []
    if not vectorizers:
        return None, None
    texts = [str(text) if isinstance(text, str) else text for text in X]
    if not all(isinstance(text, str) for text in texts):
        return None, None
    terms = [
        [
            Term(prefix + term.name, term.spans)
            for prefix, vectorizer in vectorizers
            for term in _as_features(vectorizer, locate_terms(vectorizer, text))
        ]
        for text in texts
    ]
    return texts, terms


def _as_features(vectorizer, terms):
    """Return terms by the names of their features: "x" and the column if hashed."""
    if not isinstance(vectorizer, HashingVectorizer) or not terms:
        return terms
    hasher = FeatureHasher(
        vectorizer.n_features, input_type="string", alternate_sign=False
    )
    columns = hasher.transform([[term.name] for term in terms]).indices
    return [
        Term(f"x{column}", term.spans)
        for column, term in zip(columns, terms, strict=True)
    ]


def _vectorizers(step):
    """Return the vectorizers in a first step, with the prefixes of their features."""
    while isinstance(step, Pipeline):
        step = step[0]
    if isinstance(step, FeatureUnion):
        is_named = step.verbose_feature_names_out
        return [
            (f"{name}__" if is_named else "", each)
            for name, each in step.transformer_list
            if hasattr(each, "build_analyzer")
        ]
    return [("", step)] if hasattr(step, "build_analyzer") else []


def locate_terms(vectorizer, text):
    """Return the terms that an analyzer finds, without a span where it is not known."""
    names = list(vectorizer.build_analyzer()(text))
    if vectorizer.analyzer == "word":
        terms = _word_terms(vectorizer, text)
    elif vectorizer.analyzer in ("char", "char_wb"):
        terms = _char_terms(vectorizer, text)
    else:
        terms = None
    # A class of the user's own may analyze otherwise.
    if terms is None or [term.name for term in terms] != names:
        terms = _found_by_name(names, text)
    return terms


def _prepared(vectorizer, text):
    """Return preprocessed text and the source of each character, None if unknown."""
    preprocess = vectorizer.build_preprocessor()
    prepared = preprocess(vectorizer.decode(text))
    if len(prepared) == len(text):
        return prepared, range(len(text))
    if vectorizer.preprocessor is None:
        # Lower case and accents are matters of one character, nearly always.
        pieces = [len(preprocess(character)) for character in text]
        origin = [at for at, size in enumerate(pieces) for _ in range(size)]
        if len(origin) == len(prepared):
            return prepared, origin
    return prepared, None


def _word_terms(vectorizer, text):
    """Return words and their n-grams, as scikit-learn's word analyzer makes them."""
    prepared, origin = _prepared(vectorizer, text)
    if origin is None:
        return None
    stop_words = vectorizer.get_stop_words() or ()
    words, spans = [], []
    for word, start in _tokens(vectorizer, prepared):
        if word not in stop_words:
            end = start + len(word) - 1
            found = word and start >= 0
            words.append(word)
            spans.append(((origin[start], origin[end] + 1),) if found else ())
    least, most = vectorizer.ngram_range
    terms = []
    for n in range(least, min(most, len(words)) + 1):
        for at in range(len(words) - n + 1):
            places = tuple(span for each in spans[at : at + n] for span in each)
            terms.append(Term(" ".join(words[at : at + n]), places))
    return terms


def _tokens(vectorizer, text):
    """Yield the tokens of a text, and where they start; -1 where that is not found."""
    if vectorizer.tokenizer is None:
        pattern = re.compile(vectorizer.token_pattern)
        for found in pattern.finditer(text):
            yield found.group(pattern.groups), found.start(pattern.groups)
        return
    end = 0
    for token in vectorizer.tokenizer(text):
        start = text.find(token, end)
        end = max(end, start + len(token))
        yield token, start


def _char_terms(vectorizer, text):
    """Return n-grams of characters, as scikit-learn's analyzers make them."""
    prepared, origin = _prepared(vectorizer, text)
    if origin is None:
        return None
    kept, blanks = [], {}
    for found in _BLANKS.finditer(prepared):
        blanks[found.start()] = found.end()
    at = 0
    while at < len(prepared):
        end = blanks.get(at, at + 1)
        kept.append((prepared[at] if end == at + 1 else " ", at))
        at = end
    if vectorizer.analyzer == "char":
        runs = [(kept, False)]
    else:
        runs = [(word, True) for word in _split(kept)]
    least, most = vectorizer.ngram_range
    terms = []
    for run, is_word in runs:
        padded = [(" ", None), *run, (" ", None)] if is_word else run
        for n in range(least, most + 1):
            if is_word:
                last = max(len(padded) - n, 0)
            else:
                last = len(padded) - n
            for start in range(last + 1):
                piece = padded[start : start + n]
                at = [origin[place] for _, place in piece if place is not None]
                spans = ((at[0], at[-1] + 1),) if at else ()
                terms.append(Term("".join(char for char, _ in piece), spans))
            if is_word and last == 0:
                break  # a short word counts once
    return terms


def _split(characters):
    """Return runs of characters between white space."""
    run = []
    for character, place in [*characters, (" ", None)]:
        if not character.isspace():
            run.append((character, place))
        elif run:
            yield run
            run = []


def _found_by_name(names, text):
    """Return terms at the n-th place of their name: whole words, beginnings, any."""
    lower = text.lower()
    lower = lower if len(lower) == len(text) else text
    after, terms = {}, []
    for name in names:
        wanted = str(name)
        piece = re.escape(wanted)
        patterns = rf"(?<!\w){piece}(?!\w)", rf"(?<!\w){piece}", piece
        starts = (
            found.start()
            for pattern in patterns
            if (found := re.compile(pattern).search(lower, after.get(wanted, 0)))
        )
        start = next(starts, -1) if wanted else -1
        span = ()
        if start >= 0:
            after[wanted] = start + 1
            span = ((start, start + len(wanted)),)
        terms.append(Term(wanted, span))
    return terms
