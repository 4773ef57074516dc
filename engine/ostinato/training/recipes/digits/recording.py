"""Make the bundled recording: a telephone number in a real voice, joined from single recorded words.

    python -m ostinato.training.recipes.digits.recording FOLDER OUTPUT

FOLDER holds the unpacked Debian package asterisk-core-sounds-en-wav (see `real`). Nothing is changed but that the
words are trimmed and joined with pauses of quiet noise, as in the tests; the rate stays 8 kHz.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from ostinato.errors import InputError
from ostinato.training.recipes.digits import augment, real
from ostinato.training.recipes.digits.words import DIGITS

NUMBER = ("5 5 5", "0 1 4 9")
"""A number kept for fiction, in its groups; with the same digit three times in a row."""

PAUSE_MS, GROUP_PAUSE_MS, EDGE_MS = 120, 450, 400


TimedWord = tuple[float, float, str]
"""Where a word starts and ends, in seconds, and the word."""


def phone_number(folder: Path) -> tuple[real.Samples, int, list[TimedWord]]:
    """Samples, rate and words of the recording. Raises InputError if the voice is not in ``folder``."""
    words = {r.digits[0]: r for r in real.recordings([folder]) if r.voice == "allison"}
    if not words:
        raise InputError(
            f"{folder} has no asterisk-core-sounds-en: see ostinato.training.recipes.digits.real for how to get it"
        )
    rate = words[0].rate
    samples, timed = joined({digit: word.samples for digit, word in words.items()}, rate, NUMBER)
    return samples, rate, timed


def joined(
    words: Mapping[int, real.Samples], rate: int, groups: Sequence[str]
) -> tuple[real.Samples, list[TimedWord]]:
    """The digits of the groups, one after the other, and where each is: what is `augment.loud` of it."""
    rng = np.random.default_rng(1)

    def quiet(ms: float) -> real.Samples:
        return (rng.standard_normal(int(ms * rate / 1000)) * 2e-4).astype(np.float32)

    pieces, timed = [quiet(EDGE_MS)], []
    for group in groups:
        for digit in map(int, group.split()):
            word, at = augment.trim(words[digit], rate), sum(map(len, pieces))
            first, last = augment.loud(word, rate)
            timed.append(((at + first) / rate, (at + last) / rate, DIGITS[digit]))
            pieces += [word, quiet(PAUSE_MS * rng.uniform(0.6, 1.4))]
        pieces.append(quiet(GROUP_PAUSE_MS))
    return np.concatenate(pieces).astype(np.float32), timed


def main() -> None:
    """Write phone-number.wav, its transcript, phone-number.txt, and its words' times, phone-number.words.tsv."""
    folder, output = map(Path, sys.argv[1:3])
    samples, rate, timed = phone_number(folder)
    soundfile.write(output / "phone-number.wav", samples, rate, "PCM_16")
    (output / "phone-number.txt").write_text(" ".join(word for _, _, word in timed) + "\n", encoding="utf-8")
    lines = [f"{start:.3f}\t{end:.3f}\t{word}\n" for start, end, word in timed]
    (output / "phone-number.words.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
