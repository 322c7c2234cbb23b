r"""Dawid and Skene's model of votes, per label, with priors that voters share.

A cell of label l is positive with probability :math:`\pi_l`. Of a positive cell voter v
says 1 with probability :math:`a_{vl}`, the sensitivity, and of a negative one 0 with
probability :math:`b_{vl}`, the specificity; given the truth, votes are independent
(Dawid and Skene, 1979). Where every voter has few votes per label, that model alone
fits chance. Here each rate is smoothed by pseudo-counts around a mean that is itself
estimated, level by level: a voter's rate for a label around the voter's mean over
labels, that around the mean of all voters, that around a prior. Each group counts
towards the mean above it by at most as many votes as the smoothing below it, since many
votes of one voter say little of the others.

The prior is a voter who knows the truth with probability :math:`\kappa` and else says 1
as often as all do, with probability :math:`r`:

.. math:: a = \kappa + (1 - \kappa) r, \qquad b = \kappa + (1 - \kappa) (1 - r)

Such a voter says 1 as often as cells are positive, for any :math:`\kappa`. So where no
two voters share a cell, and agreement tells nothing, the prior is what is returned, and
a lone vote gives :math:`\kappa` times the vote plus :math:`1 - \kappa` times the share.

Given a model's probabilities, a cell's log odds before its votes are
:math:`\alpha_l + \beta_l z`, with z the model's log odds centered per label, instead of
those of :math:`\pi_l`. Each M step takes a Newton step of this logistic regression on
the posterior; :math:`\beta_l` is smoothed around the mean over labels, so that a model
that contradicts the votes gets a slope near 0 and does not count.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

# Iterations, the most, and the largest change of a posterior that ends them.
MAX_ITER, TOL = 1000, 1e-4
# Beyond this a model's log odds are clipped: probabilities of 0 and 1 are no proof.
_MOST_LOG_ODDS = 7.0


@dataclass(frozen=True)
class VotePrior:
    """Prior of voters, and pseudo-counts, in votes, of each mean in the one below."""

    kappa: float = 0.6  # agreement of voters with the truth beyond chance
    overall: float = 100.0  # of the prior in the mean of all voters
    voter: float = 100.0  # of that mean in a voter's
    label: float = 10.0  # of a voter's mean in its rate for a label
    share: float = 10.0  # of the share of 1 among all votes in a label's own
    # Cells of the rarer class, of a label's share in its prevalence; there are as many
    # of the other class as the share says.
    rarer: float = 1.0
    # Precision of a label's slope of the model's log odds around the mean over labels,
    # and of that mean around 0.
    slope: float = 10.0


PRIOR = VotePrior()


@dataclass(frozen=True)
class Votes:
    """Votes as parallel arrays; positions from 0."""

    cell: np.ndarray  # of each vote
    pair: np.ndarray  # of voter and label, of each vote
    yes: np.ndarray  # bool, the votes
    cell_label: np.ndarray
    pair_voter: np.ndarray
    pair_label: np.ndarray
    n_voters: int
    n_labels: int
    proba: np.ndarray | None = None  # a model's, that each cell is positive


@dataclass(frozen=True)
class Fit:
    """Estimates at the last iteration."""

    posterior: np.ndarray  # probability that each cell is positive
    prevalence: np.ndarray  # (n_labels,)
    sensitivity: np.ndarray  # (n_pairs,)
    specificity: np.ndarray  # (n_pairs,)
    n_iter: int
    converged: bool


def dawid_skene(votes, max_iter=MAX_ITER, tol=TOL):
    """Estimate truth and voters in turns, beginning with the prior's voters.

    Ends when no cell's probability changes by `tol`.
    """
    pooled, shares = _shares(votes)
    share = shares[votes.pair_label]
    rates = shares, _prior_rate(share), _prior_rate(1 - share)
    prior = None if votes.proba is None else _ModelPrior(votes, shares)
    posterior = _expect(votes, *rates)
    change, n_iter = np.inf, 0
    while change > tol and n_iter < max_iter:
        rates, before = _maximize(votes, posterior, pooled, shares), posterior
        log_odds = None if prior is None else prior.step(posterior)
        posterior = _expect(votes, *rates, log_odds)
        change, n_iter = np.abs(posterior - before).max(initial=0), n_iter + 1
    return Fit(posterior, *rates, n_iter, bool(change <= tol))


def _shares(votes):
    """Return the share of 1 among all votes and, smoothed, among those per label."""
    label = votes.pair_label[votes.pair]
    count = np.bincount(label, minlength=votes.n_labels)
    yes = np.bincount(label, votes.yes, votes.n_labels)
    pooled = (yes.sum() + 0.5) / (count.sum() + 1)
    return pooled, _smoothed(count, yes, PRIOR.share, pooled)


def _prior_rate(share):
    """Return how often the prior's voter is right where `share` of the votes are."""
    return PRIOR.kappa + (1 - PRIOR.kappa) * share


def _maximize(votes, posterior, pooled, shares):
    """Return prevalences, sensitivities and specificities, given the cells' truth."""
    n_cells = np.bincount(votes.cell_label, minlength=votes.n_labels)
    positive = np.bincount(votes.cell_label, posterior, votes.n_labels)
    pseudo_cells = PRIOR.rarer / np.minimum(shares, 1 - shares)
    truth = posterior[votes.cell]
    return (
        _smoothed(n_cells, positive, pseudo_cells, shares),
        _rates(votes, truth, votes.yes, _prior_rate(pooled)),
        _rates(votes, 1 - truth, ~votes.yes, _prior_rate(1 - pooled)),
    )


def _rates(votes, weight, is_right, prior):
    """Return how often each voter is right on each label, smoothed level by level."""
    n_pairs = len(votes.pair_voter)
    count = np.bincount(votes.pair, weight, n_pairs)
    right = np.bincount(votes.pair, weight * is_right, n_pairs)
    voter = votes.pair_voter
    below = _capped(count, right, PRIOR.label)
    count_v, right_v = (np.bincount(voter, one, votes.n_voters) for one in below)
    count_all, right_all = map(np.sum, _capped(count_v, right_v, PRIOR.voter))
    mean = _smoothed(count_all, right_all, PRIOR.overall, prior)
    means = _smoothed(count_v, right_v, PRIOR.voter, mean)
    return _smoothed(count, right, PRIOR.label, means[voter])


def _smoothed(count, right, pseudo_count, mean):
    return (right + pseudo_count * mean) / (count + pseudo_count)


def _capped(count, right, most):
    """Return counts of which a group has at most `most`, and as many right ones."""
    share = most / (count + most)
    return share * count, share * right


def _expect(votes, prevalence, sensitivity, specificity, log_odds=None):
    """Return the probability that each cell is positive, given rates and log odds."""
    said_yes = np.log(sensitivity) - np.log1p(-specificity)
    said_no = np.log1p(-sensitivity) - np.log(specificity)
    ratio = np.where(votes.yes, said_yes[votes.pair], said_no[votes.pair])
    if log_odds is None:
        prior = np.log(prevalence) - np.log1p(-prevalence)
        log_odds = prior[votes.cell_label]
    total = log_odds + np.bincount(votes.cell, ratio, len(votes.cell_label))
    return expit(total)


class _ModelPrior:
    """Logistic regression of the truth on a model's log odds, per label."""

    def __init__(self, votes, shares):
        self._label, self._n_labels, self._shares = (
            votes.cell_label,
            len(shares),
            shares,
        )
        z = np.clip(logit(votes.proba), -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
        mean = self._sum(z) / np.maximum(self._sum(np.ones(len(z))), 1)
        self._z = z - mean[self._label]
        self._pseudo_cells = PRIOR.rarer / np.minimum(shares, 1 - shares)
        self._bias, self._slope, self._mean = logit(shares), np.zeros(len(shares)), 0.0

    def _sum(self, values):
        return np.bincount(self._label, values, self._n_labels)

    def _log_odds(self):
        return self._bias[self._label] + self._slope[self._label] * self._z

    def step(self, posterior):
        """Take a Newton step towards the posterior; return the cells' log odds."""
        now, at_mean = expit(self._log_odds()), expit(self._bias)
        error, curvature = posterior - now, now * (1 - now)
        # Pseudo-cells stand at the mean of z, where the bias alone counts.
        gradient = self._sum(error) + self._pseudo_cells * (self._shares - at_mean)
        tilt = self._sum(error * self._z)
        tilt -= PRIOR.slope * (self._slope - self._mean)
        a = self._sum(curvature) + self._pseudo_cells * at_mean * (1 - at_mean)
        b = self._sum(curvature * self._z)
        c = self._sum(curvature * self._z**2) + PRIOR.slope
        # The determinant is above 0, since both pseudo-counts are.
        determinant = a * c - b * b
        bias = (c * gradient - b * tilt) / determinant
        slope = (a * tilt - b * gradient) / determinant
        # A full step from far away overshoots; one of log odds 1 does not.
        self._bias = self._bias + np.clip(bias, -1, 1)
        self._slope = np.maximum(self._slope + np.clip(slope, -1, 1), 0)
        self._mean = self._slope.sum() / (self._n_labels + 1)
        return self._log_odds()
