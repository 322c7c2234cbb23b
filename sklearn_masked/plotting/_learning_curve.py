"""Score against the number of labeled cells."""

from typing import Any, Self

import numpy as np

from .._typing import LabelsLike, MatrixLike
from ..inspection import extrapolate_learning_curve, learning_curve_by_cells
from ._style import COLORS, DASHES, MARKERS, new_axes

_N_POINTS = 50  # of the continued curve


class LearningCurveByCellsDisplay:
    """Score against the number of labeled cells, and where it may lead.

    Make one with :meth:`from_estimator`, or from what
    :func:`~sklearn_masked.inspection.learning_curve_by_cells` returns.

    Parameters
    ----------
    curve : Any
        With `train_sizes`, of shape (n_ticks,), and `train_scores` and
        `test_scores`, of shape (n_ticks, n_series).
    score_name : str, default="score"
        Name of the score.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the curve.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.utils import Bunch
    >>> from sklearn_masked.plotting import LearningCurveByCellsDisplay
    >>> sizes = np.array([100, 200, 400])
    >>> scores = np.array([[0.70, 0.74], [0.78, 0.80], [0.83, 0.85]])
    >>> curve = Bunch(train_sizes=sizes, train_scores=scores, test_scores=scores)
    >>> display = LearningCurveByCellsDisplay(curve=curve).plot(n_more_cells=400)
    >>> display.ax_.get_xlabel()
    'labeled cells in training'
    """

    ax_: Any

    def __init__(self, *, curve: Any, score_name: str = "score") -> None:
        self.curve = curve
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: LabelsLike,
        *,
        n_more_cells: Any = None,
        show_train: bool = False,
        score_name: str = "score",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compute a learning curve and draw it.

        Parameters
        ----------
        estimator : estimator
            Cloned for each fit.
        X : array-like, sparse matrix, data frame or list of length n_samples
            The data.
        y : MaskedLabels or any other form of labels of shape (n_samples, n_labels)
            The labels.
        n_more_cells, show_train, ax
            As in :meth:`plot`.
        score_name : str, default="score"
            Name of the score.
        **kwargs : dict
            Further arguments of
            :func:`~sklearn_masked.inspection.learning_curve_by_cells`, such as
            `train_sizes`, `scoring` and `random_state`.

        Returns
        -------
        display : LearningCurveByCellsDisplay
            Drawn.
        """
        curve = learning_curve_by_cells(estimator, X, y, **kwargs)
        display = cls(curve=curve, score_name=score_name)
        return display.plot(ax=ax, n_more_cells=n_more_cells, show_train=show_train)

    def plot(
        self,
        ax: Any = None,
        *,
        n_more_cells: int | None = None,
        show_train: bool = False,
    ) -> Self:
        """Draw the mean over folds and orders of the cells, and their spread.

        Scores that are NaN, of test folds that cannot be scored, are left out.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.
        n_more_cells : int, default=None
            Continue the test scores so far beyond the last tick, as
            :func:`~sklearn_masked.inspection.extrapolate_learning_curve` does.
        show_train : bool, default=False
            Whether to draw the scores of the training cells too.

        Returns
        -------
        display : LearningCurveByCellsDisplay
            The display itself.
        """
        self.ax_, _ = new_axes(ax, (6.0, 4.2))
        self.figure_: Any = self.ax_.figure
        lines = [("test", self.curve.test_scores)]
        if show_train:
            lines.append(("training", self.curve.train_scores))
        for place, (name, scores) in enumerate(lines):
            self._draw(place, name, np.asarray(scores))
        if n_more_cells is not None:
            self._continue(n_more_cells)
        self.ax_.set(xlabel="labeled cells in training", ylabel=self.score_name)
        self.ax_.grid(color="#E8E8E8", linewidth=0.6)
        self.ax_.legend(loc="best", fontsize="small")
        return self

    def _draw(self, place, name, scores):
        """Draw the scores of one kind."""
        scores = np.ma.masked_invalid(scores)
        mean, spread = (of(axis=1).filled(np.nan) for of in (scores.mean, scores.std))
        color = COLORS[place]
        self.ax_.plot(
            self.curve.train_sizes,
            mean,
            color=color,
            marker=MARKERS[place],
            linestyle=DASHES[place],
            label=f"{name} (band: one standard deviation)",
        )
        self.ax_.fill_between(
            self.curve.train_sizes,
            mean - spread,
            mean + spread,
            color=color,
            alpha=0.18,
            linewidth=0,
        )

    def _continue(self, n_more_cells):
        """Draw what more labeled cells may bring."""
        last = self.curve.train_sizes[-1]
        sizes = np.linspace(last, last + n_more_cells, _N_POINTS)
        scores = extrapolate_learning_curve(self.curve, sizes).test_scores
        mean = scores.mean(axis=1)
        gain = mean[-1] - mean[0]
        self.ax_.plot(
            sizes,
            mean,
            color=COLORS[0],
            linestyle=DASHES[2],
            linewidth=1.8,
            label=f"continued: {gain:+.3f} for {n_more_cells:,} more cells",
        )
