"""Splits of partly labeled rows, and cross-validation that keeps them unlabeled."""

from ._validation import cross_val_predict

__all__ = ["cross_val_predict"]
