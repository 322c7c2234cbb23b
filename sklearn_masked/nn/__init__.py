"""Everything that touches torch: losses, modules, the bag operator and the net."""

from ._sparse import embedding_bag
from .model._embedding_bag import EmbeddingBagModule
from .sgd._losses import MaskedBCEWithLogitsLoss, balanced_pos_weight
from .sgd._optim import LazyAdam, RowWiseAdagrad, SparseSGD

__all__ = [
    "EmbeddingBagModule",
    "LazyAdam",
    "MaskedBCEWithLogitsLoss",
    "RowWiseAdagrad",
    "SparseSGD",
    "balanced_pos_weight",
    "embedding_bag",
]
