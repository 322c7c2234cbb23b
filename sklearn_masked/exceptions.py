"""Public warnings and errors of the package."""

__all__: list[str] = ["SolverFallbackWarning"]


class SolverFallbackWarning(UserWarning):
    """The labels led to another solver than the parameters ask for."""
