"""From estimators, labels and scores to the cells of the labels that are drawn."""

from numbers import Integral

import numpy as np

from ..labels.names import check_same_rows
from ..labels.select import label_positions
from ..metrics.averaging import Limits, warn_unscored
from ..metrics.bootstrap import rows_of_cells
from ..metrics.cells import score_cells
from ..metrics.responses import labels_for, predict_cells

SCORES = ("decision_function", "predict_proba")


def estimator_cells(estimator, X, y, response_method):
    """Return labels, and the estimator's predictions of their labeled cells."""
    if response_method == "auto":
        response_method = SCORES
    elif response_method not in SCORES:
        raise ValueError(
            "`response_method` accepts 'auto', 'decision_function' or "
            f"'predict_proba'; got {response_method!r}."
        )
    check_same_rows(X=X, y=y)
    labels, classes = labels_for(estimator, X, y)
    return labels, predict_cells(estimator, response_method, X, labels, classes)


def drawn_cells(
    y_true, y_score, sample_weight, *, labels, name, kind, least, stacklevel
):
    """Return scored cells of labels with at least `least` of each class, and rows."""
    cells = score_cells(y_true, y_score, sample_weight, name=name, kind=kind)
    rows = rows_of_cells(y_true, sample_weight)
    if labels is not None:
        places = _places(labels, cells)
        if not len(places):
            raise ValueError("`labels` accepts names or positions of labels; got none.")
        cells, rows = _take_labels(cells, rows, places)
    limits = Limits(*least)
    scored = limits.met_by(cells)
    if not scored.any():
        raise ValueError(
            f"`y_true` must have {limits} of some label to draw; got none."
        )
    if not scored.all():
        warn_unscored(cells.names, scored, limits, stacklevel + 1)
        cells, rows = _take_labels(cells, rows, np.flatnonzero(scored))
    return cells, rows


def _places(labels, cells):
    """Return the positions of labels; names that are integers are names here."""
    names = [] if cells.names is None else cells.names.tolist()
    if not any(isinstance(name, Integral) for name in names):
        return label_positions(labels, cells.names, cells.n_labels)
    labels = np.asarray(labels, dtype=object).ravel().tolist()
    for label in labels:
        if label not in names:
            raise IndexError(
                f"`labels` accepts the names of labels, such as {names[:5]}, where "
                f"they are integers; got {label!r}."
            )
    return np.array([names.index(label) for label in labels], dtype=np.intp)


def _take_labels(cells, rows, places):
    """Return the cells of some labels, and their rows, counted anew."""
    where = np.full(cells.n_labels, -1)
    where[places] = np.arange(len(places))
    cols = where[cells.cols]
    kept = cols >= 0
    names = places if cells.names is None else cells.names[places]
    cells = cells._replace(
        cols=cols[kept],
        positive=cells.positive[kept],
        scores=cells.scores[kept],
        weights=None if cells.weights is None else cells.weights[kept],
        n_labels=len(places),
        names=names,
    )
    return cells, np.unique(rows[kept], return_inverse=True)[1]
