r"""Training without a learning rate: stochastic dual coordinate ascent.

With the embedding held fixed, the labelled cells' logistic loss beside the squared
length of the weights is convex:

.. math:: \tfrac12 \|w\|^2 + \tfrac12 \|u\|^2 + C \sum_i c_i \ell(t_i, m_i)

At its minimum :math:`w = C \sum_i c_i (t_i - p_i) x_i` where :math:`p_i` is the
probability that the model gives to cell :math:`i`. Each step takes the cells of a batch
and moves their :math:`p_i`, and the weights with them, to where that equation holds for
each of them (Shalev-Shwartz and Zhang, 2013; Yu, Huang and Lin, 2011, for the logistic
loss). Cells of different labels share no weight, so that they do not disturb one
another; for cells of one label the step allows for how much their rows overlap.
"""

import numpy as np
import torch

from .batches import CellDataset, concatenated_ranges, model_input
from .direct import PairDirect
from .sparse import sum_bags, transpose_batch

# Newton steps for one cell's probability: from 0 each comes nearer, none overshoots.
_NEWTON = 8
# The bias takes part in each step as a feature of this squared length. It is penalized
# by so much that it could stand still, and for that moves freely after each epoch.
_BIAS = 0.25
# Cells or rows that are looked at in one go.
_BLOCK = 4096
# Shared rows are kept between epochs up to so many numbers (256 MB of float32).
_KEPT = 1 << 26


class DualDataset(CellDataset):
    """Rows in an order that is shuffled once: batches keep their members.

    Only the order of the batches changes from epoch to epoch, so that what a step
    needs lies side by side and is sliced, never gathered.
    """

    fixed_batches = True

    def __init__(self, X, targets, rows, *, generator, dense=False):
        super().__init__(X, targets, generator.permutation(rows), dense=dense)
        lengths = np.diff(targets.indptr)[self.rows]
        self.first_cell = np.append(0, np.cumsum(lengths))

    def batch(self, positions):
        """Return the positions, which are consecutive, and the slice of their cells."""
        start, stop = positions[0], positions[-1] + 1
        return positions, slice(self.first_cell[start], self.first_cell[stop])


class DualTrainer:
    """State of the ascent: a probability a cell, beside the module's weights.

    Parameters
    ----------
    module : DirectSharedModule
        What to train; its embedding and scales stay as they are.
    X : CSR matrix or array of shape (n_samples, n_features)
        The rows.
    targets : Targets
        Their labelled cells, ``fill="unlabeled"``.
    rows : array of int
        The rows to train on.
    weight : float64 array of shape (n_stored,)
        :math:`c_i`, the weight of each stored cell.
    targets_of_cells : float array of shape (n_stored,)
        :math:`t_i`, 1 and 0 or smoothed.
    C : float
        Inverse strength of the penalty.
    fresh : bool
        True starts the weights from the probabilities that the biases give; False
        goes on from the weights as they are, as if no cell were known yet.
    """

    @torch.no_grad()
    def __init__(self, module, X, targets, rows, weight, targets_of_cells, C, fresh):
        self.module, self.X, self.rows = module, X, rows
        self.device = module.bias.device
        index, lengths = concatenated_ranges(targets.indptr, rows)
        # Which of `rows` each cell stands in: 0, 0, 1, 2, 2, 2, ...
        self.slot = np.repeat(np.arange(len(rows)), lengths)
        cols = targets.indices[index].astype(np.int64)
        self.label = self._tensor(cols)
        self.target = self._tensor(targets_of_cells[index].astype(np.float32))
        self.strength = self._tensor((C * weight[index]).astype(np.float32))
        self._read_rows()
        self._cover_pairs(cols)
        self.overlap = self._overlaps()
        self.margin = torch.zeros_like(self.target)
        if fresh:
            self._start()
        else:
            self.probability = self.target.clone()

    def _tensor(self, array):
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _read_rows(self):
        """Note the length of each row, and keep the shared path's rows if they fit."""
        module, n = self.module, len(self.rows)
        width = module.output.shape[1]
        keep = n * width <= _KEPT
        self.kept = module.output.new_zeros(n, width) if keep else None
        lengths = module.output.new_zeros(n)
        for start in range(0, n, _BLOCK):
            part = slice(start, min(start + _BLOCK, n))
            inputs = self._inputs(part)
            if keep:
                self.kept[part] = module.shared(**inputs)
            if module.direct is not None:
                lengths[part] = _squares(module.scaled(**inputs))
        self.direct_length = lengths[self._tensor(self.slot)]
        self.length = self.direct_length + module.sharing**2

    def _inputs(self, slots):
        inputs = model_input(self.X[self.rows[slots]])
        if isinstance(inputs, dict):
            return {name: part.to(self.device) for name, part in inputs.items()}
        return {"X": inputs.to(self.device)}

    def _cover_pairs(self, cols):
        """Make room for the pairs that the cells touch, and note where they are."""
        self.by_pairs = isinstance(self.module.direct, PairDirect)
        if not self.by_pairs:
            return
        rows = self.rows[self.slot]
        self.starts, pairs = self.module.direct.cover(self.X, rows, cols)
        self.entries = self._tensor(np.diff(self.starts))
        self.pairs = self._tensor(pairs)
        taken, _ = concatenated_ranges(self.X.indptr, rows)
        scale = self.module.feature_scale.cpu().numpy()
        data = self.X.data[taken] * scale[self.X.indices[taken]]
        self.data = self._tensor(data.astype(np.float32, copy=False))

    def _overlaps(self):
        """Return, for each label, the mean inner product of two of its rows."""
        count = torch.zeros_like(self.module.bias)
        count.index_add_(0, self.label, torch.ones_like(self.target))
        share = 1 / count.clamp_min(1)[self.label]
        mean = Weights.like(self.module)
        for cells in self._blocks():
            self._add(cells, share[cells], mean)
        return mean.squares_by_label()

    def _blocks(self):
        """Yield all cells in slices, in their order."""
        for start in range(0, len(self.slot), _BLOCK):
            yield slice(start, min(start + _BLOCK, len(self.slot)))

    def _start(self):
        """Start from the probability that each label's bias gives to its cells."""
        logit = self.module.bias.detach()
        self.probability = torch.sigmoid(logit)[self.label]
        change = self.strength * (self.target - self.probability)
        own = Weights.of(self.module)
        for cells in self._blocks():
            self._add(cells, change[cells], own)

    def _margins(self, cells):
        """Return the logits of these cells, before the output is scaled."""
        label, slots = self.label[cells], self.slot[cells]
        margin = (self._shared(slots) * self.module.output[label]).sum(1)
        margin += self.module.bias[label]
        if self.module.direct is None:
            return margin
        if self.by_pairs:
            pairs, data, lengths = self._entries(cells)
            terms = self.module.direct.weight.index_select(0, pairs) * data
            return margin + torch.segment_reduce(
                terms, "sum", lengths=lengths, unsafe=True, initial=0.0
            )
        rows, at = self._distinct(slots)
        logits = self.module.direct(**self.module.scaled(**self._inputs(rows)))
        return margin + logits[at, label]

    def _add(self, cells, amount, into):
        """Add so much of each cell's row to the weights of its label."""
        label, slots = self.label[cells], self.slot[cells]
        into.output.index_add_(0, label, self._shared(slots) * amount[:, None])
        if into.direct is None:
            return
        if self.by_pairs:
            pairs, data, lengths = self._entries(cells)
            spread = torch.repeat_interleave(amount, lengths, output_size=len(data))
            into.direct.index_add_(0, pairs, spread * data)
            return
        rows, at = self._distinct(slots)
        change = amount.new_zeros(rows.stop - rows.start, len(into.bias))
        change.index_put_((at, label), amount, accumulate=True)
        scaled = self.module.scaled(**self._inputs(rows))
        if "X" in scaled:
            into.direct.addmm_(scaled["X"].T, change)
            return
        columns, at, starts, data = transpose_batch(**scaled)
        into.direct.index_add_(0, columns, sum_bags(change, at, starts, data))

    def _distinct(self, slots):
        """Return the slice of rows that these cells stand in, and where in it."""
        first = int(slots[0])
        return slice(first, int(slots[-1]) + 1), self._tensor(slots - first)

    def _shared(self, slots):
        if self.kept is not None:
            return self.kept.index_select(0, self._tensor(slots))
        rows, at = self._distinct(slots)
        return self.module.shared(**self._inputs(rows)).index_select(0, at)

    def _entries(self, cells):
        """Return the pairs, the values and their number a cell for these cells."""
        part = slice(int(self.starts[cells.start]), int(self.starts[cells.stop]))
        return self.pairs[part], self.data[part], self.entries[cells]

    @torch.no_grad()
    def step(self, cells):
        """Move the cells of a batch, and return their mean loss as it was before."""
        label, target = self.label[cells], self.target[cells]
        strength, old = self.strength[cells], self.probability[cells]
        margin = self._margins(cells)
        self.margin[cells] = margin
        others = torch.zeros_like(self.module.bias)
        others.index_add_(0, label, torch.ones_like(margin))
        overlap = self.overlap[label] + _BIAS
        length = self.length[cells] + _BIAS + (others[label] - 1) * overlap
        new = _solve(margin, old, strength * length)
        change = strength * (old - new)
        self._add(cells, change, Weights.of(self.module))
        self.module.bias.index_add_(0, label, _BIAS * change)
        self.probability[cells] = new
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            margin, target, weight=strength, reduction="sum"
        )
        return losses / strength.sum().clamp_min(1e-30)

    @torch.no_grad()
    def end_epoch(self):
        """Move the biases, which no penalty holds, by half a Newton step."""
        shift = torch.zeros_like(self.module.bias)
        for _ in range(3):
            p = torch.sigmoid(self.margin + shift[self.label])
            slope = torch.zeros_like(shift)
            slope.index_add_(0, self.label, self.strength * (self.target - p))
            curve = torch.full_like(shift, 1e-6)
            curve.index_add_(0, self.label, self.strength * p * (1 - p))
            shift += (slope / curve).clamp(-1, 1)
        self.module.bias += 0.5 * shift

    @torch.no_grad()
    def all_margins(self):
        """Return the logit of every cell, before the output is scaled."""
        margins = [self._margins(cells) for cells in self._blocks()]
        return torch.cat(margins or [self.module.bias.new_zeros(0)])


class Weights:
    """The weights that the ascent moves, or a set of the same shapes."""

    def __init__(self, direct, output, bias, labels):
        self.direct, self.output, self.bias, self.labels = direct, output, bias, labels

    @classmethod
    def of(cls, module):
        """Return the module's own weights, to be changed in place."""
        direct = module.direct
        weight = None if direct is None else direct.weight.detach()
        labels = direct.labels if isinstance(direct, PairDirect) else None
        return cls(weight, module.output.detach(), module.bias.detach(), labels)

    @classmethod
    def like(cls, module):
        """Return zeros in the shapes of the module's weights."""
        own = cls.of(module)
        direct = None if own.direct is None else torch.zeros_like(own.direct)
        zeros = torch.zeros_like(own.output), torch.zeros_like(own.bias)
        return cls(direct, *zeros, own.labels)

    def squares_by_label(self):
        """Return the squared length of each label's weights."""
        squares = self.output.square().sum(1)
        if self.direct is None:
            return squares
        if self.labels is None:
            return squares + self.direct.square().sum(0)
        return squares.index_add(0, self.labels.long(), self.direct.square())


def _squares(scaled):
    """Return the squared length of each row of a scaled batch."""
    if "X" in scaled:
        return scaled["X"].square().sum(1)
    one = scaled["weights"].new_ones(1, 1)
    at = torch.zeros_like(scaled["indices"])
    squares = scaled["weights"].square()
    return sum_bags(one, at, scaled["offsets"], squares)[:, 0]


def _solve(margin, old, length):
    """Return p with ``p = sigmoid(margin + length * (old - p))``, cell by cell.

    In the logit s of p: s + length * sigmoid(s) = margin + length * old, whose left
    side grows, convex below 0 and concave above: Newton from 0 comes nearer each time.
    """
    goal = margin + length * old
    s = torch.zeros_like(margin)
    for _ in range(_NEWTON):
        p = torch.sigmoid(s)
        s = s - (s + length * p - goal) / (1 + length * p * (1 - p))
    return torch.sigmoid(s)
