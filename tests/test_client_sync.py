"""The synchronous client against a small server that can misbehave. Every call has a timeout: nothing can hang."""

from __future__ import annotations

import socket
import threading
import time

import numpy as np
import pytest
from client_fake_server import INFO, FakeServer

from ostinato import protocol as wire
from ostinato.errors import (
    CapacityError,
    ConnectionLostError,
    CreditError,
    DtypeError,
    StreamClosedError,
    UnknownModelError,
)
from ostinato_client import Client

LONG = 20.0


def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def until(condition, seconds=LONG):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "in time"
        time.sleep(0.002)


def test_a_whole_life():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        assert [info.name for info in client.models()] == ["echo"] * 600
        assert client.ping() > 0
        with client.open("echo", sample_rate=16000) as stream:
            assert (stream.direction, stream.delay_ms, stream.frame_ms) == ("unidirectional", 0.0, 10.0)
            assert stream.push(np.zeros(640, np.int16)) == 1
            stream.push("one")
            stream.mark()
            assert stream.backlog == 0
            results = stream.results(LONG)
            assert [result.text for result in results] == ["640", "one"]
            assert all(result.latency_ms > 0 and not result.final for result in results)
            assert stream.results() == []
            stream.push(np.zeros(3, np.float32))
            last = stream.flush()
            assert [result.final for result in last] == [False, True]
            assert last[-1].utterance == 0
            assert stream.flush()[-1].utterance == 1
            stream.reset()
            opened = next(r for r in server.requests if isinstance(r, wire.Open))
            assert opened.options.sample_rate == 16000 and opened.model == "echo"
        with pytest.raises(StreamClosedError):
            stream.push("more")
        with pytest.raises(StreamClosedError):
            stream.results()
        stream.close()


def test_streams_of_one_connection_are_apart():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        streams = [client.open("echo") for _ in range(20)]
        for turn in range(5):
            for number, stream in enumerate(streams):
                stream.push(f"{number}.{turn}")
        for number, stream in enumerate(streams):
            text = [result.text for result in stream.flush() if result.events]
            assert text == [f"{number}.{turn}" for turn in range(5)]


def test_large_input_is_cut_and_waits_for_credit():
    with FakeServer(credit=10_000) as server, Client(server.endpoint, timeout=LONG) as client:
        with client.open("echo") as stream:
            stream.push(np.arange(100_001, dtype=np.int32).astype(np.float32))
            results = stream.flush()
            assert sum(int(result.text) for result in results if result.text) == 100_001
        pushes = [r.data for r in server.requests if isinstance(r, wire.Push)]
        assert np.array_equal(np.concatenate(pushes), np.arange(100_001, dtype=np.float32))
        assert server.most_in_flight <= 10_000


def test_long_text_is_cut():
    text = "ø𝄞" * 40_000
    with FakeServer(credit=50_000) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")
        stream.push(text)
        assert "".join(result.text for result in stream.flush()) == text


def test_without_credit_push_waits_and_says_so():
    with FakeServer(credit=1000) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")
        server.hold.set()
        stream.push(np.zeros(900, np.int16))
        with pytest.raises(CreditError, match="900 units are in flight"):
            stream.push(np.zeros(101, np.int16), timeout=0.3)
        assert stream.backlog == 900
        releasing = threading.Timer(0.1, server.hold.clear)
        releasing.start()
        stream.push(np.zeros(101, np.int16))
        assert stream.flush()[-1].processed == 1001
        releasing.join()


def test_the_number_of_inputs_is_bounded_too():
    with FakeServer(inputs=3) as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")
        server.hold.set()
        for _ in range(3):
            stream.push("")
        with pytest.raises(CreditError):
            stream.push("", timeout=0.2)
        server.hold.clear()
        stream.mark()


def test_refusals_have_their_class():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        with pytest.raises(UnknownModelError, match="ostinato models"):
            client.open("missing")
        with pytest.raises(CapacityError) as caught:
            client.open("full")
        assert caught.value.retry_ms == 500
        with pytest.raises(DtypeError, match="list"):
            client.open("echo").push([1, 2])


def test_a_refused_input_is_raised_later_and_the_stream_goes_on():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client, client.open("echo") as stream:
        stream.push("a")
        refused = stream.push(np.zeros(5))
        with pytest.raises(DtypeError) as caught:
            stream.mark()
        assert caught.value.seq == refused
        stream.push("b")
        results = stream.flush()
        assert [result.text for result in results if result.text] == ["a", "b"]
        assert stream.backlog == 0


def test_snapshot_resume_fork():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client, client.open("echo") as stream:
        stream.flush()
        snapshot = stream.snapshot()
        assert len(snapshot) == 100_008
        assert client.open("echo", snapshot=snapshot).flush()[-1].utterance == 1
        fork = stream.fork()
        assert fork.id != stream.id
        assert fork.flush()[-1].utterance == 1
        assert stream.flush()[-1].utterance == 1


def test_no_server():
    """Where the port refuses, that is said at once, whenever it is asked."""
    with Client(free_endpoint(), timeout=LONG) as client:
        for call in (client.models, client.ping, lambda: client.open("echo"), client.models):
            start = time.monotonic()
            with pytest.raises(ConnectionLostError, match="is it running"):
                call()
            assert time.monotonic() - start < LONG / 10
            time.sleep(0.1)


def test_an_address_that_is_none():
    with pytest.raises(ConnectionLostError, match="nonsense"):
        Client("nonsense")


def test_a_server_that_comes_later():
    endpoint = free_endpoint()
    with Client(endpoint, timeout=LONG) as client:
        with pytest.raises(ConnectionLostError):
            client.open("echo", timeout=0.1)
        with FakeServer(endpoint=endpoint) as server:
            with client.open("echo") as stream:
                stream.push("x")
                assert stream.flush()[-1].final
            opens = [r for r in server.requests if isinstance(r, wire.Open)]
            assert len(opens) == 1, "the open that timed out is not sent later"


def test_a_silent_server_is_noticed():
    with FakeServer() as server, Client(server.endpoint, timeout=0.5) as client:
        stream = client.open("echo", timeout=LONG)
        server.mute.set()
        with pytest.raises(ConnectionLostError):
            stream.flush(timeout=LONG)
        with pytest.raises(ConnectionLostError):
            stream.push("x")
        stream.close()
        server.mute.clear()
        assert client.open("echo", timeout=LONG).flush(timeout=LONG)[-1].final, "and the client can be used again"


def test_a_server_that_is_alive_but_slow_is_not_taken_for_dead():
    with FakeServer() as server, Client(server.endpoint, timeout=0.6) as client:
        stream = client.open("echo", timeout=LONG)
        server.hold.set()
        with pytest.raises(ConnectionLostError, match="alive"):
            stream.flush(timeout=1.5)
        server.hold.clear()
        stream.mark(timeout=LONG)


def test_a_server_that_dies_ends_the_wait_at_once():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        stream, other = client.open("echo"), client.open("echo")
        server.hold.set()
        stream.push("x")
        killing = threading.Timer(0.1, server.stop)
        killing.start()
        start = time.monotonic()
        with pytest.raises(ConnectionLostError, match="gone"):
            stream.flush()
        assert time.monotonic() - start < LONG / 2
        with pytest.raises(ConnectionLostError):
            other.push("y")
        with pytest.raises(ConnectionLostError):
            client.ping(timeout=0.2)
        killing.join()


def test_draining_and_goodbye():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")
        assert client.draining_s is None
        server.say(wire.Draining(5.0))
        until(lambda: client.draining_s == 5.0)
        server.say(wire.Goodbye())
        with pytest.raises(ConnectionLostError, match="shut down"):
            until(lambda: stream.results(0.1) is None)


def test_a_closed_client_says_so():
    with FakeServer() as server:
        client = Client(server.endpoint, timeout=LONG)
        stream = client.open("echo")
        client.close()
        client.close()
        assert any(isinstance(request, wire.Close) for request in server.requests)
        with pytest.raises(ConnectionLostError, match="client is closed"):
            client.ping()
        with pytest.raises(ConnectionLostError, match="client is closed"):
            stream.push("x")


def test_a_reply_that_cannot_be_read_fails_the_connection():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")
        server.say(wire.Results((wire.ResultEntry(stream.id, 0, 7, 0),)))
        with pytest.raises(Exception, match="missing"):
            until(lambda: stream.results(0.1) is None)


def test_many_threads():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        texts: dict[int, str] = {}

        def talk(number: int) -> None:
            with client.open("echo") as stream:
                for turn in range(20):
                    stream.push(str(turn))
                texts[number] = " ".join(result.text for result in stream.flush() if result.text)

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
        assert texts == dict.fromkeys(range(8), " ".join(map(str, range(20))))


def test_info_is_the_servers():
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        assert client.open("echo").model == INFO


def test_a_client_that_was_kept_from_running_does_not_blame_the_server():
    with FakeServer() as server, Client(server.endpoint, timeout=0.5) as client:
        stream = client.open("echo", timeout=LONG)
        stream.push("x")
        stream.mark()
        with client._changed:  # its thread needs this, as it would Python's lock
            time.sleep(1.2)
        stream.push("x")
        stream.mark()
        assert [result.text for result in stream.results(LONG)] == ["x", "x"]
