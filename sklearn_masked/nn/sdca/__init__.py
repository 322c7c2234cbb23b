"""Training without a learning rate: stochastic dual coordinate ascent."""

from ._batches import DualDataset
from ._net import StandbyAdam
from ._solver import DualTrainer
from ._weights import agreement

__all__ = ["DualDataset", "DualTrainer", "StandbyAdam", "agreement"]
