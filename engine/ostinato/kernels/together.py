"""Frames of many streams, as many of each: one compiled call packs them, computes them, and takes out what came of
them."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.kernels.compiler import entry, kernel, prepare
from ostinato.kernels.copying import copy_values
from ostinato.kernels.interpreter import OK, run
from ostinato.kernels.operations import Region
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    SLOTS,
    STATE,
    STATE_ROWS,
    STEPS,
    STREAMS,
)  # fmt: skip
from ostinato.kernels.program import Program, Workspace
from ostinato.kernels.simd import address, field, store_int

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@kernel(
    "int64(int64, float32[:, ::1], int64[::1], int64[::1], float32[:, :], float32[:, ::1], int64, int64, "
    "float32[:, ::1])"
)
def _advance(
    call: int, states: Any, slots: Any, sizes: Any, frames: Any, rows: Any, place: int, region: int, out: Any
) -> Any:
    """Makes a call of ``rows`` for the frames, ``sizes`` [steps] is filled with the number of streams; places in a
    row are in bytes. Returns what `run` does."""
    streams = slots.shape[0]
    steps = sizes.shape[0]
    for t in range(steps):
        sizes[t] = streams
    store_int(call + 8 * STATE, address(states))
    store_int(call + 8 * STATE_ROWS, states.shape[0])
    store_int(call + 8 * SLOTS, address(slots))
    store_int(call + 8 * STREAMS, streams)
    store_int(call + 8 * BATCH_SIZES, address(sizes))
    store_int(call + 8 * STEPS, steps)
    store_int(call + 8 * ROWS, address(rows))
    store_int(call + 8 * ROW_COUNT, frames.shape[0])
    row_step = field(call, ROW_STEP)
    source = address(frames)
    for b in range(streams):
        for t in range(steps):
            row = address(rows) + (t * streams + b) * row_step
            copy_values(source, row + place, frames.shape[1])
            source += frames.strides[0]
    code = run(call)
    if code == OK:
        target = address(out)
        for b in range(streams):
            for t in range(steps):
                row = address(rows) + (t * streams + b) * row_step
                copy_values(row + region, target, out.shape[1])
                target += 4 * out.shape[1]
    return code


@cache
def _compiled() -> Any:
    prepare(_advance)
    return entry(_advance)


def advance_together(
    program: Program, states: Floats, slots: Ints, frames: Floats, rows: Floats, workspace: Workspace, region: Region
) -> Floats:
    """Advance the streams in ``slots`` of ``states`` [any, state_size], all different, each by as many of ``frames``
    [n, size of the program's input], whose values lie side by side: those of the first stream, then of the second, …

    ``rows`` [n at least, row_size] are overwritten. Returns what is in the rows' ``region`` then [n, its size]. The
    bits are those of `program.advance`. Raises ValueError if the arrays do not fit together, or the program looks
    memories up."""
    count, streams = len(frames), len(slots)
    fits = streams and count % streams == 0 and count <= len(rows) and rows.shape[1] == program.row_size
    fits = fits and states.shape[1] == program.state_size and frames.shape[1] == program.input.size
    if not fits or frames.strides[1] != 4 or program.memory_size:
        raise ValueError(
            f"frames {frames.shape} of {streams} streams, rows {rows.shape} and states {states.shape} do not fit "
            "together, or the program looks memories up"
        )
    workspace.prepare(program, streams)
    out, sizes = np.empty((count, region.size), np.float32), np.empty(count // streams, np.int64)
    code = _compiled()(
        workspace.address, states, slots, sizes, frames, rows, 4 * program.input.offset, 4 * region.offset, out
    )
    if code:
        raise ValueError(f"the slots are not rows of states: there are {len(states)}")
    return out
