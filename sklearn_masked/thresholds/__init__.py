"""Decisions that keep a promise, from the labeled cells of a label matrix."""

from ._classifier import FallbackThresholdWarning, MaskedTunedThresholdClassifierCV
from ._report import ThresholdReport

__all__ = [
    "FallbackThresholdWarning",
    "MaskedTunedThresholdClassifierCV",
    "ThresholdReport",
]
