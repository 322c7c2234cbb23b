"""Serve a fitted model from one file, with numpy and scipy alone."""

from ._blocks import TopK, predict_blocks, predict_top_k
from ._export import export
from ._predictor import Predictor, load

__all__ = ["Predictor", "TopK", "export", "load", "predict_blocks", "predict_top_k"]
