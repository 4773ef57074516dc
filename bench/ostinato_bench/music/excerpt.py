"""A few seconds that show what looking from both sides finds, for the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ostinato.streaming import Model
from ostinato_bench.music.hearing import Heard, activations
from ostinato_bench.music.matching import match
from ostinato_bench.music.performance import F64
from ostinato_bench.music.rendering import Recording

SECONDS = 6.0


def excerpt(
    recordings: Sequence[Recording], models: Mapping[str, Model], uni: Sequence[Heard], bi: Sequence[Heard]
) -> dict[str, Any]:
    """Those in which most onsets more are right, ``bi`` against ``uni``: what was heard of each recording. Times are
    of the recording, in seconds."""
    at, start = max(
        ((number, start) for number in range(len(recordings)) for start in _starts(recordings[number])),
        key=lambda place: _gain(recordings[place[0]].onsets, uni[place[0]], bi[place[0]], place[1]),
    )
    recording = recordings[at]
    found: dict[str, Any] = {"name": recording.name, "about": recording.about, "start_s": start, "seconds": SECONDS}
    found["onsets"] = _within(recording.onsets, start)
    for direction, model, heard in (("uni", "madmom:onsets", uni[at]), ("bi", "madmom:onsets-bi", bi[at])):
        times, values = activations(models[model], recording)
        inside = (times >= start) & (times < start + SECONDS)
        found[direction] = {
            "times": np.round(times[inside], 3).tolist(),
            "activations": np.round(values[inside], 3).tolist(),
            "found": _within(heard.times, start),
        }
    return found


def _starts(recording: Recording) -> list[float]:
    starts: list[float] = np.arange(0.0, max(recording.seconds - SECONDS, 0.0) + 0.5, 1.0).tolist()
    return starts


def _gain(onsets: F64, uni: Heard, bi: Heard, start: float) -> int:
    """How many onsets more are right there."""
    true = onsets[(onsets >= start) & (onsets < start + SECONDS)]
    right = []
    for heard in (uni, bi):
        inside = (heard.times >= start) & (heard.times < start + SECONDS)
        right.append(match("onsets", true, Heard(heard.times[inside], heard.known[inside], 0.0)).right)
    return right[1] - right[0]


def _within(times: F64, start: float) -> list[float]:
    found: list[float] = np.round(times[(times >= start) & (times < start + SECONDS)], 3).tolist()
    return found
