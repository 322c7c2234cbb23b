"""The weights that the ascent moves."""


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
