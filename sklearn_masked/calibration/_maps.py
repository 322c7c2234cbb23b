"""Maps from scores to probabilities: one per label, or a pooled one."""

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

# Scores above this are scaled before Platt's fit, as scikit-learn does it.
_LARGE = 30
# Logits that fall by more than this over the scores reverse their order.
_FALL = 0.01
# Added to probabilities before their logarithm, as scikit-learn does it.
_TINY = 1e-12


class SigmoidMap:
    """Platt's map ``expit(-(a * score + b))``, as scikit-learn fits it.

    The targets are ``(w_1 + 1) / (w_1 + 2)`` for positive and ``1 / (w_0 + 2)`` for
    negative cells, with `w_1` and `w_0` their weights.
    """

    def fit(self, scores, positive, weights):
        """Fit slope and intercept."""
        weights = np.ones(len(scores)) if weights is None else weights
        scale = np.max(np.abs(scores))
        scale = scale if scale >= _LARGE else 1.0
        scaled = scores / scale
        prior_1, prior_0 = weights[positive].sum(), weights[~positive].sum()
        high, low = (prior_1 + 1) / (prior_1 + 2), 1 / (prior_0 + 2)
        target = np.where(positive, high, low)

        def loss(parameters):
            raw = -(parameters[0] * scaled + parameters[1])
            slope = weights * (expit(raw) - target)
            value = weights @ (np.logaddexp(0, raw) - target * raw)
            return value, np.array([-slope @ scaled, -slope.sum()])

        found = minimize(
            loss,
            np.array([0.0, np.log((prior_0 + 1) / (prior_1 + 1))]),
            method="L-BFGS-B",
            jac=True,
            options={"gtol": 1e-6, "ftol": 64 * np.finfo(float).eps},
        )
        self.a_, self.b_ = found.x[0] / scale, found.x[1]
        self.reverses_ = bool(self.a_ * np.ptp(scores) > _FALL)
        return self

    def predict(self, scores):
        """Return the probabilities of scores."""
        return expit(-(self.a_ * scores + self.b_))

    def line(self):
        """Return slope and intercept of the logits in the scores."""
        return -self.a_, -self.b_


class IsotonicMap:
    """The non-decreasing step map of :class:`sklearn.isotonic.IsotonicRegression`."""

    def fit(self, scores, positive, weights):
        """Fit the steps."""
        self.regression_ = IsotonicRegression(out_of_bounds="clip")
        self.regression_.fit(scores, positive.astype(np.float64), weights)
        return self

    def predict(self, scores):
        """Return the probabilities of scores."""
        return np.clip(self.regression_.predict(scores), 0, 1)


class TemperatureMap:
    """The map ``expit(beta * logit)`` with one positive parameter.

    The logit of a decision value `d` is ``2 * d``, as scikit-learn has it.
    """

    def __init__(self, of_probabilities):
        self.of_probabilities = of_probabilities

    def fit(self, scores, positive, weights):
        """Fit the inverse temperature."""
        logits = self._logits(scores)
        sign = np.where(positive, -1.0, 1.0)

        def loss(log_beta):
            losses = np.logaddexp(0, sign * np.exp(log_beta) * logits)
            return np.average(losses, weights=weights)

        found = minimize_scalar(
            loss,
            bounds=(-10.0, 10.0),
            method="bounded",
            options={"xatol": 64 * np.finfo(np.float64).eps},
        )
        self.beta_ = float(np.exp(found.x))
        return self

    def predict(self, scores):
        """Return the probabilities of scores."""
        return expit(self.beta_ * self._logits(scores))

    def line(self):
        """Return slope and intercept of the logits in the scores, or None."""
        return None if self.of_probabilities else (2 * self.beta_, 0.0)

    def _logits(self, scores):
        if not self.of_probabilities:
            return 2 * scores
        return np.log(scores + _TINY) - np.log(1 - scores + _TINY)


def new_map(method, of_probabilities):
    """Return an unfitted map."""
    if method == "temperature":
        return TemperatureMap(of_probabilities)
    return {"sigmoid": SigmoidMap, "isotonic": IsotonicMap}[method]()


def fit_maps(cells, method, of_probabilities, limits):
    """Fit a map per label, and return with them which labels have the pooled one."""
    scores = cells.scores.astype(np.float64)
    pooled = ~limits.met_by(cells)
    if cells.n_labels == 1:
        pooled[:] = False  # the pooled map would be the same
    shared = None
    if pooled.any():
        shared = new_map(method, of_probabilities)
        shared.fit(scores, cells.positive, cells.weights)
    maps = [shared] * cells.n_labels
    order = np.argsort(cells.cols, kind="stable")
    ends = np.searchsorted(cells.cols[order], np.arange(cells.n_labels + 1))
    for label in np.flatnonzero(~pooled):
        own = order[ends[label] : ends[label + 1]]
        weights = None if cells.weights is None else cells.weights[own]
        maps[label] = new_map(method, of_probabilities)
        maps[label].fit(scores[own], cells.positive[own], weights)
    return maps, pooled


def shift_logits(proba, shift):
    """Return probabilities with `shift` added to their logits; 0 and 1 stay."""
    with np.errstate(divide="ignore"):
        shifted = expit(logit(proba) + shift)
    return np.where(shift == 0, proba, shifted)
