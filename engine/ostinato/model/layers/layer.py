"""What every kind of layer says of itself. A kind is one file here, and one line in `ostinato.model.layers`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.model.framing import Framing
from ostinato.model.limits import MOST
from ostinato.model.strict_json import Strict
from ostinato.model.wire import Weight, Wire

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

Array = npt.NDArray[Any]
Precision = Literal["float32", "int8"]
"""Of a layer's matrices: int8 ones are integers, with what a unit of them is worth as float32 beside them."""


@dataclass(frozen=True)
class Layer(Strict):
    """A kind's settings. What is below a layer, and so how large its inputs are, is not repeated in it: it follows
    from the graph, and whoever asks hands the ``inputs`` over."""

    kind: ClassVar[str]
    """The kind's name in model files."""
    backward: ClassVar[bool] = False
    """Whether outputs depend on later frames, to the end of the utterance. A property where settings decide it."""

    from_zero: ClassVar[tuple[str, ...]] = ()
    """Fields that are whole numbers from 0; others are from 1."""

    memories: ClassVar[tuple[int, ...]] = ()
    """Which of its inputs, by number, are memories that an encoder makes (`Wire.memory`); all others are not."""

    @property
    def framings(self) -> tuple[Framing, ...]:
        """How it re-frames, one after the other; nothing if it does not."""
        return ()

    def check(self) -> None:
        """All sizes within bounds."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name in self.from_zero else 1
            if type(value) is int and not least <= value <= MOST:
                raise BadModelFileError(f"{self.kind}: {field.name} = {value} is not from {least} to {MOST}")

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """What it makes of its inputs. Raises BadModelFileError, in words that go behind "node 'x' (kind)", for
        inputs that it cannot take."""
        raise NotImplementedError

    def check_memories(self, inputs: Sequence[Wire]) -> None:
        """Raise BadModelFileError, in words as `output` does, for a memory where it takes a vector, or the other way
        round."""
        for number, wire in enumerate(inputs):
            if wire.memory and number not in self.memories:
                raise BadModelFileError(
                    f"takes vectors of the frame, and its input {number + 1} is what the encoder has made of the "
                    "source: attention, last and the beginning of a recurrent layer read that"
                )
            if not wire.memory and number in self.memories:
                raise BadModelFileError(
                    f"takes as its input {number + 1} only what an encoder has made of a source: 'encoder.<head>'"
                )

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """Its weights by the last part of their name."""
        return {}

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """Append the operations that compute it, with the weights whose names begin with ``name``."""
        raise NotImplementedError

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """Multiply-adds for one frame of its outputs, in products with matrices; what is done value by value is not
        counted."""
        return sum(math.prod(weight.shape) for weight in self.weights(inputs).values() if len(weight.shape) > 1)

    def check_weights(self, weights: Mapping[str, Array]) -> None:
        """Raise BadModelFileError, in words that go behind "weight <node>.", for values that make no sense.
        ``weights``: its own, by the last part of their name."""

    def scaled(self, weights: Mapping[str, Array], a: Array, b: Array) -> Mapping[str, Array] | None:
        """Those of its weights that must be others for it to give a y + b instead of y, value by value; None if no
        weights do that. All float64 or float32."""
        return None

    def in_int8(self, inputs: Sequence[Wire], last: bool) -> Layer:
        """The layer with int8 matrices where that pays, else itself. ``last``: no layer with matrices reads it."""
        return self


def check_epsilon(kind: str, epsilon: float) -> None:
    """Raise BadModelFileError unless it can keep a sum from being zero."""
    if not 0 < epsilon <= 1:
        raise BadModelFileError(f"{kind}: epsilon = {epsilon} is not above 0, up to 1")


def several_vectors(inputs: Sequence[Wire]) -> None:
    """Raise BadModelFileError unless there are two inputs or more, all vectors."""
    if len(inputs) < 2:
        raise BadModelFileError(f"takes two inputs or more, not {len(inputs)}")
    for wire in inputs:
        only_vector([wire])


def only_vector(inputs: Sequence[Wire]) -> Wire:
    """The one input, a vector. Raises BadModelFileError if it is not so."""
    wire = only(inputs)
    if wire.token:
        raise BadModelFileError("takes vectors, and what is below it gives token ids: put an embedding between")
    return wire


def only_matrix_input(inputs: Sequence[Wire]) -> Wire:
    """The one input of a matrix: a vector or a one-hot one. Raises BadModelFileError if it is not so."""
    wire = only(inputs)
    if wire.form == "id":
        raise BadModelFileError("takes vectors, and what is below it gives token ids: put an embedding between")
    return wire


def only_id(inputs: Sequence[Wire]) -> Wire:
    """The one input, token ids. Raises BadModelFileError if it is not so."""
    wire = only(inputs)
    if wire.form != "id":
        raise BadModelFileError("takes token ids: put it right above a tokens front end")
    return wire


def only(inputs: Sequence[Wire]) -> Wire:
    """The one input. Raises BadModelFileError if there are others or none."""
    if len(inputs) != 1:
        raise BadModelFileError(f"takes one input, not {len(inputs)}")
    return inputs[0]
