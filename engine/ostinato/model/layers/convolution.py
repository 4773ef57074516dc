"""One-dimensional convolution over frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.lanes import LANES, padded
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.framing import Framing
from ostinato.model.layers.layer import Layer, Precision, only_vector
from ostinato.model.layers.recurrent import Array, widened
from ostinato.model.wire import Weight, Wire, glorot, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Convolution(Layer):
    """y<n> = f(b + sum over taps j of W_j x<n * stride - left + j * dilation>), frames outside the utterance being
    zeros. ONNX Conv with one spatial dimension.

    ``left`` and ``right`` are how many frames of padding the utterance gets at its ends: by default as many as make
    it causal, (taps - 1) * dilation and 0; whatever is right is look-ahead. ``groups``: outputs of each group see its
    inputs only; as many groups as inputs and outputs is depthwise. Weights W [size, taps * inputs / groups], tap
    after tap, and b [size].
    """

    size: int
    taps: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    left: int | None = None
    right: int = 0
    activation: Activation = IDENTITY
    precision: Precision = field(default="float32", kw_only=True)

    kind: ClassVar[str] = "convolution"
    from_zero: ClassVar[tuple[str, ...]] = ("left", "right")

    def check(self) -> None:
        """Groups that divide the outputs, besides."""
        super().check()
        if self.size % self.groups:
            raise BadModelFileError(f"{self.kind}: {self.size} outputs are not divided by {self.groups} groups")

    @property
    def framings(self) -> tuple[Framing, ...]:
        """One window."""
        left = (self.taps - 1) * self.dilation if self.left is None else self.left
        return (Framing(self.taps, self.stride, self.dilation, left, self.right),)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Y."""
        below = only_vector(inputs)
        if below.size % self.groups:
            raise BadModelFileError(f"takes inputs in {self.groups} groups, and what is below it gives {below.size}")
        return Wire(self.size, probabilities=self.activation.probabilities)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """W and b."""
        shape = self.size, self.taps * only_vector(inputs).size // self.groups
        return {"W": Weight(shape, glorot(), self.precision == "int8"), "b": Weight((self.size,), zeros)}

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """The rows of W times a; with no activation between, and not in int8, whose integers would be others."""
        if self.activation.name != "identity" or self.precision == "int8":
            return None
        return {"W": a[:, None] * weights["W"], "b": a * weights["b"] + b}

    def in_int8(self, inputs: Sequence[Wire], last: bool) -> Convolution:
        """Where it is one product, below others."""
        return self if last or self.groups > 1 else dataclasses.replace(self, precision="int8")

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A window, then a product: one for each group, or one operation for all where each has one input and one
        output."""
        (source,), (framing,) = inputs, self.framings
        W, b, each = to.weights[f"{name}.W"], to.weights[f"{name}.b"], source.wire.size // self.groups
        if self.groups > 1 and each == 1 and self.size == self.groups:
            window = to.window(source, framing)
            out, wide = to.value(self.output([source.wire])), padded(self.size)
            taps = np.zeros((self.taps, wide), np.float32)
            taps[:, : self.size] = W.T
            to.add(
                "depthwise", window, out, W=to.values(taps), bias=to.values(widened(b, wide)), taps=self.taps,
                vectors=wide // LANES, activation=self.activation,
            )  # fmt: skip
            return out
        windows = [
            to.window(source.part(g * each, each) if self.groups > 1 else source, framing) for g in range(self.groups)
        ]
        out, outputs = to.value(self.output([source.wire])), self.size // self.groups
        wide = padded(outputs)
        for g, window in enumerate(windows):
            rows = slice(g * outputs, (g + 1) * outputs)
            to.multiplies(f"{name}.W", window)
            to.add(
                "dense", window, out.part(g * outputs, outputs), vectors=wide // LANES, activation=self.activation,
                W=to.matrix(f"{name}.W", partial(_some, rows, wide)), bias=to.values(widened(b[rows], wide)),
                W_int8=to.is_int8(f"{name}.W"),
            )  # fmt: skip
        return out


def _some(rows: slice, wide: int, stacked: Array) -> Array:
    """Of a group's outputs, up to whole vectors."""
    return widened(stacked[rows], wide)
