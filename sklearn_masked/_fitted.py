"""Fitted state that is replaced as a whole, so that every thread sees one fit."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

_Method = TypeVar("_Method", bound=Callable[..., Any])

FEATURES = ("n_features_in_", "feature_names_in_")  # that X may leave unset


def of_one_fit(method: _Method) -> _Method:
    """Run a method on the state fitted when it begins, whatever other threads fit."""

    @functools.wraps(method)
    def run(self, *args, **kwargs):
        view = object.__new__(type(self))
        view.__dict__ = self.__dict__
        return method(view, *args, **kwargs)

    return run  # type: ignore[return-value]


def scratch_of(estimator, *, without=()):
    """Return a shallow copy, without some attributes of an earlier fit."""
    scratch = object.__new__(type(estimator))
    state = vars(estimator).items()
    scratch.__dict__ = {name: value for name, value in state if name not in without}
    return scratch


def take_over(estimator, state):
    """Replace all attributes at once, so that no thread sees parts of two fits."""
    estimator.__dict__ = state
    return estimator
