"""Models that are made of other models: pipelines, calibrators and thresholds."""

import numpy as np
from scipy.special import expit, logit

from ._models import Model

# As sklearn_masked.calibration has it.
_TINY = 1e-12


class Pipeline(Model):
    """Transformers and a model, one after the other."""

    def __init__(self, part, steps):
        *self.transformers, self.model = steps
        self.takes, self.n_in = steps[0].takes, steps[0].n_in
        for one, after in zip(steps, steps[1:], strict=False):
            if after.takes != "numbers" or one.n_out != after.n_in:
                part.refuse("a step does not take what the step before it gives")
        # A pipeline of transformers alone is a transformer.
        self.n_out = getattr(self.model, "n_out", None)
        self.n_labels = getattr(self.model, "n_labels", None)

    def _rows(self, X):
        for transformer in self.transformers:
            X = transformer.transform(X)
        return X

    def transform(self, X):
        """Return the features of rows."""
        return self.model.transform(self._rows(X))

    def decision(self, X):
        """Return the scores of the last step."""
        return self.model.decision(self._rows(X))

    def proba(self, X):
        """Return the probabilities of the last step."""
        return self.model.proba(self._rows(X))

    def positive(self, X):
        """Return the decisions of the last step."""
        return self.model.positive(self._rows(X))

    def both(self, X):
        """Return both probabilities of the last step."""
        return self.model.both(self._rows(X))


class Members(Model):
    """Base of what is made of several models of the same labels."""

    def __init__(self, part, members):
        self.members, self.n_labels = members, members[0].n_labels
        self.takes, self.n_in = members[0].takes, members[0].n_in
        if len({(one.takes, one.n_in, one.n_labels) for one in members}) > 1:
            part.refuse("its models take other rows, or have other labels")


class Calibrated(Members):
    """Models with a map from scores to probabilities per label, and their mean.

    A part per model, of the kind of its maps, says in `map` which one a label has.
    """

    def __init__(self, part, members):
        super().__init__(part, members)
        self.shift = part.array("prior_shift", (self.n_labels,), "<f8")
        maps = part.parts[len(members) :]
        if len(maps) != len(members):
            part.refuse("it has not as many maps as models")
        self.maps = [MAPS[one.kind](one, self.n_labels) for one in maps]
        self.scores = part.setting("scores", str, among=("decision", "proba"))

    def proba(self, X):
        """Return the mean of the calibrated probabilities, shifted to traffic."""
        total = 0
        for member, of_scores in zip(self.members, self.maps, strict=True):
            total = total + of_scores(getattr(member, self.scores)(X).astype(float))
        proba = total / len(self.members)
        with np.errstate(divide="ignore"):
            shifted = expit(logit(proba) + self.shift)
        return np.where(self.shift == 0, proba, shifted)

    def positive(self, X):
        """Return which labels are more probable than not."""
        return self.proba(X) > 0.5


class SigmoidMap:
    """Platt's map."""

    def __init__(self, part, n_labels):
        self.slope, self.intercept = (
            part.array(name, (n_labels,), "<f8") for name in ("slope", "intercept")
        )

    def __call__(self, scores):
        return expit(-(self.slope * scores + self.intercept))


class TemperatureMap:
    """A factor on logits; of a decision value, the logit is twice of it."""

    def __init__(self, part, n_labels):
        self.factor = part.array("factor", (n_labels,), "<f8")
        self.of_probabilities = part.setting("of_probabilities", bool)

    def __call__(self, scores):
        logits = 2 * scores
        if self.of_probabilities:
            logits = np.log(scores + _TINY) - np.log(1 - scores + _TINY)
        return expit(self.factor * logits)


class IsotonicMap:
    """Straight lines between steps; labels may share the steps."""

    def __init__(self, part, n_labels):
        self.scores = part.array("score", (None,), "<f8")
        self.proba = part.array("proba", (len(self.scores),), "<f8")
        n_maps = len(part.arrays["starts"]) - 1
        self.starts = part.starts("starts", n_maps, len(self.scores))
        if not (np.diff(self.starts) > 0).all():
            part.refuse("a map of it has no steps")
        self.map = part.positions("map", (n_labels,), n_maps)

    def __call__(self, scores):
        proba = np.empty(scores.shape)
        for number in np.unique(self.map):
            own = self.map == number
            steps = slice(self.starts[number], self.starts[number + 1])
            # Beyond the first and the last step, their value.
            proba[:, own] = np.interp(
                scores[:, own], self.scores[steps], self.proba[steps]
            )
        return np.clip(proba, 0, 1)


class Tuned(Members):
    """Models whose scores are cut at a threshold per label; several of them vote."""

    def __init__(self, part, members):
        super().__init__(part, members)
        self.thresholds = part.array("thresholds", (self.n_labels,), "<f8")
        self.scores = part.setting("scores", str, among=("decision", "proba"))
        self.ties = part.setting("ties", bool)

    def decision(self, X):
        """Return the mean of the scores."""
        return np.mean([one.decision(X) for one in self.members], axis=0)

    def proba(self, X):
        """Return the mean of the probabilities."""
        return np.mean([one.proba(X) for one in self.members], axis=0)

    def positive(self, X):
        """Return the decisions of the most, or of half of them if `ties`."""
        votes = 0
        for one in self.members:
            votes = votes + (getattr(one, self.scores)(X) >= self.thresholds)
        return 2 * votes + self.ties > len(self.members)

    def both(self, X):
        """Return the probabilities of the two classes of a single label."""
        return np.mean([one.both(X) for one in self.members], axis=0)


MAPS = {
    "SigmoidMap": SigmoidMap,
    "TemperatureMap": TemperatureMap,
    "IsotonicMap": IsotonicMap,
}
