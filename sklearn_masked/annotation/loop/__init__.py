"""A labeling loop that is resumed from its folder, and loses no answer."""

from ._ledger import Answer
from ._loop import LabelingLoop
from ._report import LoopReport
from ._salvage import SalvageReport

__all__ = [
    "Answer",
    "LabelingLoop",
    "LoopReport",
    "SalvageReport",
]
