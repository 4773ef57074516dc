"""Tables of texts: ``.csv`` whose first row names a column ``text``, and perhaps one ``label``; a row a text."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from ostinato.data.table import SEPARATORS
from ostinato.data.text import read_text
from ostinato.data.utterance import Utterance
from ostinato.errors import InputError

COLUMNS = ("text", "label")


def has_texts(path: Path) -> bool:
    """Whether a table's first row names a column of texts."""
    with path.open("rb") as file:
        first = file.readline(1 << 16).decode("utf-8-sig", "replace")
    return "text" in _header(first)[1]


def read_texts(path: Path) -> list[Utterance]:
    """Its texts, with their labels. Raises InputError, naming the row, and OSError."""
    text = read_text(path)
    separator, columns = _header(text.partition("\n")[0])
    if others := [column for column in columns if column not in COLUMNS]:
        raise InputError(f"{path.name} has a column {others[0]!r}: beside text only label is read, so leave it out")
    found = []
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in rows:
            if rows.line_num == 1 or not cells:
                continue
            where = f"{path.name}, row {rows.line_num}"
            if len(cells) != len(columns):
                raise InputError(
                    f"{where} has {len(cells)} cells, the first row {len(columns)}: quote texts with {separator!r}"
                )
            row = dict(zip(columns, cells, strict=True))
            if not row["text"].strip():
                raise InputError(f"{where} has no text: leave the row out")
            label = row.get("label", "").strip()
            found.append(Utterance(path.name, row["text"], np.array(label) if label else None, row=rows.line_num))
    except csv.Error as error:
        raise InputError(f"{path.name}, row {rows.line_num}: {error}: a text in quotes ends with them") from None
    if not found:
        raise InputError(f"{path.name} has no row below the names of its columns")
    return found


def _header(line: str) -> tuple[str, list[str]]:
    """The separator, and the names of the columns."""
    separator = max(SEPARATORS, key=line.count)
    return separator, [name.strip().strip('"').casefold() for name in line.strip().split(separator)]
