"""Rows to compare a predictor with its model on, made up from what the model knows."""

import numpy as np
import scipy.sparse as sp

_N_ROWS = 64
# Arrays of more numbers are made sparse.
_LARGEST = 1 << 24
_ODD = "", " ", "É!", "naïve\tﬁne", "ΩmegaΣ", "don't  stop", "中文 текст", "unheardof"


def sample_rows(part):
    """Return rows as the model of a part takes them: texts, an array or a CSR."""
    rng = np.random.default_rng(0)
    first = _first(part)
    if first.kind in ("CountVectorizer", "TfidfVectorizer", "HashingVectorizer"):
        return _texts(_words(part), rng)
    if first.kind in ("Scaler", "Linear") or _is_shifted(part):
        return _array(first, rng)
    return _sparse(first, rng)


def _first(part):
    """Return the part that takes the rows."""
    while part.parts:
        part = part.parts[0]
    return part


def _is_shifted(part):
    """Return whether columns are, so that a sparse X would be refused."""
    own = not {"shift", "offset"}.isdisjoint(part.arrays)
    return own or any(_is_shifted(inner) for inner in part.parts)


def _words(part):
    """Return all words that the part and those in it know."""
    words = part.lists.get("vocabulary", [])
    for inner in part.parts:
        words = words + _words(inner)
    return words


def _texts(words, rng):
    words = np.array([*words, *_ODD, "one", "two", "words"], object)
    texts = list(_ODD)
    while len(texts) < _N_ROWS:
        chosen = rng.choice(words, rng.integers(1, 40)).tolist()
        chosen[0] = chosen[0].upper()
        chosen[-1] = chosen[-1].title() + "."
        texts.append(rng.choice([" ", "  ", "\n", ", "]).join(chosen))
    return texts


def _array(part, rng):
    """Return rows that are distributed as those that a scaler or model has seen."""
    n = part.arrays["coef"].shape[0] if part.kind == "Linear" else None
    n = part.settings["n_features"] if n is None else n
    if _N_ROWS * n > _LARGEST:
        return _sparse(part, rng)
    get = part.arrays.get
    scale = get("divisor", get("std", 1 / get("factor", np.ones(n))))
    shift = get("shift", -get("offset", 0) * scale)
    return shift + scale * rng.normal(size=(_N_ROWS, n))


def _sparse(part, rng):
    """Return rows of small whole numbers, which counts and weights may be, or ones."""
    n = part.arrays["coef"].shape[0] if part.kind == "Linear" else None
    n = part.settings["n_features"] if n is None else n
    columns = [rng.integers(n, size=rng.integers(1, 60)) for _ in range(_N_ROWS)]
    X = sp.lil_array((_N_ROWS + 1, n))
    for row, places in enumerate(columns):
        X[row, np.unique(places)] = 1 if row % 2 else rng.integers(1, 4)
    return X.tocsr()
