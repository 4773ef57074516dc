"""What a frame costs the networks alone, without front end and decoder: our kernels beside madmom's own code."""

from __future__ import annotations

import time
from itertools import cycle
from typing import Any

import numpy as np

from ostinato.streaming import Model
from ostinato_bench import peers
from ostinato_bench.music.hearing import Task, direction_of
from ostinato_bench.music.rendering import I16
from ostinato_bench.ours import Ours
from ostinato_bench.peers import madmom
from ostinato_bench.timing import Spread, Timed, alternate


def measure(task: Task, model: Model, samples: I16, seconds: float, beside: bool) -> list[dict[str, Any]]:
    """Rows: whole sequences and, of a causal model, a frame at a time; µs of processor time a frame, timed in turns
    for ``seconds`` each. ``beside``: madmom's too, once it was seen to compute the same (RuntimeError)."""
    front = model.front_end
    state = front.start()
    frames = np.concatenate([front.step(state, front.check(samples)), front.flush(state)])
    direction = direction_of(model)
    whole = Ours(model.network, frames[:, None])
    ways: dict[int, dict[str, Timed]] = {len(frames): {"ours": Timed(whole.call)}}
    if direction == "uni":
        ways[1] = {"ours": Timed(Ours(model.network, frames[:1, None]).call)}
    if beside:
        anew, going_on = madmom.networks(task, direction)
        peers.check({"madmom": lambda: anew(frames).reshape(-1, 1, 1)}, whole.outputs, "float32")
        ways[len(frames)]["madmom"] = Timed(lambda: anew(frames))
        if direction == "uni":
            each = cycle([frames[t : t + 1] for t in range(len(frames))])
            ways[1]["madmom"] = Timed(lambda: going_on(next(each)))
    rows = []
    for count, timed in sorted(ways.items()):
        row: dict[str, Any] = {"task": task, "direction": direction, "frames": count}
        for name, spread in alternate(timed, seconds, clock=time.process_time_ns).items():
            row |= _figures(name, spread.divided(count))
        rows.append(row)
    return rows


def _figures(name: str, spread: Spread) -> dict[str, Any]:
    return {f"{name}_us": round(spread.median, 3), f"{name}_quartiles_us": spread.quartiles}
