"""The server with the clients that people use, and with clients that go wrong."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
import zmq
from engine_models import frames, model, models, sound
from random_models import bits, network
from server_raw import Bystander, Raw, eventually

from ostinato import protocol as wire
from ostinato.errors import AddressError, NotFiniteError, StreamClosedError, UnknownModelError
from ostinato.events import Event
from ostinato.model.decoders import Outputs
from ostinato.model.front_ends import Frames
from ostinato.model.layers import Gru
from ostinato.model.specification import Sequential
from ostinato.server import Limits, Server, Settings
from ostinato.streaming import Model
from ostinato_client import AsyncClient, Client

WIDE = Model(network(Sequential("wide", Frames(3), (Gru(256),), Outputs())))


def in_process(name: str, pieces: list[np.ndarray]) -> list[Event]:
    with model(name).stream() as stream:
        return [event for piece in pieces for event in stream.push(piece)] + stream.flush()


@pytest.mark.parametrize("name", ["audio", "audio-bi"])
def test_several_streams_of_a_client(name: str) -> None:
    speech = [sound(2.0, seed) for seed in range(3)]
    with Server(models()) as server, Client(server.endpoint) as client:
        streams = [client.open(name, sample_rate=16000) for _ in speech]
        found: list[list[Event]] = [[] for _ in speech]
        for start in range(0, 32000, 1000):
            for stream, audio, events in zip(streams, speech, found, strict=True):
                stream.push(audio[start : start + 1000])
                events += [event for result in stream.results() for event in result.events]
        for stream, audio, events in zip(streams, speech, found, strict=True):
            events += [event for result in stream.flush() for event in result.events]
            assert bits(events) == bits(in_process(name, [audio]))
            stream.close()
        eventually(lambda: server.streams == 0)


@pytest.mark.parametrize("name", ["audio", "audio-bi"])
def test_utterances_that_end_by_themselves_keep_their_place_in_the_stream(name: str) -> None:
    """Times of events are times of the utterance; with where it starts they are times of the stream."""
    quiet, loud = np.zeros(16000, np.int16), sound(0.6, 1)
    speech = np.concatenate((quiet, loud, quiet, loud, quiet))
    with model(name).stream(end_of_speech_ms=300) as stream:
        wanted = stream.push(speech) + stream.flush()
    assert len({(event.utterance, event.utterance_ms) for event in wanted}) == (1 if name == "audio" else 3)
    with Server(models()) as server, Client(server.endpoint) as client:
        stream = client.open(name, sample_rate=16000, end_of_speech_ms=300)
        for start in range(0, len(speech), 1600):
            stream.push(speech[start : start + 1600])
        found = [event for result in [*stream.results(), *stream.flush()] for event in result.events]
    assert bits(found) == bits(wanted)
    ends = [event.utterance_ms + event.time_ms for event in found if event.kind == "end-of-speech"]
    assert ends == pytest.approx([1600, 3200], abs=100)


def test_errors_reach_the_client_as_their_classes() -> None:
    with Server(models()) as server, Client(server.endpoint) as client:
        with pytest.raises(UnknownModelError):
            client.open("nobody")
        with client.open("frames") as stream:
            stream.push(frames(5))
            stream.push(np.full((1, 3), np.nan, np.float32))
            with pytest.raises(NotFiniteError):
                stream.mark()
            stream.push(frames(5, 1))
            stream.mark()


def test_a_snapshot_resumes_on_another_server() -> None:
    with Server(models()) as one, Server(models()) as other:
        with Client(one.endpoint) as client, client.open("audio") as stream:
            stream.push(sound(0.5, 1))
            snapshot = stream.snapshot()
            stream.push(sound(0.5, 2))
            wanted = stream.flush()
        with Client(other.endpoint) as client, client.open("audio", snapshot=snapshot) as stream:
            stream.push(sound(0.5, 2))
            found = stream.flush()
    after = [event for result in wanted for event in result.events][-len([e for r in found for e in r.events]) :]
    assert bits([event for result in found for event in result.events]) == bits(after)


def test_the_asyncio_client() -> None:
    async def speak(endpoint: str) -> list[Event]:
        async with AsyncClient(endpoint) as client, await client.open("audio-bi") as stream:
            for piece in np.split(sound(1.0), 10):
                await stream.push(piece)
            return [event for result in await stream.flush() for event in result.events]

    with Server(models()) as server:
        assert bits(asyncio.run(speak(server.endpoint))) == bits(in_process("audio-bi", [sound(1.0)]))


def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    with Server(models()) as server:
        bystander = Bystander(server.endpoint)
        gone = Raw(server.endpoint)
        for stream in [gone.open(name) for name in ("frames", "frames-bi")]:
            gone.send(*(wire.Push(stream, i, frames(100)) for i in range(1, 4)), wire.Flush(stream, 4))
        assert server.streams == 3
        gone.close()
        bystander.go_on()
        eventually(lambda: (server.streams, server.clients) == (1, 1))
        bystander.finish()


def test_a_client_that_does_not_read_is_dropped_and_the_others_are_not() -> None:
    served = models("frames") | {"wide": WIDE}
    with (
        Server(
            served, settings=Settings(max_client_bytes=1 << 20), limits=Limits(credit_ms=1e7, inputs=10_000)
        ) as server,
        Raw(server.endpoint, rcvhwm=1, rcvbuf=4096) as deaf,
    ):
        bystander = Bystander(server.endpoint)
        stream = deaf.open("wide")
        data = np.zeros((40, 3), np.float32)
        for seq in range(1, 1501):  # 40 KB of results for each
            assert deaf.socket.poll(20_000, zmq.POLLOUT)
            deaf.send(wire.Push(stream, seq, data))
            if seq % 100 == 0:
                bystander.go_on()
        eventually(lambda: server.streams == 1)
        assert deaf.socket.poll(0), "results were sent, but not read"
        bystander.go_on()
        bystander.finish()


def test_a_fault_in_a_message_is_answered_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Server(models()) as server, Raw(server.endpoint) as raw:
        bystander = Bystander(server.endpoint)
        stream = raw.open("text")
        check = model("text").front_end.check
        monkeypatch.setattr(model("text").front_end, "check", lambda data: 1 // 0 if data == "bad" else check(data))
        error = raw.refused(wire.Push(stream, 1, "bad"))
        assert (error.code, error.stream, error.seq) == ("internal", stream, 1)
        assert "ZeroDivisionError" in caplog.text
        assert "bad" not in caplog.messages, "input belongs in no log"
        raw.send(wire.Push(stream, 1, "abba"))
        raw.results(stream, 1)
        bystander.go_on()
        bystander.finish()


def test_a_silent_client_is_forgotten_and_told() -> None:
    with Server(models("frames"), settings=Settings(idle_s=0.3)) as server, Client(server.endpoint) as client:
        stream = client.open("frames")
        eventually(lambda: server.streams == 0)
        with pytest.raises(StreamClosedError, match="not"):
            stream.push(frames(1))
            stream.flush()


def test_pings_keep_a_client_alive() -> None:
    with Server(models("frames"), settings=Settings(idle_s=1.0)) as server, Raw(server.endpoint) as raw:
        raw.open("frames")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            raw.ask(wire.Ping(b""), wire.Pong)
            time.sleep(0.05)
        assert server.streams == 1


@pytest.mark.parametrize(
    "bind",
    [
        "tcp://0.0.0.0:7077", "tcp://*:7077", "tcp://192.168.1.2:7077", "tcp://[::]:7077", "tcp://example.org:7077",
        "tcp://:7077", "udp://127.0.0.1:7077", "127.0.0.1:7077", "tcp://127.0.0.1", "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:99999", "ipc://", "ipc://@abstract", "inproc://x", "tcp://127.0.0.1:7077;tcp://0.0.0.0:7077",
        "tcp://eth0;127.0.0.1:7077",
    ],
)  # fmt: skip
def test_any_address_but_this_machine_is_refused(bind: str) -> None:
    with pytest.raises(AddressError):
        Server({}, bind)


def test_the_refusal_says_why() -> None:
    with pytest.raises(AddressError, match="no keys yet"):
        Server({}, "tcp://0.0.0.0:7077")


def test_an_address_in_use_is_refused() -> None:
    with Server({}) as server, pytest.raises(AddressError, match="another port"):
        Server({}, server.endpoint)


@pytest.mark.parametrize("bind", ["ipc", "tcp://localhost:*", "tcp://127.0.0.1:*", "tcp://[::1]:*"])
def test_addresses_of_this_machine(bind: str, tmp_path: Path) -> None:
    try:
        server = Server(models("frames"), f"ipc://{tmp_path}/socket" if bind == "ipc" else bind)
    except AddressError:
        if "::1" in bind:
            pytest.skip("no IPv6 here")
        raise
    with server, Raw(server.endpoint, ipv6=1) as raw:
        raw.open("frames")
        raw.close()
        eventually(lambda: server.streams == 0)


def test_draining_lets_streams_go_on_then_says_goodbye() -> None:
    with Server(models(), settings=Settings(drain_s=1.0)) as server, Raw(server.endpoint) as raw:
        stream = raw.open("frames-bi")
        raw.send(wire.Push(stream, 1, frames(50)))
        raw.results(stream, 1)
        server.stop(drain=True)
        draining = raw.receive()
        assert isinstance(draining, wire.Draining)
        assert draining.seconds == 1.0
        assert raw.refused(wire.Open(b"n" * 16, "frames")).code == "draining"
        raw.send(wire.Push(stream, 2, frames(50, 1)), wire.Flush(stream, 3))
        assert len(raw.results(stream, 3)[-1].events) == 100
        closed = raw.receive()
        assert isinstance(closed, wire.Closed)
        assert closed.reason == "drain"
        assert isinstance(raw.receive(), wire.Goodbye)


def test_draining_ends_as_soon_as_no_stream_is_open() -> None:
    with Server(models(), settings=Settings(drain_s=1000.0)) as server, Raw(server.endpoint) as raw:
        stream = raw.open("frames")
        server.stop(drain=True)
        assert isinstance(raw.receive(), wire.Draining)
        raw.ask(wire.Close(stream), wire.Closed)
        assert isinstance(raw.receive(), wire.Goodbye)
