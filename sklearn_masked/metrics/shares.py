"""Shares of positives, intervals of shares of cells, and of ratios of two shares."""

from typing import Any

import numpy as np
from scipy.special import betaincinv

from .bootstrap import wilson


def clopper_pearson(
    share: np.ndarray, n_cells: Any, confidence_level: float
) -> np.ndarray:
    """Return Clopper-Pearson ends; `n_cells` may be effective (Korn, Graubard 1998)."""
    tail = (1 - confidence_level) / 2
    hits, misses = share * n_cells, (1 - share) * n_cells
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, betaincinv(hits, misses + 1, tail), 0.0)
        high = np.where(misses > 0, betaincinv(hits + 1, misses, 1 - tail), 1.0)
    unknown = np.isnan(share) | ~(n_cells > 0)
    return np.where(unknown, np.nan, [low, high])


INTERVALS = {"wilson": wilson, "clopper_pearson": clopper_pearson}


def effective_number(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return Kish's ``w.sum()**2 / (w**2).sum()``, 0 where there is no cell."""
    return np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)


def ratio_ends(
    above: np.ndarray,
    above_ends: tuple[np.ndarray, np.ndarray],
    below: np.ndarray,
    below_ends: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the interval of the ratio of two independent estimates.

    MOVER-R: the ends follow from those of either estimate, which need not be symmetric
    (Donner and Zou 2012, Fagerland and Newcombe 2013). The high one is infinite where
    the lower end of `below` is 0.
    """
    product = np.multiply(above, below)

    def root(above_end, below_end):
        spread = above_end * below_end * (2 * above - above_end)
        spread = spread * (2 * below - below_end)
        return product + np.sqrt(np.maximum(product**2 - spread, 0.0))

    # Both ends solve a quadratic equation, each written so that nothing cancels.
    low_root = root(above_ends[0], below_ends[1])
    high_divisor = below_ends[0] * (2 * below - below_ends[0])
    with np.errstate(invalid="ignore", divide="ignore"):
        low = above_ends[0] * (2 * above - above_ends[0]) / low_root
        high = root(above_ends[1], below_ends[0]) / high_divisor
    low = np.where(low_root == 0, 0.0, np.maximum(low, 0.0))
    high = np.where(high_divisor <= 0, np.inf, high)
    unknown = np.isnan(product)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def smoothed_share(n_positive: np.ndarray, n_negative: np.ndarray) -> np.ndarray:
    """Return shares of positives, drawn to the pooled one where they are 0 or 1."""
    total = n_positive + n_negative
    pooled = n_positive.sum() / total.sum()
    smoothed = (n_positive + pooled) / (total + 1)
    both = (n_positive > 0) & (n_negative > 0)
    return np.divide(n_positive, total, out=smoothed, where=both)


def refuse_one_side(
    n_positive: np.ndarray, n_negative: np.ndarray, parameter: str = "y"
) -> None:
    """Raise unless an audit holds cells of both kinds."""
    if n_positive > 0 and n_negative > 0:
        return
    found = "no labeled cell"
    if n_positive > 0 or n_negative > 0:
        found = f"{'positive' if n_positive > 0 else 'negative'} ones alone"
    raise ValueError(
        f"`{parameter}` of an audit must hold positive and negative cells of a weight "
        f"above zero; got {found}. Audit more cells, drawn at random."
    )
