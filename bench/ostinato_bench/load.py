"""A server under load: many streams of audio paced in real time, from the sending of a chunk to its result.

The server is a process of its own, and so is the client that speaks for all the streams (`load_client`); this one
only starts them and watches the server. Everything shares the machine, as the figures say.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ostinato.errors import ConnectionLostError, UnknownModelError
from ostinato.model import Network, Specification, resolve, write
from ostinato.model.specification import Ctc, Dense, Gru, Layer, LogMel, Lstm, Rnn, Softmax
from ostinato.server import Spawned, served_name, spawn_server
from ostinato_bench.machine import describe

if TYPE_CHECKING:
    from rich.table import Table

DEFAULT_MODEL = "digits-uni"
_RANDOM = re.compile(r"(?:random:)?(rnn|gru|lstm)-(?:(\d{1,2})x)?(\d{1,4})(-int8)?")
_CELLS: dict[str, type[Rnn | Gru | Lstm]] = {"rnn": Rnn, "gru": Gru, "lstm": Lstm}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the client is to do. ``connections`` share the streams; a chunk is of ``chunk_ms``."""

    endpoint: str
    model: str
    streams: int
    seconds: float
    idle: int
    connections: int
    chunk_ms: float = 40.0
    sample_rate: int = 16000


def run(
    streams: int = 200,
    seconds: float = 20.0,
    *,
    model: str = DEFAULT_MODEL,
    progress: Callable[[float], None] | None = None,
    idle: int = 1000,
    connections: int = 8,
) -> dict[str, Any]:
    """Serve ``model``; open ``idle`` streams that say one chunk each; then let ``streams`` speak for ``seconds``.

    ``model`` is a name or a path, or like ``gru-2x160``: log-mel 40 and a random network of 2 GRU layers of 160;
    ``gru-2x160-int8`` the same in int8.
    ``progress`` is told the share done, from 0 to 1. Of the figures, ``latency_ms`` is from the sending of a chunk to
    its result, ``late_ms`` how far the client was behind its own plan, ``idle_mb`` what the idle streams cost. Raises
    UnknownModelError, ConnectionLostError.
    """
    with _served(model) as (server, name):
        plan = Plan(server.endpoint, name, streams, seconds, idle, connections)
        watch = _Watch(server.process.pid)
        client = subprocess.Popen(
            [sys.executable, "-m", "ostinato_bench.load_client", json.dumps(dataclasses.asdict(plan))],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        # What hangs is ended, which ends the reading below.
        impatience = threading.Timer(seconds + 60.0, client.kill)
        impatience.start()
        found: dict[str, Any] = {}
        try:
            assert client.stdout is not None and client.stdin is not None
            for line in client.stdout:
                said = json.loads(line)
                if "progress" in said:
                    if progress is not None:
                        progress(said["progress"])
                elif "phase" in said:
                    watch.phase(said["phase"])
                    client.stdin.write("\n")  # it waits until this has been looked at
                    client.stdin.flush()
                else:
                    found = said
        finally:
            impatience.cancel()
            client.kill()
            client.wait()
            for pipe in (client.stdin, client.stdout):
                if pipe is not None:
                    pipe.close()
    if not found:
        raise ConnectionLostError("the load was not finished: the client or the server ended before")
    if error := found.pop("error", None):
        raise ConnectionLostError(f"the server refused a stream or a chunk: {error}")
    return {"streams": streams} | found | watch.figures(idle) | {
        "seconds": seconds,
        "model": model,
        "chunk_ms": plan.chunk_ms,
        "connections": connections,
        "machine": describe(),
    }  # fmt: skip


def table(result: dict[str, Any]) -> Table:
    """The figures for people."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, show_header=False)
    latency, late = result["latency_ms"], result["late_ms"]
    rows = (
        ("streams", f"{result['streams']} of {result['model']}, {result['seconds']:g} s in real time"),
        ("chunks sent", f"{result['sent']} of {result['chunk_ms']:g} ms"),
        ("results received", f"{result['received']}, {result['lost']} lost"),
        ("from chunk to result", ", ".join(f"{key} {value:.1f} ms" for key, value in latency.items())),
        ("client behind its plan", ", ".join(f"{key} {value:.1f} ms" for key, value in late.items())),
        ("server's share of a core", _share(result["server_core_share"])),
        ("client's share of a core", _share(result["client_core_share"])),
        ("memory of the server", f"{result['rss_mb']} MB"),
        (f"{result['idle_streams']} idle streams alone", f"{result['idle_mb']} MB"),
    )
    for row in rows:
        made.add_row(*row)
    return made


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


@contextmanager
def _served(model: str) -> Iterator[tuple[Spawned, str]]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = resolve(model)
        except UnknownModelError:
            if (match := _RANDOM.fullmatch(model)) is None:
                raise
            path = Path(folder) / f"{match[0].removeprefix('random:')}.safetensors"
            network = Network.random(_specification(match[1], int(match[2] or 1), int(match[3])))
            write(path, _quantized(network) if match[4] else network)
        with spawn_server([path]) as server:
            yield server, served_name(path)


def _quantized(network: Network) -> Network:
    """The network in int8, calibrated on noise."""
    from ostinato.model.quantization import quantize
    from ostinato.pipeline import front_end

    front = front_end(network.specification.front_end, network.weights)
    noise = np.random.default_rng(0).normal(scale=0.1, size=32000).astype(np.float32)
    return quantize(network, [front.step(front.start(), front.check(noise))])


def _specification(cell: str, layers: int, hidden: int) -> Specification:
    front_end = LogMel()
    sizes = [front_end.frame_size, *[hidden] * layers]
    stack = [_CELLS[cell](input=below, hidden=hidden) for below in sizes[:-1]]
    symbols = ("", *"0123456789")
    head = (Dense(input=hidden, output=len(symbols)), Softmax(size=len(symbols)))
    return Specification(
        f"{cell}-{layers}x{hidden}", front_end, cast(tuple[Layer, ...], (*stack, *head)), Ctc(symbols)
    )


class _Watch:
    """The server's memory and processor time, from /proc where there is one, at the phases of the load."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._marks: dict[str, tuple[float, float | None, float | None]] = {}

    def phase(self, name: str) -> None:
        """Look now."""
        self._marks[name] = (time.monotonic(), self._cpu_s(), self._rss_mb())

    def figures(self, idle: int) -> dict[str, Any]:
        """What became of it."""
        (start, cpu_start, _), (end, cpu_end, rss) = self._marks["start"], self._marks["end"]
        share = None if cpu_start is None or cpu_end is None else round((cpu_end - cpu_start) / (end - start), 3)
        before, after = self._marks["before idle"][2], self._marks["idle"][2]
        more = None if before is None or after is None else round(after - before, 1)
        return {"rss_mb": rss, "server_core_share": share, "idle_streams": idle, "idle_mb": more}

    def _cpu_s(self) -> float | None:
        try:
            fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _rss_mb(self) -> float | None:
        try:
            text = (self._folder / "status").read_text()
        except OSError:
            return None
        return next(round(int(line.split()[1]) / 1024, 1) for line in text.splitlines() if line.startswith("VmRSS"))
