"""Which cells to label next, and which labeled cells look wrong."""

from ._audit import CellAudit, audit_cells
from ._cold_start import seed_cells
from ._query import FewerCellsWarning, query_cells
from ._simulate import simulate
from ._table import CellTable

__all__ = [
    "CellAudit",
    "CellTable",
    "FewerCellsWarning",
    "audit_cells",
    "query_cells",
    "seed_cells",
    "simulate",
]
