"""Everything that touches torch: losses, modules, the bag operator and the net."""

from .model._embedding_bag import EmbeddingBagModule
from .sgd.losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from .sgd.optim import LazyAdam, RowWiseAdagrad, SparseSGD

__all__ = [
    "EmbeddingBagModule",
    "LazyAdam",
    "MaskedBCEWithLogitsLoss",
    "RowWiseAdagrad",
    "SparseSGD",
    "balanced_pos_weight",
]
