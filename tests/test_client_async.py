"""The asyncio client against a small server that can misbehave. Every call has a timeout: nothing can hang."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from typing import Any

import numpy as np
import pytest
from client_fake_server import FakeServer

from ostinato import protocol as wire
from ostinato.errors import ConnectionLostError, CreditError, DtypeError, StreamClosedError, UnknownModelError
from ostinato_client import AsyncClient, AsyncStream, Client, Stream

LONG = 20.0


def free_endpoint() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, 60))


@pytest.mark.parametrize(("one", "other"), [(Client, AsyncClient), (Stream, AsyncStream)])
def test_the_signatures_are_the_same(one, other):
    def public(kind):
        return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}

    assert public(one).keys() == public(other).keys()
    for name, method in public(one).items():
        if inspect.isfunction(method):
            here, there = inspect.signature(method), inspect.signature(public(other)[name])
            assert list(here.parameters.values()) == list(there.parameters.values())
            awaited = here.return_annotation.replace("Stream", "AsyncStream").replace("Iterator", "AsyncIterator")
            assert there.return_annotation == awaited
            awaits = inspect.iscoroutinefunction, inspect.isasyncgenfunction
            assert any(kind(public(other)[name]) for kind in awaits)


def test_a_whole_life():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                assert len(await client.models()) == 600
                assert await client.ping() > 0
                async with await client.open("echo") as stream:
                    assert stream.direction == "unidirectional"
                    await stream.push(np.zeros(640, np.int16))
                    await stream.mark()
                    assert [result.text for result in await stream.results(LONG)] == ["640"]
                    assert await stream.results() == []
                    await stream.reset()
                    snapshot = await stream.snapshot()
                    fork = await stream.fork()
                    await fork.push("x")
                    assert [result.final for result in await fork.flush()] == [False, True]
                    resumed = await client.open("echo", snapshot=snapshot)
                    assert (await resumed.flush())[-1].utterance == 0
                    await stream.push(np.zeros(3))
                    with pytest.raises(DtypeError):
                        await stream.flush()
                with pytest.raises(StreamClosedError):
                    await stream.push("x")
                with pytest.raises(UnknownModelError):
                    await client.open("missing")
            with pytest.raises(ConnectionLostError, match="closed"):
                await client.ping()

    run(talk())


def test_two_hundred_streams_at_once():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:

                async def one(number: int) -> None:
                    async with await client.open("echo") as stream:
                        for turn in range(10):
                            await stream.push(f"{number}.{turn}")
                            await asyncio.sleep(0)
                        text = [result.text for result in await stream.flush() if result.text]
                        assert text == [f"{number}.{turn}" for turn in range(10)]

                await asyncio.gather(*(one(number) for number in range(200)))

    run(talk())


def test_credit_bounds_what_is_in_flight():
    async def talk() -> None:
        with FakeServer(credit=10_000) as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                stream = await client.open("echo")
                await stream.push(np.zeros(100_000, np.float32))
                assert (await stream.flush())[-1].processed == 100_000
                server.hold.set()
                await stream.push(np.zeros(9_000, np.float32))
                with pytest.raises(CreditError):
                    await stream.push(np.zeros(9_000, np.float32), timeout=0.2)
                server.hold.clear()
                await stream.mark()
            assert server.most_in_flight <= 10_000

    run(talk())


def test_the_loop_stays_free_while_a_call_waits():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                stream = await client.open("echo")
                server.hold.set()
                waiting = asyncio.create_task(stream.flush())
                turns = 0
                while turns < 50:
                    await asyncio.sleep(0.001)
                    turns += 1
                assert not waiting.done()
                server.hold.clear()
                assert (await waiting)[-1].final

    run(talk())


def test_a_cancelled_open_leaves_no_stream_behind():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                await client.ping()
                server.mute.set()
                opening = asyncio.create_task(client.open("echo"))
                await asyncio.sleep(0.05)
                opening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await opening
                server.mute.clear()
                await client.ping()
                closes = [request for request in server.requests if isinstance(request, wire.Close)]
                assert len(closes) == 1

    run(talk())


def test_no_server():
    async def talk() -> None:
        async with AsyncClient(free_endpoint(), timeout=LONG) as client:
            start = time.monotonic()
            with pytest.raises(ConnectionLostError, match="is it running"):
                await client.open("echo")
            with pytest.raises(ConnectionLostError):
                await client.models()
            assert time.monotonic() - start < LONG / 10

    run(talk())


def test_a_silent_server_is_noticed_and_another_takes_over():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=0.5) as client:
                stream = await client.open("echo", timeout=LONG)
                server.mute.set()
                with pytest.raises(ConnectionLostError):
                    await stream.flush(timeout=LONG)
                await stream.close()
                server.mute.clear()
                again = await client.open("echo", timeout=LONG)
                assert (await again.flush(timeout=LONG))[-1].final

    run(talk())


def test_a_server_that_dies_ends_the_wait_at_once():
    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=LONG) as client:
                stream = await client.open("echo")
                server.hold.set()
                await stream.push("x")
                killing = threading.Timer(0.1, server.stop)
                killing.start()
                start = time.monotonic()
                with pytest.raises(ConnectionLostError, match="gone"):
                    await stream.flush()
                assert time.monotonic() - start < LONG / 2
                killing.join()

    run(talk())


def test_another_loop_is_refused():
    with FakeServer() as server:
        client = AsyncClient(server.endpoint, timeout=LONG)
        run(client.ping())
        with pytest.raises(RuntimeError, match="event loop"):
            run(client.ping())
        client._links.close()


def test_a_busy_loop_does_not_blame_the_server():
    """Nor do calls whose time is over meanwhile, although they have sent nothing yet."""

    async def talk() -> None:
        with FakeServer() as server:
            async with AsyncClient(server.endpoint, timeout=0.5) as client:
                stream = await client.open("echo", timeout=LONG)
                for _ in range(2):
                    await stream.push("x")
                    await stream.mark()
                    time.sleep(1.2)
                flushing = asyncio.create_task(stream.flush())
                await asyncio.sleep(0)
                time.sleep(1.2)
                assert (await flushing)[-1].final
                server.mute.set()
                await stream.push("x")
                await asyncio.sleep(0.3)
                time.sleep(1.2)
                with pytest.raises(ConnectionLostError):
                    await stream.flush(timeout=LONG)  # now it is to blame

    run(talk())
