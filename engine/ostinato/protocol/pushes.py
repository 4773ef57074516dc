"""The input messages, which are most of all traffic: PUSH, and PUSHES for many streams at once."""

from __future__ import annotations

import math
import sys
from functools import lru_cache
from typing import Any

import msgpack
import numpy as np

from ostinato.errors import BadMessageError
from ostinato.protocol import messages as m
from ostinato.protocol.fields import MAX_INTEGER, Fields

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
"""What an array may be declared as. Which of them a stream takes, its front end says."""
MAX_DIMENSIONS = 4
_WIRE = {name: np.dtype(name).newbyteorder("<") for name in DTYPES}
_NAMES = {dtype: name for name, dtype in _WIRE.items()}
# The pieces of the usual PUSH, see docs/protocol.md: an example.
_HEAD = bytes((m.Push.TYPE, m.VERSION, 0x85)) + b"\xa6stream\xc4\x10"
_SEQ, _DATA, _TAIL = b"\xa3seq", b"\xa4data", b"\xa5dtype\xa5int16\xa5shape\x91"
PUSHES_PIECES = bytes((m.Pushes.TYPE, m.VERSION)), b"\xa7streams", b"\xa4seqs", b"\xa5units", _DATA
"""And of the usual PUSHES: what stands before its map's head, its ids, its numbers, its units and its data."""
FIELDS_BYTES = 32
"""As long as a map's head and what stands behind its data can be."""
_MAPS = {b"\x85": b"\x81", b"\x86": b"\x82"}  # a map of what follows its data has so many fields
_ID, _INT16 = slice(len(_HEAD), len(_HEAD) + m.STREAM_ID_BYTES), np.dtype(np.int16)
_WIDTHS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def encode_push(push: m.Push) -> dict[str, Any]:
    """The fields of a PUSH."""
    raw: dict[str, Any] = {"stream": push.stream, "seq": push.seq}
    if isinstance(push.data, str):
        return raw | {"data": push.data}
    data, dtype = _little(push.data)
    return raw | {"data": data, "dtype": dtype, "shape": list(push.data.shape)}


def decode_push(f: Fields) -> m.Push:
    """The PUSH of these fields, each looked at. Raises BadMessageError."""
    stream, seq = f.binary("stream", m.STREAM_ID_BYTES, m.STREAM_ID_BYTES), f.integer("seq", low=1)
    if f.is_text("data"):
        return m.Push(stream, seq, f.text("data", m.MAX_MESSAGE_BYTES))
    data, dtype = f.binary("data", 0, m.MAX_MESSAGE_BYTES), f.choice("dtype", DTYPES)
    shape = f.array("shape", MAX_DIMENSIONS)
    if not shape or not all(type(n) is int and 0 <= n <= m.MAX_MESSAGE_BYTES for n in shape):
        raise BadMessageError(
            f"{f.where}: field 'shape' is not 1 to {MAX_DIMENSIONS} sizes up to {m.MAX_MESSAGE_BYTES}"
        )
    if math.prod(shape) * _WIRE[dtype].itemsize != len(data):
        raise BadMessageError(f"{f.where}: field 'data' has not as many bytes as 'dtype' and 'shape' say")
    return m.Push(stream, seq, _array(data, dtype).reshape(shape))


def usual_push(frame: bytes) -> m.Push | None:
    """What `decode_push` makes of a right PUSH of audio as our own encoder writes it, which is nearly every message,
    in a fifth of the time and without a copy; of all others nothing, for the strict way to look at."""
    if not frame.startswith(_HEAD) or sys.byteorder != "little":
        return None
    try:
        at, seq = _integer(frame, _ID.stop + len(_SEQ))
        size = at + len(_DATA)
        if frame[size] == 0xC5:
            first, length = size + 3, frame[size + 1] << 8 | frame[size + 2]
        else:
            first, length = size + 2, frame[size + 1]
        end = first + length
        last, count = _integer(frame, end + len(_TAIL))
    except IndexError:
        return None
    right = (
        frame.startswith(_SEQ, _ID.stop)
        and frame.startswith(_DATA, at)
        and frame.startswith(_TAIL, end)
        and frame[size] in (0xC4, 0xC5)
        and last == len(frame) <= m.MAX_MESSAGE_BYTES
        and 1 <= seq <= MAX_INTEGER
        and 2 * count == length
    )
    return m.Push(frame[_ID], seq, np.frombuffer(frame, _INT16, count, first)) if right else None


def _integer(frame: bytes, at: int) -> tuple[int, int]:
    """Where the integer from ``at`` on ends, and the integer; -1 for what is none from 0 up. Raises IndexError."""
    kind = frame[at]
    if kind < 0x80:
        return at + 1, kind
    end = at + 1 + _WIDTHS.get(kind, 0)
    return end, int.from_bytes(frame[at + 1 : end], "big") if end > at + 1 else -1


@lru_cache(64)
def array_of_pushes(fields: bytes) -> tuple[np.dtype[Any], int | None] | None:
    """The dtype and size that stand behind the data of a PUSHES: ``fields`` is its map's head, and these. None if
    there are others, or they are not right."""
    usual = _MAPS.get(fields[:1])
    if usual is None:
        return None
    try:
        raw = msgpack.unpackb(usual + fields[1:])
        dtype, size = _WIRE[raw.pop("dtype")], raw.pop("size", None)
    except (ValueError, KeyError, TypeError):
        return None
    right = not raw and (size is None) == (usual == b"\x81")
    right = right and (size is None or (type(size) is int and 1 <= size <= m.MAX_MESSAGE_BYTES))
    return (dtype, size) if right else None


def encode_pushes(message: m.Pushes) -> dict[str, Any]:
    """The fields of a PUSHES. Raises BadMessageError."""
    if message.data.ndim > 2:
        raise BadMessageError("PUSHES takes arrays that are all [samples] or all [frames, size]: use PUSH")
    data, dtype = _little(message.data)
    raw = {
        "streams": b"".join(message.streams),
        "seqs": message.seqs,
        "units": message.units,
        "data": data,
        "dtype": dtype,
    }
    return raw if message.data.ndim == 1 else raw | {"size": message.data.shape[1]}


def decode_pushes(f: Fields) -> m.Pushes:
    """The PUSHES of these fields. Raises BadMessageError."""
    width = m.STREAM_ID_BYTES
    streams, seqs = f.binary("streams", width, width * m.MAX_PUSHES), f.array("seqs", m.MAX_PUSHES)
    units = f.array("units", m.MAX_PUSHES)
    data, dtype = f.binary("data", 0, m.MAX_MESSAGE_BYTES), f.choice("dtype", DTYPES)
    size = f.integer("size", 1, m.MAX_MESSAGE_BYTES) if "size" in f else None
    if not len(streams) == width * len(seqs) == width * len(units):
        raise BadMessageError(f"{f.where}: fields 'streams' (16 bytes each), 'seqs' and 'units' differ in length")
    if seqs and (set(map(type, seqs)) != {int} or min(seqs) < 1 or max(seqs) > MAX_INTEGER):
        raise BadMessageError(f"{f.where}: field 'seqs' has elements that are not integers from 1 to {MAX_INTEGER}")
    if units and (set(map(type, units)) != {int} or min(units) < 0 or max(units) > m.MAX_MESSAGE_BYTES):
        raise BadMessageError(f"{f.where}: field 'units' has elements that are not sizes up to {m.MAX_MESSAGE_BYTES}")
    if sum(units) * (size or 1) * _WIRE[dtype].itemsize != len(data):
        raise BadMessageError(f"{f.where}: field 'data' has not as many bytes as 'dtype', 'units' and 'size' say")
    rows = _array(data, dtype)
    if size is not None:
        rows = rows.reshape(-1, size)
    return m.Pushes([streams[at : at + width] for at in range(0, len(streams), width)], seqs, units, rows)


def _little(data: m.Array) -> tuple[bytes, str]:
    """An array's bytes as the wire has them, and the name of its dtype."""
    little = data.astype(data.dtype.newbyteorder("<"), copy=False)
    if little.dtype not in _NAMES:
        raise BadMessageError(f"arrays of {data.dtype} cannot be sent: convert it to int16 or float32")
    return little.tobytes(), _NAMES[little.dtype]


def _array(data: bytes, name: str) -> m.Array:
    """The values in ``data``, read-only."""
    values: m.Array = np.frombuffer(data, _WIRE[name]).astype(name, copy=False)
    values.flags.writeable = False
    return values
