"""Blocks of columns side by side in a sparse X, each with scales of its own."""

import numpy as np
import scipy.sparse as sp
import torch

from ._scaling import RarityScales, SpreadScales
from ._svd import singular_directions

# Columns of which so many entries are stored are dense.
_DENSE = 0.9
# Rows that lengths and inner products are measured on.
_ROWS, _PAIRED_ROWS = 10_000, 1_000
# The power of rarity at which blocks are compared.
_USUAL_POWER = 0.5


class BlockScales:
    """Scales of a CSR's columns, block by block.

    Columns of a sparse block are scaled by their rarity, those of a dense block by
    their spread. A block's columns, and its dimensions of the embedding, are then
    multiplied by one number, so that its share of a row's squared length is what
    `shares` says. At first the shares are such that inner products of two rows vary
    alike in each block: a block of few features, by which all rows are somewhat alike,
    does not outweigh one of many.

    Parameters
    ----------
    X : CSR matrix of shape (n_samples, n_features)
        All rows.
    columns : list of int arrays
        The columns of each block.
    dims : list of int
        Dimensions of the embedding of each block, at most.
    std_power : float or None
        Power of one over its standard deviation by which a dense block's column is
        scaled.
    interactions : list of float
        The share that pairs of its embedding's dimensions have of each block; those
        that have one come last.

    Attributes
    ----------
    shares : array of shape (n_blocks,)
        They sum to 1, unless X is all zeros.
    """

    shift = std = None

    def __init__(self, X, columns, dims, std_power, interactions):
        self.n_features, self.columns, self.dims = X.shape[1], columns, dims
        self.std_power, self.interactions = std_power, np.array(interactions)
        self.parts = [_scales(X[:, each], std_power) for each in columns]
        self.shares = self.widths = None

    def scale(self, power):
        """Return the factor of each column, float32, where idf counts so much.

        What pairs have of a row's squared length is taken off.
        """
        factors = np.zeros(self.n_features, np.float32)
        shares = self.shares * (1 - self.interactions)
        for i, columns in enumerate(self.columns):
            factors[columns] = np.sqrt(shares[i]) * self._scale_of(i, power)
        return factors

    def _scale_of(self, block, power):
        part = self.parts[block]
        is_dense = isinstance(part, SpreadScales)
        return part.scale((self.std_power or 0.0) if is_dense else power)

    def directions(self, X, shared_weight, device, generator):
        """Return the directions of all blocks, as `singular_directions` has them.

        Those of a block are 0 in the columns of the others. A dense block's are
        orthogonal to its mean, so that rows need not be centered. The first shares are
        set, by which inner products of two rows vary alike in each block.
        """
        found, even, sample = [], [], sample_rows(X.shape[0], _ROWS)
        for part, columns, dim in zip(self.parts, self.columns, self.dims, strict=True):
            own = X[:, columns]
            is_dense = isinstance(part, SpreadScales)
            rows = own.toarray() if is_dense else own
            kept, vectors = singular_directions(rows, dim, device, part, generator)
            if is_dense and part.std is not None:
                vectors = _centered(vectors, part)
            hidden = own[sample][:, kept] @ vectors.cpu().numpy()
            length = np.sqrt(np.square(hidden).sum(axis=1).mean())
            found.append((columns[kept], vectors / max(float(length), 1e-30)))
            spread = self._spread(len(even), own[sample], hidden, shared_weight)
            even.append(1 / spread if spread > 0 else 0.0)
        even = np.array(even) if any(even) else np.ones(len(even))
        self.shares = even / even.sum()
        self.widths = [vectors.shape[1] for _, vectors in found]
        columns = np.concatenate([kept for kept, _ in found])
        vectors = torch.block_diag(*(vectors for _, vectors in found))
        order = np.argsort(columns)
        vectors = vectors[torch.from_numpy(order).to(device)]
        return columns[order], vectors * self._lengths(vectors)

    def _spread(self, block, rows, embedded, shared_weight):
        """Return how inner products of two rows of a block vary, over all paths."""
        kept = sample_rows(rows.shape[0], _PAIRED_ROWS)
        some = rows[kept] @ sp.diags(self._scale_of(block, _USUAL_POWER))
        length = np.linalg.norm(embedded[kept], axis=1, keepdims=True)
        unit = embedded[kept] / np.where(length > 0, length, 1)
        pairs, own = self.interactions[block], unit @ unit.T
        products = (1 - pairs) * (some @ some.T).toarray().astype(float)
        products += shared_weight**2 * own + pairs * np.square(own)
        products -= products.mean(axis=0)
        products -= products.mean(axis=1)[:, None]
        np.fill_diagonal(products, 0)
        return np.sqrt(np.square(products).mean())

    def _lengths(self, like):
        """Return the length that rows have in each dimension's block."""
        lengths = np.repeat(np.sqrt(self.shares), self.widths)
        return torch.from_numpy(lengths).to(like)

    @property
    def paired_width(self):
        """Dimensions of the embedding whose pairs count: the last ones."""
        return int(np.sum(np.array(self.widths)[self.interactions > 0]))

    @property
    def paired_share(self):
        """What the blocks whose pairs count have of a row's squared length."""
        return float(self.shares[self.interactions > 0].sum())

    @torch.no_grad()
    def take(self, module, shares, power):
        """Let blocks of a module without weights have other shares."""
        lengths, paired = self._lengths(module.embedding), self.paired_share
        self.shares = shares
        factors = self._lengths(lengths) / lengths.clamp_min(1e-30)
        module.embedding.data *= factors
        if paired:
            module.interactions *= self.paired_share / paired
        module.feature_scale = module.feature_factors(self, power)


def sample_rows(n_rows, most):
    """Return rows, evenly spaced, at most so many."""
    return np.linspace(0, n_rows - 1, min(n_rows, most)).astype(np.intp)


def is_dense(X):
    """Return whether nearly all entries of a CSR matrix are stored."""
    return X.nnz >= _DENSE * X.shape[0] * X.shape[1]


def dense_columns(X):
    """Return which columns are stored in nearly all rows and have values of both signs.

    A word's column has one sign, however many texts have it.
    """
    n = X.shape[1]
    count, negative = (
        np.bincount(X.indices[kept], minlength=n) for kept in (slice(None), X.data < 0)
    )
    return (count >= _DENSE * X.shape[0]) & (negative > 0) & (negative < count)


def _scales(X, std_power):
    if is_dense(X):
        return SpreadScales(X.toarray(), std_power is not None)
    return RarityScales(sp.csr_array(X))


def _centered(vectors, scales):
    """Return directions of standardized columns, for rows that are not standardized."""
    std, mean = (
        torch.from_numpy(part.astype(np.float32)).to(vectors)
        for part in (scales.std, scales.shift)
    )
    vectors = vectors / std[:, None]
    square = mean @ mean
    if square <= 1e-6 * (std @ std):
        return vectors
    return vectors - torch.outer(mean, mean @ vectors) / square
