"""PUSH read by its bytes' places says what the strict way says; PUSHES is several PUSH."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
from engine_models import frames, models
from hypothesis import given, settings
from hypothesis import strategies as st
from server_raw import Raw

from ostinato import protocol as wire
from ostinato.errors import BadMessageError, ProtocolError
from ostinato.protocol.codec import _REQUESTS, _decode
from ostinato.protocol.pushes import usual_push
from ostinato.server import Server

quick = settings(deadline=None, max_examples=200)
ids = st.binary(min_size=16, max_size=16)
seqs = st.integers(1, 2**63 - 1)


def plain(push: wire.Push) -> tuple[Any, ...]:
    assert isinstance(push.data, np.ndarray) and not push.data.flags.writeable
    return push.stream, push.seq, push.data.dtype, push.data.shape, push.data.tobytes()


@quick
@given(ids, seqs, st.integers(0, 700))
def test_the_usual_push_is_read_at_once(stream: bytes, seq: int, count: int) -> None:
    frame = wire.encode(wire.Push(stream, seq, np.arange(count, dtype=np.int16)))
    usual, strict = usual_push(frame), _decode(frame, _REQUESTS)
    assert usual is not None and isinstance(strict, wire.Push)
    assert plain(usual) == plain(strict)


@quick
@given(st.data(), st.integers(0, 140))
def test_nothing_is_taken_that_the_strict_way_refuses(data: st.DataObject, count: int) -> None:
    frame = bytearray(wire.encode(wire.Push(bytes(16), 300, np.arange(count, dtype=np.int16))))
    for _ in range(data.draw(st.integers(1, 2))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    raw = bytes(frame[: data.draw(st.just(len(frame)) | st.integers(0, len(frame)))])
    try:
        strict = _decode(raw, _REQUESTS)
    except ProtocolError:
        strict = None
    usual = usual_push(raw)
    assert usual is None or (isinstance(strict, wire.Push) and plain(usual) == plain(strict))


@quick
@given(st.lists(st.tuples(ids, seqs, st.integers(0, 5)), min_size=1, max_size=9), st.none() | st.integers(1, 4))
def test_pushes_come_back(parts: list[tuple[bytes, int, int]], size: int | None) -> None:
    sent = tuple(
        wire.Push(stream, seq, np.full((count,) if size is None else (count, size), i, np.float32))
        for i, (stream, seq, count) in enumerate(parts)
    )
    found = wire.decode_request(wire.encode(wire.Pushes.of(sent)))
    assert isinstance(found, wire.Pushes)
    for push in sent:
        push.data.flags.writeable = False  # type: ignore[union-attr]
    assert [plain(push) for push in found] == [plain(push) for push in sent]


def forged(**changes: object) -> bytes:
    right = {"streams": bytes(32), "seqs": [1, 1], "units": [2, 1], "data": bytes(6), "dtype": "int16"}
    return bytes((wire.Pushes.TYPE, wire.VERSION)) + msgpack.packb(right | changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"streams": bytes(31)}, "streams"), ({"streams": bytes(48)}, "streams"), ({"streams": b""}, "streams"),
        ({"seqs": [1]}, "seqs"), ({"seqs": [1, 0]}, "seqs"), ({"seqs": [1, True]}, "seqs"),
        ({"seqs": [1, 2**63]}, "seqs"), ({"seqs": 5}, "seqs"), ({"units": [2, -1]}, "units"),
        ({"units": [2, 1.0]}, "units"), ({"units": [2, 2]}, "data"), ({"units": [65537, 1]}, "units"),
        ({"data": bytes(5)}, "data"), ({"dtype": "int17"}, "dtype"), ({"size": 0}, "size"), ({"size": 2}, "data"),
        ({"more": 1}, "1 field"), ({"data": "text"}, "data"),
        ({"streams": bytes(16 * 1025), "seqs": [1] * 1025, "units": [0] * 1025, "data": b""}, "streams"),
    ],
)  # fmt: skip
def test_a_wrong_pushes_is_refused_by_its_field(changes: dict[str, object], named: str) -> None:
    with pytest.raises(BadMessageError, match=named):
        wire.decode_request(forged(**changes))
    assert isinstance(wire.decode_request(forged()), wire.Pushes)


def test_only_arrays_alike_go_together() -> None:
    one = wire.Push(bytes(16), 1, np.zeros(3, np.int16))
    for other in ("text", np.zeros(3, np.float32), np.zeros((3, 1), np.int16), np.zeros((1, 1, 1), np.int16)):
        with pytest.raises(BadMessageError, match="PUSH"):
            wire.encode(wire.Pushes.of((one, wire.Push(bytes(16), 2, other))))
    with pytest.raises(BadMessageError):
        wire.Pushes.of(())
    with pytest.raises(BadMessageError, match="frames, size"):
        wire.encode(wire.Pushes.of([wire.Push(bytes(16), 1, np.zeros((1, 1, 1), np.int16))]))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(models("frames")) as started:
        yield started


def test_each_part_is_done_and_answered_as_a_push(server: Server) -> None:
    with Raw(server.endpoint) as raw:
        streams = [raw.open("frames") for _ in range(3)]
        data = frames(12)
        alone = [wire.Push(streams[0], 1, data[:4]), wire.Push(streams[0], 2, data[4:])]
        for push in alone:
            raw.send(push)
        wanted = [event for result in raw.results(streams[0], 2) for event in result.events]
        raw.send(
            wire.Pushes.of(
                (
                    wire.Push(streams[1], 1, data[:4]),
                    wire.Push(streams[2], 7, data),  # a gap: this part alone is refused
                    wire.Push(streams[1], 2, data[4:]),
                    wire.Push(b"nobody's stream.", 1, data),
                )
            )
        )
        errors = [raw.receive(), raw.receive()]
        assert [(each.code, each.stream) for each in errors if isinstance(each, wire.Error)] == [
            ("sequence_gap", streams[2]), ("unknown_stream", b"nobody's stream."),
        ]  # fmt: skip
        assert [event for result in raw.results(streams[1], 2) for event in result.events] == wanted
        raw.send(wire.Push(streams[2], 1, data))
        assert raw.results(streams[2], 1)[-1].processed == 12
