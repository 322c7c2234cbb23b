"""What makes a cell worth asking for: a utility by strategy, and how it wears off."""

from numbers import Real

import numpy as np

#: The mixture behind ``strategy="default"``.
DEFAULT = {"uncertain": 0.8, "random": 0.2}
# A label with cells of both classes, but fewer than these of one, gets so many shares.
_ENOUGH, _SHARES_IF_FEW = 4, 2


class LikelyPositive:
    """Candidates that a person will probably confirm."""

    wears_off = False

    def __init__(self, labels):
        pass

    def utility(self, proba):
        """Return the probability."""
        return proba


class LikelyNegative(LikelyPositive):
    """Candidates that a person will probably deny."""

    def utility(self, proba):
        """Return the probability of a negative."""
        return 1 - proba


class Uncertain(LikelyPositive):
    """Cells of which the model says neither yes nor no."""

    def utility(self, proba):
        """Return 1 where the probability is 1/2, 0 where it is 0 or 1."""
        return 1 - np.abs(2 * proba - 1)


class UncertainOrUntold(Uncertain):
    """The same, but chance decides where a model saw one class of a label alone.

    Its probabilities of such a label are all about the label's rate. What little they
    differ by is much the same in all such labels, so that a few odd rows would be asked
    about for each. Utilities count there in steps of a factor of two: all alike for
    such a model, and still apart for probabilities that know more than the labels do.
    """

    def __init__(self, labels):
        self.untold = np.flatnonzero(rarer_class(labels) == 0)

    def utility(self, proba):
        """Return the utility, rounded down to a power of two where nothing is known."""
        utility = super().utility(proba)
        fraction, exponent = np.frexp(utility[:, self.untold])
        utility[:, self.untold] = np.ldexp(np.sign(fraction) / 2, exponent)
        return utility


class Deficit:
    """Labels short of positives, or of negatives, first: the side they are short of.

    The utility of a label's next cell is the probability of the wanted side over 1
    plus the cells of that side, those expected from the query's earlier cells too.
    """

    wears_off = True

    def __init__(self, labels):
        positive, negative = labels.n_positive, labels.n_negative
        self.sign = np.where(positive <= negative, 1.0, -1.0)
        self.base = np.where(positive <= negative, 0.0, 1.0)
        self.short = np.minimum(positive, negative)

    def utility(self, proba):
        """Return the probability of the side that the label is short of."""
        sign, base = self.sign.astype(proba.dtype), self.base.astype(proba.dtype)
        return base + sign * proba

    def worn_off(self, utility, proba, cols, place):
        """Return utilities in view of the cells of the label that come before."""
        return utility / (1 + self.short[cols] + _sum_before(utility, place))


class ExpectedGain:
    """Cells by how much they are expected to lower the label's ranking error.

    The variance of a ROC AUC falls about as 1 / positives + 1 / negatives. A cell with
    probability p lowers it by p / (a (a + 1)) + (1 - p) / (b (b + 1)) in expectation,
    with a and b one more than the positives and the negatives of its label, those
    expected from the query's earlier cells too.
    """

    wears_off = True

    def __init__(self, labels):
        self.positive = 1.0 + labels.n_positive
        self.negative = 1.0 + labels.n_negative

    def utility(self, proba):
        """Return the expected fall of the variance by the cell alone."""
        yes, no = _fall(self.positive), _fall(self.negative)
        slope = (yes - no).astype(proba.dtype)
        return no.astype(proba.dtype) + slope * proba

    def worn_off(self, utility, proba, cols, place):
        """Return utilities in view of the cells of the label that come before."""
        found = _sum_before(proba, place)
        yes = _fall(self.positive[cols] + found)
        no = _fall(self.negative[cols] + np.maximum(place - found, 0))
        return proba * yes + (1 - proba) * no


STRATEGIES = {
    "likely_positive": LikelyPositive,
    "likely_negative": LikelyNegative,
    "uncertain": Uncertain,
    "deficit": Deficit,
    "expected_gain": ExpectedGain,
}


#: Those of ``strategy="default"``: reasons stay the names above.
DEFAULT_STRATEGIES = {"uncertain": UncertainOrUntold}


def default_shares(labels):
    """Return how much of the cells a label gets by default, relative to the others.

    The next positives add most to a label that has its first and few more.
    """
    n_rarer = rarer_class(labels)
    return np.where((n_rarer > 0) & (n_rarer < _ENOUGH), _SHARES_IF_FEW, 1)


def rarer_class(labels):
    """Return the number of labeled cells of the rarer class of each label."""
    return np.minimum(labels.n_positive, labels.n_negative)


def parse_strategy(strategy, n_cells):
    """Return {name: number of cells}, "random" first: shares by largest remainder."""
    names = ["default", *STRATEGIES, "random"]
    if isinstance(strategy, str):
        shares = DEFAULT if strategy == "default" else {strategy: 1.0}
    elif isinstance(strategy, dict) and strategy:
        shares = strategy
    else:
        raise TypeError(
            f"`strategy` accepts a name or a dict of shares by name; got {strategy!r}."
        )
    for name, share in shares.items():
        if name not in names or (name == "default" and shares is strategy):
            raise ValueError(
                f"`strategy` accepts {', '.join(names)}, or a dict of shares of all "
                f"but the first; got {name!r}."
            )
        if isinstance(share, bool) or not isinstance(share, Real) or not share >= 0:
            raise ValueError(
                f"`strategy` accepts shares that are finite numbers from 0; got "
                f"{share!r} for {name!r}."
            )
    total = sum(shares.values())
    if not 0 < total < np.inf:
        raise ValueError(
            f"`strategy` accepts shares with a finite sum above 0; got {shares!r}."
        )
    return _counts(shares, total, n_cells)


def _counts(shares, total, n_cells):
    exact = {name: n_cells * share / total for name, share in shares.items()}
    counts = {name: int(share) for name, share in exact.items()}
    left = n_cells - sum(counts.values())
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[:left]:
        counts[name] += 1
    ordered = sorted(counts, key=lambda name: name != "random")
    return {name: counts[name] for name in ordered if counts[name]}


def _fall(n):
    return 1 / (n * (n + 1))


def _sum_before(values, place):
    """Return the sum of the values of a label's earlier cells; `place` counts them."""
    total = np.cumsum(values) - values
    start = np.flatnonzero(place == 0)
    return total - np.repeat(total[start], np.diff(np.append(start, len(values))))
