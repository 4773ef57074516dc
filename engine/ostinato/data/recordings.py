"""Recordings in folders, and their transcripts: the .txt of the same name beside each."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from ostinato.data.text import read_text

AUDIO = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}
UNREADABLE = {".aac", ".amr", ".m4a", ".webm", ".wma"}
"""Recordings all the same: they are named as what cannot be read, and not passed over."""
MAX_TRANSCRIPT = 1 << 20
"""Bytes of the longest transcript: hours of speech."""


def audio_files(folder: Path) -> list[Path]:
    """The recordings in a folder and those below it, in order; hidden files (a Mac's ``._one.wav``) are none."""
    return files_of(folder, AUDIO | UNREADABLE)


def files_of(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """The files in a folder and below it that end so, in any case; those that are hidden are not meant."""
    wanted = {suffix.lower() for suffix in suffixes}
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in wanted and not path.name.startswith(".") and not path.is_dir()
    ]


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
