"""Averages of one value per label, and the warning about the labels left out."""

import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from .._typing import Names
from ..exceptions import UnscoredLabelsWarning
from .cells import ScoredCells, label_name

AVERAGES = ("micro", "macro", "weighted", None)
_MAX_NAMES = 10


class Limits:
    """How many positive and negative labeled cells a label must have to be scored."""

    def __init__(
        self, min_positive: int, min_negative: int, *, least: tuple[int, int] = (0, 0)
    ) -> None:
        for name, value in [
            ("min_positive", min_positive),
            ("min_negative", min_negative),
        ]:
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
                raise ValueError(
                    f"`{name}` accepts an integer, 0 or above; got {value!r}."
                )
        self.min_positive: int = max(min_positive, least[0])
        self.min_negative: int = max(min_negative, least[1])

    def met_by(self, cells: ScoredCells) -> np.ndarray:
        """Return, per label, whether it can be scored."""
        n_positive, n_negative = cells.count()
        return (
            (n_positive >= self.min_positive)
            & (n_negative >= self.min_negative)
            & (n_positive + n_negative > 0)
        )

    def __str__(self) -> str:
        if self.min_positive == self.min_negative == 0:
            return "1 labeled cell"
        return (
            f"{self.min_positive} positive and {self.min_negative} negative labeled "
            "cells"
        )


def average_labels(
    metric: Callable[..., Any],
    cells: ScoredCells,
    average: str | None,
    limits: Limits,
    *,
    stacklevel: int = 3,
) -> float | np.ndarray:
    """Average `metric(cells)`, one value per label, over the labels within `limits`.

    "micro" pools the cells of all labels into one. NaN among the values of labels
    within the limits is skipped, as scikit-learn does for ``zero_division=nan``.
    """
    if average not in AVERAGES:
        raise ValueError(
            f"`average` accepts 'micro', 'macro', 'weighted' or None; got {average!r}."
        )
    if average == "micro":
        return _micro(metric, cells, limits, stacklevel + 1)
    scored = limits.met_by(cells)
    if not scored.all():
        warn_unscored(cells.names, scored, limits, stacklevel + 1)
    values = np.full(cells.n_labels, np.nan)
    if scored.any():
        values[scored] = metric(cells)[scored]
    if average is None:
        return values
    used = scored & ~np.isnan(values)
    if not used.any():
        return float("nan")
    if average == "macro":
        return float(np.mean(values[used]))
    return _weighted(values[used], cells.total(cells.positive)[used], stacklevel + 1)


def _micro(metric, cells, limits, stacklevel):
    """Return the metric of all cells pooled."""
    cells = cells.pooled()
    if limits.met_by(cells)[0]:
        return float(metric(cells)[0])
    warnings.warn(
        f"The labeled cells of all labels together are too few to be scored, which "
        f"takes {limits}; the result is NaN.",
        UnscoredLabelsWarning,
        stacklevel=stacklevel,
    )
    return float("nan")


def _weighted(values, support, stacklevel):
    """Return the average weighted by the positive labeled cells."""
    if support.sum() > 0:
        return float(np.average(values, weights=support))
    warnings.warn(
        "No label that can be scored has a positive labeled cell, so that "
        "average='weighted' has no weights; the result is NaN.",
        UnscoredLabelsWarning,
        stacklevel=stacklevel,
    )
    return float("nan")


def warn_unscored(
    names: Names, scored: np.ndarray, limits: Limits, stacklevel: int
) -> None:
    """Warn, once, about the labels that are left out."""
    left_out = np.flatnonzero(~scored)
    rest = "" if scored.any() else " No label is left, so that the average is NaN."
    warnings.warn(
        f"{len(left_out)} of {len(scored)} labels cannot be scored, which takes "
        f"{limits} a label, and are left out: {list_labels(names, left_out)}.{rest}",
        UnscoredLabelsWarning,
        stacklevel=stacklevel,
    )


def list_labels(names: Names, labels: np.ndarray) -> str:
    """Name ten labels at most, and count the others."""
    listed = ", ".join(label_name(names, label) for label in labels[:_MAX_NAMES])
    more = len(labels) - _MAX_NAMES
    return listed if more <= 0 else f"{listed} and {more} more"
