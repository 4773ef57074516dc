"""A client's connection at its ends: no server, a server that leaves, a fork, no descriptors left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from client_fake_server import FakeServer

from ostinato import protocol as wire
from ostinato.errors import CapacityError, ConnectionLostError
from ostinato.zeromq import Monitor, free_descriptors
from ostinato_client import AsyncClient, Client
from ostinato_client.context import CLIENT_DESCRIPTORS
from ostinato_client.core import Core
from ostinato_client.transport import Transport

LONG = 20.0


def test_no_server_behind_an_ipc_address_or_a_name_that_is_none(tmp_path: Path) -> None:
    for endpoint in (f"ipc://{tmp_path}/none", "tcp://[::1]:1"):
        start = time.monotonic()
        with Client(endpoint, timeout=LONG) as client, pytest.raises(ConnectionLostError, match="is it running"):
            client.ping()
        assert time.monotonic() - start < LONG / 10


def test_who_is_no_ostinato_server_is_told_from_one_that_has_gone() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Client(f"tcp://127.0.0.1:{listener.getsockname()[1]}", timeout=LONG) as client,
    ):
        over = threading.Event()

        def turn_away() -> None:
            while not over.is_set():
                listener.accept()[0].close()

        listening = threading.Thread(target=turn_away)
        listening.start()
        try:
            for _ in range(5):
                with pytest.raises(ConnectionLostError, match="no Ostinato server"):
                    client.ping()
        finally:
            over.set()
            socket.create_connection(listener.getsockname()).close()
            listening.join()


def test_what_was_queued_for_one_server_never_reaches_the_next() -> None:
    context = zmq.Context()
    first = context.socket(zmq.ROUTER)
    first.linger, first.rcvhwm, first.rcvbuf = 0, 1, 4096
    port = first.bind_to_random_port("tcp://127.0.0.1")
    core = Core(f"tcp://127.0.0.1:{port}")
    transport = Transport(core, context, LONG)
    openings = [core.open(wire.Open(os.urandom(16), "any", snapshot=bytes(60_000))) for _ in range(300)]
    for steps in openings:
        next(steps)
    while first.poll(0) == 0:
        transport.service()
    for _ in range(50):
        transport.service()
        time.sleep(0.002)
    first.close(0)
    second = context.socket(zmq.ROUTER)
    second.linger = 0
    end = time.monotonic() + LONG
    while True:
        try:
            second.bind(core.endpoint)
            break
        except zmq.ZMQError:
            assert time.monotonic() < end
            time.sleep(0.01)
    assert second.poll(1000) == 0, "nobody has looked at the client meanwhile: ZeroMQ connects by itself"
    transport.service()
    with pytest.raises(ConnectionLostError):
        next(openings[0])
    core.heartbeat()
    while not second.poll(0):
        transport.service()
    assert isinstance(wire.decode_request(second.recv_multipart()[1]), wire.Ping), "and it goes on with the next"
    for steps in openings:
        steps.close()
    transport.close()
    second.close(0)
    context.term()


def test_last_words_are_heard_however_late_one_listens() -> None:
    async def talk() -> None:
        for _ in range(10):
            with FakeServer() as server:
                async with AsyncClient(server.endpoint, timeout=LONG) as client:
                    streams = [await client.open("echo") for _ in range(20)]
                    await client.ping()
                    for stream in streams:
                        server.say(wire.Closed(stream.id, "drain"))
                    server.say(wire.Goodbye())
                    time.sleep(0.05)
                    server.stop(linger=1000)
                    time.sleep(0.1)
                    with pytest.raises(ConnectionLostError, match="shut down"):
                        await client.ping()
                        await client.ping()

    asyncio.run(talk())


def in_a_fork(do: Callable[[], None]) -> int:
    """The exit status of a child that does this; it may take 5 s."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(5)
            do()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_client_in_a_fork_says_so_at_once_and_another_works_there() -> None:
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        stream = client.open("echo")

        def child() -> None:
            pushing = lambda: stream.push("x")  # noqa: E731
            for call in (client.models, client.ping, lambda: client.open("echo"), pushing, stream.flush):
                with pytest.raises(ConnectionLostError, match="another process"):
                    call()
            stream.close()
            client.close()
            with Client(server.endpoint, timeout=LONG) as own, own.open("echo") as mine:
                assert mine.flush()[-1].final

        assert in_a_fork(child) == 0
        with client._changed:  # whoever holds its lock as the process forks
            assert in_a_fork(child) == 0
        stream.push("x")
        assert stream.flush()[-1].final, "and here it goes on"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_an_asyncio_client_in_a_fork_says_so_at_once() -> None:
    with FakeServer() as server:

        async def talk() -> None:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                stream = await client.open("echo")

                def child() -> None:
                    for call in (client.models, stream.flush, lambda: client.open("echo")):
                        with pytest.raises(ConnectionLostError, match="another process"):
                            call().send(None)
                    with pytest.raises(StopIteration):
                        client.close().send(None)

                assert in_a_fork(child) == 0
                assert (await stream.flush())[-1].final

        asyncio.run(talk())


def test_a_client_takes_few_descriptors() -> None:
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as first:
        first.ping()
        before = free_descriptors()
        assert before is not None
        with Client(server.endpoint, timeout=LONG) as second:
            second.ping()
            after = free_descriptors()
            assert after is not None
            assert before - after <= CLIENT_DESCRIPTORS + 1  # one is the server's


WITHOUT = """
import resource, sys, os
from ostinato.errors import CapacityError
from ostinato_client import AsyncClient, Client
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
for limit in range(3, 60):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    made = []
    try:
        while len(made) < 3:
            made.append((AsyncClient if len(made) % 2 else Client)(sys.argv[1], timeout=20))
        made[0].ping()
    except CapacityError as error:
        assert "ulimit" in str(error)
    else:
        print("well with", limit)
        made[0].close()
        os._exit(0)
    for each in made:
        each._links.close() if isinstance(each, AsyncClient) else each.close()
"""


def test_at_the_limit_of_descriptors_a_client_says_so() -> None:
    """At every limit: no raw error of ZeroMQ's, no process that it has ended."""
    with FakeServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT, server.endpoint], capture_output=True, text=True, timeout=100
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("well with")


def test_a_client_that_has_no_descriptors_to_connect_again_says_so() -> None:
    with FakeServer() as server, Client(server.endpoint, timeout=LONG) as client:
        client.ping()
        server.stop()
        with pytest.raises(ConnectionLostError):
            while True:
                client.ping()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = free_descriptors()
        assert free is not None
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - free + 1, hard))
        try:
            with pytest.raises(CapacityError, match="ulimit"):
                client.ping()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with pytest.raises(ConnectionLostError, match="is it running"):
            client.ping()


def test_a_client_of_a_silent_server_that_has_no_descriptors_says_so_and_recovers() -> None:
    """Its old socket is kept until there is room for another: a client without one would be of no use for ever."""
    with FakeServer() as server, Client(server.endpoint, timeout=0.5) as client:
        client.ping()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        free = free_descriptors()
        assert free is not None
        server.mute.set()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - free + 1, hard))
        try:
            end = time.monotonic() + LONG
            with pytest.raises(CapacityError, match="ulimit"):
                while time.monotonic() < end:
                    with contextlib.suppress(ConnectionLostError):  # silent, at first
                        client.ping()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        server.mute.clear()
        client.ping()


def test_a_monitor_never_meets_the_address_of_one_that_is_closed() -> None:
    """ZeroMQ frees an address in its own time, while Python gives a closed socket's place to the next at once."""
    with zmq.Context() as context:
        for _ in range(500):
            watched = context.socket(zmq.DEALER)
            monitor = Monitor(watched, zmq.EVENT_CONNECTED)
            monitor.close()
            watched.close(0)
            del watched, monitor
