"""Many streams at once from one process, with asyncio: callers of a telephone service, say.

    .venv/bin/ostinato serve                                    # in another terminal
    .venv/bin/python clients/examples/many_streams.py           # 20 streams
    .venv/bin/python clients/examples/many_streams.py 100

All streams share one AsyncClient, which is one connection. Each is a coroutine of its own: one that is slow, or that
fails, holds up no other.
"""

import asyncio
import statistics
import sys
from pathlib import Path

from ostinato.errors import OstinatoError
from ostinato_client import DEFAULT_ENDPOINT, AsyncClient, FileSource

RECORDING = Path(__file__).parents[2] / "engine/ostinato/recordings/phone-number.wav"


async def main(streams: int = 20, endpoint: str = DEFAULT_ENDPOINT) -> None:
    """All callers at once, each beginning a little later than the one before."""
    async with AsyncClient(endpoint) as client:
        calls = [call(client, number, begin_s=number * 0.02) for number in range(streams)]
        # return_exceptions: a call that fails is told at the end, and the others go on.
        for number, outcome in enumerate(await asyncio.gather(*calls, return_exceptions=True)):
            print(f"caller {number}: {outcome}")


async def call(client: AsyncClient, number: int, begin_s: float) -> str:
    """Speak the recording at its own pace, and return what was understood."""
    await asyncio.sleep(begin_s)
    words, latencies = [], []

    def heard(results) -> None:
        for result in results:
            latencies.append(result.latency_ms)  # from sending a chunk to having its result
            if result.text:
                words.append(result.text)

    with FileSource(RECORDING) as source:
        async with await client.open("digits-uni", sample_rate=source.sample_rate) as stream:
            start = asyncio.get_running_loop().time()
            for (
                end_s,
                chunk,
            ) in source.timed():  # when each chunk ends, so that this loop keeps the time, not a thread
                await asyncio.sleep(start + end_s - asyncio.get_running_loop().time())
                await stream.push(chunk)
                heard(await stream.results())
            heard(await stream.flush())
    return f"{' '.join(words)}   (median latency {statistics.median(latencies):.1f} ms)"


if __name__ == "__main__":
    try:
        asyncio.run(main(*(int(a) if a.isdecimal() else a for a in sys.argv[1:])))
    except OstinatoError as error:
        sys.exit(f"error: {error}")
