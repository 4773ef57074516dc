"""A score as it is played: at a tempo that drifts slowly, louder on beats, as MIDI and as the truth in seconds."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ostinato.errors import InputError
from ostinato_bench.music.scores import CURE, Score

F64 = npt.NDArray[np.float64]

TICKS = 480
"""Of a quarter."""
REST = 1
"""Quarters of silence before the first note."""
TOGETHER_S = 0.030
"""Notes that begin so soon after one another are one onset."""
DRIFT, DRIFT_BEATS = 0.06, 50.0
"""How far the tempo goes up and down, and in how many beats once around."""


@dataclass(frozen=True)
class Played:
    """``start`` and ``end`` in ticks; ``velocity`` as MIDI has it."""

    start: int
    end: int
    pitch: int
    velocity: int
    part: int


@dataclass(frozen=True)
class Performance:
    """``tempi``: from which tick on, and microseconds a quarter then. ``onsets`` and ``beats`` in seconds, where they
    are in the sound; ``seconds``: how long it is."""

    score: Score
    notes: tuple[Played, ...]
    tempi: tuple[tuple[int, int], ...]
    onsets: F64
    beats: F64
    seconds: float


def play(score: Score, longest_s: float) -> Performance:
    """The score, or its beginning of ``longest_s`` seconds. Raises InputError if nothing is played in that time."""
    beats = score.beats
    tempi = [(0, round(60e6 / score.piece.bpm))]
    for number, beat in enumerate(beats):
        bpm = score.piece.bpm * (1 + DRIFT * math.sin(2 * math.pi * number / DRIFT_BEATS))
        tempi.append((_tick(beat.start), round(60e6 / (bpm * beat.length))))
    ends = max((note.start + note.length for note in score.notes), default=0.0)
    last = min(longest_s, float(seconds(tempi, np.array([_tick(ends)]))[0]) + 0.5)
    accents = {_tick(beat.start): 20 if beat.first else 10 for beat in beats}
    played = []
    for note in score.notes:
        start, end = _tick(note.start), _tick(note.start + note.length)
        swell = round(10 * math.sin(2 * math.pi * note.start / 32))  # phrases come and go
        played.append(Played(start, end, note.pitch, 72 + accents.get(start, 0) + swell, note.part))
    starts = seconds(tempi, np.array([note.start for note in played], np.int64))
    kept = tuple(note for note, start in zip(played, starts.tolist(), strict=True) if start < last)
    if not kept:
        raise InputError(f"{score.piece.name}: no note begins in the first {longest_s:g} s")
    where = seconds(tempi, np.array([_tick(beat.start) for beat in beats], np.int64))
    return Performance(score, kept, tuple(tempi), merged(starts[starts < last]), where[where < last], last)


def _tick(quarters: float) -> int:
    return round((REST + quarters) * TICKS)


def seconds(tempi: list[tuple[int, int]], ticks: npt.NDArray[np.int64]) -> F64:
    """Where ticks are in time. ``tempi`` ascend; a later one at the same tick counts."""
    begin, pace = (np.array(column, np.float64) for column in zip(*tempi, strict=True))
    at = np.concatenate(([0.0], np.cumsum(np.diff(begin) * pace[:-1]))) / (1e6 * TICKS)
    which = np.searchsorted(begin, ticks, side="right") - 1
    made: F64 = at[which] + (ticks - begin[which]) * pace[which] / (1e6 * TICKS)
    return made


def merged(starts: F64) -> F64:
    """Ascending times, without those at most `TOGETHER_S` after the one before that is kept."""
    kept = list[float]()
    for start in np.sort(starts).tolist():
        if not kept or start > kept[-1] + TOGETHER_S:
            kept.append(start)
    return np.array(kept)


def midi(performance: Performance) -> bytes:
    """As a MIDI file: a track of tempi, and a track and channel for each part. Raises InputError without mido."""
    try:
        from mido import Message, MetaMessage, MidiFile, MidiTrack
    except ImportError as error:
        raise InputError(f"MIDI files are written by mido, which is not installed ({error}): {CURE}") from error
    file = MidiFile(ticks_per_beat=TICKS)
    events = [(tick, MetaMessage("set_tempo", tempo=tempo)) for tick, tempo in performance.tempi]
    tracks = [events]
    instruments = performance.score.piece.instruments
    for part in sorted({note.part for note in performance.notes}):
        channel = part % 15
        channel += channel >= 9  # the tenth is for drums
        program = instruments[min(part, len(instruments) - 1)]
        events = [(0, Message("program_change", channel=channel, program=program))]
        for note in performance.notes:
            if note.part == part:
                on = {"channel": channel, "note": note.pitch}
                events.append((note.start, Message("note_on", velocity=note.velocity, **on)))
                events.append((note.end, Message("note_off", **on)))
        tracks.append(sorted(events, key=lambda event: (event[0], event[1].type != "note_off")))
    for events in tracks:
        track, before = MidiTrack(), 0
        for tick, message in events:
            track.append(message.copy(time=tick - before))
            before = tick
        file.tracks.append(track)
    made = io.BytesIO()
    file.save(file=made)
    return made.getvalue()
