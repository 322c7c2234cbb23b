"""Training without a learning rate: stochastic dual coordinate ascent."""

from ._batches import SDCADataset
from ._net import SDCANet
from ._solver import SDCASolver

__all__ = ["SDCADataset", "SDCANet", "SDCASolver"]
