"""The asyncio client: the event loop watches the socket's descriptors. The same calls as `Client`, awaited.

    async with AsyncClient("tcp://127.0.0.1:7077") as client:
        async with await client.open("digits-uni", sample_rate=16000) as stream:
            await stream.push(chunk)
            results = await stream.results(wait=1.0)

ZeroMQ's descriptors are edge-triggered and a send may swallow the edge of a message that came meanwhile, which is how
zmq.asyncio misses wake-ups (pyzmq#1203). So `Links.service` runs until there is nothing left to do, after sending
too, and a timer runs it besides.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

from ostinato import protocol as wire
from ostinato.errors import ConnectionLostError, OstinatoError
from ostinato.events import Event
from ostinato.options import Options, phrases
from ostinato.sampling import Sampling
from ostinato_client.context import Home
from ostinato_client.driving import CLOSING_S, DEFAULT_ENDPOINT, Deadline, StreamView, late, request
from ostinato_client.links import Links
from ostinato_client.results import Result
from ostinato_client.stream_core import Call, Steps, StreamCore
from ostinato_client.transport import POLL_S

T = TypeVar("T")


class AsyncClient:
    """A connection to a server, with any number of streams, for one event loop. See `Client`."""

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, timeout: float = 5.0) -> None:
        self.timeout = timeout
        self._home = Home("client")
        self._links = Links(endpoint, silence_s=timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watched: tuple[int, list[int]] = (0, [])
        self._timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._waiters: dict[Call, set[asyncio.Future[None]]] = {}
        self._closed = False

    async def models(self, *, timeout: float | None = None) -> list[wire.ModelInfo]:
        """The models that the server has."""
        return await self._run(self._links.first.models(), timeout, "list its models")

    async def ping(self, *, timeout: float | None = None) -> float:
        """Seconds of a round trip to the server's loop."""
        start = time.monotonic()
        await self._run(self._links.first.ping(), timeout, "answer a ping")
        return time.monotonic() - start

    async def open(
        self,
        model: str,
        *,
        head: str | None = None,
        decoder: str | None = None,
        sample_rate: int | None = None,
        dtype: str | None = None,
        end_of_speech_ms: float | None = None,
        trailing_blanks_ms: float | None = None,
        max_utterance_s: float | None = None,
        block_ms: float | None = None,
        lookahead_ms: float | None = None,
        wait_k: int | None = None,
        sampling: Sampling | None = None,
        hotwords: Iterable[str] | None = None,
        hotword_boost: float | None = None,
        snapshot: bytes | None = None,
        timeout: float | None = None,
    ) -> AsyncStream:
        """Open a stream of a model, or resume one from a snapshot. See `Client.open`."""
        options = Options(
            head=head,
            decoder=decoder,
            sample_rate=sample_rate,
            dtype=dtype,
            end_of_speech_ms=end_of_speech_ms,
            trailing_blanks_ms=trailing_blanks_ms,
            max_utterance_s=max_utterance_s,
            block_ms=block_ms,
            lookahead_ms=lookahead_ms,
            wait_k=wait_k,
            sampling=sampling,
            hotwords=phrases(hotwords),
            hotword_boost=hotword_boost,
        )
        opening = request(model, options, snapshot)
        return AsyncStream(self, await self._run(self._links.open(opening), timeout, f"open a stream of {model!r}"))

    @property
    def draining_s(self) -> float | None:
        """Seconds that the server gave open streams when it announced its end; None if it has not."""
        return self._links.draining_s

    async def close(self) -> None:
        """Close all streams and the connection. May be called again; in a forked process it does nothing."""
        if self._closed or self._home.left:
            return
        with contextlib.suppress(OstinatoError):
            await self._run(self._links.close_all(), min(CLOSING_S, self.timeout), "close its streams")
        self._closed = True
        self._links.fail(ConnectionLostError("the client is closed"))
        self._wake()
        for handle in (self._timer, self._soon):
            if handle is not None:
                handle.cancel()
        self._watch([])
        self._links.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- waiting --------------------------------------------------------------------------------------------------

    async def _run(self, steps: Steps[T], timeout: float | None, what: str) -> T:
        """Drive an operation to its end, or to its timeout."""
        seconds = self.timeout if timeout is None else timeout
        deadline = Deadline(seconds)
        self._home.check()
        with contextlib.closing(steps):
            if self._closed:
                raise ConnectionLostError("the client is closed: make another")
            self._start()
            try:
                waits_for = next(steps)
                while True:
                    self._service_soon()
                    if (rest := deadline.rest()) <= 0:
                        error = late(waits_for, seconds, what, self._links.alive(waits_for))
                        waits_for = steps.throw(error)
                    await self._changed(waits_for, rest)
                    waits_for = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                self._service_soon()

    async def _changed(self, call: Call, seconds: float) -> None:
        assert self._loop is not None
        waiter = self._loop.create_future()
        waiters = self._waiters.setdefault(call, set())
        waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=seconds)
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(call, None)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            self._tick()
        elif self._loop is not loop:
            raise RuntimeError("an AsyncClient belongs to the event loop that it was first used in: make another")

    def _tick(self) -> None:
        """The timer: heartbeats, and a second look in case an edge was missed."""
        if self._loop is not None and not self._closed:
            self._timer = self._loop.call_later(POLL_S, self._tick)
            self._service()

    def _service_soon(self) -> None:
        if self._links.pending and self._soon is None and self._loop is not None and not self._closed:
            self._soon = self._loop.call_soon(self._service)

    def _service(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self._closed:
            return
        again = self._links.service()
        if self._watched[0] != self._links.generation:
            self._watch(self._links.descriptors)
        self._wake()
        if again and self._loop is not None:
            self._soon = self._loop.call_soon(self._service)

    def _watch(self, descriptors: list[int]) -> None:
        if self._loop is not None:
            for descriptor in self._watched[1]:
                self._loop.remove_reader(descriptor)
            for descriptor in descriptors:
                self._loop.add_reader(descriptor, self._service)
        self._watched = (self._links.generation, descriptors)

    def _wake(self) -> None:
        for call in self._links.take_touched():
            for waiter in self._waiters.get(call, ()):
                if not waiter.done():
                    waiter.set_result(None)


class AsyncStream(StreamView):
    """A stream. See `Stream`: the same calls, awaited."""

    def __init__(self, client: AsyncClient, core: StreamCore) -> None:
        super().__init__(core)
        self._client = client

    async def push(self, data: wire.Array | str, *, timeout: float | None = None) -> int:
        """Send input. See `Stream.push`."""
        return await self._client._run(self._core.push(data), timeout, "take input")

    async def results(self, wait: float = 0.0) -> list[Result]:
        """The results that have come and were not read yet; waits up to ``wait`` seconds for one. Maybe none."""
        return await self._client._run(self._core.results(), wait, "send results")

    async def flush(self, *, timeout: float | None = None) -> list[Result]:
        """End the utterance; the results not read yet, the last of them final."""
        return await self._client._run(self._core.flush(), timeout, "finish the utterance")

    async def generate(
        self, sampling: Sampling | None = None, longest: int | None = None, *, timeout: float | None = None
    ) -> AsyncIterator[Event]:
        """Let a language model go on with the text: ``async for event in stream.generate()``. See
        `Stream.generate`; it begins with the first step."""
        await self._client._run(self._core.generate(sampling, longest), timeout, "generate")
        while events := await self._client._run(self._core.tokens(), timeout, "generate"):
            for event in events:
                yield event

    async def end_generation(self, *, timeout: float | None = None) -> list[Event]:
        """End the generation in progress. See `Stream.end_generation`."""
        return await self._client._run(self._core.end_generation(), timeout, "end the generation")

    async def mark(self, *, timeout: float | None = None) -> None:
        """Wait until everything sent so far has been processed."""
        await self._client._run(self._core.mark(), timeout, "process the input")

    async def snapshot(self, *, timeout: float | None = None) -> bytes:
        """The state after everything sent so far. See `Stream.snapshot`."""
        return await self._client._run(self._core.snapshot(), timeout, "take a snapshot")

    async def fork(self, *, timeout: float | None = None) -> AsyncStream:
        """Another stream that goes on from this one's state."""
        opening = self._core.forked(await self.snapshot(timeout=timeout))
        return AsyncStream(
            self._client, await self._client._run(self._client._links.open(opening), timeout, "fork the stream")
        )

    async def reset(self, *, timeout: float | None = None) -> None:
        """Drop the utterance; the state is as just opened."""
        await self._client._run(self._core.reset(), timeout, "reset the stream")

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it; what waits is dropped. See `Stream.close`."""
        with contextlib.suppress(ConnectionLostError):
            await self._client._run(self._client._links.close_stream(self._core), timeout, "close the stream")

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
