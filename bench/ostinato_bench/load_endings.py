"""Utterances that end all at once, while `load` measures what that does to other streams: a process of its own.

It opens bidirectional streams, sends each an utterance, says so in a line of JSON, waits for a line on standard
input, ends all of them together, and says when it did and when the last result had come.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np

from ostinato_client import AsyncClient, AsyncStream

RATE, CHUNK_S = 16000, 0.5


async def _end(endpoint: str, model: str, count: int, seconds: float) -> dict[str, Any]:
    async with AsyncClient(endpoint, timeout=120.0) as client:
        streams = [await client.open(model, sample_rate=RATE, max_utterance_s=seconds + 1) for _ in range(count)]
        await asyncio.gather(*(_say(stream, seconds, seed) for seed, stream in enumerate(streams)))
        print(json.dumps({"said": count}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        begin = time.monotonic_ns()
        took = await asyncio.gather(*(_flush(stream) for stream in streams))
        return {"begin_ns": begin, "end_ns": time.monotonic_ns(), "took_ms": [round(each, 1) for each in took]}


async def _say(stream: AsyncStream, seconds: float, seed: int) -> None:
    noise = (np.random.default_rng(seed).normal(size=int(RATE * CHUNK_S)) * 2000).astype(np.int16)
    for _ in range(round(seconds / CHUNK_S)):
        await stream.push(noise)
        await stream.results()
    await stream.mark()


async def _flush(stream: AsyncStream) -> float:
    begin = time.monotonic()
    await stream.flush()
    return 1000 * (time.monotonic() - begin)


def main() -> None:
    """Arguments: endpoint, model, how many streams, seconds of each."""
    endpoint, model, count, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(_end(endpoint, model, int(count), float(seconds)))), flush=True)


if __name__ == "__main__":
    main()
