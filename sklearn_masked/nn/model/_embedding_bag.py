"""The classic model: an embedding bag, then a linear layer, all of it trained."""

from typing import Any, Literal

import torch
from torch import nn

from .._sparse import embedding_bag

MODES = "sum", "mean"


class EmbeddingBagModule(nn.Module):
    r"""An embedding bag, then a linear layer, as in fastText.

    The logits of a row :math:`x` are :math:`U h + b` with the embedding
    :math:`h = \sum_j x_j e_j`: the values of X, such as TF-IDF, weigh the embeddings of
    a row's features. Rows of an array give the same as those of a CSR. The initial
    weights are those of fastText: embeddings uniform in ``(-1 / embedding_dim,
    1 / embedding_dim)``, and zeros in the linear layer.

    Parameters
    ----------
    n_features, n_labels : int
        Columns of X and of y.
    embedding_dim : int, default=100
        Length of :math:`e_j`.
    mode : {"sum", "mean"}, default="sum"
        "mean" divides :math:`h` by the sum of the absolute values of the row: the mean
        over a text's tokens where X counts them.

    Attributes
    ----------
    embedding : parameter of shape (n_features, embedding_dim)
        :math:`e_j`.
    output : torch.nn.Linear
        :math:`U`, of shape (n_labels, embedding_dim), and :math:`b`.

    Raises
    ------
    ValueError
        If `mode` is another.

    Examples
    --------
    >>> import torch
    >>> from sklearn_masked.nn import EmbeddingBagModule
    >>> module = EmbeddingBagModule(n_features=3, n_labels=2, embedding_dim=4)
    >>> module(torch.tensor([[0.5, 0.0, 2.0]])).shape
    torch.Size([1, 2])
    """

    # The kind of the embedding's gradient, as the bag has it: the net may change it.
    sparse_gradients = False

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        embedding_dim: int = 100,
        mode: Literal["sum", "mean"] = "sum",
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"`module__mode` accepts one of {MODES}; got {mode!r}.")
        self.mode = mode
        self.embedding: nn.Parameter = nn.Parameter(
            torch.empty(n_features, embedding_dim)
        )
        self.output: nn.Linear = nn.Linear(embedding_dim, n_labels)
        nn.init.uniform_(self.embedding, -1 / embedding_dim, 1 / embedding_dim)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def embedded(
        self,
        X: Any = None,
        *,
        indices: Any = None,
        offsets: Any = None,
        weights: Any = None,
    ) -> torch.Tensor:
        """Return the embedding of each row, shape (batch, embedding_dim)."""
        if indices is None:
            hidden, totals = X @ self.embedding, X.abs().sum(1, keepdim=True)
        else:
            hidden = embedding_bag(
                self.embedding, indices, offsets, weights, self.sparse_gradients
            )
        if self.mode == "sum":
            return hidden
        if indices is not None:
            # A bag over a table of a single 1, which adds up the row's weights.
            one = weights.new_ones(1, 1)
            parts = torch.zeros_like(indices), offsets, weights.abs()
            totals = embedding_bag(one, *parts, sparse=False)
        return hidden / torch.where(totals > 0, totals, 1)

    def forward(self, X: Any = None, **bags: Any) -> torch.Tensor:
        """Return the logits of all labels, shape (batch, n_labels)."""
        return self.output(self.embedded(X, **bags))

    def cell_logits(
        self,
        rows: torch.Tensor,
        cols: torch.Tensor,
        X: Any = None,
        **bags: Any,
    ) -> torch.Tensor:
        """Return the logits of these cells alone, shape (n_cells,)."""
        hidden = self.embedded(X, **bags)[rows]
        return (hidden * self.output.weight[cols]).sum(1) + self.output.bias[cols]
