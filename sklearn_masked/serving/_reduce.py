"""Smaller files: weights with fewer bits, and without those that say least."""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from ._parts import refuse

# A table of which so few are left is smaller as the list of them.
_SPARSE = 0.5


def reduced(part, dtype, prune):
    """Return a part with weights cast and pruned, and how many parts were pruned."""
    done = [reduced(one, dtype, prune) for one in part.parts]
    part = replace(part, parts=[one for one, _ in done])
    n_pruned = sum(n for _, n in done)
    # Of an array, every column counts in every row.
    if prune and part.kind == "DirectShared" and "shift" not in part.arrays:
        part, n_pruned = _pruned(part, prune), n_pruned + 1
    if dtype is None:
        return part, n_pruned
    arrays = dict(part.arrays)
    for name in part.weights:
        if name in arrays:
            arrays[name] = _cast(arrays[name], np.dtype(dtype), name)
    return replace(part, arrays=arrays), n_pruned


def _cast(weights, dtype, name):
    largest = np.abs(weights).max(initial=0)
    if largest > np.finfo(dtype).max:
        refuse(
            f"`dtype` {dtype} has room for numbers up to {np.finfo(dtype).max:g}, and "
            f"{name} of the model has one of {largest:g}; choose another"
        )
    return weights.astype(dtype)


def _pruned(part, share):
    """Return the default model without its smallest direct weights and embeddings."""
    arrays, n = dict(part.arrays), part.settings["n_features"]
    _prune_embedding(arrays, n, share)
    scale, n_labels = arrays["feature_scale"], len(arrays["bias"])
    if "direct" in arrays:
        table = sp.csr_array(arrays["direct"])
        size = np.abs(arrays["direct"]) * scale[:, None]
        n_kept = round((1 - share) * size.size)
    elif "pair_weight" in arrays:
        parts = (arrays[f"pair_{name}"] for name in ("weight", "label", "starts"))
        table = sp.csr_array(tuple(parts), shape=(n, n_labels))
        n_kept = round((1 - share) * table.nnz)
    else:
        return replace(part, arrays=arrays)
    table = _largest(table, scale, n_kept)
    if "direct" in arrays and table.nnz > _SPARSE * size.size:
        arrays["direct"] = table.toarray()
    else:
        arrays.pop("direct", None)
        arrays["pair_weight"] = table.data
        arrays["pair_label"] = table.indices.astype(np.int32)
        arrays["pair_starts"] = table.indptr.astype(np.int64)
    return replace(part, arrays=arrays)


def _largest(table, scale, n_kept):
    """Return a CSR with so many of its weights, of those that count most in rows."""
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    order = np.argsort(-np.abs(table.data) * scale[rows], kind="stable")
    kept = np.sort(order[:n_kept])
    parts = table.data[kept], (rows[kept], table.indices[kept])
    return sp.coo_array(parts, shape=table.shape).tocsr()


def _prune_embedding(arrays, n_features, share):
    """Leave out the shortest rows of the embedding: those features embed as zeros."""
    embedding = arrays["embedding"]
    row = arrays.get("embedding_row", np.arange(n_features))
    used = np.flatnonzero(np.any(embedding != 0, axis=1))
    length = np.sqrt(np.square(embedding[used]).sum(axis=1))
    order = np.argsort(-length, kind="stable")
    kept = np.sort(used[order[: round((1 - share) * len(used))]])
    place = np.zeros(len(embedding), np.int32)
    place[kept] = np.arange(1, len(kept) + 1, dtype=np.int32)
    zero = np.zeros_like(embedding[:1])
    arrays["embedding"] = np.concatenate([zero, embedding[kept]])
    arrays["embedding_row"] = place[row]
