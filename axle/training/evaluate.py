"""Measures an exported model with ONNX Runtime on a folder of labelled pictures.

The folder is one that render.py or render-samples.mjs wrote: pictures and a
`labels.json` of {file, label, family}. Prints the top-1 accuracy, the accuracy
by family and every confusion.

`python evaluate.py --model glyphs --samples DIR`
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime

from export_onnx import MODELS_DIR
from labels import LABELS
from preprocess import GLYPHS_PX, MLP_PX, decode, luma, resize_rgb, standardise

BATCH: Final[int] = 64


def _pixels(path: Path, model: str) -> np.ndarray:
    """Returns uint8 [height, width, channels] at the model's size."""
    with path.open("rb") as stream:
        picture = decode(stream)
    if model == "glyphs":
        return resize_rgb(picture, GLYPHS_PX)
    return luma(resize_rgb(picture, MLP_PX))[:, :, None]


def classify(model: str, paths: list[Path]) -> np.ndarray:
    """Returns probabilities, float32 [pictures, 34]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        MODELS_DIR / model / "1" / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    scores = []
    for start in range(0, len(paths), BATCH):
        pixels = np.stack([_pixels(path, model) for path in paths[start : start + BATCH]])
        scores.append(session.run(["scores"], {"image": standardise(pixels)})[0])
    return np.concatenate(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["glyphs", "mlp"], default="glyphs")
    parser.add_argument("--samples", type=Path, required=True)
    options = parser.parse_args()
    entries = json.loads((options.samples / "labels.json").read_text())
    scores = classify(options.model, [options.samples / entry["file"] for entry in entries])

    right: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    confusions: Counter[tuple[str, str]] = Counter()
    wrong = []
    for entry, guess in zip(entries, (LABELS[index] for index in scores.argmax(axis=1))):
        shown[entry["family"]] += 1
        right[entry["family"]] += guess == entry["label"]
        if guess != entry["label"]:
            confusions[entry["label"], guess] += 1
            wrong.append(entry["file"])

    print(f"{options.model}: {right.total()} of {shown.total()} right, {right.total() / shown.total():.3%}")
    for family in sorted(shown):
        print(f"  {family}: {right[family]}/{shown[family]}, {right[family] / shown[family]:.2%}")
    for (label, guess), count in confusions.most_common():
        print(f"  {label} taken for {guess}: {count}")
    print(f"  wrong: {' '.join(wrong) or 'none'}")


if __name__ == "__main__":
    main()
