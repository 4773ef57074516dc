"""Layers over the positions of a frame in `ostinato bench kernels`, small."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from ostinato.model import Network
from ostinato_bench import positions, tables
from ostinato_bench.kernels import run
from ostinato_bench.peers import onnx_runtime_positions as peer
from ostinato_bench.positions import POSITIONS, QUICK, Along, measure
from ostinato_bench.terminal import Console

SMALL = [Along("gru", 5, 3, 4), Along("convolution", 9, 3, 4, 2, batch=3), Along("convolution", 4, 2, 3)]


def test_what_is_measured() -> None:
    assert [each.name for each in QUICK] == [
        "GRU 16 → 8, bidirectional, over 33", "convolution 16 → 16, k = 3, stride 2, over 129",
    ]  # fmt: skip
    assert {each.batch for each in POSITIONS} == {1, 32} and {each.batch for each in QUICK} == {1}


def test_a_small_run() -> None:
    found = run([], 0.02, along=SMALL)
    json.dumps(found)
    assert [row["name"] for row in found["positions"]] == [each.name for each in SMALL]
    for row in found["positions"]:
        assert {"onnxruntime", "onnxruntime-bound"} <= set(row["peers"])
        assert min(row["ours_us"], row["gmacs"], *row["peers"].values()) > 0
        assert ("step_us" in row) == (row["batch"] == 1)
    assert "| GRU 3 → 4, bidirectional, over 5 | 1 |" in tables.positions(found)
    console = Console(width=120, record=True, file=io.StringIO())
    for each in tables.terminal(found):
        console.print(each)
    text = console.export_text()
    assert text.startswith("Over the positions of one frame in float32, µs")
    assert all(each.name in text for each in SMALL)
    assert not measure(SMALL[1], 0.01, wanted=())["peers"]


@pytest.mark.parametrize("along", SMALL, ids=str)
def test_a_peer_that_computes_something_else_is_not_timed(along: Along, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(network: Network, *arguments: Any) -> Any:
        return right(network, arguments[0] + np.float32(0.1), *arguments[1:])

    where: Any = positions.peers if along.kind == "gru" else peer
    right = where.callers
    monkeypatch.setattr(where, "callers", wrong)
    with pytest.raises(RuntimeError, match="away from ours"):
        measure(along, seconds=0.01)
