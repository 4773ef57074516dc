"""Whose frames a model computes next: those who are first in its line, until the tick is full."""

from __future__ import annotations

from dataclasses import dataclass, field

from ostinato.engine.columns import ColumnGroup
from ostinato.engine.control import Control
from ostinato.engine.results import Answer, Answers
from ostinato.engine.session import Group, Message, Pushes, ServedModel, Session


@dataclass(slots=True)
class Turn:
    """What one model computes in a tick: groups, then single streams, then those that generate; or groups of columns.
    About so many rows."""

    groups: list[Group] = field(default_factory=list)
    columns: list[ColumnGroup] = field(default_factory=list)
    singles: list[Session] = field(default_factory=list)
    generating: list[Session] = field(default_factory=list)
    rows: int = 0
    started_ns: int = 0
    took_ns: int = 0

    def sessions(self) -> list[Session]:
        """All of them."""
        return [session for group in self.groups for session in group.sessions] + self.singles + self.generating

    def join_columns(self, group: ColumnGroup, room: int, most: int) -> ColumnGroup | None:
        """Let a group of columns join, as much of it as fits, or scatter it. What stays: all of it, if its turn is a
        later one."""
        due = group.due
        if self.rows:
            alike = bool(self.columns) and self.columns[0].fits(group)
            if not due or not alike or self.rows + group.frames > most:
                return group
        if not due:
            group.scatter()
        if not group.pushes.size:
            return None
        taken, stays = group.split(room)
        self.columns.append(taken)
        self.rows += taken.frames
        return stays

    def join_group(self, group: Group, room: int, most: int) -> bool:
        """Let a group join as a whole, or scatter it; False if its turn is a later one."""
        rows, due = group.rows, group.due
        if self.rows and (not due or self.rows + rows > most):
            return False
        if rows > room or not due:
            group.scatter()
        elif rows:
            self.groups.append(group.take())
            self.rows += rows
        return True


def next_turn(served: ServedModel, ms: float, control: Control, results: list[Answer | Answers]) -> Turn:
    """Let the first in the model's line, as many as fit ``ms``, have their turn; what is done at once is answered."""
    most = served.model.runner.max_rows
    room = min(served.pace.rows(ms), most)
    turn = Turn()
    for _ in range(len(served.line)):
        first = served.line.popleft()
        stays: Session | Pushes | None = None
        if isinstance(first, ColumnGroup):
            stays = turn.join_columns(first, room, most)
        elif turn.columns:
            stays = first
        elif isinstance(first, Group):
            if not turn.join_group(first, room, most):
                stays = first
        else:
            assert isinstance(first, Session)
            first.lined = False
            if (message := control.next_push(first, results)) is not None:
                turn.singles.append(first)
                turn.rows += _rows(first, message)
            elif first.goes_on:
                turn.generating.append(first)
                turn.rows += first.rows
        if stays is not None:
            served.line.appendleft(stays)
            break
        if turn.rows >= room:
            break
    return turn


def _rows(session: Session, message: Message) -> int:
    """About how many frames the stream's turn will compute."""
    frames = session.served.share if message.accepted else int(message.units / session.units_per_frame) or 1
    wait = session.record.wait
    if session.record.options.wait_k is not None:  # a token comes of it
        frames += session.looking_up
    if wait is None:
        return frames
    return wait.frames if session.record.waiting + frames >= wait.frames else 1
