"""The engine: many streams of several models, advanced together in ticks. It has no sockets, threads or locks."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.engine.columns import Columns, checked
from ostinato.engine.limits import Limits, Usage
from ostinato.engine.reservations import Reservations, Share
from ostinato.engine.results import Answer, Answers, Kind
from ostinato.engine.session import Group, Message, Rate, ServedModel, Session
from ostinato.engine.ticks import Ticks
from ostinato.errors import (
    CapacityError,
    CreditError,
    InputError,
    SequenceError,
    ShapeError,
    SnapshotError,
    StreamInUseError,
    UnknownModelError,
    UnknownStreamError,
    did_you_mean,
)
from ostinato.kernels.memory import Memory
from ostinato.options import DEFAULT, MAX_SOURCE, Options
from ostinato.pipeline.resample import TABLE_BYTES
from ostinato.pipeline.state import held_bytes
from ostinato.sampling import Sampling
from ostinato.streaming import Delay, Head, Model, Stream
from ostinato.streaming.keeping import most_frames
from ostinato.streaming.speech import frames_before_speech

MIN_CREDIT = 16
"""Units that may wait however long each of them lasts."""
MESSAGE_BYTES = 512
"""What a waiting message takes besides its data, about."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What `Engine.open` grants: ``credit`` units (samples, frames, characters) and ``inputs`` messages may wait."""

    head: Head
    options: Options
    delay: Delay
    credit: int
    inputs: int
    row: int
    """Which it is of the engine's streams, from 0 up to `Limits.max_streams`, until it is closed."""


class Engine:
    """Takes the messages of streams in, and computes them in ticks.

    A stream's messages are numbered 1, 2, 3, … and done in that order. Each is answered by one `Answer` of a later
    `tick`; only for those that are not taken does the method raise: SequenceError (one before it is missing),
    CreditError (too much waits). A message whose number came before is dropped, and the method returns a result to
    acknowledge it again; that of a flush which is done with is final, as the last one was.

    ``closed`` is told the key of each stream that is closed, whoever closes it, before another can get its row.

    Not for several threads: whoever calls it owns it.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        limits: Limits | None = None,
        closed: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self.limits = limits or Limits()
        self._closed = closed
        self._models = dict(models)
        self._served = {
            (name, causal): ServedModel(model, causal, self.limits.share_of(model.front_end.frame_ms))
            for name, model in models.items()
            for causal in (True, False)
        }
        self._sessions: dict[Hashable, Session] = {}
        self._reservations = Reservations(self.limits)
        self._columns = Columns(self._served.values(), self.limits)
        self._ticks = Ticks(self.limits, self._served.values(), self._remove, self._reservations, self._columns)
        self._rates: Counter[Rate | None] = Counter()  # streams by the resampler that they share

    @property
    def models(self) -> dict[str, Model]:
        """The models served, by name."""
        return dict(self._models)

    @property
    def streams(self) -> int:
        """Open streams."""
        return len(self._sessions)

    @property
    def busy(self) -> bool:
        """Whether a `tick` has something to compute."""
        return self._ticks.busy

    @property
    def usage(self) -> Usage:
        """What it holds just now."""
        jobs = self._ticks.jobs
        return Usage(self._reservations.nbytes, jobs.early_bytes, jobs.run_bytes, jobs.running)

    # --- streams ----------------------------------------------------------------------------------------------------

    def open(
        self,
        key: Hashable,
        model_name: str,
        options: Options = DEFAULT,
        *,
        snapshot: bytes | None = None,
    ) -> Opened:
        """Open a stream under ``key``. A ``snapshot`` brings its own options; those given must not contradict them.

        Raises UnknownModelError, StreamInUseError, CapacityError, SnapshotError; InputError for unfit options.
        """
        if key in self._sessions:
            raise StreamInUseError("a stream of that id is open already: choose another id, or close it first")
        model = self._models.get(model_name)
        if model is None:
            names = ", ".join(sorted(self._models)) or "none"
            raise UnknownModelError(
                f"there is no model {model_name!r} here: those served are {names}"
                f"{did_you_mean(model_name, self._models)}"
            )
        if self._reservations.states >= self.limits.max_streams:
            raise CapacityError(f"all {self.limits.max_streams} streams are in use: close some, or try again later")
        stream = self._stream(model, options, snapshot)
        try:
            at_once = stream.record.causal and stream.record.writing is None
            session = self._session(key, self._served[model_name, at_once], stream)
        except BaseException:
            stream.close()
            raise
        self._sessions[key] = session
        self._columns.add(session)
        return Opened(stream.head, stream.options, stream.delay, session.credit, self.limits.inputs, session.row)

    def _stream(self, model: Model, options: Options, snapshot: bytes | None) -> Stream:
        """A stream whose utterances are within this server's bound."""
        longest = self.limits.max_utterance_s
        if options.max_utterance_s is not None and options.max_utterance_s > longest:
            raise InputError(
                f"max_utterance_s = {options.max_utterance_s:g} is over this server's bound of {longest:g}"
            )
        if snapshot is None:
            if options.max_utterance_s is None:
                options = dataclasses.replace(options, max_utterance_s=longest)
            return model.open(options)
        stream = model.restore(snapshot, options)
        if stream.options.utterance_s > longest:
            stream.close()
            raise SnapshotError(
                f"the snapshot's utterances of up to {stream.options.utterance_s:g} s are over the server bound of "
                f"{longest:g} s"
            )
        return stream

    def _session(self, key: Hashable, served: ServedModel, stream: Stream) -> Session:
        front_end, record, options = served.model.front_end, stream.record, stream.options
        units_per_ms = options.sample_rate / 1000 if options.sample_rate else served.model.units_per_ms
        units_per_frame = units_per_ms * front_end.frame_ms
        credit = max(MIN_CREDIT, int(self.limits.credit_ms * units_per_ms))
        frame_bytes = 4 * front_end.frame_size
        # What waits is input or, of a long message, frames: where windows overlap, these hold much more than samples.
        unit_bytes = max(4, math.ceil(frame_bytes / units_per_frame))
        as_input, as_frames = credit * unit_bytes, math.ceil(credit / units_per_frame) * frame_bytes
        reserved = max(as_input, as_frames) + self.limits.inputs * MESSAGE_BYTES + served.model.state_bytes
        reserved += held_bytes(front_end.start()) + record.head.state_bytes
        kept = served.model.most_at_end  # frames that are not computed yet, besides those that its credit makes
        if record.wait:
            if (block_ms := record.wait.frames * front_end.frame_ms) > self.limits.max_block_ms:
                raise InputError(
                    f"block_ms and lookahead_ms come to {block_ms:g} ms, over this server's bound of "
                    f"{self.limits.max_block_ms:g}"
                )
            early = 0 if options.end_of_speech_ms is None else frames_before_speech(front_end.frame_ms)
            kept += record.wait.frames + early
        elif record.whole:
            longest_s = min(
                options.utterance_s, MAX_SOURCE * front_end.frame_ms / 1000 if record.writing else math.inf
            )
            kept += int(longest_s * 1000 / front_end.frame_ms)
        reserved += kept * frame_bytes
        if record.writing is not None:
            longest = most_frames(record.longest_source, units_per_frame) + served.model.most_at_end
            reserved += Memory.bytes_for(longest, record.sink.decoder.pitch)
        if record.held > (most := kept + most_frames(credit, units_per_frame)):
            raise SnapshotError(
                f"the snapshot holds {record.held} frames that are not computed, over this server's bound of {most} "
                "for such a stream: take it once less waits"
            )
        rate = (served, options.sample_rate) if units_per_ms != served.model.units_per_ms else None
        table = TABLE_BYTES if rate is not None and not self._rates[rate] else 0
        own, beam = Share(1, reserved), Share.of_beam(record, record.generating)
        all_of_it = Share(own.states + beam.states, own.nbytes + beam.nbytes + table)
        cure = "end its beam before the snapshot is taken" if beam.states else "ask for a smaller max_utterance_s"
        self._reservations.take(all_of_it, "the stream", cure)
        self._rates[rate] += 1
        return Session(key, served, stream, units_per_frame, credit, own, rate, beam)

    def close(self, key: Hashable) -> None:
        """Close the stream at once; what waits is dropped. Raises UnknownStreamError."""
        self._remove(self._find(key))

    def expected(self, key: Hashable) -> int | None:
        """The number that the stream's next message must have; None if there is no such stream."""
        session = self._sessions.get(key)
        if session is None:
            return None
        self._columns.leave(session)
        return session.expected

    def _find(self, key: Hashable) -> Session:
        session = self._sessions.get(key)
        if session is None:
            raise UnknownStreamError("no stream of that id is open on this connection: open it (again)")
        self._columns.leave(session)
        if session.grouped:
            session.served.scatter()
        return session

    def _remove(self, session: Session) -> None:
        self._columns.leave(session)
        if session.grouped:
            session.served.scatter()
        self._closed(session.key)
        self._columns.remove(session)
        del self._sessions[session.key]
        self._reservations.give(session.reserved)
        self._reservations.give(session.beam)
        self._rates[session.rate] -= 1
        if not self._rates[session.rate]:
            del self._rates[session.rate]
            self._reservations.give(Share(0, TABLE_BYTES if session.rate is not None else 0))
        session.closed = True
        session.queue.clear()
        session.stream.close()
        self._ticks.forget(session)

    # --- messages ---------------------------------------------------------------------------------------------------

    def push(
        self, key: Hashable, sequence: int, data: Any, arrived_ns: int | None = None, units: int | None = None
    ) -> Answer | None:
        """Input: an array or a text, as the model's front end takes it, of so many ``units`` if the sender counts
        them. What it refuses is answered in a tick."""
        session = self._find(key)
        if sequence != session.expected:
            return self._out_of_turn(session, sequence)
        try:
            data = session.record.check(data)
            if units not in (None, len(data)):
                raise ShapeError(f"{units} samples came for a stream of frames: say the size of a frame")
        except InputError as error:
            self._enqueue(session, Message("error", sequence, arrived_ns or time.monotonic_ns(), error=error))
            return None
        units = len(data)
        if session.waiting + units > session.credit:
            raise CreditError(
                f"{session.waiting + units} samples, frames or characters would wait, the stream's credit is "
                f"{session.credit}: wait for results, then send again"
            )
        self._enqueue(session, Message("push", sequence, arrived_ns or time.monotonic_ns(), data, units))
        return None

    def push_many(
        self, keys: Sequence[Hashable], sequences: Sequence[int], units: Sequence[int], data: Any, arrived_ns: int
    ) -> set[int]:
        """`push` for many streams: keys[i] gets message sequences[i], the next units[i] of the array ``data``.

        ``data`` is [samples] or [frames, size]. Takes those in which nothing is unusual, and returns which (by i) it
        has left: they are yet to be pushed one by one. What may wait is copied where it would keep alive more than
        what these streams have sent.
        """
        sessions = [self._sessions.get(key) for key in keys]
        rows = [-1 if session is None else session.row for session in sessions]
        return self.push_all((rows, sequences, units), data, arrived_ns)

    def push_all(self, pushes: npt.ArrayLike, data: Any, arrived_ns: int) -> set[int]:
        """`push_many` for who keeps what `Opened` says: ``pushes`` [3, n] are the streams' rows, -1 where there is
        none, the messages' numbers and their units. Quickest for int64, which it keeps."""
        columns = np.ascontiguousarray(pushes, np.int64)
        others = self._columns.line_up(columns, data, arrived_ns)
        if others and self._columns.admit(columns[0], others):
            left = set(others)
            others = [i for i in self._columns.line_up(columns, data, arrived_ns) if i in left]
        return self._push_each(columns, data, arrived_ns, others) if others else set()

    def _push_each(
        self, pushes: npt.NDArray[np.int64], data: Any, arrived_ns: int, others: Sequence[int]
    ) -> set[int]:
        """`push_all` of the ``others`` among them, which are not in columns."""
        rows, sequences, units = pushes.tolist()
        left: set[int] = set()
        blocks: dict[ServedModel, Any] = {}
        groups: dict[ServedModel, tuple[Group, list[int]]] = {}
        most = self.limits.inputs
        ends = list(accumulate(units))
        for i in others:
            session = self._columns.sessions[rows[i]] if rows[i] >= 0 else None
            sequence, count = sequences[i], units[i]
            start = ends[i] - count
            if session is None or session.held:
                left.add(i)
                continue
            if sequence != session.expected or session.waiting + count > session.credit:
                left.add(i)
                continue
            served = session.served
            if served not in blocks:
                blocks[served] = checked(served.model, data)
                groups[served] = Group(arrived_ns), []
            block, (group, starts) = blocks[served], groups[served]
            if block is None or session.waits >= most or (session.queue and session.grouped):
                left.add(i)
            elif session.queue or not served.causal:
                part = block[start : start + count].copy()
                self._enqueue(session, Message("push", sequence, arrived_ns, part, count))
            else:
                session.expected += 1
                session.waiting += count
                group.sessions.append(session)
                group.sequences.append(sequence)
                group.units.append(count)
                starts.append(start)
        for served, (group, starts) in groups.items():
            if group.sessions:
                block, parts = blocks[served], zip(starts, group.units, strict=True)
                whole = len(starts) == len(rows)
                group.data = [block] if whole else [block[start : start + count].copy() for start, count in parts]
                served.line.append(group)
        return left

    def flush(self, key: Hashable, sequence: int, arrived_ns: int | None = None) -> Answer | None:
        """End the utterance; answered by a final result."""
        return self._control("flush", key, sequence, arrived_ns)

    def mark(self, key: Hashable, sequence: int, token: bytes, arrived_ns: int | None = None) -> Answer | None:
        """Answered, with the token, when all earlier input has been processed."""
        return self._control("mark", key, sequence, arrived_ns, token)

    def snapshot(self, key: Hashable, sequence: int, arrived_ns: int | None = None) -> Answer | None:
        """Answered with the stream's state after all earlier input."""
        return self._control("snapshot", key, sequence, arrived_ns)

    def reset(self, key: Hashable, sequence: int, arrived_ns: int | None = None) -> Answer | None:
        """Drop the utterance that earlier input belongs to, and begin a new one."""
        return self._control("reset", key, sequence, arrived_ns)

    def generate(
        self,
        key: Hashable,
        sequence: int,
        tokens: int,
        sampling: Sampling | None = None,
        longest: int | None = None,
        arrived_ns: int | None = None,
    ) -> Answer | None:
        """Let the stream generate, as `Stream.generate` does: a token a tick, in results of kind "tokens"; of a beam
        those that are decided by it. It pauses after so many ``tokens`` until `more` are asked for, so that who does
        not read stops it.

        Pushes are refused until it ends; all else is done between two tokens. Flush and reset end it."""
        return self._control("generate", key, sequence, arrived_ns, (self._room(tokens), sampling, longest))

    def more(self, key: Hashable, sequence: int, tokens: int, arrived_ns: int | None = None) -> Answer | None:
        """Let a generation give so many tokens more than it may already; nothing if it has ended."""
        return self._control("more", key, sequence, arrived_ns, self._room(tokens))

    def end_generation(self, key: Hashable, sequence: int, arrived_ns: int | None = None) -> Answer | None:
        """End the generation in progress, if there is one: input is taken again."""
        return self._control("end-generation", key, sequence, arrived_ns)

    def _room(self, tokens: int) -> int:
        if not 1 <= tokens <= self.limits.tokens:
            raise CreditError(f"{tokens} tokens cannot be asked for at once, but 1 to {self.limits.tokens}")
        return tokens

    def _control(
        self, kind: Kind, key: Hashable, sequence: int, arrived_ns: int | None, data: Any = None
    ) -> Answer | None:
        session = self._find(key)
        if sequence != session.expected:
            again = self._out_of_turn(session, sequence)
            if kind == "flush" and sequence <= session.done and session.flushed is not None:
                again.final = True
                again.utterance, again.utterance_ms = session.flushed
            return again
        self._enqueue(session, Message(kind, sequence, arrived_ns or time.monotonic_ns(), data))
        return None

    def _out_of_turn(self, session: Session, sequence: int) -> Answer:
        if sequence > session.expected:
            raise SequenceError(
                f"message {sequence} came, the stream expects {session.expected}: send that one first"
            )
        return session.state("push")

    def _enqueue(self, session: Session, message: Message) -> None:
        if len(session.queue) >= self.limits.inputs:
            raise CreditError(f"{self.limits.inputs} messages wait in the stream: wait for results, then send again")
        session.expected += 1
        session.waiting += message.units
        session.queue.append(message)
        if len(session.queue) == 1:
            session.served.enter(session)

    def tick(self) -> list[Answer]:
        """Compute a little of everything that waits: a slice of finished utterances, then frames of streams."""
        return [each for done in self.tick_columns() for each in (done if isinstance(done, Answers) else (done,))]

    def tick_columns(self) -> list[Answer | Answers]:
        """`tick` for who writes results by columns: pushes without events come together, as `Answers`."""
        return self._ticks.tick()
