"""Splits of partly labeled rows, and cross-validation that keeps them unlabeled."""

from ._split import (
    MaskedStratifiedGroupKFold,
    MaskedStratifiedKFold,
    MaskedStratifiedShuffleSplit,
)
from ._train_test import masked_train_test_split
from ._validation import cross_val_predict

__all__ = [
    "MaskedStratifiedGroupKFold",
    "MaskedStratifiedKFold",
    "MaskedStratifiedShuffleSplit",
    "cross_val_predict",
    "masked_train_test_split",
]
