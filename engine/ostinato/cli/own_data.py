"""A user's own data, frames and tokens, as commands are given it: a file, or a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from ostinato.cli.recordings import LeftOut
from ostinato.data import OF_FRAMES, OF_TEXT
from ostinato.data.recordings import files_of
from ostinato.errors import InputError
from ostinato.model.front_ends import Frames, Tokens
from ostinato.streaming import Model
from ostinato_bench.answers import JUDGES, takes_data
from ostinato_bench.recognition import Way, transcribes


class LeavingOut(LeftOut):
    """The files of ``data`` that could not be used. If it is a single file, what is wrong with it is an error."""

    def __init__(self, data: Path) -> None:
        super().__init__(data if data.is_dir() else data.parent)
        self._alone = data.is_file()

    def __call__(self, path: Path, error: Exception) -> None:
        """Leave a file out, or raise its error."""
        if self._alone:
            raise error
        self.add(path, error)


def all_take_data(ways: Sequence[Way]) -> bool:
    """Whether all of these models are judged by data of frames or tokens; False if all transcribe audio. Raises
    InputError for those that do neither, or that have different kinds of answers."""
    for way in ways:
        if not transcribes(way.model, way.head) and not takes_data(way.model, way.head):
            whose = way.name if way.head is None else f"head {way.head!r} of {way.name}"
            raise InputError(
                f"{whose} is for {_kind(way.model, way.head)}, which nothing can be compared with yet: only audio "
                f"with ctc, or frames and tokens with {', '.join(kind.kind for kind in JUDGES)}"
            )
    kinds = {_kind(way.model, way.head): way.name for way in reversed(ways)}
    if len(kinds) > 1:
        (one, name), (other, another) = list(kinds.items())[:2]
        raise InputError(f"{name} is for {one}, {another} for {other}: such models cannot be compared")
    return takes_data(ways[0].model, ways[0].head)


def _kind(model: Model, head: str | None) -> str:
    if transcribes(model, head):
        return "audio with transcripts"
    front_end, settings = model.network.specification.front_end, model.heads.find(head, None).settings
    answers = JUDGES[type(settings)].answers if takes_data(model, head) else settings.kind
    return f"{front_end.kind} with {answers}"


def data_files(model: Model, data: Path) -> list[Path]:
    """The file, or those of a folder, that a model of frames or tokens can take. Refuses, as wrong usage, a folder
    without any."""
    front_end = model.network.specification.front_end
    suffixes = OF_FRAMES if isinstance(front_end, Frames) else OF_TEXT if isinstance(front_end, Tokens) else ()
    found = [data] if data.is_file() else files_of(data, suffixes)
    if not found:
        raise typer.BadParameter(
            f"{data} has nothing that {model.name} reads: its files end in {', '.join(suffixes)}", param_hint="--data"
        )
    return found
