"""Pieces of work done side by side, by the caller and by threads that help it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class SideBySide:
    """Calls on up to ``workers`` threads, of which the caller's is one: each takes the next piece when it is done.

    The caller computes too, so that only the others have to be woken, while its own processor is seen to be busy: of
    two that it woke before it slept, Linux often put both on one. One that is not awake in time is not waited for.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def threads(self) -> Iterator[None]:
        """Within it, there are threads that help; without, the caller does all."""
        if self.workers == 1:
            yield
            return
        with ThreadPoolExecutor(self.workers - 1, "learning") as self._pool:
            try:
                yield
            finally:
                self._pool = None

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
            helping = [self._pool.submit(work) for _ in range(min(self.workers, len(pieces)) - 1)]
        try:
            work()
        finally:
            late = [each for each in helping if not each.cancel()]
            errors = [error for each in late if (error := each.exception()) is not None]
        for error in errors:
            raise error
        return found
