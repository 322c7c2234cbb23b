"""The weights of linear classifiers, a label each."""

import numpy as np
import scipy.sparse as sp
from scipy.special import logit

from ._constants import ConstantLabel


def linear_weights(estimators):
    """Return intercepts and weights, by the names of `AdditiveModel`'s parameters."""
    base = np.zeros(len(estimators))
    columns = [None] * len(estimators)
    for label, estimator in enumerate(estimators):
        if isinstance(estimator, ConstantLabel):
            base[label] = logit(estimator.rate)
        elif hasattr(estimator, "coef_") and hasattr(estimator, "intercept_"):
            base[label] = np.ravel(estimator.intercept_)[0]
            columns[label] = _one_row(estimator.coef_)
        else:
            raise TypeError(
                "`estimator` must be a linear classifier, with `coef_` and "
                "`intercept_`, for its decisions to be sums over features; got "
                f"{type(estimator).__name__}."
            )
    width = next((column.shape[1] for column in columns if column is not None), 0)
    columns = [sp.csr_array((1, width)) if c is None else c for c in columns]
    if not width:  # all labels are constant
        return {"base": base}
    if any(sp.issparse(column) for column in columns):
        return {"base": base, "weight": sp.csr_array(sp.vstack(columns).T)}
    return {"base": base, "weight": np.vstack(columns).T}


def _one_row(coef):
    if sp.issparse(coef):
        return sp.csr_array(coef, dtype=np.float64).reshape(1, -1).tocsr()
    return np.reshape(coef, (1, -1)).astype(np.float64)
