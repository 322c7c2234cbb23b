"""Weights for cells whose chance to be labeled is known."""

from numbers import Real

import numpy as np
import scipy.sparse as sp

from .._typing import LabelsLike, MatrixLike
from ..labels import MaskedLabels, check_labels
from ..labels.names import check_same_columns, check_same_rows
from ..labels.per_label import as_floats
from ..metrics.cells import label_name


def inverse_propensity_weights(
    y: LabelsLike, propensities: MatrixLike, *, clip: float | None = None
) -> MaskedLabels:
    """Return labels whose cells weigh the inverse of their chance to be labeled.

    Each labeled cell then stands for the cells like it that were not labeled: a mean
    over weighted cells (log loss, Brier score, calibration error) and a ratio of such
    (precision, recall, ROC AUC) estimate what all cells would give (Horvitz and
    Thompson 1952). Whatever takes `MaskedLabels` heeds the weights: metrics, models,
    calibrators, threshold tuners. Unlabeled cells stay unlabeled.

    Parameters
    ----------
    y : MaskedLabels or any other form of labels, (n_samples, n_labels)
        The labels. Weights that they carry are multiplied.
    propensities : array-like or sparse matrix of shape (n_samples, n_labels), or \
array-like of shape (n_cells,)
        The probability with which each cell was chosen, as the sampler recorded it:
        for every cell, or for the labeled ones in the order of
        ``MaskedLabels.cells()``. What stands in unlabeled cells is never read.
    clip : float, default=None
        A propensity below this counts as this, so that no weight is above
        ``1 / clip``: less variance for some bias. None clips nothing.

    Returns
    -------
    MaskedLabels
        The same cells with weights, stored one by one (``fill="unlabeled"``).

    Raises
    ------
    ValueError
        If a labeled cell has no propensity above 0 and up to 1, a shape does not fit,
        or `clip` is no probability.

    See Also
    --------
    estimate_prevalence : Prevalences from weighted cells.

    Notes
    -----
    When is ROC AUC on sought cells biased? Not if the choice of a cell depended on
    its truth alone: AUC compares positives with negatives, and more of either changes
    nothing *within one label*. It is biased

    - if the choice depended on something that goes with the score: annotators looked
      at what a model or a keyword found (their negatives are the hard ones, and AUC
      comes out too low), or at what a model was unsure of;
    - if cells of several labels are pooled (``average="micro"``) and the labels were
      sought at different rates.

    Average precision, precision, F1, log loss, Brier score and calibration error
    depend on the share of positives too, and so are biased in any case. What to do:
    record the probability with which each cell was chosen and weight by its inverse,
    which takes that *no* cell had a chance of zero; where it is not known, let some
    cells be labeled that were drawn at random and measure on these. Recall at a
    threshold needs only that the positives are a fair sample.

    References
    ----------
    Horvitz and Thompson, A generalization of sampling without replacement from a
    finite universe, Journal of the American Statistical Association 47, 1952.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.calibration import inverse_propensity_weights
    >>> from sklearn_masked.metrics import masked_brier_score_loss
    >>> y = np.array([[1, np.nan], [np.nan, 0], [0, 1]])
    >>> chosen_with = np.array([[1.0, 0.2], [0.5, 0.25], [0.5, 0.5]])
    >>> labels = inverse_propensity_weights(y, chosen_with)
    >>> labels.weights
    array([1., 4., 2., 2.])
    >>> proba = np.array([[0.5, 0.5], [0.5, 0.1], [0.2, 0.5]])
    >>> masked_brier_score_loss(labels, proba)
    0.1
    """
    check_same_rows(y=y, propensities=propensities)
    labels = check_labels(y)
    check_same_columns(propensities, labels.label_names, "propensities", "`y`")
    if clip is not None and not (isinstance(clip, Real) and 0 < clip <= 1):
        raise ValueError(
            f"`clip` accepts a probability above 0, up to 1, or None; got {clip!r}."
        )
    cells = labels.cells()
    chances = _of_cells(propensities, labels, cells)
    good = (chances > 0) & (chances <= 1)
    if not good.all():
        bad = int(np.argmin(good))
        raise ValueError(
            "`propensities` accepts probabilities above 0 and up to 1 in labeled "
            f"cells; got {chances[bad]} at sample {cells.rows[bad]}, label "
            f"{label_name(labels.label_names, cells.cols[bad])}."
        )
    if clip is not None:
        chances = np.maximum(chances, clip)
    weights = 1 / chances
    if cells.weights is not None:
        weights = weights * cells.weights
    return MaskedLabels.from_cells(
        cells.rows, cells.cols, cells.values, shape=labels.shape, weights=weights
    )._named_like(labels)


def _of_cells(propensities, labels, cells):
    """Return the propensity of each labeled cell."""
    if sp.issparse(propensities):
        found = propensities.shape
        if found == labels.shape:
            return np.asarray(propensities.tocsr()[cells.rows, cells.cols]).ravel()
    else:
        propensities = np.asarray(propensities)
        found = propensities.shape
        if propensities.dtype.kind not in "biufO":
            raise TypeError(
                "`propensities` accepts numbers; got an array of dtype "
                f"{propensities.dtype}."
            )
        if found == labels.shape:
            return as_floats(propensities[cells.rows, cells.cols], "propensities")
        if found == (len(cells.rows),):
            return as_floats(propensities, "propensities")
    raise ValueError(
        f"`propensities` accepts shape {labels.shape}, as `y` has, or one value for "
        f"each of its {len(cells.rows)} labeled cells, row by row; got shape {found}."
    )
