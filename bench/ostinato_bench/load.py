"""A server under load: many streams of audio, frames or text paced in real time, from sending a chunk to its result.

The server is a process of its own, and so is the client that speaks for all the streams (`load_client`); this one
only starts them and watches the server. Everything shares the machine, as the figures say.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape

from ostinato import children
from ostinato.errors import ConnectionLostError, UnknownModelError
from ostinato.model import Network, Sequential, Specification, read, resolve, write
from ostinato.model.decoders import Ctc
from ostinato.model.front_ends import LogMel
from ostinato.model.layers import Dense, Gru, Lstm, Rnn, Softmax
from ostinato.server import Spawned, served_name, spawn_server
from ostinato_bench.load_input import load_input
from ostinato_bench.load_search import SEARCH_S, confirm, find, verdict
from ostinato_bench.load_watch import Watch
from ostinato_bench.machine import describe
from ostinato_bench.terminal import Table

DEFAULT_MODEL = "digits-uni"
ENDING_MODEL, ENDING_S = "digits-bi", 30.0
SERVER = ("-m", "ostinato.server")
MANY = 300
"""From so many streams on, the server has as many workers as there are cores."""
_RANDOM = re.compile(r"(?:random:)?(rnn|gru|lstm)-(?:([1-9]\d?)x)?([1-9]\d{0,3})(-int8)?")
_CELLS: dict[str, type[Rnn | Gru | Lstm]] = {"rnn": Rnn, "gru": Gru, "lstm": Lstm}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the client is to do. ``connections`` share the streams; a chunk of ``input`` (`LoadInput.file`) is of
    ``units`` of it and ``chunk_ms``."""

    endpoint: str
    model: str
    streams: int
    seconds: float
    idle: int
    connections: int
    input: str
    units: int
    chunk_ms: float
    sample_rate: int | None
    singly: bool = False
    """Whether each chunk goes in a PUSH of its own."""
    record: str = ""
    """A .npy file to write: when each chunk was sent, and how long its result took, ns (-1: lost), [2, chunks]."""


def run(
    streams: int = 200,
    seconds: float = 20.0,
    *,
    model: str = DEFAULT_MODEL,
    data: Path | None = None,
    chunk_ms: float | None = None,
    workers: int | None = None,
    endings: int = 0,
    search: bool = False,
    progress: Callable[[float], None] | None = None,
    idle: int = 1000,
    connections: int = 2,
    singly: bool = False,
    program: Sequence[str] = SERVER,
    at_phase: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Serve ``model``; open ``idle`` streams that say one chunk each, unless there is a ``search``; then let
    ``streams`` speak for ``seconds``: what ``data`` holds, or noise, in chunks of ``chunk_ms`` (`load_input`).

    ``model`` is a name or a path, or like ``gru-2x160``: log-mel 80 and a random network of 2 GRU layers of 160;
    ``gru-2x160-int8`` the same in int8.
    ``workers``: processes of the server, None: as many as cores if there is work for them. ``endings``: so many
    utterances of 30 s of a bidirectional model end at once, in the middle. ``search``: look for the most streams that
    hold for ``seconds``. ``progress`` is told the share done, from 0 to 1; of each try anew. ``singly``: each chunk
    goes in a message of its own. ``program``: another server than `SERVER`. ``at_phase`` is told "start" and "end" of
    what is measured, and other moments.

    Of the figures, ``latency_ms`` is from the sending of a chunk to its result, ``late_ms`` how far the client was
    behind its own plan (it sends together what is due within a few ms), ``from_due_ms`` both: from when a chunk was
    due, its last sample spoken, to its result; ``idle_mb`` what the idle streams cost, ``rss_over_time_mb`` pairs of
    seconds and MB. Raises UnknownModelError, InputError for data that do not fit, ConnectionLostError.
    """
    if workers is None:
        workers = os.cpu_count() or 1 if search or streams >= MANY else 1
    names = [model, ENDING_MODEL] if endings and model != ENDING_MODEL else [model]
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        paths = [_model_file(each, folder) for each in names]
        given = load_input(read(paths[0]).specification.front_end, data, chunk_ms, folder, model)
        server = opened.enter_context(spawn_server(paths, workers=workers, program=program))
        if search:  # the streams that were tried before have left their memory to the idle ones
            idle = 0
        plan = Plan(
            server.endpoint, served_name(paths[0]), streams, seconds, idle, connections,
            given.file, given.units, given.chunk_ms, given.sample_rate, singly,
        )  # fmt: skip
        extra: dict[str, Any] = {}
        if search:
            extra["search"] = most = find(
                lambda n: _measure(server, _short(plan, n)), streams, _short(plan, 1).seconds
            )
            count, found = confirm(lambda n: _measure(server, dataclasses.replace(plan, streams=n), progress), most)
            plan = dataclasses.replace(plan, streams=count)
        if endings:
            with _Endings(server, served_name(paths[-1]), endings) as ends:
                found = _measure(server, plan, progress, ends, at_phase)
                extra["endings"] = ends.figures
        elif not search:
            found = _measure(server, plan, progress, at_phase=at_phase)
    return {"streams": plan.streams} | found | {
        "seconds": seconds,
        "model": model,
        "input": given.about,
        "chunk_ms": plan.chunk_ms,
        "connections": connections,
        "workers": workers,
        "machine": describe(),
    } | extra  # fmt: skip


def _short(plan: Plan, streams: int) -> Plan:
    return dataclasses.replace(plan, streams=streams, seconds=min(plan.seconds, SEARCH_S))


def _measure(
    server: Spawned,
    plan: Plan,
    progress: Callable[[float], None] | None = None,
    endings: _Endings | None = None,
    at_phase: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Let a client do what the plan says; its figures and those of the server."""
    watch = Watch(server.process.pid, plan.seconds)
    if endings is not None:
        plan = dataclasses.replace(plan, record=endings.record)
    client = children.start(
        ["-m", "ostinato_bench.load_client", json.dumps(dataclasses.asdict(plan))],
    )
    # What hangs is ended, which ends the reading below.
    impatience = threading.Timer(plan.seconds + 60.0, client.kill)
    impatience.start()
    found: dict[str, Any] = {}
    try:
        assert client.stdout is not None and client.stdin is not None
        for line in client.stdout:
            said = json.loads(line)
            if "progress" in said:
                if progress is not None:
                    progress(said["progress"])
                if endings is not None and said["progress"] >= 0.5:
                    endings.end()
            elif "phase" in said:
                watch.phase(said["phase"])
                at_phase(said["phase"])
                client.stdin.write("\n")  # it waits until this has been looked at
                client.stdin.flush()
            else:
                found = said
    finally:
        impatience.cancel()
        watch.close()
        client.kill()
        client.wait()
        for pipe in (client.stdin, client.stdout):
            if pipe is not None:
                pipe.close()
    if not found:
        raise ConnectionLostError("the load was not finished: the client or the server ended before")
    if error := found.pop("error", None):
        raise ConnectionLostError(f"the server refused a stream or a chunk: {error}")
    if endings is not None:
        endings.judge()
    return found | watch.figures(plan.idle)


class _Endings:
    """The process that ends utterances, and what that did to the chunks of others."""

    def __init__(self, server: Spawned, model: str, count: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.record = str(Path(self._folder.name) / "chunks.npy")
        self.figures: dict[str, Any] = {"utterances": count, "seconds": ENDING_S, "model": model}
        self._ended = False
        self._process = children.start(
            ["-m", "ostinato_bench.load_endings", server.endpoint, model, str(count), str(ENDING_S)],
        )
        self._impatience = threading.Timer(300.0, self._process.kill)
        self._impatience.start()
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self.__exit__()
            raise ConnectionLostError("the utterances could not be sent: what is above says why")

    def end(self) -> None:
        """End all utterances, unless they have ended."""
        if not self._ended:
            self._ended = True
            assert self._process.stdin is not None
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def judge(self) -> None:
        """Compare the chunks that were sent while the utterances ended with those before."""
        self.end()
        assert self._process.stdout is not None
        said = json.loads(self._process.stdout.readline())
        sent, took = np.load(self.record)
        meanwhile = (sent >= said["begin_ns"]) & (sent <= said["end_ns"])
        before = sent < said["begin_ns"]
        self.figures |= {
            "results_ms": {"first": min(said["took_ms"]), "last": max(said["took_ms"])},
            "chunks_meanwhile": int(meanwhile.sum()),
            "p99_before_ms": _p99(took[before & (took >= 0)]),
            "p99_meanwhile_ms": _p99(took[meanwhile & (took >= 0)]),
        }

    def __enter__(self) -> _Endings:
        return self

    def __exit__(self, *_: object) -> None:
        self._impatience.cancel()
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()


def _p99(values_ns: Any) -> float | None:
    return round(float(np.percentile(values_ns, 99)) / 1e6, 3) if len(values_ns) else None


def table(result: dict[str, Any]) -> Table:
    """The figures for people."""
    made = Table("figure", "value", prose=("value",), headings=False)
    latency, late, workers = result["latency_ms"], result["late_ms"], result["workers"]
    rows = (
        ("streams", f"{result['streams']} of {escape(result['model'])}, {result['seconds']:g} s in real time"),
        ("input", escape(result["input"])),
        ("chunks sent", f"{result['sent']} of {result['chunk_ms']:g} ms"),
        ("results received", f"{result['received']}, {result['lost']} lost"),
        ("from sending a chunk to its result", _percentiles(latency)),
        ("client behind its plan", _percentiles(late)),
        ("from when it was due to its result", _percentiles(result["from_due_ms"])),
        ("server's share of a core", _share(result["server_core_share"])),
        ("client's share of a core", _share(result["client_core_share"])),
        (
            "memory of the server",
            f"{_mb(result['rss_mb'])} in {workers} worker{'s' * (workers > 1)}",
        ),
    )
    for row in rows:
        made.add_row(*row)
    if result["idle_streams"]:
        made.add_row(f"{result['idle_streams']} idle streams alone", _mb(result["idle_mb"]))
    if search := result.get("search"):
        made.add_row(f"p99 < {search['bound_ms']:g} ms", verdict(search))
    if ends := result.get("endings"):
        made.add_row(
            f"{ends['utterances']} utterances of {ends['seconds']:g} s end at once",
            f"p99 {_ms(ends['p99_before_ms'])} before, {_ms(ends['p99_meanwhile_ms'])} until all are answered, "
            f"after {ends['results_ms']['last']:.0f} ms",
        )
    return made


def _percentiles(found: dict[str, float | None]) -> str:
    if None in found.values():
        return "not measured: there was none"
    return ", ".join(f"{key} {value:.1f}" for key, value in found.items()) + " ms"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"


def _mb(value: float | None) -> str:
    return "–" if value is None else f"{value} MB"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _model_file(model: str, folder: Path) -> Path:
    try:
        return resolve(model)
    except UnknownModelError:
        if (match := _RANDOM.fullmatch(model)) is None:
            raise
        path = folder / f"{match[0].removeprefix('random:')}.safetensors"
        network = Network.random(_specification(match[1], int(match[2] or 1), int(match[3])))
        write(path, _quantized(network) if match[4] else network)
        return path


def _quantized(network: Network) -> Network:
    """The network in int8, calibrated on noise."""
    from ostinato.model.quantization import quantize
    from ostinato.pipeline import front_end

    front = front_end(network.specification.front_end, network.weights)
    noise = np.random.default_rng(0).normal(scale=0.1, size=32000).astype(np.float32)
    return quantize(network, [front.step(front.start(), front.check(noise))])


def _specification(cell: str, layers: int, hidden: int) -> Specification:
    front_end = LogMel(mels=80)
    stack = [_CELLS[cell](hidden) for _ in range(layers)]
    symbols = ("", *"0123456789")
    return Sequential(f"{cell}-{layers}x{hidden}", front_end, [*stack, Dense(len(symbols)), Softmax()], Ctc(symbols))
