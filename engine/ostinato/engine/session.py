"""One open stream as the engine sees it: the stream itself, what waits for it, and its counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ostinato.events import Event
from ostinato.pipeline.pieces import each_part

if TYPE_CHECKING:
    from ostinato.engine.served import Served
    from ostinato.streaming import Stream

Kind = Literal["push", "flush", "mark", "snapshot", "reset", "error", "closed"]
Rate: TypeAlias = "tuple[Served, int | None]"


@dataclass(slots=True, eq=False)
class Result:
    """What became of a message, or of an utterance that ended by itself. A stream's results come in the order of its
    messages.

    ``kind`` is the message's; "error" if it was refused (``payload`` is the OstinatoError; the stream goes on as if
    the message had held nothing); "closed" if the engine had to give the stream up (``payload`` likewise).
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


@dataclass(slots=True, eq=False)
class Answers:
    """Results of pushes that decided nothing, which is what becomes of most: a column for each field of `Result`.

    All are of kind "push", not final, and took the same ``computing_ms``; a stream is at most once among them.
    """

    keys: list[Hashable]
    sequence: list[int]
    processed: list[int]
    first: list[int]
    utterance: list[int]
    utterance_ms: list[float]
    frames: list[int]
    waiting_ms: list[float]
    computing_ms: float

    @staticmethod
    def of(sessions: list[Session], frames: list[int], waiting_ms: list[float], computing_ms: float) -> Answers:
        """Of the pushes that these sessions have just been left by; the other columns are a value for each."""
        streams = [session.stream for session in sessions]
        return Answers(
            [session.key for session in sessions],
            [session.done for session in sessions],
            [session.processed for session in sessions],
            [session.events for session in sessions],
            [stream.utterance for stream in streams],
            [stream.utterance_ms for stream in streams],
            frames,
            waiting_ms,
            computing_ms,
        )

    def __iter__(self) -> Iterator[Result]:
        columns = zip(
            self.keys, self.sequence, self.processed, self.first, self.utterance, self.utterance_ms, self.frames,
            self.waiting_ms, strict=True,
        )  # fmt: skip
        for key, sequence, processed, first, utterance, utterance_ms, frames, waiting_ms in columns:
            yield Result(
                key, "push", sequence, processed, first, [], utterance, False, frames, waiting_ms, self.computing_ms,
                utterance_ms=utterance_ms,
            )  # fmt: skip


@dataclass(slots=True, eq=False)
class Item:
    """A message that waits; ``accepted`` once the front end has turned its ``data`` into frames."""

    kind: Kind
    sequence: int
    arrived_ns: int
    data: Any = None
    units: int = 0
    error: Exception | None = None
    accepted: bool = False
    started_ns: int = 0
    computing_ns: int = 0
    frames: int = 0
    events: list[Event] = field(default_factory=list)

    def accept(self, now: int) -> None:
        """The front end has its data."""
        self.accepted, self.started_ns, self.data = True, now, None


@dataclass(slots=True, eq=False)
class Group:
    """Pushes of one message for causal streams of one model whose queues are empty: they stand in line as one.

    ``data`` is the checked input of all in pieces, ``units[i]`` of it are of sessions[i] (see `FrontEnd.step_many`),
    whose message is sequences[i]. Once it is taken, or scattered because a member has something else to do, it has
    no sessions any more.
    """

    arrived_ns: int
    sessions: list[Session] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    data: list[Any] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """About how many frames it makes."""
        return int(sum(self.units) / self.sessions[0].units_per_frame) + 1 if self.sessions else 0

    @property
    def due(self) -> bool:
        """Whether its pushes are the next messages of their streams."""
        return all(
            session.done + 1 == sequence for session, sequence in zip(self.sessions, self.sequences, strict=True)
        )

    def take(self) -> Group:
        """The group's content, as a group that stands in no line; this one is empty then."""
        taken = Group(self.arrived_ns, self.sessions, self.sequences, self.units, self.data)
        self.sessions, self.sequences, self.units, self.data = [], [], [], []
        return taken

    def scatter(self) -> None:
        """Put each push into its own stream's queue, and each stream in line."""
        group = self.take()
        parts = each_part(group.data, group.units)
        for session, sequence, part in zip(group.sessions, group.sequences, parts, strict=True):
            session.queue.append(Item("push", sequence, group.arrived_ns, part.copy(), len(part)))
            session.served.enter(session)


@dataclass(slots=True, eq=False)
class Session:
    """An open stream and its queue.

    Its messages wait in its queue, those behind them in `Group`s. It is ``lined`` while it stands in its model's
    line, which it leaves while a finished utterance of its own is computed. ``units_per_frame`` is how much input
    makes a frame, ``credit`` how many units may wait, ``reserved`` a bound in bytes of what it may come to hold,
    ``rate`` the sample rate that its audio is resampled from, at a cost that the streams of that rate share.
    ``utterance_ns`` is when its utterance's first input arrived, or 0; ``flushed`` the number and place of the
    utterance that the last flush ended. ``early_bytes`` is what `Runs` knows its utterance to take, which is computed
    while it goes on.
    """

    key: Hashable
    served: Served
    stream: Stream
    units_per_frame: float
    credit: int
    reserved: int
    rate: Rate | None = None
    queue: deque[Item] = field(default_factory=deque)
    lined: bool = False
    closed: bool = False
    expected: int = 1
    done: int = 0
    waiting: int = 0
    processed: int = 0
    events: int = 0
    utterance_ns: int = 0
    flushed: tuple[int, float] | None = None
    early_bytes: int = 0

    @property
    def waits(self) -> int:
        """Messages that wait."""
        return self.expected - 1 - self.done

    @property
    def grouped(self) -> bool:
        """Whether some of them are in groups."""
        return self.waits > len(self.queue)

    def leave(self, item: Item, *, taken: bool = True) -> None:
        """The item at the head of the queue is done with; its input was ``taken`` unless it was refused."""
        self.queue.popleft()
        self.done = item.sequence
        self.waiting -= item.units
        if taken:
            self.processed += item.units

    def state(self, kind: Kind, payload: Any = None) -> Result:
        """A result that has no events."""
        return Result(
            self.key, kind, self.done, self.processed, self.events, [], self.stream.utterance, payload=payload,
            utterance_ms=self.stream.utterance_ms,
        )  # fmt: skip

    def answer(self, item: Item, kind: Kind, utterance: int, utterance_ms: float) -> Result:
        """The result with the events of a push or flush."""
        if kind == "flush":
            self.flushed = (utterance, utterance_ms)
        first = self.events
        self.events += len(item.events)
        return Result(
            self.key, kind, self.done, self.processed, first, item.events, utterance, False, item.frames,
            (item.started_ns - item.arrived_ns) / 1e6, item.computing_ns / 1e6, utterance_ms=utterance_ms,
        )  # fmt: skip
