"""What layers lower themselves to: the operations of a program, and where a row has each value, a state row each
state, and the weight buffer each array. `compile` walks a specification with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato import activations
from ostinato.kernels import integer
from ostinato.kernels.operations import NUMBERS, Region
from ostinato.kernels.operations import record as i
from ostinato.kernels.product import pack
from ostinato.kernels.program import Program, apart, early_operations
from ostinato.lanes import LANES, padded
from ostinato.model.activation import IDENTITY, Activation
from ostinato.model.wire import Wire

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Array]


class Value(NamedTuple):
    """What a node gives, and where a row has it; of a token, its id is there."""

    wire: Wire
    region: Region

    def part(self, start: int, size: int) -> Value:
        """The ``size`` values from ``start`` on."""
        return Value(Wire(size), Region(self.region.offset + start, size))


class Lowering:
    """Lays out rows, states and weights, and collects operations; layers call it."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        """Of the whole network, as its specification names them."""
        self.multiplied: dict[str, slice] = {}
        """By the name of a matrix, which values of a row it multiplies."""
        self._operations: list[list[int]] = []
        self._buffers: list[Floats] = []
        self._initial: list[Floats] = []
        self._weight_size = self._row_size = self._state_size = 0

    def value(self, wire: Wire) -> Value:
        """Room in a row, and behind it for a last vector that begins at any of its values."""
        size = 1 if wire.token else wire.size
        value = Value(wire, Region(self._row_size, size))
        self._row_size += padded(size + LANES - 1)
        return value

    def state(self, size: int, initial: Array | float = 0.0) -> int:
        """Place of ``size`` values in a state row, which are ``initial`` before the first frame."""
        offset = self._state_size
        row = np.zeros(padded(size), np.float32)
        row[:size] = initial
        self._initial.append(row)
        self._state_size += row.size
        return offset

    def values(self, array: Array) -> int:
        """Place of an array in the weight buffer, at a cache line."""
        offset = self._weight_size
        flat = np.zeros(padded(array.size), np.float32)
        flat[: array.size] = np.asarray(array, np.float32).ravel()
        self._buffers.append(flat)
        self._weight_size += flat.size
        return offset

    def number(self, value: float | None) -> int:
        """Place of one number in the weight buffer; -1 for None."""
        return -1 if value is None else self.values(np.array([value], np.float32))

    def matrix(self, name: str, arranged: Callable[[Array], Array], columns: slice = slice(None)) -> int:
        """Place of the matrix of that name, packed, in the weight buffer: float32 or, if it has scales, int8.

        ``arranged`` puts outputs, along the first axis of what it is given, into the order that the operation
        reads; only the inputs ``columns``.
        """
        made = arranged(self.weights[name])[:, columns]
        if not self.is_int8(name):
            return self.values(pack(made))
        scales, inputs = arranged(self.weights[f"{name}_scale"]), float(self.weights[f"{name}_input_scale"][0])
        return self.values(integer.pack(made, scales, inputs))

    def is_int8(self, name: str) -> bool:
        """Whether the matrix of that name is int8."""
        return f"{name}_scale" in self.weights

    def early(self, source: Value) -> int:
        """How many of its first values are known as soon as their frame is."""
        operations = self._operations
        late = [op for op, early in zip(operations, early_operations(operations), strict=True) if not early]
        offset, size = source.region
        starts = [op[i.OUTPUT] - offset for op in late if op[i.OUTPUT] + op[i.OUTPUT_SIZE] > offset]
        return max(0, min([size, *starts]))

    def add(
        self,
        operation: str,
        source: Value,
        target: Value,
        *,
        activation: Activation | Sequence[Activation] = IDENTITY,
        **fields: int,
    ) -> None:
        """Append an operation of that name (`kernels.operations`); ``fields`` (`record.FIELD_NAMES`) that
        are not given are 0, places -1. Several activations are f, g and h, as the operation has them."""
        functions = [activation] if isinstance(activation, Activation) else activation
        made = [activations.parameters(each.name, each.alpha, each.beta) for each in functions]
        record = [0] * i.FIELDS
        for place in i.PLACES:
            record[place] = -1
        record[i.KIND], record[i.TOKENS] = NUMBERS[operation], int(source.wire.token)
        record[i.INPUT], record[i.INPUT_SIZE] = source.region.offset, source.wire.size
        record[i.OUTPUT], record[i.OUTPUT_SIZE] = target.region
        for name, value in fields.items():
            record[i.FIELD_NAMES[name]] = int(value)
        for place, (number, _, _) in zip(i.ACTIVATIONS, made, strict=False):
            record[place] = number
        record[i.PARAMETERS] = self.values(np.array([each[1:] for each in made], np.float32))
        self._operations.append(record)

    def program(self, frames: Value, outputs: Sequence[Value]) -> Program:
        """What was built, with the value that a frame is written to and those that are read. Operations that can run
        while frames arrive come first."""
        state_size = LANES * apart(self._state_size // LANES)
        initial = np.zeros(state_size, np.float32)
        initial[: self._state_size] = np.concatenate([*self._initial, np.zeros(0, np.float32)])
        early = early_operations(self._operations)
        order = sorted(range(len(early)), key=lambda index: not early[index])
        return Program(
            operations=np.array([self._operations[index] for index in order], np.int64).reshape(-1, i.FIELDS),
            weights=np.concatenate(self._buffers) if self._buffers else np.zeros(0, np.float32),
            row_size=LANES * apart(self._row_size // LANES),
            state_size=state_size,
            input=frames.region,
            outputs=tuple(output.region for output in outputs),
            initial=initial,
        )
