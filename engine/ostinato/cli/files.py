"""The recordings that commands read."""

from __future__ import annotations

import glob
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ostinato.data import read_text
from ostinato.errors import InputError

MAX_TRANSCRIPT = 1 << 20
"""Bytes of the longest transcript: hours of speech."""
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

    Raises InputError for one that is no text (see `ostinato.data.read_text`).
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
