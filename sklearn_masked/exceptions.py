"""Public warnings and errors of the package."""

__all__: list[str] = [
    "PriorShiftWarning",
    "RefitThresholdWarning",
    "RowOrderWarning",
    "SolverFallbackWarning",
]


class SolverFallbackWarning(UserWarning):
    """The labels led to another solver than the parameters ask for."""


class PriorShiftWarning(UserWarning):
    """Probabilities are shifted to traffic, and the thresholds' figures are not."""


class RefitThresholdWarning(UserWarning):
    """Thresholds do not suit the scores of the estimator fitted on all rows."""


class RowOrderWarning(UserWarning):
    """Two arguments have the same row index in another order.

    Rows are matched by position, so that each row would get the labels, or the weight,
    of another one. Only pandas objects have a row index, and `MaskedLabels` made from
    one, or with `sample_ids`.
    """
