"""The forms by name."""

from . import _argilla, _doccano, _label_studio, _long, _prodigy

FORMATS = {
    "csv": _long.CSV,
    "jsonl": _long.JSONL,
    "label_studio": _label_studio.FORM,
    "prodigy": _prodigy.FORM,
    "doccano": _doccano.FORM,
    "argilla": _argilla.FORM,
}


def form_of(name):
    """Return a form by its name."""
    if not isinstance(name, str) or name not in FORMATS:
        raise ValueError(f"`format` accepts one of {tuple(FORMATS)}; got {name!r}.")
    return FORMATS[name]
