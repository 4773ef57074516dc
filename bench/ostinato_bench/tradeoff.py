"""What waiting buys: the errors of models on transcribed recordings, against how long they look ahead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ostinato.streaming import Model
from ostinato_bench.comparison import DelayRow, Wait
from ostinato_bench.recognition import Spoken, Way, recognise, transcribes

LOOKAHEADS_MS = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0)


def errors_by_delay(
    models: Sequence[tuple[str, Model]],
    recordings: Sequence[Spoken],
    block_ms: float,
    lookaheads_ms: Sequence[float],
    left_out: Callable[[Path, Exception], None],
    report: Callable[[str], None] = lambda doing: None,
    head: str | None = None,
) -> tuple[DelayRow, ...]:
    """The errors of each model's ``head`` over all recordings: causal ones once, bidirectional ones with bounded wait
    for each look-ahead, in ascending order, and then whole. Models that do not transcribe audio are left out, and,
    after ``left_out`` was told why, recordings that cannot be heard; nothing comes of none."""
    ways: list[Way] = []
    for name, model in models:
        if not transcribes(model, head):
            continue
        if model.delay_of(head).ms is None:
            frame_ms = model.front_end.frame_ms
            waits = (Wait(block_ms, ahead).in_frames(frame_ms) for ahead in sorted(lookaheads_ms))
            ways += [Way(name, model, wait, head) for wait in dict.fromkeys(waits)]
        ways.append(Way(name, model, None, head))
    found = recognise(ways, recordings, left_out, lambda doing: report(f"errors against delay: {doing}"))
    return tuple(
        DelayRow(way.name, way.direction, way.wait, way.delay_ms, tuple(one.errors for one in results))
        for way, results in zip(ways, found, strict=True)
        if results
    )
