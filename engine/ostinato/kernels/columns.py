"""Rows of numbers that are kept of many streams, and what is done to many of them at once.

Two tables of int64, a row for each stream. What a stream counts, COUNTED: how much of it was computed since its row
was filled in, where its front end keeps what (`kernels.audio.cut`), where the largest output was, and how many frames
its utterance had before. What its messages are, LINED: numbers and credit."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.compiler import kernel
from ostinato.kernels.finite import finite
from ostinato.kernels.simd import address, bits_of

UNITS, FRAMES, TAIL, KEPT, SKIP, RESTING, BEGUN = range(7)
COUNTED = 7
"""Fields of a row of what is counted."""
HELD, SLOT, EXPECTED, DONE, WAITING, CREDIT, PROCESSED, EVENTS, UTTERANCE, UTTERANCE_MS = range(10)
LINED = 10
"""Fields of a row of messages: HELD is the number of its model, from 1 up, or 0; the last a float64."""
AT_MS, WAITED_MS, SEQUENCE, UNITS_DONE, FIRST, IN_UTTERANCE, COMPUTED, TOLD, DECISION = range(9)
ANSWERED, IN_MS = 9, 2
"""Fields of an answer: where its utterance begins and how long it waited, IN_MS, float64; its number, the stream's
units and events before it, its utterance, its frames, how many events it has, and which decision is the first."""
DECIDED = 4
"""Fields of a decision: of which stream, the frame's number in its utterance, the output, and its value, float64."""


@kernel("int64(float32[:, ::1], boolean[::1], int64[::1], int64[::1], int64[::1], int64[:, ::1], int64[:, ::1])")
def decide(outputs: Any, told: Any, counts: Any, units: Any, slots: Any, table: Any, decisions: Any) -> Any:
    """What streams decide whose decoder looks for the largest output alone: stream i has the next counts[i] rows of
    ``outputs``, made of units[i], and row slots[i] of ``table``, where they are counted.

    A frame decides something if its largest output is another than in the frame before, and is ``told``. Row n of
    ``decisions`` [any, DECIDED] is decision n. Returns how many, or, if an output is not finite, -1, and then nothing
    is counted."""
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
                decisions[found, 0] = i
                decisions[found, 1] = row[BEGUN] + row[FRAMES] + t
                decisions[found, 2] = best
                decisions[found, 3] = bits_of(float(outputs[at, best]))
                found += 1
            before = best
            at += 1
        row[UNITS] += units[i]
        row[FRAMES] += counts[i]
        row[RESTING] = before
    return found


@kernel("void(int64[:, ::1], int64[::1], int64[::1], int64[:, ::1])")
def places(table: Any, slots: Any, units: Any, out: Any) -> None:
    """Where the front ends of these streams keep what, and so many ``units`` of each: ``out`` [4, streams], as
    `kernels.audio.cut` takes it."""
    for i in range(slots.shape[0]):
        row = table[slots[i]]
        out[0, i] = row[TAIL]
        out[1, i] = row[KEPT]
        out[2, i] = row[SKIP]
        out[3, i] = units[i]


@kernel("int64(int64[:, ::1], int64[::1], int64[:, ::1])")
def moved(table: Any, slots: Any, given: Any) -> Any:
    """Take note of `places` that have moved on. How many frames each stream has, given[3], if all have as many; else
    -1."""
    for i in range(slots.shape[0]):
        row = table[slots[i]]
        row[KEPT] = given[1, i]
        row[SKIP] = given[2, i]
    for i in range(slots.shape[0]):
        if given[3, i] != given[3, 0]:
            return -1
    return given[3, 0]


@kernel("int64(int64[:, ::1], int64[::1], int64)")
def next_model(table: Any, rows: Any, number: Any) -> Any:
    """The least HELD above ``number`` among these rows (-1: of no stream); 0 if there is none."""
    least = 0
    for row in rows:
        held = table[row, HELD] if row >= 0 else 0
        if held > number and (least == 0 or held < least):
            least = held
    return least


@kernel("int64(int64[:, ::1], int64, int64[:, ::1], int64, int64, boolean[::1])")
def line_up(table: Any, number: Any, pushes: Any, longest: Any, most: Any, taken: Any) -> Any:
    """Take the messages ``pushes`` [3, any], rows, numbers and units of each, for those streams that are HELD for
    that model, expect it, have credit for it, of which fewer than ``most`` wait, and of at most ``longest`` units.
    Says in ``taken`` which; returns how many."""
    found = 0
    for i in range(pushes.shape[1]):
        taken[i] = False
        if pushes[0, i] < 0:
            continue
        row = table[pushes[0, i]]
        units = pushes[2, i]
        fits = row[WAITING] + units <= row[CREDIT] and units <= longest
        waits = row[EXPECTED] - 1 - row[DONE]
        if row[HELD] == number and pushes[1, i] == row[EXPECTED] and fits and waits < most:
            row[EXPECTED] += 1
            row[WAITING] += units
            taken[i] = True
            found += 1
    return found


@kernel("boolean(int64[:, ::1], int64[:, ::1])")
def due(table: Any, pushes: Any) -> Any:
    """Whether these are the next messages of streams that are all HELD."""
    for i in range(pushes.shape[1]):
        row = table[pushes[0, i]]
        if row[HELD] == 0 or row[DONE] + 1 != pushes[1, i]:
            return False
    return True


@kernel("void(int64[:, ::1], int64[:, ::1], int64[::1], float64[::1], int64[:, ::1], int64[:, ::1])")
def answer(table: Any, pushes: Any, frames: Any, waited: Any, decisions: Any, out: Any) -> None:
    """The messages ``pushes`` [3, any], of frames[i] each, are done with and gave ``decisions``: count them, and fill
    in their answers, the rows of ``out`` [messages, ANSWERED]."""
    at = 0
    for i in range(pushes.shape[1]):
        row = table[pushes[0, i]]
        row[DONE] = pushes[1, i]
        row[WAITING] -= pushes[2, i]
        row[PROCESSED] += pushes[2, i]
        first = at
        while at < decisions.shape[0] and decisions[at, 0] == i:
            at += 1
        out[i, AT_MS] = row[UTTERANCE_MS]
        out[i, WAITED_MS] = bits_of(waited[i])
        out[i, SEQUENCE] = pushes[1, i]
        out[i, UNITS_DONE] = row[PROCESSED]
        out[i, FIRST] = row[EVENTS]
        out[i, IN_UTTERANCE] = row[UTTERANCE]
        out[i, COMPUTED] = frames[i]
        out[i, TOLD] = at - first
        out[i, DECISION] = first
        row[EVENTS] += at - first
