"""Finds usable font faces on this machine and splits them by family.

A face is usable when it has a distinct, visible glyph for every label and most
of its glyphs look like the letter they stand for (symbol, script and
segment-display fonts fail that). Whole families are held out of training, and
any training face that draws the same letters as a held-out one (a metric clone
or a renamed copy) is dropped, so that the held-out families are really unseen.

`python fonts.py` prints the split; `--refresh` measures the fonts again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from labels import LABELS

WORK_DIR: Final[Path] = Path(os.environ.get("AXLE_TRAIN_DIR", "/tmp/axle-train/work"))

#: Families never shown to training: serif, slab, sans, condensed and monospaced.
HELD_OUT_FAMILIES: Final[tuple[str, ...]] = (
    "Bebas Neue",
    "Cabin",
    "Caladea",
    "Cantarell",
    "Carlito",
    "Charis SIL",
    "Clear Sans",
    "EB Garamond",
    "Fira Code",
    "Inconsolata",
    "JetBrains Mono",
    "Lato",
    "Quicksand",
    "Roboto Slab",
    "Vollkorn",
)

#: Faces the shape test lets through although a reader would stumble over them.
UNSUITABLE_NAME_PARTS: Final[tuple[str, ...]] = ("DSEG", "Symbol", "Emoji", "Barcode", "Abecedario", "Outline")

SIGNATURE_PX: Final[int] = 16
PROBE_FONT_PX: Final[int] = 64
#: Least share of a face's glyphs that must be nearest to the average glyph of their own label.
RECOGNISABLE_SHARE_MIN: Final[float] = 0.5
#: Mean pixel correlation from which two faces count as the same drawing.
SAME_FACE_CORRELATION: Final[float] = 0.995
CLONE_CORRELATION: Final[float] = 0.94


@dataclass(frozen=True)
class Face:
    """One font file (first face, default instance) and how fontconfig names it."""

    path: str
    family: str
    style: str


@dataclass(frozen=True)
class Split:
    """Faces by family, training and held out."""

    training: dict[str, list[Face]]
    held_out: dict[str, list[Face]]


def load_font(path: str, size_px: float) -> ImageFont.FreeTypeFont:
    """Opens a face without complex text layout: every sample is one character."""
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)


def glyph_mask(font: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """Returns the glyph's coverage, 8 bits a pixel, cropped to its ink; None where it has no ink."""
    left, top, right, bottom = font.getbbox(character)
    if right <= left or bottom <= top:
        return None
    canvas = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4), 0)
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), character, font=font, fill=255)
    ink = canvas.getbbox()
    return canvas.crop(ink) if ink else None


def is_held_out(family: str) -> bool:
    """Whether a family, or the family that it is a weight of ("Lato Light"), is held out."""
    return any(family == held or family.startswith(held + " ") for held in HELD_OUT_FAMILIES)


def _list_faces() -> list[Face]:
    """Asks fontconfig for every TrueType/OpenType file that claims to cover the labels."""
    charset = " ".join(f"{ord(character):x}" for character in LABELS)
    listing = subprocess.run(
        ["fc-list", f":charset={charset}", "--format", "%{file}\t%{family[0]}\t%{style[0]}\n"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    by_path: dict[str, Face] = {}
    for line in sorted(listing.splitlines()):
        path, _, names = line.partition("\t")  # a few fonts have a line break in a name
        family, _, style = names.partition("\t")
        if path.lower().endswith((".ttf", ".otf", ".ttc")):
            by_path.setdefault(path, Face(path, family, style))
    return list(by_path.values())


def _signature(face: Face) -> np.ndarray | None:
    """Returns the face's glyphs as float32 [34, 16 * 16 + 1], or None for an unusable face.

    Each row is the glyph stretched to 16x16 plus its aspect ratio (width / height).
    """
    try:
        font = load_font(face.path, PROBE_FONT_PX)
        missing = glyph_mask(font, "\U0010fffe")
        rows = []
        for character in LABELS:
            mask = glyph_mask(font, character)
            if mask is None or (missing is not None and mask.tobytes() == missing.tobytes()):
                return None
            pixels = np.asarray(mask.resize((SIGNATURE_PX, SIGNATURE_PX), Image.Resampling.BOX))
            rows.append(np.append(pixels.ravel() / 255.0, mask.width / mask.height))
    except OSError:  # a bitmap-only or damaged file, which FreeType cannot scale
        return None
    return np.asarray(rows, dtype=np.float32)


def _unit_rows(glyphs: np.ndarray) -> np.ndarray:
    """Centres and scales the last axis, so that a dot product is a correlation."""
    centred = glyphs - glyphs.mean(axis=-1, keepdims=True)
    return centred / (np.linalg.norm(centred, axis=-1, keepdims=True) + 1e-6)


def _recognisable(signatures: np.ndarray) -> np.ndarray:
    """Returns bool [faces]: whether a face's glyphs resemble the average of their labels."""
    half = SIGNATURE_PX // 2
    coarse = signatures[:, :, :-1].reshape(-1, len(LABELS), half, 2, half, 2).mean(axis=(3, 5))
    flat = coarse.reshape(-1, len(LABELS), half * half)  # 8x8, so that thin strokes still overlap
    glyphs = _unit_rows(flat)
    averages = _unit_rows(np.median(flat, axis=0))
    nearest = (glyphs @ averages.T).argmax(axis=-1)
    return (nearest == np.arange(len(LABELS))).mean(axis=-1) >= RECOGNISABLE_SHARE_MIN


def _similarity(signatures: np.ndarray) -> np.ndarray:
    """Returns float32 [faces, faces]: mean glyph correlation, less the mean difference in aspect."""
    glyphs = _unit_rows(signatures[:, :, :-1])
    flat = glyphs.reshape(len(glyphs), -1)
    correlation = flat @ flat.T / len(LABELS)
    aspects = signatures[:, :, -1]
    differences = np.stack([np.abs(aspects - row).mean(axis=-1) for row in aspects])
    return correlation - 0.5 * differences


def _measure() -> Split:
    faces, signatures = [], []
    for face in _list_faces():
        if any(part in face.family for part in UNSUITABLE_NAME_PARTS):
            continue
        signature = _signature(face)
        if signature is not None:
            faces.append(face)
            signatures.append(signature)
    stacked = np.stack(signatures)
    usable = _recognisable(stacked)
    faces = [face for face, keep in zip(faces, usable) if keep]
    similarity = _similarity(stacked[usable])

    held = [index for index, face in enumerate(faces) if is_held_out(face.family)]
    training: list[int] = []
    for index, face in enumerate(faces):
        if is_held_out(face.family):
            continue
        is_clone = bool(held) and similarity[index, held].max() >= CLONE_CORRELATION
        is_copy = bool(training) and similarity[index, training].max() >= SAME_FACE_CORRELATION
        if not is_clone and not is_copy:
            training.append(index)
    return Split(
        training=_by_family([faces[index] for index in training]),
        held_out=_by_family([faces[index] for index in held]),
    )


def _by_family(faces: list[Face]) -> dict[str, list[Face]]:
    families: dict[str, list[Face]] = defaultdict(list)
    for face in faces:
        families[face.family].append(face)
    return dict(sorted(families.items()))


@lru_cache(maxsize=1)
def font_split(refresh: bool = False) -> Split:
    """Returns the split, measured once and then kept in `WORK_DIR/fonts.json`."""
    cache = WORK_DIR / "fonts.json"
    if refresh or not cache.exists():
        split = _measure()
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(asdict(split)))
        return split
    stored = json.loads(cache.read_text())
    return Split(
        **{
            part: {family: [Face(**face) for face in faces] for family, faces in families.items()}
            for part, families in stored.items()
        }
    )


def _print_part(title: str, families: dict[str, list[Face]]) -> None:
    print(f"{title}: {len(families)} families, {sum(map(len, families.values()))} faces")
    for family, faces in families.items():
        print(f"  {family}: {', '.join(sorted(face.style for face in faces))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--refresh", action="store_true", help="measure the installed fonts again")
    split = font_split(parser.parse_args().refresh)
    _print_part("training", split.training)
    _print_part("held out", split.held_out)


if __name__ == "__main__":
    main()
