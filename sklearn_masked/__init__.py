"""Multi-label classifiers from selectively labeled cells.

The names below are loaded when they are first used: importing the package, its
labels or its metrics does not load torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:  # what `__getattr__` does, for checkers and editors
    from . import (
        annotate,
        annotation,
        calibration,
        classifier,
        datasets,
        exceptions,
        feature_extraction,
        inspection,
        labels,
        metrics,
        model_selection,
        multioutput,
        nn,
        onnx,
        plotting,
        serving,
        thresholds,
    )
    from .calibration import MaskedCalibratedClassifierCV
    from .classifier import DescribedLabelsClassifier, MaskedMultiLabelClassifier
    from .labels import MaskedLabels, check_labels
    from .multioutput import MaskedMultiOutputClassifier
    from .thresholds import MaskedTunedThresholdClassifierCV

_HOMES = {
    "DescribedLabelsClassifier": "classifier",
    "MaskedCalibratedClassifierCV": "calibration",
    "MaskedLabels": "labels",
    "MaskedMultiLabelClassifier": "classifier",
    "MaskedMultiOutputClassifier": "multioutput",
    "MaskedTunedThresholdClassifierCV": "thresholds",
    "check_labels": "labels",
}

__all__ = [
    "DescribedLabelsClassifier",
    "MaskedCalibratedClassifierCV",
    "MaskedLabels",
    "MaskedMultiLabelClassifier",
    "MaskedMultiOutputClassifier",
    "MaskedTunedThresholdClassifierCV",
    "__version__",
    "annotate",
    "annotation",
    "calibration",
    "check_labels",
    "classifier",
    "datasets",
    "exceptions",
    "feature_extraction",
    "inspection",
    "labels",
    "metrics",
    "model_selection",
    "multioutput",
    "nn",
    "onnx",
    "plotting",
    "serving",
    "thresholds",
]
_MODULES = [name for name in __all__ if name not in _HOMES and name != "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
