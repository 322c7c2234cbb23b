"""Sums over the cells of each label, of many copies at once."""

import numpy as np
import scipy.sparse as sp

from .._decisions import _check_zero_division
from ..cells import ScoredCells
from ..cells import balanced_accuracy as balanced
from ..cells import matthews_corrcoef as matthews
from ._draws import wilson

_MOST_SINGLE = 1 << 20  # cells whose counts single precision holds exactly


def exact_dtype(n_cells):
    """Return the smaller dtype that holds counts up to the number of cells exactly."""
    return np.float32 if n_cells <= _MOST_SINGLE else np.float64


class Sums:
    """Sums of cells by label, as sparse matrices of shape (n_labels, n_rows)."""

    def __init__(self, cells: ScoredCells, rows: np.ndarray, n_rows: int) -> None:
        self._cells, self._rows = cells, rows
        self._shape = (cells.n_labels, n_rows)

    def of(self, what: np.ndarray | None = None) -> sp.csr_array:
        """Return the matrix of a number per cell; of 1 if None."""
        cells = self._cells
        data = np.ones(len(cells.cols)) if what is None else what.astype(np.float64)
        if cells.weights is not None:
            data = data * cells.weights
        kept = data != 0
        places = cells.cols[kept], self._rows[kept]
        return sp.csr_array((data[kept], places), shape=self._shape)


def count_rows(sums):
    """Return how many rows have a part in each label's sum."""
    return np.diff(sums.indptr).astype(np.float64)


class Counts:
    """Numbers of cells of each label, which decide whether it can be scored."""

    def __init__(self, cells, rows, n_rows, limits):
        self._limits = limits
        self._dtype = exact_dtype(len(rows))
        sums = Sums(cells._replace(weights=None), rows, n_rows)
        self._positive = sums.of(cells.positive).astype(self._dtype)
        self._negative = sums.of(~cells.positive).astype(self._dtype)

    def scored(self, multiplicity):
        """Return, per label and copy, whether it can be scored."""
        multiplicity = multiplicity.astype(self._dtype)
        n_positive = self._positive @ multiplicity
        n_negative = self._negative @ multiplicity
        return (
            (n_positive >= self._limits.min_positive)
            & (n_negative >= self._limits.min_negative)
            & (n_positive + n_negative > 0)
        )


class _Mean:
    """Mean over the cells of each label."""

    def __init__(self, cells, rows, n_rows, losses):
        sums = Sums(cells, rows, n_rows)
        self._losses, self._cells = sums.of(losses), sums.of()
        self.least = count_rows(self._cells)

    def __call__(self, multiplicity):
        with np.errstate(invalid="ignore"):
            return (self._losses @ multiplicity) / (self._cells @ multiplicity)


def log_loss(cells, rows, n_rows, options):
    """Prepare the log loss, clipped as the metric itself clips."""
    proba = cells.scores
    epsilon = np.finfo(proba.dtype).eps
    hit = np.clip(np.where(cells.positive, proba, 1 - proba), epsilon, 1 - epsilon)
    return _Mean(cells, rows, n_rows, -np.log(hit.astype(np.float64)))


def brier_score(cells, rows, n_rows, options):
    """Prepare the Brier score."""
    error = cells.scores.astype(np.float64) - cells.positive
    return _Mean(cells, rows, n_rows, error * error)


class _FBeta:
    """F-beta score of each label; precision and recall are its two ends."""

    def __init__(self, cells, rows, n_rows, beta, filler):
        sums = Sums(cells, rows, n_rows)
        decided = cells.scores == 1
        self._hit = sums.of(cells.positive & decided)
        self._positive, self._decided = sums.of(cells.positive), sums.of(decided)
        # F-beta = hits / (share of the positives + share of the decided).
        self._share = 1.0 if np.isposinf(beta) else beta**2 / (1 + beta**2)
        self._filler = filler
        self.least = self._share * count_rows(self._positive)
        self.least += (1 - self._share) * count_rows(self._decided)

    def __call__(self, multiplicity):
        positive = self._share * (self._positive @ multiplicity)
        divisor = positive + (1 - self._share) * (self._decided @ multiplicity)
        values = np.full(divisor.shape, self._filler)
        hit = self._hit @ multiplicity
        return np.divide(hit, divisor, out=values, where=divisor != 0)


def fbeta(beta=None):
    """Return the function that prepares an F-beta score."""

    def prepare(cells, rows, n_rows, options):
        filler = _check_zero_division(options["zero_division"])
        given = options["beta"] if beta is None else beta
        return _FBeta(cells, rows, n_rows, float(given), filler)

    return prepare


class _Confusion:
    """A function of the four counts of decisions and truths."""

    def __init__(self, cells, rows, n_rows, function):
        sums = Sums(cells, rows, n_rows)
        decided = cells.scores == 1
        self._counts = [
            sums.of(truth & decision)
            for truth, decision in [
                (cells.positive, decided),
                (~cells.positive, decided),
                (cells.positive, ~decided),
                (~cells.positive, ~decided),
            ]
        ]
        self._function = function
        truths = cells.positive, ~cells.positive
        # As for the ROC AUC: the class with fewer cells decides.
        self.least = np.minimum(*(count_rows(sums.of(truth)) for truth in truths))

    def __call__(self, multiplicity):
        return self._function(*(count @ multiplicity for count in self._counts))


class _Balanced(_Confusion):
    """Balanced accuracy, of which chance is 0 if it is adjusted."""

    def __init__(self, cells, rows, n_rows, adjusted):
        super().__init__(cells, rows, n_rows, balanced)
        sums = Sums(cells, rows, n_rows)
        truths = cells.positive, ~cells.positive
        self._n_rows = np.array([count_rows(sums.of(truth)) for truth in truths])
        self._adjusted = adjusted

    def __call__(self, multiplicity):
        values = super().__call__(multiplicity)
        return 2 * values - 1 if self._adjusted else values

    def extend(self, ends, confidence_level):
        """Extend intervals to those that follow from Wilson's of both recalls.

        Where all, or no, cells of a class are decided right, copies of them say that
        its recall does not vary (MOVER, Zou and Donner 2008).
        """
        tp, fp, fn, tn = (count.sum(axis=1) for count in self._counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = np.array([tp / (tp + fn), tn / (tn + fp)])
            low, high = wilson(shares, self._n_rows, confidence_level)
            away = np.sqrt([((shares - end) ** 2).sum(axis=0) for end in (low, high)])
        center = shares.mean(axis=0)
        own = np.array([center - away[0] / 2, center + away[1] / 2])
        own = (2 * own - 1 if self._adjusted else own).reshape(np.shape(ends))
        return np.array([np.minimum(ends[0], own[0]), np.maximum(ends[1], own[1])])


def balanced_accuracy(cells, rows, n_rows, options):
    """Prepare the balanced accuracy."""
    return _Balanced(cells, rows, n_rows, options["adjusted"])


def matthews_corrcoef(cells, rows, n_rows, options):
    """Prepare the Matthews correlation."""
    return _Confusion(cells, rows, n_rows, matthews)
