"""Label texts in the terminal: ``python -m sklearn_masked.annotate --help``."""

from ._command import main

__all__ = ["main"]
