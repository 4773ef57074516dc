"""Tables: ``.csv``, a row for each frame, whose first row names the columns. Read line by line, and no further than
`MOST_VALUES`, so that a long file takes no more memory than its numbers."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

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


def read_csv(path: Path) -> list[Utterance]:
    """One utterance: a column ``label`` has labels, those that begin with ``target`` targets, ``time`` (seconds) or
    ``time_ms`` the time of each row; all others are the frames' values, in their order. A label or target that is
    left empty is none. Raises InputError, naming the row, and OSError."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            return [_read(file, path.name)]
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path.name} is not UTF-8 (byte 0x{error.object[error.start]:02x}): save it as UTF-8, or convert "
                "it, such as iconv -f LATIN1 -t UTF-8"
            ) from None
        except csv.Error as error:
            raise InputError(f"{path.name} is no table ({error}): save it as CSV") from None


def _read(file: IO[str], name: str) -> Utterance:
    lines = _lines(file, name)
    header = next(lines, "")
    separator = max(SEPARATORS, key=header.count)
    columns = [column.strip() for column in next(csv.reader([header], delimiter=separator), [])]
    if len(columns) > MOST_COLUMNS:
        raise InputError(f"{name} has {len(columns)} columns, more than the {MOST_COLUMNS} that are read")
    kinds = [column.casefold() for column in columns]
    if not columns or "" in columns or any(_number(column) is not None for column in columns):
        raise InputError(f"{name}: its first row must name the columns, such as x,y,label: {header.strip()[:60]!r}")
    if len(set(kinds)) < len(kinds):
        twice = next(column for column, kind in zip(columns, kinds, strict=True) if kinds.count(kind) > 1)
        raise InputError(f"{name} has two columns {twice!r}: name them differently")
    timed = [at for at, kind in enumerate(kinds) if kind in TIMES]
    if len(timed) > 1:
        raise InputError(f"{name} has columns {' and '.join(columns[at] for at in timed)}: one time is enough")
    labelled = kinds.index("label") if "label" in kinds else None
    targeted = [at for at, kind in enumerate(kinds) if kind.startswith("target")]
    valued = [at for at in range(len(columns)) if at not in (labelled, *timed, *targeted)]
    if not valued:
        raise InputError(f"{name} has no column of values beside {', '.join(columns)}: those are the frames")
    values, targets, times, labels = array("f"), array("f"), array("d"), list[str]()
    row = 1
    for row, cells in enumerate(csv.reader(lines, delimiter=separator), 2):
        where = f"{name}, row {row}"
        if not cells:
            raise InputError(f"{where} is empty: rows are frames, without gaps")
        if len(cells) != len(columns):
            raise InputError(f"{where} has {len(cells)} cells, the first row names {len(columns)} columns")
        values.extend(_value(cells[at], columns[at], where) for at in valued)
        targets.extend(_value(cells[at], columns[at], where) if cells[at].strip() else math.nan for at in targeted)
        times.extend(_value(cells[at], columns[at], where) for at in timed)
        if labelled is not None:
            labels.append(cells[labelled].strip())
        if len(values) + len(targets) + 8 * len(labels) > MOST_VALUES:
            raise InputError(f"{where}: a table has at most {MOST_VALUES:,} values: cut it into several files")
    if row == 1:
        raise InputError(f"{name} has no row below the names of its columns")
    return Utterance(
        name,
        np.array(values, np.float32).reshape(-1, len(valued)),
        np.array(labels) if labelled is not None else None,
        np.array(targets, np.float32).reshape(-1, len(targeted)) if targeted else None,
        _frame_ms(times, TIMES[kinds[timed[0]]], name) if timed else None,
        row=2,
    )


def _lines(file: IO[str], name: str) -> Iterator[str]:
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise InputError(f"{name} has a line of over {LONGEST_LINE >> 20} MB: is it a table?")
        yield line


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


def _frame_ms(times: Sequence[float], unit_ms: float, name: str) -> float | None:
    """How far apart the rows are, which must be alike. None of a single row."""
    if len(times) < 2:
        return None
    steps = np.diff(times)
    usual = float(np.median(steps))
    for row, (before, now) in enumerate(pairwise(times), 3):
        if not abs(now - before - usual) < STEADY * usual:
            raise InputError(
                f"{name}, row {row}: {(now - before) * unit_ms:g} ms after the row before, where {usual * unit_ms:g} "
                "ms is usual: a model takes frames at one pace; resample them, or cut the file there"
            )
    return float(steps.mean()) * unit_ms
