"""Features for and against each label, over all rows."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from ..metrics.label_table import LabelTable
from .unwrap import Unwrapped

# Coefficients of a block of labels, and terms of a block of rows, hold about so many
# numbers.
_BLOCK = 1 << 22
# Terms of a row's logit: direct, unscaled, embedding, interactions, row length; those
# without "unscaled" add up to the logit.
_TOTAL = np.array([1.0, 0.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class LabelCoefficients:
    """The features that speak for and against each label.

    Made by :func:`label_coefficients`. The lists have an entry per label.

    Attributes
    ----------
    label_names : list[Any]
        Names of the labels, or their positions.
    features : list of object arrays
        Names of features, from the one most for the label to the one most against it.
    coefficients : list of float64 arrays
        Log-odds that one unit of each of these features adds.
    effects : list of float64 arrays
        Log-odds that one standard deviation of each adds: the coefficient times the
        standard deviation of the feature over the rows.
    shares : LabelTable
        Shares of the variance of each label's logits over the rows: "linear", which
        the coefficients of all features carry; "length", of scaling each row's
        embedding to length 1; "interactions", of pairs; "row_length", of the number of
        features of a row. They are covariances with the logit over its variance, and
        add up to 1; one that works against the others is below 0.
    order : {"effect", "coefficient"}
        Which of them rank the features.
    """

    label_names: list[Any]
    features: list[Any]
    coefficients: list[Any]
    effects: list[Any]
    shares: LabelTable
    order: str = "effect"

    @property
    def scores(self) -> list[Any]:
        """The numbers that rank the features: the effects or the coefficients."""
        return self.effects if self.order == "effect" else self.coefficients

    def to_frame(self) -> Any:
        """Return a pandas DataFrame of label, feature, coefficient and effect."""
        import pandas as pd

        counts = [len(features) for features in self.features]
        return pd.DataFrame(
            {
                "label": np.repeat(_objects(self.label_names), counts),
                "feature": np.concatenate(self.features),
                "coefficient": np.concatenate(self.coefficients),
                "effect": np.concatenate(self.effects),
            }
        )

    def __repr__(self) -> str:
        """Return a few features of the first labels as text."""
        lines = []
        for place, name in enumerate(self.label_names[:10]):
            share = self.shares["linear"][place]
            lines.append(f"{name} (linear: {share:.0%} of the variance)")
            features, scores = self.features[place], self.scores[place]
            for words, chosen in (
                ("for", np.flatnonzero(scores > 0)[:10]),
                ("against", np.flatnonzero(scores < 0)[::-1][:10]),
            ):
                shown = [f"{features[at]} {scores[at]:+.2f}" for at in chosen]
                lines.append(f"  {words}: {', '.join(shown) or 'none'}")
        if len(self.label_names) > 10:
            lines.append(f"... and {len(self.label_names) - 10} more labels")
        return "\n".join(lines)


@validate_params(
    {
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
        "order": [StrOptions({"effect", "coefficient"})],
    },
    prefer_skip_nested_validation=True,
)
def label_coefficients(
    model: Any,
    X: Any,
    *,
    labels: Any = None,
    feature_names: Any = None,
    n_features: int | None = 10,
    order: str = "effect",
) -> LabelCoefficients:
    r"""Return the features for and against each label, of all that is linear in X.

    The coefficient of a feature adds up the direct weight of the label, what all labels
    have in common, and the path through the embedding, with the scales of columns and
    the output lines folded in. Rows of X, labeled or not, tell how much of the logits
    this explains, and how large a feature usually is.

    Parameters
    ----------
    model : fitted estimator
        A :class:`~sklearn_masked.MaskedMultiLabelClassifier`, a
        :class:`~sklearn_masked.multioutput.MaskedMultiOutputClassifier` of linear
        classifiers, or a pipeline, search, tuner or calibrator that ends in one.
    X : rows of shape (n_samples, ...) as the model takes them
        Of the kind that the model predicts; some thousands are enough.
    labels : str, int, list or slice, default=None
        Names or positions of the labels to return; None takes all.
    feature_names : array-like of shape (n_features,), default=None
        Names of the features of the classifier. None takes those that the steps before
        it give (`get_feature_names_out`) or that X had at `fit`, else "x0" and so on.
    n_features : int or None, default=10
        Features for, and as many against, each label; None returns all.
    order : {"effect", "coefficient"}, default="effect"
        What features are ranked by: the coefficient times the standard deviation of the
        feature over X, or the coefficient alone, which ranks features of one scale.

    Returns
    -------
    LabelCoefficients
        It prints, and `to_frame` makes a table of it.

    Raises
    ------
    TypeError
        If the logits of the model are not sums over features: a `module` of one's own,
        or a classifier that is not linear.
    ValueError
        If a calibrator averages estimators or is not linear in logits, or the number of
        `feature_names` is another.

    See Also
    --------
    explain : Contributions to the logits of single rows, which add up exactly.
    sklearn_masked.plotting.LabelCoefficientsDisplay : Draws them.

    Notes
    -----
    The embedding of a row is scaled to length 1, so that its path is linear only given
    that length. Its coefficients are of the factor in place of 1 / length that comes
    closest to the path's own term over the rows of X, in least squares, per label;
    `shares` has what is left over.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedMultiLabelClassifier
    >>> from sklearn_masked.inspection import label_coefficients
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 3))
    >>> y = np.column_stack([X[:, 0] > 0, X[:, 2] < 0.5]).astype(float)
    >>> y[rng.random(y.shape) < 0.5] = np.nan
    >>> clf = MaskedMultiLabelClassifier(interactions=0, random_state=0).fit(X, y)
    >>> found = label_coefficients(clf, X, feature_names=["age", "size", "dose"])
    >>> found.features[0][0], found.features[1][-1]
    ('age', 'dose')
    """
    unwrapped = Unwrapped(model, feature_names)
    places = unwrapped.positions(labels)
    X, one = unwrapped.read(X, places[:1])
    width = X.shape[1]
    names = unwrapped.feature_names(width)
    std = _column_std(X, one, width)
    found, shares = [], []
    step = max(_BLOCK // max(width, 1), 1)
    for start in range(0, len(places), step):
        _, part = unwrapped.read(None, places[start : start + step])
        share, factor = _shares(X, part)
        shares.append(share)
        for coefficients in part.coefficients(width, factor).T:
            effects = coefficients * std
            scores = effects if order == "effect" else coefficients
            chosen = _extremes(scores, n_features)
            found.append((names[chosen], coefficients[chosen], effects[chosen]))
    label_names = [unwrapped.names[place] for place in places]
    columns = ("linear", "length", "interactions", "row_length")
    by_name = dict(zip(columns, np.concatenate(shares, axis=1), strict=True))
    table = LabelTable({"label": _objects(label_names), **by_name})
    features, coefficients, effects = map(list, zip(*found, strict=True))
    return LabelCoefficients(label_names, features, coefficients, effects, table, order)


def _extremes(scores, n_features):
    """Return the places of the largest above 0 and the least below 0, in order."""
    order = np.argsort(-scores, kind="stable")
    positive, negative = order[scores[order] > 0], order[scores[order] < 0]
    if n_features is None:
        return order
    return np.concatenate([positive[:n_features], negative[-n_features:]])


def _row_blocks(X, part):
    """Yield the features of some rows at a time, and the number of the rows."""
    step = max(_BLOCK // max(part.n_labels * len(_TOTAL), X.shape[1]), 1)
    for start in range(0, X.shape[0], step):
        rows = X[start : start + step]
        yield part.entries(rows), rows.shape[0]


def _column_std(X, model, width):
    """Return the standard deviation of each feature over the rows."""
    total, squares = np.zeros(width), np.zeros(width)
    for entries, _ in _row_blocks(X, model):
        total += np.bincount(entries.features, entries.values, width)
        squares += np.bincount(entries.features, entries.values**2, width)
    n = max(X.shape[0], 1)
    return np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0))


def _shares(X, part):
    """Return shares of the logits' variance, and the factor of the embedding."""
    n_terms, n = len(_TOTAL), max(X.shape[0], 1)
    mean = np.zeros((part.n_labels, n_terms))
    second = np.zeros((part.n_labels, n_terms, n_terms))
    for entries, n_rows in _row_blocks(X, part):
        terms = np.stack(part.terms_of_rows(entries, n_rows), axis=2)
        mean += terms.sum(axis=0) / n
        second += np.einsum("nlj,nlk->ljk", terms, terms, optimize=True) / n
    covariance = second - mean[:, :, None] * mean[:, None, :]
    unscaled, scaled = covariance[:, 1, 1], covariance[:, 1, 2]
    varies = unscaled > 1e-12 * second[:, 1, 1]
    factor = np.divide(scaled, unscaled, out=np.ones(part.n_labels), where=varies)
    with_total = covariance @ _TOTAL
    linear = with_total[:, 0] + factor * with_total[:, 1]
    length = with_total[:, 2] - factor * with_total[:, 1]
    shares = np.stack([linear, length, with_total[:, 3], with_total[:, 4]])
    variance, size = with_total @ _TOTAL, (second @ _TOTAL) @ _TOTAL
    shares = np.divide(
        shares,
        variance,
        out=np.full(shares.shape, np.nan),
        where=variance > 1e-12 * size,
    )
    return shares, factor


def _objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
