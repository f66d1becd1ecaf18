"""What Axle does to a picture before the graph, as each model's config.pbtxt declares.

The picture is stretched to the model's size ("fit: fill"), optionally made grey,
and standardised: (x - mean) / max(std, 1 / sqrt(count)) over all of its values.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

GLYPHS_PX: Final[int] = 48
MLP_PX: Final[int] = 32


def decode(data_stream) -> Image.Image:
    """Decodes a PNG or JPEG file object to RGB."""
    return Image.open(data_stream).convert("RGB")


def resize_rgb(
    picture: Image.Image, side_px: int, resampling: Image.Resampling = Image.Resampling.LANCZOS
) -> np.ndarray:
    """Returns uint8 [side, side, 3], whatever the picture's aspect."""
    return np.asarray(picture.resize((side_px, side_px), resampling))


def luma(rgb: np.ndarray) -> np.ndarray:
    """Returns the ITU-R BT.601 luma of uint8 [..., 3] as uint8 [...]."""
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def standardise(pixels: np.ndarray) -> np.ndarray:
    """Standardises uint8 [batch, height, width, channels] to float32 [batch, channels, height, width]."""
    values = pixels.astype(np.float32)
    axes = (1, 2, 3)
    mean = values.mean(axis=axes, keepdims=True)
    deviation = values.std(axis=axes, keepdims=True)
    floor = values[0].size ** -0.5
    return np.ascontiguousarray(((values - mean) / np.maximum(deviation, floor)).transpose(0, 3, 1, 2))
