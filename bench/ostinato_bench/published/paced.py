"""Many streams of a published model in one process, paced in real time: from a chunk's arrival to its result.

The streams' chunks come at even distances, each stream's a chunk's length apart, as of callers who began at different
moments. The same arrivals are answered by an engine, whose ticks take together what waits, and by ONNX Runtime called
for one stream after the other. Both do all that a program does between the chunk and the result: the samples of
before are kept, the state is carried, the probability is judged.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ostinato.engine import Engine
from ostinato.importing import import_model
from ostinato.streaming import Model
from ostinato_bench.load_client import percentiles
from ostinato_bench.peers.onnx_file import OnnxFile
from ostinato_bench.published.catalogue import F32, FILES
from ostinato_bench.published.sounds import speech

NAME = "silero-vad"
FILE = "silero_vad_openvino_16k"
"""The one of the package's files that ONNX Runtime is fastest with, and that the model is made of."""
RATE, CHUNK, BEFORE = 16000, 512, 64
"""Samples: of a chunk, and those before it that the network sees again."""
GATHER_MS = 8.0
"""How long an engine may let chunks gather, to compute them together: latency for computing."""
ROUNDS = 5
"""So that what else a machine does for some seconds meets all alike."""
_WARM_S = 1.0
"""At the start, which does not count."""

Answer = Callable[[Sequence[int], Sequence[F32]], Iterator[int]]
"""Takes chunks of streams, and gives the numbers of those that have their result, as they have it."""


def measure(streams: int, seconds: float) -> dict[str, Any]:
    """In turns, ``seconds`` each in all: latencies in ms, and the share of a core that each took, waiting excluded,
    medians over `ROUNDS`. The engine twice: ticking as soon as a chunk is there, and every `GATHER_MS`.

    Raises ForeignModelError for a model that cannot be had, ImportError without onnxruntime.
    """
    answers: dict[str, tuple[Answer, float]] = {
        "ostinato": (_engine(streams), 0.0),
        "ostinato-gathering": (_engine(streams), GATHER_MS),
        "onnxruntime": (_in_turns(streams), 0.0),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in answers}
    for _ in range(ROUNDS):
        for name, (answer, gather_ms) in answers.items():
            found[name].append(paced(answer, streams, seconds / ROUNDS, gather_ms))
    return {
        "model": NAME,
        "streams": streams,
        "seconds": seconds,
        "chunk_ms": 1000 * CHUNK / RATE,
        "gather_ms": GATHER_MS,
        "rounds": ROUNDS,
        "answers": {name: _median(rounds) for name, rounds in found.items()},
    }


def _median(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure by itself."""
    latencies = [each["latency_ms"] for each in rounds]
    return {
        "latency_ms": {key: statistics.median(each[key] for each in latencies) for key in latencies[0]},
        "chunks": sum(each["chunks"] for each in rounds),
        "core_share": statistics.median(each["core_share"] for each in rounds),
    }


def paced(answer: Answer, streams: int, seconds: float, gather_ms: float = 0.0) -> dict[str, Any]:
    """Chunks of that many streams, as they are due, at most every ``gather_ms``. A result's time counts from when its
    chunk was due: also what waits because the process is late."""
    sound = speech(20.0).samples
    gap_ns = round(1e9 * CHUNK / RATE / streams)
    count = int((_WARM_S + seconds) * 1e9 / gap_ns)
    begin, latencies, done = time.perf_counter_ns() + 10_000_000, np.zeros(count), 0
    busy_ns, again = 0, begin
    while done < count:
        now = time.perf_counter_ns()
        wanted = max(again, begin + done * gap_ns)
        if now < wanted:
            time.sleep((wanted - now) / 1e9)
            continue
        again = now + round(1e6 * gather_ms)
        # a stream's next chunk waits until the one before it was taken
        due = min(count, (now - begin) // gap_ns + 1, done + streams)
        numbers = range(done, due)
        chunks = [_chunk(sound, number // streams, number % streams) for number in numbers]
        waiting = {number % streams: number for number in numbers}
        spent = time.thread_time_ns()
        for stream in answer([number % streams for number in numbers], chunks):
            number = waiting.pop(stream)
            latencies[number] = time.perf_counter_ns() - begin - number * gap_ns
        busy_ns += time.thread_time_ns() - spent
        if waiting:
            raise RuntimeError(f"{len(waiting)} chunks have no result")
        done = due
    counted = latencies[int(_WARM_S * 1e9 / gap_ns) :]
    return {
        "latency_ms": percentiles(counted),
        "chunks": len(counted),
        "core_share": round(busy_ns / count / gap_ns, 3),
    }


def _chunk(sound: F32, turn: int, stream: int) -> F32:
    """The next of a stream's speech: each is somewhere else in it."""
    starts = len(sound) // CHUNK
    at = (turn + 37 * stream) % starts * CHUNK
    return sound[at : at + CHUNK]


def _engine(streams: int) -> Answer:
    """An engine of the model, whose streams' answers are their decoder's."""
    engine = Engine({NAME: Model(import_model(NAME).network, max_streams=streams)})
    for stream in range(streams):
        engine.open(stream, NAME)
    sent = [0] * streams

    def answer(keys: Sequence[int], chunks: Sequence[F32]) -> Iterator[int]:
        sequences = []
        for key in keys:
            sent[key] += 1
            sequences.append(sent[key])
        left = engine.push_many(keys, sequences, [CHUNK] * len(keys), np.concatenate(chunks), time.monotonic_ns())
        for number in left:
            engine.push(keys[number], sequences[number], chunks[number])
        while engine.busy:
            for one in engine.tick():
                if one.kind != "push":
                    raise RuntimeError(f"a chunk was answered by {one.kind}: {one.payload}")
                yield int(one.key)  # type: ignore[call-overload]

    return answer


def _in_turns(streams: int) -> Answer:
    """ONNX Runtime for each chunk by itself. What its users compute of the probability is left out."""
    (file,) = (each for each in FILES if each.name == FILE)
    runtime = OnnxFile(file.fetch(), file.signature)
    callers = [runtime.stream() for _ in range(streams)]
    windows = np.zeros((streams, 1, BEFORE + CHUNK), np.float32)

    def answer(keys: Sequence[int], chunks: Sequence[F32]) -> Iterator[int]:
        for key, chunk in zip(keys, chunks, strict=True):
            window = windows[key]
            window[0, :BEFORE] = window[0, -BEFORE:]
            window[0, BEFORE:] = chunk
            callers[key](window)
            yield key

    return answer
