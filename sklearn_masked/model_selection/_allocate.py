"""Allocate rows to parts in turn, similar rows together (round-robin)."""

import numpy as np

# How many of a row's rarest indicators decide which rows are its neighbors.
_DEPTH = 3
# How many groups, the largest, find their part one by one.
_GREEDY = 20_000


def allocate(items, sizes, rng=None):
    """Return the part of each item, such that like items are spread over all parts.

    Items are sorted by their rarest indicator, by their next rarest, and so on; along
    that order the parts take turns. A run of items that share an indicator is so
    divided in the ratio of the sizes to within one item, and the sizes are exact.
    """
    order, starts = _sort_alike(items, rng)
    turns = _turns(sizes)
    if rng is None:
        turns = _in_blocks(turns, starts, len(sizes))
    parts = np.empty(len(order), dtype=np.intp)
    parts[order] = turns
    return parts


def _turns(sizes):
    """Return a sequence of parts any stretch of which is divided as the whole is."""
    n_items, n_parts = int(sizes.sum()), len(sizes)
    if sizes[0] - sizes[-1] <= 1 and (np.diff(sizes) <= 0).all():
        return np.arange(n_items) % n_parts
    parts = np.repeat(np.arange(n_parts), sizes)
    nth = np.arange(n_items) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return parts[np.argsort((nth + 0.5) / sizes[parts], kind="stable")]


def _in_blocks(turns, starts, n_parts):
    """Return the turns with those in each run of equal items in increasing order."""
    runs = np.cumsum(starts) - 1
    n_runs = int(runs[-1]) + 1 if len(runs) else 0
    counts = np.bincount(runs * n_parts + turns, minlength=n_runs * n_parts)
    return np.repeat(np.tile(np.arange(n_parts), n_runs), counts)


def _sort_alike(items, rng):
    """Return an order with like items together, and where runs of equal ones start."""
    keys = _rarest(items)
    n_keys = items.shape[1] + 1
    if rng is None:
        order = np.arange(items.shape[0])
        keys[0] = _by_appearance(keys[0], n_keys)
    else:
        order = rng.permutation(items.shape[0])
        keys = [rng.permutation(n_keys)[key] for key in keys]
    if n_keys <= 1 << 16:
        keys = [key.astype(np.uint16) for key in keys]  # numpy has a radix sort there
    prints = keys[0]
    if len(keys) > 1:  # else the one indicator of an item says all of it
        prints = _prints(items, rng)
        keys.append(prints)
    for key in reversed(keys):
        order = order[np.argsort(key[order], kind="stable")]
    starts = np.append(True, prints[order[1:]] != prints[order[:-1]])
    return order, starts[: len(order)]


def _by_appearance(key, n_keys):
    """Return a key whose values count from 0 as they appear, as scikit-learn's do."""
    first = np.full(n_keys, len(key))
    first[key[::-1]] = np.arange(len(key))[::-1]
    rank = np.empty(n_keys, dtype=np.intp)
    rank[np.argsort(first, kind="stable")] = np.arange(n_keys)
    return rank[key]


def _rarest(items):
    """Return, for each item, its rarest indicators as ranks, n_indicators for none."""
    n_items, n_indicators = items.shape
    counts = np.bincount(items.indices, minlength=n_indicators)
    rank = np.empty(n_indicators, dtype=np.int32)
    rank[np.argsort(counts, kind="stable")] = np.arange(n_indicators)
    lengths = np.diff(items.indptr)
    some = np.flatnonzero(lengths)
    ranks = rank[items.indices]
    found = []
    for _ in range(min(_DEPTH, int(lengths.max(initial=0))) or 1):
        key = np.full(n_items, n_indicators)
        if len(some):
            key[some] = np.minimum.reduceat(ranks, items.indptr[some])
        found.append(key)
        ranks[ranks == np.repeat(key, lengths)] = n_indicators
    return found


def _prints(items, rng):
    """Return a number for each item: the same for equal items, else very likely not."""
    rng = rng or np.random.RandomState(0)
    codes = rng.randint(1 << 62, size=items.shape[1], dtype=np.int64)
    entries = codes[items.indices] ^ items.data.view(np.int64)
    sums = np.append(np.int64(0), np.cumsum(entries))  # modulo 2 ** 64
    return np.diff(sums[items.indptr])


def allocate_largest_first(items, shares):
    """Return the part of each group: the largest where they are needed most.

    No part stays empty if there are enough groups.
    """
    n_items, n_parts = items.shape[0], len(shares)
    weights = items.multiply(items).sum(axis=1)
    order = np.argsort(-weights, kind="stable")
    large, small = order[:_GREEDY], order[_GREEDY:]
    excess = -np.outer(shares, items.sum(axis=0))
    parts = np.zeros(n_items, dtype=np.intp)
    for item in large:
        entries = slice(items.indptr[item], items.indptr[item + 1])
        columns, amounts = items.indices[entries], items.data[entries]
        # Rounded, so that what is equal but for rounding is so on every machine.
        part = int(np.argmin(np.round(excess[:, columns] @ amounts, 9)))
        excess[part, columns] += amounts
        parts[item] = part
    if len(small):
        # What each part still lacks, by the weight of all that is lacking.
        lacking = np.maximum(-excess, 0) @ -np.minimum(excess.sum(axis=0), 0)
        parts[small] = allocate(items[small], _apportion(len(small), lacking))
    _fill_empty(parts, n_parts, order[::-1])
    return parts


def _apportion(n_items, wanted):
    """Return whole numbers of sum n_items in the ratio of those wanted."""
    ideal = np.cumsum(wanted / wanted.sum() * n_items)
    return np.diff(np.round(ideal).astype(np.int64), prepend=0)


def _fill_empty(parts, n_parts, order):
    """Give each empty part the first item in order of the part that has most."""
    for part in range(n_parts):
        counts = np.bincount(parts, minlength=n_parts)
        if not counts[part]:
            most = int(np.argmax(counts))
            parts[order[np.flatnonzero(parts[order] == most)[0]]] = part
