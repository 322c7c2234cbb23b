"""Annotations in and out: what people said in the tools that they label with."""

from ._annotations import Annotations
from ._read import read_annotations
from ._write import write_annotations, write_queries

__all__ = ["Annotations", "read_annotations", "write_annotations", "write_queries"]
