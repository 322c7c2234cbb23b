"""Training without a learning rate: stochastic dual coordinate ascent."""

from ._data import DualDataset
from ._standby import StandbyAdam
from ._trainer import DualTrainer
from ._weights import agreement

__all__ = ["DualDataset", "DualTrainer", "StandbyAdam", "agreement"]
