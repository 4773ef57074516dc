"""The recordings that commands read."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import typer

from ostinato.errors import InputError

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
    """What the .txt file of the same name says, on one line; None if there is no such file."""
    try:
        return " ".join(recording.with_suffix(".txt").read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return None


AUDIO = {".wav", ".flac", ".ogg", ".mp3"}


def transcribed(folder: Path) -> tuple[dict[Path, str], int]:
    """The recordings in a folder and those below it that have a .txt of the same name, with what it says; and how
    many have none. Refuses, as wrong usage, a folder that has no such recording."""
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in AUDIO]
    spoken = {path: text for path in paths if (text := transcript_beside(path)) is not None}
    if not spoken:
        raise typer.BadParameter(
            f"{folder} has no recording with a .txt of the same name beside it", param_hint="--data"
        )
    return spoken, len(paths) - len(spoken)
