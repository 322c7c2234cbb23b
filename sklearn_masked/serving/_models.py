"""Models that give a score a label: those of the package, and linear ones."""

import numpy as np
import scipy.sparse as sp
from scipy.special import expit

from ._pairs import PairTable
from ._rows import as_csr, canonical, refuse_infinite

_LARGEST = np.finfo(np.float32).max
# As sklearn_masked.nn.model has it: of the number of a row's features.
_COUNTS, _FARTHEST = 0.3, 4.0


class Model:
    """Base of models: they have `decision` and `proba`, arrays of a column a label."""

    def positive(self, X):
        """Return which labels are predicted positive."""
        return self.decision(X) > 0

    def both(self, X):
        """Return the probabilities of the two classes of a single label."""
        proba = self.proba(X)
        return np.hstack([1 - proba, proba])


class DirectShared(Model):
    """The default model: its formula is in docs/algorithm.md.

    Parameters
    ----------
    part : Part
        The arrays of the module. `output` has :math:`s` in it, and `quadratic` has
        :math:`q`, and the upper triangle of each label's matrix alone.
    """

    takes = "numbers"

    def __init__(self, part):
        self.n_in = n = part.setting("n_features", int)
        self.embedding = part.array("embedding", (None, None))
        n_kept, dim = self.embedding.shape
        self.embedding_row = None
        if "embedding_row" in part.arrays:
            self.embedding_row = part.positions("embedding_row", (n,), n_kept)
        elif n_kept != n:
            part.refuse(f"its embedding is of {n_kept} features, and X of {n}")
        self.output = part.array("output", (dim, None)).astype(np.float64)
        self.n_labels = labels = self.output.shape[1]
        self.bias, self.slope, self.intercept = (
            part.array(name, (labels,)) for name in ("bias", "slope", "intercept")
        )
        self.feature_scale = part.array("feature_scale", (n,))
        self.shift, self.std = (
            part.array(name, (n,), default=None) for name in ("shift", "std")
        )
        self.direct = None
        if "direct" in part.arrays:
            self.direct = part.array("direct", (n, labels))
        elif "pair_weight" in part.arrays:
            self.direct = PairTable(part, n, labels)
        self.common = part.array("common", (n,), default=None)
        self.length_weight = part.array("length_weight", (labels,), default=None)
        if self.length_weight is not None:
            self.length_mean, self.length_std = (
                np.float32(part.setting(name, float))
                for name in ("length_mean", "length_std")
            )
        self.quadratic = None
        if "quadratic" in part.arrays:
            # Of the last dimensions: those of some blocks of features, or all.
            if "paired_dim" in part.settings:
                dim = part.setting("paired_dim", int)
            triangles = part.array("quadratic", (labels, dim * (dim + 1) // 2))
            self.quadratic = np.zeros((labels, dim, dim), np.float32)
            self.quadratic[:, *np.triu_indices(dim)] = triangles
        # NaN, or the logit of a label that was never labeled.
        self.constant = part.array("constant", (labels,), default=None)

    @property
    def centered(self):
        """Whether the columns are, so that rows must be arrays."""
        return self.shift is not None

    def decision(self, X):
        """Return the logits, float32."""
        return self._logits(X).astype(np.float32)

    def proba(self, X):
        """Return the probabilities, strictly between 0 and 1."""
        return probabilities(self._logits(X))

    def _logits(self, X):
        """Return the logits, float64: the sum of the paths takes no rounding."""
        X = _read(X, self.centered)
        embedded, scaled = self._array(X) if self.centered else self._sparse(X)
        logits = embedded.astype(np.float64) @ self.output
        logits += self.bias
        if self.quadratic is not None:
            if (dim := self.quadratic.shape[1]) < embedded.shape[1]:
                embedded = _unit(embedded[:, -dim:])
            for label, matrix in enumerate(self.quadratic):
                logits[:, label] += np.einsum("nd,nd->n", embedded @ matrix, embedded)
        if self.length_weight is not None:
            logits += self._lengths(X)[:, None] * self.length_weight
        if self.direct is not None:
            of_pairs = isinstance(self.direct, PairTable)
            logits += self.direct.times(scaled) if of_pairs else scaled @ self.direct
        if self.common is not None:
            logits += (scaled @ self.common)[:, None]
        logits *= self.slope
        logits += self.intercept
        return _checked(logits, self.constant)

    def both(self, X):
        """Return the probabilities of the two classes of a single label."""
        logits = self._logits(X)
        return probabilities(np.hstack([-logits, logits]))

    def _array(self, X):
        """Return rows of an array embedded, and as the direct path takes them."""
        with np.errstate(over="ignore"):
            X = np.clip(X - self.shift, -_LARGEST, _LARGEST)
            rows = X if self.std is None else np.clip(X / self.std, -_LARGEST, _LARGEST)
        return _unit(_bounded(rows) @ self.embedding), X * self.feature_scale

    def _sparse(self, X):
        """Return rows of a CSR embedded, and as the direct path takes them."""
        data = X.data * self.feature_scale[X.indices]
        scaled = sp.csr_array((data, X.indices, X.indptr), shape=X.shape)
        if self.embedding_row is not None:
            rows = self.embedding_row[X.indices]
            shape = X.shape[0], len(self.embedding)
            X = sp.csr_array((X.data, rows, X.indptr), shape=shape)
        return _unit(_bounded(X @ self.embedding)), scaled

    def _lengths(self, X):
        """Return what rows of so many features have beside their embedding."""
        count = np.log1p(np.diff(X.indptr).astype(np.float32))
        count = (count - self.length_mean) / self.length_std
        return np.float32(_COUNTS) * np.clip(count, -_FARTHEST, _FARTHEST)


class EmbeddingBag(DirectShared):
    """The classic model: an embedding bag, then a linear layer."""

    def __init__(self, part):
        self.n_in = part.setting("n_features", int)
        self.embedding = part.array("embedding", (self.n_in, None))
        dim = self.embedding.shape[1]
        self.output = part.array("output", (dim, None)).astype(np.float64)
        self.n_labels = labels = self.output.shape[1]
        self.bias = part.array("bias", (labels,))
        self.mode = part.setting("mode", str, among=("sum", "mean"))
        self.constant = part.array("constant", (labels,), default=None)

    def _logits(self, X):
        X = _read(X, False)
        hidden = (X @ self.embedding).astype(np.float64)
        if self.mode == "mean":
            totals = np.asarray(abs(X).sum(axis=1))[:, None]
            hidden /= np.where(totals > 0, totals, 1)
        return _checked(hidden @ self.output + self.bias, self.constant)


class Linear(Model):
    """Linear models, one per label, that are stacked."""

    takes = "numbers"

    def __init__(self, part):
        dtype = part.arrays["coef"].dtype.str
        self.coef = part.array("coef", (None, None), dtype)
        self.n_in, self.n_labels = self.coef.shape
        self.intercept = part.array("intercept", (self.n_labels,), dtype)
        # NaN, or the probability of a label that has no model.
        self.rate = part.array("rate", (self.n_labels,), "<f8", default=None)

    def decision(self, X):
        """Return the scores."""
        refuse_infinite(X)
        return X @ self.coef + self.intercept

    def proba(self, X):
        """Return the probabilities, those of a logistic model."""
        proba = expit(self.decision(X).astype(np.float64, copy=False))
        return proba if self.rate is None else np.where(self.rate > 0, self.rate, proba)


def probabilities(logits):
    """Return the sigmoid in float64, strictly between 0 and 1."""
    proba = expit(logits)
    return np.clip(proba, np.nextafter(0, 1), np.nextafter(1, 0), out=proba)


def _read(X, as_array):
    """Return rows as the package's own models take them, in float32."""
    with np.errstate(over="ignore"):
        X = X.astype(np.float32, copy=False)
    refuse_infinite(X)
    if as_array:
        return X.toarray() if sp.issparse(X) else X
    return canonical(as_csr(X))


def _checked(logits, constant):
    """Return logits, those of labels without a labeled cell replaced; none is NaN."""
    if logits.size and np.isnan(logits.min()):
        raise ValueError(
            "A logit is NaN: the numbers of `X` are too large for the model. Scale X "
            "as the rows were that the model was fitted on."
        )
    if constant is not None:
        logits = np.where(np.isnan(constant), logits, constant)
    return logits


def _bounded(rows):
    """Divide each row by its largest absolute entry so that squares cannot overflow."""
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    return rows / np.where(largest > 0, largest, 1)


def _unit(rows):
    """Divide each row by its length; a row of zeros stays so."""
    length = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return rows / np.where(length > 0, length, 1)
