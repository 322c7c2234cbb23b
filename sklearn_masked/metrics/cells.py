"""From labels and predictions to the scored cells that every metric reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from .._typing import LabelsLike, MatrixLike, Names, Weights
from ..labels import MaskedLabels, cell_weights, check_binary_labels, check_labels
from ..labels.names import check_same_columns, check_same_rows, column_names

# Accepted predictions by kind, in the words of the error messages.
_ACCEPTED = {
    "score": "finite numbers",
    "proba": "probabilities between 0 and 1",
    "pred": "0 and 1",
}


class ScoredCells(NamedTuple):
    """Labeled cells of weight above 0 with their predictions, in parallel arrays."""

    cols: np.ndarray  # label of each cell, integers in [0, n_labels)
    positive: np.ndarray  # bool
    scores: np.ndarray  # float16, float32 or float64
    weights: np.ndarray | None  # float64, all above 0
    n_labels: int
    names: np.ndarray | None  # label names, None for positions

    def pooled(self) -> ScoredCells:
        """Return the same cells as if they were all of one label."""
        return self._replace(cols=np.zeros_like(self.cols), n_labels=1, names=None)

    def total(self, of: np.ndarray | None = None) -> np.ndarray:
        """Sum the weights per label, of all cells or of those where `of` is True."""
        cols, weights = self.cols, self.weights
        if of is not None:
            cols = cols[of]
            weights = None if weights is None else weights[of]
        return np.bincount(cols, weights=weights, minlength=self.n_labels)

    def count(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of positive and of negative cells per label."""
        kinds = 2 * self.cols + self.positive
        counts = np.bincount(kinds, minlength=2 * self.n_labels).reshape(-1, 2)
        return counts[:, 1], counts[:, 0]


def score_cells(
    y_true: LabelsLike,
    y_score: MatrixLike,
    sample_weight: Weights,
    *,
    name: str,
    kind: str,
    truth: str = "y_true",
) -> ScoredCells:
    """Check labels and predictions, and return the `ScoredCells`.

    `name` is the parameter that the messages name, `truth` that of the labels, and
    `kind` one of "score", "proba" and "pred". Names of labels that both have must
    agree; it warns if both have the same row index in another order.
    """
    given = {truth: y_true, name: y_score, "sample_weight": sample_weight}
    check_same_rows(**given)
    if is_one_dimensional(y_true):
        labels, y_score = _binary_problem(y_true, y_score, name, kind)
    else:
        labels = check_labels(y_true)
    cells = labels.cells()
    check_same_columns(y_score, labels.label_names, name, f"`{truth}`")
    scores = _gather(y_score, labels, cells, name)
    check_same_columns(
        sample_weight, column_names(y_score), "sample_weight", f"`{name}`"
    )
    weights = cell_weights(cells, sample_weight, labels)
    rows, cols, positive = cells.rows, cells.cols, cells.values == 1
    if weights is not None and not weights.all():
        kept = weights > 0
        rows, cols, positive = rows[kept], cols[kept], positive[kept]
        scores, weights = scores[kept], weights[kept]
    names = labels.label_names
    scores = _as_floats(scores, name)
    _check_values(scores, rows, cols, names, name, kind)
    return ScoredCells(cols, positive, scores, weights, labels.n_labels, names)


def is_one_dimensional(y: LabelsLike) -> bool:
    """Tell whether `y` is one binary target and not a label matrix."""
    if getattr(y, "ndim", 1) != 1 or not hasattr(y, "__iter__"):
        return False
    if np.ma.isMaskedArray(y):
        return True
    # A label matrix can also come as a list of rows or as a 1-D array of row views.
    first = next(iter(y), None)
    return isinstance(first, str | bytes) or not hasattr(first, "__len__")


def binary_labels(
    y: LabelsLike, classes: np.ndarray | None = None
) -> tuple[MaskedLabels, np.ndarray]:
    """Return a binary target as labels of shape (n_samples, 1), and its classes.

    `classes`, the two of a fitted classifier say, decide which one is positive where
    `y` itself may hold one class only.
    """
    labels, found = check_binary_labels(y)
    if classes is None:
        return labels, found
    cells = labels.cells()
    strange = [value for value in found if value not in classes.tolist()]
    if strange:
        raise ValueError(
            f"`y` accepts the two classes that the classifier was fitted with, "
            f"{classes.tolist()}; got {strange[0]!r}."
        )
    if len(found) == 1:
        # All entries are of one class: it need not be the class that it seems.
        value = int(found[0] == classes[1])
        labels = MaskedLabels.from_cells(
            cells.rows,
            cells.cols,
            np.full(len(cells.rows), value),
            shape=labels.shape,
            weights=cells.weights,
        )
    return labels, classes


def _binary_problem(y_true, y_score, name, kind):
    """Return labels and one column of predictions of a binary target."""
    n_samples = len(y_true)
    y_score = np.asarray(y_score)
    accepted = [(n_samples,), (n_samples, 1)]
    if kind == "proba":
        accepted.append((n_samples, 2))
    if y_score.shape not in accepted:
        raise ValueError(
            f"`{name}` accepts one prediction a sample for a 1-D `y_true`, shape "
            f"({n_samples},); got shape {y_score.shape}."
        )
    labels, classes = check_binary_labels(y_true)
    column = y_score.reshape(n_samples, -1)[:, -1]
    if kind != "pred":
        return labels, column
    rows = labels.cells().rows
    column = column[rows]
    if len(classes) == 1:
        # The decisions may know the other class, which says what this one is.
        both = np.unique(np.append(classes, column))
        if len(both) == 2:
            labels, classes = binary_labels(y_true, both)
        elif labels.cells().values[0] == 1:
            classes = np.repeat(classes, 2)  # the sole class is the positive one
    encoded = encode_binary(column, classes)
    if np.isnan(encoded).any():
        bad = np.argmax(np.isnan(encoded))
        raise ValueError(
            f"`{name}` accepts the classes of `y_true`, {classes.tolist()}; got "
            f"{column[bad]!r} at sample {rows[bad]}."
        )
    return labels, encoded


def encode_binary(decisions: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return decisions for either of two classes as 0.0, 1.0 and, for others, NaN."""
    encoded = np.full(len(decisions), np.nan)
    for value, known in enumerate(classes):
        encoded[decisions == known] = value
    return encoded


def _gather(y_score, labels, cells, name):
    """Return the prediction of every labeled cell."""
    if sp.issparse(y_score):
        found = y_score.shape
        if found == labels.shape:
            return np.asarray(y_score.tocsr()[cells.rows, cells.cols]).ravel()
    else:
        y_score = np.asarray(y_score)
        found = y_score.shape
        if found == labels.shape:
            return y_score[cells.rows, cells.cols]
        if found == (len(cells.rows),):
            return y_score
        if labels.n_labels == 1 and found == labels.shape[:1]:
            return y_score[cells.rows]
    raise ValueError(
        f"`{name}` accepts shape {labels.shape}, as `y_true` has, or one value for "
        f"each of its {len(cells.rows)} labeled cells, row by row; got shape {found}."
    )


def _as_floats(scores, name):
    """Return numbers as floats, in their own precision where they are floats."""
    if scores.dtype in (np.float64, np.float32, np.float16):
        return scores
    if scores.dtype.kind in "biufO":
        try:
            return scores.astype(np.float64)
        except (TypeError, ValueError):
            pass  # objects that are no numbers; the sentence below says so
    raise TypeError(
        f"`{name}` accepts numbers in labeled cells; got an array of dtype "
        f"{scores.dtype}."
    )


def _check_values(scores, rows, cols, names, name, kind):
    """Raise for the first prediction, in a labeled cell, that cannot be read."""
    if kind == "score":
        good = np.isfinite(scores)
    elif kind == "proba":
        good = (scores >= 0) & (scores <= 1)
    else:
        good = (scores == 0) | (scores == 1)
    if good.all():
        return
    bad = np.argmin(good)
    remedy = " Apply a threshold to the scores first." if kind == "pred" else ""
    raise ValueError(
        f"`{name}` accepts {_ACCEPTED[kind]} in labeled cells; got "
        f"{scores[bad].item()!r} at sample {rows[bad]}, label "
        f"{label_name(names, cols[bad])}.{remedy}"
    )


def label_name(names: Names, label: int) -> str:
    """Return what a message calls a label: its name, or its position."""
    return str(label) if names is None else repr(names[label])


def confusion(cells: ScoredCells) -> tuple[np.ndarray, ...]:
    """Return weights tp, fp, fn and tn, each of shape (n_labels,)."""
    decided, positive = cells.scores == 1, cells.positive
    return tuple(
        cells.total(of)
        for of in (
            positive & decided,
            ~positive & decided,
            positive & ~decided,
            ~positive & ~decided,
        )
    )


def balanced_accuracy(
    tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray
) -> np.ndarray:
    """Return the balanced accuracy of counts; NaN where a class has none."""
    with np.errstate(invalid="ignore"):
        return (tp / (tp + fn) + tn / (tn + fp)) / 2


def matthews_corrcoef(
    tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, tn: np.ndarray
) -> np.ndarray:
    """Return the Matthews correlation of counts: 0 where all decisions are alike.

    NaN where a class has no cell. The product of square roots instead of the root of
    the product, which could overflow.
    """
    spread = np.sqrt((tp + fp) * (fn + tn)) * np.sqrt((tp + fn) * (fp + tn))
    value = np.where((tp + fn > 0) & (fp + tn > 0), 0.0, np.nan)
    np.divide(tp * tn - fp * fn, spread, out=value, where=spread > 0)
    return np.clip(value, -1.0, 1.0)
