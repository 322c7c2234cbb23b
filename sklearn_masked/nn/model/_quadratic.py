"""The quadratic path: what pairs of the embedding's dimensions say together."""

import torch
from torch import nn

# Numbers that products of a batch take, at most, while the logits are computed.
_AT_ONCE = 1 << 22


class QuadraticPath(nn.Module):
    r"""A matrix a label: :math:`z^\top Q_l z` of embedded rows.

    Two rows' inner product in these weights is the square of theirs. The matrices stay
    symmetric as the ascent moves them.

    Parameters
    ----------
    n_labels, embedding_dim : int
        Of the labels, and of what is embedded.
    """

    def __init__(self, n_labels, embedding_dim):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_labels, embedding_dim, embedding_dim))

    def forward(self, rows):
        """Return the logits of all labels, shape (batch, n_labels)."""
        step = max(_AT_ONCE // max(rows.numel(), 1), 1)
        # Some labels at a time: a batch's products with all of them may be many.
        parts = [
            torch.einsum("bd,lde,be->bl", rows, weight, rows)
            for weight in self.weight.split(step)
        ]
        return torch.cat(parts, dim=1)

    def cell_logits(self, rows, labels):
        """Return the logits of one cell a row, shape (n_cells,)."""
        order, present, counts = _by_label(labels)
        parts = [
            ((some @ self.weight[label]) * some).sum(1)
            for label, some in zip(present, rows[order].split(counts), strict=True)
        ]
        logits = torch.cat(parts) if parts else rows.new_zeros(0)
        return torch.zeros_like(logits).index_copy(0, order, logits)

    @torch.no_grad()
    def add(self, rows, labels, amount):
        """Add so much of each row's products to the weights of its cell's label."""
        order, present, counts = _by_label(labels)
        own = (rows * amount[:, None])[order].split(counts)
        for label, left, right in zip(
            present, own, rows[order].split(counts), strict=True
        ):
            self.weight[label].addmm_(left.T, right)


def _by_label(labels):
    """Return the order that sorts cells by label, the labels, and their numbers."""
    order = torch.argsort(labels, stable=True)
    present, counts = torch.unique_consecutive(labels[order], return_counts=True)
    return order, present.tolist(), counts.tolist()
