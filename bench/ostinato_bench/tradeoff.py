"""What waiting buys: the errors of models on transcribed recordings, against how long they look ahead.

Computed in this process, as fast as it goes: errors do not depend on how fast one speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ostinato.pipeline.score import edit_distance
from ostinato.streaming import Model
from ostinato_bench.comparison import DelayRow, Wait
from ostinato_bench.recognition import Spoken as Spoken
from ostinato_bench.recognition import heard, transcribes

LOOKAHEADS_MS = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 420.0, 600.0, 900.0)


def errors_by_delay(
    models: Sequence[tuple[str, Model]],
    recordings: Sequence[Spoken],
    block_ms: float,
    lookaheads_ms: Sequence[float] = LOOKAHEADS_MS,
    report: Callable[[str], None] = lambda doing: None,
) -> tuple[DelayRow, ...]:
    """Each model's errors over all recordings: causal ones once, bidirectional ones with bounded wait for each
    look-ahead, in ascending order, and then whole. Models that do not transcribe audio are left out."""
    ways: list[tuple[str, Model, Wait | None]] = []
    for name, model in models:
        if not transcribes(model):
            continue
        if model.direction == "bidirectional":
            ways += [(name, model, Wait(block_ms, ahead)) for ahead in sorted(set(lookaheads_ms))]
        ways.append((name, model, None))
    errors = [0] * len(ways)
    for number, spoken in enumerate(recordings, 1):
        report(f"errors against delay: recording {number} of {len(recordings)}")
        samples, rate = spoken.read(spoken.path)
        for i, (_, model, wait) in enumerate(ways):
            errors[i] += edit_distance(spoken.transcript.split(), heard(model, samples, rate, wait))
    symbols = sum(len(spoken.transcript.split()) for spoken in recordings)
    return tuple(
        DelayRow(name, model.direction, wait, _delay_ms(model, wait), count, symbols, len(recordings))
        for (name, model, wait), count in zip(ways, errors, strict=True)
    )


def _delay_ms(model: Model, wait: Wait | None) -> float | None:
    if wait is None:
        return model.delay.ms
    with model.stream(block_ms=wait.block_ms, lookahead_ms=wait.lookahead_ms) as stream:
        return stream.delay.ms
