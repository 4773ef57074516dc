"""Results of many streams as bytes (docs/protocol.md, RESULTS): a template, in which each one's numbers are written,
and its events behind it."""

from __future__ import annotations

from typing import Any

from ostinato.kernels.columns import DECISION, TOLD
from ostinato.kernels.compiler import kernel, part
from ostinato.kernels.simd import bits_of

EVENT_BYTES = 32
"""Bytes of an event besides its symbol's, at most; and of a result besides its template and events."""
NUMBERS = 7
"""How many of an answer's fields a template has places for: the first ones."""


@part
def _whole(out: Any, at: int, value: int) -> None:
    """Eight bytes, the highest first."""
    for k in range(8):
        out[at + k] = (value >> (56 - 8 * k)) & 255


@part
def _integer(out: Any, at: int, value: int) -> Any:
    """An integer from 0 up, as short as msgpack has it; where it ends."""
    if value < 128:
        out[at] = value
        return at + 1
    width, kind = 8, 0xCF
    if value < 1 << 8:
        width, kind = 1, 0xCC
    elif value < 1 << 16:
        width, kind = 2, 0xCD
    elif value < 1 << 32:
        width, kind = 4, 0xCE
    out[at] = kind
    for k in range(width):
        out[at + 1 + k] = (value >> (8 * (width - 1 - k))) & 255
    return at + 1 + width


@part
def _number(out: Any, at: int, bits: int) -> Any:
    """A float64, by its bits; where it ends."""
    out[at] = 0xCB
    _whole(out, at + 1, bits)
    return at + 9


@kernel(
    "void(uint8[::1], int64[::1], uint8[:, ::1], int64[::1], int64[::1], int64[:, ::1], float64, int64[:, ::1], "
    "uint8[::1], int64[::1], float64, float64, uint8[::1], int64[::1])"
)
def write_results(
    template: Any, places: Any, ids: Any, rows: Any, order: Any, answers: Any, computing_ms: Any, decisions: Any,
    symbols: Any, starts: Any, frame_ms: Any, latency_ms: Any, out: Any, ends: Any,
) -> None:  # fmt: skip
    """``template`` is a result without events, the last byte is their array's head. ``places``: of the stream's 16
    bytes, of the first NUMBERS fields of its answer (`columns.ANSWERED`), and of ``computing_ms``.

    Answer i is of stream ids[rows[i]]. Result n, of answer order[n], ends at ends[n] of ``out``, which has room. A
    decision (`columns.DECIDED`) of output k is an event: the bytes symbols[starts[0] : starts[1]], its frame, its
    time (frame + 1) * frame_ms + latency_ms, the bytes symbols[starts[k + 1] : starts[k + 2]], its value."""
    at = 0
    for n in range(order.shape[0]):
        i = order[n]
        for k in range(template.shape[0]):
            out[at + k] = template[k]
        for k in range(ids.shape[1]):
            out[at + places[0] + k] = ids[rows[i], k]
        for k in range(NUMBERS):
            _whole(out, at + places[1 + k], answers[i, k])
        _whole(out, at + places[1 + NUMBERS], bits_of(computing_ms))
        at += template.shape[0]
        told = answers[i, TOLD]
        if told > 15:
            out[at - 1] = 0xDC
            out[at] = told >> 8
            out[at + 1] = told & 255
            at += 2
        elif told > 0:
            out[at - 1] = 0x90 + told
        for d in range(answers[i, DECISION], answers[i, DECISION] + told):
            frame = decisions[d, 1]
            k = decisions[d, 2]
            for b in range(starts[0], starts[1]):
                out[at] = symbols[b]
                at += 1
            at = _integer(out, at, frame)
            at = _number(out, at, bits_of((frame + 1) * frame_ms + latency_ms))
            for b in range(starts[k + 1], starts[k + 2]):
                out[at] = symbols[b]
                at += 1
            at = _number(out, at, decisions[d, 3])
        ends[n] = at
