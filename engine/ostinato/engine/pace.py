"""How many frames fit a tick."""

from __future__ import annotations

MIN_ROWS = 64


class Pace:
    """How long a frame takes, from the ticks so far; old ones count less and less."""

    __slots__ = ("_ns", "_rows")

    def __init__(self) -> None:
        self._rows, self._ns = 1.0, 10_000.0

    def add(self, rows: int, ns: int) -> None:
        """``rows`` frames took ``ns``."""
        self._rows = 0.9 * self._rows + rows
        self._ns = 0.9 * self._ns + ns

    def rows(self, ms: float) -> int:
        """Frames that can be computed in ``ms``, at least MIN_ROWS."""
        return max(MIN_ROWS, int(ms * 1e6 * self._rows / self._ns))
