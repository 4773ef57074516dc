"""What recurrent layers share: directions, names of weights, and the way from gates to operations.

Weights of each direction: W [gates * hidden, input], R [gates * hidden, width], biases Wb and Rb [gates * hidden];
gate orders are those of the ONNX operators RNN, GRU and LSTM (opset 22). An *elementwise* recurrence, in which a unit
sees no other unit's state, has no R, and one bias: W and b [gates * hidden].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.lanes import LANES, padded
from ostinato.model.layers.layer import Layer, Precision, only_matrix_input
from ostinato.model.wire import Weight, Wire, glorot, orthogonal, zeros

if TYPE_CHECKING:
    from ostinato.model.lowering import Lowering, Value

Direction = Literal["forward", "backward", "bidirectional"]
Array = npt.NDArray[Any]
Order = Callable[[Sequence[Array]], Array]
"""How gates, [padded hidden, …] each, are laid out in one array."""


class Cell(NamedTuple):
    """What one kind's direction is to the kernels."""

    operation: str
    bias: Sequence[Array]
    """What the sums of each gate start from: Wb + Rb where the formula allows."""
    fields: Mapping[str, Any]
    """Of the operation, besides those that all recurrent ones have."""
    order: Order
    """Of the gates in W."""
    R_order: Order | None = None
    """Of those in R, if it is another: they may be a part of the gates."""


@dataclass(frozen=True)
class Recurrent(Layer):
    """``hidden`` units in one direction, or in both: outputs [forward, backward] side by side.

    ``initial``: streams begin from states that are weights (``initial_h`` and so on, of each direction), not from
    zeros; a backward direction begins so at the end of what it sees. A second input, what an encoder has made of a
    source, is another way to begin: its last frame when the text begins is h, or all states, h first.
    """

    hidden: int
    direction: Direction = "forward"
    precision: Precision = field(default="float32", kw_only=True)
    initial: bool = field(default=False, kw_only=True)

    memories: ClassVar[tuple[int, ...]] = (1,)
    gates: ClassVar[int]
    elementwise: ClassVar[bool] = False
    """Whether there is no R."""

    @property
    def width(self) -> int:
        """Outputs of one direction."""
        return self.hidden

    @property
    def states(self) -> Mapping[str, int]:
        """The sizes of one direction's states, by name: "h" is the output of the frame before, others are the
        cell's."""
        return {"h": self.width}

    @property
    def backward(self) -> bool:  # type: ignore[override]
        """Whether it reads the utterance from its end."""
        return self.direction != "forward"

    @property
    def directions(self) -> tuple[Literal["forward", "backward"], ...]:
        """The directions that it runs in, in the order of its outputs."""
        return ("forward", "backward") if self.direction == "bidirectional" else (self.direction,)

    def output(self, inputs: Sequence[Wire]) -> Wire:
        """Hidden states."""
        only_matrix_input(inputs[:1])
        self._begun(inputs[1:])
        return Wire(self.width * len(self.directions))

    def weights(self, inputs: Sequence[Wire]) -> Mapping[str, Weight]:
        """Of both directions; see the module."""
        below, rows, int8 = only_matrix_input(inputs[:1]), self.gates * self.hidden, self.precision == "int8"
        found = {"W": Weight((rows, below.size), glorot(self.gates), int8 and not below.token)}
        if self.elementwise:
            found["b"] = Weight((rows,), zeros)
        else:
            start = orthogonal if self.width == self.hidden else glorot(self.gates)
            found["R"] = Weight((rows, self.width), start, int8)
            found |= {"Wb": Weight((rows,), zeros), "Rb": Weight((rows,), zeros)}
        found |= self.more_weights(below)
        if self.initial:
            found |= {f"initial_{state}": Weight((size,), zeros) for state, size in self.states.items()}
        return {f"{way}.{part}": weight for way in self.directions for part, weight in found.items()}

    def more_weights(self, below: Wire) -> Mapping[str, Weight]:
        """Those of a direction that reads ``below`` which differ from the usual ones, or come on top of them."""
        return {}

    def multiply_adds(self, inputs: Sequence[Wire]) -> int:
        """All matrices', but for W where a column of it is looked up."""
        W = self.gates * self.hidden * inputs[0].size * len(self.directions)
        return super().multiply_adds(inputs) - W * inputs[0].token

    def in_int8(self, inputs: Sequence[Wire], last: bool) -> Self:
        """All its matrices, but for the W of token ids; itself, if it has no other."""
        if self.elementwise and inputs[0].token:
            return self
        return dataclasses.replace(self, precision="int8")

    def lower(self, to: Lowering, name: str, inputs: Sequence[Value]) -> Value:
        """Each direction writes its part of the outputs."""
        out = to.value(self.output([value.wire for value in inputs]))
        for number, way in enumerate(self.directions):
            target = out.part(number * self.width, self.width)
            self.lower_direction(to, f"{name}.{way}", inputs, target, way == "backward")
        return out

    def cell(self, to: Lowering, name: str, source: Value) -> Cell:
        """The kind's part of lowering a direction that reads ``source``, whose weights' names begin with ``name``."""
        raise NotImplementedError

    def bias(self, to: Lowering, name: str) -> list[Array]:
        """The bias of that name, [padded hidden] for each gate."""
        return split_gates(to.weights[name], self.gates)

    def lower_direction(
        self, to: Lowering, name: str, inputs: Sequence[Value], target: Value, backward: bool
    ) -> None:
        """One direction, whose weights' names begin with ``name``.

        What it can project while frames arrive although it must run later (it runs backward, or reads layers that
        do) is an operation of its own, so that less is left when the utterance ends. The sums, and so the bits, are
        the same; that is why a product in int8, whose sums are rounded once, is not divided.
        """
        source, gates, W = inputs[0], self.gates, f"{name}.W"
        cell = self.cell(to, name, source)
        places = self.state_offsets(to, name)
        for memory in inputs[1:]:
            self._begin(to, memory, places)
        fields: dict[str, Any] = {f"state_{state}": offset for state, offset in places.items()}
        fields |= cell.fields

        def arranged(stacked: Array) -> Array:
            return cell.order(split_gates(stacked, gates))

        to.multiplies(W, source)
        if not self.elementwise:
            R, order = f"{name}.R", cell.R_order or cell.order
            to.multiplies(R, target)
            fields["R"] = to.matrix(R, lambda stacked: order(split_gates(stacked, gates)))
            fields["R_int8"] = to.is_int8(R)
        vectors = gates * padded(self.hidden) // LANES
        by = to.projection(W, source, arranged, cell.order(cell.bias))
        source, whole = by.source, by.int8
        start, projection, size = to.values(by.bias), -1, source.wire.size
        early = size if source.wire.token else to.early(source)
        if early and (backward or early < size) and not (whole and early < size):
            sums = to.value(Wire(LANES * vectors))
            for begin, end in ((0, early), (early, size)):
                if begin < end:
                    part = source if source.wire.token else source.part(begin, end - begin)
                    columns = by.place(slice(begin, end))
                    bias = -1 if begin else start
                    to.add("dense", part, sums, vectors=vectors, W=columns, bias=bias, W_int8=whole)
            source, start = sums, -1
        else:
            projection = by.place(slice(None))
        to.add(
            cell.operation, source, target, backward=backward, vectors=vectors, units=self.hidden, W=projection,
            bias=start, W_int8=whole and projection >= 0, **fields,
        )  # fmt: skip

    def state_offsets(self, to: Lowering, name: str) -> Mapping[str, int]:
        """Where a direction's states are, by their names."""
        return {
            state: to.state(size, to.weights[f"{name}.initial_{state}"] if self.initial else 0.0)
            for state, size in self.states.items()
        }

    def runs(self, state: str) -> Sequence[tuple[int, int]]:
        """Of a state's values, in order, those that lie side by side: how many, and where from the state's place."""
        return [(self.states[state], 0)]

    def _begun(self, memories: Sequence[Wire]) -> list[str]:
        """The states that a second input gives, in its order. Raises BadModelFileError if it fits none."""
        if not memories:
            return []
        if len(memories) > 1 or self.direction != "forward" or self.initial:
            raise BadModelFileError(
                "begins from what an encoder has made: then there is one such input, it runs forward, and its states "
                "are no weights"
            )
        names = sorted(self.states, key=lambda state: state != "h")
        size, whole = memories[0].size, sum(self.states.values())
        if size == self.states[names[0]]:
            return names[:1]
        if size != whole:
            wanted = f"{self.states[names[0]]}, its {names[0]}" + f", or {whole}, all its states" * (len(names) > 1)
            raise BadModelFileError(f"begins from {size} values: they must be {wanted}")
        return names

    def _begin(self, to: Lowering, memory: Value, places: Mapping[str, int]) -> None:
        """Let streams begin so: with the values of the memory in the states at these places."""
        at = 0
        for state in self._begun([memory.wire]):
            for count, offset in self.runs(state):
                to.begins(places[state] + offset, memory.part(at, count))
                at += count


def check_clip(kind: str, clip: float | None) -> None:
    """Raises BadModelFileError for one that lets nothing through."""
    if clip is not None and clip <= 0:
        raise BadModelFileError(f"{kind}: clip = {clip:g} is not above 0: leave it out for sums that are not clipped")


def split_gates(stacked: Array, gates: int) -> list[Array]:
    """[gates * hidden, …] as one array [hidden padded to 16, …] per gate."""
    return [widened(gate, padded(len(gate))) for gate in np.split(stacked, gates)]


def interleaved(gates: Sequence[Array]) -> Array:
    """Gates [padded hidden, …] each, as blocks of 16 units, gate after gate within a block."""
    blocks = [gate.reshape(-1, LANES, *gate.shape[1:]) for gate in gates]
    return np.stack(blocks, axis=1).reshape(-1, *gates[0].shape[1:])


def widened(array: Array, size: int) -> Array:
    """Zeros appended along the first axis up to ``size``."""
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])
