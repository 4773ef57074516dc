"""Stages: programs of different rates, each fed by windows over the frames that earlier ones made.

    frames of the front end ─> stage 0 ─> links ─> stage 1 ─> … ─> links ─> frames of what comes after

A stage is a run of operations of one rate: its rows are packed by themselves, as after a stride streams have
different numbers of frames. Between stages stand *links*, the only re-framing (`ostinato.model.framing` has the
rule). How many frames a stage has made of a stream follows from the number of the stream's input frames alone. A
stream's state is one row of float32: that number (two values, its lowest 24 bits first), the stages' own states, and
for each region that a link reads the last frames of it that a link can still need, in a ring: frame n is number n %
kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ostinato.kernels.aligned import zeros
from ostinato.kernels.compiler import kernel, part, prepare
from ostinato.kernels.copying import copy_values
from ostinato.kernels.interpreter import run
from ostinato.kernels.operations import record as i
from ostinato.kernels.program import Program, Workspace
from ostinato.kernels.simd import address, store_float, store_int
from ostinato.lanes import LANES

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

COUNTER = LANES
"""Values at the start of a state row that hold how many input frames there have been."""


class Link(NamedTuple):
    """How stage ``target`` gets ``size`` values a tap, from ``target_offset`` of its row on, out of the region at
    ``offset`` of the rows of stage ``source``. The names in the middle are those of `model.framing.Framing`.
    ``history`` is where a state row has the last ``kept`` frames of the region, each ``slot`` values apart."""

    source: int
    target: int
    offset: int
    size: int
    taps: int
    stride: int
    dilation: int
    left: int
    right: int
    times: int
    skip: int
    trim: int
    hold: int
    target_offset: int
    history: int
    kept: int
    slot: int


(
    _SOURCE, _TARGET, _OFFSET, _SIZE, _TAPS, _STRIDE, _DILATION, _LEFT, _RIGHT, _TIMES, _SKIP, _TRIM, _HOLD,
    _TARGET_OFFSET, _HISTORY, _KEPT, _SLOT,
) = range(17)  # fmt: skip


class History(NamedTuple):
    """A region of a stage's rows of which the last ``kept`` frames lie at ``place`` of a state row, ``slot``
    apart."""

    source: int
    offset: int
    size: int
    place: int
    kept: int
    slot: int


@dataclass(frozen=True, eq=False)
class Stages:
    """Programs in the order of computing, and what stands between them and what comes after: stage ``len(programs)``,
    whose rows are ``frame_size`` values and nothing else. ``pads``: each link's value of padding. ``offsets``: where
    a state row has each stage's state. ``values``: in the rows that one input frame makes, at most; ``ending``: the
    frames that come out at an utterance's end, at most."""

    programs: tuple[Program, ...]
    links: tuple[Link, ...]
    histories: tuple[History, ...]
    pads: tuple[float, ...]
    offsets: tuple[int, ...]
    state_size: int
    frame_size: int
    values: int
    ending: int

    def new_state(self) -> Floats:
        """The state row of a stream that has not begun, [state_size]."""
        state = zeros(self.state_size)
        for program, offset in zip(self.programs, self.offsets, strict=True):
            state[offset : offset + program.state_size] = program.initial
        return state


@part
def _made(links: Any, link: int, frames: int) -> Any:
    if links[link, _TIMES] > 1:
        return max(0, frames * links[link, _TIMES] - links[link, _SKIP] - links[link, _HOLD])
    span = (links[link, _TAPS] - 1) * links[link, _DILATION]
    return max(0, (frames - 1 + links[link, _LEFT] - span) // links[link, _STRIDE] + 1)


@part
def _length(links: Any, link: int, frames: int) -> Any:
    if links[link, _TIMES] > 1:
        return max(0, frames * links[link, _TIMES] - links[link, _SKIP] - links[link, _TRIM])
    span = (links[link, _TAPS] - 1) * links[link, _DILATION]
    return max(0, (frames + links[link, _LEFT] + links[link, _RIGHT] - span - 1) // links[link, _STRIDE] + 1)


@kernel("void(int64[:, ::1], float32[:, ::1], int64[::1], int64, int64[:, :, ::1])")
def plan(links: Any, states: Any, counts: Any, ended: int, made: Any) -> None:
    """Fills ``made`` [stages + 1, 2, streams]: how many frames each stage has of each stream, before and after the
    next ``counts`` input frames. ``ended``: they are the last of the utterance."""
    for b in range(counts.shape[0]):
        before = int(states[b, 0]) + (int(states[b, 1]) << 24)
        after = before + counts[b]
        made[0, 0, b] = before
        made[0, 1, b] = after
        for s in range(1, made.shape[0]):
            made[s, 0, b] = -1
        for link in range(links.shape[0]):  # in the order of their targets, so their sources are done
            source = links[link, _SOURCE]
            target = links[link, _TARGET]
            old = _made(links, link, made[source, 0, b]) if before else 0
            new = 0
            if after:
                new = _length(links, link, made[source, 1, b]) if ended else _made(links, link, made[source, 1, b])
            first = made[target, 0, b] < 0
            made[target, 0, b] = old if first else min(old, made[target, 0, b])
            made[target, 1, b] = new if first else min(new, made[target, 1, b])


@part
def _sort(order: Any, made: Any, stage: int) -> None:
    """Streams by how many frames the stage makes of them, most first, the earlier one first among equals (Shell)."""
    count = order.shape[1]
    for b in range(count):
        order[stage, b] = b
    gap = count // 2
    while gap > 0:
        for start in range(gap, count):
            b = order[stage, start]
            frames = made[stage, 1, b] - made[stage, 0, b]
            at = start
            while at >= gap:
                other = order[stage, at - gap]
                theirs = made[stage, 1, other] - made[stage, 0, other]
                if theirs > frames or (theirs == frames and other < b):
                    break
                order[stage, at] = other
                at -= gap
            order[stage, at] = b
        gap //= 2


@part
def _fill(
    links: Any, link: int, pads: Any, states: Any, made: Any, rows: Any, steps: Any, starts: Any, place: Any, b: int,
    frame: int, target: int,
) -> None:  # fmt: skip
    """What a link gives for a target frame of stream b, to the row at ``target``."""
    source = links[link, _SOURCE]
    size = links[link, _SIZE]
    before = made[source, 0, b]
    end = made[source, 1, b]
    for j in range(links[link, _TAPS]):
        at = target + 4 * (links[link, _TARGET_OFFSET] + j * size)
        offset = links[link, _OFFSET]
        if links[link, _TIMES] > 1:
            number = (frame + links[link, _SKIP]) // links[link, _TIMES]
            offset += (frame + links[link, _SKIP]) % links[link, _TIMES] * size
        else:
            number = frame * links[link, _STRIDE] - links[link, _LEFT] + j * links[link, _DILATION]
        if number < 0 or number >= end:
            for k in range(size):
                store_float(at + 4 * k, pads[link])
        elif number >= before:
            row = starts[source, number - before] + place[source, b]
            copy_values(rows[source] + row * steps[source] + 4 * offset, at, size)
        else:
            ring = address(states) + 4 * (b * states.shape[1] + links[link, _HISTORY])
            slot = number % links[link, _KEPT] * links[link, _SLOT]
            copy_values(ring + 4 * (slot + offset - links[link, _OFFSET]), at, size)


@kernel(
    "int64(int64[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[:, ::1], float32[::1],"
    "float32[:, ::1], int64[:, :, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[:, ::1],"
    "float32[:, ::1], float32[:, ::1])"
)
def advance_stages(
    calls: Any, rows: Any, steps: Any, offsets: Any, links: Any, histories: Any, pads: Any, states: Any, made: Any,
    order: Any, place: Any, sizes: Any, starts: Any, frames: Any, out: Any,
) -> Any:  # fmt: skip
    """All stages, as `plan` planned. ``calls``, ``rows`` and ``steps``: of each stage its call, where its rows begin
    and how many bytes they lie apart. The others are room: ``order`` and ``place`` [stages, streams], ``sizes`` and
    ``starts`` [stages, most steps]. ``frames``: of the first stream, then of the second, …; ``out`` likewise. Returns
    `interpreter.OK`, or why it stopped."""
    streams = states.shape[0]
    stages = calls.shape[0]
    for s in range(stages):
        _sort(order, made, s)
        b = order[s, 0]
        longest = made[s, 1, b] - made[s, 0, b]
        batch = streams
        total = 0
        for t in range(longest):
            while made[s, 1, order[s, batch - 1]] - made[s, 0, order[s, batch - 1]] <= t:
                batch -= 1
            sizes[s, t] = batch
            starts[s, t] = total
            total += batch
        for p in range(streams):
            place[s, order[s, p]] = p
        if total == 0:
            continue
        if s == 0:
            source = address(frames)
            step = 4 * frames.shape[1]
            for b in range(streams):
                for t in range(made[0, 1, b] - made[0, 0, b]):
                    copy_values(source, rows[0] + (starts[0, t] + place[0, b]) * steps[0], frames.shape[1])
                    source += step
        for link in range(links.shape[0]):
            if links[link, _TARGET] == s:
                for b in range(streams):
                    for t in range(made[s, 1, b] - made[s, 0, b]):
                        target = rows[s] + (starts[s, t] + place[s, b]) * steps[s]
                        _fill(
                            links, link, pads, states, made, rows, steps, starts, place, b, made[s, 0, b] + t, target,
                        )  # fmt: skip
        call = calls[s]
        store_int(call + 8 * i.STATE, address(states) + 4 * offsets[s])
        store_int(call + 8 * i.STATE_STEP, 4 * states.shape[1])
        store_int(call + 8 * i.STATE_ROWS, streams)
        store_int(call + 8 * i.SLOTS, address(order) + 8 * s * order.shape[1])
        store_int(call + 8 * i.STREAMS, sizes[s, 0])
        store_int(call + 8 * i.BATCH_SIZES, address(sizes) + 8 * s * sizes.shape[1])
        store_int(call + 8 * i.STEPS, longest)
        store_int(call + 8 * i.ROWS, rows[s])
        store_int(call + 8 * i.ROW_COUNT, total)
        code = run(call)
        if code != 0:
            return code
    target = address(out)
    for b in range(streams):
        for frame in range(made[stages, 0, b], made[stages, 1, b]):
            for link in range(links.shape[0]):
                if links[link, _TARGET] == stages:
                    _fill(links, link, pads, states, made, rows, steps, starts, place, b, frame, target)
            target += 4 * out.shape[1]
    for h in range(histories.shape[0]):
        s = histories[h, 0]
        for b in range(streams):
            ring = address(states) + 4 * (b * states.shape[1] + histories[h, 3])
            for frame in range(max(made[s, 0, b], made[s, 1, b] - histories[h, 4]), made[s, 1, b]):
                row = starts[s, frame - made[s, 0, b]] + place[s, b]
                slot = frame % histories[h, 4] * histories[h, 5]
                copy_values(rows[s] + row * steps[s] + 4 * histories[h, 1], ring + 4 * slot, histories[h, 2])
    for b in range(streams):
        states[b, 0] = made[0, 1, b] & 0xFFFFFF
        states[b, 1] = made[0, 1, b] >> 24
    return 0


class StagesRunner:
    """Stages and their scratch memory. One call at a time."""

    def __init__(self, stages: Stages) -> None:
        prepare(plan, advance_stages)
        self.stages = stages
        count = len(stages.programs)
        self._workspaces = [Workspace() for _ in stages.programs]
        self._rows = [program.new_rows(16) for program in stages.programs]
        self._steps = np.array([4 * program.row_size for program in stages.programs], np.int64)
        self._offsets = np.array(stages.offsets, np.int64)
        self._links = np.array(stages.links, np.int64).reshape(-1, len(Link._fields))
        self._histories = np.array(stages.histories, np.int64).reshape(-1, len(History._fields))
        self._pads = np.array(stages.pads, np.float32)
        self._sizes = self._starts = np.zeros((count, 0), np.int64)
        self._totals = np.zeros(count + 1, np.int64)

    def advance(self, states: Floats, frames: Floats, counts: Ints, ended: bool = False) -> tuple[Floats, Ints]:
        """Advance streams, whose state rows are ``states`` [streams, state_size], in place: the first by the first
        counts[0] of ``frames`` [sum of counts, size], then …; ``ended``: their utterances end there. Returns the
        frames that come out likewise, [n, frame_size], and how many there are of each stream."""
        stages, streams = self.stages, len(counts)
        made = np.empty((len(stages.programs) + 1, 2, streams), np.int64)
        plan(self._links, states, counts, int(ended), made)
        new = made[:, 1] - made[:, 0]
        totals = new.sum(axis=1)
        for s, program in enumerate(stages.programs):
            if len(self._rows[s]) < totals[s]:
                self._rows[s] = program.new_rows(int(totals[s]))
            self._workspaces[s].prepare(program, streams)
        if self._sizes.shape[1] < (longest := int(new.max(initial=0))):
            self._sizes, self._starts = np.zeros((2, len(stages.programs), longest), np.int64)
        order, place = np.empty((2, len(stages.programs), streams), np.int64)
        calls = np.array([workspace.address for workspace in self._workspaces], np.int64)
        rows = np.array([each.ctypes.data for each in self._rows], np.int64)
        out = np.empty((int(totals[-1]), stages.frame_size), np.float32)
        code = advance_stages(
            calls, rows, self._steps, self._offsets, self._links, self._histories, self._pads, states, made, order,
            place, self._sizes, self._starts, np.require(frames, np.float32, ["C", "W"]), out,
        )  # fmt: skip
        assert code == 0, code  # whatever could be wrong was made here
        self._totals = totals
        return out, new[-1]

    def rows(self) -> list[Floats]:
        """Copies of each stage's rows, as the latest call left them."""
        return [rows[:total].copy() for rows, total in zip(self._rows, self._totals, strict=False)]
