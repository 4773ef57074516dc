"""Rows of what takes a frame of each stream a call: ours and the peers' calls, timed in turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ostinato_bench import bare
from ostinato_bench.ours import Ours
from ostinato_bench.peers import Call
from ostinato_bench.timing import Timed, alternate


def row(ours: Ours, others: Mapping[str, Call], batch: int, multiply_adds: int, seconds: float) -> dict[str, Any]:
    """Times in microseconds a call, medians, their quartiles beside them, as `kernels.run` has them; "step_us" (one
    stream): without Python. ``multiply_adds``: of one stream's frame."""
    timed = {name: Timed(call) for name, call in others.items()} | {"ours_us": Timed(ours.call)}
    if batch == 1:
        timed["step_us"] = Timed(bare.steps(ours.workspace))
    spent = alternate(timed, seconds)
    found: dict[str, Any] = {
        "ours_us": round(spent["ours_us"].median, 3), "ours_quartiles_us": spent["ours_us"].quartiles,
    }  # fmt: skip
    if "step_us" in spent:
        step = spent["step_us"].divided(bare.STEPS)
        found |= {"step_us": round(step.median, 3), "step_quartiles_us": step.quartiles}
    return found | {
        "peers": {name: round(spent[name].median, 3) for name in others},
        "peers_quartiles_us": {name: spent[name].quartiles for name in others},
        "gmacs": round(multiply_adds * batch / 1e3 / spent["ours_us"].median, 2),
    }
