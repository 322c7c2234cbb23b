"""The one door for y: every accepted form becomes MaskedLabels."""

from ._aggregate import aggregate_votes
from ._agreement import VoteAgreement, vote_agreement
from ._binary import check_binary_labels
from ._cells import Cells
from ._check import check_labels
from ._masked_labels import MaskedLabels
from ._row import LabelRow
from ._votes import VoteAggregation
from ._weights import cell_weights, check_sample_weight

__all__ = [
    "Cells",
    "LabelRow",
    "MaskedLabels",
    "VoteAggregation",
    "VoteAgreement",
    "aggregate_votes",
    "cell_weights",
    "check_binary_labels",
    "check_labels",
    "check_sample_weight",
    "vote_agreement",
]
