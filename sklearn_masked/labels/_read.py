"""Every form of y as stored labels, or a refusal."""

import numpy as np
import scipy.sparse as sp

from ._dense import read_dense
from ._merge import stack
from ._row import LabelRow
from ._sparse import read_sparse
from ._store import LabelStore
from ._values import refuse_names


def read_labels(y):
    """Return y as a :class:`LabelStore`; one that is given comes back as it is."""
    if isinstance(y, LabelStore):
        return y
    if isinstance(y, LabelRow):
        raise ValueError(
            "`y` must be 2-D, (n_samples, n_labels); got one row of MaskedLabels. "
            "Take it as `labels[[i]]`."
        )
    if sp.issparse(y):
        return read_sparse(y, implicit=None)
    if _are_rows(y):
        return _join_rows(y)
    refuse_names(y)
    return read_dense(y)


def _are_rows(y):
    """Return whether y is a sequence of rows of MaskedLabels."""
    if isinstance(y, np.ndarray):
        if y.dtype != object or y.ndim != 1:
            return False
    elif not isinstance(y, list | tuple):
        return False
    of_labels = [isinstance(row, LabelRow) for row in y]
    if any(of_labels) and not all(of_labels):
        raise ValueError(
            "`y` mixes rows of MaskedLabels with something else; pass MaskedLabels."
        )
    return any(of_labels)


def _join_rows(rows):
    """Return the labels that these rows are rows of, which may be several."""
    sources = {id(row.labels): row.labels for row in rows}
    starts = np.cumsum([0, *(len(labels) for labels in sources.values())]).tolist()
    offset = dict(zip(sources, starts, strict=False))
    labels = stack(list(sources.values()))
    return labels[[offset[id(row.labels)] + row.position for row in rows]]


def refuse_soft(labels):
    """Raise for soft labels, which are for training alone."""
    if labels.soft:
        raise ValueError(
            "Hard labels, 1 or 0 per cell, are needed here; got soft MaskedLabels, "
            "which are for training alone. Evaluate on labels that somebody confirmed, "
            "or pass `labels.hard(threshold=0.5)`."
        )
