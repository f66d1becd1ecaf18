"""Renders the training and validation pictures once, already at the models' sizes.

Chunks are written to `WORK_DIR/{training,held-out}/` and kept between runs, so
an interrupted run goes on where it stopped.

`python dataset.py --training 120000 --held-out 8000` makes them.
"""

from __future__ import annotations

import argparse
import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from fonts import WORK_DIR, font_split
from preprocess import GLYPHS_PX, MLP_PX, decode, luma, resize_rgb
from render import SIDE_PX, FaceSampler, render_sample

CHUNK: Final[int] = 4000
#: Both models see far less than this, so bigger training pictures would only cost time.
TRAINING_SIDE_PX: Final[tuple[int, int]] = (48, 192)
#: libvips' reduction differs a little from Pillow's; training on several covers both.
RESAMPLINGS: Final[tuple[Image.Resampling, ...]] = (
    Image.Resampling.LANCZOS,
    Image.Resampling.LANCZOS,
    Image.Resampling.BICUBIC,
    Image.Resampling.BOX,
)


@dataclass(frozen=True)
class Pictures:
    """rgb uint8 [n, 48, 48, 3], grey uint8 [n, 32, 32, 1], labels int64 [n]."""

    rgb: np.ndarray
    grey: np.ndarray
    labels: np.ndarray


def _chunk_path(split: str, index: int) -> Path:
    return WORK_DIR / split / f"{index:04d}.npz"


def _render_chunk(index: int, split: str) -> None:
    """Renders chunk `index`, seeded by its index, unless it is there already."""
    path = _chunk_path(split, index)
    if path.exists():
        return
    training = split == "training"
    families = font_split().training if training else font_split().held_out
    faces = FaceSampler(families)
    rng = np.random.default_rng([index, int(training)])
    rgb = np.empty((CHUNK, GLYPHS_PX, GLYPHS_PX, 3), np.uint8)
    grey = np.empty((CHUNK, MLP_PX, MLP_PX, 1), np.uint8)
    labels = np.empty(CHUNK, np.int64)
    for row in range(CHUNK):
        sample = render_sample(rng, faces, TRAINING_SIDE_PX if training else SIDE_PX)
        picture = decode(io.BytesIO(sample.data))
        resampling = RESAMPLINGS[rng.integers(len(RESAMPLINGS))] if training else RESAMPLINGS[0]
        rgb[row] = resize_rgb(picture, GLYPHS_PX, resampling)
        grey[row, :, :, 0] = luma(resize_rgb(picture, MLP_PX, resampling))
        labels[row] = sample.label
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".tmp.npz")
    np.savez(partial_path, rgb=rgb, grey=grey, labels=labels)
    partial_path.rename(path)


def make_pictures(split: str, count: int, processes: int = 2) -> None:
    """Renders at least `count` pictures of a split, in whole chunks."""
    font_split()  # measured once here, read from its file by the workers
    with ProcessPoolExecutor(processes) as pool:
        rendered = pool.map(partial(_render_chunk, split=split), range(-(-count // CHUNK)))
        for done, _ in enumerate(rendered, start=1):
            print(f"{split}: {done * CHUNK} pictures", flush=True)


def load_pictures(split: str) -> Pictures:
    """Loads every chunk that has been made of a split."""
    paths = sorted((WORK_DIR / split).glob("[0-9][0-9][0-9][0-9].npz"))
    if not paths:
        raise SystemExit(f"No {split} pictures in {WORK_DIR}: run `python dataset.py` first.")
    chunks = [np.load(path) for path in paths]
    fields = ("rgb", "grey", "labels")
    return Pictures(*(np.concatenate([chunk[name] for chunk in chunks]) for name in fields))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--training", type=int, default=120_000)
    parser.add_argument("--held-out", type=int, default=8_000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    make_pictures("held-out", options.held_out, options.processes)
    make_pictures("training", options.training, options.processes)


if __name__ == "__main__":
    main()
