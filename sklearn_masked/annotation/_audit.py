"""Labeled cells that out-of-fold predictions contradict, and labels without them."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._typing import LabelsLike, Weights
from ..labels import MaskedLabels, cell_weights, check_labels
from ..labels.names import check_same_names
from ..metrics.cells import score_cells
from ._label_noise import estimate_noise
from ._recalibrate import rescale
from ._table import CellTable

AUDIT_DTYPE = np.dtype(
    [
        ("sample", np.intp),
        ("label", np.intp),
        ("value", np.int8),
        ("probability", np.float64),
        ("rescaled", np.float64),
        ("self_confidence", np.float64),
        ("margin", np.float64),
        ("issue", np.bool_),
    ]
)

NOISE_DTYPE = np.dtype(
    [
        ("label", np.intp),
        ("negative", np.float64),
        ("positive", np.float64),
        ("wrong_negative", np.float64),
        ("wrong_positive", np.float64),
        ("rate_negative", np.float64),
        ("rate_positive", np.float64),
        ("rate", np.float64),
    ]
)


class CellAudit:
    """What :func:`audit_cells` found.

    Attributes
    ----------
    table : CellTable of n_cells rows
        Every labeled cell, those of the least self-confidence first. Its fields:

        - `sample`, `label` (intp), `value` (int8): the cell and its value, 0 or 1;
        - `probability` (float64): of a positive, as it was given;
        - `rescaled` (float64): the same, made comparable between labels;
        - `self_confidence` (float64): the rescaled probability of the cell's value;
        - `margin` (float64): the given probability of the cell's value minus its mean
          over the cells of the label that have this value;
        - `issue` (bool): whether confident learning flags the cell.
    noise : CellTable of n_labels rows
        What is estimated of each label, in cells, or in weight where there are
        weights: the given `negative` and `positive`, those of them that are wrong,
        `wrong_negative` and `wrong_positive`, and the shares `rate_negative`,
        `rate_positive` and, of both, `rate`; NaN where there are no such cells.
    labels : MaskedLabels
        The labels that were audited.
    """

    def __init__(self, table: Any, noise: Any, labels: MaskedLabels) -> None:
        self.table = table
        self.noise = noise
        self.labels = labels

    def __repr__(self) -> str:
        n_issues = int(self.table["issue"].sum())
        wrong = (self.noise["wrong_negative"] + self.noise["wrong_positive"]).sum()
        return (
            f"CellAudit({len(self.table)} labeled cells, {n_issues} flagged, "
            f"{wrong:.1f} estimated wrong)"
        )

    def fix(
        self, which: Any = None, *, action: Literal["flip", "unlabel"] = "flip"
    ) -> MaskedLabels:
        """Return new labels in which some cells are corrected.

        Parameters
        ----------
        which : CellTable, int, slice, array or None, default=None
            Rows of `table`: a part of it (those that a person agreed to), the first
            so many, or a selection by slice, positions or booleans. None is all that
            is flagged.
        action : {"flip", "unlabel"}, default="flip"
            Whether these cells get the other value, or none.

        Returns
        -------
        MaskedLabels
            All other cells, the weights and the names are as they were.

        Raises
        ------
        ValueError
            If a cell is not labeled, or has another value than in the table; or
            `action` is another.
        """
        if action not in ("flip", "unlabel"):
            raise ValueError(f'`action` accepts "flip" or "unlabel"; got {action!r}.')
        table = self._rows(which)
        return _changed(self.labels, table, action)

    def _rows(self, which):
        if which is None:
            return self.table[self.table["issue"]]
        if isinstance(which, CellTable):
            known = self.labels.label_names
            check_same_names(which.label_names, known, "which", "the audited labels")
            return which
        if isinstance(which, int | np.integer) and not isinstance(which, bool):
            if which < 0:
                raise ValueError(f"`which` accepts a number from 0; got {which}.")
            return self.table[:which]
        return self.table[which]


def audit_cells(
    proba: ArrayLike, labels: LabelsLike, *, sample_weight: Weights = None
) -> CellAudit:
    """Rank labeled cells by how much out-of-fold predictions contradict them.

    Only labeled cells count: what `proba` holds in others is never read. The ranking
    is by the probability of a cell's own value, after the probabilities of all labels
    have been made comparable; how many cells of a label are wrong, and which are
    flagged, is estimated by confident learning [1]_, a label at a time.

    Parameters
    ----------
    proba : array-like of shape (n_samples, n_labels) or (n_cells,)
        Probabilities of positives by models that did not see the cell, as from
        :func:`sklearn_masked.model_selection.cross_val_predict`: for each cell, or for
        each labeled cell in the order of ``MaskedLabels.cells()``.
    labels : MaskedLabels or any other form of labels
        The labels to audit, of shape (n_samples, n_labels).
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_labels), \
default=None
        Weights of rows or cells, times those in `labels`, for what is estimated; 0 is
        as good as unlabeled.

    Returns
    -------
    CellAudit
        With the ranked `table`, the estimated `noise` of each label, and
        :meth:`CellAudit.fix`.

    Raises
    ------
    ValueError
        If a probability of a labeled cell is NaN or outside [0, 1], or a shape does
        not fit.
    TypeError
        If `proba` holds no numbers.

    See Also
    --------
    query_cells : Which cells to label next.

    Notes
    -----
    Probabilities are rescaled by a logistic regression of the values on their logits,
    with one slope for all labels, a shift a label and a unit ridge towards no change.

    For the noise, a cell counts as truly of a value if the probability of that value
    is at least its mean over the cells of the label that were given it; of both, the
    likelier. These counts, scaled to the given ones, estimate the wrong cells of each
    label and value. As many cells are flagged, those of the least probability of their
    value, as long as it is below 1/2. Weak models make this estimate too large; the
    order of the table does not depend on it.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang and I. Chuang (2021). Confident Learning: Estimating
       Uncertainty in Dataset Labels. Journal of Artificial Intelligence Research 70.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked.annotation import audit_cells
    >>> labels = np.array([[1, np.nan], [0, 0], [1, 1], [0, np.nan], [1, 0]])
    >>> proba = np.array([[0.9, 0.5], [0.1, 0.2], [0.8, 0.7], [0.95, 0.5], [0.8, 0.1]])
    >>> audit = audit_cells(proba, labels)
    >>> audit
    CellAudit(8 labeled cells, 1 flagged, 1.0 estimated wrong)
    >>> audit.table[0].item()[:3]  # sample, label, value
    (3, 0, 0)
    >>> audit.fix().to_dense()[3]
    array([ 1., nan])
    """
    labels = check_labels(labels)
    scored = score_cells(
        labels, proba, sample_weight, name="proba", kind="proba", truth="labels"
    )
    rows = _rows_of(labels, sample_weight)
    given = scored.positive.astype(np.intp)
    proba, cols = scored.scores.astype(np.float64), scored.cols
    noise = estimate_noise(cols, given, proba, scored.weights, labels.n_labels)
    table = np.empty(len(rows), AUDIT_DTYPE)
    table["sample"], table["label"], table["value"] = rows, cols, given
    table["probability"] = proba
    rescaled = rescale(cols, given, proba, scored.weights, labels.n_labels)
    table["rescaled"] = rescaled
    table["self_confidence"] = np.where(scored.positive, rescaled, 1 - rescaled)
    own = np.where(scored.positive, proba, 1 - proba)
    table["margin"] = own - noise.usual[cols, given]
    table["issue"] = _flag(table, own, noise, scored.weights)
    order = np.lexsort((cols, rows, own, table["self_confidence"]))
    return CellAudit(
        CellTable(table[order], labels.label_names),
        CellTable(_noise_table(noise), labels.label_names),
        labels,
    )


def _rows_of(labels, sample_weight):
    """Return the row of each labeled cell of weight above 0."""
    cells = labels.cells()
    weights = cell_weights(cells, sample_weight, labels)
    return cells.rows if weights is None else cells.rows[weights > 0]


def _flag(table, own, noise, weights):
    """Return which cells are flagged: as many of each label as are wrong in it."""
    weights = np.ones(len(table)) if weights is None else weights
    kinds = 2 * table["label"] + table["value"]
    order = np.lexsort((table["sample"], own, kinds))
    passed = np.cumsum(weights[order])
    kinds = kinds[order]
    first = np.flatnonzero(np.append(True, kinds[1:] != kinds[:-1])[: len(kinds)])
    before = (passed - weights[order])[first]
    passed -= np.repeat(before, np.diff(np.append(first, len(kinds))))
    wrong = np.stack([noise.joint[:, 0, 1], noise.joint[:, 1, 0]], axis=1).ravel()
    flagged = np.empty(len(table), bool)
    # Up to the cell that comes nearest to the estimate.
    flagged[order] = passed - weights[order] / 2 <= wrong[kinds]
    return flagged & (own < 0.5)


def _noise_table(noise):
    given = noise.given
    wrong = np.stack([noise.joint[:, 0, 1], noise.joint[:, 1, 0]], axis=1)
    table = np.empty(len(given), NOISE_DTYPE)
    table["label"] = np.arange(len(given))
    for value, name in enumerate(("negative", "positive")):
        table[name] = given[:, value]
        table[f"wrong_{name}"] = wrong[:, value]
        table[f"rate_{name}"] = _share(wrong[:, value], given[:, value])
    table["rate"] = _share(wrong.sum(axis=1), given.sum(axis=1))
    return table


def _share(part, whole):
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _changed(labels, table, action):
    """Return labels with the cells of a table flipped, or unlabeled."""
    rows = np.repeat(np.arange(len(labels)), np.diff(labels.indptr))
    stored = rows * labels.n_labels + labels.indices
    wanted, first = np.unique(
        table["sample"] * labels.n_labels + table["label"], return_index=True
    )
    table = table[first]
    at = np.searchsorted(stored, wanted)
    here = at < len(stored)
    here[here] = stored[at[here]] == wanted[here]
    _check_values(labels, table, at, here)
    new = 1 - table["value"] if action == "flip" else np.full(len(table), -1, np.int8)
    kept = np.ones(len(stored), bool)
    kept[at[here]] = False
    weights = np.ones(len(stored)) if labels.weights is None else labels.weights
    new_weights = np.ones(len(table))
    new_weights[here] = weights[at[here]]
    # Unlabeled is what "unlabeled" labels do not store.
    stays = (new >= 0) | (labels.fill == "negative")
    keys = np.concatenate([stored[kept], wanted[stays]])
    order = np.argsort(keys)
    rows, cols = np.divmod(keys[order], labels.n_labels)
    weights = np.concatenate([weights[kept], new_weights[stays]])[order]
    return MaskedLabels(
        np.append(0, np.cumsum(np.bincount(rows, minlength=len(labels)))),
        cols,
        np.concatenate([labels.values[kept], new[stays]])[order],
        labels.shape,
        fill=labels.fill,
        weights=None if labels.weights is None else weights,
    )._named_like(labels)


def _check_values(labels, table, at, here):
    """Raise for the first cell of a table whose value is not the labels' own."""
    absent = -1 if labels.fill == "unlabeled" else 0
    found = np.full(len(table), absent, np.int8)
    found[here] = labels.values[at[here]]
    wrong = np.flatnonzero(found != table["value"])
    if len(wrong):
        cell, value = table[wrong[0]], found[wrong[0]]
        raise ValueError(
            "`which` accepts cells of the audited labels; got value "
            f"{cell['value']} at sample {cell['sample']}, label {cell['label']}, which "
            f"is {'unlabeled' if value == -1 else value} there."
        )
