"""Folders of recordings, in which one bad file ends nothing: it is named, left out, and named again at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from ostinato.cli.console import complain, note, plural
from ostinato.data.recordings import AUDIO, audio_files, transcript_beside
from ostinato.errors import InputError, OstinatoError
from ostinato.pipeline.transcript import Vocabulary

TOLD, LISTED = 10, 50
"""Of so many files one is told at once, and at the end, why they are left out; --json has them all."""


class LeftOut:
    """The files of a folder, or of several (None), that could not be used, and why."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.reasons: dict[str, str] = {}
        """By the file's name below the folder, in the order found."""

    def name(self, path: Path) -> str:
        """How a file of the folder is called: its path below the folder."""
        if self._folder is not None and path.is_relative_to(self._folder):
            return path.relative_to(self._folder).as_posix()
        return str(path)

    def add(self, path: Path, error: Exception) -> None:
        """Leave a file out, and say so at once."""
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        name = self.name(path)
        for begin in (f"{str(path)!r} ", f"{path}: ", f"{path.name}: ", f"{path.name}, ", f"{path.name} "):
            reason = reason.removeprefix(begin)
        self.reasons[name] = reason
        if len(self.reasons) <= TOLD:
            note(f"left out: {name}: {self.reasons[name]}")

    @contextmanager
    def trying(self, path: Path) -> Iterator[None]:
        """Whatever is wrong with a file inside of this leaves that file out."""
        try:
            yield
        except (OstinatoError, OSError) as error:
            self.add(path, error)

    def as_dict(self) -> list[dict[str, str]]:
        """Their entries in JSON."""
        return [{"file": name, "reason": reason} for name, reason in self.reasons.items()]

    def finish(self, total: int | None = None) -> None:
        """The command's end: name them again, if there are any, and exit with 1. ``total``: files there were."""
        if not self.reasons:
            return
        count = f"{len(self.reasons)} of {total}" if total else f"{len(self.reasons)}"
        complain(f"left out: {count} {'file' if (total or len(self.reasons)) == 1 else 'files'}:")
        for name, reason in list(self.reasons.items())[:LISTED]:
            note(f"  {name}: {reason}")
        if len(self.reasons) > LISTED:
            note(f"  and {len(self.reasons) - LISTED} more")
        raise typer.Exit(1)


def transcribed(folder: Path, left_out: LeftOut) -> dict[Path, str]:
    """The recordings in a folder and below it, each with what the .txt of the same name says; those without one, or
    with a bad one, are left out. Refuses, as wrong usage, a folder without recordings or without transcripts."""
    paths = audio_files(folder)
    if not paths:
        raise typer.BadParameter(
            f"{folder} has no recordings: they end in {', '.join(sorted(AUDIO))}", param_hint="--data"
        )
    said: dict[Path, str] = {}
    without = []
    for path in paths:
        with left_out.trying(path):
            text = transcript_beside(path)
            if text is None:
                without.append(path)
            else:
                said[path] = text
    if len(without) == len(paths):
        raise typer.BadParameter(
            f"{folder} has no recording with a .txt of the same name beside it", param_hint="--data"
        )
    for path in without:
        left_out.add(path, InputError(f"has no transcript: write what is said in it into {path.stem}.txt beside it"))
    return said


def tell_unknown(
    models: Mapping[str, Vocabulary], transcripts: Mapping[Path, str], left_out: LeftOut
) -> dict[str, dict[str, list[str]]]:
    """By word: the recordings whose transcripts have a word that models cannot say, and these models. Each word is
    told once, and so is which transcripts are empty."""
    recordings: dict[str, dict[str, None]] = {}
    cannot: dict[str, dict[str, None]] = {}
    empty: dict[str, None] = {}
    for name, known in models.items():
        for path, text in transcripts.items():
            said = known.read(text)
            if not said:
                empty[left_out.name(path)] = None
            for word in known.unknown(said):
                recordings.setdefault(word, {})[left_out.name(path)] = None
                cannot.setdefault(word, {})[name] = None
    for word in list(recordings)[:TOLD]:
        names = " or ".join(cannot[word])
        note(f"{word!r} in {_first(list(recordings[word]))} is no word that {names} can say: an error each time")
    if len(recordings) > TOLD:
        note(f"{plural(len(recordings) - TOLD, 'more word')} like these")
    if empty:
        note(f"nothing is said, by the transcript, in {_first(list(empty))}: every word heard there is an error")
    return {word: {"recordings": list(recordings[word]), "models": list(cannot[word])} for word in recordings}


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
