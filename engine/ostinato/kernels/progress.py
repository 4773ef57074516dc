"""What people are told while kernels are compiled: on stderr, if there is one."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable

_PATIENCE = 1.0  # seconds of compiling before anything is said about it
_PRINT_EVERY = 2.0  # seconds between lines where there is no terminal to rewrite one on


def tell(text: str) -> None:
    """Write to stderr; nothing, where there is none (pythonw, services) or where nobody reads it any more."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (OSError, ValueError):  # closed
        return False


class Progress:
    """Counts functions that are compiled or loaded and says so if compiling takes long: to ``report``, or on stderr.

    ``kept``: whether this is the only time.
    """

    def __init__(self, count: int, report: Callable[[str], None] | None, *, kept: bool) -> None:
        self.count, self.done = count, 0
        self.once = ", only this once" if kept else ""
        self.before = time.monotonic()
        self.compiled, self.compiling = 0, 0.0
        self.said_at = 0.0
        self.terminal = report is None and _is_terminal()
        self.pause = _PRINT_EVERY if report is None and not self.terminal else 0.0
        self.report = report or self._print

    def step(self, compiled: bool) -> None:
        """One more is done; whether it was compiled, and not only loaded, slowly as that may be on a busy machine."""
        self.done += 1
        now = time.monotonic()
        self.compiled += compiled
        self.compiling += (now - self.before) * compiled
        self.before = now
        if compiled and self.compiling > _PATIENCE and now - self.said_at > self.pause:
            self.said_at = now
            self.report(f"ostinato: compiling for this CPU{self.once}: {self.done} of {self.count} functions")

    def finish(self) -> None:
        """All are done."""
        if self.said_at:
            self.report(f"ostinato: compiled {self.compiled} functions in {self.compiling:.0f} s")
            if self.terminal:
                tell("\n")

    def _print(self, message: str) -> None:
        tell(f"\r\x1b[K{message}" if self.terminal else f"{message}\n")
