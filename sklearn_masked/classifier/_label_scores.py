"""Scores of rows for labels, from features that describe the labels.

Both are linear in what the module computes of a row, so that any amount of them can be
added to its weights.
"""

import copy

import numpy as np
import scipy.sparse as sp
import torch

from ..nn.model._module import direct_rows, embedded_rows

# Scores of a block of rows hold at most so many numbers, of at most so many rows.
_BLOCK, _MOST_ROWS = 1 << 22, 4096
# Rows count in the feedback by what a score has above so many standard deviations.
_FEEDBACK_FROM = 2.0
# The mean over labels is subtracted in as many columns as make at most so many weights.
_MOST_CENTERED = 1 << 24


class LabelScores:
    """Standardized scores of rows for labels, by features that describe the labels.

    Parameters
    ----------
    module : DirectSharedModule
        Whose feature scales and embedding to use.
    X : CSR matrix or array of shape (n_samples, n_features)
        All rows, labeled or not.
    features : CSR matrix or array of shape (n_labels, n_features)
        A row of zeros describes nothing: the label's scores are 0.

    Attributes
    ----------
    is_described : bool array of shape (n_labels,)
        Which labels have a row that is not zero.
    features : CSR array or array of shape (n_labels, n_features)
        The rows scaled as the direct path scales those of X, to length 1.
    center : float32 array of shape (n_features,)
        Their mean over the described labels, or 0 where one label alone is described.
    embedded : float32 array of shape (n_labels, embedding_dim)
        What the feedback gives, less its mean over the described labels.
    mean, scale : float arrays of shape (2,)
        Mean of each score, and one over its standard deviation; 0 for a score that
        does not vary or that the module has no path for.
    """

    def __init__(self, module, X, features):
        self.is_described = described(features)
        self.features = _unit_rows(direct_rows(module, features), self.is_described)
        self.center = self._mean_over_labels()
        self.mean, self.scale = np.zeros(2), np.zeros(2)
        self.mean[0], self.scale[0] = self._direct_moments(module, X)
        self.embedded, self.mean[1], self.scale[1] = self._feedback(module, X)
        if module.direct is None:
            self.scale[0] = 0.0
        if not float(module.shared_weight):
            self.scale[1] = 0.0

    @property
    def means(self):
        """Means of the scaled scores, which :meth:`of_cells` leaves in them."""
        return self.mean * self.scale

    def _mean_over_labels(self):
        n_described = self.is_described.sum()
        center = np.asarray(self.features.sum(axis=0), np.float32).ravel()
        if n_described < 2:
            return np.zeros_like(center)
        n_kept = _MOST_CENTERED // n_described
        if sp.issparse(self.features) and np.count_nonzero(center) > n_kept:
            least = np.partition(np.abs(center), -n_kept)[-n_kept]
            center[np.abs(center) < least] = 0
        return center / n_described

    def _blocks(self, module, X):
        """Yield slices of the rows of X, and their direct scores before scaling."""
        n_labels = len(self.is_described)
        step = int(np.clip(_BLOCK // n_labels, 1, _MOST_ROWS))
        for start in range(0, X.shape[0], step):
            rows = slice(start, min(start + step, X.shape[0]))
            scaled = direct_rows(module, X[rows])
            scores = scaled @ self.features.T
            scores = scores.toarray() if sp.issparse(scores) else scores
            yield rows, scores - np.outer(scaled @ self.center, self.is_described)

    def _direct_moments(self, module, X):
        total, squares = 0.0, 0.0
        for _, scores in self._blocks(module, X):
            total += scores.sum(dtype=float)
            squares += np.square(scores, dtype=float).sum()
        n = max(X.shape[0] * self.is_described.sum(), 1)
        return _mean_and_scale(total / n, squares / n)

    def _feedback(self, module, X):
        """Return each label's direction in the embedding, its mean and its scale."""
        width = module.embedding.shape[1]
        total = np.zeros((len(self.is_described), width))
        mean, second = np.zeros(width), np.zeros((width, width))
        for rows, scores in self._blocks(module, X):
            embedded = embedded_rows(module, X[rows])
            scores = (scores - self.mean[0]) * self.scale[0] - _FEEDBACK_FROM
            total += np.maximum(scores, 0).T @ embedded
            mean += embedded.sum(axis=0) / X.shape[0]
            second += embedded.T @ embedded / X.shape[0]
        total = _unit_rows(total, self.is_described)
        own = total[self.is_described]
        if len(own) > 1:
            own = own - own.mean(axis=0)
        total[self.is_described] = own
        moments = (own @ mean).mean(), np.sum((own @ second) * own) / max(len(own), 1)
        return total.astype(np.float32), *_mean_and_scale(*moments)

    def joined(self, module, X, features):
        """Return the scores of these labels and of more, the last rows of `features`.

        The scores of these labels, and the scale of all, stay as they are.
        """
        scores = LabelScores(module, X, features)
        scores.center, scores.mean, scores.scale = self.center, self.mean, self.scale
        scores.embedded[: len(self.embedded)] = self.embedded
        return scores

    def from_label(self, first):
        """Return the scores of the labels from this position on; others have none."""
        scores, kept = copy.copy(self), np.arange(len(self.is_described)) >= first
        scores.is_described = self.is_described & kept
        scores.embedded = self.embedded * kept[:, None]
        scores.features = _unit_rows(self.features, scores.is_described)
        return scores

    def of_cells(self, module, X, rows, labels):
        """Return the scores of these cells, before their mean is taken off.

        That is what coefficients of 1 add to the module's logits.

        Returns
        -------
        float64 array of shape (n_cells, 2)
        """
        found = np.zeros((len(rows), 2))
        for start in range(0, len(rows), _MOST_ROWS):
            cells = slice(start, start + _MOST_ROWS)
            some, label = X[rows[cells]], labels[cells]
            scaled, own = direct_rows(module, some), self.features[label]
            if sp.issparse(scaled):
                found[cells, 0] = np.asarray(scaled.multiply(own).sum(axis=1)).ravel()
            else:
                found[cells, 0] = np.einsum("ij,ij->i", scaled, own)
            found[cells, 0] -= (scaled @ self.center) * self.is_described[label]
            embedded = embedded_rows(module, some)
            found[cells, 1] = np.einsum("ij,ij->i", embedded, self.embedded[label])
        return found * self.scale

    @torch.no_grad()
    def add_to(self, module, amounts):
        """Add so much of each score to the module's weights."""
        direct, shared = amounts * self.scale
        if direct:
            table = direct * self._centered_features().T
            module.direct.add(table)
        if shared:
            table = torch.from_numpy(self.embedded) * (
                shared / float(module.shared_weight)
            )
            width = self.embedded.shape[1]
            module.output.data[:, :width] += table.to(module.output)

    def _centered_features(self):
        if not sp.issparse(self.features):
            return self.features - np.outer(self.is_described, self.center)
        ones = sp.csr_array(self.is_described[:, None].astype(np.float32))
        return self.features - ones @ sp.csr_array(self.center[None, :])


def described(features):
    """Return which rows of features are not zero."""
    if sp.issparse(features):
        return np.asarray(abs(features).sum(axis=1)).ravel() > 0
    return np.any(features != 0, axis=1)


def _mean_and_scale(mean, square):
    """Return the mean, and one over the standard deviation, 0 where that is 0."""
    variance = square - mean**2
    varies = np.isfinite(variance) and variance > 1e-12 * square
    return (mean, variance**-0.5) if varies else (0.0, 0.0)


def _unit_rows(rows, kept):
    """Return these rows at length 1, others and those of zeros as zeros."""
    if sp.issparse(rows):
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    else:
        length = np.sqrt(np.square(rows, dtype=float).sum(axis=1))
    kept = kept & (length > 0)
    factor = np.divide(1, length, out=np.zeros(len(length)), where=kept)
    if sp.issparse(rows):
        data = rows.data * np.repeat(factor, np.diff(rows.indptr)).astype(np.float32)
        return sp.csr_array((data, rows.indices, rows.indptr), shape=rows.shape)
    return (rows * factor[:, None]).astype(rows.dtype)
