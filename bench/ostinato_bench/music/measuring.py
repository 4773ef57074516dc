"""`ostinato bench music`: onsets and beats as they happen, with bounded wait and of the whole piece, beside madmom's
programs on the same audio."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from threadpoolctl import threadpool_limits

from ostinato.errors import InputError
from ostinato.importing import import_model
from ostinato.streaming import Model
from ostinato_bench import machine
from ostinato_bench.comparison import Wait, wait_as_dict
from ostinato_bench.music import network_times, scores
from ostinato_bench.music.excerpt import excerpt
from ostinato_bench.music.hearing import Direction, Heard, Task, as_it_happens, hear
from ostinato_bench.music.matching import Match, match, shared
from ostinato_bench.music.performance import play
from ostinato_bench.music.pieces import LONGEST_S, PIECES
from ostinato_bench.music.rendering import RATE, Fluidsynth, Recording, Render, record
from ostinato_bench.peers import madmom

Progress = Callable[[int, int, str], None]
SHORTEST_S = 15.0
"""Less of a piece is not worth hearing."""
TIMED_S = 20
"""How much the networks alone are timed with."""
DIRECTIONS: tuple[Direction, ...] = ("uni", "bi")


@dataclass(frozen=True)
class Way:
    """How a task is done: by a model of ours or by madmom's program, from one side or both, in blocks or not."""

    task: Task
    by: Literal["ostinato", "madmom"]
    direction: Direction
    wait: Wait | None = None

    @property
    def model(self) -> str:
        """The name by which the network is imported."""
        return f"madmom:{self.task}{'-bi' * (self.direction == 'bi')}"

    @property
    def same(self) -> Way:
        """Ours that should give the same as this one."""
        return Way(self.task, "ostinato", self.direction)

    def __str__(self) -> str:
        return f"{self.task}, {self.by} {self.direction}{f' in blocks, {self.wait}' if self.wait else ''}"


WAITS: dict[Task, tuple[Wait, ...]] = {
    "onsets": (Wait(20, 40), Wait(50, 100)),
    "beats": (Wait(100, 200), Wait(200, 1000)),
}


def ways(beside: bool) -> list[Way]:
    """All that are measured, in the order of the tables."""
    found = []
    for task in WAITS:
        blocks = [Way(task, "ostinato", "bi", wait) for wait in WAITS[task]]
        found += [Way(task, "ostinato", "uni"), *blocks, Way(task, "ostinato", "bi")]
        if beside:
            found += [Way(task, "madmom", "uni"), Way(task, "madmom", "bi")]
    return found


def run(minutes: float, beside: bool, seconds: float, progress: Progress) -> dict[str, Any]:
    """Figures of at least so many ``minutes`` of music, with madmom's programs ``beside`` if they can be had.

    Networks alone are timed for ``seconds`` each. Raises InputError for what is missing, with its cure."""
    missing = madmom.missing() if beside else ""
    beside = beside and not missing
    fluidsynth = Fluidsynth()
    recordings = list(render(minutes, fluidsynth, progress))
    networks = {}
    for number, name in enumerate(dict.fromkeys(way.model for way in ways(False)), 1):
        progress(number - 1, 4, f"importing {name}")
        networks[name] = import_model(name).network
    progress(4, 4, "imported")
    result = measure(recordings, {name: Model(network) for name, network in networks.items()}, beside, progress)
    with threadpool_limits(1):
        result["networks"] = []
        for number, way in enumerate(way for way in ways(False) if way.wait is None):
            progress(number, 4, f"a frame of {way.model}")
            result["networks"] += network_times.measure(
                way.task, Model(networks[way.model]), recordings[0].samples[: TIMED_S * RATE], seconds, beside
            )
    progress(4, 4, "timed")
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    more = {"madmom": madmom.version()} if beside else {}
    return result | {
        "missing": {"madmom": missing} if missing else {},
        "rendered": {"scores": f"music21 {version('music21')}", "by": fluidsynth.about},
        "machine": described | machine.busy(),
        "versions": versions | more,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def render(minutes: float, renderer: Render, progress: Progress) -> list[Recording]:
    """So much music, each piece up to `LONGEST_S`. Raises InputError if there is not so much."""
    found, left = list[Recording](), 60 * minutes
    for number, piece in enumerate(PIECES):
        if left <= 0:
            break
        progress(number, len(PIECES), f"playing {piece.name}")
        found.append(record(play(scores.read(piece), min(LONGEST_S, max(left, SHORTEST_S))), renderer))
        left -= found[-1].seconds
    progress(len(PIECES), len(PIECES), "played")
    if left > 0:
        raise InputError(f"there are {minutes - left / 60:.1f} minutes of music here: ask for no more")
    return found


def measure(
    recordings: Sequence[Recording], models: dict[str, Model], beside: bool, progress: Progress
) -> dict[str, Any]:
    """Every way hears every recording, in turns, so that the machine's moods meet all of them; on one core."""
    everything = ways(beside)
    forward = {name: Model(as_it_happens(model.network)) for name, model in models.items()}
    programs = {way: madmom.Program(way.task, way.direction == "uni") for way in everything if way.by == "madmom"}
    heard: dict[Way, list[Heard]] = defaultdict(list)
    with threadpool_limits(1):
        for number, recording in enumerate(recordings):
            for turn in range(len(everything)):
                way = everything[(turn + number) % len(everything)]
                progress(
                    number * len(everything) + turn, len(recordings) * len(everything), f"{recording.name}: {way}"
                )
                if way.by == "madmom":
                    before = time.process_time()
                    times, known = programs[way].hear(recording.samples)
                    one = Heard(times, known, time.process_time() - before)
                else:
                    one = hear((forward if way.wait else models)[way.model], recording, way.wait)
                heard[way].append(one)
    progress(len(recordings) * len(everything), len(recordings) * len(everything), "heard")
    matches = {
        way: [
            match(way.task, getattr(recording, way.task), one)
            for recording, one in zip(recordings, heard[way], strict=True)
        ]
        for way in everything
    }
    uni, bi = (Way("onsets", "ostinato", direction) for direction in DIRECTIONS)
    return {
        "music": [_about(recording) for recording in recordings],
        "rows": [_row(way, recordings, heard, matches[way], programs) for way in everything],
        "excerpt": excerpt(recordings, models, heard[uni], heard[bi]),
    }


def _about(recording: Recording) -> dict[str, Any]:
    return {
        "name": recording.name, "about": recording.about, "seconds": round(recording.seconds, 1),
        "onsets": len(recording.onsets), "beats": len(recording.beats),
    }  # fmt: skip


def _row(
    way: Way, recordings: Sequence[Recording], heard: dict[Way, list[Heard]], matches: Sequence[Match],
    programs: dict[Way, madmom.Program],
) -> dict[str, Any]:  # fmt: skip
    everything = Match.together(matches)
    factors = [one.spent / recording.seconds for one, recording in zip(heard[way], recordings, strict=True)]
    low, median, high = statistics.quantiles(factors, n=4, method="inclusive") if len(factors) > 1 else 3 * factors
    row: dict[str, Any] = {
        "task": way.task, "by": way.by, "direction": way.direction, **wait_as_dict(way.wait),
        "name": programs[way].name if way in programs else way.model,
        "f": everything.f, "precision": everything.precision, "recall": everything.recall,
        "found": everything.found, "true": everything.true, "right": everything.right,
        "delay_ms": statistics.median(everything.delays) if everything.delays else None,
        "whole": way.direction == "bi" and way.wait is None,
        "f_by_piece": [round(one.f, 4) for one in matches],
        "real_time": median, "real_time_quartiles": [round(low, 6), round(high, 6)],
    }  # fmt: skip
    if way.by == "madmom":
        pairs = list(zip(heard[way.same], heard[way], strict=True))
        row["ours_too"] = sum(shared(*pair) for pair in pairs)
        row["said"] = sum(len(theirs.times) for _, theirs in pairs)
        row["ours_said"] = sum(len(ours.times) for ours, _ in pairs)
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}
