"""Programs over the positions of each frame: a frame of [positions, channels] is a sequence of its own, which begins
anew in each frame.

`kernels.positions` makes the *plan* of such an operation: where its programs are, and how *links* bring them the
frame's positions, each other's, and the results back into the frame. Rows of the programs are packed as always, with
frames in the place of streams and positions in that of time steps; a block of frames at a time, for whose rows and
states the call has ROOM. What else the programs need, they take of the call's.
"""

from __future__ import annotations

from ostinato.kernels.compiler import routine
from ostinato.kernels.copying import copy
from ostinato.kernels.operations.kind import Kind, Reach, Record, Region
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    CALL_FIELDS,
    INPUT,
    INPUT_SIZE,
    OUTPUT,
    OUTPUT_SIZE,
    PLAN,
    ROOM,
    ROW_COUNT,
    ROW_STEP,
    ROWS,
    STATE,
    STATE_STEP,
    STEPS,
    STREAMS,
    TABLE_SLOTS,
    WEIGHTS,
)
from ostinato.kernels.operations.running import run_all
from ostinato.kernels.simd import BYTES, field, load_float, splat, store, store_int
from ostinato.lanes import LANES

# A plan: int64, of which these come first. What is "at" a place lies so many bytes from the start of the call's ROOM.
#   BLOCK              frames at a time
#   PROGRAMS, LINKS    how many; their records follow, programs first
#   CALL_AT            where the programs' call is; SLOTS_AT: its TABLE_SLOTS; SIZES_AT: its BATCH_SIZES
BLOCK, PROGRAMS, LINKS, CALL_AT, SLOTS_AT, SIZES_AT = range(6)
HEADER = 6

# Of each program: addresses, its COUNT of operations and of POSITIONS, and what lies in the room for a block.
P_OPERATIONS, P_COUNT, P_WEIGHTS, P_ROW_STEP, P_STATE_STEP, P_INITIAL, P_POSITIONS, P_ROWS_AT, P_STATES_AT = range(9)
PROGRAM_FIELDS = 9

# Of each link: what `kernels.positions.Link` has, and how many positions its source and its target have.
(
    SOURCE, TARGET, OFFSET, SIZE, SOURCE_STEP, TARGET_OFFSET, TARGET_STEP, TAPS, STRIDE, DILATION, LEFT, TIMES, SKIP,
    PAD, SOURCE_COUNT, TARGET_COUNT,
) = range(16)  # fmt: skip
LINK_FIELDS = 16


@routine("void(int64, int64, int64, int64, int64, int64, int64, int64)")
def _bring(
    link: int, frames: int, source: int, source_position: int, source_frame: int, target: int, target_position: int,
    target_frame: int,
) -> None:  # fmt: skip
    """What a link gives for all positions of a block of frames: from ``source`` to ``target``, where positions and
    frames lie so many bytes apart.

    Whole vectors are written. What falls behind a position's values is overwritten by the next one's, or lies where
    nothing is yet.
    """
    size = field(link, SIZE)
    taps = field(link, TAPS)
    times = field(link, TIMES)
    dilation = field(link, DILATION)
    count = field(link, SOURCE_COUNT)
    vectors = (size + LANES - 1) // LANES
    together = (taps * size + LANES - 1) // LANES
    neighbours = taps == 1 or (dilation == 1 and source_position == 4 * size)
    for position in range(field(link, TARGET_COUNT)):
        first = position * field(link, STRIDE) - field(link, LEFT)
        part = 0
        if times > 1:
            first = (position + field(link, SKIP)) // times
            part = 4 * size * ((position + field(link, SKIP)) % times)
        at = target + position * target_position
        if neighbours and first >= 0 and first + taps <= count:
            x = source + first * source_position + part
            for b in range(frames):
                copy(x + b * source_frame, at + b * target_frame, together)
        else:
            for j in range(taps):
                number = first + j * dilation
                if 0 <= number < count:
                    x = source + number * source_position + part
                    for b in range(frames):
                        copy(x + b * source_frame, at + b * target_frame, vectors)
                else:
                    pad = splat(load_float(field(link, PAD)))
                    for b in range(frames):
                        for v in range(vectors):
                            store(at + b * target_frame + v * BYTES, pad)
                at += 4 * size


@routine("void(int64, int64, int64, int64, int64, int64, int64)")
def _bring_to(plan: int, stage: int, frames: int, room: int, x: int, y: int, step: int) -> None:
    """What all links into a stage give: 0 is the frame, then come the programs. ``x`` and ``y``: the input and the
    output of the first frame of the block; frames lie ``step`` apart."""
    programs = plan + 8 * HEADER
    links = programs + 8 * PROGRAM_FIELDS * field(plan, PROGRAMS)
    for number in range(field(plan, LINKS)):
        link = links + 8 * LINK_FIELDS * number
        if field(link, TARGET) != stage:
            continue
        source = x + 4 * field(link, OFFSET)
        source_position = 4 * field(link, SOURCE_STEP)
        source_frame = step
        if field(link, SOURCE) > 0:
            program = programs + 8 * PROGRAM_FIELDS * (field(link, SOURCE) - 1)
            source = room + field(program, P_ROWS_AT) + 4 * field(link, OFFSET)
            source_frame = field(program, P_ROW_STEP)
            source_position = frames * source_frame
        target = y + 4 * field(link, TARGET_OFFSET)
        target_position = 4 * field(link, TARGET_STEP)
        target_frame = step
        if stage > 0:
            program = programs + 8 * PROGRAM_FIELDS * (stage - 1)
            target = room + field(program, P_ROWS_AT) + 4 * field(link, TARGET_OFFSET)
            target_frame = field(program, P_ROW_STEP)
            target_position = frames * target_frame
        _bring(link, frames, source, source_position, source_frame, target, target_position, target_frame)


@routine("void(int64, int64, int64, int64)")
def _run(plan: int, program: int, frames: int, room: int) -> None:
    """A program's operations over all positions of a block of frames, from its initial states."""
    call = room + field(plan, CALL_AT)
    slots = room + field(plan, SLOTS_AT)
    sizes = room + field(plan, SIZES_AT)
    positions = field(program, P_POSITIONS)
    states = room + field(program, P_STATES_AT)
    step = field(program, P_STATE_STEP)
    for b in range(frames):
        copy(field(program, P_INITIAL), states + b * step, step // BYTES)
        store_int(slots + 8 * b, states + b * step)
    for position in range(positions):
        store_int(sizes + 8 * position, frames)
    store_int(call + 8 * WEIGHTS, field(program, P_WEIGHTS))
    store_int(call + 8 * ROW_STEP, field(program, P_ROW_STEP))
    store_int(call + 8 * STATE_STEP, step)
    store_int(call + 8 * STATE, states)
    store_int(call + 8 * TABLE_SLOTS, slots)
    store_int(call + 8 * STREAMS, frames)
    store_int(call + 8 * BATCH_SIZES, sizes)
    store_int(call + 8 * STEPS, positions)
    store_int(call + 8 * ROWS, room + field(program, P_ROWS_AT))
    store_int(call + 8 * ROW_COUNT, positions * frames)
    run_all(call, field(program, P_OPERATIONS), field(program, P_COUNT))


@routine("void(int64, int64)")
def within(op: int, call: int) -> None:
    """All rows, a block of frames at a time."""
    plan = field(op, PLAN)
    room = field(call, ROOM)
    step = field(call, ROW_STEP)
    count = field(call, ROW_COUNT)
    for f in range(CALL_FIELDS):
        store_int(room + field(plan, CALL_AT) + 8 * f, field(call, f))
    for start in range(0, count, field(plan, BLOCK)):
        frames = min(field(plan, BLOCK), count - start)
        x = field(call, ROWS) + start * step + 4 * field(op, INPUT)
        y = field(call, ROWS) + start * step + 4 * field(op, OUTPUT)
        for number in range(field(plan, PROGRAMS)):
            _bring_to(plan, number + 1, frames, room, x, y, step)
            _run(plan, plan + 8 * (HEADER + PROGRAM_FIELDS * number), frames, room)
        _bring_to(plan, 0, frames, room, x, y, step)


def _reach(op: Record) -> Reach:
    """Whole vectors are read and written from any value on."""
    x, y = (Region(int(op[place]), int(op[size])) for place, size in ((INPUT, INPUT_SIZE), (OUTPUT, OUTPUT_SIZE)))
    loads, writes = (Region(region.offset, region.size + LANES - 1) for region in (x, y))
    return Reach([x], [writes], loads=[loads])


WITHIN = Kind(within, _reach, inner=True)
