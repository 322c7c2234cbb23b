"""Label texts in the terminal: ``python -m sklearn_masked.annotate --help``."""

import sys

from .annotation.terminal import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
