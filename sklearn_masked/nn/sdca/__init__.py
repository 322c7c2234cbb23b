"""Training without a learning rate: stochastic dual coordinate ascent."""

from ._batches import SDCADataset
from ._net import FallbackAdam
from ._solver import SDCASolver

__all__ = ["SDCADataset", "SDCASolver", "FallbackAdam"]
