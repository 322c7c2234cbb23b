"""Prevalence of each label in traffic: given as a number, or audited."""

from collections.abc import Mapping
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_names
from ..labels.per_label import read_per_label
from ..metrics.cells import score_cells
from ..metrics.shares import refuse_one_side, smoothed_share
from ._constraints import lower_bound
from ._curves import SAME_ODDS, Odds, Share, split_labels

# Edges of the intervals of probability by which the distribution of an audited
# prevalence is summed up: fine near 0, where most of a p-value comes from. The first
# interval is the least p-value there is: below the level of one of 1,000 labels.
_EDGES = np.r_[
    0,
    np.geomspace(1e-8, 1e-4, 9)[:-1],
    np.geomspace(1e-4, 0.02, 12),
    np.linspace(0.04, 1, 25),
]


class Prevalence(NamedTuple):
    """Share of positives of one label in traffic, with its uncertainty."""

    value: float  # the estimate that figures without a bound use
    shares: np.ndarray  # what it may be, ascending; one entry of a number
    chances: np.ndarray  # probability of each, sum 1
    audit: Share | None  # the audited cells

    def odds(self, n_positive, n_negative):
        """Return how many negative cells a positive one stands for in traffic."""
        if not n_positive:
            return SAME_ODDS
        as_labeled = n_negative / n_positive
        value, shares = self.value, self.shares
        return Odds(
            value / (1 - value) * as_labeled,
            shares / (1 - shares) * as_labeled,
            self.chances,
        )

    def scaled(self, factor):
        """Return the prevalence after an audit of `factor` times the cells."""
        return self if self.audit is None else _audited(self.value, self.audit, factor)


class Traffic(NamedTuple):
    """Prevalences of all labels in traffic, and the words for their source."""

    prevalences: list[Any]  # of Prevalence or None, one entry per label
    source: str | None  # None where the labeled cells are taken as they are


def read_traffic(target_prevalence, labels):
    """Return the `Traffic` that `target_prevalence` stands for."""
    if target_prevalence is None:
        return Traffic([None] * labels.n_labels, None)
    if _is_audit(target_prevalence):
        return _read_audit(target_prevalence, labels)
    values = read_per_label(
        target_prevalence,
        "target_prevalence",
        labels.n_labels,
        labels.label_names,
        "shares strictly between 0 and 1, NaN, or a label matrix of audited cells",
        lambda share: ((share > 0) & (share < 1)) | np.isnan(share),
    )
    return Traffic(
        [None if np.isnan(value) else _given(value) for value in values.tolist()],
        "target_prevalence",
    )


def _given(value):
    return Prevalence(value, np.array([value]), np.ones(1), None)


def _is_audit(value):
    if isinstance(value, Mapping | Real):
        return False
    return isinstance(value, MaskedLabels) or len(getattr(value, "shape", ())) == 2


def _read_audit(audit, labels):
    """Return the `Traffic` of a label matrix of audited cells."""
    audit = check_labels(audit)
    _check_labels_of_audit(audit, labels)
    n_cells = audit.n_cells
    cells = score_cells(
        audit, np.zeros(n_cells), None, name="target_prevalence", kind="score"
    )
    # All cells pass a threshold of 0, so that precision is the share of positives.
    parts = split_labels(cells)
    audits = [part.precision(np.zeros(1, dtype=np.intp)) for part in parts]
    n_effective = np.array([audit.n_effective[0] for audit in audits])
    n_positive = n_effective * [audit.value[0] for audit in audits]
    refuse_one_side(
        n_positive.sum(), (n_effective - n_positive).sum(), "target_prevalence"
    )
    values = smoothed_share(n_positive, n_effective - n_positive).tolist()
    return Traffic(
        [_audited(*label) for label in zip(values, audits, strict=True)],
        f"an audit of {n_cells:,} cells",
    )


def _check_labels_of_audit(audit, labels):
    """Raise unless an audit has the labels that are tuned, in the same order."""
    if audit.n_labels != labels.n_labels:
        raise ValueError(
            f"`target_prevalence` accepts an audit of the {labels.n_labels} labels of "
            f"`y`; got {audit.n_labels}."
        )
    check_same_names(audit.label_names, labels.label_names, "target_prevalence", "`y`")


def _audited(value, audit, factor=1.0):
    """Return the prevalence of a label from its audited cells.

    Its distribution is that of the lower bounds of Clopper and Pearson over all
    confidences, each interval of probability standing at its lower end.
    """
    audit = audit.times(factor)
    shares = lower_bound(audit, 1 - _EDGES[1:-1])
    return Prevalence(value, np.r_[0.0, shares], np.diff(_EDGES), audit)


def reweighed(cells, prevalences):
    """Return scored cells reweighed to the prevalence in traffic, total kept."""
    if all(prevalence is None for prevalence in prevalences):
        return cells
    positive, total = cells.total(cells.positive), cells.total()
    odds = np.ones(cells.n_labels)
    for label, prevalence in enumerate(prevalences):
        if prevalence is not None:
            sums = positive[label], total[label] - positive[label]
            odds[label] = prevalence.odds(*sums).value
    whole = odds * positive + total - positive
    scale = np.divide(total, whole, out=np.ones_like(whole), where=whole > 0)
    weights = scale[cells.cols] * np.where(cells.positive, odds[cells.cols], 1.0)
    if cells.weights is not None:
        weights = weights * cells.weights
    return cells._replace(weights=weights)
