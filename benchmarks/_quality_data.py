"""The sets, the masks and the sizes of `quality.py`."""

import csv
import gzip
import re
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from sklearn_masked import MaskedLabels

TEXT_SETS = ("arxiv_cs", "goemotions")
# The given splits; "random" draws the split by the run's seed, and seed 0 is the given.
TOX21_SPLITS = ("random0", "scaffold", "random")
SETS = (
    *TEXT_SETS,
    *(f"tox21_{x}_{split}" for x in ("smiles", "ecfp") for split in TOX21_SPLITS),
    # The one beside the other, each row of either of length 1.
    "tox21_both_random",
)
# Those of every average: "tox21_*_random" would count the first split twice.
DEFAULT_SETS = tuple(name for name in SETS if not name.endswith("_random"))
# "natural" and "all" keep every known cell; the one is for sets that are partial.
MASKS = (
    "one-sought",
    "random-60",
    "full-budget",
    "random-cells",
    "natural",
    "all",
)
TFIDF = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}
SMILES = {"analyzer": "char", "ngram_range": (1, 6), "lowercase": False, **TFIDF}
WORDS = {"ngram_range": (1, 2), **TFIDF}


class Set:
    """Features and labels of one set and split; `nan` marks the unknown cells."""

    def __init__(self, name, X, X_test, Y, Y_test, tokens):
        self.name, self.X, self.X_test = name, X, X_test
        self.Y, self.Y_test, self._tokens = Y, Y_test, tokens

    @cached_property
    def tokens(self):
        """Return the lines of words, of training and of test rows, that fastText reads.

        The same words as the features: molecules are characters or bits.
        """
        return [list(map(_as_words(self.name), part)) for part in self._tokens]


def _as_words(name):
    if name in TEXT_SETS:
        words = re.compile(r"(?u)\b\w\w+\b")
        return lambda text: " ".join(words.findall(text.lower()))
    return lambda text: " ".join(text)


def load(name, folder, cache=None, seed=0):
    """Return a `Set`: features of training and test rows, and their labels."""
    if name in TEXT_SETS:
        texts, Y, split = _read_texts(Path(folder) / name)
        return _vectorized(name, texts, Y, split, WORDS, cache)
    if name not in SETS:
        raise ValueError(f"set {name!r} is none of {', '.join(SETS)}.")
    _, kind, which = name.split("_")
    molecules, bits, Y = _read_molecules(Path(folder) / "tox21")
    split = _tox21_split(molecules, which, seed)
    train, test = split == "train", split == "test"
    if kind in ("smiles", "both"):
        texts = [row["smiles"] for row in molecules]
        # One file a split: the vocabulary is that of the training rows.
        tag = f"tox21_smiles_{which}{seed if which == 'random' else ''}"
        found = _vectorized(name, texts, Y, split, SMILES, cache, tag)
        if kind == "both":
            found.X = _beside(found.X, bits[train])
            found.X_test = _beside(found.X_test, bits[test])
        return found
    tokens = [[map(str, row.indices) for row in bits[part]] for part in (train, test)]
    return Set(name, bits[train], bits[test], Y[train], Y[test], tokens)


def _beside(X, bits):
    return sp.hstack([X, normalize(bits)], format="csr")


def _read_texts(folder):
    rows = _read_rows(folder / "texts.csv.gz")
    matrix = folder / "labels.npz"
    if matrix.exists():  # stored 1 = positive, everything else negative
        Y = sp.load_npz(matrix).toarray().astype(np.float32)
    else:
        Y = _read_labels(folder)
    split = np.array([row["split"] for row in rows])
    return [row["text"] for row in rows], Y, split


def _read_molecules(folder):
    molecules = _read_rows(folder / "molecules.csv.gz")
    bits = sp.load_npz(folder / "X_ecfp4_1024.npz").tocsr().astype(np.float32)
    return molecules, bits, _read_labels(folder)


def _read_labels(folder):
    """Return 0/1, and NaN for empty cells, without the column of ids."""
    rows = _read_rows(folder / "labels.csv.gz")
    cells = [[v or "nan" for k, v in row.items() if k != "id"] for row in rows]
    return np.array(cells).astype(np.float32)


def _read_rows(file):
    with gzip.open(file, "rt", encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def _tox21_split(molecules, which, seed):
    """Return the part of each row; seeds from 1 on draw 80/10/10 by themselves."""
    if which == "random" and seed > 0:
        order = np.random.RandomState(seed).permutation(len(molecules))
        split = np.full(len(molecules), "train", dtype=object)
        tenth = len(molecules) // 10
        split[order[:tenth]], split[order[tenth : 2 * tenth]] = "test", "valid"
        return split.astype(str)
    column = "split_scaffold" if which == "scaffold" else "split_random0"
    return np.array([row[column] for row in molecules])


def _vectorized(name, texts, Y, split, params, cache, tag=None):
    """Return the set with TF-IDF fitted on all its training rows."""
    train, test = split == "train", split == "test"
    parts = [[texts[i] for i in np.flatnonzero(part)] for part in (train, test)]
    files = cache and [Path(cache) / f"{tag or name}_{p}.npz" for p in ("fit", "test")]
    if files and all(file.exists() for file in files):
        X, X_test = (sp.load_npz(file).tocsr() for file in files)
    else:
        vectorizer = TfidfVectorizer(**params)
        X, X_test = vectorizer.fit_transform(parts[0]), vectorizer.transform(parts[1])
        for file, matrix in zip(files or (), (X, X_test), strict=False):
            sp.save_npz(file, matrix)
    return Set(name, X, X_test, Y[train], Y[test], parts)


def choose_cells(Y, mask, size, seed):
    """Return the labels that a mask leaves, or None if it leaves fewer than `size`.

    Cells of a smaller size are the first of one seeded order, so sizes are nested.
    Those of "full-budget" are whole rows: the fewest that reach the size.
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
