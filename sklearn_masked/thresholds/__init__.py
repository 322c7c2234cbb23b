"""Decisions that keep a promise, from the labeled cells of a label matrix."""

from ._classifier import MaskedTunedThresholdClassifierCV
from ._report import ThresholdReport

__all__ = ["MaskedTunedThresholdClassifierCV", "ThresholdReport"]
