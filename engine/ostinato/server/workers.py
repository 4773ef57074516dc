"""Several workers that share a server's streams: each a process, and so a core, with an endpoint of its own.

The first process loads the models, then forks: the *workers*, which serve as a single server does, and the *front*,
which has the server's endpoint and tells who opens a stream there which worker has the fewest (docs/protocol.md,
MOVED). So the memory of models and compiled code is there once, and another worker takes the place of one that has
died within milliseconds. The first process itself only waits: for signals, for its children's ends, for its parent's.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ostinato.errors import AddressError, CapacityError, DrainingError, OstinatoError
from ostinato.server.server import FINISH_S, Server
from ostinato.server.settings import Settings

if TYPE_CHECKING:
    from ostinato.engine import Limits
    from ostinato.streaming import Model

log = logging.getLogger(__name__)
MAX_WORKERS = 64
MAX_DEATHS, DEATHS_S = 5, 60.0
"""After so many deaths in so many seconds no other worker is started."""
SETTLING_S = 0.1
"""How long a stream that was placed counts by itself; by then it is in its worker's own number."""
_ROW, _TEXT = 1024, 1000
_STARTING, _SERVING, _REFUSED = range(3)


def worker_address(bind: str, number: int) -> str:
    """Where worker ``number`` (from 0) listens: the ports after the front's, or the front's path and a number.

    Raises AddressError if there is no such port.
    """
    if bind.startswith("ipc://"):
        return f"{bind}.{number + 1}"
    host, _, port = bind.rpartition(":")
    if port == "*":
        return bind
    if int(port) + 1 + number > 65535:
        raise AddressError(f"{bind}: the workers take the ports after it, and there are not so many: use a lower one")
    return f"{host}:{int(port) + 1 + number}"


class Board:
    """What the processes know of each other, in memory that they share: of each worker and, last, of the front, its
    endpoint (or why it cannot start) and how many streams it has. Each row has one writer at a time."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, (workers + 1) * _ROW + 8)
        self._numbers = np.frombuffer(self._memory, np.int64)
        self._recent: deque[tuple[float, int]] = deque()

    def _at(self, row: int) -> int:
        return row * _ROW // 8

    def state(self, row: int) -> int:
        """Whether that process is starting (or dead), serving, or could not start."""
        return int(self._numbers[self._at(row)])

    def write(self, row: int, state: int, text: str) -> None:
        """Say that a process serves at an endpoint, or why it cannot."""
        raw = text.encode()[:_TEXT]
        start = row * _ROW + 24
        self._numbers[self._at(row) + 1 : self._at(row) + 3] = 0, len(raw)
        self._memory[start : start + len(raw)] = raw
        self._numbers[self._at(row)] = state

    def text(self, row: int) -> str:
        """What `write` said last."""
        start = row * _ROW + 24
        return self._memory[start : start + int(self._numbers[self._at(row) + 2])].decode(errors="replace")

    def died(self, row: int) -> None:
        """No stream is to be opened there."""
        self._numbers[self._at(row) : self._at(row) + 2] = _STARTING, 0

    def report(self, row: int, streams: int) -> None:
        """How many streams a worker has."""
        self._numbers[self._at(row) + 1] = streams

    def drain(self) -> None:
        """No stream is to be opened any more."""
        self._numbers[-1] = 1

    def place(self) -> str:
        """The endpoint of the worker with the fewest streams. Raises DrainingError, CapacityError."""
        if self._numbers[-1]:
            raise DrainingError("the server is shutting down and opens no more streams: use another, or try later")
        now = time.monotonic()
        while self._recent and now - self._recent[0][0] > SETTLING_S:
            self._recent.popleft()
        load = {
            row: int(self._numbers[self._at(row) + 1]) for row in range(self.workers) if self.state(row) == _SERVING
        }
        if not load:
            raise CapacityError("no worker is ready just now: try again")
        for _, row in self._recent:
            if row in load:
                load[row] += 1
        chosen = min(load, key=load.__getitem__)
        self._recent.append((now, chosen))
        return self.text(chosen)


class Supervisor:
    """Starts the workers and the front, puts others in the place of those that die, and ends them all."""

    def __init__(
        self,
        models: Mapping[str, Model],
        bind: str,
        workers: int,
        settings: Settings,
        limits: Limits,
        parent: int | None,
    ) -> None:
        if not hasattr(os, "fork"):
            raise AddressError("this system cannot fork, so there can be one worker only: leave --workers out")
        if not 1 <= workers <= MAX_WORKERS:
            raise AddressError(f"{workers} workers are not from 1 to {MAX_WORKERS}")
        self._models, self._settings, self._limits, self._parent = models, settings, limits, parent
        self._binds = [*(worker_address(bind, number) for number in range(workers)), bind]
        self._board = Board(workers)
        self._children: dict[int, int] = {}  # process id: row
        self._deaths: deque[float] = deque()
        self._asked = 0  # how often to end
        self._end, self._life = os.pipe()  # its end is the children's

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until a signal, or the parent's end; ``ready`` is told the endpoint. Raises AddressError if a process
        cannot listen, OstinatoError if workers die again and again."""
        bell, ear = socket.socketpair()
        for each in (bell, ear):
            each.setblocking(False)
        with _signals(self._ask, bell.fileno()):
            try:
                for row in range(self._board.workers + 1):
                    self._start(row)
                self._wait_until_ready(ear)
                if not self._asked:
                    ready(self._board.text(self._board.workers))
                self._watch(ear)
            finally:
                os.close(self._life)
                self._kill_rest()
                os.close(self._end)
                bell.close()
                ear.close()

    def _ask(self) -> None:
        self._asked += 1

    # --- children ---------------------------------------------------------------------------------------------------

    def _start(self, row: int) -> None:
        sys.stdout.flush()
        with warnings.catch_warnings():
            # Threads of BLAS may be there; they hold no lock, and the child calls none.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process == 0:
            self._be(row)
        self._children[process] = row

    def _be(self, row: int) -> None:
        """Be a worker, or the front. Does not return: what the first process has to clean up is not ours."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            os.setpgid(0, 0)  # a Ctrl-C is the first process's to handle
            os.close(self._life)
            self._serve(row)
            status = 0
        except OstinatoError as error:
            self._board.write(row, _REFUSED, str(error))
        except BaseException:
            log.exception("a worker met a fault")
        finally:
            logging.shutdown()
            os._exit(status)

    def _serve(self, row: int) -> None:
        from ostinato.server.process import drained_by_signals

        board = self._board
        front = row == board.workers
        server = Server(
            self._models,
            self._binds[row],
            settings=self._settings,
            limits=self._limits,
            place=board.place if front else None,
            report=lambda streams: board.report(row, streams),
        )
        server.stop_with(self._end)
        with drained_by_signals(server.stop):
            board.write(row, _SERVING, server.endpoint)
            if self._asked:
                server.stop(drain=True)
            server.run()

    def _wait_until_ready(self, ear: socket.socket) -> None:
        rows = range(self._board.workers + 1)
        while not self._asked and not all(self._board.state(row) == _SERVING for row in rows):
            self._listen(ear, 0.005)
            for row, status in self._ended():
                if self._board.state(row) == _REFUSED:
                    raise AddressError(self._board.text(row))
                raise OstinatoError(f"a worker ended ({_how(status)}) before it was ready: its log says why")
        # Another in its place listens where it did.
        self._binds = [self._board.text(row) for row in rows]

    def _watch(self, ear: socket.socket) -> None:
        workers, told, leaving, deadline = self._board.workers, 0, False, 0.0
        while self._children:
            if self._listen(ear, 0.5):
                return
            for row, status in self._ended():
                if not self._asked:
                    self._replace(row, status)
            if self._asked > told:
                self._board.drain()
                deadline = deadline or time.monotonic() + self._settings.drain_s + 2 * FINISH_S
                self._signal(row for row in range(workers + (self._asked > 1)))
                told = self._asked
            elif self._asked and not leaving and set(self._children.values()) == {workers}:
                self._signal([workers])  # the front takes leave last
                leaving = True
            if deadline and time.monotonic() > deadline:
                return

    def _replace(self, row: int, status: int) -> None:
        what = "the front" if row == self._board.workers else f"worker {row + 1} of {self._board.workers}"
        now = time.monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > DEATHS_S:
            self._deaths.popleft()
        if len(self._deaths) > MAX_DEATHS:
            raise OstinatoError(
                f"{what} has ended ({_how(status)}), the {len(self._deaths)}th death in a minute: giving up"
            )
        log.error("%s has ended (%s) with its streams: another takes its place", what, _how(status))
        self._start(row)

    def _signal(self, rows: Iterator[int] | list[int]) -> None:
        wanted = set(rows)
        for process, row in self._children.items():
            if row in wanted:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)

    def _ended(self) -> list[tuple[int, int]]:
        """The children that have ended since: row and wait status."""
        ended = []
        for process in list(self._children):
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                row = self._children.pop(process)
                if self._board.state(row) == _SERVING:
                    self._board.died(row)
                ended.append((row, status))
        return ended

    def _listen(self, ear: socket.socket, seconds: float) -> bool:
        """Wait for a signal; whether our parent has ended."""
        sources = [ear.fileno()] if self._parent is None else [ear.fileno(), self._parent]
        stirred, _, _ = select.select(sources, [], [], seconds)
        if ear.fileno() in stirred:
            with contextlib.suppress(BlockingIOError):
                ear.recv(4096)
        return self._parent in stirred and not os.read(self._parent or 0, 64)

    def _kill_rest(self) -> None:
        """The end of the pipe ends the children; those that do not heed it are killed."""
        end = time.monotonic() + FINISH_S
        while self._children and time.monotonic() < end:
            self._ended()
            time.sleep(0.005)
        for process in self._children:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit status {code}" if code >= 0 else f"signal {-code}"


@contextlib.contextmanager
def _signals(ask: Callable[[], None], bell: int) -> Iterator[None]:
    """Signals to end ask for it; they and the end of a child ring the bell."""
    from ostinato.server.process import ending_signals

    handlers = dict.fromkeys(ending_signals(), lambda *_: ask()) | {signal.SIGCHLD: lambda *_: None}
    former = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    former_bell = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_bell)
        for each, handler in former.items():
            signal.signal(each, handler)
