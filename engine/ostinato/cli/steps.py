"""How far something is that takes longer than two seconds and has stages."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from rich.markup import escape
from rich.status import Status

from ostinato.cli.console import err, note


class Steps:
    """Tells how far a stage is: one line that changes on a terminal, elsewhere a line at each quarter. ``shown``: how
    a count is written. A total of 0 is one that nobody knows."""

    def __init__(self, shown: Callable[[int], str] = str) -> None:
        self._status = Status("", console=err)
        self._shown = shown
        self._quarter: tuple[str, int] | None = None

    def __enter__(self) -> Steps:
        return self

    def __call__(self, what: str, done: int, total: int) -> None:
        """``done`` of ``total``."""
        line = f"{what}: {self._shown(done)} of {self._shown(total)}" if total else what
        if err.is_terminal:
            self._status.update(f"[dim]{escape(line)}[/]")
            if done < total or not total:
                self._status.start()
            else:
                self._status.stop()  # learning, which may come next, has a display of its own
        elif self._quarter != (quarter := (what, 4 * done // max(total, 1))):
            self._quarter = quarter
            note(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()
