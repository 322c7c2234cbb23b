"""How many cells of each label are labeled, and of which kind."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .._typing import LabelsLike
from ..metrics.bootstrap import as_labels
from ._style import BACKGROUND, COLORS, label_names, new_axes, place_legend, shorten

_MAX_NAMES = 100  # labels that can have a line each
_LINE = 0.165  # inches


class LabelCoverageDisplay:
    """Labeled, positive and negative cells of each label.

    Make one with :meth:`from_labels`.

    Parameters
    ----------
    n_positive, n_negative : ndarray of shape (n_labels,)
        Numbers of cells.
    label_names : array-like of shape (n_labels,), default=None
        Names of the labels, None for positions.
    n_samples : int, default=None
        Number of rows, where it is to be drawn.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the counts.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.plotting import LabelCoverageDisplay
    >>> y = [[1, np.nan], [0, 1], [1, 0], [np.nan, 0]]
    >>> display = LabelCoverageDisplay.from_labels(y)
    >>> display.n_positive, display.n_negative
    (array([2, 1]), array([1, 2]))
    """

    ax_: Any

    def __init__(
        self,
        *,
        n_positive: np.ndarray,
        n_negative: np.ndarray,
        label_names: ArrayLike | None = None,
        n_samples: int | None = None,
    ) -> None:
        self.n_positive = n_positive
        self.n_negative = n_negative
        self.label_names = label_names
        self.n_samples = n_samples

    @classmethod
    def from_labels(cls, y: LabelsLike, *, sort: bool = True, ax: Any = None) -> Self:
        """Draw the counts of labels.

        Parameters
        ----------
        y : MaskedLabels or any other form of labels
            Labels of shape (n_samples, n_labels), or a binary target.
        sort, ax
            As in :meth:`plot`.

        Returns
        -------
        display : LabelCoverageDisplay
            Drawn.
        """
        labels, _ = as_labels(y)
        display = cls(
            n_positive=labels.n_positive,
            n_negative=labels.n_negative,
            label_names=labels.label_names,
            n_samples=len(labels),
        )
        return display.plot(ax=ax, sort=sort)

    def plot(self, ax: Any = None, *, sort: bool = True) -> Self:
        """Draw the counts on a logarithmic scale, which has a place for 0.

        Up to 100 labels have a line and a name each. Of more, the names are left out,
        and the horizontal line is that of the label's place.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure that is as high as the names need.
        sort : bool, default=True
            Whether the labels with the most labeled cells come first; else as they
            are.

        Returns
        -------
        display : LabelCoverageDisplay
            The display itself.
        """
        positive, negative = np.asarray(self.n_positive), np.asarray(self.n_negative)
        labeled = positive + negative
        order = np.arange(len(labeled))
        if sort:
            order = np.argsort(-labeled, kind="stable")
        named = len(order) <= _MAX_NAMES
        height = 1.4 + _LINE * max(len(order), 5) if named else 7.0
        self.ax_, own = new_axes(ax, (6.0, height))
        self.figure_: Any = self.ax_.figure
        lines = np.arange(len(order))
        size = 18 if named else 5
        low, high = np.minimum(positive, negative), np.maximum(positive, negative)
        self.ax_.hlines(
            lines, low[order], high[order], color=BACKGROUND, linewidth=0.8, zorder=1
        )
        for counts, style in (
            (labeled, {"marker": "|", "c": "black", "s": 3 * size, "label": "labeled"}),
            (
                negative,
                {
                    "marker": "o",
                    "facecolors": "white",
                    "edgecolors": COLORS[1],
                    "s": size,
                    "label": "negative",
                },
            ),
            (positive, {"marker": "s", "c": COLORS[0], "s": size, "label": "positive"}),
        ):
            self.ax_.scatter(counts[order], lines, zorder=2, **style)
        self._label_lines(order, named)
        self._scale(np.concatenate([positive, negative, labeled]))
        if own:
            self.ax_.legend(
                loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False
            )
        else:
            place_legend(self.ax_, own)
        return self

    def _label_lines(self, order, named):
        """Name the lines, the first at the top."""
        names = label_names(self.label_names, len(order))
        if named:
            ticks = shorten(names[label] for label in order)
            self.ax_.set_yticks(np.arange(len(order)), ticks, fontsize=7.5)
            self.ax_.tick_params(axis="y", length=0)
        else:
            self.ax_.set_ylabel(f"place among {len(order)} labels")
        self.ax_.set_ylim(len(order) - 0.4, -0.6)

    def _scale(self, counts):
        """Give the counts a logarithmic scale, with a 0 if there is one."""
        from matplotlib.ticker import FixedLocator, NullFormatter

        most = max(int(counts.max(initial=0)), 1)
        least = int(counts[counts > 0].min(initial=most))
        if counts.min(initial=1) < 1:
            self.ax_.set_xscale("symlog", linthresh=1)
            self.ax_.set_xlim(-0.3, 1.6 * most)
        else:
            self.ax_.set_xscale("log")
            self.ax_.set_xlim(0.6 * least, 1.6 * most)
        # Of few decades more is named than their powers of ten.
        steps = (1, 2, 5) if most < 200 * least else (1,)
        ticks = [step * 10**power for power in range(len(str(most))) for step in steps]
        self.ax_.xaxis.set_major_locator(FixedLocator([0, *ticks]))
        self.ax_.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        self.ax_.xaxis.set_minor_formatter(NullFormatter())
        rows = "" if self.n_samples is None else f", of {self.n_samples:,} rows"
        self.ax_.set_xlabel(f"cells{rows}")
        self.ax_.grid(axis="x", color="#E0E0E0", linewidth=0.6)
        self.ax_.set_axisbelow(True)
