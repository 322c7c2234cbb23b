"""The labeled cells of a label matrix, label by label."""

from typing import NamedTuple

import numpy as np

from .._rows import count_rows, has_rows, take_rows
from ..labels import Cells, cell_weights, check_sample_weight


class Column(NamedTuple):
    """The labeled cells of one label, those of weight 0 left out."""

    rows: np.ndarray
    values: np.ndarray  # 0 and 1
    weights: np.ndarray | None

    def select(self, values):
        """Return what `values`, with one entry per sample, hold for these cells."""
        if np.array_equal(self.rows, np.arange(count_rows(values))):
            return values
        return take_rows(values, self.rows)


class Columns:
    """The labeled cells, label by label; never all at once where most are stored not.

    A soft cell of value v and weight w is two cells: a positive of weight w * v and a
    negative of weight w * (1 - v).
    """

    def __init__(self, labels, sample_weight):
        self.n_samples, self.n_labels = labels.shape
        self.counts = labels.n_positive, labels.n_negative
        self.implicit_negatives = labels.fill == "negative"
        self.weighted = sample_weight is not None or is_weighted(labels)
        self.sample_weight = check_sample_weight(sample_weight, labels)
        stored_weights = labels.weights
        rows = np.repeat(np.arange(self.n_samples), np.diff(labels.indptr))
        if self.weighted and not self.implicit_negatives:
            cells = Cells(rows, labels.indices, labels.values, labels.weights)
            stored_weights = cell_weights(cells, self.sample_weight, labels.shape)
        cells = Cells(rows, labels.indices, labels.values, stored_weights)
        if has_fractions(labels):
            cells = _split_in_two(cells)
        rows, cols, values, stored_weights = cells
        order = np.argsort(cols, kind="stable")
        self.bounds = np.append(
            0, np.cumsum(np.bincount(cols, minlength=self.n_labels))
        )
        self.rows, self.values = rows[order], values[order]
        self.weights = None if stored_weights is None else stored_weights[order]

    def __getitem__(self, label):
        stored = slice(self.bounds[label], self.bounds[label + 1])
        rows, values = self.rows[stored], self.values[stored]
        weights = None if self.weights is None else self.weights[stored]
        if self.implicit_negatives:
            rows, values, weights = self._with_negatives(label, rows, values, weights)
        if weights is not None and not weights.all():
            kept = weights > 0
            rows, values, weights = rows[kept], values[kept], weights[kept]
        return Column(rows, values.astype(np.intp), weights)

    def _with_negatives(self, label, rows, values, weights):
        """Return all labeled cells of a label whose negatives are not stored."""
        column = np.zeros(self.n_samples, dtype=np.int8)
        column[rows] = values
        labeled = np.flatnonzero(column != -1)
        if not self.weighted:
            return labeled, column[labeled], None
        cell_weight = np.ones(self.n_samples)
        if weights is not None:
            cell_weight[rows] = weights
        row_weight = self.sample_weight
        if row_weight is not None and row_weight.ndim == 2:
            row_weight = row_weight[:, [label]]
        cells = Cells(
            labeled, np.zeros_like(labeled), column[labeled], cell_weight[labeled]
        )
        weights = cell_weights(cells, row_weight, (self.n_samples, 1))
        return labeled, cells.values, weights

    def totals(self):
        """Return the weights of the positive and of the negative cells, per label."""
        if not self.weighted:
            return self.counts
        totals = np.zeros((2, self.n_labels))
        for label in range(self.n_labels):
            column = self[label]
            totals[:, label] = np.bincount(column.values, column.weights, minlength=2)
        return totals[1], totals[0]


def is_weighted(labels):
    """Return whether training on these labels takes weights of cells."""
    return labels.weights is not None or has_fractions(labels)


def has_fractions(labels):
    """Return whether labels have a value between 0 and 1."""
    return labels.soft and bool(((labels.values > 0) & (labels.values < 1)).any())


def _split_in_two(cells):
    """Return soft cells as positives and negatives that share the cell's weight."""
    weights = np.ones(len(cells.rows)) if cells.weights is None else cells.weights
    shares = np.stack([cells.values, 1 - cells.values], axis=1)
    return Cells(
        np.repeat(cells.rows, 2),
        np.repeat(cells.cols, 2),
        np.tile([1.0, 0.0], len(cells.rows)),
        (weights[:, None] * shares).ravel(),
    )


def training_set(X, column, params):
    """Return X, y and the further arguments for the labeled rows of one label."""
    n_samples = count_rows(X)
    params = {
        name: column.select(value) if has_rows(value, n_samples) else value
        for name, value in params.items()
    }
    if column.weights is not None:
        params["sample_weight"] = column.weights
    return column.select(X), column.values, params
