"""Frames of a file, as a sensor would give them, or as they come through a pipe."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np

from ostinato.data import Float32, FrameTable, as_frames, read
from ostinato.errors import InputError

CHUNK_MS = 20.0
PACE_MS = 10.0


class FramesSource:
    """Chunks of float32 frames [n, size] of a .npy, .npz or .csv (`ostinato.data`), those of all its utterances one
    after the other; of an array; or of a table that comes through a pipe, line by line: a named one, or, for 0,
    standard input.

    In ``realtime`` each frame comes when it is due, ``frame_ms`` after the one before it (default: ``said_ms``, what
    the file says, or 10 ms), counted from the first request; else as fast as it is taken. A chunk has the frames of
    20 ms, one at least. ``seconds`` is None if the length is not known. Raises InputError, naming file and row, for
    what are no frames.
    """

    sample_rate = None
    lost = 0

    def __init__(
        self, data: str | Path | int | Float32, *, frame_ms: float | None = None, realtime: bool = True
    ) -> None:
        self._closed = threading.Event()
        self._release = contextlib.ExitStack()
        self._table: FrameTable | None = None
        self._frames = np.zeros((0, 1), np.float32)
        self.said_ms: float | None = None
        if isinstance(data, np.ndarray):
            self.name, self._frames = "an array", as_frames(data, "the array")
        elif isinstance(data, int):
            self.name, self._table = "standard input", _standard_input()
        else:
            self.name, path = str(data), Path(data)
            if path.is_fifo():
                pipe = self._release.enter_context(path.open(encoding="utf-8-sig", newline=""))
                self._table = FrameTable(pipe, self.name)
            else:
                self._frames, self.said_ms = _read(path)
        self.size: int = self._frames.shape[1] if self._table is None else self._table.size
        self.frame_ms = frame_ms or self.said_ms or PACE_MS
        self.realtime = realtime
        self.seconds = len(self._frames) * self.frame_ms / 1e3 if self._table is None else None

    def __iter__(self) -> Iterator[Float32]:
        start, count = time.monotonic(), 0
        for chunk in self._chunks():
            count += len(chunk)
            due = start + count * self.frame_ms / 1e3
            if self._closed.wait(max(0.0, due - time.monotonic()) if self.realtime else 0.0):
                return
            yield chunk

    def _chunks(self) -> Iterator[Float32]:
        if self._table is not None:
            for row in self._table:
                yield np.array([row.values], np.float32)
            return
        step = max(1, round(CHUNK_MS / self.frame_ms))
        for first in range(0, len(self._frames), step):
            yield self._frames[first : first + step]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._release.close()

    def close(self) -> None:
        """End the iteration; from a pipe after the line that is being waited for."""
        self._closed.set()


def _standard_input() -> FrameTable:
    """The table on standard input, whose first row is read."""
    if sys.stdin is None:
        raise InputError("there is no standard input in this process: name a file")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal: pipe a table into it, or name a file")
    return FrameTable(open(sys.stdin.fileno(), encoding="utf-8-sig", newline="", closefd=False), "standard input")


def _read(path: Path) -> tuple[Float32, float | None]:
    """All frames of a file, and how far apart it says they are."""
    if not path.exists():
        raise InputError(f"there is no file {str(path)!r}")
    parts: list[Float32] = []
    utterances = read(path)
    for each in utterances:
        if isinstance(each.input, str):
            raise InputError(f"{each.name} holds text, not frames: it is for models of text")
        if parts and parts[0].shape[1] != each.input.shape[1]:
            raise InputError(f"{each.name} has other frames than {utterances[0].name}: they cannot be one stream")
        parts.append(each.input)
    return np.concatenate(parts), utterances[0].frame_ms
