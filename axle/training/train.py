"""Trains both models on the rendered pictures and keeps their weights in WORK_DIR.

`python train.py glyphs` and `python train.py mlp`; each prints its accuracy on
the held-out families after every epoch. Nothing is chosen by that number: the
weights kept are those of the last epoch.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Callable, Final, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from dataset import load_pictures
from fonts import WORK_DIR
from models import Glyphs, Mlp

BATCH: Final[int] = 128
SHIFT_PX: Final[int] = 2
NARROWEST: Final[float] = 0.6
SLANT_MAX: Final[float] = 0.12


@dataclass(frozen=True)
class Recipe:
    """How one model is trained; `pictures` is the field of dataset.Pictures it sees."""

    model: Callable[[], nn.Module]
    pictures: str
    epochs: int
    learning_rate_max: float


RECIPES: Final[dict[str, Recipe]] = {
    "glyphs": Recipe(Glyphs, "rgb", epochs=14, learning_rate_max=3e-3),
    "mlp": Recipe(Mlp, "grey", epochs=8, learning_rate_max=1e-3),
}


def standardise(pixels: Tensor) -> Tensor:
    """As preprocess.standardise, on float32 [batch, channels, height, width] in 0..255."""
    mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
    deviation = pixels.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (pixels - mean) / deviation.clamp_min(pixels[0].numel() ** -0.5)


def warp(pixels: Tensor) -> Tensor:
    """Narrows, slants and shifts half of the pictures, for faces more extreme than any installed.

    Takes and returns float32 [batch, channels, height, width]; the edge pixels are repeated outwards.
    """
    batch = len(pixels)
    warped = (torch.rand(batch) < 0.5).float()
    narrowing = 1 + warped * (1 / torch.empty(batch).uniform_(NARROWEST, 1.0) - 1)
    slant = warped * torch.empty(batch).uniform_(-SLANT_MAX, SLANT_MAX)
    shift = torch.empty(2, batch).uniform_(-1, 1) * 2 * SHIFT_PX / pixels.shape[-1]
    shift = torch.stack([shift[0] + torch.empty(batch).uniform_(-1, 1) * (narrowing - 1), shift[1]])
    rows = torch.zeros(batch, 2, 3)
    rows[:, 0, 0], rows[:, 0, 1], rows[:, 1, 1] = narrowing, slant, 1.0
    rows[:, :, 2] = shift.T * warped[:, None]
    grid = nn.functional.affine_grid(rows, list(pixels.shape), align_corners=False)
    return nn.functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def augment(pixels: Tensor) -> Tensor:
    """Inverts and reorders the channels of each picture and warps half of the pictures.

    Takes and returns float32 [batch, channels, height, width] in 0..255.
    """
    batch, channels, _, _ = pixels.shape
    order = torch.rand(batch, channels).argsort(dim=1)
    pixels = pixels.gather(1, order[:, :, None, None].expand_as(pixels))
    inverted = (torch.rand(batch, channels, 1, 1) < 0.5).float()
    return warp(pixels + inverted * (255 - 2 * pixels))


def batches(pixels: np.ndarray, labels: np.ndarray, order: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields float32 [BATCH, channels, height, width] in 0..255 and labels [BATCH], in `order`."""
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        chosen = torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float()
        yield chosen, torch.from_numpy(labels[rows])


@torch.no_grad()
def accuracy(model: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of pictures whose best score is their label."""
    model.eval()
    right = 0
    for chosen, wanted in batches(pixels, labels, np.arange(len(labels))):
        right += int((model(standardise(chosen)).argmax(dim=1) == wanted).sum())
    return right / len(labels)


def train(name: str, epochs: int, resume: bool) -> nn.Module:
    """Trains for `epochs`, from random weights or, to resume, from those that were kept."""
    recipe = RECIPES[name]
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    training, held_out = load_pictures("training"), load_pictures("held-out")
    pixels = getattr(training, recipe.pictures)
    model = recipe.model().to(memory_format=torch.channels_last)
    learning_rate_max = recipe.learning_rate_max
    if resume:
        model.load_state_dict(torch.load(WORK_DIR / f"{name}.pt", weights_only=True))
        learning_rate_max /= 2
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    steps = epochs * -(-len(pixels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate_max, total_steps=steps, pct_start=0.1
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.02)
    for epoch in range(epochs):
        model.train()
        started, total = time.monotonic(), 0.0
        for chosen, wanted in batches(pixels, training.labels, rng.permutation(len(pixels))):
            loss = loss_of(model(standardise(augment(chosen))), wanted)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(wanted)
        held = accuracy(model, getattr(held_out, recipe.pictures), held_out.labels)
        seconds = time.monotonic() - started
        print(
            f"{name} epoch {epoch + 1}/{epochs}: loss {total / len(pixels):.4f},"
            f" held out {held:.4%}, {seconds:.0f} s",
            flush=True,
        )
        torch.save(model.state_dict(), WORK_DIR / f"{name}.pt")
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=sorted(RECIPES))
    parser.add_argument("--epochs", type=int, help="instead of the recipe's number")
    parser.add_argument("--resume", action="store_true", help="go on from the kept weights")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.model, options.epochs or RECIPES[options.model].epochs, options.resume)


if __name__ == "__main__":
    main()
