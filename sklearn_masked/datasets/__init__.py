"""Data to try things on: a seeded generator and a small corpus written for it."""

from ._brand_safety import load_brand_safety_snippets
from ._generator import make_masked_multilabel

__all__ = ["load_brand_safety_snippets", "make_masked_multilabel"]
