"""Writes the trained weights as ONNX graphs into axle/models/<name>/1/model.onnx.

The graphs are built by hand from the weights, so that they hold nothing but
Conv, Relu, MaxPool, Flatten, Gemm and Softmax: batch normalisation is folded
into the convolutions and dropout is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from fonts import WORK_DIR
from labels import LABELS
from models import Glyphs, Mlp
from preprocess import GLYPHS_PX, MLP_PX

MODELS_DIR: Final[Path] = Path(__file__).resolve().parent.parent / "models"
OPSET: Final[int] = 17
IR_VERSION: Final[int] = 8
INPUT: Final[str] = "image"
OUTPUT: Final[str] = "scores"


class GraphWriter:
    """Appends one node after another to a chain that begins at the input."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._last = INPUT

    def append(self, operator: str, weights: dict[str, np.ndarray], output: str = "", **attributes) -> None:
        """Adds a node that takes the last node's output, then `weights` in their order."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        inputs = [self._last]
        for role, values in weights.items():
            self.weights.append(numpy_helper.from_array(values, f"{name}.{role}"))
            inputs.append(f"{name}.{role}")
        self._last = output or name
        self.nodes.append(helper.make_node(operator, inputs, [self._last], name=name, **attributes))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().numpy().astype(np.float32))


def _append_convolution(writer: GraphWriter, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    writer.append(
        "Conv",
        {
            "weight": _array(convolution.weight * scale[:, None, None, None]),
            "bias": _array(norm.bias - norm.running_mean * scale),
        },
        kernel_shape=list(convolution.kernel_size),
        strides=list(convolution.stride),
        pads=list(convolution.padding) * 2,
    )


def build_graph(name: str, model: nn.Sequential, input_shape: tuple[int, int, int]) -> onnx.ModelProto:
    """Translates a chain of layers; `input_shape` is [channels, height, width]."""
    writer = GraphWriter()
    layers = [layer for layer in model if not isinstance(layer, nn.Dropout)]
    for layer, following in zip(layers, [*layers[1:], None]):
        match layer:
            case nn.Conv2d():
                _append_convolution(writer, layer, following)
            case nn.BatchNorm2d():
                continue  # folded into the convolution before it
            case nn.ReLU():
                writer.append("Relu", {})
            case nn.MaxPool2d():
                writer.append("MaxPool", {}, kernel_shape=[2, 2], strides=[2, 2])
            case nn.Flatten():
                writer.append("Flatten", {}, axis=1)
            case nn.Linear():
                weights = {"weight": _array(layer.weight), "bias": _array(layer.bias)}
                writer.append("Gemm", weights, transB=1)
            case _:
                raise TypeError(f"No ONNX translation for {type(layer).__name__}")
    writer.append("Softmax", {}, output=OUTPUT, axis=1)
    graph = helper.make_graph(
        writer.nodes,
        name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *input_shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", len(LABELS)])],
        writer.weights,
    )
    exported = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="axle-training"
    )
    exported.ir_version = IR_VERSION
    onnx.checker.check_model(exported, full_check=True)
    return exported


def main() -> None:
    models = (
        ("glyphs", Glyphs(), (3, GLYPHS_PX, GLYPHS_PX)),
        ("mlp", Mlp(), (1, MLP_PX, MLP_PX)),
    )
    for name, model, input_shape in models:
        model.load_state_dict(torch.load(WORK_DIR / f"{name}.pt", weights_only=True))
        path = MODELS_DIR / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(build_graph(name, model.eval(), input_shape), path)
        (MODELS_DIR / name / "labels.txt").write_text("\n".join(LABELS) + "\n")
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
