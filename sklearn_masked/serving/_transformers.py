"""Scalers and unions of features, as scikit-learn computes them."""

import numpy as np
import scipy.sparse as sp

from ._rows import as_csr, as_floats


class Scaler:
    """Columns shifted and scaled: StandardScaler, MinMaxScaler and MaxAbsScaler."""

    takes = "numbers"

    def __init__(self, part):
        self.n_in = self.n_out = n = part.setting("n_features", int)
        self.shift, self.divisor, self.factor, self.offset = (
            part.array(name, (n,), "<f8", default=None)
            for name in ("shift", "divisor", "factor", "offset")
        )
        self.clip = None
        if "low" in part.settings:
            self.clip = part.setting("low", float), part.setting("high", float)

    def transform(self, X):
        """Return the rows scaled, in their dtype if it is of floats."""
        X = as_floats(X)
        if sp.issparse(X):
            return self._transform_sparse(as_csr(X))
        X = np.array(X)
        if self.shift is not None:
            X -= self.shift
        if self.divisor is not None:
            X /= self.divisor
        if self.factor is not None:
            X *= self.factor
        if self.offset is not None:
            X += self.offset
        return X if self.clip is None else np.clip(X, *self.clip)

    def _transform_sparse(self, X):
        if not (self.shift is None and self.offset is None):
            raise ValueError(
                "`X` accepts an array where its columns are shifted, as the rows were "
                "that the model was fitted on; got a sparse matrix."
            )
        X = X.copy()
        if self.divisor is not None:
            X.data *= (1 / self.divisor)[X.indices]
        if self.clip is not None:
            np.clip(X.data, *self.clip, out=X.data)
        return X


class FeatureUnion:
    """The features of several transformers side by side."""

    def __init__(self, part, transformers):
        self.transformers = transformers
        self.takes, self.n_in = transformers[0].takes, transformers[0].n_in
        if len({(one.takes, one.n_in) for one in transformers}) > 1:
            part.refuse("its transformers take other rows")
        self.n_out = sum(one.n_out for one in transformers)
        self.factors = part.array("factors", (len(transformers),), "<f8")

    def transform(self, X):
        """Return the features of rows."""
        blocks = [
            one.transform(X) * factor
            for one, factor in zip(self.transformers, self.factors, strict=True)
        ]
        if any(sp.issparse(block) for block in blocks):
            return sp.hstack(blocks, format="csr")
        return np.hstack(blocks)
