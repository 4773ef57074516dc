"""The open streams of a served model, the messages that wait for them, and the line in which they stand.

ServedModel.line:   session | group of pushes | session | …      first come, first computed
Session.queue:      message | message | …                        what one stream is to do, in order
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from ostinato.engine.pace import Pace
from ostinato.engine.reservations import NOTHING, Share
from ostinato.engine.results import Answer, Kind
from ostinato.events import Event
from ostinato.pipeline.pieces import each_part
from ostinato.streaming import Model, Record, Stream

Rate: TypeAlias = "tuple[ServedModel, int | None]"


def unit(model: Model) -> Literal["sample", "character", "frame"]:
    """What a model's input is counted in."""
    return model.reader.specification.front_end.counted_in


@dataclass(slots=True, eq=False)
class Message:
    """One that waits: ``units`` of ``data``, or why they are refused (``error``); ``accepted`` once the front end has
    turned them into frames. ``events`` and ``frames`` are what has come of it so far, in
    several ticks if it is long."""

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


class Pushes(Protocol):
    """Pushes of one message that stand in line as one."""

    def scatter(self) -> None:
        """Put each into its own stream's queue, and each stream in line."""


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
            session.queue.append(Message("push", sequence, group.arrived_ns, part.copy(), len(part)))
            session.served.enter(session)


@dataclass(slots=True, eq=False)
class Session:
    """An open stream, the messages that wait for it, and its numbers.

    Its messages wait in ``queue``, those behind them in `Group`s: done < those in the queue < those in groups <
    expected.
    """

    key: Hashable
    served: ServedModel
    stream: Stream
    units_per_frame: float
    """How much input makes a frame."""
    credit: int
    """Units that may wait."""
    reserved: Share
    """A bound of what it may come to hold."""
    rate: Rate | None = None
    """The sample rate that its audio is resampled from, at a cost that the streams of that rate share."""
    beam: Share = NOTHING
    """The same of its beam, while it has one."""
    queue: deque[Message] = field(default_factory=deque)
    lined: bool = False
    """Whether it stands in its model's line, which it leaves while a finished utterance of its own is computed."""
    in_work: bool = False
    """Whether one is, meanwhile nothing else of it is."""
    closed: bool = False
    expected: int = 1
    """The number that the next message must have."""
    done: int = 0
    """The number of the last message that is done with."""
    waiting: int = 0
    """Units of input in the messages that wait."""
    processed: int = 0
    """Units done with since it was opened."""
    events: int = 0
    """Events given since it was opened."""
    utterance_ns: int = 0
    """When its utterance's first input arrived, or 0."""
    flushed: tuple[int, float] | None = None
    """Number and place of the utterance that the last flush ended."""
    tokens: int = 0
    """How many it may still generate until its client asks for more."""
    row: int = -1
    """Which it is of the engine's sessions: no two have the same at a time (`Columns.add`)."""
    held: bool = False
    """Whether the engine's `Columns` hold it, and its own numbers are stale."""
    early_bytes: int = 0
    """What `Jobs` knows its utterance to take, which is computed while it goes on."""
    record: Record = field(init=False)
    """The stream's, for what many streams do together."""

    def __post_init__(self) -> None:
        self.record = self.stream.record

    @property
    def waits(self) -> int:
        """Messages that wait."""
        return self.expected - 1 - self.done

    @property
    def grouped(self) -> bool:
        """Whether some of them are in groups."""
        return self.waits > len(self.queue)

    @property
    def generates(self) -> bool:
        """Whether it has a token to give: a generation goes on, its source is there, and its client has room."""
        going = self.record.generating is not None and not self.in_work
        return going and self.tokens > 0 and not self.closed

    @property
    def goes_on(self) -> bool:
        """Whether it has something to compute although no message waits: `generates`, or tokens that a beam told are
        to be taken in."""
        if self.generates:
            return True
        left = self.record.generating is None and self.served.causal and not self.closed
        return left and not self.waits and self.record.ready > 0

    @property
    def rows(self) -> int:
        """About how many frames it computes at a time while it generates: one, or its hypotheses', each of which
        counts for more where it looks a long memory up."""
        return self.looking_up * (self.record.beam.width if self.record.beam is not None else 1)

    @property
    def looking_up(self) -> int:
        """As how many frames a token counts: more than one where all that the encoder has made is looked up."""
        record = self.record
        if record.writing is None:
            return 1
        return 1 + int(record.decoder_state.frames / record.model.looked_up_a_row)

    def leave(self, message: Message, *, taken: bool = True) -> None:
        """The message at the head of the queue is done with; its input was ``taken`` unless it was refused."""
        self.queue.popleft()
        self.done = message.sequence
        self.waiting -= message.units
        if taken:
            self.processed += message.units

    def state(self, kind: Kind, payload: Any = None) -> Answer:
        """An answer that has no events."""
        return Answer(
            self.key, kind, self.done, self.processed, self.events, [], self.record.utterance, payload=payload,
            utterance_ms=self.record.utterance_ms,
        )  # fmt: skip

    def answer(self, message: Message, kind: Kind, utterance: int, utterance_ms: float) -> Answer:
        """The answer with the events of a push or flush."""
        if kind == "flush":
            self.flushed = (utterance, utterance_ms)
        first = self.events
        self.events += len(message.events)
        return Answer(
            self.key, kind, self.done, self.processed, first, message.events, utterance, False, message.frames,
            (message.started_ns - message.arrived_ns) / 1e6, message.computing_ns / 1e6, utterance_ms=utterance_ms,
        )  # fmt: skip

    def plain(self, frames: int, waiting_ms: float, computing_ms: float) -> Answer:
        """The answer without events of the push that it has just been left by."""
        return Answer(
            self.key, "push", self.done, self.processed, self.events, [], self.record.utterance, False, frames,
            waiting_ms, computing_ms, utterance_ms=self.record.utterance_ms,
        )  # fmt: skip

    def told(self, events: list[Event], frames: int, computing_ms: float, payload: Any = None) -> Answer:
        """The answer with what a generation gave."""
        first = self.events
        self.events += len(events)
        return Answer(
            self.key, "tokens", self.done, self.processed, first, events, self.record.utterance, False, frames,
            computing_ms=computing_ms, payload=payload, utterance_ms=self.record.utterance_ms,
        )  # fmt: skip


class ServedModel:
    """A model, and the line of those of its streams that are ``causal``, or are not (or make texts of sources, so
    that input may be refused), and have something waiting: each turn takes the first ones."""

    def __init__(self, model: Model, causal: bool, share: int) -> None:
        self.model = model
        self.share = share
        """Frames that a stream gets computed in one tick."""
        self.causal = causal
        self.units_per_frame = model.units_per_ms * model.front_end.frame_ms
        """Of streams at the model's own sample rate."""
        self.line: deque[Session | Pushes] = deque()
        self.pace = Pace()

    def enter(self, session: Session) -> None:
        """Put a session that has something waiting at the end of the line, unless it stands there."""
        if not session.lined:
            session.lined = True
            self.line.append(session)

    def scatter(self) -> None:
        """Put what waits in groups into the queues of its streams, in order."""
        for each in list(self.line):
            if not isinstance(each, Session):
                each.scatter()
