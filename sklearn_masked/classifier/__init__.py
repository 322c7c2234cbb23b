"""The estimator, on top of the labels, the metrics and the net."""

from ._described import DescribedLabelsClassifier
from ._estimator import MaskedMultiLabelClassifier
from ._fit import InterruptedFitWarning
from ._persistence import DeviceWarning, VersionWarning

__all__ = [
    "DescribedLabelsClassifier",
    "DeviceWarning",
    "InterruptedFitWarning",
    "MaskedMultiLabelClassifier",
    "VersionWarning",
]
