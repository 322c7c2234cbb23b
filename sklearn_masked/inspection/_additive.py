r"""Logits as sums over features, and over what no feature has by itself.

The logit of label :math:`l` for a row :math:`x`, with :math:`v = x - m`, is

.. math::
    b_l + \sum_j v_j (w_{jl} + e_j^\top u_l / n(x)) + z^\top Q_l z + t_l r(x),

where :math:`e_j` is the embedding of a feature, :math:`z = \sum_j v_j e_j / n(x)` that
of the row, :math:`n(x)` its length, the sum of absolute values or 1, and :math:`r(x)`
the row-length feature. Given :math:`n(x)`, the first sum is linear in the row: its
terms are the contributions of the features. Pairs and row length are terms of their
own.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

_LARGEST = float(np.finfo(np.float32).max)


class Entries(NamedTuple):
    """The features that rows have: arrays of shape (n_entries,), row by row."""

    rows: np.ndarray
    features: np.ndarray
    values: np.ndarray  # less the means of columns


class RowTerms(NamedTuple):
    """Terms of the logits of rows: arrays of shape (n_rows, n_labels)."""

    direct: np.ndarray
    unscaled: np.ndarray  # the embedding's, before rows are scaled to one length
    embedding: np.ndarray
    interactions: np.ndarray
    row_length: np.ndarray


class AdditiveModel:
    """The weights of some labels, in float64, with the output lines folded in.

    Parameters
    ----------
    base : array of shape (n_labels,)
        :math:`b_l`.
    weight, prior_weight : arrays or CSR arrays of shape (n_features, n_labels), or None
        :math:`w_{jl}`, and what of it is the prior mean from descriptions of labels.
    shift : array of shape (n_features,) or None
        :math:`m`.
    embedding : array of shape (n_embedded, embedding_dim) or None
        :math:`e_j`, of a feature each or of those that `embedding_row` names.
    embedding_row : integer array of shape (n_features,) or None
        The row of `embedding` of each feature.
    output, prior_output : arrays of shape (n_labels, embedding_dim) or None
        :math:`u_l`, and what of it is the prior mean.
    norm : {None, "length", "sum"}
        What :math:`n(x)` is: 1, the length of the embedding or the sum of |x|.
    pairs : array of shape (n_labels, n_paired, n_paired) or None
        :math:`Q_l`, of the last dimensions, scaled to length 1.
    row_length : tuple of float or None
        Mean and standard deviation of log(1 + number of features), and, standardized,
        the factor and the bound that make it :math:`r(x)`.
    row_length_weight : array of shape (n_labels,) or None
        :math:`t_l`.
    """

    def __init__(
        self,
        base,
        *,
        weight=None,
        shift=None,
        embedding=None,
        embedding_row=None,
        output=None,
        norm=None,
        pairs=None,
        row_length=None,
        row_length_weight=None,
        prior_weight=None,
        prior_output=None,
    ):
        self.base, self.weight, self.shift = base, _as_csr(weight), shift
        self.embedding, self.embedding_row = embedding, embedding_row
        self.output, self.norm, self.pairs = output, norm, pairs
        self.row_length, self.row_length_weight = row_length, row_length_weight
        self.prior_weight, self.prior_output = _as_csr(prior_weight), prior_output

    @property
    def n_labels(self):
        """Number of labels."""
        return len(self.base)

    @property
    def has_prior(self):
        """Whether a part of the weights comes from descriptions of labels."""
        return self.prior_weight is not None

    def with_line(self, slope, intercept):
        """Return the model of ``slope * logit + intercept``, both per label."""
        scaled = dict(vars(self))
        for name in ("weight", "prior_weight"):
            if scaled[name] is not None:
                scaled[name] = scaled[name] * slope
        for name in ("output", "prior_output", "pairs", "row_length_weight"):
            value = scaled[name]
            if value is not None:
                scaled[name] = value * slope.reshape(-1, *[1] * (value.ndim - 1))
        return AdditiveModel(slope * scaled.pop("base") + intercept, **scaled)

    def entries(self, X):
        """Return the features of rows of X: those stored in a CSR, all of an array."""
        if sp.issparse(X):
            rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
            values = X.data.astype(float)
            if self.shift is None:
                return Entries(rows, X.indices, values)
            X = X.toarray()
        values = X.astype(float)
        if self.shift is not None:
            values = np.clip(values - self.shift, -_LARGEST, _LARGEST)
        rows = np.repeat(np.arange(X.shape[0]), X.shape[1])
        return Entries(rows, np.tile(np.arange(X.shape[1]), len(X)), values.ravel())

    def contributions(self, entries, n_rows, weight, output):
        """Return what each entry adds to each logit, shape (n_entries, n_labels)."""
        total = np.zeros((len(entries.rows), self.n_labels))
        if weight is not None:
            own = weight[entries.features]
            total += own.toarray() if sp.issparse(own) else own
        if output is not None and self.embedding is not None:
            lengths = self._lengths(entries, n_rows)[entries.rows, None]
            total += self._embedded(entries.features) @ output.T / lengths
        return total * entries.values[:, None]

    def terms_of_rows(self, entries, n_rows):
        """Return the terms of the logits of rows."""
        shape = n_rows, self.n_labels
        direct = np.zeros(shape)
        if self.weight is not None:
            product = self.table(entries, n_rows) @ self.weight
            direct += product.toarray() if sp.issparse(product) else product
        linear = np.zeros(shape)
        if self.output is not None:
            linear += self._rows_embedded(entries, n_rows) @ self.output.T
        embedding = linear / self._lengths(entries, n_rows)[:, None]
        others = self.interactions(entries, n_rows), self.of_row_length(entries, n_rows)
        return RowTerms(direct, linear, embedding, *others)

    def coefficients(self, n_features, factor):
        """Return the coefficients of all features, shape (n_features, n_labels).

        `factor`, per label, stands for the length that divides a row's embedding.
        """
        total = np.zeros((n_features, self.n_labels))
        if self.weight is not None:
            total += self.weight.toarray() if sp.issparse(self.weight) else self.weight
        if self.output is not None:
            total += self._embedded(np.arange(n_features)) @ (factor * self.output.T)
        return total

    def interactions(self, entries, n_rows):
        """Return what pairs of the embedding's dimensions add to the logits."""
        total = np.zeros((n_rows, self.n_labels))
        if self.pairs is None:
            return total
        z = self._rows_embedded(entries, n_rows)[:, -self.pairs.shape[1] :]
        lengths = np.linalg.norm(z, axis=1, keepdims=True)
        z = z / np.where(lengths > 0, lengths, 1.0)
        for label, pairs in enumerate(self.pairs):
            total[:, label] = ((z @ pairs) * z).sum(axis=1)
        return total

    def of_row_length(self, entries, n_rows):
        """Return what the number of a row's features adds to the logits."""
        if self.row_length is None:
            return np.zeros((n_rows, self.n_labels))
        counts = np.bincount(entries.rows, minlength=n_rows)
        mean, std, factor, bound = self.row_length
        feature = factor * np.clip((np.log1p(counts) - mean) / std, -bound, bound)
        return np.outer(feature, self.row_length_weight)

    def _embedded(self, features):
        at = features if self.embedding_row is None else self.embedding_row[features]
        return self.embedding[at]

    def table(self, entries, n_rows):
        """Return the entries as a CSR array of shape (n_rows, n_features)."""
        n_features = (
            len(self.embedding if self.embedding_row is None else self.embedding_row)
            if self.embedding is not None
            else self.weight.shape[0]
        )
        ends = np.append(0, np.cumsum(np.bincount(entries.rows, minlength=n_rows)))
        parts = entries.values, entries.features, ends
        return sp.csr_array(parts, shape=(n_rows, n_features))

    def _rows_embedded(self, entries, n_rows):
        """Return the sum of the embeddings of each row's features."""
        table = self.table(entries, n_rows)
        if self.embedding_row is None:
            return table @ self.embedding
        columns = self.embedding_row[table.indices]
        shape = n_rows, len(self.embedding)
        return sp.csr_array((table.data, columns, table.indptr), shape) @ self.embedding

    def _lengths(self, entries, n_rows):
        """Return n(x) of each row; 1 for one that is embedded at 0."""
        if self.norm is None:
            return np.ones(n_rows)
        if self.norm == "sum":
            lengths = np.bincount(entries.rows, np.abs(entries.values), n_rows)
        else:
            lengths = np.linalg.norm(self._rows_embedded(entries, n_rows), axis=1)
        return np.where(lengths > 0, lengths, 1.0)


def _as_csr(weight):
    """Return a sparse weight as CSR: old versions of scipy multiply into COO."""
    return sp.csr_array(weight) if sp.issparse(weight) else weight
