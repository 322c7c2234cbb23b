"""Which cells to label next, and which labeled cells look wrong."""

from ._audit import CellAudit, audit_cells
from ._cold_start import seed_cells, seed_samples
from ._query import query_cells
from ._query_samples import query_samples
from ._selection_weights import weigh_chosen_negatives
from ._simulate import simulate
from ._table import CellTable
from .exchange import (
    Annotations,
    read_annotations,
    write_annotations,
    write_queries,
)
from .loop import (
    Answer,
    LabelingLoop,
    LoopReport,
    SalvageReport,
)

__all__ = [
    "Annotations",
    "Answer",
    "CellAudit",
    "CellTable",
    "LabelingLoop",
    "LoopReport",
    "SalvageReport",
    "audit_cells",
    "query_cells",
    "query_samples",
    "read_annotations",
    "seed_cells",
    "seed_samples",
    "simulate",
    "weigh_chosen_negatives",
    "write_annotations",
    "write_queries",
]
