"""The first cells, before any model: texts like the words or examples of a label."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp

from .._typing import LabelsLike, MatrixLike, RandomState
from ..exceptions import FewerCellsWarning
from ..labels import MaskedLabels, check_labels
from ..labels.names import (
    check_same_columns,
    check_same_names,
    check_same_rows,
    column_names,
    entry_names,
    is_table,
)
from ..metrics.cells import label_name
from ._blocks import BLOCK_CELLS, unlabeled_mask
from ._candidates import Pool, ranked
from ._query import check_count, label_quotas, similar_rows
from ._query_samples import SampleRows, Screens
from ._quotas import Choice
from ._random import as_generator, draw_random
from ._table import CellTable, query_table


def seed_cells(
    X: MatrixLike,
    queries: Any,
    labels: LabelsLike = None,
    *,
    n_cells: int = 100,
    random_share: float = 0.0,
    max_per_label: int | None = None,
    max_per_sample: int | None = None,
    max_similarity: float = 0.9,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CellTable:
    """Choose the first cells without a model: samples like the queries of the labels.

    A query is what a person can say of a label before any labeling: a few words, or
    example texts, in the features of X (rows of the same vectorizer). The labels take
    turns, those with the fewest labeled cells first; each gives its unlabeled cell of
    the largest cosine with its query.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n_samples, n_features)
        The samples, TF-IDF for instance.
    queries : matrix of shape (n_labels, n_features), or dict
        A row a label, all zeros for a label without a query; or, by position or name
        of the label, matrices of one row or more, of which the mean direction counts.
    labels : MaskedLabels or any other form of labels, default=None
        What is labeled so far, of shape (n_samples, n_labels). If None, nothing; the
        names of a dict name the labels then.
    n_cells : int, default=100
        How many cells.
    random_share : float, default=0.0
        Share of cells left to chance, with recorded propensities.
    max_per_label, max_per_sample : default=None
        As in :func:`query_cells`.
    max_similarity : float, default=0.9
        No two cells of a label have rows of X with a larger cosine; 1 allows all.
    random_state : int, RandomState, Generator or None, default=None
        Decides random cells, and between cells of equal cosine.

    Returns
    -------
    CellTable of at most n_cells rows
        As of :func:`query_cells`: `utility` is the cosine, `probability` NaN, `reason`
        "similar" or "random".

    Raises
    ------
    ValueError
        If a query has no such label, another number of features, or no feature at
        all; or a parameter has another value.

    Warns
    -----
    FewerCellsWarning
        If too few samples share a feature with the queries of their label.

    See Also
    --------
    query_cells : The next cells, by a model.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_masked.annotation import seed_cells
    >>> texts = ["the war goes on", "a thief was arrested", "rain and sun"]
    >>> vectorizer = TfidfVectorizer()
    >>> X = vectorizer.fit_transform(texts)
    >>> queries = {
    ...     "conflict": vectorizer.transform(["war battle"]),
    ...     "crime": vectorizer.transform(["thief", "arrested for robbery"]),
    ... }
    >>> table = seed_cells(X, queries, n_cells=2)
    >>> table["sample"], table.label_names[table["label"]]
    (array([1, 0]), array(['crime', 'conflict'], dtype=object))
    """
    check_same_rows(X=X, labels=labels)
    features = column_names(X)
    X = _matrix(X, "X")
    labels = _labels(labels, X, queries)
    _check_names(queries, labels, features)
    directions = query_directions(queries, labels, X.shape[1])
    check_count(n_cells, "n_cells")
    _check_share(random_share)
    quota = label_quotas(max_per_label, n_cells, labels)
    if max_per_sample is not None:
        check_count(max_per_sample, "max_per_sample")
    choice = Choice(
        quota,
        max_per_sample,
        labels.n_labels,
        similar_rows(X, max_similarity, len(labels)),
    )
    rng = as_generator(random_state)
    seed = int(rng.integers(2**63))
    drawn = draw_random(
        labels, round(n_cells * random_share), max_per_label, quota, rng
    )
    choice.note(drawn["sample"], drawn["label"])
    pool = _similar_cells(X, directions, labels, n_cells, max_per_sample, seed)
    found = _take_turns(pool, labels, choice, n_cells - len(drawn["sample"]))
    n_found = len(found["sample"]) + len(drawn["sample"])
    if n_found < n_cells:
        warnings.warn(
            f"{n_cells} cells were asked for, and {n_found} unlabeled ones were found "
            "that share a feature with the query of their label, within the quotas "
            "and the diversity.",
            FewerCellsWarning,
            stacklevel=2,
        )
    return query_table([drawn, found], labels.label_names)


def seed_samples(
    X: MatrixLike,
    queries: Any,
    labels: MaskedLabels | None = None,
    *,
    n_samples: int = 20,
    max_labels: int = 9,
    random_share: float = 0.0,
    random_state: RandomState = None,
) -> CellTable:
    """Choose the first samples without a model, each with several labels to answer.

    The samples are those of :func:`seed_cells`, one cell of each. It is shown with the
    unlabeled cells of its sample that have the largest cosine with the query of their
    label; their reason is "likely".

    Parameters
    ----------
    X, queries, labels, random_share, random_state : see seed_cells
        With `random_share` a share of the samples.
    n_samples : int, default=20
        Samples to choose.
    max_labels : int, default=9
        Labels to show with a sample at most.

    Returns
    -------
    CellTable
        As of :func:`seed_cells`, with the cells of a sample next to each other.

    Raises
    ------
    ValueError
        As in :func:`seed_cells`.

    Warns
    -----
    FewerCellsWarning
        If too few samples share a feature with the queries.

    See Also
    --------
    query_samples : The next samples, by a model.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn_masked.annotation import seed_samples
    >>> texts = ["the war goes on", "a thief was arrested", "rain and sun"]
    >>> vectorizer = TfidfVectorizer()
    >>> X = vectorizer.fit_transform(texts)
    >>> queries = {
    ...     "conflict": vectorizer.transform(["war battle"]),
    ...     "crime": vectorizer.transform(["thief", "arrested for robbery"]),
    ... }
    >>> table = seed_samples(X, queries, n_samples=1)
    >>> table["sample"], table.label_names[table["label"]]
    (array([1, 1]), array(['crime', 'conflict'], dtype=object))
    >>> table["reason"].tolist()
    ['similar', 'likely']
    """
    check_count(n_samples, "n_samples")
    check_count(max_labels, "max_labels")
    rng = as_generator(random_state)
    check_same_rows(X=X, labels=labels)
    features = column_names(X)
    X = _matrix(X, "X")
    labels = _labels(labels, X, queries)._without_row_ids()
    _check_names(queries, labels, features)
    cells = seed_cells(
        X,
        queries,
        labels,
        n_cells=n_samples,
        random_share=random_share,
        max_per_sample=1,
        random_state=rng,
    )
    rows = np.unique(cells["sample"])
    cosine = _cosines(X[rows], query_directions(queries, labels, X.shape[1]))
    free = [unlabeled_mask(labels, row, row + 1)[0] for row in rows.tolist()]
    # Where no word says anything, chance decides, and not the order of the labels.
    chance = np.maximum(cosine, 1e-9 * rng.random(cosine.shape))
    some = SampleRows(rows, chance, cosine, np.reshape(free, cosine.shape))
    screens = Screens(labels, len(rows), max_labels, 1, None)
    found = screens.around(cells, some, "utility")
    return query_table(found, labels.label_names)


def _check_names(queries, labels, features):
    """Raise unless queries given as data frames have the names of what they query."""
    frames = queries.values() if isinstance(queries, dict) else [queries]
    for frame in frames:
        check_same_columns(frame, features, "queries", "`X`", "feature")
    if is_table(queries) and hasattr(queries, "index"):
        rows = entry_names(queries.iloc[:, 0])
        check_same_names(rows, labels.label_names, "queries", "`labels`")


def _matrix(X, name):
    """Return sparse X as CSR, and anything else as a 2-D array of floats."""
    X = X.tocsr() if sp.issparse(X) else np.asarray(X)
    if X.ndim != 2 or X.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` accepts a 2-D array or sparse matrix of numbers; got "
            f"{X.dtype} of shape {X.shape}."
        )
    if not np.isfinite(X.data if sp.issparse(X) else X).all():
        raise ValueError(f"`{name}` accepts finite numbers; got NaN or infinity.")
    return X


def _labels(labels, X, queries):
    """Return what is labeled so far, nothing if `labels` is None."""
    if labels is not None:
        return check_labels(labels, n_samples=X.shape[0])
    names = None
    if isinstance(queries, dict):
        n_labels = len(queries)
        if not all(isinstance(key, int | np.integer) for key in queries):
            names = list(queries)
    else:
        n_labels = _matrix(queries, "queries").shape[0]
    shape = (X.shape[0], n_labels)
    return MaskedLabels.from_cells([], [], [], shape=shape, label_names=names)


def query_directions(queries, labels, n_features):
    """Return the query of each label at length 1, dense or CSR, zeros without one."""
    if not isinstance(queries, dict):
        queries = _matrix(queries, "queries")
        if queries.shape[0] != labels.n_labels:
            raise ValueError(
                f"`queries` must have a row for each of the {labels.n_labels} labels; "
                f"got {queries.shape[0]} rows."
            )
        if queries.shape[1] != n_features:
            raise _other_features(queries, n_features, "")
        return sp.csr_array(_unit_rows(queries))
    none = sp.csr_array((1, n_features))
    rows = [none] * labels.n_labels
    for key, query in queries.items():
        col = _position(key, labels)
        query = _matrix(query, "queries")
        where = f" for label {key!r}"
        if query.shape[1] != n_features:
            raise _other_features(query, n_features, where)
        mean = _unit_rows(query).sum(axis=0).reshape(1, -1)
        rows[col] = sp.csr_array(_unit_rows(sp.csr_array(mean)))
        if not rows[col].nnz:
            raise ValueError(
                "`queries` accepts rows that have a feature of X; got none"
                f"{where}: words that the vectorizer does not know?"
            )
    return sp.vstack(rows, format="csr")


def _other_features(query, n_features, where):
    return ValueError(
        f"`queries` must have the {n_features} features of X; got "
        f"{query.shape[1]}{where}."
    )


def _position(key, labels):
    """Return the position of a label by its position or name."""
    names = [] if labels.label_names is None else labels.label_names.tolist()
    if key in names:
        return names.index(key)
    # Beside names that are integers an integer is a name.
    is_number = isinstance(key, int | np.integer)
    if is_number and not any(isinstance(name, Integral) for name in names):
        if 0 <= key < labels.n_labels:
            return int(key)
    known = [label_name(labels.label_names, j) for j in range(labels.n_labels)]
    raise ValueError(
        "`queries` accepts positions and names of labels, such as "
        f"{', '.join(known[:5])}; got {key!r}."
    )


def _check_share(share):
    real = isinstance(share, Real) and not isinstance(share, bool)
    if not real or not 0 <= share <= 1:
        raise ValueError(f"`random_share` accepts numbers from 0 to 1; got {share!r}.")


def _unit_rows(X):
    """Return rows at length 1; rows of zeros stay."""
    if sp.issparse(X):
        X = sp.csr_array(X, dtype=np.float64)
        lengths = np.sqrt(X.multiply(X).sum(axis=1))
        X.data = X.data / np.repeat(lengths, np.diff(X.indptr))
        X.eliminate_zeros()
        return X
    X = X.astype(np.float64)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(lengths == 0, 1, lengths)


class _Cosine:
    """What ranks the cells of a label: the cosine itself."""

    def utility(self, cosine):
        """Return the cosine."""
        return cosine


def _similar_cells(X, directions, labels, n_cells, per_sample, seed):
    """Return the unlabeled cells of the largest cosines, by label."""
    size = n_cells + (n_cells // per_sample if per_sample else 0)
    size = max(1, min(4 * size, len(labels)))
    shape = {"by_label": True, "per_row": None, "n_labels": labels.n_labels}
    pool = Pool(_Cosine(), size, **shape, seed=seed)
    step = max(1, BLOCK_CELLS // max(labels.n_labels, 1))
    for start in range(0, len(labels), step):
        cosine = _cosines(X[start : start + step], directions)
        free = unlabeled_mask(labels, start, start + len(cosine))
        pool.add(start, cosine, free & (cosine > 0))
    return pool.finish()


def _cosines(X, directions):
    """Return the cosine of each row with each direction, dense."""
    cosine = _unit_rows(X) @ directions.T
    return cosine.toarray() if sp.issparse(cosine) else np.asarray(cosine)


def _take_turns(cells, labels, choice, n_cells):
    """Return cells so that labels with few labeled cells come first, as columns."""
    if len(cells.rows):
        order, place = ranked(cells, cells.cols)
        cells, turn = cells.take(order), place + labels.n_labeled[cells.cols[order]]
        cells = cells.take(np.lexsort((cells.keys, -cells.utility, turn)))
    cells = cells.take(choice.choose(cells, n_cells))
    return {
        "sample": cells.rows,
        "label": cells.cols,
        "utility": cells.utility,
        "reason": "similar",
    }
