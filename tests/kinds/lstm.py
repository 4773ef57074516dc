"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kinds.formulas import activate, clipped
from kinds.kind import MEMORY, ONE_HOT, VECTOR, Doubles, Example, Floats, Weights, Wires
from kinds.onnx_graph import OnnxGraph, recurrent
from kinds.recurrent import RecurrentKind, start
from kinds.rounding import activated, fma, product
from ostinato.model import layers
from ostinato.model.activation import Activation
from ostinato.model.wire import Wire

HARD, SCALED, SOFT = Activation("hard-sigmoid", 0.3, 0.4), Activation("scaled-tanh", 0.9, 0.7), Activation("softsign")


class Lstm(RecurrentKind):
    layer = layers.Lstm
    onnx_lacks = "ONNX Runtime's LSTM has no projection"
    examples = (
        Example(layers.Lstm(5)),
        Example(layers.Lstm(5), (ONE_HOT,)),
        Example(layers.Lstm(5, peepholes=True)),
        Example(layers.Lstm(5, initial=True)),
        Example(layers.Lstm(5, clip=0.3, peepholes=True)),
        Example(layers.Lstm(5, input_forget=True)),
        Example(layers.Lstm(5, gate_activation=HARD, activation=SCALED, output_activation=SOFT)),
        Example(layers.Lstm(5, projection=3)),
        Example(layers.Lstm(5, projection=3, peepholes=True, initial=True, input_forget=True, clip=0.5)),
        Example(layers.Lstm(3), (VECTOR, MEMORY)),
        Example(layers.Lstm(5, projection=3), (VECTOR, Wire(8, memory=True))),
    )

    def recur(self, layer: layers.Lstm, weights: Weights, x: Doubles) -> Doubles:
        W, R, Wb, Rb = (weights[part] for part in ("W", "R", "Wb", "Rb"))
        pi, po, pf = np.split(weights["P"], 3) if layer.peepholes else np.zeros((3, 1))

        def f(x: Doubles) -> Doubles:
            return activate(layer.gate_activation, clipped(layer.clip, x))

        h, c = start(layer, weights, "h"), start(layer, weights, "c")
        out = np.zeros((len(x), layer.width))
        for t, frame in enumerate(x):
            ai, ao, af, ac = np.split(W @ frame + Wb + R @ h + Rb, 4)
            i = f(ai + pi * c)
            forget = 1 - i if layer.input_forget else f(af + pf * c)
            c = forget * c + i * activate(layer.activation, clipped(layer.clip, ac))
            h = f(ao + po * c) * activate(layer.output_activation, c)
            if layer.projection:
                h = weights["H"] @ h
            out[t] = h
        return out

    def recur_rounded(self, layer: layers.Lstm, weights: Weights, x: Floats, one_hot: bool) -> Floats:
        def f(x: Floats) -> Floats:
            return activated(layer.gate_activation, clipped(layer.clip, x))

        projected = product(weights, "W", x, np.tile(weights["Wb"] + weights["Rb"], (len(x), 1)), one_hot)
        h, c = start(layer, weights, "h"), start(layer, weights, "c")
        out = np.zeros((len(x), layer.width), np.float32)
        for t, a in enumerate(projected):
            ai, ao, af, ag = np.split(product(weights, "R", h[None], a[None])[0], 4)
            if layer.peepholes:
                pi, po, pf = np.split(weights["P"], 3)
                ai, af = fma(pi, c, ai), fma(pf, c, af)
            i = f(ai)
            forget = np.float32(1) - i if layer.input_forget else f(af)
            c = fma(forget, c, i * activated(layer.activation, clipped(layer.clip, ag)))
            if layer.peepholes:
                ao = fma(po, c, ao)
            h = f(ao) * activated(layer.output_activation, c)
            if layer.projection:
                h = product(weights, "H", h[None], np.zeros((1, layer.width), np.float32))[0]
            out[t] = h
        return out

    def onnx(
        self, to: OnnxGraph, layer: layers.Lstm, weights: Weights, inputs: Sequence[str], wires: Wires
    ) -> str | None:
        if layer.projection:
            return None
        functions = [layer.gate_activation, layer.activation, layer.output_activation]
        coupled = int(layer.input_forget)
        return recurrent(to, layer, weights, inputs[0], functions, layer.peepholes, input_forget=coupled)
