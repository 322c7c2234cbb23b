"""The estimator, on top of the labels, the metrics and the net."""

from ._device import DeviceWarning, VersionWarning
from ._estimator import MaskedMultiLabelClassifier
from ._training import InterruptedFitWarning

__all__ = [
    "DeviceWarning",
    "InterruptedFitWarning",
    "MaskedMultiLabelClassifier",
    "VersionWarning",
]
