"""Which cells to label next."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from .._typing import LabelsLike, MatrixLike
from ..exceptions import FewerCellsWarning
from ..labels import check_labels
from ..labels.names import check_same_names, check_same_rows, entry_names
from ._blocks import iter_proba
from ._candidates import Pool, ranked
from ._quotas import Choice, Similar
from ._random import as_generator, draw_random
from ._strategies import (
    DEFAULT_STRATEGIES,
    STRATEGIES,
    default_shares,
    parse_strategy,
)
from ._table import CellTable, query_table

# With diversity, candidates a cell: more near-duplicates than that are not passed.
_SPARE = 4


def query_cells(
    proba: ArrayLike | None,
    labels: LabelsLike,
    *,
    n_cells: int = 100,
    strategy: str | dict[str, Any] = "default",
    max_per_label: int | ArrayLike | None = "auto",
    max_per_sample: int | None = None,
    X: MatrixLike = None,
    max_similarity: float = 0.9,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CellTable:
    """Choose the unlabeled cells that are worth labeling next.

    One pass over `proba`, by blocks of rows: memory follows `n_cells`, never the
    number of cells. A labeled cell is never chosen, and what `proba` holds there is
    not read. The result depends on `random_state` alone, not on the blocks.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_labels), memory map, iterator or None
        Probabilities of positives. An iterator gives (slice of rows, array) tuples
        whose rows follow one another. None for ``strategy="random"``.
    labels : MaskedLabels or any other form of labels
        What is labeled so far, of shape (n_samples, n_labels).
    n_cells : int, default=100
        How many cells.
    strategy : str or dict, default="default"
        A name, or shares by name, as in ``{"uncertain": 0.8, "random": 0.2}``.

        - "likely_positive", "likely_negative": candidates to confirm or deny;
        - "uncertain": probabilities near 1/2;
        - "deficit": the labels that are short of positives, or of negatives, first:
          their likeliest cells of that kind;
        - "expected_gain": the largest expected fall of the variance of the labels'
          ranking, 1 / positives + 1 / negatives;
        - "random": chance, with recorded propensities: cells for unbiased estimates;
        - "default": four fifths "uncertain", one fifth "random". While a label
          has few positives, its probabilities are low, and the most uncertain cells
          are its likeliest positives; later they are the tricky ones. In labels of
          which no positive, or no negative, is known, utilities count in steps of a
          factor of two, so that chance decides where a model has nothing to say.

        "random" is drawn first, the others in their order; what one cannot fill goes
        to the next.
    max_per_label : int, array-like of shape (n_labels,), "auto" or None, default="auto"
        Cells of one label at most. "auto" is an even share, rounded up, and more only
        where labels have too few unlabeled cells left; by default, labels with one to
        three positives (or negatives, if these are fewer) have twice the share of the
        others. Random cells are drawn without regard to it. Within given numbers,
        random cells are shared among labels by their unlabeled cells.
    max_per_sample : int, default=None
        Cells of one sample at most. Random cells are drawn without regard to it.
    X : array-like or sparse matrix of shape (n_samples, n_features), default=None
        If given, no two cells of a label have rows of X that are near-duplicates,
        random cells excepted.
    max_similarity : float, default=0.9
        Cosine above which rows are near-duplicates.
    random_state : int, RandomState, Generator or None, default=None
        Decides random cells, and between cells of equal utility.

    Returns
    -------
    CellTable of at most n_cells rows
        A structured array, with :meth:`CellTable.to_frame`. Its fields:

        - `sample`, `label` (intp): positions of the cell;
        - `probability` (float64): of a positive, from `proba`;
        - `utility` (float64): what the strategy ranks by, NaN for random cells;
        - `propensity` (float64): probability with which chance chose the cell, NaN
          for other cells. Weights of 1 / propensity make estimates over the cells
          with reason "random" unbiased for all cells unlabeled now, of labels with a
          quota above 0;
        - `reason` (str): the strategy that chose it.

    Raises
    ------
    ValueError
        If a probability of an unlabeled cell is NaN or outside [0, 1], a shape does
        not fit, or a parameter has another value.
    TypeError
        If `proba` or `strategy` is of another type.

    Warns
    -----
    FewerCellsWarning
        If there are fewer cells than asked for.

    See Also
    --------
    seed_cells : The first cells, without a model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.annotation import query_cells
    >>> labels = np.array([[1, np.nan], [np.nan, 0], [np.nan, np.nan]])
    >>> proba = np.array([[0.9, 0.45], [0.6, 0.1], [0.8, 0.7]])
    >>> table = query_cells(proba, labels, n_cells=2, strategy="uncertain")
    >>> table["sample"], table["label"], table["probability"]
    (array([0, 1]), array([1, 0]), array([0.45, 0.6 ]))
    """
    check_same_rows(X=X, labels=labels, proba=proba)
    labels = check_labels(labels)
    check_count(n_cells, "n_cells")
    parts = parse_strategy(strategy, n_cells)
    known, shares = STRATEGIES, 1
    if strategy == "default":
        known, shares = DEFAULT_STRATEGIES, default_shares(labels)
    label_quota = label_quotas(max_per_label, n_cells, labels, shares)
    if max_per_sample is not None:
        check_count(max_per_sample, "max_per_sample")
    similar = similar_rows(X, max_similarity, len(labels))
    rng = as_generator(random_state)
    seed = int(rng.integers(2**63))
    drawn = draw_random(labels, parts.pop("random", 0), max_per_label, label_quota, rng)
    pools = {
        name: _pool(
            known[name](labels),
            labels,
            n_cells,
            max_per_label,
            label_quota,
            max_per_sample,
            X,
            seed,
        )
        for name in parts
    }
    if proba is None and pools:
        raise TypeError(
            "`proba` accepts None for strategy='random' alone; got None for "
            f"{strategy!r}."
        )
    if proba is not None:
        _read(proba, labels, pools.values(), drawn)
    choice = Choice(label_quota, max_per_sample, labels.n_labels, similar)
    choice.note(drawn["sample"], drawn["label"])
    found, n_found = [drawn], len(drawn["sample"])
    n_wanted = n_cells - sum(parts.values())
    for name, pool in pools.items():
        n_wanted += parts[name]
        found.append(_best(name, pool, choice, n_wanted - n_found))
        n_found += len(found[-1]["sample"])
    if n_found < n_cells:
        warnings.warn(
            f"{n_cells} cells were asked for, and {n_found} unlabeled ones were found "
            "within the quotas and the diversity.",
            FewerCellsWarning,
            stacklevel=2,
        )
    return query_table(found, labels.label_names)


def check_count(value, name, least=1):
    """Raise if a parameter is no integer from `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"`{name}` accepts integers from {least}; got {value!r}.")


def label_quotas(max_per_label, n_cells, labels, shares=1):
    """Return how many cells each label may get, n_cells at most.

    `shares` says how "auto" shares them among the labels, all alike or one by one.
    """
    n_labels = labels.n_labels
    if max_per_label is None:
        return np.full(n_labels, n_cells)
    if isinstance(max_per_label, str) and max_per_label == "auto":
        return _shared(n_cells, labels, np.broadcast_to(shares, n_labels))
    check_same_names(
        entry_names(max_per_label), labels.label_names, "max_per_label", "`labels`"
    )
    quota = np.asarray(max_per_label)
    if quota.dtype.kind not in "iu" or (quota < 0).any():
        raise ValueError(
            '`max_per_label` accepts "auto", None, or integers from 0, one for all '
            f"labels or one for each; got {max_per_label!r}."
        )
    if quota.shape not in ((), (n_labels,)):
        raise ValueError(
            f"`max_per_label` accepts one integer or one for each of the {n_labels} "
            f"labels; got shape {quota.shape}."
        )
    return np.minimum(np.broadcast_to(quota, n_labels), n_cells)


def _shared(n_cells, labels, shares):
    """Return the quotas, doubled until the labels' unlabeled cells suffice."""
    n_free = len(labels) - labels.n_labeled
    enough = min(n_cells, int(n_free.sum()))
    quota = np.maximum(1, -(-n_cells * shares // max(shares.sum(), 1)))
    while np.minimum(quota, n_free).sum() < enough:
        quota = 2 * quota
    return np.minimum(quota, n_cells)


def similar_rows(X, max_similarity, n_samples):
    real = isinstance(max_similarity, Real) and not isinstance(max_similarity, bool)
    if not real or not 0 <= max_similarity <= 1:
        raise ValueError(
            "`max_similarity` accepts a cosine between 0 and 1; got "
            f"{max_similarity!r}."
        )
    if X is None:
        return None
    shape = X.shape if sp.issparse(X) else np.shape(X)
    if len(shape) != 2 or shape[0] != n_samples:
        raise ValueError(
            f"`X` must have 2 dimensions and the {n_samples} rows of `labels`; got "
            f"shape {shape}."
        )
    return Similar(X, max_similarity)


def _pool(strategy, labels, n_cells, by_label, label_quota, per_sample, X, seed):
    """Return a pool that holds all cells that can come to be chosen."""
    by_label = by_label is not None or strategy.wears_off
    if by_label:
        # Cells of a label that are passed over stand in samples that are full.
        size = label_quota.max() + (n_cells // per_sample if per_sample else 0)
    else:
        # Cells passed over were chosen before, or stand in samples full before.
        size = n_cells * (1 + (per_sample or 0))
    if X is not None:
        size *= _SPARE
    return Pool(
        strategy,
        int(max(1, min(size, labels.shape[0] * (1 if by_label else labels.n_labels)))),
        by_label=by_label,
        per_row=per_sample,
        n_labels=labels.n_labels,
        seed=seed,
    )


def _read(proba, labels, pools, drawn):
    """Show the pools every block, and look up the random cells."""
    for start, block, free in iter_proba(proba, labels):
        for pool in pools:
            pool.add(start, block, free)
        rows = drawn["sample"] - start
        here = np.flatnonzero((rows >= 0) & (rows < len(block)))
        if len(here):
            drawn["probability"][here] = block[rows[here], drawn["label"][here]]


def _best(name, pool, choice, n_cells):
    """Return the best cells of a strategy as columns of a table."""
    cells = pool.finish()
    if pool.strategy.wears_off and len(cells.rows):
        order, place = ranked(cells, cells.cols)
        cells = cells.take(order)
        worn = pool.strategy.worn_off(cells.utility, cells.proba, cells.cols, place)
        cells = cells._replace(utility=worn)
    order = np.lexsort((cells.keys, -cells.utility))
    chosen = cells.take(order)
    chosen = chosen.take(choice.choose(chosen, n_cells))
    return {
        "sample": chosen.rows,
        "label": chosen.cols,
        "probability": chosen.proba,
        "utility": chosen.utility,
        "reason": name,
    }
