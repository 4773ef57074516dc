"""A tune as sound: a small synthesiser, so that nothing need be installed to hear one.

A note is a plucked string: harmonics that begin together and die away, the higher the sooner, the faster the higher
the note (as Fletcher and Rossing 1998, The physics of musical instruments, chapter 9, describe strings).
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ostinato.errors import InputError
from ostinato.notation.playing import USUAL, Sounding, seconds_per_beat, sounding
from ostinato.notation.tune import Tune

RATE = 44_100
HARMONICS = 12
RING_S = 0.5
"""How long a middle A takes to fall to 1/e."""
RELEASE_S = 0.06
"""For which a note rings on when the next one begins."""
ATTACK_S = 0.004
LONGEST_S = 600.0
PEAK = 0.8


def write(tune: Tune, path: Path, tempo: int = USUAL) -> None:
    """Write a WAV, mono, 16 bits, 44.1 kHz, at ``tempo`` beats a minute. Raises OSError, and as `samples`."""
    import soundfile

    made = BytesIO()  # libsndfile does not say why a disk takes nothing
    soundfile.write(made, samples(tune, tempo), RATE, "PCM_16", format="WAV")
    path.write_bytes(made.getvalue())


def samples(tune: Tune, tempo: int = USUAL) -> NDArray[np.float32]:
    """float32 [n], at most `PEAK` in magnitude. Raises InputError for what is longer than `LONGEST_S`, and as
    `sounding`."""
    notes, beat_s = sounding(tune), seconds_per_beat(tempo)
    seconds = float(notes[-1].start + notes[-1].length) * beat_s + 3 * RING_S
    if seconds > LONGEST_S:
        raise InputError(f"the tune lasts {seconds:.0f} s: {LONGEST_S:.0f} s at most")
    found = np.zeros(round(seconds * RATE), np.float32)
    for note, last in zip(notes, [False] * (len(notes) - 1) + [True], strict=True):
        _add(found, note, beat_s, last)
    peak = np.abs(found).max()
    return found * np.float32(PEAK / peak) if peak else found


def _add(found: NDArray[np.float32], note: Sounding, beat_s: float, last: bool) -> None:
    start = round(float(note.start) * beat_s * RATE)
    length = float(note.length) * beat_s + (3 * RING_S if last else RELEASE_S)
    sound = plucked(note.pitch, min(round(length * RATE), len(found) - start)).copy()
    fading = min(len(sound), round(RELEASE_S * RATE))
    sound[len(sound) - fading :] *= np.linspace(1, 0, fading, dtype=np.float32)
    loud = np.float32(1.0 if note.on_beat else 0.8)
    found[start : start + len(sound)] += loud * sound


@lru_cache(maxsize=256)
def plucked(pitch: int, length: int) -> NDArray[np.float32]:
    """A note of MIDI's ``pitch``, float32 [length]."""
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    t = np.arange(length) / RATE
    sound = np.zeros(length)
    for n in range(1, HARMONICS + 1):
        if n * frequency > 0.45 * RATE:
            break
        ring = RING_S * np.sqrt(440 / frequency) / (1 + 0.35 * (n - 1))
        sound += np.sin(2 * np.pi * n * frequency * t) * np.exp(-t / ring) / n**1.3
    attack = min(length, round(ATTACK_S * RATE))
    sound[:attack] *= np.linspace(0, 1, attack)
    return sound.astype(np.float32)
