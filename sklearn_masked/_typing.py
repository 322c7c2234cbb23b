"""Names of the hints: what scikit-learn calls X, labels in any form, random states."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

# No common type covers what these accept: lists, arrays, sparse matrices, and data
# frames of three libraries that need not be installed.
MatrixLike: TypeAlias = Any
LabelsLike: TypeAlias = Any
Names: TypeAlias = Sequence[Any] | np.ndarray | None  # of labels, or ids of samples
Weights: TypeAlias = ArrayLike | None
RandomState: TypeAlias = int | np.random.RandomState | None
PerLabel: TypeAlias = Any  # a number, an array of shape (n_labels,), or a dict by names
