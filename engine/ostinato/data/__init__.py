"""A user's own data: files of frames or tokens, with labels or numbers that are right for them.

A room for each format; `FORMATS` is the table of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ostinato.data.arrays import read_npy, read_npz
from ostinato.data.table import FrameTable, read_csv
from ostinato.data.text import read_lines, read_text
from ostinato.data.text_table import has_texts, read_texts
from ostinato.data.utterance import Float32, Labels, Utterance, as_frames, check_pace
from ostinato.errors import InputError


def read_table(path: Path) -> list[Utterance]:
    """A table of frames, or of texts."""
    return read_texts(path) if path.is_file() and has_texts(path) else read_csv(path)


FORMATS: Mapping[str, Callable[[Path], list[Utterance]]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_table,
    ".txt": read_lines,
    ".tsv": read_lines,
}
"""By the ending of the file's name."""
OF_FRAMES, OF_TEXT = (".csv", ".npy", ".npz"), (".csv", ".txt", ".tsv")


def read(path: Path) -> list[Utterance]:
    """The utterances of a file, one at least. Raises InputError, naming the file and the place in it, and OSError."""
    reader = FORMATS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path.name} is no file of data: those end in {', '.join(FORMATS)}")
    if path.exists() and not path.is_file():
        raise InputError(f"{path.name} is no file: name one, or a folder of them")
    return reader(path)


__all__ = [
    "FORMATS", "OF_FRAMES", "OF_TEXT", "Float32", "Labels", "FrameTable", "Utterance", "as_frames", "check_pace",
    "read", "read_text",
]  # fmt: skip
