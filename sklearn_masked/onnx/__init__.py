"""Fitted models as ONNX graphs, by the converters of skl2onnx."""

from ._convert import register_converters, to_onnx

__all__ = ["register_converters", "to_onnx"]
