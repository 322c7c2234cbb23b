"""Reliability diagrams: how often what was given a probability comes true."""

from numbers import Integral
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from .._typing import LabelsLike, MatrixLike, Weights
from ..metrics.bootstrap import Sums, check_confidence_level, wilson
from ._cells import drawn_cells, estimator_cells
from ._curves import sorted_labels
from ._style import (
    AVERAGE,
    BACKGROUND,
    FEW,
    MARKERS,
    label_names,
    line_style,
    new_axes,
    place_legend,
    shorten,
    unit_axes,
)


class Reliability(NamedTuple):
    """The bins of one line that hold a cell, each array of shape (n_bins,)."""

    name: str
    prob_pred: np.ndarray  # mean probability
    prob_true: np.ndarray  # share of positives
    weight: np.ndarray  # of the cells; their number without weights
    interval: np.ndarray | None  # (2, n_bins): ends of the intervals of `prob_true`


class MaskedCalibrationDisplay:
    """Reliability diagram: the share of positives against the probability.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. The bins are
    those of :func:`~sklearn_masked.calibration.masked_calibration_curve`; empty ones
    are left out. Where positives were sought, the labeled cells show more of them
    than other traffic will: weights of cells can make up for it.

    Parameters
    ----------
    pooled : Reliability
        The cells of all labels in one: `name`, `prob_pred`, `prob_true`, `weight`
        and `interval` (of `prob_true`, shape (2, n_bins), or None).
    lines : list of Reliability
        One per label.
    confidence_level : float or None, default=None
        Of the intervals.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the diagram.
    figure_ : matplotlib figure
        With the axes.

    Notes
    -----
    The intervals are Wilson's, which have a width where all cells of a bin are of one
    class too. The number of cells that they count with is what makes their variance
    that of the rows of the bin, since the cells of a row depend on each other; at
    least the number of rows, at most that of cells, both Kish's effective numbers
    where cells have weights.

    Examples
    --------
    >>> from sklearn_masked.plotting import MaskedCalibrationDisplay
    >>> y_true = [[1, None], [0, 1], [None, 0], [1, 1]]
    >>> y_proba = [[0.9, 0.5], [0.2, 0.7], [0.5, 0.1], [0.8, 0.4]]
    >>> display = MaskedCalibrationDisplay.from_predictions(y_true, y_proba, n_bins=2)
    >>> display.pooled.prob_true.round(2), display.pooled.prob_pred.round(2)
    (array([0.33, 1.  ]), array([0.23, 0.8 ]))
    """

    ax_: Any

    def __init__(
        self, *, pooled: Reliability, lines: Any, confidence_level: float | None = None
    ) -> None:
        self.pooled = pooled
        self.lines = lines
        self.confidence_level = confidence_level

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: LabelsLike,
        *,
        labels: Any = None,
        n_bins: int = 10,
        strategy: str = "uniform",
        sample_weight: Weights = None,
        confidence_level: float = 0.95,
        ax: Any = None,
    ) -> Self:
        """Draw the diagram of a fitted estimator.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            With `predict_proba`, which is asked for the rows with labeled cells.
        X : array-like, sparse matrix, data frame or list of length n_samples
            What it predicts from.
        y : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target.
        labels, n_bins, strategy, sample_weight, confidence_level, ax
            As in :meth:`from_predictions`.

        Returns
        -------
        display : MaskedCalibrationDisplay
            Drawn.
        """
        y, y_proba = estimator_cells(estimator, X, y, "predict_proba")
        binned = _Bins(n_bins, strategy, confidence_level)
        return cls._drawn(y, y_proba, labels, sample_weight, binned, ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: LabelsLike,
        y_proba: MatrixLike,
        *,
        labels: Any = None,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        sample_weight: Weights = None,
        confidence_level: float | None = 0.95,
        ax: Any = None,
    ) -> Self:
        """Draw the diagram of probabilities.

        Parameters
        ----------
        y_true : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target of shape
            (n_samples,).
        y_proba : array-like of shape (n_samples, n_labels), (n_cells,) or \
(n_samples,)
            Probabilities of the positive class: for each cell or for each labeled
            cell. What it holds in unlabeled cells is never read.
        labels : list of names or positions, default=None
            The labels to draw and to pool; None is all of them.
        n_bins : int, default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of one width, or, of each line, with as many cells in each.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
            Weights of rows or cells.
        confidence_level : float or None, default=0.95
            Of the intervals; None draws none.
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : MaskedCalibrationDisplay
            Drawn.

        Raises
        ------
        ValueError
            If no label to draw has a labeled cell, or an argument is not accepted.

        Warns
        -----
        UnscoredLabelsWarning
            If labels lack a labeled cell: they are left out.
        """
        binned = _Bins(n_bins, strategy, confidence_level)
        return cls._drawn(y_true, y_proba, labels, sample_weight, binned, ax)

    @classmethod
    def _drawn(cls, y_true, y_proba, labels, sample_weight, binned, ax):
        cells, rows = drawn_cells(
            y_true,
            y_proba,
            sample_weight,
            labels=labels,
            name="y_proba",
            kind="proba",
            least=(0, 0),
            stacklevel=4,
        )
        names = label_names(cells.names, cells.n_labels)
        display = cls(
            pooled=binned.lines(cells.pooled(), rows, ["all labels"])[0],
            lines=binned.lines(cells, rows, names),
            confidence_level=binned.confidence_level,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the diagram.

        Up to six labels have a line each; of more, all are thin and grey behind the
        line of their cells pooled.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : MaskedCalibrationDisplay
            The display itself.
        """
        few = len(self.lines) <= FEW
        names = [line.name for line in (*self.lines, self.pooled)]
        short = dict(zip(names, shorten(names), strict=True))
        rows = len(self.lines) + 1 if few else 2
        self.ax_, own = new_axes(ax, (5.0, 5.3 + 0.21 * rows))
        self.figure_: Any = self.ax_.figure
        self.ax_.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
        for place, line in enumerate(self.lines):
            if few:
                style = {"marker": MARKERS[place], "markersize": 4.5}
                style |= line_style(place)
                self._draw(line, short[line.name], linewidth=1.4, **style)
                continue
            self.ax_.plot(
                line.prob_pred,
                line.prob_true,
                color=BACKGROUND,
                linewidth=0.5,
                alpha=0.7,
                label=None if place else f"{len(self.lines)} labels",
            )
        if len(self.lines) > 1:
            name = short[self.pooled.name]
            self._draw(self.pooled, name, color=AVERAGE, linewidth=2.2, marker="o")
        unit_axes(self.ax_, "Mean probability", "Share of positives")
        title = None
        if self.confidence_level is not None:
            title = f"bars: {100 * self.confidence_level:g} % intervals"
        place_legend(self.ax_, own, title)
        return self

    def _draw(self, line, name, **style):
        """Draw a line and its bars."""
        if line.interval is not None:
            self.ax_.vlines(
                line.prob_pred,
                *line.interval,
                color=style["color"],
                linewidth=0.45 * style["linewidth"],
                alpha=0.7,
            )
        self.ax_.plot(
            line.prob_pred,
            line.prob_true,
            label=f"{name}: {line.weight.sum():,.0f} cells",
            **style,
        )


class _Bins:
    """From cells to lines, with intervals."""

    def __init__(self, n_bins, strategy, confidence_level):
        if not isinstance(n_bins, Integral) or isinstance(n_bins, bool) or n_bins < 1:
            raise ValueError(f"`n_bins` accepts an integer from 1; got {n_bins!r}.")
        if strategy not in ("uniform", "quantile"):
            raise ValueError(
                f"`strategy` accepts 'uniform' or 'quantile'; got {strategy!r}."
            )
        self._n_bins, self._strategy = n_bins, strategy
        self.confidence_level = confidence_level
        if confidence_level is not None:
            check_confidence_level(confidence_level)

    def lines(self, cells, rows, names):
        """Return a `Reliability` for each label of the cells."""
        shape = (cells.n_labels, self._n_bins)
        # Bins are to the sums what labels are: each has cells of its own.
        binned = cells._replace(
            cols=cells.cols * self._n_bins + self._bin_cells(cells),
            n_labels=cells.n_labels * self._n_bins,
        )
        weight = binned.total().astype(np.float64).reshape(shape)
        weights = 1.0 if binned.weights is None else binned.weights
        proba = binned._replace(weights=weights * binned.scores.astype(np.float64))
        with np.errstate(invalid="ignore"):
            predicted = proba.total().reshape(shape) / weight
            true = binned.total(binned.positive).reshape(shape) / weight
        intervals = self._intervals(binned, rows, true)
        lines = []
        for label, name in enumerate(names):
            full = weight[label] > 0
            interval = None if intervals is None else intervals[:, label, full]
            parts = (part[label, full] for part in (predicted, true, weight))
            lines.append(Reliability(name, *parts, interval))
        return lines

    def _bin_cells(self, cells):
        """Return the bin of each cell."""
        proba = cells.scores.astype(np.float64)
        edges = np.linspace(0.0, 1.0, self._n_bins + 1)
        if self._strategy == "uniform":
            return np.searchsorted(edges[1:-1], proba)
        bins = np.zeros(len(proba), dtype=np.intp)
        for own, _ in sorted_labels(cells):
            if len(own):
                quantiles = np.percentile(proba[own], 100 * edges)
                bins[own] = np.searchsorted(quantiles[1:-1], proba[own])
        return bins

    def _intervals(self, binned, rows, true):
        """Return the ends of the intervals, of shape (2, n_labels, n_bins)."""
        if self.confidence_level is None:
            return None
        sums = Sums(binned, rows, int(rows.max()) + 1)
        by_row = sums.of()
        share = np.nan_to_num(true.ravel())
        residual = sums.of(binned.positive - share[binned.cols])
        total = by_row.sum(axis=1)
        weights = np.ones(len(rows)) if binned.weights is None else binned.weights
        squares = binned._replace(weights=weights**2).total()
        with np.errstate(invalid="ignore", divide="ignore"):
            n_rows = total**2 / by_row.power(2).sum(axis=1)
            n_cells = total**2 / squares
            n_robust = share * (1 - share) * total**2 / residual.power(2).sum(axis=1)
        n_effective = np.clip(np.nan_to_num(n_robust), n_rows, n_cells)
        ends = wilson(share, n_effective, self.confidence_level)
        return ends.reshape(2, *true.shape)
