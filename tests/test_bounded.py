"""What comes from outside is bounded before it is decoded, and what it holds before it is used; in memory."""

from __future__ import annotations

import contextlib
import os
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from engine_models import frames, model, models, sound
from hypothesis import given, settings
from hypothesis import strategies as st
from server_raw import Raw, eventually

from ostinato import protocol as wire
from ostinato.bounded import check_json, check_msgpack
from ostinato.engine import Answer, Engine, Limits
from ostinato.errors import BadMessageError, BadModelFileError, InputError, OstinatoError, SnapshotError, StreamError
from ostinato.model import read
from ostinato.model.limits import MAX_CONTAINERS
from ostinato.model.specification import Specification
from ostinato.pipeline.state import MAX_COUNT
from ostinato.server import Server, Settings, dialogue
from ostinato.streaming import snapshot as snapshots

MIB = 1 << 20


def peak_of(act: Callable[[], object]) -> int:
    """The most memory in use meanwhile, in bytes."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(act: Callable[[], object], error: type[OstinatoError], match: str | None = None) -> Callable[[], None]:
    def check() -> None:
        with pytest.raises(error, match=match):
            act()

    return check


def forged(name: str, change: Callable[[list[Any]], None], **options: Any) -> bytes:
    """A snapshot of a model's stream, its parts changed, with its checksum right."""
    with model(name).stream(**options) as stream:
        stream.push(sound(0.2) if name.startswith("audio") else frames(20))
        parts = snapshots.decode(stream.snapshot())
    change(parts)
    return snapshots.encode(parts)


# --- before decoding ------------------------------------------------------------------------------------------------

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary(max_size=300)
    | st.text(max_size=300) | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20)),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=3), inner, max_size=20),
    max_leaves=40,
)  # fmt: skip


def values_in(thing: Any) -> int:
    if isinstance(thing, list):
        return 1 + sum(map(values_in, thing))
    return 1 + sum(1 + values_in(each) for each in thing.values()) if isinstance(thing, dict) else 1


@settings(deadline=None, max_examples=150)
@given(ANYTHING, st.data())
def test_what_msgpack_writes_is_counted_and_all_else_refused(thing: Any, data: st.DataObject) -> None:
    packed, count = msgpack.packb(thing), values_in(thing)
    check_msgpack(packed, count, 64)
    if count > 1:
        with pytest.raises(ValueError, match="more than"):
            check_msgpack(packed, count - 1, 64)
    for wrong in (packed + b"\0", packed[: data.draw(st.integers(0, len(packed) - 1))]):
        with pytest.raises(ValueError):
            check_msgpack(wrong, count, 64)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=80))
def test_whatever_passes_is_decoded(packed: bytes) -> None:
    try:
        check_msgpack(packed, 100, 8)
    except ValueError:
        return
    with contextlib.suppress(ValueError, TypeError):  # text that is no UTF-8, a map's key that cannot be one
        msgpack.unpackb(packed, strict_map_key=False)


@pytest.mark.parametrize(
    "filling",
    [b"\x90", b"\x80", b"\xa0", b"\xc0", b"\x91\xc0", b"\xd4\1\1", b"\x91", b"\xcb" + bytes(8)],
    ids=bytes.hex,
)
def test_a_snapshot_of_millions_of_values_costs_no_memory(filling: bytes) -> None:
    count = 2 * MIB // len(filling)
    body = b"\x95\xc0\xc0\xc0\xc0\xdd" + struct.pack(">I", count) + filling * count
    sealed = snapshots.MAGIC + bytes([snapshots.VERSION]) + snapshots._checksum(body) + body
    assert peak_of(refused(lambda: model("frames").restore(sealed), SnapshotError, "more than|deeper")) < 5 * MIB


@pytest.mark.parametrize("filling", [b"\x90", b"\x80", b"\x91\xc0", b"\xd4\1\1", b"\x91"], ids=bytes.hex)
@pytest.mark.parametrize("kind", [0x01, 0x03, 0x0A, 0x83])
def test_a_message_of_many_values_costs_a_few_mebibytes(kind: int, filling: bytes) -> None:
    """Its bytes are the bound: 64 for each of 65,536."""
    count = (wire.MAX_MESSAGE_BYTES - 20) // len(filling)
    frame = bytes([kind, 1]) + b"\x81\xa4seqs\xdd" + struct.pack(">I", count) + filling * count
    decode = wire.decode_reply if kind & 0x80 else wire.decode_request
    assert peak_of(refused(lambda: decode(frame), BadMessageError)) < 8 * MIB


def test_a_specification_of_millions_of_values_costs_no_memory(tmp_path: Path) -> None:
    for filling in ("[],", "{},", "1e5,"):
        text = '{"layers":[' + filling * (8 * MIB // len(filling)) + "1]}"
        assert peak_of(refused(lambda text=text: Specification.from_json(text), BadModelFileError, "more than")) < MIB
    check_json(model("audio").network.specification.to_json(), 200, 20)
    with pytest.raises(ValueError, match="arrays"):
        check_json("[" * (MAX_CONTAINERS + 1), 1 << 20, MAX_CONTAINERS)
    path = tmp_path / "header.safetensors"
    path.write_bytes((17 * MIB).to_bytes(8, "little") + b" " * 17 * MIB)
    assert peak_of(refused(lambda: read(path), BadModelFileError, "header of 17825792 bytes")) < MIB


# --- after decoding -------------------------------------------------------------------------------------------------


def waits(count: int) -> Callable[[list[Any]], None]:
    """The snapshot has so many waiting frames, and says that there was input for them."""

    def change(parts: list[Any]) -> None:
        parts[0]["waiting"] = {"shape": [count, 3], "data": bytes(12 * count)}
        parts[0]["units_in"] = parts[0]["utterance_units"] = count

    return change


BLOCKS = {"block_ms": 80.0, "lookahead_ms": 50.0}


@pytest.mark.parametrize(
    ("name", "options", "most"), [("frames", {}, 0), ("frames-bi", {}, 6000), ("frames-bi", BLOCKS, 13)]
)
def test_frames_that_wait_in_a_snapshot_are_bounded_by_the_server(name: str, options: Any, most: int) -> None:
    """A causal stream's, an utterance's, those of a block: no more than a stream could have got together here."""
    engine = Engine(models(name), Limits(credit_ms=1000.0))
    engine.open("right", name, snapshot=forged(name, waits(most + 100), **options))
    usage = engine.usage
    with pytest.raises(SnapshotError, match="bound of"):
        engine.open("wrong", name, snapshot=forged(name, waits(most + 1000), **options))
    assert engine.streams == 1 and engine.usage == usage
    with pytest.raises(SnapshotError, match="input makes"):  # so that the rest of the utterance is bounded as well
        model(name).restore(
            forged(name, lambda parts: (waits(400)(parts), parts[0].update(utterance_units=40)), **options)
        )


def finished(count: int, length: int = 0, **changed: Any) -> Callable[[list[Any]], None]:
    """The snapshot has so many finished utterances, of so many frames each."""

    def change(parts: list[Any]) -> None:
        record = {
            "frames": {"shape": [length, 13], "data": bytes(52 * length)}, "state": None, "utterance": 0,
            "utterance_ms": 0.0, "end": None,
        }  # fmt: skip
        parts[4] = [[record | changed, parts[2]]] * count

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (finished(257), "finished utterances"),
        (finished(200_000), "more than"),
        (finished(100, 100), "bound of"),
        (finished(1, utterance=-1), "negative"),
        (finished(1, utterance_ms=-1.0), "out of range"),
        (finished(1, utterance_ms=1e300), "out of range"),
    ],
)
def test_finished_utterances_in_a_snapshot_are_bounded(change: Callable[[list[Any]], None], match: str) -> None:
    engine = Engine(models("audio-bi"), Limits(max_utterance_s=60.0))
    snapshot = forged("audio-bi", change, end_of_speech_ms=100.0)
    assert peak_of(refused(lambda: engine.open("s", "audio-bi", snapshot=snapshot), SnapshotError, match)) < 64 * MIB
    assert engine.streams == engine.usage.reserved_bytes == 0


def test_a_stream_in_which_very_many_utterances_wait_says_so() -> None:
    with model("audio-bi").stream(end_of_speech_ms=20.0) as stream:
        once = np.concatenate([sound(0.2), np.zeros(3200, np.int16)])
        while len(stream.record.finished) <= snapshots.MAX_FINISHED:
            stream.record.accept(np.tile(once, 50))
        with pytest.raises(StreamError, match="compute some first"):
            stream.snapshot()


def test_what_a_snapshot_may_hold_can_be_answered() -> None:
    """Numbers up to the bounds: the server writes results of them."""
    count = MAX_COUNT
    change = finished(1, 50, utterance=count, utterance_ms=float(count))

    def largest(parts: list[Any]) -> None:
        change(parts)
        parts[0].update(base_ms=float(count), start_frame=count, utterance=count, frames_in=count, frames_out=count)

    snapshot = forged("audio-bi", largest, end_of_speech_ms=100.0)
    with Server(models("audio-bi")) as server, Raw(server.endpoint) as raw:
        stream = raw.open("audio-bi", snapshot=snapshot)
        raw.send(wire.Push(stream, 1, sound(0.5)), wire.Flush(stream, 2))
        found = raw.results(stream, 2, final=True)
        assert found[0].utterance == count and len(found[0].events) == 50
        assert raw.ask(wire.Ping(b""), wire.Pong)


def test_a_result_that_cannot_be_written_costs_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not the server, whatever the fault."""
    with Server(models("frames")) as server, Raw(server.endpoint) as raw:
        wrong, right = raw.open("frames"), raw.open("frames")
        packed = dialogue.packed

        def negative(stream: bytes, answer: Answer) -> wire.ResultEntry | bytes:
            answer.first -= 1000 if stream == wrong else 0
            return packed(stream, answer)

        monkeypatch.setattr(dialogue, "packed", negative)
        raw.send(wire.Push(wrong, 1, frames(2)))
        error, closed = raw.receive(), raw.receive()
        assert isinstance(error, wire.Error) and isinstance(closed, wire.Closed)
        assert (closed.stream, error.stream, error.code) == (wrong, wrong, "internal")
        raw.send(wire.Push(right, 1, frames(2)))
        assert len(raw.results(right, 1)[-1].events) == 2


# --- snapshots in parts ---------------------------------------------------------------------------------------------


def part(stream: bytes, number: int, size: int = 60_000) -> wire.Open:
    return wire.Open(stream, "frames", snapshot=bytes(size), part=number, parts=1024)


def test_half_a_snapshot_keeps_nobody_out_and_is_given_up() -> None:
    with Server(models("frames"), settings=Settings(resume_s=0.7)) as server:
        evil = [Raw(server.endpoint) for _ in range(20)]
        streams = [os.urandom(16) for _ in evil]
        for each, stream in zip(evil, streams, strict=True):
            each.send(part(stream, 0, 1))
        eventually(lambda: server.resuming_bytes == 20)
        whole = forged("frames", lambda parts: None)
        with Raw(server.endpoint) as raw:
            stream = os.urandom(16)
            half = len(whole) // 2
            raw.send(wire.Open(stream, "frames", snapshot=whole[:half], part=0, parts=2))
            raw.ask(wire.Open(stream, "frames", snapshot=whole[half:], part=1, parts=2), wire.Opened)
        begun = time.monotonic()
        for each, stream in zip(evil, streams, strict=True):
            error = each.receive()
            assert isinstance(error, wire.Error) and (error.code, error.stream) == ("bad_snapshot", stream)
            each.close()
        assert server.resuming_bytes == 0 and time.monotonic() - begun < 10


def test_snapshots_on_their_way_are_bounded_together() -> None:
    with Server(models("frames"), settings=Settings(max_resuming_bytes=150_000)) as server:
        with Raw(server.endpoint) as one, Raw(server.endpoint) as other:
            first, second = os.urandom(16), os.urandom(16)
            one.send(part(first, 0), part(first, 1))
            assert one.ask(wire.Ping(b""), wire.Pong)
            error = other.refused(part(second, 0))
            assert (error.code, error.stream, error.retry_ms) == ("at_capacity", second, 1000)
            assert one.refused(part(first, 7, 10)).code == "bad_message"
            other.send(part(second, 0), part(second, 1))
            assert other.ask(wire.Ping(b""), wire.Pong)
            assert server.resuming_bytes == 120_000
        eventually(lambda: server.resuming_bytes == 0)


def test_a_snapshot_does_not_lift_the_bounds_of_its_options() -> None:
    engine = Engine(models("frames-bi"), Limits(max_utterance_s=10.0, max_block_ms=100.0))
    with pytest.raises(SnapshotError, match="60 s"):
        engine.open("s", "frames-bi", snapshot=forged("frames-bi", lambda parts: None))
    with pytest.raises(InputError, match="130 ms"):
        engine.open(
            "s", "frames-bi", snapshot=forged("frames-bi", lambda parts: None, max_utterance_s=10.0, **BLOCKS)
        )
