"""How sure a score is, which of two models is better, and which features decide."""

from ._audited import AuditedPerformance, audited_performance
from ._coefficients import LabelCoefficients, label_coefficients
from ._comparison import PairedComparison, paired_comparison
from ._explain import Explanation, explain
from ._interval import BootstrapInterval, bootstrap_interval
from ._learning_curve import extrapolate_learning_curve, learning_curve_by_cells

__all__ = [
    "AuditedPerformance",
    "BootstrapInterval",
    "Explanation",
    "LabelCoefficients",
    "PairedComparison",
    "audited_performance",
    "bootstrap_interval",
    "explain",
    "extrapolate_learning_curve",
    "label_coefficients",
    "learning_curve_by_cells",
    "paired_comparison",
]
