"""Which rows each copy holds, and what many copies say together."""

from numbers import Integral, Real

import numpy as np
from scipy.special import ndtri
from sklearn.utils import check_random_state

from ...labels import cell_weights, check_binary_labels, check_labels
from .._cells import is_one_dimensional

# Numbers worked on at a time, and copies side by side.
_BLOCK_NUMBERS = 1 << 21
_MOST_COPIES = 64
_ROUNDING = 1e-12


def rows_of_cells(y_true, sample_weight):
    """Return the row of each scored cell, counted among the rows that have one.

    Rows without a labeled cell do not count at all, so that they change no draw.
    """
    rows = labeled_rows(*as_labels(y_true), sample_weight)
    return np.unique(rows, return_inverse=True)[1]


def as_labels(y_true):
    """Return labels of any form, a binary target as one column, and their cells."""
    if is_one_dimensional(y_true):
        labels = check_binary_labels(y_true)[0]
    else:
        labels = check_labels(y_true)
    return labels, labels.cells()


def labeled_rows(labels, cells, sample_weight):
    """Return the row of each labeled cell of a weight above 0."""
    weights = cell_weights(cells, sample_weight, labels)
    return cells.rows if weights is None else cells.rows[weights > 0]


def draws(n_rows, n_resamples, random_state):
    """Yield the rows of each bootstrap sample."""
    random_state = check_random_state(random_state)
    for _ in range(n_resamples):
        yield random_state.randint(max(n_rows, 1), size=n_rows)


def multiplicities(n_rows, n_resamples, random_state):
    """Yield arrays of shape (n_rows, n_copies): how often each copy holds each row."""
    drawn = draws(n_rows, n_resamples, random_state)
    for n_copies in block_sizes(n_rows, n_resamples):
        block = np.empty((n_copies, n_rows))
        for counts in block:
            counts[:] = np.bincount(next(drawn), minlength=n_rows)
        yield np.ascontiguousarray(block.T)


def block_sizes(n_rows, n_resamples):
    """Return how many copies are worked on at a time."""
    size = max(8, min(_MOST_COPIES, _BLOCK_NUMBERS // max(1, n_rows)))
    return [min(size, n_resamples - at) for at in range(0, n_resamples, size)]


def shifted_ends(estimate, replicates, confidence_level, bounds=(-np.inf, np.inf)):
    """Return the ends of an interval: percentiles, moved by twice their bias.

    The replicates lie around the estimate as the estimate lies around the truth. Where
    they lie above it on average, their percentiles are off by that bias twice over.
    `replicates` has one row a replicate; NaN is skipped.
    """
    columns = replicates.reshape(len(replicates), -1)
    n_known, mean = _known(columns)
    shift = 2 * (mean - np.ravel(estimate))
    columns = np.sort(columns, axis=0)  # NaN last
    tail = (1 - confidence_level) / 2
    ends = [_quantile(columns, n_known, share) - shift for share in (tail, 1 - tail)]
    return np.clip(ends, *bounds).reshape(2, *replicates.shape[1:])


def share_ends(estimate, replicates, confidence_level, least):
    """Return the ends of the interval of a metric between 0 and 1.

    Wilson's interval of a share, of as many cells as make its variance that of the
    replicates, around the estimate less their bias. Near 0 and 1 replicates hardly
    vary, and their percentiles promise too much. At 0 and 1 they say nothing: there
    `least` cells stand behind the estimate. Copies of so few cells vary less than the
    cells themselves do, by one part in `least`.
    """
    columns = replicates.reshape(len(replicates), -1)
    n_known, mean = _known(columns)
    with np.errstate(invalid="ignore", divide="ignore"):
        squares = np.nansum((columns - mean) ** 2, axis=0)
        variance = np.where(n_known > 1, squares / (n_known - 1), np.nan)
        center = np.clip(2 * np.ravel(estimate) - mean, 0.0, 1.0)
        spread = center * (1 - center)
        # A single row does not vary; NaN is then that of one cell.
        n_cells = np.fmax(spread / variance * (1 - 1 / least), 1.0)
        n_cells = np.where(spread < _ROUNDING, least, n_cells)
    ends = wilson(center, n_cells, confidence_level)
    return np.where(np.isnan(variance), np.nan, ends).reshape(2, *replicates.shape[1:])


def wilson(share, n_cells, confidence_level):
    """Return the ends of Wilson's interval of a share of so many cells."""
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
    """Return the quantile of the first `n_known` of each column of ordered values.

    That of numpy.nanquantile, which loops over columns.
    """
    place = share * np.maximum(n_known - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(n_known - 1, 0))
    columns = np.arange(ordered.shape[1])
    low, high = ordered[below, columns], ordered[above, columns]
    return low + (place - below) * (high - low)


def check_resampling(n_resamples, confidence_level):
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


def check_confidence_level(confidence_level):
    """Raise for a confidence level that is none."""
    if not isinstance(confidence_level, Real) or not 0 < confidence_level < 1:
        raise ValueError(
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            f"{confidence_level!r}."
        )
