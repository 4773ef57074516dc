"""Keys: a tonic and a mode, and what they do to each letter."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ostinato.errors import InputError

FIFTHS = "FCGDAEB"
"""Letters in the order in which sharps come; flats come from the other end."""

MODES = {"": 0, "m": -3, "dor": -2, "mix": -1, "phr": -4, "lyd": 1, "loc": -5}
"""How many more sharps than the major key of the same tonic."""

_NAMES = {"maj": "", "ion": "", "min": "m", "aeo": "m", "m": "m", "": ""} | {
    each: each for each in ("dor", "mix", "phr", "lyd", "loc")
}
_KEY = re.compile(r"([A-G])([#b]?)\s*([A-Za-z]*)")
MOST = 7


@dataclass(frozen=True)
class Key:
    """``sharps``: of the signature, negative for flats; ``mode``: one of MODES."""

    sharps: int
    mode: str = ""

    def __post_init__(self) -> None:
        if self.mode not in MODES or not -MOST <= self.sharps <= MOST:
            raise InputError(f"a key of {self.sharps} sharps in mode {self.mode!r} is none")

    @staticmethod
    def of(text: str) -> Key:
        """As K: has it: G, F#m, A dor, Bb Mixolydian. Raises InputError."""
        found = _KEY.fullmatch(text.strip())
        word = found[3] if found else "?"
        mode = _NAMES.get(word if word == "m" else word[:3].lower())
        if found is None or mode is None or (word[:1] == "M" and len(word) == 1):
            raise InputError(f"K:{text.strip()} is no key: a letter with a mode, such as G, F#m, Ador or Bb, is")
        sharps = FIFTHS.index(found[1]) - 1 + 7 * ("b#".find(found[2]) * 2 - 1 if found[2] else 0) + MODES[mode]
        if abs(sharps) > MOST:
            raise InputError(f"K:{text.strip()} has {abs(sharps)} sharps or flats: {MOST} at most")
        return Key(sharps, mode)

    def __str__(self) -> str:
        place = self.sharps - MODES[self.mode] + 1
        return FIFTHS[place % 7] + ("#" * (place // 7) if place >= 0 else "b" * -(place // 7)) + self.mode

    @property
    def tonic(self) -> int:
        """The tonic's letter, 0 is C."""
        return "CDEFGAB".index(FIFTHS[(self.sharps - MODES[self.mode] + 1) % 7])

    def alteration(self, step: int) -> int:
        """Semitones that the signature alters a diatonic step by."""
        place = FIFTHS.index("CDEFGAB"[step % 7])
        return int(place < self.sharps) - int(6 - place < -self.sharps)
