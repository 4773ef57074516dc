"""`ostinato bench load`, small: it speaks, counts, and finds nothing lost."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_models import models
from own_models import LABELS, echo, write_csv
from rich.console import Console

from ostinato import protocol
from ostinato.cli.files import bundled_recording
from ostinato.errors import ConnectionLostError, InputError, UnknownModelError
from ostinato.model import write
from ostinato.model.decoders import Labels
from ostinato.model.front_ends import Frames, LogMel, Tokens
from ostinato.server import Limits, Server
from ostinato_bench import report
from ostinato_bench.load import Plan, run, table
from ostinato_bench.load_client import Load, percentiles
from ostinato_bench.load_input import load_input
from ostinato_bench.load_search import BOUND_MS, confirm, draw, find, verdict


@pytest.mark.parametrize("workers", [1, 2])
def test_a_small_load(workers: int) -> None:
    shares: list[float] = []
    found = run(6, 1.5, model="random:gru-1x16", workers=workers, progress=shares.append, idle=20, connections=2)
    assert (found["streams"], found["sent"], found["received"], found["lost"]) == (6, 222, 222, 0)
    assert found["workers"] == workers
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    # Whoever speaks waits from the last sample of a chunk on, also while the client waits for others to send along.
    due, late = found["from_due_ms"], found["late_ms"]
    assert latency["p50"] < due["p50"] and due["max"] <= latency["max"] + late["max"] + 1e-3
    assert shares == sorted(shares)
    assert found["rss_mb"] is None or found["rss_mb"] > 10
    assert found["rss_mb"] is None or all(memory > 10 for _, memory in found["rss_over_time_mb"])
    assert found["idle_mb"] is None or found["idle_mb"] < 50
    assert found["machine"]["cores"] >= 1
    assert table(found).row_count == 11


@pytest.mark.parametrize("model", ["gru-0x16", "gru-0", "gru-2x0", "lstm-00x4"])
def test_a_network_of_nothing_is_no_load(model: str) -> None:
    with pytest.raises(UnknownModelError, match=model):
        run(1, 1.0, model=model, idle=0, connections=1)


def test_figures_fit_beside_their_headings_on_a_terminal_of_80_columns() -> None:
    figures = {"p50": 12.6, "p90": 18.8, "p99": 21.6, "max": 41.7}
    result = {
        "latency_ms": figures, "late_ms": figures, "from_due_ms": figures, "streams": 1000, "model": "digits-uni",
        "seconds": 20.0, "input": "noise", "sent": 500_000, "chunk_ms": 40.0, "received": 500_000, "lost": 0,
        "server_core_share": 0.5, "client_core_share": 0.5, "rss_mb": 82.0, "workers": 1, "idle_streams": 0,
    }  # fmt: skip
    said = io.StringIO()
    Console(file=said, width=80, force_terminal=True, color_system=None).print(table(result))
    assert len(lines := said.getvalue().splitlines()) == 10, lines
    assert lines[-1].endswith("in 1 worker") and lines[4].endswith("p50 12.6, p90 18.8, p99 21.6, max 41.7 ms")


def test_a_load_of_random_int8_weights() -> None:
    found = run(2, 1.0, model="gru-2x16-int8", idle=1, connections=1)
    assert (found["sent"], found["lost"]) == (50, 0)


def test_a_load_of_a_model_of_frames_by_its_own_data(tmp_path: Path) -> None:
    write(tmp_path / "echo.safetensors", echo("echo", Labels(LABELS)))
    write_csv(tmp_path / "data.csv", [0, 1, 2, 0, 1], [0, 1, 2, 0, 1])
    found = run(4, 1.0, model=str(tmp_path / "echo.safetensors"), data=tmp_path / "data.csv", idle=0, chunk_ms=50.0)
    assert (found["sent"], found["lost"], found["chunk_ms"]) == (100, 0, 40.0), "whole frames, of 20 ms"
    assert found["input"] == "5 frames of data.csv, in turns"
    np.save(tmp_path / "wide.npy", np.zeros((5, 4)))
    with pytest.raises(InputError, match=r"wide\.npy has 4 values in a frame"):
        run(1, 1.0, model=str(tmp_path / "echo.safetensors"), data=tmp_path / "wide.npy")


def test_a_load_of_tokens_without_data(tmp_path: Path) -> None:
    write(tmp_path / "tags.safetensors", echo("tags", Labels(LABELS), Tokens(("a", "b", "c"))))
    found = run(3, 1.0, model=str(tmp_path / "tags.safetensors"), idle=0, connections=1)
    assert (found["sent"], found["lost"]) == (75, 0)
    assert found["input"] == "random tokens, as no data were given"


def test_each_stream_sends_the_data_in_their_order(tmp_path: Path) -> None:
    """Chunk k of stream i is number k + i of them, then they begin anew."""
    frames = np.arange(14, dtype=np.float32).reshape(7, 2)
    np.save(tmp_path / "data.npy", frames)
    given = load_input(Frames(2, 20.0), tmp_path / "data.npy", 40.0, tmp_path, "any")
    assert (given.units, given.chunk_ms, given.sample_rate) == (2, 40.0, None)
    ids = bytes(range(32))
    load = Load(Plan("tcp://127.0.0.1:9", "any", 2, 1.0, 0, 1, given.file, given.units, given.chunk_ms, None))
    try:
        for chunk in range(5):
            sent = protocol.decode_request(load.pushes(ids, 2, chunk))
            assert isinstance(sent, protocol.Pushes) and [push.seq for push in sent] == [chunk + 1] * 2
            for i, push in enumerate(sent):
                first = 2 * ((chunk % 3 + i) % 3)
                assert np.array_equal(push.data, frames[first : first + 2])
    finally:
        load.context.destroy(0)


@pytest.mark.parametrize(("unit", "chunks"), [("character", list("ab a b")), ("word", ["ab ", "a ", "b "])])
def test_text_is_sent_a_token_at_a_time(tmp_path: Path, unit: Any, chunks: list[str]) -> None:
    (tmp_path / "data.txt").write_text("ab a\tlabel\n b\n")
    front_end = Tokens(("a", "b", " ", "?"), unit=unit, unknown=3)
    given = load_input(front_end, tmp_path / "data.txt", None, tmp_path, "any")
    assert json.loads(Path(given.file).read_text()) == chunks
    noise = json.loads(Path(load_input(front_end, None, None, tmp_path, "any").file).read_text())
    assert {token.strip() for token in noise} <= {"a", "b", "", "?"} and len(noise) == 64


def test_a_recording_is_sent_at_its_own_rate(tmp_path: Path) -> None:
    given = load_input(LogMel(), bundled_recording(), None, tmp_path, "any")
    sound = np.load(given.file)
    assert (given.sample_rate, given.units, sound.dtype) == (8000, 320, np.int16) and np.abs(sound).max() > 1000


def test_utterances_that_end_meanwhile() -> None:
    found = run(4, 2.0, model="random:gru-1x16", endings=2, idle=0)
    ends = found["endings"]
    assert found["lost"] == 0 and ends["utterances"] == 2
    assert 0 < ends["results_ms"]["first"] <= ends["results_ms"]["last"]
    assert ends["p99_before_ms"] > 0
    assert table(found).row_count == 11, "no row of idle streams, one of utterances"


def test_an_unknown_model() -> None:
    with pytest.raises(UnknownModelError):
        run(1, 0.1, model="nobody")


@pytest.mark.parametrize(("first", "limit"), [(100, 777), (100, 33), (1, 5), (1000, 1000), (7, 0)])
def test_the_search_comes_near_the_limit(first: int, limit: int) -> None:
    tried: list[int] = []

    def measure(streams: int) -> dict[str, Any]:
        tried.append(streams)
        latency = {"p50": 1.0, "p99": BOUND_MS - 1 if streams <= limit else BOUND_MS}
        return {"latency_ms": latency, "late_ms": {"p99": 1.0}, "lost": 0}

    found = find(measure, first)
    assert found["at_least"] is False and not verdict(found).startswith("at least")
    assert len(set(tried)) <= 12 and all(tried.count(streams) == (1 if streams <= limit else 2) for streams in tried)
    assert limit / 1.07 - 1 <= found["most"] <= limit
    assert [row["streams"] for row in found["rows"]] == sorted(set(tried))


def quick(limit: float) -> Callable[[int], dict[str, Any]]:
    """A server that holds up to ``limit`` streams."""
    good, bad = {"p50": 1.0, "p99": 2.0}, {"p50": 1.0, "p99": 99.0}
    return lambda n: {"latency_ms": good if n <= limit else bad, "late_ms": {"p99": 1.0}, "lost": 0, "streams": n}


def test_a_search_that_runs_out_of_tries_says_at_least() -> None:
    """Whether nothing failed, or what failed is far from what held; in the figures, the table, and the picture's
    title, which is the verdict."""
    found = find(quick(math.inf), 20)
    assert found["at_least"] and len(found["rows"]) == 12
    assert verdict(found) == f"at least {found['most']:,} streams hold; {found['ended']}"
    assert found["ended"] == "the search has no more than 12 tries, and none that was tried did not"
    confirm(quick(math.inf), found)
    assert found["at_least"] and "at least" in verdict(found)
    confirm(quick(found["most"] - 1), found)
    assert not found["at_least"] and verdict(found) == f"{found['most']:,} streams hold; {found['ended']}"
    far = find(quick(1800), 20)
    assert far["at_least"] and "and 1,859 did not: p99 99 ms" in verdict(far)


def test_a_server_that_takes_no_more_streams_ends_the_search() -> None:
    def measure(streams: int) -> dict[str, Any]:
        if streams > 100:
            raise ConnectionLostError("the server refused a stream or a chunk: all 100 streams are open")
        return quick(math.inf)(streams)

    found = find(measure, 50)
    assert found["at_least"] and found["most"] == 76
    assert "with 115 the server refused a stream" in verdict(found)
    with pytest.raises(ConnectionLostError):
        find(measure, 200)


def test_a_search_in_which_nothing_holds_says_so() -> None:
    found = find(quick(0), 7)
    assert not found["at_least"] and verdict(found) == "none hold; 1 did not: p99 99 ms"


def test_nothing_measured_is_no_measurement() -> None:
    """Not a latency of 0 ms, which would be the best there can be."""
    assert set(percentiles([]).values()) == {None}
    silent = {"latency_ms": percentiles([]), "late_ms": percentiles([10**6]), "lost": 0}
    silent["from_due_ms"] = percentiles([])
    found = find(lambda _: silent, 4)
    assert found["most"] == 0
    figures = silent | {
        "streams": 4, "model": "gru-2x16", "input": "noise", "seconds": 1.0, "sent": 0, "received": 0,
        "chunk_ms": 40.0, "workers": 1,
        "server_core_share": None, "client_core_share": None, "rss_mb": None, "idle_streams": 3, "idle_mb": None,
    }  # fmt: skip
    shown = io.StringIO()
    Console(file=shown, width=200).print(table(figures))
    assert "not measured" in shown.getvalue() and "None" not in shown.getvalue() and " 0.0 ms" not in shown.getvalue()
    assert "0 MB" not in report.load(figures) and " 0.0 ms" not in report.load(figures)


def test_a_number_that_fails_is_tried_once_more() -> None:
    p99 = iter([500.0, 5.0, *[500.0] * 30])
    found = find(lambda _: {"latency_ms": {"p99": next(p99)}, "late_ms": {"p99": 1.0}, "lost": 0}, 10)
    assert found["most"] == 10
    assert found["rows"][0]["latency_ms"]["p99"] == 5.0


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"late_ms": {"p99": BOUND_MS}}])
def test_what_is_lost_or_late_does_not_hold(wrong: dict[str, Any]) -> None:
    right = {"latency_ms": {"p50": 1.0, "p99": 2.0}, "late_ms": {"p99": 1.0}, "lost": 0}
    found = find(lambda _: right | wrong, 8, seconds=2.5)
    assert found["most"] == 0 and found["seconds"] == 2.5
    assert ("1 chunks lost" if "lost" in wrong else "the client itself was late") in verdict(found)


@pytest.mark.parametrize(("limit", "most"), [(1000, 900), (820, 800), (0, 0)])
def test_what_a_short_try_held_is_confirmed_or_taken_back(limit: int, most: int) -> None:
    """The numbers that do not hold for long are in the figures, and the one that is told did."""

    def measure(streams: int) -> dict[str, Any]:
        p99 = 10.0 if streams <= limit else 200.0
        return {"latency_ms": {"p50": 1.0, "p99": p99}, "late_ms": {"p99": 1.0}, "lost": 0, "streams": streams}

    found = find(measure, 900)
    rows = [{"streams": 900, "holds": True}, {"streams": 960, "holds": False, "lost": 3, "latency_ms": {"p99": 1.0}}]
    search = found | {"most": 900, "rows": rows}
    streams, found = confirm(measure, search)
    assert found["streams"] == streams
    assert search["most"] == most
    tried = {row["streams"]: row["holds"] for row in search["rows"]}  # type: ignore[attr-defined]
    assert tried.pop(960) is False
    assert tried and all(held == (count <= limit) for count, held in tried.items())


def test_the_picture_of_a_search(tmp_path: Path) -> None:
    rows = [
        {"streams": n, "holds": n < 600, "lost": 0, "latency_ms": {"p50": n / 40, "p99": n / 10}}
        for n in (100, 300, 600)
    ]
    rows.append({"streams": 700, "holds": False, "lost": 0, "latency_ms": percentiles([])})
    search = {"most": 300, "bound_ms": BOUND_MS, "seconds": 6.0, "rows": rows}
    path = tmp_path / "latency.png"
    draw({"search": search, "model": "gru-2x256", "chunk_ms": 40.0, "workers": 2, "seconds": 20.0}, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_server_that_takes_no_more_is_not_an_error(tmp_path: Path) -> None:
    np.save(tmp_path / "input.npy", np.zeros(640, np.int16))
    with Server(models("audio"), limits=Limits(credit_ms=30)) as server:  # less than a chunk
        load = Load(Plan(server.endpoint, "audio", 3, 1.0, 0, 1, str(tmp_path / "input.npy"), 640, 40.0, 16000))
        try:
            load.open(3, 25)
            sent = load.speak()
            assert load.refused and load.received == 0 and sent < 75
            load.close()
        finally:
            load.context.destroy(0)
    assert server.streams == 0
