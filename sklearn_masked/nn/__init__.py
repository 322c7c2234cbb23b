"""Everything that touches torch: losses, modules, the bag operator and the net."""

from .losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from .optim import LazyAdam, RowWiseAdagrad, SparseSGD

__all__ = [
    "LazyAdam",
    "MaskedBCEWithLogitsLoss",
    "RowWiseAdagrad",
    "SparseSGD",
    "balanced_pos_weight",
]
