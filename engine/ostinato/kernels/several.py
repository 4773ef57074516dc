"""A program at several positions of each frame, with a state of its own at each: what an operation "each" runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program
from ostinato.kernels.regions import inside
from ostinato.lanes import LANES, padded

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Several:
    """``program`` at so many ``positions``, which lie one behind the other in a frame, and so do their states in a
    state row.

    Raises ValueError if it could reach outside its rows.
    """

    program: Program
    positions: int
    plan: Ints = field(init=False)
    """As `operations.each` has it."""
    room: int = field(init=False)
    """float32 values that a call needs."""

    def __post_init__(self) -> None:
        program, set_ = self.program, object.__setattr__
        if self.positions < 1 or program.positions or any(program.backward) or len(program.outputs) != 1:
            raise ValueError(f"{self.positions} positions of a program that is none of forward operations alone")
        if program.row_size % LANES or program.state_size % LANES:
            raise ValueError("the program has rows or states that are no whole vectors")
        for region in (program.input, program.output):
            inside(region._replace(size=padded(region.size)), program.row_size, "a position lies", "its row")
        room, places = 0, []
        for values in (2 * i.CALL_FIELDS, 2 * i.BLOCK_ROWS, 2, i.BLOCK_ROWS * program.row_size):
            places.append(4 * room)
            room += padded(values)
        plan = np.array(
            [
                self.positions, program.operations.ctypes.data, len(program.operations), 4 * program.row_size,
                4 * program.state_size, program.weights.ctypes.data, 4 * program.input.offset, program.input.size,
                4 * program.output.offset, program.output.size, *places,
            ],
            np.int64,
        )  # fmt: skip
        plan.flags.writeable = False
        set_(self, "plan", plan)
        set_(self, "room", room)

    @property
    def frame_size(self) -> int:
        """Values of a frame before."""
        return self.positions * self.program.input.size

    @property
    def output_size(self) -> int:
        """And after."""
        return self.positions * self.program.output.size

    @property
    def state_size(self) -> int:
        """Values of the states of all positions."""
        return self.positions * self.program.state_size

    @property
    def gate_size(self) -> int:
        """As `Program.gate_size`."""
        return self.program.gate_size

    @property
    def byte_size(self) -> int:
        """As `Program.byte_size`."""
        return self.program.byte_size
