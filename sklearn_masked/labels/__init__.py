"""The one door for y: every accepted form becomes MaskedLabels."""

from ._binary import check_binary_labels
from ._check import check_labels
from ._row import LabelRow
from ._store import Cells, MaskedLabels
from ._votes import VoteAggregation, aggregate_votes
from ._weights import cell_weights, check_sample_weight

__all__ = [
    "Cells",
    "LabelRow",
    "MaskedLabels",
    "VoteAggregation",
    "aggregate_votes",
    "cell_weights",
    "check_binary_labels",
    "check_labels",
    "check_sample_weight",
]
