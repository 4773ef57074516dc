"""Layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from ostinato.model import layers
from ostinato.model.wire import Wire


class LayerNorm(Kind):
    layer = layers.LayerNorm
    examples = (
        Example(layers.LayerNorm()),
        Example(layers.LayerNorm(0.1), (Wire(17),)),
        Example(layers.LayerNorm(), (Wire(40),)),
    )

    def reference(
        self, layer: layers.LayerNorm, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        d = inputs[0] - inputs[0].mean(axis=1, keepdims=True)
        return weights["gamma"] * d / np.sqrt((d * d).mean(axis=1, keepdims=True) + layer.epsilon) + weights["beta"]

    def onnx(
        self, to: OnnxGraph, layer: layers.LayerNorm, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        own = [to.constant(weights[part]) for part in ("gamma", "beta")]
        return to.add("LayerNormalization", inputs[0], *own, axis=-1, epsilon=layer.epsilon)
