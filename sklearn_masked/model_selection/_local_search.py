"""Swap items between parts until no swap brings the counts nearer to their targets."""

import numpy as np
import scipy.sparse as sp

# Items of each part that a pass looks at: those that would bring the most.
_CANDIDATES = 128
# Number of other parts that each part meets, twice, in a pass.
_SHIFTS = 5
# Items of each part that are compared for that; where there are more, other ones in
# each pass.
_LOOKED_AT = 4096
# A pass that lowers the squares by less than this share is the last.
_WORTHWHILE = 0.03


def local_search(items, parts, shares, scale, *, moves=False, max_passes=12):
    """Bring the counts of each part near to its share of the total, in place.

    Minimizes the sum of squared deviations over parts and indicators. Two parts at a
    time, it swaps the best pairs among the items that promise most as long as that
    helps. With `moves` an item may also move alone; no part loses its last item.
    """
    state = _State(items, parts, shares, scale, moves)
    squares = np.inf
    for nth in range(max_passes):
        squares_before, squares = squares, (state.excess**2).sum()
        if squares > (1 - _WORTHWHILE) * squares_before:
            return
        for a, b in _pairs(len(shares), nth):
            state.repair_pair(a, b, nth)


def part_counts(items, parts, n_parts):
    """Return the counts of each indicator in each part, (n_parts, n_indicators)."""
    n_indicators = items.shape[1]
    entry_parts = np.repeat(parts, np.diff(items.indptr)).astype(np.int64)
    counts = np.bincount(
        entry_parts * n_indicators + items.indices,
        weights=items.data,
        minlength=n_parts * n_indicators,
    )
    return counts.reshape(n_parts, n_indicators)


class _State:
    """The parts, and by how much the count of each exceeds its target."""

    def __init__(self, items, parts, shares, scale, moves):
        self.items, self.parts, self.scale, self.moves = items, parts, scale, moves
        counts = part_counts(items, parts, len(shares))
        totals = counts.sum(axis=0)
        self.excess = counts - np.outer(shares, totals)
        # What to swap an item costs, less what it shares on average with the other.
        self.loss = _norms(items) - items @ (totals / max(len(parts), 1))

    def repair_pair(self, a, b, nth):
        """Swap items of two parts while that helps."""
        tilt = self.excess[a] - self.excess[b]
        if not self.moves and (np.abs(tilt) <= self.scale * (1 + 1e-9)).all():
            return  # a swap would change such differences by twice their scale
        of_a, of_b = np.flatnonzero(self.parts == a), np.flatnonzero(self.parts == b)
        spare = (len(of_a) - 1, len(of_b) - 1) if self.moves else (0, 0)
        of_a, of_b = _some(of_a, nth), _some(of_b, nth)
        pull_a, pull_b = self.items[of_a] @ tilt, self.items[of_b] @ tilt
        from_a = _largest(pull_a - self.loss[of_a])
        from_b = _largest(-pull_b - self.loss[of_b])
        chosen = np.concatenate([of_a[from_a], of_b[from_b]])
        some = self.items[chosen]
        gone, come = _best_swaps(pull_a[from_a], pull_b[from_b], _gram(some), spare)
        self.parts[chosen[gone]], self.parts[chosen[come]] = b, a
        signs = np.zeros(len(chosen))
        signs[gone], signs[come] = 1, -1
        shift = signs @ some
        self.excess[a] -= shift
        self.excess[b] += shift


def _pairs(n_parts, nth):
    """Return the pairs of parts of a pass: all of them, or some where they are many."""
    shifts = range(1, n_parts // 2 + 1)
    if len(shifts) > _SHIFTS:
        start = nth * _SHIFTS
        shifts = [shifts[(start + k) % len(shifts)] for k in range(_SHIFTS)]
    pairs = [(i, (i + shift) % n_parts) for shift in shifts for i in range(n_parts)]
    return dict.fromkeys((min(pair), max(pair)) for pair in pairs)


def _norms(items):
    """Return the sum of squares of each item."""
    squares = sp.csr_array((items.data**2, items.indices, items.indptr), items.shape)
    return squares @ np.ones(items.shape[1])


def _some(positions, nth):
    """Return the positions, or an even selection where they are many."""
    step = -(-len(positions) // _LOOKED_AT)
    return positions[nth % step :: step] if step > 1 else positions


def _largest(values):
    """Return the positions of the `n` largest values at most, increasing."""
    if len(values) <= _CANDIDATES:
        return np.arange(len(values))
    return np.sort(np.argpartition(-values, _CANDIDATES)[:_CANDIDATES])


def _best_swaps(pull_a, pull_b, gram, spare):
    """Return the candidates that leave each of two parts, as long as that helps.

    Those of the second part count on from those of the first. `spare` is how many
    items each part may give without one coming back.
    """
    n_a, n_b = len(pull_a), len(pull_b)
    # The last of each side is nothing at all: to swap with it is to move.
    pull_a, pull_b = np.append(pull_a, 0.0), np.append(pull_b, 0.0)
    norms = np.diag(gram)
    cost = np.zeros((n_a + 1, n_b + 1))
    cost[:-1, :-1] = norms[:n_a, None] + norms[None, n_a:] - 2 * gram[:n_a, n_a:]
    cost[:-1, -1], cost[-1, :-1] = norms[:n_a], norms[n_a:]
    gone, come, (spare_a, spare_b) = [], [], spare
    for _ in range(n_a + n_b):
        gains = pull_a[:, None] - pull_b[None, :] - cost
        if spare_a <= 0:
            gains[:, -1] = -np.inf
        if spare_b <= 0:
            gains[-1] = -np.inf
        i, j = divmod(int(np.argmax(gains)), n_b + 1)
        if not gains[i, j] > 1e-9:
            break
        leaves, comes = i < n_a, j < n_b
        shift = np.zeros(n_a + n_b)
        if leaves:
            gone.append(i)
            shift += 2 * gram[i]
        if comes:
            come.append(n_a + j)
            shift -= 2 * gram[n_a + j]
        spare_a, spare_b = spare_a + comes - leaves, spare_b + leaves - comes
        pull_a[:-1] -= shift[:n_a]
        pull_b[:-1] -= shift[n_a:]
        if leaves:
            pull_a[i] = -np.inf  # an item goes once
        if comes:
            pull_b[j] = np.inf
    return gone, come


def _gram(items):
    """Return the products of all pairs of items."""
    used = np.unique(items.indices)
    if items.nnz < 0.05 * len(used) * items.shape[0]:
        return (items @ items.T).toarray()
    dense = np.zeros((items.shape[0], len(used)))
    rows = np.repeat(np.arange(len(dense)), np.diff(items.indptr))
    dense[rows, np.searchsorted(used, items.indices)] = items.data
    return dense @ dense.T
