"""From texts to features: the vectors of a pretrained encoder."""

from ._text_encoder import TextEncoder

__all__ = ["TextEncoder"]
