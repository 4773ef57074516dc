"""What operations share that make an output value of the input values in its place."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.activations import activate
from ostinato.kernels.compiler import part
from ostinato.kernels.operations.kind import Reach, Record, Region, activation, output, whole_vectors
from ostinato.kernels.operations.record import (
    ACTIVATION,
    INPUT,
    OUTPUT,
    OUTPUT_SIZE,
    PARAMETERS,
    ROW_STEP,
    ROWS,
    SECOND,
    SECOND_SIZE,
    WEIGHTS,
)
from ostinato.kernels.simd import field, load_float
from ostinato.lanes import LANES


@part
def row_of(call: int, r: int) -> Any:
    """Where row r begins."""
    return field(call, ROWS) + r * field(call, ROW_STEP)


@part
def vectors_of(op: int) -> Any:
    """Vectors of outputs."""
    return (field(op, OUTPUT_SIZE) + LANES - 1) // LANES


@part
def activate_row(op: int, call: int, row: int) -> None:
    """The operation's activation of its output."""
    if field(op, ACTIVATION) != 0:
        parameters = field(call, WEIGHTS) + 4 * field(op, PARAMETERS)
        alpha = load_float(parameters)
        beta = load_float(parameters + 4)
        activate(field(op, ACTIVATION), alpha, beta, row + 4 * field(op, OUTPUT), vectors_of(op))


def reach(op: Record) -> Reach:
    """One input of as many values as the output, which is activated."""
    return Reach([Region(int(op[INPUT]), int(op[OUTPUT_SIZE]))], [output(op)], weights=[activation(op)])


def reach_of_two(op: Record) -> Reach:
    """`reach`, and another input as large, or of one value."""
    found = reach(op)
    found.reads.append(Region(int(op[SECOND]), 1 if op[SECOND_SIZE] == 1 else int(op[OUTPUT_SIZE])))
    return found


def weighted_reach(op: Record, *places: int) -> Reach:
    """One input of as many values as the output, and weights of as many at each of the ``places``."""
    size = int(op[OUTPUT_SIZE])
    weights = [whole_vectors(place, size) for place in places]
    return Reach([Region(int(op[INPUT]), size)], [output(op)], weights=weights)
