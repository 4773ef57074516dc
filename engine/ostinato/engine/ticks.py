"""One tick of the engine: a slice of finished utterances, then a turn of each model, and in what order streams are
answered.

tick
 ├─ Jobs.slice                a slice of finished utterances
 │   └─ Control.job_done      one has ended
 └─ _advance                  of each model: `next_turn`, one batch
     ├─ _columns_turn         of streams that are held in columns
     └─ _turn                 of streams' first pushes, and of a token of each that generates
         ├─ _compute_causal | _compute_others
         └─ _answer_all       nothing decided and nothing left: a row of Answers; else, for each, _answer_one,
                              which answers, or lines the stream up again if more of its push is left to compute;
                              _tell, what a generation gave
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from itertools import islice

import numpy as np

from ostinato.engine.columns import FEWEST, Columns
from ostinato.engine.control import Control
from ostinato.engine.limits import Limits
from ostinato.engine.reservations import Reservations
from ostinato.engine.results import Answer, Answers
from ostinato.engine.session import Message, ServedModel, Session
from ostinato.engine.turns import Turn, next_turn
from ostinato.errors import DivergedError
from ostinato.events import Event
from ostinato.kernels.columns import ANSWERED, IN_MS
from ostinato.pipeline.pieces import each_part
from ostinato.streaming import accept, advance, push


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
        self._control = Control(limits, drop, reservations)
        self.jobs = self._control.jobs
        """The finished utterances."""

    def forget(self, session: Session) -> None:
        """A session is closed: its memory is free."""
        self.jobs.account(session)

    @property
    def busy(self) -> bool:
        """Whether anything waits."""
        for served in self._served:  # many times a second: without a generator
            if served.line:
                return True
        return bool(self.jobs)

    def tick(self) -> list[Answer | Answers]:
        """A slice of finished utterances, then frames of the streams first in line, one batch per model."""
        results: list[Answer | Answers] = []
        for job, error in self.jobs.slice() if self.jobs else ():
            try:
                self._control.job_done(job, error, results)
            except Exception as fault:
                if not job.session.closed:
                    self._control.give_up(job.session, fault, results)
        busy = [served for served in self._served if served.line]
        for served in busy:
            self._advance(served, self._limits.tick_ms / len(busy), results)
        return results

    def _advance(self, served: ServedModel, ms: float, results: list[Answer | Answers]) -> None:
        """Let the model compute for ``ms``, about."""
        turn = next_turn(served, ms, self._control, results)
        if turn.columns:
            self._columns_turn(served, turn, results)
        elif turn.rows:
            self._turn(served, turn, results)

    def _columns_turn(self, served: ServedModel, turn: Turn, results: list[Answer | Answers]) -> None:
        """`_turn` of groups of columns."""
        turn.started_ns = time.monotonic_ns()
        try:
            done = self._columns.compute(turn.columns)
        except Exception as error:
            for group in turn.columns:
                for session in self._columns.sessions_of(group.pushes[0]):
                    self._control.give_up(session, error, results)
            return
        turn.took_ns = time.monotonic_ns() - turn.started_ns
        served.pace.add(turn.rows, turn.took_ns)
        if not done.left:
            results.append(self._columns.answers(done, turn.started_ns, turn.took_ns))
            return
        for session, events, frames in done.left:
            self._answer_one(turn, session, events, frames, results)
        self._columns.enter([session for session, _, _ in done.left])

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
                self._control.give_up(session, error, results)
            return
        turn.took_ns = time.monotonic_ns() - turn.started_ns
        served.pace.add(turn.rows, turn.took_ns)
        counts = [session.record.frames_out - frames for session, frames in zip(sessions, before, strict=True)]
        self._answer_all(turn, zip(sessions, events, counts, strict=True), results)

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
        going = [session for session in turn.singles if self._control.goes_on(session)] + turn.generating
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
            results += self._plain(done, frames, waiting_ms, turn.took_ns / 1e6)
            for session in done:
                if session.queue:
                    self._control.go_on(session, results)

    def _plain(
        self, done: list[Session], frames: list[int], waiting_ms: list[float], computing_ms: float
    ) -> Iterator[Answer | Answers]:
        """The results of pushes that these sessions have just been left by: of many as columns."""
        columns = zip(done, frames, waiting_ms, strict=True)
        if len(done) < FEWEST:
            for session, count, waited in columns:
                yield session.plain(count, waited, computing_ms)
            return
        numbers = np.empty((len(done), ANSWERED), np.int64)
        in_ms = numbers.view(np.float64)[:, :IN_MS]
        in_ms[:] = [(session.record.utterance_ms, waited) for session, _, waited in columns]
        numbers[:, IN_MS:] = [
            (session.done, session.processed, session.events, session.record.utterance, count, 0, 0)
            for session, count in zip(done, frames, strict=True)
        ]
        rows = np.array([session.row for session in done], np.int64)
        yield Answers(rows, numbers, computing_ms, self._columns.keys)

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
            self._control.give_up(session, record.fault, results)
            return
        if (error := message.error or record.fault) is not None:
            self._control.refuse(session, message, error, results)
        elif not causal and record.ended:
            self._control.begin_job(session)
            return
        elif record.waiting if causal else self._control.goes_on(session):
            session.served.enter(session)
            return
        else:
            session.leave(message)
            results.append(session.answer(message, "push", record.utterance, record.utterance_ms))
        if session.queue:
            self._control.go_on(session, results)

    def _tell(
        self, turn: Turn, session: Session, events: list[Event], frames: int, results: list[Answer | Answers]
    ) -> None:
        """Answer with what a generation gave, and line the stream up for its next token."""
        fault = session.record.fault
        if fault is not None and not isinstance(fault, DivergedError):
            self._control.give_up(session, fault, results)
            return
        if events:  # tokens all, but perhaps for the last
            session.tokens -= len(events) - (events[-1].kind != "token")
        if session.record.generating is None:
            session.tokens = 0
        if events or fault is not None:
            results.append(session.told(events, frames, turn.took_ns / 1e6, fault))
        self._control.settle(session)
        if session.queue or session.goes_on:
            session.served.enter(session)
