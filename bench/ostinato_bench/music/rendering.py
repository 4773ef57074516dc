"""Performances as sound: fluidsynth plays them with a SoundFont, once; what it made is kept."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from ostinato.errors import InputError
from ostinato.packages import digest
from ostinato_bench.music.performance import F64, Performance, midi

I16 = npt.NDArray[np.int16]
Render = Callable[[Performance], I16]

RATE = 44100
GAIN = 0.5
SOUND_FONTS = tuple(
    Path(folder) / name
    for folder in ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/soundfonts")
    for name in ("FluidR3_GM.sf2", "default-GM.sf2", "default.sf2")
)
CURE = "on Debian and Ubuntu, apt install fluidsynth fluid-soundfont-gm"
RENDERING_S = 600
"""How long a rendering may take."""


@dataclass(frozen=True)
class Recording:
    """Mono ``samples`` at `RATE`, and where onsets and beats are in them, in seconds."""

    name: str
    about: str
    samples: I16
    onsets: F64
    beats: F64

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE


def record(performance: Performance, render: Render) -> Recording:
    """The performance as ``render`` makes it sound, cut or filled up to its length."""
    samples = render(performance)[: round(performance.seconds * RATE)]
    samples = np.pad(samples, (0, round(performance.seconds * RATE) - len(samples)))
    piece = performance.score.piece
    return Recording(piece.name, piece.about, samples, performance.onsets, performance.beats)


class Fluidsynth:
    """fluidsynth as this machine has it. Raises InputError, with the cure, if it or a SoundFont is missing."""

    def __init__(self) -> None:
        program = shutil.which("fluidsynth")
        font = next((path for path in SOUND_FONTS if path.is_file()), None)
        if program is None or font is None:
            what = "fluidsynth" if program is None else "a SoundFont for General MIDI"
            raise InputError(f"music is rendered by fluidsynth, and {what} is not there: {CURE}")
        self._program, self._font = program, font
        self.about = f"{_version(program)}, {font.resolve().name}"
        """Versions."""
        self._key = f"{self.about} {digest(font)} {RATE} {GAIN}"

    def __call__(self, performance: Performance) -> I16:
        """Mono samples at `RATE`, from the cache if the same was rendered before."""
        notes = midi(performance)
        kept = folder() / f"{hashlib.sha256(self._key.encode() + notes).hexdigest()[:32]}.flac"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=kept.parent) as place:
                score, sound, part = (Path(place) / name for name in ("a.mid", "a.wav", "a.flac"))
                score.write_bytes(notes)
                self._run(score, sound)
                stereo, _ = soundfile.read(sound, dtype="float32", always_2d=True)
                soundfile.write(part, stereo.mean(axis=1), RATE, subtype="PCM_16")
                part.replace(kept)
        samples, _ = soundfile.read(kept, dtype="int16")
        return np.asarray(samples, np.int16)

    def _run(self, score: Path, sound: Path) -> None:
        command = [
            self._program, "-q", "-n", "-i", "-a", "file", "-g", str(GAIN), "-r", str(RATE), "-T", "wav",
            "-F", str(sound), str(self._font), str(score),
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=RENDERING_S, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"fluidsynth could not render: {error}") from error
        if done.returncode or not sound.is_file():
            said = (done.stderr or done.stdout).strip().splitlines()
            raise InputError(f"fluidsynth could not render ({done.returncode}): {said[-1] if said else 'no sound'}")


def folder() -> Path:
    """Where renderings are kept; nothing in it is missed if it is deleted."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "ostinato" / "music"


def _version(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    return "fluidsynth " + next((word for word in said.split() if word[:1].isdigit()), "of an unknown version")
