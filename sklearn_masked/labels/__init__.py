"""The one door for y: every accepted form becomes MaskedLabels."""

from ._binary import cell_weights, check_binary_labels, check_sample_weight
from ._check import check_labels
from ._store import Cells, LabelRow, MaskedLabels

__all__ = [
    "Cells",
    "LabelRow",
    "MaskedLabels",
    "cell_weights",
    "check_binary_labels",
    "check_labels",
    "check_sample_weight",
]
