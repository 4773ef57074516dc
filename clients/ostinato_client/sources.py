"""Where a stream's input comes from: what all sources can do, and text.

Each source is a context manager and iterates over what `Stream.push` takes. ``sample_rate`` (Hz, None for text) is
for `Client.open`; ``lost`` counts what did not get through. `close`, from any thread, ends the iteration.
`ostinato_client.microphone` and `ostinato_client.recording` have the others; PortAudio and libsndfile are loaded only
when one of them needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Protocol, Self, TextIO

from ostinato.errors import InputError

LINE_CHARACTERS = 4096


class Source(Protocol):
    """What all sources can do."""

    @property
    def sample_rate(self) -> int | None:
        """Hz; None for text."""

    @property
    def lost(self) -> int:
        """Chunks that did not get through."""

    def __iter__(self) -> Iterator[Any]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def close(self) -> None:
        """End the iteration."""


class TextSource:
    """Text as it comes, line by line with the line's end (long lines in pieces); by default from standard input."""

    sample_rate = None
    lost = 0

    def __init__(self, text: TextIO | None = None) -> None:
        self._text = text or sys.stdin
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        while not self._closed:
            try:
                line = self._text.readline(LINE_CHARACTERS)
            except UnicodeDecodeError as error:
                raise InputError(f"the text is not {error.encoding}: {error.reason}") from error
            if not line:
                return
            yield line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration after the line that is being waited for."""
        self._closed = True
