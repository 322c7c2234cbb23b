"""Pictures of labels and of models, drawn from the labeled cells."""

from ._calibration import MaskedCalibrationDisplay
from ._coverage import LabelCoverageDisplay
from ._learning_curve import LearningCurveByCellsDisplay
from ._ranking import MaskedPrecisionRecallDisplay, MaskedRocCurveDisplay
from ._thresholds import ThresholdCurveDisplay

__all__ = [
    "LabelCoverageDisplay",
    "LearningCurveByCellsDisplay",
    "MaskedCalibrationDisplay",
    "MaskedPrecisionRecallDisplay",
    "MaskedRocCurveDisplay",
    "ThresholdCurveDisplay",
]
