"""Speech and noises to measure with, the same every time: spoken by espeak-ng where it is installed, else the bundled
recordings, repeated."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from ostinato.pipeline.resample import resampler

F32 = npt.NDArray[np.float32]

RATE = 16000
"""Hz, of noises and of what is denoised."""
_VOICES = ("en-us", "en-gb+f2", "en-gb-scotland+m3", "en-us+f4")
_BABBLE = ("en-us+m1", "en-gb+f3", "en-us+f1", "en-gb+m7", "en-us+m4", "en-gb-x-rp+f5")
_SENTENCES = (
    "The tram to the harbour leaves at twenty past nine, and the last one back a little after midnight.",
    "Could you measure the kitchen again? The shelf was four centimetres too long.",
    "She counted the steps of the old tower twice, and got a different number each time.",
    "Please leave the parcel with the neighbours on the third floor; they are home until six.",
    "Rain is expected over the northern hills, moving slowly towards the coast by evening.",
    "We planted beans, garlic and a row of sunflowers, and the snails ate only the beans.",
)
_PAUSE_S = 0.6
"""Between two sentences: what detects speech has silence to find."""
_LEVEL = 0.08
"""Root mean square of speech and noises, of full scale 1."""


@dataclass(frozen=True)
class Sound:
    """Mono samples within [-1, 1] at ``rate`` Hz, and what they are."""

    samples: F32
    rate: int
    about: str


@lru_cache(maxsize=4)
def speech(seconds: float, rate: int = RATE) -> Sound:
    """Sentences by several voices, with pauses, of that length."""
    parts, about = _spoken(_VOICES, _SENTENCES) or (_recorded(), "the bundled recordings, repeated")
    return Sound(_filled([resampled(samples, own, rate) for samples, own in parts], seconds, rate), rate, about)


def noises(count: int) -> Mapping[str, F32]:
    """Noises of ``count`` samples at `RATE` by their names. Babble is there only where espeak-ng is."""
    random = np.random.default_rng(7)
    made: dict[str, F32] = {name: _level(make(random, count)) for name, make in _NOISES.items()}
    babble = _spoken(_BABBLE, _SENTENCES[::-1])
    if babble is not None:
        voices = [
            np.roll(_filled([resampled(samples, rate, RATE)], count / RATE, RATE), int(random.integers(count)))
            for samples, rate in babble[0]
        ]
        made["babble"] = _level(np.sum(voices, axis=0))
    return made


def mixed(clean: F32, noise: F32, snr_db: float) -> F32:
    """Speech with noise, whose power is that many decibels below the speech's."""
    ratio = np.square(clean, dtype=np.float64).mean() / np.square(noise, dtype=np.float64).mean()
    made: F32 = (clean + np.sqrt(ratio / 10 ** (snr_db / 10)) * noise).astype(np.float32)
    return made


def _white(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    return random.normal(size=count)


def _pink(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """White noise whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(random.normal(size=count))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0
    return np.fft.irfft(spectrum, count)


def _hum(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """A transformer's: 50 Hz and harmonics, which swell a little, above faint white noise."""
    time = np.arange(count) / RATE
    swell = 1 + 0.3 * np.sin(2 * np.pi * 0.4 * time)
    tones = [np.sin(2 * np.pi * 50 * k * time + random.uniform(0, 2 * np.pi)) / k for k in range(1, 13)]
    hum: npt.NDArray[np.float64] = swell * np.sum(tones, axis=0) + 0.02 * random.normal(size=count)
    return hum


_NOISES: Mapping[str, Callable[[np.random.Generator, int], npt.NDArray[np.float64]]] = {
    "white": _white,
    "pink": _pink,
    "hum": _hum,
}


def _level(samples: npt.NDArray[np.floating]) -> F32:
    made: F32 = (samples * (_LEVEL / np.sqrt(np.square(samples, dtype=np.float64).mean()))).astype(np.float32)
    return made


def _filled(parts: list[F32], seconds: float, rate: int) -> F32:
    """The parts, each with a pause behind it, over and over until the time is full."""
    pause = np.zeros(int(_PAUSE_S * rate), np.float32)
    whole = np.concatenate([piece for part in parts for piece in (_level(part), pause)])
    return np.resize(whole, int(seconds * rate))


def resampled(samples: F32, source: int, target: int) -> F32:
    """The samples at another rate, in Hz."""
    if source == target:
        return samples
    made = resampler(source, target)
    state = made.start()
    return np.concatenate([made.step(state, samples), made.flush(state)])


def _spoken(voices: tuple[str, ...], sentences: tuple[str, ...]) -> tuple[list[tuple[F32, int]], str] | None:
    """Each sentence by the next of the voices, and who speaks; None without espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        return None
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentence.wav"
        for number, sentence in enumerate(sentences):
            command = [program, "-v", voices[number % len(voices)], "-s", "155", "-w", str(path), sentence]
            subprocess.run(command, check=True, capture_output=True, timeout=60)
            parts.append(soundfile.read(path, dtype="float32"))
    return parts, f"{len(sentences)} sentences by {len(voices)} voices of espeak-ng, repeated"


def _recorded() -> list[tuple[F32, int]]:
    folder = Path(str(files("ostinato") / "recordings"))
    return [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*.wav"))]
