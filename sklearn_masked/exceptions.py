"""Public warnings and errors of the package."""

__all__: list[str] = [
    "AnswerNotSavedError",
    "AssumedBaseRateWarning",
    "DamagedLogError",
    "FewerCellsWarning",
    "FolderInUseError",
    "ModelNotSavedWarning",
    "PriorShiftWarning",
    "RefitThresholdWarning",
    "RowOrderWarning",
    "SolverFallbackWarning",
    "TornAnswerWarning",
    "UnknownSeedWarning",
    "UnreadableModelWarning",
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


class FewerCellsWarning(UserWarning):
    """A query found fewer cells than asked for: quotas, diversity or labels forbid."""


class AnswerNotSavedError(OSError):
    """An answer or a batch could not be written; the folder is as it was before."""


class DamagedLogError(ValueError):
    """A file of answers holds something that the loop did not write there."""


class FolderInUseError(RuntimeError):
    """Another process works with the folder."""


class TornAnswerWarning(UserWarning):
    """The last line was cut short by a crash, and is set aside: nobody relied on it."""


class ModelNotSavedWarning(UserWarning):
    """A model could not be written; the answers are not concerned."""


class UnreadableModelWarning(UserWarning):
    """A saved model could not be read; the answers are not concerned."""


class UnknownSeedWarning(UserWarning):
    """The seeds of a label share no word with the texts of the pool."""
