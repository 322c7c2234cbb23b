r"""Joint steps: all cells of a label in a batch move at once, to where they belong.

For the cells of one label in a batch, with :math:`K` the inner products of their rows,
the dual coordinates of all other cells held still, the margins at the maximum are those
of a small kernel logistic regression,

.. math:: f = f_0 + K c, \qquad c_i = C c_i^0 (t_i - \sigma(f_i))

with :math:`f_0` the margins without these cells' own part. It is solved by Newton's
method in the form that stays stable whatever the weights are (Rasmussen and Williams,
2006, algorithm 3.1). Rows that overlap do not slow such a step down, as they slow down
steps that move each cell for itself.

The same problem without a fold :math:`F` of its cells is one Newton step away: with
:math:`a_i = C_i (t_i - \sigma(f_i))`, :math:`W_i = C_i p_i (1 - p_i)` and
:math:`A = (K + W^{-1})^{-1}`, its coefficients are
:math:`a - A_{:F} A_{FF}^{-1} a_F`, and the margins of the fold
follow from these.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from .._sparse import compact_columns

# Labels with about as many cells in a batch are solved in one go.
_SIZES = (4, 16, 48, 96)
# A group's calls take about as long as so many inner products of padding.
_A_GROUP = 1 << 15
# Newton steps of a joint move: the most, how many on a device that the host would have
# to wait for, and the change of a margin that ends them.
_NEWTON, _UNWATCHED, _STILL = 10, 5, 0.03
# The same change where models without a fold are only compared.
_ROUGH = 0.3
# Shares of a move among which the best is taken.
_SHARES = (1.0, 0.5, 0.125)
# No margin moves further than this in one Newton step.
_FARTHEST = 6.0
# Systems with a larger trace are solved in double precision.
_TAME = 1e4
# Marks of pairs, at most so many times the entries of a batch.
_MARKS = 256


class BlockNewton:
    """The cells of a batch, label by label, with the inner products of their rows.

    Parameters
    ----------
    labels : int64 tensor of shape (n_cells,)
        The label of each cell of the batch.
    products : callable
        Takes an index tensor of shape (n_groups, m), cells that move jointly in each
        row, and returns their rows' inner products, shape (n_groups, m, m).
    bias : tensor of shape (n_labels,)
        The squared length of each label's bias, a feature that all its rows have.
    correlation : float, default=0
        The share of the weights' variance that all labels have in common: 0 keeps
        labels apart, else all cells of the batch move jointly.

    Attributes
    ----------
    size : int
        How many inner products it holds.
    """

    def __init__(self, labels, products, bias, correlation=0.0):
        self.labels, self.correlation = labels, correlation
        host = labels.cpu().numpy() * (not correlation)
        order = np.argsort(host, kind="stable")
        counts = np.bincount(host)
        present = np.flatnonzero(counts)
        counts, starts = counts[present], np.cumsum(counts)[present] - counts[present]
        bracket = _brackets(counts)
        self.groups = []
        for each in np.unique(bracket):
            index, mask = _padded(starts[bracket == each], counts[bracket == each])
            cells = torch.from_numpy(order[index]).to(labels.device)
            mask = torch.from_numpy(mask).to(labels.device)
            of_cells = self._joined(products(cells), cells)
            of_cells = of_cells + bias[labels[cells]][:, :, None] * self._same(cells)
            self.groups.append((cells, mask, of_cells))
        self.size = sum(products.numel() for _, _, products in self.groups)

    def _same(self, cells):
        """Return whether two cells are of one label; 1 where all of a group are."""
        if not self.correlation:
            return 1
        label = self.labels[cells]
        return label[:, :, None] == label[:, None, :]

    def _joined(self, products, cells):
        """Return products of rows times the correlation of their labels' weights."""
        if not self.correlation:
            return products
        return products * (
            (1 - self.correlation) * self._same(cells) + self.correlation
        )

    def solve(self, margin, target, cell_C, old):
        """Return the cells' new probabilities.

        Parameters
        ----------
        margin, target, cell_C, old : tensors of shape (n_cells,)
            The margins as they are, the targets, the weights times C, and the
            probabilities that the margins were made with.
        """
        new = old.clone()
        for cells, mask, products in self.groups:
            values = [part[cells] for part in (margin, target, cell_C, old)]
            if not _is_tame(products, strengths := values[2] * mask):
                products, strengths = products.double(), strengths.double()
                values = [part.double() for part in values]
            margins, targets, _, before = values
            after, arrived = _newton(products, margins, targets, strengths, before)
            if not arrived:
                after = _best_share(products, margins, strengths, before, after)
            new[cells[mask]] = after[mask].to(new.dtype)
        return new


def _brackets(counts):
    """Return the group of each label: of like size, and none too small for its calls.

    >>> import numpy as np
    >>> from sklearn_masked.nn.sdca._block_newton import _brackets
    >>> _brackets(np.array([2, 9, 60, 3])), _brackets(np.repeat([1, 60], [500, 2]))[-3:]
    (array([3, 3, 3, 3]), array([0, 3, 3]))
    """
    bracket = np.searchsorted(_SIZES, counts)
    found = np.unique(bracket)
    for small, large in zip(found[:-1], found[1:], strict=True):
        own = bracket == small
        padding = own.sum() * counts[bracket == large].max() ** 2 - (
            own.sum() * counts[own].max() ** 2
        )
        if padding <= _A_GROUP:
            bracket[own] = large
    return bracket


def _padded(starts, counts):
    """Return the positions of each range, padded by its first, and where they are real.

    >>> import numpy as np
    >>> from sklearn_masked.nn.sdca._block_newton import _padded
    >>> _padded(np.array([0, 2]), np.array([2, 3]))[0]
    array([[0, 1, 0],
           [2, 3, 4]])
    """
    steps = np.arange(counts.max())
    mask = steps < counts[:, None]
    return starts[:, None] + np.where(mask, steps, 0), mask


def _is_tame(products, cell_C):
    """Return whether single precision is enough for these steps.

    The trace bounds the condition number of what they solve. A device is not asked.
    """
    trace = (products.diagonal(dim1=1, dim2=2) * cell_C).sum(1)
    return not trace.is_cuda and bool(trace.max() <= _TAME)


def _newton(products, margin, target, cell_C, old):
    """Return the new probabilities, and whether they surely are the maximum."""
    fixed = margin - _times(products, cell_C * (target - old))
    f, is_maximum = kernel_logistic(products, fixed, target, cell_C, margin)
    if not is_maximum and not f.is_cuda:
        # From margins far out, where there is no curvature, Newton's method may leap to
        # and fro; from where the cells have no part in them it seldom does.
        f, is_maximum = kernel_logistic(products, fixed, target, cell_C, fixed)
    return torch.sigmoid(f), is_maximum


def kernel_logistic(products, fixed, target, cell_C, start, still=_STILL):
    """Return margins of kernel logistic regressions, and if they surely are optimal.

    Parameters
    ----------
    products : tensor of shape (n_groups, m, m)
    fixed, target, cell_C, start : tensors of shape (n_groups, m)
        The margins without these cells' own part, the targets, the weights times C, and
        the margins that Newton's method starts from.
    still : float, default=0.03
        The change of a margin that ends it.
    """
    f = start
    watched = not f.is_cuda
    for _ in range(_NEWTON if watched else _UNWATCHED):
        p = torch.sigmoid(f)
        curve = cell_C * (p * (1 - p)).clamp_min(1e-8)
        root = curve.sqrt()
        right = curve * (f - fixed) + cell_C * (target - p)
        factor, failed = torch.linalg.cholesky_ex(_curved(products, root))
        solved = torch.cholesky_solve(
            (root * _times(products, right))[..., None], factor
        )
        goal = fixed + _times(products, right - root * solved[..., 0])
        # Rows so long that their products overflow leave their label as it was.
        is_sound = (failed == 0)[:, None] & goal.isfinite()
        goal = torch.where(is_sound, goal, f)
        move = (goal - f).clamp(-_FARTHEST, _FARTHEST)
        f = f + move
        if watched and move.abs().max() < still:
            return f, bool(is_sound.all())
    return f, False


def _curved(products, root):
    """Return the products between two roots of the curvature, plus the identity."""
    inner = products * root[:, :, None]
    inner *= root[:, None, :]
    inner.diagonal(dim1=1, dim2=2).add_(1)
    return inner


def _best_share(products, margin, cell_C, old, new):
    """Return the point on the way from old to new where the dual is largest.

    The dual gains the entropies of the probabilities and loses half of the squared
    length of the weights; on the way it is concave, and at its start the gain is 0.
    """
    change = cell_C * (old - new)
    linear = (change * margin).sum(1)
    square = (change * _times(products, change)).sum(1)
    before = (cell_C * _entropy(old)).sum(1)
    best, gain = torch.zeros_like(linear), torch.zeros_like(linear)
    for share in _SHARES:
        entropy = (cell_C * _entropy(old + share * (new - old))).sum(1)
        got = entropy - before - share * linear - 0.5 * share**2 * square
        best = torch.where(got > gain, share, best)
        gain = torch.maximum(got, gain)
    return old + best[:, None] * (new - old)


def _times(products, vectors):
    return (products @ vectors[..., None])[..., 0]


def _entropy(p):
    return torch.special.entr(p) + torch.special.entr(1 - p)


class EmbeddingGram:
    """Inner products of the cells' rows on the shared path."""

    def __init__(self, shared, crossed=None):
        self.shared, self.crossed = shared, crossed

    def __call__(self, cells):
        """Return the products of the cells in each row of an index tensor."""
        products = _inner(self.shared[cells])
        if self.crossed is not None:
            products = products + _inner(self.crossed[cells]).square()
        return products


class RowGram(EmbeddingGram):
    """The same beside a direct path, as a row has it; X is scaled for it."""

    def __init__(self, shared, crossed, X, at):
        super().__init__(shared, crossed)
        self.at = at
        if sp.issparse(X):
            products = (X @ X.T).toarray().astype(np.float32, copy=False)
            self.direct = torch.from_numpy(products).to(shared.device)
        else:
            self.direct = X @ X.T

    def __call__(self, cells):
        """Return the products of the cells in each row of an index tensor."""
        rows = self.at[cells]
        direct = self.direct[rows[:, :, None], rows[:, None, :]]
        return super().__call__(cells) + direct


class PairGram(EmbeddingGram):
    """The same beside weights of (feature, label) pairs: by pair, not by feature.

    `pairs` and `data`, `lengths` of them a cell, are those that other cells touch too;
    `square` is the squared length of what is a cell's alone.
    """

    def __init__(self, shared, crossed, pairs, data, lengths, square):
        super().__init__(shared, crossed)
        self.n_cells, self.square = len(lengths), square
        distinct, at = _distinct(pairs)
        shape = self.n_cells, max(len(distinct), 1)
        ends = np.append(0, np.cumsum(lengths)).astype(at.dtype)
        X = sp.csr_array((data, at, ends), shape=shape)
        # Cells of different labels have no pair in common.
        self.found = (X @ X.T).tocoo()

    def __call__(self, cells):
        """Return the products of the cells in each row of an index tensor."""
        products = super().__call__(cells)
        products.diagonal(dim1=1, dim2=2).add_(self.square[cells])
        # Each product has one place: both of its cells stand in the same row.
        index = cells.cpu().numpy().ravel()
        place = np.full(self.n_cells, -1)
        place[index[::-1]] = np.arange(len(index))[::-1]  # padding repeats a first cell
        width, first = cells.shape[1], place[self.found.row]
        here = np.flatnonzero(first >= 0)
        at = first[here] * width + place[self.found.col[here]] % width
        direct = np.zeros(len(index) * width, np.float32)
        direct[at] = self.found.data[here]
        return products + torch.from_numpy(direct).to(cells.device).view_as(products)


def _inner(rows):
    return rows @ rows.transpose(1, 2)


def _distinct(pairs):
    """Return the distinct pairs, increasing, and where each entry is among them."""
    # Marks are faster than a sort, unless there are far more pairs than entries.
    if len(pairs) and pairs.max() > _MARKS * len(pairs):
        return np.unique(pairs, return_inverse=True)
    return compact_columns(pairs)


class LeftOut(NamedTuple):
    """What models without a fold each give, for a batch of labels.

    `margins` of shape (n_labels, n_folds, size), of each fold's cells, and
    `coefficients` of shape (n_labels, n_folds, n_folds * size), 0 at the fold; and
    `fitted` of shape (n_labels, n_folds * size), the margins with all folds.
    """

    margins: torch.Tensor
    coefficients: torch.Tensor
    fitted: torch.Tensor


def leave_folds_out(products, prior, target, cell_C, n_folds, start=None):
    """Return margins and coefficients without each fold.

    Parameters
    ----------
    products : tensor of shape (n_labels, n_cells, n_cells)
        :math:`K`, of each label's cells, fold after fold, all folds of one size.
    prior, target, cell_C : tensors of shape (n_labels, n_cells)
        Prior means of the margins, targets, and costs, 0 where there is no cell.
    n_folds : int
    start : tensor of shape (n_labels, n_cells), default=None
        Margins that may be near the optimum; None takes the prior means.

    Returns
    -------
    LeftOut
    """
    n_labels, n_cells = target.shape
    start = prior if start is None else start
    fitted, _ = kernel_logistic(products, prior, target, cell_C, start, still=_ROUGH)
    probability = torch.sigmoid(fitted)
    a = cell_C * (target - probability)
    W = (cell_C * probability * (1 - probability)).clamp_min(1e-10)
    root = torch.where(cell_C > 0, W, 0).sqrt()
    factor, failed = torch.linalg.cholesky_ex(_curved(products, root))
    # Rows so long that their products overflow: their label says nothing.
    is_sound = (failed == 0) & factor.diagonal(dim1=1, dim2=2).isfinite().all(1)
    factor[~is_sound] = torch.eye(n_cells, dtype=factor.dtype)
    # A is this between two roots of W. Where there is no cell, it is the identity.
    inverse = torch.cholesky_inverse(factor).view(n_labels, n_cells, n_folds, -1)
    folds = torch.arange(n_folds)
    own = inverse.view(n_labels, n_folds, -1, *inverse.shape[2:])[:, folds, :, folds]
    of_fold = torch.where(root > 0, a / root, 0).view(n_labels, n_folds, -1, 1)
    x = torch.linalg.solve(own.transpose(0, 1), of_fold)
    taken = (inverse.transpose(1, 2) @ x)[..., 0] * root[:, None]
    coefficients = (a[:, None] - taken).view(n_labels, n_folds, n_folds, -1)
    coefficients[:, folds, folds] = 0
    coefficients = coefficients.view(n_labels, n_folds, n_cells)
    margins = prior[:, None] + coefficients @ products
    margins = margins.view(n_labels, n_folds, n_folds, -1)[:, folds, folds]
    is_sound = is_sound[:, None, None]
    parts = (torch.where(is_sound, part, torch.nan) for part in (margins, coefficients))
    return LeftOut(*parts, fitted)
