"""What an engine answers, each message by one result."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ostinato.events import Event

Column: TypeAlias = "list[Any] | npt.NDArray[Any]"
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


class Part(NamedTuple):
    """Pushes of one message: ``size`` of them, which are ``chosen`` of all that it had (None: all). The ``label`` is
    its sender's."""

    label: Any
    chosen: Sequence[int] | None
    size: int

    def only(self, places: Sequence[int]) -> Part:
        """Those at these places among them."""
        chosen = places if self.chosen is None else [self.chosen[i] for i in places]
        return Part(self.label, chosen, len(places))


@dataclass(slots=True, eq=False)
class Answers:
    """Results of pushes that decided nothing, which is what becomes of most: a column for each field of `Answer`.

    All are of kind "push", not final, and took the same ``computing_ms``; a stream is at most once among them.
    ``parts``: of which messages they are, one after the other, where it is known.
    """

    keys: list[Hashable]
    sequence: Column
    processed: Column
    first: Column
    utterance: Column
    utterance_ms: Column
    frames: Column
    waiting_ms: Column
    computing_ms: float
    parts: Sequence[Part] = ()

    def __iter__(self) -> Iterator[Answer]:
        numbers = self.sequence, self.processed, self.first, self.utterance
        columns = *numbers, self.utterance_ms, self.frames, self.waiting_ms
        plain = (each.tolist() if isinstance(each, np.ndarray) else each for each in columns)
        for key, sequence, processed, first, utterance, utterance_ms, frames, waiting_ms in zip(
            self.keys, *plain, strict=True
        ):
            yield Answer(
                key, "push", sequence, processed, first, [], utterance, False, frames, waiting_ms, self.computing_ms,
                utterance_ms=utterance_ms,
            )  # fmt: skip
