"""A served model: the line of its streams that have something waiting, and its share of a tick."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal

from ostinato.engine.session import Group, Session
from ostinato.model.front_ends import LogMel, Tokens

if TYPE_CHECKING:
    from ostinato.streaming import Model

MIN_ROWS = 64


def unit(model: Model) -> Literal["sample", "character", "frame"]:
    """What a model's input is counted in."""
    settings = model.network.specification.front_end
    return "sample" if isinstance(settings, LogMel) else "character" if isinstance(settings, Tokens) else "frame"


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


class Served:
    """A model, and its streams in line."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.causal = model.direction == "unidirectional"
        self.line: deque[Session | Group] = deque()
        self.pace = Pace()

    def enter(self, session: Session) -> None:
        """Put a session that has something waiting at the end of the line, unless it stands there."""
        if not session.lined:
            session.lined = True
            self.line.append(session)

    def scatter(self) -> None:
        """Put what waits in groups into the queues of its streams, in order."""
        for each in list(self.line):
            if isinstance(each, Group):
                each.scatter()
