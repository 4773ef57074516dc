"""RESULTS, which are most of what a server sends: events and results to bytes and back."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from ostinato.errors import BadMessageError, TooLargeError
from ostinato.events import Event, Kind
from ostinato.protocol import messages as m
from ostinato.protocol.fields import Fields, finite, stream_id

KINDS: tuple[Kind, ...] = (
    "output", "label", "symbol", "class", "end-of-speech", "peak", "audio", "speech-start", "speech-end", "beat",
    "token", "end-of-generation",
)  # fmt: skip
"""Kinds of event; the wire has their index."""
MAX_RESULT_BYTES = _ROOM = m.MAX_MESSAGE_BYTES - 32
_RESULT = struct.Struct(">10s16s5sQ7sQ11sQ11sQ14sd6sB8sQ12sd14sd13sd7s").pack
"""A result's fields before its events, integers and numbers in eight bytes each: many times quicker than by name."""


def _encode_event(event: Event) -> list[Any]:
    raw: list[Any] = [KINDS.index(event.kind), event.frame, event.time_ms, event.text, event.index, event.probability]
    if event.values is not None:
        return [*raw, np.ascontiguousarray(event.values, "<f4").tobytes()]
    if (event.text, event.index, event.probability) == ("", -1, 0.0):
        return raw[:3]
    return raw


def _decode_event(raw: object, where: str, utterance: int, utterance_ms: float) -> Event:
    if type(raw) is not list or len(raw) not in (3, 6, 7):
        raise BadMessageError(f"{where} is not an array of 3, 6 or 7 elements")
    kind, frame, time_ms = raw[:3]
    text, index, probability = raw[3:6] if len(raw) > 3 else ("", -1, 0.0)
    values = None
    if type(kind) is not int or not 0 <= kind < len(KINDS):
        raise BadMessageError(f"{where}: the kind is not from 0 to {len(KINDS) - 1}")
    if type(frame) is not int or type(text) is not str or type(index) is not int:
        raise BadMessageError(f"{where}: frame, text or index is of a wrong type")
    if not finite(time_ms) or not finite(probability):
        raise BadMessageError(f"{where}: time or probability is not a finite number")
    if len(raw) == 7:
        if type(raw[6]) is not bytes or len(raw[6]) % 4:
            raise BadMessageError(f"{where}: the values are not a binary of float32")
        values = np.frombuffer(raw[6], "<f4").astype(np.float32, copy=False)
    return Event(KINDS[kind], frame, float(time_ms), text, index, float(probability), values, utterance, utterance_ms)


def pack_result(result: m.ResultEntry) -> bytes:
    """A result as its part of a RESULTS."""
    return packed_result(
        result.stream, result.seq, result.first, result.processed, result.utterance, result.utterance_ms,
        result.final, result.frames, result.waiting_ms, result.computing_ms, result.buffered_ms, result.events,
    )  # fmt: skip


def packed_result(
    stream: bytes, seq: int, first: int, processed: int, utterance: int, utterance_ms: float, final: bool,
    frames: int, waiting_ms: float, computing_ms: float, buffered_ms: float, events: Sequence[Event],
) -> bytes:  # fmt: skip
    """`pack_result` of these fields."""
    told = b"\x90"
    if events:
        told = msgpack.packb([_encode_event(event) for event in events], unicode_errors="replace")
    return (
        _RESULT(
            b"\x8c\xa6stream\xc4\x10", stream, b"\xa3seq\xcf", seq, b"\xa5first\xcf", first,
            b"\xa9processed\xcf", processed, b"\xa9utterance\xcf", utterance, b"\xacutterance_ms\xcb", utterance_ms,
            b"\xa5final", 0xC3 if final else 0xC2, b"\xa6frames\xcf", frames, b"\xaawaiting_ms\xcb", waiting_ms,
            b"\xaccomputing_ms\xcb", computing_ms, b"\xabbuffered_ms\xcb", buffered_ms, b"\xa6events",
        )
        + told
    )  # fmt: skip


def decode_result(raw: object, where: str) -> m.ResultEntry:
    """The result of these fields, each looked at. Raises BadMessageError."""
    f = Fields(raw, where)
    utterance, utterance_ms = f.integer("utterance"), f.number("utterance_ms")
    result = m.ResultEntry(
        stream=stream_id(f),
        seq=f.integer("seq"),
        first=f.integer("first"),
        processed=f.integer("processed"),
        utterance=utterance,
        utterance_ms=utterance_ms,
        final=f.boolean("final"),
        frames=f.integer("frames"),
        waiting_ms=f.number("waiting_ms"),
        computing_ms=f.number("computing_ms"),
        buffered_ms=f.number("buffered_ms"),
        events=tuple(
            _decode_event(event, f"{where} event {i}", utterance, utterance_ms)
            for i, event in enumerate(f.array("events", m.MAX_MESSAGE_BYTES))
        ),
    )
    f.finish()
    return result


def encode_results(results: Iterable[m.ResultEntry | bytes]) -> list[bytes]:
    """Results of one client, or what `packed_result` made of them if that is no longer than MAX_RESULT_BYTES, as few
    messages as fit; one too long is cut between events into several.

    Of a cut result, only the last piece is ``final`` and has ``frames`` and ``computing_ms``, which are sums.
    Raises TooLargeError if a single event does not fit.
    """
    frames: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for result in results:
        for piece in (result,) if isinstance(result, bytes) else _cut(result):
            if size + len(piece) > _ROOM or len(batch) == 0xFFFF:
                frames.append(results_frame(len(batch), b"".join(batch)))
                batch, size = [], 0
            batch.append(piece)
            size += len(piece)
    if batch:
        frames.append(results_frame(len(batch), b"".join(batch)))
    return frames


def results_frame(count: int, packed: bytes) -> bytes:
    """A RESULTS of so many, one behind the other."""
    return _head(count) + packed


@lru_cache(4096)
def _head(count: int) -> bytes:
    head: bytes = msgpack.packb({"results": []})[:-1] + msgpack.Packer().pack_array_header(count)
    return bytes((m.Results.TYPE, m.VERSION)) + head


def _cut(result: m.ResultEntry) -> list[bytes]:
    packed = pack_result(result)
    if len(packed) <= _ROOM:
        return [packed]
    if len(result.events) < 2:
        raise TooLargeError(f"one event of {len(packed)} bytes is over the limit of {m.MAX_MESSAGE_BYTES}")
    half = len(result.events) // 2
    head = dataclasses.replace(result, final=False, frames=0, computing_ms=0.0, events=result.events[:half])
    tail = dataclasses.replace(result, first=result.first + half, events=result.events[half:])
    return _cut(head) + _cut(tail)


# --- many results at once -------------------------------------------------------------------------------------------

PLAIN = np.frombuffer(bytearray(pack_result(m.ResultEntry(bytes(m.STREAM_ID_BYTES), 0, 0, 0))), np.uint8)
"""A result that is not final and has no events."""


def _place(name: str) -> int:
    """Where a field's value begins in it: behind its key, and a byte or two for its type."""
    return PLAIN.tobytes().index(msgpack.packb(name)) + len(name) + (3 if name == "stream" else 2)


_FORMATS = {
    "stream": f"V{m.STREAM_ID_BYTES}", "utterance_ms": ">f8", "waiting_ms": ">f8", "seq": ">u8", "processed": ">u8",
    "first": ">u8", "utterance": ">u8", "frames": ">u8", "computing_ms": ">f8",
}  # fmt: skip
_PLACES = list(map(_place, _FORMATS))
PLAIN_PLACES = np.array(_PLACES)
"""Where it has its stream, utterance_ms, waiting_ms, seq, processed, first, utterance, frames and computing_ms."""
_RECORD = np.dtype(
    {"names": list(_FORMATS), "formats": list(_FORMATS.values()), "offsets": _PLACES, "itemsize": len(PLAIN)}
)
_VALUES = np.concatenate([at + np.arange(_RECORD[name].itemsize) for at, name in zip(_PLACES, _FORMATS, strict=True)])
_FIXED = np.full(len(PLAIN), 0xFF, np.uint8)
_FIXED[_VALUES] = 0
_FIXED_BYTES = PLAIN & _FIXED


def pieces_of(event: Event) -> tuple[bytes, bytes]:
    """What is the same in all events of its kind, text and index: what stands before the frame, an integer, and the
    time, a float; and between that and the probability, a float."""
    head: bytes = msgpack.Packer().pack_array_header(6) + msgpack.packb(KINDS.index(event.kind))
    return head, msgpack.packb(event.text, unicode_errors="replace") + msgpack.packb(event.index)


def read_results(frame: bytes) -> tuple[npt.NDArray[np.void], list[Any]]:
    """Of a RESULTS: those without events that come first, as records (``stream`` as 16 bytes, and numbers by the
    names of `ResultEntry`); all behind them as msgpack has them. Nothing is looked at: for those who trust the
    server; `decode_reply` does. Raises ValueError for what is none."""
    if not frame.startswith(_head(0)[:-1]):
        raise ValueError("no RESULTS")
    at = len(_head(0))
    count = frame[at - 1] - 0x90
    if count == 0xDC - 0x90:
        count, at = int.from_bytes(frame[at : at + 2], "big"), at + 2
    rows = min(count, (len(frame) - at) // len(PLAIN))
    packed = np.frombuffer(frame, np.uint8, rows * len(PLAIN), at).reshape(rows, len(PLAIN))
    alike = packed & _FIXED == _FIXED_BYTES
    plain = rows if alike.all() else int(alike.all(axis=1).argmin())
    others: list[Any] = []
    if plain < count:
        others = msgpack.unpackb(msgpack.Packer().pack_array_header(count - plain) + frame[at + plain * len(PLAIN) :])
    return np.frombuffer(frame, _RECORD, plain, at), others
