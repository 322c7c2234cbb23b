"""Pictures of labels and of models, drawn from the labeled cells."""

from ._calibration import MaskedCalibrationDisplay
from ._coverage import LabelCoverageDisplay
from ._explain import ExplanationDisplay, LabelCoefficientsDisplay
from ._learning_curve import LearningCurveByCellsDisplay
from ._ranking import MaskedPrecisionRecallDisplay, MaskedRocCurveDisplay
from ._thresholds import ThresholdCurveDisplay

__all__ = [
    "ExplanationDisplay",
    "LabelCoefficientsDisplay",
    "LabelCoverageDisplay",
    "LearningCurveByCellsDisplay",
    "MaskedCalibrationDisplay",
    "MaskedPrecisionRecallDisplay",
    "MaskedRocCurveDisplay",
    "ThresholdCurveDisplay",
]
