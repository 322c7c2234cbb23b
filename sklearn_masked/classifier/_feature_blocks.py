"""Blocks of features side by side in a sparse X: which there are, and their shares.

A row's squared length is the sum of its blocks'. At first their shares are such that
inner products of two rows vary alike in each block. A block's share is then compared at
multiples of it, by models in closed form that lack a fold, as the penalty's parameters
are (:mod:`sklearn_masked.classifier._select_penalty`), and averaged in its logarithm.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from ..nn.model._blocks import BlockScales, dense_columns, is_dense
from ._select_penalty import (
    CELLS,
    FEWEST_LABELS,
    RankProblem,
    candidate_weights,
    draw_cells,
    labeled_cells,
)
from ._select_representation import check_pairs, most_pairs, share_of_pairs
from ._solvers import DUAL

# Factors on a block's share that are compared.
_FACTORS = 2.0 ** np.arange(-2, 3)


class FeatureBlocks(NamedTuple):
    """Blocks of columns: names, columns, dimensions of the embedding, share of pairs.

    Blocks whose pairs count come last.
    """

    names: list
    columns: list
    dims: list
    interactions: list

    @property
    def named(self):
        """Columns by name, as slices where they stand side by side."""
        return dict(zip(self.names, map(_as_slice, self.columns), strict=True))

    def scales(self, estimator, X):
        """Return the scales of the columns."""
        std_power = estimator.std_power
        return BlockScales(X, self.columns, self.dims, std_power, self.interactions)


def _as_slice(columns):
    first, last = int(columns[0]), int(columns[-1])
    are_all = np.array_equal(columns, np.arange(first, last + 1))
    return slice(first, last + 1) if are_all else columns


def feature_blocks(estimator, X, targets, with_pairs):
    """Return the blocks that `feature_blocks` names or that "auto" finds, or None.

    Raises
    ------
    ValueError
        If the columns of the blocks are not those of X, each once.
    """
    named = _named_columns(estimator, X)
    if len(named) < 2:
        return None
    pairs = [0.0] * len(named)
    if with_pairs:
        parts = [X[:, columns] for columns in named.values()]
        pairs = [
            share_of_pairs(estimator, part, targets, dense=is_dense(part))
            for part in parts
        ]
    dim, sizes = estimator.embedding_dim, [len(each) for each in named.values()]
    width = sum(min(2 * dim, n) for n, share in zip(sizes, pairs, strict=True) if share)
    if estimator.interactions == "auto" and not most_pairs(estimator, width):
        pairs = [0.0] * len(named)
    elif width:
        check_pairs(estimator, width)
    dims = [
        min(2 * dim if share else dim, n) for n, share in zip(sizes, pairs, strict=True)
    ]
    order = np.argsort(pairs, kind="stable")
    parts = list(named), list(named.values()), dims, pairs
    return FeatureBlocks(*([part[i] for i in order] for part in parts))


def _named_columns(estimator, X):
    """Return the columns of each block by its name."""
    given, n = estimator.feature_blocks, X.shape[1]
    if given is None or (isinstance(given, str) and not sp.issparse(X)):
        return {}
    if isinstance(given, str):
        dense = dense_columns(X)
        if dense.all() or not dense.any():
            return {}
        return {"sparse": np.flatnonzero(~dense), "dense": np.flatnonzero(dense)}
    every, named = np.arange(n), {}
    for name, columns in given.items():
        try:
            named[name] = np.atleast_1d(every[columns])
        except (IndexError, ValueError) as error:
            raise ValueError(
                "`feature_blocks` accepts a slice or an array of positions or booleans "
                f"per block, for {n} columns of X; block {name!r} has {columns!r}."
            ) from error
    count = np.bincount(np.concatenate([every[:0], *named.values()]), minlength=n)
    if (count != 1).any():
        at = int(np.flatnonzero(count != 1)[0])
        raise ValueError(
            f"`feature_blocks` must name each of the {n} columns of X once; column "
            f"{at} is named {count[at]} times."
        )
    return {name: columns for name, columns in named.items() if len(columns)}


def select_shares(estimator, data):
    """Take the shares by which left-out positives rank highest, averaged.

    As the penalty's parameters, those of a first call without a label correlation.
    """
    module, scales = estimator.net_.module_, data.scales
    if not data.whole or data.solver != DUAL or float(module.label_correlation):
        return
    generator = np.random.default_rng(data.seed)
    cells = labeled_cells(estimator, data)
    chosen = draw_cells(cells, CELLS, generator)
    if len(chosen) < FEWEST_LABELS:
        return
    power = data.penalty.idf_power
    for block in range(1, len(scales.columns)):
        before, scores = scales.shares, []
        for factor in _FACTORS:
            scales.take(module, _multiplied(before, block, factor), power)
            again = np.random.default_rng(data.seed)
            ranks = RankProblem(module, data.X, cells, chosen, again)
            scores.append(ranks.score(data.penalty, scales))
        factor = np.exp(candidate_weights(np.stack(scores)) @ np.log(_FACTORS))
        scales.take(module, _multiplied(before, block, factor), power)


def _multiplied(shares, block, factor):
    """Return shares with that of a block so many times as large beside the others."""
    shares = shares * np.where(np.arange(len(shares)) == block, factor, 1.0)
    return shares / shares.sum()
