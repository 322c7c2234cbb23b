"""Metrics of many redrawn copies of the same rows at once.

Rows are what is redrawn, since the cells of a row depend on each other. A copy is told
by how often it holds each row, so that all copies share one sort of the scores: their
counts along the curves are products of a sparse matrix with these numbers.
"""

from ._draws import (
    as_labels,
    block_sizes,
    check_confidence_level,
    check_resampling,
    draws,
    group_codes,
    labeled_rows,
    multiplicities,
    rows_of_cells,
    share_ends,
    shifted_ends,
    wilson,
)
from ._replicates import KINDS, Replicates
from ._sums import Sums

__all__ = [
    "KINDS",
    "Replicates",
    "Sums",
    "as_labels",
    "block_sizes",
    "check_confidence_level",
    "check_resampling",
    "draws",
    "group_codes",
    "labeled_rows",
    "multiplicities",
    "rows_of_cells",
    "share_ends",
    "shifted_ends",
    "wilson",
]
