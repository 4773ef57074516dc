"""A layer over time, at each position of a frame by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.layers.layer import Array, Layer, only_vector
from ostinato.model.wire import Weight, Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Each(Layer):
    """``layer`` from frame to frame, at each of the ``positions`` of a frame [positions, channels]: the weights are
    the same, and each position has a state of its own. So a recurrent layer follows each frequency of a spectrum.

    The layer runs forward and gives a frame for each that comes. Weights are those of the layer.
    """

    positions: int
    layer: Layer

    kind: ClassVar[str] = "each"

    def check(self) -> None:
        """A layer that can run so, besides."""
        super().check()
        if self.layer.kind in ("within", "each"):
            raise BadModelFileError(f"{self.kind}: positions within positions: use one, over all of them")
        if self.layer.backward:
            raise BadModelFileError(f"{self.kind}: what runs at each position runs forward")
        if not all(framing.causal for framing in self.layer.framings):
            raise BadModelFileError(f"{self.kind}: its layer has to make a frame of each that comes, at once")
        if getattr(self.layer, "precision", "float32") != "float32":
            raise BadModelFileError(f"{self.kind}: what runs at each position is float32: leave its precision out")

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """What the layer gives for all positions."""
        (channels,) = self._channels(inputs)
        try:
            self.layer.check_memories([channels])
            made = self.layer.output([channels])
        except BadModelFileError as error:
            raise BadModelFileError(
                f"has {self.positions} positions of {channels.size} values: its layer ({self.layer.kind}) {error}"
            ) from error.__cause__
        return Wire(self.positions * made.size, probabilities=made.probabilities)

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """The layer's."""
        return self.layer.weights(self._channels(inputs))

    def check_weights(self, weights: Mapping[str, Array]) -> None:
        """As the layer does."""
        self.layer.check_weights(weights)

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """The layer's, at each position."""
        return self.positions * self.layer.multiply_adds(self._channels(inputs))

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """One operation."""
        out = to.value(self.output([inputs[0].wire]))
        to.each(inputs[0], out, self.positions, lambda inner, x: self.layer.lower(inner, name, x))
        return out

    def _channels(self, inputs: Sequence[Wire]) -> list[Wire]:
        """What the layer reads at each position. Raises BadModelFileError for what is none."""
        wire = only_vector(inputs)
        if wire.size % self.positions:
            raise BadModelFileError(
                f"has {self.positions} positions, and what is below it gives {wire.size} values, which they do not "
                "divide"
            )
        return [Wire(wire.size // self.positions, probabilities=wire.probabilities)]
