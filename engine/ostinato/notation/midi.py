"""A tune as a standard MIDI file."""

from __future__ import annotations

from pathlib import Path

from ostinato.errors import InputError
from ostinato.notation.playing import USUAL, seconds_per_beat, sounding
from ostinato.notation.tune import Tune, beat

TICKS = 480
"""Of a quarter note: thirds, and whatever else tunes divide it by, are whole numbers of them."""
PROGRAM = 40
"""Violin, of General MIDI."""
VELOCITY, ACCENTED = 80, 96
SEPARATION = 0.1
"""Share of a note for which it is silent before the next one."""


def write(tune: Tune, path: Path, tempo: int = USUAL) -> None:
    """Write it at ``tempo`` beats a minute. Raises InputError where mido is not installed, and as `sounding`."""
    need_mido()
    import mido

    ticks = float(beat(tune.metre) * 4 * TICKS)
    quarter = seconds_per_beat(tempo) / float(beat(tune.metre) * 4)
    count, over = map(int, tune.metre.split("/"))
    messages = []
    for pitch, start, length, on_beat in sounding(tune):
        if not 0 <= pitch <= 127:
            raise InputError(f"pitch {pitch} is none of MIDI's, which are 0 to 127")
        begin, end = round(start * ticks), round((start + length * (1 - SEPARATION)) * ticks)
        loud = ACCENTED if on_beat else VELOCITY
        messages += [(begin, 1, pitch, loud), (max(end, begin + 1), 0, pitch, 0)]
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=round(1e6 * quarter)))
    track.append(mido.MetaMessage("time_signature", numerator=count, denominator=over))
    track.append(mido.Message("program_change", program=PROGRAM))
    now = 0
    for at, on, pitch, velocity in sorted(messages):
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=at - now))
        now = at
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS)
    file.tracks.append(track)
    file.save(str(path))


def need_mido() -> None:
    """Raise InputError if mido is not installed."""
    try:
        import mido  # noqa: F401
    except ImportError as error:
        raise InputError(f"MIDI files need mido ({error}): pip install mido, or write .abc or .wav") from error
