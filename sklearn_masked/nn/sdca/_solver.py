r"""Training without a learning rate: stochastic dual coordinate ascent.

With the embedding held fixed, the labeled cells' logistic loss beside the squared
length of the weights is convex:

.. math:: \tfrac12 \|w\|^2 + \tfrac12 \|u\|^2 + C \sum_i c_i \ell(t_i, m_i)

At its minimum :math:`w = C \sum_i c_i (t_i - p_i) x_i` where :math:`p_i` is the
probability that the model gives to cell :math:`i`. Each step takes the cells of a batch
and moves their :math:`p_i`, and the weights with them, to where that equation holds for
each of them (Shalev-Shwartz and Zhang, 2013; Yu, Huang and Lin, 2011, for the logistic
loss). Cells of different labels share no weight, so that they do not disturb one
another; cells of one label move jointly: see `_block_newton`.

Labels may have a part of their weights in common (Evgeniou and Pontil, 2004): of what
a cell adds to the weights of its label, a share then goes to all labels, and all cells
of a batch move jointly.
"""

import numpy as np
import scipy.sparse as sp
import torch

from ..batches import concatenated_ranges, model_input
from ..model._direct import PairDirect
from ..sparse import sum_bags, transpose_batch
from ._biases import bias_steps, line_search
from ._block_newton import BlockNewton, EmbeddingGram, PairGram, RowGram
from ._pair_weights import ActivePairWeights
from ._parts import split
from ._row_cache import KEPT, SharedRows
from ._weights import Weights

# The bias takes part in each step as a feature of this squared length. It is penalized
# by so much that it could stand still, and for that moves freely after each epoch.
_BIAS = 0.25
# An epoch is the last if it leaves the probabilities nearer than about this, in nats a
# cell, to where they belong, after so many steps, since biases take small ones.
_GAP_TOL, _FEWEST = 1e-3, 100
# Cells or rows that are looked at in one go.
_BLOCK = 4096


class SDCASolver:
    """State of the ascent: a probability a cell, beside the module's weights.

    Parameters
    ----------
    module : DirectSharedModule
        What to train; its embedding and scales stay as they are.
    X : CSR matrix or array of shape (n_samples, n_features)
        The rows.
    targets : CellTargets
        Their labeled cells, ``fill="unlabeled"``.
    rows : array of int
        The rows to train on.
    weight : float64 array of shape (n_stored,)
        :math:`c_i`, the weight of each stored cell.
    targets_of_cells : float array of shape (n_stored,)
        :math:`t_i`, 1 and 0 or smoothed.
    C : float
        Inverse cell_C of the penalty.
    cold : bool
        True starts the weights from the probabilities that the biases give; False
        goes on from the weights as they are, as if no cell were known yet.
    prior_precision : array of shape (n_labels,), default=None
        How many cells the biases' start stands for: by so much it holds them. None
        lets them go where the cells of this training want them.
    """

    @torch.no_grad()
    def __init__(
        self,
        module,
        X,
        targets,
        rows,
        weight,
        targets_of_cells,
        C,
        cold,
        prior_precision=None,
    ):
        self.module, self.X, self.rows = module, X, rows
        self.C, self.cold, self.correlation = C, cold, float(module.label_correlation)
        self.device = module.bias.device
        self.prior_mean = module.bias.detach().clone()
        rate = torch.sigmoid(self.prior_mean)
        self.prior_precision = torch.zeros_like(rate)
        if prior_precision is not None:
            cells = self._tensor(np.asarray(prior_precision, np.float32))
            self.prior_precision = cells * rate * (1 - rate)
        index, lengths = concatenated_ranges(targets.indptr, rows)
        # Which of `rows` each cell stands in: 0, 0, 1, 2, 2, 2, ...
        self.row_of_cell = np.repeat(np.arange(len(rows)), lengths)
        cols = targets.indices[index].astype(np.int64)
        self.label = self._tensor(cols)
        self.target = self._tensor(targets_of_cells[index].astype(np.float32))
        self.cell_C = self._tensor((C * weight[index]).astype(np.float32))
        self.shared = SharedRows(module, self._inputs, len(rows))
        self.row_length = None
        if len(module.row_length_scale):
            lengths = np.diff(X.indptr)[rows]
            self.row_length = module.row_length(self._tensor(lengths[self.row_of_cell]))
            # What is there already is what the new weights are drawn to, as the bias.
            before = module.output.detach()[:, -1].sum()
            self.row_length_prior = torch.zeros_like(before) if cold else before
        self._cover_pairs(cols)
        self.parts, self.blocks, self.n_kept = {}, {}, 0
        self.margin = torch.zeros_like(self.target)
        self.duality_gap, self.n_steps = self.prior_mean.new_zeros(()), 0
        self.previous_gap, self.predicted_gap = (
            self.duality_gap,
            self.duality_gap + torch.inf,
        )
        if cold:
            self._start()
        else:
            self.alpha = self.target.clone()
            # Of the model as it was before this training.
            self.row_terms = self._row_terms()

    def _tensor(self, array):
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _inputs(self, slots):
        inputs = model_input(self.X[self.rows[slots]])
        if isinstance(inputs, dict):
            return {name: part.to(self.device) for name, part in inputs.items()}
        return {"X": inputs.to(self.device)}

    def _cover_pairs(self, cols):
        """Make room for the pairs that the cells touch, and take over their weights."""
        self.pair_weights, direct = None, self.module.direct
        if isinstance(direct, PairDirect):
            scale = self.module.feature_scale.cpu().numpy()
            rows = self.rows[self.row_of_cell]
            self.pair_weights = ActivePairWeights(direct, self.X, rows, cols, scale)

    def _added(self, cells):
        """Return what these cells have added to the weights of their labels in all."""
        return self.cell_C[cells] * (self.target[cells] - self.alpha[cells])

    def _own(self, amount):
        """Return what of this is for a cell's own label alone."""
        return (1 - self.correlation) * amount if self.correlation else amount

    def weights(self):
        """Return the weights that steps change."""
        module, direct = self.module, self.pair_weights or self.module.direct
        weight = None if direct is None else direct.weight.detach()
        parts = module.output.detach(), module.common_weight
        quadratic = module.quadratic and module.quadratic.weight.detach()
        return Weights(weight, *parts, quadratic, module.bias.detach())

    @torch.no_grad()
    def write(self):
        """Bring the module up to date: the weights of pairs are changed beside it."""
        if self.pair_weights is not None:
            self.pair_weights.write(self._own(self._added(slice(None))))

    def _slices(self):
        """Yield all cells in slices, in their order."""
        for start in range(0, len(self.row_of_cell), _BLOCK):
            yield slice(start, min(start + _BLOCK, len(self.row_of_cell)))

    def _start(self):
        """Start on the way to the probability that a label's bias gives to its cells.

        The whole way is right where rows hardly overlap. Where a label's many rows
        overlap it leads far astray, so that each label goes the part that is best.
        """
        bias = self.module.bias.detach()
        way = torch.sigmoid(bias)[self.label] - self.target
        self.alpha = self.target + way
        square = torch.zeros_like(bias)
        for cells in self._slices():
            self.add(cells, -(self.cell_C * way)[cells])
        for cells in self._slices():
            label = self.label[cells]
            reach = -(self.cell_C * way)[cells] * (self.margins(cells) - bias[label])
            square.index_add_(0, label, reach)
        cells = self.label, self.target, self.cell_C
        best = line_search(way, *cells, bias, square, joined=bool(self.correlation))
        self.alpha = self.target + best[self.label] * way
        self.weights().scale_labels(best, self.pair_weights)

    def margins(self, cells):
        """Return the logits of these cells, before the output is scaled."""
        label, slots = self.label[cells], self.row_of_cell[cells]
        shared, crossed = self.shared(slots)
        margin = (shared * self.module.output[label]).sum(1)
        margin += self.module.bias[label]
        if crossed is not None:
            margin += self.module.quadratic.cell_logits(crossed, label)
        if self.module.direct is None:
            return margin
        rows, at = self._distinct(slots)
        if self.pair_weights is not None:
            margin += self.pair_weights.margins(cells, self._own(self._added(cells)))
            if self.correlation:
                scaled = self.module.scaled(**self._inputs(rows))
                margin += self.module.common_logits(**scaled)[at]
            return margin
        logits = self.module.direct(**self.module.scaled(**self._inputs(rows)))
        return margin + logits[at, label]

    def add(self, cells, amount):
        """Add so much of each cell's row to the weights of its label."""
        label, slots = self.label[cells], self.row_of_cell[cells]
        into, (shared, crossed) = self.weights(), self.shared(slots)
        into.output.index_add_(0, label, shared * self._own(amount)[:, None])
        if self.correlation:
            into.output += self.correlation * (amount @ shared)
        if crossed is not None:
            self.module.quadratic.add(crossed, label, amount, self.correlation)
        if into.direct is None:
            return
        if self.pair_weights is None:
            self._add_table(into.direct, label, slots, amount)
            return
        self.pair_weights.add(cells, self._own(amount))
        if self.correlation:
            rows, at = self._distinct(slots)
            change = amount.new_zeros(rows.stop - rows.start).index_add_(0, at, amount)
            change *= self.correlation
            self._add_rows(into.common[:, None], rows, change[:, None])

    def _add_table(self, table, label, slots, amount):
        rows, at = self._distinct(slots)
        change = amount.new_zeros(rows.stop - rows.start, table.shape[1])
        change.index_put_((at, label), amount, accumulate=True)
        if self.correlation:
            common = self.correlation * change.sum(1, keepdim=True)
            change = self._own(change).add_(common)
        self._add_rows(table, rows, change)

    def _add_rows(self, table, rows, change):
        """Add so much of each row, in each column of a table of the features."""
        scaled = self.module.scaled(**self._inputs(rows))
        if "X" in scaled:
            table.addmm_(scaled["X"].T, change)
            return
        columns, at, starts, data = transpose_batch(**scaled)
        table.index_add_(0, columns, sum_bags(change, at, starts, data))

    def _distinct(self, slots):
        """Return the slice of rows that these cells stand in, and where in it."""
        first = int(slots[0])
        return slice(first, int(slots[-1]) + 1), self._tensor(slots - first)

    def _blocks_of(self, cells):
        """Return the batch's cells label by label; they are kept between epochs."""
        key = cells.start, cells.stop
        blocks = self.blocks.get(key)
        if blocks is None:
            products = self._products(cells)
            blocks = BlockNewton(self.label[cells], products, _BIAS, self.correlation)
            self.n_kept += blocks.size
            if self.n_kept <= KEPT:
                self.blocks[key] = blocks
        return blocks

    def _products(self, cells):
        """Return the function that gives inner products of this batch's cells."""
        slots = self.row_of_cell[cells]
        shared, direct = self.shared(slots), self.module.direct
        if direct is None:
            return EmbeddingGram(*shared)
        if self.pair_weights is not None and not self.correlation:
            parts = (part.cpu().numpy() for part in self.pair_weights.part(cells))
            return PairGram(*shared, *parts, self.pair_weights.square[cells])
        rows, at = self._distinct(slots)
        return RowGram(*shared, self._scaled_rows(rows), at)

    def _scaled_rows(self, rows):
        """Return these rows as the direct path takes them, a tensor or a CSR array."""
        X = self.X[self.rows[rows]]
        if not sp.issparse(X):
            return self.module.scaled(**self._inputs(rows))["X"]
        data = X.data * self.module.feature_scale.cpu().numpy()[X.indices]
        return sp.csr_array((data, X.indices, X.indptr), shape=X.shape)

    @torch.no_grad()
    def step(self, cells):
        """Move the cells of a batch, and return their mean loss as it was before."""
        if (parts := self.parts.get((cells.start, cells.stop))) is None:
            parts = self.parts[cells.start, cells.stop] = split(self, cells)
        loss, self.n_steps = sum(map(self._move, parts)), self.n_steps + 1
        return loss / self.cell_C[cells].sum().clamp_min(1e-30)

    def _move(self, cells):
        """Move these cells jointly, label by label; return their loss, a sum."""
        label, target = self.label[cells], self.target[cells]
        cell_C, old = self.cell_C[cells], self.alpha[cells]
        margin = self.margins(cells)
        self.margin[cells] = margin
        entropy = torch.special.entr(old) + torch.special.entr(1 - old)
        apart = _cross_entropy(margin, old, cell_C) - cell_C @ entropy
        self.duality_gap = self.duality_gap + apart
        new = self._blocks_of(cells).solve(margin, target, cell_C, old)
        change = cell_C * (old - new)
        self.add(cells, change)
        self.module.bias.index_add_(0, label, _BIAS * change)
        self.alpha[cells] = new
        return _cross_entropy(margin, target, cell_C)

    @torch.no_grad()
    def end_epoch(self, share=0.5):
        """Move what acts on many cells alike by a share of a Newton step.

        That is the biases, which no penalty draws to 0, and what the number of
        features counts for all labels: steps of single batches overshoot there.
        """
        shifts, length_step = bias_steps(self, self.C * self.prior_precision)
        self.module.bias += share * shifts
        if self.row_length is not None:
            self.module.output[:, -1] += share * length_step
        # What an epoch found shrinks by ever less: by about the root of the last time.
        shrunk = (self.duality_gap / self.previous_gap.clamp_min(1e-30)).clamp(0, 1)
        self.predicted_gap = self.duality_gap * shrunk.sqrt()
        self.previous_gap, self.duality_gap = (
            self.duality_gap,
            torch.zeros_like(self.duality_gap),
        )

    @property
    def has_converged(self):
        """Whether another epoch would change little.

        The divergences of the probabilities that the weights are made with from those
        that they give, times the cell_C, add up to the duality gap.
        """
        return self.n_steps >= _FEWEST and self.gap_per_cell <= _GAP_TOL

    @property
    def gap_per_cell(self):
        """An estimate of the duality gap that is left, in nats per unit of weight."""
        return float(self.predicted_gap / self.cell_C.sum().clamp_min(1e-30))

    def epochs(self, batches, n_epochs):
        """Go through these batches so often."""
        for _ in range(n_epochs):
            for cells in batches:
                self.step(cells)
            self.end_epoch()

    @torch.no_grad()
    def refit_biases(self, batches):
        """Put the biases where the weights, as they now are, want them."""
        for cells in batches:
            self.margin[cells] = self.margins(cells)
        self.end_epoch(share=1.0)

    @torch.no_grad()
    def totals(self):
        """Return the weight of each label's positive cells, and of all its cells."""
        weight = self.cell_C.double() / self.C
        zeros = weight.new_zeros(len(self.module.bias))
        positive = zeros.index_add(0, self.label, weight * self.target)
        return positive, zeros.index_add(0, self.label, weight)

    @torch.no_grad()
    def row_rms(self):
        """Return the root mean square of what rows add to the cells' logits."""
        return float(self._row_terms().square().mean().sqrt())

    def _row_terms(self):
        """Return what rows add to the cells' logits, beside the biases."""
        margin = [self.margins(cells) for cells in self._slices()]
        return torch.cat([self.prior_mean[:0], *margin]) - self.module.bias[self.label]

    @torch.no_grad()
    def reset(self):
        """Start from zero weights and base rates, as a cold trainer does."""
        self.weights().clear()
        self.module.bias.copy_(self.prior_mean)
        self._start()

    def state(self):
        """Return what the steps change, to come back to by `set_state`."""
        parts = self.alpha, self.margin, self.cell_C
        return self.weights().copies(), [part.clone() for part in parts]

    @torch.no_grad()
    def set_state(self, state):
        """Go back to what `state` returned."""
        weights, parts = state
        self.weights().restore(weights)
        own = self.alpha, self.margin, self.cell_C
        for part, kept in zip(own, parts, strict=True):
            part.copy_(kept)


def _cross_entropy(margin, target, cell_C):
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return loss(margin, target, weight=cell_C, reduction="sum")
