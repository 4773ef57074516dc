"""A synthetic voice, and whoever speaks with it."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import soundfile

from ostinato.training.recipes.digits.augment import Rng, Samples
from ostinato.training.recipes.digits.words import DIGITS, SPELLINGS

Part: TypeAlias = Literal["learning", "choosing", "testing"]
PARTS: tuple[Part, ...] = ("learning", "choosing", "testing")


@dataclass(frozen=True)
class Voice:
    """One synthetic voice: a synthesiser and its settings. ``speaker``: whose it is, if others are too."""

    synthesiser: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    speaker: str = ""

    @property
    def part(self) -> Part:
        """What the speaker is for, in all voices and synthesisers, by the SHA-256 of the name: a tenth are tested on
        and never heard before, a tenth choose the weights."""
        place = int(hashlib.sha256((self.speaker or self.name).encode()).hexdigest()[:8], 16) / 2**32
        return "testing" if place < 0.1 else "choosing" if place < 0.2 else "learning"


@dataclass(frozen=True)
class Synthesiser:
    """A speech synthesiser: how to know that it is there, its voices, and how one of them speaks."""

    name: str
    licence: str
    install: str
    found: Callable[[], bool]
    voices: Callable[[Rng], list[Voice]]
    speak: Callable[[Voice, Sequence[str], Rng], tuple[Samples, int]]
    talk: int = 12
    """Utterances of other words that each voice says; half as many have digits among them."""


def sentence(words: Sequence[str], rng: Rng) -> str:
    """The words as a sentence: said in one breath, in groups, or one by one."""
    style = rng.choice(["breath", "groups", "single"], p=[0.5, 0.2, 0.3])
    comma = {"breath": 0.0, "groups": 0.35, "single": 1.0}[str(style)]
    joined = "".join(word + (", " if rng.random() < comma else " ") for word in words[:-1]) + words[-1]
    return joined + str(rng.choice([".", ",", "", "?"], p=[0.5, 0.2, 0.2, 0.1]))


def respelt(words: Sequence[str], language: str) -> list[str]:
    """The words as a voice of that language has to read them; only digits change."""
    if language not in SPELLINGS:
        return list(words)
    spelling = dict(zip(DIGITS, SPELLINGS[language].split(), strict=True))
    return [spelling.get(word, word) for word in words]


def command(arguments: Sequence[str], text: str | None = None) -> tuple[Samples, int]:
    """Samples and rate of the file that a command writes to the path standing for ``{wav}``."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "spoken.wav")
        filled = [argument.replace("{wav}", path) for argument in arguments]
        subprocess.run(filled, input=text, text=True, check=True, capture_output=True, timeout=60)
        samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate
