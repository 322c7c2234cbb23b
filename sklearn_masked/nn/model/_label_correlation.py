r"""Evidence that the labels' weights are correlated, in closed form.

With centered residuals :math:`r` of the labeled cells and :math:`K` the inner products
of their rows, the sum of :math:`r_i r_j K_{ij}` over pairs of cells estimates a
covariance of weights (Haseman and Elston, 1972): over pairs of one label, the variance
of its weights; over pairs of two labels, their covariance. It needs neither a model nor
folds, so that it is the same for every random state and order of the rows.
"""

import numpy as np
import scipy.sparse as sp

# Labels of most cells that are compared: their products are a matrix of this width.
_MOST_LABELS = 256


def residuals(rows, labels, targets, weights, *, shape):
    """Return the weighted residuals of the cells about the mean of their label.

    Parameters
    ----------
    rows, labels, targets, weights : arrays of shape (n_cells,)
        One entry per labeled cell.
    shape : (n_labels, n_rows)

    Returns
    -------
    CSR array of shape (n_compared, n_rows)
        Of many labels only those with the most cells are kept. A label whose cells are
        of one class has no residual.
    """
    n_labels = shape[0]
    total = np.bincount(labels, weights, n_labels)
    mean = np.bincount(labels, weights * targets, n_labels) / np.where(total, total, 1)
    R = sp.csr_array((weights * (targets - mean[labels]), (labels, rows)), shape=shape)
    counts = np.bincount(labels, minlength=n_labels)
    return R[np.sort(np.argsort(-counts, kind="stable")[:_MOST_LABELS])]


def correlation_z_score(R, blocks, least):
    """Return how surely the correlation of labels' weights exceeds a value.

    Parameters
    ----------
    R : CSR array of shape (n_labels, n_rows)
        See `residuals`.
    blocks : iterable of (slice, matrix)
        Some rows each, and their features.
    least : float
        The correlation that is to be exceeded.

    Returns
    -------
    float
        The excess covariance in its standard deviations where the sign of each label's
        weights is chance; 0 where it cannot be told.
    """
    if not R.nnz:
        return 0.0
    products = _products_of_moments(R, blocks)
    squares = R.multiply(R).tocsr()
    of_labels, of_rows = (np.asarray(squares.sum(axis=a)).ravel() for a in (1, 0))
    # Pairs of cells, by the product of their squared residuals; none of a single row.
    within = of_labels @ of_labels - squares.power(2).sum()
    across = of_labels.sum() ** 2 - of_rows @ of_rows - within
    variance = np.trace(products)
    covariance = products.sum() - variance
    np.fill_diagonal(products, 0)
    spread = np.sqrt(2 * np.square(products).sum())
    if min(spread, within, across) <= 0:
        return 0.0
    return float((covariance - least * max(variance, 0) * across / within) / spread)


def _products_of_moments(R, blocks):
    """Return the sums of :math:`r_i r_j K_{ij}`, one for each pair of labels.

    Pairs of cells in one row are left out: they tell of the row, not of the weights.
    """
    moments, own = None, 0
    for block, features in blocks:
        some = R[:, block]
        moment = some @ features
        moments = moment if moments is None else moments + moment
        own = own + _dense((some * _squared_norms(features)) @ some.T)
    return 0.0 if moments is None else _dense(moments @ moments.T) - own


def _squared_norms(rows):
    squares = rows.multiply(rows) if sp.issparse(rows) else np.square(rows)
    return np.asarray(squares.sum(axis=1)).ravel()


def _dense(products):
    return products.toarray() if sp.issparse(products) else np.asarray(products)
