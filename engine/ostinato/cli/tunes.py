"""What a model of tunes makes: ABC as it comes, and files of ABC, MIDI and sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from ostinato.cli.console import note, plural
from ostinato.cli.output_files import check_writable, replacing
from ostinato.errors import InputError
from ostinato.notation import faults, midi, read, sound
from ostinato.notation.playing import USUAL
from ostinato.notation.reader import begun, is_abc

FORMATS = (".abc", ".mid", ".wav")


@dataclass(frozen=True)
class TuneFiles:
    """Files that a generated tune is written to, at ``tempo`` beats a minute."""

    paths: Sequence[Path] = ()
    tempo: int | None = None

    def check(self, continuations: int) -> None:
        """Refuse, as wrong usage, what could not be written."""
        for path in self.paths:
            for number in range(1, continuations + 1):
                check_writable(self._numbered(path, number if continuations > 1 else None), FORMATS)
            if path.suffix.lower() == ".mid":
                midi.need_mido()
        if self.tempo is not None and not self.paths:
            raise typer.BadParameter("--tempo is for the files of --output")

    def prompt(self, text: str, vocabulary: Sequence[str]) -> str:
        """The tokens of a prompt: of a model of tunes in the one way in which it knows them.

        Raises InputError for what is no beginning of a tune, or has tokens that the model does not know."""
        if not (self.paths or is_abc(vocabulary)) or not text.strip():
            return text
        tokens = begun(text)
        if vocabulary and (unknown := [token for token in tokens if token not in vocabulary]):
            raise InputError(
                f"the prompt has {', '.join(map(repr, dict.fromkeys(unknown)))}, which the model has not learnt: "
                "leave it out"
            )
        return " ".join(tokens)

    def write(self, text: str, title: str, number: int | None = None) -> None:
        """Write the tune that ``text`` is. Raises InputError if it is none."""
        if not self.paths:
            return
        tune, tempo = read(text), USUAL if self.tempo is None else self.tempo
        for path in (self._numbered(each, number) for each in self.paths):
            with replacing(path) as part:
                match path.suffix.lower():
                    case ".abc":
                        part.write_text(tune.abc(title, tempo), encoding="utf-8")
                    case ".mid":
                        midi.write(tune, part, tempo)
                    case _:
                        sound.write(tune, part, tempo)
            note(f"written: {path}")
        if wrong := faults(tune):
            note(f"{plural(len(wrong), 'fault')} in its bars: {'; '.join(wrong[:3])}{', …' * (len(wrong) > 3)}")

    @staticmethod
    def _numbered(path: Path, number: int | None) -> Path:
        return path if number is None else path.with_stem(f"{path.stem}-{number}")
