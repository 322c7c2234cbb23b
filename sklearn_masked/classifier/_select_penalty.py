r"""Average the penalty's parameters over candidates, by how they rank left-out cells.

Six candidates of `idf_power`, `shared_weight` and `C` are compared on some cells of
some labels, by models in closed form that lack a fold. A candidate's score is the mean
over labels of :math:`-\log(0.01 + r)`, where :math:`r` is the share of comparison rows
that are ranked above a left-out positive: rows known to be negative, and random rows
whose label is not known. The parameters are averaged with the weights
:math:`\exp(\Delta / \mathrm{SE})`, :math:`\Delta` the difference to the best: they
change smoothly with the cells, and stay near the usual ones where cells say little.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from ..nn._batches import concatenated_ranges
from ..nn.model._module import embedded_rows
from ..nn.sdca._block_newton import leave_folds_out
from . import _net


class Penalty(NamedTuple):
    """The parameters by which weights are penalized."""

    idf_power: float
    shared_weight: float
    C: float


# Where nothing can be told; also the first candidate.
USUAL = Penalty(0.5, 0.3, 5.0)
# Neighbors are alike: each solution starts from the one before.
_CANDIDATES = (
    USUAL,
    Penalty(0.5, 0.6, 5.0),
    Penalty(1.0, 0.1, 5.0),
    Penalty(1.0, 0.0, 5.0),
    Penalty(0.0, 0.3, 50.0),
    Penalty(1.0, 0.3, 0.5),
)
# Most labels and cells per label that are compared, folds, and comparison rows.
_LABELS, CELLS, N_FOLDS, _ROWS = 12, 300, 5, 500
# Labels have at least so many cells of each class; fewer labels tell nothing.
_FEWEST_CELLS, FEWEST_LABELS = 5, 3
# The least share of comparison rows, and the prior variance of a bias.
_LEAST, BIAS_VARIANCE = 0.01, 1.5**2


def given_penalty(estimator):
    """Return the parameters as the estimator has them; "auto" stands for the usual."""
    return Penalty(
        *(
            usual
            if isinstance(value := getattr(estimator, name), str)
            else float(value)
            for name, usual in USUAL._asdict().items()
        )
    )


def average_penalty(estimator, data):
    """Return the parameters, averaged over candidates where they are "auto".

    Parameters
    ----------
    estimator : MaskedMultiLabelClassifier
        Whose net has its module initialized.
    data : FitData
        With a sparse X. Its seed draws cells, folds and comparison rows.

    Returns
    -------
    Penalty
    """
    is_auto = [isinstance(getattr(estimator, name), str) for name in Penalty._fields]
    given = given_penalty(estimator)
    if not any(is_auto):
        return given
    generator = np.random.default_rng(data.seed)
    cells = labeled_cells(estimator, data)
    chosen = draw_cells(cells, CELLS, generator)
    if len(chosen) < FEWEST_LABELS:
        return given
    problem = RankProblem(estimator.net_.module_, data.X, cells, chosen, generator)
    # Each once: candidates that differ only in what is given are the same.
    candidates = list(
        dict.fromkeys(
            Penalty(*np.where(is_auto, candidate, given).tolist())
            for candidate in _CANDIDATES
        )
    )
    scores = np.stack(
        [problem.score(candidate, data.scales) for candidate in candidates]
    )
    mean = _mean(candidates, candidate_weights(scores))
    return Penalty(*np.where(is_auto, mean, given).tolist())


def labeled_cells(estimator, data):
    """Return row, label, target and relative weight of the labeled training cells."""
    targets, rows = data.targets.labeled, data.train.rows
    index, lengths = concatenated_ranges(targets.indptr, rows)
    weight, target = (part[index] for part in _net.cell_terms(estimator, targets))
    weight = weight / data.mean_loss_weight
    return np.repeat(rows, lengths), targets.indices[index], target, weight


def draw_cells(cells, n_cells, generator):
    """Return some cells of each compared label, fold after fold; -1 fills a fold."""
    _, label, target, _ = cells
    positive = target > 0.5
    n_labels = label.max(initial=-1) + 1
    counts = [
        np.bincount(label[part], minlength=n_labels) for part in (positive, ~positive)
    ]
    fewer = np.minimum(*counts)
    order = np.argsort(-fewer, kind="stable")[:_LABELS]
    labels = np.sort(order[fewer[order] >= _FEWEST_CELLS])
    drawn = []
    for each in labels:
        own = generator.permutation(np.flatnonzero(label == each))[:n_cells]
        # Positives first: both classes are dealt evenly to the folds.
        drawn.append(own[np.argsort(~positive[own], kind="stable")])
    if not drawn:
        return np.zeros((0, 0), int)
    size = -(-max(map(len, drawn)) // N_FOLDS)
    table = np.full((len(drawn), size, N_FOLDS), -1)
    for row, own in zip(table, drawn, strict=True):
        row.reshape(-1)[: len(own)] = own
    return table.transpose(0, 2, 1).reshape(len(drawn), -1)


class LeftOutRanks:
    """Cells of some labels, and the rows that left-out positives are ranked among.

    Parameters
    ----------
    X : matrix of shape (n_samples, n_features)
        All rows.
    cells : tuple of arrays of shape (n_cells,)
        See `labeled_cells`.
    chosen : int array of shape (n_labels, n_folds * size)
        See `draw_cells`.
    generator : numpy.random.Generator
        Draws the comparison rows.
    among : int array, default=None
        The rows that these are drawn among; None is all rows.
    """

    def __init__(self, X, cells, chosen, generator, among=None):
        row, label, target, weight = cells
        self.is_cell = torch.from_numpy(chosen >= 0)
        self.rows = row[chosen]
        among = X.shape[0] if among is None else among
        self.others = np.sort(generator.permutation(among)[:_ROWS])
        # In 64 bits: the number of a cell among n_labels * n_samples.
        own = label[chosen[:, 0]].astype(np.int64)
        self.target = torch.from_numpy(target[chosen].astype(np.float32))
        self.weight = torch.from_numpy(weight[chosen].astype(np.float32))
        self.weight = torch.where(self.is_cell, self.weight, 0.0)
        n = np.bincount(label, weight)[own]
        positive = np.bincount(label, weight * target)[own]
        pooled = (weight @ target + 0.5) / (weight.sum() + 1)
        rate = (positive + pooled) / (n + 1)
        self.prior = torch.from_numpy(np.log(rate / (1 - rate))).float()[:, None]
        known = np.isin(
            own[:, None] * X.shape[0] + self.others,
            label.astype(np.int64) * X.shape[0] + row,
        )
        self.unknown = torch.from_numpy(~known)
        self.fitted = None

    def products(self, X, scales, factors):
        """Return products of each label's rows, and of the other rows with these."""
        others = _scaled(X[self.others], scales, factors)
        own, across = [], []
        for rows in self.rows:
            some = _scaled(X[rows], scales, factors)
            own.append(dense(some @ some.T))
            across.append(dense(others @ some.T))
        return [torch.from_numpy(np.stack(part)).float() for part in (own, across)]

    def left_out(self, own, across, C):
        """Return what models without a fold each give, without the biases.

        Parameters
        ----------
        own : tensor of shape (n_labels, n_cells, n_cells)
            Inner products of the rows of each label's cells.
        across : tensor of shape (..., n_others, n_cells)
            Of the comparison rows with these.
        C : float

        Returns
        -------
        margins : tensor of shape (n_labels, n_folds, size)
            Of the left-out cells.
        others : tensor of shape (n_labels, n_folds, n_others)
            Of the comparison rows, by the models without each fold.
        """
        prior = self.prior.expand_as(self.target)
        costs = C * self.weight
        found = leave_folds_out(
            own + BIAS_VARIANCE, prior, self.target, costs, N_FOLDS, self.fitted
        )
        self.fitted = found.fitted
        bias = self.prior + BIAS_VARIANCE * found.coefficients.sum(2)
        return found.margins - bias[:, :, None], found.coefficients @ across.mT

    def scores(self, margins, others):
        """Return the score of each label.

        Parameters
        ----------
        margins : tensor of shape (n_labels, n_folds, size)
            Of the left-out cells, without the biases.
        others : tensor of shape (n_labels, n_folds, n_others)
            Of the comparison rows, by the models without each fold.
        """
        shape = margins.shape
        positive = ((self.target > 0.5) & self.is_cell).view(shape)
        negative = ((self.target <= 0.5) & self.is_cell).view(shape)
        unknown = self.unknown[:, None, :].expand_as(others)
        above = number_above(margins, margins, negative)
        above = above + number_above(margins, others, unknown)
        n_compared = negative.sum(2, keepdim=True) + unknown.sum(2, keepdim=True)
        # A fold without a row to compare with says nothing.
        positive = positive & (n_compared > 0)
        score = -torch.log(_LEAST + above / n_compared.clamp_min(1))
        return ((score * positive).sum((1, 2)) / positive.sum((1, 2))).numpy()


class RankProblem(LeftOutRanks):
    """The same with the inner products that all candidates share."""

    def __init__(self, module, X, cells, chosen, generator):
        super().__init__(X, cells, chosen, generator)
        self.X, others = X, self.others
        used, at = np.unique(np.append(self.rows, others), return_inverse=True)
        Z = torch.from_numpy(embedded_rows(module, X[used]))
        at = torch.from_numpy(at)
        Z_cells, Z_others = Z[at[: self.rows.size]], Z[at[self.rows.size :]]
        Z_cells = Z_cells.view(*self.rows.shape, -1)
        self.shared = Z_cells @ Z_cells.mT, Z_others @ Z_cells.mT
        self.module, self.direct, self.pairs = module, {}, (0, 0)
        if module.quadratic is not None:
            P_cells, P_others = module.crossed(Z_cells), module.crossed(Z_others)
            pairs = P_cells @ P_cells.mT, P_others @ P_cells.mT
            self.pairs = tuple(part.square() for part in pairs)

    def score(self, penalty, scales):
        """Return each label's score of a candidate."""
        own, across = (
            direct + penalty.shared_weight**2 * shared + pairs
            for direct, shared, pairs in zip(
                self._direct(penalty.idf_power, scales),
                self.shared,
                self.pairs,
                strict=True,
            )
        )
        return self.scores(*self.left_out(own, across, penalty.C))

    def _direct(self, power, scales):
        """Return products of cells' rows, and of the other rows with these."""
        if power not in self.direct:
            factors = self.module.feature_factors(scales, power).cpu().numpy()
            self.direct[power] = self.products(self.X, scales, factors)
        return self.direct[power]


def _scaled(X, scales, factors):
    """Return rows as the direct path takes them."""
    if not sp.issparse(X):
        return (X if scales.shift is None else X - scales.shift) * factors
    return sp.csr_array(
        (X.data * factors[X.indices], X.indices, X.indptr), shape=X.shape
    )


def dense(products):
    """Return products of rows, sparse or not, as an array."""
    return products.toarray() if sp.issparse(products) else np.asarray(products)


def number_above(margins, others, counted):
    """Return how many of the counted others are above each margin; a tie is a half."""
    others, margins = others[:, :, None, :], margins[..., None]
    counted = counted[:, :, None, :]
    above = ((others > margins) & counted).sum(3)
    return above + 0.5 * ((others == margins) & counted).sum(3)


def candidate_weights(scores):
    """Return candidates' weights by scores of shape (n_candidates, n_labels)."""
    scores = scores[:, ~np.isnan(scores).any(axis=0)]
    if scores.shape[1] < FEWEST_LABELS:
        return np.eye(len(scores))[0]
    behind = scores - scores[scores.mean(axis=1).argmax()]
    error = behind.std(axis=1, ddof=1) / np.sqrt(behind.shape[1])
    weights = np.exp(behind.mean(axis=1) / np.where(error > 0, error, 1))
    return weights / weights.sum()


def _mean(candidates, weights):
    """Return the weighted mean of candidates, C's in its logarithm."""
    powers, shared, C = np.array(candidates).T
    return Penalty(
        float(weights @ powers),
        float(weights @ shared),
        float(np.exp(weights @ np.log(C))),
    )
