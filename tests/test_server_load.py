"""`ostinato bench load`, small: it speaks, counts, and finds nothing lost."""

from __future__ import annotations

import pytest

from ostinato.errors import UnknownModelError
from ostinato_bench.load import run, table


def test_a_small_load() -> None:
    shares: list[float] = []
    found = run(6, 1.0, model="random:gru-1x16", progress=shares.append, idle=20, connections=2)
    assert (found["streams"], found["sent"], found["received"], found["lost"]) == (6, 150, 150, 0)
    latency = found["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert shares == sorted(shares)
    assert found["rss_mb"] is None or found["rss_mb"] > 10
    assert found["idle_mb"] is None or found["idle_mb"] < 50
    assert found["machine"]["cores"] >= 1
    assert table(found).row_count == 9


def test_a_load_of_random_int8_weights() -> None:
    found = run(2, 1.0, model="gru-2x16-int8", idle=1, connections=1)
    assert (found["sent"], found["lost"]) == (50, 0)


def test_an_unknown_model() -> None:
    with pytest.raises(UnknownModelError):
        run(1, 0.1, model="nobody")
