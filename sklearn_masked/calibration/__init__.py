"""Probabilities that can be trusted, from the labeled cells of a label matrix."""

from ._classifier import MaskedCalibratedClassifierCV
from ._curve import (
    CalibrationCurve,
    expected_calibration_error,
    masked_calibration_curve,
)
from ._prior import estimate_prevalence
from ._propensity import inverse_propensity_weights

__all__ = [
    "CalibrationCurve",
    "MaskedCalibratedClassifierCV",
    "estimate_prevalence",
    "expected_calibration_error",
    "inverse_propensity_weights",
    "masked_calibration_curve",
]
