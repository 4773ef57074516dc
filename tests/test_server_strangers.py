"""Peers that mean harm, or know no better: the server goes on, and an honest client beside them keeps its bits."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from engine_models import frames, model, models
from fuzz_connections import STRANGERS, Crowd, fuzz, talking
from random_models import bits
from raw_zmtp import PING, Dialled, frame, stream_id
from server_process import Process, small_model
from server_raw import PATIENCE_S, Bystander, Raw, eventually

from ostinato import protocol as wire
from ostinato.engine import Engine
from ostinato.errors import OstinatoError
from ostinato.server import Server
from ostinato.server.dialogue import Dialogue
from ostinato.server.peer import Peer

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux says what a connection has received")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(models("frames") | {"said": talking()}) as made:
        yield made


@pytest.fixture
def bystander(server: Server) -> Iterator[Bystander]:
    made = Bystander(server.endpoint)
    made.go_on()
    yield made
    made.go_on()
    made.finish()
    eventually(lambda: (server.clients, server.streams) == (0, 0))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("says", list(STRANGERS.values()), ids=list(STRANGERS))
def test_strangers(server: Server, bystander: Bystander, says: bytes) -> None:
    host, port = "127.0.0.1", int(server.endpoint.rpartition(":")[2])
    with (
        socket.create_connection((host, port), timeout=PATIENCE_S) as whole,
        socket.create_connection((host, port)) as slow,
    ):
        whole.sendall(says)
        for byte in says[:30]:
            try:
                slow.sendall(bytes((byte,)))
            except OSError:
                break
            time.sleep(0.002)
        bystander.go_on()
        with Raw(server.endpoint) as another:
            another.ask(wire.Ping(b""), wire.Pong)


@pytest.mark.parametrize("kind", [zmq.PUB, zmq.SUB, zmq.PUSH, zmq.PULL, zmq.REP, zmq.PAIR, zmq.ROUTER, zmq.REQ])
def test_sockets_of_other_kinds(server: Server, bystander: Bystander, kind: int) -> None:
    with zmq.Context() as context, context.socket(kind) as other:
        other.linger = 0
        other.connect(server.endpoint)
        if kind == zmq.REQ:  # its messages have an empty frame in front
            other.send(wire.encode(wire.Ping(b"")))
            assert other.poll(200) == 0
        time.sleep(0.05)
        bystander.go_on()


def test_fuzzed_connections(server: Server, bystander: Bystander) -> None:
    """`fuzz_connections.py` as a command makes as many as one likes."""
    crowd = Crowd(server.endpoint)

    def between(_: int) -> None:
        bystander.go_on()
        for _ in range(10):
            crowd.go_on()

    fuzz(server.endpoint, 1000, 1, between)
    crowd.finish()


def test_a_connection_that_is_reset_behind_a_full_queue_ends_nothing(path: Path) -> None:
    """ZeroMQ asserts that nothing is to be sent on a connection with an error. A heartbeat does that: a timer's, if
    the server has one, and a peer's own, if its PING is read late, once there is room for the message in front."""
    with Process(path) as server:
        for _ in range(3):
            ends = [Dialled(server.endpoint) for _ in range(20)]
            for end in ends:
                end.burst((frame(wire.encode(wire.Ping(b""))) * 20 + PING) * 300)
            time.sleep(0.02)
            for end in ends:
                end.reset()
            with Raw(server.endpoint) as raw:
                raw.ask(wire.Ping(b""), wire.Pong)
        assert "Assertion" not in server.end()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_workers_and_their_front_are_as_hard(path: Path) -> None:
    with Process(path, "--workers", "2") as server:
        places = {server.endpoint}
        with Raw(server.endpoint) as raw:
            while len(places) < 3:
                moved = raw.ask(wire.Open(stream_id(), server.name), wire.Moved)
                places.add(moved.endpoint)
        for n, place in enumerate(sorted(places)):
            for says in STRANGERS.values():
                with socket.create_connection(("127.0.0.1", int(place.rpartition(":")[2]))) as end:
                    end.sendall(says)
            fuzz(place, 200, n, lambda _: None)
            ends = [Dialled(place) for _ in range(10)]
            for end in ends:
                end.burst((frame(wire.encode(wire.Ping(b""))) * 20 + PING) * 300)
            for end in ends:
                end.reset()
            with Dialled(place, timeout=2) as endless:
                endless.send(frame(b"x", True) * 60_000 + frame(b"x"))
                assert endless.is_cut()
            with Raw(place) as raw:
                raw.ask(wire.Ping(b""), wire.Pong)
        assert "has ended" not in server.end(), "a worker died, and another took its place"


def test_what_the_dead_have_left_unread_is_not_taken_for_who_has_their_descriptor(
    server: Server, bystander: Bystander
) -> None:
    burst = frame(wire.encode(wire.Ping(b""))) * 2000
    for n in range(15):
        ends = [Dialled(server.endpoint) for _ in range(5)]
        for end in ends:
            end.burst(burst if n % 2 else burst + frame(b"x", True) * 30 + frame(b"y"))
            end.reset()
        honest = [Bystander(server.endpoint) for _ in range(5)]
        for each in honest:
            each.go_on()
        for each in honest:
            each.finish()
        bystander.go_on()
    eventually(lambda: server.clients == 1)


def test_who_chooses_its_own_routing_id_is_told_and_cut(server: Server, bystander: Bystander) -> None:
    with Raw(server.endpoint, routing_id=b"same") as raw:
        error = raw.refused(wire.Ping(b""))
        assert (error.code, "routing id" in error.message) == ("bad_message", True)
    for identity in (b"x", b"\0abcde", b"\1abcd", b"x" * 255):
        with Dialled(server.endpoint, identity=identity, timeout=2) as end:
            end.send(frame(wire.encode(wire.Open(stream_id(), "frames"))))
            assert end.is_cut()
    assert server.streams == 1


def test_routing_ids_that_are_to_come_cannot_be_known(path: Path) -> None:
    first = 0x6B8B4567
    with Process(path) as server:
        claims = [Dialled(server.endpoint, identity=b"\0" + (first + n).to_bytes(4, "big")) for n in range(10)]
        for claim in claims:
            claim.send(frame(wire.encode(wire.Ping(b""))))
        for _ in range(12):
            with Raw(server.endpoint) as raw:
                raw.ask(wire.Ping(b""), wire.Pong)
        server.end()
        for claim in claims:
            claim.close()


def resident() -> float:
    """MiB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class Pulse:
    """How long an honest client waits for an answer, all the while."""

    def __init__(self, endpoint: str) -> None:
        self.longest = 0.0
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(endpoint,))
        self._thread.start()

    def _run(self, endpoint: str) -> None:
        with Raw(endpoint) as raw:
            while not self._halt.is_set():
                start = time.monotonic()
                raw.ask(wire.Ping(b""), wire.Pong)
                self.longest = max(self.longest, time.monotonic() - start)
                time.sleep(0.01)

    def stop(self) -> float:
        self._halt.set()
        self._thread.join()
        return self.longest


@linux
@pytest.mark.parametrize("size", [0, 1, 32_000])
def test_a_message_that_never_ends_is_cut_before_it_is_large(server: Server, bystander: Bystander, size: int) -> None:
    pulse, before = Pulse(server.endpoint), resident()
    most = before
    part = frame(b"x" * size, True)
    block = part * max(1, (256 << 10) // len(part))
    with Dialled(server.endpoint) as end:
        sent = 0
        while end.send(block):
            sent += len(block)
            most = max(most, resident())
            assert sent < 2 << 30, "nobody cuts it"
    bystander.go_on()
    assert most - before < 256, f"{sent >> 20} MiB were sent"
    assert pulse.stop() < 5


@pytest.mark.parametrize("parts", [2, 16, 17, 60_000])
def test_a_message_of_several_parts_is_refused_or_its_sender_cut(
    server: Server, bystander: Bystander, parts: int
) -> None:
    with Dialled(server.endpoint, timeout=2) as end:
        end.send(frame(wire.encode(wire.Ping(b"")), True) + frame(b"x", True) * (parts - 2) + frame(b"x"))
        time.sleep(0.05)
        end.send(frame(wire.encode(wire.Ping(b"after"))))
        heard = b""
        while b"after" not in heard:
            try:
                piece = end.socket.recv(65536)
            except OSError:
                break
            heard += piece
            if not piece:
                break
        assert b"bad_message" in heard
        assert (b"after" in heard) == (parts <= 16)
    bystander.go_on()


@linux
def test_who_sends_beyond_all_credit_is_cut(server: Server, bystander: Bystander) -> None:
    with Dialled(server.endpoint) as end:
        burst, sent = frame(wire.encode(wire.Ping(b""))) * 5000, 0
        while end.send(burst):
            sent += len(burst)
            assert sent < 4 << 30, "nobody cuts it"
    bystander.go_on()


def test_a_fault_outside_of_the_dialogue_costs_only_its_peer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Server(models("frames")) as server:
        bystander = Bystander(server.endpoint)
        take = Dialogue.take

        def faulty(dialogue: Dialogue, peer: Peer, data: bytes, arrived_ns: int) -> None:
            if data == b"fault":
                raise RecursionError
            take(dialogue, peer, data, arrived_ns)

        monkeypatch.setattr(Dialogue, "take", faulty)
        with Raw(server.endpoint) as raw:
            raw.open("frames")
            raw.send(*[b"fault"] * 50)
            assert "fault" in raw.refused(b"fault").message
            eventually(lambda: (server.streams, server.clients) == (1, 1))
        assert caplog.text.count("a message met a fault") <= 5, "its log is bounded"
        monkeypatch.setattr("ostinato.server.clients.Door.number", lambda frame: frame.get("User-ID that none has"))
        with Dialled(server.endpoint) as end:  # as of who has no properties
            end.send(frame(wire.encode(wire.Ping(b""))) * 5 + frame(b"x", True) * 5 + frame(b"y"))
            bystander.go_on()
        tick = Engine.tick_columns
        faults = iter([1, 1, 1])
        monkeypatch.setattr(Engine, "tick_columns", lambda self: tick(self) if next(faults, 0) == 0 else 1 // 0)
        bystander.go_on()
        bystander.finish()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_server_stays_in_its_process_and_streams_are_copied() -> None:
    with Server(models("frames")) as server, model("frames").stream() as stream:
        bystander = Bystander(server.endpoint)
        stream.push(frames(10))
        child = os.fork()
        after = bits(stream.push(frames(10, 1)) + stream.flush())
        if child == 0:
            status = 1
            try:
                server.stop(drain=True)
                server.close()
                with pytest.raises(OstinatoError, match="another process"):
                    server.start()
                with model("frames").stream() as alone:
                    alone.push(frames(10))
                    assert bits(alone.push(frames(10, 1)) + alone.flush()) == after
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        bystander.go_on()
        bystander.finish()
