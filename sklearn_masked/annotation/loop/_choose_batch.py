"""The next cells to ask for, in view of what is answered, skipped or handed out."""

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from ..._rows import count_rows, take_rows
from ...exceptions import FewerCellsWarning, UnknownSeedWarning
from .._blocks import BLOCK_CELLS
from .._cold_start import seed_cells, seed_samples
from .._query import query_cells
from .._query_samples import query_samples
from .._table import CellTable
from ._ledger import QueryLabels

# Of the cells that seeds find, the share that is left to chance: surely some negatives.
_RANDOM_SHARE = 0.2


def choose_cells(labels, closed, proba, seeds, n_cells, rng, **options):
    """Return a table of n_cells cells at most that are neither labeled nor closed.

    Without a model, the seeds choose; with one, it chooses, except for the labels that
    have no positive yet: the seeds go on with an even share of cells for these. What
    is wanting after that is drawn by chance.

    Parameters
    ----------
    labels : MaskedLabels
        What is decided.
    closed : set of (row, col)
        Cells not to ask for.
    proba : array, iterator of blocks, or None
        Of the model, if there is one.
    seeds : (matrix, dict of matrices) or None
        For :func:`seed_cells`.
    """
    return _choose(_CELLS, labels, closed, proba, seeds, n_cells, rng, options)


def choose_screens(labels, closed, proba, seeds, n_samples, rng, **options):
    """Return a table of n_samples samples at most, each with several cells.

    As :func:`choose_cells`, by :func:`seed_samples` and :func:`query_samples`.
    """
    return _choose(_SCREENS, labels, closed, proba, seeds, n_samples, rng, options)


class _Way(NamedTuple):
    """How cells are chosen: one by one, or several of a sample."""

    seed: Callable
    query: Callable
    random: Callable
    size: str  # the parameter that says how many
    taken: Callable  # the cells of a table that are not to be chosen again
    count: Callable  # how many a table has


def _choose(way, labels, closed, proba, seeds, n, rng, options):
    """Return n cells or samples, by each function in turn what is left to choose."""
    query = QueryLabels.close(labels, closed)
    tables, n_left = [], n
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewerCellsWarning)
        for choose in (_by_seeds, _by_model, _by_chance):
            table = choose(way, query, proba, seeds, n_left, n, rng, options)
            if table is not None and len(table):
                tables.append(table)
                n_left -= way.count(table)
                query = QueryLabels.close(query, way.taken(table, query))
            if n_left <= 0:
                break
    if n_left > 0:
        warnings.warn(
            f"{n} {way.size[2:]} were asked for, and {n - n_left} are left that are "
            "neither answered, skipped, nor handed out.",
            FewerCellsWarning,
            stacklevel=5,
        )
    if not tables:
        return table
    return CellTable(np.concatenate(tables), query.label_names)


def _cells_of(table, query):
    return set(zip(table["sample"].tolist(), table["label"].tolist(), strict=True))


def _all_of_samples(table, query):
    """Return all cells of the samples of a table: none comes on a second screen."""
    cols = range(query.n_labels)
    return {(row, col) for row in set(table["sample"].tolist()) for col in cols}


def _n_samples(table):
    return len(np.unique(table["sample"]))


_CELLS = _Way(
    seed_cells,
    query_cells,
    partial(query_cells, None, strategy="random", max_per_label=None),
    "n_cells",
    _cells_of,
    len,
)
_SCREENS = _Way(
    seed_samples,
    query_samples,
    partial(query_samples, None),
    "n_samples",
    _all_of_samples,
    _n_samples,
)


def _by_seeds(way, query, proba, seeds, n_left, n, rng, options):
    """Return cells of the labels whose seeds are all that is known of them."""
    if seeds is None:
        return None
    matrix, queries = seeds
    random_share = _RANDOM_SHARE
    if proba is not None:
        random_share = 0.0  # the strategy has its own
        found = dict(zip(query.label_names, query.n_positive > 0, strict=True))
        queries = {name: some for name, some in queries.items() if not found[name]}
        n_left = -(-n * len(queries) // query.n_labels)
    if not queries:
        return None
    params = {way.size: n_left, "random_share": random_share, **_shown(options)}
    return way.seed(matrix, queries, query, random_state=rng, **params)


def _by_model(way, query, proba, seeds, n_left, n, rng, options):
    if proba is None:
        return None
    params = {way.size: n_left, "random_state": rng, **options}
    return way.query(proba, query, **params)


def _by_chance(way, query, proba, seeds, n_left, n, rng, options):
    params = {way.size: n_left, "random_state": rng, **_shown(options)}
    return way.random(query, **params)


def _shown(options):
    """Return how many labels a screen has, of options for a query by the model."""
    return {name: options[name] for name in ("max_labels",) if name in options}


def model_proba(model, X, n_labels):
    """Yield (slice of rows, probabilities of positives) of a model, by blocks.

    Of labels that came after it was fitted a model knows nothing: 1/2.
    """
    n, step = count_rows(X), max(1, BLOCK_CELLS // n_labels)
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        proba = np.asarray(model.predict_proba(take_rows(X, rows)))
        n_new = n_labels - proba.shape[1] if proba.ndim == 2 else 0
        if n_new > 0:
            proba = np.pad(proba, ((0, 0), (0, n_new)), constant_values=0.5)
        yield rows, proba


def read_seeds(seeds, X, texts, label_names):
    """Return (matrix, queries by label) for `seed_cells`, or None if nothing is known.

    Words are looked up in the texts of the pool; rows of features are taken as given.

    Parameters
    ----------
    seeds : dict of label name to str, list of str or matrix; or None
        What a person can say of a label before any labeling. Where the pool has
        texts, the name of a label stands for what is not said of it.
    texts : Texts or None
        The texts of the pool, if it has texts.
    """
    seeds = seeds or {}
    if not all(isinstance(query, str | list | tuple) for query in seeds.values()):
        return X, dict(seeds)
    if texts is None:
        if seeds:
            raise ValueError(
                "`seeds` accepts words where X are texts, and rows of features like "
                "those of X otherwise; got words, and X that are no texts."
            )
        return None
    words = {name: name.replace("_", " ") for name in label_names} | seeds
    known, unknown = _look_up(words, texts)
    unknown = [name for name in unknown if name in seeds]
    if unknown:
        warnings.warn(
            "`seeds` should have words that stand in the texts of the pool; got none "
            f"for {', '.join(map(repr, unknown[:10]))}. These labels begin with cells "
            "by chance.",
            UnknownSeedWarning,
            stacklevel=5,
        )
    return known


def _look_up(seeds, texts):
    """Return what `seed_cells` takes, or None, and the labels without a known word."""
    try:
        vectorizer, matrix = texts.read()
    except ValueError:  # no text has a word
        return None, list(seeds)
    queries, unknown = {}, []
    for name, words in seeds.items():
        query = vectorizer.transform([words] if isinstance(words, str) else list(words))
        if query.nnz:
            queries[name] = query
        else:
            unknown.append(name)
    return ((matrix, queries) if queries else None), unknown


def check_seeds(seeds, label_names):
    """Raise unless seeds are None or a dict of known labels."""
    if seeds is None:
        return
    if not isinstance(seeds, dict):
        raise TypeError(
            "`seeds` accepts a dict of words or rows by label name; got "
            f"{type(seeds).__name__}."
        )
    for name in seeds:
        if name not in label_names:
            raise ValueError(
                f"`seeds` accepts names of labels, such as {label_names[0]!r}; got "
                f"{name!r}."
            )
