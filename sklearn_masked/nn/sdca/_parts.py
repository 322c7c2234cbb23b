"""A batch in parts in which few cells move jointly."""

import numpy as np
import torch

# Cells that move jointly, at most.
_MOST_OF_A_LABEL = 192


def split(trainer, cells):
    """Return a batch in parts: a joint move costs the cube of its cells.

    Parts are of whole rows, unless one row alone has too many of them.
    """
    slots, most = trainer.row_of_cell[cells], cells.stop - cells.start
    if most and not trainer.correlation:
        most = int(torch.bincount(trainer.label[cells]).max())
    is_one = most and slots[0] == slots[-1]
    if most <= _MOST_OF_A_LABEL or (is_one and not trainer.correlation):
        return [cells]
    middle = (slots[0] + slots[-1] + 1) // 2
    at = cells.start + int(np.searchsorted(slots, middle))
    at = cells.start + most // 2 if is_one else at
    halves = slice(cells.start, at), slice(at, cells.stop)
    return [part for half in halves for part in split(trainer, half)]
