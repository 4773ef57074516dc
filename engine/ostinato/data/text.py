"""Text: ``.txt`` and ``.tsv``, a line for each utterance; what it should be taken for follows after a tab."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import numpy as np

from ostinato.data.utterance import Utterance
from ostinato.errors import InputError

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, max_bytes: int = 1 << 28) -> str:
    """A text file: UTF-8, or UTF-16 or UTF-32 with a byte order mark, which is no part of the text; lines
    end in a line feed, whatever they end in there.

    Raises FileNotFoundError; InputError, naming the file, for what is no such text, no file, or longer than
    ``max_bytes``.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{str(path)!r} is no file: put the text into one of that name")
    with path.open("rb") as file:
        raw = file.read(min(max_bytes, os.fstat(file.fileno()).st_size) + 1)  # memory is taken for all of it at once
    if len(raw) > max_bytes:
        raise InputError(f"{str(path)!r} is longer than {max_bytes >> 20} MB: that is more than is read")
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        name, byte = encoding.upper().removesuffix("-SIG"), raw[error.start]
        raise InputError(
            f"{str(path)!r} is not {name} (byte {error.start} is 0x{byte:02x}): save it as UTF-8, or convert it, "
            "such as iconv -f LATIN1 -t UTF-8"
        ) from None
    if "\0" in text:
        raise InputError(f"{str(path)!r} is no text (it has NUL characters): save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_lines(path: Path) -> list[Utterance]:
    """Utterances: lines of text, and after a tab the label, or one for each token with spaces between them. Empty
    lines are none. Raises InputError, OSError."""
    utterances = []
    for row, line in enumerate(read_text(path).split("\n"), 1):
        text, *labels = line.split("\t")
        if not line.strip():
            continue
        if len(labels) > 1:
            raise InputError(f"{path.name}, row {row} has {len(labels)} tabs: a text, one tab and its label")
        label = labels[0].strip() if labels else ""
        utterances.append(Utterance(path.name, text, np.array(label) if label else None, row=row))
    if not utterances:
        raise InputError(f"{path.name} is empty: it has no line of text")
    return utterances
