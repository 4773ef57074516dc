"""What a chunk costs a server, by part: the server that people run, under `load`, with timers around its parts."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ostinato_bench import load, machine
from ostinato_bench.chunk_tables import ORDER, PARTS
from ostinato_bench.spending import by_part, look

WAYS = {"PUSHES": False, "PUSH": True}
"""How chunks come: those of many streams together, as from a gateway, or each by itself. Whether it is so."""


def run(
    streams: int,
    seconds: float,
    *,
    model: str,
    data: Path | None = None,
    chunk_ms: float | None = None,
    progress: Callable[[int, int, str], None] = lambda done, count, what: None,
) -> dict[str, Any]:
    """Let ``streams`` speak in real time for ``seconds``, each way twice: to a server as it is, and to one with
    timers. One process serves, and the processor time is that of all its threads.

    Returns {"ways": {way: {"parts_us": what a chunk takes by part, "total_us": what these add up to, "untimed_us":
    what it takes the server without timers, None where the system does not say, "batch": chunks in a call of the
    engine, "quiet": the share of the loop's turns that was not interrupted, which the parts are from}}, …}. Raises as
    `load.run`.
    """
    ways: dict[str, Any] = {}
    for way, singly in WAYS.items():
        done = 2 * len(ways)
        speak = functools.partial(
            load.run, streams, seconds, model=model, data=data, chunk_ms=chunk_ms, workers=1, idle=0, singly=singly
        )
        progress(done, 2 * len(WAYS), f"chunks by {way}, without timers")
        plain = speak()
        progress(done + 1, 2 * len(WAYS), f"chunks by {way}, by part")
        ways[way] = _of(plain, *timed(speak))
    progress(2 * len(WAYS), 2 * len(WAYS), "done")
    return {
        "ways": ways,
        "streams": streams,
        "seconds": seconds,
        "model": model,
        "input": plain["input"],
        "chunk_ms": plain["chunk_ms"],
        "machine": machine.describe() | machine.busy(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def timed(speak: Callable[..., dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`load.run` with a server that has timers: what it returns, and `spending.by_part` of that time."""
    with tempfile.TemporaryDirectory() as folder:
        file, looks = Path(folder) / "spending.npy", dict[str, Any]()
        found = speak(
            program=("-m", "ostinato_bench.chunk_server", str(file)),
            at_phase=lambda phase: looks.__setitem__(phase, look(file)),
        )
    return found, by_part(looks["end"] - looks["start"], PARTS)


def _of(plain: dict[str, Any], found: dict[str, Any], spent: dict[str, Any]) -> dict[str, Any]:
    sent, untimed_s = found["sent"], plain["server_cpu_s"]
    return {
        "parts_us": {name: round(spent["parts_ns"][name] / 1e3 / sent, 3) for name in ORDER},
        "total_us": round(spent["process_ns"] / 1e3 / sent, 3),
        "untimed_us": None if untimed_s is None else round(1e6 * untimed_s / plain["sent"], 3),
        "batch": round(sent / max(1, spent["calls"]["choose a batch, count"]), 1),
        "quiet": round(spent["quiet"], 3),
        "latency_ms": plain["latency_ms"],
    }
