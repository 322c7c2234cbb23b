"""One classifier per label, each fitted on the labeled rows of its label."""

from ._classifier import MaskedMultiOutputClassifier

__all__ = ["MaskedMultiOutputClassifier"]
