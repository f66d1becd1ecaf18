"""The 34 classes, in the order of the models' outputs."""

from __future__ import annotations

from typing import Final

#: Digits and capital letters without I and O, which many fonts draw like 1 and 0.
LABELS: Final[str] = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
