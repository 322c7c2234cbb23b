"""The sets, the masks and the sizes of `quality.py`.

A set is named FOLDER, FOLDER:VIEW or FOLDER:VIEW:SPLIT. Views of texts: "tfidf" (the
default), "embedding" (static word vectors of wordllama, averaged); of molecules: "ecfp"
(fingerprints, the default), "smiles" (character n-grams), "both". Splits of molecules:
"random0" (the default), "scaffold", and "random", which draws 80/10/10 by the seed.
"""

import csv
import functools
import gzip
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from sklearn_masked import MaskedLabels
from sklearn_masked.feature_extraction import TextEncoder

# Folder: the kind of its features where no view is named.
SETS = {
    "arxiv_cs": "text",
    "goemotions": "text",
    "xed_en": "text",
    "cooking_stackexchange": "text",
    "tox21": "molecules",
    "muv": "molecules",
    "sider": "molecules",
    "emotions": "dense",
    "enron": "counts",
}
VIEWS = {"text": ("tfidf", "embedding"), "molecules": ("ecfp", "smiles", "both")}
# Cells are unknown there; elsewhere every cell is known.
PARTIAL = ("tox21", "muv")
MASKS = ("one-sought", "random-60", "full-budget", "random-cells", "natural")
TFIDF = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
SMILES = {"analyzer": "char", "ngram_range": (1, 6), "lowercase": False, **TFIDF}
WORDS = {"ngram_range": (1, 2), **TFIDF}


class Set:
    """Features and labels of training and test rows; NaN marks the unknown cells."""

    def __init__(self, name, X, X_test, Y, Y_test, tokens):
        self.name, self.kind = name, kind_of(name)
        self.X, self.X_test, self.Y, self.Y_test = X, X_test, Y, Y_test
        self._tokens = tokens

    @cached_property
    def tokens(self):
        """Return the lines of words, of training and of test rows, that fastText reads.

        The same words as the features: molecules are characters or bits.
        """
        if self.kind != "text":
            return [[" ".join(row) for row in part] for part in self._tokens]
        words = re.compile(r"(?u)\b\w\w+\b")
        return [
            [" ".join(words.findall(row.lower())) for row in part]
            for part in self._tokens
        ]


def parse(name):
    """Return the folder, the view and the split of a set's name."""
    folder, view, split = (*name.split(":"), "", "")[:3]
    if folder not in SETS:
        raise ValueError(f"set {folder!r} is none of {', '.join(SETS)}.")
    views = VIEWS.get(SETS[folder], ("",))
    if (view or views[0]) not in views:
        raise ValueError(f"set {name!r}: view {view!r} is none of {', '.join(views)}.")
    return folder, view or views[0], split or "random0"


def kind_of(name):
    """Return the kind of features: text, embedding, molecules, dense or counts."""
    folder, view, _ = parse(name)
    return "embedding" if view == "embedding" else SETS[folder]


def masks_of(name):
    """Return the masks of a set in the panel."""
    partial = parse(name)[0] in PARTIAL
    return ("one-sought", "natural" if partial else "random-60")


@functools.lru_cache(maxsize=2)
def load(name, folder, cache=None, seed=0):
    """Return a `Set`; the vectorizer is fitted on all its training rows."""
    base, view, split = parse(name)
    path = Path(folder) / base
    Y = _read_labels(path)
    rows, parts = _read_rows_and_split(path, split, len(Y), seed)
    test = "test" if "test" in parts else "valid"
    chosen = [np.flatnonzero(parts == part) for part in ("train", test)]
    raw = [[rows[i] for i in part] for part in chosen] if rows else None
    if view in ("tfidf", "smiles", "embedding"):
        make = _embedded if view == "embedding" else _tfidf(view)
        tag = name.replace(":", "_") + (str(seed) if split == "random" else "")
        X = _cached(cache and Path(cache) / tag, make, raw)
    else:
        bits = _read_features(path)
        X = [bits[part] for part in chosen]
        if view == "ecfp":
            raw = [[map(str, row.indices) for row in part] for part in X]
    if view == "both":
        smiles = load(f"{base}:smiles:{split}", folder, cache, seed)
        # The one beside the other, each row of either of length 1.
        pairs = zip((smiles.X, smiles.X_test), X, strict=True)
        X = [sp.hstack([a, normalize(b)], format="csr") for a, b in pairs]
    return Set(name, *X, *(Y[part] for part in chosen), raw)


def _read_labels(path):
    """Return float32 labels: 0, 1, and NaN where a cell is unknown."""
    matrix = path / "labels.npz"
    if matrix.exists():  # stored 1 = positive, everything else negative
        return sp.load_npz(matrix).toarray().astype(np.float32)
    rows = _read_csv(path / "labels.csv.gz")
    cells = [[v or "nan" for k, v in row.items() if k != "id"] for row in rows]
    return np.array(cells).astype(np.float32)


def _read_rows_and_split(path, split, n_rows, seed):
    """Return texts or SMILES, None where a set has neither, and each row's part."""
    rows, parts = None, None
    if (path / "molecules.csv.gz").exists():
        table = _read_csv(path / "molecules.csv.gz")
        rows = [row["smiles"] for row in table]
        if split != "random":
            parts = np.array([row[f"split_{split}"] for row in table])
    elif (path / "texts.csv.gz").exists():
        table = _read_csv(path / "texts.csv.gz")
        rows = [row["text"] for row in table]
        if "split" in table[0]:
            parts = np.array([row["split"] for row in table])
    else:
        parts = np.array((path / "split.txt").read_text().split())
    if parts is None:
        # The same test rows in every draw, except for the split "random".
        order = np.random.RandomState(seed if split == "random" else 0)
        order, tenth = order.permutation(n_rows), n_rows // 10
        parts = np.full(n_rows, "train", dtype="<U5")
        parts[order[: 2 * tenth]] = "test"
        if split == "random":
            parts[order[tenth : 2 * tenth]] = "valid"
    return rows, parts


def _read_features(path):
    if (path / "X.npy").exists():
        return np.load(path / "X.npy").astype(np.float32)
    file = path / "X.npz"
    file = file if file.exists() else path / "X_ecfp4_1024.npz"
    return sp.load_npz(file).tocsr().astype(np.float32)


def _read_csv(file):
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _cached(path, make, raw):
    """Return the matrices of training and test rows, kept in files if there is a path.

    Arrays are kept as they are, sparse matrices compressed.
    """
    if not path:
        return make(*raw)
    files = [Path(f"{path}_{part}") for part in ("fit", "test")]
    for suffix, read in ((".npy", np.load), (".npz", sp.load_npz)):
        named = [file.with_suffix(suffix) for file in files]
        if all(file.exists() for file in named):
            return [read(file) for file in named]
    made = make(*raw)
    for file, matrix in zip(files, made, strict=True):
        if sp.issparse(matrix):
            sp.save_npz(file.with_suffix(".npz"), matrix.tocsr())
        else:
            np.save(file.with_suffix(".npy"), matrix)
    return made


def _tfidf(view):
    def make(train, test):
        vectorizer = TfidfVectorizer(**(SMILES if view == "smiles" else WORDS))
        return vectorizer.fit_transform(train), vectorizer.transform(test)

    return make


def _embedded(train, test):
    """Return unit rows of averaged static word vectors, less the training mean."""
    import wordllama

    # Its plain `load()` looks for the vectors in another folder, and downloads them.
    model = wordllama.WordLlama.load(
        cache_dir=str(Path(wordllama.__file__).parent), disable_download=True
    )
    encoder = TextEncoder(model)
    return encoder.fit_transform(train), encoder.transform(test)


def choose_cells(Y, mask, size, seed):
    """Return the labels that a mask leaves, or None if it leaves fewer than `size`.

    "natural" keeps every known cell. Cells of a smaller size are the first of one
    seeded order, so sizes are nested. Those of "full-budget" are whole rows, as many as
    stay below the size.
    """
    known = ~np.isnan(Y)
    if mask == "one-sought":
        rows, cols = _one_sought(Y, known, seed)
    elif mask == "random-60":
        unlabeled = np.random.RandomState(seed).rand(*Y.shape) < 0.6
        rows, cols = np.nonzero(known & ~unlabeled)
    elif mask == "random-cells":
        rows, cols = _random_cells(known, seed)
    elif mask == "full-budget":
        return _full_rows(Y, known, size, seed)
    else:
        rows, cols = np.nonzero(known)
    if size != "full":
        if size > len(rows):
            return None
        keep = np.random.default_rng(seed).permutation(len(rows))[:size]
        rows, cols = rows[keep], cols[keep]
    return _labels(Y, rows, cols)


def _labels(Y, rows, cols):
    return MaskedLabels.from_cells(rows, cols, Y[rows, cols], shape=Y.shape)


def _one_sought(Y, known, seed):
    """Keep one known cell a row: a positive half of the time, else any."""
    rng = np.random.RandomState(seed)
    rows = np.flatnonzero(known.any(axis=1))
    cols = np.empty(len(rows), int)
    for i, row in enumerate(rows):
        positives = np.flatnonzero(Y[row] == 1)
        sought = len(positives) and rng.rand() < 0.5
        candidates = np.flatnonzero(known[row])
        cols[i] = (
            rng.choice(positives)
            if sought
            else candidates[rng.randint(len(candidates))]
        )
    return rows, cols


def _random_cells(known, seed):
    """Keep as many cells as "one-sought" does, wherever they fall."""
    rows, cols = np.nonzero(known)
    n_cells = np.count_nonzero(known.any(axis=1))
    keep = np.random.default_rng(seed).permutation(len(rows))[:n_cells]
    return rows[keep], cols[keep]


def _full_rows(Y, known, size, seed):
    """Keep all known cells of whole rows, as many cells as "one-sought" or `size`."""
    budget = np.count_nonzero(known.any(axis=1))
    if size != "full":
        if size > budget:
            return None
        budget = size
    order = np.random.RandomState(seed).permutation(len(Y))
    # A row less rather than one more: never more cells than the masks compared with.
    n_rows = np.count_nonzero(np.cumsum(known[order].sum(axis=1)) <= budget)
    chosen = np.zeros(len(Y), bool)
    chosen[order[: max(1, n_rows)]] = True
    return _labels(Y, *np.nonzero(known & chosen[:, None]))
