"""Standard input, output and error, whatever a process was started with: closed, full, of another encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

_PLAIN = {
    "✓": "+", "✗": "x", "…": "...", "–": "-", "—": "-", "·": "-", "→": "->", "×": "x", "±": "+-", "µ": "u",
    "█": "#", "─": "-", "│": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "├": "+", "┤": "+",
    "┼": "+", "┴": "+", "●": "o", "◆": "*", "’": "'", "“": '"', "”": '"',
}  # fmt: skip


def open_descriptors() -> None:
    """Open those of the descriptors 0, 1 and 2 that are closed, on nothing.

    Else the next files and sockets that are opened would take their numbers, and be read, or written into, as if
    they were the standard ones.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one


def prepare() -> None:
    """Make the standard streams of this process such that a program may use them without a thought.

    What was closed leads nowhere. Signs that an encoding lacks are written as plain ones, or as "?". An error of
    writing has the stream's name as its ``filename``, and is raised once: what is written later is lost in silence.
    """
    open_descriptors()
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stdout = _writer(sys.stdout, 1, "standard output")
    sys.stderr = _writer(sys.stderr, 2, "standard error")


def speaks_utf8(stream: TextIO) -> bool:
    """Whether all signs can be written there."""
    try:
        return codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    except LookupError:
        return False


class _Named(io.BufferedWriter):
    """Writes to a descriptor; errors say which one it is.

    This, and not the raw file below, is what Python code stands around: an interrupt (Ctrl-C) between a write and its
    return would make the buffer write again what is written.
    """

    def __init__(self, descriptor: int, title: str) -> None:
        super().__init__(io.FileIO(descriptor, "w", closefd=False))
        self._title, self._failed = title, False

    def write(self, data: Any, /) -> int:
        if self._failed:
            return memoryview(data).nbytes
        with self._naming():
            return super().write(data)

    def flush(self) -> None:
        if not self._failed:
            with self._naming():
                super().flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except BlockingIOError:
            raise
        except OSError as error:
            self._failed = True  # Python writes again when it exits what could not be written
            error.filename = self._title
            raise


def _writer(stream: TextIO | None, descriptor: int, title: str) -> TextIO:
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
    if getattr(stream, "fileno", None) is None or not isinstance(stream, io.TextIOWrapper):
        return stream  # another program's, or a test's
    try:
        if stream.fileno() != descriptor:
            return stream
    except (OSError, ValueError):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        _Named(descriptor, title),
        encoding=stream.encoding,
        errors="ostinato.plain",
        line_buffering=stream.line_buffering or descriptor == 2,
    )


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


codecs.register_error("ostinato.plain", _plain)
