"""PUSHES read by compiled code says what the strict way says, and whose streams the rows are."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato import protocol as wire
from ostinato.errors import ProtocolError
from ostinato.kernels.pushes import ROWS, UNITS
from ostinato.protocol.codec import _REQUESTS, _decode
from ostinato.server.directory import Directory
from ostinato.server.peer import Peer
from ostinato.server.pushes import Reader, Usual

quick = settings(deadline=None, max_examples=300)
ids = st.binary(min_size=16, max_size=16)
seqs = st.one_of(*[st.integers(1, 2**bits - 1) for bits in (7, 8, 16, 32, 63)])
parts = st.lists(st.tuples(ids, seqs, st.integers(0, 5)), min_size=1, max_size=20)
HEAD = bytes((wire.Pushes.TYPE, wire.VERSION))


def read(frame: bytes, reader: Reader | None = None) -> Usual | None:
    return (reader or Reader(Directory(4))).read(Peer(b"p", 1, 0.0), frame)


def strictly(frame: bytes) -> wire.Pushes | None:
    try:
        found = _decode(frame, _REQUESTS)
    except ProtocolError:
        return None
    return found if isinstance(found, wire.Pushes) else None


def plain(pushes: wire.Pushes | Usual) -> list[Any]:
    made = []
    for push in pushes:
        assert isinstance(push.data, np.ndarray) and not push.data.flags.writeable
        made.append((push.stream, push.seq, push.data.dtype, push.data.shape, push.data.tobytes()))
    units = pushes.units if isinstance(pushes, wire.Pushes) else pushes.columns[UNITS].tolist()
    assert [len(push.data) for push in pushes] == units
    return made


def message(many: list[tuple[bytes, int, int]], size: int) -> bytes:
    shapes = [(units, size) if size else (units,) for _, _, units in many]
    data = [np.arange(np.prod(shape)).reshape(shape).astype("f4" if size else "i2") for shape in shapes]
    pushes = [wire.Push(stream, seq, each) for (stream, seq, _), each in zip(many, data, strict=True)]
    return wire.encode(wire.Pushes.of(pushes))


@quick
@given(st.data(), parts, st.integers(0, 4))
def test_what_is_read_is_what_the_strict_way_reads(data: st.DataObject, many: list[Any], size: int) -> None:
    frame = bytearray(message(many, size))
    found, strict = read(bytes(frame)), strictly(bytes(frame))
    assert found is not None and strict is not None and plain(found) == plain(strict)
    for _ in range(data.draw(st.integers(1, 2))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    raw = bytes(frame[: data.draw(st.just(len(frame)) | st.integers(0, len(frame)))])
    found, strict = read(raw), strictly(raw)
    assert found is None or (strict is not None and plain(found) == plain(strict))


@pytest.mark.parametrize("end", range(71))
def test_no_end_is_read_beyond(end: int) -> None:
    """Cut anywhere, and at each place where a length could say more than there is."""
    frame = message([(bytes(16), 300, 3)], 0)
    assert read(frame[:end]) is None
    for forged in (0xC4, 0xC5, 0xCC, 0xCD, 0xCE, 0xCF, 0xDC, 0x9F, 0xFF):
        raw = frame[:end] + bytes((forged, 0xFF, 0xFF))
        assert read(raw) is None and strictly(raw) is None


FIELDS: dict[str, Any] = {"streams": bytes(32), "seqs": [1, 1], "units": [2, 1], "data": bytes(6), "dtype": "int16"}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"size": 1}, {"dtype": "int8", "size": 2}, {"dtype": "float32", "data": bytes(12)},
        {"streams": bytes(31)}, {"streams": b""}, {"seqs": [1]}, {"seqs": [0, 1]}, {"seqs": [1, True]},
        {"seqs": [2**63 - 1, 2**63]}, {"seqs": [1, 2**64 - 1]}, {"units": [2, -1]}, {"units": [3.0, 0]},
        {"units": [65536, 1]}, {"units": [65537, 1]}, {"units": [2, 2]}, {"data": bytes(5)}, {"dtype": "int17"},
        {"size": 0}, {"size": 2**40}, {"size": True}, {"more": 1}, {"dtype": ["int16"]}, {"dtype": "x" * 40},
        {"streams": bytes(16 * 1024), "seqs": [1] * 1024, "units": [0] * 1024, "data": b""},
        {"streams": bytes(16 * 1025), "seqs": [1] * 1025, "units": [0] * 1025, "data": b""},
    ],
)  # fmt: skip
def test_its_bounds_are_those_of_the_strict_way(changes: dict[str, Any]) -> None:
    frame = HEAD + msgpack.packb(FIELDS | changes)
    found, strict = read(frame), strictly(frame)
    assert (found is None) == (strict is None)
    assert found is None or strict is None or plain(found) == plain(strict)


def test_another_order_of_fields_is_left_to_the_strict_way() -> None:
    frame = HEAD + msgpack.packb(dict(reversed(FIELDS.items())))
    assert read(frame) is None and strictly(frame) is not None


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_rows_are_those_of_the_peers_own_streams(data: st.DataObject) -> None:
    """Ids are few, so that peers have the same ones, and rows are used again."""
    directory, peers, free = Directory(12), [Peer(bytes([i]), i, 0.0) for i in range(3)], list(range(12))
    reader, some = Reader(directory), [bytes([i]) * 16 for i in range(4)]
    for _ in range(data.draw(st.integers(0, 40))):
        peer, stream = data.draw(st.sampled_from(peers)), data.draw(st.sampled_from(some))
        if stream in peer.streams:
            free.append(peer.streams[stream])
            directory.remove((peer, stream))
        else:
            directory.add(peer, stream, free.pop(data.draw(st.integers(0, len(free) - 1))))
    for peer in peers:
        asked = data.draw(st.lists(st.sampled_from([*some, bytes(16)]), min_size=1, max_size=9))
        found = reader.read(peer, message([(stream, 1, 1) for stream in asked], 0))
        assert found is not None and found.columns[ROWS].tolist() == [
            peer.streams.get(stream, -1) for stream in asked
        ]
        if peer.streams:
            assert directory.peer(peer.number) is peer


def test_ids_that_differ_little_fall_into_many_buckets() -> None:
    directory, peer = Directory(4096), Peer(b"p", 1, 0.0)
    for row in range(4096):
        directory.add(peer, bytes(8) + (row << 20).to_bytes(8, "little"), row)
    following, buckets = directory.arrays[2], directory.arrays[3]
    longest = 0
    for first in buckets[buckets >= 0].tolist():
        length, row = 0, first
        while row >= 0:
            row, length = int(following[row]), length + 1
        longest = max(longest, length)
    assert longest <= 12
