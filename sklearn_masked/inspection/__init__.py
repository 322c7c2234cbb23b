"""How sure a score is, which of two models is better, and what more labels buy."""

from ._audited import AuditedPerformance, audited_performance
from ._comparison import PairedComparison, paired_comparison
from ._interval import BootstrapInterval, bootstrap_interval
from ._learning_curve import extrapolate_learning_curve, learning_curve_by_cells

__all__ = [
    "AuditedPerformance",
    "BootstrapInterval",
    "PairedComparison",
    "audited_performance",
    "bootstrap_interval",
    "extrapolate_learning_curve",
    "learning_curve_by_cells",
    "paired_comparison",
]
