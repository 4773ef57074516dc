"""Rows of numbers that are kept of many streams, and what is done to many of them at once.

Two tables of int64, a row for each stream. What a stream counts, COUNTED: how much of it was computed since its row
was filled in, where its front end keeps what (`kernels.audio.cut`), and its decoder's resting index. What its
messages are, LINED: numbers and credit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel
from ostinato.kernels.finite import finite
from ostinato.kernels.simd import address

UNITS, FRAMES, TAIL, KEPT, SKIP, RESTING = range(6)
COUNTED = 6
"""Fields of a row of what is counted."""
HELD, EXPECTED, DONE, WAITING, CREDIT, PROCESSED, EVENTS, UTTERANCE, UTTERANCE_MS = range(9)
LINED = 9
"""Fields of a row of messages: HELD is 0 or 1, the last a float64."""
ANSWERED, IN_MS = 7, 2
"""Fields of what is answered; the first are float64, in ms."""
PLAINLY, TOLD, LEFT = range(3)
"""How a message is answered: as most are; with events; elsewhere."""


@kernel("int64(float32[:, ::1], boolean[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[::1])")
def rest(outputs: Any, told: Any, counts: Any, units: Any, slots: Any, table: Any, deciding: Any) -> Any:
    """Which streams decide something: of stream i, the next counts[i] rows of ``outputs``, made of units[i].

    A stream rests in a frame if its largest output is where it was before, at first the RESTING one of its row of
    ``table``, slots[i], or is not ``told``. Those that do in all are counted there. ``deciding`` are the others;
    returns how many, or, if an output is not finite, -1, and then nothing is counted."""
    if not finite(address(outputs), outputs.size):
        return -1
    frame = 0
    found = 0
    for i in range(counts.shape[0]):
        row = table[slots[i]]
        rests = True
        before = row[RESTING]
        for _ in range(counts[i]):
            best = 0
            for k in range(1, outputs.shape[1]):
                if outputs[frame, k] > outputs[frame, best]:
                    best = k
            rests = rests and (best == before or not told[best])
            before = best
            frame += 1
        if rests:
            row[UNITS] += units[i]
            row[FRAMES] += counts[i]
            row[RESTING] = before
        else:
            deciding[found] = i
            found += 1
    return found


@kernel("int64(int64[:, ::1], int64, int64, int64[::1], int64[::1], int64[::1], int64, int64, int64[::1])")
def line_up(
    table: Any, first: int, last: int, rows: Any, sequences: Any, units: Any, longest: int, most: int, taken: Any
) -> Any:
    """Take the message sequences[i], of units[i], for the stream of row rows[i], if that is one of ``first`` …
    ``last`` - 1, is HELD, expects it, has credit for it, fewer than ``most`` messages wait, and it has at most
    ``longest`` units. The numbers i of those ``taken``; returns how many."""
    found = 0
    for i in range(rows.shape[0]):
        if rows[i] < first or rows[i] >= last:
            continue
        row = table[rows[i]]
        fits = row[WAITING] + units[i] <= row[CREDIT] and units[i] <= longest
        waits = row[EXPECTED] - 1 - row[DONE]
        if row[HELD] != 0 and sequences[i] == row[EXPECTED] and fits and waits < most:
            row[EXPECTED] += 1
            row[WAITING] += units[i]
            taken[found] = i
            found += 1
    return found


@kernel("boolean(int64[:, ::1], int64[::1], int64[::1])")
def due(table: Any, rows: Any, sequences: Any) -> Any:
    """Whether these are the next messages of streams that are all HELD."""
    for i in range(rows.shape[0]):
        row = table[rows[i]]
        if row[HELD] == 0 or row[DONE] + 1 != sequences[i]:
            return False
    return True


@kernel(
    "int64(int64[:, ::1], int64[::1], int64[::1], int64[::1], int64[::1], float64[::1], int64[::1], int64[:, ::1])"
)
def answer(table: Any, rows: Any, sequences: Any, units: Any, frames: Any, waits: Any, how: Any, out: Any) -> Any:
    """The messages sequences[i], of units[i] and frames[i], are done, but for those LEFT: count them.

    ``out`` [ANSWERED, any] has a column for each: where its utterance begins and how long it waited, float64; its
    number, and the stream's units, events, utterance, and frames. First those that are answered plainly, as many as
    are returned, last those TOLD."""
    floats = out.view(np.float64)
    plain = 0
    last = out.shape[1]
    told = 0
    for i in range(rows.shape[0]):
        told += how[i] == TOLD
    last -= told
    for i in range(rows.shape[0]):
        if how[i] == LEFT:
            continue
        row = table[rows[i]]
        row[DONE] = sequences[i]
        row[WAITING] -= units[i]
        row[PROCESSED] += units[i]
        if how[i] == TOLD:
            at = last
            last += 1
        else:
            at = plain
            plain += 1
        out[0, at] = row[UTTERANCE_MS]
        floats[1, at] = waits[i]
        out[2, at] = sequences[i]
        out[3, at] = row[PROCESSED]
        out[4, at] = row[EVENTS]
        out[5, at] = row[UTTERANCE]
        out[6, at] = frames[i]
    return plain
