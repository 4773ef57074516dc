"""Finished utterances of bidirectional streams, computed in slices between the frames of others."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from ostinato.engine.limits import Limits
from ostinato.engine.session import Session
from ostinato.streaming import FinishedUtterance

FEWEST_ROWS, MOST_ROWS = 4, 256
"""Frames of one pass between two looks at the clock."""


@dataclass(slots=True, eq=False)
class Job:
    """An utterance that is computed for a session: ``rows`` frames at a time, which adapt to how long they take. Its
    memory is ``held`` bytes while it is in line, ``size`` once it is in work."""

    session: Session
    utterance: FinishedUtterance
    held: int
    size: int
    rows: int = 32
    started_ns: int = 0
    computing_ns: int = 0


class Jobs:
    """The utterances in work, which take turns by slices, and those in line for want of memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._active: deque[Job] = deque()
        self._line: deque[Job] = deque()
        self._bytes = 0
        self._early = 0  # of open utterances that are computed early, and of those in line

    def __len__(self) -> int:
        return len(self._active) + len(self._line)

    @property
    def running(self) -> int:
        """Utterances in work."""
        return len(self._active)

    @property
    def run_bytes(self) -> int:
        """Memory of those in work."""
        return self._bytes

    @property
    def early_bytes(self) -> int:
        """Memory of open utterances that are computed early, and of those in line."""
        return self._early

    def add(self, session: Session, utterance: FinishedUtterance) -> None:
        """Take an utterance on."""
        job = Job(session, utterance, utterance.held_bytes, utterance.needed_bytes)
        self._early += job.held
        self.account(session)
        self._line.append(job)

    def claim(self, session: Session, frames: int) -> bool:
        """Whether there is memory to compute ``frames`` more of a bidirectional stream's utterance early, which is
        then its own; with bounded wait, or of a causal encoder, there always is."""
        if not session.record.whole:
            return True
        wanted = session.record.early_bytes_after(frames)
        more = wanted - session.early_bytes
        if more > 0 and self._early + more > self._limits.max_run_bytes // 2:
            return False
        self._early += more
        session.early_bytes = wanted
        return True

    def account(self, session: Session) -> None:
        """Take note of the memory that a stream's utterance takes now."""
        bytes_ = 0 if session.closed else session.record.early_bytes
        self._early += bytes_ - session.early_bytes
        session.early_bytes = bytes_

    def slice(self) -> list[tuple[Job, Exception | None]]:
        """Compute for about ``slice_ms``: one utterance, or several if they end meanwhile.

        Returns those that ended, with the error of one that failed. Utterances of closed streams are dropped.
        """
        ended: list[tuple[Job, Exception | None]] = []
        now = time.monotonic_ns()
        slice_ns = int(self._limits.slice_ms * 1e6)
        end = now + slice_ns
        while now < end and (job := self._first()):
            job.started_ns = job.started_ns or now
            done, error = job.session.closed, None
            if done:
                job.utterance.drop()
            else:
                try:
                    done = job.utterance.step(job.rows)
                except Exception as fault:
                    done, error = True, fault
            before, now = now, time.monotonic_ns()
            job.computing_ns += now - before
            if now - before > slice_ns // 4:  # no look at the clock comes late
                job.rows = max(FEWEST_ROWS, job.rows // 2)
            elif now - before < slice_ns // 16:
                job.rows = min(MOST_ROWS, 2 * job.rows)
            if done:
                self._active.popleft()
                self._bytes -= job.size
                if not job.session.closed:
                    ended.append((job, error))
        self._active.rotate(-1)
        return ended

    def _first(self) -> Job | None:
        while self._line and (not self._active or self._fits(self._line[0])):
            job = self._line.popleft()
            self._early -= job.held
            self._bytes += job.size
            self._active.append(job)
        return self._active[0] if self._active else None

    def _fits(self, job: Job) -> bool:
        return self._bytes + self._early - job.held + job.size <= self._limits.max_run_bytes
