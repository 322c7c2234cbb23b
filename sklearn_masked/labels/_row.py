"""One row of labels, as scikit-learn gets it when it asks for an array."""

from typing import Any

import numpy as np

_RECODED = (
    "scikit-learn tried to recode labels with unlabeled cells as if they were "
    "classes, which would read them as negatives. Use "
    "sklearn_masked.model_selection.cross_val_predict, which keeps them."
)
_NO_CLASSES = (
    "Rows of MaskedLabels are no classes: neither metrics of scikit-learn, such as "
    'scoring="roc_auc", nor its stratified splits read unlabeled cells. Take those of '
    "sklearn_masked.metrics, such as scoring=masked_roc_auc_scorer, and of "
    "sklearn_masked.model_selection."
)


class LabelRow:
    """One row of :class:`MaskedLabels`: what scikit-learn gets when it asks for one.

    It has no hash, and is not compared with itself for NaN: code that would count it as
    a class, or a metric of scikit-learn, stops, with a sentence. It
    cannot be indexed either, or numpy would take it for a sequence and make a 2-D
    array of numbers out of several.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_masked import MaskedLabels
    >>> row = MaskedLabels.from_dense([[1, np.nan, 0]], label_names=["a", "b", "c"])[0]
    >>> row
    LabelRow(a: 1, c: 0)
    >>> row.to_dense()
    array([ 1., nan,  0.])
    """

    __slots__ = ("labels", "position")

    def __init__(self, labels: Any, position: int) -> None:
        self.labels: Any = labels
        self.position: int = position

    @property
    def label_names(self) -> np.ndarray | None:
        """Names of the labels, or None."""
        return self.labels.label_names

    def __len__(self) -> int:
        return self.labels.n_labels

    def to_dense(self) -> np.ndarray:
        """Return the row as float64 of shape (n_labels,), NaN where unlabeled."""
        return self._alone().to_dense()[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabelRow):
            return NotImplemented
        return self._alone() == other._alone()

    def __ne__(self, other: object) -> bool:
        if other is self:  # how scikit-learn looks for NaN
            raise ValueError(_NO_CLASSES)
        return not self == other

    def __hash__(self) -> int:
        raise ValueError(_RECODED)

    def __lt__(self, other: object) -> None:
        raise TypeError(_NO_CLASSES)

    def __repr__(self) -> str:
        cells = self._alone().cells()
        names = self.label_names
        shown = ", ".join(
            f"{col if names is None else names[col]!s}: {value:.4g}"
            for col, value in zip(cells.cols[:8], cells.values[:8], strict=True)
        )
        return f"LabelRow({shown}{', ...' if len(cells.cols) > 8 else ''})"

    def _alone(self):
        """Return MaskedLabels of this row alone."""
        return self.labels[self.position : self.position + 1]
