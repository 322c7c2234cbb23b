"""Which cells to label next, and which labeled cells look wrong."""

from ._audit import CellAudit, audit_cells
from ._chosen import weigh_chosen_negatives
from ._cold_start import seed_cells
from ._query import FewerCellsWarning, query_cells
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
    AnswerNotSavedError,
    DamagedLogError,
    FolderInUseError,
    LabelingLoop,
    LoopReport,
    ModelNotSavedWarning,
    SalvageReport,
    TornAnswerWarning,
    UnknownSeedWarning,
    UnreadableModelWarning,
)

__all__ = [
    "Annotations",
    "Answer",
    "AnswerNotSavedError",
    "CellAudit",
    "CellTable",
    "DamagedLogError",
    "FewerCellsWarning",
    "FolderInUseError",
    "LabelingLoop",
    "LoopReport",
    "ModelNotSavedWarning",
    "SalvageReport",
    "TornAnswerWarning",
    "UnknownSeedWarning",
    "UnreadableModelWarning",
    "audit_cells",
    "query_cells",
    "read_annotations",
    "seed_cells",
    "simulate",
    "weigh_chosen_negatives",
    "write_annotations",
    "write_queries",
]
