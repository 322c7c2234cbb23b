"""Public warnings and errors of the package."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # see `__getattr__`

    class UnscoredLabelsWarning(UserWarning):
        """Labels with too few labeled cells are left out of a metric's average."""


__all__: list[str] = [
    "AnswerNotSavedError",
    "AssumedBaseRateWarning",
    "DamagedLogError",
    "DeviceWarning",
    "FallbackThresholdWarning",
    "FewerCellsWarning",
    "FolderInUseError",
    "IgnoredWeightsWarning",
    "ImplicitNegativesWarning",
    "InterruptedFitWarning",
    "KernelWarning",
    "ModelNotSavedWarning",
    "OneClassLabelWarning",
    "OneSidedLabelsWarning",
    "PooledCalibrationWarning",
    "PriorShiftWarning",
    "RareLabelWarning",
    "RefitThresholdWarning",
    "ReversedScoresWarning",
    "RowOrderWarning",
    "SamplesSetAsideWarning",
    "ServedFileError",
    "SolverFallbackWarning",
    "TornAnswerWarning",
    "UnknownSeedWarning",
    "UnlabeledLabelWarning",
    "UnreadableModelWarning",
    "UnscoredLabelsWarning",  # noqa: F822, made below
    "UnservableModelError",
    "VersionWarning",
]


# Labels, and the order of their rows.


class UnlabeledLabelWarning(UserWarning):
    """A label has no labeled cell to learn from."""


class OneSidedLabelsWarning(UserWarning):
    """No cell of the label matrix is negative, or none is positive."""


class ImplicitNegativesWarning(UserWarning):
    """A sparse y of positives alone, most rows of it empty, is read as all decided."""


class OneClassLabelWarning(UserWarning):
    """The labeled cells of a label are all positive, or all negative."""


class RareLabelWarning(UserWarning):
    """A label has too few positive or negative cells for a part of every split."""


class RowOrderWarning(UserWarning):
    """Two arguments have the same row index in another order.

    Rows are matched by position, so that each row would get the labels, or the weight,
    of another one. Only pandas objects have a row index, and `MaskedLabels` made from
    one, or with `sample_ids`.
    """


# Fitted models.


class AssumedBaseRateWarning(UserWarning):
    """Labels are predicted from their descriptions at base rates that nobody stated."""


class SolverFallbackWarning(UserWarning):
    """The labels led to another solver than the parameters ask for."""


class InterruptedFitWarning(UserWarning):
    """The training was interrupted; the weights learned so far are kept."""


class DeviceWarning(UserWarning):
    """A model asks for a device that this machine does not have."""


class KernelWarning(UserWarning):
    """The faster kernels cannot be used on a device."""


class VersionWarning(UserWarning):
    """A model was saved with other versions than those that load it."""


# Calibration and thresholds.


class IgnoredWeightsWarning(UserWarning):
    """The wrapped estimator takes no weights: only the outer one uses them."""


class PooledCalibrationWarning(UserWarning):
    """Labels with too few cells are calibrated by the map of all labels together."""


class ReversedScoresWarning(UserWarning):
    """Left-out cells of labels are ranked backwards: calibration reverses the order."""


class FallbackThresholdWarning(UserWarning):
    """Labels have the fallback for a threshold: too few cells, or no promise kept."""


class PriorShiftWarning(UserWarning):
    """Probabilities are shifted to traffic, and the thresholds' figures are not."""


class RefitThresholdWarning(UserWarning):
    """Thresholds do not suit the scores of the estimator fitted on all rows."""


# Annotation.


class FewerCellsWarning(UserWarning):
    """A query found fewer cells than asked for: quotas, diversity or labels forbid."""


class AnswerNotSavedError(OSError):
    """An answer or a batch could not be written; the folder is as it was before."""


class DamagedLogError(ValueError):
    """A file of answers holds something that the loop did not write there."""


class FolderInUseError(RuntimeError):
    """Another process works with the folder."""


class SamplesSetAsideWarning(UserWarning):
    """Answered samples are not in the pool; the log keeps their answers."""


class TornAnswerWarning(UserWarning):
    """The last line was cut short by a crash, and is set aside: nobody relied on it."""


class ModelNotSavedWarning(UserWarning):
    """A model could not be written; the answers are not concerned."""


class UnreadableModelWarning(UserWarning):
    """A saved model could not be read; the answers are not concerned."""


class UnknownSeedWarning(UserWarning):
    """The seeds of a label share no word with the texts of the pool."""


# Files of predictors.


class ServedFileError(ValueError):
    """A file is not that of a predictor, is truncated, was changed, or is too new."""


class UnservableModelError(ValueError):
    """A model cannot be exported, or its file would not predict as it does."""


# Metrics.


def __getattr__(name: str) -> type:
    """Make the warning that is one of scikit-learn's: labels and predictors need none.

    They load where scikit-learn is not installed.
    """
    if name != "UnscoredLabelsWarning":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sklearn.exceptions import UndefinedMetricWarning

    class UnscoredLabelsWarning(UndefinedMetricWarning):
        """Labels with too few labeled cells for a metric are left out of its average.

        One warning per call, which names ten labels at most. A subclass of
        scikit-learn's :class:`~sklearn.exceptions.UndefinedMetricWarning`.
        """

    UnscoredLabelsWarning.__qualname__ = name
    return globals().setdefault(name, UnscoredLabelsWarning)
