"""Contributions of features to the logits of single rows."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ._highlight import explanation_html
from ._tokens import token_spans
from .unwrap import Unwrapped

_MOST_SHOWN = 10  # features, or rows, of a text


class FeatureContributions(NamedTuple):
    """Contributions of the features of one row to one logit, the largest first.

    Attributes
    ----------
    features : object array of shape (n_features,)
        Names.
    values : float64 array of shape (n_features,)
        Of the row, as the classifier has them.
    contributions : float64 array of shape (n_features,)
        In log-odds; none is 0.
    """

    features: np.ndarray
    values: np.ndarray
    contributions: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """Contributions of features to the logits of rows, which add up exactly.

    Made by :func:`explain`. An entry is a feature that a row has: each that a sparse
    row stores, all of an array's.

    Attributes
    ----------
    label_names : list of length n_labels
        Names of the labels, or their positions.
    feature_names : object array of shape (n_features,)
        Names of the features of the classifier.
    base : float64 array of shape (n_labels,)
        The logit of a row of whose features nothing is known: for a sparse X one
        without any, for an array the mean of the training rows.
    samples, features : integer arrays of shape (n_entries,)
        The row and the feature of each entry, row by row.
    values : float64 array of shape (n_entries,)
        The feature's value, as the classifier has it.
    contributions : float64 array of shape (n_entries, n_labels)
        What it adds to each logit, in log-odds.
    from_descriptions : float64 array of shape (n_entries, n_labels) or None
        What of `contributions` comes from the prior mean that descriptions of the
        labels gave the weights (`label_features`); None without descriptions.
    interactions, row_length : float64 arrays of shape (n_samples, n_labels)
        What pairs of the embedding's dimensions, and the number of features of the
        row, add: terms that no feature has by itself.
    texts : list of str or None
        The rows, where the model takes texts.
    """

    label_names: list[Any]
    feature_names: np.ndarray
    base: np.ndarray
    samples: np.ndarray
    features: np.ndarray
    values: np.ndarray
    contributions: np.ndarray
    from_descriptions: np.ndarray | None
    interactions: np.ndarray
    row_length: np.ndarray
    texts: list[Any] | None = None
    _spans: list[Any] | None = field(default=None, repr=False)

    @property
    def logits(self) -> np.ndarray:
        """The sum of all terms, shape (n_samples, n_labels), in float64."""
        total = self.base + self.interactions + self.row_length
        np.add.at(total, self.samples, self.contributions)
        return total

    def of(self, sample: int, label: Any) -> FeatureContributions:
        """Return the contributions of the features of one row to one logit.

        Parameters
        ----------
        sample : int
            Position of the row.
        label : object
            One of `label_names`.

        Raises
        ------
        ValueError
            If `label` is none of them.
        """
        return self.at(sample, self.place_of(label))

    def place_of(self, label: Any) -> int:
        """Return the place of a label in `label_names`, or raise a ValueError."""
        if label in self.label_names:
            return self.label_names.index(label)
        raise ValueError(
            f"`label` accepts one of {self.label_names[:5]}; got {label!r}."
        )

    def at(self, sample: int, place: int) -> FeatureContributions:
        """Return as `of` the contributions to the logit of the label at a place."""
        first, last = np.searchsorted(self.samples, (sample, sample + 1))
        own = self.contributions[first:last, place]
        order = np.argsort(-own, kind="stable")
        order = order[own[order] != 0]
        names = self.feature_names[self.features[first:last][order]]
        return FeatureContributions(names, self.values[first:last][order], own[order])

    def to_frame(self) -> Any:
        """Return all terms as a pandas DataFrame.

        The columns are sample, label, part, feature, value and contribution; the sum of
        the contributions of a sample and a label is its logit. Parts are "base",
        "feature" (what labeled cells taught), "description" (the prior mean),
        "interactions" and "row_length". Features that add nothing are left out.
        """
        import pandas as pd

        learned = self.contributions
        parts = []
        if self.from_descriptions is not None:
            learned = learned - self.from_descriptions
            parts.append(self._entries("description", self.from_descriptions))
        parts.insert(0, self._entries("feature", learned))
        base = np.broadcast_to(self.base, self.interactions.shape)
        for name, term in (
            ("base", base),
            ("interactions", self.interactions),
            ("row_length", self.row_length),
        ):
            if name == "base" or term.any():
                parts.append(self._term(name, term))
        frame = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
        frame = frame.sort_values(["sample", "_label"], kind="stable")
        return frame.drop(columns="_label").reset_index(drop=True)

    def _entries(self, part, contributions):
        at, label = np.nonzero(contributions)
        feature = self.feature_names[self.features[at]]
        return self._columns(
            self.samples[at],
            label,
            part,
            feature,
            self.values[at],
            contributions[at, label],
        )

    def _term(self, part, term):
        sample, label = (grid.ravel() for grid in np.indices(term.shape))
        nothing = np.full(len(sample), None, dtype=object)
        missing = np.full(len(sample), np.nan)
        return self._columns(sample, label, part, nothing, missing, term.ravel())

    def _columns(self, sample, label, part, feature, value, contribution):
        names = np.empty(len(self.label_names), dtype=object)
        names[:] = self.label_names
        return {
            "sample": sample,
            "label": names[label],
            "part": part,
            "feature": feature,
            "value": value,
            "contribution": contribution,
            "_label": label,
        }

    def shown_labels(self, sample: int) -> np.ndarray:
        """Return the positions of the labels to show: all of few, or the likeliest."""
        n_labels = len(self.label_names)
        if n_labels <= 3:
            return np.arange(n_labels)
        return np.argsort(-self.logits[sample], kind="stable")[:3]

    def __repr__(self) -> str:
        """Return the largest contributions of a few rows as text."""
        n_samples, n_labels = self.interactions.shape
        lines = [f"Explanation of {n_samples} rows and {n_labels} labels"]
        logits = self.logits
        for sample in range(min(n_samples, _MOST_SHOWN)):
            for label in self.shown_labels(sample):
                name, logit = self.label_names[label], logits[sample, label]
                lines.append(f"row {sample}, {name}: logit {logit:+.2f}")
                features, _, own = self.at(sample, label)
                largest = np.argsort(-np.abs(own), kind="stable")[:_MOST_SHOWN]
                shown = [f"{features[at]} {own[at]:+.2f}" for at in sorted(largest)]
                lines.append(f"  {', '.join(shown) or 'no features'}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return explanation_html(self, range(min(len(self.row_length), _MOST_SHOWN)))


def explain(
    model: Any, X: Any, *, labels: Any = None, feature_names: Any = None
) -> Explanation:
    r"""Return what each feature of rows adds to their logits; the sum is exact.

    Parameters
    ----------
    model : fitted estimator
        As :func:`label_coefficients` takes it.
    X : str, or rows of shape (n_samples, ...) as the model takes them
        The rows to explain; a str is one text.
    labels : str, int, list or slice, default=None
        Names or positions of the labels to explain; None takes all.
    feature_names : array-like of shape (n_features,), default=None
        As in :func:`label_coefficients`.

    Returns
    -------
    Explanation
        It prints, shows texts with their words highlighted in a notebook, and
        `to_frame` makes a table of it. Its `logits` are those of
        `model.decision_function`, or of a calibrator's `predict_proba`, to rounding:
        the model computes in float32.

    Raises
    ------
    TypeError
        If the logits of the model are not sums over features.
    ValueError
        If a calibrator averages estimators or is not linear in logits, or the number of
        `feature_names` is another.

    See Also
    --------
    label_coefficients : The features that speak for and against a label on the whole.
    sklearn_masked.plotting.ExplanationDisplay : Draws the terms of one row.

    Notes
    -----
    With the length of the row's embedding given, all but pairs and row length is
    linear: a feature of value :math:`x_j` contributes
    :math:`(x_j - m_j)(w_{jl} + e_j^\top u_l / n(x))`, where :math:`m` are the means of
    an array's columns, and 0 for a sparse X. For a linear model these are the values of
    SHAP's linear explainer, with features taken as independent and :math:`m` as the
    background. They say what the model computes, not what causes a label.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.inspection import explain
    >>> texts = ["troops cross the border", "the striker scores twice",
    ...          "shelling near the border", "the keeper saves a penalty"]
    >>> y = np.array([[1, np.nan], [np.nan, 1], [1, 0], [0, np.nan]])
    >>> clf = make_pipeline(TfidfVectorizer(),
    ...                     MaskedMultiLabelClassifier(random_state=0)).fit(texts, y)
    >>> explanation = explain(clf, "shelling at the border", labels=0)
    >>> sorted(explanation.of(0, 0).features)
    ['border', 'shelling', 'the']
    """
    X = [X] if isinstance(X, str) else X
    unwrapped = Unwrapped(model, feature_names)
    places = unwrapped.positions(labels)
    rows, parts = unwrapped.read(X, places)
    n_rows, names = rows.shape[0], unwrapped.feature_names(rows.shape[1])
    entries = parts.entries(rows)
    prior = None
    if parts.has_prior:
        given = parts.prior_weight, parts.prior_output
        prior = parts.contributions(entries, n_rows, *given)
    texts, spans = token_spans(unwrapped.heads, X)
    values = entries.values
    if parts.shift is not None:
        values = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
        values = values.ravel().astype(float)
    return Explanation(
        label_names=[unwrapped.names[place] for place in places],
        feature_names=names,
        base=parts.base,
        samples=entries.rows,
        features=entries.features,
        values=values,
        contributions=parts.contributions(entries, n_rows, parts.weight, parts.output),
        from_descriptions=prior,
        interactions=parts.interactions(entries, n_rows),
        row_length=parts.of_row_length(entries, n_rows),
        texts=texts,
        _spans=spans,
    )
