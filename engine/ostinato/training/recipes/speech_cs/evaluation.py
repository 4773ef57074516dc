"""How well a speech model hears clips that nothing was chosen by, through the streams that serve it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ostinato.events import Event
from ostinato.options import Options
from ostinato.pipeline.confidence import interval
from ostinato.pipeline.score import Errors, align, count
from ostinato.streaming import Model
from ostinato.training.recipes.recipe import Progress, no_progress
from ostinato.training.recipes.speech_cs import clips
from ostinato.training.recipes.speech_cs.clips import Clip

CHUNK_MS = 40
BLOCK_MS = 300.0
LOOKAHEADS_MS = (150.0, 300.0, 600.0, 1200.0)
END_OF_SPEECH_MS = 600.0
PAUSE_S = 1.2
IN_ONE = 8
"""Clips that one stream hears, one after the other, with pauses."""
NOISE = 1e-3
"""The loudness of pauses, of full scale."""
RARE, MOST_RARE, BOOST = 6, 64, 6.0
"""Letters of words that are expected, at least; how many of them; and what each counts."""
EARLY_S = 0.5
"""So much before a pause speech may have ended: clips have quiet at their ends."""


@dataclass
class Way:
    """What one way to ask a model gave: by clip the text, and its errors in characters and in words; ``waits_ms``:
    from a character's own frame to when it was told, in the audio's time."""

    name: str
    options: Options
    delay_ms: float | None
    texts: list[str] = field(default_factory=list)
    characters: list[Errors] = field(default_factory=list)
    words: list[Errors] = field(default_factory=list)
    waits_ms: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For results.json."""
        asked = {name: self.options.given.get(name) for name in ("head", "block_ms", "lookahead_ms")}
        told = np.percentile(self.waits_ms, [50, 90]).round().tolist() if self.waits_ms else [None, None]
        rates = {"characters": _rate(self.characters), "words": _rate(self.words)}
        return {"name": self.name, **asked, "delay_ms": self.delay_ms, "wait_ms": told, **rates}


def ways(model: Model) -> list[Way]:
    """How a model is asked, with each head: if it looks back from the end, in blocks with some look-ahead, and as a
    whole."""
    asked = {"at once": Options()}
    if model.direction == "bidirectional":
        asked = {f"{ms:.0f} ms": Options(block_ms=BLOCK_MS, lookahead_ms=ms) for ms in LOOKAHEADS_MS}
        asked["whole"] = Options()
    made = []
    for name, wait in asked.items():
        for head in model.heads.all:
            options = dataclasses.replace(wait, head=head)
            with model.open(options) as stream:
                made.append(Way(name, options, stream.delay.ms))
    return made


def test(model: Model, heard: Sequence[Clip], progress: Progress = no_progress) -> list[Way]:
    """Let it hear all clips in all ways, in 16 bits, 40 ms at a time."""
    made = ways(model)
    for done, clip in enumerate(heard, 1):
        for way in made:
            _transcribe(model, way, clip)
        if done % 10 == 0 or done == len(heard):
            progress(f"testing {model.name}", done, len(heard))
    return made


def _transcribe(model: Model, way: Way, clip: Clip) -> None:
    samples, rate = clips.samples(clip.path)
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    text = "".join(event.text for event in _listen(model, way, pcm, rate))
    way.texts.append(text)
    way.characters.append(count(align(clip.text, text)))
    way.words.append(count(align(clip.text.split(), text.split())))


def _listen(model: Model, way: Way, pcm: Any, rate: int) -> list[Event]:
    step, events = rate * CHUNK_MS // 1000, list[Event]()
    with model.open(dataclasses.replace(way.options, sample_rate=rate)) as stream:
        for at in range(0, len(pcm), step):
            now_ms = 1000 * min(at + step, len(pcm)) / rate
            for event in stream.push(pcm[at : at + step]):
                way.waits_ms.append(now_ms - event.time_ms)
                events.append(event)
        for event in stream.flush():
            way.waits_ms.append(1000 * len(pcm) / rate - event.time_ms)
            events.append(event)
    return events


def hotwords(model: Model, heard: Sequence[Clip], learnt: Collection[str], without: Way) -> dict[str, Any]:
    """What it helps to expect words: those of six letters or more that are said in the clips, and in none that was
    learnt from. ``without``: what was heard as they were not expected, with the same head."""
    words = sorted({w for clip in heard for w in clip.text.split() if len(w) >= RARE and w not in learnt})[:MOST_RARE]
    options = dataclasses.replace(without.options, hotwords=tuple(words), hotword_boost=BOOST)
    way = Way("expecting", options, without.delay_ms)
    for clip in heard:
        _transcribe(model, way, clip)
    found = {
        "words": len(words),
        "boost": BOOST,
        "errors": {"without": _rate(without.words), "with": _rate(way.words)},
    }
    for name, texts in (("without", without.texts), ("with", way.texts)):
        said = [(Counter(clip.text.split()), Counter(text.split())) for clip, text in zip(heard, texts, strict=True)]
        found[name] = {
            "said": sum(one[w] for one, _ in said for w in words),
            "right": sum(min(one[w], other[w]) for one, other in said for w in words),
            "wrongly": sum(max(0, other[w] - one[w]) for one, other in said for w in words),
        }
    return found


def sessions(model: Model, heard: Sequence[Clip]) -> dict[str, Any]:
    """Let streams find the ends of what is said: clips, some in one stream, with pauses of 1.2 s of faint noise; 600
    ms of silence end an utterance. ``ends``: how many ends were told; ``in_pauses``: in how many pauses one was."""
    rates = {clip.name: clips.samples(clip.path)[1] for clip in heard}
    characters, ends, in_pauses, rng = list[Errors](), 0, 0, np.random.default_rng(0)
    for rate in sorted(set(rates.values())):
        alike = [clip for clip in heard if rates[clip.name] == rate]
        for some in (alike[first : first + IN_ONE] for first in range(0, len(alike), IN_ONE)):
            pieces, pauses, at = list[Any](), list[tuple[float, float]](), 0
            for clip in some:
                pieces += [clips.samples(clip.path)[0], rng.normal(0, NOISE, int(PAUSE_S * rate)).astype(np.float32)]
                at += len(pieces[-2]) + len(pieces[-1])
                pauses.append(((at - len(pieces[-1])) / rate, at / rate))
            events = _hear(model, np.concatenate(pieces), rate)
            told = [event for event in events if event.kind == "end-of-speech"]
            ended = [(event.utterance_ms + event.time_ms) / 1000 for event in told]
            ends += len(told)
            in_pauses += sum(any(first - EARLY_S <= end <= last for end in ended) for first, last in pauses)
            text = "".join(event.text if event.kind == "symbol" else " " for event in events)
            characters.append(count(align(" ".join(clip.text for clip in some), " ".join(text.split()))))
    return {"clips": len(heard), "ends": ends, "in_pauses": in_pauses, "characters": _rate(characters)}


def _hear(model: Model, samples: Any, rate: int) -> list[Event]:
    step = rate * CHUNK_MS // 1000
    with model.stream(sample_rate=rate, end_of_speech_ms=END_OF_SPEECH_MS) as stream:
        pieces = [stream.push(samples[at : at + step]) for at in range(0, len(samples), step)]
        return [event for piece in (*pieces, stream.flush()) for event in piece]


def _rate(recordings: Sequence[Errors]) -> dict[str, Any]:
    total, bounds = sum(recordings, Errors()), interval(recordings)
    low, high = bounds or (None, None)
    return {"said": total.symbols, "errors": total.total, "rate": total.rate, "low": low, "high": high}
