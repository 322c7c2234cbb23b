"""Agreement of several voters: Krippendorff's alpha and Cohen's kappa, per label."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from .._html import html_table
from .._typing import Names
from ._votes import read_votes

# Pseudo-cells in the intervals alone, half a cell of each outcome of two votes: without
# them a label without an observed disagreement would have an interval of no width.
_PSEUDO_KAPPA = 0.5
_PSEUDO_ALPHA = np.array([[2, 0, 0.5], [2, 1, 1.0], [2, 2, 0.5]])  # votes, of 1, weight


@dataclass(frozen=True, eq=False, repr=False)
class VoteAgreement:
    """Agreement of voters beyond chance, with intervals: see :func:`vote_agreement`.

    1 is perfect agreement and 0 that of chance; NaN where chance alone agrees always,
    as where all votes are equal, or where no cell has two votes.

    Attributes
    ----------
    alpha, alpha_low, alpha_high : float64 arrays of shape (n_labels,)
        Krippendorff's alpha per label, and the ends of its interval.
    n_cells : int array of shape (n_labels,)
        Number of cells with two votes or more.
    voters : object array of shape (n_voters,)
        The voters' names, in the order in which they come first.
    label_names : object array of shape (n_labels,) or None
    pair_voters : int array of shape (n_pairs, 2)
        Positions of two voters who share cells of a label.
    pair_label : int array of shape (n_pairs,)
        Position of that label.
    pair_cells : int array of shape (n_pairs,)
        Number of these cells.
    kappa, kappa_low, kappa_high : float64 arrays of shape (n_pairs,)
        Cohen's kappa on them, and the ends of its interval.
    confidence_level : float
        What the intervals cover.
    """

    alpha: np.ndarray
    alpha_low: np.ndarray
    alpha_high: np.ndarray
    n_cells: np.ndarray
    voters: np.ndarray
    label_names: np.ndarray | None
    pair_voters: np.ndarray
    pair_label: np.ndarray
    pair_cells: np.ndarray
    kappa: np.ndarray
    kappa_low: np.ndarray
    kappa_high: np.ndarray
    confidence_level: float

    def __repr__(self) -> str:
        return (
            f"VoteAgreement({len(self.voters)} voters, {len(self.alpha)} labels, "
            f"{self.n_cells.sum()} cells with two votes or more)"
        )

    def _repr_html_(self) -> str:
        return html_table(
            self._columns(), len(self.alpha) + len(self.kappa), repr(self)
        )

    def to_frame(self) -> Any:
        """Return a pandas DataFrame: alpha per label, then kappa per pair and label."""
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _columns(self):
        n, every = len(self.alpha), np.arange(len(self.alpha))
        label = np.concatenate([every, self.pair_label])
        nobody = np.full(n, None, dtype=object)
        first, second = self.voters[self.pair_voters.T]
        return {
            "measure": np.repeat(["alpha", "kappa"], [n, len(self.kappa)]),
            "label": label if self.label_names is None else self.label_names[label],
            "voter": np.concatenate([nobody, first]),
            "other": np.concatenate([nobody, second]),
            "n_cells": np.concatenate([self.n_cells, self.pair_cells]),
            "value": np.concatenate([self.alpha, self.kappa]),
            "low": np.concatenate([self.alpha_low, self.kappa_low]),
            "high": np.concatenate([self.alpha_high, self.kappa_high]),
        }


def vote_agreement(
    votes: ArrayLike,
    *,
    samples: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    voters: ArrayLike | None = None,
    shape: tuple[int, int] | None = None,
    sample_ids: Names = None,
    label_names: Names = None,
    confidence_level: float = 0.95,
) -> VoteAgreement:
    """Measure how far several voters agree, per label and per pair of voters.

    Cells with one vote or none say nothing of agreement and are passed over.

    Parameters
    ----------
    votes, samples, labels, voters, shape, sample_ids, label_names
        Votes, as in :func:`aggregate_votes`.
    confidence_level : float, default=0.95
        How often the intervals are to cover the agreement on further cells.

    Returns
    -------
    VoteAgreement
        Alpha per label, and kappa per label and pair of voters who share cells of it.

    Raises
    ------
    ValueError
        If votes cannot be read, or `confidence_level` is not between 0 and 1.

    See Also
    --------
    aggregate_votes : Soft labels and each voter's quality, from the same votes.

    Notes
    -----
    Both are 1 minus observed over expected disagreement. Alpha takes any number of
    votes per cell and expects disagreement from all votes on the label; kappa takes two
    voters, and expects it from the shares of 1 of each. The interval is that of the
    logarithm of the ratio by the delta method, cells being independent; it contains the
    one after half a cell of each outcome of two votes is added, since a label without
    an observed disagreement would have none.

    References
    ----------
    K. Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.labels import vote_agreement
    >>> ann = [[1, np.nan], [0, 1], [1, 0], [0, 0]]
    >>> bob = [[1, 0], [0, 1], [0, np.nan], [0, 0]]
    >>> found = vote_agreement({"ann": ann, "bob": bob})
    >>> found.alpha.round(2).tolist(), found.n_cells.tolist()
    ([0.53, 1.0], [4, 2])
    """
    if not 0 < confidence_level < 1:
        raise ValueError(
            "`confidence_level` accepts a number between 0 and 1, both excluded; got "
            f"{confidence_level!r}."
        )
    read = read_votes(votes, samples, labels, voters, shape, sample_ids, label_names)
    rows, cols, values, voter, names, shape, label_names, _ = read
    order = np.lexsort((voter, cols, rows))
    ordered = [one[order] for one in (rows, cols, voter, values == 1)]
    z = ndtri((1 + confidence_level) / 2)
    *pair, kappa = _kappa(*ordered, len(names), shape[1], z)
    n_cells, alpha = _alpha(*ordered, shape[1], z)
    return VoteAgreement(
        *alpha,
        n_cells,
        np.fromiter(names, dtype=object, count=len(names)),
        label_names,
        *pair,
        *kappa,
        float(confidence_level),
    )


def _alpha(rows, cols, _, yes, n_labels, z):
    """Return numbers of cells, and alphas with their intervals, per label."""
    first = np.flatnonzero(_is_new(rows, cols))
    n_votes = np.diff(first, append=len(rows))
    n_yes = np.add.reduceat(yes.astype(np.int64), first) if len(first) else n_votes
    label, several = cols[first], n_votes > 1
    label, m, k = label[several], n_votes[several], n_yes[several]
    plain = _alpha_of(label, m, k, np.ones(len(m)), n_labels)
    every = np.repeat(np.arange(n_labels), 3)
    pseudo = np.tile(_PSEUDO_ALPHA, (n_labels, 1))
    columns = zip((label, m, k, np.ones(len(m))), (every, *pseudo.T), strict=True)
    smoothed = _alpha_of(*(np.concatenate(pair) for pair in columns), n_labels)
    n_cells = np.bincount(label, minlength=n_labels)
    return n_cells, _interval(plain, smoothed, z)


def _alpha_of(label, m, k, weight, n_labels):
    """Return alpha per label and the standard error of log(1 - alpha).

    A cell has `m` votes, `k` of them 1, and counts `weight` times.
    """

    def total(values):
        return np.bincount(label, weight * values, n_labels)

    d = 2 * k * (m - k) / (m - 1)
    n, n_1, n_0, observed = total(m), total(k), total(m - k), total(d)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = 1 - observed * (n - 1) / (2 * n_0 * n_1)
        influence = d / observed[label] + m / n[label]
        influence -= k / n_1[label] + (m - k) / n_0[label]
    return alpha, np.sqrt(total(influence**2))


def _kappa(rows, cols, voter, yes, n_voters, n_labels, z):
    """Return voters, label and number of cells of each pair, and its kappa."""
    keys, counts = _pair_counts(rows, cols, voter, yes, n_voters, n_labels)
    pair, label = np.divmod(keys, max(n_labels, 1))
    voters = np.stack(np.divmod(pair, max(n_voters, 1)), axis=1)
    interval = _interval(_kappa_of(counts), _kappa_of(counts + _PSEUDO_KAPPA), z)
    return voters, label, counts.sum(axis=1), interval


def _kappa_of(counts):
    """Return kappa and the standard error of log(1 - kappa), of each row of counts."""
    n = counts.sum(axis=1)
    share = counts / n[:, None]
    p, r = share[:, 2] + share[:, 3], share[:, 1] + share[:, 3]
    observed, expected = share[:, 1] + share[:, 2], p + r - 2 * p * r
    variance = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        for x, y, part in ((0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)):
            of_expected = (x - p) * (1 - 2 * r) + (y - r) * (1 - 2 * p)
            influence = (x != y) / observed - 1 - of_expected / expected
            variance = variance + share[:, part] * influence**2
        return 1 - observed / expected, np.sqrt(variance / n)


def _pair_counts(rows, cols, voter, yes, n_voters, n_labels):
    """Return a key per two voters and label, and counts of votes 00, 01, 10 and 11."""
    start = np.flatnonzero(_is_new(rows, cols))
    most = int(np.diff(start, append=len(rows)).max(initial=0))
    found = []
    for step in range(1, most):
        same = (rows[step:] == rows[:-step]) & (cols[step:] == cols[:-step])
        one = np.flatnonzero(same)
        other = one + step
        key = (voter[one] * np.int64(n_voters) + voter[other]) * n_labels + cols[one]
        found.append(4 * key + 2 * yes[one] + yes[other])
    found = np.concatenate(found) if found else np.zeros(0, np.int64)
    kinds, count = np.unique(found, return_counts=True)
    keys, at = np.unique(kinds // 4, return_inverse=True)
    counts = np.zeros((len(keys), 4), np.int64)
    counts[at, kinds % 4] = count
    return keys, counts


def _interval(plain, smoothed, z):
    """Return estimates and ends of intervals that contain those of both inputs."""
    low = high = estimate = plain[0]
    for value, error in (plain, smoothed):
        with np.errstate(invalid="ignore", over="ignore"):
            ends = [1 - (1 - value) * np.exp(sign * z * error) for sign in (1, -1)]
        low, high = np.fmin(low, ends[0]), np.fmax(high, ends[1])
    unknown = np.where(np.isnan(estimate), np.nan, 0.0)
    return estimate, np.maximum(low, -1.0) + unknown, high + unknown


def _is_new(rows, cols):
    """Return whether each vote is the first of its cell, in order of cells."""
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])
    return new
