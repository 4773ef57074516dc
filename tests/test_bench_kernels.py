"""`ostinato bench kernels`, small: what it measures, against whom, and that a wrong peer is not timed."""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ostinato.errors import InputError
from ostinato.model import Network
from ostinato_bench import limits, peers, tables
from ostinato_bench.cells import CELLS, PRECISIONS, QUICK, Cell, Kind, Precision, grid
from ostinato_bench.kernels import run
from ostinato_bench.ours import Ours
from ostinato_bench.timing import Spread, Timed, alternate

NETWORKS = [
    Cell(kind, 7, 25, layers, way, batch, frames=frames)  # type: ignore[arg-type]
    for (kind, layers, way, batch), frames in zip(
        itertools.product(("rnn", "gru", "lstm"), (1, 2), ("forward", "bidirectional"), (1, 3)),
        itertools.cycle((1, 9)),
        strict=False,
    )
]


# --- cells ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", NETWORKS, ids=str)
def test_the_weights_that_are_counted_are_those_of_the_matrices(cell: Cell) -> None:
    network = cell.network()
    assert cell.weights == sum(array.size for array in network.weights.values() if array.ndim == 2)
    assert any(array.any() for name, array in network.weights.items() if name.endswith("Rb"))


def test_what_is_measured_unless_something_else_is_asked_for() -> None:
    assert len(set(CELLS)) == len(CELLS)
    assert {cell.cell for cell in CELLS} == {"rnn", "gru", "lstm"}
    assert {cell.layers for cell in CELLS} >= {1, 2, 3}
    assert {cell.batch for cell in CELLS} >= {1, 256}
    assert {cell.hidden for cell in CELLS} >= {16, 512}
    assert {cell.direction for cell in CELLS} == {"forward", "bidirectional"}
    assert {cell.precision for cell in CELLS} == set(PRECISIONS)
    assert len(QUICK) < len(CELLS) / 2


def test_a_grid() -> None:
    assert grid() == (Cell("gru", 40, 128),)
    assert grid(["lstm"], batches=[1, 4]) == (Cell("lstm", 40, 128), Cell("lstm", 40, 128, batch=4))
    assert grid(ways=["bidirectional"])[0].frames > 1
    with pytest.raises(InputError, match=r"'elman' is none of rnn, gru, lstm"):
        grid(["elman"])


# --- peers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("cell", NETWORKS, ids=str)
def test_installed_peers_compute_what_we_do(cell: Cell, precision: Precision) -> None:
    network, frames = cell.network(), cell.input_frames()
    calls = peers.callers(network, frames, precision)
    assert {"onnxruntime", "onnxruntime-bound"} <= set(calls) or precision == "int8"
    assert "onnxruntime-int8" in calls or precision == "float32" or cell.cell != "lstm"
    peers.check(calls, Ours(network, frames).outputs, precision)
    for call in calls.values():
        assert np.array_equal(np.asarray(call()), np.asarray(call()))  # from zero states each time


@pytest.mark.parametrize(
    ("kind", "precision"), [("rnn", "float32"), ("gru", "float32"), ("lstm", "float32"), ("lstm", "int8")]
)
@pytest.mark.parametrize("wrong", ["gates", "bias"])
def test_a_peer_that_computes_something_else_is_refused(kind: Kind, precision: Precision, wrong: str) -> None:
    cell = Cell(kind, 9, 20, frames=4)
    network = cell.network()
    weights = dict(network.weights)
    if wrong == "bias":
        weights[f"{cell.cell}.forward.Rb"] = np.zeros_like(weights[f"{cell.cell}.forward.Rb"])
    else:
        weights[f"{cell.cell}.forward.W"] = np.roll(weights[f"{cell.cell}.forward.W"], cell.hidden, axis=0)
        if kind == "rnn":
            weights[f"{cell.cell}.forward.W"] = -network.weights[f"{cell.cell}.forward.W"]
    calls = peers.callers(Network(network.specification, weights), cell.input_frames(), precision)
    assert calls
    with pytest.raises(RuntimeError, match="away from ours"):
        peers.check(calls, Ours(network, cell.input_frames()).outputs, precision)


def test_a_peer_with_other_shapes_is_refused() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        peers.check({"peer": lambda: np.zeros((1, 1, 3))}, np.zeros((1, 1, 4), np.float32), "float32")


def test_a_peer_that_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "torch" else importlib.util.find_spec(name))
    assert "pip install torch" in peers.missing()["pytorch"]
    assert "onnxruntime" not in peers.missing()
    found = run([Cell("gru", 4, 16)], seconds=0.02, wanted=["onnxruntime", "pytorch"])
    assert list(found["missing"]) == ["pytorch"]


def test_the_product_alone_is_timed_in_both_precisions() -> None:
    cells = [Cell("gru", 8, 128, batch=32, precision=precision) for precision in PRECISIONS]
    found = run(cells, seconds=0.05, wanted=())
    assert all(row["product_gmacs"] > 0 < row["product_share"] for row in found["rows"])
    assert "| GRU 8 → 128 | 32 |" in (text := tables.products(found)) and "| GRU 8 → 128, int8 | 32 |" in text


# --- timing and limits ----------------------------------------------------------------------------------------------


def test_contenders_take_turns_and_what_is_prepared_does_not_count() -> None:
    now = 0
    order: list[str] = []

    def spends(name: str, us: int) -> Callable[[], None]:
        def call() -> None:
            nonlocal now
            now += 1000 * us
            order.append(name)

        return call

    contenders = {"a": Timed(spends("a", 40)), "b": Timed(spends("b", 300), before=spends("prepare", 5000))}
    found = alternate(contenders, seconds=0.0, rounds=3, clock=lambda: now)
    assert found == {"a": Spread(40, 40, 40), "b": Spread(300, 300, 300)}
    assert "".join(name[0] for name in order).endswith("apb" * 4)


def test_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3, 2, 4)
    assert Spread(3, 2, 4).divided(2) == Spread(1.5, 1, 2)


def test_limits_are_measured() -> None:
    found = limits.measure(seconds=0.05)
    assert set(found) >= {"fma_gmacs", "int8_gmacs", "l1_gbs", "l2_gbs", "l3_gbs"}
    assert min(found.values()) > 0
    sizes = limits.levels()
    assert sizes["l1"] < sizes["l2"] < sizes["l3"]
    assert [limits.level_of(size) for size in (sizes["l1"], sizes["l1"] + 1, sizes["l3"] + 1)] == [
        "l1",
        "l2",
        "memory",
    ]


def test_the_shortest_time_is_computing_or_reading() -> None:
    step = Cell("gru", 40, 64)  # 19,968 weights
    assert limits.shortest_us(step, gmacs=1000, gbs=40) == pytest.approx(19.968 / 10)
    assert limits.shortest_us(step, gmacs=5, gbs=1e6) == pytest.approx(19.968 / 5)
    assert limits.shortest_us(replace(step, batch=32), gmacs=5, gbs=40) == pytest.approx(32 * 19.968 / 5)
    assert limits.read_again(step) == 4 * 19_968
    # Of an utterance's weights those of W are used for many frames at once; R's, 12,288, are read for each.
    utterance = replace(step, frames=100)
    assert limits.read_again(utterance) == 4 * 12_288
    assert limits.shortest_us(utterance, gmacs=1000, gbs=40) == pytest.approx(100 * (7.680 / 1000 + 12.288 / 10))


# --- the whole ------------------------------------------------------------------------------------------------------


def test_a_small_run() -> None:
    cells = [
        Cell("gru", 4, 16),
        Cell("lstm", 4, 16, batch=3),
        Cell("rnn", 4, 16, 2, "bidirectional", frames=12),
        Cell("lstm", 8, 32, precision="int8"),
    ]
    said: list[tuple[int, int, str]] = []
    found = run(cells, seconds=0.05, progress=lambda *news: said.append(news), wanted=["onnxruntime"])
    assert said[0][:2] == (0, 4)
    assert said[-1][:2] == (4, 4)
    assert set(found) == {"rows", "convolutions", "positions", "limits", "missing", "machine", "versions", "date"}
    assert found["convolutions"] == found["positions"] == []
    json.dumps(found)
    one, several, whole, small = found["rows"]
    keys = {"cell", "input", "hidden", "layers", "direction", "batch", "precision", "ours_us", "peers", "gmacs"}
    for row, cell in zip(found["rows"], cells, strict=True):
        assert keys | {"share_of_limit", "frames", "ours_quartiles_us", "weights_in"} <= set(row)
        assert (row["cell"], row["hidden"], row["batch"]) == (cell.cell, cell.hidden, cell.batch)
        assert row["ours_us"] > 0
        assert row["peers"]["onnxruntime"] > 0
        assert row["share_of_limit"] == pytest.approx(row["gmacs"] / row["limit_gmacs"], rel=0.05, abs=0.002)
        low, high = row["ours_quartiles_us"]
        assert low <= row["ours_us"] <= high
    assert one["step_us"] > 0
    assert "step_us" not in several
    assert whole["whole_us"] > 0
    assert small["float32_us"] > 0
    assert "onnxruntime" in small["peers"]  # its float32
    assert ("onnxruntime-2-threads" in whole["peers"]) == ((found["machine"]["cores"] or 1) > 1)


def test_the_command(ostinato: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    file, picture = tmp_path / "kernels.json", tmp_path / "kernels.png"
    options = ("--quick", "--cell", "gru", "--hidden", 16, "--hidden", 24, "--peer", "onnxruntime")
    done = ostinato("bench", "kernels", *options, "--json", file, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "GRU 40 → 24" in done.stdout
    assert [row["hidden"] for row in json.loads(file.read_text())["rows"]] == [16, 24]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "known"), [("--peer", "onnxruntime"), ("--precision", "float32"), ("--cell", "gru")]
)
def test_a_word_that_is_unknown(
    ostinato: Callable[..., subprocess.CompletedProcess[str]], option: str, known: str
) -> None:
    done: Any = ostinato("bench", "kernels", option, "nonsense")
    assert done.returncode != 0
    assert "'nonsense' is none of" in done.stderr
    assert known in done.stderr
