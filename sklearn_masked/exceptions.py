"""Public warnings and errors of the package."""

__all__: list[str] = [
    "PriorShiftWarning",
    "RefitThresholdWarning",
    "SolverFallbackWarning",
]


class SolverFallbackWarning(UserWarning):
    """The labels led to another solver than the parameters ask for."""


class PriorShiftWarning(UserWarning):
    """Probabilities are shifted to traffic, and the thresholds' figures are not."""


class RefitThresholdWarning(UserWarning):
    """Thresholds do not suit the scores of the estimator fitted on all rows."""
