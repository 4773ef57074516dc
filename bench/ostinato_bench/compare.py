"""Measures models on one recording, over the socket and at the pace of speech, for `ostinato compare`.

The models are measured one after another, each alone on the server, so that none waits for another. A chunk is sent
when its last sample would have left the microphone, so that latency is all that a speaker would wait for: for the
chunk to fill, for the socket, for computing, and for the end of the utterance if the model needs it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ostinato.pipeline.score import error_rate
from ostinato_bench.comparison import Comparison, DelayRow, LengthRow, ModelRun, Samples, Shown, Wait, of_length
from ostinato_bench.machine import describe
from ostinato_client import Client, Stream

CHUNK_MS = 20.0
LENGTHS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
REPEATS = 9
SHOWN = ("symbol", "label", "class")
TIMEOUT_S = 30.0


def measure(
    endpoint: str,
    models: Sequence[str],
    samples: Samples,
    sample_rate: int,
    transcript: str | None,
    report: Callable[[str], None] = lambda doing: None,
    lengths_s: Sequence[float] = LENGTHS_S,
    wait: Wait | None = None,
    error_by_delay: Sequence[DelayRow] = (),
) -> Comparison:
    """Everything about ``models`` on a recording, as served at ``endpoint``.

    ``samples`` [n]: mono, in [-1, 1], at ``sample_rate`` Hz. ``report`` is told what is being done. With ``wait``,
    bidirectional models are measured with that bounded wait too; ``error_by_delay`` was found before. Raises
    OstinatoError for what the server refuses, ConnectionLostError if it is not there.
    """
    runs, by_length = [], []
    with Client(endpoint, timeout=TIMEOUT_S) as client:
        direction = {info.name: info.direction for info in client.models()}
        ways: list[tuple[str, Wait | None]] = []
        for name in models:
            if wait and direction.get(name) == "bidirectional":
                ways.append((name, wait))
            ways.append((name, None))
        for name, each in ways:
            report(f"{_called(name, each)}: {len(samples) / sample_rate:.0f} s of speech, in real time")
            runs.append(_spoken(client, name, each, samples, sample_rate, transcript))
        for name, each in ways:
            for seconds in lengths_s:
                report(f"{_called(name, each)}: utterances of {seconds:g} s")
                by_length.append(_by_length(client, name, each, samples, sample_rate, seconds))
    return Comparison(
        samples, sample_rate, CHUNK_MS, transcript, tuple(runs), tuple(by_length), describe(), tuple(error_by_delay)
    )


def _called(name: str, wait: Wait | None) -> str:
    return f"{name}, {wait}" if wait else name


def _open(client: Client, name: str, wait: Wait | None, sample_rate: int) -> Stream:
    if wait is None:
        return client.open(name, sample_rate=sample_rate)
    return client.open(name, sample_rate=sample_rate, block_ms=wait.block_ms, lookahead_ms=wait.lookahead_ms)


def _spoken(
    client: Client, name: str, wait: Wait | None, samples: Samples, sample_rate: int, transcript: str | None
) -> ModelRun:
    with _open(client, name, wait, sample_rate) as stream:
        _warm(stream, sample_rate)
        start = time.monotonic()
        for end, chunk in _chunks(samples, sample_rate):
            time.sleep(max(0.0, start + end / sample_rate - time.monotonic()))
            stream.push(chunk)
        spoken = time.monotonic() if not len(samples) else start + len(samples) / sample_rate
        results = stream.flush()
        info = stream.model
    shown = tuple(
        Shown(event.text, event.time_ms, 1e3 * (result.received - start))
        for result in results
        for event in result.events
        if event.kind in SHOWN
    )
    words = [one.text for one in shown]
    return ModelRun(
        name=info.name,
        direction=info.direction,
        delay_ms=info.delay_ms,
        shown=shown,
        final_ms=1e3 * (results[-1].received - spoken),
        real_time_factor=sum(result.computing_ms for result in results) / 1e3 / (len(samples) / sample_rate),
        state_bytes=info.state_bytes,
        error_rate=None if not transcript else error_rate(transcript.split(), words),
        text=info.separator.join(words),
        wait=wait,
    )


def _by_length(
    client: Client, name: str, wait: Wait | None, samples: Samples, sample_rate: int, seconds: float
) -> LengthRow:
    """Median over utterances of this length of the time from sending the last chunk to the final result."""
    utterance = of_length(samples, round(seconds * sample_rate))
    *_, (_, last) = _chunks(utterance, sample_rate)
    earlier = utterance[: len(utterance) - len(last)]
    waits = []
    with _open(client, name, wait, sample_rate) as stream:
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
