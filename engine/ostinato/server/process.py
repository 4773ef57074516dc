"""A server as a process: `serve` is one, `spawn_server` starts one of one's own."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ostinato import children, stdio
from ostinato.errors import ConnectionLostError
from ostinato.model import resolve
from ostinato.server.address import check_address
from ostinato.server.memory import keep_free
from ostinato.server.settings import Settings
from ostinato.server.signals import drained_by_signals

if TYPE_CHECKING:
    from ostinato.engine import Limits

Name = str | os.PathLike[str]
DEFAULT_BIND = "tcp://127.0.0.1:7077"
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_DESCRIPTORS = 16384
_IMPORTED = time.monotonic()


def serve(
    bind: str = DEFAULT_BIND,
    *,
    models: Sequence[Name] | None = None,
    folders: Iterable[Name] = (),
    settings: Settings | None = None,
    limits: Limits | None = None,
    parent: int | None = None,
    workers: int = 1,
    log_level: str | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, which drains; a second one ends at once.

    ``models`` by name or path, None: all that are bundled or in ``folders``. When all are loaded and have done a
    first step, a line on standard output says so: ``ready ENDPOINT MODEL,MODEL start-up N ms``. ``parent``: the
    descriptor of a pipe; its end ends the server. ``workers``: processes that share the streams (see
    `ostinato.server.workers`). ``log_level``: debug, info, warning or error; None: info, or warning with a parent,
    whose terminal it shares. Raises AddressError, UnknownModelError, BadModelFileError.
    """
    check_address(bind)
    stdio.open_descriptors()
    level = log_level or ("info" if parent is None else "warning")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=level.upper())
    _raise_descriptor_limit()
    keep_free()
    gc.disable()  # what is loaded now stays: looking for garbage in it would take a tenth of the start
    try:
        from ostinato.engine import Limits  # loads Numba: an address that is refused should be so at once
        from ostinato.server.loading import load_models, warm_up
        from ostinato.server.server import Server

        settings, limits = settings or Settings(), limits or Limits()
        loaded = load_models(models, folders, limits.max_streams)
        for model in loaded.values():
            warm_up(model)
        gc.freeze()  # nor need later collections look through it; and workers share its pages
    finally:
        gc.enable()
    # Messages come and go without cycles: looking for some costs more than it finds.
    gc.set_threshold(50_000, 20, 100)

    def ready(endpoint: str) -> None:
        with contextlib.suppress(OSError):  # who does not listen is served all the same
            print(f"ready {endpoint} {','.join(loaded)} start-up {_age_ms():.0f} ms", flush=True)

    if workers != 1:
        from ostinato.server.workers import Supervisor

        Supervisor(loaded, bind, workers, settings, limits, parent).run(ready)
        return
    server = Server(loaded, bind, settings=settings, limits=limits)
    if parent is not None:
        server.stop_with(parent)
    with drained_by_signals(server.stop):
        ready(server.endpoint)
        server.run()


class Spawned(NamedTuple):
    """A server in a process of its own; it ends with this one, or by `close`."""

    endpoint: str
    process: subprocess.Popen[str]

    def close(self) -> None:
        """End it and wait for that."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Spawned:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def spawn_server(
    models: Sequence[Name] | None = None,
    folders: Iterable[Name] = (),
    *,
    workers: int = 1,
    timeout: float = 120.0,
    max_utterance_s: float | None = None,
    program: Sequence[str] = ("-m", "ostinato.server"),
) -> Spawned:
    """A server of these models on a free port of loopback, once it is ready. `served_name` says what it calls them.
    ``max_utterance_s``: its bound, None: as `Limits` has it. ``program``: what Python runs, with its arguments.

    It ends when this process does, however that ends. Raises UnknownModelError; ConnectionLostError if it is not
    ready within ``timeout`` seconds or cannot start (its standard error, which is ours, says why).
    """
    found_in = [os.fspath(folder) for folder in folders]
    arguments = [*program, "--bind", "tcp://127.0.0.1:*", "--with-parent", "--workers", str(workers)]
    for folder in found_in:
        arguments += ["--models", folder]
    for model in models or ():
        arguments += ["--model", str(resolve(model, found_in))]
    if max_utterance_s is not None:
        arguments += ["--max-utterance", str(max_utterance_s)]
    process = children.start(arguments)
    # A thread, because a pipe has no portable timeout: it ends the process, which ends the reading.
    impatience = threading.Timer(timeout, process.kill)
    impatience.start()
    words: list[str] = []
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
    finally:
        impatience.cancel()
        if words[:1] != ["ready"]:  # nothing is lost by ending it at once
            process.kill()
            Spawned("", process).close()
    if words[:1] != ["ready"]:
        raise ConnectionLostError(f"the private server ended before it was ready (exit status {process.returncode})")
    return Spawned(words[1], process)


def _raise_descriptor_limit() -> None:
    """Each connection takes a descriptor: take as many as we may."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_DESCRIPTORS)), hard))


def _age_ms() -> float:
    """How old this process is: on Linux since it was started, elsewhere since this module was imported."""
    try:
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return 1000 * (time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError):
        return 1000 * (time.monotonic() - _IMPORTED)
