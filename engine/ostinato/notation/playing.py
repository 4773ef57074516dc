"""When each note of a tune sounds, and how high it is."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from ostinato.errors import InputError
from ostinato.notation.bars import DIVIDING, pieces, played
from ostinato.notation.tune import Note, Tune, beat

SEMITONES = (0, 2, 4, 5, 7, 9, 11)
MIDDLE_C = 60
TEMPI = range(20, 401)
"""Beats a minute that may be asked for."""
USUAL = 112
"""Beats a minute at which these tunes are often danced to."""


class Sounding(NamedTuple):
    """``pitch``: MIDI's number, 60 is middle C; ``start`` and ``length`` in beats (`tune.beat`); whether it begins
    ``on_beat``."""

    pitch: int
    start: Fraction
    length: Fraction
    on_beat: bool


def sounding(tune: Tune) -> list[Sounding]:
    """The notes in the order in which they sound, repeats played out, tied ones as one.

    An accidental holds for its letter, in all octaves, until the bar ends. Raises InputError for repeats that cannot
    be played.
    """
    found: list[Sounding] = []
    per_unit, one, full = tune.unit / beat(tune.metre), Fraction(1), tune.bar * tune.unit / beat(tune.metre)
    at, tied = Fraction(0), False
    for number, piece in enumerate(played(pieces(tune.elements()))):
        altered: dict[int, int] = {}
        # What begins a part and is no full bar is its anacrusis: the bar's last beats.
        place = full - piece.length * per_unit if piece.before in DIVIDING or not number else Fraction(0)
        for note, units in piece.notes:
            length = units * per_unit
            if isinstance(note, Note):
                if note.alteration is not None:
                    altered[note.step % 7] = note.alteration
                alteration = altered.get(note.step % 7, tune.key.alteration(note.step))
                pitch = pitch_of(note.step) + alteration
                if tied and found[-1].pitch == pitch:
                    found[-1] = found[-1]._replace(length=found[-1].length + length)
                else:
                    found.append(Sounding(pitch, at, length, place % one == 0))
            at, place = at + length, place + length
            tied = isinstance(note, Note) and note.tied
    if not found:
        raise InputError("the tune has no notes: there is nothing to play")
    return found


def pitch_of(step: int) -> int:
    """MIDI's number of a diatonic step without accidentals."""
    return MIDDLE_C + 12 * (step // 7) + SEMITONES[step % 7]


def seconds_per_beat(tempo: int) -> float:
    """Raises InputError if ``tempo`` is out of range."""
    if tempo not in TEMPI:
        raise InputError(f"tempo {tempo}: from {TEMPI.start} to {TEMPI.stop - 1} beats a minute")
    return 60 / tempo
