"""Multi-label classifiers from selectively labeled cells.

The names below are loaded when they are first used: importing the package, its
labels or its metrics does not load torch.
"""

import importlib

from ._version import __version__

_HOMES = {
    "DescribedLabelsClassifier": "classifier",
    "MaskedCalibratedClassifierCV": "calibration",
    "MaskedLabels": "labels",
    "check_labels": "labels",
    "MaskedMultiLabelClassifier": "classifier",
    "MaskedMultiOutputClassifier": "multioutput",
    "MaskedTunedThresholdClassifierCV": "thresholds",
}
_MODULES = (
    "annotate",
    "annotation",
    "calibration",
    "classifier",
    "datasets",
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
)

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
