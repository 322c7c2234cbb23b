"""Precision, recall and F1 against the threshold."""

from typing import Any, Literal, Self

import numpy as np
from sklearn.metrics import precision_recall_curve

from .._typing import LabelsLike, MatrixLike, Weights
from ._cells import drawn_cells, estimator_cells
from ._curves import sorted_labels
from ._style import AVERAGE, BACKGROUND, COLORS, DASHES, label_names, panels, shorten

_MANY = 12  # more labels than that share three panels
_N_THRESHOLDS = 201  # of the mean over labels
_METRICS = ("precision", "recall", "F1")
_STYLES = [
    {"color": COLORS[place], "linestyle": DASHES[place], "linewidth": 1.5}
    for place in range(3)
]


class ThresholdCurveDisplay:
    """Precision, recall and F1 of each label against its threshold.

    Make one with :meth:`from_estimator` or :meth:`from_predictions`. A cell counts as
    predicted positive if its score is at or above the threshold.

    Parameters
    ----------
    thresholds : list of ndarray
        One array per label: its different scores, increasing.
    precision, recall, f1 : list of ndarray
        At those thresholds.
    names : list of str
        Names of the labels.
    score_name : str, default="score"
        What the thresholds are compared with.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes
        A panel per label or, of many labels, a panel per metric.
    ax_ : matplotlib axes
        The first of them.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> from sklearn_masked.plotting import ThresholdCurveDisplay
    >>> y_true = [[1, None], [0, 1], [1, 0], [None, 0]]
    >>> y_score = [[0.8, 0.5], [0.3, 0.6], [0.2, 0.7], [0.5, 0.1]]
    >>> display = ThresholdCurveDisplay.from_predictions(y_true, y_score)
    >>> display.thresholds[0], display.precision[0].round(2)
    (array([0.2, 0.3, 0.8]), array([0.67, 0.5 , 1.  ]))
    """

    def __init__(
        self,
        *,
        thresholds: list[np.ndarray],
        precision: list[np.ndarray],
        recall: list[np.ndarray],
        f1: list[np.ndarray],
        names: list[str],
        score_name: str = "score",
    ) -> None:
        self.thresholds = thresholds
        self.precision = precision
        self.recall = recall
        self.f1 = f1
        self.names = names
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: LabelsLike,
        *,
        labels: Any = None,
        sample_weight: Weights = None,
        response_method: Literal[
            "auto", "decision_function", "predict_proba"
        ] = "predict_proba",
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
        labels, sample_weight, ax
            As in :meth:`from_predictions`.
        response_method : {"auto", "decision_function", "predict_proba"}, \
default="predict_proba"
            Where the scores come from; "auto" is the first of the other two that the
            estimator has.

        Returns
        -------
        display : ThresholdCurveDisplay
            Drawn.
        """
        y, y_score = estimator_cells(estimator, X, y, response_method)
        name = "probability" if response_method == "predict_proba" else "score"
        return cls._drawn(y, y_score, labels, sample_weight, ax, name)

    @classmethod
    def from_predictions(
        cls,
        y_true: LabelsLike,
        y_score: MatrixLike,
        *,
        labels: Any = None,
        sample_weight: Weights = None,
        ax: Any = None,
    ) -> Self:
        """Draw the curves of scores or probabilities.

        Parameters
        ----------
        y_true : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target of shape
            (n_samples,).
        y_score : array-like of shape (n_samples, n_labels), (n_cells,) or \
(n_samples,)
            Scores or probabilities: for each cell or for each labeled cell. What it
            holds in unlabeled cells is never read.
        labels : list of names or positions, default=None
            The labels to draw; None is all of them.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels)
            Weights of rows or cells.
        ax : matplotlib axes or array of them, default=None
            As in :meth:`plot`.

        Returns
        -------
        display : ThresholdCurveDisplay
            Drawn.

        Raises
        ------
        ValueError
            If no label to draw has a positive labeled cell, or an argument is not
            accepted.

        Warns
        -----
        UnscoredLabelsWarning
            If labels lack a positive labeled cell: they are left out.
        """
        return cls._drawn(y_true, y_score, labels, sample_weight, ax, "score")

    @classmethod
    def _drawn(cls, y_true, y_score, labels, sample_weight, ax, score_name):
        cells, _ = drawn_cells(
            y_true,
            y_score,
            sample_weight,
            labels=labels,
            name="y_score",
            kind="score",
            least=(1, 0),
            stacklevel=4,
        )
        curves = []
        for own, _ in sorted_labels(cells):
            weights = None if cells.weights is None else cells.weights[own]
            precision, recall, thresholds = precision_recall_curve(
                cells.positive[own], cells.scores[own], sample_weight=weights
            )
            precision, recall = precision[:-1], recall[:-1]  # no threshold is beyond
            total = precision + recall
            f1 = np.divide(
                2 * precision * recall, total, out=np.zeros_like(total), where=total > 0
            )
            curves.append((thresholds, precision, recall, f1))
        thresholds, precision, recall, f1 = map(list, zip(*curves, strict=True))
        display = cls(
            thresholds=thresholds,
            precision=precision,
            recall=recall,
            f1=f1,
            names=label_names(cells.names, cells.n_labels),
            score_name=score_name,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the curves.

        Up to twelve labels have a panel each, with the three metrics. Of more, each
        metric has a panel, with all labels thin and grey behind their mean.

        Parameters
        ----------
        ax : matplotlib axes or sequence of them, default=None
            One axes is divided into the panels, a sequence has one per panel; None
            makes a figure.

        Returns
        -------
        display : ThresholdCurveDisplay
            The display itself.
        """
        values = (self.precision, self.recall, self.f1)
        if len(self.names) <= _MANY:
            self._plot_labels(ax, values)
        else:
            self._plot_metrics(ax, values)
        # In axes that are divided, a wide legend would push the panels apart.
        size = "small" if ax is None else "xx-small"
        self.axes_[0].legend(fontsize=size, loc="best").set_in_layout(False)
        low, high = self._range()
        margin = 0.01 * (high - low) or 0.01
        for panel in self.axes_:
            panel.set(ylim=(-0.02, 1.02), xlim=(low - margin, high + margin))
            panel.grid(color="#E8E8E8", linewidth=0.6)
        self.ax_: Any = self.axes_[0]
        self.figure_: Any = self.ax_.figure
        return self

    def _plot_labels(self, ax, values):
        """Draw a panel per label."""
        n_labels = len(self.names)
        columns = min(n_labels, 3 if n_labels != 4 else 2)
        self.axes_: Any = panels(ax, n_labels, columns, (3.0, 2.6), sharey=True)
        titles = shorten(self.names)
        for label, panel in enumerate(self.axes_):
            for metric, name, style in zip(values, _METRICS, _STYLES, strict=True):
                panel.plot(
                    self.thresholds[label],
                    metric[label],
                    label=name,
                    drawstyle="steps-pre",
                    **style,
                )
            panel.set_title(titles[label], fontsize="medium")
            if label >= n_labels - columns:
                panel.set_xlabel(self._xlabel(ax))

    def _plot_metrics(self, ax, values):
        """Draw a panel per metric."""
        grid = np.linspace(*self._range(), _N_THRESHOLDS)
        self.axes_: Any = panels(ax, 3, 3, (3.4, 3.6), sharey=True)
        for panel, metric, name in zip(self.axes_, values, _METRICS, strict=True):
            for thresholds, line in zip(self.thresholds, metric, strict=True):
                panel.plot(
                    thresholds,
                    line,
                    color=BACKGROUND,
                    linewidth=0.5,
                    alpha=0.7,
                    drawstyle="steps-pre",
                )
            panel.set_title(name)
            panel.set_xlabel(self._xlabel(ax))
            mean, share = self._mean(metric, grid, skip=metric is self.precision)
            panel.plot(grid, mean, color=AVERAGE, linewidth=2.2, label="mean of labels")
            if metric is not self.precision:
                continue
            panel.plot(
                grid, share, color=COLORS[1], linestyle=DASHES[1], label="labels above"
            )

    def _xlabel(self, ax):
        """Return the name of the thresholds; a short one in axes that are divided."""
        return f"threshold on the {self.score_name}" if ax is None else "threshold"

    def _range(self):
        """Return the least and the largest threshold."""
        return (
            min(thresholds[0] for thresholds in self.thresholds),
            max(thresholds[-1] for thresholds in self.thresholds),
        )

    def _mean(self, metric, grid, *, skip):
        """Return the mean over labels, and the share that still predicts a positive.

        A label that predicts none has no precision, and is skipped, but a recall and
        an F1 of 0.
        """
        total, count = np.zeros(len(grid)), np.zeros(len(grid))
        for thresholds, line in zip(self.thresholds, metric, strict=True):
            place = np.searchsorted(thresholds, grid)
            known = place < len(thresholds)
            total[known] += line[place[known]]
            count += known
        divisor = count if skip else len(self.thresholds)
        return total / divisor, count / len(self.thresholds)
