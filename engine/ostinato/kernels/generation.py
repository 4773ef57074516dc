"""A token of each of many streams in one call: drawn from what the last frame gave, and taken in as the next one.

ticket ──> outputs ──> draw ──> token ──> row ──> program ──> outputs
▲                                                  │
└──────────────────────────────────────────────────┘
"""

from __future__ import annotations

from typing import Any

from numba.np.numpy_support import carray

from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.copying import copy, copy_values
from ostinato.kernels.interpreter import OK, perform
from ostinato.kernels.operations.record import (
    BATCH_SIZES,
    ROW_COUNT,
    ROWS,
    SLOTS,
    STATE,
    STATE_ROWS,
    STEPS,
    STREAMS,
)
from ostinato.kernels.sampling import STEP, draw_rows
from ostinato.kernels.simd import BYTES, address, doubles_at, load, load_float, splat, store_int, total
from ostinato.lanes import LANES

# A ticket is what a stream is known by: as a row of `sampling.draw`'s hows, then the address of the outputs that its
# next token is drawn from, and its slot. All are whole numbers that a float64 holds.
OUTPUTS, SLOT, TICKET = 5, 6, 7


@part
def _point(call: int, state: Any, slots: Any, sizes: Any, rows: Any, count: int) -> None:
    """The call is about a frame of each of ``count`` streams."""
    store_int(call + 8 * STATE, address(state))
    store_int(call + 8 * STATE_ROWS, state.shape[0])
    store_int(call + 8 * SLOTS, address(slots))
    store_int(call + 8 * STREAMS, count)
    store_int(call + 8 * BATCH_SIZES, address(sizes))
    store_int(call + 8 * STEPS, 1)
    store_int(call + 8 * ROWS, address(rows))
    store_int(call + 8 * ROW_COUNT, count)
    sizes[0] = count


@part
def _finite(values: int, size: int) -> bool:
    """Whether so many float32 are finite: then each less itself is 0."""
    sum_, blocks = splat(0.0), size // LANES
    for block in range(blocks):
        x = load(values + block * BYTES)
        sum_ = sum_ + (x - x)
    rest = total(sum_)
    for i in range(blocks * LANES, size):
        x = load_float(values + 4 * i)
        rest += x - x
    finite: bool = rest == 0.0
    return finite


@kernel(
    "int64(int64, int64, int64[::1], boolean, int64, int64, int64, float32[:, ::1], int64[::1], int64[::1], "
    "float32[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], int64[::1], int64[::1], float64[::1], int64[::1])"
)
def step(
    call: int, count: int, tickets: Any, probabilities: bool, input_: int, output: int, size: int, state: Any,
    slots: Any, sizes: Any, rows: Any, hows: Any, weights: Any, order: Any, table: Any, tokens: Any, chances: Any,
    finite: Any,
) -> Any:  # fmt: skip
    """A token of each of ``count`` streams, by the addresses of their ``tickets``; returns a code of `interpreter`.

    ``call`` is prepared for the program, whose rows have a token at ``input_`` and the ``size`` outputs, logits or
    ``probabilities``, at ``output``. ``tokens`` and ``chances`` become what was drawn, and the state rows are those
    behind these tokens then. So are the tickets, each with its outputs, where these are ``finite``; elsewhere they
    are as before. ``slots``, ``rows``, ``hows``, ``table`` [count, …], ``sizes`` [1], and ``weights`` and ``order``
    as for `sampling.draw` are room."""
    for r in range(count):
        ticket = carray(doubles_at(tickets[r]), (TICKET,))
        for i in range(OUTPUTS):
            hows[r, i] = ticket[i]
        table[r], slots[r] = int(ticket[OUTPUTS]), int(ticket[SLOT])
    draw_rows(
        address(table), count, size, int(probabilities), address(hows), address(weights), address(order),
        address(tokens), address(chances),
    )  # fmt: skip
    for r in range(count):
        rows[r, input_] = tokens[r]
    _point(call, state, slots, sizes, rows, count)
    code = perform(call)
    if code != OK:
        return code
    for r in range(count):
        given = address(rows) + 4 * (r * rows.shape[1] + output)
        finite[r] = _finite(given, size)
        if finite[r]:
            copy_values(given, table[r], size)
            carray(doubles_at(tickets[r]), (TICKET,))[STEP] += 1.0
    return code


@kernel(
    "int64(int64, int64, int64, float64[::1], boolean, int64, int64, int64, float32[:, ::1], int64[::1], "
    "int64[::1], float32[:, ::1], float64[:, ::1], float64[:, ::1], int64[::1], int64[::1], int64[::1], "
    "float64[::1], float32[:, ::1], float32[:, ::1])"
)
def ahead(
    call: int, most: int, end: int, ticket: Any, probabilities: bool, input_: int, output: int, size: int, state: Any,
    slots: Any, sizes: Any, rows: Any, hows: Any, weights: Any, order: Any, table: Any, tokens: Any, chances: Any,
    states: Any, outputs: Any,
) -> Any:  # fmt: skip
    """At most ``most`` tokens of one stream, as `step` makes them one by one, up to ``end``. Nothing of the ticket is
    changed, and ``state`` [1, state_size] is a copy. Returns how many there are: behind token i the state is
    ``states`` [most, state_size] and the outputs are ``outputs`` [most, size]. None are there of a token behind which
    these are not finite."""
    for i in range(OUTPUTS):
        hows[0, i] = ticket[i]
    table[0], slots[0] = int(ticket[OUTPUTS]), 0
    _point(call, state, slots, sizes, rows, 1)
    for t in range(most):
        draw_rows(
            address(table), 1, size, int(probabilities), address(hows), address(weights), address(order),
            address(tokens) + 8 * t, address(chances) + 8 * t,
        )  # fmt: skip
        rows[0, input_] = tokens[t]
        given = address(rows) + 4 * output
        if perform(call) != OK or not _finite(given, size):
            return t
        table[0] = address(outputs) + 4 * t * size
        copy_values(given, table[0], size)
        copy(address(state), address(states) + 4 * t * state.shape[1], state.shape[1] // LANES)
        hows[0, STEP] += 1.0
        if tokens[t] == end:
            return t + 1
    return most
