"""The rows of the paths that labels share, kept between epochs where they fit."""

import torch

# Numbers that are kept between epochs, of rows and of inner products each (256 MB of
# float32).
KEPT = 1 << 26
# Rows that are embedded in one go.
_BLOCK = 4096


class SharedRows:
    """What labels share of each row, and what the quadratic path takes of it.

    Parameters
    ----------
    module : DirectSharedModule
        What embeds the rows.
    inputs : callable
        Gives its inputs for a slice of the rows.
    n_rows : int
        How many rows there are.
    """

    def __init__(self, module, inputs, n_rows):
        self.module, self.inputs, self.kept = module, inputs, None
        width = module.output.shape[1]
        if module.quadratic is not None:
            width += module.embedding.shape[1]
        if n_rows * width <= KEPT:
            starts = range(0, max(n_rows, 1), _BLOCK)
            parts = [self._of(slice(i, min(i + _BLOCK, n_rows))) for i in starts]
            self.kept = [_joined(part) for part in zip(*parts, strict=True)]

    def _of(self, rows):
        inputs, module = self.inputs(rows), self.module
        embedded = module.embedded(**inputs)
        crossed = None if module.quadratic is None else module.crossed(embedded)
        return module.shared(embedded, **inputs), crossed

    def __call__(self, slots):
        """Return both for each of these increasing numbers of rows, an array.

        There is no quadratic part (None) where there is no such path.
        """
        parts, first = self.kept, 0
        if parts is None:
            first = int(slots[0])
            parts = self._of(slice(first, int(slots[-1]) + 1))
        at = torch.from_numpy(slots - first).to(self.module.bias.device)
        return [part if part is None else part.index_select(0, at) for part in parts]


def _joined(parts):
    return None if parts[0] is None else torch.cat(parts)
