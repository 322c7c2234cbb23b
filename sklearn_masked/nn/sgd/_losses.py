"""Binary cross entropy over the labeled cells of a batch."""

from typing import Literal

import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from torch import nn

REDUCTIONS = ("cell", "label", "sample")


class MaskedBCEWithLogitsLoss(nn.Module):
    r"""Mean binary cross entropy of the labeled cells, from logits.

    Cells whose target is NaN or -1 are unlabeled: whatever stands there, in the
    targets, the logits or the weights, changes neither the loss nor the gradient,
    which is exactly 0 in these cells.

    Parameters
    ----------
    reduction : {"cell", "label", "sample"}, default="cell"
        "cell" divides the sum over the labeled cells by their number; "label"
        averages within each label first and then over the labels that have a
        labeled cell in the batch; "sample" averages within each row first. Weights
        take the place of the counts.
    weight : float or tensor of shape (n_labels,), default=None
        Weight of each label, in the numerator and the denominator alike.
    pos_weight : float or tensor of shape (n_labels,), default=None
        Factor on the loss of positive cells. It stands outside the denominator, as
        in :class:`torch.nn.BCEWithLogitsLoss`.
    unlabeled_weight : float, default=0.0
        Weight at which unlabeled cells count as negatives. 0 leaves them out.
    label_smoothing : float, default=0.0
        Targets 1 and 0 become ``1 - label_smoothing / 2`` and ``label_smoothing / 2``.
    soft_targets : bool, default=False
        Whether targets may be anything from 0 to 1. The loss of a cell is then that of
        a positive, weighted by the target, plus that of a negative, weighted by the
        rest. Where False, a dense target between 0 and 1 is taken for a mistake.

    Notes
    -----
    With :math:`\ell_{ij}` the loss of a cell in nats, :math:`w_{ij}` its weight and
    :math:`M` the labeled cells, the reduction "cell" is
    :math:`\sum_M w_{ij} \ell_{ij} / \sum_M w_{ij}`. The mask is taken first, the
    unlabeled cells are filled with 0, then comes the loss: multiplying by the mask,
    or selecting after the loss, would leave NaN in the gradient. A batch without a
    labeled cell gives 0, connected to the logits. In a :mod:`torch.distributed` job
    the denominator is the mean over the workers, so that averaged gradients are those
    of one mean over the cells of all workers.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import MaskedBCEWithLogitsLoss
    >>> logits = torch.tensor([[-1.5, 2.5, -3.5, 4.5], [-5.5, 6.5, 7.5, -8.5]])
    >>> nan = float("nan")
    >>> targets = torch.tensor([[nan, 0, -1, nan], [-1, -1, nan, 1]])
    >>> loss = MaskedBCEWithLogitsLoss()
    >>> round(loss(logits, targets).item(), 4)
    5.5395
    """

    def __init__(
        self,
        reduction: Literal["cell", "label", "sample"] = "cell",
        weight: float | torch.Tensor | None = None,
        pos_weight: float | torch.Tensor | None = None,
        unlabeled_weight: float = 0.0,
        label_smoothing: float = 0.0,
        soft_targets: bool = False,
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"`reduction` accepts one of {REDUCTIONS}; got {reduction!r}."
            )
        if not 0 <= unlabeled_weight < float("inf"):
            raise ValueError(
                "`unlabeled_weight` accepts a finite number from 0; "
                f"got {unlabeled_weight!r}."
            )
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                "`label_smoothing` accepts a number from 0 and below 1; "
                f"got {label_smoothing!r}."
            )
        self.reduction = reduction
        self.unlabeled_weight: float = float(unlabeled_weight)
        self.label_smoothing: float = float(label_smoothing)
        self.soft_targets: bool = bool(soft_targets)
        self.register_buffer("weight", _as_weight(weight, "weight"))
        self.register_buffer("pos_weight", _as_weight(pos_weight, "pos_weight"))

    def forward(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        weight: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss of a whole batch of logits.

        Parameters
        ----------
        logits : tensor of shape (n_samples, n_labels)
            Raw scores.
        targets : tensor of shape (n_samples, n_labels)
            1, 0, and NaN or -1 in unlabeled cells; with `soft_targets` also anything
            between 0 and 1.
        weight : tensor of shape (n_samples,) or (n_samples, n_labels), default=None
            Weight of each row or cell. A cell of weight 0 is as good as unlabeled.

        Returns
        -------
        tensor of shape ()
            The loss in nats.

        Raises
        ------
        ValueError
            If the shapes do not fit, or a target is none of those above.
        """
        if logits.shape != targets.shape or logits.ndim != 2:
            raise ValueError(
                "`logits` and `targets` must have the same shape (n_samples, "
                f"n_labels); got {tuple(logits.shape)} and {tuple(targets.shape)}."
            )
        unlabeled = targets.isnan() | (targets == -1)
        _refuse_other_targets(targets, unlabeled, self.soft_targets)
        cell_weight = self._dense_weight(logits, weight)
        if self.unlabeled_weight:
            targets = targets.masked_fill(unlabeled, 0)
            as_negative = cell_weight * self.unlabeled_weight
            cell_weight = torch.where(unlabeled, as_negative, cell_weight)
            used = cell_weight != 0
        else:
            used = ~unlabeled & (cell_weight != 0)
        # All three are filled before the loss is computed: see Notes.
        logits = logits.masked_fill(~used, 0)
        targets = targets.masked_fill(~used, 0).to(logits.dtype)
        cell_weight = cell_weight.masked_fill(~used, 0)
        loss = self._cell_losses(logits, targets, self.pos_weight) * cell_weight
        if self.reduction == "cell":
            return _ratio(loss.sum(), cell_weight.sum())
        axis = 0 if self.reduction == "label" else 1
        return _mean_of_means(loss.sum(axis), cell_weight.sum(axis))

    def cell_loss(
        self,
        logits: torch.Tensor,
        rows: torch.Tensor,
        cols: torch.Tensor,
        values: torch.Tensor,
        weight: torch.Tensor | None,
        shape: tuple[int, int],
    ) -> torch.Tensor:
        """Return the same loss from the labeled cells alone.

        Parameters
        ----------
        logits : tensor of shape (n_cells,)
            Raw scores of the labeled cells.
        rows, cols : integer tensors of shape (n_cells,)
            Where the cells stand.
        values : tensor of shape (n_cells,)
            1 and 0, or probabilities.
        weight : tensor of shape (n_cells,) or None
            Weight of each cell.
        shape : (int, int)
            Number of rows and of labels of the batch.

        Returns
        -------
        tensor of shape ()
            The loss in nats.
        """
        if self.unlabeled_weight:
            raise ValueError(
                "`unlabeled_weight` above 0 needs the logits of all cells; got the "
                "labeled ones alone. Call the loss with dense logits and targets."
            )
        cell_weight = torch.ones_like(logits) if weight is None else weight
        cell_weight = cell_weight.to(logits.dtype)
        if self.weight is not None:
            cell_weight = cell_weight * _of_labels(self.weight, cols, logits)
        pos_weight = self.pos_weight
        if pos_weight is not None:
            pos_weight = _of_labels(pos_weight, cols, logits)
        # Infinite logits of cells that do not count must not meet the weight 0.
        logits = logits.masked_fill(cell_weight == 0, 0)
        values = values.to(logits.dtype)
        loss = self._cell_losses(logits, values, pos_weight) * cell_weight
        if self.reduction == "cell":
            return _ratio(loss.sum(), cell_weight.sum())
        groups, size = (
            (cols, shape[1]) if self.reduction == "label" else (rows, shape[0])
        )
        zeros = logits.new_zeros(size)
        return _mean_of_means(
            zeros.index_add(0, groups, loss), zeros.index_add(0, groups, cell_weight)
        )

    def _cell_losses(self, logits, targets, pos_weight):
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + self.label_smoothing / 2
        if pos_weight is not None:
            pos_weight = pos_weight.to(logits.dtype)
        return F.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=pos_weight, reduction="none"
        )

    def _dense_weight(self, logits, weight):
        """Return the weight of each cell, whatever stands in the unlabeled ones."""
        full = torch.ones_like(logits)
        if weight is not None:
            weight = weight.to(logits.dtype)
            if weight.shape not in (logits.shape[:1], logits.shape):
                raise ValueError(
                    "`weight` must have shape (n_samples,) or (n_samples, n_labels); "
                    f"got {tuple(weight.shape)} for logits {tuple(logits.shape)}."
                )
            full = full * (weight[:, None] if weight.ndim == 1 else weight)
        if self.weight is not None:
            full = full * self.weight.to(logits.dtype)
        return full

    def extra_repr(self) -> str:
        """Show the settings in the module's repr."""
        return (
            f"reduction={self.reduction!r}, unlabeled_weight={self.unlabeled_weight}, "
            f"label_smoothing={self.label_smoothing}"
        )


def balanced_pos_weight(n_positive: ArrayLike, n_negative: ArrayLike) -> torch.Tensor:
    """Return the `pos_weight` that lets positives weigh as much as negatives.

    Parameters
    ----------
    n_positive, n_negative : arrays of shape (n_labels,)
        Labeled cells of each kind, counted or weighted; unlabeled cells are in
        neither.

    Returns
    -------
    tensor of shape (n_labels,)
        ``n_negative / n_positive``, and 1 for a label that lacks one of the two.
    """
    n_positive = torch.as_tensor(n_positive, dtype=torch.float64)
    n_negative = torch.as_tensor(n_negative, dtype=torch.float64)
    both = (n_positive > 0) & (n_negative > 0)
    ratio = torch.where(both, n_negative, 1.0) / torch.where(both, n_positive, 1.0)
    return ratio.to(torch.get_default_dtype())


def _as_weight(weight, name):
    """Return a weight a label as a tensor, after checking it."""
    if weight is None:
        return None
    weight = torch.as_tensor(weight, dtype=torch.get_default_dtype())
    if not bool((torch.isfinite(weight) & (weight >= 0)).all()):
        raise ValueError(f"`{name}` accepts finite numbers from 0; got {weight}.")
    return weight


def _refuse_other_targets(targets, unlabeled, soft):
    """Raise for a target that is none of 1, 0, -1 and NaN, nor a soft one if asked."""
    if targets.is_cuda:
        # Looking would wait for the device at each step. A wrong value is caught on
        # the host, by `check_labels`, before it comes here.
        return
    if soft:
        bad = ~(unlabeled | ((targets >= 0) & (targets <= 1)))
    else:
        bad = ~(unlabeled | (targets == 0) | (targets == 1))
    if bool(bad.any()):
        row, col = (int(i) for i in bad.nonzero()[0])
        raise ValueError(
            f"`targets` accepts {'0 to 1' if soft else '1, 0'}, and NaN or -1 in "
            f"unlabeled cells; got {targets[row, col].item()} at row {row}, label "
            f"{col}."
        )


def _of_labels(weight, cols, logits):
    weight = weight.to(logits.dtype)
    return weight if weight.ndim == 0 else weight[cols]


def _ratio(total, denominator):
    """Divide by the denominator of all workers; nothing by nothing is 0."""
    denominator = _over_workers(denominator)
    return total / torch.where(denominator == 0, 1, denominator)


def _mean_of_means(totals, denominators):
    """Average the groups' means over the groups that have a cell."""
    has_cells = denominators != 0
    means = totals / torch.where(has_cells, denominators, 1)
    return _ratio(means.sum(), has_cells.sum().to(means.dtype))


def _over_workers(denominator):
    """Return the mean over the workers of a distributed job, else the same."""
    dist = torch.distributed
    if not (dist.is_available() and dist.is_initialized()):
        return denominator
    total = denominator.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
