"""What is greatest or usual among neighbouring frames, and neighbouring frames side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.model.framing import Framing
from ostinato.model.layers.layer import Layer, only_vector
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

LARGEST = (2 - 2**-23) * 2.0**127
"""Of all float32: finite, as what waits in a stream is."""


@dataclass(frozen=True)
class _Window(Layer):
    """``taps`` frames, every ``stride``-th; ``left`` (by default as many as make it causal) and ``right`` frames of
    padding at the utterance's ends."""

    taps: int
    stride: int = 1
    left: int | None = None
    right: int = 0

    pad: ClassVar[float] = 0.0
    from_zero: ClassVar[tuple[str, ...]] = ("left", "right")

    @property
    def framings(self) -> tuple[Framing, ...]:
        """One window."""
        left = self.taps - 1 if self.left is None else self.left
        return (Framing(self.taps, self.stride, 1, left, self.right, self.pad),)


@dataclass(frozen=True)
class MaxPool(_Window):
    """Of each value the greatest in the window; padding is less than any. ONNX MaxPool."""

    kind: ClassVar[str] = "max-pool"
    pad: ClassVar[float] = -LARGEST

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many values."""
        return only_vector(inputs)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A window, then the greatest."""
        window = to.window(inputs[0], self.framings[0])
        out = to.value(inputs[0].wire)
        to.add("max-pool", window, out, taps=self.taps)
        return out


@dataclass(frozen=True)
class MeanPool(_Window):
    """Of each value the mean over the window, padding counted as zeros. ONNX AveragePool, count_include_pad = 1."""

    kind: ClassVar[str] = "mean-pool"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many values."""
        return only_vector(inputs)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A window, then the mean."""
        window = to.window(inputs[0], self.framings[0])
        out = to.value(inputs[0].wire)
        to.add("mean-pool", window, out, taps=self.taps)
        return out


@dataclass(frozen=True)
class Stack(_Window):
    """The window's frames side by side, the earliest first: what a network reads that looks at the last frames every
    ``stride``."""

    kind: ClassVar[str] = "stack"

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """All their values."""
        return Wire(self.taps * only_vector(inputs).size)

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """A window is all there is."""
        return to.window(inputs[0], self.framings[0])
