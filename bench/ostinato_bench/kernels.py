"""How fast the kernels are: against ONNX Runtime in the same run, and against what this processor can do at most.

All on one thread, a Python call included. Ours and the peer's calls alternate, so that noise meets both; figures are
medians over rounds, and what matters is their ratio.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from rich.table import Table

from ostinato.kernels.program import bind
from ostinato.model import Network
from ostinato.model.specification import Direction, Frames, Gru, Lstm, Outputs, Rnn, Specification, output_size
from ostinato_bench import limits, machine, onnx_peer

Progress = Callable[[int, int, str], None]
_ROUNDS = 5


@dataclass(frozen=True)
class Cell:
    """A stack of recurrent layers, advanced by ``frames`` frames of ``batch`` streams in one call."""

    cell: Literal["rnn", "gru", "lstm"]
    input: int
    hidden: int
    layers: int = 1
    direction: Direction = "forward"
    batch: int = 1
    frames: int = 1

    @property
    def specification(self) -> Specification:
        """The network: the layers and nothing else."""
        kind = {"rnn": Rnn, "gru": Gru, "lstm": Lstm}[self.cell]
        layers: list[Rnn | Gru | Lstm] = []
        for _ in range(self.layers):
            below = output_size(layers[-1]) if layers else self.input
            layers.append(kind(below, self.hidden, direction=self.direction))
        return Specification(str(self), Frames(self.input), tuple(layers), Outputs())

    @property
    def weights(self) -> int:
        """Number of weights in its matrices: the multiply-accumulates of one frame."""
        return sum(
            layer.gates
            * layer.hidden
            * (layer.input + layer.hidden)
            * (2 if self.direction == "bidirectional" else 1)
            for layer in self.specification.layers
            if isinstance(layer, Rnn | Gru | Lstm)
        )

    def __str__(self) -> str:
        stack = f" x {self.layers}" if self.layers > 1 else ""
        way = "" if self.direction == "forward" else " bi"
        utterance = f", {self.frames} frames" if self.frames > 1 else ""
        return f"{self.cell} {self.input} -> {self.hidden}{stack}{way}, B = {self.batch}{utterance}"


def _cells() -> tuple[Cell, ...]:
    sizes: tuple[tuple[Literal["rnn", "gru", "lstm"], int, int, int], ...] = (
        ("gru", 40, 16, 1), ("gru", 40, 64, 1), ("gru", 40, 128, 1), ("gru", 80, 256, 2), ("gru", 80, 512, 2),
        ("lstm", 40, 25, 1), ("lstm", 40, 128, 1), ("lstm", 80, 256, 2), ("rnn", 40, 128, 1),
    )  # fmt: skip
    step = [Cell(*size, batch=batch) for size in sizes for batch in (1, 8, 32, 128)]
    whole = [
        Cell("gru", 40, 128, 1, "bidirectional", 1, 500),
        Cell("gru", 80, 256, 2, "bidirectional", 1, 500),
        Cell("lstm", 80, 256, 2, "bidirectional", 1, 500),
    ]
    return (*step, *whole)


CELLS = _cells()
"""What is measured unless something else is asked for."""


def run(
    cells: Sequence[Cell] | None = None, seconds: float = 1.0, progress: Progress | None = None
) -> dict[str, Any]:
    """Measure ``cells`` for about ``seconds`` each; ``progress(done, count, what)`` is told before each.

    Returns {"rows": [...], "limits": {...}, "machine": {...}, "versions": {...}}; times in microseconds a call,
    "gmacs" in 10^9 multiply-accumulates a second, "share_of_limit" of what the processor's arithmetic and the
    bandwidth of the cache that holds the weights allow.
    """
    wanted = CELLS if cells is None else tuple(cells)
    if progress:
        progress(0, len(wanted), "the processor's limits")
    found = limits.measure()
    rows = []
    for done, cell in enumerate(wanted):
        if progress:
            progress(done, len(wanted), str(cell))
        rows.append(_measure(cell, seconds, found))
    if progress:
        progress(len(wanted), len(wanted), "done")
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    return {"rows": rows, "limits": found, "machine": described, "versions": versions}


def _measure(cell: Cell, seconds: float, found: dict[str, float]) -> dict[str, Any]:
    network = Network.random(cell.specification, seed=0)
    frames = np.random.default_rng(0).uniform(-1, 1, (cell.frames * cell.batch, cell.input)).astype(np.float32)
    program = network.program
    rows, states = program.new_rows(len(frames)), program.new_states(cell.batch)
    rows[:, program.input.slice] = frames
    sizes = np.full(cell.frames, cell.batch, np.int64)
    ours = bind(program, states, np.arange(cell.batch, dtype=np.int64), sizes, rows)
    contenders: dict[str, Callable[[], object]] = {"ours": ours}
    theirs = onnx_peer.caller(network, frames.reshape(cell.frames, cell.batch, cell.input))
    if theirs is not None:
        contenders["onnxruntime"] = theirs
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(1 + _ROUNDS):
        for name, call in contenders.items():
            spent[name].append(_median_us(call, seconds / _ROUNDS / len(contenders)))
    times = {name: statistics.median(figures[1:]) for name, figures in spent.items()}  # the first warms up
    gmacs = cell.weights * cell.batch * cell.frames / times["ours"] / 1e3
    row = asdict(cell) | {"precision": "float32", "ours_us": round(times["ours"], 3)}
    row["peers"] = {name: round(value, 3) for name, value in times.items() if name != "ours"}
    row["gmacs"] = round(gmacs, 2)
    row["share_of_limit"] = round(gmacs / limits.of(found, cell.weights, cell.batch, cell.frames), 3)
    return row


def _median_us(call: Callable[[], object], seconds: float) -> float:
    """The median time of a call, over as many as fit (at least 3)."""
    clock = time.perf_counter_ns
    times: list[int] = []
    end = clock() + int(seconds * 1e9)
    while len(times) < 3 or clock() < end:
        start = clock()
        call()
        times.append(clock() - start)
    return statistics.median(times) / 1e3


def table(result: dict[str, Any]) -> Table:
    """A result of `run` for the terminal."""
    found = result["limits"]
    caption = (
        f"one thread; this processor does at most {found['fma_gmacs']:.0f} GMAC/s and reads "
        f"{found['l1_gbs']:.0f} / {found['l2_gbs']:.0f} / {found['l3_gbs']:.0f} GB/s from L1 / L2 / L3"
    )
    shown = Table(title="Microseconds a call", caption=caption, box=None, pad_edge=False)
    for heading in ("cell", "B", "frames", "ours", "ONNX RT", "faster", "GMAC/s", "limit"):
        shown.add_column(heading, justify="left" if heading == "cell" else "right", no_wrap=True)
    for row in result["rows"]:
        stack = f" x {row['layers']}" if row["layers"] > 1 else ""
        way = " bi" if row["direction"] == "bidirectional" else ""
        peer = row["peers"].get("onnxruntime")
        shown.add_row(
            f"{row['cell']} {row['input']} → {row['hidden']}{stack}{way}",
            str(row["batch"]),
            str(row["frames"]),
            f"{row['ours_us']:.2f}",
            "–" if peer is None else f"{peer:.2f}",
            "" if peer is None else f"{peer / row['ours_us']:.2f} x",
            f"{row['gmacs']:.1f}",
            f"{row['share_of_limit']:.0%}",
        )
    return shown
