"""What streams are told besides input, which is done at once, in its place: flush, mark, snapshot, reset, generation.

next_push           all that comes before a stream's next push is done
 ├─ _do_now         flush (or the utterance becomes a job), mark, snapshot, reset, generate
 └─ refuse          what was not taken, and pushes of an utterance that is lost
job_done            a finished utterance was computed: its answer, and what waits behind it
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from ostinato.engine.jobs import Job, Jobs
from ostinato.engine.limits import Limits
from ostinato.engine.reservations import NOTHING, Reservations, Share
from ostinato.engine.results import Answer, Answers
from ostinato.engine.session import Message, Session
from ostinato.errors import CapacityError, DivergedError, InputError, OstinatoError
from ostinato.sampling import Sampling
from ostinato.streaming.generation import asked

log = logging.getLogger(__name__)


class Control:
    """Does what is no push, and what any message may come to. ``drop`` forgets a session; beams begin where
    ``reservations`` have room."""

    def __init__(self, limits: Limits, drop: Callable[[Session], None], reservations: Reservations) -> None:
        self._limits = limits
        self._drop = drop
        self._reservations = reservations
        self.jobs = Jobs(limits)
        """The finished utterances."""

    def next_push(self, session: Session, results: list[Answer | Answers]) -> Message | None:
        """Do the messages before the next push. That push; None if there is none or an utterance comes first. Pushes
        that the stream does not take, as its utterance is lost or it generates, are refused."""
        while session.queue:
            message, why = session.queue[0], session.record.refusal
            if message.kind == "push":
                if why is None:
                    return message
                self.refuse(session, message, why, results)
                continue
            place = (session.record.utterance, session.record.utterance_ms)
            try:
                if not self._do_now(session, message, results):
                    return None
            except (DivergedError, InputError, CapacityError) as error:
                message.events = error.events if isinstance(error, DivergedError) else []
                self.refuse(session, message, error, results, place)
            except Exception as error:
                self.give_up(session, error, results)
            self.settle(session)
        return None

    def _do_now(self, session: Session, message: Message, results: list[Answer | Answers]) -> bool:
        """Do the message at the head of the queue, no push; False if an utterance must be computed first."""
        stream, record = session.stream, session.record
        if message.kind == "flush":
            if not session.served.causal and record.fault is None and record.writing is None:
                record.end_utterance()
                self.begin_job(session)
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
                self.begin_job(session)  # the source, which is answered then
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

    def settle(self, session: Session) -> None:
        """What was reserved for a beam that has ended is free."""
        if session.record.beam is None:
            self._reservations.give(session.beam)
            session.beam = NOTHING

    def refuse(
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

    def give_up(self, session: Session, error: Exception, results: list[Answer | Answers]) -> None:
        """A fault of ours has cost the stream its state: close it, and say so."""
        log.error("a stream of %s is lost to a fault", session.served.model.name, exc_info=error)
        results.append(
            session.state("closed", OstinatoError(f"a fault of the server ({type(error).__name__}): see its log"))
        )
        self._drop(session)

    def goes_on(self, session: Session) -> bool:
        """Whether a stream that does not answer at once has something to compute now, and the memory for it, which it
        then has claimed; nothing before its finished utterances, which are computed in slices."""
        record = session.record
        if record.sees is not None:
            return True
        return bool(record.ready) and not record.ended and self.jobs.claim(session, session.served.share)

    def go_on(self, session: Session, results: list[Answer | Answers]) -> None:
        """Do what comes next of what waits, and line the stream up if something is left to compute."""
        if self.next_push(session, results) is not None or session.goes_on:
            session.served.enter(session)

    def begin_job(self, session: Session) -> None:
        """Put the stream's oldest finished utterance in line to be computed."""
        utterance = session.record.next_finished()
        assert utterance is not None
        session.in_work = True
        self.jobs.add(session, utterance)

    def job_done(self, job: Job, error: Exception | None, results: list[Answer | Answers]) -> None:
        """An utterance has been computed: its result, and what comes after it."""
        session, done = job.session, job.utterance
        session.in_work = False
        if error is not None and not isinstance(error, DivergedError):
            self.give_up(session, error, results)
            return
        message, another = session.queue[0], session.record.ended
        ends = message.kind == "flush" and not another
        if error is not None:
            message.events, message.frames = done.events, done.count
            message.started_ns, message.computing_ns = job.started_ns, job.computing_ns
            session.record.lose(error)
            if message.kind == "flush":  # it has ended the utterance all the same
                session.record.fault = None
            self.refuse(session, message, error, results, (done.utterance, done.utterance_ms))
            self.go_on(session, results)
            return
        if message.kind == "generate":  # the source is there, and tokens follow
            session.leave(message)
            results.append(session.state("generate"))
            self.go_on(session, results)
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
            self.begin_job(session)
            return
        if not ends and self.goes_on(session):
            session.served.enter(session)
            return
        if not ends:
            session.leave(message)
            results.append(session.answer(message, "push", session.record.utterance, session.record.utterance_ms))
        self.go_on(session, results)
