"""The pieces that are played: scores of music21's corpus, none of them ours, and how each is played."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_S = 75.0
"""As much of a piece is played at most."""

PIANO, HARPSICHORD, ORGAN, GUITAR = 0, 6, 19, 24
VIOLIN, VIOLA, CELLO, STRINGS = 40, 41, 42, 48
OBOE, BASSOON, CLARINET, FLUTE = 68, 70, 71, 73
QUARTET = (VIOLIN, VIOLIN, VIOLA, CELLO)


@dataclass(frozen=True)
class Piece:
    """``name`` in the corpus; ``instruments``: a program of General MIDI (from 0) for each part, the last one for all
    others; ``about``: what they are called; ``bpm``: beats a minute, around which the tempo drifts."""

    name: str
    about: str
    instruments: tuple[int, ...]
    bpm: float


PIECES = (
    Piece("joplin/maple_leaf_rag", "piano", (PIANO,), 92),
    Piece("mozart/k155/movement1", "string quartet", QUARTET, 124),
    Piece("cpebach/h186", "harpsichord", (HARPSICHORD,), 84),
    Piece("bach/bwv66.6", "organ", (ORGAN,), 72),
    Piece("mozart/k458/movement1", "flute, oboe, clarinet, bassoon", (FLUTE, OBOE, CLARINET, BASSOON), 104),
    Piece("haydn/opus74no1/movement3", "guitars", (GUITAR,), 136),
    Piece("handel/rinaldo/lascia_chio_pianga", "flute and strings", (FLUTE, STRINGS), 76),
    Piece("chopin/mazurka06-2", "piano", (PIANO,), 132),
    Piece("beethoven/opus18no1/movement1", "string quartet", QUARTET, 144),
    Piece("schubert/Lindenbaum", "flute and piano", (FLUTE, PIANO), 84),
    Piece("mozart/k156/movement1", "string orchestra", (STRINGS,), 132),
    Piece("bach/bwv10.7", "choir organ and flute", (FLUTE, ORGAN), 80),
    Piece("haydn/opus1no1/movement1", "oboes and bassoons", (OBOE, OBOE, BASSOON), 92),
    Piece("bach/bwv101.7", "piano", (PIANO,), 66),
)
"""So ordered that the first few already differ."""
