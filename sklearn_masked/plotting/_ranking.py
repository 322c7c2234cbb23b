"""ROC and precision-recall curves, one per label."""

from typing import Any, Literal, Self

import numpy as np

from .._typing import LabelsLike, MatrixLike, RandomState, Weights
from ._cells import drawn_cells, estimator_cells
from ._curves import GRID, PRECISION_RECALL, ROC, label_curves
from ._style import (
    AVERAGE,
    BACKGROUND,
    FEW,
    line_style,
    new_axes,
    place_legend,
    shorten,
    unit_axes,
    with_interval,
)

_WORST = 3  # labels that stand out among many


class _LabelCurvesDisplay:
    """Base of the two displays."""

    ax_: Any

    def __init__(
        self,
        *,
        curves: Any,
        macro: dict[str, Any],
        confidence_level: float | None = None,
    ) -> None:
        self.curves = curves
        self.macro = macro
        self.confidence_level = confidence_level

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: LabelsLike,
        *,
        labels: Any = None,
        sample_weight: Weights = None,
        response_method: Literal["auto", "decision_function", "predict_proba"] = "auto",
        confidence_level: float = 0.95,
        n_resamples: int = 200,
        random_state: RandomState = None,
        highlight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : fitted classifier, pipeline or search
            Its predictions of rows with labeled cells are asked for.
        X : array-like, sparse matrix, data frame or list of length n_samples
            What it predicts from.
        y : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target.
        labels, sample_weight, confidence_level, n_resamples, random_state, \
highlight, ax
            As in :meth:`from_predictions`.
        response_method : {"auto", "decision_function", "predict_proba"}, \
default="auto"
            Where the scores come from; "auto" is the first of the two that the
            estimator has.

        Returns
        -------
        display : the display, drawn
        """
        y, y_score = estimator_cells(estimator, X, y, response_method)
        return cls._drawn(
            y,
            y_score,
            labels,
            sample_weight,
            (confidence_level, n_resamples, random_state),
            highlight,
            ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: LabelsLike,
        y_score: MatrixLike,
        *,
        labels: Any = None,
        sample_weight: Weights = None,
        confidence_level: float | None = 0.95,
        n_resamples: int = 200,
        random_state: RandomState = None,
        highlight: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw the curves of scores.

        Parameters
        ----------
        y_true : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target of shape
            (n_samples,).
        y_score : array-like of shape (n_samples, n_labels), (n_cells,) or \
(n_samples,)
            Scores, larger for what is more likely positive: for each cell or for
            each labeled cell. What it holds in unlabeled cells is never read.
        labels : list of names or positions, default=None
            The labels to draw and to average; None is all of them.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
            Weights of rows or cells.
        confidence_level : float or None, default=0.95
            Of the bootstrap intervals, by rows; None draws none.
        n_resamples : int, default=200
            Number of bootstrap samples.
        random_state : int, RandomState instance or None, default=None
            Pass an int for the same intervals in every call.
        highlight : list of names or positions, default=None
            As in :meth:`plot`.
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : the display, drawn

        Raises
        ------
        ValueError
            If no label to draw has a positive and a negative labeled cell, or an
            argument is not accepted.

        Warns
        -----
        UnscoredLabelsWarning
            If labels lack a positive or a negative labeled cell: they are left out.
        """
        return cls._drawn(
            y_true,
            y_score,
            labels,
            sample_weight,
            (confidence_level, n_resamples, random_state),
            highlight,
            ax,
        )

    @classmethod
    def _drawn(cls, y, y_score, labels, sample_weight, resampling, highlight, ax):
        cells, rows = drawn_cells(
            y,
            y_score,
            sample_weight,
            labels=labels,
            name="y_score",
            kind="score",
            least=(1, 1),
            stacklevel=4,
        )
        confidence_level, n_resamples, random_state = resampling
        curves, macro = label_curves(
            cls._kind,
            cells,
            rows,
            confidence_level=confidence_level,
            n_resamples=n_resamples,
            random_state=random_state,
        )
        display = cls(curves=curves, macro=macro, confidence_level=confidence_level)
        return display.plot(ax=ax, highlight=highlight)

    def plot(self, ax: Any = None, *, highlight: Any = None) -> Self:
        """Draw the curves.

        Up to six labels have a color each. Of more, all are thin and grey behind
        their mean, with its band, and the three of the smallest area stand out.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.
        highlight : list of names or positions, default=None
            Up to six labels that are to stand out, positions counted among the
            curves; None chooses.

        Returns
        -------
        display : the display itself
        """
        places = self._highlighted(highlight)
        names = [curve.name for curve in (*self.curves, self.macro)]
        short = dict(zip(names, shorten(names), strict=True))
        rows = len(places) + 2
        self.ax_, own = new_axes(ax, (5.0, 5.2 + 0.21 * rows))
        self.figure_: Any = self.ax_.figure
        everything = len(places) == len(self.curves)
        if not everything:
            self._draw_background(places)
        # A band per label is too much to read; the few have their intervals in words.
        banded = len(places) <= 2 and everything
        for style, place in enumerate(places):
            curve = self.curves[place]
            name = short[curve.name]
            self._draw(curve, name, banded, linewidth=1.6, **line_style(style))
        if len(self.curves) > 1:
            name = short[self.macro.name]
            self._draw(self.macro, name, not banded, color=AVERAGE, linewidth=2.2)
        self._finish()
        title = self._area_name
        if self.confidence_level is not None:
            title += f" [{100 * self.confidence_level:g} % interval]"
        place_legend(self.ax_, own, title)
        return self

    def _highlighted(self, highlight):
        """Return the places of the curves that stand out."""
        if highlight is None:
            if len(self.curves) <= FEW:
                return list(range(len(self.curves)))
            areas = [curve.area for curve in self.curves]
            return np.argsort(areas, kind="stable")[:_WORST].tolist()
        names = [curve.name for curve in self.curves]
        places = []
        for wanted in highlight:
            place = names.index(wanted) if wanted in names else wanted
            if not isinstance(place, int | np.integer) or not 0 <= place < len(names):
                raise ValueError(
                    "`highlight` accepts names or positions of the labels drawn; got "
                    f"{wanted!r}."
                )
            places.append(int(place))
        if len(places) > FEW:
            raise ValueError(
                f"`highlight` accepts up to {FEW} labels, which one picture can tell "
                f"apart; got {len(places)}."
            )
        return places

    def _draw_background(self, places):
        """Draw the labels that do not stand out."""
        rest = [curve for place, curve in enumerate(self.curves) if place not in places]
        name = f"{len(rest)} other labels"
        for curve in rest:
            self._line(
                curve.x, curve.y, color=BACKGROUND, linewidth=0.5, alpha=0.7, label=name
            )
            name = None

    def _draw(self, curve, name, banded, **style):
        """Draw a curve, its band and its line in the legend."""
        area = with_interval(curve.area, curve.low, curve.high)
        self._line(curve.x, curve.y, label=f"{name}: {area}", **style)
        if banded and curve.band is not None:
            self.ax_.fill_between(
                GRID, *curve.band, color=style["color"], alpha=0.18, linewidth=0
            )


class MaskedRocCurveDisplay(_LabelCurvesDisplay):
    """ROC curves of labels, from their labeled cells, with bootstrap intervals.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. Each curve is
    that of scikit-learn for the labeled cells of its label.

    Parameters
    ----------
    curves : list of Curve
        One per label that can be drawn: `name`, `x` (false positive rates), `y` (true
        positive rates), `area` (ROC AUC), `low` and `high` (its interval), `band`
        (the interval of `y` at 101 false positive rates from 0 to 1, or None).
    macro : Curve
        The mean of the labels' curves, at those 101 rates.
    confidence_level : float or None, default=None
        Of the intervals.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the curves.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> from sklearn_masked.plotting import MaskedRocCurveDisplay
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 0]]
    >>> y_score = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> display = MaskedRocCurveDisplay.from_predictions(
    ...     y_true, y_score, random_state=0
    ... )
    >>> [curve.area for curve in display.curves]
    [0.5, 0.5]
    """

    ax_: Any

    _kind = ROC
    _area_name = "ROC AUC"

    def _line(self, x, y, **style):
        self.ax_.plot(x, y, **style)

    def _finish(self):
        unit_axes(self.ax_, "False positive rate", "True positive rate")
        self.ax_.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")


class MaskedPrecisionRecallDisplay(_LabelCurvesDisplay):
    """Precision-recall curves of labels, from their labeled cells, with intervals.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. Each curve is
    that of scikit-learn for the labeled cells of its label. Precision follows the
    share of positives among the labeled cells: where positives were sought, it is
    higher than it will be on other traffic.

    Parameters
    ----------
    curves : list of Curve
        One per label that can be drawn: `name`, `x` (recall), `y` (precision), `area`
        (average precision), `low` and `high` (its interval), `band` (the interval of
        `y` at 101 recalls from 0 to 1, or None).
    macro : Curve
        The mean of the labels' curves, at those 101 recalls.
    confidence_level : float or None, default=None
        Of the intervals.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the curves.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> from sklearn_masked.plotting import MaskedPrecisionRecallDisplay
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 0]]
    >>> y_score = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> display = MaskedPrecisionRecallDisplay.from_predictions(
    ...     y_true, y_score, random_state=0
    ... )
    >>> [round(curve.area, 2) for curve in display.curves]
    [0.83, 0.5]
    """

    ax_: Any

    _kind = PRECISION_RECALL
    _area_name = "Average precision"

    def _line(self, x, y, **style):
        # scikit-learn's curve runs from recall 1 down to 0.
        where = "pre" if x[0] < x[-1] else "post"
        self.ax_.plot(x, y, drawstyle=f"steps-{where}", **style)

    def _finish(self):
        unit_axes(self.ax_, "Recall", "Precision")
