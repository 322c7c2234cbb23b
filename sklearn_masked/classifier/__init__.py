"""The estimator, on top of the labels, the metrics and the net."""

from ._device import DeviceWarning, VersionWarning
from ._estimator import InterruptedFitWarning, MaskedMultiLabelClassifier

__all__ = [
    "DeviceWarning",
    "InterruptedFitWarning",
    "MaskedMultiLabelClassifier",
    "VersionWarning",
]
