"""How well a digit model hears real people, through the same stream that serves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ostinato.model.network import Network
from ostinato.pipeline.confidence import interval
from ostinato.pipeline.score import Errors, align, count
from ostinato.streaming import Model
from ostinato.training.recipes.digits.real import SELECTION, Item
from ostinato.training.recipes.digits.words import DIGITS, SYMBOLS
from ostinato.training.recipes.recipe import Progress

CHUNK_MS = 40


@dataclass
class VoiceResult:
    """What came of one voice's items of one kind.

    ``counted``: how many digits were spoken, and the errors; ``waits_ms``: for each
    digit of the items without error, from the end of its sound to the end of the frame that gave it (of a
    bidirectional model, whose symbols come at the end of the utterance, where it places them); ``confusions``:
    (spoken, recognised) of single digits that went wrong.
    """

    voice: str
    kind: str
    items: int = 0
    seconds: float = 0.0
    counted: Errors = field(default_factory=Errors)
    waits_ms: list[float] = field(default_factory=list)
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def digits(self) -> int:
        """How many were spoken."""
        return self.counted.symbols

    @property
    def errors(self) -> int:
        """Substitutions, insertions and deletions."""
        return self.counted.total

    @property
    def error_rate(self) -> float | None:
        """Errors per spoken digit; None if none was spoken."""
        return self.counted.rate if self.digits else None


@dataclass
class Report:
    """A model's results by voice and kind of item."""

    model: str
    results: list[VoiceResult]

    def error_rate(self, *voices: str) -> float | None:
        """Errors per digit over these voices, or over all that nothing was chosen by; None if they said no digit."""
        found = sum(self._by_voice(voices), Errors())
        return found.rate if found.symbols else None

    def interval(self, *voices: str) -> tuple[float, float] | None:
        """Its 95 % interval for voices like these (`confidence.interval`); None of fewer than two.

        The voices are what differs independently: strings of one voice are made of the same few recordings.
        """
        return interval(self._by_voice(voices))

    def _by_voice(self, voices: Sequence[str]) -> list[Errors]:
        found: dict[str, Errors] = {}
        for r in self.results:
            if r.kind != "other" and (r.voice in voices if voices else r.voice not in SELECTION):
                found[r.voice] = found.get(r.voice, Errors()) + r.counted
        return list(found.values())

    def false_per_minute(self) -> float | None:
        """Digits heard per minute of other speech; None if there was none."""
        other = [r for r in self.results if r.kind == "other"]
        seconds = sum(r.seconds for r in other)
        return 60 * sum(r.errors for r in other) / seconds if seconds else None

    def waits_ms(self) -> list[float]:
        """The waits of all voices, see `VoiceResult`."""
        return [wait for result in self.results for wait in result.waits_ms]

    def table(self) -> str:
        """For people: one line per voice and kind."""
        lines = [f"{'voice':<16}{'kind':<10}{'items':>6}{'digits':>8}{'errors':>8}{'rate':>8}"]
        for r in self.results:
            chosen = "  (chose the checkpoint)" if r.voice in SELECTION else ""
            rate = "-" if r.error_rate is None else f"{r.error_rate:.1%}"
            lines.append(f"{r.voice:<16}{r.kind:<10}{r.items:>6}{r.digits:>8}{r.errors:>8}{rate:>8}{chosen}")
        return "\n".join(lines)


def recognise(
    model: Model, item: Item, block_ms: float | None = None, lookahead_ms: float | None = None
) -> tuple[list[int], list[float]]:
    """The digits that the model hears, and the time of each in ms; pushed as 16 bits, 40 ms at a time."""
    pcm = np.round(np.clip(item.samples, -1, 1) * 32767).astype(np.int16)
    step = item.rate * CHUNK_MS // 1000
    stream = model.stream(sample_rate=item.rate, block_ms=block_ms, lookahead_ms=lookahead_ms)
    events = [event for at in range(0, len(pcm), step) for event in stream.push(pcm[at : at + step])]
    events += stream.flush()
    stream.close()
    symbols = [event for event in events if event.kind == "symbol"]
    return [SYMBOLS.index(event.text) - 1 for event in symbols], [event.time_ms for event in symbols]


def evaluate(
    model: Model | Network,
    items: Sequence[Item],
    progress: Progress | None = None,
    *,
    block_ms: float | None = None,
    lookahead_ms: float | None = None,
) -> Report:
    """Let the model hear all items."""
    model = Model(model) if isinstance(model, Network) else model
    results: dict[tuple[str, str], VoiceResult] = {}
    for done, item in enumerate(items, 1):
        result = results.setdefault((item.voice, item.kind), VoiceResult(item.voice, item.kind))
        heard, times = recognise(model, item, block_ms, lookahead_ms)
        errors = count(align(item.digits, heard))
        result.items += 1
        result.seconds += len(item.samples) / item.rate
        result.counted += errors
        if not errors.total:
            result.waits_ms += [time - end for time, end in zip(times, item.ends_ms, strict=False)]
        elif item.kind == "isolated":
            result.confusions[DIGITS[item.digits[0]], " ".join(DIGITS[d] for d in heard)] += 1
        if progress and (done % 20 == 0 or done == len(items)):
            progress(f"testing {model.name}", done, len(items))
    return Report(model.name, list(results.values()))
