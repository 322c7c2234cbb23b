"""Public warnings and errors of the package."""

__all__: list[str] = []
