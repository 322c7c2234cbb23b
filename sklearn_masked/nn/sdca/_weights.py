"""The weights that the ascent moves, and whether labels' weights agree."""

import numpy as np
import torch

# Draws of signs that an label_alignment is measured by, and how many are made at once.
_SIGNS, _AT_ONCE = 127, 16


class Weights:
    """The weights that the ascent moves, changed in place."""

    def __init__(self, direct, output, common, quadratic, bias):
        self.direct, self.output, self.common = direct, output, common
        self.quadratic, self.bias = quadratic, bias

    def scale_labels(self, factors, touched):
        """Multiply each label's weights, but its bias, by its factor.

        Where labels have weights in common, it is the same for all.
        """
        self.output *= factors[:, None]
        self.common *= factors[0]
        if self.quadratic is not None:
            self.quadratic *= factors[:, None, None]
        if touched is not None:
            self.direct *= factors[touched.label.long()]
        elif self.direct is not None:
            self.direct *= factors

    def copies(self):
        """Return copies of the weights, to come back to."""
        return [w if w is None else w.clone() for w in self._all()]

    def clear(self):
        """Set the weights, but the biases, to 0."""
        for weight in self._all()[:-1]:
            if weight is not None:
                weight.zero_()

    def restore(self, copies):
        """Set the weights to what they were when they were copied."""
        for weight, kept in zip(self._all(), copies, strict=True):
            if weight is not None:
                weight.copy_(kept)

    def _all(self):
        return self.direct, self.output, self.common, self.quadratic, self.bias


@torch.no_grad()
def label_alignment(trainer):
    """Return how surely the labels' weights point the same way.

    That is the squared length of their sum, over the sum of their squared lengths, in
    standard deviations of what it is where each label's sign is chance. Right after
    the start of a trainer whose biases are the base rates, the weights are what the
    labels ask for, each by itself: so it tells whether they go together. Of fewer than
    three labels it is 0: chance would give the same every other time.
    """
    trainer.write()
    present = torch.unique(trainer.label)
    if len(present) < 3:
        return 0.0
    module = trainer.module
    generator = torch.Generator().manual_seed(0)
    chance = torch.randint(2, (len(present), _SIGNS), generator=generator)
    signs = torch.zeros(len(module.bias), 1 + _SIGNS)
    signs[present.cpu()] = torch.cat([torch.ones(len(present), 1), 2.0 * chance - 1], 1)
    lengths = []
    for some in signs.to(trainer.device).split(_AT_ONCE, dim=1):
        parts = [module.output.T @ some]
        if module.quadratic is not None:
            parts.append(module.quadratic.weight.flatten(1).T @ some)
        if module.direct is not None:
            parts.append(module.direct.over_labels(some))
        lengths.append(sum(part.square().sum(0).double() for part in parts))
    same, *others = torch.cat(lengths).tolist()
    spread = np.std(others)
    return (same - np.mean(others)) / spread if spread > 0 else 0.0
