"""Unlabeled cells by chance, without a list of all of them."""

import numpy as np

# Size up to which numpy may list all that it draws from.
_LISTED = 1 << 23


def draw_unlabeled(
    indptr: np.ndarray,
    indices: np.ndarray,
    n_labels: int,
    n_cells: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw cells that are not stored in a CSR, all alike, without replacement."""
    lengths = np.diff(indptr)
    first = np.append(0, np.cumsum(n_labels - lengths))
    drawn = _draw_distinct(int(first[-1]), n_cells, rng)
    drawn_rows = np.searchsorted(first, drawn, side="right") - 1
    nth = drawn - first[drawn_rows]
    # Before the i-th stored column c of a row stand c - i others.
    rows = np.repeat(np.arange(len(lengths)), lengths)
    before = indices - (np.arange(len(rows)) - indptr[rows])
    keys, wanted = (
        row * (n_labels + 1) + at for row, at in ((rows, before), (drawn_rows, nth))
    )
    passed = np.searchsorted(keys, wanted, side="right") - indptr[drawn_rows]
    return drawn_rows, nth + passed


def _draw_distinct(n, n_drawn, rng):
    """Draw different integers below n in memory that follows those drawn."""
    if n <= max(_LISTED, 2 * n_drawn):
        return rng.choice(n, n_drawn, replace=False, shuffle=False)
    drawn = np.empty(0, np.int64)
    while len(drawn) < n_drawn:
        more = rng.integers(n, size=2 * (n_drawn - len(drawn)))
        drawn = np.unique(np.concatenate([drawn, more]))
    return rng.permutation(drawn)[:n_drawn]
