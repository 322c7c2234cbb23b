"""Negatives that a strategy chose are no sample of the pool: less weight for them."""

from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np

from .._typing import LabelsLike
from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_names

#: By the simulations of `benchmarks/README.md`.
CHOSEN_NEGATIVE_WEIGHT = 0.2
# Cells with these reasons were not chosen for what a model says of them.
_NOT_CHOSEN = ("random", "review")


def weigh_chosen_negatives(
    labels: LabelsLike, table: Any, *, weight: float = CHOSEN_NEGATIVE_WEIGHT
) -> MaskedLabels:
    """Give less weight to the negatives of cells that a strategy chose.

    A strategy asks for cells that look positive or doubtful. Those that turn out
    negative are the hardest of their label: trained on as if they were a sample of its
    negatives, they teach a model what tells hard negatives from positives, and little
    of what tells the others. Cells asked for by chance are a sample, and keep their
    weight; so do positives, of which there are few, however they were found.

    Parameters
    ----------
    labels : MaskedLabels or any other form of labels
        What is labeled, of shape (n_samples, n_labels).
    table : structured array or DataFrame
        Cells that were asked for, as of :func:`query_cells` and :func:`seed_cells`:
        positions `sample` and `label`, and `reason`. Those with reason "random" or
        "review" count as not chosen. Cells that are unlabeled are passed over.
    weight : float, default=0.2
        What the weight of a chosen negative is multiplied by, above 0. 1 changes
        nothing.

    Returns
    -------
    MaskedLabels of shape (n_samples, n_labels)
        The same cells with weights, for the `fit` of an estimator that takes weights.

    Raises
    ------
    ValueError
        If `weight` has another value, a cell lies outside the labels, or the table
        lacks a column or has ids or names instead of positions.

    See Also
    --------
    LabelingLoop, simulate : Both do so themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.annotation import query_cells, weigh_chosen_negatives
    >>> y = np.full((4, 2), np.nan)
    >>> y[0] = [1, 0]
    >>> proba = [[0.9, 0.1], [0.6, 0.2], [0.1, 0.3], [0.1, 0.1]]
    >>> table = query_cells(proba, y, n_cells=2, strategy="uncertain")
    >>> y[table["sample"], table["label"]] = 0  # what a person says
    >>> weigh_chosen_negatives(y, table).weights
    array([1. , 1. , 0.2, 0.2])
    """
    labels = check_labels(labels)
    check_weight(weight, "weight")
    names = getattr(table, "label_names", None)
    check_same_names(names, labels.label_names, "table", "`labels`")
    rows, cols, reasons = _columns(table, labels.shape)
    chosen = ~np.isin(reasons, _NOT_CHOSEN)
    return weigh(labels, rows[chosen], cols[chosen], weight)


def is_chosen(reason):
    """Tell whether a cell with this reason, or None, was chosen for what it is."""
    return reason is not None and reason not in _NOT_CHOSEN


def weigh(labels, rows, cols, weight):
    """Return the labels with less weight for the negatives among these cells."""
    if weight == 1 or not len(rows):
        return labels
    cells = labels.cells()
    keys, chosen = (
        np.asarray(r, np.int64) * labels.n_labels + np.asarray(c, np.int64)
        for r, c in ((cells.rows, cells.cols), (rows, cols))
    )
    less = (cells.values == 0) & np.isin(keys, chosen)
    weights = np.ones(len(keys)) if cells.weights is None else cells.weights.copy()
    weights[less] *= weight
    return MaskedLabels.from_cells(
        cells.rows,
        cells.cols,
        cells.values,
        shape=labels.shape,
        weights=weights,
    )._named_like(labels)


@contextmanager
def weights_explained(labels):
    """Say of an error in a fit where the weights of the labels come from."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if labels.weights is not None:
            error.add_note(
                "`chosen_negative_weight` gave the labels weights; with "
                "`chosen_negative_weight=1` they have none."
            )
        raise


def check_weight(weight, name):
    """Raise if a weight is no finite number above 0."""
    ok = isinstance(weight, Real) and not isinstance(weight, bool)
    if not ok or not 0 < weight < np.inf:
        raise ValueError(
            f"`{name}` accepts finite numbers above 0, 1 for none; got {weight!r}."
        )


def _columns(table, shape):
    """Return sample, label and reason of a table of cells of the labels."""
    try:
        rows, cols, reasons = (
            np.asarray(table[name]) for name in ("sample", "label", "reason")
        )
    except (IndexError, KeyError, TypeError, ValueError):
        raise ValueError(
            "`table` accepts a table with `sample`, `label` and `reason`, as of "
            f"query_cells; got {type(table).__name__} without one of them."
        ) from None
    for name, positions, n in zip(
        ("sample", "label"), (rows, cols), shape, strict=True
    ):
        if len(positions) and positions.dtype.kind not in "iu":
            raise ValueError(
                f"`table` accepts positions as `{name}`, integers from 0 to {n - 1}, "
                f"not ids or names; got {positions[0]!r}."
            )
        outside = (positions < 0) | (positions >= n)
        if outside.any():
            raise ValueError(
                f"`table` accepts cells of the labels, {name} from 0 to {n - 1}; got "
                f"{name} {positions[outside][0]}."
            )
    return rows, cols, reasons
