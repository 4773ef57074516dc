"""What `Client` and `AsyncClient` have in common besides the core."""

from __future__ import annotations

import os
import time

from ostinato import protocol as wire
from ostinato.errors import ConnectionLostError, CreditError, OstinatoError
from ostinato.options import Options
from ostinato_client.results import ChunkClock
from ostinato_client.stream_core import MAX_UNREAD, Call, StreamCore

DEFAULT_ENDPOINT = "tcp://127.0.0.1:7077"
CLOSING_S = 1.0
"""How long closing a client waits for the server to know."""


LATE_S = 0.1
"""Who wakes so much after a call's time is over was kept from running."""
GRACE_S = 0.5
"""What such a call gets then: enough for what has come to be read, and for a round trip."""


class Deadline:
    """When the time of a call of ``seconds`` is over.

    While its event loop is blocked, or its process stopped, a client reads nothing, so that the server is not to
    blame: a call that finds its time long over gets a little more."""

    def __init__(self, seconds: float) -> None:
        self._grace = min(seconds, GRACE_S)
        self._end = time.monotonic() + seconds

    def rest(self) -> float:
        """Seconds that are left; not above 0 if none."""
        now = time.monotonic()
        if now - self._end > LATE_S:
            self._end = now + self._grace
        return self._end - now


class StreamView:
    """What is known of a stream without asking the server."""

    def __init__(self, core: StreamCore) -> None:
        self._core = core

    @property
    def id(self) -> bytes:
        """Its 16 random bytes."""
        return self._core.id

    @property
    def model(self) -> wire.ModelInfo:
        """Its model, as the server describes it."""
        return self._core.info.model

    @property
    def head(self) -> wire.HeadInfo:
        """The model's head that all its events come from; delay and decoder are the stream's."""
        return self._core.info.head

    @property
    def direction(self) -> wire.Direction:
        """Whether its model needs later frames too."""
        return self.model.direction

    @property
    def delay_ms(self) -> float | None:
        """How much of the future an output needs at most; None: the whole utterance."""
        return self.head.delay_ms

    @property
    def frame_ms(self) -> float:
        """From one model frame to the next."""
        return self.model.frame_ms

    @property
    def credit(self) -> int:
        """Units that may be in flight."""
        return self._core.info.credit

    @property
    def backlog(self) -> int:
        """Units (samples, characters, frames) sent and not yet processed."""
        return self._core.backlog

    @property
    def unread(self) -> int:
        """Results that have come and were not read yet."""
        return self._core.unread

    @property
    def clock(self) -> ChunkClock:
        """When what was sent."""
        return self._core.clock


def request(model: str, options: Options, snapshot: bytes | None) -> wire.Open:
    """An OPEN for a new stream id."""
    return wire.Open(os.urandom(wire.STREAM_ID_BYTES), model, options, snapshot)


def late(call: Call, seconds: float, what: str, alive: bool) -> OstinatoError:
    """The error for a call whose time is over; its server is ``alive``, or has not been heard."""
    endpoint = call.endpoint
    if isinstance(call, StreamCore) and call.opened is not None and what == "take input":
        if call.unread >= MAX_UNREAD:
            return CreditError(f"{call.unread} results are unread: read results() between pushes")
        if alive:
            return CreditError(
                f"no credit in {seconds:g} s: {call.backlog} units are in flight and the server, which is "
                "alive, does not keep up. Send more slowly, or allow more time"
            )
    if alive:
        return ConnectionLostError(
            f"the server at {endpoint} is alive, but did not {what} in {seconds:g} s: allow more time with timeout="
        )
    return ConnectionLostError(
        f"no server answers at {endpoint}: it did not {what} in {seconds:g} s; is it running, at that address?"
    )
