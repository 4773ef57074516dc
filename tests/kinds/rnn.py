"""The plain recurrent layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.formulas import DEFINED, activate, clipped
from kinds.kind import MEMORY, ONE_HOT, VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph, recurrent
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, product
from ostinato.model import layers
from ostinato.model.activation import Activation


class Rnn(RecurrentKind):
    layer = layers.Rnn
    examples = (
        Example(layers.Rnn(5)),
        Example(layers.Rnn(5), (ONE_HOT,)),
        Example(layers.Rnn(5, initial=True, clip=0.4)),
        *(Example(layers.Rnn(5, activation=Activation(name))) for name in DEFINED),
        Example(layers.Rnn(3), (VECTOR, MEMORY)),
    )

    def recur(self, layer: layers.Rnn, weights: Weights, x: Doubles) -> Doubles:
        W, R, Wb, Rb = (weights[part] for part in ("W", "R", "Wb", "Rb"))
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden))
        for t, frame in enumerate(x):
            h = out[t] = activate(layer.activation, clipped(layer.clip, W @ frame + Wb + R @ h + Rb))
        return out

    def recur_rounded(self, layer: layers.Rnn, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        bias = weights["Wb"] + weights["Rb"]
        projected = product(weights, "W", x, np.tile(bias, (len(x), 1)), one_hot)
        h = start(layer, weights, "h")
        out = np.zeros((len(x), layer.hidden), np.float32)
        for t, a in enumerate(projected):
            sums = product(weights, "R", h[None], a[None])[0]
            h = out[t] = activated(layer.activation, clipped(layer.clip, sums))
        return out

    def tamed(self, layer: layers.Rnn, weights: Weights) -> Weights:
        """Some activations have no bound."""
        return {
            name: (array / (1.2 * np.linalg.norm(array, 2))).astype(np.float32) if name.endswith(".R") else array
            for name, array in weights.items()
        }

    def onnx(
        self, to: OnnxGraph, layer: layers.Rnn, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        return recurrent(to, layer, weights, inputs[0], [layer.activation])
