"""What signals do to a server."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Protocol


class Stop(Protocol):
    """`Server.stop`."""

    def __call__(self, *, drain: bool = False) -> None:
        """Ask for the end."""


def ending_signals() -> list[signal.Signals]:
    """The signals to end: SIGTERM, SIGINT, and SIGHUP (a terminal that goes away) unless ``nohup`` has made
    the process ignore it."""
    ending = [signal.SIGTERM, signal.SIGINT]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        ending.append(signal.SIGHUP)
    return ending


@contextlib.contextmanager
def drained_by_signals(stop: Stop) -> Iterator[None]:
    """Signals to end ask the server to drain. Only the main thread may say so; elsewhere nothing happens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {each: signal.signal(each, lambda *_: stop(drain=True)) for each in ending_signals()}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


@contextlib.contextmanager
def signals_ring(ask: Callable[[], None], bell: int) -> Iterator[None]:
    """Signals to end ask for it; they and the end of a child ring the bell."""
    handlers = dict.fromkeys(ending_signals(), lambda *_: ask()) | {signal.SIGCHLD: lambda *_: None}
    former = {each: signal.signal(each, handler) for each, handler in handlers.items()}
    former_bell = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(former_bell)
        for each, handler in former.items():
            signal.signal(each, handler)
