"""Where the samples of a WAV are and how they are stored, also if its sizes cannot be right.

Who writes a WAV into a pipe, or is cut off, never learns how long it became: the size of the data chunk is then 0 or
some largest number. Others forget the byte that pads a chunk of odd size. libsndfile believes what is written.

The format: Multimedia Programming Interface and Data Specifications 1.0 (1991) and, for RF64 and BW64, EBU Tech 3306.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ostinato_client.byte_stream import ByteStream

KINDS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
HEADER_BYTES = 1 << 20
"""What stands before the samples is looked for in so many bytes."""
ENDLESS, LONG_ENDLESS = 0x7FFF0000, 1 << 62
"""A data chunk of so many bytes or more, from a pipe, is what programs write that do not know; in RF64 the latter."""
_EXTENSIBLE, _GUID = 0xFFFE, bytes.fromhex("000000001000800000aa00389b71")
_SUBTYPES = {
    (1, 1): "PCM_U8", (1, 2): "PCM_16", (1, 3): "PCM_24", (1, 4): "PCM_32",
    (3, 4): "FLOAT", (3, 8): "DOUBLE", (6, 1): "ALAW", (7, 1): "ULAW",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as they lie: libsndfile's name of their type, "LITTLE" or "BIG", and after how many bytes they begin.

    ``length``: bytes, None if it is not known before the end. ``frame_bytes``: of one sample of all channels.
    """

    subtype: str
    endian: str
    sample_rate: int
    channels: int
    frame_bytes: int
    start: int
    length: int | None


def find_samples(stream: ByteStream) -> Samples | None:
    """What a stream that begins as one of KINDS says of its samples; takes nothing from it.

    None where libsndfile should see for itself: no samples within HEADER_BYTES, or stored in another way.
    """
    kind = stream.peek(12)
    if kind[8:] != b"WAVE":
        return None
    order = ">" if kind[:4] == b"RIFX" else "<"
    at, long_size, settings = 12, None, None
    while at < HEADER_BYTES and len(header := stream.peek(at + 8, at)) == 8:
        chunk, size = struct.unpack(order + "4sI", header)
        at += 8
        if chunk == b"data":
            if settings is None:
                return None
            if size == 0xFFFFFFFF and long_size is not None:
                return Samples(*settings, start=at, length=_length(stream, at, long_size, LONG_ENDLESS))
            return Samples(*settings, start=at, length=_length(stream, at, size, ENDLESS))
        if chunk in (b"fmt ", b"ds64") and size < HEADER_BYTES:
            body = stream.peek(at + size, at)
            if chunk == b"fmt " and (settings := _settings(order, body)) is None:
                return None
            if chunk == b"ds64" and len(body) >= 16:
                long_size = struct.unpack_from(order + "Q", body, 8)[0]
        at += size
        if size % 2 and not _unpadded(stream.peek(at + 5, at)):
            at += 1
    return None


def _settings(order: str, body: bytes) -> tuple[str, str, int, int, int] | None:
    """The first five fields of `Samples`, from a ``fmt `` chunk."""
    if len(body) < 16:
        return None
    tag, channels, rate, _, frame_bytes, bits = struct.unpack_from(order + "HHIIHH", body)
    if tag == _EXTENSIBLE and body[26:40] == _GUID:
        tag = struct.unpack_from(order + "H", body, 24)[0]
    each, rest = divmod(frame_bytes, channels or 1)
    if rest or channels == 0 or (bits + 7) // 8 != each or (tag, each) not in _SUBTYPES:
        return None
    return _SUBTYPES[tag, each], "BIG" if order == ">" else "LITTLE", rate, channels, frame_bytes


def _length(stream: ByteStream, start: int, claimed: int, endless: int) -> int | None:
    """Bytes of samples from ``start``; None: as many as come."""
    if stream.size is None:
        return claimed if 0 < claimed < endless else None
    rest = max(0, stream.size - start)
    if claimed == 0 and rest:
        header = stream.peek(start + 8, start)
        another = len(header) == 8 and _name(header[:4]) and struct.unpack("<I", header[4:])[0] + 8 <= rest
        return 0 if another else rest
    return min(claimed, rest)


def _unpadded(following: bytes) -> bool:
    """Whether the next chunk begins at once after one of odd size, where a byte of 0 should pad it."""
    if following[:1] == b"\0" or following[1:] in (b"data", b"fmt "):
        return False
    return _name(following[:4])


def _name(chunk: bytes) -> bool:
    return len(chunk) == 4 and all(0x20 <= byte < 0x7F for byte in chunk)
