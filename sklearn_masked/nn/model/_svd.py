"""The start of the shared path: what words go together, from all rows of X."""

import functools

import numpy as np
import scipy.sparse as sp
import torch
import torch.nn.functional as F

from .._batches import bag_inputs, dense_input
from ._scaling import feature_scales, row_blocks

# Columns beyond so many, the rarest, do not enter the decomposition.
MAX_COLUMNS = 20_000
# An array of so many columns has a Gram matrix that costs little.
_NARROW = 1024
# Vectors a block, at least and at most: torch's bags are fastest 32 wide.
_LEAST, _MOST = 8, 32
# The blocks of the Krylov space, at least, and its vectors for each one wanted.
_BLOCKS, _BASIS = 8, 4
# Full passes to make a block orthonormal, at most, and what counts as nothing there.
_PASSES, _NOTHING = 4, 1e-8


def singular_directions(X, dim, device, scales=None, generator=None):
    """Return the leading right singular vectors of X.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_samples, n_features)
        Labeled and unlabeled rows alike. Columns of a CSR are weighted by their
        inverse document frequency, those of an array standardized.
    dim : int
        How many; fewer where X has fewer rows or columns.
    device : torch.device
        Where to compute.
    scales : RarityScales or SpreadScales, default=None
        Of X, where they are at hand; without a shift an array is taken as it is.
    generator : torch.Generator, default=None
        Draws the random start, on the CPU; None is torch's global one.

    Returns
    -------
    columns : int64 array of shape (n_kept,)
        The columns that are not rare, increasing.
    vectors : float32 tensor of shape (n_kept, dim)
        The singular vectors, one a column; of a CSR times its columns' weights.

    Notes
    -----
    A randomized block Krylov method (Musco and Musco, 2015) on X.T @ X in which each
    product with X or its transpose is an embedding bag, and orthonormal bases come
    from small Gram matrices: time follows the nonzeros, memory X. An array is read in
    blocks of rows; where it is narrow, its Gram matrix gives the vectors.
    """
    n, m = X.shape
    scales = feature_scales(X) if scales is None else scales
    if not sp.issparse(X):
        vectors = _dense_directions(X, min(dim, n, m), device, scales, generator)
        return np.arange(m), vectors
    idf, columns = scales.idf, _frequent_columns(scales.df)
    dim = min(dim, n, len(columns))
    if not dim:  # X is all zeros
        return columns, torch.zeros(0, 0, device=device)
    A = sp.csr_array(X[:, columns], dtype=np.float32)
    largest = max(np.abs(A.data).max(), 1e-30)
    A.data *= (idf[columns] / largest).astype(np.float32)[A.indices]
    rows = _on(device, bag_inputs(A))
    transposed = _on(device, bag_inputs(sp.csr_array(A.T)))
    if n < len(columns):  # the left singular vectors are shorter
        gram = functools.partial(_gram_times, transposed, rows)
        vectors = _product(transposed, _krylov(gram, n, dim, device, generator))
        vectors = F.normalize(vectors, dim=0)
    else:
        gram = functools.partial(_gram_times, rows, transposed)
        vectors = _krylov(gram, len(columns), dim, device, generator)
    weights = torch.from_numpy(idf[columns].astype(np.float32)).to(device)
    return columns, vectors * weights[:, None]


def _frequent_columns(df):
    """Return the most frequent columns that occur at all, in their order."""
    if len(df) > MAX_COLUMNS:
        kept = np.argpartition(-df, MAX_COLUMNS - 1)[:MAX_COLUMNS]
    else:
        kept = np.arange(len(df))
    return np.sort(kept[df[kept] > 0])


def _dense_directions(X, dim, device, scales, generator):
    """Return right singular vectors of an array whose columns are standardized."""
    blocks = functools.partial(_standardized, X, device, scales)
    m = X.shape[1]
    if m > _NARROW:

        def gram_times(table):
            return sum(block.T @ (block @ table) for block in blocks())

        return _krylov(gram_times, m, dim, device, generator)
    gram = torch.zeros(m, m, dtype=torch.float64, device=device)
    for block in blocks():
        block = block.double()
        gram += block.T @ block
    _, vectors = torch.linalg.eigh(gram)
    return vectors.flip(1)[:, :dim].float().contiguous()


def _standardized(X, device, scales):
    """Yield the rows of an array in blocks, standardized, or over X's largest number.

    Either way their squares do not overflow.
    """
    if scales.std is None:
        largest = max(-X.min(initial=0), X.max(initial=0))
        shift, std = 0.0, float(largest) or 1.0
    else:
        shift, std = scales.shift, scales.std
    for rows in row_blocks(X):
        block = (rows.astype(np.float64) - shift) / std
        yield dense_input(block.astype(np.float32)).to(device)


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


def _gram_times(rows, transposed, table):
    """Return X.T @ (X @ table) of a matrix given by its bags and its columns' bags."""
    return _product(transposed, _product(rows, table))


def _krylov(gram_times, n_columns, dim, device, generator=None):
    """Return the leading right singular vectors of X from products with X.T @ X.

    Zeros, or vectors whose images are nearly so, stand for those that a matrix of lower
    rank lacks.
    """
    size = min(max(-(-dim // 2), _LEAST), _MOST, n_columns)
    n_blocks = max(_BLOCKS, -(-_BASIS * dim // size))
    length = size * min(n_blocks, -(-n_columns // size))
    image = torch.randn(n_columns, size, generator=generator).to(device)
    basis = image.new_zeros(n_columns, length)
    ritz, are_lost = image.new_zeros(length, length), False
    for start in range(0, length, size):
        own = slice(start, start + size)
        # But for rounding an image is outside all but the last two blocks, as long as
        # the next block has all that it has outside.
        first = 0 if are_lost else max(start - 2 * size, 0)
        block, inside = _outside(basis[:, :start], image, first)
        basis[:, own] = block
        if start + size < n_columns:
            anew = _in_place_of_lost(block, basis[:, : start + size], generator)
            block, are_lost = block + anew, are_lost or bool(anew.any())
            basis[:, own] = block
        if start:  # what the last image has inside the basis: above the diagonal
            ritz[first:start, start - size : start] = inside
        image = gram_times(block)
    ritz[:, -size:] = basis.T @ image
    values, vectors = torch.linalg.eigh(ritz.double(), UPLO="U")
    values, vectors = values.flip(0)[:dim], vectors.flip(1)[:, :dim]
    vectors = vectors * (values > 1e-10 * values[:1].clamp_min(1e-30))
    return (basis @ vectors.float()).contiguous()


def _in_place_of_lost(block, basis, generator):
    """Return vectors drawn anew outside a basis, for those that a block lacks.

    Where singular values are equal, or much of X is in one column, images span less
    than they might, and what is lost has no image: the space would stop growing.
    """
    lost = block.square().sum(0) < 0.5
    if not lost.any():
        return torch.zeros_like(block)
    anew = torch.randn(block.shape, generator=generator).to(block)
    return _outside(basis, anew)[0] * lost


def _outside(basis, Y, first=0):
    """Return an orthonormal basis of what Y has outside a basis, and what inside.

    The first is padded with zeros. By the eigenvectors of Gram matrices: products of
    tall and small matrices alone, and no trouble with low rank. Inside counts from the
    vector `first` of the basis on, where Y has next to nothing inside those before it.
    """
    recent = basis[:, first:]
    inside = recent.T @ Y
    length = Y.double().square().sum()
    rest, _ = _orthonormal(Y - recent @ inside, length)
    # Again, with all of the basis: what one pass leaves inside, or askew, is the more,
    # the shorter the rest was. Until a pass finds nothing of note.
    for _ in range(_PASSES):
        rest, were_so = _orthonormal(rest - basis @ (basis.T @ rest))
        if were_so:
            break
    return rest, inside


def _orthonormal(Y, length=1.0):
    """Return an orthonormal basis of Y, and whether Y about was one.

    Zeros stand for directions that have next to nothing of this squared length.
    """
    values, vectors = torch.linalg.eigh((Y.T @ Y).double())
    kept = values > _NOTHING * max(float(length), 1e-30)
    scale = torch.where(kept, values.clamp_min(1e-30).rsqrt(), 0)
    were_so = not bool((kept & ((values - 1).abs() > 0.5)).any())
    return Y @ (vectors * scale).float(), were_so
