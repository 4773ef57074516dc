"""What waiting buys for models of frames or tokens, on a user's own data: how right the answers are, how late they
come, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ostinato.data import Float32, Utterance, read
from ostinato.events import Event
from ostinato.model.front_ends import Tokens
from ostinato.streaming import Model
from ostinato_bench.answers import judged, opened
from ostinato_bench.comparison import Wait, percentiles
from ostinato_bench.conclusions import best_of, conclusions
from ostinato_bench.machine import busy, describe
from ostinato_bench.recognition import Way
from ostinato_bench.scores import Score

BLOCK_FRAMES = 4
LOOKAHEAD_FRAMES = (0, 1, 2, 4, 8, 16, 32, 64)
"""Where nothing else is asked for."""
TIMED_S, TIMED_FRAMES = 1.5, 20_000
"""For so long, and over so many frames, each way is timed at most."""
WARM_FRAMES = 20


@dataclass(frozen=True)
class Timing:
    """What computing took, fed a frame (a token) at a time as it would come. ``frame_us``: for each frame, all in
    all; ``answer_ms``: from pushing the frame (or the end) that completes an answer to having it."""

    frames: int
    frame_us: float
    answer_ms: dict[str, float | None]


@dataclass(frozen=True)
class WayRow:
    """A model and how it waits: how right it is, how late (``delay_ms`` None: the utterance; of tokens their number),
    and what it costs. ``real_time_factor``: seconds of computing for each second of frames; None for tokens, which
    have no pace."""

    way: Way
    score: Score
    delay_ms: float | None
    timing: Timing
    real_time_factor: float | None

    @property
    def name(self) -> str:
        """The model's."""
        return self.way.name

    @property
    def wait(self) -> Wait | None:
        """Its bounded wait, if it has one."""
        return self.way.wait

    @property
    def tokens(self) -> bool:
        """Whether the model reads tokens."""
        return self.way.tokens

    @property
    def direction(self) -> Literal["unidirectional", "bidirectional"]:
        """The head's."""
        return self.way.direction

    def as_dict(self) -> dict[str, Any]:
        """One entry of ``ways`` in the JSON."""
        return (
            self.way.as_dict()
            | self.score.as_dict()
            | {
                "frame_us": float(f"{self.timing.frame_us:.4g}"),
                "answer_ms": {k: None if v is None else float(f"{v:.4g}") for k, v in self.timing.answer_ms.items()},
                "real_time_factor": None if self.real_time_factor is None else float(f"{self.real_time_factor:.3g}"),
                "timed_frames": self.timing.frames,
                "state_bytes": self.way.model.state_bytes,
            }
        )


@dataclass(frozen=True)
class DataComparison:
    """Everything that a comparison on data called ``name`` found; frames are ``frame_ms`` apart (None: tokens)."""

    name: str
    frame_ms: float | None
    rows: tuple[WayRow, ...]
    conclusions: tuple[str, ...]
    machine: dict[str, Any]
    date: str

    @property
    def score(self) -> Score:
        """That of the first row: how much data there is is the same for all."""
        return self.rows[0].score

    def as_dict(self) -> dict[str, Any]:
        """The JSON that ``ostinato compare --json`` writes."""
        return {
            "data": {
                "name": self.name,
                "utterances": self.score.utterances,
                f"{self.score.unit}s": self.score.count,
                "frame_ms": self.frame_ms,
            },
            "ways": [row.as_dict() for row in self.rows],
            "conclusions": list(self.conclusions),
            "machine": self.machine,
            "date": self.date,
        }


def ways_of(
    models: Sequence[Model],
    head: str | None = None,
    block_ms: float | None = None,
    lookaheads_ms: Sequence[float] | None = None,
) -> list[Way]:
    """Causal models once; bidirectional ones with bounded wait for each look-ahead, ascending, and then whole."""
    ways = []
    for model in models:
        if model.delay_of(head).ms is None:
            frame_ms = model.front_end.frame_ms
            ahead = lookaheads_ms or [frames * frame_ms for frames in LOOKAHEAD_FRAMES]
            waits = [Wait(block_ms or BLOCK_FRAMES * frame_ms, each) for each in sorted(set(ahead))]
            blocks = [Way(model.name, model, wait, head) for wait in waits]
            ways += [way for way in blocks if way.delay_ms is not None]  # some decoders wait for the end all the same
        ways.append(Way(model.name, model, None, head))
    return ways


def compare(
    ways: Sequence[Way],
    name: str,
    paths: Sequence[Path],
    left_out: Callable[[Path, Exception], None],
    report: Callable[[str], None] = lambda doing: None,
) -> DataComparison | None:
    """Everything about ``ways`` on the data in these files; None if none of them can be used."""
    machine = describe() | busy()
    bad: set[Path] = set()

    def leave_out(path: Path, error: Exception) -> None:
        bad.add(path)
        left_out(path, error)

    found = judged(ways, paths, leave_out, report)
    if not found:
        return None
    front_end = ways[0].model.network.specification.front_end
    frame_ms = None if isinstance(front_end, Tokens) else front_end.frame_ms
    rows = []
    for each in found:
        report(f"timing {each.way}")
        timing = timed(each.way, (one for path in paths if path not in bad for one in read(path)))
        factor = None if frame_ms is None else timing.frame_us / 1e3 / frame_ms
        rows.append(WayRow(each.way, each.score, each.way.delay_ms, timing, factor))
    return DataComparison(
        name,
        frame_ms,
        tuple(rows),
        _conclusions(rows),
        machine,
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _conclusions(rows: Sequence[WayRow]) -> tuple[str, ...]:
    """What waiting buys, and, of several models, which is the best without bounded wait."""
    whole = [(row.name, row.score) for row in rows if row.wait is None]
    return (*conclusions(rows), *([best_of(whole)] if len(whole) > 1 else []))


def timed(way: Way, utterances: Iterator[Utterance]) -> Timing:
    """How long a way computes over these utterances, or the first of them."""
    frames, total_s = 0, 0.0
    answers_ms: list[float] = []
    for utterance in utterances:
        with opened(way, utterance) as stream:
            pieces = list(_pieces(utterance.input, TIMED_FRAMES - frames, way))
            if not frames:  # what is slow only once is no part of it
                for piece in pieces[:WARM_FRAMES]:
                    stream.push(piece)
                stream.flush()
            for piece in pieces:
                total_s += _answer(partial(stream.push, piece), answers_ms)
            total_s += _answer(stream.flush, answers_ms)
        frames += len(pieces)
        if frames >= TIMED_FRAMES or total_s > TIMED_S:
            break
    return Timing(frames, 1e6 * total_s / max(1, frames), percentiles(answers_ms))


def _answer(compute: Callable[[], list[Event]], answers_ms: list[float]) -> float:
    """How many seconds it takes, also among ``answers_ms`` if it gives an answer."""
    begin = time.perf_counter()
    events = compute()
    took = time.perf_counter() - begin
    if events:
        answers_ms.append(1e3 * took)
    return took


def _pieces(data: Float32 | str, most: int, way: Way) -> Iterator[Float32 | str]:
    """Frame by frame, character by character, or word by word."""
    front_end = way.model.network.specification.front_end
    if isinstance(data, str):
        words = isinstance(front_end, Tokens) and front_end.in_words
        yield from [f"{word} " for word in data.split()][:most] if words else data[:most]
    else:
        for at in range(min(len(data), most)):
            yield data[at]
