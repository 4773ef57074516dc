"""One turn of the engine: whose frames are computed, in what company, and in what order streams are answered.

tick
 ├─ Jobs.slice                a slice of finished utterances
 │   └─ _job_done             one has ended: its answer, and what waits behind it
 └─ _advance                  of each model: the first in its line, until the tick is full, are a Turn
     ├─ _next                 all that comes before a stream's next push is done at once
     │   ├─ _do_now           flush (or the utterance becomes a job), mark, snapshot, reset, generate
     │   └─ _refuse           what was not taken, and pushes of an utterance that is lost
     └─ _turn                 one batch, of its streams' first pushes, and of a token of each that generates
         ├─ _compute_causal | _compute_others
         └─ _answer_all       nothing decided and nothing left: a row of Answers; else, for each, _answer_one,
                              which answers, or lines the stream up again if more of its push is left to compute;
                              _tell, what a generation gave
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ostinato.engine.columns import ColumnGroup, Columns
from ostinato.engine.jobs import Job, Jobs
from ostinato.engine.limits import Limits
from ostinato.engine.reservations import NOTHING, Reservations, Share
from ostinato.engine.results import Answer, Answers
from ostinato.engine.session import Group, Message, ServedModel, Session, answers
from ostinato.errors import CapacityError, DivergedError, InputError, OstinatoError
from ostinato.events import Event
from ostinato.pipeline.pieces import each_part
from ostinato.sampling import Sampling
from ostinato.streaming import accept, advance, push
from ostinato.streaming.generation import asked

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Turn:
    """What one model computes in a tick: groups, then single streams, then those that generate; or groups of columns.
    About so many rows."""

    groups: list[Group] = field(default_factory=list)
    columns: list[ColumnGroup] = field(default_factory=list)
    singles: list[Session] = field(default_factory=list)
    generating: list[Session] = field(default_factory=list)
    rows: int = 0
    started_ns: int = 0
    took_ns: int = 0

    def sessions(self) -> list[Session]:
        """All of them."""
        return [session for group in self.groups for session in group.sessions] + self.singles + self.generating


class Ticks:
    """Computes what waits in the sessions that stand in their models' lines. ``drop`` forgets a session; beams begin
    where ``reservations`` have room."""

    def __init__(
        self,
        limits: Limits,
        served: Collection[ServedModel],
        drop: Callable[[Session], None],
        reservations: Reservations,
        columns: Columns,
    ) -> None:
        self._columns = columns
        self._limits = limits
        self._served = served
        self._drop = drop
        self._reservations = reservations
        self.jobs = Jobs(limits)
        """The finished utterances."""

    def forget(self, session: Session) -> None:
        """A session is closed: its memory is free."""
        self.jobs.account(session)

    @property
    def busy(self) -> bool:
        """Whether anything waits."""
        return bool(self.jobs) or any(served.line for served in self._served)

    def tick(self) -> list[Answer | Answers]:
        """A slice of finished utterances, then frames of the streams first in line, one batch per model."""
        results: list[Answer | Answers] = []
        for job, error in self.jobs.slice():
            try:
                self._job_done(job, error, results)
            except Exception as fault:
                if not job.session.closed:
                    self._give_up(job.session, fault, results)
        busy = [served for served in self._served if served.line]
        for served in busy:
            self._advance(served, self._limits.tick_ms / len(busy), results)
        return results

    def _advance(self, served: ServedModel, ms: float, results: list[Answer | Answers]) -> None:
        """Let the first streams in the model's line, as many as fit ``ms``, have their share."""
        most = served.model.runner.max_rows
        room = min(served.pace.rows(ms), most)
        turn = Turn()
        for _ in range(len(served.line)):
            first = served.line.popleft()
            if isinstance(first, ColumnGroup):
                if not self._joins(first, turn, room, most) or first.sessions:
                    served.line.appendleft(first)
                    break
            elif turn.columns:
                served.line.appendleft(first)
                break
            elif isinstance(first, Group):
                rows, due = first.rows, first.due
                if turn.rows and (not due or turn.rows + rows > most):
                    served.line.appendleft(first)
                    break
                if rows > room or not due:
                    first.scatter()
                elif rows:
                    turn.groups.append(first.take())
                    turn.rows += rows
            elif isinstance(first, Session):
                first.lined = False
                if (message := self._next(first, results)) is not None:
                    turn.singles.append(first)
                    turn.rows += self._rows(first, message)
                elif first.goes_on:
                    turn.generating.append(first)
                    turn.rows += first.rows
            if turn.rows >= room:
                break
        if turn.columns:
            self._turn_of_columns(served, turn, results)
        elif turn.rows:
            self._turn(served, turn, results)

    @staticmethod
    def _joins(group: ColumnGroup, turn: Turn, room: int, most: int) -> bool:
        """Let a group of columns join the turn, as much of it as fits, or scatter it; False if its turn is a later
        one."""
        frames, due = group.frames, group.due
        if turn.rows:
            alike = bool(turn.columns) and turn.columns[0].fits(group)
            if not due or not alike or turn.rows + frames > most:
                return False
        if not due:
            group.scatter()
        elif frames:
            turn.columns.append(group.split(room))
            turn.rows += turn.columns[-1].frames
        return True

    def _turn_of_columns(self, served: ServedModel, turn: Turn, results: list[Answer | Answers]) -> None:
        """`_turn` of groups of columns."""
        turn.started_ns = time.monotonic_ns()
        try:
            done = self._columns.compute(turn.columns)
        except Exception as error:
            for session in [session for group in turn.columns for session in group.sessions]:
                self._give_up(session, error, results)
            return
        turn.took_ns = time.monotonic_ns() - turn.started_ns
        served.pace.add(turn.rows, turn.took_ns)
        results += self._columns.answers(done, turn.started_ns, turn.took_ns)
        for session, events, frames in done.left:
            self._answer_one(turn, session, events, frames, results)
        if done.left:
            self._columns.enter([session for session, _, _ in done.left], again=True)

    def _turn(self, served: ServedModel, turn: Turn, results: list[Answer | Answers]) -> None:
        """Compute, and answer what is done."""
        turn.started_ns = time.monotonic_ns()
        sessions = turn.sessions()
        before = [session.record.frames_out for session in sessions]
        try:
            compute = self._compute_causal if served.causal else self._compute_others
            events = compute(turn, served.share)
        except Exception as error:  # a fault of ours: these streams' states are lost, those of the others are not
            for session in sessions:
                self._give_up(session, error, results)
            return
        turn.took_ns = time.monotonic_ns() - turn.started_ns
        served.pace.add(turn.rows, turn.took_ns)
        counts = [session.record.frames_out - frames for session, frames in zip(sessions, before, strict=True)]
        self._answer_all(turn, zip(sessions, events, counts, strict=True), results)

    def _rows(self, session: Session, message: Message) -> int:
        """About how many frames the stream's turn will compute."""
        frames = session.served.share if message.accepted else int(message.units / session.units_per_frame) or 1
        wait = session.record.wait
        if session.record.options.wait_k is not None:  # a token comes of it
            frames += session.looking_up
        if wait is None:
            return frames
        return wait.frames if session.record.waiting + frames >= wait.frames else 1

    def _compute_causal(self, turn: Turn, share: int) -> list[list[Event]]:
        """Let causal streams take their first messages in, and compute their share of what is ready: their events."""
        fresh = [session for session in turn.singles if not session.queue[0].accepted]
        records = [session.record for group in turn.groups for session in group.sessions]
        records += [session.record for session in fresh]
        data = [piece for group in turn.groups for piece in group.data] + [session.queue[0].data for session in fresh]
        units = [count for group in turn.groups for count in group.units]
        units += [session.queue[0].units for session in fresh]
        others = [session.record for session in turn.singles if session.queue[0].accepted]
        for session in turn.generating:
            session.record.room = session.tokens
            others.append(session.record)
        if not others:
            return push(records, data, units, share)
        if turn.generating:  # a prompt is in one batch with the tokens of others
            accept(records, each_part(data, units))
            found = advance([*records, *others], share)
        else:
            found = (push(records, data, units, share) if records else []) + advance(others, share)
        events = dict(zip(map(id, [*records, *others]), found, strict=True))
        return [events[id(session.record)] for session in turn.sessions()]

    def _compute_others(self, turn: Turn, share: int) -> list[list[Event]]:
        """The same for streams that do not answer at once: of what is ready early or in blocks, as far as memory
        goes; and a token of each text that is made of a source."""
        if fresh := [session for session in turn.singles if not session.queue[0].accepted]:
            errors = accept([session.record for session in fresh], [session.queue[0].data for session in fresh])
            for session, error in zip(fresh, errors, strict=True):
                message = session.queue[0]
                message.accept(turn.started_ns)
                message.error = error
                session.utterance_ns = session.utterance_ns or message.arrived_ns
        going = [session for session in turn.singles if self._goes_on(session)] + turn.generating
        for session in turn.generating:
            session.record.room = session.tokens
        found = advance([session.record for session in going], share)
        for session in going:
            self.jobs.account(session)
        events = dict(zip(map(id, going), found, strict=True))
        return [events.get(id(session), []) for session in turn.singles + turn.generating]

    def _answer_all(
        self, turn: Turn, computed: Iterator[tuple[Session, list[Event], int]], results: list[Answer | Answers]
    ) -> None:
        """Answer what is done: of each session, its events and how many frames were computed."""
        done: list[Session] = []
        frames: list[int] = []
        waiting_ms: list[float] = []
        for group in turn.groups:
            waited = (turn.started_ns - group.arrived_ns) / 1e6
            mine = zip(group.sequences, group.units, islice(computed, len(group.sessions)), strict=True)
            for sequence, units, (session, events, count) in mine:
                if events or session.record.waiting:
                    session.queue.append(Message("push", sequence, group.arrived_ns, units=units))
                    self._answer_one(turn, session, events, count, results)
                    continue
                session.done = sequence
                session.processed += units
                session.waiting -= units
                done.append(session)
                frames.append(count)
                waiting_ms.append(waited)
        for session, events, count in islice(computed, len(turn.singles)):
            message = session.queue[0]
            if events or message.accepted or session.record.waiting or not session.served.causal:
                self._answer_one(turn, session, events, count, results)
                continue
            session.leave(message)
            done.append(session)
            frames.append(count)
            waiting_ms.append((turn.started_ns - message.arrived_ns) / 1e6)
        for session, events, count in computed:
            self._tell(turn, session, events, count, results)
        if done:
            results.append(answers(done, frames, waiting_ms, turn.took_ns / 1e6))
            for session in done:
                if session.queue:
                    self._go_on(session, results)
            self._columns.enter(done)

    def _tell(
        self, turn: Turn, session: Session, events: list[Event], frames: int, results: list[Answer | Answers]
    ) -> None:
        """Answer with what a generation gave, and line the stream up for its next token."""
        fault = session.record.fault
        if fault is not None and not isinstance(fault, DivergedError):
            self._give_up(session, fault, results)
            return
        if events:  # tokens all, but perhaps for the last
            session.tokens -= len(events) - (events[-1].kind != "token")
        if session.record.generating is None:
            session.tokens = 0
        if events or fault is not None:
            results.append(session.told(events, frames, turn.took_ns / 1e6, fault))
        self._settle(session)
        if session.queue or session.goes_on:
            session.served.enter(session)

    def _settle(self, session: Session) -> None:
        """What was reserved for a beam that has ended is free."""
        if session.record.beam is None:
            self._reservations.give(session.beam)
            session.beam = NOTHING

    def _generate(self, session: Session, sampling: Sampling | None, longest: int | None) -> None:
        """Let the stream generate, with room for its beam, if it asks for one."""
        record = session.record
        wanted = asked(record, sampling, longest)
        beam = Share.of_beam(record, wanted)
        self._reservations.take(beam, f"a beam of {beam.states}", "ask for fewer beams, or a smaller longest")
        try:
            session.stream.generate(sampling, longest)
        except Exception:
            self._reservations.give(beam)
            raise
        if wanted is not None:
            self._reservations.give(session.beam)
            session.beam = beam

    def _goes_on(self, session: Session) -> bool:
        """Whether a stream that does not answer at once has something to compute now, and the memory for it, which it
        then has claimed; nothing before its finished utterances, which are computed in slices."""
        record = session.record
        if record.sees is not None:
            return True
        return bool(record.ready) and not record.ended and self.jobs.claim(session, session.served.share)

    def _answer_one(
        self, turn: Turn, session: Session, events: list[Event], frames: int, results: list[Answer | Answers]
    ) -> None:
        """Answer the message that was computed, unless more of it is left to compute, and see what comes after it."""
        message, record = session.queue[0], session.record
        if not message.accepted:
            message.accept(turn.started_ns)
        message.events += events
        message.frames += frames
        message.computing_ns += turn.took_ns
        causal = session.served.causal
        if record.fault is not None and not isinstance(record.fault, DivergedError):
            self._give_up(session, record.fault, results)
            return
        if (error := message.error or record.fault) is not None:
            self._refuse(session, message, error, results)
        elif not causal and record.ended:
            self._begin_job(session)
            return
        elif record.waiting if causal else self._goes_on(session):
            session.served.enter(session)
            return
        else:
            session.leave(message)
            results.append(session.answer(message, "push", record.utterance, record.utterance_ms))
        if session.queue:
            self._go_on(session, results)

    def _begin_job(self, session: Session) -> None:
        """Put the stream's oldest finished utterance in line to be computed."""
        utterance = session.record.next_finished()
        assert utterance is not None
        session.in_work = True
        self.jobs.add(session, utterance)

    def _go_on(self, session: Session, results: list[Answer | Answers]) -> None:
        if self._next(session, results) is not None or session.goes_on:
            session.served.enter(session)

    def _next(self, session: Session, results: list[Answer | Answers]) -> Message | None:
        """Do the messages before the next push. That push; None if there is none or an utterance comes first. Pushes
        that the stream does not take, as its utterance is lost or it generates, are refused."""
        while session.queue:
            message, why = session.queue[0], session.record.refusal
            if message.kind == "push":
                if why is None:
                    return message
                self._refuse(session, message, why, results)
                continue
            place = (session.record.utterance, session.record.utterance_ms)
            try:
                if not self._do_now(session, message, results):
                    return None
            except (DivergedError, InputError, CapacityError) as error:
                message.events = error.events if isinstance(error, DivergedError) else []
                self._refuse(session, message, error, results, place)
            except Exception as error:
                self._give_up(session, error, results)
            self._settle(session)
        return None

    def _do_now(self, session: Session, message: Message, results: list[Answer | Answers]) -> bool:
        """Do the message at the head of the queue, no push; False if an utterance must be computed first."""
        stream, record = session.stream, session.record
        if message.kind == "flush":
            if not session.served.causal and record.fault is None and record.writing is None:
                record.end_utterance()
                self._begin_job(session)
                return False
            message.started_ns = time.monotonic_ns()
            place, frames = (record.utterance, record.utterance_ms), record.frames_out
            message.events = stream.flush()
            self.jobs.account(session)
            message.frames = record.frames_out - frames
            message.computing_ns = time.monotonic_ns() - message.started_ns
            session.utterance_ns = 0
            session.leave(message)
            result = session.answer(message, "flush", *place)
            result.final = True
            results.append(result)
            return True
        payload: Any = message.error or message.data
        if message.kind == "snapshot":
            payload = stream.snapshot()
        elif message.kind == "reset":
            stream.reset()
            self.jobs.account(session)
            session.utterance_ns = 0
        elif message.kind == "generate":
            tokens, sampling, longest = payload
            self._generate(session, sampling, longest)
            session.tokens, payload = tokens, None
            if record.ended:
                self._begin_job(session)  # the source, which is answered then
                return False
        elif message.kind == "more":
            if stream.generating:
                if session.tokens + payload > (most := self._limits.tokens):
                    raise InputError(
                        f"{session.tokens + payload} tokens would be on their way, over the bound of {most}: ask for "
                        "more once some have come"
                    )
                session.tokens += payload
            payload = None
        elif message.kind == "end-generation":
            stream.end_generation()
        session.leave(message)
        results.append(session.state(message.kind, payload))
        return True

    def _job_done(self, job: Job, error: Exception | None, results: list[Answer | Answers]) -> None:
        """An utterance has been computed: its result, and what comes after it."""
        session, done = job.session, job.utterance
        session.in_work = False
        if error is not None and not isinstance(error, DivergedError):
            self._give_up(session, error, results)
            return
        message, another = session.queue[0], session.record.ended
        ends = message.kind == "flush" and not another
        if error is not None:
            message.events, message.frames = done.events, done.count
            message.started_ns, message.computing_ns = job.started_ns, job.computing_ns
            session.record.lose(error)
            if message.kind == "flush":  # it has ended the utterance all the same
                session.record.fault = None
            self._refuse(session, message, error, results, (done.utterance, done.utterance_ms))
            self._go_on(session, results)
            return
        if message.kind == "generate":  # the source is there, and tokens follow
            session.leave(message)
            results.append(session.state("generate"))
            self._go_on(session, results)
            return
        if ends:
            session.leave(message)
        answered = Message(message.kind, message.sequence, message.arrived_ns, events=done.events, frames=done.count)
        answered.started_ns, answered.computing_ns = job.started_ns, job.computing_ns
        result = session.answer(answered, "flush" if ends else "push", done.utterance, done.utterance_ms)
        result.final = True
        if session.utterance_ns and session.record.wait is None:
            result.buffered_ms = (job.started_ns - session.utterance_ns) / 1e6
        session.utterance_ns = 0 if ends else message.arrived_ns
        results.append(result)
        if another:
            self._begin_job(session)
            return
        if not ends and self._goes_on(session):
            session.served.enter(session)
            return
        if not ends:
            session.leave(message)
            results.append(session.answer(message, "push", session.record.utterance, session.record.utterance_ms))
        self._go_on(session, results)

    def _refuse(
        self,
        session: Session,
        message: Message,
        error: Exception,
        results: list[Answer | Answers],
        place: tuple[int, float] | None = None,
    ) -> None:
        """Answer the message at the head of the queue by an error; what it had decided before, in the utterance at
        ``place`` (default: the present one), comes first."""
        place = place or (session.record.utterance, session.record.utterance_ms)
        if message.events:
            results.append(session.answer(message, "push", *place))
        if message.kind == "flush":
            session.flushed = place
        if isinstance(error, DivergedError):
            self.jobs.account(session)
            session.utterance_ns = 0
        session.leave(message, taken=False)
        results.append(session.state("error", error))

    def _give_up(self, session: Session, error: Exception, results: list[Answer | Answers]) -> None:
        log.error("a stream of %s is lost to a fault", session.served.model.name, exc_info=error)
        results.append(
            session.state("closed", OstinatoError(f"a fault of the server ({type(error).__name__}): see its log"))
        )
        self._drop(session)
