"""Make the bundled recording: a telephone number in a real voice, joined from single recorded words.

    python -m ostinato.training.recipes.recording FOLDER OUTPUT

FOLDER holds the unpacked Debian package asterisk-core-sounds-en-wav (see `real`). Nothing is changed but that the
words are trimmed and joined with pauses of quiet noise, as in the tests; the rate stays 8 kHz.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile

from ostinato.errors import InputError
from ostinato.training.recipes import augment, real
from ostinato.training.recipes.words import DIGITS

NUMBER = ("5 5 5", "0 1 4 9")
"""A number kept for fiction, in its groups; with the same digit three times in a row."""

PAUSE_MS, GROUP_PAUSE_MS, EDGE_MS = 120, 450, 400


def phone_number(folder: Path) -> tuple[real.Samples, int, list[str]]:
    """Samples, rate and words of the recording. Raises InputError if the voice is not in ``folder``."""
    words = {r.digits[0]: r for r in real.recordings([folder]) if r.voice == "allison"}
    if not words:
        raise InputError(
            f"{folder} has no asterisk-core-sounds-en: see ostinato.training.recipes.real for how to get it"
        )
    rate, rng = words[0].rate, np.random.default_rng(1)

    def quiet(ms: float) -> real.Samples:
        return (rng.standard_normal(int(ms * rate / 1000)) * 2e-4).astype(np.float32)

    pieces, said = [quiet(EDGE_MS)], []
    for group in NUMBER:
        for digit in map(int, group.split()):
            pieces += [augment.trim(words[digit].samples, rate), quiet(PAUSE_MS * rng.uniform(0.6, 1.4))]
            said.append(DIGITS[digit])
        pieces.append(quiet(GROUP_PAUSE_MS))
    return np.concatenate(pieces).astype(np.float32), rate, said


def main() -> None:
    """Write phone-number.wav and its transcript, phone-number.txt."""
    folder, output = map(Path, sys.argv[1:3])
    samples, rate, said = phone_number(folder)
    soundfile.write(output / "phone-number.wav", samples, rate, "PCM_16")
    (output / "phone-number.txt").write_text(" ".join(said) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
