"""What a program has to know of each kind of operation besides how it is computed: what it reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ostinato.kernels import integer
from ostinato.kernels.operations import record as i
from ostinato.lanes import LANES, padded


class Region(NamedTuple):
    """Consecutive values of a row, a state row or the weight buffer."""

    offset: int
    size: int

    @property
    def slice(self) -> slice:
        """For indexing the last axis of rows."""
        return slice(self.offset, self.offset + self.size)


@dataclass
class Reach:
    """What an operation touches. Of a row: what it ``reads``, all whose values matter; and what it ``writes``, as
    whole vectors, of which those behind its output hold nothing. Of a state row and the weight buffer: all of it. Of
    the workspace: so many vectors ``scratch`` for each row, of the VECTORS that are its. ``loads``: what is loaded of
    a row beyond that, though its values do not matter (what fills the last vector of ``reads`` need not be told).
    ``memory``: what is loaded of a frame of the stream's memory."""

    reads: list[Region] = field(default_factory=list)
    writes: list[Region] = field(default_factory=list)
    states: list[Region] = field(default_factory=list)
    weights: list[Region] = field(default_factory=list)
    scratch: int = 0
    loads: list[Region] = field(default_factory=list)
    memory: list[Region] = field(default_factory=list)


Record = Sequence[int]


@dataclass(frozen=True)
class Kind:
    """``run`` and ``cell`` are routines: void(operation, call), and for recurrent operations void(operation, call,
    rows, gates, out). ``reach`` says what an operation touches. ``inner``: it runs programs of its own, which the
    program that it is an operation of has as `Program.positions`."""

    run: Any
    reach: Callable[[Record], Reach]
    cell: Any = None
    inner: bool = False


def source(op: Record) -> Region:
    """The first input."""
    return Region(int(op[i.INPUT]), 1 if op[i.TOKENS] else int(op[i.INPUT_SIZE]))


def taps(op: Record) -> Reach:
    """What is read of the input where it is TAPS frames of the output's size, each in whole vectors."""
    size, count, offset = int(op[i.OUTPUT_SIZE]), int(op[i.TAPS]), int(op[i.INPUT])
    loaded = (max(1, count) - 1) * size + padded(size)
    return Reach([Region(offset, max(1, count) * size)], loads=[Region(offset, loaded)])


def whole_vectors(offset: int, size: int) -> Region:
    """What is written for ``size`` values."""
    return Region(int(offset), padded(int(size)))


def output(op: Record) -> Region:
    """What is written of a row for the output."""
    return whole_vectors(op[i.OUTPUT], op[i.OUTPUT_SIZE])


def matrix(place: int, inputs: int, vectors: int, int8: int) -> Region:
    """A packed matrix."""
    if int8:
        return Region(int(place), integer.packed_size(int(inputs), int(vectors)))
    return Region(int(place), int(inputs) * int(vectors) * LANES)


def activation(op: Record) -> Region:
    """Alpha and beta, of as many functions as there may be."""
    return Region(int(op[i.PARAMETERS]), 2 * len(i.ACTIVATIONS))


def projection(op: Record, *, goes_on: bool = False) -> Reach:
    """What W x + bias touches, as far as it is not the output; without W, the sums that are in the row already.
    ``goes_on``: it adds to sums that are there, so there is no bias."""
    vectors = int(op[i.VECTORS]) * LANES
    if op[i.W] < 0:
        return Reach([Region(int(op[i.INPUT]), vectors)])
    reach = Reach([source(op)])
    reach.weights.append(matrix(op[i.W], op[i.INPUT_SIZE], op[i.VECTORS], op[i.W_INT8]))
    if not goes_on:
        reach.weights.append(Region(int(op[i.BIAS]), vectors))
    return reach
