"""Which rows each copy holds, and what many copies say together."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from sklearn.utils import check_random_state

from ..._typing import LabelsLike, RandomState, Weights
from ...labels import (
    Cells,
    MaskedLabels,
    cell_weights,
    check_binary_labels,
    check_labels,
)
from ...labels.names import check_same_rows
from ..cells import is_one_dimensional

# Numbers worked on at a time, and copies side by side.
_BLOCK_NUMBERS = 1 << 21
_MOST_COPIES = 64
_ROUNDING = 1e-12


def rows_of_cells(
    y_true: LabelsLike, sample_weight: Weights, groups: ArrayLike | None = None
) -> np.ndarray:
    """Return the row, or the group, of each scored cell, counted from 0.

    They are counted in the order of the rows. Those without a labeled cell do not
    count at all, so that they change no draw.
    """
    labels, cells = as_labels(y_true)
    rows = labeled_rows(labels, cells, sample_weight)
    if groups is not None:
        check_same_rows(y_true=y_true, sample_weight=sample_weight, groups=groups)
        rows = group_codes(groups, len(labels), rows)[rows]
    _, first, codes = np.unique(rows, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]


def group_codes(
    groups: ArrayLike | None, n_samples: int, rows: np.ndarray
) -> np.ndarray:
    """Return the number of the group of each sample, -1 for rows that are not used.

    `rows` are the rows with a labeled cell, whose groups alone are read.
    """
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"`groups` accepts one value per sample, shape ({n_samples},); got shape "
            f"{groups.shape}."
        )
    used = np.unique(rows)
    values = groups[used].tolist()
    for row, value in zip(used, values, strict=True):
        if value is None or value != value:
            raise ValueError(
                "`groups` accepts a value for each sample with a labeled cell; got "
                f"{value!r} at sample {row}. Give a sample of no group one of its own."
            )
    numbers = {}
    codes = np.full(n_samples, -1)
    codes[used] = [numbers.setdefault(value, len(numbers)) for value in values]
    return codes


def as_labels(y_true: LabelsLike) -> tuple[MaskedLabels, Cells]:
    """Return labels of any form, a binary target as one column, and their cells."""
    if is_one_dimensional(y_true):
        labels = check_binary_labels(y_true)[0]
    else:
        labels = check_labels(y_true)
    return labels, labels.cells()


def labeled_rows(
    labels: MaskedLabels, cells: Cells, sample_weight: Weights
) -> np.ndarray:
    """Return the row of each labeled cell of a weight above 0."""
    weights = cell_weights(cells, sample_weight, labels)
    return cells.rows if weights is None else cells.rows[weights > 0]


def draws(
    n_rows: int, n_resamples: int, random_state: RandomState
) -> Iterator[np.ndarray]:
    """Yield the rows of each bootstrap sample."""
    random_state = check_random_state(random_state)
    for _ in range(n_resamples):
        yield random_state.randint(max(n_rows, 1), size=n_rows)


def multiplicities(
    n_rows: int, n_resamples: int, random_state: RandomState
) -> Iterator[np.ndarray]:
    """Yield arrays of shape (n_rows, n_copies): how often each copy holds each row."""
    drawn = draws(n_rows, n_resamples, random_state)
    for n_copies in block_sizes(n_rows, n_resamples):
        block = np.empty((n_copies, n_rows))
        for counts in block:
            counts[:] = np.bincount(next(drawn), minlength=n_rows)
        yield np.ascontiguousarray(block.T)


def block_sizes(n_rows: int, n_resamples: int) -> list[int]:
    """Return how many copies are worked on at a time."""
    size = max(8, min(_MOST_COPIES, _BLOCK_NUMBERS // max(1, n_rows)))
    return [min(size, n_resamples - at) for at in range(0, n_resamples, size)]


def shifted_ends(
    estimate: Any,
    replicates: Any,
    confidence_level: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    unbiased: Any = None,
    scale: float = 1.0,
) -> np.ndarray:
    """Return the ends of an interval: percentiles, moved by twice their bias.

    The replicates lie around the estimate as the estimate lies around the truth. Where
    they lie above it on average, their percentiles are off by that bias twice over.
    Given `unbiased`, an estimate of less bias, the percentiles lie around it, `scale`
    times as far apart. The interval is extended to contain the estimate.
    `replicates` has one row per replicate; NaN is skipped.
    """
    columns = replicates.reshape(len(replicates), -1)
    n_known, mean = _known(columns)
    estimate = np.ravel(estimate)
    center = 2 * estimate - mean if unbiased is None else np.ravel(unbiased)
    columns = np.sort(columns, axis=0)  # NaN last
    tail = (1 - confidence_level) / 2
    ends = [
        center + scale * (_quantile(columns, n_known, share) - mean)
        for share in (tail, 1 - tail)
    ]
    ends = _around(np.clip(ends, *bounds), estimate)
    return ends.reshape(2, *replicates.shape[1:])


def share_ends(
    estimate: Any,
    replicates: Any,
    confidence_level: float,
    least: tuple[int, int],
    unbiased: Any = None,
) -> np.ndarray:
    """Return the ends of the interval of a metric between 0 and 1.

    Wilson's interval of a share whose number of cells gives it the variance of the
    replicates, around `unbiased`, an estimate of less bias; without one, around the
    estimate less the bias of the replicates. It is extended to contain the estimate.
    Near 0 and 1 replicates vary too little for their percentiles to be an interval;
    at 0 and 1 they do not vary, and `least` is the number of cells. Copies of few
    cells vary less than the cells themselves do, by one part in `least`.
    """
    columns = replicates.reshape(len(replicates), -1)
    n_known, mean = _known(columns)
    estimate = np.ravel(estimate)
    center = 2 * estimate - mean if unbiased is None else np.ravel(unbiased)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.nansum((columns - mean) ** 2, axis=0)
        variance = np.where(n_known > 1, squares / (n_known - 1), np.nan)
        center = np.clip(center, 0.0, 1.0)
        spread = center * (1 - center)
        share = 1 - 1 / least
        if unbiased is not None:
            # Bias shrinks the range from the center to 1, and the variance with it.
            share = np.fmin(share, ((1 - estimate) / (1 - center)) ** 2)
        # A single row does not vary; NaN is then that of one cell.
        n_cells = np.fmax(spread / variance * share, 1.0)
        n_cells = np.where(spread < _ROUNDING, least, n_cells)
    ends = _around(wilson(center, n_cells, confidence_level), estimate)
    return np.where(np.isnan(variance), np.nan, ends).reshape(2, *replicates.shape[1:])


def _around(ends, estimate):
    """Extend intervals to contain their estimates."""
    low, high = ends
    return np.array([np.minimum(low, estimate), np.maximum(high, estimate)])


def wilson(share: np.ndarray, n_cells: Any, confidence_level: float) -> np.ndarray:
    """Return the ends of Wilson's interval of a share of `n_cells` cells."""
    square = ndtri((1 + confidence_level) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        part = square / n_cells
        center = (share + part / 2) / (1 + part)
        width = np.sqrt(part * share * (1 - share) + part**2 / 4) / (1 + part)
        # Whatever the rounding, the share lies between the ends.
        low = np.minimum(center - width, share)
        high = np.maximum(center + width, share)
    return np.clip([low, high], 0.0, 1.0)


def _known(columns):
    """Return how many values of each column are known, and their mean."""
    n_known = np.count_nonzero(~np.isnan(columns), axis=0)
    with np.errstate(invalid="ignore"):
        return n_known, np.nansum(columns, axis=0) / n_known


def _quantile(ordered, n_known, share):
    """Return numpy.nanquantile of sorted columns, without its loop over columns."""
    place = share * np.maximum(n_known - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(n_known - 1, 0))
    columns = np.arange(ordered.shape[1])
    low, high = ordered[below, columns], ordered[above, columns]
    return low + (place - below) * (high - low)


def check_resampling(n_resamples: int, confidence_level: float) -> None:
    """Raise for a number of replicates or a confidence level that is none."""
    if (
        not isinstance(n_resamples, Integral)
        or isinstance(n_resamples, bool)
        or n_resamples < 2
    ):
        raise ValueError(
            f"`n_resamples` accepts an integer, 2 or above; got {n_resamples!r}."
        )
    check_confidence_level(confidence_level)


def check_confidence_level(confidence_level: float) -> None:
    """Raise for a confidence level that is none."""
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise ValueError(
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            f"{confidence_level!r}."
        )
