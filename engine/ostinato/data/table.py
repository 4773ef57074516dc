"""Tables: ``.csv``, a row for each frame, whose first row names the columns. Read line by line, and no further than
`MOST_VALUES`, so that a long file takes no more memory than its numbers."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from ostinato.data.utterance import MOST_VALUES, Utterance
from ostinato.errors import InputError

SEPARATORS = ",;\t"
LONGEST_LINE = 1 << 22
MOST_COLUMNS = 1 << 16
TIMES = {"time": 1e3, "time_s": 1e3, "time_ms": 1.0}
"""Columns that say when a frame was, and how many ms their unit is."""
STEADY = 0.5
"""A step in time that differs by this share from the usual one is a frame that is missing, or one too many."""


class Row(NamedTuple):
    """A frame, and what its row says of it: no label is "", no target NaN."""

    values: list[float]
    targets: list[float]
    label: str
    time_ms: float | None


class FrameTable:
    """The rows of a table called ``name``, as they are read from ``file`` (opened with newline=""), also while
    somebody writes it. Raises InputError, naming the row, for what is none."""

    def __init__(self, file: IO[str], name: str) -> None:
        self.name = name
        self._lines = self._read(file)
        try:
            header = next(self._lines, "")
            self._separator = max(SEPARATORS, key=header.count)
            self._columns = [each.strip() for each in next(csv.reader([header], delimiter=self._separator), [])]
        except csv.Error as error:
            raise self._refused(error) from None
        if len(self._columns) > MOST_COLUMNS:
            raise InputError(f"{name} has {len(self._columns)} columns, more than the {MOST_COLUMNS} that are read")
        kinds = [column.casefold() for column in self._columns]
        if not kinds or "" in kinds or any(_number(column) is not None for column in kinds):
            raise InputError(
                f"{name}: its first row must name the columns, such as x,y,label: {header.strip()[:60]!r}"
            )
        if len(set(kinds)) < len(kinds):
            twice = next(column for column, kind in zip(self._columns, kinds, strict=True) if kinds.count(kind) > 1)
            raise InputError(f"{name} has two columns {twice!r}: name them differently")
        timed = [at for at, kind in enumerate(kinds) if kind in TIMES]
        if len(timed) > 1:
            raise InputError(
                f"{name} has columns {' and '.join(self._columns[at] for at in timed)}: one time is enough"
            )
        self._time = (timed[0], TIMES[kinds[timed[0]]]) if timed else None
        self._label = kinds.index("label") if "label" in kinds else None
        self._targets = [at for at, kind in enumerate(kinds) if kind.startswith("target")]
        taken = {self._label, *timed, *self._targets}
        self._values = [at for at in range(len(kinds)) if at not in taken]
        if not self._values:
            raise InputError(
                f"{name} has no column of values beside {', '.join(self._columns)}: those are the frames"
            )

    @property
    def size(self) -> int:
        """Values in a frame."""
        return len(self._values)

    @property
    def targets(self) -> int:
        """Targets of a frame."""
        return len(self._targets)

    @property
    def labelled(self) -> bool:
        """Whether frames have labels."""
        return self._label is not None

    @property
    def timed(self) -> bool:
        """Whether frames have times."""
        return self._time is not None

    def __iter__(self) -> Iterator[Row]:
        try:
            for number, cells in enumerate(csv.reader(self._lines, delimiter=self._separator), 2):
                yield self._row(cells, f"{self.name}, row {number}")
        except csv.Error as error:
            raise self._refused(error) from None

    def _row(self, cells: Sequence[str], where: str) -> Row:
        if not cells:
            raise InputError(f"{where} is empty: rows are frames, without gaps")
        if len(cells) != len(self._columns):
            raise InputError(f"{where} has {len(cells)} cells, the first row names {len(self._columns)} columns")

        def value(at: int) -> float:
            return _value(cells[at], self._columns[at], where)

        return Row(
            [value(at) for at in self._values],
            [value(at) if cells[at].strip() else math.nan for at in self._targets],
            "" if self._label is None else cells[self._label].strip(),
            None if self._time is None else value(self._time[0]) * self._time[1],
        )

    def _read(self, file: IO[str]) -> Iterator[str]:
        try:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise InputError(f"{self.name} has a line of over {LONGEST_LINE >> 20} MB: is it a table?")
                yield line
        except UnicodeDecodeError as error:
            raise InputError(
                f"{self.name} is not UTF-8 (byte 0x{error.object[error.start]:02x}): save it as UTF-8, or convert "
                "it, such as iconv -f LATIN1 -t UTF-8"
            ) from None

    def _refused(self, error: Exception) -> InputError:
        return InputError(f"{self.name} is no table ({error}): save it as CSV")


def read_csv(path: Path) -> list[Utterance]:
    """One utterance: a column ``label`` has labels, those that begin with ``target`` targets, ``time`` (seconds) or
    ``time_ms`` the time of each row; all others are the frames' values, in their order. A label or target that is
    left empty is none. Raises InputError, naming the row, and OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = FrameTable(file, path.name)
        values, targets, times, labels = array("f"), array("f"), array("d"), list[str]()
        for number, row in enumerate(table, 2):
            values.extend(row.values)
            targets.extend(row.targets)
            labels += [row.label] * table.labelled
            times.extend([] if row.time_ms is None else [row.time_ms])
            if len(values) + len(targets) + 8 * len(labels) > MOST_VALUES:
                most = f"a table has at most {MOST_VALUES:,} values"
                raise InputError(f"{path.name}, row {number}: {most}: cut it into several files")
    if not values:
        raise InputError(f"{path.name} has no row below the names of its columns")
    made = Utterance(
        path.name,
        np.array(values, np.float32).reshape(-1, table.size),
        np.array(labels) if table.labelled else None,
        np.array(targets, np.float32).reshape(-1, table.targets) if table.targets else None,
        _frame_ms(times, path.name) if table.timed else None,
        row=2,
    )
    return [made]


def _value(cell: str, column: str, where: str) -> float:
    """A float32's value. Raises InputError for what is none."""
    number = _number(cell)
    if number is None:
        why = ": write a point, not a comma, in numbers" if "," in cell else ""
        raise InputError(f"{where}, column {column!r}: {cell.strip()[:60]!r} is no number{why}")
    if not abs(number) <= float(np.finfo(np.float32).max):
        raise InputError(f"{where}, column {column!r}: {cell.strip()} is not finite, or too large: repair it")
    return number


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _frame_ms(times_ms: Sequence[float], name: str) -> float | None:
    """How far apart the rows are, which must be alike. None of a single row."""
    if len(times_ms) < 2:
        return None
    steps = np.diff(times_ms)
    usual = float(np.median(steps))
    for row, (before, now) in enumerate(pairwise(times_ms), 3):
        if not abs(now - before - usual) < STEADY * usual:
            raise InputError(
                f"{name}, row {row}: {now - before:g} ms after the row before, where {usual:g} ms is usual: a model "
                "takes frames at one pace; resample them, or cut the file there"
            )
    return float(steps.mean())
