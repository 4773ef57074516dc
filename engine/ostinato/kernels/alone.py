"""A frame that comes alone: one compiled call takes it in, computes it, and takes out what came of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import Lock
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

_OVERFLOWED, _REFUSED = -1, -2
_FLOAT32 = np.dtype(np.float32)


@kernel("int64(int64, int64, float32[:, ::1], int64, int64, int64, boolean)")
def _advance(call: int, slot: int, frame: Any, place: int, region: int, size: int, checked: bool) -> Any:
    """Makes a call of one row, whose places are in bytes; of a frame that was not ``checked`` only if it is finite.
    Returns what `run` does, or what is not finite: the frame, or the ``size`` values that came of it."""
    if not checked and not finite(address(frame), frame.shape[1]):
        return _REFUSED
    store_int(field(call, SLOTS), slot)
    row = field(call, ROWS)
    copy_values(address(frame), row + place, frame.shape[1])
    code = run(call)
    if code == OK and not finite(row + region, size):
        code = _OVERFLOWED
    return code


class Alone:
    """A call by which a program advances one stream of ``states`` [any, state_size] by one frame, prepared once: the
    cheapest from Python. One call at a time: ``lock`` makes others wait. Raises ValueError if the program looks
    memories up."""

    def __init__(self, program: Program, states: Floats, lock: AbstractContextManager[Any] | None = None) -> None:
        prepare(_advance)
        self.states = states
        self._lock = lock or Lock()
        self._row, self._slot, self._size = program.new_rows(1), np.zeros(1, np.int64), np.ones(1, np.int64)
        self._workspace = Workspace()
        self._workspace.point(program, states, self._slot, self._size, self._row)
        self._place, self._shape = 4 * program.input.offset, (1, program.input.size)
        self._call, self._address = entry(_advance), self._workspace.address

    def run(self, slot: int, frame: Floats, region: Region) -> tuple[Floats, bool]:
        """Advance stream ``slot`` by ``frame`` [1, size of the program's input]: what is in the row's ``region`` then
        [1, its size], and whether that is finite. Raises ValueError for another slot or shape."""
        if frame.shape != self._shape:
            raise ValueError(f"the frame is {frame.shape}, and the program takes {self._shape}")
        with self._lock:
            code = self._call(
                self._address, slot, np.ascontiguousarray(frame), self._place, 4 * region.offset, region.size, True
            )
            out = self._row[:, region.slice].copy()
        return out, self._finite(code, slot)

    def into(self, region: Region) -> Callable[[int, Any], tuple[Floats, bool] | None]:
        """`run` for this region, as a function(slot, data) for what may be no frame: it does nothing and gives None
        if that is not an array of float32 [size] or [1, size] whose values are finite."""
        call, described, place, start, size = self._call, self._address, self._place, 4 * region.offset, region.size
        shape, flat, lock, copied = self._shape, self._shape[1:], self._lock, self._row[:, region.slice].copy

        def take(slot: int, data: Any) -> tuple[Floats, bool] | None:
            if type(data) is not np.ndarray or data.dtype is not _FLOAT32:
                return None
            if data.shape != shape:
                if data.shape != flat:
                    return None
                data = data[None]
            with lock:
                code = call(described, slot, np.ascontiguousarray(data), place, start, size, False)
                out = copied()
            if code == OK:  # as nearly always
                return out, True
            return None if code == _REFUSED else (out, self._finite(code, slot))

        return take

    def _finite(self, code: int, slot: int) -> bool:
        """Whether the outputs are finite, as `_advance` says."""
        if code > 0:
            raise ValueError(f"{slot} is not a row of states: there are {len(self.states)}")
        return code == OK
