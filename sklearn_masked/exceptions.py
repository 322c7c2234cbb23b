"""Public warnings and errors of the package."""

__all__: list[str] = [
    "AssumedBaseRateWarning",
    "PriorShiftWarning",
    "RefitThresholdWarning",
    "RowOrderWarning",
    "SolverFallbackWarning",
]


class AssumedBaseRateWarning(UserWarning):
    """Labels are predicted from their descriptions at base rates that nobody stated."""


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
