"""Everything that touches torch: losses, modules, the bag operator and the net."""

from .sgd.losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from .sgd.optim import LazyAdam, RowWiseAdagrad, SparseSGD

__all__ = [
    "LazyAdam",
    "MaskedBCEWithLogitsLoss",
    "RowWiseAdagrad",
    "SparseSGD",
    "balanced_pos_weight",
]
