"""Name the reason where an estimator takes no labels with unlabeled cells."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from .._typing import LabelsLike
from ..labels import MaskedLabels

# Words in scikit-learn's errors about labels that it cannot read.
_MARKS = ("Unknown label type", "MaskedLabels", "LabelRow")


@contextmanager
def explain_labels(estimator: Any, y: LabelsLike) -> Iterator[None]:
    """Raise one sentence where fit or predict fails on labels with unlabeled cells."""
    try:
        yield
    except Exception as error:
        last = _last(estimator)
        if not (isinstance(y, MaskedLabels) or has_unlabeled(y)):
            raise
        if not (_is_of_sklearn(last) or _cannot_read(last, error)):
            raise
        one = last
        if type(last).__module__ in ("sklearn.multioutput", "sklearn.multiclass"):
            one = getattr(last, "estimator", last)
        raise ValueError(
            "`estimator` must take labels with unlabeled cells, which "
            f"{type(last).__name__} does not. Pass MaskedMultiOutputClassifier("
            f"{type(one).__name__}(...)), which fits a clone per label on its labeled "
            "rows, or another estimator of sklearn_masked."
        ) from error


def _last(estimator):
    """Return what is fitted on the labels: the last step, or what is searched."""
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif _is_of_sklearn(estimator) and hasattr(estimator, "refit"):
            estimator = estimator.estimator
        else:
            return estimator


def _is_of_sklearn(estimator):
    return type(estimator).__module__.startswith("sklearn.")


def _cannot_read(estimator, error):
    said = any(mark in str(error) for mark in _MARKS)
    return said and not get_tags(estimator).target_tags.multi_output


def has_unlabeled(y: LabelsLike) -> bool:
    """Tell whether a 1-D target has unlabeled entries."""
    if np.ma.is_masked(y):
        return True
    y = np.asarray(y)
    if y.dtype.kind == "f":
        return bool(np.isnan(y).any())
    if y.dtype.kind != "O":
        return False
    # NaN alone differs from itself; pandas' NA does not say, and has no truth.
    return any(
        value is None
        or type(value).__name__ == "NAType"
        or (isinstance(value, float) and value != value)
        for value in y
    )
