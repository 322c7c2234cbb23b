"""The choice among candidates: quotas, cells asked for already, near-duplicates."""

import numpy as np
import scipy.sparse as sp


class Choice:
    """Cells chosen so far, and what they leave room for."""

    def __init__(self, label_quota, sample_quota, n_labels, similar=None):
        self.room = label_quota.tolist()
        self.sample_quota = sample_quota
        self.n_labels = n_labels
        self.similar = similar
        self.cells, self.per_sample, self.by_label = set(), {}, {}

    def note(self, rows, cols):
        """Count cells that were chosen without regard to the rest."""
        for row, col in zip(rows.tolist(), cols.tolist(), strict=True):
            self._count(row, col)

    def choose(self, cells, n_cells):
        """Return positions of the first cells, n_cells at most, that there is room for.

        Parameters
        ----------
        cells : Candidates
            In the order in which they are wanted.
        n_cells : int
            How many.
        """
        chosen = []
        pairs = zip(cells.rows.tolist(), cells.cols.tolist(), strict=True)
        for i, (row, col) in enumerate(pairs):
            if len(chosen) == n_cells:
                break
            if self._fits(row, col):
                self._count(row, col)
                chosen.append(i)
        return np.array(chosen, dtype=np.intp)

    def _fits(self, row, col):
        if self.room[col] <= 0 or row * self.n_labels + col in self.cells:
            return False
        quota = self.sample_quota
        if quota is not None and self.per_sample.get(row, 0) >= quota:
            return False
        return self.similar is None or not self.similar.any(
            row, self.by_label.get(col, ())
        )

    def _count(self, row, col):
        self.room[col] -= 1
        self.cells.add(row * self.n_labels + col)
        self.per_sample[row] = self.per_sample.get(row, 0) + 1
        self.by_label.setdefault(col, []).append(row)


class Similar:
    """Whether a row of X is nearly the same as one of some others, by cosine."""

    def __init__(self, X, most):
        self.X = X.tocsr() if sp.issparse(X) else np.asarray(X)
        self.most = most
        self._rows = {}

    def any(self, row, others):
        """Tell whether the cosine with one of the other rows is above the limit."""
        if not len(others):
            return False
        scratch = np.zeros(self.X.shape[1])
        at, values = self._unit(row)
        scratch[at] = values
        pairs = (self._unit(other) for other in others)
        return any(scratch[at] @ values > self.most for at, values in pairs)

    def _unit(self, row):
        """Return where a row is not zero, and its values there at length 1."""
        if row not in self._rows:
            if sp.issparse(self.X):
                stored = slice(self.X.indptr[row], self.X.indptr[row + 1])
                at, values = self.X.indices[stored], self.X.data[stored]
            else:
                at, values = slice(None), self.X[row]
            values = values.astype(np.float64)
            length = np.linalg.norm(values)
            self._rows[row] = at, values / (length if length else 1)
        return self._rows[row]
