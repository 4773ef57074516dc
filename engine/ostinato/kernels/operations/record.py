"""What compiled code is told: an *operation* is FIELDS int64, a *call* CALL_FIELDS that say where everything is.

Places in operations count float32 values; addresses and steps in code count bytes.
"""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import part
from ostinato.kernels.simd import field, load_float, load_int, store_int

# Fields of an operation.
#   RUN, CELL          addresses of what runs it, and of a recurrent one's cell; KIND: its number among the kinds
#   BACKWARD           1: from the last frame to the first
#   TOKENS             1: the input is a token id
#   INPUT, OUTPUT      where a row has them, and how many values there are; SECOND: another input, of SECOND_SIZE: as
#                      many values, or a single one that stands for all
#   VECTORS            of gate sums, or dense outputs, per row, with W and BIAS; R, RECURRENT_BIAS and R2 as the cell
#                      needs them; DIAGONAL: weights of each unit by itself, likewise
#   W -1               the input is a recurrent operation's gate sums, made by dense ones before
#   BIAS -1            a dense operation goes on with the sums in its output
#   W_INT8, R_INT8     1: W, or R and R2, are packed by `integer`
#   ACTIVATION         a number of `ostinato.activations`; PARAMETERS: where its alpha and beta are. Where there are
#                      several, this is f, then come ACTIVATION_G and ACTIVATION_H
#   CLIP               where the bound of the activations' arguments is; -1: none
#   UNITS              of a recurrent operation: hidden units, which need not be as many as outputs
#   VARIANT            which variant of its cell an operation runs, as the cell counts them
#   EPSILON            where that is, a single value
#   TAPS, DILATION     a window over frames; LEFT: how many frames before a frame it begins; HISTORY: those of earlier
#                      calls, KEPT many, in the state row; COUNT: how many frames there have been, likewise
#   COLUMNS            of the matrix that an input is, row by row
#   KEYS, VALUES       where a frame of the memory has them
#   POSITIONS          which of the program's `positions` runs within each frame; PLAN: the address of its plan
#   TOGETHER           of a recurrent operation: how many, from this one on, recur together, step by step
#   FAR                1: of a program whose weights come from afar, where these are read for one frame
(
    RUN, CELL, KIND, BACKWARD, TOKENS, INPUT, INPUT_SIZE, OUTPUT, OUTPUT_SIZE, SECOND, VECTORS, STATE_H, STATE_C, W,
    BIAS, R, RECURRENT_BIAS, R2, DIAGONAL, ACTIVATION, PARAMETERS, W_INT8, R_INT8, TAPS, DILATION, LEFT, HISTORY,
    KEPT, COUNT, SECOND_SIZE, ACTIVATION_G, ACTIVATION_H, CLIP, UNITS, VARIANT, EPSILON, COLUMNS,
    POSITIONS, PLAN, KEYS, VALUES, TOGETHER, FAR,
) = range(43)  # fmt: skip
FIELDS = 43

FIELD_NAMES = {
    "backward": BACKWARD, "second": SECOND, "vectors": VECTORS, "state_h": STATE_H, "state_c": STATE_C, "W": W,
    "bias": BIAS, "R": R, "recurrent_bias": RECURRENT_BIAS, "R2": R2, "diagonal": DIAGONAL, "W_int8": W_INT8,
    "R_int8": R_INT8, "taps": TAPS, "dilation": DILATION, "left": LEFT, "history": HISTORY, "kept": KEPT,
    "count": COUNT, "second_size": SECOND_SIZE, "clip": CLIP, "units": UNITS, "variant": VARIANT, "epsilon": EPSILON,
    "columns": COLUMNS, "positions": POSITIONS, "keys": KEYS, "values": VALUES,
}  # fmt: skip
"""Fields of an operation, as whoever makes a program names them."""

PLACES = (
    SECOND,
    STATE_H,
    STATE_C,
    W,
    BIAS,
    R,
    RECURRENT_BIAS,
    R2,
    DIAGONAL,
    HISTORY,
    COUNT,
    CLIP,
    EPSILON,
    KEYS,
    VALUES,
)
"""Those that are places in a row, a state row, the weight buffer or a memory's frame: -1 where there is nothing."""

ACTIVATIONS = (ACTIVATION, ACTIVATION_G, ACTIVATION_H)
"""f, g and h."""

# Fields of a call: addresses, steps in bytes, counts.
#   FIRST, LAST        which of the OPERATIONS run, to LAST - 1
#   TABLE              room for an address per row; TABLE_H: where a cell reads h<t-1> of each row; TABLE_SLOTS: where
#                      the state row of each stream is
#   GATES, SCRATCH     gate sums, and as much again for a cell's use, of CAPACITY rows; INTEGERS: rows made int8
#   ROOM               for the rows and states of what runs within frames, as its plan lays them out
#   MEMORIES           of each stream, where the first frame of its memory is and how many it sees; these lie
#                      MEMORY_STEP apart. SCORES: room for a number for each frame of the longest
OPERATIONS, FIRST, LAST, WEIGHTS, ROW_STEP, STATE_STEP = range(6)
STATE, STATE_ROWS, SLOTS, STREAMS, BATCH_SIZES, STEPS, ROWS, ROW_COUNT = range(6, 14)
TABLE, TABLE_H, TABLE_SLOTS, GATES, SCRATCH, CAPACITY, INTEGERS, ROOM = range(14, 22)
MEMORIES, MEMORY_STEP, SCORES = range(22, 25)
CALL_FIELDS = 25

BLOCK_ROWS = 64
"""Rows that are projected at once: enough to use each weight often, few enough for the sums to stay in L2."""


@part
def row_pitch(vectors: int) -> int:
    """How many vectors from one row to the next: rows that lie a multiple of 512 bytes apart would share cache sets,
    and drive each other out (some per cent of the speed at 256 and 512 hidden units)."""
    return vectors if vectors % 8 else vectors + 1


@part
def fill(table: int, count: int, start: int, step: int) -> None:
    """Addresses of ``count`` rows that lie ``step`` apart."""
    for i in range(count):
        store_int(table + 8 * i, start + i * step)


@part
def together(op: int, call: int) -> Any:
    """How many operations run as this one does, those of the call only."""
    left = field(call, LAST) - (op - field(call, OPERATIONS)) // (8 * FIELDS)
    return max(1, min(left, field(op, TOGETHER)))


@part
def from_afar(op: int, call: int, rows: int) -> Any:
    """Whether an operation's float32 weights are read for so many rows as `product.far_row` does: for the one row of
    a call, because of many frames each operation's are used again and again."""
    return rows == 1 and field(op, FAR) != 0 and field(call, STEPS) == 1


@part
def token(place: int, size: int) -> int:
    """The token id in the first value of a row; 0 for what is none, so that nothing outside the weights is read."""
    value = load_float(place)
    return int(value) if 0 <= value < size else 0


@part
def state_of(call: int, stream: int) -> Any:
    """Where the state row of a stream begins, by its number in the call."""
    return load_int(field(call, TABLE_SLOTS) + 8 * stream)


@part
def memory_of(call: int, stream: int) -> Any:
    """Where the first frame of a stream's memory is, by its number in the call."""
    return load_int(field(call, MEMORIES) + 16 * stream)


@part
def frames_of(call: int, stream: int) -> Any:
    """How many frames of its memory a stream sees, at least one."""
    return load_int(field(call, MEMORIES) + 16 * stream + 8)
