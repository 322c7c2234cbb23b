"""The start of the shared path: what words go together, from all rows of X."""

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from .batches import bag_inputs, dense_input
from .sparse import count_numbers

# Columns beyond so many, the rarest, do not enter the decomposition.
MAX_COLUMNS = 20_000
# Vectors a block, at least, and how many of the Krylov space for each one wanted.
_BLOCK, _BASIS = 8, 4


def document_frequency(X):
    """Return in how many rows each column of a CSR matrix occurs."""
    return count_numbers(X.indices, X.shape[1])


def inverse_document_frequency(df, n_rows):
    """Return ``ln(n_rows / (df + 1)) + 1`` of each column, at least 0.1."""
    return np.maximum(np.log(max(n_rows, 1) / (df + 1.0)) + 1, 0.1)


def singular_directions(X, dim, device, df=None):
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
    df : int array of shape (n_features,), default=None
        Of a CSR, in how many rows each column occurs; counted if not given.

    Returns
    -------
    columns : int64 array of shape (n_kept,)
        The columns that are not rare, increasing.
    vectors : float32 tensor of shape (n_kept, dim)
        The columns' weights times the singular vectors, one a column.

    Notes
    -----
    A randomized block Krylov method (Musco and Musco, 2015) on X.T @ X in which each
    product with X or its transpose is an embedding bag, and orthonormal bases come
    from small Gram matrices: time follows the nonzeros, memory X.
    """
    n, m = X.shape
    if not sp.issparse(X):
        X = dense_input(X).to(device)
        vectors = _dense_directions(X, min(dim, n, m))
        return np.arange(m), vectors
    df = document_frequency(X) if df is None else df
    idf = inverse_document_frequency(df, n)
    columns = _frequent_columns(df)
    dim = min(dim, n, len(columns))
    if not dim:  # X is all zeros
        return columns, torch.zeros(0, 0, device=device)
    A = sp.csr_array(X[:, columns], dtype=np.float32)
    largest = max(np.abs(A.data).max(), 1e-30)
    A.data *= (idf[columns] / largest).astype(np.float32)[A.indices]
    rows = _on(device, bag_inputs(A))
    transposed = _on(device, bag_inputs(sp.csr_array(A.T)))
    vectors = _krylov(rows, transposed, len(columns), dim)
    weights = torch.from_numpy(idf[columns].astype(np.float32)).to(device)
    return columns, vectors * weights[:, None]


def _frequent_columns(df):
    """Return the most frequent columns that occur at all, in their order."""
    if len(df) > MAX_COLUMNS:
        kept = np.argpartition(-df, MAX_COLUMNS - 1)[:MAX_COLUMNS]
    else:
        kept = np.arange(len(df))
    return np.sort(kept[df[kept] > 0])


def _dense_directions(X, dim):
    """Return right singular vectors of a dense matrix, scaled against overflow."""
    scale = X.abs().amax() if X.numel() else 1
    X = (X / torch.where(scale > 0, scale, 1)).float()
    if X.shape[1] <= 1024:
        gram = (X.double().T @ X.double()) if X.device.type != "mps" else X.T @ X
        _, vectors = torch.linalg.eigh(gram)
        return vectors.flip(1)[:, :dim].float().contiguous()
    _, _, vectors = torch.svd_lowrank(X, q=min(dim + 8, *X.shape), niter=2)
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


def _krylov(rows, transposed, n_columns, dim):
    """Return the leading right singular vectors of a matrix given by its bags.

    Zeros stand for those that a matrix of lower rank lacks.
    """
    size = min(max(-(-dim // 2), _BLOCK), n_columns)
    start = torch.randn(n_columns, size).to(rows["weights"].device)
    block = start.new_zeros(n_columns, 0)
    block, basis, images = _outside(block, start), [], []
    while sum(part.shape[1] for part in basis) < min(_BASIS * dim, n_columns):
        basis.append(block)
        images.append(_product(transposed, _product(rows, block)))
        block = _outside(torch.cat(basis, dim=1), images[-1])
    basis, images = torch.cat(basis, dim=1), torch.cat(images, dim=1)
    ritz = (basis.T @ images).double()
    values, vectors = torch.linalg.eigh((ritz + ritz.T) / 2)
    values, vectors = values.flip(0)[:dim], vectors.flip(1)[:, :dim]
    vectors = vectors * (values > 1e-10 * values[:1].clamp_min(1e-30))
    return (basis @ vectors.float()).contiguous()


def _outside(basis, Y):
    """Return an orthonormal basis of what Y has outside a basis, padded with zeros.

    By the eigenvectors of the Gram matrix, twice for the digits that the first pass
    loses: products of tall and small matrices alone, and no trouble with low rank.
    """
    length = Y.double().square().sum()
    for _ in range(2):
        Y = Y - basis @ (basis.T @ Y)
        values, vectors = torch.linalg.eigh((Y.T @ Y).double())
        kept = values > 1e-8 * length.clamp_min(1e-30)
        scale = torch.where(kept, values.clamp_min(1e-30).rsqrt(), 0)
        Y, length = Y @ (vectors * scale).float(), values.new_ones(())
    return Y
