"""One-dimensional transposed convolution: more frames come out than go in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.lanes import LANES, padded
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.framing import Framing
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.layers.recurrent import Array, widened
from ostinato.model.wire import Weight, Wire, glorot, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class TransposedConvolution(Layer):
    """y<t> = f(b + sum over i of W_(t + start - i * stride) x<i>): each frame is spread over ``taps`` output frames,
    ``stride`` after the frame before's. ONNX ConvTranspose with one spatial dimension, pads [start, end].

    ``start`` and ``end`` output frames are cut at the utterance's ends; by default the end as far as it makes each
    frame give exactly ``stride``, at once. Weights W [size, taps * inputs], tap after tap, and b [size].
    """

    size: int
    taps: int
    stride: int
    start: int = 0
    end: int | None = None
    activation: Activation = IDENTITY

    kind: ClassVar[str] = "transposed-convolution"
    from_zero: ClassVar[tuple[str, ...]] = ("start", "end")

    def check(self) -> None:
        """A stride that leaves no frame without a tap, cuts that leave something, besides."""
        super().check()
        if not 1 < self.stride <= self.taps:
            raise BadModelFileError(f"{self.kind}: stride = {self.stride} is not from 2 to the {self.taps} taps")
        if max(self.start, self._end) >= self.taps:
            raise BadModelFileError(f"{self.kind}: start and end cut fewer frames than the {self.taps} taps")

    @property
    def _end(self) -> int:
        return max(0, self.taps - self.stride - self.start) if self.end is None else self.end

    @property
    def _frames(self) -> int:
        """Input frames that an output frame is made of."""
        return -(-self.taps // self.stride)

    @property
    def framings(self) -> tuple[Framing, ...]:
        """A window over input frames, whose row gives ``stride`` output frames."""
        taps, right = self._frames, self._frames - 1
        trim = taps * self.stride - self.taps + self._end
        spread = Framing(times=self.stride, skip=self.start, trim=trim, hold=max(0, trim - right * self.stride))
        return Framing(taps, left=right, right=right), spread

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """Of the input frames that an output frame is made of."""
        return self.size * self._frames * inputs[0].size

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Y."""
        only_vector(inputs)
        return Wire(self.size, probabilities=self.activation.probabilities)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """W and b."""
        shape = self.size, self.taps * only_vector(inputs).size
        return {"W": Weight(shape, glorot()), "b": Weight((self.size,), zeros)}

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """As of a convolution."""
        if self.activation != IDENTITY:
            return None
        return {"W": a[:, None] * weights["W"], "b": a * weights["b"] + b}

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A product that gives all the output frames of an input frame, which are then spread over time."""
        (source,), (gathered, spread) = inputs, self.framings
        window, wide = to.window(source, gathered), padded(self.stride * self.size)
        product = self.by_phase(to.weights[f"{name}.W"])
        out = to.value(Wire(self.stride * self.size))
        bias = np.tile(to.weights[f"{name}.b"], self.stride)
        to.add(
            "dense", window, out, vectors=wide // LANES, W=to.packed(widened(product, wide)),
            bias=to.values(widened(bias, wide)), activation=self.activation,
        )  # fmt: skip
        return to.window(out, spread)._replace(wire=self.output([source.wire]))

    def by_phase(self, W: Array) -> Array:
        """W as one product with windows of input frames, which gives output frames: [stride * size, frames * inputs].

        Output frame i * stride + phase takes tap j * stride + phase of input frame i - j; a window has the earliest
        first.
        """
        taps, each = self._frames, W.shape[1] // self.taps
        whole = np.zeros((self.size, taps * self.stride, each), W.dtype)
        whole[:, : self.taps] = W.reshape(self.size, self.taps, each)
        phases = whole.reshape(self.size, taps, self.stride, each)[:, ::-1].transpose(2, 0, 1, 3)
        made: Array = phases.reshape(self.stride * self.size, taps * each)
        return made

    def by_tap(self, product: Array) -> Array:
        """The inverse of `by_phase`: for gradients."""
        taps = self._frames
        phases = product.reshape(self.stride, self.size, taps, -1).transpose(1, 2, 0, 3)[:, ::-1]
        made: Array = phases.reshape(self.size, taps * self.stride, -1)[:, : self.taps].reshape(self.size, -1)
        return made
