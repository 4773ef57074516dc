"""A frame that comes alone: one compiled call takes it in, computes it, and takes out what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import entry, kernel, prepare
from ostinato.kernels.copying import copy_values
from ostinato.kernels.finite import finite
from ostinato.kernels.interpreter import OK, run
from ostinato.kernels.operations import Region
from ostinato.kernels.operations.record import ROWS, SLOTS
from ostinato.kernels.program import Program, Workspace
from ostinato.kernels.simd import address, field, store_int

Floats = npt.NDArray[np.float32]

_NOT_FINITE = -1


@kernel("int64(int64, int64, float32[:, ::1], int64, float32[:, ::1], int64)")
def _advance(call: int, slot: int, frame: Any, place: int, out: Any, region: int) -> Any:
    """Makes a call of one row, whose places are in bytes. Returns what `run` does, or that ``out`` is not finite."""
    store_int(field(call, SLOTS), slot)
    row = field(call, ROWS)
    copy_values(address(frame), row + place, frame.shape[1])
    code = run(call)
    if code == OK:
        copy_values(row + region, address(out), out.shape[1])
        if not finite(address(out), out.shape[1]):
            code = _NOT_FINITE
    return code


class Alone:
    """A call by which a program advances one stream of ``states`` [any, state_size] by one frame, prepared once: the
    cheapest from Python. One call at a time. Raises ValueError if the program looks memories up."""

    def __init__(self, program: Program, states: Floats) -> None:
        prepare(_advance)
        self.states = states
        self._row, self._slot, self._size = program.new_rows(1), np.zeros(1, np.int64), np.ones(1, np.int64)
        self._workspace = Workspace()
        self._workspace.point(program, states, self._slot, self._size, self._row)
        self._place, self._shape = 4 * program.input.offset, (1, program.input.size)
        self._call = entry(_advance)

    def run(self, slot: int, frame: Floats, region: Region) -> tuple[Floats, bool]:
        """Advance stream ``slot`` by ``frame`` [1, size of the program's input]: what is in the row's ``region`` then
        [1, its size], and whether that is finite. Raises ValueError for another slot or shape."""
        if frame.shape != self._shape:
            raise ValueError(f"the frame is {frame.shape}, and the program takes {self._shape}")
        out = np.empty((1, region.size), np.float32)
        frame = np.ascontiguousarray(frame)
        code = self._call(self._workspace.address, slot, frame, self._place, out, 4 * region.offset)
        if code > 0:
            raise ValueError(f"{slot} is not a row of states: there are {len(self.states)}")
        return out, code == OK
