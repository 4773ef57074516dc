"""What the two fishes of the game Fish Fillets say, in Czech and in Dutch, with transcripts and translations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ostinato.packages import Deb
from ostinato.training.corpora.corpus import Corpus, Files, Part

GAME = "usr/share/games/fillets-ng"
_SCRIPTS = Deb("fillets-ng-data", "1.0.1-1.1", "GPL-2", 70_633_484)


def _corpus(language: str, holds: str, size: int, sounds: str, scripts: str) -> Corpus:
    spoken = Deb(f"fillets-ng-data-{language}", "1.0.1-1.1", "GPL-2", size)
    return Corpus(
        f"fillets-{language}",
        holds,
        "GPL-2",
        (
            Part(spoken, (f"{GAME}/sound/*/{language}/*.ogg",), sounds),
            Part(_SCRIPTS, (f"{GAME}/script/*/dialogs_{language}.lua",), scripts),
        ),
    )


CORPORA = {
    "fillets-cs": _corpus(
        "cs",
        "99 minutes of Czech speech, 1,768 clips of two main speakers, with transcripts",
        39_042_172,
        "668c9035a93debfb584c75bb9d76a349b9e089eca886a207fa738d183348bb5e",
        "6cf022f9ddff88a0c1418954ae4c9f3f6a58b60e7fffc87990eb0ab6fb5df4a9",
    ),
    "fillets-nl": _corpus(
        "nl",
        "91 minutes of Dutch speech, 1,528 clips of two speakers, with transcripts",
        32_593_580,
        "1a1aa70eb2383f61c00673cd8a0205fc032675edfb08b87065bdd1529e331714",
        "c02ce7c06b11fd1b49904866d2488a7b2ca59f3c36737819c45c9f5bf52deaa5",
    ),
}
_TEXT = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"dialogId\({_TEXT},\s*{_TEXT},\s*{_TEXT}\)(?:\s*dialogStr\({_TEXT}\))?")
_MOST_BYTES = 1 << 20


class Spoken(NamedTuple):
    """``level``: of the game; ``speaker``: as the game names their colours; ``text``: what is said, empty where the
    script does not say; ``english``: its translation."""

    path: Path
    level: str
    speaker: str
    text: str
    english: str


def read(files: Files) -> list[Spoken]:
    """The clips that the scripts know, sorted by level and name."""
    said: dict[tuple[str, str], tuple[str, str, str]] = {}
    for path, place in files.items():
        if path.endswith(".lua"):
            with place.open("rb") as file:
                script = file.read(_MOST_BYTES).decode("utf-8", "replace")
            for name, speaker, english, text in _LINE.findall(script):
                texts = _unescaped(text), _unescaped(english)
                said[path.split("/")[-2], name] = (speaker or "other", *texts)
    clips = []
    for path, place in files.items():
        if path.endswith(".ogg"):
            level, name = path.split("/")[-3], Path(path).stem
            if (level, name) in said:
                clips.append(Spoken(place, level, *said[level, name]))
    return clips


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)
