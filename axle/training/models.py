"""The two networks, as PyTorch modules that return logits."""

from __future__ import annotations

from typing import Final

from torch import nn

from labels import LABELS
from preprocess import GLYPHS_PX, MLP_PX

#: Channels after each convolution of the glyph classifier.
CHANNELS: Final[tuple[int, int, int, int, int]] = (16, 32, 64, 96, 160)
MLP_HIDDEN: Final[int] = 1024


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


class Glyphs(nn.Sequential):
    """Image [batch, 3, 48, 48] to logits [batch, 34]; 9.3 million multiply-adds an image.

    The last convolution works on 3x3 cells that each see the whole picture, so a
    character is recognised wherever it stands.
    """

    def __init__(self) -> None:
        first, second, third, fourth, fifth = CHANNELS
        side = GLYPHS_PX // 16
        super().__init__(
            *_convolution(3, first, kernel=5, stride=2),
            *_convolution(first, second, kernel=3),
            nn.MaxPool2d(2),
            *_convolution(second, third, kernel=3),
            nn.MaxPool2d(2),
            *_convolution(third, fourth, kernel=3),
            nn.MaxPool2d(2),
            *_convolution(fourth, fifth, kernel=3),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(fifth * side * side, len(LABELS)),
        )


class Mlp(nn.Sequential):
    """Image [batch, 1, 32, 32] to logits [batch, 34]; bound by reading its 2.1 million weights."""

    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(MLP_PX * MLP_PX, MLP_HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(MLP_HIDDEN, MLP_HIDDEN),
            nn.ReLU(inplace=True),
            nn.Dropout(0.2),
            nn.Linear(MLP_HIDDEN, len(LABELS)),
        )
