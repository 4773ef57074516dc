"""How fast the kernels are: against other engines in the same run, and against what this processor can do at most.

All on one thread, a Python call included. Ours, the peers' and the limits' calls alternate, so that noise meets all;
figures are medians over rounds, and what matters is their ratio.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from ostinato.model import Network
from ostinato.streaming import Model
from ostinato_bench import bare, convolutions, limits, machine, peers, positions
from ostinato_bench.cells import CELLS, PRECISIONS, Cell
from ostinato_bench.ours import Ours
from ostinato_bench.timing import Timed, alternate

Progress = Callable[[int, int, str], None]
SECONDS = 1.2
"""For a row, shared by all that is timed for it."""
_CROWD = 32  # streams from which on a product should reach the arithmetic's limit
_THREADS = 2  # that ONNX Runtime gets besides for utterances: both of a small machine's cores
_CHUNK = 10  # frames a push of an utterance


def run(
    cells: Sequence[Cell] = CELLS,
    seconds: float = SECONDS,
    progress: Progress | None = None,
    wanted: Collection[str] = peers.NAMES,
    causal: Sequence[convolutions.Causal] = (),
    along: Sequence[positions.Along] = (),
) -> dict[str, Any]:
    """Measure ``cells``, then ``causal`` convolutions, then layers ``along`` the positions of frames, for about
    ``seconds`` each, beside the ``wanted`` peers as far as they are installed; ``progress(done, count, what)`` is
    told before each.

    Returns {"rows": [...], "convolutions": [rows of `convolutions.measure`], "positions": [rows of
    `positions.measure`], "limits": {...}, "missing": {peer: why},
    "machine": {...}, "versions": {...}, "date": …}.
    In a row times are microseconds a call, medians, their quartiles beside them:

    - "ours_us": all frames in one call of the kernels from Python. Bidirectional: from the last frame to the complete
      result, through `Stream`; "whole_us" is then the whole utterance in one call of the kernels.
    - "step_us" (one stream): the kernels called by compiled code, without Python's share.
    - "product_gmacs" (many streams): the product with the first layer's R alone, in compiled code, in int8 rounding
      the rows to bytes too; "product_share" of "arithmetic_gmacs".
    - "near_silence": whether frames hold denormal numbers; that should take as long as the same row without.
    - "peers": float32 but those whose name ends in -int8; int8 rows have ONNX Runtime's float32 too.
    - "float32_us" (int8): the same network of ours in float32.
    - "gmacs": 10^9 multiply-accumulates a second, of ours_us, or of whole_us where there is one; "share_of_limit" of
      "limit_gmacs", which "arithmetic_gmacs" and "read_gbs" allow: the processor's arithmetic, and the bandwidth at
      which so many weights can be read, from "weights_in". Both are timed in turns with ours.

    Raises RuntimeError if a peer does not compute what we do.
    """
    report = progress or (lambda done, count, what: None)
    count = len(cells) + len(causal) + len(along)
    report(0, count, "the processor's limits")
    found = limits.measure()
    rows, convolved, within = [], [], []
    for done, cell in enumerate(cells):
        report(done, count, str(cell))
        rows.append(_measure(cell, seconds, wanted))
    for done, one in enumerate(causal, len(cells)):
        report(done, count, str(one))
        convolved.append(convolutions.measure(one, seconds, wanted))
    for done, each in enumerate(along, len(cells) + len(causal)):
        report(done, count, str(each))
        within.append(positions.measure(each, seconds, wanted))
    report(count, count, "done")
    found = {
        name: max(value, again) for (name, value), again in zip(found.items(), limits.measure().values(), strict=True)
    }
    described = machine.describe()
    versions = {name: described.pop(name) for name in (*machine.VERSIONS, "python") if name in described}
    return {
        "rows": rows,
        "convolutions": convolved,
        "positions": within,
        "limits": found,
        "missing": {name: why for name, why in peers.missing().items() if name in wanted},
        "machine": described | {"instructions": limits.instructions(), "caches": limits.levels()},
        "versions": versions,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _measure(cell: Cell, seconds: float, wanted: Collection[str]) -> dict[str, Any]:
    """One row."""
    network, frames = cell.network(), cell.input_frames()
    reference = ours = Ours(network, frames)
    others = _others(network, frames, cell, wanted, reference.outputs)
    if cell.precision == "int8":
        network = cell.in_int8(network)
        ours = Ours(network, frames)
        peers.check({"our int8": lambda: ours.outputs}, reference.outputs, "int8")

    arithmetic, reading = limits.arithmetic(cell.precision), limits.reading(limits.read_again(cell))
    timed = {name: Timed(call) for name, call in others.items()}
    timed |= {"ours_us": Timed(ours.call), "arithmetic": Timed(arithmetic.call), "reading": Timed(reading.call)}
    if cell.precision == "int8":
        timed["float32_us"] = Timed(reference.call)
    if cell.direction == "bidirectional":
        timed["whole_us"] = timed["ours_us"]
        timed["ours_us"] = _after_the_last_frame(network, frames)
        if cell.precision == "int8":
            timed["float32_us"] = _after_the_last_frame(cell.network(), frames)
    elif cell.batch == cell.frames == 1:
        timed["step_us"] = Timed(bare.steps(ours.workspace))
    product, amount = bare.products(cell)
    if cell.batch >= _CROWD:
        timed["product"] = Timed(product)
    spent = alternate(timed, seconds)
    if "step_us" in spent:
        spent["step_us"] = spent["step_us"].divided(bare.STEPS)

    gmacs, gbs = arithmetic.rate(spent["arithmetic"].median), reading.rate(spent["reading"].median)
    work_us = spent.get("whole_us", spent["ours_us"]).median
    work = cell.weights * cell.batch * cell.frames / 1e3
    shortest_us = limits.shortest_us(cell, gmacs, gbs)
    row: dict[str, Any] = asdict(cell)
    for name in ("ours_us", "whole_us", "step_us", "float32_us"):
        if name in spent:
            row |= {name: round(spent[name].median, 3), name.replace("_us", "_quartiles_us"): spent[name].quartiles}
    if "product" in spent:
        row["product_gmacs"] = round(amount / spent["product"].median / 1e3, 1)
        row["product_share"] = round(row["product_gmacs"] / gmacs, 3)
    return row | {
        "peers": {name: round(spent[name].median, 3) for name in others},
        "peers_quartiles_us": {name: spent[name].quartiles for name in others},
        "gmacs": round(work / work_us, 2),
        "share_of_limit": round(shortest_us / work_us, 3),
        "limit_gmacs": round(work / shortest_us, 2),
        "arithmetic_gmacs": round(gmacs, 1),
        "read_gbs": round(gbs, 1),
        "weights_in": limits.level_of(limits.read_again(cell)),
    }


def _others(
    network: Network,
    frames: npt.NDArray[np.float32],
    cell: Cell,
    wanted: Collection[str],
    outputs: npt.NDArray[np.float32],
) -> dict[str, peers.Call]:
    """The peers' calls, checked: those of the cell's precision, ONNX Runtime's float32 always, for utterances also on
    more threads."""
    found: dict[str, peers.Call] = {}
    for precision in PRECISIONS[: 1 + PRECISIONS.index(cell.precision)]:
        who = wanted if precision == cell.precision else {"onnxruntime"} & set(wanted)
        calls = peers.callers(network, frames, precision, who)
        if precision == "float32" and cell.frames > 1 and (os.cpu_count() or 1) >= _THREADS:
            more = peers.callers(network, frames, precision, {"onnxruntime"} & set(wanted), _THREADS)
            calls |= {f"{name}-{_THREADS}-threads": call for name, call in more.items()}
        peers.check(calls, outputs, precision)
        found |= calls
    return found


def _after_the_last_frame(network: Network, frames: npt.NDArray[np.float32]) -> Timed:
    """A stream's flush; before it, the utterance is pushed frame by frame, as it would be spoken."""
    stream = Model(network, max_streams=1).stream()

    def push() -> None:
        for start in range(0, len(frames), _CHUNK):
            stream.push(frames[start : start + _CHUNK, 0])

    return Timed(stream.flush, before=push)
