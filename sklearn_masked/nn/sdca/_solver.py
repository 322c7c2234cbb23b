r"""Stochastic dual coordinate ascent: the default solver, without a learning rate.

With the embedding held fixed, the labeled cells' logistic loss and the squared length
of the weights are convex together:

.. math:: \tfrac12 \|w\|^2 + \tfrac12 \|u\|^2 + C \sum_i c_i \ell(t_i, m_i)

At the minimum :math:`w = C \sum_i c_i (t_i - \alpha_i) x_i` where :math:`\alpha_i`, the
dual variable of cell :math:`i`, is the probability that the model gives to it. Each
step takes the cells of a batch and moves their :math:`\alpha_i`, and the weights with
them, to where that equation holds (Shalev-Shwartz and Zhang, 2013; Yu, Huang and Lin,
2011, for the logistic loss). Cells of different labels share no weight; cells of one
label move jointly: see `_block_newton`.

With a label correlation (Evgeniou and Pontil, 2004), a share of what a cell adds to the
weights of its label goes to all labels: it is kept once while the ascent goes on, and
all cells that move jointly are coupled. They are those of one label, or of few.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .._batches import concatenated_ranges
from ._batches import RowCache, free_heap
from ._block_newton import BlockNewton, EmbeddingGram
from ._direct_weights import direct_weights


@dataclass(frozen=True)
class SDCASettings:
    """Constants of the solver.

    Attributes
    ----------
    bias_norm : float
        Squared length of the bias as a feature of a joint step. It is penalized by no
        more than lets it stand still: it is re-optimized after each epoch.
    gap_tol : float
        Nats per unit of weight: an epoch that leaves a smaller duality gap is the last.
    min_steps, min_epochs : int
        Steps or epochs before that, since biases take small ones: two epochs where a
        step moves all cells of a label.
    max_joint : int
        Cells that move jointly, which costs the cube of their number.
    block : int
        Cells or rows that are read at once.
    cache : int
        Numbers of rows, and of inner products, that are kept between epochs: 256 MB.
    """

    bias_norm: float = 0.25
    gap_tol: float = 1e-3
    min_steps: int = 100
    min_epochs: int = 8
    max_joint: int = 288
    block: int = 4096
    cache: int = 1 << 26


SETTINGS = SDCASettings()
# Steps that make new blocks, after which the heap is trimmed.
_TRIM = 64
# What tells how far an ascent has come.
_COUNTED = (
    "n_steps",
    "n_epochs",
    "moved_all",
    "duality_gap",
    "previous_gap",
    "predicted_gap",
)


class SDCASolver:
    """State of the ascent: a dual variable per cell, beside the module's weights.

    Parameters
    ----------
    module : DirectSharedModule
        The model; its embedding and scales stay as they are.
    data : SDCADataset
        The rows to train on, and the weight :math:`c_i` and target :math:`t_i` of each
        of their cells.
    C : float
        Inverse strength of the penalty.
    cold : bool, default=True
        True starts the weights from the probabilities that the biases give; False goes
        on from the weights as they are, as if no cell were known yet.
    prior_precision : array of shape (n_labels,), default=None
        Number of cells that the biases at the start stand for: they are drawn back to
        them as by these. None takes 0.
    settings : SDCASettings, default=None
        Constants; None takes `SETTINGS`.
    """

    @torch.no_grad()
    def __init__(
        self, module, data, C, *, cold=True, prior_precision=None, settings=None
    ):
        self.module, self.C, self.cold = module, C, cold
        self.after_epoch = None  # called with the net
        self.settings = SETTINGS if settings is None else settings
        self.device = module.bias.device
        self.correlation = float(module.label_correlation)
        index, lengths = concatenated_ranges(data.targets.indptr, data.rows)
        # Which of `data.rows` each cell stands in: 0, 0, 1, 2, 2, 2, ...
        self.row_of_cell = np.repeat(np.arange(len(data)), lengths)
        cols = data.targets.indices[index].astype(np.int64)
        self.label = self._tensor(cols)
        self.target = self._tensor(data.cell_target[index].astype(np.float32))
        self.cell_C = self._tensor((C * data.cell_weight[index]).astype(np.float32))
        self.cache = RowCache(module, data, self.settings)
        self._set_priors(data, prior_precision)
        self.direct = direct_weights(module, self.cache, self.row_of_cell, cols)
        # What all labels have in common of the pairs' weights.
        self.quadratic = None
        if module.quadratic is not None and self.correlation:
            self.quadratic = torch.zeros_like(module.quadratic.weight[0])
        self.parts, self.blocks, self.n_kept = {}, {}, 0
        self.margin = torch.zeros_like(self.target)
        self.duality_gap = self.prior_mean.new_zeros(())
        self.n_steps = self.n_epochs = 0
        self.previous_gap = self.duality_gap
        self.predicted_gap = self.duality_gap + torch.inf
        if cold:
            self._start()
        else:
            self.alpha = self.target.clone()
            # Of the model as it was before this training.
            self.row_terms = self._row_terms()

    def _set_priors(self, data, prior_precision):
        """Set the prior of the biases, and of all labels' row-length weight."""
        self.prior_mean = self.module.bias.detach().clone()
        rate = torch.sigmoid(self.prior_mean)
        self.prior_precision = torch.zeros_like(rate)
        if prior_precision is not None:
            cells = self._tensor(np.asarray(prior_precision, np.float32))
            self.prior_precision = cells * rate * (1 - rate)
        self.moves_all, self.moved_all = self._moves_all(), False
        self.row_length = None
        if len(self.module.row_length_scale):
            lengths = np.diff(data.X.indptr)[data.rows]
            self.row_length = self.module.row_length(
                self._tensor(lengths[self.row_of_cell])
            )
            before = self.module.output.detach()[:, -1].sum()
            self.row_length_prior = torch.zeros_like(before) if self.cold else before

    def _moves_all(self):
        """Return whether a batch of all rows moves all cells of each label jointly.

        Such a step is the optimum, biases and their prior included. It reads all rows
        at once: only where their embedding is kept in memory anyway.
        """
        if self.correlation or not len(self.label) or self.cache.kept is None:
            return False
        most = int(torch.bincount(self.label).max())
        return most <= self.settings.max_joint and bool(
            (self.prior_precision > 0).all()
        )

    def _bias_norm(self, cells):
        """Return the squared length of the bias as a feature of a joint step."""
        if self.moves_all and cells.stop - cells.start == len(self.label):
            return 1 / (self.C * self.prior_precision)  # its prior variance
        return torch.full_like(self.prior_mean, self.settings.bias_norm)

    def _tie_biases(self, norm):
        """Set the biases to the sum over the cells that they are at the optimum."""
        added = self._added(slice(None))
        total = torch.zeros_like(norm).index_add_(0, self.label, added)
        self.module.bias.copy_(self.prior_mean + norm * total)

    def _tensor(self, array):
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _added(self, cells):
        """Return what these cells have added to the weights of their labels in all."""
        return self.cell_C[cells] * (self.target[cells] - self.alpha[cells])

    def _weights(self):
        """Return the weights that steps change, the biases last."""
        module = self.module
        parts = [] if self.direct is None else [self.direct.weight, self.direct.common]
        parts.append(module.output.detach())
        if module.quadratic is not None:
            parts.append(module.quadratic.weight.detach())
        if self.quadratic is not None:
            parts.append(self.quadratic)
        return [*parts, module.bias.detach()]

    @torch.no_grad()
    def write(self):
        """Bring the module up to date: some weights are changed beside it."""
        if self.direct is not None:
            self.direct.write(self._added(slice(None)))
        if self.quadratic is not None:
            self.module.quadratic.weight.detach().add_(self.quadratic)
            self.quadratic.zero_()

    def _slices(self):
        """Yield all cells in slices, in their order."""
        for start in range(0, len(self.label), self.settings.block):
            yield slice(start, min(start + self.settings.block, len(self.label)))

    def _start(self):
        """Start on the way to the probability that a label's bias gives to its cells.

        The whole way is right where rows hardly overlap. Where a label's many rows
        overlap it leads far astray, so that each label goes the best share of it.
        """
        module, bias = self.module, self.module.bias.detach()
        step = torch.sigmoid(bias)[self.label] - self.target
        self.alpha = self.target + step
        square = torch.zeros_like(bias)
        for cells in self._slices():
            self.add(cells, -(self.cell_C * step)[cells])
        for cells in self._slices():
            label = self.label[cells]
            reach = -(self.cell_C * step)[cells] * (self.margins(cells) - bias[label])
            square.index_add_(0, label, reach)
        best = self._line_search(step, bias, square)
        self.alpha = self.target + best[self.label] * step
        module.output.detach().mul_(best[:, None])
        if module.quadratic is not None:
            module.quadratic.weight.detach().mul_(best[:, None, None])
        if self.quadratic is not None:
            self.quadratic.mul_(best[0])  # one share for all where labels correlate
        if self.direct is not None:
            self.direct.scale(best)

    def _line_search(self, step, bias, square):
        """Return the share of a step that is best for each label, by the dual.

        `square` is the squared length of each label's weights after the whole step.
        Where labels correlate, all of them take the same share.
        """
        best = torch.zeros_like(bias)
        gain = torch.full_like(bias, -torch.inf)
        for share in 0.5 ** torch.arange(12):
            p = self.target + share * step
            entropy = torch.special.entr(p) + torch.special.entr(1 - p)
            terms = self.cell_C * (entropy + share * step * bias[self.label])
            dual = torch.zeros_like(bias).index_add_(0, self.label, terms)
            dual -= 0.5 * share**2 * square
            if self.correlation:
                dual = dual.sum().expand_as(bias)
            best = torch.where(dual > gain, share, best)
            gain = torch.maximum(dual, gain)
        return best

    def margins(self, cells):
        """Return the logits of these cells, before the output is scaled."""
        module, label = self.module, self.label[cells]
        shared, crossed = self.cache.shared(self.row_of_cell[cells])
        margin = (shared * module.output[label]).sum(1)
        margin += module.bias[label]
        if crossed is not None:
            margin += module.quadratic.cell_logits(crossed, label)
        if self.quadratic is not None:
            margin += ((crossed @ self.quadratic) * crossed).sum(1)
        if self.direct is not None:
            self.direct.add_margins(margin, cells, self._added(cells))
        return margin

    def add(self, cells, amount):
        """Add this multiple of each cell's row to the weights of its label."""
        module, label = self.module, self.label[cells]
        output = module.output.detach()
        shared, crossed = self.cache.shared(self.row_of_cell[cells])
        own = (1 - self.correlation) * amount if self.correlation else amount
        output.index_add_(0, label, shared * own[:, None])
        if self.correlation:
            output += self.correlation * (amount @ shared)
        if crossed is not None:
            module.quadratic.add(crossed, label, own)
        if self.quadratic is not None:
            shares = (self.correlation * amount)[:, None]
            self.quadratic.addmm_((crossed * shares).T, crossed)
        if self.direct is not None:
            self.direct.add(cells, amount)

    def _blocks_of(self, key, cells):
        """Return the cells of a move label by label; they are kept between epochs."""
        blocks = self.blocks.get(key)
        if blocks is None:
            rows = self.cache.shared(self.row_of_cell[cells])
            gram = EmbeddingGram(*rows)
            if self.direct is not None:
                gram = self.direct.gram(cells, *rows)
            norm = self._bias_norm(cells)
            blocks = BlockNewton(self.label[cells], gram, norm, self.correlation)
            self.n_kept += blocks.size
            if self.n_kept <= self.settings.cache:
                self.blocks[key] = blocks
            if self.n_steps % _TRIM == 0:  # what is kept lies between what is not
                free_heap(self.cache.X.size)
        return blocks

    def _parts_of(self, cells):
        """Return a batch in parts that move one after the other.

        Of each label few cells move jointly. Where labels correlate, all cells of a
        part do: they are those of one label, or of labels with few cells.
        """
        label, most = self.label[cells], self.settings.max_joint
        if self.correlation:
            return _by_labels(label.cpu().numpy(), cells.start, most)
        if not len(label) or int(torch.bincount(label).max()) <= most:
            return [cells]
        rows = self.row_of_cell[cells]
        if rows[0] == rows[-1]:
            return [cells]
        middle = (rows[0] + rows[-1] + 1) // 2
        at = cells.start + int(np.searchsorted(rows, middle))
        halves = slice(cells.start, at), slice(at, cells.stop)
        return [part for half in halves for part in self._parts_of(half)]

    @torch.no_grad()
    def step(self, cells):
        """Move the cells of a batch, and return their mean loss as it was before."""
        key = cells.start, cells.stop
        if key not in self.parts:
            self.parts[key] = self._parts_of(cells)
        self.n_steps += 1
        loss = sum(
            self._move((*key, i), part) for i, part in enumerate(self.parts[key])
        )
        return loss / self.cell_C[cells].sum().clamp_min(1e-30)

    def _move(self, key, cells):
        """Move these cells jointly, label by label; return their loss, a sum."""
        label, target = self.label[cells], self.target[cells]
        cell_C, old = self.cell_C[cells], self.alpha[cells]
        norm = self._bias_norm(cells)
        if self.moves_all and len(label) == len(self.label):
            self._tie_biases(norm)
            self.moved_all = True
        margin = self.margins(cells)
        self.margin[cells] = margin
        entropy = torch.special.entr(old) + torch.special.entr(1 - old)
        gap = _cross_entropy(margin, old, cell_C) - cell_C @ entropy
        self.duality_gap = self.duality_gap + gap
        new = self._blocks_of(key, cells).solve(margin, target, cell_C, old)
        change = cell_C * (old - new)
        self.add(cells, change)
        self.module.bias.index_add_(0, label, norm[label] * change)
        self.alpha[cells] = new
        return _cross_entropy(margin, target, cell_C)

    @torch.no_grad()
    def end_epoch(self, share=0.5):
        """Take a damped Newton step in the biases and the row-length weight.

        Steps of single batches overshoot in what acts on many cells alike.
        """
        self.n_epochs += 1
        if not self.moved_all:  # else the biases are where they belong
            shifts, length_step = bias_steps(self, self.C * self.prior_precision)
            self.module.bias += share * shifts
            if self.row_length is not None:
                self.module.output[:, -1] += share * length_step
        # The gap shrinks by ever less: by about the root of the last epoch's factor.
        shrunk = (self.duality_gap / self.previous_gap.clamp_min(1e-30)).clamp(0, 1)
        self.predicted_gap = self.duality_gap * shrunk.sqrt()
        self.previous_gap = self.duality_gap
        self.duality_gap = torch.zeros_like(self.duality_gap)

    @property
    def has_converged(self):
        """Whether another epoch would change little."""
        settings = self.settings
        enough = self.n_steps >= settings.min_steps
        enough |= self.n_epochs >= (2 if self.moved_all else settings.min_epochs)
        return enough and self.gap_per_cell <= settings.gap_tol

    @property
    def gap_per_cell(self):
        """An estimate of the duality gap that is left, in nats per unit of weight.

        The divergences of the dual variables from the probabilities that the weights
        give, times `cell_C`, add up to the duality gap.
        """
        return float(self.predicted_gap / self.cell_C.sum().clamp_min(1e-30))

    def epochs(self, batches, n_epochs):
        """Go through these batches `n_epochs` times."""
        for _ in range(n_epochs):
            for cells in batches:
                self.step(cells)
            self.end_epoch()

    @torch.no_grad()
    def refit_biases(self, batches):
        """Re-optimize the biases with all other weights fixed."""
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
    def row_rms(self, cells=slice(None)):
        """Return the root mean square of what rows add to some cells' logits."""
        return float(self._row_terms()[cells].square().mean().sqrt())

    def _row_terms(self):
        """Return what rows add to the cells' logits, beside the biases."""
        # In one tensor: small ones would keep the heap from shrinking between slices.
        margin = torch.empty_like(self.target)
        for cells in self._slices():
            margin[cells] = self.margins(cells)
        return margin - self.module.bias[self.label]

    @torch.no_grad()
    def reset(self):
        """Start from zero weights and base rates, as a cold start does."""
        for weight in self._weights()[:-1]:
            weight.zero_()
        self.module.bias.copy_(self.prior_mean)
        self._start()

    def state(self):
        """Return copies of what steps change, to come back to by `set_state`."""
        return [part.clone() for part in self._changing()]

    @torch.no_grad()
    def set_state(self, state):
        """Go back to what `state` returned."""
        for part, kept in zip(self._changing(), state, strict=True):
            part.copy_(kept)

    def progress(self):
        """Return all that epochs have changed, as it is, for `set_progress`."""
        numbers = {name: getattr(self, name) for name in _COUNTED}
        return {"tensors": self._changing(), **numbers}

    def set_progress(self, progress):
        """Go on from what another solver of the same problem returned."""
        self.set_state(progress["tensors"])
        for name in _COUNTED:
            value = progress[name]
            is_tensor = isinstance(value, torch.Tensor)
            setattr(self, name, value.to(self.device) if is_tensor else value)
        if self.direct is not None:
            self.direct.changed = True  # the module has the weights of the start

    def _changing(self):
        return [self.alpha, self.margin, self.cell_C, *self._weights()]


def _by_labels(label, start, most):
    """Return the cells of a batch in parts of one label, or of several with few cells.

    >>> import numpy as np
    >>> from sklearn_masked.nn.sdca._solver import _by_labels
    >>> _by_labels(np.array([2, 0, 1, 2, 2, 0, 2]), 10, 3)
    [array([11, 12, 15]), array([10, 13]), array([14, 16])]
    """
    order = np.argsort(label, kind="stable")
    # Not one turn for each label of the model: a batch has cells of few of them.
    bounds = np.flatnonzero(np.diff(label[order])) + 1
    parts, part = [], order[:0]
    for own in np.split(order, bounds):
        if len(part) + len(own) > most:
            parts.append(part)
            part = order[:0]
        *full, own = np.array_split(own, max(-(-len(own) // most), 1))
        parts += full
        part = np.concatenate([part, own])
    return [start + np.sort(part) for part in [*parts, part] if len(part)]


def _cross_entropy(margin, target, cell_C):
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return loss(margin, target, weight=cell_C, reduction="sum")


def bias_steps(trainer, prior_precision):
    """Return how the biases, and all labels' weight of the counts, would move.

    They would be where the margins want them: by three Newton steps in all of them.
    The weights of the counts then are no longer the sum over the cells that they are at
    the optimum of the dual; the steps that follow take that offset as given, and it
    vanishes where both stand still.

    Parameters
    ----------
    trainer : SDCASolver
        With the margins of its cells.
    prior_precision : tensor of shape (n_labels,)
        How firmly each bias holds to the trainer's anchor.

    Returns
    -------
    shifts : tensor of shape (n_labels,)
        Of the biases.
    length_step : tensor of shape ()
        Of the weights of the number of features, the same for all labels; 0 where it
        does not count.
    """
    label, counts, bias = trainer.label, trainer.row_length, trainer.module.bias
    shifts, length_step = torch.zeros_like(bias), bias.new_zeros(())

    def total(values):
        return torch.zeros_like(bias).index_add_(0, label, values)

    for _ in range(3):
        moved = trainer.margin + shifts[label]
        if counts is not None:
            moved += length_step * counts
        p = torch.sigmoid(moved)
        rest = trainer.cell_C * (trainer.target - p)
        curve = trainer.cell_C * p * (1 - p)
        slopes = prior_precision * (trainer.prior_mean - bias - shifts) + total(rest)
        curves = prior_precision + 1e-6 + total(curve)
        if counts is not None:
            cross = total(curve * counts) / curves
            steep, curved = _of_counts(trainer, length_step, rest, curve)
            # The biases move with it.
            curved = curved - (cross.square() * curves).sum()
            step = ((steep - cross @ slopes) / curved).clamp(-1, 1)
            length_step, slopes = length_step + step, slopes - step * cross * curves
        shifts += (slopes / curves).clamp(-1, 1)
    return shifts, length_step


def _of_counts(trainer, length_step, rest, curve):
    """Return the slope and the curvature in what counts weigh for all labels."""
    n_labels = len(trainer.module.bias)
    # Of weights of this correlation, their sum is penalized by so much.
    penalty = 1 / (1 - trainer.correlation + trainer.correlation * n_labels)
    weights = trainer.module.output[:, -1].sum() + n_labels * length_step
    weights = weights - trainer.row_length_prior
    slope = (rest * trainer.row_length).sum() - penalty * weights
    return slope, (curve * trainer.row_length.square()).sum() + penalty * n_labels
