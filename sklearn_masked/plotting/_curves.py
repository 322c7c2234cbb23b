"""The curves that the displays draw: of each label, and their mean."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from ..metrics import masked_average_precision_score, masked_roc_auc_score
from ..metrics.areas import average_precision, roc_auc
from ..metrics.bootstrap import (
    Replicates,
    check_resampling,
    multiplicities,
    shifted_ends,
)
from ._style import label_names

GRID = np.linspace(0, 1, 101)
_BLOCK_COPIES = 32
_ROUNDING = 1e-12


class Curve(NamedTuple):
    """One line of a picture, and how sure it is."""

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float
    low: float  # ends of the interval of the area; NaN without one
    high: float
    band: np.ndarray | None  # (2, 101): ends of the intervals of y along `GRID`


class Kind(NamedTuple):
    """The parts in which ROC and precision-recall curves differ."""

    metric: object  # the public metric of the area
    area: object  # the same of `ScoredCells`
    points: object  # scikit-learn's curve of one label, as x and y
    along: object  # the curves of many copies, at the points of `GRID`


def sorted_labels(cells):
    """Yield, of each label, its cells by decreasing score and the ends of its ties."""
    order = np.lexsort((-cells.scores.astype(np.float64), cells.cols))
    bounds = np.searchsorted(cells.cols[order], np.arange(cells.n_labels + 1))
    for start, stop in zip(bounds[:-1], bounds[1:], strict=True):
        own = order[start:stop]
        yield own, np.flatnonzero(np.diff(cells.scores[own], append=np.nan) != 0)


def label_curves(kind, cells, rows, *, confidence_level, n_resamples, random_state):
    """Return the `Curve` of each label, and that of their mean."""
    areas = kind.area(cells)
    sure = _Sure(kind, cells, rows, confidence_level)
    if confidence_level is not None:
        check_resampling(n_resamples, confidence_level)
        sure.draw(n_resamples, random_state)
    ends, macro_ends = sure.areas(areas)
    names = label_names(cells.names, cells.n_labels)
    curves, lines = [], []
    for label, (own, ties) in enumerate(sorted_labels(cells)):
        one = _OneLabel(cells, own, ties, rows)
        line = kind.along(one, np.ones((len(one.scores), 1)))[0]
        lines.append(line)
        band = sure.band(one, line)
        x, y = kind.points(one)
        area, low, high = map(float, (areas[label], *ends[:, label]))
        curves.append(Curve(names[label], x, y, area, low, high, band))
    line = np.mean(lines, axis=0)
    area, low, high = map(float, (areas.mean(), *macro_ends))
    band = sure.macro_band(line)
    return curves, Curve("macro average", GRID, line, area, low, high, band)


class _Sure:
    """How sure curves and areas are, from bootstrap samples of the rows."""

    def __init__(self, kind, cells, rows, confidence_level):
        self._kind, self._cells, self._rows = kind, cells, rows
        self._confidence_level = confidence_level
        self._copies = None
        self._ratio = 1.0  # of the mean area's bias to that of its copies
        self._total = self._count = 0.0  # of the labels' copies along `GRID`

    def draw(self, n_resamples, random_state):
        """Draw how often each sample holds each row."""
        n_rows = int(self._rows.max()) + 1
        blocks = multiplicities(n_rows, n_resamples, random_state)
        # Few rows are drawn often: a byte holds it, and 200 samples fit in memory.
        self._copies = np.concatenate(
            [block.astype(np.uint8) for block in blocks], axis=1
        )

    def areas(self, areas):
        """Return the ends of the intervals of the areas, and of their mean."""
        if self._copies is None:
            return np.full((2, len(areas)), np.nan), (np.nan, np.nan)
        n_rows = len(self._copies)
        prepared = Replicates(
            self._kind.metric, self._cells, self._rows, n_rows, {"average": None}
        )
        replicates = prepared.over(block.astype(np.float64) for block in self._blocks())
        means = _mean_of_known(replicates)
        level = self._confidence_level
        self._ratio = _bias_ratio(prepared, areas.mean(), means)
        return (
            prepared.ends(areas, replicates, level),
            prepared.ends(areas.mean(), means, level, "macro"),
        )

    def band(self, one, line):
        """Return the band of the curve of one label."""
        if self._copies is None:
            return None
        drawn = np.concatenate(
            [
                self._kind.along(one, block[one.rows].astype(np.float64))
                for block in self._blocks()
            ]
        )
        self._total = self._total + np.nan_to_num(drawn)
        self._count = self._count + ~np.isnan(drawn)
        return self._band(line, drawn)

    def macro_band(self, line):
        """Return the band of the mean of the curves that had theirs."""
        if self._copies is None:
            return None
        with np.errstate(invalid="ignore"):
            copies = self._total / self._count
            bias = self._ratio * (_mean_of_known(copies.T) - line)
        return self._band(line, copies, line - bias)

    def _band(self, estimate, replicates, unbiased=None):
        level = self._confidence_level
        return shifted_ends(estimate, replicates, level, (0.0, 1.0), unbiased)

    def _blocks(self):
        """Yield a few copies at a time."""
        for start in range(0, self._copies.shape[1], _BLOCK_COPIES):
            yield self._copies[:, start : start + _BLOCK_COPIES]


def _bias_ratio(prepared, area, copies):
    """Return the bias of copies over that of the mean area, clipped to 1 to 4."""
    unbiased, _ = prepared.unbiased(area, "macro")
    copied = np.nanmean(copies) - area if not np.isnan(copies).all() else 0.0
    if unbiased is None or not copied > 0:
        return 1.0
    return float(np.clip((area - unbiased) / copied, 1.0, 4.0))


def _mean_of_known(values):
    """Return the mean of each row, NaN skipped."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=1) / np.sum(~np.isnan(values), axis=1)


class _OneLabel:
    """The cells of one label by decreasing score."""

    def __init__(self, cells, own, ties, rows):
        self.positive, self.scores = cells.positive[own], cells.scores[own]
        self.weights = None if cells.weights is None else cells.weights[own]
        self.rows, self.ties = rows[own], ties

    def counts(self, multiplicity):
        """Return weights of positives and negatives along the curve, copy by copy."""
        if self.weights is not None:
            multiplicity = multiplicity * self.weights[:, None]
        kinds = (self.positive, ~self.positive)
        return [
            np.cumsum(multiplicity * kind[:, None], axis=0)[self.ties] for kind in kinds
        ]


def _roc_points(one):
    """Return the ROC curve of one label."""
    fpr, tpr, _ = roc_curve(one.positive, one.scores, sample_weight=one.weights)
    return fpr, tpr


def _roc_along(one, multiplicity):
    """Return true positive rates at the false positive rates of `GRID`."""
    start = np.zeros((1, multiplicity.shape[1]))
    true, false = (np.vstack([start, line]) for line in one.counts(multiplicity))
    with np.errstate(invalid="ignore"):
        true, false = true / true[-1], false / false[-1]
    lines = np.array(
        [np.interp(GRID, x, y) for x, y in zip(false.T, true.T, strict=True)]
    )
    lines[np.isnan(true[-1]) | np.isnan(false[-1])] = np.nan  # a class is missing
    return lines


def _precision_points(one):
    """Return recall and precision of one label, as the average precision sums them."""
    precision, recall, _ = precision_recall_curve(
        one.positive, one.scores, sample_weight=one.weights
    )
    return recall, precision


def _precision_along(one, multiplicity):
    """Return the precision at the first point that reaches each recall of `GRID`."""
    true, false = one.counts(multiplicity)
    lines = []
    for found, wrong in zip(true.T, false.T, strict=True):
        if not (found[-1] > 0 and wrong[-1] > 0):
            lines.append(np.full(len(GRID), np.nan))
            continue
        kept = found + wrong > 0  # a copy may lack the cells of highest score
        found, wrong = found[kept], wrong[kept]
        # A recall of 7 in 10 is to reach 0.7, whatever the rounding.
        first = np.searchsorted(found, GRID * found[-1] * (1 - _ROUNDING))
        lines.append((found / (found + wrong))[np.minimum(first, len(found) - 1)])
    return np.array(lines)


ROC = Kind(masked_roc_auc_score, roc_auc, _roc_points, _roc_along)
PRECISION_RECALL = Kind(
    masked_average_precision_score,
    average_precision,
    _precision_points,
    _precision_along,
)
