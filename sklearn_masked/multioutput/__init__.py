"""One classifier a label, each fitted on the labeled rows of its label."""

from ._classifier import MaskedMultiOutputClassifier
from ._constants import OneClassLabelWarning

__all__ = ["MaskedMultiOutputClassifier", "OneClassLabelWarning"]
