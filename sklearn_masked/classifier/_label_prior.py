r"""Prior mean of the weights, from features that describe the labels.

A row :math:`q_l` of `label_features` lies in the space of X, as the words of a label do
that passed the vectorizer of the texts. Two scores of a row :math:`x` and a label
follow from it, both linear in what the module computes of a row: the inner product of
:math:`x` and :math:`q_l`, scaled as the direct path scales them, and that of the
embedding :math:`z` and :math:`r_l`, the mean embedding of the rows of X, labeled or
not, that score highest (relevance feedback). Each score is taken less its mean over the
labels, and over its standard deviation over all rows and labels.

How much they count is learned from margins of held-out cells :math:`f`, less the
biases, by one logistic regression for all labels,

.. math:: b_0 + b_l + t f + \sum_k a_k Z_k,

where :math:`a_k \ge 0`. The prior mean :math:`a_k / t` of each score is then added to
the weights: logits of held-out cells are too short where cells are few, so that the two
must be put on one scale together. Without a cell the coefficients are their priors'
means.
"""

import copy
import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.special import expit, logit
from sklearn.utils import check_array

from .._targets import shown_labels
from ..exceptions import AssumedBaseRateWarning
from ..labels import MaskedLabels
from ..labels.names import check_same_columns, check_same_names, row_names
from ._label_scores import LabelScores, described
from ._net import per_label
from ._prediction import pooled_rate

# Rows whose probabilities an intercept is solved from, and probabilities, at most.
_MOST_ROWS, _MOST_PROBABILITIES = 10_000, 1 << 24
# Of Newton's method and of the bisection.
_STEPS = 50


@dataclass(frozen=True)
class CoefficientPrior:
    """Prior of the regression's coefficients, in log-odds.

    Attributes
    ----------
    label_std, intercept_std : float
        Standard deviation of a label's intercept and of that of all labels, around 0.
    slope, most_slope, slope_log_std : float
        The coefficient of the margins is log-normal around ``slope / rms ** 0.5``, at
        most `most_slope`, where `rms` is the root mean square of the margins. Cells
        that were sought are harder than other rows, and understate it: so it is held
        firmly.
    score, score_std : float
        Mean and standard deviation of the coefficient of each standardized score,
        where the descriptions are right.
    odds : float
        Odds that they are: coefficients of wrong ones are 0.
    """

    label_std: float = 1.5
    intercept_std: float = 10.0
    slope: float = 3.0
    most_slope: float = 8.0
    slope_log_std: float = 0.25
    score: float = 0.25
    score_std: float = 0.5
    odds: float = 3.0


PRIOR = CoefficientPrior()


def fit_coefficients(margin, scores, target, label, weight, n_labels):
    """Return the coefficient of the margins and those of the scores.

    The maximum a posteriori, by Newton's method in the logarithm of the first and at
    the bounds of the others. The labels' intercepts are eliminated from each system.
    The coefficients of the scores are then multiplied by the probability that the
    descriptions are right, by Laplace's approximation of the evidence.

    Parameters
    ----------
    margin, target, weight : arrays of shape (n_cells,)
        Of held-out cells: logit less bias, 1 or 0 (or smoothed), and weight.
    scores : array of shape (n_cells, n_scores)
        Their standardized scores.
    label : int array of shape (n_cells,)
        Their labels.
    n_labels : int
        Number of labels.

    Returns
    -------
    slope : float
        Above 0.
    coefficients : array of shape (n_scores,)
        At least 0.
    """
    n_scores = scores.shape[1]
    mean, std, least = _line_prior(margin, weight, n_scores)
    line, intercept = mean.copy(), np.zeros(n_labels)

    def total(values):
        return np.bincount(label, values, minlength=n_labels)

    for _ in range(_STEPS):
        slope = np.exp(line[0])
        # Derivatives by the slope's logarithm, the coefficients and the intercept.
        columns = np.column_stack([slope * margin, scores, np.ones(len(margin))])
        p = expit(columns @ np.r_[1.0, line[1:]] + intercept[label])
        rest, curve = weight * (target - p), weight * np.maximum(p * (1 - p), 1e-6)
        own = total(rest) - intercept * PRIOR.label_std**-2
        own_curve = total(curve) + PRIOR.label_std**-2
        mixed = np.stack([total(curve * column) for column in columns.T])
        gradient = columns.T @ rest - (line - mean) / std**2
        gradient -= mixed @ (own / own_curve)
        data_hessian = (columns.T * curve) @ columns - (mixed / own_curve) @ mixed.T
        hessian = data_hessian + np.diag(std**-2.0)
        free = (line > least) | (gradient > 0)
        step = np.zeros_like(line)
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        step = np.maximum(line + step.clip(-1, 1), least) - line
        shift = ((own - step @ mixed) / own_curve).clip(-1, 1)
        line, intercept = line + step, intercept + shift
        if max(np.abs(step).max(), np.abs(shift).max()) < 1e-8:
            break
    pull = (gradient + (line - mean) / std**2)[1:-1]
    rest = np.diag(np.r_[std[0] ** -2.0, np.zeros(n_scores), std[-1] ** -2.0])
    are_right = _probability_right(line[1:-1], pull, data_hessian + rest)
    return np.exp(line[0]), are_right * line[1:-1]


def _probability_right(coefficients, gradient, hessian):
    """Return the probability that descriptions are right, given the cells.

    `gradient` and `hessian` are those of the log likelihood there, the first by the
    coefficients alone; the other parameters are eliminated.
    """
    inner, outer = slice(1, -1), [0, -1]
    mixed = hessian[outer, inner]
    curve = hessian[inner, inner] - mixed.T @ np.linalg.solve(
        hessian[np.ix_(outer, outer)], mixed
    )
    variance, n = PRIOR.score_std**2, len(coefficients)
    precision = curve + np.eye(n) / variance
    linear = curve @ coefficients + gradient + PRIOR.score / variance
    evidence = linear @ np.linalg.solve(precision, linear) / 2
    evidence -= n * PRIOR.score**2 / variance / 2
    evidence -= np.linalg.slogdet(variance * precision)[1] / 2
    return expit(np.log(PRIOR.odds) + evidence)


def _line_prior(margin, weight, n_scores):
    """Return means, standard deviations and lower bounds of the coefficients."""
    square = np.average(margin**2, weights=weight) if weight.any() else 0.0
    slope = PRIOR.most_slope
    if square > 0:
        slope = min(slope, PRIOR.slope / square**0.25)
    mean = np.r_[np.log(slope), np.full(n_scores, PRIOR.score), 0.0]
    std = np.full(n_scores + 2, PRIOR.score_std)
    std[0], std[-1] = PRIOR.slope_log_std, PRIOR.intercept_std
    return mean, std, np.r_[-np.inf, np.zeros(n_scores), -np.inf]


def solve_intercepts(logits, rates):
    """Return what to add to each column of logits for these means of probabilities.

    By bisection, since a mean of sigmoids increases.
    """
    low, high = logit(rates) - logits.max(axis=0), logit(rates) - logits.min(axis=0)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_low = expit(logits + middle).mean(axis=0) < rates
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    return (low + high) / 2


def sample_rows(n_rows, n_labels):
    """Return rows, evenly spaced, whose logits of all labels are not too many."""
    n_kept = min(n_rows, _MOST_ROWS, max(_MOST_PROBABILITIES // n_labels, 1))
    return np.linspace(0, n_rows - 1, n_kept).astype(np.intp)


class LabelPrior:
    """The prior of one model: label scores, how much they count, and base rates.

    Parameters
    ----------
    features : CSR matrix, array or None
        Checked label features, or None.
    rates : array of shape (n_labels,) or None
        Checked base rates, or None.

    Attributes
    ----------
    scores : LabelScores or None
        None before training, and where nothing is described.
    amounts : array of shape (2,)
        How much of each score is in the module's weights.
    written : array of shape (2,)
        How much of it was there before.
    """

    n_scores = 2

    def __init__(self, features, rates):
        self.features, self.rates, self.scores = features, rates, None
        self.amounts = self.written = np.zeros(2)
        self.is_described = None if features is None else described(features)

    @property
    def describes(self):
        """Whether a label is described."""
        return self.is_described is not None and bool(self.is_described.any())

    def prepare(self, module, X):
        """Derive the scores from all rows of X, once."""
        if self.describes and self.scores is None:
            self.scores = LabelScores(module, X, self.features)
        self.features = None

    def join(self, module, X):
        """Give scores to labels that joined, and write them as those of others are."""
        if self.features is not None and self.scores is not None:
            n_known = len(self.scores.is_described)
            self.scores = self.scores.joined(module, X, self.features)
            self.scores.from_label(n_known).add_to(module, self.written)

    def with_scores(self, cells, module, X, rows):
        """Return held-out cells with their scores, and without what those add to them.

        Parameters
        ----------
        cells : array of shape (5, n_cells)
            What rows add to the logits, base, target, label and weight.
        module : DirectSharedModule
            With `written` of the scores in its weights.
        X : CSR matrix or array
            Whose rows the cells stand in.
        rows : int array of shape (n_cells,)
            Which rows.

        Returns
        -------
        array of shape (7, n_cells)
        """
        label = cells[3].astype(np.intp)
        raw = self.scores.of_cells(module, X, rows, label)
        scores = raw - self.is_described[label][:, None] * self.scores.means
        own = cells[0] - raw @ self.written
        return np.concatenate([own[None], cells[1:], scores.T])

    def learn(self, cells, n_labels):
        """Learn how much the scores count; return the cells with what they add.

        Parameters
        ----------
        cells : array of shape (7, n_cells)
            As `with_scores` returns them.
        n_labels : int
            Number of labels.

        Returns
        -------
        array of shape (5, n_cells)
        """
        margin, _, target, label, weight = cells[:5]
        scores = cells[5:].T
        parts = margin, scores, target, label.astype(np.intp), weight
        slope, self.coefficients = fit_coefficients(*parts, n_labels)
        self.amounts = self.coefficients / slope
        return np.concatenate([cells[:1] + scores @ self.amounts, cells[1:5]])

    def shift(self, module, calibrate):
        """Take off the labels' intercepts what their scores' means add to logits."""
        if not calibrate:
            module.intercept.zero_()
        means = self.is_described * (self.scores.means @ self.amounts)
        module.intercept -= module.slope * torch.from_numpy(means).to(module.slope)

    def assume(self, module, calibrate):
        """Take the coefficients of the prior, where no cell is labeled."""
        self.coefficients = np.full(2, PRIOR.score)
        slope = PRIOR.most_slope if calibrate else 1.0
        self.amounts = self.coefficients / slope
        module.slope.fill_(slope)

    def write(self, module):
        """Bring the module's weights up to date."""
        if self.scores is not None:
            self.scores.add_to(module, self.amounts - self.written)
        self.written = self.amounts


def apply_prior(estimator, X):
    """Write a prior into the trained weights, and give base rates to some labels.

    Labels without a labeled cell get the mean probability over the rows of X that
    `base_rates` states, or the assumed one where they are described.
    """
    prior, net, module = estimator._label_prior, estimator.net_, estimator.net_.module_
    has_cells = estimator._n_positive + estimator._n_negative > 0
    if not has_cells.any() and prior.scores is not None:
        prior.assume(module, estimator.calibrate)
    prior.write(module)
    net.initialize_optimizer()
    if prior.scores is not None:
        estimator.label_features_coef_ = prior.coefficients
    which = rated_labels(prior, has_cells)
    estimator._has_rate = which
    if which.any():
        rates = prior.rates
        if rates is None:
            seen = estimator._n_positive, estimator._n_negative
            rates = np.full(len(which), assumed_rate(*seen))
        logits = net.logits(X[sample_rows(X.shape[0], len(which))])[:, which]
        shift = solve_intercepts(logits.astype(float), rates[which])
        at = torch.from_numpy(np.flatnonzero(which)).to(module.intercept.device)
        module.intercept[at] += torch.from_numpy(shift).to(module.intercept)


def rated_labels(prior, has_cells):
    """Return the labels that a base rate is needed for, and is given or assumed."""
    if prior.rates is not None:
        return ~has_cells
    if not prior.describes:
        return np.zeros(len(has_cells), bool)
    return ~has_cells & (prior.is_described | ~has_cells.any())


def assumed_rate(n_positive, n_negative):
    """Return the base rate that stands for one that is not stated.

    The pooled rate of positives; where no cell is labeled, that of one label per row.
    """
    if n_positive.any() or n_negative.any():
        return pooled_rate(n_positive, n_negative)
    return 1 / max(len(n_positive), 2)


def make_prior(estimator, X, first, joined=False):
    """Return the prior that the parameters ask for, or the fitted one that goes on.

    Where labels `joined`, the features are those of all labels.

    Raises
    ------
    ValueError
        If `label_features` or `base_rates` cannot be read or do not fit X and y.
    """
    rates = check_base_rates(estimator)
    features = check_label_features(estimator, X) if first or joined else None
    if first or estimator._label_prior is None:
        return LabelPrior(features, rates)
    prior = copy.copy(estimator._label_prior)
    prior.rates = rates
    if features is not None:
        prior.features, prior.is_described = features, described(features)
    return prior


def check_label_features(estimator, X):
    """Return `label_features` in the form of X, or None where there are none."""
    given = estimator.label_features
    if given is None:
        return None
    known = getattr(estimator, "feature_names_in_", estimator._feature_columns)
    check_same_columns(given, known, "label_features", "`X`", "feature")
    names = row_names(given)
    check_same_names(names, estimator.label_names_, "label_features", "`y`")
    options = {"accept_sparse": "csr", "dtype": np.float32}
    features = check_array(given, **options, input_name="label_features")
    wanted = estimator.n_labels_, X.shape[1]
    if features.shape != wanted:
        raise ValueError(
            "`label_features` accepts a row per label of `y` and a column per feature "
            f"of `X`, shape {wanted}; got shape {features.shape}."
        )
    if sp.issparse(X):
        return sp.csr_array(features)
    return features.toarray() if sp.issparse(features) else features


def check_base_rates(estimator):
    """Return `base_rates` as one number per label, or None."""
    rates = per_label(estimator, "base_rates")
    if rates is None:
        return None
    if not ((rates > 0) & (rates < 1)).all():
        raise ValueError(
            "`base_rates` accepts numbers between 0 and 1, exclusive; got "
            f"{estimator.base_rates!r}."
        )
    return np.broadcast_to(rates, estimator.n_labels_)


def labels_without_cells(n_rows, n_labels, names):
    """Return labels of these names, or None, with no labeled cell."""
    nothing, shape = np.zeros(0, np.intp), (n_rows, n_labels)
    return MaskedLabels.from_cells(*[nothing] * 3, shape=shape, label_names=names)


def warn_assumed_rate(prior, n_positive, n_negative, label_names):
    """Warn of described labels without a labeled cell whose base rate is assumed."""
    has_cells = n_positive + n_negative > 0
    which = rated_labels(prior, has_cells)
    if prior.rates is not None or not which.any():
        return
    source = "pooled of all labels" if has_cells.any() else "that of one label per row"
    warnings.warn(
        f"No cell is labeled of label {shown_labels(which, label_names)}, and "
        "`base_rates` is None: a base rate of "
        f"{assumed_rate(n_positive, n_negative):.3g}, {source}, is assumed. "
        "Probabilities depend on it: state the share of positive rows per label.",
        AssumedBaseRateWarning,
        stacklevel=3,
    )
