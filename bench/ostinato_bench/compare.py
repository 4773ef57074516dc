"""Measures models on one recording, over the socket and at the pace of speech, for `ostinato compare`.

The models are measured one after another, each alone on the server, so that none waits for another. A chunk is sent
when its last sample would have left the microphone, so that latency is all that a speaker would wait for: for the
chunk to fill, for the socket, for computing, and for the end of the utterance if the model needs it. It counts from
the end of each word in the recording: from the times that are given with it, or else from one alignment for all
models.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ostinato.pipeline.score import error_rate
from ostinato.pipeline.transcript import Vocabulary
from ostinato.protocol import ModelInfo
from ostinato_bench.alignment import aligned
from ostinato_bench.comparison import (
    Comparison,
    DelayRow,
    LengthRow,
    ModelRun,
    Recording,
    Samples,
    Shown,
    Wait,
    asked,
    of_length,
)
from ostinato_bench.conclusions import conclusions
from ostinato_bench.machine import busy, describe
from ostinato_bench.word_times import SUFFIX, Word, matched
from ostinato_client import Client, Stream

CHUNK_MS = 20.0
LENGTHS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
REPEATS = 9
SHOWN = ("symbol", "label", "class")
TIMEOUT_S = 30.0
DEFAULT_UTTERANCE_S = 60.0
"""What a server's streams take without being asked; longer recordings ask for more."""
ANY = Vocabulary()
"""Of a model that is not known here: only the server has it."""


def measure(
    endpoint: str,
    models: Sequence[str],
    recording: Recording,
    report: Callable[[str], None] = lambda doing: None,
    lengths_s: Sequence[float] = LENGTHS_S,
    wait: Wait | None = None,
    head: str | None = None,
    error_by_delay: Sequence[DelayRow] = (),
    vocabularies: Mapping[str, Vocabulary] | None = None,
) -> Comparison:
    """Everything about ``models`` on a recording, as served at ``endpoint``.

    ``report`` is told what is being done. With ``wait``, bidirectional models are measured with that bounded wait
    too; ``head`` is which of each model's heads. ``error_by_delay`` was found before. ``vocabularies``: how the
    transcript is read for each model, where that is known. Raises OstinatoError for what the server refuses,
    ConnectionLostError if it is not there.
    """
    machine = describe() | busy()
    runs: list[tuple[ModelRun, Vocabulary]] = []
    by_length = []
    with Client(endpoint, timeout=TIMEOUT_S) as client:
        waiting = {info.name: info.frame_ms for info in client.models() if _delay_ms(info, head) is None}
        ways: list[tuple[str, Wait | None]] = []
        for name in models:
            if wait and name in waiting:
                ways.append((name, wait.in_frames(waiting[name])))
            ways.append((name, None))
        for name, each in ways:  # what is refused is refused before any of it has been spoken
            _open(client, name, each, head, recording.sample_rate, recording.seconds).close()
        for name, each in ways:
            report(f"{_called(name, each)}: {recording.seconds:.0f} s of speech, in real time")
            known = (vocabularies or {}).get(name, ANY)
            runs.append((_spoken(client, name, each, head, recording, known), known))
        for name, each in ways:
            for seconds in lengths_s:
                report(f"{_called(name, each)}: utterances of {seconds:g} s")
                by_length.append(_by_length(client, name, each, head, recording, seconds))
    words, words_from = _words(recording, runs)
    return Comparison(
        recording=recording,
        words=words,
        words_from=words_from,
        chunk_ms=CHUNK_MS,
        models=tuple(_counted(run, words, known) for run, known in runs),
        by_length=tuple(by_length),
        machine=machine,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        error_by_delay=tuple(error_by_delay),
        conclusions=conclusions(error_by_delay),
    )


def _words(recording: Recording, runs: Sequence[tuple[ModelRun, Vocabulary]]) -> tuple[tuple[Word, ...], str]:
    """The words of the recording, and how it is known where they are: as given, or by one alignment for all models.

    The alignment takes the decisions of a model that had heard the whole utterance, if there is one: they lie inside
    of the words.
    """
    if recording.words is not None:
        return recording.words, f"given in {Path(recording.name).with_suffix(SUFFIX).name}"
    whole = [(run, known) for run, known in runs if run.shown and not known.characters]
    if not whole:
        return (), "not known: no words were recognised"
    run, known = min(whole, key=lambda each: each[0].delay_ms is not None)
    heard = [(symbol, shown.decided_at_ms) for shown in run.shown for symbol in _symbols(shown, known)]
    said = known.read(recording.transcript) if recording.transcript else [symbol for symbol, _ in heard]
    whose = "of the transcript" if recording.transcript else f"that {run.name} recognised"
    words = aligned(
        recording.samples,
        recording.sample_rate,
        said,
        [symbol for symbol, _ in heard],
        [at for _, at in heard],
        inside=run.delay_ms is None,
    )
    if not words:
        return (), f"not known: the words {whose} could not be told apart in the recording; NAME{SUFFIX} may say it"
    return words, f"the words {whose}, aligned: where {run.name} decided on them, and the recording's energy"


def _counted(run: ModelRun, words: Sequence[Word], known: Vocabulary) -> ModelRun:
    """The run with the end of the word that each result is, or is a part of."""
    said = [(symbol, word) for word in words for symbol in known.read(word.text)]
    heard = [(symbol, shown, i) for i, shown in enumerate(run.shown) for symbol in _symbols(shown, known)]
    numbers = matched(
        [symbol for symbol, _ in said],
        [(word.start_ms, word.end_ms) for _, word in said],
        [symbol for symbol, _, _ in heard],
        [shown.decided_at_ms for _, shown, _ in heard],
    )
    ends: dict[int, float | None] = {}
    for (_, _, i), number in zip(heard, numbers, strict=True):
        ends[i] = None if number is None else said[number][1].end_ms
    return replace(run, shown=tuple(replace(one, end_at_ms=ends.get(i)) for i, one in enumerate(run.shown)))


def _symbols(shown: Shown, known: Vocabulary) -> list[str]:
    """A result as `Vocabulary.read` gives it."""
    return known.read(shown.text) if known is ANY else known.heard([shown.text])


def utterance_s(seconds: float) -> float:
    """The bound of a stream's utterances that lets a recording of so many seconds be one."""
    return max(DEFAULT_UTTERANCE_S, math.ceil(seconds) + 1.0)


def _delay_ms(info: ModelInfo, head: str | None) -> float | None:
    """Of the head of that name, or the first; one that is not there is refused when a stream is opened."""
    return next((each.delay_ms for each in info.heads if head in (None, each.name)), 0.0)


def _called(name: str, wait: Wait | None) -> str:
    return f"{name}, {wait}" if wait else name


def _open(client: Client, name: str, wait: Wait | None, head: str | None, sample_rate: int, seconds: float) -> Stream:
    """A stream for utterances of so many seconds."""
    options = asked(wait, head, sample_rate=sample_rate, max_utterance_s=utterance_s(seconds))
    return client.open(name, **options.given)


def _spoken(
    client: Client, name: str, wait: Wait | None, head: str | None, recording: Recording, known: Vocabulary
) -> ModelRun:
    samples, sample_rate, transcript = recording.samples, recording.sample_rate, recording.transcript
    with _open(client, name, wait, head, sample_rate, recording.seconds) as stream:
        _warm(stream, sample_rate)
        start = time.monotonic()
        for end, chunk in _chunks(samples, sample_rate):
            time.sleep(max(0.0, start + end / sample_rate - time.monotonic()))
            stream.push(chunk)
        spoken = time.monotonic() if not len(samples) else start + len(samples) / sample_rate
        results = stream.flush()
        info, served = stream.model, stream.head
    shown = tuple(
        Shown(event.text, event.time_ms, 1e3 * (result.received - start))
        for result in results
        for event in result.events
        if event.kind in SHOWN
    )
    said = known.read(transcript) if transcript else []
    return ModelRun(
        name=info.name,
        head=served.name,
        direction="bidirectional" if _delay_ms(info, served.name) is None else "unidirectional",
        delay_ms=served.delay_ms,
        shown=shown,
        final_ms=1e3 * (results[-1].received - spoken),
        real_time_factor=sum(result.computing_ms for result in results) / 1e3 / recording.seconds,
        state_bytes=info.state_bytes,
        error_rate=error_rate(said, [symbol for one in shown for symbol in _symbols(one, known)]) if said else None,
        text=served.separator.join(one.text for one in shown),
        wait=wait,
    )


def _by_length(
    client: Client, name: str, wait: Wait | None, head: str | None, recording: Recording, seconds: float
) -> LengthRow:
    """Median over utterances of this length of the time from sending the last chunk to the final result."""
    sample_rate = recording.sample_rate
    utterance = of_length(recording.samples, round(seconds * sample_rate))
    *_, (_, last) = _chunks(utterance, sample_rate)
    earlier = utterance[: len(utterance) - len(last)]
    waits = []
    with _open(client, name, wait, head, sample_rate, seconds) as stream:
        _warm(stream, sample_rate)
        for _ in range(REPEATS):
            stream.push(earlier)
            stream.mark()  # all but the last chunk is done, as it would be if it had been spoken
            sent = time.monotonic()
            stream.push(last)
            waits.append(1e3 * (stream.flush()[-1].received - sent))
    return LengthRow(name, seconds, statistics.median(waits), REPEATS, wait)


def _warm(stream: Stream, sample_rate: int) -> None:
    """A first utterance, unmeasured: what is slow only once (pages, caches) is no part of the comparison."""
    stream.push(np.zeros(sample_rate // 2, np.float32))
    stream.flush()


def _chunks(samples: Samples, sample_rate: int) -> Iterator[tuple[int, Samples]]:
    """(the sample that it ends with, chunk)."""
    step = max(round(sample_rate * CHUNK_MS / 1e3), 1)
    for first in range(0, len(samples), step):
        yield min(first + step, len(samples)), samples[first : first + step]
