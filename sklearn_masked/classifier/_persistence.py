"""Where a model runs, and what a saved one says of the versions that made it."""

import importlib.metadata
import warnings

import torch

from .._version import __version__


class DeviceWarning(UserWarning):
    """A model asks for a device that this machine does not have."""


class VersionWarning(UserWarning):
    """A model was saved with other versions than those that load it."""


def resolve_device(device):
    """Return the torch device for "auto" or an explicit name.

    Raises
    ------
    ValueError
        If torch does not know the name, or there is no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            '`device` accepts "auto" or the name of a torch device such as "cpu" or '
            f'"cuda:0"; got {device!r}.'
        ) from error
    if not _is_here(resolved):
        raise ValueError(
            f"`device` is {device!r}, and torch finds no such device on this machine; "
            'pass "cpu" or "auto".'
        )
    return resolved


def device_on_load(device):
    """Return where a loaded model goes: its own device if there is one, else the CPU.

    Warns
    -----
    DeviceWarning
        If the model names a device explicitly that is not here.
    """
    if device == "auto" or _is_here(torch.device(device)):
        return resolve_device(device)
    warnings.warn(
        f"The model was fitted with device={device!r}, and torch finds no such device "
        "on this machine; it was loaded on the CPU.",
        DeviceWarning,
        stacklevel=2,
    )
    return torch.device("cpu")


def _is_here(device):
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        index = 0 if device.index is None else device.index
        return torch.cuda.is_available() and index < torch.cuda.device_count()
    backend = getattr(torch, device.type, None) or getattr(
        torch.backends, device.type, None
    )
    return backend is not None and backend.is_available()


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
