"""Features for and against labels: over all rows, and of one row."""

from typing import Any, Self

import numpy as np
from scipy.special import expit

from .._typing import MatrixLike, Names
from ..inspection import Explanation, LabelCoefficients, explain, label_coefficients
from ._style import AVERAGE, BACKGROUND, COLORS, label_names, new_axes, panels, shorten

_MOST_PANELS = 24  # labels in one picture
_LINE = 0.21  # inches that a feature takes
_FOR, _AGAINST = COLORS[0], COLORS[1]


class LabelCoefficientsDisplay:
    """Features for and against each label, a panel per label.

    Make one with :meth:`from_estimator`, or from what
    :func:`~sklearn_masked.inspection.label_coefficients` returns.

    Parameters
    ----------
    coefficients : LabelCoefficients
        Of the labels to draw.

    Attributes
    ----------
    axes_ : array of matplotlib axes
        With the bars of each label.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.plotting import LabelCoefficientsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 3))
    >>> y = np.where(rng.random((300, 2)) < 0.5, np.nan, X[:, :2] > 0)
    >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    >>> display = LabelCoefficientsDisplay.from_estimator(clf, X, labels=[0])
    >>> display.axes_[0].get_title()
    'label 0'
    """

    def __init__(self, *, coefficients: LabelCoefficients) -> None:
        self.coefficients = coefficients

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: MatrixLike,
        *,
        labels: Any = None,
        n_features: int = 8,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Compute coefficients and draw them.

        Parameters
        ----------
        model, X, labels, n_features
            As in :func:`~sklearn_masked.inspection.label_coefficients`.
        ax
            As in :meth:`plot`.
        **kwargs : dict
            Further arguments of that function: `feature_names`, `order`.

        Returns
        -------
        display : LabelCoefficientsDisplay
            Drawn.
        """
        found = label_coefficients(
            model, X, labels=labels, n_features=n_features, **kwargs
        )
        return cls(coefficients=found).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw the numbers that rank the features, their effects or coefficients.

        Parameters
        ----------
        ax : matplotlib axes, or a sequence of one per label, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LabelCoefficientsDisplay
            The display itself.

        Raises
        ------
        ValueError
            If there are more than 24 labels.
        """
        found = self.coefficients
        n_labels = len(found.label_names)
        if n_labels > _MOST_PANELS:
            raise ValueError(
                f"`labels` accepts at most {_MOST_PANELS} labels to draw; got "
                f"{n_labels}. Choose some."
            )
        most = max(3, *map(len, found.features), 3)
        size = 3.6, 0.9 + _LINE * most
        unit = "std. deviation" if found.order == "effect" else "unit"
        self.axes_: Any = panels(ax, n_labels, min(n_labels, 3), size)
        self.figure_: Any = self.axes_[0].figure
        names = label_names(found.label_names, n_labels)
        for place, (axes, name) in enumerate(zip(self.axes_, names, strict=True)):
            scores = found.scores[place]
            colors = [_FOR if score > 0 else _AGAINST for score in scores]
            axes.barh(np.arange(len(scores)), scores, color=colors, height=0.7)
            _name_lines(axes, shorten(map(str, found.features[place])), most)
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_title(shorten([name])[0], fontsize="medium")
            axes.set_xlabel(f"log-odds per {unit}", fontsize="small")
        return self


class ExplanationDisplay:
    """The terms of one logit, from its base to the sum.

    Make one with :meth:`from_estimator`, or from what
    :func:`~sklearn_masked.inspection.explain` returns.

    Parameters
    ----------
    explanation : Explanation
        Of some rows and labels.

    Attributes
    ----------
    ax_ : matplotlib axes
        With the terms.
    figure_ : matplotlib figure
        With the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.plotting import ExplanationDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 3))
    >>> y = np.where(rng.random((300, 2)) < 0.5, np.nan, X[:, :2] > 0)
    >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
    >>> display = ExplanationDisplay.from_estimator(clf, X[:1], label=1)
    >>> display.ax_.get_xlabel()
    'log-odds'
    """

    ax_: Any

    def __init__(self, *, explanation: Explanation) -> None:
        self.explanation = explanation

    @classmethod
    def from_estimator(
        cls,
        model: Any,
        X: MatrixLike,
        *,
        sample: int = 0,
        label: Any = None,
        n_features: int = 10,
        feature_names: Names = None,
        ax: Any = None,
    ) -> Self:
        """Explain a row and draw it.

        Parameters
        ----------
        model, X, feature_names
            As in :func:`~sklearn_masked.inspection.explain`.
        sample, label, n_features, ax
            As in :meth:`plot`.

        Returns
        -------
        display : ExplanationDisplay
            Drawn.
        """
        found = explain(model, X, feature_names=feature_names)
        display = cls(explanation=found)
        return display.plot(ax=ax, sample=sample, label=label, n_features=n_features)

    def plot(
        self,
        ax: Any = None,
        *,
        sample: int = 0,
        label: Any = None,
        n_features: int = 10,
    ) -> Self:
        """Draw the terms, each from where the ones below it end.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; None makes a figure.
        sample : int, default=0
            Position of the row.
        label : object, default=None
            One of the explanation's `label_names`; None takes the likeliest of the row.
        n_features : int, default=10
            The features of the largest contributions have a line each, the others one
            together.

        Returns
        -------
        display : ExplanationDisplay
            The display itself.
        """
        found = self.explanation
        if label is None:
            place = int(np.argmax(found.logits[sample]))
        else:
            place = found.place_of(label)
        names, terms = _terms(found, sample, place, n_features)
        self.ax_, _ = new_axes(ax, (5.6, 1.2 + 1.2 * _LINE * (len(terms) + 1)))
        self.figure_: Any = self.ax_.figure
        ends = np.cumsum(terms)
        starts = np.append(0, ends[:-1])
        colors = [BACKGROUND, *(_FOR if t > 0 else _AGAINST for t in terms[1:])]
        # The base is the lowest line, the sum the highest.
        lines = np.arange(len(terms))[::-1] + 1
        self.ax_.barh(lines, terms, left=starts, color=colors, height=0.7)
        self.ax_.barh([0], ends[-1:], color=AVERAGE, height=0.7)
        # Thin lines lead from the end of a term to the start of the next.
        self.ax_.vlines(ends, lines - 1.35, lines + 0.35, color="black", linewidth=0.6)
        self._write_numbers([*terms, ends[-1]], [*lines, 0], [*starts, 0])
        total = f"sum: probability {expit(ends[-1]):.2f}"
        _name_lines(self.ax_, [total, *reversed(shorten(names))], 0, downward=True)
        self.ax_.axvline(0, color="black", linewidth=0.8)
        self.ax_.set_xlabel("log-odds")
        (name,) = label_names([found.label_names[place]], 1)
        self.ax_.set_title(f"{shorten([name])[0]}, row {sample}", fontsize="medium")
        return self

    def _write_numbers(self, terms, lines, starts):
        """Write each term beside its bar, on the side where it ends."""
        for term, line, start in zip(terms, lines, starts, strict=True):
            self.ax_.annotate(
                f"{term:+.2f}",
                (start + term, line),
                xytext=(3 if term >= 0 else -3, 0),
                textcoords="offset points",
                ha="left" if term >= 0 else "right",
                va="center",
                fontsize="x-small",
            )
        places = np.append(np.add(terms, starts), 0.0)
        room = 0.14 * max(np.ptp(places), 1e-9)
        self.ax_.set_xlim(places.min() - room, places.max() + room)


def _terms(found, sample, place, n_features):
    """Return names and values of the terms of a logit, the base first."""
    features, _, own = found.at(sample, place)
    largest = np.argsort(-np.abs(own), kind="stable")
    shown = largest[:n_features]
    names = ["base", *(str(features[at]) for at in shown)]
    terms = [found.base[place], *own[shown]]
    if len(largest) > len(shown):
        names.append(f"{len(largest) - len(shown)} other features")
        terms.append(own[largest[n_features:]].sum())
    for name, term in (
        ("interactions", found.interactions),
        ("row length", found.row_length),
    ):
        if term.any():
            names.append(name)
            terms.append(term[sample, place])
    return names, np.array(terms)


def _name_lines(axes, names, most, *, downward=False):
    """Name the lines of bars, the first at the top, or at the bottom."""
    axes.set_yticks(np.arange(len(names)), names, fontsize="x-small")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize="small")
    limits = -0.6, max(len(names), most) - 0.4
    axes.set_ylim(*(limits if downward else limits[::-1]))
    axes.grid(axis="x", color="#E8E8E8", linewidth=0.6)
    axes.set_axisbelow(True)
