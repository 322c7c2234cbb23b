"""The start of the shared path: what words go together, from all rows of X."""

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from .batches import bag_inputs, dense_input

# Columns beyond so many, the rarest, do not enter the decomposition.
MAX_COLUMNS = 20_000
_OVERSAMPLING, _ITERATIONS = 0.5, 2


def inverse_document_frequency(X):
    """Return ``ln(n / (df + 1)) + 1`` of each column of a CSR matrix, at least 0.1."""
    df = np.bincount(X.indices, minlength=X.shape[1])
    idf = np.log(max(X.shape[0], 1) / (df + 1.0)) + 1
    return np.maximum(idf, 0.1)


def singular_directions(X, dim, device):
    """Return the leading right singular vectors of X.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_features)
        Labeled and unlabeled rows alike. Columns of a CSR are weighted by their
        inverse document frequency.
    dim : int
        How many; fewer where X has fewer rows or columns.
    device : torch.device
        Where to compute.

    Returns
    -------
    columns : int64 array of shape (n_kept,)
        The columns that are not rare, increasing.
    vectors : float32 tensor of shape (n_kept, dim)
        The columns' weights times the singular vectors, one a column.

    Notes
    -----
    Randomized subspace iteration (Halko, Martinsson and Tropp, 2011) in which each
    product with X or its transpose is an embedding bag, and orthonormal bases come
    from small Gram matrices: time follows the nonzeros.
    """
    n, m = X.shape
    if not sp.issparse(X):
        X = dense_input(X).to(device)
        vectors = _dense_directions(X, min(dim, n, m))
        return np.arange(m), vectors
    idf = inverse_document_frequency(X)
    columns = _frequent_columns(X)
    dim = min(dim, n, len(columns))
    if not dim:  # X is all zeros
        return columns, torch.zeros(0, 0, device=device)
    A = sp.csr_array(X[:, columns], dtype=np.float32)
    A.data *= (idf[columns] / max(abs(A).max(), 1e-30)).astype(np.float32)[A.indices]
    width = min(int(dim * (1 + _OVERSAMPLING)) + 1, n, len(columns))
    rows = _on(device, bag_inputs(A))
    transposed = _on(device, bag_inputs(sp.csr_array(A.T)))
    basis = torch.randn(len(columns), width).to(device)
    basis = _orthonormal(_product(rows, basis))
    for _ in range(_ITERATIONS):
        basis = _orthonormal(_product(rows, _product(transposed, basis)))
    vectors = _leading(_product(transposed, basis), dim)
    weights = torch.from_numpy(idf[columns].astype(np.float32)).to(device)
    return columns, vectors * weights[:, None]


def _frequent_columns(X):
    """Return the most frequent columns that occur at all, in their order."""
    df = np.bincount(X.indices, minlength=X.shape[1])
    if X.shape[1] > MAX_COLUMNS:
        kept = np.argpartition(-df, MAX_COLUMNS - 1)[:MAX_COLUMNS]
    else:
        kept = np.arange(X.shape[1])
    return np.sort(kept[df[kept] > 0])


def _dense_directions(X, dim):
    """Return right singular vectors of a dense matrix, scaled against overflow."""
    scale = X.abs().amax() if X.numel() else 1
    X = (X / torch.where(scale > 0, scale, 1)).float()
    if X.shape[1] <= 1024:
        gram = (X.double().T @ X.double()) if X.device.type != "mps" else X.T @ X
        _, vectors = torch.linalg.eigh(gram)
        return vectors.flip(1)[:, :dim].float().contiguous()
    _, _, vectors = torch.svd_lowrank(X, q=min(dim + 8, *X.shape), niter=_ITERATIONS)
    return vectors[:, :dim].contiguous()


def _on(device, inputs):
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def _product(bags, table):
    if not len(bags["indices"]):
        return table.new_zeros(len(bags["offsets"]), table.shape[1])
    return F.embedding_bag(
        bags["indices"],
        table,
        bags["offsets"],
        mode="sum",
        per_sample_weights=bags["weights"],
    )


def _orthonormal(Y):
    """Return an orthonormal basis of the columns' span, padded with zeros.

    By the eigenvectors of the Gram matrix, twice for the digits that the first pass
    loses: products of tall and small matrices alone, and no trouble with low rank.
    """
    for _ in range(2):
        values, vectors = torch.linalg.eigh((Y.T @ Y).double())
        kept = values > 1e-10 * values[-1].clamp_min(1e-30)
        scale = torch.where(kept, values.clamp_min(1e-30).rsqrt(), 0)
        Y = Y @ (vectors * scale).float()
    return Y


def _leading(B, dim):
    """Return the left singular vectors of a tall matrix, the largest first."""
    values, vectors = torch.linalg.eigh((B.T @ B).double())
    values, vectors = values.flip(0)[:dim], vectors.flip(1)[:, :dim]
    kept = values > 1e-10 * values[:1].clamp_min(1e-30)
    scale = torch.where(kept, values.clamp_min(1e-30).rsqrt(), 0)
    return (B @ (vectors * scale).float()).contiguous()
