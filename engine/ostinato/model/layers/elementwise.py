"""What layers share that join several vectors of one size, value by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ostinato.errors import BadModelFileError
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.layers.layer import Layer, several_vectors
from ostinato.model.wire import Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value


@dataclass(frozen=True)
class Elementwise(Layer):
    """Two or more inputs of one size. One that has a single value stands for a vector of it.

    Pairs are joined in the order of the inputs, those of a single value last.
    """

    operation: ClassVar[str]
    """The kernels' name for joining two."""

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """As many values as the inputs have."""
        several_vectors(inputs)
        sizes = [wire.size for wire in inputs]
        size = max(sizes)
        if any(each not in (1, size) for each in sizes):
            listed = f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
            raise BadModelFileError(f"reads vectors of {listed} values: each needs the same size, or a single value")
        return Wire(size, probabilities=self.probabilities(inputs))

    def probabilities(self, inputs: Sequence[Wire]) -> bool:
        """Whether its values are in [0, 1]."""
        return False

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """The first two, then what there is with the next."""
        out = to.value(self.output([value.wire for value in inputs]))
        left, *others = sorted(inputs, key=lambda value: value.wire.size == 1 != out.wire.size)
        for number, right in enumerate(others, 1):
            at_last = self.at_last(len(inputs)) if number == len(others) else IDENTITY
            second, second_size = right.region
            to.add(self.operation, left, out, second=second, second_size=second_size, activation=at_last)
            left = out
        return out

    def at_last(self, count: int) -> Activation:
        """What is done with the values of ``count`` joined inputs."""
        return IDENTITY
