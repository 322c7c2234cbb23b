"""The modules: what turns a batch of X into a logit for each label."""

import torch
from torch import nn

from .sparse import embedding_bag


class EmbeddingBagModule(nn.Module):
    """An embedding bag and a linear layer, as in fastText; dense X takes the same.

    Parameters
    ----------
    n_features, n_labels : int
        Columns of X and of y.
    embedding_dim : int, default=64
        Width of the embedding.
    sparse : bool, default=True
        Whether the gradient of the embedding is sparse.
    """

    def __init__(self, n_features, n_labels, embedding_dim=64, sparse=True):
        super().__init__()
        self.sparse = sparse
        self.embedding = nn.Parameter(torch.empty(n_features, embedding_dim))
        self.output = nn.Linear(embedding_dim, n_labels)
        nn.init.normal_(self.embedding, std=embedding_dim**-0.5)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def hidden(self, X=None, *, indices=None, offsets=None, weights=None):
        """Return the embedded rows, shape (batch, embedding_dim)."""
        if indices is None:
            return X.to(self.embedding.dtype) @ self.embedding
        return embedding_bag(self.embedding, indices, offsets, weights, self.sparse)

    def forward(self, X=None, **bags):
        """Return the logits of all labels, shape (batch, n_labels)."""
        return self.output(self.hidden(X, **bags))

    def cell_logits(self, rows, cols, X=None, **bags):
        """Return the logits of these cells alone, shape (n_cells,)."""
        hidden = self.hidden(X, **bags)[rows]
        return (hidden * self.output.weight[cols]).sum(1) + self.output.bias[cols]
