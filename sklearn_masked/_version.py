"""The version and the address of the documentation, in one place."""

__version__ = "0.1.0"
#: Where scikit-learn's HTML box leads; `docs/reference.py` gives pages these names.
DOC_LINK = (
    "https://sklearn-masked.readthedocs.io/en/stable/api/"
    "{estimator_module}.{estimator_name}.html"
)
