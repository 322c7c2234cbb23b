"""The estimator, on top of the labels, the metrics and the net."""

from ._described import DescribedLabelsClassifier
from ._estimator import MaskedMultiLabelClassifier

__all__ = [
    "DescribedLabelsClassifier",
    "MaskedMultiLabelClassifier",
]
