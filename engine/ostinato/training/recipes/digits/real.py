"""Real voices to test on, never trained on: recordings of spoken digits in packages and folders of this machine.

| voice | where it comes from | licence |
|---|---|---|
| allison | asterisk-core-sounds-en-wav (Debian): ``apt-get download``, ``dpkg-deb -x`` into a folder | CC-BY-SA-3.0 |
| captcha | captcha 0.7.1 (PyPI): installed, or its wheel unpacked into a folder | BSD-3 |
| dhd, librivox | pocketsphinx-testdata (Debian): one string, spoken as a string; sentences from a novel | BSD-2 |
| fsdd-* | Free Spoken Digit Dataset: a clone of github.com/Jakobovski/free-spoken-digit-dataset | CC-BY-SA-4.0 |

Each recording of one digit is tested alone, with 0.3 s of quiet around it, and in strings of 3 to 7 digits, joined
from one speaker's recordings with pauses of 0 to 0.6 s. Recordings are trimmed to what is less than 40 dB under their
loudest part, and 20 ms around it; quiet is white noise 60 dB under the recording's peak. Other speech
(allison's alphabet from alpha to zulu, librivox's sentences) shows how often a digit is heard where none was said.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from ostinato.errors import InputError
from ostinato.training.recipes.digits import augment

Samples: TypeAlias = NDArray[np.float32]
Kind: TypeAlias = Literal["isolated", "string", "other"]

SELECTION = ("fsdd-jackson", "fsdd-nicolas", "fsdd-theo")
"""Voices that the choice of a checkpoint may look at. All other voices are heard once, at the end."""

VOICES = {
    "allison": "asterisk-core-sounds-en-wav",
    "captcha": "captcha",
    "dhd": "pocketsphinx-testdata",
    "librivox": "pocketsphinx-testdata",
    "fsdd": "Free Spoken Digit Dataset",
}
"""How the voices' names begin, and what they are in."""

MARGIN_MS = 20.0


@dataclass(frozen=True)
class Recording:
    """A recorded digit, a string spoken as one, or other speech (no digits): mono samples at ``rate`` Hz."""

    voice: str
    digits: tuple[int, ...]
    samples: Samples
    rate: int


@dataclass(frozen=True)
class Item:
    """Something to recognise: one digit alone, a string, or other speech.

    ``ends_ms``: where each digit's sound ends, if known.
    """

    voice: str
    kind: Kind
    digits: tuple[int, ...]
    samples: Samples
    rate: int
    ends_ms: tuple[float, ...] = ()


File: TypeAlias = tuple[Path, str, Sequence[int]]
"""A file of a voice, and the digits that are spoken in it."""


def _read(path: Path, voice: str, digits: Sequence[int]) -> Recording:
    raw = {"samplerate": 16000, "channels": 1, "format": "RAW", "subtype": "PCM_16"} if path.suffix == ".raw" else {}
    try:
        samples, rate = soundfile.read(path, dtype="float32", **raw)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(f"{str(path)!r} cannot be read as audio: fetch it again, or leave it out") from error
    if not len(samples):
        raise InputError(f"{str(path)!r} is empty: fetch it again, or leave it out")
    return Recording(voice, tuple(digits), np.asarray(samples, np.float32), rate)


def _asterisk(folders: Sequence[Path]) -> Iterator[File]:
    for folder in (Path("/usr/share/asterisk/sounds"), *folders):
        found = {int(p.stem): p for p in sorted(folder.rglob("en*/digits/[0-9].wav"))} if folder.is_dir() else {}
        if len(found) == 10:
            yield from ((path, "allison", [digit]) for digit, path in sorted(found.items()))
            yield from ((path, "allison", []) for path in sorted(folder.rglob("en*/phonetic/[a-z]_p.wav")))
            return


def _captcha(folders: Sequence[Path]) -> Iterator[File]:
    package = importlib.util.find_spec("captcha")
    installed = [Path(p) for p in package.submodule_search_locations or ()] if package else []
    for folder in (*installed, *folders):
        found = {int(p.parent.name): p for p in sorted(folder.rglob("data/[0-9]/default.wav"))}
        if len(found) == 10:
            yield from ((path, "captcha", [digit]) for digit, path in sorted(found.items()))
            return


def _dhd(folders: Sequence[Path]) -> Iterator[File]:
    for folder in (Path("/usr/share/pocketsphinx/test/data"), *folders):
        for path in sorted(folder.rglob("tidigits/dhd.2934z.raw")) if folder.is_dir() else ():
            yield path, "dhd", [2, 9, 3, 4, 0]
            yield from ((p, "librivox", []) for p in sorted(path.parent.parent.glob("librivox/*.wav")))
            return


def _fsdd(folder: Path, takes: int) -> Iterator[File]:
    for path in sorted(folder.rglob("recordings/[0-9]_*_*.wav")):
        digit, *speaker, take = path.stem.split("_")
        if take.isdecimal() and int(take) < takes:
            yield path, f"fsdd-{'_'.join(speaker)}", [int(digit)]


def recordings(
    folders: Sequence[Path] = (),
    fsdd: Path | None = None,
    fsdd_takes: int = 5,
    left_out: Callable[[Path, Exception], None] | None = None,
) -> list[Recording]:
    """All recordings found: in installed packages, in ``folders`` (unpacked packages), and in a clone ``fsdd``.

    ``fsdd_takes`` of each digit and speaker are taken (the data set's own test part is the first five). A file that
    cannot be read is left out, and ``left_out`` told; without that, it raises InputError.
    """
    files = [*_asterisk(folders), *_captcha(folders), *_dhd(folders), *(_fsdd(fsdd, fsdd_takes) if fsdd else ())]
    found = []
    for path, voice, digits in files:
        try:
            found.append(_read(path, voice, digits))
        except InputError as error:
            if left_out is None:
                raise
            left_out(path, error)
    return found


def _quiet(seconds: float, recording: Recording, rng: np.random.Generator) -> Samples:
    level = float(np.abs(recording.samples).max()) * 1e-3
    return (rng.standard_normal(int(seconds * recording.rate)) * level).astype(np.float32)


def _joined(parts: Sequence[Recording], rng: np.random.Generator) -> Item:
    rate = parts[0].rate
    pieces, ends, length = [_quiet(0.3, parts[0], rng)], [], int(0.3 * rate)
    for n, part in enumerate(parts):
        pause = _quiet(rng.uniform(0.0, 0.6) if n else 0.0, part, rng)
        spoken = augment.trim(part.samples, rate, margin_ms=MARGIN_MS)
        pieces += [pause, spoken * np.float32(0.5 / max(float(np.abs(spoken).max()), 1e-6))]
        length += len(pause) + len(spoken)
        ends.append(1000 * length / rate - MARGIN_MS)
    samples = np.concatenate([*pieces, _quiet(0.3, parts[-1], rng)])
    digits = tuple(digit for part in parts for digit in part.digits)
    kind: Kind = ("other", "isolated")[len(digits)] if len(digits) < 2 else "string"
    known = tuple(ends) if len(ends) == len(digits) else ()
    return Item(parts[0].voice, kind, digits, samples.astype(np.float32), rate, known)


def items(found: Sequence[Recording], strings: int = 40, seed: int = 7) -> list[Item]:
    """What to recognise: each recording alone, then ``strings`` joined strings of each voice with single digits."""
    made: list[Item] = []
    for voice in sorted({r.voice for r in found}):
        rng = np.random.default_rng([seed, zlib.crc32(voice.encode())])
        own = [r for r in found if r.voice == voice]
        made += [_joined([r], rng) for r in own]
        single = [r for r in own if len(r.digits) == 1]
        for _ in range(strings if single else 0):
            chosen = rng.integers(0, len(single), int(rng.integers(3, 8)))
            made.append(_joined([single[i] for i in chosen], rng))
    return made
