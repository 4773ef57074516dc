"""Batch normalisation, by the statistics that its weights are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.kind import Doubles, Example, Floats, Kind, Weights, Wires
from kinds.onnx_graph import OnnxGraph
from kinds.rounding import fma
from ostinato.model import layers
from ostinato.model.wire import Wire


class BatchNorm(Kind):
    layer = layers.BatchNorm
    examples = (
        Example(layers.BatchNorm()),
        Example(layers.BatchNorm(0.1), (Wire(17),)),
    )

    def reference(
        self, layer: layers.BatchNorm, weights: Weights, inputs: Sequence[Doubles], wires: Wires
    ) -> Doubles:
        gamma, beta, mean, variance = (weights[part] for part in ("gamma", "beta", "mean", "variance"))
        return gamma * (inputs[0] - mean) / np.sqrt(variance + layer.epsilon) + beta

    def rounded(self, layer: layers.BatchNorm, weights: Weights, inputs: Sequence[Floats], wires: Wires) -> Floats:
        a, b = (each.astype(np.float32) for each in layer.line(weights))
        return fma(a, inputs[0], b)

    def sensible(self, layer: layers.BatchNorm, weights: Weights) -> Weights:
        """No variance is below zero, and none here near it."""
        return {**weights, "variance": np.abs(weights["variance"]) + np.float32(0.1)}

    def onnx(
        self, to: OnnxGraph, layer: layers.BatchNorm, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        own = [to.constant(weights[part]) for part in ("gamma", "beta", "mean", "variance")]
        return to.add("BatchNormalization", inputs[0], *own, epsilon=layer.epsilon)
