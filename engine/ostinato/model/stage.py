"""One stage of a network as it is built: rows, states, weights and operations of its own, and the program of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.errors import BadModelFileError
from ostinato.kernels.allocation import apart, shared
from ostinato.kernels.operations import Region
from ostinato.kernels.operations import record as i
from ostinato.kernels.positions import Positions
from ostinato.kernels.program import Program, Start, row_pitch
from ostinato.kernels.schedule import when
from ostinato.kernels.several import Several
from ostinato.lanes import LANES, padded
from ostinato.model.limits import MAX_ROW, MAX_STATE

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


@dataclass
class Stage:
    """What has been asked of it so far. ``apart``: its values do not share places in a row."""

    apart: bool = False
    operations: list[list[int]] = field(default_factory=list)
    buffers: list[Floats] = field(default_factory=list)
    weight_size: int = 0
    state_size: int = 0
    given: int = 0
    """Values that links have brought so far."""
    rooms: list[Region] = field(default_factory=list)
    """Of each value, one behind the other."""
    initial: list[tuple[int, Floats]] = field(default_factory=list)
    positions: list[Positions | Several] = field(default_factory=list)

    @property
    def rooms_size(self) -> int:
        """Values of all rooms."""
        return self.rooms[-1].offset + self.rooms[-1].size if self.rooms else 0

    def room(self, size: int) -> Region:
        """Room of a value, and behind it for a last vector that begins at any of its values."""
        region = Region(self.rooms_size, size)
        self.rooms.append(Region(region.offset, padded(size + LANES - 1)))
        return region

    def state(self, size: int, initial: Array | float) -> int:
        """Place of ``size`` values in a state row, which are ``initial`` before the first frame."""
        offset = self.state_size
        self.state_size += padded(size)
        row = np.zeros(padded(size), np.float32)
        row[:size] = initial
        self.initial.append((offset, row))
        return offset

    def values(self, array: Array) -> int:
        """Place of an array in the weight buffer, at a cache line."""
        offset = self.weight_size
        flat = np.zeros(padded(array.size), np.float32)
        flat[: array.size] = np.asarray(array, np.float32).ravel()
        self.buffers.append(flat)
        self.weight_size += flat.size
        return offset

    def program(self, given: Region, outputs: Sequence[Region], memory_size: int, starts: Sequence[Start]) -> Program:
        """Its operations; those that can run while frames arrive come first. A frame is written to ``given``, and
        the program's outputs are where it has those ``outputs``; ``memory_size`` and ``starts`` as `Program` has
        them. Raises BadModelFileError for what is too large."""
        times = when(self.operations, self.rooms_size)
        order = sorted(zip(times, self.operations, strict=True), key=itemgetter(0))
        operations = [op for _, op in order]
        places = apart(self.rooms) if self.apart else shared(operations, sorted(times), self.rooms, given, outputs)
        size = LANES * row_pitch(self.state_size // LANES)
        if size > MAX_STATE:
            raise BadModelFileError(f"a stream's state would have {size} values, over the limit of {MAX_STATE}")
        if self.rooms_size > MAX_ROW:
            raise BadModelFileError(
                f"a frame would have {self.rooms_size} values, windows included, over the limit of {MAX_ROW}: use "
                "smaller windows"
            )
        initial = np.zeros(size, np.float32)
        for offset, values in self.initial:
            initial[offset : offset + values.size] = values
        return Program(
            operations=np.array([places.operation(op) for op in operations], np.int64).reshape(-1, i.FIELDS),
            weights=np.concatenate(self.buffers) if self.buffers else np.zeros(0, np.float32),
            row_size=LANES * row_pitch(places.row_size // LANES),
            state_size=size,
            input=places.region(given),
            outputs=tuple(map(places.region, outputs)),
            initial=initial,
            positions=tuple(self.positions),
            memory_size=memory_size,
            starts=tuple(starts),
        )
