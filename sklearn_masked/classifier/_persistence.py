"""The state of a fitted model, where it runs when loaded, and its versions."""

import importlib.metadata
import warnings

import torch

from .._version import __version__
from ..exceptions import DeviceWarning, VersionWarning
from ._net import is_here, resolve_device

# Fitted attributes that are not for users.
_PRIVATE = (
    "_feature_columns",
    "_has_rate",
    "_label_prior",
    "_n_negative",
    "_n_positive",
    "_one_dimensional",
    "_platt",
    "_settled",
    "_unlabeled_weight",
)


def device_on_load(device):
    """Return where a loaded model goes: its own device if there is one, else the CPU.

    Warns
    -----
    DeviceWarning
        If the model names a device explicitly that is not here.
    """
    if device == "auto" or is_here(torch.device(device)):
        return resolve_device(device)
    warnings.warn(
        f"The model was fitted with device={device!r}, and torch finds no such device "
        "on this machine; it was loaded on the CPU.",
        DeviceWarning,
        stacklevel=2,
    )
    return torch.device("cpu")


def versions():
    """Return the versions of what makes and reads a saved model."""
    names = ("torch", "skorch", "scikit-learn")
    found = {name: importlib.metadata.version(name) for name in names}
    return {"sklearn_masked": __version__, **found}


def warn_of_other_versions(saved):
    """Warn, once, if a model was saved with other versions than are here."""
    here = versions()
    other = [
        f"{name} {version} (here {here.get(name, 'absent')})"
        for name, version in saved.items()
        if here.get(name) != version
    ]
    if other:
        warnings.warn(
            f"The model was saved with {', '.join(other)}. It may predict otherwise "
            "or fail; fit it again with the versions that are here.",
            VersionWarning,
            stacklevel=3,
        )


def fitted_attributes(estimator):
    """Return what fitting set; others leave private attributes of their own."""
    return {
        name: value
        for name, value in estimator.__dict__.items()
        if name in _PRIVATE or (name.endswith("_") and not name.startswith("_"))
    }
