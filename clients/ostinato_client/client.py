"""The synchronous client: a thread owns the socket, calls wait for it, each with a timeout.

with Client("tcp://127.0.0.1:7077") as client:
    with client.open("digits-uni", sample_rate=16000) as stream:
        for chunk in chunks:
            stream.push(chunk)
            for result in stream.results(): ...
        last = stream.flush()
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import zmq

from ostinato import protocol as wire
from ostinato.errors import CapacityError, ConnectionLostError, OstinatoError
from ostinato.events import Event
from ostinato.options import Options, phrases
from ostinato.sampling import Sampling
from ostinato_client.context import Home
from ostinato_client.driving import CLOSING_S, DEFAULT_ENDPOINT, Deadline, StreamView, late, request
from ostinato_client.links import Links
from ostinato_client.results import Result
from ostinato_client.stream_core import Steps, StreamCore
from ostinato_client.transport import POLL_S

T = TypeVar("T")


class Client:
    """A connection to a server, with any number of streams. Its methods may be called from any thread.

    ``timeout`` (s) holds for every call that names none, and is how long a silent server is waited for. It connects
    in the background: the first call says, at once, if there is no server. Use it in a ``with``, or call `close`. It
    belongs to the process that made it; a forked one needs its own. Raises CapacityError where file descriptors are
    too few.
    """

    def __init__(self, endpoint: str = DEFAULT_ENDPOINT, timeout: float = 5.0) -> None:
        self.timeout = timeout
        self._home = Home("client")
        self._links = Links(endpoint, silence_s=timeout)
        self._changed = threading.Condition()
        try:
            self._bell, self._ear = socket.socketpair()
        except OSError as error:  # others may have taken descriptors since they were counted
            self._links.close()
            raise CapacityError(f"a client needs more file descriptors (ulimit -n): {error.strerror}") from error
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="ostinato-client", daemon=True)
        self._thread.start()

    def models(self, *, timeout: float | None = None) -> list[wire.ModelInfo]:
        """The models that the server has."""
        return self._run(self._links.first.models(), timeout, "list its models")

    def ping(self, *, timeout: float | None = None) -> float:
        """Seconds of a round trip to the server's loop."""
        start = time.monotonic()
        self._run(self._links.first.ping(), timeout, "answer a ping")
        return time.monotonic() - start

    def open(
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
    ) -> Stream:
        """Open a stream of a model, or resume one from a snapshot.

        ``head``: which of the model's heads, by name (default: its first; `models` lists them). ``decoder``: another
        than the head's ("outputs": raw outputs). ``sample_rate`` (Hz) of the audio that will come (default: the
        model's own), its ``dtype`` to have it checked now. ``end_of_speech_ms``: the server ends the utterance after
        so much silence (audio may begin with speech, but only what is quieter, within 3 s, shows that it was speech),
        ``trailing_blanks_ms`` (CTC heads that answer while input comes): an ``end-of-speech`` event where nothing but
        the blank was heard for so long since the last symbol; the utterance goes on until it is flushed.
        ``max_utterance_s`` bounds it. ``block_ms`` and ``lookahead_ms`` (bidirectional models) ask for bounded wait:
        answers in blocks of that length, each once so much right context is there. ``wait_k`` (models that make a
        text of a source) begins the text once so many frames of the source are there: then there is a token, drawn by
        the ``sampling``, with each further one, among the results of what is pushed. ``hotwords`` (heads that are
        decoded by 'ctc-beam'): words and phrases to expect; a text that says one counts e^``hotword_boost`` times as
        likely (default: the head's).

        Raises UnknownModelError, UnknownHeadError, …: what the server refuses.
        """
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
        return Stream(self, self._run(self._links.open(opening), timeout, f"open a stream of {model!r}"))

    @property
    def draining_s(self) -> float | None:
        """Seconds that the server gave open streams when it announced its end; None if it has not."""
        return self._links.draining_s

    def close(self) -> None:
        """Close all streams and the connection. May be called again; in a forked process it does nothing."""
        if self._home.left:
            return
        if not self._closed:
            with contextlib.suppress(OstinatoError):
                self._run(self._links.close_all(), min(CLOSING_S, self.timeout), "close its streams")
            self._closed = True
            self._wake()
        if self._thread is not threading.current_thread():
            self._thread.join()
        self._bell.close()
        self._ear.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- waiting --------------------------------------------------------------------------------------------------

    def _run(self, steps: Steps[T], timeout: float | None, what: str) -> T:
        """Drive an operation to its end, or to its timeout."""
        seconds = self.timeout if timeout is None else timeout
        deadline = Deadline(seconds)
        self._home.check()  # in a fork there is no thread, and who knows who holds the lock
        with self._changed, contextlib.closing(steps):
            if self._closed:
                raise ConnectionLostError("the client is closed: make another")
            try:
                waits_for = next(steps)
                while True:
                    self._wake_to_send()
                    if (rest := deadline.rest()) <= 0:
                        error = late(waits_for, seconds, what, self._links.alive(waits_for))
                        waits_for = steps.throw(error)
                    self._changed.wait(rest)
                    waits_for = next(steps)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                self._wake_to_send()

    def _wake_to_send(self) -> None:
        if self._links.pending:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._bell.send(b"\0")

    def _serve(self) -> None:
        """The thread: owns the socket."""
        why = "the client is closed"
        try:
            while not self._closed:
                with self._changed:
                    again = self._links.service()
                    if self._links.take_touched():
                        self._changed.notify_all()
                    sockets = self._links.sockets
                if not again:
                    zmq.zmq_poll([*sockets, (self._ear.fileno(), zmq.POLLIN)], int(POLL_S * 1000))
                    with contextlib.suppress(BlockingIOError):
                        self._ear.recv(4096)
        except BaseException as error:
            why = f"the client's thread has ended: {error!r}"
            raise
        finally:
            with self._changed:
                self._closed = True
                self._links.fail(ConnectionLostError(why))
                self._links.close()
                self._changed.notify_all()


class Stream(StreamView):
    """A stream. Use it in a ``with``, or call `close`.

    Every call also raises what the server has refused since the call before (its ``seq`` says which input), and, once
    the stream is no more, why.
    """

    def __init__(self, client: Client, core: StreamCore) -> None:
        super().__init__(core)
        self._client = client

    def push(self, data: wire.Array | str, *, timeout: float | None = None) -> int:
        """Send input: audio int16 or float32 [samples], frames float32 [n, size] or one [size], or text. Returns its
        last number.

        Waits for credit, and drops nothing; CreditError if the server gives none in time (what was sent stays sent).
        DivergedError once the stream's outputs have overflowed: its utterance is lost, `reset` begins the next.
        """
        return self._client._run(self._core.push(data), timeout, "take input")

    def results(self, wait: float = 0.0) -> list[Result]:
        """The results that have come and were not read yet; waits up to ``wait`` seconds for one. Maybe none."""
        return self._client._run(self._core.results(), wait, "send results")

    def flush(self, *, timeout: float | None = None) -> list[Result]:
        """End the utterance; the results not read yet, the last of them final."""
        return self._client._run(self._core.flush(), timeout, "finish the utterance")

    def generate(
        self, sampling: Sampling | None = None, longest: int | None = None, *, timeout: float | None = None
    ) -> Iterator[Event]:
        """Let a language model go on with the text: ``token`` events as they come, then an ``end-of-generation``.

        The text begins behind what was pushed, or with the head's start token; ``longest`` is how many tokens there
        may be (default: the head's). Who breaks off pauses it, once the server is some 64 tokens ahead; called again
        without settings, or for a stream from a snapshot, it goes on. Nothing can be pushed until it ends, or
        `end_generation`. Results that were not read before are passed over. ``timeout`` holds for each token.

        Raises InputError for a stream that cannot generate, StreamError for settings while it does; DivergedError
        while iterating."""
        self._client._run(self._core.generate(sampling, longest), timeout, "generate")
        return self._tokens(timeout)

    def _tokens(self, timeout: float | None) -> Iterator[Event]:
        while events := self._client._run(self._core.tokens(), timeout, "generate"):
            yield from events

    def end_generation(self, *, timeout: float | None = None) -> list[Event]:
        """End the generation in progress, if there is one. Returns the tokens that came and were not read: the stream
        goes on behind them."""
        return self._client._run(self._core.end_generation(), timeout, "end the generation")

    def mark(self, *, timeout: float | None = None) -> None:
        """Wait until everything sent so far has been processed."""
        self._client._run(self._core.mark(), timeout, "process the input")

    def snapshot(self, *, timeout: float | None = None) -> bytes:
        """The state after everything sent so far, to `Client.open` with, on any server with the same model."""
        return self._client._run(self._core.snapshot(), timeout, "take a snapshot")

    def fork(self, *, timeout: float | None = None) -> Stream:
        """Another stream that goes on from this one's state."""
        opening = self._core.forked(self.snapshot(timeout=timeout))
        return Stream(self._client, self._client._run(self._client._links.open(opening), timeout, "fork the stream"))

    def reset(self, *, timeout: float | None = None) -> None:
        """Drop the utterance; the state is as just opened."""
        self._client._run(self._core.reset(), timeout, "reset the stream")

    def close(self, *, timeout: float | None = None) -> None:
        """Close it; what waits is dropped. May be called again, and does not mind a server that is gone."""
        with contextlib.suppress(ConnectionLostError):
            self._client._run(self._client._links.close_stream(self._core), timeout, "close the stream")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
