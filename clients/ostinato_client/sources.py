"""Where a stream's input comes from: what all sources can do, and text.

Each source is a context manager and iterates over what `Stream.push` takes. ``sample_rate`` (Hz, None for text) is
for `Client.open`; ``lost`` counts what did not get through. `close`, from any thread, ends the iteration.
`ostinato_client.microphone` and `ostinato_client.recording` have the others; PortAudio and libsndfile are loaded only
when one of them needs them.
"""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from typing import IO, Any, Protocol, Self, TextIO

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
    """Text as it comes, line by line with the line's end (long lines in pieces); by default from standard input.

    Any line's end comes as a newline, a byte order mark at the begin not at all. Raises InputError, naming the line,
    for bytes that are no text in the stream's encoding; the lines before have been given out by then.
    """

    sample_rate = None
    lost = 0

    def __init__(self, text: TextIO | None = None) -> None:
        stream = text or sys.stdin
        if stream is None:
            raise InputError("there is no standard input in this process: give a stream of text")
        # Bytes are decoded here: a text stream decodes far ahead, and may have been told to let wrong ones pass.
        self._text = stream  # kept: it would close what it wraps
        self._raw: IO[Any] = getattr(stream, "buffer", stream)
        self._encoding = stream.encoding if self._raw is not stream else None
        self._closed = False

    def __iter__(self) -> Iterator[str]:
        inner = codecs.getincrementaldecoder(self._encoding)() if self._encoding else None
        decoder = io.IncrementalNewlineDecoder(inner, translate=True)
        line, begin = 1, True
        while not self._closed:
            read = self._raw.readline(LINE_CHARACTERS)
            try:
                text = decoder.decode(read, final=not read)
            except UnicodeDecodeError as error:
                wrong = error.object[error.start]
                what = f"line {line} of the text is not {self._encoding}"
                raise InputError(f"{what} (byte 0x{wrong:02x}): convert it, say with iconv") from error
            if begin and text:
                text, begin = text.removeprefix("\ufeff"), False
            line += text.count("\n")
            if text:
                yield text
            if not read:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration after the line that is being waited for."""
        self._closed = True
