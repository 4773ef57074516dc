"""Finished utterances of bidirectional streams, computed in slices between the frames of others."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from ostinato.engine.limits import Limits
from ostinato.engine.session import Session
from ostinato.streaming import UtteranceRun

ROWS = 32
"""Frames of one operation between two looks at the clock: enough to use the processor well, well below a slice."""


@dataclass(slots=True, eq=False)
class Job:
    """An utterance that is computed for a session."""

    session: Session
    run: UtteranceRun
    size: int
    started_ns: int = 0
    computing_ns: int = 0


class Runs:
    """The utterances in work, which take turns by slices, and those in line for want of memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._active: deque[Job] = deque()
        self._line: deque[Job] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._active) + len(self._line)

    def add(self, session: Session, run: UtteranceRun) -> None:
        """Take an utterance on."""
        self._line.append(Job(session, run, run.needed_bytes))

    def slice(self) -> list[tuple[Job, Exception | None]]:
        """Compute for about ``slice_ms``: one utterance, or several if they end meanwhile.

        Returns those that ended, with the error of one that failed. Utterances of closed streams are dropped.
        """
        ended: list[tuple[Job, Exception | None]] = []
        now = time.monotonic_ns()
        end = now + int(self._limits.slice_ms * 1e6)
        while now < end and (job := self._first()):
            job.started_ns = job.started_ns or now
            done, error = job.session.closed, None
            if not done:
                try:
                    done = job.run.step(ROWS)
                except Exception as fault:
                    done, error = True, fault
            before, now = now, time.monotonic_ns()
            job.computing_ns += now - before
            if done:
                self._active.popleft()
                self._bytes -= job.size
                if not job.session.closed:
                    ended.append((job, error))
        self._active.rotate(-1)
        return ended

    def _first(self) -> Job | None:
        while self._line and (not self._active or self._bytes + self._line[0].size <= self._limits.max_run_bytes):
            job = self._line.popleft()
            self._bytes += job.size
            self._active.append(job)
        return self._active[0] if self._active else None
