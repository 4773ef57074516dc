"""The server over a bare socket: each wrong message gets its error, and a stream beside it keeps its bits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
from engine_models import frames, model, models, sound
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_models import bits
from server_raw import Bystander, Raw, eventually

from ostinato import protocol as wire
from ostinato.options import Options
from ostinato.server import Limits, Server, Settings


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(models()) as made:
        yield made


@pytest.fixture
def raw(server: Server) -> Iterator[Raw]:
    """A connection on which things go wrong, while a stream on another one goes on."""
    bystander = Bystander(server.endpoint)
    bystander.go_on()
    with Raw(server.endpoint) as made:
        yield made
        bystander.go_on()
    bystander.finish()


def packed(kind: int, **fields: object) -> bytes:
    body: bytes = msgpack.packb(fields)
    return bytes((kind, 1)) + body


def test_models_and_ping(raw: Raw) -> None:
    listed = raw.ask(wire.ListModels(), wire.ModelList).models
    assert {info.name: (info.direction, info.unit) for info in listed} == {
        "frames": ("unidirectional", "frame"),
        "frames-bi": ("bidirectional", "frame"),
        "audio": ("unidirectional", "sample"),
        "audio-bi": ("bidirectional", "sample"),
        "text": ("unidirectional", "character"),
    }
    audio = next(info for info in listed if info.name == "audio")
    assert (audio.sample_rate, audio.frame_ms) == (16000, 10.0)
    assert audio.heads == (wire.HeadInfo("main", "labels", delay_frames=0, delay_ms=0.0),)
    assert next(info for info in listed if info.name == "audio-bi").heads[0].delay_frames is None
    assert audio.digest == model("audio").network.digest
    assert raw.ask(wire.Ping(b"abc"), wire.Pong).token == b"abc"


@pytest.mark.parametrize("name", ["frames", "frames-bi", "audio", "audio-bi", "text"])
def test_a_stream_has_the_bits_that_it_has_in_process(raw: Raw, name: str) -> None:
    data = "abba cab " * 9 if name == "text" else frames(90) if name.startswith("frames") else sound(0.9)
    pieces = [data[i : i + len(data) // 7] for i in range(0, len(data), len(data) // 7)]
    stream = raw.open(name)
    raw.send(*(wire.Push(stream, i, piece) for i, piece in enumerate(pieces, 1)), wire.Flush(stream, len(pieces) + 1))
    found = raw.results(stream, len(pieces) + 1)
    with model(name).stream() as own:
        wanted = [event for piece in pieces for event in own.push(piece)] + own.flush()
    assert bits([event for result in found for event in result.events]) == bits(wanted)
    assert [result.seq for result in found] == list(range(1, len(pieces) + 2))
    assert found[-1].processed == len(data)
    assert [result.final for result in found] == [False] * len(pieces) + [True]
    counts = np.cumsum([0] + [len(result.events) for result in found])
    assert [result.first for result in found] == counts[:-1].tolist()
    assert sum(result.frames for result in found) == len(wanted)


def test_one_stream_of_frames_refuses_what_is_counted_as_samples(raw: Raw) -> None:
    """Else client and server would count it differently; a frame by itself in a PUSH is one unit."""
    stream = raw.open("frames")
    error = raw.refused(wire.Pushes([stream], [1], [3], frames(1)[0]))
    assert (error.code, error.stream, error.seq) == ("bad_shape", stream, 1)
    raw.send(wire.Push(stream, 2, frames(1)[0]), wire.Pushes([stream], [3], [2], frames(2)))
    assert raw.results(stream, 3)[-1].processed == 3


def test_a_message_of_no_sense_is_refused(raw: Raw) -> None:
    stream = raw.open("frames")
    wrong = {
        b"": "bad_message",
        b"\x03": "bad_message",
        b"\x03\x02\x80": "unknown_version",
        b"\x7f\x01\x80": "bad_message",
        wire.encode(wire.Ping(b"abc"))[:-1]: "bad_message",
        wire.encode(wire.Ping(b"abc")) + b"\0": "bad_message",
        b"\x03\x01" + b"\x91" * 2000: "bad_message",
        packed(3, stream=stream, seq=1): "bad_message",
        packed(3, stream=stream, seq=0, data="x"): "bad_message",
        packed(3, stream=stream, seq=1, data=b"123", dtype="float32", shape=[1]): "bad_message",
        packed(3, stream=stream, seq=1, data=b"1234", dtype="object", shape=[1]): "bad_message",
        packed(4, stream=stream[:15], seq=1): "bad_message",
        packed(9, token=b"x", more=1): "bad_message",
        b"\x03\x01" + os.urandom(wire.MAX_MESSAGE_BYTES - 1): "too_large",
        b"\x09\x01" + bytes(wire.BACKSTOP_BYTES - 2): "too_large",
    }
    for message, code in wrong.items():
        error = raw.refused(message)
        assert (error.code, error.stream) == (code, None), message[:20]
    raw.socket.send_multipart([wire.encode(wire.Ping(b"two")), b"frames"])
    twofold = raw.receive()
    assert isinstance(twofold, wire.Error)
    assert twofold.code == "bad_message"
    raw.send(wire.Push(stream, 1, frames(3)))
    assert raw.results(stream, 1)[0].processed == 3, "the stream on the same connection has not noticed"


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.integers(0, 15),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9)
            | st.binary(max_size=20),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
            max_leaves=12,
        ).map(msgpack.packb),
    ),
)  # fmt: skip
def test_random_messages_are_answered_with_errors(raw: Raw, kind: int, body: bytes) -> None:
    raw.send(bytes((kind, 1)) + body, wire.Ping(b"still there?"))
    replies = [raw.receive()]
    while not isinstance(replies[-1], wire.Pong):
        replies.append(raw.receive())
    assert len(replies) <= 2
    if len(replies) == 2:
        assert isinstance(replies[0], wire.Error | wire.ModelList)


def test_a_frame_over_the_backstop_costs_its_sender_the_connection_only(server: Server, raw: Raw) -> None:
    stream = raw.open("frames")
    streams = server.streams
    raw.send(bytes(wire.BACKSTOP_BYTES + 1))
    eventually(lambda: server.streams == streams - 1)
    raw.send(wire.Push(stream, 1, frames(1)))  # libzmq connects anew, and is nobody's client
    error = raw.receive()
    assert isinstance(error, wire.Error)
    assert error.code == "unknown_stream"


def test_opening_wrongly(raw: Raw) -> None:
    stream = raw.open("frames")
    other = os.urandom(16)
    wrong = {
        wire.Open(other, "nobody"): "unknown_model",
        wire.Open(stream, "frames"): "stream_in_use",
        wire.Open(other, "frames", Options(dtype="int16")): "bad_dtype",
        wire.Open(other, "frames", Options(sample_rate=8000)): "bad_input",
        wire.Open(other, "audio", Options(decoder="beam")): "bad_input",
        wire.Open(other, "audio", Options(head="mein")): "unknown_head",
        wire.Open(other, "frames", snapshot=b"nonsense"): "bad_snapshot",
        wire.Open(other, "audio", Options(max_utterance_s=1e9)): "bad_input",
        wire.Open(other, "frames", snapshot=b"end", part=1, parts=2): "bad_message",
    }
    for message, code in wrong.items():
        error = raw.refused(message)
        assert (error.code, error.stream) == (code, message.stream)
    assert "frames" in raw.refused(wire.Open(other, "nobody")).message, "it says which models there are"
    raw.ask(wire.Open(other, "frames"), wire.Opened)


def test_input_that_the_stream_refuses_is_answered_and_the_stream_goes_on(raw: Raw) -> None:
    inputs: tuple[tuple[str, Any, dict[str, Any]], ...] = (
        ("frames", frames(5), {
            "bad_dtype": np.zeros((2, 3), np.float64), "bad_shape": np.zeros((2, 4), np.float32),
            "not_finite": np.full((1, 3), np.inf, np.float32),
        }),
        ("audio", sound(0.1), {
            "bad_dtype": np.zeros(9, np.uint8), "bad_shape": np.zeros((9, 2), np.int16),
            "not_finite": np.full(9, np.nan, np.float32),
        }),
        ("text", "abba", {"bad_dtype": np.zeros(9, np.int16), "unknown_token": "xyz"}),
    )  # fmt: skip
    for name, good, wrong in inputs:
        stream = raw.open(name)
        seq = 1
        raw.send(wire.Push(stream, seq, good))
        raw.results(stream, seq)
        for code, data in wrong.items():
            seq += 1
            error = raw.refused(wire.Push(stream, seq, data))
            assert (error.code, error.stream, error.seq) == (code, stream, seq)
        raw.send(wire.Push(stream, seq + 1, good))
        (result,) = raw.results(stream, seq + 1)
        assert result.processed == 2 * len(good)


def test_out_of_turn(raw: Raw) -> None:
    stream = raw.open("frames")
    gap = raw.refused(wire.Push(stream, 2, frames(1)))
    assert (gap.code, gap.seq, gap.expected) == ("sequence_gap", 2, 1)
    raw.send(wire.Push(stream, 1, frames(4)))
    raw.results(stream, 1)
    raw.send(wire.Push(stream, 1, frames(4)))
    (again,) = raw.results(stream, 1)
    assert (again.seq, again.processed, again.events) == (1, 4, ())
    gap = raw.refused(wire.Flush(stream, 9))
    assert (gap.code, gap.expected) == ("sequence_gap", 2)


def test_more_than_the_credit_is_not_taken(raw: Raw) -> None:
    stream = os.urandom(16)
    opened = raw.ask(wire.Open(stream, "audio"), wire.Opened)
    chunk = np.zeros(32000, np.int16)
    count = opened.credit // len(chunk) + 3
    # In one go, so that the server takes them in one turn of its loop, or nearly.
    raw.send(*(wire.Push(stream, i, chunk) for i in range(1, count + 1)))
    expected = refused = processed = 0
    while expected <= count:
        reply = raw.receive()
        if isinstance(reply, wire.Results):
            for result in reply.results:
                assert result.seq == expected + 1 or not expected
                expected, processed = result.seq, result.processed
            if expected == count:
                break
            continue
        assert isinstance(reply, wire.Error)
        assert reply.code in ("over_credit", "sequence_gap")
        assert reply.seq is not None and reply.expected is not None
        refused += 1
        if reply.seq == count:  # the last of this round: the rest again, when there is room
            while expected < reply.expected - 1:
                results = raw.receive()
                assert isinstance(results, wire.Results)
                expected, processed = results.results[-1].seq, results.results[-1].processed
            raw.send(*(wire.Push(stream, i, chunk) for i in range(expected + 1, count + 1)))
    assert processed == count * len(chunk), "nothing is lost"
    assert refused, "the test reached the bound"


def test_an_utterance_over_its_bound(raw: Raw) -> None:
    stream = raw.open("frames-bi", max_utterance_s=0.5)
    raw.send(wire.Push(stream, 1, frames(40)))
    raw.results(stream, 1)
    error = raw.refused(wire.Push(stream, 2, frames(40)))
    assert (error.code, error.seq) == ("utterance_too_long", 2)
    raw.send(wire.Push(stream, 3, frames(10, 1)), wire.Flush(stream, 4))
    found = raw.results(stream, 4)
    assert len(found[-1].events) == 50
    assert found[-1].buffered_ms > 0


def test_after_closing_a_stream_is_unknown(raw: Raw) -> None:
    stream = raw.open("frames")
    raw.send(wire.Push(stream, 1, frames(1)))
    raw.results(stream, 1)
    assert raw.ask(wire.Close(stream), wire.Closed).reason == "close"
    for message in (wire.Push(stream, 2, frames(1)), wire.Mark(stream, 2, b""), wire.Close(stream)):
        error = raw.refused(message)
        assert (error.code, error.stream) == ("unknown_stream", stream)
    raw.ask(wire.Open(stream, "frames"), wire.Opened)


def test_a_stream_belongs_to_its_connection(server: Server, raw: Raw) -> None:
    stream = raw.open("frames")
    with Raw(server.endpoint) as stranger:
        for message in (wire.Push(stream, 1, frames(1)), wire.Close(stream)):
            assert stranger.refused(message).code == "unknown_stream"
    raw.send(wire.Push(stream, 1, frames(1)))
    raw.results(stream, 1)


def test_mark_snapshot_and_reset_are_done_in_turn(raw: Raw) -> None:
    stream = raw.open("frames-bi")
    for i in range(20):  # more than one message can hold
        raw.send(wire.Push(stream, i + 1, frames(300, i)))
        raw.results(stream, i + 1)
    raw.send(
        wire.Mark(stream, 21, b"m"), wire.TakeSnapshot(stream, 22), wire.Reset(stream, 23), wire.Flush(stream, 24)
    )
    marked = raw.receive()
    assert isinstance(marked, wire.Marked)
    assert (marked.seq, marked.token) == (21, b"m")
    parts = wire.Assembler()
    snapshot = None
    while snapshot is None:
        part = raw.receive()
        assert isinstance(part, wire.Snapshot)
        assert (part.seq, part.parts > 1) == (22, True)
        snapshot = parts.add(part.data, part.part, part.parts)
    reset = raw.receive()
    assert isinstance(reset, wire.ResetDone)
    assert reset.seq == 23
    (empty,) = raw.results(stream, 24)
    assert (empty.final, empty.events) == (True, ())

    again = os.urandom(16)
    raw.send(*wire.encode_open(wire.Open(again, "frames-bi", snapshot=snapshot)))
    assert isinstance(raw.receive(), wire.Opened)
    raw.send(wire.Flush(again, 1))
    found = raw.results(again, 1, final=True)
    assert len(found) > 1, "more events than one message can hold"
    with model("frames-bi").stream() as own:
        for i in range(20):
            own.push(frames(300, i))
        assert bits([event for result in found for event in result.events]) == bits(own.flush())


def test_plain_tcp_chatter_harms_nobody(server: Server, raw: Raw) -> None:
    port = int(server.endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        raw.ask(wire.Ping(b""), wire.Pong)


def test_bounds_on_clients_and_streams() -> None:
    with (
        Server(models("frames"), settings=Settings(max_clients=2), limits=Limits(max_streams=1)) as server,
        Raw(server.endpoint) as first,
        Raw(server.endpoint) as second,
        Raw(server.endpoint) as third,
    ):
        first.open("frames")
        error = second.refused(wire.Open(os.urandom(16), "frames"))
        assert (error.code, error.retry_ms) == ("at_capacity", 1000)
        for message in (wire.Ping(b""), wire.Open(os.urandom(16), "frames"), wire.ListModels()):
            error = third.refused(message)
            assert (error.code, error.stream, error.retry_ms) == ("at_capacity", None, 1000)
        assert (server.clients, server.streams) == (2, 1), "who is refused opens nothing"
        first.close()
        eventually(lambda: (server.clients, server.streams) == (1, 0))
        third.ask(wire.Ping(b""), wire.Pong)
        second.open("frames")
        third.close()
        second.close()
        eventually(lambda: (server.clients, server.streams) == (0, 0))


def test_who_was_refused_and_leaves_leaves_nothing_behind() -> None:
    with Server(models("frames"), settings=Settings(max_clients=1)) as server, Raw(server.endpoint) as first:
        first.ask(wire.Ping(b""), wire.Pong)
        for _ in range(3):
            with Raw(server.endpoint) as refused:
                for _ in range(20):
                    assert refused.refused(wire.Open(os.urandom(16), "frames")).code == "at_capacity"
        first.close()
        eventually(lambda: server.clients == 0)
        with Raw(server.endpoint) as last:
            last.open("frames")
            assert server.streams == 1


def test_events(server: Server) -> None:
    """`ResultEntry.events` of the wire and those of the engine are the same things."""
    with Raw(server.endpoint, rcvhwm=10) as raw:
        stream = raw.open("frames", decoder="outputs")
        raw.send(wire.Push(stream, 1, frames(3)))
        (result,) = raw.results(stream, 1)
        assert [event.kind for event in result.events] == ["output"] * 3
        assert all(event.values is not None and event.values.shape == (3,) for event in result.events)
