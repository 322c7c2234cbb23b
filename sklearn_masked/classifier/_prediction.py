"""Predictions of a fitted classifier: of whole rows, or of the cells one asks for."""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitted import of_one_fit
from .._typing import MatrixLike
from ..labels.names import check_same_features
from . import _data
from ._additive import additive_parts
from ._net import threads_for
from ._solvers import is_own

# A block of predictions holds at most so many rows, and logits.
_BLOCK_ROWS = 1 << 13
_BLOCK_NUMBERS = 1 << 24
# The logit of a single cell takes about as long as so many in whole rows.
_CELL_COST = 64
# Cells are computed in blocks of so many nonzeros of their rows.
_BLOCK_ENTRIES = 1 << 20


class PredictionMixin:
    """The methods that predict, for :class:`MaskedMultiLabelClassifier`."""

    @of_one_fit
    def decision_function(self, X: MatrixLike) -> np.ndarray:
        """Return the logits.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        array of shape (n_samples, n_labels), or (n_samples,) for 1-D y
            In the dtype of the module's parameters.
        """
        logits = self._by_blocks(X, lambda logits: logits)
        return logits[:, 0] if self._one_dimensional else logits

    @of_one_fit
    def predict_proba(self, X: MatrixLike) -> np.ndarray:
        """Return the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        float64 array of shape (n_samples, n_labels), or (n_samples, 2) for 1-D y
            Strictly between 0 and 1.
        """
        check_is_fitted(self)
        if not self._one_dimensional:
            return self._by_blocks(X, _probabilities)
        logits = self._by_blocks(X, lambda logits: logits)
        return _probabilities(np.hstack([-logits, logits]))

    @of_one_fit
    def predict(self, X: MatrixLike) -> np.ndarray:
        """Return the labels whose probability is above one half.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        int64 array of shape (n_samples, n_labels), or (n_samples,) for 1-D y
            1 and 0; for 1-D y the values that it had.
        """
        return self._decide(
            self._by_blocks(X, lambda logits: (logits > 0).astype(np.intp))
        )

    @of_one_fit
    def decision_function_cells(
        self, X: MatrixLike, rows: np.ndarray, cols: np.ndarray
    ) -> np.ndarray:
        """Return the logits of single cells: what `decision_function` has there.

        Where the cells are few among those of their rows, no other logits are
        computed, and the cost does not depend on the number of labels. The scorers of
        :mod:`sklearn_masked.metrics` ask for their labeled cells so.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        rows, cols : integer arrays of shape (n_cells,)
            The row of X and the label of each cell, in any order, repeated or not.

        Returns
        -------
        array of shape (n_cells,)
            In the dtype of the module's parameters; equal to
            ``decision_function(X)[rows, cols]`` to rounding.

        Raises
        ------
        ValueError
            If `rows` or `cols` are not integers of one length, or name a cell that
            is not there.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_masked import MaskedMultiLabelClassifier
        >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> y = np.array([[1, np.nan, 0], [0, 1, np.nan], [np.nan, 0, 1]])
        >>> clf = MaskedMultiLabelClassifier(random_state=0).fit(X, y)
        >>> unlabeled = np.isnan(y).nonzero()
        >>> logits = clf.decision_function_cells(X, *unlabeled)
        >>> np.allclose(logits, clf.decision_function(X)[unlabeled])
        True
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        rows, cols = _check_cells(rows, cols, (X.shape[0], self.n_labels_))
        # Row by row, as X is sliced: rows that nobody asks about cost nothing.
        order = np.argsort(rows, kind="stable")
        wanted, slots = np.unique(rows[order], return_inverse=True)
        by_cell = self.net_.computes_cells() and (
            len(rows) * _CELL_COST <= len(wanted) * self.n_labels_
        )
        if by_cell:
            blocks = _blocks_of_cells(X, wanted, slots)
        else:
            blocks = _slices(len(wanted), self._block_rows())
        logits = None
        for block in blocks:
            first, last = np.searchsorted(slots, (block.start, block.stop))
            cells = order[first:last]
            some, at = X[wanted[block]], slots[first:last] - block.start
            with threads_for(self.module, some):
                part = self.net_.cell_logits(some, at, cols[cells], by_cell)
            _refuse_nan(part, lambda at: (rows[cells[at]], cols[cells[at]]))  # noqa: B023
            if logits is None:
                logits = np.empty(len(rows), part.dtype)
            logits[cells] = part
        if logits is None:
            return np.empty(0, np.float32)
        absent = ~self._has_cells()
        logits[absent[cols]] = self._pooled_logit()
        return logits

    def predict_proba_cells(
        self, X: MatrixLike, rows: np.ndarray, cols: np.ndarray
    ) -> np.ndarray:
        """Return the probabilities of single cells.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        rows, cols : integer arrays of shape (n_cells,)
            As in `decision_function_cells`.

        Returns
        -------
        float64 array of shape (n_cells,)
            Of the label; for 1-D y of the larger of its two values.
        """
        return _probabilities(self.decision_function_cells(X, rows, cols))

    @of_one_fit
    def predict_cells(
        self, X: MatrixLike, rows: np.ndarray, cols: np.ndarray
    ) -> np.ndarray:
        """Return for single cells whether their probability is above one half.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        rows, cols : integer arrays of shape (n_cells,)
            As in `decision_function_cells`.

        Returns
        -------
        int64 array of shape (n_cells,)
            1 and 0; for 1-D y the values that it had.
        """
        logits = self.decision_function_cells(X, rows, cols)
        positive = (logits > 0).astype(np.int64)
        return self.classes_[positive] if self._one_dimensional else positive

    def _check_X(self, X, reset):
        _data.refuse_dataset(X)
        own_module = is_own(self.module)
        _data.refuse_rows(X, own_module)
        check_same_features(self, X, reset=reset)
        X = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=np.float32,
            order="C",
            allow_nd=own_module,
        )
        return _canonical(X)

    def _by_blocks(self, X, of_logits):
        """Return a function of the logits, computed block by block of rows."""
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        absent = ~self._has_cells()
        result = None
        for rows in _slices(X.shape[0], self._block_rows()):
            with threads_for(self.module, X):
                logits = self.net_.logits(X[rows])
            _refuse_nan(logits, lambda row, col: (row + rows.start, col))  # noqa: B023
            if absent.any():
                logits[:, absent] = self._pooled_logit()
            part = of_logits(logits)
            if result is None:
                result = np.empty((X.shape[0], self.n_labels_), part.dtype)
            result[rows] = part
        return result

    @of_one_fit
    def _additive(self, X, labels):
        """Return X as the module takes it, and the weights of some labels.

        X may be None; see :func:`~sklearn_masked.classifier._additive.additive_parts`.
        """
        if X is not None:
            X = self._check_X(X, reset=False)
            if getattr(self.net_.module_, "takes_sparse", None):
                X = sp.csr_array(X)
        return X, additive_parts(self, labels)

    def _block_rows(self):
        """Return how many rows a block of whole rows has."""
        return int(np.clip(_BLOCK_NUMBERS // self.n_labels_, 1, _BLOCK_ROWS))

    def _pooled_logit(self):
        """Return what a label without a labeled cell gets: the pooled rate."""
        rate = pooled_rate(self._n_positive, self._n_negative)
        return np.log(rate) - np.log1p(-rate)


def pooled_rate(n_positive, n_negative):
    """Return the rate of positives of all labels together, not 0 nor 1."""
    positive = n_positive.sum()
    total = positive + n_negative.sum()
    # Half a cell more of each kind where one kind is missing.
    if 0 < positive < total:
        return positive / total
    return (positive + 0.5) / (total + 1)


def _refuse_nan(logits, position):
    """Raise where a logit is NaN, and say of which row and label."""
    # A minimum is NaN where one number is, and takes no array of its own.
    if logits.size and np.isnan(logits.min()):
        row, col = position(*np.argwhere(np.isnan(logits))[0])
        raise ValueError(
            f"The logit of row {row}, label {col}, is NaN: the numbers of `X` there "
            "are too large for the model, or its `module` returned NaN. Scale X as the "
            "rows were that the model was fitted on."
        )


def _check_cells(rows, cols, shape):
    """Return the positions of cells as two integer arrays, or raise."""
    checked = []
    for name, given, size in zip(("rows", "cols"), (rows, cols), shape, strict=True):
        array = np.asarray(given)
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(
                f"`{name}` accepts a 1-D array of integers; got dtype {array.dtype} "
                f"and shape {array.shape}."
            )
        array = array.astype(np.intp)
        outside = np.flatnonzero((array < 0) | (array >= size))
        if len(outside):
            raise ValueError(
                f"`{name}` accepts positions from 0 to {size - 1}; got "
                f"{array[outside[0]]} at position {outside[0]}."
            )
        checked.append(array)
    if len(checked[0]) != len(checked[1]):
        raise ValueError(
            "`rows` and `cols` accept arrays of one length, an entry per cell; got "
            f"{len(checked[0])} and {len(checked[1])} entries."
        )
    return checked


def _slices(n, size):
    """Yield 0..n in slices."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _blocks_of_cells(X, rows, slots):
    """Yield slices of these rows whose cells read about `_BLOCK_ENTRIES` numbers."""
    if sp.issparse(X):
        lengths = X.indptr[rows + 1] - X.indptr[rows]
    else:
        lengths = np.full(len(rows), np.prod(X.shape[1:], dtype=np.int64))
    # A row without nonzeros and a row of few still take a place.
    entries = np.bincount(slots, minlength=len(rows)) * (lengths + 1)
    ends = np.cumsum(entries, dtype=np.int64)
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        stop = np.searchsorted(ends, before + _BLOCK_ENTRIES, side="right")
        stop = max(int(stop), start + 1)
        yield slice(start, stop)
        start = stop


def _probabilities(logits):
    """Return the sigmoid in float64, strictly between 0 and 1."""
    proba = expit(logits.astype(np.float64))
    return np.clip(proba, np.nextafter(0, 1), np.nextafter(1, 0), out=proba)


def _canonical(X):
    """Return X with each number of a CSR stored once, in order, and zeros not at all.

    How many rows a column has, and how many columns a row, is counted by what is
    stored. X itself stays as it is.
    """
    if not sp.issparse(X) or (X.has_canonical_format and X.data.all()):
        return X
    X = X.copy()
    X.sum_duplicates()
    X.eliminate_zeros()
    return X
