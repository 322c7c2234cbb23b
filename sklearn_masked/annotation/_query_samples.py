"""Which samples to show next, each with several labels to be answered at once."""

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._typing import LabelsLike, MatrixLike
from ..exceptions import FewerCellsWarning
from ..labels import check_labels
from ..labels.names import check_same_rows
from ._blocks import BLOCK_CELLS, iter_proba, unlabeled_mask
from ._query import check_count, label_quotas, similar_rows
from ._random import as_generator, cell_keys, draw_random
from ._strategies import (
    DEFAULT_STRATEGIES,
    STRATEGIES,
    default_shares,
    parse_strategy,
)
from ._table import CellTable, query_table

# Candidate samples: a number per sample to be chosen, and a number at least, shared
# among the labels so that memory follows labels times candidates.
_SPARE, _FEWEST = 20, 2000
# A random number below 1 times this decides between equal utilities, and no others.
_TIE = 1e-9


def query_samples(
    proba: ArrayLike | None,
    labels: LabelsLike,
    *,
    n_samples: int = 20,
    max_labels: int = 9,
    strategy: str | dict[str, Any] = "default",
    reading_cost: float | ArrayLike = 0.0,
    X: MatrixLike = None,
    max_similarity: float = 0.9,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> CellTable:
    """Choose samples, and the labels to answer while each of them is read once.

    Reading a sample costs a person more than answering for one label of it. A sample
    is shown with those of its unlabeled cells that have the largest probabilities, and
    samples are ranked by the sum of the utilities of these cells minus the cost of
    reading. As in :func:`query_cells`, each label gets an even share of the cells:
    where there are more labels than fit, a label that has had its share is shown no
    more.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_labels), memory map, iterator or None
        Probabilities of positives, as in :func:`query_cells`. None draws samples and
        their labels at random.
    labels : MaskedLabels or any other form of labels
        What is labeled so far, of shape (n_samples, n_labels).
    n_samples : int, default=20
        Samples to choose.
    max_labels : int, default=9
        Labels to show with a sample at most.
    strategy : str or dict, default="default"
        As in :func:`query_cells`; shares are shares of the samples. A sample of
        "random" is that of a random cell, which is shown with the likeliest labels
        of its sample beside it; these have the reason "likely".
    reading_cost : float or array-like of shape (n_samples,), default=0.0
        Cost of reading each sample, in units of utility: for "default" and
        "uncertain", a cell with probability 1/2 is worth 1. A sample whose cells are
        worth less than its cost is not chosen. Random samples are drawn without
        regard to it.
    X : array-like or sparse matrix of shape (n_samples, n_features), default=None
        If given, no two samples chosen have rows of X that are near-duplicates,
        random ones excepted.
    max_similarity : float, default=0.9
        Cosine above which rows are near-duplicates.
    random_state : int, RandomState, Generator or None, default=None
        Decides random cells, and between equal utilities.

    Returns
    -------
    CellTable
        As of :func:`query_cells`, with the cells of a sample next to each other.

    Raises
    ------
    ValueError
        As in :func:`query_cells`.

    Warns
    -----
    FewerCellsWarning
        If fewer samples than asked for are worth their cost.

    See Also
    --------
    query_cells : The cells one by one.
    simulate : Compares both by what reading and keys cost.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.annotation import query_samples
    >>> labels = np.array([[1, np.nan, np.nan], [np.nan, 0, np.nan], [np.nan] * 3])
    >>> proba = np.array([[0.9, 0.4, 0.3], [0.0, 0.1, 0.0], [0.8, 0.1, 0.4]])
    >>> table = query_samples(
    ...     proba, labels, n_samples=2, max_labels=2, strategy="uncertain"
    ... )
    >>> table["sample"], table["label"]
    (array([0, 0, 2, 2]), array([1, 2, 0, 2]))
    """
    check_same_rows(X=X, labels=labels, proba=proba)
    labels = check_labels(labels)
    check_count(n_samples, "n_samples")
    check_count(max_labels, "max_labels")
    parts = parse_strategy(strategy, n_samples)
    known, shares = STRATEGIES, 1
    if strategy == "default":
        known, shares = DEFAULT_STRATEGIES, default_shares(labels)
    cost = _checked_cost(reading_cost, len(labels))
    similar = similar_rows(X, max_similarity, len(labels))
    rng = as_generator(random_state)
    if proba is None:
        drawn = _draw_samples(labels, n_samples, max_labels, rng)
        return finish_screens([drawn], labels, n_samples)
    seed = int(rng.integers(2**63))
    drawn = draw_random(labels, parts.pop("random", 0), None, None, rng)
    screens = Screens(labels, n_samples, max_labels, shares, similar)
    pools = {
        name: SamplePool(known[name](labels), screens, cost, seed) for name in parts
    }
    beside = GivenSamples(drawn["sample"], labels.n_labels)
    for start, block, free in iter_proba(proba, labels):
        for pool in (*pools.values(), beside):
            pool.add(start, block, free)
    cells = query_table([drawn], labels.label_names)
    found = screens.around(cells, beside.kept, "probability")
    n_wanted = n_samples - sum(parts.values())
    for name, pool in pools.items():
        n_wanted += parts[name]
        n_left = n_wanted - len(set(screens.taken))
        found += screens.choose(name, pool.finish(), cost, n_left)
    return finish_screens(found, labels, n_samples)


def _checked_cost(cost, n_samples):
    """Return the cost of reading each sample as float64."""
    try:
        costs = np.broadcast_to(np.asarray(cost, dtype=np.float64), n_samples)
        ok = np.isfinite(costs).all() and not isinstance(cost, bool)
    except (TypeError, ValueError):
        ok = False
    if not ok:
        one = isinstance(cost, Real | str)
        shown = repr(cost) if one else f"shape {np.shape(cost)}"
        raise ValueError(
            "`reading_cost` accepts a finite number, or one for each of the "
            f"{n_samples} samples; got {shown}."
        )
    return costs


def _draw_samples(labels, n_samples, max_labels, rng):
    """Return random labels of random samples as columns of a table.

    Samples with an unlabeled cell are drawn alike, and so are the unlabeled cells of
    a sample: the propensity of a cell follows.
    """
    step = max(1, BLOCK_CELLS // max(labels.n_labels, 1))
    parts = (
        unlabeled_mask(labels, start, min(start + step, len(labels))).any(axis=1)
        for start in range(0, len(labels), step)
    )
    open_ = np.flatnonzero(np.concatenate([*parts, np.zeros(0, bool)]))
    rows = rng.choice(open_, min(n_samples, len(open_)), replace=False)
    cells = []
    for row in rows.tolist():
        free = np.flatnonzero(unlabeled_mask(labels, row, row + 1)[0])
        cols = rng.choice(free, min(max_labels, len(free)), replace=False)
        propensity = len(rows) / len(open_) * len(cols) / len(free)
        cells += [(row, col, propensity) for col in cols.tolist()]
    return {
        "sample": np.array([row for row, _, _ in cells], dtype=np.intp),
        "label": np.array([col for _, col, _ in cells], dtype=np.intp),
        "propensity": [propensity for _, _, propensity in cells],
        "reason": "random",
    }


class SampleRows(NamedTuple):
    """Samples with all of their cells, in parallel arrays."""

    rows: np.ndarray  # (n,)
    proba: np.ndarray  # (n, n_labels)
    utility: np.ndarray  # (n, n_labels), 0 where labeled
    free: np.ndarray  # (n, n_labels)

    def take(self, which):
        return SampleRows(*(part[which] for part in self))


class GivenSamples:
    """Keep given samples."""

    def __init__(self, rows, n_labels):
        self.rows = np.unique(rows)
        none = np.empty((0, n_labels))
        self.kept = SampleRows(self.rows[:0], none, none, none.astype(bool))

    def add(self, start, proba, free):
        """Look at a block of samples."""
        which = self.rows[(self.rows >= start) & (self.rows < start + len(proba))]
        if len(which):
            at = which - start
            found = SampleRows(which, proba[at], np.zeros_like(proba[at]), free[at])
            self.kept = _joined(self.kept, found)


class SamplePool:
    """Keep the samples that may be chosen: the best by their sum, and of each label.

    What is kept does not depend on how the samples are cut into blocks.
    """

    def __init__(self, strategy, screens, cost, seed):
        self.strategy, self.screens = strategy, screens
        self.cost, self.seed = cost, seed
        self.size = max(_FEWEST, _SPARE * screens.n_samples)
        self.per_label = max(2, -(-self.size // screens.labels.n_labels))
        self.kept = None

    def add(self, start, proba, free):
        """Look at a block of samples."""
        rows = np.arange(start, start + len(proba))
        utility = np.where(free, self.strategy.utility(proba), 0).astype(np.float64)
        cols = np.arange(utility.shape[1])
        keys = cell_keys(rows[:, None], cols, len(cols), self.seed)
        utility += np.where(free, keys * (_TIE / 2**64), 0)
        found = SampleRows(rows, proba, utility, free).take(free.any(axis=1))
        self.kept = found if self.kept is None else _joined(self.kept, found)
        if len(self.kept.rows) > 2 * self.size:
            self.finish()

    def finish(self):
        """Return the samples that may be chosen."""
        if self.kept is not None and len(self.kept.rows) > self.size:
            self.kept = self.kept.take(self._best())
        return self.kept

    def _best(self):
        """Return where the samples are that are worth keeping."""
        best = np.zeros(len(self.kept.rows), bool)
        gain = self.screens.gain(self.kept) - self.cost[self.kept.rows]
        best[np.argsort(-gain, kind="stable")[: self.size]] = True
        utility = self.kept.utility
        if len(utility) > self.per_label:
            top = np.argpartition(-utility, self.per_label - 1, axis=0)
            top = top[: self.per_label]
            best[top[np.take_along_axis(utility, top, axis=0) > 0]] = True
        return best


def _joined(some, more):
    return SampleRows(*map(np.concatenate, zip(some, more, strict=True)))


class Screens:
    """Samples chosen so far with the labels that each is shown with."""

    def __init__(self, labels, n_samples, max_labels, shares, similar):
        self.labels, self.n_samples = labels, n_samples
        self.max_labels = min(max_labels, labels.n_labels)
        self.similar = similar
        self.taken = []
        n_cells = n_samples * self.max_labels
        self.room = np.full(labels.n_labels, n_samples)
        if self.max_labels < labels.n_labels:
            self.room = label_quotas("auto", n_cells, labels, shares)

    def shown(self, proba, free):
        """Return the columns that samples are shown with, and where these count."""
        chance = np.where(free & (self.room > 0), proba, -1.0)
        if self.max_labels < chance.shape[1]:
            cols = np.argpartition(-chance, self.max_labels - 1, axis=1)
            cols = cols[:, : self.max_labels]
        else:
            cols = np.broadcast_to(np.arange(chance.shape[1]), chance.shape)
        return cols, np.take_along_axis(chance, cols, axis=1) >= 0

    def gain(self, some):
        """Return the sum of the utilities that each sample is shown with."""
        cols, counts = self.shown(some.proba, some.free)
        utility = np.take_along_axis(some.utility, cols, axis=1)
        return np.where(counts, utility, 0).sum(axis=1)

    def around(self, cells, some, field):
        """Return cells with the likeliest others of their samples, as columns.

        Parameters
        ----------
        cells : CellTable
            Cells that were chosen already.
        some : SampleRows
            Their samples.
        field : {"probability", "utility"}
            The column of a table that `some.proba` belongs to.
        """
        found, at = [], {row: i for i, row in enumerate(some.rows.tolist())}
        for row in dict.fromkeys(cells["sample"].tolist()):
            mine = cells[cells["sample"] == row]
            chance, free = some.proba[at[row]], some.free[at[row]].copy()
            mine[field] = chance[mine["label"]]
            free[mine["label"]] = False
            cols, counts = self.shown(chance[None], free[None])
            cols = _likeliest_first(cols[0][counts[0]], chance)
            cols = cols[: max(0, self.max_labels - len(mine))]
            beside = {"sample": np.full(len(cols), row), "label": cols}
            beside |= {field: chance[cols], "reason": "likely"}
            found += [{name: mine[name] for name in mine.dtype.names}, beside]
            self._count(row, np.append(mine["label"], cols))
        return found

    def choose(self, name, some, cost, n_samples):
        """Return the best samples of a strategy as columns of a table."""
        found = []
        if some is None or not len(some.rows):
            return found
        left = ~np.isin(some.rows, self.taken)
        room = None
        while len(found) < n_samples:
            if room is None or ((self.room > 0) != room).any():
                room = self.room > 0
                value = self.gain(some) - cost[some.rows]
                has_cell = (some.free & room).any(axis=1)
            value = np.where(left & has_cell & (value >= 0), value, -np.inf)
            best = int(np.argmax(value))
            if value[best] == -np.inf:
                break
            left[best] = False
            row, proba = int(some.rows[best]), some.proba[best]
            if self.similar is not None and self.similar.any(row, self.taken):
                continue
            cols, counts = self.shown(proba[None], some.free[best][None])
            cols = _likeliest_first(cols[0][counts[0]], proba)
            found.append(
                {
                    "sample": np.full(len(cols), row),
                    "label": cols,
                    "probability": proba[cols],
                    "utility": some.utility[best][cols],
                    "reason": name,
                }
            )
            self._count(row, cols)
        return found

    def _count(self, row, cols):
        self.taken.append(row)
        self.room[cols] -= 1


def _likeliest_first(cols, proba):
    return cols[np.argsort(-proba[cols], kind="stable")]


def finish_screens(found, labels, n_samples):
    """Return the table, with a warning if it has fewer samples than asked for."""
    table = query_table(found, labels.label_names)
    n_found = len(np.unique(table["sample"]))
    if n_found < n_samples:
        warnings.warn(
            f"{n_samples} samples were asked for, and {n_found} with an unlabeled cell "
            "were found that are worth their cost.",
            FewerCellsWarning,
            stacklevel=3,
        )
    return table
