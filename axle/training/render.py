"""Renders one printed character a picture, as a camera or a web page might show it.

The same seed always gives the same picture (for the same installed fonts).

`python render.py --out DIR --count N --split held-out --seed S` writes the
pictures as `000123_A.png` or `.jpg`, and `labels.json` beside them.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Sequence

import numpy as np
from PIL import Image, ImageFilter

from fonts import Face, font_split, glyph_mask, load_font
from labels import LABELS

PROBE_PX: Final[int] = 100
SIDE_PX: Final[tuple[int, int]] = (48, 512)
ASPECT_MAX: Final[float] = 1.5
ROTATION_DEG_MAX: Final[float] = 10.0
GLYPH_HEIGHT_SHARE: Final[tuple[float, float]] = (0.35, 0.95)
#: Least Euclidean distance between the two colours, in 0..255 RGB.
CONTRAST_MIN: Final[float] = 90.0
EQUAL_LUMA_CONTRAST_MIN: Final[float] = 140.0
LUMA: Final[np.ndarray] = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


@dataclass(frozen=True)
class Sample:
    """One encoded picture; `label` indexes LABELS and `extension` is png or jpg."""

    data: bytes
    extension: str
    label: int
    family: str


class FaceSampler:
    """Draws faces so that a family with many weights counts more, but not in proportion."""

    def __init__(self, families: dict[str, list[Face]]) -> None:
        if not families:
            raise SystemExit("No usable fonts: install those of axle/training/fonts-apt.txt.")
        self._families = list(families.values())
        weights = np.sqrt([len(faces) for faces in self._families])
        self._shares = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Face:
        faces = self._families[rng.choice(len(self._families), p=self._shares)]
        return faces[rng.integers(len(faces))]


def _picture_size(rng: np.random.Generator, side_px: tuple[int, int]) -> tuple[int, int]:
    """Returns width and height, pixels: mostly square, else up to 1:1.5 either way."""
    low, high = side_px
    side = math.exp(rng.uniform(math.log(low), math.log(high)))
    if rng.random() < 0.6:
        return round(side), round(side)
    stretch = math.exp(rng.uniform(-1, 1) * math.log(ASPECT_MAX) / 2)
    return tuple(int(np.clip(round(length), low, high)) for length in (side * stretch, side / stretch))


def _two_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns two contrasting colours, float RGB in 0..255; a fifth differ in hue alone."""
    equal_luma = rng.random() < 0.2
    contrast_min = EQUAL_LUMA_CONTRAST_MIN if equal_luma else CONTRAST_MIN
    while True:
        first, second = rng.integers(0, 256, (2, 3)).astype(np.float64)
        if not equal_luma and rng.random() < 0.3:  # greys, with black and white among them
            first, second = (np.full(3, rng.choice([0, 255, rng.integers(256)])) for _ in range(2))
        if np.linalg.norm(first - second) < contrast_min:
            continue
        if not equal_luma or abs(LUMA @ (first - second)) < 20:
            return first, second


def _rotated_glyph(
    rng: np.random.Generator, face: Face, character: str, width: int, height: int
) -> Image.Image:
    """Returns the coverage of the rotated glyph, no larger than the picture."""
    angle = rng.uniform(-ROTATION_DEG_MAX, ROTATION_DEG_MAX) if rng.random() < 0.8 else 0.0
    probe = glyph_mask(load_font(face.path, PROBE_PX), character)
    cosine, sine = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    probe_width = probe.width * cosine + probe.height * sine
    probe_height = probe.height * cosine + probe.width * sine
    wanted = rng.uniform(*GLYPH_HEIGHT_SHARE) * height
    scale = min(wanted / probe.height, 0.97 * width / probe_width, 0.97 * height / probe_height)
    mask = glyph_mask(load_font(face.path, PROBE_PX * scale), character)
    if mask is None:
        raise ValueError(f"{face.path} lost {character} at {PROBE_PX * scale:.1f} px")
    if angle:
        bordered = Image.new("L", (mask.width + 2, mask.height + 2), 0)
        bordered.paste(mask, (1, 1))
        mask = bordered.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        mask = mask.crop(mask.getbbox())
    return mask.crop((0, 0, min(mask.width, width), min(mask.height, height)))


def _shade(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Adds a soft slope of brightness across float32 [height, width, 3]."""
    height, width, _ = pixels.shape
    slope_x, slope_y = rng.uniform(-15, 15, 2)
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    return pixels + slope_x * columns + slope_y * rows


def _encode(rng: np.random.Generator, picture: Image.Image) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    if rng.random() < 0.35:
        picture.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "png"
    subsampling = "4:2:0" if rng.random() < 0.8 else "4:4:4"
    picture.save(buffer, "JPEG", quality=int(rng.integers(38, 96)), subsampling=subsampling)
    return buffer.getvalue(), "jpg"


def render_sample(
    rng: np.random.Generator, faces: FaceSampler, side_px: tuple[int, int] = SIDE_PX
) -> Sample:
    """Renders one picture of a random label in a random face, its sides within `side_px`."""
    face = faces.draw(rng)
    label = int(rng.integers(len(LABELS)))
    width, height = _picture_size(rng, side_px)
    mask = _rotated_glyph(rng, face, LABELS[label], width, height)
    left = int(rng.integers(0, width - mask.width + 1))
    top = int(rng.integers(0, height - mask.height + 1))
    coverage = Image.new("L", (width, height), 0)
    coverage.paste(mask, (left, top))
    if rng.random() < 0.6:
        coverage = coverage.filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.06) * mask.height))

    ground, ink = _two_colours(rng)
    alpha = np.asarray(coverage, dtype=np.float32)[:, :, None] / 255
    pixels = ground.astype(np.float32) + alpha * (ink - ground).astype(np.float32)
    if rng.random() < 0.15:
        pixels = _shade(rng, pixels)
    if rng.random() < 0.6:
        deviation = rng.uniform(0, 0.15) * min(np.linalg.norm(ink - ground), 200.0)
        noise = rng.standard_normal(pixels.shape, dtype=np.float32)
        pixels = pixels + np.float32(deviation) * noise
    picture = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    data, extension = _encode(rng, picture)
    return Sample(data, extension, label, face.family)


def write_samples(out: Path, samples: Sequence[Sample]) -> None:
    """Writes pictures and `labels.json`, a list of {file, label, family}."""
    out.mkdir(parents=True, exist_ok=True)
    entries = []
    for index, sample in enumerate(samples):
        name = f"{index:06d}_{LABELS[sample.label]}.{sample.extension}"
        (out / name).write_bytes(sample.data)
        entries.append({"file": name, "label": LABELS[sample.label], "family": sample.family})
    (out / "labels.json").write_text(json.dumps(entries, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2400)
    parser.add_argument("--split", choices=["training", "held-out"], default="held-out")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    split = font_split()
    faces = FaceSampler(split.training if options.split == "training" else split.held_out)
    rng = np.random.default_rng(options.seed)
    write_samples(options.out, [render_sample(rng, faces) for _ in range(options.count)])


if __name__ == "__main__":
    main()
