"""Rows of numbers that are kept of many streams, and what is done to many of them at once.

Two tables of int64, a row for each stream. What a stream counts, COUNTED: how much of it was computed since its row
was filled in, where its front end keeps what (`kernels.audio.cut`), where the largest output was, and how many frames
its utterance had before. What its messages are, LINED: numbers and credit."""

from __future__ import annotations

from typing import Any

import numpy as np

from ostinato.kernels.compiler import kernel
from ostinato.kernels.finite import finite
from ostinato.kernels.simd import address

UNITS, FRAMES, TAIL, KEPT, SKIP, RESTING, BEGUN = range(7)
COUNTED = 7
"""Fields of a row of what is counted."""
HELD, EXPECTED, DONE, WAITING, CREDIT, PROCESSED, EVENTS, UTTERANCE, UTTERANCE_MS = range(9)
LINED = 9
"""Fields of a row of messages: HELD is 0 or 1, the last a float64."""
ANSWERED, IN_MS = 7, 2
"""Fields of what is answered; the first are float64, in ms."""
LEFT = -1
"""In the place of a number of events: the message is answered elsewhere."""


@kernel("int64(float32[:, ::1], boolean[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[:, ::1])")
def decide(outputs: Any, told: Any, counts: Any, units: Any, slots: Any, table: Any, decisions: Any) -> Any:
    """What streams decide whose decoder looks for the largest output alone: stream i has the next counts[i] rows of
    ``outputs``, made of units[i], and row slots[i] of ``table``, where they are counted.

    A frame decides something if its largest output is another than in the frame before, and is ``told``. Column n of
    ``decisions`` [4, any] is decision n: i, the frame's number in its utterance, the output, and the row. Returns how
    many, or, if an output is not finite, -1, and then nothing is counted."""
    if not finite(address(outputs), outputs.size):
        return -1
    at = 0
    found = 0
    for i in range(counts.shape[0]):
        row = table[slots[i]]
        before = row[RESTING]
        for t in range(counts[i]):
            best = 0
            for k in range(1, outputs.shape[1]):
                if outputs[at, k] > outputs[at, best]:
                    best = k
            if best != before and told[best]:
                decisions[0, found] = i
                decisions[1, found] = row[BEGUN] + row[FRAMES] + t
                decisions[2, found] = best
                decisions[3, found] = at
                found += 1
            before = best
            at += 1
        row[UNITS] += units[i]
        row[FRAMES] += counts[i]
        row[RESTING] = before
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
def answer(table: Any, rows: Any, sequences: Any, units: Any, frames: Any, waits: Any, events: Any, out: Any) -> Any:
    """The messages sequences[i], of units[i] and frames[i], are done and gave events[i], but for those LEFT: count
    them.

    ``out`` [any, ANSWERED] has a row for each: where its utterance begins and how long it waited, float64; its
    number, and the stream's units, events before it, utterance, and frames. First those without events, as many as
    are returned, last those with some, both in their order."""
    floats = out.view(np.float64)
    plain = 0
    last = out.shape[0]
    for i in range(rows.shape[0]):
        last -= events[i] > 0
    for i in range(rows.shape[0]):
        if events[i] == LEFT:
            continue
        row = table[rows[i]]
        row[DONE] = sequences[i]
        row[WAITING] -= units[i]
        row[PROCESSED] += units[i]
        if events[i] > 0:
            at = last
            last += 1
        else:
            at = plain
            plain += 1
        out[at, 0] = row[UTTERANCE_MS]
        floats[at, 1] = waits[i]
        out[at, 2] = sequences[i]
        out[at, 3] = row[PROCESSED]
        out[at, 4] = row[EVENTS]
        out[at, 5] = row[UTTERANCE]
        out[at, 6] = frames[i]
        row[EVENTS] += events[i]
    return plain
