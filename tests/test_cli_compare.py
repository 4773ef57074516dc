"""`ostinato compare` as a process, and its measuring against a server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ostinato.cli.files import bundled_recording, read_audio, transcript_beside
from ostinato.errors import ConnectionLostError, UnknownModelError
from ostinato.server import spawn_server
from ostinato_bench.compare import measure
from ostinato_client import Client

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_the_bundled_pair_on_the_bundled_recording(ostinato: Run, tmp_path: Path) -> None:
    figures, picture = tmp_path / "compare.json", tmp_path / "compare.png"
    done = ostinato("compare", "--json", figures, "--plot", picture)
    assert done.returncode == 0, done.stderr
    assert "digits-uni" in done.stdout and "from spoken to shown, p50" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    length = 1e3 * found["audio"]["seconds"]
    assert found["audio"]["transcript"] == transcript_beside(bundled_recording())
    uni, bi = found["models"]
    assert (uni["name"], uni["direction"], uni["delay_ms"]) == ("digits-uni", "unidirectional", 0)
    assert (bi["name"], bi["direction"], bi["delay_ms"]) == ("digits-bi", "bidirectional", None)
    # What the comparison is about: one answers while the other still waits for the end.
    assert uni["first_result_ms"] < length < bi["first_result_ms"]
    assert uni["latency_ms"]["p50"] < bi["latency_ms"]["p50"]
    for one in (uni, bi):
        assert one["error_rate"] <= 0.3 and one["text"]
        assert 0 < one["real_time_factor"] < 1 and one["state_bytes"] > 0 and one["final_ms"] > 0
        assert one["latency_ms"]["p50"] <= one["latency_ms"]["p90"] <= one["latency_ms"]["p99"]
    assert [(row["name"], row["seconds"]) for row in found["by_length"]] == [
        (name, seconds) for name in ("digits-uni", "digits-bi") for seconds in (1, 2, 5, 10, 30)
    ]
    assert found["machine"]["cores"] and found["machine"]["processor"]


def test_what_is_measured_is_what_the_client_gets() -> None:
    samples, rate = read_audio(bundled_recording())
    samples = samples[: 2 * rate]
    with spawn_server(["digits-uni", "digits-bi"]) as server:
        found = measure(server.endpoint, ["digits-uni", "digits-bi"], samples, rate, None, lengths_s=(0.5,))
        with Client(server.endpoint) as client:
            for run in found.models:
                with client.open(run.name, sample_rate=rate) as stream:
                    stream.push(samples)
                    events = [event for result in stream.flush() for event in result.events]
                assert [event.text for event in events] == [shown.text for shown in run.shown]
                assert [event.time_ms for event in events] == [shown.spoken_ms for shown in run.shown]
        assert all(shown.latency_ms > 0 for run in found.models for shown in run.shown)
        assert all(run.error_rate is None for run in found.models)
        assert [row.seconds for row in found.by_length] == [0.5, 0.5]
        with pytest.raises(UnknownModelError):
            measure(server.endpoint, ["no-such-model"], samples, rate, None)
        endpoint = server.endpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato_bench.compare.TIMEOUT_S", 1.0)
        with pytest.raises(ConnectionLostError):
            measure(endpoint, ["digits-uni"], np.zeros(100, np.float32), rate, None)
