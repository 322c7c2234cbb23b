"""Everything that touches torch: losses, modules, the bag operator and the net."""

from .losses import MaskedBCEWithLogitsLoss, balanced_pos_weight

__all__ = ["MaskedBCEWithLogitsLoss", "balanced_pos_weight"]
