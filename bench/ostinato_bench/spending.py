"""What a running server spends its processor time on: its own functions are timed where one part calls another.

Nothing of it is in the server: who wants to know puts timers around public functions before it starts
(`chunk_server`), so one that is not looked at has none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

REST, WAITING, IO_THREADS = "rest of the loop", "waiting for messages", "ZeroMQ's threads"
_HEAD = ("process", "thread", "waiting", "turns", "quiet turns")  # the first two without what timers take
CLOCKS = time.perf_counter_ns, time.thread_time_ns, time.process_time_ns
_CALLS = 2000
_STOLEN, _STOLEN_NS = 1.02, 20_000  # by how much more by the clock than of the processor a turn may take


class Spending:
    """Time by part, each without the parts that it calls; what is in none of them is `REST`.

    Reading a thread's processor time takes microseconds, so parts are timed by the clock, and a turn of the loop
    counts only if the thread had the processor all the time: it took no longer by the clock than of the processor.
    What the timers take themselves is measured before and left out. For one thread. ``file`` is written once a turn,
    for another process to `look` at. ``clocks``: the time, and what of it the thread and the process had, in ns.
    """

    def __init__(self, file: Path, parts: Sequence[str], clocks: Sequence[Callable[[], int]] = CLOCKS) -> None:
        self._clock, self._thread, self._process = clocks
        self._parts = [REST, *parts]
        self._shared: Any = np.lib.format.open_memmap(file, "w+", np.int64, (len(_HEAD) + 2 * len(self._parts),))
        self._spent, self._calls = [0] * len(self._parts), [0] * len(self._parts)
        self._at, self._since = 0, 0
        self._outside = self._inside = 0
        self._turn_clock = self._turn_thread = self._waiting = self._turns = self._quiet = self._own = 0
        self._sums = np.zeros(len(self._parts), np.int64)
        self._calibrate()

    def around(self, owner: Any, name: str, part: str) -> None:
        """Time ``owner.name``, a function or a method, as ``part``."""
        setattr(owner, name, self._timed(getattr(owner, name), self._parts.index(part)))

    def between_turns(self, owner: Any, name: str) -> None:
        """``owner.name`` is what the loop waits in, once a turn."""
        wait, clock, spent = getattr(owner, name), self._clock, self._thread

        def waited(*arguments: Any, **named: Any) -> Any:
            now, ended = clock(), spent()
            self._end_turn(now, ended)
            thread = spent()
            self._own += thread - ended
            try:
                return wait(*arguments, **named)
            finally:
                self._turn_thread = spent()
                self._waiting += self._turn_thread - thread
                self._since = self._turn_clock = clock()

        setattr(owner, name, waited)

    def _end_turn(self, now: int, thread: int) -> None:
        self._spent[self._at] += now - self._since
        self._turns += 1
        if self._turn_clock and now - self._turn_clock <= _STOLEN * (thread - self._turn_thread) + _STOLEN_NS:
            self._quiet += 1
            self._sums += self._spent
        self._spent[:] = [0] * len(self._parts)
        own = self._own + sum(self._calls) * (self._outside + self._inside)
        head = self._process() - own, thread - own, self._waiting, self._turns, self._quiet
        self._shared[:] = *head, *self._sums, *self._calls

    def _timed(self, function: Callable[..., Any], part: int) -> Callable[..., Any]:
        spent, calls, clock = self._spent, self._calls, self._clock

        def timed(*arguments: Any, **named: Any) -> Any:
            now = clock()
            before = self._at
            spent[before] += now - self._since - self._outside
            calls[part] += 1
            self._at, self._since = part, now
            try:
                return function(*arguments, **named)
            finally:
                now = clock()
                spent[part] += now - self._since - self._inside
                self._at, self._since = before, now

        return timed

    def _calibrate(self) -> None:
        """How much of a timer's own time falls into the part that it is around, and how much outside."""
        nothing = self._timed(lambda: None, 1)
        outside, inside = [], []
        for _ in range(_CALLS):
            self._spent[:], self._since = [0] * len(self._parts), self._clock()
            nothing()
            nothing()
            outside.append(self._spent[0])
            inside.append(self._spent[1])
        self._outside, self._inside = int(np.median(outside)) // 2, int(np.median(inside)) // 2
        self._spent[:], self._calls[:] = [0] * len(self._parts), [0] * len(self._parts)


def look(file: Path) -> Any:
    """What it says now: an array to subtract an earlier one from."""
    return np.load(file).copy()


def by_part(spent: Any, parts: Sequence[str]) -> dict[str, Any]:
    """What the difference of two looks says: {"parts_ns": by part, which add up to "process_ns", "calls": by part,
    "quiet": the share of turns that counted}."""
    process, thread, waiting, turns, quiet = (int(each) for each in spent[: len(_HEAD)])
    times, calls = spent[len(_HEAD) :].reshape(2, -1).tolist()
    share = (thread - waiting) / max(1, sum(times))  # turns that did not count are divided likewise
    names = [REST, *parts]
    found = {name: float(ns) * share for name, ns in zip(names, times, strict=True)}
    return {
        "parts_ns": {WAITING: float(waiting), **found, IO_THREADS: float(process - thread)},
        "calls": dict(zip(names, calls, strict=True)),
        "process_ns": float(process),
        "quiet": quiet / max(1, turns),
    }
