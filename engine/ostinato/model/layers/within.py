"""A layer over the positions of each frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ostinato.errors import BadModelFileError
from ostinato.lanes import LANES, padded
from ostinato.model.layers.layer import Array, Layer, only_vector
from ostinato.model.limits import MAX_WITHIN
from ostinato.model.wire import Weight, Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Within(Layer):
    """``layer`` over the ``positions`` of each frame: a frame's values are [positions, channels], position after
    position, and these an utterance of their own to the layer, which begins and ends with the frame. So a
    convolution runs along the frequencies of a spectrum, and a recurrent layer in both directions, without waiting
    for any other frame. Keras TimeDistributed.

    Several inputs are seen alike, each with its own channels. What re-frames gives another number of positions.
    Weights are those of the layer.
    """

    positions: int
    layer: Layer

    kind: ClassVar[str] = "within"

    def check(self) -> None:
        """A layer that can run within a frame, besides."""
        super().check()
        if self.layer.kind in ("within", "each"):
            raise BadModelFileError(f"{self.kind}: positions within positions: use one, over all of them")
        if getattr(self.layer, "precision", "float32") != "float32":
            raise BadModelFileError(f"{self.kind}: what runs within frames is float32: leave its precision out")

    @property
    def counts(self) -> list[int]:
        """How many positions come in, and how many there are after each framing of the layer."""
        counts = [self.positions]
        for framing in self.layer.framings:
            counts.append(int(framing.length(np.int64(counts[-1]))))
        return counts

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """What the layer gives for all positions."""
        channels = self._channels(inputs)
        try:
            self.layer.check_memories(channels)
            made = self.layer.output(channels)
        except BadModelFileError as error:
            each = " and ".join(f"{wire.size}" for wire in channels)
            raise BadModelFileError(
                f"has {self.positions} positions of {each} values: its layer ({self.layer.kind}) {error}"
            ) from error.__cause__
        count = self.counts[-1]
        if count < 1:
            raise BadModelFileError(f"has windows that do not fit into {self.positions} positions")
        most = self._most(inputs, made)
        if most > MAX_WITHIN:
            raise BadModelFileError(
                f"computes with up to {most} values within a frame, over the limit of {MAX_WITHIN}: use fewer "
                "positions or smaller layers"
            )
        return Wire(count * made.size, probabilities=made.probabilities)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """The layer's."""
        return self.layer.weights(self._channels(inputs))

    def check_weights(self, weights: Mapping[str, Array]) -> None:
        """As the layer does."""
        self.layer.check_weights(weights)

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """The layer's, where a and b are the same at all positions."""
        (a, *others), (b, *more) = (each.reshape(self.counts[-1], -1) for each in (a, b))
        if any((each != a).any() for each in others) or any((each != b).any() for each in more):
            return None
        return self.layer.scaled(weights, a, b)

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """The layer's, at each position that comes out."""
        return self.counts[-1] * self.layer.multiply_adds(self._channels(inputs))

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation. Several inputs are put side by side before."""
        wires = [value.wire for value in inputs]
        (source, *others), at = inputs, 0
        if others:
            source = to.value(Wire(sum(wire.size for wire in wires)))
            for value in inputs:
                to.add("copy", value, source.part(at, value.wire.size))
                at += value.wire.size
        out = to.value(self.output(wires))
        channels = [wire.size for wire in self._channels(wires)]
        to.within(source, out, channels, self.layer.framings, lambda inner, x: self.layer.lower(inner, name, x))
        return out

    def _channels(self, inputs: Sequence[Wire]) -> list[Wire]:
        """What the layer reads at each position. Raises BadModelFileError for what is none."""
        for wire in inputs:
            if only_vector([wire]).size % self.positions:
                raise BadModelFileError(
                    f"has {self.positions} positions, and what is below it gives {wire.size} values, which they do "
                    "not divide"
                )
        return [Wire(wire.size // self.positions, probabilities=wire.probabilities) for wire in inputs]

    def _most(self, inputs: Sequence[Wire], made: Wire) -> int:
        """Values that are computed with at most: at each position windows over the inputs, gate sums, outputs."""
        channels, framings = self._channels(inputs), self.layer.framings
        taps = max((framing.taps for framing in framings), default=1)
        times = max((framing.times for framing in framings), default=1)
        parts = [taps * wire.size for wire in channels] + [times * made.size]
        parts += [weight.shape[0] for weight in self.weights(inputs).values() if len(weight.shape) > 1]
        return sum(max(self.counts) * padded(size + LANES) for size in parts)
