"""Pieces of work done side by side, by the caller and by threads that help it."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

_processor: Callable[[], int] | None = (
    getattr(ctypes.CDLL(None), "sched_getcpu", None) if sys.platform == "linux" else None
)
"""Which one the calling thread runs on."""


class SideBySide:
    """Calls on up to ``workers`` threads, of which the caller's is one: each takes the next piece when it is done.

    The caller computes too, so that only the others have to be woken, while its own processor is seen to be busy: of
    two that it woke before it slept, Linux often put both on one. Where no processor is idle it would still put one
    behind the caller, for as long as others are at work: so, on Linux, it is told to use any but the caller's. One
    that is not awake in time is not waited for.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._helpers: list[int] = []

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Within it, there are threads that help; without, the caller does all."""
        if self.workers == 1:
            yield
            return
        self._helpers = []
        with ThreadPoolExecutor(self.workers - 1, "learning", self._begin) as self._pool:
            try:
                yield
            finally:
                self._pool = None

    def _begin(self) -> None:
        self._helpers.append(threading.get_native_id())

    def _make_way(self) -> None:
        """Have those that help use other processors than the caller, if it may use several."""
        if sys.platform == "linux" and _processor is not None:
            others = os.sched_getaffinity(0) - {_processor()}
            for helper in self._helpers if others else ():
                with suppress(OSError):
                    os.sched_setaffinity(helper, others)

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """What ``function`` gives of each piece, in order, as `map` has it. Raises what one raised when all that
        runs has ended."""
        pieces = list(zip(*arguments, strict=True))
        found: list[Any] = [None] * len(pieces)
        numbers = iter(range(len(pieces)))  # its next one is taken by one thread only

        def work() -> None:
            for number in numbers:
                found[number] = function(*pieces[number])

        helping: list[Future[None]] = []
        if self._pool is not None:
            self._make_way()
            helping = [self._pool.submit(work) for _ in range(min(self.workers, len(pieces)) - 1)]
        try:
            work()
        finally:
            late = [each for each in helping if not each.cancel()]
            errors = [error for each in late if (error := each.exception()) is not None]
        for error in errors:
            raise error
        return found
