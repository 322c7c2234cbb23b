"""Converter of scikit-learn's vectorizers of words.

skl2onnx has one whose tokens end at the first letter that is not ASCII, and whose
sublinear counts are log(1 + tf) instead of 1 + log(tf).
"""

import numpy as np
from skl2onnx.common.data_types import FloatTensorType

from ._graph import Graph

# Python's patterns of tokens, and what they are to RE2, which onnxruntime has.
_PATTERNS = {
    r"(?u)\b\w\w+\b": r"[\pL\pN_]{2,}",
    r"(?u)\b\w+\b": r"[\pL\pN_]+",
    r"\b\w\w+\b": r"[\pL\pN_]{2,}",
    r"\b\w+\b": r"[\pL\pN_]+",
    r"\w+": r"[\pL\pN_]+",
    r"(?u)\w+": r"[\pL\pN_]+",
}
# Lower case of all of Unicode; en_US, the default, is not there in a slim container.
LOCALE = "C.UTF-8"
_PAD = "\N{NULL}"  # is in no token


def calculate_shapes(operator):
    """Set the shape of the features: rows by words."""
    vectorizer = operator.raw_operator
    rows = operator.inputs[0].get_first_dimension()
    width = len(vectorizer.vocabulary_)
    operator.outputs[0].type = FloatTensorType([rows, width])


def convert(scope, operator, container):
    """Write the graph of a CountVectorizer or TfidfVectorizer."""
    vectorizer, graph = operator.raw_operator, Graph(scope, container)
    refuse(vectorizer)
    texts = graph.add("Reshape", operator.inputs[0].full_name, np.array([-1]))
    if vectorizer.lowercase:
        texts = graph.add(
            "StringNormalizer",
            texts,
            case_change_action="LOWER",
            is_case_sensitive=1,
            locale=LOCALE,
        )
    tokens = graph.add(
        "Tokenizer",
        texts,
        domain="com.microsoft",
        mark=0,
        mincharnum=1,
        pad_value=_PAD,
        tokenexp=_PATTERNS[vectorizer.token_pattern],
    )
    counts = graph.add("TfIdfVectorizer", tokens, **_vocabulary(vectorizer))
    if vectorizer.binary:
        counts = graph.add("Min", counts, np.array(1.0))
    if hasattr(vectorizer, "use_idf"):
        counts = _weighted(graph, counts, vectorizer)
    graph.add("Identity", counts, out=operator.outputs[0].full_name)


def refuse(vectorizer):
    """Raise for a vectorizer that no operator of ONNX computes."""
    name = type(vectorizer).__name__
    for parameter, accepted in (
        ("analyzer", ["word"]),
        ("tokenizer", [None]),
        ("preprocessor", [None]),
        ("strip_accents", [None]),
        ("token_pattern", list(_PATTERNS)),
    ):
        value = getattr(vectorizer, parameter)
        if value not in accepted:
            raise ValueError(
                f"`{parameter}` of {name} accepts {' or '.join(map(repr, accepted))} "
                f"for ONNX; got {value!r}."
            )
    if vectorizer.ngram_range[1] > 1 and vectorizer.stop_words is not None:
        raise ValueError(
            f"`stop_words` of {name} accepts None with n-grams for ONNX, which cannot "
            f"leave tokens out; got {vectorizer.stop_words!r}."
        )


def _vocabulary(vectorizer):
    """Return the n-grams as ONNX's TfIdfVectorizer takes them, the short ones first."""
    least, most = vectorizer.ngram_range
    terms = [
        (tuple(term.split(" ")), at) for term, at in vectorizer.vocabulary_.items()
    ]
    terms.sort(key=lambda term: (len(term[0]), term[1]))
    pool, starts = [], []
    for n in range(1, most + 1):
        starts.append(len(pool))
        pool += [word for words, _ in terms if len(words) == n for word in words]
    return {
        "mode": "TF",
        "min_gram_length": least,
        "max_gram_length": most,
        "max_skip_count": 0,
        "ngram_counts": starts,
        "ngram_indexes": [int(at) for _, at in terms],
        "pool_strings": pool,
    }


def _weighted(graph, counts, vectorizer):
    """Add what a TfidfVectorizer makes of counts."""
    if vectorizer.sublinear_tf:
        logarithm = graph.add("Log", graph.add("Max", counts, np.array(1.0)))
        counts = graph.add("Add", logarithm, graph.add("Sign", counts))
    if vectorizer.use_idf:
        counts = graph.add("Mul", counts, vectorizer.idf_[None].astype(float))
    if vectorizer.norm == "l2":
        squares = graph.row_sums(graph.add("Mul", counts, counts))
        return graph.over(counts, graph.add("Sqrt", squares))
    if vectorizer.norm == "l1":
        return graph.over(counts, graph.row_sums(graph.add("Abs", counts)))
    return counts
