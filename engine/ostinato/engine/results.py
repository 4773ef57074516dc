"""What an engine answers, each message by one result."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ostinato.events import Event
from ostinato.kernels.columns import DECIDED, IN_MS
from ostinato.streaming import Head
from ostinato.streaming.utterance import placed

Kind = Literal[
    "push", "flush", "mark", "snapshot", "reset", "generate", "more", "end-generation", "tokens", "error", "closed"
]


@dataclass(slots=True, eq=False)
class Answer:
    """What became of a message, of an utterance that ended by itself, or of a generation. A stream's results come in
    the order of its messages.

    ``kind`` is the message's; "error" if it was refused (``payload`` is the OstinatoError; the stream goes on as if
    the message had held nothing); "closed" if the engine had to give the stream up (``payload`` likewise);
    "tokens" is what a generation gave in a tick (``payload`` is the DivergedError if it overflowed there).
    ``payload`` is otherwise a mark's token or a snapshot's bytes.

    ``sequence`` is the last message done with, ``processed`` the samples, frames or characters done with since the
    stream was opened, ``first`` the number of the first of ``events`` among all since then. ``final``: utterance
    number ``utterance``, which starts at ``utterance_ms`` of the stream's input, has ended. ``frames`` were computed
    for this result. In ms: ``waiting_ms`` from the message's arrival to its computing, ``computing_ms``, and
    ``buffered_ms``, how long the first input of an utterance was held that was answered at its end.
    """

    key: Hashable
    kind: Kind
    sequence: int
    processed: int
    first: int
    events: list[Event]
    utterance: int
    final: bool = False
    frames: int = 0
    waiting_ms: float = 0.0
    computing_ms: float = 0.0
    buffered_ms: float = 0.0
    payload: Any = None
    utterance_ms: float = 0.0


NONE: npt.NDArray[np.int64] = np.empty((0, DECIDED), np.int64)
"""No decisions."""


@dataclass(slots=True, eq=False)
class Answers:
    """Results of pushes of many streams of one model, a row of numbers for each.

    All are of kind "push", not final, and took the same ``computing_ms``; a stream is at most once among them.
    ``rows`` int64 [n] are the streams' (`Opened.row`), ``numbers`` int64 [n, ANSWERED] and ``decisions`` int64
    [any, DECIDED] are as `kernels.columns` has them; a decision is an event of ``head``.
    """

    rows: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    computing_ms: float
    by_row: Sequence[Any]
    """The keys of the engine's streams; None where one has been closed."""
    decisions: npt.NDArray[np.int64] = field(default_factory=lambda: NONE)
    head: Head | None = None

    def __iter__(self) -> Iterator[Answer]:
        in_ms, events = self.numbers.view(np.float64)[:, :IN_MS].tolist(), self._events()
        of_each = map(self.by_row.__getitem__, self.rows.tolist())
        for key, (utterance_ms, waiting_ms), (sequence, processed, first, utterance, frames, told, at) in zip(
            of_each, in_ms, self.numbers[:, IN_MS:].tolist(), strict=True
        ):
            if key is None:
                continue
            mine = placed(events[at : at + told], utterance, utterance_ms)
            yield Answer(
                key, "push", sequence, processed, first, mine, utterance, False, frames, waiting_ms,
                self.computing_ms, utterance_ms=utterance_ms,
            )  # fmt: skip

    def keys(self) -> list[Any]:
        """Of the streams that have not been closed meanwhile."""
        return [key for row in self.rows.tolist() if (key := self.by_row[row]) is not None]

    def _events(self) -> list[Event]:
        if self.head is None:
            return []
        values = self.decisions.view(np.float64)[:, -1].tolist()
        decisions = zip(self.decisions.tolist(), values, strict=True)
        return [self.head.decoder.decided(frame, index, value) for (_, frame, index, _), value in decisions]
