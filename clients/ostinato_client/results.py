"""What a client's stream yields, with the times that only the client knows."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.events import Event


@dataclass(frozen=True, slots=True)
class Result:
    """What a stream has answered: one for each input, so most of them have no events and no text.

    ``events``: what was recognised, each with its time. ``text``: their symbols, labels or class, joined as the model
    says (`HeadInfo.separator`), "" if there are none. ``final``: utterance ``utterance`` (from 0) ended with this
    result. ``seq``: the last input that is done with. ``processed``: units (samples, characters, frames) done with
    since the stream was opened. ``frames``: model frames computed for it. The server's times in ms: ``waiting_ms``
    before computing, ``computing_ms``, ``buffered_ms``: how long the oldest frame was held for later ones. The
    client's own, in seconds of `time.monotonic`: ``sent`` (input ``seq``; 0.0 if none) and ``received``.
    """

    seq: int
    events: tuple[Event, ...]
    text: str
    utterance: int
    final: bool
    processed: int
    frames: int
    waiting_ms: float
    computing_ms: float
    buffered_ms: float
    sent: float
    received: float

    @property
    def audio(self) -> npt.NDArray[np.float32]:
        """The samples of its ``audio`` events, one after the other, float32 [n]; their rate is the head's
        (`HeadInfo.sample_rate`)."""
        parts = [event.values for event in self.events if event.kind == "audio" and event.values is not None]
        return np.concatenate(parts) if parts else np.empty(0, np.float32)

    @property
    def latency_ms(self) -> float:
        """From sending its last input to receiving it (0.0 if there was no input yet)."""
        return (self.received - self.sent) * 1000 if self.sent else 0.0


class ChunkClock:
    """When what was sent: the last few thousand inputs of a stream."""

    def __init__(self, most: int = 8192) -> None:
        self._seqs: deque[int] = deque(maxlen=most)
        self._ends: deque[int] = deque(maxlen=most)
        self._times: deque[float] = deque(maxlen=most)
        self._forgotten = 0

    def note(self, seq: int, end: int, when: float) -> None:
        """Input ``seq``, which ends at unit ``end`` of the stream, was sent at ``when``."""
        if len(self._seqs) == self._seqs.maxlen:
            self._forgotten = self._ends[0]
        self._seqs.append(seq)
        self._ends.append(end)
        self._times.append(when)

    def sent_at(self, seq: int) -> float | None:
        """When input ``seq`` was sent (`time.monotonic`); None if too long ago or not yet."""
        if not self._seqs or not self._seqs[0] <= seq <= self._seqs[-1]:
            return None
        return self._times[seq - self._seqs[0]]

    def unit_sent_at(self, unit: int) -> float | None:
        """When the ``unit``-th unit (from 1) of the stream was sent; None if too long ago or not yet."""
        place = bisect_left(self._ends, unit)
        return self._times[place] if unit > self._forgotten and place < len(self._ends) else None
