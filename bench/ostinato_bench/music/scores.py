"""Notes and beats of a score in music21's corpus, in quarter notes from its beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ostinato.errors import InputError
from ostinato_bench.music.pieces import Piece

CURE = "pip install music21 mir_eval mido"


@dataclass(frozen=True, slots=True)
class Note:
    """``start`` and ``length`` in quarters; ``pitch`` as MIDI numbers it; ``part``: its place in the score."""

    start: float
    length: float
    pitch: int
    part: int


@dataclass(frozen=True)
class Beat:
    """Where, in quarters, how many quarters it lasts, and whether a bar begins there."""

    start: float
    length: float
    first: bool


@dataclass(frozen=True)
class Score:
    """Notes in their order, and the beats under them."""

    piece: Piece
    notes: tuple[Note, ...]
    beats: tuple[Beat, ...]


def read(piece: Piece) -> Score:
    """The score of that piece: tied notes are one, grace notes, which have no time of their own, are left out, and
    repeats are not played. Raises InputError if music21 is not installed, or has no such piece."""
    try:
        from music21 import corpus
        from music21.exceptions21 import Music21Exception
    except ImportError as error:
        raise InputError(f"scores come from music21, which is not installed ({error}): {CURE}") from error
    try:
        parsed = corpus.parse(piece.name).stripTies()
    except Music21Exception as error:
        raise InputError(f"music21's corpus has no {piece.name}: install music21==10.5.1") from error
    notes = sorted(
        (note for number, part in enumerate(parsed.parts) for note in _notes(part, number)),
        key=lambda note: (note.start, note.part, note.pitch),
    )
    return Score(piece, tuple(notes), tuple(_beats(parsed.parts[0])))


def _notes(part: Any, number: int) -> list[Note]:
    found = []
    for element in part.flatten().notes:
        length = float(element.duration.quarterLength)
        if length > 0 and not element.duration.isGrace and "Harmony" not in element.classes:
            found += [Note(float(element.offset), length, pitch.midi, number) for pitch in element.pitches]
    return found


def _beats(part: Any) -> list[Beat]:
    """By the time signature of each measure: of 6/8 they are dotted quarters."""
    found = list(part.getElementsByClass("Measure"))
    starts = [float(measure.offset) for measure in found]
    ends = [*starts[1:], starts[-1] + float(found[-1].duration.quarterLength)] if found else []
    measures, signature = [], None
    for measure, start, end in zip(found, starts, ends, strict=True):
        signature = measure.timeSignature or signature
        if signature is None:
            raise InputError("the score has no time signature: beats cannot be known")
        lengths = float(signature.barDuration.quarterLength), float(signature.beatDuration.quarterLength)
        measures.append((start, end - start, *lengths))
    return beats_of(measures)


def beats_of(measures: list[tuple[float, float, float, float]]) -> list[Beat]:
    """The beats of measures: (start, length, length that the time signature gives it, length of a beat), in quarters.

    A shorter one at the beginning is the end of a bar (a pick-up); a shorter one after a shorter one goes on where
    that has stopped (a bar that a repeat sign divides).
    """
    found, stopped = list[Beat](), 0.0
    for number, (start, length, bar, beat) in enumerate(measures):
        whole = length >= bar - 1e-6
        before = 0.0 if whole else max(0.0, bar - length) if number == 0 else stopped
        count = 0
        while (place := count * beat) < before + length - 1e-6:
            if place >= before - 1e-6:
                found.append(Beat(start + place - before, beat, count == 0))
            count += 1
        stopped = 0.0 if whole else (before + length) % bar
        stopped = 0.0 if bar - stopped < 1e-6 else stopped
    return found
