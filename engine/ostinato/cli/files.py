"""The recordings that commands read."""

from __future__ import annotations

import codecs
import glob
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError

MAX_TRANSCRIPT = 1 << 20
"""Bytes of the longest transcript: hours of speech."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
RECORDINGS = Path(str(files("ostinato"))) / "recordings"


def bundled_recording() -> Path:
    """The recording that ships with Ostinato."""
    return RECORDINGS / "phone-number.wav"


def read_audio(path: Path) -> tuple[npt.NDArray[np.float32], int]:
    """A recording as mono samples [n] in [-1, 1], its channels averaged, and its rate in Hz.

    Raises InputError for a file that is no audio or empty.
    """
    from ostinato_client import FileSource

    with FileSource(path) as source:
        samples = source.read()
        if not len(samples):
            raise InputError(f"{str(path)!r} is empty: record something into it, or name another file")
        return samples, source.sample_rate


def transcript_beside(recording: Path) -> str | None:
    """What the .txt file of the same name says, on one line; None if there is no such file. A.WAV may have an A.TXT.

    Raises InputError for one that is no text (see `read_text`).
    """
    path = recording.with_suffix(".txt")
    if not path.exists():
        found = (
            one for one in recording.parent.glob(f"{glob.escape(recording.stem)}.*") if one.stem == recording.stem
        )
        path = next((one for one in sorted(found) if one.suffix.lower() == ".txt"), path)
    try:
        return " ".join(read_text(path, MAX_TRANSCRIPT).split())
    except FileNotFoundError:
        return None


def read_text(path: Path, max_bytes: int = 1 << 28) -> str:
    """A text file: UTF-8, or UTF-16 or UTF-32 with a byte order mark, which is no part of the text; lines
    end in a line feed, whatever they end in there.

    Raises FileNotFoundError; InputError, naming the file, for what is no such text, no file, or longer than
    ``max_bytes``.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{str(path)!r} is no file: put the text into one of that name")
    with path.open("rb") as file:
        raw = file.read(max_bytes + 1)
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
